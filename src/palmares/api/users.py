"""Users: create, identify, update, get."""

from __future__ import annotations

from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_body
from palmares.api.wire import (
    UPDATED_USER_DECODER,
    UPSERTED_USER_DECODER,
    UpdatedUser,
    UpsertedUser,
    UserAnswer,
    profile_changes,
    user_answer,
)
from palmares.service.change_user import change_user
from palmares.service.read_user import read_user


async def create_user(call: Call) -> Answer:
    """Create a user; one that exists is updated instead."""
    given = read_body(call, UPSERTED_USER_DECODER)
    user = await change_user(call.context, call.scope, given.id, profile_changes(given))
    return Answer(201, user_answer(user))


async def get_user(call: Call) -> Answer:
    """One user."""
    user = await read_user(call.context, call.scope, call.path["id"])
    return Answer(200, user_answer(user))


async def identify_user(call: Call) -> Answer:
    """Create or update a user."""
    given = read_body(call, UPDATED_USER_DECODER)
    user = await change_user(call.context, call.scope, call.path["id"], profile_changes(given))
    return Answer(200, user_answer(user))


async def update_user(call: Call) -> Answer:
    """Update a user who exists."""
    given = read_body(call, UPDATED_USER_DECODER)
    user = await change_user(call.context, call.scope, call.path["id"], profile_changes(given), must_exist=True)
    return Answer(200, user_answer(user))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/users",
        create_user,
        "Create a user, or update one that exists",
        answers={201: UserAnswer},
        body=UpsertedUser,
        errors=(400,),
        own=Own.BODY,
    ),
    Endpoint(
        "GET",
        "/users/{id:path}",
        get_user,
        "Get a user",
        answers={200: UserAnswer},
        own=Own.PATH,
    ),
    Endpoint(
        "PUT",
        "/users/{id:path}",
        identify_user,
        "Create or update a user",
        answers={200: UserAnswer},
        body=UpdatedUser,
        errors=(400,),
        own=Own.PATH,
    ),
    Endpoint(
        "PATCH",
        "/users/{id:path}",
        update_user,
        "Update a user who exists",
        answers={200: UserAnswer},
        body=UpdatedUser,
        errors=(400,),
        own=Own.PATH,
    ),
)
