"""A commit as the script takes it, and its answer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from palmares.domain.effect import last_boundary, next_boundary
from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.boards import Boards
from palmares.ledger.valkey.draft import DRAFTED, Change, EventMember, Past, Side, Step
from palmares.ledger.valkey.keys import ShardKeys, erased_prefix, note_field, run_group_field
from palmares.ledger.valkey.leaving import Leaving, encode_leaving
from palmares.ledger.valkey.state import Left, encode_held, encode_left, encode_line, encode_state
from palmares.ledger.valkey.tell import Count, Question, Ranking

Unit = Sequence[Step]
_LENGTH = struct.Struct(">I")
Refusal = Literal["boards", "later", "due", "breaks"]
_VERDICTS: dict[bytes, Refusal] = {
    b"boards": "boards", b"later": "later", b"due": "due", b"breaks": "breaks",
}  # fmt: skip
T = TypeVar("T")


class Answer(NamedTuple):
    """What a shard answered. `taken` has for each unit whether it was stored; of those that were, the steps know their
    numbers. `position` is the last of the shard, or where streaks break first, the instant until which they do."""

    verdict: Literal["done"] | Refusal
    position: int = 0
    taken: Sequence[bool] = ()
    counts: Mapping[Ranking, Count] = {}


@dataclass(slots=True)
class Shard:
    """One shard: its names, and its boards as this worker knows them. `place` counts from 0."""

    place: int
    keys: ShardKeys
    boards: Boards


class Commit:
    """What goes to one shard: units, and the questions that are answered with them."""

    def __init__(
        self,
        shard: Shard,
        shards: int,
        now: int,
        units: Sequence[Unit],
        asked: Mapping[Ranking, Question],
        kept: int,
    ) -> None:
        """`kept` is a boundary up to which all is known to be kept."""
        self._shard = shard
        self._units = units
        self._asked = asked
        self._alone = shards == 1
        self._keys: dict[bytes, bytes] = {}
        names = shard.keys
        notes = names.notes(last_boundary(now))
        for key in (names.head, names.log, names.users, names.names, names.used, notes, names.ignored, names.workers):
            self._key(key)
        self._key(names.revising)
        self._key(names.breaks)
        header = (shard.boards.version, now, last_boundary(now), next_boundary(now), kept, shard.place, shards)
        self._arguments = [*map(_number, header), *_list(units, self._unit), *_list(asked, self._question)]

    @property
    def keys(self) -> list[bytes]:
        """All keys that the commit has to do with."""
        return list(self._keys)

    def arguments(self, worker: str, number: int) -> list[bytes]:
        """The arguments of the script, for the so many-th commit of a worker in this shard."""
        parts = [worker.encode(), _number(number), *self._arguments]
        return [b"".join([piece for part in parts for piece in (_LENGTH.pack(len(part)), part)])]

    def _key(self, key: bytes | None) -> bytes:
        """What a key is named by: its place, from 1; 0 is none."""
        return b"0" if key is None else self._keys.setdefault(key, _number(len(self._keys) + 1))

    def _unit(self, unit: Unit) -> Iterable[bytes]:
        return _list(unit, self._step)

    def _step(self, step: Step) -> Iterable[bytes]:
        writes = step.writes
        number = _number(step.state.user.number)
        yield from (step.name, number, _number(step.version), b"1" if writes else b"0")
        yield encode_state(step.state) if writes else b""
        yield from _list(step.used if writes else (), lambda field: [field])
        yield _number(step.event_line)
        targets = step.targets
        yield from _list(enumerate(step.lines), lambda line: [_position(targets.get(line[0], 0)), encode_line(line[1])])
        yield from _list(step.events, lambda event: self._event(event, step.name))
        yield from _list(step.gone, lambda gone: self._gone(*gone, step.name))
        yield from _list([] if step.erases is None else [step.erases], lambda left: self._erased(left, step))
        user_id = step.state.user.id if step.erases is None else step.erases.user_id
        yield from _list(step.changes, lambda change: self._change(change, user_id))
        yield from _list(step.past, lambda past: self._past(past, step.name))
        yield from _list(step.ignored, lambda field: [field])
        yield from _list(step.revising, lambda field: [field])
        yield from _list(_leavings(step.changes), lambda leaving: leaving)

    def _past(self, past: Past, name: bytes) -> Iterable[bytes]:
        generation, run_start, held = past
        order = self._shard.keys.order(generation, (run_start, held.group))
        return [self._key(self._shard.keys.past(generation, run_start)), name, encode_held(held), self._key(order)]

    def _event(self, event: EventMember, name: bytes) -> list[bytes]:
        key = self._shard.keys.events(event.metric, name)
        return [self._key(key), event.before, _position(event.position), event.behind]

    def _erased(self, left: Left, step: Step) -> list[bytes]:
        """What a user who is erased is called, but for the number, and which keys are called alike."""
        keys, erased = self._shard.keys, erased_prefix(left.scope)
        renamed = [make for metric in step.state.sums for make in _both(keys, metric)]
        return [
            erased, self._key(keys.erasures), encode_left(left),
            *_list(renamed, lambda make: [self._key(make(step.name)), make(erased)]),
        ]  # fmt: skip

    def _gone(self, event: EventMember, void: int, name: bytes) -> list[bytes]:
        keys = self._shard.keys
        moved_to = self._key(keys.void_events(event.metric, name))
        return [*self._event(event, name), moved_to, self._key(keys.voids), _position(void)]

    def _change(self, change: Change, user_id: str) -> Iterable[bytes]:
        left, joined = self._side(change, change.left), self._side(change, change.joined)
        groups = self._key(self._shard.keys.groups(change.making.generation))
        note = note_field(change.making.generation, change.run_start, user_id)
        return [*left[:2], *joined[:2], left[2], joined[2], groups, left[3], joined[3], note]

    def _side(self, change: Change, side: Side | None) -> tuple[bytes, bytes, bytes, bytes]:
        """Order, member, distinct values, and field of the group."""
        if side is None:
            return b"0", b"", b"0", b""
        making, keys, group = change.making, self._shard.keys, (change.run_start, side.group)
        return (
            self._key(keys.order(making.generation, group)),
            side.member,
            self._key(keys.values(making.generation, group) if making.dense else None),
            run_group_field(group),
        )

    def _question(self, ranking: Ranking) -> Iterable[bytes]:
        question = self._asked[ranking]
        order, values = order_keys(self._shard, ranking)
        yield self._key(order)
        yield self._key(values)
        yield from _list(question.bounds, lambda bound: [bound])
        yield from _list(question.value_bounds if self._alone else (), lambda bound: [bound])
        yield b"" if self._alone else max(question.value_bounds, default=b"")
        yield from map(_number, (question.rows if self._alone else None) or (-1, -1))

    def read(self, reply: list[Any]) -> Answer:
        """The answer; tells the steps that were taken what they have become."""
        if reply[0] == b"damaged":
            raise damaged(self._shard, *reply[1:])
        if reply[0] != b"done":
            return Answer(_VERDICTS[reply[0]], *reply[1:])
        _, recorded_at, position, told, answers = reply
        for unit, steps in zip(self._units, told, strict=True):
            for step, (number, last) in zip(unit, steps, strict=bool(steps)):
                step.number, step.position, step.recorded_at = number, last, recorded_at
        counts = {
            ranking: self._count(self._asked[ranking], *answer)
            for ranking, answer in zip(self._asked, answers, strict=True)
        }
        return Answer("done", position, [bool(steps) for steps in told], counts)

    def _count(self, question: Question, size: int, counts: Any, distinct: Any, better: Any, rows: Any) -> Count:
        found = distinct if self._alone else [0] * len(question.value_bounds)
        return Count(
            size,
            dict(zip(question.bounds, counts, strict=True)),
            dict(zip(question.value_bounds, found, strict=True)),
            better,
            rows,
        )


def damaged(shard: Shard, head: int, log: int) -> Unavailable:
    """What is told where a shard takes nothing, because head and log are not of the same time."""
    return Unavailable(
        f"shard {shard.place} has lost a part of its data in Valkey, and nothing was stored there: "
        f"its head is at line {head}, its log at {log}"
    )


def order_keys(shard: Shard, ranking: Ranking) -> tuple[bytes, bytes]:
    """The keys of a ranking's part in a shard: order and distinct values, which are there where ranks are dense.

    Where the shard is not ready yet with a board that another shard tells of, these are keys of nothing.
    """
    ready = [making for making in shard.boards.of(ranking.board) if making.ready]
    generation, group = ready[-1].generation if ready else 0, (ranking.run_start, ranking.group)
    return shard.keys.order(generation, group), shard.keys.values(generation, group)


def _leavings(changes: Iterable[Change]) -> Iterator[tuple[bytes, bytes]]:
    """What is known of when users leave by themselves: what is not so any more, without an instant, and what is now."""
    for making, run_start, left, joined in changes:
        if left is not None and left.leaves_at is not None:
            yield encode_leaving(Leaving(left.leaves_at, making.generation, run_start, left.group, left.member)), b""
        if joined is not None and joined.leaves_at is not None:
            leaving = Leaving(joined.leaves_at, making.generation, run_start, joined.group, joined.member)
            yield encode_leaving(leaving), _number(joined.leaves_at)


def _both(keys: ShardKeys, metric: int) -> list[Callable[[bytes], bytes]]:
    """Where events of a metric are, by user: those that count, and those that are void."""
    return [partial(keys.events, metric), partial(keys.void_events, metric)]


def _position(position: int) -> bytes:
    """A position as the script reads it: of a line that is drafted, the how manieth of its user's in the commit."""
    return b"%d" % position if position < DRAFTED else b"~%d" % (position - DRAFTED + 1)


def _number(number: int) -> bytes:
    return b"%d" % number


def _list(items: Iterable[T], write: Callable[[T], Iterable[bytes]]) -> list[bytes]:
    """A list as the script reads it: its length, then the items."""
    held = list(items)
    return [_number(len(held)), *(part for item in held for part in write(item))]
