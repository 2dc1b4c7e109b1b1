"""Removing from Valkey what is left of erased users.

What an erasure means is done with its commit: nobody has the id, and nothing that is read by it is the erased user's.
What is left are idempotency keys, and what the lines of the log say. Entries of a stream cannot be changed, so the log
of a shard is copied without it, while recording goes on; the copy takes the place of the log in one step, with what
came meanwhile. Then the log that is kept elsewhere says the same. Whatever fails, the log is as it was, and all may be
done again.

Of two workers that copy a log at once, the later one takes the copy of the other away, and has not read anything yet:
so what takes the place of the log was made of all that there was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count

import msgspec

from palmares.domain.effect import is_live
from palmares.domain.erased import anonymous_id, is_anonymous
from palmares.domain.errors import NotAllowed
from palmares.domain.log_line import LogLine
from palmares.ledger.anonymous import reduced_profile
from palmares.ledger.contract import Erasure
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.lines import entries
from palmares.ledger.valkey.reader import Reader
from palmares.ledger.valkey.shards import Shards, by_present_boards
from palmares.ledger.valkey.state import decode_left, decode_use, encode_line, split_content
from palmares.ledger.valkey.store import Command, Glide

_LINES_AT_ONCE = 1_000


class Erasing:
    """What is left of erased users, in all shards."""

    def __init__(self, store: Glide, shards: Shards, reader: Reader, worker: str) -> None:
        self._worker = worker
        self._attempts = count(1)
        self._store = store
        self._shards = shards
        self._reader = reader

    @by_present_boards
    async def check(self, scopes: Collection[int], now: int) -> None:
        """Raises `NotAllowed` while runs of a scope are final and still in Valkey: their rows have ids in them."""
        await self._shards.refresh()
        first, instant = self._shards.all[0].boards, max(now, self._shards.now)
        for board in [making.board for making in first if making.ready and making.board.scope in scopes]:
            for start, _ in await self._reader.run_groups(board.number):
                run = board.schedule.run_at(start)
                if run is not None and not is_live(run, instant):
                    raise NotAllowed(
                        f"the ledger on Valkey does not erase users yet while it has runs that are over, "
                        f"as leaderboard {board.key!r} has"
                    )

    async def unfinished(self) -> list[Erasure]:
        """See `Ledger.unfinished_erasures`."""
        found = []
        for shard in self._shards.all:
            [stored] = await self._store.read([[b"HGETALL", shard.keys.erasures]])
            for number, raw in stored.items():
                left = decode_left(raw)
                found.append(Erasure(left.scope, int(number), left.user_id, left.erased_at))
        return sorted(found, key=lambda erasure: (erasure.erased_at, erasure.number))

    async def compact(self, numbers: Sequence[int]) -> None:
        """See `Ledger.compact`. Needs room for one more log of a shard."""
        wanted = set(numbers)
        for shard in self._shards.all:
            [known] = await self._store.read([[b"HKEYS", shard.keys.erasures]])
            users = {int(number) for number in known} & wanted
            if users:
                await self._forget_keys(shard, users)
                await self._forget_answers(shard, users)
                last = await self._rewrite(shard, users)
                if self._shards.kept_log is not None:
                    await self._shards.kept_log.rewrite(shard.place, users, last, anonymous_line)
                await self._store.read([[b"HDEL", shard.keys.erasures, *(b"%d" % number for number in users)]])

    async def _forget_keys(self, shard: Shard, users: Collection[int]) -> None:
        """Idempotency keys; where somebody new with the same id has used one meanwhile, it stays."""
        async for piece in self._store.scan_hash(shard.keys.used):
            gone = [pair for pair in piece if decode_use(pair[1]).user in users]
            if gone:
                await self._store.script("forget", [shard.keys.used], [part for pair in gone for part in pair])

    async def _forget_answers(self, shard: Shard, users: Collection[int]) -> None:
        """Ids in what the shard has answered last to each worker, which may still be told again."""
        [told] = await self._store.read([[b"HMGET", shard.keys.erasures, *(b"%d" % number for number in users)]])
        ids = [
            part
            for number, raw in zip(users, told, strict=True)
            if raw is not None
            for part in (decode_left(raw).user_id.encode(), anonymous_id(number).encode())
        ]
        await self._store.script("forget_answers", [shard.keys.workers], ids)

    async def _rewrite(self, shard: Shard, users: Collection[int]) -> int:
        """Copy the log without what it says of some users; the last of their lines that it still has."""
        keys, attempt = shard.keys, f"{self._worker}-{next(self._attempts)}".encode()
        [former] = await self._store.read([[b"SET", keys.rewriting, attempt, b"GET"]])
        copy = keys.rewritten(attempt)
        await self._store.read([[b"UNLINK", keys.rewritten(bytes(former or b"")), copy]])
        try:
            last, last_of_users = await self._copy(shard, copy, users)
            if last:
                await self._store.script("replace_log", [keys.log, copy, keys.rewriting], [b"%d" % last, attempt])
        finally:
            await self._store.read([[b"UNLINK", copy]])
        return last_of_users

    async def _copy(self, shard: Shard, copy: bytes, users: Collection[int]) -> tuple[int, int]:
        last = last_of_users = 0
        while True:
            command = [b"XRANGE", shard.keys.log, b"%d-0" % (last + 1), b"+", b"COUNT", b"%d" % _LINES_AT_ONCE]
            [raw] = await self._store.read([command])
            found = entries(raw)
            if found:
                await self._store.read([_added(copy, *entry, users) for entry in found])
                last = found[-1][0]
                own = [position for position, fields in found if int(fields[b"n"]) in users]
                last_of_users = max([last_of_users, *own])
            if len(found) < _LINES_AT_ONCE:
                return last, last_of_users


def _added(key: bytes, position: int, fields: dict[bytes, bytes], users: Collection[int]) -> Command:
    """What adds a line to a stream, without what it says of a person, if it is of one of these users."""
    number = int(fields[b"n"])
    if number in users:
        fields = {**fields, b"l": anonymous_content(number, fields[b"l"])}
    return [b"XADD", key, b"%d-0" % position, *(part for pair in fields.items() for part in pair)]


def anonymous_content(number: int, content: bytes) -> bytes:
    """The line of an erased user as it stays: a profile as far as the past needs it, amounts, times, and awards."""
    target, line = split_content(content)
    body = line.body
    if body is not None and line.kind == "user":
        body = reduced_profile(body)
    elif (line.metric or 0) >= 0:
        body = None
    left = msgspec.structs.replace(line, user_id=anonymous_id(number), body=body, idempotency_key=None)
    return target + encode_line(left)


def anonymous_line(line: LogLine) -> LogLine:
    """The same for a line that is kept elsewhere."""
    content = anonymous_content(line.user, line.content)
    return line._replace(idempotency_key=None, body=split_content(content)[1].body, content=content)


def is_anonymous_line(content: bytes) -> bool:
    """Whether what a line said of its user, who was erased, is removed."""
    return is_anonymous(split_content(content)[1].user_id)
