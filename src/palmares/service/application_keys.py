"""Application keys: create and delete. Each is of one user, who need not exist yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from palmares.catalog.contract import ApplicationKey
from palmares.domain.user import check_id
from palmares.service.authenticate import APPLICATION_PREFIX, APPLICATION_PREFIX_LENGTH, secret_hash
from palmares.service.bulk import Bulk, Finder, Item, named
from palmares.service.context import Context
from palmares.service.keys import SECRET_LENGTH

_LETTERS = APPLICATION_PREFIX_LENGTH - len(APPLICATION_PREFIX)


class MadeKey(NamedTuple):
    """A new key, and its text, which is shown once."""

    key: ApplicationKey
    text: str


async def create_application_keys(context: Context, scope: int, items: Sequence[Item]) -> Bulk[MadeKey]:
    """Make keys of items with the field user_id; several for one user are several keys."""
    prefixes = iter(await _free_prefixes(context, len(items)))
    bulk = Bulk[MadeKey]()

    def judge(item: Item) -> MadeKey:
        user_id, secret = check_id(item.fields["user_id"]), context.new_secret(SECRET_LENGTH)
        key = ApplicationKey(context.new_id(), scope, user_id, next(prefixes), secret_hash(secret), context.clock())
        return MadeKey(key, f"{key.prefix}.{secret}")

    bulk.judge(items, judge)
    await context.catalog.save_application_keys([made.key for made in bulk.things])
    return bulk


async def delete_application_keys(context: Context, scope: int, ids: Sequence[str]) -> Bulk[ApplicationKey]:
    """Delete keys; they open nothing from now on."""
    found = await context.catalog.application_keys(scope, [given.lower() for given in ids])
    keys = Finder("application key", {key.id: key for key in found})
    bulk = Bulk[ApplicationKey]()
    bulk.judge(named(ids), keys.find)
    await context.catalog.delete_application_keys(bulk.things)
    return bulk


async def _free_prefixes(context: Context, count: int) -> list[str]:
    """Prefixes that no key has: among millions of keys, it happens that one is drawn again."""
    free: dict[str, None] = {}
    while len(free) < count:
        prefix = APPLICATION_PREFIX + context.new_secret(_LETTERS)
        if await context.catalog.application_key(prefix) is None:
            free[prefix] = None
    return list(free)
