"""Histories are remembered until somebody writes into the archive."""

from array import array

import pytest

from palmares.domain.snapshot import DayStanding, Places
from palmares.ledger.embedded import histories
from palmares.ledger.embedded.histories import Histories
from tests.plain_archive import PlainArchive

BOARD, RUN, DAY, USER, OTHER = 1, 10, 20, 7, 8


class CountingArchive(PlainArchive):
    """Counts how often it is asked for a history."""

    asked = 0

    def history(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> list[DayStanding]:
        self.asked += 1
        return super().history(board, run_start, user, first_day, last_day)


def keep(archive: PlainArchive, day: int, rank: int) -> None:
    places = Places(array("I", [USER]), array("I", [0]), array("I", [rank]), array("q", [5]))
    archive.keep_day(archive.edition(BOARD), RUN, day, [()], places)


def test_a_history_is_asked_for_once() -> None:
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Histories(archive)
    first, second = (remembered.of(BOARD, RUN, USER, DAY, DAY) for _ in range(2))
    assert first == second == [DayStanding(DAY, 1, 5)]
    assert archive.asked == 1


def test_days_that_are_kept_of_nobody_are_asked_for_once_for_everybody() -> None:
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Histories(archive)
    assert [
        *remembered.of(BOARD, RUN, USER, DAY + 1, DAY + 2),
        *remembered.of(BOARD, RUN, OTHER, DAY + 1, DAY + 2),
    ] == []
    assert archive.asked == 1
    assert remembered.of(BOARD, RUN, OTHER, DAY, DAY) == [DayStanding(DAY, None, None)]


def test_what_is_written_is_read_once_the_old_is_forgotten() -> None:
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Histories(archive)
    assert not remembered.of(BOARD, RUN, USER, DAY + 1, DAY + 1)
    remembered.of(BOARD, RUN, USER, DAY, DAY)
    keep(archive, DAY, rank=2)
    keep(archive, DAY + 1, rank=3)
    remembered.forget()
    assert remembered.of(BOARD, RUN, USER, DAY, DAY) == [DayStanding(DAY, 2, 5)]
    assert remembered.of(BOARD, RUN, USER, DAY + 1, DAY + 1) == [DayStanding(DAY + 1, 3, 5)]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "MOST_DAYS", 4)
    archive = CountingArchive()
    keep(archive, DAY, rank=1)
    remembered = Histories(archive)
    for user in (1, 2, 3, 1):
        remembered.of(BOARD, RUN, user, DAY, DAY)
    assert archive.asked == 4
