"""The streaks of users: by which settings they count, what they are, and where they leave their users on boards.

A user's state carries the streak as of the last event, with the version of the settings that it was made by. One of
another version is worked out anew from the user's events where it is needed. The version is the scope's, also where a
user has settings of their own: who changes them gets a new state at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

from palmares.domain import value
from palmares.domain.points import is_counter
from palmares.domain.preferences import streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import CountedPeriod, Streak, StreakEvent, concerns, counted_periods, fold, in_order, step
from palmares.domain.streak_board import leaves_at, streak_in_run, value_in
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.domain.user import User
from palmares.ledger.embedded.users import Users, UserState

_DEFAULTS = StreakSettings()


def metrics_json(settings: StreakSettings) -> str | None:
    """The metrics that may count in a scope as a JSON array, None where all may."""
    anything = settings.customization_enabled or not settings.metrics
    return None if anything else str([metric for metric, _ in settings.metrics])


class Drafted(NamedTuple):
    """What is not recorded yet: a user's events, and which events, recorded ones too, are void, by position."""

    events: Iterable[StreakEvent]
    void: Collection[int]


NOTHING = Drafted((), ())


class StreakValue(NamedTuple):
    """What a user has in a run of a board that ranks by streak, and when the streak breaks there; None for nothing."""

    tally: Tally | None
    leaves_at: int | None


class Streaks:
    """Works out streaks by the settings of each scope."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._settings: dict[int, StreakSettings] = {}

    def settings(self, scope: int) -> StreakSettings:
        """The settings of a scope; the defaults where none were given."""
        return self._settings.get(scope, _DEFAULTS)

    def settings_of(self, user: User) -> StreakSettings:
        """The settings by which the streak of a user counts."""
        return streak_settings_of(self.settings(user.scope), user.preferences)

    def define(self, scope: int, settings: StreakSettings) -> None:
        """Count by these settings from now on."""
        self._settings[scope] = settings

    def of(self, state: UserState) -> Streak:
        """A user's streak. Constant time, but after a change of the settings."""
        if state.streak.version == self.settings(state.user.scope).version:
            return state.streak
        return self.refold(state)

    def after(self, state: UserState, before: Streak, event: StreakEvent, draft: Callable[[], Drafted]) -> Streak:
        """The streak after one more event; `draft` tells what came before it and is not recorded yet."""
        settings, user = self.settings_of(state.user), state.user
        if not concerns(settings, event.metric, event.amount):
            return before
        if in_order(before, event.occurred_at):
            return step(settings, before, event, user.tz)
        drafted = draft()
        return self.refold(state, Drafted([*drafted.events, event], drafted.void))

    def refold(self, state: UserState, drafted: Drafted = NOTHING, upto: int = value.MOST) -> Streak:
        """The streak of all the user's events up to a position, and of what is not recorded yet."""
        events = self._all(state, drafted, upto)
        return fold(self.settings_of(state.user), sorted(events), state.user.tz)

    def counted_periods(self, state: UserState) -> list[CountedPeriod]:
        """Every period that counted, ascending."""
        settings = self.settings_of(state.user)
        return counted_periods(settings, sorted(self._recorded(state, value.MOST)))

    def value_in(
        self,
        run: Run,
        state: UserState,
        now: int,
        drafted: Drafted = NOTHING,
        upto: int = value.MOST,
    ) -> StreakValue:
        """What the streak of a user is worth in a run at an instant.

        Where the user's own clock has left the run behind, the events since then do not count.
        """
        settings, before = self.settings_of(state.user), state.streak
        events = partial(self._all, state, drafted, upto)
        streak = streak_in_run(settings, before.version, before, run, state.user.tz, events)
        tally = value_in(settings, streak, run, now)
        return StreakValue(tally, None if tally is None else leaves_at(settings, streak, run))

    def _all(self, state: UserState, drafted: Drafted, upto: int) -> list[StreakEvent]:
        found = [*self._recorded(state, upto), *drafted.events]
        return [event for event in found if event.position not in drafted.void] if drafted.void else found

    def _recorded(self, state: UserState, upto: int) -> list[StreakEvent]:
        settings, user = self.settings_of(state.user), state.user.number
        metrics = [number for number, _ in settings.metrics] or [
            number for number in state.sums if not is_counter(number)
        ]
        return [
            StreakEvent(event.occurred_at, event.position, metric, event.amount, event.local_at)
            for metric in metrics
            for event in self._users.history(user, metric, value.LEAST, value.MOST, upto)
        ]
