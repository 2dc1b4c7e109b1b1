"""All of the catalog in memory: how rows become definitions, and definitions rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select

from palmares.catalog import tables
from palmares.catalog.contract import ApiKey, Definitions, Environment, Tenant, Tenants
from palmares.domain.board import Board
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import Filters, PointsSystem, PointsTrigger
from palmares.domain.settings import EnvironmentSettings
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.webhook import Webhook

# What belongs to one scope.
Scoped = TypeVar("Scoped", Metric, Attribute, Board, PointsSystem, Webhook)

# What a thing and its row have alike. Metrics, points systems and attributes that others name are stored as references.
_ENVIRONMENT = "id key name priority created multi_tenancy".split()
_TENANT = "id customer_id name created updated".split()
_METRIC = "id scope key name unit_type units".split()
_ATTRIBUTE = "id scope kind key name".split()
_POINTS_SYSTEM = "id scope key name description badge_url max_points".split()
_POINTS_TRIGGER = "id points threshold status block_if_out_of_points created updated".split()
_STREAKS = "frequency evaluation_mode metrics days_off customization_enabled version".split()
_WEBHOOK = "id scope name url status secret created".split()
_SETTINGS = (
    "app_name app_url brand_color font logo app_icon control_ratio user_activation_window aggregation_period"
).split()
_KEY = "id scope name prefix secret_hash active created last_used".split()
_BOARD = (
    "id scope key name description asked_status rank_by max_participants start end start_time "
    "end_time run_unit run_interval aggregation order ties numbering late_events ready finished_position"
).split()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole catalog as of one revision, but for application keys.

    `scopes` are those that can be reached; `environment_by_scope` knows the others too.
    """

    revision: int
    scopes: Sequence[int]
    environments: Sequence[Environment]
    environment_by_scope: Mapping[int, Environment]
    tenants: Mapping[int, Tenants]
    tenant_by_scope: Mapping[int, Tenant]
    keys: Sequence[ApiKey]
    key_by_prefix: Mapping[str, ApiKey]
    definitions: Mapping[int, Definitions]


EMPTY = Snapshot(-1, (), (), {}, {}, {}, (), {}, {})


def load(connection: Connection) -> Snapshot:
    """Read everything, in the transaction of the connection. Cost: one pass over each table."""
    revision = connection.scalar(select(tables.revision.c.number))
    scope_rows = connection.execute(select(tables.scopes).order_by(tables.scopes.c.id)).all()
    environments = _environments(connection, scope_rows)
    by_id = {environment.id: environment for environment in environments}
    tenants = _tenants(connection, scope_rows)
    tenant_by_scope = {tenant.scope: tenant for tenant in tenants}
    scopes = [row.id for row in scope_rows if row.tenant_id is None or row.id in tenant_by_scope]
    keys = [ApiKey(**_fields(row, _KEY)) for row in _rows(connection, tables.api_keys)]
    return Snapshot(
        revision=-1 if revision is None else revision,
        scopes=tuple(scopes),
        environments=environments,
        environment_by_scope={row.id: by_id[row.environment_id] for row in scope_rows},
        tenants=_tenants_by_environment(tenants),
        tenant_by_scope=tenant_by_scope,
        keys=tuple(keys),
        key_by_prefix={key.prefix: key for key in keys},
        definitions=_definitions(connection, scopes),
    )


def with_use(snapshot: Snapshot, used: Mapping[str, int]) -> Snapshot:
    """The snapshot with other times of last use, by key id."""
    keys = tuple(replace(key, last_used=used.get(key.id, key.last_used)) for key in snapshot.keys)
    return replace(snapshot, keys=keys, key_by_prefix={key.prefix: key for key in keys})


def environment_row(environment: Environment) -> dict[str, Any]:
    """The columns of an environment."""
    return {name: getattr(environment, name) for name in _ENVIRONMENT}


def tenant_row(tenant: Tenant) -> dict[str, Any]:
    """The columns of a tenant that is not archived, but for its number."""
    fields = {name: getattr(tenant, name) for name in _TENANT}
    return fields | {"environment_id": tenant.environment, "deleted": False}


def metric_row(metric: Metric) -> dict[str, Any]:
    """The columns of a metric that is not deleted, but for its number."""
    return {name: getattr(metric, name) for name in _METRIC} | {"deleted": False}


def attribute_row(attribute: Attribute) -> dict[str, Any]:
    """The columns of an attribute that is not deleted, but for its number."""
    return {name: getattr(attribute, name) for name in _ATTRIBUTE} | {"deleted": False}


def board_row(board: Board) -> dict[str, Any]:
    """The columns of a board that is not deleted, but for its number."""
    return {name: getattr(board, name) for name in _BOARD} | {
        "metric_number": board.metric.number if board.metric else None,
        "points_system_id": board.points_system.id if board.points_system else None,
        "breakdown": [attribute.id for attribute in board.breakdown],
        "filters": _filter_rows(board.filters),
        "deleted": False,
    }


