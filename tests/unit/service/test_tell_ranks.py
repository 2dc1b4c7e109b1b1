"""Changes of rank: whoever moved hears of it, for whatever reason, once in a window, with the place last told."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.local_time import HOUR
from palmares.domain.webhook import RANK_CHANGED
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.outbox.contract import Entry
from palmares.service import tell_ranks
from tests.webhook_world import WebhookWorld, minute, opened
from tests.world import POOL, day, make_board

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> AsyncIterator[WebhookWorld]:
    async with opened() as world:
        await world.hook(RANK_CHANGED)
        await world.define(make_board())
        yield world


async def test_everybody_who_moved_is_told_of_also_by_anothers_event(world: WebhookWorld) -> None:
    """With rank and value before and after."""
    for user, laps in (("ann", 30), ("ben", 20), ("cid", 10)):
        await world.swim(user, laps)
    await world.tick()
    await world.go("04T13:00")
    await world.swims("cid", 15)

    assert (await world.moves())[3:] == [
        "04T13:00 ben 2 (20) → 3 (20)",
        "04T13:00 cid 3 (10) → 2 (25)",
    ]


async def test_who_comes_had_no_rank_before(world: WebhookWorld) -> None:
    """Nor a value."""
    await world.swims("ann", 3)

    assert await world.moves() == ["04T12:00 ann – → 1 (3)"]


async def test_later_changes_wait_for_the_end_of_the_users_window_and_count_from_the_place_last_told(
    world: WebhookWorld,
) -> None:
    """Each user has a window of their own."""
    await world.swims("ann", 30)
    await world.go("04T12:04")
    await world.swims("ben", 40)
    await world.go("04T12:08")
    await world.swims("ann", 20)
    await world.go("04T12:10")
    await world.swims("ann", 1)
    await world.go("04T18:00")

    assert await world.moves() == [
        "04T12:00 ann – → 1 (30)",
        "04T12:04 ben – → 1 (40)",
        "04T12:19 ben 1 (40) → 2 (40)",
    ]


async def test_what_is_merged_is_told_at_the_end_of_the_window(world: WebhookWorld) -> None:
    """And opens the next."""
    await world.swims("ann", 30)
    await world.swims("ben", 20)
    await world.go("04T12:05")
    await world.swims("ben", 15)
    await world.go("04T12:16")
    await world.swims("ann", 10)
    await world.go("04T18:00")

    assert (await world.moves())[2:] == [
        "04T12:15 ann 1 (30) → 2 (30)",
        "04T12:15 ben 2 (20) → 1 (35)",
        "04T12:30 ann 2 (30) → 1 (40)",
        "04T12:30 ben 1 (35) → 2 (35)",
    ]


async def test_a_net_change_of_nothing_is_not_told(world: WebhookWorld) -> None:
    """There and back again."""
    await world.swims("ann", 30)
    await world.swims("ben", 20)
    await world.go("04T12:05")
    await world.swims("ben", 15)
    await world.swims("ben", -15)
    await world.go("04T18:00")

    assert len(await world.moves()) == 2


async def test_a_value_that_changes_without_the_rank_is_not_told(world: WebhookWorld) -> None:
    """Neither at once nor at the end of a window."""
    await world.swims("ann", 30)
    await world.swims("ann", 5)
    await world.go("04T13:00")
    await world.swims("ann", 5)
    await world.go("04T18:00")

    assert await world.moves() == ["04T12:00 ann – → 1 (30)"]


async def test_after_a_window_the_place_before_the_change_counts(world: WebhookWorld) -> None:
    """The value grew meanwhile, which nobody was told."""
    await world.swims("ann", 30)
    await world.go("04T13:00")
    await world.swims("ann", 5)
    await world.swims("ben", 50)

    assert (await world.moves())[1:] == ["04T13:00 ann 1 (35) → 2 (35)", "04T13:00 ben – → 1 (50)"]


async def test_who_leaves_is_told_of_with_no_rank(world: WebhookWorld) -> None:
    """Out of the filter, or pushed out of the cap."""
    filtered = make_board(2, "east-only", filters=((POOL, "east"),))
    capped = make_board(3, "best-two", max_participants=2)
    await world.define(filtered, capped)
    await world.swim("ann", 3, attributes={"pool": "east"})
    await world.swim("ben", 2)
    await world.tick()
    await world.go("04T13:00")
    await world.change("ann", attributes={"pool": "west"})
    await world.swims("cid", 9)
    left = [
        (body["leaderboard"]["key"], body["user"]["id"], body["leaderboard"]["previousRank"])
        for body in await world.bodies()
        if body["leaderboard"]["rank"] is None
    ]

    assert left == [("east-only", "ann", 1), ("best-two", "ben", 2)]


async def test_who_changes_groups_is_told_of_once_in_the_new_group(world: WebhookWorld) -> None:
    """Where there was no rank before; those who moved up behind are told of too."""
    await world.define(make_board(2, "by-pool", breakdown=(POOL,)))
    for user, laps, pool in (("ann", 3, "east"), ("ben", 2, "east"), ("cid", 1, "west")):
        await world.swim(user, laps, attributes={"pool": pool})
    await world.tick()
    await world.go("04T13:00")
    await world.change("ann", attributes={"pool": "west"})
    await world.tick()
    found = [
        (body["user"]["id"], board["breakdownAttributeValues"][0]["value"], board["previousRank"], board["rank"])
        for body in await world.bodies()
        for board in [body["leaderboard"]]
        if minute(body) == "04T13:00"
    ]

    assert found == [("ben", "east", 2, 1), ("ann", "west", None, 1), ("cid", "west", 1, 2)]


async def test_a_change_of_groups_within_a_window_is_told_at_its_end(world: WebhookWorld) -> None:
    """As news of another ranking, though the rank is the same."""
    await world.define(make_board(2, "by-pool", breakdown=(POOL,)))
    await world.swims("ann", 3, attributes={"pool": "east"})
    await world.change("ann", attributes={"pool": "west"})
    await world.go("04T12:15")
    found = [
        (minute(body), board["breakdownAttributeValues"][0]["value"], board["previousRank"], board["rank"])
        for body in await world.bodies()
        for board in [body["leaderboard"]]
        if board["key"] == "by-pool"
    ]

    assert found == [("04T12:00", "east", None, 1), ("04T12:15", "west", None, 1)]


async def test_boards_have_windows_of_their_own(world: WebhookWorld) -> None:
    """One user, two boards, two messages."""
    await world.define(make_board(2, "other", aggregation="count"))
    await world.swims("ann", 3)

    assert await world.told() == ["04T12:00 rank_changed weekly-laps", "04T12:00 rank_changed other"]


async def test_what_happened_before_somebody_wanted_to_hear_of_it_is_no_news(world: WebhookWorld) -> None:
    """Everybody's rank of then is where it begins."""
    webhook = await world.hook(RANK_CHANGED, status="paused")
    await world.swims("ann", 3)
    await world.swims("ben", 2)
    world.catalog.hook(replace(webhook, status="active"))
    await world.look()
    await world.swims("ben", 2)

    assert await world.moves() == ["04T12:00 ann 1 (3) → 2 (3)", "04T12:00 ben 2 (2) → 1 (4)"]


