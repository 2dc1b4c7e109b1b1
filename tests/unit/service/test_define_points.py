"""Defining points systems and their triggers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.errors import NotFound, Unavailable
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import PointsSystem, schemes_of
from palmares.service.define_attributes import create_attributes, delete_attributes
from palmares.service.define_boards import create_boards, update_boards
from palmares.service.define_metrics import create_metrics, delete_metrics
from palmares.service.define_points import (
    Within,
    create_points_systems,
    create_triggers,
    delete_points_systems,
    delete_triggers,
    update_points_systems,
    update_triggers,
)
from tests.definitions import SCOPE, Desk, complaints, day, failing, items, open_desk

pytestmark = pytest.mark.anyio

GOLD = {"name": "Gold", "key": "gold"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
async def laps(desk: Desk) -> Metric:
    bulk = await create_metrics(desk.context, SCOPE, items({"name": "Laps", "key": "laps"}))
    return bulk.things[0]


@pytest.fixture
async def attributes(desk: Desk) -> list[Attribute]:
    """One of each kind."""
    given = [{"name": kind, "key": kind, "kind": kind} for kind in ("user", "event")]
    return (await create_attributes(desk.context, SCOPE, items(*given))).things


def paying(metric: Metric, **fields: Any) -> dict[str, Any]:
    """The fields of an active trigger."""
    return {"type": "metric", "points": 5, "metric_id": metric.id, "threshold": 10, "status": "active"} | fields


async def make(desk: Desk, **fields: Any) -> PointsSystem:
    bulk = await create_points_systems(desk.context, SCOPE, items(GOLD | fields))
    assert bulk.issues == []
    return bulk.things[0]


def within(system: PointsSystem) -> Within:
    return Within(SCOPE, system.id)


def pays_by_what_is_defined(desk: Desk) -> bool:
    """Whether the last thing that the ledger was told is what the catalog has."""
    return bool(desk.ledger.told[-1] == ("set_points", schemes_of(desk.definitions.points_systems)))


async def test_a_system_comes_with_its_triggers(desk: Desk, laps: Metric, attributes: list[Attribute]) -> None:
    """The ledger pays by them at once."""
    user, event = attributes
    filters = {"user_filters": [(user.id, "east")], "event_filters": [(event.id, "free")]}
    system = await make(
        desk, max_points=100, triggers=[paying(laps, **filters), {**paying(laps), "status": "inactive"}]
    )

    assert (system.number, system.max_points, desk.definitions.points_systems) == (1, 100, (system,))
    first, second = system.triggers
    assert (first.metric, first.user_filters, first.event_filters) == (laps, ((user, "east"),), ((event, "free"),))
    assert (first.created, first.updated, second.status) == (desk.clock.now, desk.clock.now, "inactive")
    assert pays_by_what_is_defined(desk)
    assert len(desk.ledger.told[-1][1][0].rules) == 1


async def test_a_trigger_is_inactive_unless_it_says_otherwise(desk: Desk, laps: Metric) -> None:
    given = paying(laps)
    del given["status"]
    system = await make(desk, triggers=[given])

    assert system.triggers[0].status == "inactive"
    assert desk.ledger.told == [("set_points", ())]


async def test_what_a_system_cannot_have_yet_is_left_out_with_a_remark(desk: Desk) -> None:
    bulk = await create_points_systems(desk.context, SCOPE, items(GOLD | {"levels": [{"name": "First"}], "boosts": []}))

    assert [system.key for system in bulk.things] == ["gold"]
    assert [(issue.severity, issue.message.partition(":")[0]) for issue in bulk.issues] == [("warning", "levels")]


async def test_a_bad_system_or_trigger_is_an_issue_that_names_the_field(
    desk: Desk, laps: Metric, attributes: list[Attribute]
) -> None:
    user, event = attributes
    bulk = await create_points_systems(
        desk.context,
        SCOPE,
        items(
            GOLD,
            GOLD,
            GOLD | {"key": "a b"},
            GOLD | {"key": "c", "max_points": 0},
            *(
                GOLD | {"key": f"t{number}", "triggers": [paying(laps), paying(laps, **fields)]}
                for number, fields in enumerate(
                    [
                        {"type": "streak"},
                        {"points": 0},
                        {"metric_id": "unknown"},
                        {"threshold": 0},
                        {"user_filters": [(event.id, "x")]},
                        {"event_filters": [(user.id, "x")]},
                        {"event_filters": [("unknown", "x")]},
                    ]
                )
            ),
        ),
    )

    assert [system.key for system in bulk.things] == ["gold"]
    fields = "type points metricId metricThreshold userAttributes eventAttributes eventAttributes".split()
    assert complaints(bulk) == [
        (1, "key"), (2, "key"), (3, "maxPoints"),
        *((place, f"triggers[1].{field}") for place, field in enumerate(fields, start=4)),
    ]  # fmt: skip


async def test_a_trigger_of_a_metric_needs_a_metric_and_a_threshold(desk: Desk, laps: Metric) -> None:
    system = await make(desk)
    bulk = await create_triggers(
        desk.context, within(system), items({"points": 5, "threshold": 1}, {"points": 5, "metric_id": laps.id})
    )

    assert complaints(bulk) == [(0, "metricId"), (1, "metricThreshold")]


async def test_all_but_the_key_of_a_system_changes(desk: Desk) -> None:
    """Boards that rank by it are told its name."""
    system = await make(desk)
    board = {"name": "B", "key": "b", "rank_by": "points", "points_system_id": system.id}
    await create_boards(desk.context, SCOPE, items(board | {"status": "active"}, board | {"key": "hidden"}))
    desk.ledger.told.clear()

    bulk = await update_points_systems(
        desk.context,
        SCOPE,
        items(
            {"id": system.id, "name": "Coins", "key": "gold", "max_points": 7, "badge_url": "x"},
            {"id": "unknown", "name": "X"},
        ),
    )
    again = await update_points_systems(desk.context, SCOPE, items({"id": system.id, "key": "coins"}))

    assert (bulk.things[0].name, bulk.things[0].max_points, complaints(bulk)) == ("Coins", 7, [("unknown", "id")])
    assert complaints(again) == [(system.id, "key")]
    [active, hidden] = desk.definitions.boards
    assert active.points_system.name == hidden.points_system.name == "Coins"
    assert [told for told in desk.ledger.told if told[0] == "redefine"] == [("redefine", active)]


async def test_triggers_are_added_changed_and_deleted(desk: Desk, laps: Metric) -> None:
    """After each step the ledger pays by what there is."""
    system = await make(desk)
    made = await create_triggers(desk.context, within(system), items(paying(laps), paying(laps, points=2)))
    assert (len(made.things), pays_by_what_is_defined(desk)) == (2, True)

    first, second = made.things
    desk.clock.set("2026-03-05 10:00")
    updated = await update_triggers(
        desk.context,
        within(system),
        items({"id": first.id, "points": 9, "block_if_out_of_points": True}, {"id": second.id}, {"id": first.id}),
    )
    changed, unchanged = updated.things
    assert (changed.points, changed.block_if_out_of_points, changed.updated) == (9, True, desk.clock.now)
    assert (unchanged, complaints(updated)) == (second, [(first.id, "id")])
    assert desk.definitions.points_systems[0].triggers == (changed, second)
    assert pays_by_what_is_defined(desk)

    deleted = await delete_triggers(desk.context, within(system), [first.id, "unknown"])
    assert (deleted.things, complaints(deleted)) == ([changed], [("unknown", "id")])
    assert desk.definitions.points_systems[0].triggers == (second,)
    assert desk.definitions.points_triggers[first.id].status == "archived"
    assert pays_by_what_is_defined(desk)


async def test_a_wrong_change_of_a_trigger_is_an_issue(desk: Desk, laps: Metric) -> None:
    system = await make(desk, triggers=[paying(laps)])
    [trigger] = system.triggers
    for fields, field in (
        ({"type": "time"}, "type"),
        ({"points": 0}, "points"),
        ({"metric_id": "unknown"}, "metricId"),
        ({"user_filters": [("unknown", "x")]}, "userAttributes"),
    ):
        bulk = await update_triggers(desk.context, within(system), items({"id": trigger.id} | fields))
        assert complaints(bulk) == [(trigger.id, field)]
    assert desk.definitions.points_systems == (system,)


async def test_triggers_of_another_system_are_not_there(desk: Desk, laps: Metric) -> None:
    gold, silver = await make(desk, triggers=[paying(laps)]), await make(desk, key="silver")
    [trigger] = gold.triggers

    for bulk in (
        await update_triggers(desk.context, within(silver), items({"id": trigger.id, "points": 1})),
        await delete_triggers(desk.context, within(silver), [trigger.id]),
    ):
        assert complaints(bulk) == [(trigger.id, "id")]
    with pytest.raises(NotFound):
        await create_triggers(desk.context, Within(SCOPE, "unknown"), items(paying(laps)))


async def test_a_system_is_deleted_unless_an_unfinished_board_ranks_by_it(desk: Desk, laps: Metric) -> None:
    """Nothing is paid by it from then on, and its key is free."""
    gold, silver = await make(desk, triggers=[paying(laps)]), await make(desk, key="silver")
    board = {"name": "B", "key": "b", "rank_by": "points", "points_system_id": gold.id, "start": day("2026-03-01")}
    [made] = (await create_boards(desk.context, SCOPE, items(board | {"status": "active"}))).things

    bulk = await delete_points_systems(desk.context, SCOPE, [gold.id, silver.id, "unknown"])
    assert (bulk.things, [issue.id for issue in bulk.issues]) == ([silver], [gold.id, "unknown"])
    await update_boards(desk.context, SCOPE, items({"id": made.id, "status": "finished"}))
    assert (await delete_points_systems(desk.context, SCOPE, [gold.id])).things == [gold]
    assert (desk.ledger.told[-1], desk.definitions.boards[0].points_system) == (("set_points", ()), gold.counter)
    assert (await make(desk)).number == 3


async def test_what_a_trigger_needs_cannot_be_deleted(desk: Desk, laps: Metric, attributes: list[Attribute]) -> None:
    """Once the trigger is gone, it can."""
    user, event = attributes
    filters = {"user_filters": [(user.id, "east")], "event_filters": [(event.id, "free")]}
    system = await make(desk, triggers=[paying(laps, status="inactive", **filters)])

    async def delete_all() -> list[Any]:
        metrics = await delete_metrics(desk.context, SCOPE, [laps.id])
        others = await delete_attributes(desk.context, SCOPE, [user.id, event.id])
        return [*metrics.issues, *others.issues]

    assert [("'gold'" in issue.message, issue.id) for issue in await delete_all()] == [
        (True, laps.id), (True, user.id), (True, event.id),
    ]  # fmt: skip
    await delete_triggers(desk.context, within(system), [system.triggers[0].id])
    assert await delete_all() == []


async def test_a_ledger_that_could_not_be_told_is_told_with_the_next_change(desk: Desk, laps: Metric) -> None:
    """The catalog has the change already."""
    system = await make(desk)
    with failing(desk.ledger, "set_points"), pytest.raises(Unavailable):
        await create_triggers(desk.context, within(system), items(paying(laps)))

    await create_triggers(desk.context, within(system), items(paying(laps, points=0)))
    assert pays_by_what_is_defined(desk)
    assert len(desk.definitions.points_systems[0].triggers) == 1
