"""The beginnings and ends of runs are told once, at their instants, or late rather than never."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.webhook import FINISHED, STARTED
from palmares.outbox.contract import Entry
from palmares.service import tell_runs
from tests.webhook_world import WebhookWorld, make_hook, opened
from tests.world import POOL, day, make_board

pytestmark = pytest.mark.anyio
WEEKLY: dict[str, Any] = {"run_unit": "day", "run_interval": 7}


@pytest.fixture
async def world() -> AsyncIterator[WebhookWorld]:
    async with opened() as world:
        await world.hook(STARTED, FINISHED)
        yield world


async def test_each_run_begins_and_ends_once_at_its_instants(world: WebhookWorld) -> None:
    """Ten hours into the day before it, thirteen into the day after it; the days of both overlap."""
    await world.define(make_board(start=day("2026-03-09"), **WEEKLY))
    await world.go("2026-03-24T00:00:00Z")

    assert await world.told() == [
        "08T10:00 started weekly-laps",
        "15T10:00 started weekly-laps",
        "16T13:00 finished weekly-laps",
        "22T10:00 started weekly-laps",
        "23T13:00 finished weekly-laps",
    ]


async def test_the_end_of_a_run_is_told_with_its_final_top_ten(world: WebhookWorld) -> None:
    """Everything that counted, also what came at the last moment; and which run it was."""
    await world.define(make_board(start=day("2026-03-02"), **WEEKLY))
    for number in range(11):
        await world.swim(f"swim-{number:02}", 100 - number, name=f"Swimmer {number}")
    await world.go("09T11:59")
    await world.swim("west", 1000, tz="Etc/GMT+12")
    await world.go("09T13:00")
    [body] = await world.bodies(FINISHED)
    board = body["leaderboard"]

    assert (body["type"], body["timestamp"]) == ("leaderboard.finished", "2026-03-09T13:00:00.000Z")
    assert (board["runStart"], board["runEnd"], board["status"]) == ("2026-03-02", "2026-03-08", "active")
    assert len(board["rankings"]) == 10
    assert board["rankings"][1] == {
        "userId": "swim-00", "userName": "Swimmer 0", "rank": 2, "value": 100, "exactValue": 100,
    }  # fmt: skip
    assert board["rankings"][0]["userId"] == "west"
    assert "breakdownAttributeValues" not in board


async def test_only_the_last_run_of_a_board_ends_with_the_board(world: WebhookWorld) -> None:
    """The status says which."""
    await world.define(make_board(start=day("2026-03-05"), end=day("2026-03-07"), run_unit="day", run_interval=1))
    await world.go("12T00:00")

    assert [body["leaderboard"]["status"] for body in await world.bodies(FINISHED)] == ["active", "active", "finished"]
    assert [body["leaderboard"]["status"] for body in await world.bodies(STARTED)] == ["active"] * 3


async def test_the_end_is_told_of_each_group_and_the_beginning_once(world: WebhookWorld) -> None:
    """The field that the contract adds names the group."""
    await world.define(make_board(start=day("2026-03-02"), end=day("2026-03-04"), breakdown=(POOL,)))
    await world.swim("ann", 3, attributes={"pool": "west"})
    await world.swim("ben", 2, attributes={"pool": "east"})
    await world.swim("cid", 1)
    await world.go("05T13:00")
    [started] = await world.bodies(STARTED)
    ends = [body["leaderboard"] for body in await world.bodies(FINISHED)]

    assert "breakdownAttributeValues" not in started["leaderboard"]
    assert [[group["value"] for group in end["breakdownAttributeValues"]] for end in ends] == [["east"], ["west"]]
    assert [[row["userId"] for row in end["rankings"]] for end in ends] == [["ben"], ["ann"]]


async def test_others_have_their_turn_while_the_end_of_many_groups_is_told(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each hundred: events must not wait for all of them."""
    pauses = 0

    async def count() -> None:
        nonlocal pauses
        pauses += 1

    monkeypatch.setattr(tell_runs, "pause", count)
    await world.define(make_board(start=day("2026-03-02"), end=day("2026-03-04"), breakdown=(POOL,)))
    for number in range(250):
        await world.swim(f"swim-{number}", 1, attributes={"pool": f"pool {number}"})
    await world.go("05T13:00")

    assert len(await world.bodies(FINISHED)) == 250
    assert pauses == 2


