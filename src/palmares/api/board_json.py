"""The part of an answer that a board gives, encoded once and kept.

A board's definition changes rarely and every answer about it carries the whole of it. So the hot routes join bytes:
the fragment kept here, a JSON object without its closing brace, and the few fields of the one request (`extended`).
Tests prove that the outcome equals the encoding of the structs in `wire.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palmares.api.wire import ENCODER, breakdown_values, day_or_none, leaderboard
from palmares.domain.board import Board, Status
from palmares.domain.group import Group
from palmares.domain.run import Run

# Some hundreds of bytes each. When full, all are dropped: they are made again in microseconds.
MOST_FRAGMENTS = 4096

_Key = tuple[str, int, Status, Run | None, Group]
_fragments: dict[_Key, tuple[Board, bytes]] = {}


def board_json(board: Board, status: Status) -> bytes:
    """The fields of `Leaderboard`."""
    return _kept(("board", board.number, status, None, ()), board)


def shown_json(board: Board, status: Status, run: Run | None) -> bytes:
    """The fields of `Leaderboard` with `runStart` and `runEnd` of the run that is shown, null without one."""
    return _kept(("shown", board.number, status, run, ()), board)


def event_board_json(board: Board, status: Status, run: Run, group: Group = ()) -> bytes:
    """As `shown_json`, with the run's days in `start` and `end` too and the group, as answers to events have it."""
    return _kept(("event", board.number, status, run, group), board)


def extended(fragment: bytes, fields: Mapping[str, Any]) -> bytes:
    """The whole JSON object: a fragment and further fields, of which there is at least one."""
    return b"%b,%b" % (fragment, ENCODER.encode(fields)[1:])


def _kept(key: _Key, board: Board) -> bytes:
    kept = _fragments.get(key)
    # A board that was changed is another object with the same number.
    if kept is not None and kept[0] is board:
        return kept[1]
    if len(_fragments) >= MOST_FRAGMENTS:
        _fragments.clear()
    fragment = _encoded(key, board)
    _fragments[key] = board, fragment
    return fragment


def _encoded(key: _Key, board: Board) -> bytes:
    form, _, status, run, group = key
    fragment = ENCODER.encode(leaderboard(board, status, run if form == "event" else None))[:-1]
    if form == "board":
        return fragment
    start, end = run or (None, None)
    days = {"runStart": day_or_none(start), "runEnd": day_or_none(end)}
    return extended(fragment, {**days, **breakdown_values(board, group)})[:-1]
