"""What clients can ask of points that is not there: levels, boosts and summaries.

`points.py` and `admin_points.py` have what there is. Here it is as in `stubs.py`, but that a points system, and a user,
have to exist.
"""

from __future__ import annotations

from palmares.api.admin_points import system_of
from palmares.api.endpoint import Answer, Call, Endpoint, Own
from palmares.api.resource import definitions_of
from palmares.api.stubs import Nothing, definitions, empty
from palmares.domain.errors import NotFound
from palmares.service.read_points import points_system_with
from palmares.service.read_user import read_user

LEVELS = "levels of points are not supported"
BOOSTS = "boosts of points are not supported"
_NONE = {200: Nothing}


def system_by_key(call: Call) -> None:
    """The points system with the key in the path has to exist."""
    points_system_with(definitions_of(call), call.path["key"])


def system_by_id(call: Call) -> None:
    """The points system with the id in the path has to exist."""
    system_of(call)


async def list_user_boosts(call: Call) -> Answer:
    """None, of a user and a system that are known."""
    await read_user(call.context, call.scope, call.path["id"])
    system_by_key(call)
    return Answer(200, [])


async def get_event_summary(call: Call) -> Answer:
    """There is no summary of anybody's points."""
    user = await read_user(call.context, call.scope, call.path["id"])
    system_by_key(call)
    raise NotFound(f"there is no summary of the points of user {user.id[:64]!r}")


ENDPOINTS = (
    Endpoint("GET", "/points/{key}/levels", empty(system_by_key), "List the levels of points: none", _NONE),
    Endpoint("GET", "/points/{key}/boosts", empty(system_by_key), "List the boosts of points: none", _NONE),
    Endpoint("GET", "/points/{key}/level-summary", empty(system_by_key), "Count users by level: none", _NONE),
    Endpoint("GET", "/points/{key}/summary", empty(system_by_key), "Count users by points: none", _NONE),
    Endpoint(
        "GET",
        "/users/{id:path}/points/{key}/boosts",
        list_user_boosts,
        "List a user's boosts: none",
        _NONE,
        own=Own.PATH,
    ),
    Endpoint(
        "GET",
        "/users/{id:path}/points/{key}/event-summary",
        get_event_summary,
        "Get a user's points over time: not found",
        {},
        own=Own.PATH,
    ),
)

ADMIN_ENDPOINTS = (
    *definitions("/points/{system_id}/levels", "level", LEVELS, system_by_id),
    *definitions("/points/{system_id}/boosts", "boost", BOOSTS, system_by_id),
)
