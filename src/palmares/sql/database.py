"""A database and the part of it that belongs to one adapter: lent for one transaction at a time.

Readers see one state of all tables, and never wait for a writer; the writers of a part take turns from their first
step. Each kind of database has its own way to that, in a module of its own; outside them no code asks which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import URL, Connection, Table, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from palmares.domain.errors import Unavailable
from palmares.sql import postgresql, sqlite
from palmares.sql.migrations import upgrade


@dataclass(frozen=True, slots=True)
class Part:
    """The tables of one adapter: what people call it, where the migrations are that make it, and where they are noted.

    `sqlite_pragmas` are its own, besides those that all parts have.
    """

    name: str
    migrations: str
    version_table: str
    sqlite_pragmas: Mapping[str, str] = field(default_factory=dict)


class Database:
    """Connections for reading and for writing, each lent for one transaction."""

    def __init__(
        self,
        url: str,
        part: Part,
        is_away: Callable[[], bool] = lambda: False,
        check_claim: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is opened yet. The URL is `sqlite:///path` or `postgresql://user:password@host/database`.

        While `is_away` says so, readers are refused at once instead of waiting for a server that does not answer.
        Writers are refused with what `check_claim` raises; it is asked first. Raises `Unavailable` for an address of
        anything else.
        """
        self._is_away = is_away
        self._check_claim = check_claim
        self._part = part
        parsed = _parsed(url)
        self._is_shared = parsed.get_backend_name() == "postgresql"
        if self._is_shared:
            self._reading_engine, self._writing_engine = postgresql.engines(parsed, part.name)
            self._turns = postgresql.session_engine(parsed)
        else:
            self._reading_engine, self._writing_engine = sqlite.engines(parsed, part.sqlite_pragmas)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of all tables. Raises `Unavailable` when the database cannot be used."""
        if self._is_away():
            raise Unavailable(f"the {self._part.name}'s database is away at present")
        with self._told_plainly(), self._reading_engine.connect() as reader:
            yield reader

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All that happens inside, or nothing; durable at the end. Raises `Unavailable` like `reading`."""
        self._check_claim()
        with self._told_plainly("; nothing was stored"), self._writing_engine.begin() as writer:
            yield writer

    def migrate(self, writer: Connection) -> None:
        """Bring the tables up to date, all steps and the note of them in the present transaction."""
        if self._is_shared:
            postgresql.check(writer)
        upgrade(writer, self._part.migrations, self._part.version_table, self._part.name)

    def load(self, writer: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add many rows in the present transaction, the fastest way; they have all columns in the order of the table.

        Texts must not hold a NUL character.
        """
        (postgresql if self._is_shared else sqlite).load(writer, table, rows)

    def go_on_numbering(self, writer: Connection, table: Table) -> None:
        """Let numbers that the database gives to rows of a table go on behind those that were given elsewhere."""
        if self._is_shared:
            postgresql.go_on_numbering(writer, table)

    @property
    def has_turns(self) -> bool:
        """Whether processes take turns: only PostgreSQL can hold one, with SQLite it is had at once."""
        return self._is_shared

    def take_turn(self) -> Callable[[], None]:
        """Wait until no other process has the turn, and have it until the function that is returned is called.

        For what takes more than one transaction. Only PostgreSQL can hold a turn; on one machine, with SQLite, it is
        had at once. Raises `Unavailable` like `reading`, and after having waited for long.
        """
        if not self._is_shared:
            return lambda: None
        turn = f"{self._part.name} turn"
        with self._told_plainly("; nothing was stored"):
            # Not a transaction: it would lie idle, which the server may be set to end.
            holder = self._turns.connect()
            try:
                postgresql.wait_for_lock(holder, turn)
            except BaseException:
                holder.close()
                raise

        def give_back() -> None:
            # With a connection that broke, the turn was given back already.
            with suppress(SQLAlchemyError), holder:
                postgresql.give_back(holder, turn)

        return give_back

    def compact(self) -> None:
        """Leave nothing in the file of what was deleted. Raises `Unavailable` while another process reads it.

        PostgreSQL gives up deleted rows by itself, in its own time.
        """
        if self._is_shared:
            return
        with self._told_plainly():
            if not sqlite.compact(self._writing_engine):
                raise Unavailable(f"the {self._part.name} cannot be compacted while another process reads it")

    def close(self) -> None:
        """Let go of all connections."""
        with self._told_plainly():
            self._reading_engine.dispose()
            self._writing_engine.dispose()

    @contextmanager
    def _told_plainly(self, outcome: str = "") -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            message = f"another process has just changed the same in the {self._part.name}{outcome}; try again"
            raise Unavailable(message) from error
        except SQLAlchemyError as error:
            raise Unavailable(f"the {self._part.name}'s database does not work at present{outcome}") from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Unavailable("the address of the database cannot be read") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Unavailable(f"no database is called {parsed.drivername}; there are sqlite and postgresql")
    return parsed
