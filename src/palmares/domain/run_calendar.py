"""When the beginning and the end of runs are told, and which runs those are at an instant.

10:00 UTC, the day before the first day    the run begins in the earliest zone, and that is told
12:00 UTC, the day after the last day      the run is final
13:00 UTC, the day after the last day      its end is told
"""

from __future__ import annotations

from palmares.domain.local_time import HOUR, day_of
from palmares.domain.run import Run, Schedule, closes_at, opens_at


def start_told_at(run: Run) -> int:
    """The instant at which the beginning of a run is told."""
    return opens_at(run.start)


def end_told_at(run: Run) -> int | None:
    """The instant at which the end of a run is told; None while the run stays open."""
    return None if run.end is None else closes_at(run.end) + HOUR


def newest_open(schedule: Schedule, now: int) -> Run | None:
    """The last run whose beginning is to be told by an instant; None when there is none."""
    day = day_of(now - 10 * HOUR) + 1
    if schedule.end is not None:
        day = min(day, schedule.end)
    return schedule.run_at(day)


def newest_told(schedule: Schedule, now: int) -> Run | None:
    """The last run whose end is to be told by an instant; None when there is none."""
    day = day_of(now - 13 * HOUR) - 1
    if schedule.end is not None:
        day = min(day, schedule.end)
    run = schedule.run_at(day)
    if run is None or (run.end is not None and run.end <= day):
        return run
    return before(schedule, run)


def before(schedule: Schedule, run: Run) -> Run | None:
    """The run before another; None before the first."""
    return schedule.run_at(run.start - 1)


def following(schedule: Schedule, start: int | None) -> Run | None:
    """The run that follows the one with that first day, or the first one; None after the last."""
    if start is None:
        return schedule.run_at(schedule.start)
    run = schedule.run_at(start)
    return None if run is None or run.end is None else schedule.run_at(run.end + 1)
