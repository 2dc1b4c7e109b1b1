"""The encoded part of a board is what the structs would encode, for as long as the board stays the same."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from palmares.api import board_json as module
from palmares.api.board_json import board_json, event_board_json, extended, shown_json
from palmares.api.wire import ENCODER, EventLeaderboard, Leaderboard, LeaderboardPage, board_fields, leaderboard
from palmares.domain.board import Board, Status
from palmares.domain.run import Run
from tests.world import LEVEL, POOL, day, make_board

WEEK = Run(day("2026-03-02"), day("2026-03-08"))
OPEN = Run(day("2026-03-02"), None)

BOARDS = [
    make_board(),
    make_board(
        2,
        "everything",
        description='Quotes " and é',
        breakdown=(POOL, LEVEL),
        filters=((POOL, "east"),),
        end=day("2026-12-31"),
        start_time="09:00",
        end_time="17:30:15",
        max_participants=None,
        run_unit="month",
        run_interval=2,
        aggregation="min",
        order="asc",
        ties="last",
        numbering="dense",
    ),
    make_board(3, "streaks", rank_by="streak", metric=None),
]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.key)
@pytest.mark.parametrize("status", ["active", "scheduled", "finished"])
@pytest.mark.parametrize("run", [WEEK, OPEN, None])
def test_fragments_equal_the_encoding_of_the_structs(board: Board, status: Status, run: Run | None) -> None:
    """Twice each: once made and once kept."""
    days = {"run_start": None, "run_end": None}
    if run is not None:
        days = {"run_start": "2026-03-02", "run_end": "2026-03-08" if run is WEEK else None}
    page = LeaderboardPage(**board_fields(board, status), **days, total_participants=0, rankings=[])

    for _ in range(2):
        assert board_json(board, status) + b"}" == ENCODER.encode(leaderboard(board, status))
        shown = extended(shown_json(board, status, run), {"totalParticipants": 0, "rankings": []})
        assert shown == ENCODER.encode(page)


@pytest.mark.parametrize("run", [WEEK, OPEN])
def test_the_fragment_of_an_event_has_the_days_of_the_run_twice(run: Run) -> None:
    """In `start` and `end`, as the contract says, and in the added fields."""
    end = None if run.end is None else "2026-03-08"
    fields = board_fields(BOARDS[1], "active", run)
    entry = EventLeaderboard(**fields, run_start="2026-03-02", run_end=end, rank=1, previous_rank=None, threshold=0)

    rest: dict[str, Any] = {"rank": 1, "previousRank": None, "threshold": 0}

    assert extended(event_board_json(BOARDS[1], "active", run), rest) == ENCODER.encode(entry)


def test_a_changed_board_is_encoded_anew() -> None:
    before = make_board(4, name="Before")
    after = replace(before, name="After")

    assert msgspec.json.decode(board_json(before, "active") + b"}", type=Leaderboard).name == "Before"
    assert msgspec.json.decode(board_json(after, "active") + b"}", type=Leaderboard).name == "After"


def test_only_so_many_fragments_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room all are dropped, and made again when they are asked for."""
    monkeypatch.setattr(module, "_fragments", {})
    monkeypatch.setattr(module, "MOST_FRAGMENTS", 3)

    for number in range(10):
        encoded = board_json(make_board(number, f"board-{number}"), "active") + b"}"
        assert json.loads(encoded)["key"] == f"board-{number}"
        assert 1 <= len(module._fragments) <= 3
