"""Streaks as a ledger keeps them: after events in and out of order, over travels, restarts and changes of settings.

Which periods count is told in `tests/unit/domain/test_streak.py`; here it is that the ledger remembers.
"""

import pytest
from msgspec.structs import replace

from palmares.domain.errors import NotAllowed
from palmares.domain.streak import at
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.ledger_world import LedgerWorld, swim
from tests.world import HOURS, LAPS, day

pytestmark = pytest.mark.anyio


async def swim_on(world: LedgerWorld, user_id: str, *days: str) -> None:
    """One lap at noon UTC of each day such as 03-04, as the days come."""
    for text in days:
        world.at(f"2026-{text}T12:00:00Z")
        await world.swim(user_id, 1)


async def length(world: LedgerWorld, user_id: str) -> int:
    """How long the streak is now."""
    return at(await world.ledger.streak(await world.user(user_id)), world.clock()).length


async def test_an_outcome_tells_the_streak_and_whether_the_event_extended_it(world: LedgerWorld) -> None:
    await swim_on(world, "a", "04-02", "04-03")
    world.at("2026-04-04T12:00:00Z")
    first, second = await world.swim("a", 1), await world.swim("a", 1)

    assert (first.streak.length, first.streak_extended) == (3, True)
    assert (second.streak, second.streak_extended) == (first.streak, False)
    assert first.streak == await world.ledger.streak(await world.user("a"))


async def test_events_of_one_request_extend_a_streak_once(world: LedgerWorld) -> None:
    first, second, other = await world.record(swim("a", 1), swim("a", 1), swim("b", 1))

    assert [one.streak_extended for one in (first, second, other)] == [True, False, True]
    assert (second.streak.length, other.streak.length) == (1, 1)


async def test_a_replayed_event_tells_the_present_streak(world: LedgerWorld) -> None:
    await world.swim("a", 1, key="k")
    replayed = await world.swim("a", 1, key="k")

    assert (replayed.replayed, replayed.streak.length, replayed.streak_extended) == (True, 1, False)


async def test_a_refused_request_leaves_the_streak_alone(world: LedgerWorld) -> None:
    await swim_on(world, "a", "04-03")
    before = await world.ledger.streak(await world.user("a"))
    world.at("2026-04-04T12:00:00Z")
    with pytest.raises(NotAllowed):
        await world.record(swim("a", 1), Entry(1, "a", {"subscribe_to_emails": True}))

    assert await world.ledger.streak(await world.user("a")) == before


async def test_the_day_is_that_of_the_users_zone(world: LedgerWorld) -> None:
    """In Tokyo both are on 4 April, in Honolulu on two days in a row."""
    world.at("2026-04-04T09:00:00Z")
    for user, tz in (("east", "Asia/Tokyo"), ("west", "Pacific/Honolulu")):
        await world.swim(user, 1, tz=tz)
    world.at("2026-04-04T11:00:00Z")
    for user in ("east", "west"):
        await world.swim(user, 1)

    assert [await length(world, user) for user in ("east", "west")] == [1, 2]


async def test_who_travels_has_until_midnight_there(world: LedgerWorld) -> None:
    """Also without an event."""
    world.at("2026-04-04T12:00:00Z")
    await world.swim("a", 1, tz="Asia/Tokyo")
    world.at("2026-04-05T15:30:00Z")
    lost = await length(world, "a")
    await world.change("a", tz="America/New_York")

    assert (lost, await length(world, "a")) == (0, 1)


@pytest.mark.parametrize(
    "order", [("04-01", "04-02", "04-03"), ("04-03", "04-01", "04-02"), ("04-02", "04-03", "04-01")]
)
async def test_events_out_of_order_make_the_same_streak(world: LedgerWorld, order: tuple[str, ...]) -> None:
    world.at("2026-04-04T12:00:00Z")
    for text in order:
        await world.swim("a", 1, f"2026-{text}T12:00:00Z")
    streak = await world.ledger.streak(await world.user("a"))

    assert (streak.length, streak.started) == (3, day("2026-04-01"))
    assert streak.extended_at == swim("a", 1, "2026-04-03T12:00:00Z").occurred_at


async def test_one_request_may_hold_events_out_of_order(world: LedgerWorld) -> None:
    """Each sees those before it."""
    at_noon = [swim("a", 1, f"2026-04-0{number}T12:00:00Z") for number in (4, 2, 3)]
    told = await world.record(*at_noon)

    assert [one.streak.length for one in told] == [1, 1, 3]
    assert [one.streak_extended for one in told] == [True, False, True]


