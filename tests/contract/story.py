"""One story of some swimmers in many zones, long enough for several runs, and every kind of board to tell it on."""

from collections.abc import Iterable
from typing import Any, get_args

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Aggregation, Board
from palmares.domain.local_time import HOUR, parse_instant
from tests.ledger_world import LedgerWorld, everything_of_boards, swim
from tests.world import LEVEL, POOL, make_board

BOARD = make_board()
BOARDS = [
    BOARD,
    make_board(2, "weekly", run_unit="day", run_interval=7, numbering="dense"),
    make_board(3, "pools", breakdown=(POOL,), ties="last"),
    make_board(4, "pros", filters=((LEVEL, "pro"),), order="asc", numbering="competition"),
    *(make_board(5 + place, key, aggregation=key) for place, key in enumerate(get_args(Aggregation)[1:])),
    make_board(9, "morning", start_time="06:00", end_time="12:30", max_participants=3),
    make_board(10, "daily-pools", run_unit="day", run_interval=1, breakdown=(POOL,), max_participants=2),
    make_board(
        11, "revised", run_unit="day", run_interval=3, breakdown=(POOL,), late_events="revise", aggregation="last"
    ),
    make_board(12, "revised-pros", run_unit="day", run_interval=5, filters=((LEVEL, "pro"),), late_events="revise"),
]
# One of each way in which runs end and groups matter: for what takes a while with each board.
SOME_BOARDS = [board for board in BOARDS if board.number in (1, 3, 10, 11)]
USERS = [f"user-{number}" for number in range(7)]
ZONES = [
    None, "Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Pacific/Honolulu", "Etc/GMT+12",
]  # fmt: skip
_BEGIN = parse_instant("2026-03-02T02:00:00Z", "begin")
_HOURS_BETWEEN = 5


async def tell_a_story(world: LedgerWorld, first: int = 0, past: int = 60, without: str | None = None) -> None:
    """They swim, change pools and levels, upload late, and import what they did elsewhere; 60 steps are 12 days.

    One of them may be left out.
    """
    for step in range(first, past):
        world.clock.now = max(world.clock(), _BEGIN + step * _HOURS_BETWEEN * HOUR)
        number = step * step % 7
        changes: dict[str, Any] = {"tz": ZONES[number]}
        if step % 4 == 0:
            changes["attributes"] = {"pool": ["east", "west", None][step % 3]}
        if step % 5 == 0:
            changes["attributes"] = changes.get("attributes", {}) | {"level": ["pro", None][step % 2]}
        entry = swim(USERS[number], step % 6 - 1, **changes)
        if step % 3 == 1:
            entry.occurred_at = world.clock() - step * 7 % 90 * HOUR
            entry.history = step % 4 == 1
        if entry.user_id != without:
            await world.record(entry)


async def all_that_is_told(world: LedgerWorld, boards: Iterable[Board]) -> dict[Any, Any]:
    """Everything about the boards, under the same name for all, once all is done that is due."""
    await world.ledger.advance(world.clock())
    await world.ledger.settle()
    known = [await world.ledger.user(DEFAULT_SCOPE, user_id) for user_id in USERS]
    return await everything_of_boards(world.ledger, boards, [user for user in known if user is not None])
