"""Voids: an event that is void has never been, as far as anything final allows."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Aggregation
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry, Outcome, void
from tests.contract.conftest import EmbeddedHome
from tests.contract.story import BOARDS, USERS, ZONES
from tests.ledger_world import CALM, Clock, LedgerWorld, everything, memory_folder, placed, run_on, swam, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio

AGGREGATIONS = get_args(Aggregation)
BOARD = make_board()
IGNORING = make_board(11, "ignoring", run_unit="day", run_interval=7)
REVISING = make_board(12, "revising", run_unit="day", run_interval=7, late_events="revise")
STREAKS = make_board(13, "streaks", rank_by="streak", metric=None)
EAST, WEST = ("east",), ("west",)
CLOSING, LATE = "2026-03-09T12:00:00Z", "2026-03-10T12:00:00Z"


async def position_of(world: LedgerWorld, outcome: Outcome) -> int:
    """The position of an event by what recording it told."""
    [event] = await world.ledger.events_with(DEFAULT_SCOPE, [outcome.event_id or ""])
    assert event is not None
    return event.position


async def swim_then(world: LedgerWorld, user_id: str, laps: int, **given: Any) -> int:
    """Record an event; its position."""
    return await position_of(world, await world.swim(user_id, laps, **given))


async def take_back(world: LedgerWorld, *positions: int, reason: str | None = None) -> list[Outcome]:
    """Let events be void, readable in what that revises too."""
    outcomes = await world.record(*(void(DEFAULT_SCOPE, position, reason) for position in positions))
    await world.ledger.settle()
    return outcomes


# The present


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("place", [0, 2, 4])
async def test_a_void_event_does_not_count(world: LedgerWorld, aggregation: str, place: int) -> None:
    """The first, one in the middle, the last: by every aggregation, the others make the value and its time."""
    board = make_board(aggregation=aggregation)
    await world.follow(board)
    laps = [3, 1, 7, 7, 2]
    positions = []
    for minute, amount in enumerate(laps):
        for user_id in ("whole", "plain"):
            world.at(f"2026-03-04T12:{minute:02}:00Z")
            if user_id == "whole":
                positions.append(await swim_then(world, "whole", amount))
            elif minute != place:
                await world.swim("plain", amount)
    await take_back(world, positions[place])
    plain, whole = sorted(await world.rows(board), key=lambda row: row.user_id)
    assert plain.value == whole.value
    # Of equals who reached it at the same instant, the smaller id stands higher.
    assert await world.order(board) == ["plain", "whole"]


async def test_who_has_no_event_left_leaves(world: LedgerWorld) -> None:
    """The others close up; who comes again begins anew."""
    await world.follow(BOARD)
    position = await swim_then(world, "ann", 5)
    await world.swim("bob", 3)
    await take_back(world, position)
    assert await world.standings(BOARD) == [(1, "bob", 3 * MICROS)]
    assert await world.place(BOARD, "ann") is None
    assert placed(await world.swim("ann", 1)) == {BOARD.key: (None, 2)}


async def test_a_void_changes_the_total_and_the_days(world: LedgerWorld) -> None:
    """A day on which nothing else happened is none any more."""
    first = await swim_then(world, "ann", 5)
    world.at("2026-03-05T12:00:00Z")
    second = await swim_then(world, "ann", 2)
    await world.swim("ann", 1)
    [outcome] = await take_back(world, first)
    assert outcome.total == await world.total("ann") == 3 * MICROS
    ann = await world.user("ann")
    days = [day("2026-03-04"), day("2026-03-05")]
    assert await world.ledger.days(ann, LAPS, *days) == [(days[1], 3 * MICROS)]
    await take_back(world, second)
    assert await world.ledger.days(ann, LAPS, *days) == [(days[1], MICROS)]
    assert [found.total for found in await world.record(swim("ann", 4))] == [5 * MICROS]


async def test_a_void_is_told_with_its_event(world: LedgerWorld) -> None:
    """The id of the event, the total behind it, and no boards."""
    await world.follow(BOARD)
    event = await world.swim("ann", 5)
    [outcome] = await take_back(world, await position_of(world, event))
    assert (outcome.event_id, outcome.user.id, outcome.total) == (event.event_id, "ann", 0)
    assert (outcome.replayed, outcome.created, list(outcome.boards)) == (False, False, [])


async def test_a_void_is_in_the_log(world: LedgerWorld) -> None:
    """With what it is about, and why."""
    position = await swim_then(world, "ann", 5, at="2026-03-04T08:00:00Z")
    await take_back(world, position, reason="a robot")
    line = (await world.ledger.records(position, 1))[0]
    event = (await world.ledger.records(position - 1, 1))[0]
    assert (line.kind, line.target, line.amount, line.total) == ("void", position, -5 * MICROS, 0)
    assert (line.user, line.metric, line.occurred_at, line.local_at) == (
        event.user,
        event.metric,
        event.occurred_at,
        event.local_at,
    )
    assert line.body is not None
    assert "a robot" in line.body


async def test_a_second_void_of_an_event_changes_nothing(world: LedgerWorld) -> None:
    """It may be sent again: in one list, at the same time, and after a restart."""
    await world.follow(BOARD)
    await world.swim("ann", 5)
    position = await swim_then(world, "ann", 2)
    first, second = await take_back(world, position, position)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.event_id == second.event_id
    log = await world.ledger.records(0, 100)
    [together] = await asyncio.gather(take_back(world, position))
    await world.restart()
    [later] = await take_back(world, position)
    assert together[0].replayed
    assert later.replayed
    assert later.total == 5 * MICROS
    assert await world.ledger.records(0, 100) == log
    assert await world.standings(BOARD) == [(1, "ann", 5 * MICROS)]


async def test_only_an_event_of_the_scope_can_be_void(world: LedgerWorld) -> None:
    """Not a user, not a void, not what others have or nobody."""
    position = await swim_then(world, "ann", 5)
    await take_back(world, position)
    log = await world.ledger.records(0, 100)
    for wrong in (0, -1, 1, position + 1, 99):
        with pytest.raises(NotFound):
            await world.record(void(DEFAULT_SCOPE, wrong))
    with pytest.raises(NotFound):
        await world.record(void(DEFAULT_SCOPE + 1, position))
    assert await world.ledger.records(0, 100) == log


async def test_voids_stand_or_fall_together(world: LedgerWorld) -> None:
    """With whatever else is in the list; the message tells which was refused."""
    await world.follow(BOARD)
    position = await swim_then(world, "ann", 5)
    with pytest.raises(NotFound, match=r"\[2\]"):
        await world.record(void(DEFAULT_SCOPE, position), swim("bob", 1), void(DEFAULT_SCOPE, 99))
    assert await world.standings(BOARD) == [(1, "ann", 5 * MICROS)]
    assert await world.total("ann") == 5 * MICROS
    await world.record(void(DEFAULT_SCOPE, position), swim("ann", 1), swim("bob", 2))
    assert await world.standings(BOARD) == [(1, "bob", 2 * MICROS), (2, "ann", MICROS)]


async def test_what_comes_behind_a_void_in_a_list_sees_it(world: LedgerWorld) -> None:
    """Several events of one user, taken back between others that need all that is left."""
    board = make_board(aggregation="last")
    await world.follow(board)
    positions = [await swim_then(world, "ann", laps, at=f"2026-03-04T1{laps}:00:00Z") for laps in (0, 1)]
    await world.record(
        void(DEFAULT_SCOPE, positions[1]),
        swim("ann", 7, at="2026-03-04T09:00:00Z"),
        void(DEFAULT_SCOPE, positions[0]),
    )
    assert await world.standings(board) == [(1, "ann", 7 * MICROS)]
    assert await world.total("ann") == 7 * MICROS


async def test_a_total_that_would_not_fit_is_refused(world: LedgerWorld) -> None:
    """What is left has to be a total."""
    position = await swim_then(world, "ann", -9_000_000_000_000)
    await world.swim("ann", 9_000_000_000_000)
    await world.swim("ann", 9_000_000_000_000)
    with pytest.raises(Invalid):
        await world.record(void(DEFAULT_SCOPE, position))
    assert await world.total("ann") == 9_000_000_000_000 * MICROS


async def test_a_key_stays_used(world: LedgerWorld) -> None:
    """Whoever sends the event once more is told its id, and it stays void."""
    await world.follow(BOARD)
    event = await world.swim("ann", 5, key="upload")
    await take_back(world, await position_of(world, event))
    for _ in range(2):
        again = await world.swim("ann", 5, key="upload")
        assert (again.replayed, again.event_id, again.total) == (True, event.event_id, 0)
        assert placed(again) == {BOARD.key: (None, None)}
        await world.restart()
    assert await world.standings(BOARD) == []


async def test_a_void_moves_up_who_was_outside_the_cap(world: LedgerWorld) -> None:
    """And who was inside falls out."""
    capped = make_board(max_participants=2)
    await world.follow(capped)
    position = await swim_then(world, "ann", 5)
    await world.record(swim("ann", 1), swim("bob", 4), swim("cat", 3))
    await take_back(world, position)
    assert await world.standings(capped) == [(1, "bob", 4 * MICROS), (2, "cat", 3 * MICROS)]
    assert await world.place(capped, "ann") == (None, None, MICROS)


async def test_a_void_counts_in_the_group_of_its_user(world: LedgerWorld) -> None:
    """Also of who has moved since, or takes no part at present."""
    board = make_board(breakdown=(POOL,), filters=((LEVEL, "pro"),))
    await world.follow(board)
    position = await swim_then(world, "ann", 5, attributes={"pool": "east", "level": "pro"})
    await world.swim("ann", 2, attributes={"pool": "west"})
    await take_back(world, position)
    assert await world.standings(board, WEST) == [(1, "ann", 2 * MICROS)]
    assert await world.standings(board, EAST) == []
    position = await swim_then(world, "ann", 3, attributes={"level": None})
    await take_back(world, position)
    await world.change("ann", attributes={"level": "pro"})
    assert await world.standings(board, WEST) == [(1, "ann", 2 * MICROS)]


async def test_other_users_and_metrics_stay(world: LedgerWorld) -> None:
    """Only the event's own are touched."""
    hours = make_board(2, "hours", metric=HOURS)
    await world.follow(BOARD, hours)
    await world.record(swim("ann", 5, metric=HOURS), swim("bob", 5))
    await take_back(world, await swim_then(world, "ann", 2))
    assert await world.standings(BOARD) == [(1, "bob", 5 * MICROS)]
    assert await world.standings(hours) == [(1, "ann", 5 * MICROS)]
    assert await world.total("ann", HOURS) == 5 * MICROS


