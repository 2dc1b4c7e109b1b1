"""The event log: lines in order, all of a flush or none."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from palmares.domain.errors import Unavailable
from palmares.ledger.embedded.log import Line, Log
from tests.faults import FaultyConnection
from tests.log_lines import STORY, event_line, user_line, write


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    made = Log(folder / "log.sqlite3")
    yield made
    made.close()


def test_lines_come_back_as_they_were(log: Log) -> None:
    """Every column of every kind of line."""
    write(log, STORY)
    assert log.read(0, 100) == STORY


def test_reading_goes_on_behind_a_position(log: Log) -> None:
    """Line by line, in pieces of any length."""
    write(log, STORY)
    assert [log.read(after, 1)[0] for after in range(7)] == STORY
    assert log.read(2, 3) == STORY[2:5]
    assert log.read(7, 3) == []


def test_an_opened_log_knows_where_it_ends(log: Log, folder: Path) -> None:
    """An empty one ends at 0."""
    assert (log.position, log.recorded_at) == (0, 0)
    write(log, [*STORY, event_line(8, 1, 1, 8)._replace(recorded_at=99)])
    log.close()
    again = Log(folder / "log.sqlite3")
    assert (again.position, again.recorded_at) == (8, 99)
    again.close()


def test_nobody_sees_lines_that_are_not_flushed(log: Log, folder: Path) -> None:
    """Neither a reader nor who opens the file after a crash."""
    write(log, STORY[:2])
    log.append(STORY[2:])
    assert log.read(0, 100) == STORY[:2]
    beside = Log(folder / "log.sqlite3")
    assert beside.position == 2
    beside.close()
    log.commit()
    assert log.read(0, 100) == STORY


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
def test_a_failed_flush_leaves_nothing_and_the_next_one_works(log: Log, statement: str) -> None:
    """Whatever step of it fails; the error is one of ours and keeps its cause."""
    write(log, STORY[:2])
    faulty = FaultyConnection(log._writer)
    log._writer = cast(sqlite3.Connection, faulty)
    faulty.failing = (statement,)
    with pytest.raises(Unavailable, match="nothing was stored") as refused:
        write(log, STORY[2:])
    assert isinstance(refused.value.__cause__, sqlite3.OperationalError)
    faulty.failing = ()
    assert log.read(0, 100) == STORY[:2]
    write(log, STORY[2:])
    assert log.read(0, 100) == STORY


def test_lines_that_do_not_fit_the_log_are_refused_as_a_whole(log: Log) -> None:
    """A position can be used once."""
    write(log, STORY[:2])
    with pytest.raises(Unavailable):
        log.append([STORY[2], STORY[1]])
    assert log.read(0, 100) == STORY[:2]
    write(log, STORY[2:])


def test_a_full_disk_is_told_and_passes(log: Log) -> None:
    """Nothing of the batch that did not fit is there afterwards."""
    write(log, STORY)
    log._writer.execute("PRAGMA max_page_count = 3")
    big: list[Line] = [user_line(8 + place, 8 + place, f"user-{place}", "x" * 200) for place in range(200)]
    with pytest.raises(Unavailable, match="full"):
        write(log, big)
    assert log.read(0, 1000) == STORY
    log._writer.execute("PRAGMA max_page_count = 1000000")
    write(log, big)
    assert log.read(0, 1000) == STORY + big


def test_rolling_back_what_was_not_begun_does_nothing(log: Log) -> None:
    """So it can always be called."""
    log.roll_back()
    write(log, STORY)


def test_it_is_known_when_lines_were_recorded(log: Log) -> None:
    """The last one up to a position; before the first there is no time."""
    write(log, STORY)
    assert [log.recorded_when(position) for position in (0, 1, 4, 7, 99)] == [0, 1, 4, 7, 7]


def test_user_lines_of_a_stretch(log: Log) -> None:
    """Behind one position up to another."""
    write(log, STORY)
    assert list(log.user_lines(0, 7)) == [STORY[0], STORY[2], STORY[4]]
    assert list(log.user_lines(1, 4)) == [STORY[2]]
