"""Bytes that sort like the contract orders."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.board import Order, Ties
from palmares.domain.standing import rank_all
from palmares.domain.tally import Tally
from palmares.domain.value import LEAST, MOST
from palmares.ledger.valkey.member import (
    Members,
    before_value,
    behind_value,
    event_of,
    event_parts,
    local_bound,
)
from tests.world import make_board

numbers = st.one_of(
    st.integers(LEAST, MOST),
    st.sampled_from([LEAST, -(2**53) - 1, -(2**53), -1, 0, 1, 2**53, 2**53 + 1, MOST]),
)
# Instants lie within the calendar.
instants = st.integers(-(2**56), 2**58)
tallies = st.builds(Tally, st.one_of(numbers, st.integers(0, 2)), st.one_of(instants, st.integers(0, 2)))
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)


@given(
    held=st.dictionaries(ids, tallies, max_size=12),
    order=st.sampled_from(get_args(Order)),
    ties=st.sampled_from(get_args(Ties)),
)
def test_members_sort_like_the_ranking_that_is_obviously_right(
    held: dict[str, Tally], order: Order, ties: Ties
) -> None:
    """Both directions, ties first or last, ids by their bytes, and values that no double can tell apart."""
    board = make_board(order=order, ties=ties)
    members = Members(board)
    sorted_ids = [members.decode(member)[1] for member in sorted(members.encode(held[one], one) for one in held)]
    assert sorted_ids == [standing.participant for standing in rank_all(board, held)]


@given(tally=tallies, user_id=ids, order=st.sampled_from(get_args(Order)))
def test_a_member_tells_its_value_and_user(tally: Tally, user_id: str, order: Order) -> None:
    members = Members(make_board(order=order))
    assert members.decode(members.encode(tally, user_id)) == (tally.value, user_id)


@given(one=tallies, other=tallies, order=st.sampled_from(get_args(Order)), ties=st.sampled_from(get_args(Ties)))
def test_the_bounds_of_a_value_hold_its_members_and_no_others(
    one: Tally, other: Tally, order: Order, ties: Ties
) -> None:
    members = Members(make_board(order=order, ties=ties))
    start = before_value(members.encode(one, "a"))
    inside = start <= members.encode(other, "b") < behind_value(start)
    assert inside == (one.value == other.value)


@given(local_at=instants, occurred_at=instants, amount=numbers, position=st.integers(1, 2**53), bound=instants)
def test_events_sort_by_local_time_and_tell_everything(
    local_at: int, occurred_at: int, amount: int, position: int, bound: int
) -> None:
    before, behind = event_parts(local_at, occurred_at, amount)
    member = before + position.to_bytes(8) + behind
    assert event_of(member) == (occurred_at, position, amount, local_at)
    assert (local_bound(bound) <= member) == (bound <= local_at)
