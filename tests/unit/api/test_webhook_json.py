"""The bodies that webhooks are sent."""

from itertools import product
from typing import Any

import msgspec
import pytest

from palmares.api.webhook_json import WebhookBodies, sample
from palmares.domain.local_time import parse_instant
from palmares.domain.rank_change import Change
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.domain.value import MICROS
from palmares.domain.webhook import CHANGED, EVENT_TYPES, FINISHED, RANK_CHANGED, STARTED
from palmares.ledger.contract import Row
from tests.world import LEVEL, POOL, day, make_board

AT = parse_instant("2026-03-09T13:00:00.004Z", "at")
RUN = Run(day("2026-03-02"), day("2026-03-08"))
BASE = (
    "id name key description status rankBy metricKey metricName pointsSystemKey pointsSystemName breakdownAttribute "
    "breakdownAttributes userAttributes start end startTime endTime maxParticipants runUnit runInterval"
).split()


def decoded(body: bytes) -> Any:
    return msgspec.json.decode(body)


def test_a_message_about_a_ranking_has_every_field_of_the_contract() -> None:
    """The whole board, the rows, the run, and when it was."""
    rows = [Row(0, 1, "swim-7", "Noor Haddad", 131 * MICROS), Row(1, 2, "ü", None, 1_500_000)]
    body = decoded(WebhookBodies().rankings(FINISHED, AT, make_board(), "active", RUN, (), rows))
    board = body["leaderboard"]

    assert (body["type"], body["timestamp"]) == ("leaderboard.finished", "2026-03-09T13:00:00.004Z")
    assert board.keys() >= {*BASE, "rankings", "runStart", "runEnd"}
    assert [(row["userId"], row["userName"], row["rank"], row["value"]) for row in board["rankings"]] == [
        ("swim-7", "Noor Haddad", 1, 131),
        ("ü", None, 2, 2),
    ]
    assert (board["runStart"], board["runEnd"]) == ("2026-03-02", "2026-03-08")


def test_the_group_is_named_where_there_are_groups() -> None:
    """By key and value; with one attribute also by the value alone."""
    bodies = WebhookBodies()
    one, two = make_board(breakdown=(POOL,)), make_board(2, "two", breakdown=(POOL, LEVEL))

    def fields(board: Any, group: Any) -> Any:
        found = decoded(bodies.rankings(CHANGED, AT, board, "active", RUN, group, []))["leaderboard"]
        return found.get("breakdownAttributeValues"), found.get("breakdownAttributeValue")

    assert fields(make_board(3, "none"), ()) == (None, None)
    assert fields(one, None) == (None, None)
    assert fields(one, ("east",)) == ([{"key": "pool", "value": "east"}], "east")
    pairs = [{"key": "pool", "value": "east"}, {"key": "level", "value": "3"}]
    assert fields(two, ("east", "3")) == (pairs, None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(1, 4, 58 * MICROS, 5, 58_500_000), (5, 59, 4, 58)),
        (Change(1, None, None, 5, -MICROS), (5, -1, None, None)),
        (Change(1, 4, 58 * MICROS, None, None), (None, None, 4, 58)),
    ],
)
def test_a_message_about_a_rank_has_both_places(change: Change, expected: Any) -> None:
    """Rounded as everywhere, null for none."""
    user = User(number=1, scope=1, id="swim-31", created=AT, updated=AT)
    body = decoded(WebhookBodies().rank(RANK_CHANGED, AT, make_board(), "active", RUN, (), user, change))
    board = body["leaderboard"]

    assert body["user"]["id"] == "swim-31"
    assert board.keys() >= {*BASE, "rank", "value", "previousRank", "previousValue", "runStart", "runEnd"}
    assert (board["rank"], board["value"], board["previousRank"], board["previousValue"]) == expected


@pytest.mark.parametrize(("event", "time"), [*product(EVENT_TYPES, ["2026-03-09T13:00:00Z", "2026-12-31T23:59:59Z"])])
def test_a_sample_looks_like_the_real_thing(event: Any, time: str) -> None:
    """The same fields as a message of that type has."""
    body = decoded(sample(event, parse_instant(time, "time")))

    assert body["type"] == event
    assert body.keys() == {"type", "timestamp", "leaderboard"} | ({"user"} if event == RANK_CHANGED else set())
    assert body["leaderboard"].keys() >= {*BASE, "runStart", "runEnd"}
    assert ("rank" if event == RANK_CHANGED else "rankings") in body["leaderboard"]
    assert body["leaderboard"].get("rankings", []) != [] or event in (STARTED, RANK_CHANGED)
