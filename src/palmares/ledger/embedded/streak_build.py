"""Rankings by streak from nothing but the log.

Everybody's streak is lived through once more, in memory: an event takes effect where it did, breaks come at the local
midnights between, by the zones that users had then.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from palmares.domain import value
from palmares.domain.effect import effect_at, is_late
from palmares.domain.hidden import MARK
from palmares.domain.points import is_counter
from palmares.domain.preferences import DEFAULTS, Preferences, streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, blank, fold, in_order, in_zone, may_concern
from palmares.domain.streak import step as stepped
from palmares.domain.streak_board import leaves_at, value_in
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.build import Build, Tools
from palmares.ledger.embedded.past import Past, PastStep
from palmares.ledger.embedded.projection import Snapshot
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.streaks import StreakValue
from palmares.ledger.embedded.timeline import Timeline


class _User(msgspec.Struct):
    tz: str | None
    preferences: Preferences = DEFAULTS


_USER = msgspec.json.Decoder(_User)


class StreakBuild(Build):
    """Fills empty rankings of a board that ranks by streak, which has one run."""

    def __init__(
        self,
        rankings: Rankings,
        past: Past,
        runs: list[Run] | None,
        timeline: Timeline,
        tools: Tools,
        archivist: Archivist,
        settings: StreakSettings,
    ) -> None:
        super().__init__(rankings, past, runs, timeline, tools, archivist)
        self._settings = settings
        self._zones: dict[int, str | None] = {}
        # Of those who have settings of their own.
        self._settings_of: dict[int, StreakSettings] = {}
        self._streaks: dict[int, Streak] = {}

    async def run(self, snapshot: Snapshot, until: int, on_progress: Callable[[int], None]) -> None:
        """See `Build.run`. Memory grows with the users who ever acted, until it is done."""
        self._zones, preferences = await self._past.zones(self._tools.in_thread)
        self._settings_of = {user: streak_settings_of(self._settings, one) for user, one in preferences.items()}
        await super().run(snapshot, until, on_progress)

    def _apply(self, step: PastStep) -> None:
        if step.body == "":
            super()._apply(step)
        elif step.body is not None:
            if self._rankings.plan.grouped or MARK in step.body:
                super()._apply(step)
            user = _USER.decode(step.body)
            self._travel(step, user.tz)
            self._prefer(step, user.preferences)
        elif may_concern(self._settings, step.metric, step.amount):
            self._count(step)
        # Whatever happened, somebody's streak may now break sooner.
        self._next_due = self._timeline.next_due

    def _ignore(self, step: PastStep) -> None:
        if may_concern(self._settings, step.metric, step.amount):
            super()._ignore(step)

    def _travel(self, step: PastStep, tz: str | None) -> None:
        """A user is in a zone from now on."""
        before, self._zones[step.user] = self._zones[step.user], tz
        streak = self._streaks.get(step.user)
        if streak is not None and tz != before:
            self._set(step, in_zone(self._rules(step), streak, tz))

    def _prefer(self, step: PastStep, preferences: Preferences) -> None:
        """A user has preferences from now on."""
        before, after = self._rules(step), streak_settings_of(self._settings, preferences)
        if after != before:
            self._settings_of[step.user] = after
            events = self._events_upto(self._rankings.plan.only_run, step)
            self._set(step, fold(after, sorted(events), self._zones[step.user]))

    def _rules(self, step: PastStep) -> StreakSettings:
        """By what the streak of a step's user counts at present."""
        return self._settings_of.get(step.user, self._settings)

    def _count(self, step: PastStep) -> None:
        run = self._run_of(step)
        if run is None:
            return
        if is_late(run, step.recorded_at):
            self._rankings.revised.add(run.start)
        before = self._streaks.get(step.user, blank(self._settings))
        after = self._after(before, run, step)
        if after is not before:
            self._set(step, after)

    def _after(self, before: Streak, run: Run, step: PastStep) -> Streak:
        # Of events of one instant that happened earlier than they took effect, another may belong behind this one.
        backdated = step.effect != step.occurred_at
        if in_order(before, step.occurred_at) and not (backdated and step.occurred_at == before.latest):
            event = StreakEvent(step.occurred_at, step.position, step.metric, step.amount, step.local_at)
            return stepped(self._rules(step), before, event, self._zones[step.user])
        return fold(self._rules(step), sorted(self._events_upto(run, step)), self._zones[step.user])

    def _events_upto(self, run: Run, step: PastStep) -> list[StreakEvent]:
        """The events of a step's user that took effect up to it."""
        projection, board = self._tools.projection, self._rankings.plan.board
        assert step.effect is not None
        metrics = [metric for metric, _ in self._rules(step).metrics] or [
            metric for metric, _, _ in projection.totals_of(step.user) if not is_counter(metric)
        ]
        found = []
        for metric in metrics:
            for event, recorded_at, history in projection.effects_of(
                step.user, metric, value.LEAST, value.MOST, self._past.upto
            ):
                if event.position in self._past.gone:
                    continue
                effect = effect_at(run, board.late_events, recorded_at, event.occurred_at, history)
                inside = self._rankings.plan.run_concerned(event.local_at) is not None
                if inside and effect is not None and (effect, event.position) <= (step.effect, step.position):
                    found.append(StreakEvent(event.occurred_at, event.position, metric, event.amount, event.local_at))
        return found

    def _set(self, step: PastStep, streak: Streak) -> None:
        """A user has a streak from now on."""
        self._streaks[step.user] = streak
        run = self._rankings.plan.only_run
        if step.effect is None or not self._is_live(run):
            return
        tally = value_in(self._rules(step), streak, run, step.effect)
        leaving = None if tally is None else leaves_at(self._rules(step), streak, run)
        self._rankings.set_streak(run.start, self._group_in(run, step.user), step.user, StreakValue(tally, leaving))

    def _is_live(self, run: Run) -> bool:
        return not is_late(run, self._timeline.now)
