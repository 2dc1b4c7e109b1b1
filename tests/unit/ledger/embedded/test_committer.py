"""The way of a batch, where it goes wrong."""

import asyncio
from pathlib import Path

import pytest

from palmares.domain.errors import Unavailable
from palmares.ledger.embedded import committer
from palmares.ledger.embedded.users import Users
from tests.ledger_world import Clock, open_embedded, swim
from tests.world import make_board

pytestmark = pytest.mark.anyio


async def test_after_a_step_that_could_not_be_applied_nothing_is_recorded_any_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much waits: what is in memory may differ from the log, and numbers would be given twice."""
    monkeypatch.setattr(committer, "_MOST_ENTRIES_PER_BATCH", 2)
    board = make_board()
    ledger = await open_embedded(folder, Clock(), [board])
    put, failed = Users.put, False

    def put_but_once(self: Users, state: object) -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise MemoryError
        put(self, state)  # type: ignore[arg-type]

    monkeypatch.setattr(Users, "put", put_but_once)
    answers = await asyncio.gather(
        *(ledger.record([swim(f"user-{number}", 1)]) for number in range(9)), return_exceptions=True
    )
    with pytest.raises(Unavailable):
        await ledger.record([swim("late", 1)])
    durable = [record.user for record in await ledger.records(0, 100) if record.kind == "event"]
    await ledger.close()

    run = board.schedule.run_at(board.start)
    assert run is not None
    assert all(isinstance(answer, Unavailable) for answer in answers)
    # The first batch was on disk before its first step failed; whoever asked was told that a restart will tell.
    assert durable == [1, 2]
    ledger = await open_embedded(folder, Clock(), [board])
    assert [row.user_id for row in await ledger.page(board.number, run, [()], 0, 10)] == ["user-0", "user-1"]
    assert await ledger.user(1, "user-2") is None
    await ledger.close()
