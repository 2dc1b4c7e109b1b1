"""When an event takes effect in a run, and what a late event is.

An event takes effect when it is recorded, and one imported as history when it happened, as if it had been recorded
then. A run is final once its last day is over everywhere; whoever comes after that is *late*. Boards that ignore late
events stay as they are; boards that revise count them as if they had come in the last moment.

A *void* takes an event back, and takes effect when its event did: rankings are as if the event had not been. In a run
that is final it is late as an event would be, and a board that ignores late events keeps the event and ignores the
void. Where an event has no effect, its void has none either.

Rankings and the days of their history are the fold of the events in the order in which they take effect, so a board
that is followed later than its events came ends up like one that was there from the start.
"""

from __future__ import annotations

from palmares.domain.board import LateEvents
from palmares.domain.local_time import DAY, HOUR, day_of
from palmares.domain.run import Run, closes_at
from palmares.domain.value import MOST

# The ends of UTC days and the closings of runs both lie on this grid.
BOUNDARY_STEP = 12 * HOUR


def final_at(run: Run) -> int:
    """The instant at which a run becomes final; of an open run the end of time."""
    return MOST if run.end is None else closes_at(run.end)


def is_live(run: Run, instant: int) -> bool:
    """Whether a run is not final yet at an instant: events still count, somewhere."""
    return instant < final_at(run)


def effect_at(run: Run, late_events: LateEvents, recorded_at: int, occurred_at: int, history: bool) -> int | None:
    """The instant at which an event of a run takes effect there; None when it came late and is ignored.

    An event that happened in a run happened before the run is final, wherever the user was, so history is never late.
    """
    if history:
        return occurred_at
    final = final_at(run)
    if recorded_at < final:
        return recorded_at
    return final - 1 if late_events == "revise" else None


def void_effect_at(run: Run, late_events: LateEvents, effect: int | None, voided_at: int) -> int | None:
    """The instant at which a void of an event that takes effect at `effect` does so in the run: the same.

    None where the event takes none; and when the void came late and is ignored, so that the event stays.
    """
    return effect if is_live(run, voided_at) or late_events == "revise" else None


def is_late(run: Run, recorded_at: int) -> bool:
    """Whether an event of a run was recorded after the run was final."""
    return not is_live(run, recorded_at)


def changes_past_days(recorded_at: int, occurred_at: int, history: bool) -> bool:
    """Whether an event takes effect on a UTC day that was over when it was recorded."""
    return history and day_of(occurred_at) < day_of(recorded_at)


def changes_what_is_over(run: Run, effect: int, recorded_at: int) -> bool:
    """Whether what takes effect at an instant, but was recorded at another, finds the run final or that day over."""
    return is_late(run, recorded_at) or day_of(effect) < day_of(recorded_at)


def next_boundary(instant: int) -> int:
    """The first instant behind this one at which a UTC day ends or a run may become final."""
    return (instant // BOUNDARY_STEP + 1) * BOUNDARY_STEP


def last_boundary(instant: int) -> int:
    """The last such instant that is not behind this one."""
    return instant // BOUNDARY_STEP * BOUNDARY_STEP


def ends_day(boundary: int) -> bool:
    """Whether a UTC day ends at a boundary."""
    return boundary % DAY == 0
