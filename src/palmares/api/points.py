"""Points in the Application API: a system with what it pays for, and what a user has."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_query
from palmares.api.resource import definitions_of
from palmares.api.wire_points import (
    PointsSystemAnswer,
    UserPointsAnswer,
    points_system_answer,
    user_points_answer,
)
from palmares.service.read_points import points_system_with, read_points


class AwardsQuery(Struct, frozen=True):
    """How much is told of a user's points."""

    awards: Annotated[int, Meta(ge=1, le=100, description="Most awards to return, the newest first.")] = 10


async def get_points_system(call: Call) -> Answer:
    """A points system with its active triggers."""
    return Answer(200, points_system_answer(points_system_with(definitions_of(call), call.path["key"])))


async def get_user_points(call: Call) -> Answer:
    """What a user has in a points system, and how it came about lately."""
    query = read_query(call, AwardsQuery)
    points = await read_points(call.context, call.scope, call.path["id"], call.path["key"], query.awards)
    return Answer(200, user_points_answer(points))


ENDPOINTS = (
    Endpoint("GET", "/points/{key}", get_points_system, "Get a points system", {200: PointsSystemAnswer}),
    Endpoint(
        "GET",
        "/users/{id:path}/points/{key}",
        get_user_points,
        "Get a user's points",
        {200: UserPointsAnswer},
        query=AwardsQuery,
        own=Own.PATH,
    ),
)
