"""Runs: the periods that a board is divided into.

Run *k* begins `k × interval` units after the board's first day and ends on the day before the next begins. Months
and years are added to the board's first day, never to the run before, with the day clamped to the month, so
31 January is followed by 28 February and 31 March. The last run is cut at the board's last day. Every day from the
first to the last lies in exactly one run.

A day is live somewhere on earth longer than 24 hours: it opens at UTC+14 and is over at UTC−12.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from palmares.domain.local_time import DAY, HOUR, start_of

RunUnit = Literal["day", "month", "year"]
_LAST_DAY = date.max.toordinal()


class Run(NamedTuple):
    """One period of a board: its first and last day, both included; `end` is None when it stays open."""

    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a board runs: first and last day, and how it is divided; no unit means one run."""

    start: int
    end: int | None = None
    unit: RunUnit | None = None
    interval: int = 1

    def run_at(self, day: int) -> Run | None:
        """The run that contains a day; None before the first and after the last. Constant time."""
        if day < self.start or (self.end is not None and day > self.end):
            return None
        if self.unit is None:
            return Run(self.start, self.end)
        return self._run(self._number_at(day))

    def last_run(self) -> Run | None:
        """The run that the board ends with; None while it has no last day."""
        return None if self.end is None else self.run_at(self.end)

    def _run(self, number: int) -> Run:
        following = self._start_of(number + 1)
        end = None if following is None else following - 1
        if self.end is not None:
            end = self.end if end is None else min(end, self.end)
        start = self._start_of(number)
        assert start is not None
        return Run(start, end)

    def _number_at(self, day: int) -> int:
        if self.unit == "day":
            return (day - self.start) // self.interval
        first, current = date.fromordinal(self.start), date.fromordinal(day)
        months = (current.year - first.year) * 12 + current.month - first.month
        number = months // self._months()
        # The start inside this month may still lie ahead: then the run before goes on.
        start = self._start_of(number)
        return number if start is not None and start <= day else number - 1

    def _months(self) -> int:
        return self.interval * (12 if self.unit == "year" else 1)

    def _start_of(self, number: int) -> int | None:
        """First day of run `number`; None when the calendar ends before it."""
        if self.unit == "day":
            day = self.start + number * self.interval
            return day if day <= _LAST_DAY else None
        first = date.fromordinal(self.start)
        year, month = divmod(first.year * 12 + first.month - 1 + number * self._months(), 12)
        if year > date.max.year:
            return None
        return date(year, month + 1, min(first.day, calendar.monthrange(year, month + 1)[1])).toordinal()


def opens_at(day: int) -> int:
    """The instant at which a day begins in the earliest zone (UTC+14): 10:00 UTC on the day before."""
    return start_of(day - 1) + 10 * HOUR


def closes_at(day: int) -> int:
    """The instant at which a day is over in the latest zone (UTC−12): 12:00 UTC on the day after."""
    return start_of(day) + DAY + 12 * HOUR