async def test_a_void_is_seen_by_who_watches(world: LedgerWorld) -> None:
    """The ranking has changed, though nobody did anything."""
    await world.follow(BOARD)
    position = await swim_then(world, "ann", 5)
    world.ledger.changed_rankings()
    await take_back(world, position)
    assert world.ledger.changed_rankings() == [(BOARD.number, run_on(BOARD, "2026-03-04"), ())]


# What is over


async def test_past_days_of_a_live_run_are_as_if_the_event_had_not_been(world: LedgerWorld) -> None:
    """A void takes effect when its event did."""
    await world.follow(BOARD)
    position = await swim_then(world, "ann", 5)
    await world.swim("bob", 3)
    world.at("2026-03-05T12:00:00Z")
    await world.swim("ann", 1)
    world.at("2026-03-06T12:00:00Z")
    await take_back(world, position)
    assert await world.history(BOARD, "ann") == [("03-04", None, None), ("03-05", 2, 1)]
    assert await world.history(BOARD, "bob") == [("03-04", 1, 3), ("03-05", 1, 3)]


async def test_days_begin_with_the_first_event_that_is_left(world: LedgerWorld) -> None:
    """Where nobody was ranked before, there is no day; and none comes until somebody is."""
    await world.follow(BOARD)
    positions = [await swim_then(world, user_id, 5) for user_id in ("ann", "bob")]
    await world.advance("2026-03-06T12:00:00Z")
    await take_back(world, *positions)
    assert await world.history(BOARD, "ann") == []
    assert await world.ledger.runs(BOARD.number) == []
    await world.advance("2026-03-08T12:00:00Z")
    await world.swim("ann", 1)
    await world.advance("2026-03-10T12:00:00Z")
    assert await world.history(BOARD, "ann") == [("03-08", 1, 1), ("03-09", 1, 1)]


