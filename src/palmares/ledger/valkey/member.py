"""The members of orders: bytes that sort as the board's contract orders.

All entries of an order have the score 0, so Valkey sorts them by their members, byte by byte. A member is

    value       8 bytes, the better the smaller
    reached at  8 bytes, who is to stand higher the smaller
    user id     UTF-8

and so the order is exact over all 64 bits of a value, ties included. What a double cannot hold (above 2^53) is no
special case, and everything that has to be counted is the rank of some bytes: `ZLEXCOUNT`, whether a member is there
or not. The first 8 bytes alone come before all members of their value: that counts the better ones.

The events of a user are members too: local time, position, instant and amount, so a stretch of local time is a range.
"""

from __future__ import annotations

import struct

from palmares.domain.board import Board
from palmares.domain.tally import Tally
from palmares.domain.value import MOST

_BIAS = 2**63
_PAIR = struct.Struct(">QQ")
_ONE = struct.Struct(">Q")
_EVENT = struct.Struct(">QQQQ")
VALUE_BYTES = 8
_HEAD_BYTES = 16
_LAST = b"\xff" * 8


class Members:
    """How a board's orders write their members."""

    def __init__(self, board: Board) -> None:
        self._descending = board.order == "desc"
        self._later_first = board.ties == "last"
        # What is written of a number is a sum: for each event there are several members.
        self._value_base, self._value_sign = _written(self._descending)
        self._time_base, self._time_sign = _written(self._later_first)

    def encode(self, tally: Tally | tuple[int, int], user_id: str) -> bytes:
        """The member of a user with a tally."""
        value, reached_at = tally
        head = _PAIR.pack(
            self._value_base + self._value_sign * value, self._time_base + self._time_sign * reached_at
        )  # fmt: skip
        return head + user_id.encode()

    def decode(self, member: bytes) -> tuple[int, str]:
        """The value and the user's id."""
        flipped: int = _ONE.unpack_from(member)[0]
        value = MOST - flipped if self._descending else flipped - _BIAS
        return value, member[_HEAD_BYTES:].decode()

    def entry(self, member: bytes) -> tuple[int, int, str]:
        """Value, reached at and user id."""
        flipped: int = _PAIR.unpack_from(member)[1]
        value, user_id = self.decode(member)
        return value, MOST - flipped if self._later_first else flipped - _BIAS, user_id


def before_value(member: bytes) -> bytes:
    """What comes before all members with the value of this one, and behind all better ones."""
    return member[:VALUE_BYTES]


def behind_value(start: bytes) -> bytes:
    """What comes behind all members with a value, given by `before_value`, and before all worse ones."""
    return start + _LAST + b"\xff"


def event_parts(local_at: int, occurred_at: int, amount: int) -> tuple[bytes, bytes]:
    """The member of an event but for its position, which comes between."""
    return _ONE.pack(local_at + _BIAS), _PAIR.pack(occurred_at + _BIAS, amount + _BIAS)


def event_of(member: bytes) -> tuple[int, int, int, int]:
    """Instant, position, amount and local time of an event."""
    local_at, position, occurred_at, amount = _EVENT.unpack(member)
    return occurred_at - _BIAS, position, amount - _BIAS, local_at - _BIAS


def local_bound(local_at: int) -> bytes:
    """What comes before all events at a local time or later."""
    return _ONE.pack(min(max(local_at, -_BIAS), MOST) + _BIAS)


def _written(greater_first: bool) -> tuple[int, int]:
    """From what a number is taken away, or to what it is added."""
    return (MOST, -1) if greater_first else (_BIAS, 1)
