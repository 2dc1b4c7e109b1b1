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

from palmares.domain.group import Group
from palmares.domain.preferences import DEFAULTS
from palmares.domain.streak import Streak
from palmares.domain.user import User

_HEAD = struct.Struct(">QQ")
_USE = struct.Struct(">QQ")


class Sum(NamedTuple):
    """A user's lifetime total of a metric, and when the newest of its events happened."""

    total: int
    latest: int


class Held(NamedTuple):
    """What a user has in a run, and in which group it stands; None is the hidden one."""

    value: int
    reached_at: int
    group: Group | None


class UserState(msgspec.Struct, array_like=True, frozen=True):
    """A user as of one version.

    `held` is by generation and first day of the run. `generation` is the newest one that has all of the user's events:
    a younger board has still to be made of them.
    """

    user: User
    sums: dict[int, Sum]
    streak: Streak
    held: dict[int, dict[int, Held]]
    generation: int = 0


class Stored(NamedTuple):
    """A user as a shard has it; a version counts from 1."""

    version: int
    state: UserState


class Use(NamedTuple):
    """Where and when an idempotency key was used."""

    position: int
    recorded_at: int


class _Name(msgspec.Struct):
    name: str | None


class _Named(msgspec.Struct, array_like=True):
    user: _Name


_encoder = msgspec.msgpack.Encoder()
_named_decoder = msgspec.msgpack.Decoder(_Named)
_state_decoder = msgspec.msgpack.Decoder(UserState)
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
    return Stored(version, state)


def decode_name(raw: bytes) -> str | None:
    """Only the name of the user: pages ask for hundreds."""
    return _named_decoder.decode(raw[_HEAD.size :]).user.name


def encode_held(held: Held) -> bytes:
    return _encoder.encode(held)


def decode_held(raw: bytes) -> Held:
    return _held_decoder.decode(raw)


def decode_use(raw: bytes) -> Use:
    return Use(*_USE.unpack(raw))


# The lines of the stream


class Line(msgspec.Struct, array_like=True, frozen=True):
    """One line of the log, but for what the script gives it: position, time and the user's number.

    An event has a metric; the line of a user has the profile as JSON in its body. The rest is as in `Record`; `late`
    marks an event that happened before one already recorded, `history` one that takes effect when it happened, and
    `streak` is the user's after the line, where that changed it.
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
    history: bool = False


_line_decoder = msgspec.msgpack.Decoder(Line)
_NAMED_APART = ("number", "scope", "id", "preferences")
_BODY_FIELDS = tuple(entry.name for entry in fields(User) if entry.name not in _NAMED_APART)


def encode_line(line: Line) -> bytes:
    return _encoder.encode(line)


def decode_line(raw: bytes) -> Line:
    return _line_decoder.decode(raw)


def profile_text(user: User) -> str:
    """The whole profile, as the line of a user has it; preferences only where there are any."""
    body = {name: getattr(user, name) for name in _BODY_FIELDS}
    if user.preferences != DEFAULTS:
        body["preferences"] = user.preferences
    return msgspec.json.encode(body).decode()


def attributes_text(attributes: Mapping[str, str] | None) -> str | None:
    """The attributes of an event, if it has any."""
    return msgspec.json.encode(attributes).decode() if attributes else None
