"""What is left of an erased user, and messages without one."""

import json

import pytest

from palmares.domain.erased import anonymous_id, check_new_id, without_user
from palmares.domain.errors import Invalid


def test_an_anonymous_id_tells_the_number_and_is_nobodys_to_take() -> None:
    with pytest.raises(Invalid, match="choose another"):
        check_new_id(anonymous_id(7))
    for user_id in ("erased", "erased-", "erased-x", "erased-7a", "Erased-7"):
        assert check_new_id(user_id) == user_id


def test_a_message_about_the_user_is_gone() -> None:
    assert without_user(b'{"user":{"id":"ann"},"leaderboard":{"rank":1}}', "ann", 7) is None


def test_a_row_of_the_user_is_anonymous_and_the_others_stay() -> None:
    rows = [{"userId": name, "userName": name.title(), "rank": rank} for rank, name in enumerate(("ann", "bob"), 1)]
    body = json.dumps({"type": "x", "leaderboard": {"key": "k", "rankings": rows}}).encode()
    left = without_user(body, "ann", 7)
    assert left is not None
    assert json.loads(left)["leaderboard"] == {
        "key": "k",
        "rankings": [{"userId": "erased-7", "userName": None, "rank": 1}, rows[1]],
    }


@pytest.mark.parametrize("body", [b'{"user":{"id":"bob"},"leaderboard":{}}', b'{"leaderboard":{"rankings":[]}}', b"{}"])
def test_any_other_message_stays_as_it_is(body: bytes) -> None:
    assert without_user(body, "ann", 7) is body
