"""Boards with a long past: made in the background while everything else goes on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.service.activate import PATIENCE_SECONDS, SECONDS_BETWEEN_TRIES, Activations
from palmares.service.bulk import Bulk
from palmares.service.define_boards import create_boards, delete_boards, update_boards
from palmares.service.define_metrics import create_metrics
from tests.definitions import SCOPE, Desk, complaints, day, items, open_desk, refusing

pytestmark = pytest.mark.anyio

STREAK = {"name": "Streak", "key": "slow", "rank_by": "streak", "start": day("2026-03-01"), "status": "active"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """On 2026-03-04 at 10:00 UTC, where nobody has patience."""
    async with open_desk(tmp_path) as desk:
        desk.naps.skipped.add(PATIENCE_SECONDS)
        yield desk


async def begin(desk: Desk, *keys: str, **fields: Any) -> list[Board]:
    """Boards, one if no key is given, that are in the making; what the ledger heard of them is forgotten."""
    for key in keys or ("slow",):
        desk.ledger.made[key] = asyncio.Event()
    bulk = await create_boards(
        desk.context, SCOPE, items(*(STREAK | fields | {"key": key} for key in keys or ("slow",)))
    )
    assert [board.ready for board in bulk.things] == [False] * len(keys or ("slow",))
    desk.ledger.told.clear()
    return bulk.things


async def make(desk: Desk, key: str = "slow") -> Board:
    """Let the rankings of a board be made; the board as it is afterwards."""
    desk.ledger.made.pop(key).set()
    await all_made(desk)
    found: Board = desk.definitions.board_by_key[key]
    return found


async def all_made(desk: Desk) -> None:
    async with asyncio.timeout(10):
        await asyncio.gather(*desk.context.activations._endings.values())


async def change(desk: Desk, board: Board, **fields: Any) -> Bulk[Board]:
    return await update_boards(desk.context, SCOPE, items({"id": board.id, **fields}))


def status(desk: Desk, key: str = "slow") -> str:
    found: str = desk.definitions.board_by_key[key].status_at(desk.clock())
    return found


# Patience


async def test_who_asks_waits_for_a_board_that_is_made_in_time(tmp_path: Path) -> None:
    """It is active in the answer, without a remark."""
    async with open_desk(tmp_path) as desk:
        desk.ledger.made["slow"] = asyncio.Event()
        asking = asyncio.ensure_future(create_boards(desk.context, SCOPE, items(STREAK)))
        await desk.naps.begun(PATIENCE_SECONDS)
        desk.ledger.made["slow"].set()

        bulk = await asking

        assert (bulk.things, bulk.issues) == ([desk.definitions.board_by_key["slow"]], [])
        assert status(desk) == "active"


async def test_a_board_that_takes_longer_is_answered_as_inactive_and_seen_later(desk: Desk) -> None:
    """With a warning, and with how far it is; it becomes active by itself."""
    desk.ledger.made["slow"] = asyncio.Event()

    bulk = await create_boards(desk.context, SCOPE, items(STREAK))

    [board] = bulk.things
    assert [(issue.severity, issue.index, issue.message[:6]) for issue in bulk.issues] == [("warning", 0, "status")]
    assert status(desk) == board.status_at(desk.clock()) == "inactive"
    assert desk.context.activations.progress(board) == 0.25
    made = await make(desk)
    assert (made, status(desk)) == (replace(board, ready=True), "active")
    assert desk.context.activations.progress(made) is None
    assert desk.ledger.told == [("follow", made), ("redefine", made)]


async def test_the_boards_of_a_request_share_its_patience(tmp_path: Path) -> None:
    """A hundred of them do not take a hundred times as long."""
    async with open_desk(tmp_path) as desk:
        for key in "ab":
            desk.ledger.made[key] = asyncio.Event()
        asking = asyncio.ensure_future(
            create_boards(desk.context, SCOPE, items(*(STREAK | {"key": key} for key in "abc")))
        )
        await desk.naps.begun(PATIENCE_SECONDS)
        desk.naps.wake()

        assert [board.ready for board in (await asking).things] == [False, False, True]


async def test_everything_else_is_defined_while_a_board_is_made(desk: Desk) -> None:
    """Other boards too, and each is seen when it is complete."""
    await begin(desk, "a", "b")

    await create_metrics(desk.context, SCOPE, items({"name": "Laps", "key": "laps"}))
    await create_boards(desk.context, SCOPE, items(STREAK | {"key": "c"}))

    assert [status(desk, key) for key in "abc"] == ["inactive", "inactive", "active"]
    desk.ledger.made["b"].set()
    async with asyncio.timeout(10):
        await desk.context.activations._endings[desk.definitions.board_by_key["b"].number]
    assert [status(desk, key) for key in "abc"] == ["inactive", "active", "active"]
    await make(desk, "a")
    assert [status(desk, key) for key in "abc"] == ["active", "active", "active"]


async def test_who_asked_and_went_away_gets_the_board_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was saved as one in the making."""
    async with open_desk(tmp_path) as desk:
        desk.ledger.made["slow"] = asyncio.Event()
        asking = asyncio.ensure_future(create_boards(desk.context, SCOPE, items(STREAK)))
        take_time = desk.ledger.take_time

        async def take_time_alone(board: Board) -> None:
            asking.cancel()
            await take_time(board)

        monkeypatch.setattr(desk.ledger, "take_time", take_time_alone)
        with pytest.raises(asyncio.CancelledError):
            await asking

        assert status(desk) == "inactive"
        await make(desk)
        assert status(desk) == "active"


