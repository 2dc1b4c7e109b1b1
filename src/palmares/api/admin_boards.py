"""Leaderboards for administrators: list, get, create, update, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.wire_admin import (
    AdminLeaderboard,
    CreatedLeaderboards,
    Deleted,
    LeaderboardUpdate,
    NewLeaderboard,
    UpdatedLeaderboards,
    admin_board,
    board_fields,
)
from palmares.domain.board import Board
from palmares.service.define_boards import create_boards, delete_boards, update_boards

_NEW = msgspec.json.Decoder(NewLeaderboard)
_UPDATE = msgspec.json.Decoder(LeaderboardUpdate)


async def get_list(call: Call) -> Answer:
    """A part of the leaderboards, oldest first."""
    boards = bulk.read_part(call, call.context.catalog.definitions(call.scope).boards)
    return Answer(200, [*map(_shown(call), boards)])


async def get_one(call: Call) -> Answer:
    """One leaderboard."""
    board = bulk.find(call, "leaderboard", call.context.catalog.definitions(call.scope).board_by_id)
    return Answer(200, _shown(call)(board))


async def create(call: Call) -> Answer:
    """Create leaderboards."""
    items = bulk.read_items(call, _NEW, board_fields)
    done = await create_boards(call.context, call.scope, items)
    return bulk.created(done, CreatedLeaderboards, _shown(call))


async def update(call: Call) -> Answer:
    """Update leaderboards."""
    items = bulk.read_items(call, _UPDATE, board_fields)
    done = await update_boards(call.context, call.scope, items)
    return bulk.updated(done, UpdatedLeaderboards, _shown(call))


async def delete(call: Call) -> Answer:
    """Delete leaderboards."""
    return bulk.deleted(await delete_boards(call.context, call.scope, bulk.read_ids(call)))


def _shown(call: Call) -> Callable[[Board], AdminLeaderboard]:
    """How boards are shown now: their status depends on the time."""
    now = call.context.clock()
    return lambda board: admin_board(board, now)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/leaderboards",
        get_list,
        "List leaderboards",
        {200: list[AdminLeaderboard]},
        query=bulk.ListQuery,
    ),
    Endpoint(
        "GET",
        "/leaderboards/{id}",
        get_one,
        "Get a leaderboard",
        {200: AdminLeaderboard},
        errors=(422,),
    ),
    Endpoint(
        "POST",
        "/leaderboards",
        create,
        "Create leaderboards",
        {200: CreatedLeaderboards, 201: CreatedLeaderboards},
        body=Annotated[list[NewLeaderboard], bulk.Many],
    ),
    Endpoint(
        "PATCH",
        "/leaderboards",
        update,
        "Update leaderboards",
        {200: UpdatedLeaderboards},
        body=Annotated[list[LeaderboardUpdate], bulk.Many],
    ),
    Endpoint(
        "DELETE",
        "/leaderboards",
        delete,
        "Delete leaderboards",
        {200: Deleted},
        query=bulk.IdsQuery,
    ),
)
