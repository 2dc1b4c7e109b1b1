"""The log of each shard as it can be read: what the stream in Valkey still has, and before that what was taken out.

The archiver (`service/archive_log.py`) takes lines from here, and lets go of those that are kept elsewhere. Positions
of a shard have no gaps, so whether something is missing shows at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from palmares.domain.errors import Unavailable
from palmares.domain.log_line import LogLine
from palmares.ledger.contract import Record
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.state import Logged, decode_line


class StreamEntry(NamedTuple):
    """One line as it lies in the stream: its position in the shard, and what the script has added."""

    position: int
    user: int
    recorded_at: int
    content: bytes

    def logged(self) -> Logged:
        """The line with what its content says."""
        line, target = decode_line(self.content)
        return Logged(self.position, self.recorded_at, self.user, line, target)


class Stream:
    """The streams of all shards. `record_of` reads a line."""

    def __init__(self, shards: Shards, record_of: Callable[[Shard, Logged], Record]) -> None:
        self._shards = shards
        self._record_of = record_of

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self._shards)

    async def entries(self, place: int, after: int, limit: int) -> list[StreamEntry]:
        """Up to `limit` lines of a shard behind a position, wherever they are.

        Raises `Unavailable` when some are not to be had, because nothing is left of them or what keeps them is away.
        """
        found = await self._present(place, after, limit)
        if not found or found[0].position == after + 1:
            return found
        missing = min(found[0].position - after - 1, limit)
        kept_log = self._shards.kept_log
        kept = [] if kept_log is None else await kept_log.lines(place, after, missing)
        if [line.position for line in kept] != list(range(after + 1, after + 1 + missing)):
            raise Unavailable(f"lines of the log of shard {place} behind {after} are neither in Valkey nor kept")
        earlier = [StreamEntry(line.position, line.user, line.recorded_at, line.content) for line in kept]
        return (earlier + found)[:limit]

    async def end_before(self, place: int, instant: int) -> int:
        """The last line of a shard that was recorded before an instant; 0 when there is none. Reads some lines, by the
        logarithm."""
        [last] = await self._shards.store.read([[b"HGET", self._shards.all[place].keys.head, b"position"]])
        least, most = 0, int(last or 0)
        while least < most:
            middle = (least + most + 1) // 2
            [entry] = await self.entries(place, middle - 1, 1)
            least, most = (entry.position, most) if entry.recorded_at < instant else (least, middle - 1)
        return least

    async def lines(self, shard: int, after: int, limit: int, safe: bool = False) -> list[LogLine]:
        """See `LogSource.lines`: only what is in Valkey."""
        place = self._shards.all[shard]
        return [self._line(place, entry) for entry in await self._present(shard, after, limit, safe)]

    async def trim(self, shard: int, upto: int) -> None:
        """See `LogSource.trim`. A commit compares the end of the stream with the head, so the last line stays."""
        key = self._shards.all[shard].keys.log
        [last] = await self._shards.store.read([[b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1"]])
        newest = [entry.position for entry in _entries(last)]
        if newest and upto > 1:
            await self._shards.store.read([[b"XTRIM", key, b"MINID", b"%d-0" % min(upto, *newest)]])

    async def _present(self, place: int, after: int, limit: int, safe: bool = False) -> list[StreamEntry]:
        key, store = self._shards.all[place].keys.log, self._shards.store
        command = [b"XRANGE", key, b"%d-0" % (after + 1), b"+", b"COUNT", b"%d" % max(limit, 1)]
        [found] = await (store.read_replicated if safe else store.read)([command])
        return _entries(found)

    def _line(self, shard: Shard, entry: StreamEntry) -> LogLine:
        record = self._record_of(shard, entry.logged())
        return LogLine(
            entry.position, entry.user, entry.recorded_at, record.kind, record.scope, record.metric, record.amount,
            record.occurred_at, record.local_at, record.total, record.idempotency_key, record.target, record.body,
            entry.content,
        )  # fmt: skip


def _entries(raw: Any) -> list[StreamEntry]:
    """Entries of a stream that follow on each other, as the client gives them in either form: by id, or as a list of
    pairs. Raises `Unavailable` when some are missing in between."""
    pairs = raw.items() if isinstance(raw, dict) else raw
    found = [_entry(int(bytes(identifier).partition(b"-")[0]), fields) for identifier, fields in pairs]
    if found and found[-1].position - found[0].position != len(found) - 1:
        raise Unavailable(
            f"the log of a shard has holes in Valkey between lines {found[0].position} and {found[-1].position}: it "
            "lost data, and has to be rebuilt"
        )
    return found


def _entry(position: int, raw: Any) -> StreamEntry:
    flat = [part for pair in raw for part in (pair if isinstance(pair, list) else [pair])]
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return StreamEntry(position, int(fields[b"n"]), int(fields[b"t"]), fields[b"l"])
