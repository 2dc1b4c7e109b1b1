"""Points: what points systems and their triggers are, and what an event earns.

A points system is counted like a metric: it has a number of its own (`PointsSystem.counter`), and an award is an event
on that number, recorded together with the event that earned it. So totals, days, runs and boards of points are those
of any metric.

A trigger pays each time the user's total of its metric crosses another multiple of its threshold, and takes back what
it paid when the total falls:

    (⌊after / threshold⌋ - ⌊before / threshold⌋) · points

A ledger knows nothing of names and statuses. It pays by *schemes*: what the active triggers of a system come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from palmares.domain.errors import Invalid, NotAllowed
from palmares.domain.metric import Attribute, Metric, check_key, check_name, check_text
from palmares.domain.value import MICROS, checked
from palmares.domain.webhook import LONGEST_URL

# An archived trigger was deleted; what it has paid is told all the same.
TriggerStatus = Literal["inactive", "active", "archived"]
# Attributes, each with the value that it must have.
Filters = tuple[tuple[Attribute, str], ...]

# What official clients can hold.
MOST = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsTrigger:
    """What a points system pays for: so many points each time another `threshold` of a metric is full.

    It pays for events of users who have the values of all `user_filters`, if the event has those of all
    `event_filters`. With `block_if_out_of_points`, an event is refused for which it would take the user below zero.
    """

    id: str
    points: int
    metric: Metric
    threshold: int
    status: TriggerStatus = "inactive"
    user_filters: Filters = ()
    event_filters: Filters = ()
    block_if_out_of_points: bool = False
    created: int
    updated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsSystem:
    """A kind of points that users earn. `triggers` are those that were not deleted, oldest first."""

    number: int
    id: str
    scope: int
    key: str
    name: str
    description: str | None = None
    badge_url: str | None = None
    max_points: int | None = None
    triggers: tuple[PointsTrigger, ...] = ()

    @property
    def counter(self) -> Metric:
        """The system as the ledger counts it. Numbers of metrics are positive, so this one is nobody else's."""
        return Metric(-self.number, self.id, self.scope, self.key, self.name)


def is_counter(number: int) -> bool:
    """Whether that is the number of a points system, not of a metric."""
    return number < 0


def check_system(system: PointsSystem) -> PointsSystem:
    """The system itself, or `Invalid`; fields are called as on the wire. Its triggers are checked apart."""
    check_name(system.name)
    check_key(system.key)
    check_text(system.description or "", "description")
    if system.badge_url is not None:
        _check_badge(system.badge_url)
    if system.max_points is not None and not 1 <= system.max_points <= MOST:
        raise Invalid(f"maxPoints: expected an integer from 1 to {MOST}, or null for no limit")
    return system


def check_trigger(trigger: PointsTrigger) -> PointsTrigger:
    """The trigger itself, or `Invalid`; fields are called as on the wire."""
    if not trigger.points or abs(trigger.points) > MOST:
        raise Invalid(f"points: expected an integer from -{MOST} to {MOST}, but not 0")
    if not 1 <= trigger.threshold <= MOST:
        raise Invalid(f"metricThreshold: expected an integer from 1 to {MOST}")
    _check_filters(trigger.user_filters, "userAttributes")
    _check_filters(trigger.event_filters, "eventAttributes")
    return trigger


def _check_badge(url: str) -> None:
    if not 1 <= len(url) <= LONGEST_URL:
        raise Invalid(f"badge.url: expected 1 to {LONGEST_URL} characters")
    check_text(url, "badge.url")


def _check_filters(filters: Filters, field: str) -> None:
    keys = [attribute.key for attribute, _ in filters]
    if len(set(keys)) < len(keys):
        raise Invalid(f"{field}: an attribute is listed twice")
    for _, value in filters:
        check_text(value, field)


# Paying


@dataclass(frozen=True, slots=True)
class Rule:
    """One active trigger, told by its id, as a ledger pays by it. The threshold is in micros, attributes are keys."""

    trigger: str
    metric: int
    points: int
    threshold: int
    user_attributes: tuple[tuple[str, str], ...] = ()
    event_attributes: tuple[tuple[str, str], ...] = ()
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Scheme:
    """By what one points system pays. `number` is its counter's, `max_points` the most that a user can come to."""

    number: int
    key: str
    max_points: int | None
    rules: tuple[Rule, ...]


