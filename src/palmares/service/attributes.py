"""The one rule about attribute keys: what a request sets must have been defined."""

from __future__ import annotations

from collections.abc import Collection

from palmares.catalog.contract import Definitions
from palmares.domain.errors import NotAllowed

_MOST_NAMED = 10


def check_attributes(
    definitions: Definitions, user_keys: Collection[str] | None, event_keys: Collection[str] | None
) -> None:
    """Raises `NotAllowed` naming the keys that are not defined for their kind. None means that none were given."""
    if user_keys:
        _check(user_keys, definitions.user_attribute_keys, "user")
    if event_keys:
        _check(event_keys, definitions.event_attribute_keys, "event")


def _check(given: Collection[str], defined: frozenset[str], kind: str) -> None:
    unknown = [key for key in given if key not in defined]
    if unknown:
        named = ", ".join(repr(key[:64]) for key in unknown[:_MOST_NAMED])
        raise NotAllowed(f"attributes: not defined as {kind} attributes: {named}; define them in the Admin API first")
