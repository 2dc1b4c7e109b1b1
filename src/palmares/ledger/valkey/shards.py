"""All shards of a ledger, and what is read from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.points import Scheme
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MOST
from palmares.ledger.contract import Entry
from palmares.ledger.points import encode_schemes
from palmares.ledger.valkey.boards import Boards, decode_boards, encode_board
from palmares.ledger.valkey.commit import Shard, damaged
from palmares.ledger.valkey.draft import EventsNeeded, PastEvent, Picture
from palmares.ledger.valkey.kept_log import KeptLog
from palmares.ledger.valkey.keys import ShardKeys, used_field, user_name
from palmares.ledger.valkey.leaving import decode_leaving
from palmares.ledger.valkey.lines import let_go_upto, lines_at
from palmares.ledger.valkey.member import event_of
from palmares.ledger.valkey.numbering import Inherited, Numbering
from palmares.ledger.valkey.state import Line, Logged, Stored, Use, decode_line, decode_stored, decode_use, encode_line
from palmares.ledger.valkey.store import Command, Store

P = ParamSpec("P")
T = TypeVar("T")


class BoardsMoved(Exception):
    """The boards of a shard are not those that this worker knew; it knows them now, and has to look again."""


class Begun(NamedTuple):
    """A generation that was begun in a shard, and the position of the last line that does not count on it."""

    generation: int
    position: int


_BREAKS_AT_ONCE = 1_000
# Users, each of whom may have many events.
_READ_AT_ONCE = 100
_HEAD_FIELDS = (b"boards", b"recorded_at", b"position")


@dataclass(slots=True)
class _Seen:
    """What one shard told of some users."""

    users: dict[bytes, Stored] = field(default_factory=dict)
    used: dict[bytes, Use] = field(default_factory=dict)
    voids: set[tuple[int, int]] = field(default_factory=set)


class Shards:
    """The shards, in their order. `now` is the latest time that any of them recorded something at, as far as seen.
    Everything that ended until `kept` is kept; that may be known late."""

    def __init__(
        self,
        store: Store,
        ledger: str,
        count: int,
        kept_log: KeptLog | None = None,
        inherited: Inherited | None = None,
    ) -> None:
        self.numbering = Numbering(count, inherited or Inherited())
        self.store = store
        self.kept_log = kept_log
        self.all = [Shard(place, ShardKeys(ledger, place), Boards()) for place in range(count)]
        self.now = 0
        # The last line of each, as far as seen.
        self._ends = [0] * count
        self.kept = MOST
        # Lets everybody leave a shard's orders whose streak breaks until an instant.
        self.break_streaks: Callable[[Shard, int], Awaitable[None]] = _nothing_breaks

    def __len__(self) -> int:
        return len(self.all)

    def of(self, name: bytes) -> Shard:
        """The shard of a user."""
        return self.all[self.numbering.shard_of(name)]

    def by_shard(self, names: Iterable[bytes]) -> dict[int, list[bytes]]:
        """Users by the place of their shard, each once."""
        found: dict[int, list[bytes]] = {}
        for name in dict.fromkeys(names):
            found.setdefault(self.of(name).place, []).append(name)
        return found

    def whole_position(self, shard: Shard, position: int) -> int:
        """The place in the log of the whole ledger of a line of a shard."""
        return self.numbering.whole_position(shard.place, position)

    @property
    def position(self) -> int:
        """The last positions of all shards together, as far as seen: it grows with every line, in whichever shard."""
        return sum(self._ends)

    def places_upto(self, position: int) -> dict[int, int]:
        """The last line of each shard that is not behind a place in the log of the whole ledger."""
        return {place: self.numbering.place_upto(place, position) for place in range(len(self.all))}

    async def picture(self, entries: Sequence[Entry], now: int, place: int | None = None) -> Picture:
        """All that is needed to draft some entries, not before an instant; with a `place`, all of them are of users of
        that shard. One round trip, two after a change of boards, and one more where events are to be void."""
        voids = [entry.voids for entry in entries if entry.voids is not None]
        lines = await self.lines_at([where for void in voids for where in self.numbering.split_position(void)])
        own = [user_name(entry.scope, entry.user_id) for entry in entries if entry.voids is None]
        names = self.by_shard(own) if place is None else {place: list(dict.fromkeys(own))}
        for (where, _), told in lines.items():
            # Who is erased is where the line is.
            name = user_name(told.line.scope, told.line.user_id)
            if name not in names.setdefault(where, []):
                names[where].append(name)
        fields = self._used_fields(entries)
        seen = await asyncio.gather(
            *(
                self._look(
                    self.all[place], some, fields.get(place, []), [number for own, number in lines if own == place]
                )
                for place, some in names.items()
            )
        )
        self.now = max(now, self.now)
        return Picture(
            self.now,
            [shard.boards for shard in self.all],
            {name: stored for one in seen for name, stored in one.users.items()},
            {used: use for one in seen for used, use in one.used.items()},
            {name: place for place, some in names.items() for name in some},
            self.numbering,
            lines=lines,
            voids={where for one in seen for where in one.voids},
        )

    async def lines_at(self, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], Logged]:
        """The lines at some positions of shards, those that there are."""
        real = [(place, position) for place, position in wanted if position > 0]
        keys = {shard.place: shard.keys for shard in self.all}
        found = await lines_at(self.store, keys, real) if real else {}
        missing = [where for where in real if where not in found]
        kept = await asyncio.gather(*(self._kept_line(*where) for where in missing))
        return {**found, **{where: line for where, line in zip(missing, kept, strict=True) if line is not None}}

    async def _kept_line(self, place: int, position: int) -> Logged | None:
        """A line that a shard has let go of."""
        if self.kept_log is None:
            return None
        [oldest] = await self.store.read([[b"XRANGE", self.all[place].keys.log, b"-", b"+", b"COUNT", b"1"]])
        if position > let_go_upto(oldest):
            return None
        for line in await self.kept_log.lines(place, position - 1, 1):
            if line.position == position:
                content, target = decode_line(line.content)
                return Logged(line.position, line.recorded_at, line.user, content, target)
        return None

    def ask(self, place: int, commands: Sequence[Command]) -> Awaitable[list[Any]]:
        """Read from one shard at one moment; `BoardsMoved` when its boards are others than at the time of the call.

        Whoever asks has worked out keys from the boards; somebody else may find out meanwhile that there are others.
        """
        return self._ask(self.all[place], self.all[place].boards.version, commands)

    def asking(self) -> Callable[[int, Sequence[Command]], Awaitable[list[Any]]]:
        """`ask` for several round trips by the same boards, those of now."""
        known = [shard.boards.version for shard in self.all]
        return lambda place, commands: self._ask(self.all[place], known[place], commands)

    async def _ask(self, shard: Shard, known: int, commands: Sequence[Command]) -> list[Any]:
        head, *answers = await self.store.read([[b"HMGET", shard.keys.head, *_HEAD_FIELDS], *commands])
        self._note_head(shard, head)
        if int(head[0] or 0) != known:
            await self.reload(shard)
            raise BoardsMoved
        return answers

    async def add_events(self, picture: Picture, needed: EventsNeeded) -> None:
        """Read what a draft turned out to need, of all shards at once. Raises `Unavailable` where lines are missing."""
        by_shard: dict[int, list[tuple[bytes, int]]] = {}
        for name, metric in sorted(needed.events):
            by_shard.setdefault(picture.shard_of[name], []).append((name, metric))
        found = await asyncio.gather(*(self._all_events(self.all[place], some) for place, some in by_shard.items()))
        picture.events = {**picture.events, **{pair: events for some in found for pair, events in some.items()}}
        if needed.lines:
            picture.lines = {**picture.lines, **await self.lines_at(needed.lines)}
            for place, position in needed.lines - picture.lines.keys():
                raise Unavailable(f"line {position} of the log of shard {place} is neither in Valkey nor kept")

    async def _all_events(
        self, shard: Shard, pairs: Sequence[tuple[bytes, int]]
    ) -> dict[tuple[bytes, int], list[PastEvent]]:
        """By user and metric. In pieces, of which no moment is asked: who changes meanwhile has another version."""
        events: dict[tuple[bytes, int], list[PastEvent]] = {}
        for start in range(0, len(pairs), _READ_AT_ONCE):
            some = pairs[start : start + _READ_AT_ONCE]
            commands = [[b"ZRANGE", shard.keys.events(metric, name), b"0", b"-1"] for name, metric in some]
            for pair, members in zip(some, await self.store.read(commands), strict=True):
                events[pair] = [PastEvent(*event_of(member)) for member in members]
        return events

    def _used_fields(self, entries: Sequence[Entry]) -> dict[int, list[bytes]]:
        found: dict[int, dict[bytes, None]] = {}
        for entry in entries:
            if entry.metric is not None and entry.idempotency_key is not None:
                name = user_name(entry.scope, entry.user_id)
                used = used_field(name, entry.metric.number, entry.idempotency_key)
                found.setdefault(self.of(name).place, {})[used] = None
        return {place: list(fields) for place, fields in found.items()}

    async def _look(
        self, shard: Shard, names: Sequence[bytes], fields: Sequence[bytes], positions: Sequence[int] = ()
    ) -> _Seen:
        keys = shard.keys
        commands: list[Command] = [[b"HMGET", keys.head, *_HEAD_FIELDS], [b"HMGET", keys.users, *names]]
        if fields:
            commands.append([b"HMGET", keys.used, *fields])
        if positions:
            commands.append([b"HMGET", keys.voids, *(b"%d" % position for position in positions)])
        head, users, *more = await self.store.read(commands)
        used = more[0] if fields else ()
        voids = more[-1] if positions else ()
        self._note_head(shard, head)
        if int(head[0] or 0) != shard.boards.version:
            await self.reload(shard)
        return _Seen(
            {name: decode_stored(raw) for name, raw in zip(names, users, strict=True) if raw is not None},
            {name: decode_use(raw) for name, raw in zip(fields, used, strict=True) if raw},
            {(shard.place, position) for position, raw in zip(positions, voids, strict=True) if raw},
        )

    def _note_head(self, shard: Shard, head: Sequence[bytes | None]) -> None:
        self.note(shard, int(head[2] or 0), int(head[1] or 0))

    def note(self, shard: Shard, position: int, recorded_at: int) -> None:
        """A shard has come so far."""
        self.now = max(self.now, recorded_at)
        self._ends[shard.place] = max(self._ends[shard.place], position)

    async def refresh(self) -> None:
        """Look how far all shards have come, and at their boards where these have changed."""
        await asyncio.gather(*(self._look(shard, [b""], []) for shard in self.all))

    async def reload(self, shard: Shard) -> None:
        """Read the boards of a shard anew."""
        keys = shard.keys
        version, stored, schemes = await self.store.read(
            [[b"HGET", keys.head, b"boards"], [b"HGETALL", keys.boards], [b"HGETALL", keys.points]]
        )
        shard.boards = decode_boards(int(version or 0), stored, schemes)

    async def set_points(
        self, shard: Shard, scope: int, schemes: Sequence[Scheme], now: int, position: int | None = None
    ) -> None:
        """Let a shard pay by these schemes from now on, unless it does so already; with a `position`, the line that
        says so is there. May be asked again."""
        body, keys = encode_schemes(schemes), shard.keys
        line = encode_line(Line(scope, "", body, kind="points"))
        while shard.boards.points.schemes(scope) != tuple(schemes):
            arguments = [b"%d" % shard.boards.version, b"%d" % now, b"%d" % scope, body.encode(), line]
            if position is not None:
                arguments.append(b"%d" % position)
            answer = await self.store.script("points", [keys.head, keys.log, keys.points], arguments)
            if answer[0] == b"damaged":
                raise damaged(shard, *answer[1:])
            if answer[0] == b"done":
                self.note(shard, *answer[1:])
            await self.reload(shard)

    async def let_pass(self, shard: Shard, boundary: int) -> None:
        """Let a boundary pass in a shard, if it has not: nothing is recorded before it any more, and whoever broke a
        streak before it has left."""
        while not await self.passes(shard, boundary):
            await self.break_streaks(shard, boundary - 1)
        self.now = max(self.now, boundary)

    async def passes(self, shard: Shard, boundary: int) -> bool:
        """Let a boundary pass in a shard unless streaks break before it; whether it has."""
        keys = shard.keys
        arguments = [b"%d" % boundary, b"%d" % min(boundary, self.kept)]
        return bool(await self.store.script("pass", [keys.head, keys.passes, keys.breaks], arguments))

    async def let_pass_everywhere(self, boundary: int) -> None:
        """Let a boundary pass in all shards."""
        await asyncio.gather(*(self.let_pass(shard, boundary) for shard in self.all))

    async def begin(
        self, shard: Shard, board: Board, streaks: StreakSettings | None, worker: str, attempt: int
    ) -> Begun:
        """Begin a generation of a board; everything recorded from now on counts on it. May be asked again while the
        worker makes no other attempt."""
        keys = shard.keys
        definition = encode_board(board, False, board.finished_position, streaks)
        arguments = [definition, follower(worker), b"%d" % attempt]
        generation, position = await self.store.script("follow", [keys.head, keys.boards, keys.workers], arguments)
        await self.reload(shard)
        return Begun(int(generation), int(position))

    async def change_boards(
        self, shard: Shard, given: Mapping[int, tuple[Board, bool, int | None]], gone: Iterable[int] = ()
    ) -> int:
        """Replace definitions of generations that are known, and let others go with their orders; the last line of the
        shard by the former ones. By which settings streaks count stays as it is."""
        gone = list(gone)
        known = {number: shard.boards.get(number) for number in given}
        streaks = {number: None if making is None else making.streaks for number, making in known.items()}
        encoded = {number: encode_board(*entry, streaks[number]) for number, entry in given.items()}
        pairs = [part for number, entry in encoded.items() for part in (b"%d" % number, entry)]
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
        await self.stay(shard, generation)

    async def stay(self, shard: Shard, generation: int) -> None:
        """Let nobody leave the orders of a generation any more: nobody counts on it. Reads all breaks of the shard."""
        breaks, read = shard.keys.breaks, 0
        while True:
            bounds = [b"%d" % read, b"%d" % (read + _BREAKS_AT_ONCE - 1)]
            [found] = await self.store.read([[b"ZRANGE", breaks, *bounds]])
            gone = [raw for raw in found if decode_leaving(raw).generation == generation]
            if gone:
                await self.store.read([[b"ZREM", breaks, *gone]])
            if len(found) < _BREAKS_AT_ONCE:
                return
            read += len(found) - len(gone)


async def _nothing_breaks(shard: Shard, until: int) -> None:
    raise AssertionError(f"streaks break in shard {shard.place} until {until}, and nobody is there for that")


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
