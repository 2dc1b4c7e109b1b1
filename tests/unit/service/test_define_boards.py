"""Boards: created, changed and deleted, and what the ledger is told of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.metric import Attribute, Metric
from palmares.service.bulk import Bulk
from palmares.service.define_attributes import create_attributes
from palmares.service.define_boards import create_boards, delete_boards, update_boards
from palmares.service.define_metrics import create_metrics
from tests.definitions import SCOPE, Desk, complaints, day, failing, items, open_desk, refusing

pytestmark = pytest.mark.anyio

STREAK = {"name": "Streak", "key": "streak", "rank_by": "streak", "start": day("2026-03-01")}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """On 2026-03-04 at 10:00 UTC."""
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
async def metric(desk: Desk) -> Metric:
    return (await create_metrics(desk.context, SCOPE, items({"name": "Laps", "key": "laps"}))).things[0]


@pytest.fixture
async def attributes(desk: Desk) -> list[Attribute]:
    """One of users, one of events."""
    given = [{"name": kind, "key": kind, "kind": kind} for kind in ("user", "event")]
    return (await create_attributes(desk.context, SCOPE, items(*given))).things


async def create(desk: Desk, *fields: dict[str, Any]) -> Bulk[Board]:
    return await create_boards(desk.context, SCOPE, items(*fields))


async def make(desk: Desk, **fields: Any) -> Board:
    """One board that began three days ago; what the ledger heard of it is forgotten."""
    bulk = await create(desk, STREAK | fields)
    assert not [issue for issue in bulk.issues if issue.severity == "error"]
    desk.ledger.told.clear()
    return bulk.things[0]


async def change(desk: Desk, board: Board, **fields: Any) -> Bulk[Board]:
    return await update_boards(desk.context, SCOPE, items({"id": board.id, **fields}))


# Creating


async def test_a_new_board_is_inactive_starts_today_and_has_the_defaults(desk: Desk, metric: Metric) -> None:
    """The ledger hears nothing of it yet."""
    bulk = await create(desk, {"name": "Laps", "key": "laps", "rank_by": "metric", "metric_id": metric.id})

    [board] = bulk.things
    assert board == Board(
        number=1,
        id=board.id,
        scope=SCOPE,
        key="laps",
        name="Laps",
        rank_by="metric",
        metric=metric,
        start=day("2026-03-04"),
    )
    assert (board.max_participants, board.asked_status) == (1_000_000, "inactive")
    assert (desk.definitions.boards, desk.ledger.told) == ((board,), [])


async def test_the_references_of_a_board_are_resolved(desk: Desk, metric: Metric, attributes: list[Attribute]) -> None:
    """Items name metrics and attributes by id."""
    user, _ = attributes
    references = {"metric_id": metric.id, "breakdown": [user.id], "filters": [(user.id, "east")]}

    board = await make(desk, rank_by="metric", **references)

    assert (board.metric, board.breakdown, board.filters) == (metric, (user,), ((user, "east"),))


async def test_a_reference_to_nothing_usable_is_refused(desk: Desk, attributes: list[Attribute]) -> None:
    """Only attributes of users split and filter."""
    event = attributes[1]

    bulk = await create(
        desk,
        STREAK | {"rank_by": "metric", "metric_id": "unknown"},
        STREAK | {"rank_by": "metric", "metric_id": None},
        STREAK | {"rank_by": "points", "points_system_id": "unknown"},
        STREAK | {"breakdown": ["unknown"]},
        STREAK | {"breakdown": [event.id]},
        STREAK | {"filters": [(event.id, "x")]},
    )

    assert complaints(bulk) == [
        (0, "metricId"),
        (1, "metricId"),
        (2, "pointsSystemId"),
        (3, "breakdownAttributes"),
        (4, "breakdownAttributes"),
        (5, "userAttributes"),
    ]
    assert bulk.things == []


async def test_an_active_board_is_followed_by_the_number_that_the_catalog_gave_it(desk: Desk) -> None:
    """With little past it is active in the answer."""
    bulk = await create(desk, STREAK | {"status": "active"})

    assert bulk.things == list(desk.definitions.boards)
    assert (bulk.things[0].number, bulk.things[0].status_at(desk.clock())) == (1, "active")
    assert (desk.ledger.told, bulk.issues) == ([("follow", bulk.things[0])], [])


async def test_a_board_that_starts_later_is_scheduled_with_a_warning(desk: Desk) -> None:
    """The ledger follows it, so that it counts from its first moment on."""
    bulk = await create(desk, STREAK | {"status": "active", "start": day("2026-03-10")})

    assert [(issue.severity, issue.index) for issue in bulk.issues] == [("warning", 0)]
    assert bulk.things[0].status_at(desk.clock()) == "scheduled"
    assert desk.ledger.names == ["follow"]


async def test_a_board_created_finished_is_counted_and_frozen(desk: Desk) -> None:
    """Where counting stopped is stored with it."""
    bulk = await create(desk, STREAK | {"status": "finished", "end": day("2026-03-02")})

    [board] = bulk.things
    assert (board.asked_status, board.finished_position) == ("finished", desk.ledger.position)
    assert desk.definitions.boards == (board,)
    assert desk.ledger.told == [
        ("follow", replace(board, finished_position=None)),
        ("freeze", board.number),
        ("redefine", board),
    ]


async def test_a_board_that_cannot_be_finished_at_once_is_not_made(desk: Desk) -> None:
    """Asked again, it is made as if for the first time."""
    with failing(desk.ledger, "freeze"), pytest.raises(Unavailable):
        await create(desk, STREAK | {"status": "finished", "end": day("2026-03-02")})

    assert list(desk.definitions.boards) == []
    assert desk.ledger.names == ["follow", "freeze", "forget"]


async def test_of_a_request_that_fails_no_new_board_stays_that_was_not_made(desk: Desk) -> None:
    """Asked again, they are made as if for the first time; what came before the failure is done."""
    with failing(desk.ledger, "making"), pytest.raises(Unavailable):
        await create(desk, STREAK | {"key": "a"}, STREAK | {"key": "b", "status": "active"}, STREAK | {"key": "c"})

    assert [board.key for board in desk.definitions.boards] == ["a"]
    assert desk.ledger.names == ["follow", "forget"]


async def test_a_new_board_that_cannot_be_counted_is_an_issue_and_not_made(desk: Desk) -> None:
    """The good item beside it is."""
    with refusing(desk.ledger, "second"):
        bulk = await create(desk, *(STREAK | {"key": key, "status": "active"} for key in ("first", "second", "third")))

    assert [board.key for board in bulk.things] == ["first", "third"]
    assert complaints(bulk) == [(1, "value")]
    assert [board.key for board in desk.definitions.boards] == ["first", "third"]


async def test_a_board_that_cannot_be_counted_anew_stays_as_it_was(desk: Desk) -> None:
    """The catalog does not hear of the change."""
    board = await make(desk, key="second", status="active")
    with refusing(desk.ledger, "second"):
        bulk = await change(desk, board, end=day("2026-03-02"))

    assert (bulk.things, complaints(bulk)) == ([], [(board.id, "value")])
    assert list(desk.definitions.boards) == [board]


async def test_of_two_items_with_one_key_the_first_wins(desk: Desk) -> None:
    """Nor may a key be taken that an older board has; results keep the order of the request."""
    await make(desk, key="old")

    bulk = await create(desk, STREAK | {"key": "old"}, STREAK, STREAK | {"name": "Second"}, STREAK | {"key": "last"})

    assert [board.key for board in bulk.things] == ["streak", "last"]
    assert complaints(bulk) == [(0, "key"), (2, "key")]


# Changing


async def test_activating_follows_and_deactivating_forgets(desk: Desk) -> None:
    """Activating again restores the board."""
    board = await make(desk)

    for status in ("active", "inactive", "active"):
        await change(desk, board, status=status)

    assert desk.ledger.told == [
        ("follow", replace(board, asked_status="active")),
        ("forget", board.number),
        ("follow", replace(board, asked_status="active")),
    ]
    assert desk.definitions.boards == (replace(board, asked_status="active"),)


async def test_a_new_name_is_told_to_the_ledger_without_counting_anew(desk: Desk) -> None:
    """Rankings do not depend on it."""
    board = await make(desk, status="active")

    bulk = await change(desk, board, name="New", description="What it is")

    assert bulk.things == [replace(board, name="New", description="What it is")]
    assert desk.ledger.told == [("redefine", bulk.things[0])]


async def test_an_inactive_board_is_changed_without_the_ledger(desk: Desk, metric: Metric) -> None:
    """It follows none."""
    board = await make(desk)

    bulk = await change(desk, board, key="laps", rank_by="metric", metric_id=metric.id, max_participants=None)

    assert bulk.things == [replace(board, key="laps", rank_by="metric", metric=metric, max_participants=None)]
    assert desk.definitions.board_by_key == {"laps": bulk.things[0]}
    assert desk.ledger.told == []


@pytest.mark.parametrize(
    ("end", "told"),
    [("2026-03-05", "redefine"), ("2026-04-01", "redefine"), ("2026-03-04", "follow"), ("2026-03-02", "follow")],
)
async def test_an_end_that_may_have_cut_events_off_is_counted_anew(
    desk: Desk, metric: Metric, end: str, told: str
) -> None:
    """Tomorrow has begun in the earliest zones; nothing lies later yet."""
    board = await make(desk, rank_by="metric", metric_id=metric.id, status="active")

    await change(desk, board, end=day(end))

    assert desk.ledger.names == [told]


async def test_an_update_with_nothing_to_change_returns_the_board_and_touches_nothing(desk: Desk) -> None:
    """Nothing is written, and nobody told."""
    board = await make(desk, status="active")

    bulk = await change(desk, board, name=board.name, status="active")

    assert (bulk.things, bulk.issues, desk.ledger.told) == ([board], [], [])


async def test_a_refused_update_changes_nothing_of_its_item(desk: Desk) -> None:
    """The name that came with the locked key stays as it was; the other item is applied."""
    locked = await make(desk, status="active")
    open_board = await make(desk, key="open")

    bulk = await update_boards(
        desk.context,
        SCOPE,
        items(
            {"id": locked.id, "name": "New", "key": "other"},
            {"id": open_board.id, "name": "New"},
            {"id": "unknown"},
            {"name": "No id"},
        ),
    )

    assert [board.key for board in bulk.things] == ["open"]
    assert complaints(bulk) == [(locked.id, "key"), ("unknown", "id"), (3, "id")]
    assert [board.name for board in desk.definitions.boards] == ["Streak", "New"]


async def test_a_key_that_an_item_gives_up_is_free_for_a_later_one(desk: Desk) -> None:
    """Items are judged in order, so the other way round it is taken."""
    first, second = await make(desk, key="a"), await make(desk, key="b")

    bulk = await update_boards(desk.context, SCOPE, items({"id": first.id, "key": "c"}, {"id": second.id, "key": "a"}))
    refused = await update_boards(
        desk.context, SCOPE, items({"id": second.id, "key": "c"}, {"id": first.id, "key": "d"})
    )

    assert [board.key for board in bulk.things] == ["c", "a"]
    assert (complaints(refused), [board.key for board in refused.things]) == ([(second.id, "key")], ["d"])


# Finishing by hand


async def test_finishing_by_hand_ends_today_and_freezes(desk: Desk) -> None:
    """Counted anew up to today, frozen, and stored with the place in the log."""
    board = await make(desk, status="active", end=day("2026-04-01"))

    bulk = await change(desk, board, status="finished")

    ended = replace(board, asked_status="finished", end=day("2026-03-04"))
    finished = replace(ended, finished_position=desk.ledger.position)
    assert (bulk.things, bulk.issues) == ([finished], [])
    assert desk.definitions.boards == (finished,)
    assert desk.ledger.told == [("follow", ended), ("freeze", board.number), ("redefine", finished)]


async def test_a_board_that_ends_today_anyway_is_not_counted_anew_to_be_finished(desk: Desk) -> None:
    """The ledger has only to know why it is frozen."""
    board = await make(desk, status="active", end=day("2026-03-04"))

    await change(desk, board, status="finished")

    finished = replace(board, asked_status="finished", finished_position=desk.ledger.position)
    assert desk.definitions.boards == (finished,)
    assert desk.ledger.told == [
        ("redefine", replace(finished, finished_position=None)),
        ("freeze", board.number),
        ("redefine", finished),
    ]


async def test_an_inactive_board_that_has_begun_can_be_finished(desk: Desk) -> None:
    """It is counted first."""
    board = await make(desk)

    [finished] = (await change(desk, board, status="finished")).things

    assert (finished.end, finished.finished_position) == (day("2026-03-04"), desk.ledger.position)
    assert desk.ledger.names == ["follow", "freeze", "redefine"]


async def test_results_keep_the_order_when_some_are_finished(desk: Desk) -> None:
    """Finishing takes another way than the other changes."""
    boards = [await make(desk, key=key, status="active") for key in ("a", "b", "c")]
    given = [{"id": board.id, "name": "New"} for board in boards]
    given[1]["status"] = "finished"

    bulk = await update_boards(desk.context, SCOPE, items(*given))

    assert [(board.key, board.asked_status) for board in bulk.things] == [
        ("a", "active"), ("b", "finished"), ("c", "active")
    ]  # fmt: skip
    assert tuple(bulk.things) == desk.definitions.boards


async def test_a_finished_board_can_be_renamed_and_stays_frozen(desk: Desk) -> None:
    """The place in the log stays with it."""
    board = await make(desk, status="active")
    [finished] = (await change(desk, board, status="finished")).things
    desk.ledger.told.clear()

    bulk = await change(desk, board, name="Winter season", status="finished")

    assert bulk.things == [replace(finished, name="Winter season")]
    assert desk.ledger.told == [("redefine", bulk.things[0])]


@pytest.mark.parametrize("status", ["inactive", "scheduled", "active"])
async def test_a_finished_board_stays_finished(desk: Desk, status: str) -> None:
    """Terminal."""
    board = await make(desk, status="active")
    await change(desk, board, status="finished")
    desk.ledger.told.clear()

    bulk = await change(desk, board, status=status)

    assert (bulk.things, complaints(bulk), desk.ledger.told) == ([], [(board.id, "status")], [])


async def test_a_board_that_has_not_begun_cannot_be_finished(desk: Desk) -> None:
    """Neither scheduled nor inactive."""
    scheduled = await make(desk, key="a", status="active", start=day("2026-03-10"))
    inactive = await make(desk, key="b", start=day("2026-03-10"))

    bulk = await update_boards(
        desk.context, SCOPE, items(*({"id": board.id, "status": "finished"} for board in (scheduled, inactive)))
    )

    assert complaints(bulk) == [(scheduled.id, "status"), (inactive.id, "status")]
    assert desk.ledger.told == []


@pytest.mark.parametrize("step", ["follow", "freeze"])
async def test_a_board_that_the_ledger_cannot_finish_goes_on_as_before(desk: Desk, step: str) -> None:
    """The catalog still has it as it was, and the ledger is told so."""
    board = await make(desk, status="active")

    with failing(desk.ledger, step), pytest.raises(Unavailable):
        await change(desk, board, status="finished")

    assert desk.definitions.boards == (board,)
    assert desk.ledger.told[-1] == ("follow", board)


@pytest.mark.parametrize("end", ["2026-03-04", "2026-04-01"])
async def test_a_board_whose_finish_cannot_be_stored_goes_on_as_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Finished but not stored, it would be finished until the next start only."""
    board = await make(desk, status="active", end=day(end))

    async def fail(boards: list[Board]) -> list[Board]:
        raise Unavailable

    monkeypatch.setattr(desk.catalog, "save_boards", fail)
    with pytest.raises(Unavailable):
        await change(desk, board, status="finished")

    assert desk.definitions.boards == (board,)
    assert desk.ledger.told[-1] == ("follow", board)


# Deleting


async def test_a_deleted_board_is_forgotten_and_its_key_free(desk: Desk) -> None:
    """In whatever status it was."""
    active, inactive = await make(desk, key="a", status="active"), await make(desk, key="b")

    bulk = await delete_boards(desk.context, SCOPE, [active.id, inactive.id, "unknown"])
    again = await create(desk, STREAK | {"key": "a"})

    assert (bulk.things, complaints(bulk)) == ([active, inactive], [("unknown", "id")])
    assert desk.ledger.told == [("forget", active.number)]
    assert desk.definitions.boards == tuple(again.things)
