"""The projection: always equal to the log up to its position, and made again whenever in doubt."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palmares.ledger.embedded.log import Log, PastEvent
from palmares.ledger.embedded.projection import FirstUse, Projection
from tests.faults import FaultyConnection
from tests.log_lines import METRIC, STORY, event_line, void_line, write

EVER = (-(2**62), 2**62)


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    """A log with a story in it."""
    made = Log(folder / "log.sqlite3")
    write(made, STORY)
    yield made
    made.close()


@pytest.fixture
def open_projection(folder: Path, log: Log) -> Iterator[Callable[[], Projection]]:
    """Opens the projection of the log; all are closed in the end."""
    opened: list[Projection] = []

    def open_one() -> Projection:
        for earlier in opened:
            earlier.close()
        opened.append(Projection(folder / "projection.sqlite3", folder / "log.sqlite3", log.position))
        return opened[-1]

    yield open_one
    for projection in opened:
        projection.close()


def fill(projection: Projection, upto: int) -> None:
    projection.position = projection.fill(upto)


def contents(projection: Projection) -> dict[str, Any]:
    """Everything that can be asked of it."""
    return {
        "users": [(projection.user_by_id(1, name), projection.user_by_number(number)) for name, number in PEOPLE],
        "totals": [sorted(projection.totals_of(number)) for _, number in PEOPLE],
        "events": [sorted(projection.history_of(number, METRIC, *EVER, 10**9)) for _, number in PEOPLE],
        "days": [sorted(projection.days_of(number, METRIC, *EVER)) for _, number in PEOPLE],
        "keys": [projection.first_use(number, METRIC, key) for _, number in PEOPLE for key in "kl"],
        "last": projection.last_user(),
        "position": projection.position,
    }


PEOPLE = [("ann", 1), ("bob", 2), ("nobody", 3)]


def test_it_answers_what_the_log_says(open_projection: Callable[[], Projection]) -> None:
    """Users by their last line, totals behind their last event, events and keys one by one."""
    projection = open_projection()
    fill(projection, 7)
    assert projection.user_by_id(1, "ann") == (1, STORY[4].body, None, projection.totals_of(1))
    assert projection.user_by_number(2) == (1, "bob", STORY[2].body, None, projection.totals_of(2))
    assert projection.totals_of(1) == [(METRIC, 7, 7)]
    assert sorted(projection.history_of(1, METRIC, *EVER, 10)) == [
        PastEvent(1, 6, -2, 1),
        PastEvent(2, 2, 5, 2),
        PastEvent(7, 7, 4, 7),
    ]
    assert projection.first_use(1, METRIC, "l") == FirstUse(7, 7)
    assert projection.first_use(2, METRIC, "l") is None
    assert projection.last_user() == 2


@pytest.mark.parametrize("steps", [[1, 2, 3, 4, 5, 6, 7], [3, 7], [2, 2, 6, 7]])
def test_many_steps_make_the_same_as_one(open_projection: Callable[[], Projection], steps: list[int]) -> None:
    """Also when a step has nothing to take in."""
    projection = open_projection()
    for upto in steps:
        fill(projection, upto)
    in_steps = contents(projection)
    other = Projection(projection._path.with_name("other.sqlite3"), projection._path.with_name("log.sqlite3"), 7)
    fill(other, 7)
    assert in_steps == contents(other)
    other.close()


def test_reads_see_nothing_behind_the_position(open_projection: Callable[[], Projection]) -> None:
    """A step is there at once on disk, but its events count when the caller stops holding them."""
    projection = open_projection()
    fill(projection, 4)
    before = projection.days_of(1, METRIC, *EVER), projection.history_of(1, METRIC, *EVER, 10)
    projection.fill(7)
    assert (projection.days_of(1, METRIC, *EVER), projection.history_of(1, METRIC, *EVER, 10)) == before


def test_a_step_that_nobody_waited_for_is_not_done_twice(open_projection: Callable[[], Projection]) -> None:
    """The next one goes on where the file is."""
    projection = open_projection()
    projection.fill(4)
    fill(projection, 7)
    assert projection.totals_of(1) == [(METRIC, 7, 7)]
    assert projection.days_of(1, METRIC, *EVER) == [(0, 7)]


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO users", "INSERT INTO idempotency", "UPDATE", "COMMIT"])
def test_a_failed_step_leaves_all_as_it_was(open_projection: Callable[[], Projection], statement: str) -> None:
    """And the next one does its work too."""
    projection = open_projection()
    fill(projection, 2)
    before = contents(projection)
    faulty: Any = FaultyConnection(projection._writer)
    projection._writer = faulty
    faulty.failing = (statement,)
    with pytest.raises(Exception, match="disk I/O error"):
        projection.fill(7)
    assert contents(projection) == before
    faulty.failing = ()
    fill(projection, 7)
    assert projection.totals_of(1) == [(METRIC, 7, 7)]


class Meanwhile(FaultyConnection):
    """Does something else in the middle of a step."""

    def __init__(self, connection: Any, work: Callable[[], None]) -> None:
        super().__init__(connection)
        self._work = work

    def _check(self, statement: str) -> None:
        if statement.startswith("UPDATE"):
            self._work()


def test_the_log_can_be_written_during_a_step(open_projection: Callable[[], Projection], log: Log) -> None:
    """The step neither waits for what is recorded meanwhile nor holds it up nor takes it in."""
    projection = open_projection()
    log._writer.execute("PRAGMA busy_timeout = 0")
    writer: Any = Meanwhile(projection._writer, lambda: write(log, [event_line(8, 2, 1, 8)]))
    projection._writer = writer
    fill(projection, 7)
    assert log.position == 8
    assert projection.totals_of(2) == [(METRIC, 7, 4)]


def test_a_snapshot_stays_as_it_was(open_projection: Callable[[], Projection]) -> None:
    """However far the projection goes meanwhile."""
    projection = open_projection()
    fill(projection, 4)
    snapshot = projection.snapshot()
    fill(projection, 7)
    assert snapshot.position == 4
    assert list(snapshot.users()) == [(1, STORY[0].body), (2, STORY[2].body)]
    snapshot.close()


def test_it_goes_on_where_it_was_closed(open_projection: Callable[[], Projection]) -> None:
    """With everything."""
    first = open_projection()
    fill(first, 4)
    before = contents(first)
    assert contents(open_projection()) == before


def test_a_missing_file_is_made(open_projection: Callable[[], Projection], folder: Path) -> None:
    """It may be deleted at any time."""
    fill(open_projection(), 7)
    for path in folder.glob("projection*"):
        path.unlink()
    projection = open_projection()
    assert projection.position == 0
    fill(projection, 7)
    assert projection.totals_of(2) == [(METRIC, 7, 4)]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda whole: b"no database at all" * 100,
    "another header": lambda whole: b"X" * 100 + whole[100:],
    "lost pages": lambda whole: whole[:4096] + b"\xff" * (len(whole) - 4096),
    "half of it": lambda whole: whole[: len(whole) // 2],
    "another schema": lambda whole: whole.replace(b"progress", b"regressp"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again(
    open_projection: Callable[[], Projection], folder: Path, log: Log, damage: str
) -> None:
    """It holds nothing that the log does not; and what is made is a whole file, to be opened again."""
    first = open_projection()
    fill(first, 7)
    write(log, [event_line(8, 2, 1, 8)])
    first.close()
    path = folder / "projection.sqlite3"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    projection = open_projection()
    projection.catch_up(8)
    other = Projection(folder / "other.sqlite3", folder / "log.sqlite3", 8)
    other.catch_up(8)
    assert contents(projection) == contents(other)
    other.close()
    assert open_projection().totals_of(2) == [(METRIC, 8, 8)]


def test_a_full_disk_is_no_damage(open_projection: Callable[[], Projection]) -> None:
    """What is there already is not thrown away."""
    projection = open_projection()
    fill(projection, 4)
    faulty: Any = FaultyConnection(projection._writer)
    projection._writer = faulty
    faulty.failing = ("INSERT",)
    with pytest.raises(sqlite3.OperationalError):
        projection.catch_up(7)
    faulty.failing = ()
    assert open_projection().position == 4


def test_a_projection_ahead_of_the_log_is_made_again(open_projection: Callable[[], Projection], folder: Path) -> None:
    """A power failure may leave an older log than projection; what the log does not hold has not happened."""
    fill(open_projection(), 7)
    shorter = Log(folder / "shorter.sqlite3")
    write(shorter, STORY[:2])
    projection = Projection(folder / "projection.sqlite3", folder / "shorter.sqlite3", shorter.position)
    assert projection.position == 0
    fill(projection, 2)
    assert projection.totals_of(1) == [(METRIC, 5, 2)]
    assert projection.user_by_id(1, "bob") is None
    projection.close()
    shorter.close()


def test_void_events_are_known_but_not_among_the_history_and_the_days(
    open_projection: Callable[[], Projection], log: Log
) -> None:
    """As of a position in front of the void they still are; the key stays used."""
    write(log, [void_line(8, STORY[1], 2), void_line(9, STORY[3], 0)])
    projection = open_projection()
    fill(projection, 9)
    events = projection.history_of(1, METRIC, *EVER, 9)
    assert [projection.void_of(1, METRIC, target) for target in (2, 6, 7)] == [8, None, None]
    assert sorted(event.position for event in events) == [6, 7]
    assert sorted(event.position for event in projection.history_of(1, METRIC, *EVER, 7)) == [2, 6, 7]
    assert projection.days_of(1, METRIC, *EVER) == [(0, 2)]
    assert projection.days_of(2, METRIC, *EVER) == []
    assert projection.totals_of(1) == [(METRIC, 2, 7)]
    assert projection.first_use(1, METRIC, "k") == FirstUse(2, 2)
    snapshot = projection.snapshot()
    assert sorted(snapshot.voids(METRIC, 9)) == [(2, 8), (4, 9)]
    assert list(snapshot.voids(None, 8)) == [(2, 8)]
    assert list(snapshot.voids(METRIC + 1, 9)) == []
    assert len(projection.effects_of(1, METRIC, *EVER, 9)) == 3
    snapshot.close()