def points_system_row(system: PointsSystem) -> dict[str, Any]:
    """The columns of a points system that is not deleted, but for its number."""
    return {name: getattr(system, name) for name in _POINTS_SYSTEM} | {"deleted": False}


def points_trigger_row(trigger: PointsTrigger) -> dict[str, Any]:
    """The columns of a trigger, but for its number and that of its system."""
    return {name: getattr(trigger, name) for name in _POINTS_TRIGGER} | {
        "metric_number": trigger.metric.number,
        "user_filters": _filter_rows(trigger.user_filters),
        "event_filters": _filter_rows(trigger.event_filters),
    }


def _filter_rows(filters: Filters) -> list[list[str]]:
    return [[attribute.id, value] for attribute, value in filters]


def streak_row(settings: StreakSettings) -> dict[str, Any]:
    """The columns of the settings of streaks, but for their scope."""
    return {name: getattr(settings, name) for name in _STREAKS}


def settings_row(settings: EnvironmentSettings) -> dict[str, Any]:
    """The columns of the settings of an environment, but for its id."""
    return asdict(settings)


def webhook_row(webhook: Webhook) -> dict[str, Any]:
    """The columns of a webhook, but for its number."""
    return {name: getattr(webhook, name) for name in _WEBHOOK} | {"events": list(webhook.events)}


def key_row(key: ApiKey) -> dict[str, Any]:
    """The columns of a key, but for its number."""
    return {name: getattr(key, name) for name in _KEY}


def _rows(connection: Connection, table: Any) -> Sequence[Row[Any]]:
    return connection.execute(select(table).order_by(table.c.number)).all()


