"""The outbox in a SQL database.

All SQL runs in one worker thread, one transaction after the other, so the event loop never waits for a disk. What is
to be written while a transaction is on its way is gathered and shares the next one.

Besides the server, a command may add to the log of deliveries. Whatever is to be attempted is written by the server
alone, so it knows from memory for whom anything waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, and_, bindparam, delete, exists, insert, literal_column, select, update

from palmares.outbox import rows, tables
from palmares.outbox.contract import (
    NO_WATCH,
    Attempt,
    Delivery,
    Due,
    Entry,
    Message,
    Notes,
    RankingNote,
    Wanted,
    WatchNote,
)
from palmares.sql.database import Database, Part

Result = TypeVar("Result")
_PART = Part("outbox", "palmares.outbox:migrations", tables.VERSION_TABLE)
_MOST_PRUNED = 10_000
_MOST_REWRITTEN = 2_000
# Written out, because a parameter would keep SQLite from the index of what is pending.
_PENDING = tables.deliveries.c.status == literal_column("'pending'")


class SqlOutbox:
    """An `Outbox` in a SQL database; `outbox/contract.py` says what the methods promise."""

    def __init__(self, url: str, check_claim: Callable[[], None] = lambda: None) -> None:
        """Use `open`, which also prepares it."""
        self._database = Database(url, _PART, check_claim=check_claim)
        self._worker = ThreadPoolExecutor(1, "outbox")
        self._waiting: dict[str, int] = {}
        self._queue: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, check_claim: Callable[[], None] = lambda: None) -> Self:
        """The outbox at a database URL, made or brought up to date when needed.

        Writes are refused with what `check_claim` raises. Raises `Unavailable` when the database cannot be used.
        """
        outbox = cls(url, check_claim)
        try:
            await outbox.prepare()
        except BaseException:
            await outbox.close()
            raise
        return outbox

    async def prepare(self) -> None:
        """Bring the tables up to date."""
        await self._run(self._prepare)

    async def notes(self) -> Notes:
        """Everything noted."""
        return await self._run(self._read_notes)

    async def write(self, entry: Entry) -> None:
        """Write an entry together with others that come now."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((entry, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_queue(), name="palmares-outbox")
        await written

    def waiting(self) -> Mapping[str, int]:
        """For whom deliveries wait, and since or until when."""
        return self._waiting

    async def due(self, webhook: str, now: int, limit: int) -> list[Due]:
        """What to attempt now."""
        return await self._run(lambda: self._read_due(webhook, now, limit))

    async def give_up(self, webhook: str, problem: str) -> None:
        """Let what waits for a webhook fail."""
        await self._run(lambda: self._give_up(webhook, problem))

    async def deliveries(self, wanted: Wanted) -> list[Delivery]:
        """Lines of the log."""
        return await self._run(lambda: self._read_deliveries(wanted))

    async def prune(self, before: int) -> bool:
        """Forget what is over and old."""
        return await self._run(lambda: self._prune(before))

    async def rewrite(self, scope: int, change: Callable[[int, bytes], bytes | None]) -> None:
        """Change or remove messages, some at a time."""
        after: int | None = 0
        while after is not None:
            after = await self._run(lambda after=after: self._rewrite(scope, change, after))  # type: ignore[misc]

    async def compact(self) -> None:
        """Leave nothing in the files of what was removed."""
        await self._run(self._database.compact)

    async def close(self) -> None:
        """Write what is to be written, and let go of the database."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        # In the worker, because a connection of SQLite belongs to the thread that opened it.
        self._worker.submit(self._database.close)
        await asyncio.to_thread(self._worker.shutdown)

    async def _write_queue(self) -> None:
        """Write what has gathered, again and again until nothing has."""
        while self._queue:
            taken, self._queue = self._queue, []
            failure = await self._outcome([entry for entry, _ in taken])
            for _, written in taken:
                if written.cancelled():
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(failure)
        self._writing = None

    async def _outcome(self, entries: Sequence[Entry]) -> Exception | None:
        try:
            await self._run(lambda: self._write(entries))
        except Exception as error:
            return error
        return None

    async def _run(self, step: Callable[[], Result]) -> Result:
        """Run a step in the worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, step)

    # The steps: each runs in the worker thread.

    def _prepare(self) -> None:
        with self._database.writing() as writer:
            self._database.migrate(writer)
            self._waiting = _first_due(writer, _webhooks(writer))

    def _read_notes(self) -> Notes:
        with self._database.reading() as reader:
            boards = reader.execute(select(tables.board_notes).order_by(tables.board_notes.c.board)).all()
            rankings = reader.execute(select(tables.ranking_notes).order_by(tables.ranking_notes.c.number)).all()
            batches = reader.execute(select(tables.batches).order_by(tables.batches.c.number)).all()
            watch = reader.execute(select(tables.watch)).one_or_none()
        return Notes(
            [rows.board_note(row) for row in boards],
            [rows.ranking_note(row) for row in rankings],
            [rows.batch(row) for row in batches],
            NO_WATCH if watch is None else rows.watch_note(watch),
            new=watch is None,
        )

    def _read_due(self, webhook: str, now: int, limit: int) -> list[Due]:
        table = tables.deliveries
        query = (
            select(table.c.id, tables.messages.c.body, table.c.attempts)
            .join(tables.messages)
            .where(_PENDING, table.c.webhook == webhook, table.c.due <= now)
            .order_by(table.c.due, table.c.number)
            .limit(limit)
        )
        with self._database.reading() as reader:
            return [Due(*row) for row in reader.execute(query)]

    def _read_deliveries(self, wanted: Wanted) -> list[Delivery]:
        table = tables.deliveries
        query = select(table, tables.messages.c.body).join(tables.messages).where(table.c.scope == wanted.scope)
        for name in ("webhook", "event", "status"):
            if getattr(wanted, name) is not None:
                query = query.where(table.c[name] == getattr(wanted, name))
        order = table.c.number.desc() if wanted.newest_first else table.c.number
        with self._database.reading() as reader:
            found = reader.execute(query.order_by(order).offset(wanted.skip).limit(wanted.limit)).all()
        return [rows.delivery(row) for row in found]

    def _write(self, entries: Sequence[Entry]) -> None:
        with self._database.writing() as writer:
            for entry in entries:
                _write_notes(writer, entry)
            _write_messages(writer, [message for entry in entries for message in entry.messages])
            attempts = [attempt for entry in entries for attempt in entry.attempts]
            _write_attempts(writer, attempts)
            touched = {attempt.webhook for attempt in attempts}
            for entry in entries:
                for message in entry.messages:
                    touched.update(recipient.webhook for recipient in message.recipients)
            waiting = _first_due(writer, touched)
        self._now_waiting(touched, waiting)

    def _give_up(self, webhook: str, problem: str) -> None:
        table = tables.deliveries
        failing = update(table).where(table.c.webhook == webhook, _PENDING)
        with self._database.writing() as writer:
            writer.execute(failing.values(status="failed", due=None, problem=problem))
        self._now_waiting([webhook], {})

    def _prune(self, before: int) -> bool:
        table, messages = tables.deliveries, tables.messages
        old = select(table.c.number).where(table.c.created < before, table.c.status != "pending").limit(_MOST_PRUNED)
        told = exists().where(table.c.message == messages.c.number)
        silent = select(messages.c.number).where(messages.c.created < before, ~told).limit(_MOST_PRUNED)
        with self._database.writing() as writer:
            found = [
                writer.execute(delete(table).where(table.c.number.in_(old))),
                writer.execute(delete(messages).where(messages.c.number.in_(silent))),
            ]
        return any(result.rowcount >= _MOST_PRUNED for result in found)

    def _rewrite(self, scope: int, change: Callable[[int, bytes], bytes | None], after: int) -> int | None:
        """Look at the next messages behind a number; how far that went, None at the end."""
        messages, deliveries = tables.messages, tables.deliveries
        others = exists().where(deliveries.c.message == messages.c.number, deliveries.c.scope != scope)
        asked = select(messages).where(messages.c.number > after).order_by(messages.c.number).limit(_MOST_REWRITTEN)
        with self._database.writing() as writer:
            found = writer.execute(asked.add_columns(others.label("others"))).all()
            changed = [(row, change(row.created, row.body)) for row in found if not row.others]
            gone = [row.number for row, body in changed if body is None]
            for row, body in changed:
                if body is not None and body != row.body:
                    writer.execute(update(messages).where(messages.c.number == row.number).values(body=body))
            of_gone = deliveries.c.message.in_(gone)
            touched = writer.scalars(select(deliveries.c.webhook).where(of_gone).distinct()).all() if gone else ()
            writer.execute(delete(deliveries).where(of_gone))
            writer.execute(delete(messages).where(messages.c.number.in_(gone)))
            waiting = _first_due(writer, touched)
        self._now_waiting(touched, waiting)
        return found[-1].number if found else None

    def _now_waiting(self, touched: Collection[str], waiting: Mapping[str, int]) -> None:
        # A new dictionary, because the event loop may be reading the former one.
        kept = {webhook: due for webhook, due in self._waiting.items() if webhook not in touched}
        self._waiting = kept | dict(waiting)


