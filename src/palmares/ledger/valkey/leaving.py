"""Who leaves an order without an event, and when: an entry of a shard's breaks.

An entry names the place of one user on one board that ranks by streak, by all that it takes to leave it, so nothing has
to be read of the user. Its score is the instant. Entries come and go with the places, in the same script.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from palmares.domain.group import Group


class Leaving(NamedTuple):
    """At an instant, a member leaves the order of a generation, run and group; the group None is the hidden one."""

    at: int
    generation: int
    run_start: int
    group: Group | None
    member: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Leaving).decode


def encode_leaving(leaving: Leaving) -> bytes:
    """The entry: the same for the same place and instant."""
    return _encode(leaving)


def decode_leaving(raw: bytes) -> Leaving:
    return _decode(raw)
