"""Boards that rank by streak: who is on them, and who leaves them without an event."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.value import MICROS
from palmares.ledger.contract import Outcome, void
from tests.contract.story import USERS, all_that_is_told, tell_a_story
from tests.ledger_world import LedgerWorld, placed, rankings_of, run_on, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio


def streak_board(number: int = 1, key: str = "streaks", **fields: Any) -> Board:
    return make_board(number, key, **{"rank_by": "streak", "metric": None} | fields)


BOARD = streak_board()
BOARDS = [
    BOARD,
    streak_board(2, "week", end=day("2026-03-08")),
    streak_board(3, "pools", breakdown=(POOL,), ties="last"),
    streak_board(4, "pros", filters=((LEVEL, "pro"),), order="asc", numbering="competition", end=day("2026-03-10")),
    streak_board(5, "pools-revised", breakdown=(POOL,), late_events="revise", end=day("2026-03-06")),
    streak_board(6, "capped", max_participants=2, late_events="revise", end=day("2026-03-12"), numbering="dense"),
]


async def swim_on(world: LedgerWorld, user_id: str, *times: str, **changes: Any) -> Outcome:
    """One lap at each time such as 03-04T12:00, as the times come; the last outcome."""
    for text in times:
        world.at(f"2026-{text}:00Z")
        outcome = await world.swim(user_id, 1, **changes)
    return outcome


async def lengths(world: LedgerWorld, board: Board = BOARD, *groups: tuple[str, ...]) -> dict[str, int]:
    """The streaks on a board, best first."""
    return {user_id: value // MICROS for _, user_id, value in await world.standings(board, *groups)}


async def test_the_event_that_extends_a_streak_ranks_its_user(world: LedgerWorld) -> None:
    """Only that one tells of the board."""
    await world.follow(BOARD)
    first = await swim_on(world, "a", "03-04T12:00")
    again = await swim_on(world, "a", "03-04T13:00")
    await swim_on(world, "b", "03-04T14:00")
    next_day = await swim_on(world, "b", "03-05T12:00")

    assert placed(first) == {"streaks": (None, 1)}
    assert placed(again) == {}
    assert placed(next_day) == {"streaks": (2, 1)}
    assert list((await lengths(world)).items()) == [("b", 2), ("a", 1)]


async def test_equal_streaks_stand_in_the_order_in_which_they_were_reached(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    for user in "cab":
        await swim_on(world, user, f"03-04T1{'cab'.index(user) + 2}:00")

    assert await world.order(BOARD) == ["c", "a", "b"]


async def test_a_streak_is_brought_along_but_not_without_an_extension_in_the_run(world: LedgerWorld) -> None:
    board = streak_board(start=day("2026-03-06"))
    await world.follow(board)
    await swim_on(world, "a", "03-04T12:00", "03-05T12:00")
    await swim_on(world, "b", "03-05T13:00")
    extended = await swim_on(world, "a", "03-06T12:00")

    assert placed(extended) == {"streaks": (None, 1)}
    assert await world.standings(board, on="2026-03-06") == [(1, "a", 3 * MICROS)]


async def test_who_breaks_a_streak_leaves_at_local_midnight_without_an_event(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    for user, tz in (("utc", None), ("tokyo", "Asia/Tokyo"), ("york", "America/New_York"), ("nepal", "Asia/Kathmandu")):
        await swim_on(world, user, "03-04T12:00", tz=tz)
    left = []
    for text in ("15:00", "18:15"):
        await world.advance(f"2026-03-05T{text}:00Z")
        left.append(set(await lengths(world)))
    await world.advance("2026-03-05T23:59:59Z")
    left.append(set(await lengths(world)))
    for text in ("00:00:00", "04:59:59", "05:00:00"):
        await world.advance(f"2026-03-06T{text}Z")
        left.append(set(await lengths(world)))

    assert left == [
        {"utc", "york", "nepal"}, {"utc", "york"}, {"utc", "york"}, {"york"}, {"york"}, set(),
    ]  # fmt: skip


async def test_a_streak_that_goes_on_stays_past_midnight(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00", "03-05T23:59")
    await world.advance("2026-03-06T23:59:59Z")

    assert await lengths(world) == {"a": 2}


async def test_who_broke_a_streak_comes_back_with_the_next_as_if_new(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00", "03-05T12:00")
    await swim_on(world, "b", "03-06T12:00", "03-07T12:00")
    back = await swim_on(world, "a", "03-07T13:00")

    assert placed(back) == {"streaks": (None, 2)}
    assert await lengths(world) == {"b": 2, "a": 1}


async def test_an_event_at_the_midnight_of_a_break_comes_behind_it(world: LedgerWorld) -> None:
    """Nobody has to advance the time: recording does."""
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00")
    other = await swim_on(world, "b", "03-06T00:00")

    assert placed(other) == {"streaks": (None, 1)}
    assert await lengths(world) == {"b": 1}


async def test_at_the_end_of_the_day_the_streak_was_still_alive(world: LedgerWorld) -> None:
    """In UTC both are the same instant."""
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00")
    await swim_on(world, "b", "03-05T12:00")
    await world.advance("2026-03-08T00:00:00Z")
    run = run_on(BOARD, "2026-03-04")
    days = [
        [
            (one.rank, one.value and one.value // MICROS)
            for one in await world.ledger.history(
                BOARD.number, run, await world.user(user), day("2026-03-04"), day("2026-03-07")
            )
        ]
        for user in "ab"
    ]

    assert days == [
        [(1, 1), (1, 1), (None, None), (None, None)],
        [(None, None), (2, 1), (1, 1), (None, None)],
    ]


async def test_another_zone_moves_the_break(world: LedgerWorld) -> None:
    """East it comes sooner, maybe at once; west later, and may bring a streak back."""
    await world.follow(BOARD)
    for user in ("east", "west", "stay"):
        await swim_on(world, user, "03-04T12:00")
    await world.advance("2026-03-05T16:00:00Z")
    await world.change("east", tz="Asia/Tokyo")
    gone_east = await lengths(world)
    await world.advance("2026-03-06T01:00:00Z")
    gone = await lengths(world)
    back = await world.change("west", tz="America/New_York")
    back_west = await lengths(world)
    await world.advance("2026-03-06T05:00:00Z")

    assert gone_east == {"stay": 1, "west": 1}
    assert (gone, placed(back)) == ({}, {})
    assert back_west == {"west": 1}
    assert await lengths(world) == {}


async def test_groups_and_filters_are_those_of_other_boards(world: LedgerWorld) -> None:
    """A streak goes along from group to group, and breaks also where nobody sees it."""
    pools, pros = streak_board(breakdown=(POOL,)), streak_board(2, "pros", filters=((LEVEL, "pro"),))
    await world.follow(pools, pros)
    await swim_on(world, "a", "03-04T12:00", attributes={"pool": "east"})
    await swim_on(world, "b", "03-04T12:30", attributes={"pool": "east", "level": "pro"})
    moved = await swim_on(world, "a", "03-05T12:00", attributes={"pool": "west"})
    await world.change("a", attributes={"level": "pro"})
    seen = await lengths(world, pools, ("west",)), await lengths(world, pools, ("east",)), await lengths(world, pros)
    await world.change("b", attributes={"level": None})
    await world.advance("2026-03-06T00:00:00Z")
    await world.change("b", attributes={"level": "pro"})

    assert placed(moved) == {"streaks": (None, 1)}
    assert seen == ({"a": 2}, {"b": 1}, {"a": 2, "b": 1})
    assert await lengths(world, pros) == {"a": 2}


async def test_an_event_of_the_past_mends_a_streak(world: LedgerWorld) -> None:
    """Whoever left comes back, with the time of the last extension."""
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00")
    await swim_on(world, "b", "03-06T11:00")
    await swim_on(world, "a", "03-06T12:00")
    mended = await world.swim("a", 1, "2026-03-05T12:00:00Z")

    assert placed(mended) == {"streaks": (2, 1)}
    assert await lengths(world) == {"a": 3, "b": 1}


async def test_only_the_metrics_of_the_settings_count(world: LedgerWorld) -> None:
    await world.set_streaks(metrics=((HOURS.number, 2 * MICROS),))
    await world.follow(BOARD)
    await world.swim("a", 5)
    half, whole = await world.record(swim("a", 1, metric=HOURS), swim("a", 1, metric=HOURS))

    assert (placed(half), placed(whole)) == ({}, {"streaks": (None, 1)})


async def test_the_last_day_is_not_broken_by_the_end_of_the_run(world: LedgerWorld) -> None:
    """Who acted the day before could have acted still; who did not, had left. What comes later changes nothing."""
    board = streak_board(end=day("2026-03-06"))
    await world.follow(board)
    await swim_on(world, "gone", "03-04T12:00")
    await swim_on(world, "kept", "03-04T13:00", "03-05T12:00")
    await swim_on(world, "last", "03-06T12:00")
    after = await swim_on(world, "last", "03-07T01:00")
    await world.advance("2026-03-07T11:00:00Z")
    live = await lengths(world, board)
    await world.advance("2026-03-07T12:00:00Z")
    await swim_on(world, "kept", "03-08T12:00")

    assert after.streak.length == 2
    assert placed(after) == {}
    assert live == await lengths(world, board) == {"kept": 2, "last": 1}
    assert (await world.ledger.run_state(board.number, run_on(board, "2026-03-04"))).final


@pytest.mark.parametrize("late_events", ["ignore", "revise"])
async def test_late_events_are_ignored_or_revise_a_final_run(world: LedgerWorld, late_events: str) -> None:
    board = streak_board(end=day("2026-03-06"), late_events=late_events)
    await world.follow(board)
    await swim_on(world, "a", "03-04T12:00", "03-06T12:00")
    world.at("2026-03-08T12:00:00Z")
    await world.swim("a", 1, "2026-03-05T12:00:00Z")
    await world.swim("a", 1, "2026-03-07T12:00:00Z")
    await world.ledger.settle()
    state = await world.ledger.run_state(board.number, run_on(board, "2026-03-04"))

    assert await lengths(world, board) == {"a": 1 if late_events == "ignore" else 3}
    assert (state.revision, state.ignored_late_events) == ((0, 1) if late_events == "ignore" else (1, 0))


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_who_breaks_a_streak_while_the_ledger_is_away_has_left_when_it_is_back(
    world: LedgerWorld, how: str
) -> None:
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00", tz="Asia/Tokyo")
    await swim_on(world, "b", "03-05T12:00")
    world.at("2026-03-05T18:00:00Z")
    await world.reopen(how)
    first = await lengths(world)
    await world.advance("2026-03-07T00:00:00Z")

    assert (first, await lengths(world)) == ({"b": 1}, {})


async def test_a_board_that_is_finished_by_hand_keeps_its_streaks(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00")
    await world.ledger.freeze(BOARD.number)
    await swim_on(world, "a", "03-05T12:00")
    await world.advance("2026-03-09T00:00:00Z")

    assert await lengths(world) == {"a": 1}


async def test_a_change_of_what_counts_makes_the_boards_anew(world: LedgerWorld) -> None:
    """But a run that is final stays as it is."""
    final = streak_board(2, "final", end=day("2026-03-05"))
    await world.follow(BOARD, final)
    await swim_on(world, "a", "03-04T12:00", "03-05T12:00")
    await swim_on(world, "b", "03-04T13:00", "03-10T12:00")
    before = await lengths(world)
    await world.set_streaks(frequency="weekly")
    after = await lengths(world)
    await world.advance("2026-03-15T00:00:00Z")

    assert (before, after) == ({"b": 1}, {"b": 2, "a": 1})
    assert await lengths(world) == {"b": 2}
    assert await lengths(world, final) == {"a": 2, "b": 1}


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_boards_follow_settings_that_changed_while_the_ledger_was_away(world: LedgerWorld, how: str) -> None:
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00", "03-05T12:00")
    world.note_streaks(frequency="weekly")
    await world.reopen(how)

    assert await lengths(world) == {"a": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"frequency": "weekly"},
        {"days_off": (0, 5)},
        {"metrics": ((LAPS.number, 3 * MICROS),)},
    ],
)
async def test_a_board_followed_late_is_a_board_that_was_there_from_the_start(
    world: LedgerWorld, settings: dict[str, Any]
) -> None:
    """Final runs and the days of histories too."""
    await world.set_streaks(**settings)
    await world.follow(*BOARDS)
    await tell_a_story(world)
    early = await all_that_is_told(world, BOARDS)
    ranked = await rankings_of(world.ledger, BOARDS)
    for board in BOARDS:
        world.forget(board)
    await world.follow(*BOARDS)

    assert ranked
    assert await all_that_is_told(world, BOARDS) == early


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_story_goes_on_after_a_start(world: LedgerWorld, how: str) -> None:
    """With the same end as without one."""
    await world.follow(*BOARDS)
    await tell_a_story(world, 0, 30)
    before = await all_that_is_told(world, BOARDS)
    await world.reopen(how)
    assert await all_that_is_told(world, BOARDS) == before
    await tell_a_story(world, 30, 60)
    after = await all_that_is_told(world, BOARDS)
    await world.reopen(how)

    assert await all_that_is_told(world, BOARDS) == after
    assert len(USERS) >= len(await lengths(world)) > 1


async def test_attributes_of_events_are_no_news_of_their_users_to_a_board_that_comes_late(world: LedgerWorld) -> None:
    """They stand in the log where users have their profiles."""
    for text in ("2026-03-04T12:00:00Z", "2026-03-05T12:00:00Z"):
        world.at(text)
        await world.record(replace(swim("a", 1, tz="Asia/Tokyo"), attributes={"stroke": "free"}))
    await world.follow(BOARDS[0], BOARDS[2])

    assert await lengths(world) == {"a": 2}


@pytest.mark.parametrize("how", ["followed late", "made by new settings", "followed first"])
async def test_what_happens_in_another_scope_is_of_no_interest(world: LedgerWorld, how: str) -> None:
    """Whenever the board is made, with events and voids there at their time and late."""
    foreign_laps = replace(LAPS, number=77, scope=2)
    if how != "followed late":
        await world.follow(BOARD)
    for user_id, at in (("foreign", None), ("foreign", "2026-03-02T12:00:00Z"), ("stranger", None)):
        await world.record(replace(swim(user_id, 1, at, metric=foreign_laps), scope=2))
    [first, *_] = [line.position for line in await world.ledger.records(0, 100) if line.kind == "event"]
    await world.record(void(2, first))
    await swim_on(world, "ann", "03-04T13:00")
    if how == "followed late":
        await world.follow(BOARD)
    if how == "made by new settings":
        await world.set_streaks(metrics=((LAPS.number, MICROS),))
        await world.set_streaks(metrics=())
    assert await world.order(BOARD) == ["ann"]
    await world.reopen("crash")
    assert await world.order(BOARD) == ["ann"]
