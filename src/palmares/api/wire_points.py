"""The shapes of points as msgspec structs, in both APIs, and the way between them and the domain's objects.

Points are whole on the wire and micros inside. The Application API names attributes by their keys, the Admin API by
their ids.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from palmares.api.wire import Instant, KeyValue, Uuid
from palmares.api.wire_admin import Description, Filter, Issue, Key, Name, given
from palmares.domain.local_time import format_instant
from palmares.domain.points import MOST, Filters, PointsSystem, PointsTrigger, TriggerStatus
from palmares.domain.value import MICROS
from palmares.domain.webhook import LONGEST_URL
from palmares.service.read_points import ShownAward, UserPoints

TriggerType = Literal["metric", "achievement", "streak", "time", "user_creation"]
Type = Annotated[TriggerType, Meta(description="Only metric is supported.")]
Points = Annotated[int, Meta(ge=-MOST, le=MOST, description="For each threshold; not 0.")]
Threshold = Annotated[int, Meta(ge=1, le=MOST, description="It pays each time another so much of the metric is full.")]
MostPoints = Annotated[int, Meta(ge=1, le=MOST, description="What a user can come to; null is no limit.")]
# Short, as every event of the metric looks at them.
TriggerFilters = Annotated[list[Filter], Meta(max_length=20)]
Unsupported = Annotated[list[Any], Meta(max_length=100, description="Not supported; left out with a warning.")]


# Application API


class PointsTriggerAnswer(Struct, rename="camel"):
    """What a points system pays for. `eventAttribute` is there when there is exactly one."""

    id: Uuid
    type: Literal["metric"]
    points: int
    status: TriggerStatus
    metric_id: Uuid
    metric_name: str
    metric_threshold: int
    user_attributes: list[KeyValue]
    event_attributes: list[KeyValue]
    created: Instant
    updated: Instant
    event_attribute: KeyValue | UnsetType = UNSET


class PointsAward(Struct):
    """Points that a trigger gave or took, and the user's points after that."""

    id: Uuid
    awarded: int
    date: Instant
    total: int
    trigger: PointsTriggerAnswer | UnsetType = UNSET


class PointsBase(Struct, rename="camel"):
    """A points system, part of every answer about points."""

    id: Uuid
    key: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None


class PointsSystemAnswer(PointsBase):
    """A points system with what it pays for at present."""

    triggers: list[PointsTriggerAnswer]


class UserPointsAnswer(PointsBase):
    """A user's points in a system, and the newest awards, the newest first."""

    total: int
    level: None
    awards: list[PointsAward]


class EventPoints(PointsBase):
    """What an event did to its user's points in a system."""

    total: int
    added: int
    awards: list[PointsAward]


def points_system_answer(system: PointsSystem) -> PointsSystemAnswer:
    """The wire form of a system."""
    active = [trigger for trigger in system.triggers if trigger.status == "active"]
    return PointsSystemAnswer(**_base(system), triggers=[*map(_trigger, active)])


