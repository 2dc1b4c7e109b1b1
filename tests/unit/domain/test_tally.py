"""Tallies: the value that events make, and when it was reached."""

from itertools import permutations, product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.board import Aggregation
from palmares.domain.tally import Tally, fold, step
from palmares.domain.value import MICROS

AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)


@pytest.mark.parametrize(
    ("aggregation", "events", "tally"),
    [
        ("sum", [(5, 1), (-2, 2)], (3, 2)),
        ("sum", [(5, 1), (0, 2)], (5, 1)),
        ("sum", [(0, 1), (0, 2)], (0, 1)),
        ("sum", [(5, 1), (-5, 2), (0, 3)], (0, 2)),
        ("max", [(5, 1), (5, 2), (3, 3)], (5, 1)),
        ("max", [(-5, 1), (-3, 2)], (-3, 2)),
        ("min", [(5, 1), (3, 2), (3, 3)], (3, 2)),
        ("last", [(5, 1), (3, 2), (3, 3)], (3, 2)),
        ("last", [(3, 1), (5, 2), (3, 3)], (3, 3)),
        ("count", [(0, 1), (7, 2), (-7, 3)], (3 * MICROS, 3)),
    ],
)
def test_events_in_order_make_a_value(
    aggregation: Aggregation, events: list[tuple[int, int]], tally: tuple[int, int]
) -> None:
    """An event that leaves the value as it is does not move its time; the first one sets it."""
    assert fold(aggregation, events) == tally


def test_no_events_make_no_value() -> None:
    """Which is not the same as zero."""
    for aggregation in AGGREGATIONS:
        assert fold(aggregation, []) is None


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_any_order_of_arrival_makes_the_same(aggregation: Aggregation) -> None:
    """Or `step` says that only all events together can tell; every story of three small events is tried."""
    told = 0
    for amounts in product([-1, 0, 1, 2], repeat=3):
        expected = fold(aggregation, [(amount, at) for at, amount in enumerate(amounts)])
        for arrival in permutations(range(3)):
            tally: Tally | None = None
            for count, at in enumerate(arrival):
                in_order = all(at > earlier for earlier in arrival[:count])
                tally = step(aggregation, tally, amounts[at], at, in_order)
                if tally is None:
                    break
            else:
                told += 1
                assert tally == expected, (amounts, arrival)
    assert told >= 64, "in order, everything can be told"


@pytest.mark.parametrize("aggregation", ["max", "min", "count"])
@given(events=st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 9)), min_size=1, max_size=8))
def test_extremes_and_counts_never_need_the_other_events(
    aggregation: Aggregation, events: list[tuple[int, int]]
) -> None:
    """However late events come."""
    tally: Tally | None = None
    for place, (amount, at) in enumerate(events):
        tally = step(aggregation, tally, amount, at, all(at >= earlier for _, earlier in events[:place]))
        assert tally is not None
    assert tally == fold(aggregation, sorted(events, key=lambda event: event[1]))
