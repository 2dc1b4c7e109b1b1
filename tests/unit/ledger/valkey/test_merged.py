"""Several orders read as one, far down too."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmares.ledger.valkey.merged import Merged, Piece

pytestmark = pytest.mark.anyio


class Lists:
    """What is asked of shards, answered from lists: the commands that `Merged` sends."""

    def __init__(self, pieces: Sequence[Sequence[bytes]]) -> None:
        self._pieces = [sorted(piece) for piece in pieces]
        self.round_trips = 0

    async def ask(self, shard: int, commands: Sequence[Sequence[bytes]]) -> list[Any]:
        self.round_trips += 1
        return [self._answer(*command) for command in commands]

    def _answer(self, command: bytes, key: bytes, *arguments: bytes) -> Any:
        members = self._pieces[int(key)]
        if command == b"ZCARD":
            return len(members)
        if command == b"ZLEXCOUNT":
            return bisect_left(members, arguments[1][1:])
        assert command == b"ZRANGE"
        return members[int(arguments[0]) : int(arguments[1]) + 1]


members = st.lists(st.binary(min_size=1, max_size=2), unique=True, max_size=60)


@given(
    everything=members,
    homes=st.lists(st.integers(0, 4), min_size=60, max_size=60),
    limits=st.lists(st.one_of(st.none(), st.integers(0, 20)), min_size=5, max_size=5),
    start=st.integers(0, 60),
    length=st.integers(0, 10),
)
@settings(max_examples=150)
async def test_any_window_of_any_pieces_is_that_of_all_sorted(
    everything: list[bytes], homes: list[int], limits: list[int | None], start: int, length: int
) -> None:
    """Whatever is in which piece, and however few rows are sampled."""
    parts = [[member for member, home in zip(everything, homes, strict=False) if home == piece] for piece in range(5)]
    pieces = [Piece(place % 2, b"%d" % place, limit) for place, limit in enumerate(limits)]
    merged = Merged(Lists(parts).ask, pieces, samples=2, few_rows=3)
    expected = sorted(member for part, limit in zip(parts, limits, strict=True) for member in sorted(part)[:limit])
    assert await merged.window(start, start + length) == expected[start : start + length]
    assert sum(await merged.sizes()) == len(expected)


async def test_a_row_far_down_takes_a_few_round_trips() -> None:
    """Not one for each thousand rows."""
    everything = [b"%06d" % number for number in range(100_000)]
    lists = Lists([everything[place::4] for place in range(4)])
    merged = Merged(lists.ask, [Piece(place, b"%d" % place) for place in range(4)])
    assert await merged.window(70_000, 70_003) == everything[70_000:70_003]
    assert lists.round_trips <= 4 * 5
