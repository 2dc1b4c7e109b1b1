"""What the archive says is remembered until somebody writes there."""

from array import array

import pytest

from palmares.domain.changes import Plan
from palmares.domain.run import Run
from palmares.domain.snapshot import DayEnd, DayStanding, FinalRun, Places, Rows
from palmares.ledger.embedded import kept
from palmares.ledger.embedded.kept import Kept
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.keeping import Order
from tests.plain_archive import PlainArchive
from tests.world import make_board

BOARD, RUN, DAY, USER, OTHER = 1, 10, 20, 7, 8


class CountingArchive(PlainArchive):
    """Counts how often it is asked for a history or a final run."""

    asked = 0

    def final_run(self, board: int, run_start: int) -> FinalRun | None:
        self.asked += 1
        return super().final_run(board, run_start)

    def history(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> list[DayStanding]:
        self.asked += 1
        return super().history(board, run_start, user, first_day, last_day)


def keep(archive: PlainArchive, day: int, rank: int) -> None:
    places = Places(array("I", [USER]), array("I", [0]), array("I", [rank]), array("q", [5]))
    archive.keep_days(archive.edition(BOARD), RUN, [DayEnd(day, [()], places)])


def test_a_history_is_asked_for_once() -> None:
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Kept(archive)
    first, second = (remembered.history(BOARD, RUN, USER, DAY, DAY) for _ in range(2))
    assert first == second == [DayStanding(DAY, 1, 5)]
    assert archive.asked == 1


def test_days_that_are_kept_of_nobody_are_asked_for_once_for_everybody() -> None:
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Kept(archive)
    assert [
        *remembered.history(BOARD, RUN, USER, DAY + 1, DAY + 2),
        *remembered.history(BOARD, RUN, OTHER, DAY + 1, DAY + 2),
    ] == []
    assert archive.asked == 1
    assert remembered.history(BOARD, RUN, OTHER, DAY, DAY) == [DayStanding(DAY, None, None)]


def test_what_is_written_is_read_once_the_old_is_forgotten() -> None:
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Kept(archive)
    assert not remembered.history(BOARD, RUN, USER, DAY + 1, DAY + 1)
    remembered.history(BOARD, RUN, USER, DAY, DAY)
    keep(archive, DAY, rank=2)
    keep(archive, DAY + 1, rank=3)
    remembered.forget()
    assert remembered.history(BOARD, RUN, USER, DAY, DAY) == [DayStanding(DAY, 2, 5)]
    assert remembered.history(BOARD, RUN, USER, DAY + 1, DAY + 1) == [DayStanding(DAY + 1, 3, 5)]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_DAYS", 4)
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Kept(archive)
    for user in (1, 2, 3, 1):
        remembered.history(BOARD, RUN, user, DAY, DAY)
    assert archive.asked == 4


def keep_end(archive: PlainArchive, revision: int = 0) -> None:
    rows = Rows(array("I", [USER]), array("q", [5]), array("q", [0]))
    places = Places(array("I", [USER]), array("I", [0]), array("I", [1]), array("q", [5]))
    archive.keep_run(archive.edition(BOARD), Run(RUN, RUN + 6), [((), rows)], places, revision)


def test_how_a_run_ended_is_asked_for_once_also_while_it_did_not() -> None:
    archive = CountingArchive()
    remembered = Kept(archive)
    assert [remembered.final_run(BOARD, RUN) for _ in range(2)] == [None, None]
    assert [*remembered.final_runs(BOARD)] == []
    assert archive.asked == 1
    keep_end(archive, revision=3)
    remembered.forget()
    assert [remembered.final_run(BOARD, RUN) for _ in range(2)] == [FinalRun(Run(RUN, RUN + 6), 3, {(): 1})] * 2
    assert [*remembered.final_runs(BOARD)] == [RUN]
    assert archive.asked == 2


def test_an_order_is_the_same_until_something_is_written() -> None:
    archive = PlainArchive()
    remembered = Kept(archive)
    rankings = Rankings(Plan(make_board(BOARD)), lambda user: b"%d" % user)

    def order() -> Order:
        return remembered.order(rankings, RUN, (), lambda user: b"%d" % user)

    assert len(order()) == 0
    keep_end(archive)
    remembered.forget()
    found = order()
    assert found is order()
    assert found.page(0, 9) == [(USER, 5, 0)]
