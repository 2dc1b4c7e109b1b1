"""The forms in which days and instants are read."""

import zoneinfo
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.errors import Invalid
from palmares.domain.local_time import (
    DAY,
    HOUR,
    SECOND,
    begins_at,
    day_of,
    format_day,
    format_instant,
    local_at,
    parse_day,
    parse_instant,
    parse_time,
    zone,
)


def test_a_day_is_read_and_written_in_one_form() -> None:
    assert format_day(parse_day("2024-02-29", "run")) == "2024-02-29"


@pytest.mark.parametrize("text", ["2026-W10-3", "2026-063", "20260304", "2026-3-04", "2026-02-29", " 2026-03-04", ""])
def test_any_other_form_of_a_day_is_refused(text: str) -> None:
    """Weeks too, which Python reads and which are as long as a day."""
    with pytest.raises(Invalid, match="run: expected a date"):
        parse_day(text, "run")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-03-04T09:15:00Z", "2026-03-04T09:15:00.000Z"),
        ("2026-03-04 09:15:00.1234567Z", "2026-03-04T09:15:00.123Z"),
        ("2026-03-04T09:15:00+05:30", "2026-03-04T03:45:00.000Z"),
        ("2026-03-04T09:15:00-00:00", "2026-03-04T09:15:00.000Z"),
    ],
)
def test_an_instant_is_read_with_its_zone(text: str, same: str) -> None:
    assert format_instant(parse_instant(text, "timestamp")) == same


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04", "2026-03-04T09:15:00", "2026-03-04T09:15Z", "20260304T091500+0000", "2026-W10-3T00:00:00Z",
        "2026-03-04x09:15:00Z", "2026-03-04T09:15:00,5Z", "2026-03-04T09:15:00+05", "2026-02-30T09:15:00Z",
        "2026-03-04T09:15:60Z", "0001-01-01T00:00:00+24:00", "",
    ],
)  # fmt: skip
def test_any_other_form_of_an_instant_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="timestamp: expected a date-time"):
        parse_instant(text, "timestamp")


def test_the_wall_clock_is_that_of_the_zone() -> None:
    """No zone means UTC."""
    instant = parse_instant("2026-03-04T23:30:00Z", "at")
    assert local_at(instant, None) == instant
    assert day_of(local_at(instant, "Asia/Kathmandu")) == parse_day("2026-03-05", "day")
    assert day_of(local_at(instant, "Pacific/Honolulu")) == parse_day("2026-03-04", "day")


def test_fractions_of_a_second_stay() -> None:
    """Before 1970 too, where they count from the second before."""
    for text in ("2026-03-04T12:00:00.999999Z", "1969-12-31T23:59:59.000001Z"):
        instant = parse_instant(text, "at")
        assert local_at(instant, "Asia/Tokyo") - instant == 9 * HOUR


@pytest.mark.parametrize(
    ("text", "zone_name"), [("0001-01-01T00:00:00Z", "America/New_York"), ("9999-12-31T23:00:00Z", "Asia/Tokyo")]
)
def test_a_wall_clock_outside_the_calendar_is_refused(text: str, zone_name: str) -> None:
    """There is no year 0 and no year 10000."""
    with pytest.raises(Invalid):
        local_at(parse_instant(text, "at"), zone_name)


@pytest.mark.parametrize("name", ["Europe/Madrid", "UTC", "Etc/GMT+12", "Pacific/Apia"])
def test_zones_are_known_by_their_name(name: str) -> None:
    assert zone(name).key == name


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "nul\0", "CET+1", "\ud800"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    """Whatever Python makes of it."""
    with pytest.raises(Invalid, match=r"^tz: "):
        zone(name)


@pytest.mark.parametrize(("text", "seconds"), [("00:00", 0), ("09:30", 34_200), ("23:59:59", 86_399)])
def test_a_time_of_day_is_read(text: str, seconds: int) -> None:
    assert parse_time(text, "startTime") == seconds


@pytest.mark.parametrize(
    "text", ["", "9:30", "24:00", "09:60", "09:30:60", "09-30", "09:30:00:00", "0٣:30", "09:3 ", "-9:30"]
)
def test_any_other_form_of_a_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"^startTime: "):
        parse_time(text, "startTime")


@pytest.mark.parametrize(
    ("text", "tz", "instant"),
    [
        ("2026-03-05", None, "2026-03-05T00:00:00Z"),
        ("2026-03-05", "Asia/Tokyo", "2026-03-04T15:00:00Z"),
        ("2026-03-08", "America/New_York", "2026-03-08T05:00:00Z"),
        ("2026-03-09", "America/New_York", "2026-03-09T04:00:00Z"),
        # At midnight the clock leaps to one, so the day begins at one.
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        # At half past eleven it leaps to half past midnight.
        ("1919-03-31", "America/Toronto", "1919-03-31T04:30:00Z"),
        # At one it goes back to midnight, which then comes twice.
        ("2026-11-01", "America/Havana", "2026-11-01T04:00:00Z"),
        # At midnight it goes back to eleven, so the day waits for another hour.
        ("2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00:00Z"),
        # There was no 30 December 2011: the clock leapt over the date line.
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("9999-12-31", "Pacific/Kiritimati", "9999-12-30T10:00:00Z"),
    ],
)
def test_a_day_begins_when_the_zone_first_shows_it(text: str, tz: str | None, instant: str) -> None:
    assert format_instant(begins_at(parse_day(text, "day"), tz)) == instant.replace("Z", ".000Z")


def test_no_day_begins_behind_the_calendar() -> None:
    last = parse_day("9999-12-31", "day")

    assert begins_at(last + 1, "Asia/Tokyo") == begins_at(last, None) + DAY == begins_at(last + 400, None)


@given(
    st.sampled_from(sorted(zoneinfo.available_timezones() - {"localtime"})),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
)
def test_in_every_zone_a_day_begins_with_the_first_second_that_shows_it(tz: str, first: date) -> None:
    """Clocks that change at midnight and zones that cross the date line included."""
    day = first.toordinal()
    instant = begins_at(day, tz)

    assert day_of(local_at(instant, tz)) >= day
    assert all(day_of(local_at(instant - seconds * SECOND, tz)) < day for seconds in (1, 60, 1_800, 3_600, 30_000))
