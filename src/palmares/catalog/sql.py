"""The catalog in a SQL database.

All SQL runs in one worker thread, one transaction after the other, so the event loop never waits for a disk and no
two of our own transactions meet. Each that changes something raises the `revision` row first; `refresh` compares
that row with what is in memory. Every change loads the snapshot anew: a catalog is small, and so there is no second
way of keeping it current that could go wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Table, func, insert, select, update

from palmares.catalog import tables
from palmares.catalog.application_keys import ApplicationKeys, find_keys, find_keys_of, insert_keys
from palmares.catalog.contract import (
    DEFAULT_SCOPE,
    ApiKey,
    ApplicationKey,
    Definitions,
    Environment,
    Tenant,
    Tenants,
)
from palmares.catalog.snapshot import (
    EMPTY,
    attribute_row,
    board_row,
    environment_row,
    key_row,
    load,
    metric_row,
    points_system_row,
    points_trigger_row,
    settings_row,
    streak_row,
    tenant_row,
    webhook_row,
    with_use,
)
from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import PointsSystem
from palmares.domain.settings import EnvironmentSettings
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.webhook import Webhook
from palmares.sql.database import Database, Part

Result = TypeVar("Result")

_NOTHING = Definitions()
_NOBODY = Tenants()
_PART = Part("catalog", "palmares.catalog:migrations", tables.VERSION_TABLE)


class SqlCatalog:
    """A `Catalog` in a SQL database; `catalog/contract.py` says what the methods promise."""

    def __init__(self, url: str) -> None:
        """Use `open`, which also brings the tables up to date."""
        self._database = Database(url, _PART)
        self._worker = ThreadPoolExecutor(1, "catalog")
        self._snapshot = EMPTY
        self._application_keys = ApplicationKeys()
        self._used: dict[str, int] = {}
        self._change = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, clock: Callable[[], int], multi_tenancy: bool = False) -> Self:
        """The catalog at a database URL, made or brought up to date when needed.

        `multi_tenancy` is for the production environment, if it is made now.
        Raises `Unavailable` when the database cannot be used.
        """
        catalog = cls(url)
        try:
            await catalog._run(lambda: catalog._prepare(clock(), multi_tenancy))
        except BaseException:
            await catalog.close()
            raise
        return catalog

    def definitions(self, scope: int) -> Definitions:
        """The present definitions of a scope."""
        return self._snapshot.definitions.get(scope, _NOTHING)

    def scopes(self) -> Sequence[int]:
        """All scopes that can be reached, the default one first."""
        return self._snapshot.scopes

    def environments(self) -> Sequence[Environment]:
        """All environments, the most important first."""
        return self._snapshot.environments

    def environment(self, scope: int) -> Environment:
        """The environment of a scope."""
        return self._snapshot.environment_by_scope[scope]

    def tenants(self, environment: int) -> Tenants:
        """The tenants of an environment."""
        return self._snapshot.tenants.get(environment, _NOBODY)

    def tenant(self, scope: int) -> Tenant | None:
        """The tenant whose scope it is."""
        return self._snapshot.tenant_by_scope.get(scope)

    def key(self, prefix: str) -> ApiKey | None:
        """The admin key with that prefix."""
        return self._snapshot.key_by_prefix.get(prefix)

    def keys(self) -> Sequence[ApiKey]:
        """All admin keys, oldest first."""
        return self._snapshot.keys

    async def application_key(self, prefix: str) -> ApplicationKey | None:
        """The application key with that prefix, remembered or read."""
        known = self._application_keys.remembered(prefix)
        return known or await self._read(lambda reader: self._application_keys.find(reader, prefix))

    async def application_keys(self, scope: int, ids: Sequence[str]) -> list[ApplicationKey]:
        """Those of a scope among the application keys with these ids."""
        return await self._read(lambda reader: find_keys(reader, scope, ids))

    async def application_keys_of(self, scope: int, user_ids: Sequence[str]) -> list[ApplicationKey]:
        """The application keys of some users."""
        return await self._read(lambda reader: find_keys_of(reader, scope, user_ids))

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Hold while checking and saving."""
        async with self._change, self._turn():
            await self.refresh()
            yield

    async def save_environment(self, environment: Environment) -> Environment:
        """Insert or update an environment by its id."""
        await self._write(lambda writer: _upsert_environment(writer, environment))
        return next(known for known in self._snapshot.environments if known.key == environment.key)

    async def save_tenants(self, tenants: Sequence[Tenant]) -> list[Tenant]:
        """Insert or update tenants by their id."""
        if tenants:
            await self._write(lambda writer: _upsert_tenants(writer, tenants))
        return [self.tenants(tenant.environment).by_id[tenant.id] for tenant in tenants]

    async def archive_tenants(self, ids: Sequence[str], now: int) -> None:
        """Mark tenants deleted."""
        await self._mark_deleted(tables.tenants, ids, updated=now)

    async def save_metrics(self, metrics: Sequence[Metric]) -> list[Metric]:
        """Insert or update metrics by their id."""
        await self._save(tables.metrics, [metric_row(metric) for metric in metrics])
        return [self.definitions(metric.scope).metric_by_id[metric.id] for metric in metrics]

    async def save_attributes(self, attributes: Sequence[Attribute]) -> list[Attribute]:
        """Insert or update attributes by their id."""
        await self._save(tables.attributes, [attribute_row(attribute) for attribute in attributes])
        return [self.definitions(attribute.scope).attribute_by_id[attribute.id] for attribute in attributes]

    async def save_boards(self, boards: Sequence[Board]) -> list[Board]:
        """Insert or update boards by their id."""
        await self._save(tables.boards, [board_row(board) for board in boards])
        return [self.definitions(board.scope).board_by_id[board.id] for board in boards]

    async def save_points_systems(self, systems: Sequence[PointsSystem]) -> list[PointsSystem]:
        """Insert or update points systems and their triggers by their ids."""
        if systems:
            await self._write(lambda writer: _upsert_points_systems(writer, systems))
        return [self.definitions(system.scope).points_system_by_id[system.id] for system in systems]

    async def save_streaks(self, scope: int, settings: StreakSettings) -> None:
        """Insert or update the settings of a scope."""
        row = streak_row(settings) | {"scope": scope}
        await self._write(lambda writer: _upsert(writer, tables.streak_settings, [row], "scope"))

    async def save_settings(self, scope: int, settings: EnvironmentSettings) -> None:
        """Insert or update the settings of a scope's environment."""
        environment = select(tables.scopes.c.environment_id).where(tables.scopes.c.id == scope)

        def save(writer: Connection) -> None:
            row = settings_row(settings) | {"environment_id": writer.scalar(environment)}
            _upsert(writer, tables.settings, [row], "environment_id")

        await self._write(save)

    async def save_webhooks(self, webhooks: Sequence[Webhook]) -> list[Webhook]:
        """Insert or update webhooks by their id."""
        await self._save(tables.webhooks, [webhook_row(webhook) for webhook in webhooks])
        return [self.definitions(webhook.scope).webhook_by_id[webhook.id] for webhook in webhooks]

    async def delete_metrics(self, ids: Sequence[str]) -> None:
        """Mark metrics deleted."""
        await self._mark_deleted(tables.metrics, ids)

    async def delete_attributes(self, ids: Sequence[str]) -> None:
        """Mark attributes deleted."""
        await self._mark_deleted(tables.attributes, ids)

    async def delete_boards(self, ids: Sequence[str]) -> None:
        """Mark boards deleted."""
        await self._mark_deleted(tables.boards, ids)

    async def delete_points_systems(self, ids: Sequence[str]) -> None:
        """Mark points systems deleted."""
        await self._mark_deleted(tables.points_systems, ids)

    async def delete_points_triggers(self, ids: Sequence[str], now: int) -> None:
        """Mark triggers archived."""
        if ids:
            trigger = tables.points_triggers
            archiving = update(trigger).where(trigger.c.id.in_(ids)).values(status="archived", updated=now)
            await self._write(lambda writer: writer.execute(archiving))

    async def delete_webhooks(self, ids: Sequence[str]) -> None:
        """Remove webhooks for good: nothing refers to them but the log of deliveries, by their ids."""
        if ids:
            webhook = tables.webhooks
            await self._write(lambda writer: writer.execute(webhook.delete().where(webhook.c.id.in_(ids))))

    async def save_key(self, key: ApiKey) -> None:
        """Insert or update an admin key by its id."""
        row = key_row(key)
        if any(known.id == key.id for known in self._snapshot.keys):
            # Another process may have noted a later use than the caller knows of.
            del row["last_used"]
        await self._save(tables.api_keys, [row])

    async def delete_key(self, key_id: str) -> None:
        """Delete an admin key."""
        key = tables.api_keys
        await self._write(lambda writer: writer.execute(key.delete().where(key.c.id == key_id)))

    def touch_key(self, key_id: str, now: int) -> None:
        """Note that a key was used."""
        self._used[key_id] = now

    async def save_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        """Insert application keys: nothing that others hold in memory changes."""
        if keys:
            await self._run(lambda: self._insert_application_keys(keys))

    async def delete_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        """Delete application keys."""
        if keys:
            await self._run(lambda: self._delete_application_keys(keys))

    def touch_application_key(self, key: ApplicationKey, now: int) -> None:
        """Note that an application key was used."""
        self._application_keys.touch(key, now)

    async def refresh(self) -> bool:
        """Write which keys were used and take up what other processes changed."""
        used, self._used = self._used, {}
        used_by_users = self._application_keys.take_used()
        try:
            return await self._run(lambda: self._refresh(used, used_by_users))
        except Unavailable:
            self._used = used | self._used
            self._application_keys.put_back(used_by_users)
            raise

    async def close(self) -> None:
        """Write which keys were used, if that works, and let go of the database."""
        if self._used or self._application_keys.used:
            with suppress(Unavailable):
                await self.refresh()
        # In the worker, because a connection of SQLite belongs to the thread that opened it.
        self._worker.submit(self._database.close)
        await asyncio.to_thread(self._worker.shutdown)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The turn of this process; where there are none, nobody waits for a thread."""
        if not self._database.has_turns:
            yield
            return
        give_back = await self._take_turn()
        try:
            yield
        finally:
            await asyncio.to_thread(give_back)

    async def _take_turn(self) -> Callable[[], None]:
        """Wait for the turn of this process, not in the worker: what others ask of the catalog does not wait along."""
        taking = asyncio.ensure_future(asyncio.to_thread(self._database.take_turn))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_give_back)
            raise

    async def _write(self, change: Callable[[Connection], object]) -> None:
        await self._run(lambda: self._commit(change))

    async def _save(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            await self._write(lambda writer: _upsert(writer, table, rows))

    async def _read(self, read: Callable[[Connection], Result]) -> Result:
        def step() -> Result:
            with self._database.reading() as reader:
                return read(reader)

        return await self._run(step)

    async def _mark_deleted(self, table: Table, ids: Sequence[str], **others: Any) -> None:
        if ids:
            marking = update(table).where(table.c.id.in_(ids)).values(deleted=True, **others)
            await self._write(lambda writer: writer.execute(marking))

    async def _run(self, step: Callable[[], Result]) -> Result:
        """Run a step in the worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, step)

    async def compact(self) -> None:
        """Leave nothing in the files of what was deleted."""
        await self._run(self._database.compact)

    # The steps: each runs in the worker thread.

    def _prepare(self, now: int, multi_tenancy: bool) -> None:
        with self._database.writing() as writer:
            self._database.migrate(writer)
            if writer.scalar(select(tables.revision.c.number)) is None:
                _insert_first_rows(writer, now, multi_tenancy)
            snapshot = load(writer)
        self._snapshot = snapshot

    def _commit(self, change: Callable[[Connection], object]) -> None:
        with self._database.writing() as writer:
            writer.execute(update(tables.revision).values(number=tables.revision.c.number + 1))
            change(writer)
            snapshot = load(writer)
        self._snapshot = snapshot

    def _insert_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        with self._database.writing() as writer:
            insert_keys(writer, keys)

    def _delete_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        with self._database.writing() as writer:
            deletions = self._application_keys.delete(writer, keys)
        self._application_keys.forget(keys, deletions)

    def _refresh(self, used: Mapping[str, int], used_by_users: Mapping[str, int]) -> bool:
        if used or used_by_users:
            self._note_use(used, used_by_users)
            self._snapshot = with_use(self._snapshot, used)
            self._application_keys.remember_use(used_by_users)
        changed = bool(used or used_by_users)
        with self._database.reading() as reader:
            revision = reader.execute(select(tables.revision)).one()
            self._application_keys.follow(revision.key_deletions)
            if revision.number == self._snapshot.revision:
                return changed
            self._snapshot = load(reader)
        return True

    def _note_use(self, used: Mapping[str, int], used_by_users: Mapping[str, int]) -> None:
        """No new revision: nobody else needs to hear of it."""
        key = tables.api_keys
        with self._database.writing() as writer:
            for key_id, now in used.items():
                writer.execute(update(key).where(key.c.id == key_id).values(last_used=now))
            if used_by_users:
                self._application_keys.store_use(writer, used_by_users)


