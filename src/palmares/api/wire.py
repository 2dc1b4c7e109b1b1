"""The shapes of the Application API as msgspec structs, and the way between them and the domain's objects.

A struct that decodes a request or describes an answer is also what the OpenAPI document is made from. Fields that
must always be present have no default. Inside, numbers are micros and days are ordinals; here they become what the
wire wants: rankings carry integers, `exactValue` and totals carry the number unrounded.

The hot routes do not build the whole struct of an answer: `board_json.py` keeps the part that a board gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from palmares.domain.board import Aggregation, Board, Numbering, Order, RankBy, Status, Ties
from palmares.domain.errors import Invalid
from palmares.domain.local_time import day_of, format_day, format_instant, parse_day, parse_instant, start_of
from palmares.domain.metric import Metric
from palmares.domain.period import Period
from palmares.domain.run import Run, RunUnit
from palmares.domain.snapshot import DayStanding
from palmares.domain.user import User
from palmares.domain.value import MICROS, exact, parse, rounded
from palmares.ledger.contract import Row, RunState

# Decimals are sent as JSON numbers.
ENCODER = msgspec.json.Encoder(decimal_format="number")

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Day = Annotated[str, Meta(extra_json_schema={"format": "date"})]
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
DayOrInstant = Annotated[str, Meta(extra_json_schema={"anyOf": [{"format": "date"}, {"format": "date-time"}]})]
Exact = int | Decimal

# A number whose text is kept, because a float would lose digits of it; `amount` reads it.
NumberText = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "number"})]

Text = Annotated[str, Meta(max_length=255)]
UserId = Annotated[str, Meta(min_length=1, max_length=255)]
ZoneName = Annotated[str, Meta(min_length=1, max_length=255)]
DeviceToken = Annotated[str, Meta(max_length=4096)]
AlsoSubscribe = Annotated[bool, Meta(description="The same as `subscribeToEmails`.")]


# Answers about boards


class KeyValue(Struct):
    """An attribute's key and a value of it."""

    key: str
    value: str


class Leaderboard(Struct, rename="camel"):
    """A board's definition, part of every answer about the board."""

    id: Uuid
    name: str
    key: str
    description: str | None
    status: Literal["active", "scheduled", "finished"]
    rank_by: RankBy
    metric_key: str | None
    metric_name: str | None
    points_system_key: str | None
    points_system_name: str | None
    breakdown_attribute: str | None
    breakdown_attributes: list[str]
    user_attributes: list[KeyValue]
    start: Day
    end: Day | None
    start_time: str | None
    end_time: str | None
    max_participants: int | None
    run_unit: RunUnit | None
    run_interval: int | None
    aggregation: Aggregation
    order: Order
    ties: Ties
    numbering: Numbering


class Ranking(Struct, rename="camel"):
    """One row of a ranking. `value` is rounded, halves up; `exactValue` is not."""

    user_id: str
    user_name: str | None
    rank: Annotated[int, Meta(ge=1)]
    value: int
    exact_value: Exact


Revision = Annotated[int, Meta(description="Of a run that is final: how often late events have changed it since.")]
IgnoredLateEvents = Annotated[int, Meta(description="Of a run that is final: how many late events were left out.")]


class LeaderboardPage(Leaderboard):
    """A board with a page of one run's ranking. The days of the run are null while the board has not opened."""

    run_start: Day | None
    run_end: Day | None
    total_participants: int
    rankings: list[Ranking]
    revision: Revision | UnsetType = UNSET
    ignored_late_events: IgnoredLateEvents | UnsetType = UNSET


class Snapshot(Struct, rename="camel"):
    """Where a user stood at the end of one day."""

    date: Day
    timestamp: Instant
    rank: int | None
    value: int | None
    previous_rank: int | None
    previous_value: int | None


class LeaderboardStanding(Leaderboard):
    """A board with one user's standing in one run; the numbers are null while the user is not ranked."""

    run_start: Day | None
    run_end: Day | None
    total_participants: int
    rank: int | None
    value: int | None
    exact_value: Exact | None
    history: list[Snapshot]
    revision: Revision | UnsetType = UNSET
    ignored_late_events: IgnoredLateEvents | UnsetType = UNSET


class EventLeaderboard(Leaderboard):
    """A board for which an event counted. `start` and `end` are those of the run."""

    run_start: Day
    run_end: Day | None
    rank: int | None
    previous_rank: int | None
    threshold: int
    breakdown_attribute_values: list[KeyValue] | UnsetType = UNSET
    breakdown_attribute_value: str | UnsetType = UNSET


