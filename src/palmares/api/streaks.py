"""Streaks for end users: one user's with its past, those of many, the longest."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_list, read_query
from palmares.api.wire_streak import (
    RankedStreak,
    StreakAnswer,
    UserStreakLength,
    ranked_streak,
    streak_answer,
    user_streak_length,
)
from palmares.domain.errors import Invalid
from palmares.service.read_streak import rank_streaks, read_streak, read_streaks

MOST_USERS = 100
MOST_PERIODS = 366


class StreakQuery(Struct, rename="camel", frozen=True):
    """The query of one user's streak."""

    history_periods: Annotated[
        int, Meta(ge=1, le=MOST_PERIODS, description="Periods of history to return, the present one included.")
    ] = 7


class StreaksQuery(Struct, rename="camel", frozen=True):
    """Whose streaks."""

    user_ids: Annotated[
        list[str], Meta(min_length=1, max_length=MOST_USERS, description="Repeated or joined by commas.")
    ]


class RankingsQuery(Struct, frozen=True):
    """The query of the longest streaks."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Most users to return.")] = 10
    type: Annotated[
        Literal["active", "longest"], Meta(description="Streaks that go on, or the longest that users ever had.")
    ] = "active"


async def get_streak(call: Call) -> Answer:
    """One user's streak, with its past."""
    query = read_query(call, StreakQuery)
    found = await read_streak(call.context, call.scope, call.path["id"], query.history_periods)
    return Answer(200, streak_answer(found))


async def list_streaks(call: Call) -> Answer:
    """How long the streaks of some users are, longest first."""
    user_ids = read_list(call, "userIds")
    if not 1 <= len(user_ids) <= MOST_USERS:
        raise Invalid(f"userIds: expected 1 to {MOST_USERS} ids")
    found = await read_streaks(call.context, call.scope, user_ids)
    return Answer(200, [user_streak_length(one) for one in found])


async def rank_users(call: Call) -> Answer:
    """The users with the longest streaks."""
    query = read_query(call, RankingsQuery)
    rows = await rank_streaks(call.context, call.scope, query.type, query.limit)
    return Answer(200, [ranked_streak(row) for row in rows])


ENDPOINTS = (
    Endpoint(
        "GET",
        "/users/{id:path}/streak",
        get_streak,
        "Get a user's streak",
        answers={200: StreakAnswer},
        query=StreakQuery,
        own=Own.PATH,
    ),
    Endpoint(
        "GET",
        "/streaks",
        list_streaks,
        "Get the streaks of users",
        answers={200: list[UserStreakLength]},
        query=StreaksQuery,
    ),
    Endpoint(
        "GET",
        "/streaks/rankings",
        rank_users,
        "Get the longest streaks",
        answers={200: list[RankedStreak]},
        query=RankingsQuery,
    ),
)
