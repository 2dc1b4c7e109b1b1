"""Counting once more what was recorded already: behind a build, and after a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from palmares.domain import tally, value
from palmares.domain.changes import moves
from palmares.domain.effect import changes_past_days, is_late
from palmares.domain.group import Group
from palmares.domain.hidden import ONLY_HIDDEN
from palmares.domain.preferences import Preferences
from palmares.domain.run import Run
from palmares.domain.streak import decode, may_concern
from palmares.ledger.embedded.draft import Step
from palmares.ledger.embedded.log import ERASURE, EVENT, USER, VOID, Line, Log, Voided, past_event
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.streaks import Streaks
from palmares.ledger.embedded.timeline import Timeline
from palmares.ledger.embedded.users import Users, UserState, attributes_before, decode_user, preferences_before
from palmares.ledger.voids import consequence

_LINES_AT_ONCE = 10_000


class Present(NamedTuple):
    """What users are at the present line, of those who become something else behind it."""

    attributes: dict[int, Mapping[str, str]]
    preferences: dict[int, Preferences]


def replay_step(rankings: Rankings, users: Users, streaks: Streaks, step: Step) -> None:
    """Apply to one board's rankings a step that was recorded while they were being built."""
    user = step.state.user
    if step.erased:
        _erase(rankings, user.number)
        return
    _move(rankings, user.number, step.attributes_before, user.attributes)
    for voided in step.voids:
        _void(rankings, users, user.attributes, voided)
    for line in step.lines:
        if line.kind == EVENT:
            _count(rankings, users, user.attributes, line)
        _set_streak(rankings, users, streaks, step.state, user.attributes, line)


async def replay_log(
    boards: Sequence[Rankings], users: Users, streaks: Streaks, log: Log, after: int, timeline: Timeline
) -> None:
    """Apply the log behind a position, and what ended meanwhile, to rankings that are as of that position.

    Users are known as of the end of the log only. Who changed attributes or preferences on the way starts from what the
    first of those lines replaced, and goes along from line to line.
    """
    present = _present_at(log, after)
    while lines := log.read(after, _LINES_AT_ONCE):
        for line in lines:
            if line.recorded_at >= timeline.next_due:
                await timeline.reach(line.recorded_at)
            if line.kind == EVENT:
                _count_everywhere(boards, users, present, line)
            elif line.kind == VOID:
                _void_everywhere(boards, users, present, Voided(_event_of(log, line), line))
            elif line.kind == ERASURE:
                for rankings in boards:
                    _erase(rankings, line.user)
            elif line.kind == USER:
                _change_everywhere(boards, present, line)
            if line.streak is not None:
                _set_streaks_everywhere(boards, users, streaks, present, line)
        after = lines[-1].position


def _erase(rankings: Rankings, user: int) -> None:
    for _ in rankings.erase(user):
        pass


def _present_at(log: Log, position: int) -> Present:
    """What is true at a position of those who change behind it."""
    present = Present({}, {})
    for line in log.user_lines(position, log.position):
        attributes = attributes_before(line.body or "{}")
        if attributes is not None:
            present.attributes.setdefault(line.user, attributes)
        preferences = preferences_before(line.body or "{}")
        if preferences is not None:
            present.preferences.setdefault(line.user, preferences)
    return present


def _count_everywhere(boards: Sequence[Rankings], users: Users, present: Present, line: Line) -> None:
    for rankings in boards:
        if _is_of_interest(rankings, line):
            _count(rankings, users, _attributes_of(rankings, users, present, line.user), line)


def _event_of(log: Log, void: Line) -> Line:
    """The line of the event that a line says is void."""
    event = None if void.target is None else log.at(void.target)
    assert event is not None, f"line {void.position} is about an event that is not in the log"
    return event


def _void_everywhere(boards: Sequence[Rankings], users: Users, present: Present, voided: Voided) -> None:
    for rankings in boards:
        if _is_of_interest(rankings, voided.event):
            _void(rankings, users, _attributes_of(rankings, users, present, voided.event.user), voided)


def _void(rankings: Rankings, users: Users, attributes: Mapping[str, str], voided: Voided) -> None:
    """Take out an event of a user with these attributes, which a line says is void."""
    event, line = voided
    if not _is_of_interest(rankings, event):
        return
    found = consequence(rankings.plan, event, line.recorded_at)
    if found is None:
        return
    if found.ignored:
        rankings.ignored[found.run.start] += 1
    if found.over:
        rankings.revise(found.run)
    if found.live and rankings.streaks is None:
        left = rankings.refold(found.run, rankings.history(users, found.run, event.user, line.position))
        group = _group_of(rankings, users, found.run, attributes, event.user)
        rankings.change(found.run.start, group, event.user, left)


