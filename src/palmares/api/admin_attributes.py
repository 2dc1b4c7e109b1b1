"""Attributes for administrators: list, get, create, update, delete."""

from __future__ import annotations

from typing import Annotated

import msgspec

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.wire_admin import (
    AdminAttribute,
    AttributeUpdate,
    CreatedAttributes,
    Deleted,
    NewAttribute,
    UpdatedAttributes,
    admin_attribute,
    attribute_fields,
)
from palmares.service.define_attributes import create_attributes, delete_attributes, update_attributes

_NEW = msgspec.json.Decoder(NewAttribute)
_UPDATE = msgspec.json.Decoder(AttributeUpdate)


async def get_list(call: Call) -> Answer:
    """A part of the attributes, oldest first."""
    attributes = bulk.read_part(call, call.context.catalog.definitions(call.scope).attributes)
    return Answer(200, [admin_attribute(attribute) for attribute in attributes])


async def get_one(call: Call) -> Answer:
    """One attribute."""
    attribute = bulk.find(call, "attribute", call.context.catalog.definitions(call.scope).attribute_by_id)
    return Answer(200, admin_attribute(attribute))


async def create(call: Call) -> Answer:
    """Create attributes."""
    items = bulk.read_items(call, _NEW, attribute_fields)
    done = await create_attributes(call.context, call.scope, items)
    return bulk.created(done, CreatedAttributes, admin_attribute)


async def update(call: Call) -> Answer:
    """Update attributes."""
    items = bulk.read_items(call, _UPDATE, attribute_fields)
    done = await update_attributes(call.context, call.scope, items)
    return bulk.updated(done, UpdatedAttributes, admin_attribute)


async def delete(call: Call) -> Answer:
    """Delete attributes."""
    return bulk.deleted(await delete_attributes(call.context, call.scope, bulk.read_ids(call)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/attributes",
        get_list,
        "List attributes",
        {200: list[AdminAttribute]},
        query=bulk.ListQuery,
    ),
    Endpoint(
        "GET",
        "/attributes/{id}",
        get_one,
        "Get an attribute",
        {200: AdminAttribute},
        errors=(422,),
    ),
    Endpoint(
        "POST",
        "/attributes",
        create,
        "Create attributes",
        {200: CreatedAttributes, 201: CreatedAttributes},
        body=Annotated[list[NewAttribute], bulk.Many],
    ),
    Endpoint(
        "PATCH",
        "/attributes",
        update,
        "Update attributes",
        {200: UpdatedAttributes},
        body=Annotated[list[AttributeUpdate], bulk.Many],
    ),
    Endpoint(
        "DELETE",
        "/attributes",
        delete,
        "Delete attributes",
        {200: Deleted},
        query=bulk.IdsQuery,
    ),
)
