"""Counting once more what was recorded already: during a build, and after a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palmares.domain.changes import moves
from palmares.ledger.embedded.draft import Step
from palmares.ledger.embedded.log import EVENT, Line, Log, past_event
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.users import Users, attributes_before, decode_user

_LINES_AT_ONCE = 10_000


def replay_step(rankings: Rankings, users: Users, step: Step) -> None:
    """Apply to one board's rankings a step that was recorded while they were being built."""
    user = step.state.user
    _move(rankings, user.number, step.attributes_before, user.attributes)
    if step.event is not None:
        _count(rankings, users, user.attributes, step.event_line)


def replay_log(boards: Sequence[Rankings], users: Users, log: Log, after: int) -> None:
    """Apply the log behind a position to rankings that are as of that position.

    Users are known as of the end of the log only. Who changed attributes on the way starts from what the first of
    those lines replaced, and goes along from line to line.
    """
    present = _attributes_as_of(log, after)
    while lines := log.read(after, _LINES_AT_ONCE):
        for line in lines:
            if line.kind == EVENT:
                _count_everywhere(boards, users, present, line)
            elif line.user in present:
                _move_everywhere(boards, present, line)
        after = lines[-1].position


def _attributes_as_of(log: Log, position: int) -> dict[int, Mapping[str, str]]:
    """The attributes, at a position, of those whose attributes change behind it."""
    present: dict[int, Mapping[str, str]] = {}
    for line in log.user_lines(position, log.position):
        before = attributes_before(line.body or "{}")
        if before is not None:
            present.setdefault(line.user, before)
    return present


def _count_everywhere(
    boards: Sequence[Rankings], users: Users, present: Mapping[int, Mapping[str, str]], line: Line
) -> None:
    for rankings in boards:
        board = rankings.plan.board
        counted = board.finished_position is None or line.position <= board.finished_position
        if counted and board.metric is not None and board.metric.number == line.metric:
            attributes: Mapping[str, str] = {}
            if rankings.plan.grouped:
                known = present.get(line.user)
                attributes = users.get(line.user).user.attributes if known is None else known
            _count(rankings, users, attributes, line)


def _move_everywhere(boards: Sequence[Rankings], present: dict[int, Mapping[str, str]], line: Line) -> None:
    after = decode_user(line.user, line.scope, line.user_id or "", line.body or "{}").attributes
    for rankings in boards:
        board = rankings.plan.board
        if board.finished_position is None or line.position <= board.finished_position:
            _move(rankings, line.user, present[line.user], after)
    present[line.user] = after


def _move(rankings: Rankings, user: int, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for move in moves([rankings.plan], before, after):
        for _ in rankings.move(move, user):
            pass


def _count(rankings: Rankings, users: Users, attributes: Mapping[str, str], line: Line) -> None:
    metric = rankings.plan.board.metric
    if metric is not None and metric.number == line.metric:
        rankings.replay(users, line.user, rankings.plan.group_of(attributes), past_event(line), bool(line.late))
