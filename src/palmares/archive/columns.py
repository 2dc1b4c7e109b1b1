"""Columns of numbers as bytes, cut into chunks.

A chunk has the users of one stretch of 1,024 numbers, or 1,024 rows of a ranking: few enough to read a hundred of them
for one answer, enough that a row of a table costs next to nothing beside what is in it.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

CHUNK = 1024
_MOST_NARROW_GROUPS = 1 << 16


def packed(numbers: array[int]) -> bytes:
    """The bytes of a column, little-endian."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def unpacked(code: str, content: bytes) -> array[int]:
    """The column of those bytes; `code` as for `array`."""
    numbers = array(code, content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def packed_groups(groups: array[int], numbers: Sequence[int]) -> bytes | None:
    """A column of groups, each turned into the number at its place in `numbers`; None when there is only number 0."""
    if max(numbers) == 0:
        return None
    code = "H" if max(numbers) < _MOST_NARROW_GROUPS else "I"
    return packed(array(code, [numbers[group] for group in groups]))


def unpacked_groups(content: bytes | None, count: int) -> array[int]:
    """The numbers of the groups of so many users."""
    if content is None:
        return array("I", [0]) * count
    return array("I", unpacked("H" if len(content) == 2 * count else "I", content))


def chunks_of_users(users: array[int]) -> Iterator[tuple[int, slice]]:
    """The chunks that anyone of these ascending users is in, and where their columns are to be cut."""
    start = 0
    while start < len(users):
        chunk = users[start] // CHUNK
        stop = bisect_left(users, (chunk + 1) * CHUNK, start)
        yield chunk, slice(start, stop)
        start = stop


def chunks_of_rows(count: int) -> Iterator[tuple[int, slice]]:
    """The chunks of so many rows, and where their columns are to be cut."""
    return ((start // CHUNK, slice(start, start + CHUNK)) for start in range(0, count, CHUNK))


def place_of(users: array[int], user: int) -> int | None:
    """Where a user is among ascending ones."""
    place = bisect_left(users, user)
    return place if place < len(users) and users[place] == user else None
