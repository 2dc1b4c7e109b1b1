"""A commit as the script takes it, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from msgspec import Raw

from palmares.domain.effect import last_boundary, next_boundary
from palmares.domain.errors import Unavailable
from palmares.ledger.valkey import message
from palmares.ledger.valkey.boards import Boards
from palmares.ledger.valkey.draft import DRAFTED, Change, EventMember, Past, Step
from palmares.ledger.valkey.keys import RunGroup, ShardKeys, erased_prefix, note_field, run_group_field
from palmares.ledger.valkey.leaving import Leaving, encode_leaving
from palmares.ledger.valkey.message import string
from palmares.ledger.valkey.numbering import Numbering
from palmares.ledger.valkey.state import Left, encode_held, encode_left, encode_line, encode_state
from palmares.ledger.valkey.tell import Count, Question, Ranking

Unit = Sequence[Step]
Refusal = Literal["boards", "later", "due", "breaks"]
_VERDICTS: dict[bytes, Refusal] = {
    b"boards": "boards", b"later": "later", b"due": "due", b"breaks": "breaks",
}  # fmt: skip


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
        numbering: Numbering,
        now: int,
        units: Sequence[Unit],
        asked: Mapping[Ranking, Question],
        kept: int,
    ) -> None:
        """`kept` is a boundary up to which all is known to be kept."""
        self._shard = shard
        self._boards = shard.boards.version
        self._numbering = numbering
        self._now = now
        self._kept = kept
        self._units = units
        self._asked = asked
        self._alone = numbering.shards == 1
        names, before = shard.keys, last_boundary(now)
        self._keys: dict[bytes, int] = {}
        for key in (names.head, names.log, names.users, names.names, names.used, names.notes(before), names.ignored):
            self._key(key)
        self._key(names.workers)
        self._key(names.revising)
        self._key(names.breaks)
        self._orders: list[message.Order] = []
        self._places: dict[tuple[int, RunGroup], int] = {}
        self._packed_units = [[self._step(step) for step in unit] for unit in units]
        self._questions = [self._question(ranking, question) for ranking, question in asked.items()]

    @property
    def place(self) -> int:
        """The place of the shard."""
        return self._shard.place

    @property
    def keys(self) -> list[bytes]:
        """All keys that the commit has to do with."""
        return list(self._keys)

    def arguments(self, worker: str, number: int) -> list[bytes]:
        """The arguments of the script, for the so many-th commit of a worker in this shard."""
        whole = message.Message(
            string(worker.encode()), number, self._boards, self._now, last_boundary(self._now),
            next_boundary(self._now), self._kept, self._shard.place, self._numbering.shards,
            self._numbering.inherited.users, self._orders, self._packed_units, self._questions,
        )  # fmt: skip
        return [message.encode_message(whole)]

    def _key(self, key: bytes) -> int:
        """What a key is named by."""
        return self._keys.setdefault(key, len(self._keys) + 1)

    def _order(self, generation: int, run_group: RunGroup, dense: bool) -> int:
        """What an order is named by."""
        place = self._places.get((generation, run_group))
        if place is None:
            keys = self._shard.keys
            values = self._key(keys.values(generation, run_group)) if dense else 0
            self._orders.append(
                message.Order(
                    self._key(keys.order(generation, run_group)), self._key(keys.groups(generation)),
                    string(run_group_field(run_group)), string(note_field(generation, run_group[0], "")), values,
                )
            )  # fmt: skip
            place = self._places[generation, run_group] = len(self._orders)
        return place

    def _step(self, step: Step) -> message.Step:
        number = step.state.user.number
        if not step.writes:
            return message.Step(string(step.name), number, step.version)
        name, targets = step.name, step.targets
        packed = message.Step(
            string(name), number, step.version, string(encode_state(step.state)), _strings(step.used), step.event_line,
            lines=[
                message.Line(string(encode_line(line)), _position(targets.get(place, 0)))
                for place, line in enumerate(step.lines)
            ],
            events=[self._event(event, name) for event in step.events],
            gone=[self._gone(event, void, name) for event, void in step.gone],
            erasure=None if step.erases is None else self._erasure(step.erases, step),
            moves=[self._move(change) for change in step.changes],
            past=[self._past(past) for past in step.past],
            ignored=_strings(step.ignored),
            revising=_strings(step.revising),
            leavings=list(_leavings(step.changes)),
        )  # fmt: skip
        if step.given is not None:
            packed.given = step.given.number
            for line, position in zip(packed.lines, step.given.positions, strict=True):
                line.at = position
        return packed

    def _past(self, past: Past) -> message.Past:
        generation, run_start, held = past
        making = self._shard.boards.get(generation)
        order = self._order(generation, (run_start, held.group), making is not None and making.dense)
        return message.Past(self._key(self._shard.keys.past(generation, run_start)), string(encode_held(held)), order)

    def _event(self, event: EventMember, name: bytes) -> message.Event:
        key = self._key(self._shard.keys.events(event.metric, name))
        return message.Event(key, string(event.before), _position(event.position), string(event.behind))

    def _gone(self, event: EventMember, void: int, name: bytes) -> message.Event:
        keys, gone = self._shard.keys, self._event(event, name)
        gone.void, gone.moved_to = _position(void), self._key(keys.void_events(event.metric, name))
        gone.voids = self._key(keys.voids)
        return gone

    def _erasure(self, left: Left, step: Step) -> message.Erasure:
        keys, erased = self._shard.keys, erased_prefix(left.scope)
        renamed = [make for metric in step.state.sums for make in _both(keys, metric)]
        return message.Erasure(
            string(erased), self._key(keys.erasures), string(encode_left(left)),
            [message.Renamed(self._key(make(step.name)), string(make(erased))) for make in renamed],
        )  # fmt: skip

    def _move(self, change: Change) -> message.Move:
        making, run_start, left, joined = change
        move = message.Move()
        if left is not None:
            move.left = self._order(making.generation, (run_start, left.group), making.dense)
            move.member_left = string(left.member)
        if joined is not None:
            move.joined = self._order(making.generation, (run_start, joined.group), making.dense)
            move.member_joined = string(joined.member)
        return move

    def _question(self, ranking: Ranking, question: Question) -> message.Question:
        generation, run_group = readable_generation(self._shard, ranking), (ranking.run_start, ranking.group)
        order = self._order(generation, run_group, question.board.numbering == "dense")
        bounds, value_bounds = _strings(question.bounds), question.value_bounds
        if not self._alone:
            better = string(max(value_bounds)) if value_bounds else None
            return message.Question(order, bounds, better=better)
        first, last = question.rows or (None, None)
        return message.Question(order, bounds, _strings(value_bounds), first=first, last=last)

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


def readable_generation(shard: Shard, ranking: Ranking) -> int:
    """The generation of a ranking's board that is read in a shard; 0, of which there is nothing, where the shard is not
    ready yet with a board that another shard tells of."""
    making = shard.boards.readable(ranking.board)
    return 0 if making is None else making.generation


def order_keys(shard: Shard, ranking: Ranking) -> tuple[bytes, bytes]:
    """The keys of a ranking's part in a shard: order and distinct values, which are there where ranks are dense."""
    generation, run_group = readable_generation(shard, ranking), (ranking.run_start, ranking.group)
    return shard.keys.order(generation, run_group), shard.keys.values(generation, run_group)


def _leavings(changes: Iterable[Change]) -> Iterator[message.Leaving]:
    """What is known of when users leave by themselves: what is not so any more, without an instant, and what is now."""
    for making, run_start, left, joined in changes:
        if left is not None and left.leaves_at is not None:
            former = Leaving(left.leaves_at, making.generation, run_start, left.group, left.member)
            yield message.Leaving(string(encode_leaving(former)))
        if joined is not None and joined.leaves_at is not None:
            leaving = Leaving(joined.leaves_at, making.generation, run_start, joined.group, joined.member)
            yield message.Leaving(string(encode_leaving(leaving)), joined.leaves_at)


def _both(keys: ShardKeys, metric: int) -> list[Callable[[bytes], bytes]]:
    """Where events of a metric are, by user: those that count, and those that are void."""
    return [partial(keys.events, metric), partial(keys.void_events, metric)]


def _strings(contents: Iterable[bytes]) -> list[Raw]:
    return [string(content) for content in contents]


def _position(position: int) -> int:
    """A position as the script reads it."""
    return position if position < DRAFTED else DRAFTED - position - 1