def _fields(row: Row[Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row._mapping[name] for name in names}


def _environments(connection: Connection, scope_rows: Sequence[Row[Any]]) -> tuple[Environment, ...]:
    own_scopes = {row.environment_id: row.id for row in scope_rows if row.tenant_id is None}
    order = tables.environments.c.priority, tables.environments.c.id
    rows = connection.execute(select(tables.environments).order_by(*order))
    return tuple(Environment(scope=own_scopes[row.id], **_fields(row, _ENVIRONMENT)) for row in rows)


def _tenants(connection: Connection, scope_rows: Sequence[Row[Any]]) -> list[Tenant]:
    """Those that are not archived, oldest first."""
    scopes = {row.tenant_id: row.id for row in scope_rows}
    return [
        Tenant(environment=row.environment_id, scope=scopes[row.id], **_fields(row, _TENANT))
        for row in _rows(connection, tables.tenants)
        if not row.deleted
    ]


def _tenants_by_environment(tenants: Sequence[Tenant]) -> dict[int, Tenants]:
    grouped: defaultdict[int, list[Tenant]] = defaultdict(list)
    for tenant in tenants:
        grouped[tenant.environment].append(tenant)
    return {
        environment: Tenants(
            tuple(some),
            {tenant.id: tenant for tenant in some},
            {tenant.customer_id: tenant for tenant in some},
        )
        for environment, some in grouped.items()
    }


def _definitions(connection: Connection, scopes: Sequence[int]) -> dict[int, Definitions]:
    """The definitions of each scope. What is deleted is left out, but boards that refer to it still find it."""
    metrics = {
        row.number: (Metric(number=row.number, **_fields(row, _METRIC)), row.deleted)
        for row in _rows(connection, tables.metrics)
    }
    attributes = {
        row.id: (Attribute(**_fields(row, _ATTRIBUTE)), row.deleted) for row in _rows(connection, tables.attributes)
    }
    triggers = _triggers(connection, metrics, attributes)
    systems = {
        row.id: (_points_system(row, triggers[row.number]), row.deleted)
        for row in _rows(connection, tables.points_systems)
    }
    boards = _by_scope(
        _board(row, metrics, attributes, systems) for row in _rows(connection, tables.boards) if not row.deleted
    )
    live_systems = _by_scope(system for system, deleted in systems.values() if not deleted)
    triggers_ever: defaultdict[int, dict[str, PointsTrigger]] = defaultdict(dict)
    for system, _ in systems.values():
        triggers_ever[system.scope].update((trigger.id, trigger) for trigger in triggers[system.number])
    live_metrics = _by_scope(metric for metric, deleted in metrics.values() if not deleted)
    live_attributes = _by_scope(attribute for attribute, deleted in attributes.values() if not deleted)
    webhooks = _by_scope(_webhook(row) for row in _rows(connection, tables.webhooks))
    streaks = {row.scope: _streaks(row) for row in connection.execute(select(tables.streak_settings))}
    settings = _settings(connection)
    return {
        scope: _of_scope(
            live_metrics[scope],
            live_attributes[scope],
            boards[scope],
            live_systems[scope],
            triggers_ever[scope],
            streaks.get(scope, StreakSettings()),
            webhooks[scope],
            settings.get(scope, EnvironmentSettings()),
        )
        for scope in scopes
    }


def _by_scope(things: Iterable[Scoped]) -> defaultdict[int, list[Scoped]]:
    """There may be thousands of scopes, so no list is gone through for each of them."""
    grouped: defaultdict[int, list[Scoped]] = defaultdict(list)
    for thing in things:
        grouped[thing.scope].append(thing)
    return grouped


def _board(
    row: Row[Any],
    metrics: Mapping[int, tuple[Metric, bool]],
    attributes: Mapping[str, tuple[Attribute, bool]],
    systems: Mapping[str, tuple[PointsSystem, bool]],
) -> Board:
    return Board(
        number=row.number,
        metric=None if row.metric_number is None else metrics[row.metric_number][0],
        points_system=None if row.points_system_id is None else systems[row.points_system_id][0].counter,
        breakdown=tuple(attributes[attribute_id][0] for attribute_id in row.breakdown),
        filters=_filters(row.filters, attributes),
        **_fields(row, _BOARD),
    )


def _filters(stored: Sequence[Sequence[str]], attributes: Mapping[str, tuple[Attribute, bool]]) -> Filters:
    return tuple((attributes[attribute_id][0], value) for attribute_id, value in stored)


def _triggers(
    connection: Connection,
    metrics: Mapping[int, tuple[Metric, bool]],
    attributes: Mapping[str, tuple[Attribute, bool]],
) -> defaultdict[int, list[PointsTrigger]]:
    """The triggers of each system by its number, archived ones too, oldest first."""
    grouped: defaultdict[int, list[PointsTrigger]] = defaultdict(list)
    for row in _rows(connection, tables.points_triggers):
        trigger = PointsTrigger(
            metric=metrics[row.metric_number][0],
            user_filters=_filters(row.user_filters, attributes),
            event_filters=_filters(row.event_filters, attributes),
            **_fields(row, _POINTS_TRIGGER),
        )
        grouped[row.system_number].append(trigger)
    return grouped


def _points_system(row: Row[Any], triggers: Sequence[PointsTrigger]) -> PointsSystem:
    present = tuple(trigger for trigger in triggers if trigger.status != "archived")
    return PointsSystem(number=row.number, triggers=present, **_fields(row, _POINTS_SYSTEM))


def _streaks(row: Row[Any]) -> StreakSettings:
    metrics = tuple((number, threshold) for number, threshold in row.metrics)
    fields = _fields(row, ["frequency", "evaluation_mode", "customization_enabled", "version"])
    return StreakSettings(metrics=metrics, days_off=tuple(row.days_off), **fields)


def _settings(connection: Connection) -> dict[int, EnvironmentSettings]:
    """The settings that hold in each scope: those of its environment, where it has set any."""
    scope, settings = tables.scopes, tables.settings
    found = connection.execute(
        select(scope.c.id.label("scope"), settings).where(scope.c.environment_id == settings.c.environment_id)
    )
    return {row.scope: EnvironmentSettings(**_fields(row, _SETTINGS)) for row in found}


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(number=row.number, events=tuple(row.events), **_fields(row, _WEBHOOK))


def _of_scope(
    metrics: Sequence[Metric],
    attributes: Sequence[Attribute],
    boards: Sequence[Board],
    points_systems: Sequence[PointsSystem],
    points_triggers: Mapping[str, PointsTrigger],
    streaks: StreakSettings,
    webhooks: Sequence[Webhook],
    settings: EnvironmentSettings,
) -> Definitions:
    return Definitions(
        metrics=tuple(metrics),
        attributes=tuple(attributes),
        boards=tuple(boards),
        metric_by_key={metric.key: metric for metric in metrics},
        metric_by_id={metric.id: metric for metric in metrics},
        attribute_by_id={attribute.id: attribute for attribute in attributes},
        user_attribute_keys=frozenset(attribute.key for attribute in attributes if attribute.kind == "user"),
        event_attribute_keys=frozenset(attribute.key for attribute in attributes if attribute.kind == "event"),
        board_by_key={board.key: board for board in boards},
        board_by_id={board.id: board for board in boards},
        points_systems=tuple(points_systems),
        points_system_by_key={system.key: system for system in points_systems},
        points_system_by_id={system.id: system for system in points_systems},
        points_triggers=points_triggers,
        streaks=streaks,
        webhooks=tuple(webhooks),
        webhook_by_id={webhook.id: webhook for webhook in webhooks},
        settings=settings,
    )