@pytest.mark.parametrize("breakdown", [(), (POOL,)])
async def test_the_end_of_a_run_that_nobody_joined_is_told_too(world: WebhookWorld, breakdown: tuple[Any, ...]) -> None:
    """With nobody in it."""
    await world.define(make_board(start=day("2026-03-02"), end=day("2026-03-04"), breakdown=breakdown))
    await world.go("05T13:00")
    [body] = await world.bodies(FINISHED)

    assert body["leaderboard"]["rankings"] == []


async def test_a_board_that_is_activated_begins_with_the_run_in_progress(world: WebhookWorld) -> None:
    """For everybody it begins only now. Of the runs that are over nothing is told."""
    await world.define(make_board(start=day("2026-02-02"), **WEEKLY))
    await world.tick()
    await world.go("16T13:00")

    assert await world.told() == [
        "04T12:00 started weekly-laps",
        "08T10:00 started weekly-laps",
        "09T13:00 finished weekly-laps",
        "15T10:00 started weekly-laps",
        "16T13:00 finished weekly-laps",
    ]


async def test_a_board_that_is_activated_again_does_not_begin_twice(world: WebhookWorld) -> None:
    """Nor is made up for what passed while it was inactive."""
    board = make_board(start=day("2026-03-02"), **WEEKLY)
    await world.define(board)
    await world.tick()
    await world.define(replace(board, asked_status="inactive"))
    await world.go("05T12:00")
    await world.define(board)
    await world.go("06T12:00")
    await world.define(replace(board, asked_status="inactive"))
    await world.go("10T12:00")
    await world.define(board)
    await world.go("16T13:00")

    assert await world.told() == [
        "04T12:00 started weekly-laps",
        "10T12:00 started weekly-laps",
        "15T10:00 started weekly-laps",
        "16T13:00 finished weekly-laps",
    ]


async def test_a_board_whose_runs_were_redefined_while_it_was_inactive_begins_anew(world: WebhookWorld) -> None:
    """Its runs are others."""
    await world.define(make_board(start=day("2026-03-04"), **WEEKLY))
    await world.tick()
    other = make_board(start=day("2026-03-01"), run_unit="month", run_interval=1)
    await world.define(replace(other, asked_status="inactive"))
    await world.tick()
    await world.define(other)
    await world.tick()

    assert [body["leaderboard"]["runStart"] for body in await world.bodies()] == ["2026-03-04", "2026-03-01"]


async def test_a_board_that_is_finished_by_hand_ends_at_once_and_never_again(world: WebhookWorld) -> None:
    """In its last run, which is that of today."""
    board = make_board(start=day("2026-03-02"), **WEEKLY)
    await world.define(board)
    await world.swim("ann", 3)
    await world.tick()
    finished = replace(board, asked_status="finished", end=day("2026-03-04"))
    world.ledger.redefine(finished)
    position = await world.ledger.freeze(board.number)
    world.catalog.add(replace(finished, finished_position=position))
    await world.tick()
    await world.go("16T13:00")

    assert await world.told() == ["04T12:00 started weekly-laps", "04T12:00 finished weekly-laps"]
    [body] = await world.bodies(FINISHED)
    assert body["leaderboard"]["status"] == "finished"
    assert [row["userId"] for row in body["leaderboard"]["rankings"]] == ["ann"]


async def test_a_board_that_was_created_finished_long_ago_is_no_news(world: WebhookWorld) -> None:
    """It is there to be looked at."""
    world.catalog.add(make_board(start=day("2026-01-01"), end=day("2026-01-31"), asked_status="finished"))
    await world.go("16T13:00")

    assert await world.told() == []


async def test_a_deleted_board_is_not_told_of(world: WebhookWorld) -> None:
    """Also when its end would have been due in an hour. No note of it is left."""
    board = make_board(start=day("2026-03-02"), end=day("2026-03-04"))
    await world.define(board)
    await world.go("05T12:00")
    world.ledger.forget(board.number)
    world.catalog.remove(board)
    await world.go("05T14:00")

    assert await world.told() == ["04T12:00 started weekly-laps"]
    assert (await world.notes()).boards == []