async def test_up_to_where_everything_is_told_is_noted_with_the_instant_of_that(world: WebhookWorld) -> None:
    """Whatever is noted later: several shards know by the instant where each of them was."""
    await world.swims("ann", 3)
    position, told_at = world.ledger.position(), world.clock()
    await world.swim("ann", 1)
    await world.clock.stand_at(told_at + HOUR)
    await world.define(make_board(2, "another"))
    watch = (await world.notes()).watch

    assert (watch.ranked, watch.position, watch.at) == ([1, 2], position, told_at)


async def test_nothing_is_kept_of_those_of_whom_nobody_wants_to_hear(world: WebhookWorld) -> None:
    """In memory and on disk."""
    webhook = await world.hook(RANK_CHANGED)
    await world.swims("ann", 3)
    world.catalog.hook(replace(webhook, status="paused"))
    await world.tick()
    notes = await world.notes()

    assert (notes.batches, notes.watch.ranked, notes.watch.position) == ([], [], 0)
    assert world.announcer.next_due() is None


async def test_the_user_is_shown_as_in_other_answers(world: WebhookWorld) -> None:
    """With the attributes, and the board with the run."""
    await world.swims("ann", "3.5", tz="Europe/Madrid", attributes={"pool": "east"})
    [body] = await world.bodies()

    assert body.keys() == {"type", "timestamp", "user", "leaderboard"}
    assert body["user"] == {
        "id": "ann", "email": None, "name": None, "tz": "Europe/Madrid", "signUpDate": None, "deviceTokens": None,
        "subscribeToEmails": False, "attributes": {"pool": "east"}, "control": False,
        "created": "2026-03-04T12:00:00.000Z", "updated": "2026-03-04T12:00:00.000Z",
    }  # fmt: skip
    board = body["leaderboard"]
    assert (board["rank"], board["value"], board["previousRank"], board["previousValue"]) == (1, 4, None, None)
    assert (board["status"], board["runStart"], board["runEnd"]) == ("active", "2026-03-02", None)