def _set_streaks_everywhere(
    boards: Sequence[Rankings],
    users: Users,
    streaks: Streaks,
    present: Present,
    line: Line,
) -> None:
    state = users.get(line.user)
    preferences = present.preferences.get(line.user, state.user.preferences)
    state = replace(state, user=replace(state.user, preferences=preferences))
    for rankings in boards:
        if rankings.streaks is not None and rankings.plan.board.scope == line.scope:
            attributes = _attributes_of(rankings, users, present, line.user)
            _set_streak(rankings, users, streaks, state, attributes, line)


def _attributes_of(rankings: Rankings, users: Users, present: Present, user: int) -> Mapping[str, str]:
    """The attributes that a user has at the present line; on a board without groups, as far as they hide the user."""
    known = present.attributes.get(user)
    if known is not None:
        return known
    if rankings.plan.grouped:
        return users.get(user).user.attributes
    return ONLY_HIDDEN if user in users.hidden else {}


def _is_of_interest(rankings: Rankings, line: Line) -> bool:
    """Whether an event is one that the board looks at."""
    board, settings = rankings.plan.board, rankings.streaks
    if settings is not None:
        assert line.metric is not None
        assert line.amount is not None
        return board.scope == line.scope and may_concern(settings, line.metric, line.amount)
    return board.counted is not None and board.counted.number == line.metric


def _change_everywhere(boards: Sequence[Rankings], present: Present, line: Line) -> None:
    if line.user not in present.attributes and line.user not in present.preferences:
        return
    after = decode_user(line.user, line.scope, line.user_id or "", line.body or "{}")
    if line.user in present.attributes:
        for rankings in boards:
            _move(rankings, line.user, present.attributes[line.user], after.attributes)
        present.attributes[line.user] = after.attributes
    if line.user in present.preferences:
        present.preferences[line.user] = after.preferences


def _move(rankings: Rankings, user: int, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for move in moves([rankings.plan], before, after):
        for _ in rankings.move(move, user):
            pass


def _count(rankings: Rankings, users: Users, attributes: Mapping[str, str], line: Line) -> None:
    event = past_event(line)
    run = rankings.plan.run_concerned(event.local_at)
    if run is None or not _is_of_interest(rankings, line):
        return
    history = bool(line.history)
    if not is_late(run, line.recorded_at):
        if rankings.streaks is None:
            _count_in(rankings, users, run, attributes, line)
        if changes_past_days(line.recorded_at, event.occurred_at, history):
            rankings.revise(run)
    elif history or rankings.plan.board.late_events == "revise":
        rankings.revise(run)
    else:
        rankings.ignored[run.start] += 1


def _group_of(rankings: Rankings, users: Users, run: Run, attributes: Mapping[str, str], user: int) -> Group | None:
    """The group of a user with these attributes. What an erased one had is not known, but the place is still held."""
    group = rankings.plan.group_of(attributes)
    return rankings.where(run.start, user, group) if user in users.erased else group


def _set_streak(
    rankings: Rankings, users: Users, streaks: Streaks, state: UserState, attributes: Mapping[str, str], line: Line
) -> None:
    """Give a user of these attributes what the streak behind a line is worth, where that has changed."""
    run = rankings.plan.only_run
    if rankings.streaks is None or line.streak is None or is_late(run, line.recorded_at):
        return
    if line.local_at is None or rankings.plan.run_concerned(line.local_at) is not None:
        then = replace(state, streak=decode(line.streak))
        worth = streaks.value_in(run, then, line.recorded_at, upto=line.position)
        rankings.set_streak(run.start, _group_of(rankings, users, run, attributes, line.user), line.user, worth)


def _count_in(rankings: Rankings, users: Users, run: Run, attributes: Mapping[str, str], line: Line) -> None:
    """Count an event of a user with these attributes in a run that was live."""
    event, board = past_event(line), rankings.plan.board
    group = _group_of(rankings, users, run, attributes, line.user)
    before = rankings.stored(run.start, group, line.user)
    after = tally.step(board.aggregation, before, event.amount, event.occurred_at, not line.late)
    if after is None:
        after = rankings.refold(run, rankings.history(users, run, line.user, event.position))
        assert after is not None, "there is this event at least"
    # While a board is built, nobody refuses the events that lead out of its range.
    value.checked(after.value, f"a value on leaderboard {board.key!r}")
    rankings.set(run.start, group, line.user, after)
