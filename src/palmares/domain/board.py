"""Boards: the definition of a leaderboard. A board holds no numbers; rankings do.

A board's status is a function of what was asked of it and of the clock, so nothing has to happen for a board to
open or to end:

    asked      before `start` opens    until `end` is over    after
    inactive   inactive                inactive               inactive
    active     scheduled               active                 finished
    finished   finished                finished               finished

While the rankings of a board are being made from events that came before it, it is inactive whatever was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from palmares.domain.errors import Invalid
from palmares.domain.local_time import parse_time
from palmares.domain.metric import Attribute, Metric, check_key, check_name, check_text
from palmares.domain.run import Run, RunUnit, Schedule, closes_at, opens_at

Status = Literal["inactive", "scheduled", "active", "finished"]
RankBy = Literal["metric", "points", "streak"]
Aggregation = Literal["sum", "max", "min", "last", "count"]
Order = Literal["desc", "asc"]
Ties = Literal["first", "last"]
Numbering = Literal["ordinal", "competition", "dense"]
LateEvents = Literal["ignore", "revise"]

DEFAULT_MAX_PARTICIPANTS = 1_000_000
# What official clients can hold, and more than a ledger can rank.
MOST = 2**31 - 1

# What may not change while a board is not inactive: everything that decides who stands where, except its end.
LOCKED = frozenset(
    "key rank_by metric points_system max_participants start start_time end_time breakdown filters run_unit "
    "run_interval aggregation order ties numbering late_events".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A leaderboard's definition. `start` and `end` are days, both included; times are local `HH:mm[:ss]`.

    A points system stands here as its counter (`domain/points.py`).
    """

    number: int
    id: str
    scope: int
    key: str
    name: str
    description: str | None = None
    asked_status: Literal["inactive", "active", "finished"] = "inactive"
    rank_by: RankBy
    metric: Metric | None = None
    points_system: Metric | None = None
    max_participants: int | None = DEFAULT_MAX_PARTICIPANTS
    start: int
    end: int | None = None
    start_time: str | None = None
    end_time: str | None = None
    breakdown: tuple[Attribute, ...] = ()
    filters: tuple[tuple[Attribute, str], ...] = ()
    run_unit: RunUnit | None = None
    run_interval: int | None = None
    aggregation: Aggregation = "sum"
    order: Order = "desc"
    ties: Ties = "first"
    numbering: Numbering = "ordinal"
    late_events: LateEvents = "ignore"
    # False while the rankings are made from the past; until then nobody sees the board.
    ready: bool = True
    # Place in the log after which nothing counts any more; set when the board was finished by hand.
    finished_position: int | None = None

    @property
    def counted(self) -> Metric | None:
        """What the board counts the events of: its metric, or the awards of its points system; None for streaks."""
        return self.metric or self.points_system

    @property
    def schedule(self) -> Schedule:
        """The board's runs."""
        return _schedule(self.start, self.end, self.run_unit, self.run_interval or 1)

    def status_at(self, now: int) -> Status:
        """The status at an instant: the table at the top of this file."""
        if not self.ready:
            return "inactive"
        if self.asked_status != "active":
            return self.asked_status
        if now < opens_at(self.start):
            return "scheduled"
        if self.end is not None and now >= closes_at(self.end):
            return "finished"
        return "active"

    def current_run(self, today: int) -> Run | None:
        """The run shown when none is named: that of today, the last one after the end; None before the start."""
        return _current_run(self.start, self.end, self.run_unit, self.run_interval or 1, today)


# Boards are asked again and again, for a day or two.
@lru_cache(maxsize=4096)
def _schedule(start: int, end: int | None, unit: RunUnit | None, interval: int) -> Schedule:
    return Schedule(start, end, unit, interval)


@lru_cache(maxsize=4096)
def _current_run(start: int, end: int | None, unit: RunUnit | None, interval: int, today: int) -> Run | None:
    schedule = _schedule(start, end, unit, interval)
    return schedule.run_at(today) or (schedule.last_run() if today > schedule.start else None)


def check(board: Board) -> Board:
    """The board itself, or `Invalid` with what does not fit together; fields are called as on the wire."""
    _check_texts(board)
    _check_subject(board)
    _check_calendar(board)
    _check_window(board)
    if board.max_participants is not None and not 1 <= board.max_participants <= MOST:
        raise Invalid(f"maxParticipants: expected an integer from 1 to {MOST}, or null for no cap")
    return board


def _check_texts(board: Board) -> None:
    check_name(board.name)
    check_key(board.key)
    check_text(board.description or "", "description")
    for _, value in board.filters:
        check_text(value, "userAttributes")


def _check_subject(board: Board) -> None:
    if board.rank_by == "metric" and board.metric is None:
        raise Invalid("metricId: a board that ranks by metric needs one")
    if board.rank_by == "points" and board.points_system is None:
        raise Invalid("pointsSystemId: a board that ranks by points needs one")
    if board.rank_by != "metric" and board.metric is not None:
        raise Invalid("metricId: only a board that ranks by metric has one")
    if board.rank_by != "points" and board.points_system is not None:
        raise Invalid("pointsSystemId: only a board that ranks by points has one")
    keys = [attribute.key for attribute in board.breakdown]
    if len(set(keys)) < len(keys):
        raise Invalid("breakdownAttributes: an attribute is listed twice")
    keys = [attribute.key for attribute, _ in board.filters]
    if len(set(keys)) < len(keys):
        raise Invalid("userAttributes: an attribute is listed twice")


def _check_calendar(board: Board) -> None:
    if board.end is not None and board.end < board.start:
        raise Invalid("end: must not lie before start")
    if (board.run_unit is None) != (board.run_interval is None):
        raise Invalid("runInterval: runUnit and runInterval are given together or not at all")
    if board.run_interval is not None and not 1 <= board.run_interval <= MOST:
        raise Invalid(f"runInterval: expected an integer from 1 to {MOST}")
    if board.run_unit is not None and board.rank_by == "streak":
        raise Invalid("runUnit: a board that ranks by streak cannot repeat")


def _check_window(board: Board) -> None:
    opening = parse_time(board.start_time, "startTime") if board.start_time is not None else 0
    closing = parse_time(board.end_time, "endTime") if board.end_time is not None else 86_400
    if opening >= closing:
        raise Invalid("startTime: must lie before endTime")