async def test_the_last_moves_of_a_run_are_told_although_it_is_final(world: WebhookWorld) -> None:
    """Those not seen before it closed, and those whose window was open."""
    await world.define(make_board(2, "short", start=day("2026-03-02"), end=day("2026-03-04")))
    await world.go("05T11:50")
    # Local time is still the 4th.
    await world.swims("ann", 5, tz="Etc/GMT+12")
    await world.swim("ben", 7, tz="Etc/GMT+12")
    # The tick that closes the run is the first to see this.
    await world.clock.stand_at(world.clock() + 10 * 60_000_000)
    await world.go("05T13:00")
    moves = [
        f"{minute(body)} {body['user']['id']} {board['previousRank']} → {board['rank']}"
        for body in await world.bodies()
        for board in [body["leaderboard"]]
        if board["key"] == "short"
    ]

    assert moves == ["05T11:50 ann None → 1", "05T12:00 ben None → 1", "05T12:05 ann 1 → 2"]
    assert {batch.board for batch in (await world.notes()).batches} == set()


async def test_moves_right_before_a_finish_by_hand_are_told(world: WebhookWorld) -> None:
    """Also those that wait for the end of a window."""
    await world.swims("ann", 3)
    await world.swim("ben", 4)
    board = replace(make_board(), asked_status="finished", end=day("2026-03-04"))
    world.ledger.redefine(board)
    position = await world.ledger.freeze(board.number)
    world.catalog.add(replace(board, finished_position=position))
    await world.go("04T18:00")

    assert await world.moves() == [
        "04T12:00 ann – → 1 (3)",
        "04T12:00 ben – → 1 (4)",
        "04T12:15 ann 1 (3) → 2 (3)",
    ]


async def test_a_restart_goes_on_with_windows_and_places(world: WebhookWorld) -> None:
    """However it came about."""
    await world.swims("ann", 30)
    await world.swims("ben", 20)
    await world.go("04T12:05")
    await world.restart()
    await world.swims("ben", 15)
    await world.crash()
    await world.go("04T12:14")
    assert len(await world.moves()) == 2
    await world.restart("2026-03-04T12:40:00Z")
    await world.swims("ann", 10)

    assert (await world.moves())[2:] == [
        "04T12:15 ann 1 (30) → 2 (30)",
        "04T12:15 ben 2 (20) → 1 (35)",
        "04T12:40 ann 2 (30) → 1 (40)",
        "04T12:40 ben 1 (35) → 2 (35)",
    ]


async def test_moves_right_before_a_crash_are_told_after_it_with_their_former_places(world: WebhookWorld) -> None:
    """The ledger is asked how it was when the last message was written."""
    await world.swims("ann", 30)
    await world.swims("ben", 20)
    await world.go("04T13:00")
    await world.swim("ben", 15)
    await world.swim("cid", 50)
    await world.crash("2026-03-04T13:01:00Z")
    await world.go("04T18:00")

    assert (await world.moves())[2:] == [
        "04T13:01 ann 1 (30) → 3 (30)",
        "04T13:01 cid – → 1 (50)",
    ]


