"""What goes to `commit.lua`: one MessagePack map, whose fields the script reads by their names here.

A key is told by its place in KEYS, an order by its place among the orders of the message, both from 1. What is empty,
none or 0 where that is the default, is left out. Where a line may be one that this commit adds, its position is
negative: -3 is the third line that it adds of the user.

The script's decoder knows no bytes, only strings, and does not care whether those are UTF-8; the encoder here does.
"""

from __future__ import annotations

import struct

import msgspec

_LONG_HEAD = struct.Struct(">BI")
_SHORT = 256
_SHORT_HEADS = [bytes([0xA0 | length] if length < 32 else [0xD9, length]) for length in range(_SHORT)]


def string(content: bytes) -> msgspec.Raw:
    """Bytes as a string."""
    length = len(content)
    head = _SHORT_HEADS[length] if length < _SHORT else _LONG_HEAD.pack(0xDB, length)
    return msgspec.Raw(head + content)


class Order(msgspec.Struct, omit_defaults=True, gc=False):
    """An order that users leave or join, or that is asked about: the key, that of its groups and the field there, that
    of its distinct values, where there are any, and what comes before the user in a note."""

    key: int
    groups: int
    field: msgspec.Raw
    note: msgspec.Raw
    values: int = 0


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A line for the stream, the position of the one that it is about, and its own where that is known beforehand."""

    content: msgspec.Raw
    target: int = 0
    at: int = 0


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """An event as it is kept for its user: the position, what comes before it, and behind it.

    Of one that becomes void, `void` is the position of what says so, `moved_to` the key of the void ones.
    """

    key: int
    before: msgspec.Raw
    position: int
    behind: msgspec.Raw
    void: int = 0
    moved_to: int = 0
    voids: int = 0


class Renamed(msgspec.Struct, gc=False):
    """A key of a user who is erased, and what it is called then, without the number."""

    key: int
    to: msgspec.Raw


class Erasure(msgspec.Struct, gc=False):
    """Who is erased: the name without the number, what is left, and the keys that are called otherwise."""

    name: msgspec.Raw
    erasures: int
    left: msgspec.Raw
    renamed: list[Renamed]


class Move(msgspec.Struct, omit_defaults=True, gc=False):
    """A user leaves an order, or joins one, or both."""

    left: int = 0
    member_left: msgspec.Raw | None = None
    joined: int = 0
    member_joined: msgspec.Raw | None = None


class Past(msgspec.Struct, gc=False):
    """What a user had in a run that is final, in one of its orders."""

    key: int
    held: msgspec.Raw
    order: int


class Leaving(msgspec.Struct, omit_defaults=True, gc=False):
    """An entry of the breaks, and its instant; without one, the entry is to go."""

    entry: msgspec.Raw
    at: int | None = None


class Step(msgspec.Struct, omit_defaults=True, gc=False):
    """The consequences of one entry for a user, whose number and version have to be these. Without a state, nothing is
    stored. A number may be `given` to who is new."""

    user: msgspec.Raw
    number: int
    version: int
    state: msgspec.Raw | None = None
    used: list[msgspec.Raw] = []
    event_line: int = 0
    lines: list[Line] = []
    events: list[Event] = []
    gone: list[Event] = []
    erasure: Erasure | None = None
    moves: list[Move] = []
    past: list[Past] = []
    ignored: list[msgspec.Raw] = []
    revising: list[msgspec.Raw] = []
    leavings: list[Leaving] = []
    given: int = 0


class Question(msgspec.Struct, omit_defaults=True, gc=False):
    """What is to be counted in an order: the members before each bound, the distinct values before each of others. With
    `better`, the distinct values before that are listed, with `first` and `last`, the members of these rows."""

    order: int
    bounds: list[msgspec.Raw] = []
    value_bounds: list[msgspec.Raw] = []
    better: msgspec.Raw | None = None
    first: int | None = None
    last: int | None = None


class Message(msgspec.Struct, gc=False):
    """A commit: of which worker, the how manieth, by which boards and at what time, and what is in it. Users up to the
    number `inherited` were taken over; the shards give those behind it."""

    worker: msgspec.Raw
    number: int
    boards: int
    now: int
    boundary_before: int
    boundary: int
    kept: int
    shard: int
    shards: int
    inherited: int
    orders: list[Order]
    units: list[list[Step]]
    questions: list[Question]


encode_message = msgspec.msgpack.Encoder().encode
