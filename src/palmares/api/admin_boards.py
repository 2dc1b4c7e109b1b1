"""Leaderboards for administrators: list, get, create, update, delete."""

from __future__ import annotations

from msgspec.json import Decoder

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
from palmares.service.define_boards import create_boards, delete_boards, update_boards

BOARDS = Resource(
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