async def test_a_server_that_was_away_makes_up_for_everything_once_and_in_order(world: WebhookWorld) -> None:
    """Three days of daily runs, and a restart after that."""
    await world.define(make_board(start=day("2026-03-05"), run_unit="day", run_interval=1))
    await world.go("04T18:00")
    await world.restart("2026-03-07T18:00:00Z")
    await world.restart()
    await world.crash()

    assert [body["leaderboard"]["runStart"][8:] for body in await world.bodies(STARTED)] == ["05", "06", "07", "08"]
    assert [body["leaderboard"]["runStart"][8:] for body in await world.bodies(FINISHED)] == ["05", "06"]


async def test_boards_that_were_there_before_webhooks_have_begun_before(world: WebhookWorld) -> None:
    """A server that is brought up to date must not tell everybody of last month."""
    board = make_board(start=day("2026-03-02"), **WEEKLY)
    await world.define(board)
    await world.shut()
    world._life += 1
    await world.open()
    await world.go("09T13:00")

    assert await world.told() == ["08T10:00 started weekly-laps", "09T13:00 finished weekly-laps"]


async def test_a_webhook_hears_only_what_it_wants_from_when_it_wants_it(world: WebhookWorld) -> None:
    """What passed before stays untold."""
    webhook = await world.hook(FINISHED)
    await world.define(make_board(start=day("2026-03-05"), run_unit="day", run_interval=1))
    await world.go("06T13:00")
    world.catalog.hook(replace(webhook, status="paused"))
    await world.go("07T13:00")
    world.catalog.hook(webhook)
    await world.go("08T13:00")

    assert await world.told() == ["06T13:00 finished weekly-laps", "08T13:00 finished weekly-laps"]


async def test_a_webhook_made_right_after_boards_began_or_were_finished_hears_nothing_of_that() -> None:
    """Not even when the server has had no time between; who was there before hears of it once."""
    async with opened() as world:
        early = await world.hook(STARTED, FINISHED)
        going, ending = (
            make_board(number, key=f"board-{number}", start=day("2026-03-02"), **WEEKLY) for number in (1, 2)
        )
        await world.define(going, ending)
        finished = replace(ending, asked_status="finished", end=day("2026-03-04"))
        world.ledger.redefine(finished)
        world.catalog.add(replace(finished, finished_position=await world.ledger.freeze(ending.number)))
        await world.look()
        late = make_hook(2, STARTED, FINISHED)
        world.catalog.hook(late)
        await world.look()
        await world.go("08T10:00")

        assert await world.heard(early) == [
            "04T12:00 started board-1",
            "04T12:00 started board-2",
            "04T12:00 finished board-2",
            "08T10:00 started board-1",
        ]
        assert await world.heard(late) == ["08T10:00 started board-1"]


async def test_the_end_of_a_run_waits_for_the_ledger_when_its_board_is_changed(world: WebhookWorld) -> None:
    """A board that gets another name while the server catches up tells its end in order, when it is final."""
    board = make_board(start=day("2026-03-02"), end=day("2026-03-04"))
    await world.define(board)
    world.set("2026-03-05T14:00:00Z")
    renamed = replace(board, name="Laps of the week")
    world.catalog.add(renamed)
    world.ledger.redefine(renamed)
    await world.look()
    assert await world.told() == ["04T12:00 started weekly-laps"]
    await world.restart()

    assert [body["type"] for body in await world.bodies()] == [STARTED, FINISHED]


async def test_a_changed_end_is_told_at_its_new_instant(world: WebhookWorld) -> None:
    """Of an open board, too."""
    board = make_board(start=day("2026-03-02"))
    await world.define(board)
    await world.tick()
    changed = replace(board, end=day("2026-03-06"))
    world.catalog.add(changed)
    world.ledger.redefine(changed)
    await world.go("07T13:00")

    assert await world.told() == ["04T12:00 started weekly-laps", "07T13:00 finished weekly-laps"]


async def test_what_cannot_be_written_is_told_when_it_can(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not twice."""
    await world.define(make_board(start=day("2026-03-02"), end=day("2026-03-04")))
    await world.tick()
    write = world.outbox.write

    async def fail(entry: Entry) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(world.outbox, "write", fail)
    with pytest.raises(Unavailable):
        await world.go("05T13:00")
    monkeypatch.setattr(world.outbox, "write", write)
    await world.go("05T14:00")

    assert await world.told() == ["04T12:00 started weekly-laps", "05T13:00 finished weekly-laps"]
