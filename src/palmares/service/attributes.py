"""The one rule about attributes: what a request sets, or names, must have been defined."""

from __future__ import annotations

from collections.abc import Collection

from palmares.catalog.contract import Definitions
from palmares.domain.errors import Invalid, NotAllowed
from palmares.domain.metric import Attribute, AttributeKind

_MOST_NAMED = 10


def check_attributes(
    definitions: Definitions, user_keys: Collection[str] | None, event_keys: Collection[str] | None
) -> None:
    """Raises `NotAllowed` naming the keys that are not defined for their kind. None means that none were given."""
    if user_keys:
        _check(user_keys, definitions.user_attribute_keys, "user")
    if event_keys:
        _check(event_keys, definitions.event_attribute_keys, "event")


def attribute_with(definitions: Definitions, attribute_id: str, kind: AttributeKind, field: str) -> Attribute:
    """The attribute of a kind with that id; `Invalid`, about a field, when there is none."""
    attribute = definitions.attribute_by_id.get(attribute_id)
    if attribute is None:
        raise Invalid(f"{field}: there is no attribute with the id {attribute_id!r}")
    if attribute.kind != kind:
        raise Invalid(f"{field}: {attribute.key!r} is an attribute of {attribute.kind}s, not of {kind}s")
    return attribute


def _check(given: Collection[str], defined: frozenset[str], kind: str) -> None:
    unknown = [key for key in given if key not in defined]
    if unknown:
        named = ", ".join(repr(key[:64]) for key in unknown[:_MOST_NAMED])
        raise NotAllowed(f"attributes: not defined as {kind} attributes: {named}; define them in the Admin API first")
