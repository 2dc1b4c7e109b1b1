"""Who stands elsewhere than before, found by comparing whole rankings in steps."""

from array import array
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.domain import rank_change
from palmares.domain.rank_change import Change, Stood, changes, find, news
from palmares.ledger.contract import Ranks

Placed = Mapping[int, tuple[int, int]]
PLACED = st.dictionaries(st.integers(1, 40), st.tuples(st.integers(1, 5), st.integers(-3, 3)))


def ranks(placed: Placed) -> Ranks:
    users = sorted(placed)
    numbers, values = [placed[user][0] for user in users], [placed[user][1] for user in users]
    return Ranks(array("I", users), array("I", numbers), array("q", values))


def found(before: Placed, after: Placed) -> list[Change]:
    return sorted(change for step in changes(ranks(before), ranks(after)) for change in step)


def expected(before: Placed, after: Placed) -> list[Change]:
    """The same, user by user."""
    nobody = (None, None)
    return [
        Change(user, *before.get(user, nobody), *after.get(user, nobody))
        for user in sorted(before.keys() | after.keys())
        if before.get(user, nobody)[0] != after.get(user, nobody)[0]
    ]


@given(PLACED, PLACED, st.integers(1, 7))
def test_exactly_those_are_found_whose_rank_differs(before: Placed, after: Placed, step: int) -> None:
    """Joined, left or moved; and nobody twice, wherever the steps end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_change, "STEP", step)

        assert sorted(found(before, after), key=lambda one: one.user) == expected(before, after)


def test_a_value_that_changes_without_the_rank_is_no_change() -> None:
    """Who leads may lead by more."""
    assert found({1: (1, 10), 2: (2, 5)}, {1: (1, 20), 2: (2, 5)}) == []


def test_a_step_is_bounded_also_where_many_have_left_or_come() -> None:
    """Nobody else has to wait for a whole ranking."""
    many = {user: (user, 0) for user in range(1, 10 * rank_change.STEP)}
    for before, after in (({}, many), (many, {}), (many, {1: (1, 0), 10 * rank_change.STEP: (2, 0)})):
        steps = list(changes(ranks(before), ranks(after)))

        assert max(map(len, steps)) <= 3 * rank_change.STEP
        assert sum(map(len, steps)) == len(expected(before, after))


@given(PLACED, st.integers(0, 41))
def test_a_user_is_found_with_rank_and_value(placed: Placed, user: int) -> None:
    """Or with nothing at all."""
    assert find(ranks(placed), user) == placed.get(user, (None, None))


EAST, WEST = ("east",), ("west",)


@pytest.mark.parametrize(
    ("told", "present", "previous"),
    [
        (Stood(EAST, 4, 58), Stood(EAST, 5, 58), (4, 58)),
        (Stood(EAST, 4, 58), Stood(EAST, 4, 99), None),
        (Stood(EAST, 4, 58), Stood(EAST, None, None), (4, 58)),
        (Stood(EAST, None, None), Stood(EAST, 4, 58), (None, None)),
        (Stood(EAST, None, None), Stood(EAST, None, None), None),
        (Stood(EAST, 4, 58), Stood(WEST, 4, 58), (None, None)),
    ],
)
def test_at_the_end_of_a_window_the_place_last_told_counts(
    told: Stood, present: Stood, previous: tuple[int | None, int | None] | None
) -> None:
    """A net change of nothing is no news; another group is another ranking."""
    assert news(told, present) == previous