async def test_a_final_run_is_revised_where_the_board_revises(world: LedgerWorld) -> None:
    """All ranks, the last day and the days before are as if the event had not been."""
    await world.follow(REVISING)
    position = await swim_then(world, "ann", 5)
    await world.record(swim("ann", 1), swim("bob", 3))
    await world.advance(LATE)
    await take_back(world, position)
    assert await world.standings(REVISING) == [(1, "bob", 3 * MICROS), (2, "ann", MICROS)]
    assert await world.state(REVISING) == (True, 1, 0)
    assert await world.history(REVISING, "ann") == [(f"03-{date:02}", 2, 1) for date in range(4, 10)]


async def test_a_final_run_stays_where_the_board_ignores_late_events(world: LedgerWorld) -> None:
    """The void is counted among what was left out; the total knows it all the same."""
    await world.follow(IGNORING)
    position = await swim_then(world, "ann", 5)
    await world.advance(LATE)
    for _ in range(2):
        await take_back(world, position)
    assert await world.standings(IGNORING) == [(1, "ann", 5 * MICROS)]
    assert await world.state(IGNORING) == (True, 0, 1)
    assert [line.laps for line in await world.history(IGNORING, "ann")] == [5] * 6
    assert await world.total("ann") == 0


async def test_a_void_is_late_from_the_instant_on_at_which_the_run_is_final(world: LedgerWorld) -> None:
    """Up to the microsecond before, it is none."""
    await world.follow(IGNORING)
    positions = [await swim_then(world, "ann", laps) for laps in (5, 3, 1)]
    world.at("2026-03-09T11:59:59.999999Z")
    await take_back(world, positions[0])
    world.at(CLOSING)
    await take_back(world, positions[1])
    assert await world.standings(IGNORING) == [(1, "ann", 4 * MICROS)]
    assert await world.state(IGNORING) == (True, 0, 1)


