"""The shapes of the Admin API as msgspec structs, and the way between them and the domain's objects.

Optional fields of an answer are left out when unset, as their schemas have no null. In requests an absent field means
"unchanged"; an explicit null clears it where there is something to clear, and else means "not given".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from palmares.api.wire import Day, Text, Uuid
from palmares.domain.board import MOST, Aggregation, Board, LateEvents, Numbering, Order, RankBy, Ties
from palmares.domain.board import Status as BoardStatus
from palmares.domain.local_time import format_day, parse_day
from palmares.domain.metric import Attribute, AttributeKind, Metric, UnitType
from palmares.domain.run import RunUnit
from palmares.service import bulk

Name = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema={"pattern": r"\S"})]
# The pattern is checked by the rules, which explain it better than a decoder would.
Key = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema={"pattern": "^[A-Za-z0-9_-]+$"})]
Units = Annotated[str, Meta(max_length=255, description="An ISO 4217 code for a currency, any label for a number.")]
Description = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=1, le=MOST)]
Cap = Annotated[Count, Meta(description="Most ranked users of a group and run; null is no cap.")]
_TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
Time = Annotated[str, Meta(description="Local time, HH:mm or HH:mm:ss.", extra_json_schema={"pattern": _TIME})]
Participants = Literal["users"]
Late = Annotated[
    LateEvents, Meta(description="What events do that are recorded after their run is final: nothing, or revise it.")
]
Revising = Annotated[bool, Meta(description="There when late events or history are not in all runs and days yet.")]
Progress = Annotated[
    float, Meta(ge=0, le=1, description="How much is made of the rankings of a leaderboard that is becoming active.")
]


# What all bulk answers have


class Issue(Struct, rename="camel", kw_only=True):
    """A remark on one item; with severity error, the item was not applied. `index` counts items without id from 0."""

    severity: Literal["error", "warning"]
    message: str
    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    user_id: Annotated[str, Meta(description="Whom the item is about.")] | UnsetType = UNSET


class DeletedItem(Struct):
    """What was deleted."""

    id: Uuid


class Deleted(Struct):
    """What was deleted, and why the rest was not."""

    deleted: list[DeletedItem]
    issues: list[Issue]


def issue(found: bulk.Issue) -> Issue:
    """The wire form of an issue."""
    return Issue(
        severity=found.severity,
        message=found.message,
        index=UNSET if found.index is None else found.index,
        id=UNSET if found.id is None else found.id,
    )


def given(request: Struct, *clearable: str) -> dict[str, Any]:
    """The fields of a request that were given, by their names in Python; nulls only where they clear something."""
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    return {name: value for name, value in fields.items() if _counts(value, name in clearable)}


def _counts(value: Any, clearable: bool) -> bool:
    return value is not UNSET and (value is not None or clearable)


# Metrics


class NewMetric(Struct, rename="camel", kw_only=True):
    """A metric to create."""

    name: Name
    key: Key
    unit_type: UnitType | UnsetType | None = UNSET
    units: Units | UnsetType | None = UNSET


class MetricUpdate(Struct, rename="camel", kw_only=True):
    """The given fields of a metric. Its key never changes; it may be given as it is."""

    id: Uuid
    name: Name | UnsetType | None = UNSET
    key: Key | UnsetType | None = UNSET
    unit_type: UnitType | UnsetType | None = UNSET
    units: Units | UnsetType | None = UNSET


class AdminMetric(Struct, rename="camel"):
    """A metric."""

    id: Uuid
    name: str
    key: str
    unit_type: UnitType
    units: str


class CreatedMetrics(Struct):
    """The metrics that were created, and why the rest were not."""

    created: list[AdminMetric]
    issues: list[Issue]


class UpdatedMetrics(Struct):
    """The metrics that were updated, and why the rest were not."""

    updated: list[AdminMetric]
    issues: list[Issue]


def metric_fields(request: NewMetric | MetricUpdate) -> dict[str, Any]:
    """The given fields as `service/define_metrics.py` takes them."""
    return _without_id(given(request))


def admin_metric(metric: Metric) -> AdminMetric:
    """The wire form of a metric."""
    return AdminMetric(metric.id, metric.name, metric.key, metric.unit_type, metric.units)


# Attributes


class NewAttribute(Struct, kw_only=True):
    """An attribute to create."""

    name: Name
    key: Key
    type: AttributeKind


class AttributeUpdate(Struct, kw_only=True):
    """The given fields of an attribute. Its key and type never change; they may be given as they are."""

    id: Uuid
    name: Name | UnsetType | None = UNSET
    key: Key | UnsetType | None = UNSET
    type: AttributeKind | UnsetType | None = UNSET


class AdminAttribute(Struct):
    """An attribute."""

    id: Uuid
    name: str
    key: str
    type: AttributeKind


class CreatedAttributes(Struct):
    """The attributes that were created, and why the rest were not."""

    created: list[AdminAttribute]
    issues: list[Issue]


class UpdatedAttributes(Struct):
    """The attributes that were updated, and why the rest were not."""

    updated: list[AdminAttribute]
    issues: list[Issue]


def attribute_fields(request: NewAttribute | AttributeUpdate) -> dict[str, Any]:
    """The given fields as `service/define_attributes.py` takes them."""
    return _renamed(_without_id(given(request)), {"type": "kind"})


def admin_attribute(attribute: Attribute) -> AdminAttribute:
    """The wire form of an attribute."""
    return AdminAttribute(attribute.id, attribute.name, attribute.key, attribute.kind)


# Leaderboards


class Filter(Struct, rename="camel"):
    """Only users with this value of this attribute take part."""

    attribute_id: Uuid
    attribute_value: Text


Breakdown = Annotated[list[Uuid], Meta(max_length=100)]
Filters = Annotated[list[Filter], Meta(max_length=100)]


class LeaderboardFields(Struct, rename="camel", kw_only=True):
    """What may be given of a leaderboard. While it is not inactive, only name, description, status, end may change."""

    description: Description | UnsetType | None = UNSET
    status: BoardStatus | UnsetType | None = UNSET
    metric_id: Uuid | UnsetType | None = UNSET
    points_system_id: Uuid | UnsetType | None = UNSET
    max_participants: Cap | UnsetType | None = UNSET
    start: Day | UnsetType | None = UNSET
    end: Day | UnsetType | None = UNSET
    start_time: Time | UnsetType | None = UNSET
    end_time: Time | UnsetType | None = UNSET
    breakdown_attributes: Breakdown | UnsetType | None = UNSET
    user_attributes: Filters | UnsetType | None = UNSET
    run_unit: RunUnit | UnsetType | None = UNSET
    run_interval: Count | UnsetType | None = UNSET
    aggregation: Aggregation | UnsetType | None = UNSET
    order: Order | UnsetType | None = UNSET
    ties: Ties | UnsetType | None = UNSET
    numbering: Numbering | UnsetType | None = UNSET
    late_events: Late | UnsetType | None = UNSET
    participants: Participants | UnsetType | None = UNSET


class NewLeaderboard(LeaderboardFields, kw_only=True):
    """A leaderboard to create."""

    name: Name
    key: Key
    rank_by: RankBy


class LeaderboardUpdate(LeaderboardFields, kw_only=True):
    """The given fields of a leaderboard."""

    id: Uuid
    name: Name | UnsetType | None = UNSET
    key: Key | UnsetType | None = UNSET
    rank_by: RankBy | UnsetType | None = UNSET


class AdminLeaderboard(Struct, rename="camel", kw_only=True):
    """A leaderboard's definition, with attributes and metric by their ids."""

    id: Uuid
    name: str
    key: str
    description: str | UnsetType = UNSET
    status: BoardStatus
    rank_by: RankBy
    metric_id: Uuid | UnsetType = UNSET
    points_system_id: Uuid | UnsetType = UNSET
    max_participants: int | None
    start: Day
    end: Day | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    breakdown_attributes: list[Uuid]
    user_attributes: list[Filter]
    run_unit: RunUnit | UnsetType = UNSET
    run_interval: int | UnsetType = UNSET
    aggregation: Aggregation
    order: Order
    ties: Ties
    numbering: Numbering
    late_events: Late
    participants: Participants
    progress: Progress | UnsetType = UNSET
    revising: Revising | UnsetType = UNSET
    problem: Annotated[str, Meta(description="Why its rankings could not be made.")] | UnsetType = UNSET


