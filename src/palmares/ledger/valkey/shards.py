"""All shards of a ledger, and what is read from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from palmares.domain.board import Board
from palmares.domain.value import MOST
from palmares.ledger.contract import Entry
from palmares.ledger.valkey.boards import Boards, decode_boards, encode_board
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.draft import EventsNeeded, Picture
from palmares.ledger.valkey.keys import ShardKeys, shard_of, used_field, user_name
from palmares.ledger.valkey.state import Stored, Use, decode_stored, decode_use
from palmares.ledger.valkey.store import Command, Store

P = ParamSpec("P")
T = TypeVar("T")


class BoardsMoved(Exception):
    """The boards of a shard are not those that this worker knew; it knows them now, and has to look again."""


class Begun(NamedTuple):
    """A generation that was begun in a shard, and the position of the last line that does not count on it."""

    generation: int
    position: int


_HEAD_FIELDS = (b"boards", b"recorded_at", b"position")


@dataclass(slots=True)
class _Seen:
    """What one shard told of some users."""

    users: dict[bytes, Stored] = field(default_factory=dict)
    used: dict[bytes, Use] = field(default_factory=dict)


class Shards:
    """The shards, in their order. `now` is the latest time that any of them recorded something at, as far as seen, and
    `position` the last line of all, likewise. Everything that ended until `kept` is kept; that may be known late."""

    def __init__(self, store: Store, ledger: str, count: int) -> None:
        self.store = store
        self.all = [Shard(place, ShardKeys(ledger, place), Boards()) for place in range(count)]
        self.now = 0
        self.position = 0
        self.kept = MOST

    def __len__(self) -> int:
        return len(self.all)

    def of(self, name: bytes) -> Shard:
        """The shard of a user."""
        return self.all[shard_of(name, len(self.all))]

    def of_number(self, number: int) -> Shard:
        """The shard that gave a number to a user."""
        return self.all[(number - 1) % len(self.all)]

    def by_shard(self, names: Iterable[bytes]) -> dict[int, list[bytes]]:
        """Users by the place of their shard, each once."""
        found: dict[int, list[bytes]] = {}
        for name in dict.fromkeys(names):
            found.setdefault(self.of(name).place, []).append(name)
        return found

    def whole_position(self, shard: Shard, position: int) -> int:
        """The place in the log of the whole ledger of a line of a shard: no two lines have the same."""
        return (position - 1) * len(self.all) + shard.place + 1 if position else 0

    def places_upto(self, position: int) -> dict[int, int]:
        """The last line of each shard that is not behind a place in the log of the whole ledger."""
        count = len(self.all)
        return {place: max(0, (position - 1 - place) // count + 1) for place in range(count)}

    async def picture(self, entries: Sequence[Entry], now: int) -> Picture:
        """All that is needed to draft some entries, not before an instant. One round trip, two after a change of
        boards."""
        names = self.by_shard(user_name(entry.scope, entry.user_id) for entry in entries)
        fields = self._used_fields(entries)
        seen = await asyncio.gather(
            *(self._look(self.all[place], some, fields.get(place, [])) for place, some in names.items())
        )
        self.now = max(now, self.now)
        return Picture(
            self.now,
            [shard.boards for shard in self.all],
            {name: stored for one in seen for name, stored in one.users.items()},
            {used: use for one in seen for used, use in one.used.items()},
            {name: place for place, some in names.items() for name in some},
        )

    async def ask(self, place: int, commands: Sequence[Command]) -> list[Any]:
        """Read from one shard at one moment; `BoardsMoved` when its boards are others than before."""
        shard = self.all[place]
        head, *answers = await self.store.read([[b"HMGET", shard.keys.head, *_HEAD_FIELDS], *commands])
        self._note_head(shard, head)
        if int(head[0] or 0) != shard.boards.version:
            await self.reload(shard)
            raise BoardsMoved
        return answers

    async def add_events(self, picture: Picture, needed: EventsNeeded) -> None:
        """Read the events that a draft turned out to need."""
        pairs = sorted(needed.missing)
        found = await asyncio.gather(
            *(self._read_all(self.of(name).keys.events(metric, name)) for name, metric in pairs)
        )
        picture.events = {**picture.events, **dict(zip(pairs, found, strict=True))}

    async def _read_all(self, key: bytes) -> list[bytes]:
        [members] = await self.store.read([[b"ZRANGE", key, b"0", b"-1"]])
        return list(members)

    def _used_fields(self, entries: Sequence[Entry]) -> dict[int, list[bytes]]:
        found: dict[int, dict[bytes, None]] = {}
        for entry in entries:
            if entry.metric is not None and entry.idempotency_key is not None:
                name = user_name(entry.scope, entry.user_id)
                used = used_field(name, entry.metric.number, entry.idempotency_key)
                found.setdefault(self.of(name).place, {})[used] = None
        return {place: list(fields) for place, fields in found.items()}

    async def _look(self, shard: Shard, names: Sequence[bytes], fields: Sequence[bytes]) -> _Seen:
        keys = shard.keys
        commands: list[Command] = [[b"HMGET", keys.head, *_HEAD_FIELDS], [b"HMGET", keys.users, *names]]
        if fields:
            commands.append([b"HMGET", keys.used, *fields])
        head, users, *used = await self.store.read(commands)
        self._note_head(shard, head)
        if int(head[0] or 0) != shard.boards.version:
            await self.reload(shard)
        return _Seen(
            {name: decode_stored(raw) for name, raw in zip(names, users, strict=True) if raw is not None},
            {name: decode_use(raw) for name, raw in zip(fields, used[0] if used else (), strict=True) if raw},
        )

    def _note_head(self, shard: Shard, head: Sequence[bytes | None]) -> None:
        self.note(shard, int(head[2] or 0), int(head[1] or 0))

    def note(self, shard: Shard, position: int, recorded_at: int) -> None:
        """A shard has come so far."""
        self.now = max(self.now, recorded_at)
        self.position = max(self.position, self.whole_position(shard, position))

    async def refresh(self) -> None:
        """Look how far all shards have come, and at their boards where these have changed."""
        await asyncio.gather(*(self._look(shard, [b""], []) for shard in self.all))

    async def reload(self, shard: Shard) -> None:
        """Read the boards of a shard anew."""
        version, stored = await self.store.read(
            [[b"HGET", shard.keys.head, b"boards"], [b"HGETALL", shard.keys.boards]]
        )
        shard.boards = decode_boards(int(version or 0), stored)

    async def let_pass(self, shard: Shard, boundary: int) -> None:
        """Let a boundary pass in a shard, if it has not: nothing is recorded before it any more."""
        keys = shard.keys
        arguments = [b"%d" % boundary, b"%d" % min(boundary, self.kept)]
        await self.store.script("pass", [keys.head, keys.passes], arguments)
        self.now = max(self.now, boundary)

    async def let_pass_everywhere(self, boundary: int) -> None:
        """Let a boundary pass in all shards."""
        await asyncio.gather(*(self.let_pass(shard, boundary) for shard in self.all))

    async def begin(self, shard: Shard, board: Board, worker: str, attempt: int) -> Begun:
        """Begin a generation of a board; everything recorded from now on counts on it. May be asked again while the
        worker makes no other attempt."""
        keys = shard.keys
        arguments = [encode_board(board, False, board.finished_position), follower(worker), b"%d" % attempt]
        generation, position = await self.store.script("follow", [keys.head, keys.boards, keys.workers], arguments)
        await self.reload(shard)
        return Begun(int(generation), int(position))

    async def change_boards(
        self, shard: Shard, given: Mapping[int, tuple[Board, bool, int | None]], gone: Iterable[int] = ()
    ) -> int:
        """Replace definitions of generations, and let others go with their orders; the last line of the shard by the
        former ones."""
        gone = list(gone)
        pairs = [part for number, entry in given.items() for part in (b"%d" % number, encode_board(*entry))]
        arguments = [b"%d" % len(given), *pairs, *(b"%d" % number for number in gone)]
        position = await self.store.script("boards", [shard.keys.head, shard.keys.boards], arguments)
        await self.reload(shard)
        for generation in gone:
            await self._clear(shard, generation)
        return int(position)

    async def _clear(self, shard: Shard, generation: int) -> None:
        """Delete the orders of a generation. Nobody counts on it any more, so nothing new comes into it."""
        groups = shard.keys.groups(generation)
        [fields] = await self.store.read([[b"HKEYS", groups]])
        keys = [key for one in fields for key in shard.keys.of_group_field(generation, one)]
        await self.store.read([[b"UNLINK", key] for key in [*keys, groups]])


def follower(worker: str) -> bytes:
    """Under which a shard remembers the last board that a worker began to follow."""
    return worker.encode() + b"/follow"


async def with_events(shards: Shards, picture: Picture, make: Callable[[], T]) -> T:
    """What `make` returns, once the picture has all the events that it turns out to need."""
    while True:
        try:
            return make()
        except EventsNeeded as needed:
            await shards.add_events(picture, needed)


def by_present_boards(read: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Look again when boards turn out to be others than this worker knew."""

    @wraps(read)
    async def looked(*arguments: P.args, **named: P.kwargs) -> T:
        while True:
            try:
                return await read(*arguments, **named)
            except BoardsMoved:
                continue

    return looked
