"""Metrics: created, changed and deleted, one by one or many at once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palmares.domain.metric import Metric
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MICROS
from palmares.service.define_boards import create_boards
from palmares.service.define_metrics import create_metrics, delete_metrics, update_metrics
from tests.definitions import SCOPE, Desk, complaints, day, items, open_desk

pytestmark = pytest.mark.anyio

LAPS = {"name": "Laps", "key": "laps"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def make(desk: Desk, *fields: dict[str, object]) -> list[Metric]:
    return (await create_metrics(desk.context, SCOPE, items(*fields))).things


async def make_board(desk: Desk, metric: Metric, **fields: object) -> None:
    start = {"start": day("2026-03-01")}
    board = {"name": "Board", "key": "board", "rank_by": "metric", "metric_id": metric.id, **start, **fields}
    assert not (await create_boards(desk.context, SCOPE, items(board))).issues
    desk.ledger.told.clear()


async def test_a_created_metric_has_a_number_an_id_and_the_defaults(desk: Desk) -> None:
    """It counts numbers without a unit unless said otherwise."""
    [plain, priced] = await make(desk, LAPS, {"name": "Price", "key": "price", "unit_type": "currency", "units": "EUR"})

    assert (plain.number, plain.unit_type, plain.units) == (1, "number", "")
    assert (priced.number, priced.unit_type, priced.units) == (2, "currency", "EUR")
    assert desk.definitions.metrics == (plain, priced)
    assert plain.id != priced.id


async def test_bad_items_do_not_stop_good_ones(desk: Desk) -> None:
    """Each wrong item is told of by its place and field."""
    bulk = await create_metrics(
        desk.context,
        SCOPE,
        items(
            {"name": "A", "key": "has space"},
            LAPS,
            {"name": "  ", "key": "blank"},
            {"name": "Cash", "key": "cash", "unit_type": "currency", "units": "euro"},
            {"name": "Cash", "key": "cash", "unit_type": "currency"},
            {"name": "Miles", "key": "miles"},
        ),
    )

    assert [metric.key for metric in bulk.things] == ["laps", "miles"]
    assert complaints(bulk) == [(0, "key"), (2, "name"), (3, "units"), (4, "units")]


async def test_of_two_items_with_one_key_the_first_wins(desk: Desk) -> None:
    """Nor may a key be taken that an older metric has."""
    await make(desk, {"name": "Old", "key": "old"})

    bulk = await create_metrics(
        desk.context, SCOPE, items(LAPS, {**LAPS, "name": "Second"}, {"name": "X", "key": "old"})
    )

    assert [metric.name for metric in bulk.things] == ["Laps"]
    assert complaints(bulk) == [(1, "key"), (2, "key")]


async def test_an_update_changes_what_is_given(desk: Desk) -> None:
    """What is absent stays."""
    [metric] = await make(desk, {**LAPS, "units": "laps"})

    bulk = await update_metrics(desk.context, SCOPE, items({"id": metric.id, "name": "Lengths"}))

    assert bulk.things == [Metric(1, metric.id, SCOPE, "laps", "Lengths", "number", "laps")]
    assert desk.definitions.metrics == tuple(bulk.things)


async def test_an_update_with_nothing_to_change_returns_the_metric(desk: Desk) -> None:
    """Also when the key is given as it is."""
    [metric] = await make(desk, LAPS)

    bulk = await update_metrics(desk.context, SCOPE, items({"id": metric.id, "key": "laps"}))

    assert (bulk.things, bulk.issues) == ([metric], [])


async def test_an_update_that_is_refused_changes_nothing_of_its_item(desk: Desk) -> None:
    """The key never changes, and a unit must suit its type."""
    metrics = await make(desk, LAPS, {"name": "Miles", "key": "miles"}, {"name": "Hours", "key": "hours"})

    bulk = await update_metrics(
        desk.context,
        SCOPE,
        items(
            {"id": metrics[0].id, "name": "New", "key": "new"},
            {"id": metrics[1].id, "name": "New", "unit_type": "currency"},
            {"id": metrics[2].id, "name": "New"},
            {"name": "Nameless"},
            {"id": "unknown", "name": "New"},
        ),
    )

    assert [metric.key for metric in bulk.things] == ["hours"]
    assert complaints(bulk) == [(metrics[0].id, "key"), (metrics[1].id, "units"), (3, "id"), ("unknown", "id")]
    assert [metric.name for metric in desk.definitions.metrics] == ["Laps", "Miles", "New"]


async def test_a_renamed_metric_is_renamed_in_boards_and_in_the_ledger(desk: Desk) -> None:
    """A ledger answers with the boards that it was given."""
    [metric, other] = await make(desk, LAPS, {"name": "Miles", "key": "miles"})
    await make_board(desk, metric, status="active")
    await make_board(desk, metric, key="hidden")
    await make_board(desk, other, key="other", status="active")

    await update_metrics(desk.context, SCOPE, items({"id": metric.id, "name": "Lengths"}))

    [active, hidden, _] = desk.definitions.boards
    assert active.metric.name == hidden.metric.name == "Lengths"
    assert desk.ledger.told == [("redefine", active)]


async def test_a_deleted_metric_is_gone_and_its_key_free(desk: Desk) -> None:
    """It is another metric that has the key then."""
    [metric] = await make(desk, LAPS)

    bulk = await delete_metrics(desk.context, SCOPE, [metric.id, "unknown"])
    [again] = await make(desk, LAPS)

    assert (bulk.things, complaints(bulk)) == ([metric], [("unknown", "id")])
    assert again.number != metric.number
    assert desk.definitions.metrics == (again,)


@pytest.mark.parametrize("status", ["inactive", "active"])
async def test_a_metric_of_an_unfinished_board_cannot_be_deleted(desk: Desk, status: str) -> None:
    """Not even while the board is hidden: it may be activated again."""
    [metric] = await make(desk, LAPS)
    await make_board(desk, metric, status=status, end=day("2026-03-10"))

    bulk = await delete_metrics(desk.context, SCOPE, [metric.id])

    assert (bulk.things, len(bulk.issues)) == ([], 1)
    assert desk.definitions.metrics == (metric,)


async def test_a_metric_of_a_finished_board_can_be_deleted(desk: Desk) -> None:
    """The board keeps showing what it ranked by."""
    [metric] = await make(desk, LAPS)
    await make_board(desk, metric, status="active", end=day("2026-03-10"))
    desk.clock.set("2026-03-12 10:00")

    bulk = await delete_metrics(desk.context, SCOPE, [metric.id])

    assert (bulk.things, bulk.issues) == ([metric], [])
    assert desk.definitions.boards[0].metric == metric


async def test_a_metric_that_streaks_count_cannot_be_deleted(desk: Desk) -> None:
    """Others can."""
    [laps, miles] = await make(desk, LAPS, {"name": "Miles", "key": "miles"})
    await desk.catalog.save_streaks(SCOPE, StreakSettings(metrics=((laps.number, MICROS),), version=1))

    bulk = await delete_metrics(desk.context, SCOPE, [laps.id, miles.id])

    assert bulk.things == [miles]
    assert [(issue.id, "streak" in issue.message) for issue in bulk.issues] == [(laps.id, True)]