class OwnEvent(NamedTuple):
    """What a user did, with its place in the log and its own attributes; the amount is in micros."""

    position: int
    metric: int
    amount: int
    attributes: Mapping[str, str]


class Earned(NamedTuple):
    """What one rule pays for one event, or takes, and the user's points after that; in micros."""

    trigger: str
    amount: int
    total: int


def schemes_of(systems: Iterable[PointsSystem]) -> tuple[Scheme, ...]:
    """What a ledger pays by: the active triggers of each system that has any, in order."""
    found = [
        Scheme(
            system.counter.number,
            system.key,
            system.max_points,
            tuple(_rule(trigger) for trigger in system.triggers if trigger.status == "active"),
        )
        for system in systems
    ]
    return tuple(scheme for scheme in found if scheme.rules)


def earned(
    scheme: Scheme,
    metric: int,
    totals: tuple[int, int],
    points: int,
    user_attributes: Mapping[str, str],
    event_attributes: Mapping[str, str],
) -> list[Earned]:
    """What an event earns that took its user's total of a metric from the first of the `totals` to the second.

    `points` are the user's before it; everything is in micros. The rules pay one after the other. The limit of the
    system cuts what would go beyond it, and takes nothing from who is beyond it already. Raises `NotAllowed` where a
    rule blocks the event, `Invalid` when the points leave the range of values. Linear in the rules.
    """
    before, after = totals
    found = []
    for rule in scheme.rules:
        if rule.metric != metric or not _matches(rule, user_attributes, event_attributes):
            continue
        amount = (after // rule.threshold - before // rule.threshold) * rule.points * MICROS
        if amount > 0 and scheme.max_points is not None:
            amount = min(amount, max(scheme.max_points * MICROS - points, 0))
        if amount:
            points = checked(points + checked(amount, _named(scheme)), _named(scheme))
            if rule.blocks and amount < 0 and points < 0:
                raise NotAllowed(f"{_named(scheme)} would fall below zero, which a trigger of the system blocks")
            found.append(Earned(rule.trigger, amount, points))
    return found


def earned_anew(
    versions: Sequence[tuple[int, Scheme]],
    events: Iterable[OwnEvent],
    totals: Mapping[int, int],
    points: int,
    user_attributes: Mapping[str, str],
) -> Iterator[tuple[OwnEvent, Earned]]:
    """What events of one user earn in one system, each by the scheme that was in force when it was recorded.

    `versions` are the forms of the scheme with the positions from which they held, and `events` are in the order of
    the log. `totals`, by metric, and `points` are those before the first of them. Nothing blocks: the events have
    happened. Raises `Invalid` when the points leave the range of values.
    """
    totals = dict(totals)
    for event in events:
        scheme = next((scheme for position, scheme in reversed(versions) if position <= event.position), None)
        before = totals.get(event.metric, 0)
        after = totals[event.metric] = before + event.amount
        if scheme is None:
            continue
        found = earned(_unblocked(scheme), event.metric, (before, after), points, user_attributes, event.attributes)
        for award in found:
            points = award.total
            yield event, award


def _unblocked(scheme: Scheme) -> Scheme:
    return replace(scheme, rules=tuple(replace(rule, blocks=False) for rule in scheme.rules))


def _rule(trigger: PointsTrigger) -> Rule:
    return Rule(
        trigger.id,
        trigger.metric.number,
        trigger.points,
        trigger.threshold * MICROS,
        _keys(trigger.user_filters),
        _keys(trigger.event_filters),
        trigger.block_if_out_of_points,
    )


def _keys(filters: Sequence[tuple[Attribute, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((attribute.key, value) for attribute, value in filters)


def _matches(rule: Rule, user_attributes: Mapping[str, str], event_attributes: Mapping[str, str]) -> bool:
    return all(user_attributes.get(key) == value for key, value in rule.user_attributes) and all(
        event_attributes.get(key) == value for key, value in rule.event_attributes
    )


def _named(scheme: Scheme) -> str:
    return f"the user's points of {scheme.key!r}"
