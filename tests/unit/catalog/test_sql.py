"""The catalog in a database: what is saved is there for the next one who opens it, and for those who have it open."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from palmares.catalog.contract import DEFAULT_SCOPE, ApiKey, Catalog, Definitions, Environment, Tenant
from palmares.catalog.sql import SqlCatalog
from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import PointsSystem, PointsTrigger
from palmares.domain.settings import EnvironmentSettings
from palmares.domain.streak_settings import StreakSettings
from tests.databases import Place, sqlite_in
from tests.definitions import SCOPE, Clock, day

pytestmark = pytest.mark.anyio

LAPS = Metric(0, "metric-1", SCOPE, "laps", "Laps", "number", "laps")
POOL = Attribute("attribute-1", SCOPE, "user", "pool", "Pool")
STROKE = Attribute("attribute-2", SCOPE, "event", "stroke", "Stroke")
KEY = ApiKey("key-1", SCOPE, "first", "abcd1234", b"\0hash\xff", True, 5)
BOARD = Board(number=0, id="board-1", scope=SCOPE, key="laps", name="Laps", rank_by="streak", start=day("2026-03-02"))


@pytest.fixture
async def catalog(place: Place) -> AsyncIterator[SqlCatalog]:
    catalog = await open_at(place)
    yield catalog
    await catalog.close()


@pytest.fixture
async def other(place: Place, catalog: SqlCatalog) -> AsyncIterator[SqlCatalog]:
    """A second process on the same database."""
    other = await open_at(place)
    yield other
    await other.close()


async def open_at(place: Place) -> SqlCatalog:
    return await SqlCatalog.open(place.url, Clock("2026-03-04 10:00"))


def full_board(metric: Metric) -> Board:
    """A board with every field at something other than its default."""
    return Board(
        number=0,
        id="board-1",
        scope=SCOPE,
        key="laps",
        name="Laps",
        description="All laps",
        asked_status="finished",
        rank_by="metric",
        metric=metric,
        max_participants=None,
        start=day("2026-03-02"),
        end=day("2026-04-02"),
        start_time="08:00",
        end_time="20:00:30",
        breakdown=(POOL,),
        filters=((POOL, "east"),),
        run_unit="month",
        run_interval=2,
        aggregation="max",
        order="asc",
        ties="last",
        numbering="dense",
        finished_position=2**40,
    )


async def test_it_keeps_the_contract(catalog: SqlCatalog) -> None:
    """Actions know it only as a `Catalog`; the type checker holds the two together."""
    kept: Catalog = catalog

    assert kept.scopes() == (DEFAULT_SCOPE,)
    assert kept.definitions(DEFAULT_SCOPE) == Definitions()
    assert kept.definitions(99) == Definitions()
    assert kept.keys() == ()


async def test_what_was_saved_is_there_when_it_is_opened_again(place: Place) -> None:
    """Every field of everything, as it was."""
    first = await open_at(place)
    [metric] = await first.save_metrics([LAPS])
    await first.save_attributes([POOL, STROKE])
    [board] = await first.save_boards([full_board(metric)])
    await first.save_key(KEY)
    await first.close()

    second = await open_at(place)
    definitions = second.definitions(SCOPE)
    await second.close()

    assert (metric, board) == (replace(LAPS, number=1), replace(full_board(metric), number=1))
    assert definitions == Definitions(
        metrics=(metric,),
        attributes=(POOL, STROKE),
        boards=(board,),
        metric_by_key={"laps": metric},
        metric_by_id={"metric-1": metric},
        attribute_by_id={"attribute-1": POOL, "attribute-2": STROKE},
        user_attribute_keys=frozenset({"pool"}),
        event_attribute_keys=frozenset({"stroke"}),
        board_by_key={"laps": board},
        board_by_id={"board-1": board},
    )
    assert (second.keys(), second.key("abcd1234"), second.key("abcd")) == ((KEY,), KEY, None)


async def test_a_change_of_a_metric_or_attribute_is_seen_in_the_boards_that_refer_to_it(catalog: SqlCatalog) -> None:
    """A board is stored with references, not with copies."""
    [metric] = await catalog.save_metrics([LAPS])
    await catalog.save_attributes([POOL])
    await catalog.save_boards([full_board(metric)])

    await catalog.save_metrics([replace(metric, name="Lengths")])
    await catalog.save_attributes([replace(POOL, name="Basin")])

    [board] = catalog.definitions(SCOPE).boards
    assert board.metric == replace(metric, name="Lengths")
    assert board.breakdown == (replace(POOL, name="Basin"),)
    assert board.filters == ((replace(POOL, name="Basin"), "east"),)


async def test_an_update_replaces_all_fields_and_keeps_the_number(catalog: SqlCatalog) -> None:
    """A cleared field is cleared on disk too."""
    [metric] = await catalog.save_metrics([LAPS])
    await catalog.save_attributes([POOL])
    [board] = await catalog.save_boards([full_board(metric)])

    await catalog.save_boards([replace(BOARD, number=board.number)])

    assert catalog.definitions(SCOPE).boards == (replace(BOARD, number=1),)


async def test_a_number_is_never_given_again(catalog: SqlCatalog) -> None:
    """The log of the ledger speaks of metrics and boards by number, for ever."""
    [metric] = await catalog.save_metrics([LAPS])
    [board] = await catalog.save_boards([BOARD])
    await catalog.delete_metrics([metric.id])
    await catalog.delete_boards([board.id])

    [later_metric] = await catalog.save_metrics([replace(LAPS, id="metric-2")])
    [later_board] = await catalog.save_boards([replace(BOARD, id="board-2")])

    assert (metric.number, later_metric.number) == (1, 2)
    assert (board.number, later_board.number) == (1, 2)
    assert catalog.definitions(SCOPE).metrics == (later_metric,)
    assert catalog.definitions(SCOPE).boards == (later_board,)


async def test_a_board_keeps_a_metric_and_attributes_that_were_deleted(catalog: SqlCatalog) -> None:
    """A finished board stays readable."""
    [metric] = await catalog.save_metrics([LAPS])
    await catalog.save_attributes([POOL])
    await catalog.save_boards([full_board(metric)])

    await catalog.delete_metrics([metric.id])
    await catalog.delete_attributes([POOL.id])

    definitions = catalog.definitions(SCOPE)
    assert (definitions.metrics, definitions.attributes) == ((), ())
    assert (definitions.boards[0].metric, definitions.boards[0].breakdown) == (metric, (POOL,))


def system(metric: Metric, **fields: Any) -> PointsSystem:
    """A points system with a trigger, every field at something other than its default."""
    trigger = PointsTrigger(
        id="trigger-1", points=-5, metric=metric, threshold=10, status="active", user_filters=((POOL, "east"),),
        event_filters=((STROKE, "free"),), block_if_out_of_points=True, created=7, updated=8,
    )  # fmt: skip
    made: dict[str, Any] = {
        "number": 0, "id": "points-1", "scope": SCOPE, "key": "gold", "name": "Gold", "description": "What shines",
        "badge_url": "https://example.org/gold.png", "max_points": 100, "triggers": (trigger,),
    }  # fmt: skip
    return PointsSystem(**made | fields)


async def test_points_systems_are_kept_with_their_triggers(place: Place) -> None:
    """And boards know the systems that they rank by."""
    first = await open_at(place)
    [metric] = await first.save_metrics([LAPS])
    await first.save_attributes([POOL, STROKE])
    [gold] = await first.save_points_systems([system(metric)])
    board = replace(BOARD, rank_by="points", points_system=gold.counter)
    await first.save_boards([board])
    await first.close()

    second = await open_at(place)
    definitions = second.definitions(SCOPE)
    await second.close()

    assert gold == replace(system(metric), number=1)
    assert (definitions.points_systems, definitions.points_triggers) == ((gold,), {"trigger-1": gold.triggers[0]})
    assert (definitions.points_system_by_key, definitions.points_system_by_id) == ({"gold": gold}, {"points-1": gold})
    assert definitions.boards == (replace(board, number=1),)
    assert gold.counter.number == -1


async def test_a_change_of_a_points_system_changes_its_triggers_too(catalog: SqlCatalog) -> None:
    [metric] = await catalog.save_metrics([LAPS])
    await catalog.save_attributes([POOL, STROKE])
    [gold] = await catalog.save_points_systems([system(metric)])
    more = replace(gold.triggers[0], id="trigger-2", user_filters=(), points=1)

    [changed] = await catalog.save_points_systems(
        [replace(gold, badge_url=None, triggers=(replace(gold.triggers[0], points=3), more))]
    )

    assert catalog.definitions(SCOPE).points_systems == (changed,)
    assert [(trigger.id, trigger.points) for trigger in changed.triggers] == [("trigger-1", 3), ("trigger-2", 1)]
    assert (changed.number, changed.badge_url) == (1, None)


async def test_what_is_deleted_of_points_is_still_told(catalog: SqlCatalog) -> None:
    """A deleted trigger is archived, a deleted system is known to boards; its number is never given again."""
    [metric] = await catalog.save_metrics([LAPS])
    await catalog.save_attributes([POOL, STROKE])
    [gold] = await catalog.save_points_systems([system(metric)])
    await catalog.save_boards([replace(BOARD, rank_by="points", points_system=gold.counter)])

    await catalog.delete_points_triggers(["trigger-1"], 99)
    definitions = catalog.definitions(SCOPE)
    archived = definitions.points_triggers["trigger-1"]
    assert (definitions.points_systems[0].triggers, archived.status, archived.updated) == ((), "archived", 99)

    await catalog.delete_points_systems(["points-1"])
    [again] = await catalog.save_points_systems([system(metric, id="points-2", triggers=())])
    definitions = catalog.definitions(SCOPE)
    assert (definitions.points_systems, again.number) == ((again,), 2)
    assert definitions.boards[0].points_system == gold.counter


async def test_saving_is_all_or_none(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """The second of the three has a key that another process has just given."""
    await other.save_metrics([LAPS])

    with pytest.raises(Unavailable):
        await catalog.save_metrics([replace(LAPS, id=f"metric-{key}", key=key) for key in ("miles", "laps", "hours")])
    await catalog.refresh()

    assert [metric.key for metric in catalog.definitions(SCOPE).metrics] == ["laps"]


async def test_a_key_may_be_equal_in_different_kinds_of_attributes(catalog: SqlCatalog) -> None:
    """A key is unique per kind."""
    await catalog.save_attributes([POOL, replace(STROKE, key="pool")])

    assert catalog.definitions(SCOPE).user_attribute_keys == {"pool"}
    assert catalog.definitions(SCOPE).event_attribute_keys == {"pool"}


async def test_two_processes_see_each_others_changes_after_a_refresh(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """Keys are made on the command line while the server runs."""
    await catalog.save_metrics([LAPS])
    await other.save_key(KEY)

    assert (other.definitions(SCOPE).metrics, catalog.keys()) == ((replace(LAPS, number=1),), ())
    assert await catalog.refresh()
    assert catalog.keys() == (KEY,)
    assert not await catalog.refresh()


async def test_a_change_begins_with_what_others_left_behind(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """So a check inside it looks at the newest definitions."""
    await other.save_metrics([LAPS])

    async with catalog.changing():
        assert "laps" in catalog.definitions(SCOPE).metric_by_key


async def test_one_change_waits_for_another(catalog: SqlCatalog) -> None:
    """What was checked at its beginning still holds when it saves."""
    order: list[str] = []

    async def change(name: str) -> None:
        async with catalog.changing():
            order.append(f"{name} begins")
            await catalog.save_attributes([POOL])
            order.append(f"{name} ends")

    async with anyio.create_task_group() as group:
        group.start_soon(change, "one")
        group.start_soon(change, "two")

    assert order in (
        ["one begins", "one ends", "two begins", "two ends"],
        ["two begins", "two ends", "one begins", "one ends"],
    )


async def test_the_last_use_of_a_key_is_written_with_the_next_refresh(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """Authenticating a request writes nothing; other processes need not hear of it."""
    await catalog.save_key(KEY)
    await other.refresh()
    catalog.touch_key(KEY.id, 77)

    assert catalog.key(KEY.prefix) == KEY
    assert await catalog.refresh()
    assert catalog.key(KEY.prefix) == replace(KEY, last_used=77)
    assert not await other.refresh()


async def test_the_last_use_of_a_key_is_written_when_the_catalog_closes(place: Place) -> None:
    """Only a crash loses it."""
    first = await open_at(place)
    await first.save_key(KEY)
    first.touch_key(KEY.id, 77)
    await first.close()

    second = await open_at(place)
    await second.close()

    assert second.keys() == (replace(KEY, last_used=77),)


async def test_changing_a_key_does_not_take_back_its_last_use(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """The command line knows an older time of last use than the server has written meanwhile."""
    await catalog.save_key(KEY)
    await other.refresh()
    catalog.touch_key(KEY.id, 77)
    await catalog.refresh()

    await other.save_key(replace(KEY, active=False))
    await catalog.refresh()

    assert catalog.keys() == (replace(KEY, active=False, last_used=77),)


async def test_a_deleted_key_is_gone_at_once_and_its_prefix_free(catalog: SqlCatalog) -> None:
    """Nothing refers to a key."""
    await catalog.save_key(KEY)
    catalog.touch_key(KEY.id, 77)

    await catalog.delete_key(KEY.id)
    await catalog.refresh()
    await catalog.save_key(replace(KEY, id="key-2"))

    assert catalog.keys() == (replace(KEY, id="key-2"),)


async def test_a_database_that_does_not_work_is_unavailable_and_then_works_again(
    place: Place, catalog: SqlCatalog
) -> None:
    """The time of last use that was to be written with the failed refresh is written with the next."""
    await catalog.save_key(KEY)
    catalog.touch_key(KEY.id, 77)
    rename(place, "revision", "away")

    with pytest.raises(Unavailable):
        await catalog.save_metrics([LAPS])
    with pytest.raises(Unavailable):
        await catalog.refresh()
    assert catalog.definitions(SCOPE).metrics == ()

    rename(place, "away", "revision")
    await catalog.save_metrics([LAPS])
    await catalog.refresh()
    assert (len(catalog.definitions(SCOPE).metrics), catalog.keys()[0].last_used) == (1, 77)


async def test_two_processes_may_open_a_new_catalog_at_once(place: Place) -> None:
    """One makes the tables, the other waits and finds them made."""
    opened: list[SqlCatalog] = []

    async def open_one() -> None:
        opened.append(await open_at(place))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(open_one)

    assert [catalog.scopes() for catalog in opened] == [(DEFAULT_SCOPE,)] * 4
    for catalog in opened:
        await catalog.close()


async def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """Opening fails; it makes no folders."""
    with pytest.raises(Unavailable):
        await open_at(sqlite_in(tmp_path / "nowhere"))


async def test_a_catalog_of_a_newer_version_is_not_touched(place: Place) -> None:
    """A program must not guess at tables that it does not know."""
    await (await open_at(place)).close()
    place.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(Unavailable, match="newer version"):
        await open_at(place)


async def test_it_works_in_memory_too() -> None:
    """For scripts and tests that keep nothing."""
    catalog = await SqlCatalog.open("sqlite://", Clock("2026-03-04 10:00"))
    await catalog.save_metrics([LAPS])
    await catalog.refresh()

    assert [metric.key for metric in catalog.definitions(SCOPE).metrics] == ["laps"]
    await catalog.close()


def rename(place: Place, table: str, name: str) -> None:
    place.execute(f"ALTER TABLE {table} RENAME TO {name}")


async def test_a_scope_keeps_its_settings_of_streaks(place: Place) -> None:
    """Every field, and the newest; until something is saved, the defaults hold."""
    first = await open_at(place)
    before = first.definitions(SCOPE).streaks
    await first.save_streaks(SCOPE, StreakSettings("weekly", version=1))
    saved = StreakSettings("daily", "AND", ((2, 5_000_000), (1, 1_000_000)), (0, 6), True, 2)
    await first.save_streaks(SCOPE, saved)
    await first.close()

    second = await open_at(place)
    found = second.definitions(SCOPE).streaks
    await second.close()

    assert before == StreakSettings()
    assert first.definitions(SCOPE).streaks == found == saved


async def test_another_process_picks_up_the_settings_of_streaks(catalog: SqlCatalog, other: SqlCatalog) -> None:
    await catalog.save_streaks(SCOPE, StreakSettings("monthly", version=1))

    assert await other.refresh()
    assert other.definitions(SCOPE).streaks.frequency == "monthly"


async def test_settings_belong_to_an_environment_with_all_its_tenants(place: Place) -> None:
    """They are there again after a restart, and another environment has its own."""
    first = await open_at(place)
    staging = await first.save_environment(Environment(0, "staging", "Staging", 2, created=5))
    [tenant] = await first.save_tenants([Tenant("tenant-1", 1, "acme", "Acme", created=5, updated=5)])
    set_ = EnvironmentSettings(
        app_name="Laps", app_url="https://example.com", brand_color="#fff", font="BOOK_SERIF",
        logo="https://example.com/logo", app_icon="https://example.com/icon", control_ratio=25,
        user_activation_window=14, aggregation_period="monthly",
    )  # fmt: skip
    await first.save_settings(SCOPE, EnvironmentSettings(control_ratio=99))
    await first.save_settings(tenant.scope, set_)
    await first.close()

    second = await open_at(place)
    found = [second.definitions(scope).settings for scope in (SCOPE, tenant.scope, staging.scope)]
    await second.close()

    assert found == [set_, set_, EnvironmentSettings()]
