"""Application keys for administrators: create and delete. There is no way to read one again."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.json import Decoder

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.wire import Uuid
from palmares.api.wire_admin import Deleted, Issue, given
from palmares.service.application_keys import MadeKey, create_application_keys, delete_application_keys

UserId = Annotated[str, Meta(min_length=1, max_length=255, description="The user, who need not exist yet.")]


class NewApplicationKey(Struct, rename="camel"):
    """An application key to create."""

    user_id: UserId


class CreatedApplicationKey(Struct, rename="camel"):
    """An application key. This is the only time that `key`, its whole text, is shown."""

    id: Uuid
    user_id: str
    key: str
    prefix: str


class CreatedApplicationKeys(Struct):
    """The application keys that were created, and why the rest were not."""

    created: list[CreatedApplicationKey]
    issues: list[Issue]


_DECODER = Decoder(NewApplicationKey)


def key_fields(request: NewApplicationKey) -> dict[str, Any]:
    """The fields as `service/application_keys.py` takes them."""
    return given(request)


def created_key(made: MadeKey) -> CreatedApplicationKey:
    """The wire form of a key that was made just now."""
    return CreatedApplicationKey(made.key.id, made.key.user_id, made.text, made.key.prefix)


async def create_keys(call: Call) -> Answer:
    """Create application keys."""
    items = bulk.read_items(call, _DECODER, key_fields)
    done = await create_application_keys(call.context, call.scope, items)
    return bulk.created(done, CreatedApplicationKeys, created_key)


async def delete_keys(call: Call) -> Answer:
    """Delete application keys."""
    return bulk.deleted(await delete_application_keys(call.context, call.scope, bulk.read_ids(call)))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/application-api-keys",
        create_keys,
        "Create application keys",
        {200: CreatedApplicationKeys, 201: CreatedApplicationKeys},
        body=bulk.many(NewApplicationKey),
    ),
    Endpoint(
        "DELETE",
        "/application-api-keys",
        delete_keys,
        "Delete application keys",
        {200: Deleted},
        query=bulk.IdsQuery,
    ),
)
