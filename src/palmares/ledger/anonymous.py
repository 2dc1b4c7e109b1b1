"""What lines of a log say of a person, and what is left of that when the user was erased."""

from __future__ import annotations

from typing import Any

import msgspec

from palmares.domain.hidden import MARK

# What the past needs of a profile to be told alike: by which clock and rules events counted, and since when.
_KEPT = ("tz", "preferences", "preferences_before", "control", "created", "updated")
_ATTRIBUTES = ("attributes", "attributes_before")


def reduced_profile(body: str) -> str:
    """The body of a user's line, as far as the past needs it."""
    profile: dict[str, Any] = msgspec.json.decode(body)
    kept = {name: profile[name] for name in profile if name in _KEPT}
    for name in _ATTRIBUTES:
        if name in profile:
            kept[name] = {key: text for key, text in profile[name].items() if key == MARK}
    return msgspec.json.encode(kept).decode()
