"""The log that is kept in PostgreSQL, and whether Valkey has the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from palmares.doctor.finding import Finding, ok
from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.keys import ShardKeys
from palmares.ledger.valkey.lines import entries
from palmares.ledger.valkey.servers import Servers
from palmares.ledger.valkey.store import Glide
from palmares.sql import postgresql

# The archiver is at most a second behind, unless the database is away or slow.
_DOUBTFUL_LINES: Final = 100_000
_LAST_KEPT: Final = (
    'SELECT log_shards.shard, log_shards.position, "user", recorded_at FROM log_shards JOIN log_lines '
    "ON log_lines.shard = log_shards.shard AND log_lines.position = log_shards.position"
)


class Kept(NamedTuple):
    """The last line that is kept of a shard, as far as it stays what it is."""

    position: int
    user: int
    recorded_at: int


async def examine_kept_log(servers: Servers, name: str, shards: int, url: str) -> list[Finding]:
    """Compare the last line that is kept of each shard. Nothing is told where one of the two is away: others do."""
    try:
        kept = await asyncio.to_thread(_last_kept, url)
        store = await Glide.connect(servers)
    except (SQLAlchemyError, Unavailable, OSError):
        return []
    try:
        present = {place: await _present(store, ShardKeys(name, place), kept.get(place)) for place in range(shards)}
    except Unavailable:
        return []
    finally:
        await store.close()
    return [judge(kept, present)]


def judge(kept: Mapping[int, Kept], present: Mapping[int, tuple[int, Kept | None]]) -> Finding:
    """By shard, what is kept, and of Valkey the last line and the one at the place of what is kept."""
    for place, line in kept.items():
        last, found = present.get(place, (0, None))
        if found != line:
            told = f"shard {place} is at line {last} in Valkey, and has not the line {line.position} that is kept"
            advice = "Valkey lost data: stop all workers, empty Valkey if they went on, and run `palmares rebuild`"
            return Finding("wrong", "kept log", told, advice)
    lines = sum(last - (kept[place].position if place in kept else 0) for place, (last, _) in present.items())
    told = f"{lines} lines are only in Valkey"
    if lines > _DOUBTFUL_LINES:
        return Finding("doubtful", "kept log", told, "see why workers do not copy them: their logs say so")
    return ok("kept log", told)


def _last_kept(url: str) -> dict[int, Kept]:
    engine = postgresql.session_engine(url)
    try:
        with engine.connect() as session:
            if session.exec_driver_sql("SELECT to_regclass('log_shards')").scalar_one() is None:
                return {}
            return {place: Kept(*line) for place, *line in session.exec_driver_sql(_LAST_KEPT)}
    finally:
        engine.dispose()


async def _present(store: Glide, keys: ShardKeys, kept: Kept | None) -> tuple[int, Kept | None]:
    identifier = b"%d-0" % (0 if kept is None else kept.position)
    [position, raw] = await store.read(
        [[b"HGET", keys.head, b"position"], [b"XRANGE", keys.log, identifier, identifier, b"COUNT", b"1"]]
    )
    found: Sequence[Kept] = [Kept(place, int(line[b"n"]), int(line[b"t"])) for place, line in entries(raw)]
    return int(position or 0), found[0] if found else None
