"""The order of a ranking, and the numbers that ranks carry.

Better values first (`order`); between equals the one who reached the value earlier, or later (`ties`); then the
participant's id in ascending byte order. `numbering` says what the ranks look like: 1234, 1224 or 1223. A cap
leaves only the best so many ranked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from palmares.domain.board import Board
from palmares.domain.tally import Tally


class Standing(NamedTuple):
    """One participant's rank and value in a ranking."""

    participant: str
    rank: int
    value: int
    reached_at: int


def rank_all(board: Board, tallies: Mapping[str, Tally]) -> list[Standing]:
    """A whole ranking, the slow and obvious way: what every faster way is compared with."""

    def place(participant: str) -> tuple[int, int, bytes]:
        value, reached_at = tallies[participant]
        return (
            -value if board.order == "desc" else value,
            reached_at if board.ties == "first" else -reached_at,
            participant.encode(),
        )

    ordered = sorted(tallies, key=place)[: board.max_participants]
    standings: list[Standing] = []
    for row, participant in enumerate(ordered):
        value, reached_at = tallies[participant]
        equal = row > 0 and standings[-1].value == value
        if board.numbering == "ordinal" or row == 0:
            rank = row + 1
        elif board.numbering == "competition":
            rank = standings[-1].rank if equal else row + 1
        else:
            rank = standings[-1].rank if equal else standings[-1].rank + 1
        standings.append(Standing(participant, rank, value, reached_at))
    return standings