async def test_periods_that_counted_are_told_of_all_streaks(world: LedgerWorld) -> None:
    await swim_on(world, "a", "04-01", "04-02", "04-05")
    found = await world.ledger.counted_periods(await world.user("a"))

    assert found == [(day("2026-04-01"), 1), (day("2026-04-02"), 2), (day("2026-04-05"), 1)]


async def test_only_the_metrics_of_the_settings_count(world: LedgerWorld) -> None:
    await world.set_streaks(metrics=((HOURS.number, 2 * MICROS),))
    await world.swim("a", 5)
    [half] = await world.record(swim("a", 1, metric=HOURS))
    [whole] = await world.record(swim("a", 1, metric=HOURS))

    assert (half.streak.length, half.streak_extended) == (0, False)
    assert (whole.streak.length, whole.streak_extended) == (1, True)


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_streak_is_there_after_a_start(world: LedgerWorld, how: str) -> None:
    """Half of a threshold too, and it goes on."""
    await world.set_streaks(metrics=((LAPS.number, 2 * MICROS),))
    for text in ("04-03", "04-03", "04-04"):
        await swim_on(world, "a", text)
    before = await world.ledger.streak(await world.user("a"))
    await world.reopen(how)

    assert await world.ledger.streak(await world.user("a")) == before
    assert (await world.swim("a", 1)).streak.length == 2


async def test_a_change_of_what_counts_makes_all_streaks_anew(world: LedgerWorld) -> None:
    """Of those who do something later and of those who do not."""
    await swim_on(world, "a", "04-10", "04-17", "04-22")
    await swim_on(world, "b", "04-22")
    before = [await length(world, user) for user in "ab"]
    await world.set_streaks(frequency="weekly")
    after = [await length(world, user) for user in "ab"]
    world.at("2026-04-27T12:00:00Z")

    assert (before, after) == ([1, 1], [3, 1])
    assert (await world.swim("a", 1)).streak.length == 4


async def test_that_users_may_have_their_own_settings_changes_no_streak_of_who_has_none(world: LedgerWorld) -> None:
    """They are worked out again all the same."""
    await swim_on(world, "a", "04-03", "04-04")
    before = await world.ledger.streak(await world.user("a"))
    await world.set_streaks(customization_enabled=True)

    assert await world.ledger.streak(await world.user("a")) == replace(before, version=1)


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_settings_that_changed_while_the_ledger_was_away_hold_from_the_start(
    world: LedgerWorld, how: str
) -> None:
    await swim_on(world, "a", "04-02", "04-03", "04-04")
    await swim_on(world, "b", "04-04")
    await world.set_streaks(metrics=((HOURS.number, MICROS),))
    none = [await length(world, user) for user in "ab"]
    world.note_streaks(metrics=())
    await world.reopen(how)

    assert none == [0, 0]
    assert [await length(world, user) for user in "ab"] == [3, 1]


async def test_the_longest_streaks_go_on_or_are_of_all_times(world: LedgerWorld) -> None:
    await swim_on(world, "old", "03-05", "03-06", "03-07", "03-08")
    await world.change("b", name="Bo")
    for text in ("04-03", "04-04"):
        for user in "cab":
            await swim_on(world, user, text)
    await world.swim("d", 1, tz="Asia/Tokyo")
    world.at("2026-04-05T16:00:00Z")
    await world.ledger.advance(world.clock())

    # Reached at the same time, so the ids decide; in Tokyo the day is over.
    assert await world.ledger.streak_rankings(1, "active", 10) == [("a", None, 2), ("b", "Bo", 2), ("c", None, 2)]
    assert [row[0] for row in await world.ledger.streak_rankings(1, "longest", 2)] == ["old", "a"]
    assert [row[0] for row in await world.ledger.streak_rankings(1, "longest", 9)] == ["old", "a", "b", "c", "d"]
    assert await world.ledger.streak_rankings(2, "longest", 9) == []


async def test_the_longest_streaks_are_by_the_settings_of_now(world: LedgerWorld) -> None:
    await swim_on(world, "a", "04-10", "04-17", "04-22")
    await swim_on(world, "b", "04-22", "04-23")
    await world.set_streaks(frequency="weekly")

    assert await world.ledger.streak_rankings(1, "active", 10) == [("a", None, 3), ("b", None, 1)]
