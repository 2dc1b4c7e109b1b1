"""What this ledger does not have yet is refused by name, and nothing is stored."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import NotAllowed
from tests.ledger_world import swam, swim
from tests.unit.ledger.valkey.conftest import Open
from tests.world import make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
ENTRIES = {
    "history": swam("ann", 1, "2026-03-03T12:00:00Z"),
}


@pytest.mark.parametrize("kind", ENTRIES)
async def test_an_entry_that_is_not_understood_is_refused_with_its_list(open_worker: Open, kind: str) -> None:
    ledger = await open_worker([BOARD])
    await ledger.record([swim("ann", 1)])
    before = await ledger.records(0, 10)
    with pytest.raises(NotAllowed, match="yet"):
        await ledger.record([swim("ann", 1), ENTRIES[kind]])
    assert await ledger.records(0, 10) == before


@pytest.mark.parametrize(
    "fields",
    [{"late_events": "revise"}, {"finished_position": 1}],
    ids=["revise", "finished"],
)
async def test_a_board_that_is_not_understood_is_not_followed(open_worker: Open, fields: dict[str, Any]) -> None:
    ledger = await open_worker([BOARD])
    board: Board = replace(BOARD, number=2, **fields)
    with pytest.raises(NotAllowed, match="yet"):
        await ledger.follow(board)
    assert ledger.progress(2) is None
    assert [found.board.number for found in (await ledger.record([swim("ann", 1)]))[0].boards] == [1]


async def test_a_board_is_not_followed_after_events_in_runs_that_are_over(open_worker: Open) -> None:
    """And leaves nothing behind on which anything would count."""
    ledger = await open_worker([BOARD])
    weekly = make_board(2, "weekly", run_unit="day", run_interval=7, start=BOARD.start - 28)
    await ledger.record([swim("ann", 1, at="2026-02-20T12:00:00Z")])
    with pytest.raises(NotAllowed, match="over yet"):
        await ledger.follow(weekly)
    assert [found.board.number for found in (await ledger.record([swim("ann", 1)]))[0].boards] == [1]
