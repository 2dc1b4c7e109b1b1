"""A user's total of one metric over time: one row per day, week or month.

Days are the user's local ones and weeks begin on Sunday. The first and the last period are cut to the range, so the
changes of all rows add up to the change of the range; their `start` is still the first day of the whole period.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from palmares.domain.errors import Invalid
from palmares.domain.period import Period, start_of_period
from palmares.service.context import Context
from palmares.service.read_user import metric_with, read_user

MOST_DAYS_APART = 400
_FIRST_DAY = date.min.toordinal()


class Summary(NamedTuple):
    """One period: its first day, the lifetime total at its end, and what its events added, in micros."""

    start: int
    total: int
    change: int


async def read_summary(
    context: Context, scope: int, user_id: str, key: str, period: Period, first: int, last: int
) -> list[Summary]:
    """One row for each period of the range, idle ones too, ascending; both days are included.

    Raises `Invalid` for a range that is too long or backwards, `NotFound` for an unknown user or metric. Linear in
    the days on which the user was ever active: the total before the range is the sum of what came then.
    """
    _check(first, last)
    user = await read_user(context, scope, user_id)
    metric = metric_with(context.catalog.definitions(scope), key)
    changes = await context.ledger.days(user, metric, _FIRST_DAY, last)
    total = sum(change for day, change in changes if day < first)
    by_period = dict.fromkeys(_starts(period, first, last), 0)
    for day, change in changes:
        if day >= first:
            by_period[start_of_period(period, day)] += change
    rows = []
    for start, change in by_period.items():
        total += change
        rows.append(Summary(start, total, change))
    return rows


def _starts(period: Period, first: int, last: int) -> Iterator[int]:
    return (start_of_period(period, day) for day in range(first, last + 1))


def _check(first: int, last: int) -> None:
    if first > last:
        raise Invalid("endDate: must not lie before startDate")
    if last - first > MOST_DAYS_APART:
        raise Invalid(f"endDate: at most {MOST_DAYS_APART} days after startDate")
