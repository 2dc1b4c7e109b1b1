"""What a shard keeps of one user: the user, sums, streak, and what the user has in each live run.

It is one thing with one version, written as a whole. Its bytes are MessagePack of `UserState`, behind the version and
the number, which are the script's (16 bytes): it gives the number, and it has to compare versions.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import NamedTuple

import msgspec

from palmares.domain.erased import anonymous_id
from palmares.domain.group import Group
from palmares.domain.preferences import DEFAULTS
from palmares.domain.streak import Streak
from palmares.domain.user import User

_HEAD = struct.Struct(">QQ")
_USE = struct.Struct(">QQQ")
_TARGET = struct.Struct(">Q")


class Sum(NamedTuple):
    """A user's lifetime total of a metric, and when the newest of its events happened."""

    total: int
    latest: int


class Held(NamedTuple):
    """What a user has in a run, and in which group it stands; None is the hidden one.

    On a board that ranks by streak, `leaves_at` is the instant at which the streak breaks there: from then on, the user
    has nothing, though nothing was stored.
    """

    value: int
    reached_at: int
    group: Group | None
    leaves_at: int | None = None


class UserState(msgspec.Struct, array_like=True, frozen=True):
    """A user as of one version.

    `held` is by generation and first day of the run. `generation` is the newest one that has all of the user's events:
    a younger board has still to be made of them. `erased_at` is when the user was erased; who is not has 0.
    """

    user: User
    sums: dict[int, Sum]
    streak: Streak
    held: dict[int, dict[int, Held]]
    generation: int = 0
    erased_at: int = 0


class Stored(NamedTuple):
    """A user as a shard has it; a version counts from 1."""

    version: int
    state: UserState


class Use(NamedTuple):
    """Where and when an idempotency key was used, and by which user: another one may have had the id before."""

    position: int
    recorded_at: int
    user: int


class Left(msgspec.Struct, array_like=True, frozen=True):
    """Of an erased user something is still left: whose it was, and since when nobody has it."""

    scope: int
    user_id: str
    erased_at: int


class _Name(msgspec.Struct):
    name: str | None


class _Named(msgspec.Struct, array_like=True):
    user: _Name


_encoder = msgspec.msgpack.Encoder()
_named_decoder = msgspec.msgpack.Decoder(_Named)
_state_decoder = msgspec.msgpack.Decoder(UserState)
_left_decoder = msgspec.msgpack.Decoder(Left)
_held_decoder = msgspec.msgpack.Decoder(Held)


def encode_state(state: UserState) -> bytes:
    """The state without version and number."""
    return _encoder.encode(state)


def decode_stored(raw: bytes) -> Stored:
    """What a shard has of a user."""
    version, number = _HEAD.unpack_from(raw)
    state = _state_decoder.decode(raw[_HEAD.size :])
    # Nobody has seen this user yet, so it may still become what it is; a copy of so many fields takes far longer.
    object.__setattr__(state.user, "number", number)
    if state.erased_at:
        object.__setattr__(state.user, "id", anonymous_id(number))
    return Stored(version, state)


def decode_name(raw: bytes) -> str | None:
    """Only the name of the user: pages ask for hundreds."""
    return _named_decoder.decode(raw[_HEAD.size :]).user.name


def encode_held(held: Held) -> bytes:
    return _encoder.encode(held)


def decode_held(raw: bytes) -> Held:
    return _held_decoder.decode(raw)


def encode_left(left: Left) -> bytes:
    return _encoder.encode(left)


def decode_left(raw: bytes) -> Left:
    return _left_decoder.decode(raw)


def decode_use(raw: bytes) -> Use:
    return Use(*_USE.unpack(raw))


# The lines of the stream


class Line(msgspec.Struct, array_like=True, frozen=True):
    """One line of the log, but for what the script gives it: position, time, the user's number, and the target.

    Everything is as in `Record`; `late` marks an event that happened before one already recorded, `history` one that
    takes effect when it happened, and `streak` is the user's after the line, where that changed it.
    """

    scope: int
    user_id: str
    body: str | None = None
    metric: int | None = None
    amount: int | None = None
    occurred_at: int | None = None
    local_at: int | None = None
    total: int | None = None
    idempotency_key: str | None = None
    late: bool = False
    streak: str | None = None
    kind: str = "event"
    history: bool = False


class Logged(NamedTuple):
    """A line as it stands in a shard's log: positions count in the shard."""

    position: int
    recorded_at: int
    user: int
    line: Line
    target: int | None = None

    @property
    def metric(self) -> int | None:
        """What it is an event of."""
        return self.line.metric

    @property
    def amount(self) -> int | None:
        """In micros."""
        return self.line.amount

    @property
    def occurred_at(self) -> int | None:
        """The instant at which it happened."""
        return self.line.occurred_at

    @property
    def local_at(self) -> int | None:
        """The same on the user's clock."""
        return self.line.local_at

    @property
    def total(self) -> int | None:
        """The user's total of the metric behind it."""
        return self.line.total

    @property
    def body(self) -> str | None:
        """JSON text."""
        return self.line.body

    @property
    def history(self) -> int | None:
        """Whether it was imported as history."""
        return int(self.line.history)


_line_decoder = msgspec.msgpack.Decoder(Line)
_NAMED_APART = ("number", "scope", "id", "preferences")
_BODY_FIELDS = tuple(entry.name for entry in fields(User) if entry.name not in _NAMED_APART)


def encode_line(line: Line) -> bytes:
    return _encoder.encode(line)


def encode_logged(line: Line, target: int | None) -> bytes:
    """A line as it lies in the stream."""
    return _TARGET.pack(target or 0) + encode_line(line)


def without_target(raw: bytes) -> bytes:
    """What the worker gave of a line that lies in the stream."""
    return raw[_TARGET.size :]


def decode_line(raw: bytes) -> tuple[Line, int | None]:
    """A line as it lies in the stream, and the position of what it is about: the script puts it in front."""
    target, line = split_content(raw)
    return line, _TARGET.unpack(target)[0] or None


def split_content(raw: bytes) -> tuple[bytes, Line]:
    """The bytes of the target, and the line."""
    return raw[: _TARGET.size], _line_decoder.decode(raw[_TARGET.size :])


def profile_text(user: User) -> str:
    """The whole profile, as the line of a user has it; preferences only where there are any."""
    body = {name: getattr(user, name) for name in _BODY_FIELDS}
    if user.preferences != DEFAULTS:
        body["preferences"] = user.preferences
    return msgspec.json.encode(body).decode()


def attributes_text(attributes: Mapping[str, str] | None) -> str | None:
    """The attributes of an event, if it has any."""
    return msgspec.json.encode(attributes).decode() if attributes else None