def _webhooks(reader: Connection) -> Sequence[str]:
    """For whom anything waits."""
    return reader.scalars(select(tables.deliveries.c.webhook).where(_PENDING).distinct()).all()


def _first_due(reader: Connection, webhooks: Collection[str]) -> dict[str, int]:
    """The first instant at which a delivery is due, by webhook, of those for whom anything waits."""
    table = tables.deliveries
    found = {}
    for webhook in webhooks:
        # Ordered, so that one look at the index is enough however many wait.
        query = select(table.c.due).where(_PENDING, table.c.webhook == webhook).order_by(table.c.due).limit(1)
        due = reader.scalar(query)
        if due is not None:
            found[webhook] = due
    return found


def _write_messages(writer: Connection, messages: Sequence[Message]) -> None:
    if not messages:
        return
    table = tables.messages
    adding = insert(table).returning(table.c.number, sort_by_parameter_order=True)
    numbers = writer.scalars(adding, [{"created": message.created, "body": message.body} for message in messages]).all()
    deliveries = [rows.delivery_rows(message, number) for message, number in zip(messages, numbers, strict=True)]
    if flat := [*chain.from_iterable(deliveries)]:
        writer.execute(insert(tables.deliveries), flat)


def _write_attempts(writer: Connection, attempts: Sequence[Attempt]) -> None:
    if attempts:
        table = tables.deliveries
        # Whoever gave up meanwhile has the last word.
        noting = update(table).where(table.c.id == bindparam("delivery"), _PENDING)
        writer.execute(noting, [rows.attempt_row(attempt) | {"delivery": attempt.delivery} for attempt in attempts])


