"""The forms in which days and instants are read."""

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.local_time import format_day, format_instant, parse_day, parse_instant


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
