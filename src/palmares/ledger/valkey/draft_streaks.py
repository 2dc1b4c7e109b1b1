"""A draft that keeps boards that rank by streak.

What a user has there follows from the streak, the user and the instant (`domain/streak_board.py`), so it is worked out
anew whenever one of the first two changes. The third needs no draft: a place says until when it holds, and is taken for
nothing from then on; `breaks.py` takes the member out of its order.
"""

from __future__ import annotations

from msgspec.structs import replace

from palmares.domain.effect import is_live
from palmares.domain.preferences import streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import may_concern
from palmares.domain.streak_board import leaves_at, streak_in_run, value_in
from palmares.domain.user import User
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.draft import Coming, Draft, Holdings, Step, Tell, UserBefore
from palmares.ledger.valkey.state import Held, Stored, UserState


class StreakDraft(Draft):
    """Some requests in the making, with what they change on boards that rank by streak."""

    def _present(self, name: bytes) -> Stored | None:
        """A user without the places that a streak gave until it broke."""
        found = super()._present(name)
        if found is None:
            return None
        held = found.state.held
        for making in self._boards(name).streaks:
            runs = held.get(making.generation, {})
            there = {start: one for start, one in runs.items() if one.leaves_at is None or one.leaves_at > self.now}
            if len(there) < len(runs):
                held = {**held, making.generation: there}
        return found if held is found.state.held else Stored(found.version, replace(found.state, held=held))

    def _caught_up(self, name: bytes, state: UserState) -> UserState:
        after, boards = super()._caught_up(name, state), self._boards(name)
        if after is state or not boards.streaks:
            return after
        newer = [making for making in boards.by_streak(state.user.scope) if making.generation > state.generation]
        return replace(
            after, held={**after.held, **{making.generation: self._worth(making, name, after) for making in newer}}
        )

    def _counted(self, metric: int, step: Step, coming: Coming, before: UserBefore) -> Holdings:
        self._note_late(metric, step, coming)
        return super()._counted(metric, step, coming, before)

    def _settle(self, step: Step, before: UserBefore) -> None:
        self._rank(step, before)
        super()._settle(step, before)

    def _rank(self, step: Step, before: UserBefore) -> None:
        """Let a step's user have on boards what the streak is worth, where a change of it or of the user matters; notes
        what is told of it."""
        user, state, boards = step.state.user, step.state, self._boards(step.name)
        if not boards.streaks:
            return
        as_before = state.streak is before.streak and not _counts_otherwise(before.user, user)
        held = dict(state.held)
        for making in boards.by_streak(user.scope):
            assert making.streaks is not None
            run = making.plan.only_run
            # A board may count by settings that this worker has not heard of: then its streak does not tell.
            if not is_live(run, self.now) or (as_before and making.streaks.version == state.streak.version):
                continue
            held[making.generation] = after = self._worth(making, step.name, state)
            if run.start in after and step.streak_extended and self._is_told(boards, making):
                self._tell(step, making, run, before, after[run.start])
        if held != state.held:
            step.state = replace(state, held=held)

    def _tell(self, step: Step, making: Making, run: Run, before: UserBefore, after: Held) -> None:
        """The event that extended a streak tells of the board, if it happened in the run."""
        user, seen = step.state.user, making.plan.own_group(step.state.user.attributes)
        local_at = step.lines[step.event_line - 1].local_at
        assert local_at is not None
        if seen is not None and making.plan.run_at(local_at) is not None:
            stood = before.stood_in(making, run, seen, user.hidden)
            member = None if stood is None else making.members.encode(stood[:2], user.id)
            step.tells.append(Tell(making, run, seen, member, making.members.encode(after[:2], user.id)))

    def _worth(self, making: Making, name: bytes, state: UserState) -> dict[int, Held]:
        """What the streak of a user is worth on a board, by the first day of its run, which is live."""
        assert making.streaks is not None
        run, user = making.plan.only_run, state.user
        if user.scope != making.board.scope or not is_live(run, self.now):
            return {}
        settings = streak_settings_of(making.streaks, user.preferences)
        found = streak_in_run(
            settings, making.streaks.version, state.streak, run, user.tz,
            lambda: self.streak_events(name, state, settings),
        )  # fmt: skip
        worth = value_in(settings, found, run, self.now)
        if worth is None:
            return {}
        return {run.start: Held(*worth, making.plan.group_of(user.attributes), leaves_at(settings, found, run))}

    def _note_late(self, metric: int, step: Step, coming: Coming) -> None:
        """Note what an event changes of boards that rank by streak, where it is over."""
        scope, event = step.state.user.scope, coming.event
        for making in self._boards(step.name).by_streak(scope):
            run = making.plan.run_concerned(event.local_at)
            assert making.streaks is not None
            if run is not None and may_concern(making.streaks, metric, event.amount):
                self._changes_what_is_over(making, run, step, coming)


def _counts_otherwise(before: User | None, after: User) -> bool:
    """Whether a streak may be another one though nothing has happened."""
    return before is not None and (before.tz, before.preferences) != (after.tz, after.preferences)
