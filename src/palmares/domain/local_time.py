"""Instants, zones and days.

An instant is an `int` of microseconds since 1970-01-01 UTC. A local time is the same kind of number read off the
user's wall clock, as if that clock showed UTC: dividing it by a day gives the local date. A day is the ordinal of
a date (`date.toordinal`).
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palmares.domain.errors import Invalid

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
_QUARTER = HOUR // 4
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY = date.max.toordinal()
_LAST_INSTANT = (_LAST_DAY + 1 - EPOCH_ORDINAL) * DAY

# Python reads more than these: weeks (2026-W10-3), any letter in the middle, forms without separators.
_DAY_TEXT = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT_TEXT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@functools.cache
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name; `Invalid` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"tz: {name[:64]!r} is not an IANA time zone, such as 'Europe/Madrid'") from None


def local_at(instant: int, tz: str | None) -> int:
    """The user's wall clock at an instant; no zone means UTC. `Invalid` where the clock would leave the calendar."""
    if tz is None:
        return instant
    quarter = instant // _QUARTER
    offset = _offset_in(quarter, tz)
    return instant + (_offset_at(instant // SECOND, tz) if offset is None else offset)


@functools.lru_cache(maxsize=4096)
def _offset_in(quarter: int, tz: str) -> int | None:
    """How far the clock of a zone is ahead of UTC in a quarter of an hour; None when that changes meanwhile.

    Nearly all questions are about the same few quarters. No zone has ever changed its clock twice in one.
    """
    first = quarter * (_QUARTER // SECOND)
    try:
        before, after = (_offset_at(second, tz) for second in (first, first + _QUARTER // SECOND - 1))
    except Invalid:
        return None
    return before if before == after else None


def _offset_at(seconds: int, tz: str) -> int:
    try:
        moment = datetime.fromtimestamp(seconds, zone(tz))
    except (ValueError, OverflowError):
        raise Invalid(f"the year 1 or 9999 ends the calendar of {tz}") from None
    return _offset(moment)


def day_of(local: int) -> int:
    """The day that a local time (or, for UTC, an instant) lies in."""
    return local // DAY + EPOCH_ORDINAL


def start_of(day: int) -> int:
    """The local time at which a day begins."""
    return (day - EPOCH_ORDINAL) * DAY


def begins_at(day: int, tz: str | None) -> int:
    """The first instant at which the date of a zone is that day or a later one; no zone means UTC.

    Behind the last day of the calendar it is where UTC leaves the calendar.
    """
    if day > _LAST_DAY:
        return _LAST_INSTANT
    return start_of(day) if tz is None else _begins_at(day, tz)


@functools.lru_cache(maxsize=4096)
def _begins_at(day: int, tz: str) -> int:
    midnight = datetime.combine(date.fromordinal(day), time(), zone(tz))
    # By the clock before and after a change of the clock at midnight; nearly always both are the same. A midnight
    # that comes twice counts at first; one that the clock leaps over lies between the two.
    before, after = (start_of(day) - _offset(midnight.replace(fold=fold)) for fold in (0, 1))
    if after >= before:
        return before
    # Within a leap, the first second that shows the day.
    low, high = after // SECOND, before // SECOND
    while low < high:
        middle = (low + high) // 2
        if day_of(local_at(middle * SECOND, tz)) >= day:
            high = middle
        else:
            low = middle + 1
    return low * SECOND


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None
    return (offset.days * 86_400 + offset.seconds) * SECOND


def to_datetime(instant: int) -> datetime:
    """The instant as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def format_instant(instant: int) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-03-04T09:15:00.000Z`."""
    return to_datetime(instant).isoformat(timespec="milliseconds")[:-6] + "Z"


def format_day(day: int) -> str:
    """`YYYY-MM-DD`."""
    return date.fromordinal(day).isoformat()


def parse_day(text: str, name: str) -> int:
    """The day of a `YYYY-MM-DD` text; `Invalid` for any other form and for dates that do not exist."""
    try:
        if not _DAY_TEXT.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).toordinal()
    except ValueError:
        raise Invalid(f"{name}: expected a date such as 2026-03-04, got {text[:64]!r}") from None


def parse_instant(text: str, name: str) -> int:
    """The instant of an RFC 3339 date-time with a zone; `Invalid` for any other form."""
    try:
        if not _INSTANT_TEXT.fullmatch(text):
            raise ValueError
        return from_datetime(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise Invalid(f"{name}: expected a date-time such as 2026-03-04T09:15:00Z, got {text[:64]!r}") from None


def parse_time(text: str, name: str) -> int:
    """Seconds since midnight of an `HH:mm` or `HH:mm:ss` text."""
    parts = text.split(":")
    if len(parts) in (2, 3) and all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
        hour, minute, second = (int(part) for part in [*parts, "00"][:3])
        if hour < 24 and minute < 60 and second < 60:
            return hour * 3600 + minute * 60 + second
    raise Invalid(f"{name}: expected a time of day such as 09:30 or 09:30:00, got {text[:64]!r}")
