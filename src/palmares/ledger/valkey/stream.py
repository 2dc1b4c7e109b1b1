"""The log of each shard as it can be read: what the stream in Valkey still has, and before that what was taken out.

The archiver (`service/archive_log.py`) takes lines from here, and lets go of those that are kept elsewhere. Every line
tells which one is in front of it, so whether something is missing shows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from palmares.domain.errors import Unavailable
from palmares.domain.log_line import LogLine
from palmares.ledger.contract import Record
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.kept_log import KeptLog
from palmares.ledger.valkey.lines import before, entries, let_go_upto
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.state import Logged, decode_line


class StreamEntry(NamedTuple):
    """One line as it lies in the stream: its position in the shard, and what the script has added. `previous` is the
    position of the line in front of it."""

    position: int
    user: int
    recorded_at: int
    content: bytes
    previous: int

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
        if not found or found[0].previous <= after:
            return found
        last = found[0].previous
        kept = await self._kept(place, after).lines(place, after, min(last - after, limit))
        earlier = _of_kept([line for line in kept if line.position <= last], after)
        self._check(place, after, earlier)
        if len(earlier) < limit and (not earlier or earlier[-1].position != last):
            raise _missing(place, after)
        return (earlier + found)[:limit]

    async def last_entries(self, place: int, after: int, past: int, limit: int) -> list[StreamEntry]:
        """Up to `limit` lines of a shard behind one position and in front of another, wherever they are: the last ones
        of them, newest first. Raises as `entries` does."""
        key = self._shards.all[place].keys.log
        newest = [b"XREVRANGE", key, b"%d-0" % (past - 1), b"%d-0" % (after + 1), b"COUNT", b"%d" % limit]
        oldest = [b"XRANGE", key, b"-", b"+", b"COUNT", b"1"]
        first, raw = await self._shards.store.read([oldest, newest])
        found, let_go = _entries(raw)[::-1], let_go_upto(first)
        last = min(let_go, past - 1)
        if found and len(found) < limit and found[-1].previous > max(let_go, after):
            raise _missing(place, after)
        if len(found) == limit or last <= after:
            return found
        wanted = limit - len(found)
        kept = await self._kept(place, after).lines_before(place, last + 1, wanted)
        kept = [line for line in reversed(kept) if line.position > after]
        earlier = _of_kept(kept, kept[0].position - 1 if len(kept) == wanted else after)
        self._check(place, earlier[0].previous if earlier else after, earlier)
        end = earlier[-1].position if earlier else after
        if end != last and (last == let_go or not self._shards.numbering.follows(past, end)):
            raise _missing(place, after)
        return found + earlier[::-1]

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

    def _kept(self, place: int, after: int) -> KeptLog:
        if self._shards.kept_log is None:
            raise _missing(place, after)
        return self._shards.kept_log

    def _check(self, place: int, after: int, lines: Sequence[StreamEntry]) -> None:
        """Raise `Unavailable` where lines do not follow on each other and on a position."""
        previous = after
        for line in lines:
            if not self._shards.numbering.follows(line.position, previous):
                raise _missing(place, after)
            previous = line.position

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
    """Entries of a stream that follow on each other, in their order, from whichever end they were read. Raises
    `Unavailable` when some are missing in between."""
    found = sorted(
        StreamEntry(position, int(fields[b"n"]), int(fields[b"t"]), fields[b"l"], before(position, fields))
        for position, fields in entries(raw)
    )
    if any(other.previous != one.position for one, other in pairwise(found)):
        raise Unavailable(
            f"the log of a shard has holes in Valkey between lines {found[0].position} and {found[-1].position}: it "
            "lost data, and has to be rebuilt"
        )
    return found


def _of_kept(kept: Sequence[LogLine], after: int) -> list[StreamEntry]:
    """Lines that are kept elsewhere, of which the first follows on a position."""
    places = [after, *(line.position for line in kept)]
    return [
        StreamEntry(line.position, line.user, line.recorded_at, line.content, previous)
        for line, previous in zip(kept, places, strict=False)
    ]


def _missing(place: int, after: int) -> Unavailable:
    return Unavailable(f"lines of the log of shard {place} behind {after} are neither in Valkey nor kept")
