"""Changes of rankings: the first at once, later ones together at the end of the window, a net change of nothing not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.webhook import CHANGED
from tests.webhook_world import WebhookWorld, minute, opened
from tests.world import POOL, day, make_board

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> AsyncIterator[WebhookWorld]:
    async with opened() as world:
        await world.hook(CHANGED)
        await world.define(make_board())
        yield world


async def tops(world: WebhookWorld) -> list[tuple[str, dict[str, int]]]:
    """When each message was told, and its rankings."""
    return [
        (minute(body), {row["userId"]: row["value"] for row in body["leaderboard"]["rankings"]})
        for body in await world.bodies(CHANGED)
    ]


async def test_the_first_change_goes_out_at_once_and_later_ones_at_the_end_of_the_window(world: WebhookWorld) -> None:
    """Merged into one, which opens the next window."""
    await world.swims("ann", 3)
    await world.go("04T12:05")
    await world.swims("ben", 4)
    await world.go("04T12:10")
    await world.swims("ann", 2)
    await world.go("04T12:20")
    await world.swims("cid", 1)
    await world.go("04T18:00")

    assert await tops(world) == [
        ("04T12:00", {"ann": 3}),
        ("04T12:15", {"ann": 5, "ben": 4}),
        ("04T12:30", {"ann": 5, "ben": 4, "cid": 1}),
    ]


async def test_after_a_window_without_change_the_next_change_goes_out_at_once(world: WebhookWorld) -> None:
    """Nothing holds it back."""
    await world.swims("ann", 3)
    await world.go("04T12:40")
    await world.swims("ben", 4)
    await world.go("04T18:00")

    assert [at for at, _ in await tops(world)] == ["04T12:00", "04T12:40"]


async def test_a_net_change_of_nothing_is_not_told(world: WebhookWorld) -> None:
    """All is again as it was last told."""
    await world.swims("ann", 3)
    await world.go("04T12:05")
    await world.swims("ann", 4)
    await world.swims("ann", -4)
    await world.go("04T18:00")

    assert await tops(world) == [("04T12:00", {"ann": 3})]


async def test_a_change_below_the_top_ten_is_told_too(world: WebhookWorld) -> None:
    """The ranking changed, although what is sent of it did not."""
    for number in range(11):
        await world.swim(f"swim-{number:02}", 100 - number)
    await world.tick()
    await world.go("04T13:00")
    await world.swims("swim-10", -1)

    [first, second] = await tops(world)
    assert first[1] == second[1]
    assert len(first[1]) == 10
    assert second[0] == "04T13:00"


async def test_each_group_has_windows_of_its_own(world: WebhookWorld) -> None:
    """A move between groups changes both."""
    await world.define(make_board(2, "by-pool", breakdown=(POOL,)))
    await world.swims("ann", 3, attributes={"pool": "east"})
    await world.go("04T12:05")
    await world.swims("ben", 4, attributes={"pool": "west"})
    await world.go("04T12:16")
    await world.change("ann", attributes={"pool": "west"})
    await world.go("04T18:00")
    found = [
        (
            minute(body),
            body["leaderboard"]["breakdownAttributeValues"][0]["value"],
            len(body["leaderboard"]["rankings"]),
        )
        for body in await world.bodies(CHANGED)
        if body["leaderboard"]["key"] == "by-pool"
    ]

    assert found == [("04T12:00", "east", 1), ("04T12:05", "west", 1), ("04T12:16", "east", 0), ("04T12:20", "west", 2)]


async def test_what_changed_before_somebody_wanted_to_hear_of_it_is_no_news(world: WebhookWorld) -> None:
    """Also not that it was there."""
    webhook = await world.hook(CHANGED, status="paused")
    await world.swims("ann", 3)
    await world.go("04T13:00")
    world.catalog.hook(replace(webhook, status="active"))
    await world.look()
    await world.go("04T14:00")
    await world.swims("ben", 1)

    assert await tops(world) == [("04T14:00", {"ann": 3, "ben": 1})]


async def test_an_event_right_after_the_definition_is_told(world: WebhookWorld) -> None:
    """Nobody has to wait for the first tick."""
    await world.define(make_board(2, "other"))
    await world.swims("ann", 3)

    assert await world.told() == ["04T12:00 changed weekly-laps", "04T12:00 changed other"]


async def test_the_last_changes_of_a_run_are_told_after_it_is_final(world: WebhookWorld) -> None:
    """At the end of their window; and nothing of it is kept after that."""
    await world.define(make_board(2, "short", start=day("2026-03-02"), end=day("2026-03-04")))
    await world.go("05T11:55")
    # Local time is still the 4th.
    await world.swims("ann", 4, tz="Etc/GMT+12")
    await world.swim("ann", 1)
    await world.go("05T12:30")
    short = [
        (minute(body), body["leaderboard"]["status"], body["leaderboard"]["rankings"][0]["value"])
        for body in await world.bodies()
        if body["leaderboard"]["key"] == "short"
    ]

    assert short == [("05T11:55", "active", 4), ("05T12:10", "finished", 5)]
    assert {note.board for note in (await world.notes()).rankings} == {1}


async def test_a_restart_goes_on_with_the_window(world: WebhookWorld) -> None:
    """Closed or killed, and whether or not the change was seen before."""
    await world.swims("ann", 3)
    await world.go("04T12:05")
    await world.restart()
    await world.swim("ben", 4)
    await world.crash("2026-03-04T12:12:00Z")
    await world.go("04T12:14")
    assert await tops(world) == [("04T12:00", {"ann": 3})]
    await world.go("04T18:00")

    assert await tops(world) == [("04T12:00", {"ann": 3}), ("04T12:15", {"ann": 3, "ben": 4})]


async def test_what_happened_right_before_a_crash_is_told_after_it(world: WebhookWorld) -> None:
    """Of a ranking that is new, too."""
    await world.swims("ann", 3)
    await world.define(make_board(2, "other"))
    await world.go("04T13:00")
    await world.swim("ben", 4)
    await world.crash("2026-03-04T13:01:00Z")
    await world.go("04T18:00")

    assert (await world.told())[1:] == ["04T13:01 changed weekly-laps", "04T13:01 changed other"]


async def test_a_board_that_is_finished_by_hand_changes_no_more(world: WebhookWorld) -> None:
    """Its end was told with everything."""
    await world.swims("ann", 3)
    await world.swims("ann", 3)
    board = replace(make_board(), asked_status="finished", end=day("2026-03-04"))
    world.ledger.redefine(board)
    position = await world.ledger.freeze(board.number)
    world.catalog.add(replace(board, finished_position=position))
    await world.go("04T18:00")

    assert await tops(world) == [("04T12:00", {"ann": 3})]


async def test_a_message_has_the_shape_of_the_contract(world: WebhookWorld) -> None:
    """The board, its status, its rankings, and which run it is."""
    await world.swims("ann", 3, name="Ann")
    [body] = await world.bodies()
    board: dict[str, Any] = body["leaderboard"]

    assert body.keys() == {"type", "timestamp", "leaderboard"}
    assert board.items() >= {
        "id": make_board().id, "name": "Weekly Laps", "key": "weekly-laps", "description": None, "status": "active",
        "rankBy": "metric", "metricKey": "laps-swum", "metricName": "Laps swum", "pointsSystemKey": None,
        "pointsSystemName": None, "breakdownAttribute": None, "start": "2026-03-02", "end": None, "startTime": None,
        "endTime": None, "maxParticipants": 1_000_000, "runUnit": None, "runInterval": None,
        "runStart": "2026-03-02", "runEnd": None,
    }.items()  # fmt: skip
    assert (board["breakdownAttributes"], board["userAttributes"]) == ([], [])
    assert board["rankings"] == [{"userId": "ann", "userName": "Ann", "rank": 1, "value": 3, "exactValue": 3}]