class CreatedLeaderboards(Struct):
    """The leaderboards that were created, and why the rest were not."""

    created: list[AdminLeaderboard]
    issues: list[Issue]


class UpdatedLeaderboards(Struct):
    """The leaderboards that were updated, and why the rest were not."""

    updated: list[AdminLeaderboard]
    issues: list[Issue]


_CLEARABLE = (
    "description metric_id points_system_id max_participants end start_time end_time breakdown_attributes "
    "user_attributes run_unit run_interval"
).split()


def board_fields(request: LeaderboardFields) -> dict[str, Any]:
    """The given fields as `service/define_boards.py` takes them; `Invalid` when a date is none."""
    fields = _without_id(given(request, *_CLEARABLE))
    # There is only one kind of participant so far.
    fields.pop("participants", None)
    for name in ("start", "end"):
        if fields.get(name) is not None:
            fields[name] = parse_day(fields[name], name)
    for name in ("metric_id", "points_system_id"):
        if fields.get(name) is not None:
            fields[name] = fields[name].lower()
    if "breakdown_attributes" in fields:
        fields["breakdown"] = [key.lower() for key in fields.pop("breakdown_attributes") or ()]
    if "user_attributes" in fields:
        filters = fields.pop("user_attributes") or ()
        fields["filters"] = [(one.attribute_id.lower(), one.attribute_value) for one in filters]
    return fields


def admin_board(
    board: Board, now: int, progress: float | None = None, revising: bool = False, problem: str | None = None
) -> AdminLeaderboard:
    """The wire form of a board, with its status at an instant, and how the work on it goes."""
    return AdminLeaderboard(
        id=board.id,
        name=board.name,
        key=board.key,
        description=_or_unset(board.description),
        status=board.status_at(now),
        rank_by=board.rank_by,
        metric_id=UNSET if board.metric is None else board.metric.id,
        points_system_id=UNSET if board.points_system is None else board.points_system.id,
        max_participants=board.max_participants,
        start=format_day(board.start),
        end=UNSET if board.end is None else format_day(board.end),
        start_time=_or_unset(board.start_time),
        end_time=_or_unset(board.end_time),
        breakdown_attributes=[attribute.id for attribute in board.breakdown],
        user_attributes=[Filter(attribute.id, value) for attribute, value in board.filters],
        run_unit=UNSET if board.run_unit is None else board.run_unit,
        run_interval=UNSET if board.run_interval is None else board.run_interval,
        aggregation=board.aggregation,
        order=board.order,
        ties=board.ties,
        numbering=board.numbering,
        late_events=board.late_events,
        participants="users",
        progress=UNSET if progress is None else progress,
        revising=revising or UNSET,
        problem=_or_unset(problem),
    )


def _or_unset(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text


def _without_id(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "id"}


def _renamed(fields: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
