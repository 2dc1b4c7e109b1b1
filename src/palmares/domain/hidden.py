"""Hidden users: they go on counting, but no ranking shows them.

That a user is hidden is an attribute, of our own: so it takes effect, moves the user and comes back in replays as any
change of attributes does (`docs/decisions/hidden-users.md`). Its key has a character that keys of customers never have.
"""

from __future__ import annotations

from collections.abc import Mapping

MARK = "palmares:hidden"
# What an attribute holds that only has to be there.
_THERE = "1"
ONLY_HIDDEN: Mapping[str, str] = {MARK: _THERE}


def is_hidden(attributes: Mapping[str, str]) -> bool:
    """Whether a user with these attributes is hidden."""
    return MARK in attributes


def marked(attributes: Mapping[str, str], hidden: bool) -> dict[str, str]:
    """The attributes of a user who is hidden, or shown."""
    own = unmarked(attributes)
    return {**own, **ONLY_HIDDEN} if hidden else own


def unmarked(attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes that a customer knows of."""
    return {key: value for key, value in attributes.items() if key != MARK}
