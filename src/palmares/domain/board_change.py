"""How a board comes to be and how it changes: what may change when, and which status follows from the one asked for.

    asked \\ now   inactive            scheduled   active              finished
    inactive      –                   hidden      hidden              refused
    scheduled     as the start says   –           active, remark      refused
    active        as the start says   – remark    –                   refused
    finished      ends today          refused     ends today          –

What is left as it is shows as –. Finished boards are final: only their name and description may change. While a
board is not inactive, everything that decides who stands where is locked, except its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from palmares.domain.board import LOCKED, Board, Status, check
from palmares.domain.errors import Invalid
from palmares.domain.local_time import day_of
from palmares.domain.run import opens_at

# Fields whose name on the wire is not just theirs in camel case.
_WIRE_NAMES = {
    "metric": "metricId",
    "points_system": "pointsSystemId",
    "breakdown": "breakdownAttributes",
    "filters": "userAttributes",
}

# More than the days of two months: no streak of now lasts longer without another event.
_STREAK_DAYS = 64


class Change(NamedTuple):
    """A board as asked for, checked, and a remark when its status is not the one asked for."""

    board: Board
    remark: str | None = None


def created(board: Board, status: Status, now: int) -> Change:
    """A new board in the status asked for. `Invalid` when its fields do not fit together or it cannot be finished."""
    check(board)
    if status == "finished" and (board.end is None or board.end >= day_of(now)):
        raise Invalid("status: a board that is created finished needs an end in the past")
    return _asked(board, status, now)


def changed(board: Board, given: Mapping[str, Any], now: int) -> Change:
    """The board with the given fields of `Board` and, in `status`, the status asked for; absent fields stay.

    Raises `Invalid` for a locked field that would differ, a status that cannot follow, and fields that do not fit
    together. Clearing `run_unit` clears `run_interval` too, and another `rank_by` what the former one needed.
    """
    fields = _with_consequences({name: value for name, value in given.items() if name != "status"})
    after = replace(board, **fields)
    present = board.status_at(now)
    _check_locks(present, [name for name in fields if getattr(board, name) != getattr(after, name)])
    check(after)
    status = given.get("status", present)
    if status == present:
        return _remarked(after, present, now)
    if present == "finished":
        raise Invalid("status: a finished board stays finished")
    return _asked(after, status, now)


def keeps_rankings(before: Board, after: Board, now: int) -> bool:
    """Whether a followed board counts the same events of up to now after a change of what is not locked.

    Only its end can cut events off, and no event of up to now is later than tomorrow: the date in the earliest zone.
    On a board that ranks by streak, who stands also depends on whether a streak breaks before the end.
    """
    latest = day_of(now) + (_STREAK_DAYS if before.rank_by == "streak" else 1)
    return before.end == after.end or all(board.end is None or board.end >= latest for board in (before, after))


def _with_consequences(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("run_unit", "unchanged") is None:
        fields.setdefault("run_interval", None)
    if fields.get("rank_by", "metric") != "metric":
        fields.setdefault("metric", None)
    if fields.get("rank_by", "points") != "points":
        fields.setdefault("points_system", None)
    return fields


def _check_locks(present: Status, differing: list[str]) -> None:
    if present == "finished" and "end" in differing:
        raise Invalid("end: locked, because the board is finished and its rankings are final; make a new board")
    for name in differing:
        if name in LOCKED and present != "inactive":
            raise Invalid(
                f"{_wire_name(name)}: locked while the board is not inactive; set its status to inactive first"
            )


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return _WIRE_NAMES.get(name) or first + "".join(word.capitalize() for word in rest)


def _asked(board: Board, status: Status, now: int) -> Change:
    """The board in a status that it was not in."""
    if status == "inactive":
        return Change(replace(board, asked_status="inactive"))
    if status == "finished":
        return Change(_finished(board, now))
    board = replace(board, asked_status="active")
    return _remarked(board, status, now)


def _remarked(board: Board, status: Status, now: int) -> Change:
    """The board, with a remark when its status is not that one."""
    reached = board.status_at(now)
    return Change(board, None if reached == status else _REMARKS[reached])


_REMARKS = {
    "scheduled": "status: the board is scheduled, because its start lies ahead",
    "active": "status: the board is active, because its start does not lie ahead",
    "finished": "status: the board is finished, because its end has passed",
}


def _finished(board: Board, now: int) -> Board:
    """The board, ended by hand. Its first day opens before that day begins in UTC, so the end may be tomorrow."""
    if now < opens_at(board.start):
        raise Invalid("status: a board that has not begun cannot be finished")
    latest = max(day_of(now), board.start)
    return replace(board, asked_status="finished", end=latest if board.end is None else min(board.end, latest))
