"""What a user has on a board that ranks by streak.

The value is the length of the streak, reached when it was last extended. A user takes part from the first extension in
the run on and while the streak is alive: who breaks it leaves the board without an event. What happens behind the
run's last day, by the user's own clock, concerns the run no more, neither an extension nor a break.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from palmares.domain.local_time import day_of
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, expires_on, fold
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.domain.value import MICROS


def concerns_run(run: Run, local_at: int) -> bool:
    """Whether an event at that local time may matter to a run: earlier ones make the streak that is brought along."""
    return run.end is None or day_of(local_at) <= run.end


def streak_in_run(
    settings: StreakSettings,
    version: int,
    state: Streak,
    run: Run,
    tz: str | None,
    events: Callable[[], Iterable[StreakEvent]],
) -> Streak:
    """The streak of the events that concern a run: mostly the user's present one.

    It is folded from all events where the user's own clock has left the run behind, and where the present one was made
    by other settings than those of that version.
    """
    behind = run.end is not None and state.extended_on is not None and state.extended_on > run.end
    if not behind and state.version == version:
        return state
    return fold(settings, sorted(event for event in events() if concerns_run(run, event.local_at)), tz)


def leaves_at(settings: StreakSettings, state: Streak, run: Run) -> int | None:
    """The instant at which the streak breaks within a run, unless extended; None where it lasts to the run's end."""
    expires = expires_on(settings, state)
    if run.end is not None and expires is not None and expires >= run.end:
        return None
    return state.breaks_at


def value_in(settings: StreakSettings, state: Streak, run: Run, now: int) -> Tally | None:
    """A user's value in a run at an instant; None for who takes no part.

    The state is that of the events that concern the run.
    """
    if state.extended_on is None or state.extended_at is None or state.extended_on < run.start:
        return None
    leaving = leaves_at(settings, state, run)
    if leaving is not None and leaving <= now:
        return None
    return Tally(state.length * MICROS, state.extended_at)
