"""Where a test clock stands outlives the process, and keeps the real clock from going on behind it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.local_time import parse_instant
from palmares.ledger.valkey.store import Glide
from palmares.stored_clock import ClockAhead, FileNote, Note, StoredClock, ValkeyNote
from tests.valkey_servers import fresh_name

pytestmark = pytest.mark.anyio
EARLY, LATE = (parse_instant(f"2026-03-{day}T12:00:00Z", "now") for day in ("04", "09"))


@pytest.fixture(params=["file", "valkey"])
async def note(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Note]:
    """In a data folder, or beside a ledger in Valkey."""
    if request.param == "file":
        yield FileNote(tmp_path)
        return
    store = await Glide.connect(request.getfixturevalue("valkey"))
    yield ValkeyNote(store, fresh_name())
    await store.close()


async def test_a_clock_goes_on_from_the_later_of_where_it_stood_and_what_is_given(note: Note) -> None:
    """A clock that never moved stands at what is given."""
    clock = await StoredClock(note).standing(EARLY)
    assert clock() == EARLY
    await clock.stand_at(LATE)

    assert clock() == LATE
    assert (await StoredClock(note).standing(EARLY))() == LATE
    assert (await StoredClock(note).standing(LATE + 1000))() == LATE + 1000


async def test_a_crash_while_it_is_saved_leaves_what_was_saved_before(tmp_path: Path) -> None:
    """The file is replaced in one go."""
    stored = StoredClock(FileNote(tmp_path))
    await (await stored.standing(EARLY)).stand_at(LATE)
    (tmp_path / "test-clock.new").write_text("2026-0")

    clock = await stored.standing(EARLY)
    assert clock() == LATE
    await clock.stand_at(LATE + 1000)
    assert (await stored.standing(EARLY))() == LATE + 1000


async def test_a_clock_that_cannot_be_saved_does_not_move(tmp_path: Path) -> None:
    """Whoever moves it is told to try again."""
    clock = await StoredClock(FileNote(tmp_path / "nowhere")).standing(EARLY)

    with pytest.raises(Unavailable, match="the test clock cannot be moved"):
        await clock.stand_at(LATE)

    assert clock() == EARLY


async def test_the_real_clock_goes_on_behind_a_test_clock_but_not_before_it(note: Note) -> None:
    """Where there never was one, there is nothing to mind."""
    stored = StoredClock(note)
    await stored.leave(0)
    await (await stored.standing(EARLY)).stand_at(EARLY)

    await stored.leave(EARLY)
    with pytest.raises(ClockAhead, match=r"stands at 2026-03-04T12:00:00\.000Z, ahead of the real one"):
        await stored.leave(EARLY - 1)


async def test_a_note_that_holds_no_instant_is_refused(note: Note) -> None:
    """Nobody but the server writes it; a guess could go back in time."""
    await note.write(b"yesterday\n")

    with pytest.raises(Invalid, match=r"test-clock holds no instant"):
        await StoredClock(note).standing(EARLY)
