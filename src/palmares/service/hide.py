"""Hiding users from rankings, and bringing them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from palmares.domain.errors import Invalid, NotFound
from palmares.domain.user import User
from palmares.ledger.contract import Entry
from palmares.service.bulk import Bulk, Item
from palmares.service.context import Context


class UserFinder:
    """Finds the users that items name by the customer's ids, each once: of two items for one user, the first wins."""

    def __init__(self, by_id: Mapping[str, User]) -> None:
        self._by_id = by_id
        self._named: set[str] = set()

    def find(self, item: Item) -> User:
        """The user with the item's id; raises `Invalid` and `NotFound`."""
        user = self._by_id.get(item.id or "")
        if user is None:
            raise NotFound("id: there is no user with this id")
        if user.id in self._named:
            raise Invalid("id: named twice in one request; the first item wins")
        self._named.add(user.id)
        return user


async def known_users(context: Context, scope: int, ids: Iterable[str | None]) -> dict[str, User]:
    """Those of the ids that are users'."""
    found = [await context.ledger.user(scope, user_id) for user_id in dict.fromkeys(ids) if user_id]
    return {user.id: user for user in found if user is not None}


async def hide_users(context: Context, scope: int, items: Sequence[Item]) -> Bulk[User]:
    """Hide the users that items name, or bring them back, durably and all at once; the only field is `hidden`.

    Who is unknown becomes an issue. Raises what `Ledger.record` raises; nothing is changed then.
    """
    users = UserFinder(await known_users(context, scope, (item.id for item in items)))
    entries: list[Entry] = []
    bulk = Bulk[User]()

    def judge(item: Item) -> User:
        user = users.find(item)
        hidden = item.fields.get("hidden", user.hidden)
        if hidden != user.hidden:
            entries.append(Entry(scope, user.id, {"hidden": hidden}, must_exist=True))
        return user

    bulk.judge(items, judge)
    outcomes = await context.ledger.record(entries) if entries else []
    changed = {outcome.user.id: outcome.user for outcome in outcomes}
    bulk.things = [changed.get(user.id, user) for user in bulk.things]
    return bulk
