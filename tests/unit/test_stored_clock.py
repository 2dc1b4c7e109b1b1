"""Where a test clock stands outlives the process, and keeps the real clock from going on behind it."""

from pathlib import Path

import pytest

from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.local_time import parse_instant
from palmares.stored_clock import ClockAhead, StoredClock

pytestmark = pytest.mark.anyio
EARLY, LATE = (parse_instant(f"2026-03-{day}T12:00:00Z", "now") for day in ("04", "09"))


async def test_a_clock_goes_on_from_the_later_of_where_it_stood_and_what_is_given(tmp_path: Path) -> None:
    """A clock that never moved stands at what is given."""
    clock = StoredClock(tmp_path).standing(EARLY)
    assert clock() == EARLY
    await clock.stand_at(LATE)

    assert clock() == LATE
    assert StoredClock(tmp_path).standing(EARLY)() == LATE
    assert StoredClock(tmp_path).standing(LATE + 1000)() == LATE + 1000


async def test_a_crash_while_it_is_saved_leaves_what_was_saved_before(tmp_path: Path) -> None:
    """The file is replaced in one go."""
    await StoredClock(tmp_path).standing(EARLY).stand_at(LATE)
    (tmp_path / "test-clock.new").write_text("2026-0")

    clock = StoredClock(tmp_path).standing(EARLY)
    assert clock() == LATE
    await clock.stand_at(LATE + 1000)
    assert StoredClock(tmp_path).standing(EARLY)() == LATE + 1000


async def test_a_clock_that_cannot_be_saved_does_not_move(tmp_path: Path) -> None:
    """Whoever moves it is told to try again."""
    clock = StoredClock(tmp_path / "nowhere").standing(EARLY)

    with pytest.raises(Unavailable, match="the test clock cannot be moved"):
        await clock.stand_at(LATE)

    assert clock() == EARLY


async def test_the_real_clock_goes_on_behind_a_test_clock_but_not_before_it(tmp_path: Path) -> None:
    """Where there never was one, there is nothing to mind."""
    StoredClock(tmp_path).leave(0)
    await StoredClock(tmp_path).standing(EARLY).stand_at(EARLY)

    StoredClock(tmp_path).leave(EARLY)
    with pytest.raises(ClockAhead, match=r"stands at 2026-03-04T12:00:00\.000Z, ahead of the real one"):
        StoredClock(tmp_path).leave(EARLY - 1)


def test_a_file_that_holds_no_instant_is_refused(tmp_path: Path) -> None:
    """Nobody but the server writes it; a guess could go back in time."""
    (tmp_path / "test-clock").write_text("yesterday\n")

    with pytest.raises(Invalid, match=r"test-clock holds no instant"):
        StoredClock(tmp_path).standing(EARLY)
