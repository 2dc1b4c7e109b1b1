"""All of the catalog in memory: how rows become definitions, and definitions rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from palmares.catalog import tables
from palmares.catalog.contract import ApiKey, Definitions
from palmares.domain.board import Board
from palmares.domain.metric import Attribute, Metric
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.webhook import Webhook

# What a thing and its row have alike. A board's metric, breakdown and filters are stored as references.
_METRIC = "id scope key name unit_type units".split()
_ATTRIBUTE = "id scope kind key name".split()
_WEBHOOK = "id scope name url status secret created".split()
_KEY = "id scope name prefix secret_hash active created last_used".split()
_BOARD = (
    "id scope key name description asked_status rank_by points_system_id max_participants start end start_time "
    "end_time run_unit run_interval aggregation order ties numbering late_events ready finished_position"
).split()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole catalog as of one revision."""

    revision: int
    scopes: Sequence[int]
    keys: Sequence[ApiKey]
    key_by_prefix: Mapping[str, ApiKey]
    definitions: Mapping[int, Definitions]


EMPTY = Snapshot(-1, (), (), {}, {})


def load(connection: Connection) -> Snapshot:
    """Read everything, in the transaction of the connection. Cost: one pass over each table."""
    revision = connection.scalar(select(tables.revision.c.number))
    scopes = connection.scalars(select(tables.scopes.c.id).order_by(tables.scopes.c.id)).all()
    keys = [ApiKey(**_fields(row, _KEY)) for row in _rows(connection, tables.api_keys)]
    return Snapshot(
        revision=-1 if revision is None else revision,
        scopes=tuple(scopes),
        keys=tuple(keys),
        key_by_prefix={key.prefix: key for key in keys},
        definitions=_definitions(connection, scopes),
    )


def with_use(snapshot: Snapshot, used: Mapping[str, int]) -> Snapshot:
    """The snapshot with other times of last use, by key id."""
    keys = tuple(replace(key, last_used=used.get(key.id, key.last_used)) for key in snapshot.keys)
    return replace(snapshot, keys=keys, key_by_prefix={key.prefix: key for key in keys})


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
        "breakdown": [attribute.id for attribute in board.breakdown],
        "filters": [[attribute.id, value] for attribute, value in board.filters],
        "deleted": False,
    }


def streak_row(settings: StreakSettings) -> dict[str, Any]:
    """The columns of the settings of streaks, but for their scope."""
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


def _definitions(connection: Connection, scopes: Sequence[int]) -> dict[int, Definitions]:
    """The definitions of each scope. What is deleted is left out, but boards that refer to it still find it."""
    metrics = {
        row.number: (Metric(number=row.number, **_fields(row, _METRIC)), row.deleted)
        for row in _rows(connection, tables.metrics)
    }
    attributes = {
        row.id: (Attribute(**_fields(row, _ATTRIBUTE)), row.deleted) for row in _rows(connection, tables.attributes)
    }
    boards = [_board(row, metrics, attributes) for row in _rows(connection, tables.boards) if not row.deleted]
    webhooks = [_webhook(row) for row in _rows(connection, tables.webhooks)]
    streaks = {row.scope: _streaks(row) for row in connection.execute(select(tables.streak_settings))}
    return {
        scope: _of_scope(
            [metric for metric, deleted in metrics.values() if metric.scope == scope and not deleted],
            [attribute for attribute, deleted in attributes.values() if attribute.scope == scope and not deleted],
            [board for board in boards if board.scope == scope],
            streaks.get(scope, StreakSettings()),
            [webhook for webhook in webhooks if webhook.scope == scope],
        )
        for scope in scopes
    }


def _board(
    row: Row[Any], metrics: Mapping[int, tuple[Metric, bool]], attributes: Mapping[str, tuple[Attribute, bool]]
) -> Board:
    return Board(
        number=row.number,
        metric=None if row.metric_number is None else metrics[row.metric_number][0],
        breakdown=tuple(attributes[attribute_id][0] for attribute_id in row.breakdown),
        filters=tuple((attributes[attribute_id][0], value) for attribute_id, value in row.filters),
        **_fields(row, _BOARD),
    )


def _streaks(row: Row[Any]) -> StreakSettings:
    metrics = tuple((number, threshold) for number, threshold in row.metrics)
    fields = _fields(row, ["frequency", "evaluation_mode", "customization_enabled", "version"])
    return StreakSettings(metrics=metrics, days_off=tuple(row.days_off), **fields)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(number=row.number, events=tuple(row.events), **_fields(row, _WEBHOOK))


def _of_scope(
    metrics: Sequence[Metric],
    attributes: Sequence[Attribute],
    boards: Sequence[Board],
    streaks: StreakSettings,
    webhooks: Sequence[Webhook],
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
        streaks=streaks,
        webhooks=tuple(webhooks),
        webhook_by_id={webhook.id: webhook for webhook in webhooks},
    )
