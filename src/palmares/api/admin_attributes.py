"""Attributes for administrators: list, get, create, update, delete."""

from __future__ import annotations

from msgspec.json import Decoder

from palmares.api.resource import Resource, Write
from palmares.api.wire_admin import (
    AdminAttribute,
    AttributeUpdate,
    CreatedAttributes,
    NewAttribute,
    UpdatedAttributes,
    admin_attribute,
    attribute_fields,
)
from palmares.service.define_attributes import create_attributes, delete_attributes, update_attributes

ATTRIBUTES = Resource(
    name="attribute",
    article="an",
    things=lambda definitions: definitions.attributes,
    by_id=lambda definitions: definitions.attribute_by_id,
    form=AdminAttribute,
    show=lambda attribute, now: admin_attribute(attribute),
    creating=Write(Decoder(NewAttribute), attribute_fields, create_attributes, CreatedAttributes),
    updating=Write(Decoder(AttributeUpdate), attribute_fields, update_attributes, UpdatedAttributes),
    deleting=delete_attributes,
)

ENDPOINTS = ATTRIBUTES.endpoints()
