"""Leaderboards for end users: the list, a page of rankings, one user's standing."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from palmares.api.board_json import extended, shown_json
from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_query, read_query_as
from palmares.api.wire import (
    Day,
    Leaderboard,
    LeaderboardPage,
    LeaderboardStanding,
    leaderboard,
    rankings,
    run_fields,
    snapshots,
)
from palmares.domain.errors import Invalid
from palmares.domain.local_time import parse_day
from palmares.domain.value import exact, rounded
from palmares.service.read_board import Page, PageRequest, read_page, shown_boards
from palmares.service.read_user import UserStanding, read_standing

RunDay = Annotated[Day, Meta(description="Any day of the run; without it, the current run.")]


class ListQuery(Struct, rename="camel", frozen=True):
    """The query of the list."""

    include_finished: Annotated[bool, Meta(description="Whether finished leaderboards are listed too.")] = False


class PageQuery(Struct, rename="camel", frozen=True):
    """The query of a page."""

    limit: Annotated[int, Meta(ge=0, description="Most rows to return; more than 1,000 counts as 1,000.")] = 10
    offset: (
        Annotated[
            int, Meta(description="Rows to skip; with userId, counted from that user's row, so it may be negative.")
        ]
        | UnsetType
    ) = UNSET
    run: RunDay | UnsetType = UNSET
    user_id: (
        Annotated[str, Meta(description="The user to anchor the page at; without offset, the page is centred there.")]
        | UnsetType
    ) = UNSET
    user_attributes: (
        Annotated[str, Meta(description="The group: `key:value`, several joined by commas, all of which must match.")]
        | UnsetType
    ) = UNSET


class StandingQuery(Struct, rename="camel", frozen=True):
    """The query of a standing."""

    run: RunDay | UnsetType = UNSET
    num_events: Annotated[int, Meta(ge=0, le=100, description="Most days of history to return.")] = 10


async def list_leaderboards(call: Call) -> Answer:
    """All boards that may be seen, oldest first."""
    query = read_query(call, ListQuery)
    shown = shown_boards(call.context, call.scope, query.include_finished)
    return Answer(200, [leaderboard(board, status) for board, status in shown])


async def get_leaderboard(call: Call) -> Answer:
    """One board with a page of one run's ranking."""
    asked = read_query_as(call, PageQuery, page_request)
    page = await read_page(call.context, call.scope, call.path["key"], asked)
    return Answer(200, page_json(page))


async def get_standing(call: Call) -> Answer:
    """One user's standing on a board."""
    query = read_query(call, StandingQuery)
    day = None if query.run is UNSET else parse_day(query.run, "run")
    standing = await read_standing(call.context, call.scope, call.path["id"], call.path["key"], day, query.num_events)
    return Answer(200, standing_json(standing))


def page_request(query: PageQuery) -> PageRequest:
    """The query as the action takes it; `Invalid` when the run is no date or a pair has no colon."""
    return PageRequest(
        limit=query.limit,
        offset=None if query.offset is UNSET else query.offset,
        day=None if query.run is UNSET else parse_day(query.run, "run"),
        user_id=None if query.user_id is UNSET else query.user_id,
        attributes=None if query.user_attributes is UNSET else attribute_pairs(query.user_attributes),
    )


def attribute_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of `key:value,key:value`, each split at its first colon."""
    pairs = []
    for part in text.split(","):
        key, colon, value = part.partition(":")
        if not colon:
            raise Invalid("userAttributes: expected key:value, several joined by commas")
        pairs.append((key, value))
    return pairs


def page_json(page: Page) -> bytes:
    """`LeaderboardPage` as JSON."""
    fields = {"totalParticipants": page.total, **run_fields(page.state), "rankings": rankings(page.rows)}
    return extended(shown_json(page.board, page.status, page.run), fields)


def standing_json(standing: UserStanding) -> bytes:
    """`LeaderboardStanding` as JSON."""
    place = standing.place
    fields = {
        "totalParticipants": standing.total,
        "rank": place and place.rank,
        "value": place and rounded(place.value),
        "exactValue": place and exact(place.value),
        **run_fields(standing.state),
        "history": snapshots(standing.history, standing.preceding),
    }
    return extended(shown_json(standing.board, standing.status, standing.run), fields)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/leaderboards/{key}",
        get_leaderboard,
        "Get a leaderboard with a page of rankings",
        answers={200: LeaderboardPage},
        query=PageQuery,
        own=Own.QUERY,
    ),
    Endpoint(
        "GET",
        "/users/{id:path}/leaderboards/{key}",
        get_standing,
        "Get a user's standing on a leaderboard",
        answers={200: LeaderboardStanding},
        query=StandingQuery,
        own=Own.PATH,
    ),
    Endpoint(
        "GET",
        "/leaderboards",
        list_leaderboards,
        "List leaderboards",
        answers={200: list[Leaderboard]},
        query=ListQuery,
        own=Own.QUERY,
    ),
)