def _write_notes(writer: Connection, entry: Entry) -> None:
    _forget(writer, entry)
    for note in entry.boards:
        _replace(writer, tables.board_notes, {"board": note.board}, note._asdict())
    for ranking in entry.rankings:
        _replace(writer, tables.ranking_notes, _ranking_key(ranking), rows.ranking_row(ranking))
    if entry.batches:
        writer.execute(insert(tables.batches), [rows.batch_row(batch) for batch in entry.batches])
    if entry.watch is not None:
        _replace(writer, tables.watch, {"id": 1}, _watch_row(entry.watch))


def _forget(writer: Connection, entry: Entry) -> None:
    boards, rankings, batches = tables.board_notes, tables.ranking_notes, tables.batches
    if entry.gone:
        writer.execute(delete(boards).where(boards.c.board.in_(entry.gone)))
    for board, run_start in entry.forgotten_rankings:
        writer.execute(delete(rankings).where(rankings.c.board == board, rankings.c.run_start == run_start))
    for board, run_start, until in entry.forgotten_batches:
        of_run = and_(batches.c.board == board, batches.c.run_start == run_start)
        writer.execute(delete(batches).where(of_run, batches.c.until == until))


def _ranking_key(note: RankingNote) -> dict[str, Any]:
    return {"board": note.board, "run_start": note.run_start, "group": rows.group_text(note.group)}


def _watch_row(note: WatchNote) -> dict[str, Any]:
    return note._asdict() | {"id": 1, "changed": list(note.changed), "ranked": list(note.ranked)}


def _replace(writer: Connection, table: Any, key: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    same = and_(*(table.c[name] == value for name, value in key.items()))
    if not writer.execute(update(table).where(same).values(**row)).rowcount:
        writer.execute(insert(table).values(**row))