async def test_a_crash_in_the_middle_of_telling_tells_nobody_twice(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some messages are written, others not."""
    monkeypatch.setattr(tell_ranks, "_MOST_MESSAGES", 2)
    for user in ("ann", "ben", "cid", "dan", "eva"):
        await world.swim(user, 1)
    break_after(world, monkeypatch, 2)
    with pytest.raises(Unavailable):
        await world.tick()
    assert len(await world.moves()) == 4
    await world.crash()

    assert sorted(move.split()[1] for move in await world.moves()) == ["ann", "ben", "cid", "dan", "eva"]


@pytest.mark.parametrize("crash", [False, True])
async def test_an_obstacle_in_the_middle_of_a_windows_end_tells_nobody_twice(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch, crash: bool
) -> None:
    """Whether the server lives or dies."""
    monkeypatch.setattr(tell_ranks, "_MOST_MESSAGES", 2)
    for laps, user in enumerate(("ann", "ben", "cid", "dan", "eva")):
        await world.swim(user, 10 - laps)
    await world.tick()
    for laps, user in enumerate(("ann", "ben", "cid", "dan", "eva")):
        await world.swim(user, 10 * laps)
    await world.go("04T12:14")
    with monkeypatch.context() as patch:
        break_after(world, patch, 1)
        with pytest.raises(Unavailable):
            await world.go("04T12:15")
    if crash:
        await world.crash()
    await world.go("04T18:00")
    moved = [move.split()[1] for move in await world.moves()]

    assert sorted(moved) == sorted(["ann", "ben", "dan", "eva"] * 2 + ["cid"])


async def test_a_comparison_that_took_long_is_followed_by_a_rest(world: WebhookWorld) -> None:
    """Four times as long; nothing is lost by it."""
    world.patient = False
    await world.restart()
    world.timer.pace = 1.0
    await world.swims("ann", 3)
    await world.swims("ben", 4)
    assert len(await world.moves()) == 1
    world.timer.seconds += 4
    await world.tick()

    assert len(await world.moves()) == 2


async def test_while_the_past_is_looked_up_after_a_crash_the_server_goes_on(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens meanwhile is told afterwards."""
    found_out, look_up = asyncio.Event(), EmbeddedLedger.ranks_as_of

    async def take_long(ledger: EmbeddedLedger, board: Board, position: int, instant: int) -> Any:
        await found_out.wait()
        return await look_up(ledger, board, position, instant)

    monkeypatch.setattr(EmbeddedLedger, "ranks_as_of", take_long)
    world.patient = False
    await world.swims("ann", 3)
    await world.swim("ben", 4)
    await world.crash()
    await world.swims("cid", 5)
    assert len(await world.moves()) == 1
    found_out.set()
    async with asyncio.timeout(20):
        while len(await world.moves()) < 3:
            await world.tick()

    assert (await world.moves())[1:] == ["04T12:00 ben – → 2 (4)", "04T12:00 cid – → 1 (5)"]


async def test_over_a_season_every_message_leads_from_the_place_last_told_to_the_present_one(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of events, restarts and crashes; compared with nothing but the messages and the final ranking."""
    monkeypatch.setattr(tell_ranks, "_MOST_MESSAGES", 7)
    chance = random.Random(7)
    await world.define(make_board(2, "by-pool", breakdown=(POOL,), numbering="competition"))
    for step in range(60):
        for _ in range(chance.randrange(5)):
            changes: dict[str, Any] = {"attributes": {"pool": chance.choice("ew")}} if chance.random() < 0.3 else {}
            await world.swim(f"u{chance.randrange(25)}", chance.randrange(-3, 9), **changes)
        if chance.random() < 0.15:
            await world.crash()
        elif chance.random() < 0.1:
            await world.restart()
        await world.go(f"04T{12 + (5 * step) // 60}:{(5 * step) % 60:02}")
    await world.go("04T18:00")

    for key, number in (("weekly-laps", 1), ("by-pool", 2)):
        last = await told_last(world, key)
        assert last == await standing_now(world, number)


async def told_last(world: WebhookWorld, key: str) -> dict[str, Any]:
    """By user, group and rank as last told; fails for a window that is broken or a gap between messages."""
    told: dict[str, list[Any]] = {}
    for body in await world.bodies():
        board = body["leaderboard"]
        if board["key"] == key:
            group = "".join(pair["value"] for pair in board.get("breakdownAttributeValues", []))
            told.setdefault(body["user"]["id"], []).append((minute(body), group, board["previousRank"], board["rank"]))
    for messages in told.values():
        for (at, group, _, rank), (later, group_later, previous, _) in pairwise(messages):
            assert minutes(later) - minutes(at) >= 15
            assert previous == (rank if group_later == group else None)
    return {user: messages[-1][1::2] for user, messages in told.items() if messages[-1][3] is not None}


async def standing_now(world: WebhookWorld, number: int) -> dict[str, Any]:
    found = {}
    [run] = await world.ledger.runs(number)
    for group in await world.ledger.groups(number, run):
        for row in await world.ledger.page(number, run, [group], 0, 100):
            found[row.user_id] = ("".join(group), row.rank)
    return found


def minutes(at: str) -> int:
    return (int(at[:2]) * 24 + int(at[3:5])) * 60 + int(at[6:])


def break_after(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the outbox take only so many entries with messages."""
    write, left = world.outbox.write, [count]

    async def fail(entry: Entry) -> None:
        if entry.messages:
            left[0] -= 1
            if left[0] < 0:
                raise Unavailable("the disk is full")
        await write(entry)

    monkeypatch.setattr(world.outbox, "write", fail)


async def test_who_is_hidden_is_told_nothing_of_and_those_who_close_up_are(world: WebhookWorld) -> None:
    """Brought back, the user comes like anybody else."""
    for user, laps in (("ann", 30), ("ben", 20)):
        await world.swim(user, laps)
    await world.tick()
    await world.go("04T13:00")
    await world.hides("ann")
    await world.go("04T14:00")
    await world.hides("ann", hidden=False)

    assert (await world.moves())[2:] == [
        "04T13:00 ben 2 (20) → 1 (20)",
        "04T14:00 ann – → 1 (30)",
        "04T14:00 ben 1 (20) → 2 (20)",
    ]
