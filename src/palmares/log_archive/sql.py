"""The kept log in a SQL database.

All SQL runs in one worker thread, one transaction after the other, so the event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, bindparam, func, insert, select, update

from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.log_line import ARRIVAL, LogLine
from palmares.log_archive.contract import Overtaken
from palmares.log_archive.tables import VERSION_TABLE, log_lines, log_shards
from palmares.sql.database import Database, Part

Result = TypeVar("Result")
_PART = Part("log archive", "palmares.log_archive:migrations", VERSION_TABLE)
_LINE = [log_lines.c[name] for name in LogLine._fields]
_LINES_PER_PIECE = 1_000
# What PostgreSQL takes well as a list.
_USERS_PER_PIECE = 500
# What a line says of a person.
_REWRITTEN = ("body", "idempotency_key", "content")


class SqlLogArchive:
    """A `LogArchive` in a SQL database; `log_archive/contract.py` says what the methods promise."""

    def __init__(self, url: str) -> None:
        """Use `open`, which also prepares it."""
        self._database = Database(url, _PART)
        self._worker = ThreadPoolExecutor(1, "log-archive")

    @classmethod
    async def open(cls, url: str) -> Self:
        """The kept log at a database URL, its tables made or brought up to date when needed.

        Raises `Unavailable` when the database cannot be used.
        """
        archive = cls(url)
        try:
            await archive._run(archive._prepare)
        except BaseException:
            await archive.close()
            raise
        return archive

    async def shards(self) -> int:
        """See `LogArchive.shards`."""
        return await self._run(self._read_shards)

    async def last(self, shard: int) -> LogLine | None:
        """See `LogArchive.last`."""
        return await self._run(lambda: self._read_last(shard))

    async def add(self, shard: int, shards: int, after: int, lines: Sequence[LogLine]) -> None:
        """See `LogArchive.add`."""
        if lines:
            await self._run(lambda: self._add(shard, shards, after, lines))

    async def lines(self, shard: int, after: int, limit: int) -> list[LogLine]:
        """See `LogArchive.lines`."""
        return await self._run(lambda: self._read_lines(shard, after, limit))

    async def lines_before(self, shard: int, before: int, limit: int) -> list[LogLine]:
        """See `LogArchive.lines_before`."""
        return await self._run(lambda: self._read_before(shard, before, limit))

    async def count(self, shard: int, after: int) -> int:
        """See `LogArchive.count`."""
        return await self._run(lambda: self._count(shard, after))

    async def arrival(self) -> LogLine | None:
        """See `LogArchive.arrival`."""
        return await self._run(self._read_arrival)

    async def rewrite(
        self, shard: int, users: Collection[int], upto: int, change: Callable[[LogLine], LogLine]
    ) -> None:
        """See `LogArchive.rewrite`."""
        wanted = sorted(users)
        for first in range(0, len(wanted), _USERS_PER_PIECE):
            piece = wanted[first : first + _USERS_PER_PIECE]
            after: int | None = 0
            while after is not None:
                # Others take turns with the thread meanwhile.
                after = await self._run(partial(self._rewrite, shard, piece, upto, after, change))

    async def erasures(self, shard: int) -> list[tuple[LogLine, LogLine]]:
        """See `LogArchive.erasures`."""
        return await self._run(lambda: self._read_erasures(shard))

    async def close(self) -> None:
        """Let go of the database."""
        # In the worker, because a connection of SQLite belongs to the thread that opened it.
        self._worker.submit(self._database.close)
        await asyncio.to_thread(self._worker.shutdown)

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _prepare(self) -> None:
        with self._database.writing() as writer:
            self._database.migrate(writer)

    def _read_shards(self) -> int:
        with self._database.reading() as reader:
            return reader.scalar(select(func.max(log_shards.c.shards))) or 0

    def _read_last(self, shard: int) -> LogLine | None:
        kept = select(log_shards.c.position).where(log_shards.c.shard == shard).scalar_subquery()
        query = select(*_LINE).where(log_lines.c.shard == shard, log_lines.c.position == kept)
        with self._database.reading() as reader:
            row = reader.execute(query).first()
        return None if row is None else LogLine(*row)

    def _read_lines(self, shard: int, after: int, limit: int) -> list[LogLine]:
        query = (
            select(*_LINE)
            .where(log_lines.c.shard == shard, log_lines.c.position > after)
            .order_by(log_lines.c.position)
            .limit(limit)
        )
        with self._database.reading() as reader:
            return [LogLine(*row) for row in reader.execute(query)]

    def _read_before(self, shard: int, before: int, limit: int) -> list[LogLine]:
        row = log_lines.c
        query = select(*_LINE).where(row.shard == shard, row.position < before).order_by(row.position.desc())
        with self._database.reading() as reader:
            return [LogLine(*one) for one in reader.execute(query.limit(limit))]

    def _count(self, shard: int, after: int) -> int:
        row = log_lines.c
        query = select(func.count()).where(row.shard == shard, row.position > after)
        with self._database.reading() as reader:
            return reader.scalar(query) or 0

    def _read_arrival(self) -> LogLine | None:
        query = select(*_LINE).where(log_lines.c.kind == ARRIVAL).limit(1)
        with self._database.reading() as reader:
            row = reader.execute(query).first()
        return None if row is None else LogLine(*row)

    def _add(self, shard: int, shards: int, after: int, lines: Sequence[LogLine]) -> None:
        with self._database.writing() as writer:
            _check_shards(writer, shards)
            _move_on(writer, shard, shards, after, lines[-1].position)
            self._database.load(writer, log_lines, ((shard, *_storable(line)) for line in lines))

    def _rewrite(
        self, shard: int, users: Sequence[int], upto: int, after: int, change: Callable[[LogLine], LogLine]
    ) -> int | None:
        """Change some lines behind a position; the last one that was looked at, None at the end."""
        row = log_lines.c
        query = select(*_LINE).where(row.shard == shard, row.user.in_(users), row.position > after)
        with self._database.writing() as writer:
            _check_kept(writer, shard, upto)
            found = [LogLine(*one) for one in writer.execute(query.order_by(row.position).limit(_LINES_PER_PIECE))]
            changed = [(line, new) for line in found if (new := change(line)) != line]
            if changed:
                writer.execute(_REWRITE, [_values(shard, *pair) for pair in changed])
        return found[-1].position if len(found) == _LINES_PER_PIECE else None

    def _read_erasures(self, shard: int) -> list[tuple[LogLine, LogLine]]:
        row = log_lines.c
        of_shard = select(*_LINE).where(row.shard == shard).order_by(row.position)
        with self._database.reading() as reader:
            found = [LogLine(*one) for one in reader.execute(of_shard.where(row.kind == "erasure"))]
            first = [reader.execute(of_shard.where(row.user == line.user).limit(1)).one() for line in found]
        return [(line, LogLine(*one)) for line, one in zip(found, first, strict=True)]


_REWRITE = (
    update(log_lines)
    .where(log_lines.c.shard == bindparam("of_shard"), log_lines.c.position == bindparam("at"))
    .values({name: bindparam(f"new_{name}") for name in _REWRITTEN})
)


def _values(shard: int, line: LogLine, new: LogLine) -> dict[str, Any]:
    assert new.is_same(line), "a line that is rewritten stays the same line"
    given = _storable(new)
    told = {f"new_{name}": given[LogLine._fields.index(name)] for name in _REWRITTEN}
    return {"of_shard": shard, "at": line.position, **told}


def _check_kept(writer: Connection, shard: int, upto: int) -> None:
    kept = writer.scalar(select(log_shards.c.position).where(log_shards.c.shard == shard)) or 0
    if kept < upto:
        raise Unavailable(f"the log of shard {shard} is kept up to line {kept}, not yet up to {upto}")


def _check_shards(writer: Connection, shards: int) -> None:
    for kept in writer.scalars(select(log_shards.c.shards).distinct()):
        if kept != shards:
            raise Invalid(f"the log that is kept has {kept} shards, not {shards}: it is another ledger's")


def _move_on(writer: Connection, shard: int, shards: int, after: int, position: int) -> None:
    """The fence: who comes too late finds another position than the one behind which its lines begin."""
    row = log_shards.c
    moved = writer.execute(
        update(log_shards).where(row.shard == shard, row.position == after).values(position=position)
    ).rowcount
    if moved:
        return
    if after or writer.scalar(select(row.shard).where(row.shard == shard)) is not None:
        raise Overtaken
    writer.execute(insert(log_shards).values(shard=shard, shards=shards, position=position))


def _storable(line: LogLine) -> tuple[Any, ...]:
    """The line with what PostgreSQL can keep for finding it; the content has everything as it is."""
    key = line.idempotency_key
    return line if key is None or "\0" not in key else line._replace(idempotency_key=key.replace("\0", ""))
