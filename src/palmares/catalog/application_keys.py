"""Application keys in the database.

There may be one for each end user, too many to be held in memory with the rest of the catalog. So they are read one
at a time, and those in use are remembered. All but `remembered`, `touch`, `take_used` and `put_back` belongs into the
catalog's worker thread: there one step follows the other, so what is remembered is never older than what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from palmares.catalog import tables
from palmares.catalog.contract import ApplicationKey

# When there is no room, all are forgotten: to read one again takes a tenth of a millisecond.
MOST_REMEMBERED = 100_000
MICROS_BETWEEN_NOTES = 60_000_000

_KEY = "id scope user_id prefix secret_hash created last_used".split()
_table = tables.application_keys


class ApplicationKeys:
    """Application keys by their prefixes, of which those in use are remembered.

    `used` are the times of use by prefix that are to be stored.
    """

    def __init__(self) -> None:
        self._by_prefix: dict[str, ApplicationKey] = {}
        self.used: dict[str, int] = {}
        self._deletions = 0

    # On the event loop

    def remembered(self, prefix: str) -> ApplicationKey | None:
        """The key with that prefix, if it was used lately."""
        return self._by_prefix.get(prefix)

    def touch(self, key: ApplicationKey, now: int) -> None:
        """Note that a key was used, unless that was noted a short while ago."""
        if key.last_used is None or now - key.last_used >= MICROS_BETWEEN_NOTES:
            self.used[key.prefix] = now

    def take_used(self) -> dict[str, int]:
        """What is to be stored now."""
        used, self.used = self.used, {}
        return used

    def put_back(self, used: Mapping[str, int]) -> None:
        """What could not be stored is to be stored with what came since."""
        self.used = {**used, **self.used}

    # In the worker thread

    def find(self, reader: Connection, prefix: str) -> ApplicationKey | None:
        """The key with that prefix, remembered from now on."""
        row = reader.execute(select(_table).where(_table.c.prefix == prefix)).first()
        if row is None:
            return None
        if len(self._by_prefix) >= MOST_REMEMBERED:
            self._by_prefix.clear()
        key = self._by_prefix[prefix] = _key(row)
        return key

    def store_use(self, writer: Connection, used: Mapping[str, int]) -> None:
        """Store when keys were used, by prefix."""
        wanted = _table.c.prefix == bindparam("used_prefix")
        noted = update(_table).where(wanted).values(last_used=bindparam("used_at"))
        writer.execute(noted, [{"used_prefix": prefix, "used_at": now} for prefix, now in used.items()])

    def remember_use(self, used: Mapping[str, int]) -> None:
        """Take up what was stored."""
        for prefix in used.keys() & self._by_prefix.keys():
            self._by_prefix[prefix] = replace(self._by_prefix[prefix], last_used=used[prefix])

    def delete(self, writer: Connection, keys: Sequence[ApplicationKey]) -> int:
        """Delete keys; returns how many deletions there were by now, from which other processes learn of it."""
        revision = tables.revision
        writer.execute(update(revision).values(key_deletions=revision.c.key_deletions + 1))
        writer.execute(delete(_table).where(_table.c.id.in_([key.id for key in keys])))
        deletions: int = writer.execute(select(revision.c.key_deletions)).scalar_one()
        return deletions

    def forget(self, keys: Sequence[ApplicationKey], deletions: int) -> None:
        """Let keys that are deleted open nothing any more."""
        for key in keys:
            self._by_prefix.pop(key.prefix, None)
        if deletions == self._deletions + 1:
            self._deletions = deletions

    def follow(self, deletions: int) -> None:
        """Forget everything when there are more deletions than were known: others deleted keys."""
        if deletions != self._deletions:
            self._by_prefix.clear()
            self._deletions = deletions


def insert_keys(writer: Connection, keys: Sequence[ApplicationKey]) -> None:
    """Store new keys."""
    writer.execute(insert(_table), [{name: getattr(key, name) for name in _KEY} for key in keys])


def find_keys(reader: Connection, scope: int, ids: Sequence[str]) -> list[ApplicationKey]:
    """Those of a scope among the keys with these ids."""
    wanted = select(_table).where(_table.c.scope == scope, _table.c.id.in_(ids))
    return [_key(row) for row in reader.execute(wanted)]


def find_keys_of(reader: Connection, scope: int, user_ids: Sequence[str]) -> list[ApplicationKey]:
    """The keys of some users of a scope, oldest first."""
    wanted = select(_table).where(_table.c.scope == scope, _table.c.user_id.in_(user_ids)).order_by(_table.c.number)
    return [_key(row) for row in reader.execute(wanted)]


def _key(row: Row[Any]) -> ApplicationKey:
    return ApplicationKey(**{name: row._mapping[name] for name in _KEY})
