"""Leaderboards for administrators: list, get, create, update, delete."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.json import Decoder

from palmares.api.endpoint import Call
from palmares.api.resource import Resource, Write
from palmares.api.wire_admin import (
    AdminLeaderboard,
    CreatedLeaderboards,
    LeaderboardUpdate,
    NewLeaderboard,
    UpdatedLeaderboards,
    admin_board,
    board_fields,
)
from palmares.domain.board import Board
from palmares.service.define_boards import create_boards, delete_boards, update_boards


class _Boards(Resource[Board]):
    """Leaderboards are shown with how the work on them goes."""

    def _shown(self, call: Call) -> Callable[[Board], AdminLeaderboard]:
        now, making, ledger = call.context.clock(), call.context.activations, call.context.ledger
        return lambda board: admin_board(
            board, now, making.progress(board), ledger.revising(board.number), making.problem(board)
        )


BOARDS = _Boards(
    name="leaderboard",
    things=lambda definitions: definitions.boards,
    by_id=lambda definitions: definitions.board_by_id,
    form=AdminLeaderboard,
    show=admin_board,
    creating=Write(Decoder(NewLeaderboard), board_fields, create_boards, CreatedLeaderboards),
    updating=Write(Decoder(LeaderboardUpdate), board_fields, update_boards, UpdatedLeaderboards),
    deleting=delete_boards,
)

ENDPOINTS = BOARDS.endpoints()