def run_fields(state: RunState | None) -> dict[str, int]:
    """What is told of a run only once it is final."""
    if state is None or not state.final:
        return {}
    return {"revision": state.revision, "ignoredLateEvents": state.ignored_late_events}


def snapshots(days: Sequence[DayStanding], preceding: DayStanding | None) -> list[Snapshot]:
    """The wire form of a history; each entry tells of the one before, too."""
    befores = [preceding, *days[:-1]]
    return [_snapshot(day, before) for day, before in zip(days, befores, strict=True)] if days else []


def _snapshot(day: DayStanding, before: DayStanding | None) -> Snapshot:
    date, timestamp = _day_texts(day.day)
    return Snapshot(
        date=date,
        timestamp=timestamp,
        rank=day.rank,
        value=_rounded(day.value),
        previous_rank=before and before.rank,
        previous_value=None if before is None else _rounded(before.value),
    )


@lru_cache(maxsize=1024)
def _day_texts(day: int) -> tuple[str, str]:
    """A day, and the instant at which it begins in UTC."""
    return format_day(day), format_instant(start_of(day))


def _rounded(micros: int | None) -> int | None:
    return None if micros is None else rounded(micros)


def leaderboard(board: Board, status: Status, run: Run | None = None) -> Leaderboard:
    """The wire form of a visible board; with a run, the run's days stand in `start` and `end`."""
    return Leaderboard(**board_fields(board, status, run))


def board_fields(board: Board, status: Status, run: Run | None = None) -> dict[str, Any]:
    """The fields of `Leaderboard`, for it and the structs that have more."""
    start, end = (board.start, board.end) if run is None else run
    breakdown = [attribute.key for attribute in board.breakdown]
    return {
        "id": board.id,
        "name": board.name,
        "key": board.key,
        "description": board.description,
        "status": status,
        "rank_by": board.rank_by,
        "metric_key": board.metric.key if board.metric else None,
        "metric_name": board.metric.name if board.metric else None,
        "points_system_key": board.points_system.key if board.points_system else None,
        "points_system_name": board.points_system.name if board.points_system else None,
        "breakdown_attribute": breakdown[0] if len(breakdown) == 1 else None,
        "breakdown_attributes": breakdown,
        "user_attributes": [KeyValue(attribute.key, value) for attribute, value in board.filters],
        "start": format_day(start),
        "end": day_or_none(end),
        "start_time": board.start_time,
        "end_time": board.end_time,
        "max_participants": board.max_participants,
        "run_unit": board.run_unit,
        "run_interval": board.run_interval,
        "aggregation": board.aggregation,
        "order": board.order,
        "ties": board.ties,
        "numbering": board.numbering,
    }


def ranking(row: Row) -> Ranking:
    """The wire form of one row."""
    return rankings([row])[0]