# Changes meanwhile


async def test_a_board_that_is_deactivated_meanwhile_is_given_up(desk: Desk) -> None:
    """Nothing is left of it, and it may be activated again."""
    [board] = await begin(desk)

    bulk = await change(desk, board, status="inactive")

    expected = replace(board, asked_status="inactive", ready=True)
    assert (bulk.things, bulk.issues) == ([expected], [])
    assert desk.definitions.boards == (expected,)
    assert desk.ledger.told == [("give up", board.number), ("forget", board.number)]
    assert desk.context.activations.progress(expected) is None
    del desk.ledger.made["slow"]
    await change(desk, board, status="active")
    assert status(desk) == "active"


async def test_a_board_that_is_deleted_meanwhile_is_given_up(desk: Desk) -> None:
    """Nobody hears of it any more."""
    [board] = await begin(desk)

    await delete_boards(desk.context, SCOPE, [board.id])

    assert desk.ledger.told == [("give up", board.number), ("forget", board.number)]
    assert desk.definitions.boards == ()


async def test_a_board_that_is_changed_meanwhile_is_made_anew(desk: Desk) -> None:
    """Nobody has seen it, so nothing is locked."""
    [board] = await begin(desk)

    bulk = await change(desk, board, start=day("2026-02-01"), max_participants=3)

    expected = replace(board, start=day("2026-02-01"), max_participants=3)
    assert (bulk.things, [issue.severity for issue in bulk.issues]) == ([expected], ["warning"])
    made = replace(expected, ready=True)
    assert await make(desk) == made
    assert desk.ledger.told == [("give up", board.number), ("follow", made), ("redefine", made)]


async def test_a_new_name_does_not_begin_the_making_anew(desk: Desk) -> None:
    """Rankings do not depend on it, nor on the key; in the end the ledger knows both."""
    [board] = await begin(desk)

    bulk = await change(desk, board, name="New", key="new", status="active")

    assert bulk.things == [replace(board, name="New", key="new")]
    assert desk.ledger.told == []
    desk.ledger.made["slow"].set()
    await all_made(desk)
    assert desk.definitions.boards == (replace(board, name="New", key="new", ready=True),)
    assert desk.ledger.told == [("redefine", replace(board, name="New", key="new", ready=True))]


async def test_asking_again_for_what_is_being_made_changes_nothing(desk: Desk) -> None:
    """The making goes on, and the answer says so."""
    [board] = await begin(desk)

    bulk = await change(desk, board, status="active")

    assert (bulk.things, [issue.severity for issue in bulk.issues]) == ([board], ["warning"])
    assert desk.ledger.told == []


async def test_a_change_that_cannot_be_counted_leaves_the_making_to_go_on(desk: Desk) -> None:
    """As if nobody had asked for it."""
    [board] = await begin(desk)
    desk.naps.skipped.clear()
    making = desk.ledger.made.pop("slow")

    with refusing(desk.ledger, "slow"):
        bulk = await change(desk, board, start=day("2026-02-01"))
        desk.ledger.made["slow"] = making

    assert (bulk.things, complaints(bulk)) == ([], [(board.id, "value")])
    assert desk.definitions.boards == (board,)
    assert await make(desk) == replace(board, ready=True)


async def test_a_refused_change_touches_nothing_that_is_made(desk: Desk) -> None:
    """A wrong field is found before."""
    [board] = await begin(desk)

    bulk = await change(desk, board, end=day("2026-02-01"))

    assert (bulk.things, complaints(bulk), desk.ledger.told) == ([], [(board.id, "end")], [])
    assert await make(desk) == replace(board, ready=True)


# Finishing


