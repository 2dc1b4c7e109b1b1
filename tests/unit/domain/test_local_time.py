"""The forms in which days and instants are read."""

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.local_time import (
    HOUR,
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
