"""Being hidden is an attribute of our own that customers neither see nor set."""

import re

from palmares.domain.changes import Move, Plan, moves
from palmares.domain.hidden import MARK, is_hidden, marked, unmarked
from palmares.domain.user import User, changed
from tests.world import POOL, make_board

USER = User(number=1, scope=1, id="a", attributes={"pool": "east"}, created=0, updated=0)


def test_a_mark_comes_and_goes_and_leaves_other_attributes_alone() -> None:
    hidden = marked({"pool": "east"}, True)
    assert is_hidden(hidden)
    assert unmarked(hidden) == {"pool": "east"} == marked(hidden, False)


def test_no_attribute_of_a_customer_can_be_the_mark() -> None:
    """Their keys are of letters, digits, underscores and hyphens."""
    assert not re.fullmatch("[A-Za-z0-9_-]+", MARK)


def test_a_user_is_hidden_and_shown_with_the_same_attributes() -> None:
    """At the instant of the change; hiding again changes nothing."""
    hidden = changed(USER, {"hidden": True}, 5)
    assert (hidden.hidden, hidden.own_attributes, hidden.updated) == (True, {"pool": "east"}, 5)
    assert changed(hidden, {"hidden": True}, 6) is hidden
    moved = changed(hidden, {"attributes": {"pool": "west"}}, 7)
    assert (moved.hidden, moved.own_attributes) == (True, {"pool": "west"})
    assert changed(moved, {"hidden": False, "attributes": {"pool": "east"}}, 8).attributes == USER.attributes


def test_who_is_hidden_moves_out_of_every_group_on_boards_with_and_without_groups() -> None:
    """But has one to come back to."""
    plain, pools = Plan(make_board(1)), Plan(make_board(2, breakdown=(POOL,)))
    hidden = changed(USER, {"hidden": True}, 5).attributes
    assert moves([plain, pools], USER.attributes, hidden) == [
        Move(plain, (), None), Move(pools, ("east",), None),
    ]  # fmt: skip
    assert (plain.own_group(hidden), pools.own_group(hidden)) == ((), ("east",))
    assert (plain.grouped, pools.grouped) == (False, True)