async def test_a_board_with_a_long_past_can_be_created_finished(desk: Desk) -> None:
    """It is frozen when it is made, before anybody sees it."""
    [board] = await begin(desk, status="finished", end=day("2026-03-02"))

    made = await make(desk)

    assert made == replace(board, ready=True, finished_position=desk.ledger.position)
    assert status(desk) == "finished"
    assert desk.ledger.told == [("freeze", board.number), ("redefine", made)]


async def test_a_board_that_cannot_be_frozen_now_is_frozen_later(desk: Desk) -> None:
    """It is not made twice."""
    await begin(desk, status="finished", end=day("2026-03-02"))
    desk.ledger.failing.add("freeze")
    desk.ledger.made["slow"].set()
    await desk.naps.begun(SECONDS_BETWEEN_TRIES)
    assert status(desk) == "inactive"
    desk.ledger.failing.clear()
    desk.naps.wake()
    await all_made(desk)
    assert status(desk) == "finished"
    assert desk.ledger.names == ["freeze", "freeze", "redefine"]


async def test_a_board_that_is_being_made_can_be_finished(desk: Desk) -> None:
    """It is made anew up to today."""
    [board] = await begin(desk)

    await change(desk, board, status="finished")

    made = await make(desk)
    assert (made.asked_status, made.end) == ("finished", day("2026-03-04"))
    assert made.finished_position == desk.ledger.position


async def test_a_finished_board_in_the_making_can_be_renamed_and_given_up(desk: Desk) -> None:
    """Nobody has seen it as finished."""
    [board] = await begin(desk, status="finished", end=day("2026-03-02"))

    [renamed] = (await change(desk, board, name="New")).things
    [given_up] = (await change(desk, board, status="inactive")).things

    assert renamed == replace(board, name="New")
    assert given_up == replace(renamed, asked_status="inactive", ready=True)
    assert desk.ledger.names == ["give up", "forget"]


# What goes wrong


async def test_a_past_that_leads_out_of_the_range_makes_the_board_inactive_and_tells_why(desk: Desk) -> None:
    """Until somebody asks for it again."""
    with refusing(desk.ledger, "slow"):
        await begin(desk)
        board = await make(desk)

    assert (board.asked_status, board.ready) == ("inactive", True)
    assert desk.context.activations.problem(board) == "value: out of range"
    await change(desk, board, status="active")
    assert desk.context.activations.problem(board) is None
    assert status(desk) == "active"


async def test_what_cannot_be_written_now_is_tried_again(desk: Desk) -> None:
    """The problem is told meanwhile, and the board goes on being one in the making."""
    [board] = await begin(desk)
    desk.ledger.failing.add("making")
    desk.ledger.made.pop("slow").set()
    await desk.naps.begun(SECONDS_BETWEEN_TRIES)

    assert (desk.context.activations.problem(board) or "").startswith("the disk is full")
    assert (status(desk), desk.context.activations.progress(board)) == ("inactive", 0.0)
    desk.ledger.failing.clear()
    desk.naps.wake()
    await all_made(desk)
    assert status(desk) == "active"
    assert desk.context.activations.problem(board) is None
    assert desk.ledger.names == ["follow", "redefine"]


async def test_a_board_that_was_made_waits_for_a_catalog_that_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not made twice."""
    await begin(desk)

    async def fail(boards: list[Board]) -> list[Board]:
        raise Unavailable("the catalog's disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.catalog, "save_boards", fail)
        desk.ledger.made["slow"].set()
        await desk.naps.begun(SECONDS_BETWEEN_TRIES)
    desk.naps.wake()
    await all_made(desk)

    assert (status(desk), desk.ledger.names) == ("active", ["redefine"])


async def test_a_board_that_cannot_be_saved_as_seen_is_one_in_the_making_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it was made in time and only then the catalog failed: all is as it was before."""
    [board] = (await create_boards(desk.context, SCOPE, items(STREAK | {"status": "inactive"}))).things
    save, calls = desk.catalog.save_boards, iter([True, False, True])

    async def fail_once(boards: list[Board]) -> list[Board]:
        if not next(calls):
            raise Unavailable
        return await save(boards)

    monkeypatch.setattr(desk.catalog, "save_boards", fail_once)
    with pytest.raises(Unavailable):
        await change(desk, board, status="active")

    assert desk.definitions.boards == (board,)
    assert desk.ledger.names == ["follow", "forget"]


