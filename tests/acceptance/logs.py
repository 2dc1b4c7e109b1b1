"""What a home holds, as the tests read it: its log, and every byte. And everything made anew from the log."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import NamedTuple

import anyio
import msgspec
from click.testing import CliRunner

from palmares.cli import main
from palmares.ledger.valkey.store import Glide
from tests.acceptance.homes import Home
from tests.acceptance.load import until
from tests.valkey_servers import READ, connected

COLUMNS = "position, kind, {user}, {content}, body, amount, occurred_at, recorded_at"
OF_THE_LEDGER = ("shards", "kept", "begun", "lease", "leases")


class Line(NamedTuple):
    """A line of a log: an event, or with `profile` what a user is like from then on. Amounts are micros, instants
    microseconds; positions are in order for each user."""

    position: int
    user: int
    user_id: str
    profile: str | None
    amount: int
    occurred: int
    recorded: int


def lines_of(home: Home) -> list[Line]:
    """All that was recorded until now."""
    return [*(_of_folder(home.data) if home.database is None else _of_database(home))]


def make_anew(home: Home) -> None:
    """Throw away what is made from the log, and make it again; with a folder, its next server does that."""
    if home.database is None:
        for what in ("archive", "projection", "standings"):
            for made_from_log in home.data.glob(f"{what}.*"):
                made_from_log.unlink()
        return
    assert anyio.run(_forget_all, home) > 0
    done = CliRunner(env=dict(home.variables)).invoke(main, ["rebuild"])
    assert done.exit_code == 0, done.output


def every_byte(home: Home) -> dict[str, bytes]:
    """All that is kept, by file; on a cluster, by table and by key."""
    if home.database is None:
        return {path.name: path.read_bytes() for path in home.data.iterdir() if path.is_file()}
    tables = home.database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = {table: home.database.execute(f'SELECT * FROM "{table}"') for (table,) in tables}
    return {table: repr(found).encode() for table, found in rows.items()} | anyio.run(_values, home)


def _of_folder(data: Path) -> Iterator[Line]:
    with closing(sqlite3.connect(f"file:{data / 'log.sqlite3'}?mode=ro", uri=True)) as connection:
        columns = COLUMNS.format(user="user", content="user_id")
        for position, kind, user, user_id, body, amount, occurred, recorded in connection.execute(
            f"SELECT {columns} FROM log ORDER BY position"
        ):
            profile = body if kind == 2 else None
            yield Line(position, user, user_id or "", profile, amount or 0, occurred or 0, recorded)


def _of_database(home: Home) -> Iterator[Line]:
    """As soon as all is kept there."""
    database = home.database
    assert database is not None
    recorded_lines = anyio.run(_recorded, home)
    until(lambda: database.execute("SELECT count(*) FROM log_lines")[0][0] == recorded_lines)
    columns = COLUMNS.format(user='"user"', content="content")
    for position, kind, user, content, body, amount, occurred, recorded in database.execute(
        f"SELECT {columns} FROM log_lines ORDER BY recorded_at, shard, position"
    ):
        # Behind what the line is about.
        _, user_id, *_ = msgspec.msgpack.decode(content[8:])
        profile = body if kind == "user" else None
        yield Line(position, user, user_id, profile, amount or 0, occurred or 0, recorded)


async def _recorded(home: Home) -> int:
    """How many lines all shards have."""
    async with _store(home) as store:
        found = [await store.read([[b"HGET", f"{tag}head".encode(), b"position"]]) for tag in _shards(home)]
    return sum(int(position or 0) for [position] in found)


async def _values(home: Home) -> dict[str, bytes]:
    """Every key of the shards, and what it has."""
    found: dict[str, bytes] = {}
    async with _store(home) as store:
        for key in [key for tag in _shards(home) for key in await _keys(store, tag)]:
            [kind] = await store.read([[b"TYPE", key]])
            if bytes(kind) in READ:
                command, *rest = READ[bytes(kind)]
                [value] = await store.read([[command, key, *rest]])
                found[repr(key)] = repr((key, value)).encode()
    return found


async def _keys(store: Glide, tag: str) -> list[bytes]:
    # The first command says which node it is that is asked.
    _, keys = await store.read([[b"EXISTS", f"{tag}head".encode()], [b"KEYS", f"{tag}*".encode()]])
    return [bytes(key) for key in keys]


async def _forget_all(home: Home) -> int:
    """Delete all keys of the shards, and what the ledger has as a whole; returns how many there were in the shards."""
    name, deleted = home.variables["PALMARES_VALKEY_NAME"], 0
    async with _store(home) as store:
        for tag in _shards(home):
            [gone] = await store.read([[b"DEL", *await _keys(store, tag)]])
            deleted += gone
        await store.read([[b"DEL", *(f"{{{name}}}:{what}".encode() for what in OF_THE_LEDGER)]])
    return deleted


def _store(home: Home) -> AbstractAsyncContextManager[Glide]:
    return connected(home.variables["PALMARES_VALKEY_URL"])


def _shards(home: Home) -> list[str]:
    name, shards = home.variables["PALMARES_VALKEY_NAME"], int(home.variables["PALMARES_VALKEY_SHARDS"])
    return [f"{{{name}.{place}}}:" for place in range(shards)]
