"""Groups: filters decide who takes part, breakdown attributes decide where."""

from collections.abc import Mapping
from typing import Any

import pytest

from palmares.domain.group import Group, group_of
from tests.world import LEVEL, POOL, make_board


@pytest.mark.parametrize(
    ("fields", "attributes", "group"),
    [
        ({}, {}, ()),
        ({}, {"pool": "east"}, ()),
        ({"breakdown": (POOL,)}, {"pool": "east"}, ("east",)),
        ({"breakdown": (POOL,)}, {"pool": ""}, ("",)),
        ({"breakdown": (POOL,)}, {"level": "pro"}, None),
        ({"breakdown": (POOL, LEVEL)}, {"level": "pro", "pool": "east"}, ("east", "pro")),
        ({"breakdown": (LEVEL, POOL)}, {"level": "pro", "pool": "east"}, ("pro", "east")),
        ({"breakdown": (POOL, LEVEL)}, {"pool": "east"}, None),
        ({"filters": ((LEVEL, "pro"),)}, {"level": "pro"}, ()),
        ({"filters": ((LEVEL, "pro"),)}, {"level": "Pro"}, None),
        ({"filters": ((LEVEL, "pro"),)}, {}, None),
        ({"filters": ((LEVEL, "pro"), (POOL, "east"))}, {"level": "pro", "pool": "west"}, None),
        ({"filters": ((LEVEL, "pro"),), "breakdown": (POOL,)}, {"level": "pro", "pool": "west"}, ("west",)),
        ({"filters": ((LEVEL, "pro"),), "breakdown": (LEVEL,)}, {"level": "pro"}, ("pro",)),
    ],
)
def test_the_group_of_a_user(fields: dict[str, Any], attributes: Mapping[str, str], group: Group | None) -> None:
    """The values of the breakdown attributes in the board's order; None for who takes no part."""
    assert group_of(make_board(**fields), attributes) == group
