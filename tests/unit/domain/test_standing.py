"""The order of a ranking, by example: the oracle itself has to be right."""

from typing import Any

import pytest

from palmares.domain.standing import rank_all
from palmares.domain.tally import Tally
from tests.world import make_board

TALLIES = {"d": Tally(1, 4), "b": Tally(5, 2), "c": Tally(5, 3), "a": Tally(9, 1), "B": Tally(5, 2)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "a1 B2 b3 c4 d5"),
        ({"ties": "last"}, "a1 c2 B3 b4 d5"),
        ({"order": "asc"}, "d1 B2 b3 c4 a5"),
        ({"order": "asc", "ties": "last"}, "d1 c2 B3 b4 a5"),
        ({"numbering": "competition"}, "a1 B2 b2 c2 d5"),
        ({"numbering": "dense"}, "a1 B2 b2 c2 d3"),
        ({"max_participants": 2}, "a1 B2"),
        ({"max_participants": 3, "numbering": "competition"}, "a1 B2 b2"),
        ({"max_participants": None}, "a1 B2 b3 c4 d5"),
        ({"max_participants": 1, "order": "asc"}, "d1"),
    ],
)
def test_a_ranking_is_ordered_numbered_and_capped(fields: dict[str, Any], expected: str) -> None:
    """Value, then time, then the bytes of the id."""
    standings = rank_all(make_board(**fields), TALLIES)
    assert " ".join(f"{one.participant}{one.rank}" for one in standings) == expected
    assert all((one.value, one.reached_at) == TALLIES[one.participant] for one in standings)


def test_nobody_makes_an_empty_ranking() -> None:
    """Not an error."""
    assert rank_all(make_board(), {}) == []
