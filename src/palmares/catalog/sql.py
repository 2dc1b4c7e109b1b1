"""The catalog in a SQL database: SQLite now, PostgreSQL by the same statements.

All SQL runs in one worker thread, one transaction after the other, so the event loop never waits for a disk and no
two of our own transactions meet. Each that changes something raises the `revision` row first; `refresh` compares
that row with what is in memory. Every change loads the snapshot anew: a catalog is small, and so there is no second
way of keeping it current that could go wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any, Self, TypeVar

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, make_url, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from palmares.catalog import tables
from palmares.catalog.contract import DEFAULT_SCOPE, ApiKey, Definitions
from palmares.catalog.snapshot import (
    EMPTY,
    attribute_row,
    board_row,
    key_row,
    load,
    metric_row,
    streak_row,
    webhook_row,
    with_use,
)
from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.metric import Attribute, Metric
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.webhook import Webhook

Result = TypeVar("Result")

_NOTHING = Definitions()
# For how long a process waits while another one writes.
_BUSY_SECONDS = 10


class SqlCatalog:
    """A `Catalog` in a SQL database; `catalog/contract.py` says what the methods promise."""

    def __init__(self, url: str) -> None:
        """Use `open`, which also brings the tables up to date."""
        self._reading_engine, self._writing_engine = _engines(url)
        self._worker = ThreadPoolExecutor(1, "catalog")
        self._snapshot = EMPTY
        self._used: dict[str, int] = {}
        self._change = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, clock: Callable[[], int]) -> Self:
        """The catalog at a database URL (`sqlite:///path`), made or brought up to date when needed.

        Raises `Unavailable` when the database cannot be used.
        """
        catalog = cls(url)
        try:
            await catalog._run(lambda: catalog._prepare(clock()))
        except BaseException:
            await catalog.close()
            raise
        return catalog

    def definitions(self, scope: int) -> Definitions:
        """The present definitions of a scope."""
        return self._snapshot.definitions.get(scope, _NOTHING)

    def scopes(self) -> Sequence[int]:
        """All scopes, the default one first."""
        return self._snapshot.scopes

    def key(self, prefix: str) -> ApiKey | None:
        """The admin key with that prefix."""
        return self._snapshot.key_by_prefix.get(prefix)

    def keys(self) -> Sequence[ApiKey]:
        """All admin keys, oldest first."""
        return self._snapshot.keys

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Hold while checking and saving."""
        async with self._change:
            await self.refresh()
            yield

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

    async def save_streaks(self, scope: int, settings: StreakSettings) -> None:
        """Insert or update the settings of a scope."""
        row = streak_row(settings) | {"scope": scope}
        await self._write(lambda writer: _upsert(writer, tables.streak_settings, [row], "scope"))

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

    async def refresh(self) -> bool:
        """Write what `touch_key` noted and take up what other processes changed."""
        used, self._used = self._used, {}
        try:
            return await self._run(lambda: self._refresh(used))
        except Unavailable:
            self._used = used | self._used
            raise

    async def close(self) -> None:
        """Write what `touch_key` noted, if that works, and let go of the database."""
        if self._used:
            with suppress(Unavailable):
                await self.refresh()
        # In the worker, because a connection of SQLite belongs to the thread that opened it.
        self._worker.submit(self._reading_engine.dispose)
        await asyncio.to_thread(self._worker.shutdown)

    async def _write(self, change: Callable[[Connection], object]) -> None:
        await self._run(lambda: self._commit(change))

    async def _save(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            await self._write(lambda writer: _upsert(writer, table, rows))

    async def _mark_deleted(self, table: Table, ids: Sequence[str]) -> None:
        if ids:
            marking = update(table).where(table.c.id.in_(ids)).values(deleted=True)
            await self._write(lambda writer: writer.execute(marking))

    async def _run(self, step: Callable[[], Result]) -> Result:
        """Run a step in the worker thread; what the database complains of becomes `Unavailable`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, step)
        except IntegrityError as error:
            raise Unavailable("another process has just changed the same definitions; try again") from error
        except SQLAlchemyError as error:
            raise Unavailable("the catalog's database does not work at present; nothing was stored") from error

    # The steps: each runs in the worker thread.

    def _prepare(self, now: int) -> None:
        with self._writing() as writer:
            _migrate(writer)
            if writer.scalar(select(tables.revision.c.number)) is None:
                _insert_first_rows(writer, now)
            snapshot = load(writer)
        self._snapshot = snapshot

    def _commit(self, change: Callable[[Connection], object]) -> None:
        with self._writing() as writer:
            writer.execute(update(tables.revision).values(number=tables.revision.c.number + 1))
            change(writer)
            snapshot = load(writer)
        self._snapshot = snapshot

    def _refresh(self, used: Mapping[str, int]) -> bool:
        if used:
            self._note_use(used)
            self._snapshot = with_use(self._snapshot, used)
        with self._reading_engine.connect() as reader:
            if reader.scalar(select(tables.revision.c.number)) == self._snapshot.revision:
                return bool(used)
            self._snapshot = load(reader)
        return True

    def _note_use(self, used: Mapping[str, int]) -> None:
        """No new revision: nobody else needs to hear of it."""
        key = tables.api_keys
        with self._writing() as writer:
            for key_id, now in used.items():
                writer.execute(update(key).where(key.c.id == key_id).values(last_used=now))

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._writing_engine.begin()


def _upsert(writer: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str = "id") -> None:
    for row in rows:
        if not writer.execute(update(table).where(table.c[key] == row[key]).values(**row)).rowcount:
            writer.execute(insert(table).values(**row))


def _migrate(writer: Connection) -> None:
    """Bring the tables up to date, all steps and the note of them in the present transaction."""
    config = Config()
    config.set_main_option("script_location", "palmares.catalog:migrations")
    config.attributes["connection"] = writer
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable("the catalog was made by a newer version of Palmares") from error


def _insert_first_rows(writer: Connection, now: int) -> None:
    """What exists from the start: the production environment and its scope without a tenant."""
    production = {"id": 1, "key": "production", "name": "Production", "priority": 1, "created": now}
    writer.execute(insert(tables.environments).values(**production))
    writer.execute(insert(tables.scopes).values(id=DEFAULT_SCOPE, environment_id=1, tenant_id=None))
    writer.execute(insert(tables.revision).values(id=1, number=0))


def _engines(url: str) -> tuple[Engine, Engine]:
    """For reading and for writing. A reader sees one state of all tables; writers take turns from their first step."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = _sqlite_engine(url)
        return engine, engine.execution_options(palmares_writes=True)
    engine = create_engine(url, pool_pre_ping=True)
    return engine.execution_options(isolation_level="REPEATABLE READ"), engine


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # Python's driver would begin transactions by itself, but not around the statements of a migration.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        # A writer takes its turn at once: one that had read before could not wait for another, only fail.
        writes = connection.get_execution_options().get("palmares_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
