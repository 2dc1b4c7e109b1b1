"""Runs by example."""

from datetime import date

import pytest

from palmares.domain.local_time import parse_day, parse_instant
from palmares.domain.run import Run, RunUnit, Schedule, closes_at, opens_at


def day(text: str) -> int:
    return parse_day(text, "day")


@pytest.mark.parametrize(
    ("start", "unit", "interval", "on", "first", "last"),
    [
        ("2026-03-02", "day", 7, "2026-03-08", "2026-03-02", "2026-03-08"),
        ("2026-03-02", "day", 7, "2026-03-09", "2026-03-09", "2026-03-15"),
        ("2026-01-31", "month", 1, "2026-02-27", "2026-01-31", "2026-02-27"),
        ("2026-01-31", "month", 1, "2026-02-28", "2026-02-28", "2026-03-30"),
        ("2026-01-31", "month", 1, "2026-03-31", "2026-03-31", "2026-04-29"),
        ("2024-01-31", "month", 1, "2024-02-29", "2024-02-29", "2024-03-30"),
        ("2026-01-15", "month", 3, "2026-12-31", "2026-10-15", "2027-01-14"),
        ("2024-02-29", "year", 1, "2025-02-28", "2025-02-28", "2026-02-27"),
        ("2024-02-29", "year", 4, "2028-02-29", "2028-02-29", "2032-02-28"),
        ("2025-12-31", "day", 1, "2026-01-01", "2026-01-01", "2026-01-01"),
    ],
)
def test_the_run_of_a_day(start: str, unit: RunUnit, interval: int, on: str, first: str, last: str) -> None:
    """Months and years from the first day of the board, clamped to the month."""
    assert Schedule(day(start), None, unit, interval).run_at(day(on)) == Run(day(first), day(last))


def test_a_board_without_unit_has_one_run() -> None:
    """From its first to its last day, or for ever."""
    assert Schedule(day("2026-03-02")).run_at(day("2126-01-01")) == Run(day("2026-03-02"), None)
    ending = Schedule(day("2026-03-02"), day("2026-03-20"))
    assert ending.run_at(day("2026-03-20")) == ending.last_run() == Run(day("2026-03-02"), day("2026-03-20"))


def test_the_last_run_is_cut_at_the_end() -> None:
    """Which is included."""
    weekly = Schedule(day("2026-03-02"), day("2026-03-10"), "day", 7)
    assert weekly.last_run() == Run(day("2026-03-09"), day("2026-03-10"))
    assert weekly.run_at(day("2026-03-11")) is None


def test_there_is_no_run_outside_the_board() -> None:
    """Neither before the first day nor after the last."""
    schedule = Schedule(day("2026-03-02"), day("2026-03-10"), "month", 1)
    assert schedule.run_at(day("2026-03-01")) is None
    assert schedule.run_at(day("2026-03-11")) is None


@pytest.mark.parametrize("unit", ["day", "month", "year"])
def test_an_interval_longer_than_the_calendar_leaves_one_open_run(unit: RunUnit) -> None:
    """It would end after the last date that there is."""
    schedule = Schedule(day("2026-03-02"), None, unit, 2**31 - 1)
    assert schedule.run_at(date.max.toordinal()) == Run(day("2026-03-02"), None)


def test_a_day_is_live_from_the_earliest_zone_to_the_latest() -> None:
    """UTC+14 to UTC-12: fifty hours."""
    assert opens_at(day("2026-03-04")) == parse_instant("2026-03-03T10:00:00Z", "at")
    assert closes_at(day("2026-03-04")) == parse_instant("2026-03-05T12:00:00Z", "at")
