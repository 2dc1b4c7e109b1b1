"""Erasing users: for whoever asks, they were never there, but for anonymous rows of runs that were final before."""

from __future__ import annotations

from collections.abc import Sequence

from palmares.domain.user import User
from palmares.ledger.contract import Entry
from palmares.service.bulk import Bulk, named
from palmares.service.context import Context
from palmares.service.hide import UserFinder, known_users


async def erase_users(context: Context, scope: int, ids: Sequence[str]) -> Bulk[User]:
    """Erase the users with these ids, all that there are or none; who is unknown becomes an issue.

    On return the ids are unknown and their application keys open nothing; the files are compacted soon. Raises what
    `Ledger.record` raises, and `Unavailable` when the keys cannot be deleted now: then that, too, is done soon.
    """
    users = UserFinder(await known_users(context, scope, ids))
    bulk = Bulk[User]()
    bulk.judge(named(ids), users.find)
    if bulk.things:
        erased = [user.id for user in bulk.things]
        await context.ledger.record([Entry(scope, user_id, erase=True, must_exist=True) for user_id in erased])
        context.compact_soon()
        keys = await context.catalog.application_keys_of(scope, erased)
        await context.catalog.delete_application_keys(keys)
    return bulk
