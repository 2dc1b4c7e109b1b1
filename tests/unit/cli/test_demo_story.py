"""A flight becomes events that count once, however often the demo is told."""

import json
from datetime import UTC, datetime

from palmares.cli.demo_story import Rise, Scene, events_of, lines_of, share_made
from palmares.cli.settling import Work
from palmares.demo.definitions import BOARDS
from palmares.demo.flights import Flight

FLIGHT = Flight(2, "N14228", "UA", "EWR", datetime(2013, 1, 1, 10, 17, tzinfo=UTC), 1400, 227)


def items(flight: Flight) -> list[dict[str, object]]:
    return [json.loads(line.item) for line in lines_of(flight)]


def test_a_flight_is_an_event_of_each_metric() -> None:
    """Miles, one flight, and minutes in the air, all at the departure and from its airport."""
    common = {"timestamp": "2013-01-01T10:17:00+00:00", "idempotencyKey": "flight-2", "attributes": {"origin": "EWR"}}

    assert [item | {"user": None} for item in items(FLIGHT)] == [
        {"key": "miles-flown", "value": 1400, "user": None, **common},
        {"key": "flights", "value": 1, "user": None, **common},
        {"key": "air-time", "value": 227, "user": None, **common},
    ]


def test_the_aeroplane_is_the_user_with_its_zone_and_present_carrier() -> None:
    """Given once for each flight, before its first event counts."""
    users = [item["user"] for item in items(FLIGHT)]

    assert users[0] == {"id": "N14228", "tz": "America/New_York", "attributes": {"carrier": "UA"}}
    assert users[1:] == [{"id": "N14228"}] * 2


def test_a_flight_without_time_in_the_air_is_no_event_of_that_metric() -> None:
    """It would be the shortest of all."""
    grounded = FLIGHT._replace(minutes=None)

    assert [item["key"] for item in items(grounded)] == ["miles-flown", "flights"]
    assert events_of([FLIGHT, grounded]) == 5


def test_the_share_that_is_made_counts_leaderboards_that_are_there() -> None:
    """Those in the making count as far as they are made; those that others defined do not count."""
    first, second, *_ = [board["key"] for board in BOARDS]
    others = Work("somebody-elses")

    assert share_made([]) == share_made([others]) == 0
    assert share_made([others, Work(first), Work(second, progress=0.5)]) == 1.5 / len(BOARDS)
    assert share_made(Work(board["key"]) for board in BOARDS) == 1


def test_what_is_shown_can_be_asked_for_by_hand() -> None:
    """The path and query of the request, ready for an address before it."""
    page = Scene("Hawaiian", "miles", "miles-by-carrier", {"userAttributes": "carrier:HA", "limit": "5"})
    rise = Rise("To the top", "miles", "monthly-miles", "N1/AA", {"run": "2013-01-15", "numEvents": "100"})

    assert page.path == "/v1/leaderboards/miles-by-carrier?userAttributes=carrier:HA&limit=5"
    assert rise.path == "/v1/users/N1%2FAA/leaderboards/monthly-miles?run=2013-01-15&numEvents=100"
