"""What is over of a board that ranks by streak, made from nothing but the logs.

Everybody's streak is lived through once more, with the zone and the preferences that users had then. Who stands where
at a boundary follows from the streaks of that moment: who broke one before has nothing any more, who breaks it with the
boundary has left only behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.effect import BOUNDARY_STEP
from palmares.domain.points import is_counter
from palmares.domain.preferences import DEFAULTS, Preferences, streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, blank, fold, in_order, in_zone, may_concern, step
from palmares.domain.streak_board import value_in
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.domain.value import MOST
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.build import Build, InThread
from palmares.ledger.valkey.past import Effect, Past
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.state import Line, Logged, decode_stored
from palmares.ledger.valkey.stream import Stream


class Profile(msgspec.Struct, frozen=True):
    """What streaks need to know of a user."""

    tz: str | None
    preferences: Preferences = DEFAULTS


_profile = msgspec.json.Decoder(Profile).decode


class StreakPast(Past):
    """The past of a board that ranks by streak, by some settings: of events of all metrics that may count for anybody,
    and from before its run too.

    `profiles` are those of the moment that was reached, and `changed` has the former ones of those who have another.
    """

    def __init__(
        self,
        shards: Shards,
        stream: Stream,
        plan: Plan,
        upto: Mapping[int, int],
        beyond: bool,
        settings: StreakSettings,
    ) -> None:
        super().__init__(shards, stream, plan, upto, None, beyond)
        self.settings = settings
        self.profiles: dict[int, Profile] = {}
        self.changed: dict[int, Profile] = {}

    def settings_of(self, user: int) -> StreakSettings:
        """By which settings the streak of a user counts, at the moment that was reached."""
        return streak_settings_of(self.settings, self.profiles[user].preferences)

    def _look(self, shard: int, logged: Logged) -> None:
        super()._look(shard, logged)
        if self._is_profile(logged.line) and logged.user not in self.profiles:
            self.profiles[logged.user] = _profile(logged.line.body or "")

    def _tell(self, shard: int, logged: Logged, found: list[Effect]) -> None:
        super()._tell(shard, logged, found)
        if self._is_profile(logged.line):
            profile = _profile(logged.line.body or "")
            before = self.profiles.setdefault(logged.user, profile)
            if before != profile:
                self.changed.setdefault(logged.user, before)
                self.profiles[logged.user] = profile

    def _is_profile(self, line: Line) -> bool:
        return line.kind == "user" and line.scope == self._plan.board.scope

    def _run_of(self, line: Line) -> Run | None:
        if line.metric is None or line.scope != self._plan.board.scope:
            return None
        assert line.local_at is not None
        amount = -(line.amount or 0) if line.kind == "void" else line.amount or 0
        return self._plan.run_concerned(line.local_at) if may_concern(self.settings, line.metric, amount) else None

    async def _metrics(self, shard: int, name: bytes) -> Sequence[int]:
        [raw] = await self._shards.store.read([[b"HGET", self._shards.all[shard].keys.users, name]])
        return [] if raw is None else [metric for metric in decode_stored(raw).state.sums if not is_counter(metric)]


def past_of(
    shards: Shards,
    stream: Stream,
    board: Board,
    streaks: StreakSettings | None,
    upto: Mapping[int, int],
    runs: Collection[int] | None = None,
    beyond: bool = True,
) -> Past:
    """What is known of a board by its logs, see `Past`; one that ranks by streak does so by these settings."""
    if streaks is not None:
        return StreakPast(shards, stream, Plan(board), upto, beyond, streaks)
    return Past(shards, stream, Plan(board), upto, runs, beyond)


class StreakBuild(Build):
    """One making of what is over. A pass over the logs, and all events of a user where one comes out of order."""

    def __init__(
        self,
        board: Board,
        past: StreakPast,
        archive: Archive,
        edition: int,
        in_thread: InThread,
        runs: Collection[Run] | None,
    ) -> None:
        super().__init__(board, past, archive, edition, in_thread, runs)
        self._streak_past = past
        self._only_run = Plan(board).only_run
        self._streaks: dict[int, Streak] = {}
        self._shard_of: dict[int, int] = {}
        # The instant as of which streaks are alive, and when the board was finished by hand.
        self._now = 0
        self._finished_at = MOST

    async def finish(self, at: int) -> None:
        """See `Build.finish`."""
        self._finished_at = at
        await super().finish(at)

    async def _next_due(self, boundary: int) -> int:
        """Every boundary while anybody stands in the run: at the next one, they may have left without an event."""
        if any(True for _ in self._tallies(self._only_run)):
            return self._boundary + BOUNDARY_STEP
        return await super()._next_due(boundary)

    async def _live_until(self, instant: int) -> None:
        past = self._streak_past
        effects = await past.until(instant)
        self._now = min(instant - 1, self._finished_at)
        self._revised |= past.revising
        unsure = {user for _, user in past.recounted} | self._travelled()
        past.recounted.clear()
        for effect in sorted(effects, key=_as_it_happened):
            self._held.setdefault(effect.run, {})
            self._shard_of[effect.user] = effect.shard
            if effect.late:
                self._revised.add(effect.run)
            if effect.user not in unsure and not self._extend(effect):
                unsure.add(effect.user)
        for user in unsure & self._shard_of.keys():
            await self._fold(user)
        # As time goes on, streaks break.
        self._ranked.clear()

    def _travelled(self) -> set[int]:
        """Let streaks be in the zones that their users have now; told are those that count by something else too."""
        past, others = self._streak_past, set()
        for user, before in past.changed.items():
            if before.preferences != past.profiles[user].preferences:
                others.add(user)
            elif user in self._streaks:
                self._streaks[user] = in_zone(past.settings_of(user), self._streaks[user], past.profiles[user].tz)
        past.changed.clear()
        return others

    def _extend(self, effect: Effect) -> bool:
        """Let a streak have an event; False when only all of the user's events together can tell."""
        before = self._streaks.get(effect.user, blank(self._streak_past.settings))
        # Of events of one instant that happened earlier than they took effect, another may belong behind this one.
        backdated = effect.at != effect.occurred_at
        if not in_order(before, effect.occurred_at) or (backdated and effect.occurred_at == before.latest):
            return False
        settings, profile = self._streak_past.settings_of(effect.user), self._streak_past.profiles[effect.user]
        self._streaks[effect.user] = step(settings, before, _event(effect), profile.tz)
        return True

    async def _fold(self, user: int) -> None:
        """The streak of all that a user did until now."""
        effects = await self._streak_past.all_of(self._shard_of[user], user, self._only_run)
        settings, profile = self._streak_past.settings_of(user), self._streak_past.profiles[user]
        self._streaks[user] = fold(settings, sorted(map(_event, effects)), profile.tz)
        if any(effect.late for effect in effects):
            self._revised.add(self._only_run)

    def _tallies(self, run: Run) -> Iterator[tuple[int, Tally]]:
        for user, streak in self._streaks.items():
            found = value_in(self._streak_past.settings_of(user), streak, run, self._now)
            if found is not None:
                yield user, found


def _event(effect: Effect) -> StreakEvent:
    return StreakEvent(effect.occurred_at, effect.position, effect.metric, effect.amount, effect.local_at)


def _as_it_happened(effect: Effect) -> tuple[int, int]:
    return effect.occurred_at, effect.position