def user_points_answer(points: UserPoints) -> UserPointsAnswer:
    """The wire form of what a user has."""
    awards = [*map(_award, points.awards)]
    return UserPointsAnswer(**_base(points.system), total=points.total // MICROS, level=None, awards=awards)


def event_points(points: UserPoints) -> EventPoints:
    """The wire form of what an event earned."""
    awards = [*map(_award, points.awards)]
    total, added = points.total // MICROS, points.added // MICROS
    return EventPoints(**_base(points.system), total=total, added=added, awards=awards)


def _base(system: PointsSystem) -> dict[str, Any]:
    names = ("id", "key", "name", "description", "badge_url", "max_points")
    return {name: getattr(system, name) for name in names}


def _award(shown: ShownAward) -> PointsAward:
    award, trigger = shown
    return PointsAward(
        award.id,
        award.amount // MICROS,
        format_instant(award.occurred_at),
        award.total // MICROS,
        UNSET if trigger is None else _trigger(trigger),
    )


def _trigger(trigger: PointsTrigger) -> PointsTriggerAnswer:
    event_attributes = _pairs(trigger.event_filters)
    return PointsTriggerAnswer(
        id=trigger.id,
        type="metric",
        points=trigger.points,
        status=trigger.status,
        metric_id=trigger.metric.id,
        metric_name=trigger.metric.name,
        metric_threshold=trigger.threshold,
        user_attributes=_pairs(trigger.user_filters),
        event_attributes=event_attributes,
        created=format_instant(trigger.created),
        updated=format_instant(trigger.updated),
        event_attribute=event_attributes[0] if len(event_attributes) == 1 else UNSET,
    )


def _pairs(filters: Filters) -> list[KeyValue]:
    return [KeyValue(attribute.key, value) for attribute, value in filters]


# Admin API: triggers


class TriggerFields(Struct, rename="camel", kw_only=True):
    """What may be given of a trigger."""

    status: Literal["inactive", "active"] | UnsetType | None = UNSET
    metric_id: Uuid | UnsetType | None = UNSET
    metric_threshold: Threshold | UnsetType | None = UNSET
    user_attributes: TriggerFilters | UnsetType | None = UNSET
    event_attributes: TriggerFilters | UnsetType | None = UNSET
    block_if_out_of_points: bool | UnsetType | None = UNSET


class NewTrigger(TriggerFields, kw_only=True):
    """A trigger to create."""

    type: Type
    points: Points


class TriggerUpdate(TriggerFields, kw_only=True):
    """The given fields of a trigger."""

    id: Uuid
    type: Type | UnsetType | None = UNSET
    points: Points | UnsetType | None = UNSET


class AdminTrigger(Struct, rename="camel"):
    """A trigger of a points system."""

    id: Uuid
    type: Literal["metric"]
    points: int
    status: TriggerStatus
    metric_id: Uuid
    metric_threshold: int
    user_attributes: list[Filter]
    event_attributes: list[Filter]
    block_if_out_of_points: bool


class CreatedTriggers(Struct):
    """The triggers that were created, and why the rest were not."""

    created: list[AdminTrigger]
    issues: list[Issue]


class UpdatedTriggers(Struct):
    """The triggers that were updated, and why the rest were not."""

    updated: list[AdminTrigger]
    issues: list[Issue]


def trigger_fields(request: TriggerFields) -> dict[str, Any]:
    """The given fields as `service/define_points.py` takes them."""
    fields = given(request, "user_attributes", "event_attributes")
    fields.pop("id", None)
    if "metric_id" in fields:
        fields["metric_id"] = fields["metric_id"].lower()
    if "metric_threshold" in fields:
        fields["threshold"] = fields.pop("metric_threshold")
    for name, kind in (("user_attributes", "user_filters"), ("event_attributes", "event_filters")):
        if name in fields:
            fields[kind] = [(one.attribute_id.lower(), one.attribute_value) for one in fields.pop(name) or ()]
    return fields


def admin_trigger(trigger: PointsTrigger) -> AdminTrigger:
    """The wire form of a trigger."""
    return AdminTrigger(
        id=trigger.id,
        type="metric",
        points=trigger.points,
        status=trigger.status,
        metric_id=trigger.metric.id,
        metric_threshold=trigger.threshold,
        user_attributes=_filters(trigger.user_filters),
        event_attributes=_filters(trigger.event_filters),
        block_if_out_of_points=trigger.block_if_out_of_points,
    )


def _filters(filters: Filters) -> list[Filter]:
    return [Filter(attribute.id, value) for attribute, value in filters]


# Admin API: systems


class Badge(Struct):
    """Where the picture of a points system is."""

    url: Annotated[str, Meta(min_length=1, max_length=LONGEST_URL)]


class SystemFields(Struct, rename="camel", kw_only=True):
    """What may be given of a points system."""

    description: Description | UnsetType | None = UNSET
    badge: Badge | UnsetType | None = UNSET
    max_points: MostPoints | UnsetType | None = UNSET


class NewPointsSystem(SystemFields, kw_only=True):
    """A points system to create, with the triggers it begins with."""

    name: Name
    key: Key
    triggers: Annotated[list[NewTrigger], Meta(max_length=100)] | UnsetType | None = UNSET
    levels: Unsupported | UnsetType | None = UNSET
    boosts: Unsupported | UnsetType | None = UNSET


class PointsSystemUpdate(SystemFields, kw_only=True):
    """The given fields of a points system. Its key never changes; it may be given as it is."""

    id: Uuid
    name: Name | UnsetType | None = UNSET
    key: Key | UnsetType | None = UNSET


class AdminPointsSystem(Struct, rename="camel", kw_only=True):
    """A points system."""

    id: Uuid
    name: str
    key: str
    description: str
    status: Literal["active", "archived"]
    badge: Badge | None
    max_points: int | None


class CreatedPointsSystem(AdminPointsSystem, kw_only=True):
    """A points system that was created, with its triggers, if it was given any."""

    triggers: list[AdminTrigger] | UnsetType = UNSET


class CreatedPointsSystems(Struct):
    """The points systems that were created, and why the rest were not."""

    created: list[CreatedPointsSystem]
    issues: list[Issue]


class UpdatedPointsSystems(Struct):
    """The points systems that were updated, and why the rest were not."""

    updated: list[AdminPointsSystem]
    issues: list[Issue]


def system_fields(request: NewPointsSystem | PointsSystemUpdate) -> dict[str, Any]:
    """The given fields as `service/define_points.py` takes them."""
    fields = given(request, "description", "badge", "max_points")
    fields.pop("id", None)
    if "badge" in fields:
        badge = fields.pop("badge")
        fields["badge_url"] = None if badge is None else badge.url
    if "triggers" in fields:
        fields["triggers"] = [*map(trigger_fields, fields["triggers"])]
    return fields


def admin_system(system: PointsSystem) -> AdminPointsSystem:
    """The wire form of a system."""
    return AdminPointsSystem(**_admin_fields(system))


def created_system(system: PointsSystem) -> CreatedPointsSystem:
    """The wire form of a system that was just created."""
    triggers = [*map(admin_trigger, system.triggers)]
    return CreatedPointsSystem(**_admin_fields(system), triggers=triggers or UNSET)


def _admin_fields(system: PointsSystem) -> dict[str, Any]:
    return {
        "id": system.id,
        "name": system.name,
        "key": system.key,
        "description": system.description or "",
        # Archived systems are deleted: nobody is shown them.
        "status": "active",
        "badge": None if system.badge_url is None else Badge(system.badge_url),
        "max_points": system.max_points,
    }