async def test_the_void_of_what_had_no_effect_has_none(world: LedgerWorld) -> None:
    """A late event that was ignored is counted once, and stays counted."""
    await world.follow(IGNORING, REVISING)
    await world.swim("ann", 3)
    world.at(LATE)
    position = await swim_then(world, "ann", 5, at="2026-03-04T12:00:00Z")
    await take_back(world, position)
    assert await world.state(IGNORING) == (True, 0, 1)
    assert await world.standings(IGNORING) == await world.standings(REVISING) == [(1, "ann", 3 * MICROS)]
    assert (await world.state(REVISING)).ignored_late_events == 0


async def test_a_final_run_of_which_nothing_is_left_is_empty(world: LedgerWorld) -> None:
    """It was revised, and nobody is in it, nor on any of its days."""
    await world.follow(REVISING)
    position = await swim_then(world, "ann", 5)
    await world.advance(LATE)
    await take_back(world, position)
    assert await world.standings(REVISING) == []
    assert await world.place(REVISING, "ann") is None
    assert await world.history(REVISING, "ann") == []
    assert await world.ledger.runs(REVISING.number) == []
    assert await world.state(REVISING) == (True, 1, 0)


async def test_history_can_be_taken_back(world: LedgerWorld) -> None:
    """In days that are over, and in final runs by the rule of the board."""
    await world.follow(BOARD, REVISING, IGNORING)
    await world.swim("bob", 1)
    world.at(LATE)
    event = await world.swam("ann", 5, at="2026-03-05T12:00:00Z")
    await take_back(world, await position_of(world, event))
    assert await world.history(BOARD, "ann") == [(f"03-{date:02}", None, None) for date in range(4, 10)]
    assert await world.order(REVISING) == ["bob"]
    assert await world.order(IGNORING) == ["ann", "bob"]
    assert await world.state(IGNORING) == (True, 1, 1)


