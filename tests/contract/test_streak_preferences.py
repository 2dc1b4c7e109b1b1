"""Users who prefer their streaks counted otherwise, or not at all."""

from typing import Any

import pytest

from palmares.domain.streak import at
from palmares.domain.value import MICROS
from palmares.ledger.contract import Outcome
from tests.contract.test_streak_boards import lengths, streak_board, swim_on
from tests.ledger_world import LedgerWorld, Standing, placed
from tests.world import HOURS, LAPS, day

pytestmark = pytest.mark.anyio

BOARD = streak_board()
WEEK = streak_board(2, "week", end=day("2026-03-08"))
OFF = {"enabled": False}
ON = {"enabled": True}


async def prefer(world: LedgerWorld, user_id: str, time: str, **streak: Any) -> Outcome:
    """Change the preferences of a user at a time such as 03-04T12:00."""
    world.at(f"2026-{time}:00Z")
    return await world.change(user_id, preferences={"streak": streak})


async def length(world: LedgerWorld, user_id: str) -> int:
    """The streak as it shows now."""
    return at(await world.ledger.streak(await world.user(user_id)), world.clock()).length


async def test_who_wants_no_streak_has_none_and_leaves_the_boards(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    for user in "ab":
        await swim_on(world, user, "03-04T12:00")
    await prefer(world, "a", "03-04T13:00", **OFF)
    after = await swim_on(world, "a", "03-05T12:00")

    assert (await length(world, "a"), await lengths(world)) == (0, {"b": 1})
    assert (after.streak.length, after.streak_extended, placed(after)) == (0, False, {})
    assert await world.ledger.counted_periods(await world.user("a")) == []
    assert [row.user_id for row in await world.ledger.streak_rankings(1, "longest", 10)] == ["b"]


async def test_who_wants_a_streak_again_has_what_the_events_make(world: LedgerWorld) -> None:
    """Those too that came meanwhile."""
    await world.follow(BOARD)
    await swim_on(world, "b", "03-04T11:00")
    await swim_on(world, "a", "03-04T12:00")
    await prefer(world, "a", "03-04T13:00", **OFF)
    await swim_on(world, "a", "03-05T12:00", "03-06T12:00")
    await prefer(world, "a", "03-06T13:00", **ON)

    assert await length(world, "a") == 3
    assert await lengths(world) == {"a": 3}


async def test_it_lasts_over_restarts_and_rebuilding(world: LedgerWorld) -> None:
    for user in "abc":
        await swim_on(world, user, "03-04T12:00")
    await world.follow(BOARD)
    await prefer(world, "a", "03-04T13:00", **OFF)
    await prefer(world, "b", "03-04T13:00", **OFF)
    await swim_on(world, "a", "03-05T12:00")
    await swim_on(world, "b", "03-05T12:00")
    await prefer(world, "b", "03-05T13:00", **ON)
    await swim_on(world, "c", "03-05T14:00")
    told = []
    for how in ("crash", "restart"):
        await world.reopen(how)
        told.append((await length(world, "a"), await lengths(world)))
    await world.follow(BOARD)
    told.append((await length(world, "a"), await lengths(world)))

    assert told == [(0, {"b": 2, "c": 2})] * 3


async def test_a_final_run_keeps_who_had_a_streak_at_its_end(world: LedgerWorld) -> None:
    """Also when it is built again from the log; the ends of its days are what they were, too."""
    await world.follow(WEEK)
    for user in "abc":
        await swim_on(world, user, "03-07T12:00")
    await prefer(world, "a", "03-07T13:00", **OFF)
    await swim_on(world, "b", "03-08T12:00")
    await swim_on(world, "c", "03-08T12:00")
    await prefer(world, "a", "03-08T13:00", **ON)
    await world.advance("2026-03-09T12:00:00Z")
    await prefer(world, "b", "03-09T13:00", **OFF)
    final = [Standing(1, "b", 2 * MICROS), Standing(2, "c", 2 * MICROS), Standing(3, "a", 1 * MICROS)]
    told = []
    for how in ("", "crash", "build"):
        if how == "crash":
            await world.reopen(how)
        elif how == "build":
            await world.follow(WEEK)
        told.append((await world.standings(WEEK), await world.history(WEEK, "a"), await world.history(WEEK, "b")))

    assert told[0][0] == final
    assert [(line.day, line.rank) for line in told[0][1]] == [("03-07", None), ("03-08", 3), ("03-09", 3)]
    assert told[1:] == told[:1] * 2


async def test_settings_of_ones_own_count_where_users_may_have_them(world: LedgerWorld) -> None:
    """Days off, metrics with thresholds, and whether all of them are needed."""
    await world.set_streaks(customization_enabled=True, metrics=((LAPS.number, 5 * MICROS),))
    await world.follow(BOARD)
    await swim_on(world, "plain", "03-04T12:00")
    for user in ("low", "free"):
        await swim_on(world, user, "03-04T12:00")
    await prefer(world, "low", "03-04T13:00", metrics=((LAPS.number, MICROS),))
    await prefer(world, "free", "03-04T13:00", metrics=((LAPS.number, MICROS),), days_off=(4, 5))
    on_the_day = await lengths(world)
    await swim_on(world, "free", "03-07T12:00")

    assert on_the_day == {"low": 1, "free": 1}
    assert await lengths(world) == {"free": 2}


async def test_own_settings_hold_only_while_customisation_is_on(world: LedgerWorld) -> None:
    await world.set_streaks(customization_enabled=True, metrics=((HOURS.number, MICROS),))
    await world.follow(BOARD)
    for user in "ab":
        await swim_on(world, user, "03-04T12:00")
    await prefer(world, "a", "03-04T13:00", metrics=((LAPS.number, MICROS),))
    told = [await lengths(world)]
    for enabled in (False, True):
        await world.set_streaks(customization_enabled=enabled)
        told.append(await lengths(world))

    assert told == [{"a": 1}, {}, {"a": 1}]


async def test_preferences_of_notifications_leave_the_streak_alone(world: LedgerWorld) -> None:
    await world.follow(BOARD)
    await swim_on(world, "a", "03-04T12:00", "03-05T12:00")
    await world.change("a", preferences={"notifications": {"recap": ["push"]}})
    user = await world.user("a")

    assert user.preferences.notifications == {"recap": ("push",)}
    assert await lengths(world) == {"a": 2}
