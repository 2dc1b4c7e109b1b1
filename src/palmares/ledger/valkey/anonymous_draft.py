"""A draft that takes lines of erased users as they are, for replaying a log.

What led to these lines is not known any more: attributes decided what was earned and where it counted. So nothing is
worked out. The user is anonymous from the first line on, stands nowhere, and has what the lines say: sums, events,
which of them are void, and what came late to runs that were final.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from palmares.domain.effect import effect_at
from palmares.domain.erased import anonymous_id
from palmares.domain.user import User, without_person
from palmares.ledger.contract import NO_STREAK, Entry
from palmares.ledger.valkey.correct import CorrectingDraft, past_event
from palmares.ledger.valkey.draft import Step, event_member
from palmares.ledger.valkey.keys import run_field, user_name
from palmares.ledger.valkey.state import Logged, Stored, Sum, UserState
from palmares.ledger.voids import consequence


class AnonymousDraft(CorrectingDraft):
    """Some requests in the making, and lines that are taken as they are."""

    def add_as_it_is(self, told: Logged, profile: User | None) -> Step:
        """A line of an erased user. `profile` is what the line of a user tells.

        Lines that it is about have to be in the picture.
        """
        line, name = told.line, user_name(told.line.scope, anonymous_id(told.user))
        present = self._present(name)
        if present is None:
            present = Stored(0, UserState(_nobody(told), {}, NO_STREAK, {}, self._boards(name).newest))
        entry = Entry(line.scope, anonymous_id(told.user))
        step = Step(entry, name, self.picture.shard_of[name], present.version, present.state, writes=True)
        step.lines.append(line)
        step.targets[0] = told.target or 0
        if profile is not None:
            left = replace(without_person(replace(profile, number=told.user)), number=0)
            step.state = msgspec.structs.replace(step.state, user=left)
        elif line.kind == "erasure":
            step.state = msgspec.structs.replace(step.state, erased_at=told.recorded_at)
        elif line.kind == "void":
            self._take_back(step, told)
        else:
            self._count(step, told)
        self._kept.users[name] = Stored(present.version + 1, step.state)
        return step

    def _count(self, step: Step, told: Logged) -> None:
        event, line = past_event(told), told.line
        assert line.metric is not None
        step.events.append(event_member(line.metric, event))
        former = step.state.sums.get(line.metric)
        self._sum(step, told, event.occurred_at if former is None else max(former.latest, event.occurred_at))
        for making in self._boards(step.name).counting(line.metric):
            run = making.plan.run_at(event.local_at)
            late_events = making.board.late_events
            if run and effect_at(run, late_events, told.recorded_at, event.occurred_at, line.history) is None:
                step.ignored.append(run_field(making.generation, run.start))

    def _take_back(self, step: Step, told: Logged) -> None:
        event, metric = self.picture.lines[step.shard, told.target or 0], told.line.metric
        assert metric is not None
        step.gone.append((event_member(metric, past_event(event)), told.position))
        self._sum(step, told, step.state.sums[metric].latest)
        for making in self._boards(step.name).counting(metric):
            found = consequence(making.plan, event, told.recorded_at)
            if found is not None and found.ignored:
                step.ignored.append(run_field(making.generation, found.run.start))

    def _sum(self, step: Step, told: Logged, latest: int) -> None:
        assert told.line.metric is not None
        assert told.line.total is not None
        sums = {**step.state.sums, told.line.metric: Sum(told.line.total, latest)}
        step.state = msgspec.structs.replace(step.state, sums=sums)


def _nobody(told: Logged) -> User:
    return User(
        number=0, scope=told.line.scope, id=anonymous_id(told.user), created=told.recorded_at, updated=told.recorded_at
    )