async def test_a_board_finished_by_hand_stays(world: LedgerWorld) -> None:
    """Nothing recorded after that counts there, not even a void; what came before does."""
    await world.follow(REVISING)
    first, second = [await swim_then(world, "ann", laps) for laps in (5, 3)]
    await take_back(world, first)
    frozen = await world.ledger.freeze(REVISING.number)
    world.redefine(replace(REVISING, finished_position=frozen))
    await take_back(world, second)
    assert await world.standings(REVISING) == [(1, "ann", 3 * MICROS)]
    await world.follow(replace(REVISING, finished_position=frozen))
    assert await world.standings(REVISING) == [(1, "ann", 3 * MICROS)]


# Streaks


async def test_a_streak_is_that_of_the_events_that_are_left(world: LedgerWorld) -> None:
    """Also on the boards that rank by it, and on their days."""
    await world.follow(STREAKS)
    positions = []
    for date in range(4, 8):
        world.at(f"2026-03-{date:02}T12:00:00Z")
        positions.append(await swim_then(world, "ann", 1))
    await world.swim("bob", 1)
    [outcome] = await take_back(world, positions[2])
    assert (outcome.streak.length, outcome.streak.longest) == (1, 2)
    assert await world.standings(STREAKS) == [(1, "ann", MICROS), (2, "bob", MICROS)]
    assert await world.history(STREAKS, "ann") == [("03-04", 1, 1), ("03-05", 1, 2), ("03-06", 1, 2)]
    await take_back(world, positions[3])
    assert await world.standings(STREAKS) == [(1, "bob", MICROS)]
    rows = await world.ledger.streak_rankings(DEFAULT_SCOPE, "longest", 10)
    assert [(row.user_id, row.length) for row in rows] == [("ann", 2), ("bob", 1)]


async def test_an_event_that_no_streak_needs_leaves_it_alone(world: LedgerWorld) -> None:
    """Another one of the same day makes the same streak."""
    await world.swim("ann", 1)
    await take_back(world, await swim_then(world, "ann", 1))
    streak = await world.ledger.streak(await world.user("ann"))
    assert (streak.length, streak.longest) == (1, 1)


# As if it had not been


async def tell(world: LedgerWorld, left_out: Collection[int] = ()) -> list[int]:
    """Twelve days of some swimmers who also upload late and import, without the events of some steps; the positions of
    those that are to be void, where they are told."""
    found = []
    for step in range(48):
        world.at(f"2026-03-{2 + step // 4:02}T{step % 4 * 6:02}:00:00Z")
        number = step * step % 7
        changes: dict[str, Any] = {"tz": ZONES[number]}
        if step % 4 == 0:
            changes["attributes"] = {"pool": ["east", "west", None][step % 3], "level": ["pro", None][step % 2]}
        entry = swim(USERS[number], step % 6 - 1, **changes)
        if step % 3 == 1:
            entry = replace(entry, occurred_at=world.clock() - step * 7 % 90 * 3_600_000_000, history=step % 4 == 1)
        if step in left_out:
            # The user is known all the same.
            await world.record(Entry(DEFAULT_SCOPE, entry.user_id, entry.changes))
            continue
        [outcome] = await world.record(entry)
        if step in VOID:
            found.append(await position_of(world, outcome))
    return found


# Of all kinds: at once, late, history; of nearly every user.
VOID = frozenset({1, 3, 4, 8, 13, 17, 20, 25, 28, 31, 40, 46})
# Where nothing is final, or everything is revised, a void is as if the event had not been.
AS_IF = [board for board in BOARDS if board.late_events == "revise" or board.run_unit is None] + [STREAKS]


