"""Periods of the calendar: days, weeks from Sunday to Saturday, and months. A period is named by its first day."""

from __future__ import annotations

from datetime import date
from typing import Literal

Period = Literal["daily", "weekly", "monthly"]

FIRST_DAY, LAST_DAY = date.min.toordinal(), date.max.toordinal()


def start_of_period(period: Period, day: int) -> int:
    """The first day of the period that a day lies in; the calendar's first day where the week began before it."""
    if period == "daily":
        return day
    if period == "weekly":
        # Ordinals count from Monday 0001-01-01, so the multiples of seven are Sundays.
        return max(day - day % 7, FIRST_DAY)
    return date.fromordinal(day).replace(day=1).toordinal()


def end_of_period(period: Period, day: int) -> int:
    """The last day of the period that a day lies in; the calendar's last day where the week ends after it."""
    if period == "daily":
        return day
    if period == "weekly":
        return min(day - day % 7 + 6, LAST_DAY)
    first = date.fromordinal(day).replace(day=1)
    if (first.year, first.month) == (date.max.year, date.max.month):
        return LAST_DAY
    # 31 days after the first of a month always lies in the next one.
    return date.fromordinal(first.toordinal() + 31).replace(day=1).toordinal() - 1


def period_before(period: Period, start: int) -> int:
    """The period before one; the same where the calendar begins."""
    return start_of_period(period, max(start - 1, FIRST_DAY))


def weekday_of(day: int) -> int:
    """The day of the week: 0 for Sunday to 6 for Saturday."""
    return day % 7