def _give_back(taking: asyncio.Future[Callable[[], None]]) -> None:
    """A turn that nobody waits for any more."""
    if taking.exception() is None:
        taking.result()()


def _upsert(writer: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str = "id") -> None:
    for row in rows:
        if not writer.execute(update(table).where(table.c[key] == row[key]).values(**row)).rowcount:
            writer.execute(insert(table).values(**row))


def _upsert_points_systems(writer: Connection, systems: Sequence[PointsSystem]) -> None:
    table = tables.points_systems
    for system in systems:
        _upsert(writer, table, [points_system_row(system)])
        number = writer.scalar(select(table.c.number).where(table.c.id == system.id))
        rows = [points_trigger_row(trigger) | {"system_number": number} for trigger in system.triggers]
        _upsert(writer, tables.points_triggers, rows)


def _upsert_environment(writer: Connection, environment: Environment) -> None:
    """Ids are given here, in the one transaction that may write: the newest is one more than the greatest."""
    row = environment_row(environment)
    if environment.id:
        writer.execute(update(tables.environments).where(tables.environments.c.id == environment.id).values(**row))
        return
    row["id"] = _next_id(writer, tables.environments)
    writer.execute(insert(tables.environments).values(**row))
    _insert_scope(writer, row["id"], None)


def _upsert_tenants(writer: Connection, tenants: Sequence[Tenant]) -> None:
    for tenant in tenants:
        _upsert(writer, tables.tenants, [tenant_row(tenant)])
        if not tenant.scope:
            _insert_scope(writer, tenant.environment, tenant.id)


def _insert_scope(writer: Connection, environment: int, tenant_id: str | None) -> None:
    scope = {"id": _next_id(writer, tables.scopes), "environment_id": environment, "tenant_id": tenant_id}
    writer.execute(insert(tables.scopes).values(**scope))


def _next_id(writer: Connection, table: Table) -> int:
    greatest: int | None = writer.scalar(select(func.max(table.c.id)))
    return (greatest or 0) + 1


def _insert_first_rows(writer: Connection, now: int, multi_tenancy: bool) -> None:
    """What exists from the start: the production environment and its scope without a tenant."""
    production = Environment(1, "production", "Production", 1, now, multi_tenancy)
    writer.execute(insert(tables.environments).values(**environment_row(production)))
    writer.execute(insert(tables.scopes).values(id=DEFAULT_SCOPE, environment_id=1, tenant_id=None))
    writer.execute(insert(tables.revision).values(id=1, number=0))