async def test_a_catalog_that_fails_for_longer_has_the_board_made_when_it_works_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the board is in the making, so it is."""
    [board] = (await create_boards(desk.context, SCOPE, items(STREAK | {"status": "inactive"}))).things
    save, calls = desk.catalog.save_boards, iter([True, False, False])

    async def fail_later(boards: list[Board]) -> list[Board]:
        if not next(calls, True):
            raise Unavailable
        return await save(boards)

    monkeypatch.setattr(desk.catalog, "save_boards", fail_later)
    with pytest.raises(Unavailable):
        await change(desk, board, status="active")
    await all_made(desk)

    assert status(desk) == "active"
    assert desk.ledger.names == ["follow", "forget", "follow", "redefine"]


async def test_a_fault_without_a_name_waits_for_the_next_start(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not get better by itself; the problem is told, and nothing else suffers."""
    take_time = desk.ledger.take_time

    async def stumble(board: Board) -> None:
        await take_time(board)
        raise ZeroDivisionError

    monkeypatch.setattr(desk.ledger, "take_time", stumble)
    await begin(desk)
    board = await make(desk)

    assert "ZeroDivisionError" in (desk.context.activations.problem(board) or "")
    assert (board.ready, status(desk)) == (False, "inactive")
    desk.context.activations.resume()
    await all_made(desk)
    assert status(desk) == "active"


# Restarts


async def test_a_restart_goes_on_with_what_was_in_the_making(desk: Desk) -> None:
    """Whatever was asked of it; boards that are complete are left alone."""
    await create_boards(
        desk.context, SCOPE, items(STREAK | {"key": "seen"}, STREAK | {"key": "no", "status": "inactive"})
    )
    [first, second] = await begin(desk, "a", "b")
    await change(desk, second, status="inactive")
    await desk.context.activations.close()
    desk.ledger.told.clear()
    desk.ledger.made.clear()

    noted: list[str] = []

    async def take_note() -> None:
        noted.append(status(desk, "a"))

    activations = Activations(desk.context.ledger, desk.catalog, desk.naps, take_note)
    activations.resume()
    await asyncio.gather(*activations._endings.values())

    assert [status(desk, key) for key in ("seen", "no", "a", "b")] == ["active", "inactive", "active", "inactive"]
    made = replace(first, ready=True)
    assert desk.ledger.told == [("follow", made), ("redefine", made)]
    assert noted == ["active"], "announcements begin when it is seen"


async def test_closing_gives_up_what_is_being_made(desk: Desk) -> None:
    """Whether it is being made or waits to be tried again; the catalog still has it as one in the making."""
    await begin(desk, "a", "b")
    desk.ledger.failing.add("making")
    desk.ledger.made["b"].set()
    await desk.naps.begun(SECONDS_BETWEEN_TRIES)

    await desk.context.activations.close()

    assert desk.ledger.told == [("give up", desk.definitions.board_by_key["a"].number)]
    assert [board.ready for board in desk.definitions.boards] == [False, False]


# Several workers


def as_another_worker(desk: Desk, leads: bool) -> None:
    """From now on the desk's actions are those of a worker that leads the others, or does not."""
    activations = Activations(desk.context.ledger, desk.catalog, desk.naps, desk.context.take_note, lambda: leads)
    object.__setattr__(desk.context, "activations", activations)


async def test_a_worker_that_does_not_lead_gives_up_what_takes_longer_than_its_patience(desk: Desk) -> None:
    """The board is in the making all the same, for the one that leads."""
    as_another_worker(desk, leads=False)

    [board] = await begin(desk)

    assert not desk.context.activations._follows
    assert not desk.context.activations._endings
    assert not desk.definitions.board_by_id[board.id].ready


async def test_the_leader_makes_what_others_gave_up_or_died_of(desk: Desk) -> None:
    """Once it has been in the making for longer than anybody is patient; not before, since they may be at it."""
    as_another_worker(desk, leads=False)
    await begin(desk)
    as_another_worker(desk, leads=True)
    activations = desk.context.activations

    await activations.take_over(desk.clock())
    await activations.take_over(desk.clock() + 4_900_000)
    assert not activations._endings
    await activations.take_over(desk.clock() + 5_000_000)
    board = await make(desk)

    assert (board.ready, status(desk)) == (True, "active")


@pytest.mark.parametrize("what", ["deleted", "inactive"])
async def test_the_leader_stops_making_what_another_worker_takes_back(desk: Desk, what: str) -> None:
    """Nothing stays of the rankings that it was making."""
    [board] = await begin(desk)
    activations = desk.context.activations
    if what == "deleted":
        await desk.catalog.delete_boards([board.id])
    else:
        await desk.catalog.save_boards([replace(board, asked_status="inactive", ready=True)])

    await activations.take_over(desk.clock())

    assert not activations._endings
    assert desk.ledger.told[-1] == ("forget", board.number)