def rankings(rows: Sequence[Row]) -> list[Ranking]:
    """The wire form of rows, made column by column, since there may be a thousand of them."""
    if not rows:
        return []
    _, ranks, ids, names, micros = zip(*rows, strict=True)
    floors = [value // MICROS for value in micros]
    if sum(floors) * MICROS == sum(micros):
        # All are whole, as most values are: they need neither rounding nor decimals.
        return [*map(Ranking, ids, names, ranks, floors, floors)]
    return [*map(Ranking, ids, names, ranks, map(rounded, micros), map(exact, micros))]


def day_or_none(day: int | None) -> str | None:
    """`YYYY-MM-DD`, or None."""
    return None if day is None else format_day(day)


# Answers about users


class UserAnswer(Struct, rename="camel"):
    """A user."""

    id: str
    email: str | None
    name: str | None
    tz: str | None
    sign_up_date: Day | None
    device_tokens: list[str] | None
    subscribe_to_emails: bool
    attributes: dict[str, str]
    control: bool
    created: Instant
    updated: Instant


class StreakState(Struct, rename="camel"):
    """A user's streak after an event; length 0 is none, and then the days are null."""

    length: int
    frequency: Period
    started: Day | None
    period_start: Day | None
    period_end: Day | None
    expires: Day | None
    extended: bool


class MetricState(Struct):
    """A metric and a user's lifetime total of it. Older clients want a status, which metrics have none of."""

    id: Uuid
    key: str
    name: str
    status: Literal["active"]
    current: Exact
    achievements: list[dict[str, Any]]


class PeriodSummary(Struct):
    """One period of an event summary: its first day, the lifetime total at its end, and what it added."""

    date: Day
    total: Exact
    change: Exact


def user_answer(user: User) -> UserAnswer:
    """The wire form of a user."""
    return UserAnswer(
        id=user.id,
        email=user.email,
        name=user.name,
        tz=user.tz,
        sign_up_date=day_or_none(user.sign_up_date),
        device_tokens=None if user.device_tokens is None else list(user.device_tokens),
        subscribe_to_emails=user.subscribe_to_emails,
        attributes=dict(user.own_attributes),
        control=user.control,
        created=format_instant(user.created),
        updated=format_instant(user.updated),
    )


def metric_state(metric: Metric, total: int) -> MetricState:
    """The wire form of a metric and a user's total in micros."""
    return MetricState(metric.id, metric.key, metric.name, "active", exact(total), [])


# Answers about events


class BatchAnswer(Struct):
    """How many events of a batch were accepted: all."""

    accepted: int


# Requests. Official clients send explicit nulls: where null clears nothing, it means "not given".


class UpdatedUser(Struct, rename="camel", kw_only=True):
    """The given fields of a user. An absent field stays as it is."""

    email: Text | UnsetType | None = UNSET
    name: Text | UnsetType | None = UNSET
    tz: ZoneName | UnsetType | None = UNSET
    sign_up_date: DayOrInstant | UnsetType | None = UNSET
    device_tokens: Annotated[list[DeviceToken], Meta(max_length=100)] | UnsetType | None = UNSET
    subscribe_to_emails: bool | UnsetType | None = UNSET
    subscribed_to_emails: AlsoSubscribe | UnsetType | None = UNSET
    attributes: dict[str, Text | None] | UnsetType | None = UNSET


class UpsertedUser(UpdatedUser, kw_only=True):
    """A user by id, with the fields that are given."""

    id: UserId


class EventRequest(Struct, kw_only=True):
    """An event: who did how much."""

    user: UpsertedUser
    value: NumberText
    attributes: dict[str, Text] | UnsetType | None = UNSET


class BatchItem(EventRequest, rename="camel", kw_only=True):
    """An event of a batch. `timestamp` places it in the past."""

    key: str
    idempotency_key: Text | UnsetType | None = UNSET
    timestamp: Instant | UnsetType | None = UNSET


Batch = Annotated[list[BatchItem], Meta(min_length=1, max_length=1000)]

EVENT_DECODER = msgspec.json.Decoder(EventRequest)
BATCH_DECODER: msgspec.json.Decoder[list[BatchItem]] = msgspec.json.Decoder(Batch)
UPSERTED_USER_DECODER = msgspec.json.Decoder(UpsertedUser)
UPDATED_USER_DECODER = msgspec.json.Decoder(UpdatedUser)

_CLEARABLE = ("email", "name", "tz")


def profile_changes(user: UpdatedUser) -> dict[str, Any]:
    """What `domain.user.changed` takes: the given fields only. `Invalid` when the sign-up date is no date."""
    changes: dict[str, Any] = {name: given for name in _CLEARABLE if (given := getattr(user, name)) is not UNSET}
    if user.sign_up_date is not UNSET:
        changes["sign_up_date"] = None if user.sign_up_date is None else sign_up_day(user.sign_up_date)
    if user.device_tokens is not UNSET:
        changes["device_tokens"] = None if user.device_tokens is None else tuple(user.device_tokens)
    subscribe = user.subscribe_to_emails
    if subscribe is UNSET or subscribe is None:
        subscribe = user.subscribed_to_emails
    if subscribe is not UNSET and subscribe is not None:
        changes["subscribe_to_emails"] = subscribe
    if user.attributes:
        changes["attributes"] = user.attributes
    return changes


def sign_up_day(text: str) -> int:
    """The day of a date, or of a date-time in UTC."""
    return parse_day(text, "signUpDate") if len(text) <= 10 else day_of(parse_instant(text, "signUpDate"))


# What a JSON value is that begins with this and is no number.
_JSON_TYPES = {'"': "a string", "{": "an object", "[": "an array", "t": "true", "f": "false", "n": "null"}


def amount(number: msgspec.Raw, name: str = "value") -> int:
    """The number in micros, exactly; `Invalid` for any other JSON value and for what does not fit."""
    text = bytes(number).decode()
    if text[0] not in "-0123456789":
        raise Invalid(f"{name}: expected a number, got {_JSON_TYPES[text[0]]}")
    return parse(text, name)


def breakdown_values(board: Board, group: Sequence[str]) -> Mapping[str, Any]:
    """The fields of `EventLeaderboard` that name the user's group, by their wire names; none without breakdown."""
    if not group:
        return {}
    pairs = [{"key": attribute.key, "value": value} for attribute, value in zip(board.breakdown, group, strict=True)]
    return {"breakdownAttributeValues": pairs} | ({"breakdownAttributeValue": group[0]} if len(group) == 1 else {})
