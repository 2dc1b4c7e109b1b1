"""Admin keys: create, revoke, rotate, delete.

A key is text, `prefix.secret`. It is shown once, when it is made; only a hash of the secret is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from palmares.catalog.contract import DEFAULT_SCOPE, ApiKey, Catalog
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.metric import check_name
from palmares.service.authenticate import secret_hash

PREFIX_LENGTH = 8
SECRET_LENGTH = 32
# The name of the one key that a setting gave; another text in the setting takes its place.
FROM_SETTING = "from PALMARES_ADMIN_KEY"

# A prefix that begins with app_ would be taken for an application key.
_GIVEN = re.compile(r"(?!app_)([A-Za-z0-9_-]{8})\.([!-~]{16,})")


class KeyContext(Protocol):
    """What these actions are given: a `Context`, or less where no ledger is open, as on the command line."""

    @property
    def catalog(self) -> Catalog:
        """Where keys are kept."""

    @property
    def clock(self) -> Callable[[], int]:
        """Tells the instant."""

    @property
    def new_id(self) -> Callable[[], str]:
        """Makes a UUID."""

    @property
    def new_secret(self) -> Callable[[int], str]:
        """Makes a random text of letters and digits of a length."""


async def create_key(context: KeyContext, name: str, scope: int = DEFAULT_SCOPE) -> tuple[ApiKey, str]:
    """A new key that opens a scope, and its text."""
    prefix, secret = _new_text(context)
    key = ApiKey(
        id=context.new_id(),
        scope=scope,
        name=check_name(name),
        prefix=prefix,
        secret_hash=secret_hash(secret),
        active=True,
        created=context.clock(),
    )
    await context.catalog.save_key(key)
    return key, f"{prefix}.{secret}"


def list_keys(context: KeyContext) -> Sequence[ApiKey]:
    """All keys, oldest first."""
    return context.catalog.keys()


async def revoke_key(context: KeyContext, name: str) -> ApiKey:
    """Make a key, told by its prefix or id, open nothing until it is activated again."""
    return await _save(context, replace(find_key(context, name), active=False))


async def activate_key(context: KeyContext, name: str) -> ApiKey:
    """Let a revoked key, told by its prefix or id, open its scope again, its text unchanged."""
    return await _save(context, replace(find_key(context, name), active=True))


async def rotate_key(context: KeyContext, name: str) -> tuple[ApiKey, str]:
    """Give a key, told by its prefix or id, another prefix and secret; the old text is dead at once."""
    prefix, secret = _new_text(context)
    key = replace(find_key(context, name), prefix=prefix, secret_hash=secret_hash(secret))
    return await _save(context, key), f"{prefix}.{secret}"


async def delete_key(context: KeyContext, name: str) -> ApiKey:
    """Remove a key, told by its prefix or id; returns what it was."""
    key = find_key(context, name)
    await context.catalog.delete_key(key.id)
    return key


async def ensure_key(context: KeyContext, given: str | None) -> str | None:
    """See to it, at the start, that a key works; returns the text of a key that was made now, which nobody knows yet.

    A given text (the setting) works from now on, and one that the setting gave before does not. Without one, a key is
    made when there is none at all. Raises `Invalid` for a given text that is no key.
    """
    if given is None:
        return None if list_keys(context) else (await create_key(context, "first"))[1]
    match = _GIVEN.fullmatch(given)
    if match is None:
        # The text is not repeated: it is a secret, if a bad one.
        raise Invalid(
            "PALMARES_ADMIN_KEY: expected 8 letters, digits, - or _ that do not begin with app_, a dot, and a secret "
            "of at least 16 characters without spaces"
        )
    await _ensure(context, match[1], secret_hash(match[2]))
    return None


def find_key(context: KeyContext, name: str) -> ApiKey:
    """The key with that prefix or id; raises `NotFound`."""
    for key in list_keys(context):
        if name in (key.prefix, key.id):
            return key
    raise NotFound(f"there is no key with the prefix or id {name!r}")


async def _ensure(context: KeyContext, prefix: str, hashed: bytes) -> None:
    """One key has this text and is active; other keys from the setting are gone."""
    former = [key for key in list_keys(context) if key.name == FROM_SETTING]
    kept = context.catalog.key(prefix) or (former[0] if former else None)
    for key in former:
        if key != kept:
            await context.catalog.delete_key(key.id)
    if kept is None:
        kept = ApiKey(context.new_id(), DEFAULT_SCOPE, FROM_SETTING, prefix, hashed, True, context.clock())
    wanted = replace(kept, prefix=prefix, secret_hash=hashed, active=True)
    if wanted != context.catalog.key(prefix):
        await context.catalog.save_key(wanted)


def _new_text(context: KeyContext) -> tuple[str, str]:
    return context.new_secret(PREFIX_LENGTH), context.new_secret(SECRET_LENGTH)


async def _save(context: KeyContext, key: ApiKey) -> ApiKey:
    await context.catalog.save_key(key)
    return key
