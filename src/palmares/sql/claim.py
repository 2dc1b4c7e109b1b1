"""One process at a time has a claim; which one it is, the database knows.

    server        one server with a data folder has a PostgreSQL database, as one process at a time has that folder: two
                  such ledgers that wrote their final runs into one archive would overwrite each other's. All workers of
                  a cluster have it together, so that it is either they or a server with a folder
    timed work    of the workers of a cluster, the one that does what only one may do

The claim is a lock of a session, so it ends with the process, however that ends. A restart of the database ends it too;
then it is taken again.

Whoever keeps the claim in a thread of its own also learns first that the database is away, and can spare others the
wait for it.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Final, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from palmares.domain.errors import PalmaresError, Unavailable
from palmares.sql import postgresql

Name = Literal["server", "timed work"]
_TAKEN: Final[dict[Name, str]] = {
    "server": "another server uses the database; each has a database or a schema of its own",
    "timed work": "another worker does the timed work",
}


class DatabaseInUse(PalmaresError):
    """Another server uses the database."""


class Claim:
    """A claim of this process in the database at a URL, from `keep` until `close`. Both may wait for the network.

    `takings` counts how often it was taken: while that stays, nobody else had it in between.
    """

    def __init__(self, url: str, name: Name = "server", shared: bool = False) -> None:
        # Whether the database could not be reached when it was last tried.
        self.away = False
        self.takings = 0
        self._name = name
        self._shared = shared
        self._engine = postgresql.session_engine(url)
        self._session: Connection | None = None
        self._one_at_a_time = Lock()

    def keep(self) -> None:
        """Take the claim, or see that it still holds.

        Raises `DatabaseInUse` when another process has it, and `Unavailable` when the database cannot be used.
        """
        with self._one_at_a_time:
            if not self._holds():
                self._let_go()
                self._session = self._taken()
                self.takings += 1
            self.away = False

    def check(self) -> None:
        """Raise `Unavailable` unless the claim is held. Whoever is about to write asks, in whatever thread."""
        try:
            self.keep()
        except DatabaseInUse as error:
            raise Unavailable(error.message) from error

    def still_held(self) -> bool:
        """Whether the claim holds; it is not taken again if it does not."""
        with self._one_at_a_time:
            return self._holds()

    def close(self) -> None:
        """Let another process have the database, at once."""
        with self._one_at_a_time:
            if self._session is not None:
                # With a session that broke, it was given back already.
                with suppress(SQLAlchemyError):
                    postgresql.give_back(self._session, self._name, self._shared)
            self._let_go()
            self._engine.dispose()

    def _taken(self) -> Connection:
        """A session that holds the claim. None is kept that does not: it would look as if it did."""
        session: Connection | None = None
        try:
            session = self._engine.connect()
            if postgresql.try_lock(session, self._name, self._shared):
                return session
        except Unavailable:
            _close(session)
            raise
        except SQLAlchemyError as error:
            self.away = True
            _close(session)
            raise Unavailable("the database does not work at present") from error
        self.away = False
        _close(session)
        raise DatabaseInUse(_TAKEN[self._name])

    def _holds(self) -> bool:
        if self._session is None:
            return False
        try:
            self._session.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return False
        return True

    def _let_go(self) -> None:
        session, self._session = self._session, None
        _close(session)


def _close(session: Connection | None) -> None:
    if session is not None:
        with suppress(SQLAlchemyError):
            session.close()