async def told_of(world: LedgerWorld, boards: Sequence[Any]) -> dict[Any, Any]:
    await world.ledger.advance(world.clock())
    await world.ledger.settle()
    found = await everything(world.ledger, boards, USERS, [LAPS])
    found.pop("users")
    return found


TOLD_WITHOUT: dict[Any, Any] = {}


@pytest.fixture
async def told_without() -> dict[Any, Any]:
    """All that is told where the events have never been; worked out once."""
    if not TOLD_WITHOUT:
        clock = Clock()
        with memory_folder() as folder:
            other = LedgerWorld(EmbeddedHome(CALM, folder, clock), clock)
            await other.open()
            await other.follow(*AS_IF)
            await tell(other, VOID)
            TOLD_WITHOUT.update(await told_of(other, AS_IF))
            await other.ledger.close()
    return TOLD_WITHOUT


@pytest.mark.parametrize("how", ["at once", "restart", "crash", "followed later"])
async def test_void_events_have_never_been(world: LedgerWorld, told_without: dict[Any, Any], how: str) -> None:
    """Rankings, histories, final runs, totals and streaks equal those of a ledger that never heard of them."""
    if how != "followed later":
        await world.follow(*AS_IF)
    await take_back(world, *await tell(world))
    if how in ("restart", "crash"):
        await world.reopen(how)
    if how == "followed later":
        await world.follow(*AS_IF)
    found = await told_of(world, AS_IF)
    assert found.keys() == told_without.keys()
    for name, told in told_without.items():
        assert found[name] == told, name


async def test_taken_back_at_once_or_long_after_is_the_same(world: LedgerWorld) -> None:
    """On boards whose run is live, whatever they do with late events."""
    board = make_board(aggregation="max")
    await world.follow(board)
    position = await swim_then(world, "ann", 9)
    await world.record(swim("ann", 2), swim("bob", 2))
    await world.advance("2026-05-01T12:00:00Z")
    await take_back(world, position)
    await world.swim("cat", 1)
    position = await swim_then(world, "cat", 9)
    await take_back(world, position)
    assert await world.order(board) == ["ann", "bob", "cat"]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_void_survives_opening_again(world: LedgerWorld, how: str) -> None:
    """Also what it is about to revise."""
    await world.follow(BOARD, REVISING, IGNORING)
    position = await swim_then(world, "ann", 5)
    await world.swim("bob", 1)
    await world.advance(LATE)
    await world.record(void(DEFAULT_SCOPE, position))
    for _ in range(2):
        await world.reopen(how)
        await world.ledger.settle()
        assert await world.order(BOARD) == await world.order(REVISING) == ["bob"]
        assert await world.order(IGNORING) == ["ann", "bob"]
        assert (await world.state(IGNORING)).ignored_late_events == 1
        assert await world.total("ann") == 0


async def test_boards_that_are_followed_while_events_are_taken_back_are_right(world: LedgerWorld) -> None:
    """What happens during a build is counted behind it."""
    await world.follow(REVISING)
    positions = [await swim_then(world, user_id, 5) for user_id in ("ann", "bob", "cat")]

    async def some() -> None:
        for position in positions[:2]:
            await world.record(void(DEFAULT_SCOPE, position), swim("dee", 1))

    await asyncio.gather(world.follow(BOARD), some())
    assert await world.standings(BOARD) == [(1, "cat", 5 * MICROS), (2, "dee", 2 * MICROS)]


async def test_imported_and_taken_back_in_one_list(world: LedgerWorld) -> None:
    """The same as one after the other."""
    await world.follow(BOARD, REVISING)
    position = await swim_then(world, "ann", 5)
    await world.advance(LATE)
    await world.record(void(DEFAULT_SCOPE, position), swam("ann", 2, at="2026-03-05T12:00:00Z"), swim("ann", 1))
    await world.ledger.settle()
    assert await world.standings(REVISING) == [(1, "ann", 2 * MICROS)]
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]
    assert [line.day for line in await world.history(REVISING, "ann")] == [f"03-{date:02}" for date in range(5, 10)]
