"""A leaderboard that is created after its events equals one that was there from the start, to the last rank and day.

Real flights are sent to a server whose clock a test moves, in every way there is: as they happen, late, and as history
that changes runs which are final and days which are over. Aeroplanes change their carriers on the way. Then the same
leaderboards are created once more, while flights go on arriving, and everything that is known of both is compared.

January of some aeroplanes is enough for every kind of board; on a cluster, so are some of the boards, unless `EFFORT`
asks for more. `RETROACTIVE=all` takes the year and all aeroplanes, and about a quarter of an hour.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from zlib import crc32

import pytest

from palmares.cli.batch import Line, batches
from palmares.cli.client import Client
from palmares.cli.demo_story import lines_of
from palmares.cli.settling import settle, shortcomings
from palmares.databases import open_archive
from palmares.demo import flights
from palmares.demo.definitions import AIR_TIME, ATTRIBUTES, CARRIER, FLIGHTS, METRICS, MILES
from palmares.demo.flights import Flight
from tests.acceptance.calls import Caller
from tests.acceptance.conftest import PAIRS_ON_A_CLUSTER
from tests.acceptance.homes import Home, Homes, in_folder
from tests.acceptance.process import ADMIN_KEY
from tests.databases import sqlite_at
from tests.effort import EFFORT
from tests.ledger_world import memory_folder

ALL = os.environ.get("RETROACTIVE") == "all"
SHARE = 1 if ALL else 14
# A Saturday: a week is over three days later.
BEGIN = datetime(2013, 1, 5, 12, tzinfo=UTC)
DAYS = 364 if ALL else 26
# The file begins with January.
ROWS = None if ALL else 27_004
STEP = timedelta(days=28 if ALL else 3)
STEPS_LATE = 3
# Whoever moves the clock waits until what is revised is revised, so history comes in bundles.
STEPS_BETWEEN_HISTORY = 3
# One flight in so many is kept for the time in which boards are made.
KEPT_BACK = 8
FLIGHTS_AT_ONCE = 5
PATIENCE_SECONDS = 1800.0

WEEKS = {"start": "2012-12-31", "runUnit": "day", "runInterval": 7}
MONTHS = {"start": "2013-01-01", "runUnit": "month", "runInterval": 1}
FOR_EVER = {"start": "2013-01-01"}
BY_CARRIER = {"breakdown": [CARRIER]}
REVISED = {"lateEvents": "revise"}

BOARDS: dict[str, dict[str, Any]] = {
    "miles": {"metric": MILES, **FOR_EVER},
    "miles-a-month": {"metric": MILES, **MONTHS},
    "revised-miles-a-month": {"metric": MILES, **MONTHS, **REVISED},
    "flights-a-week": {"metric": FLIGHTS, **WEEKS, **REVISED, "numbering": "dense", "ties": "last"},
    "counted-a-week": {"metric": MILES, **WEEKS, "aggregation": "count", "numbering": "competition"},
    "carriers": {"metric": MILES, **FOR_EVER, **BY_CARRIER},
    "carriers-a-week": {"metric": MILES, **WEEKS, **BY_CARRIER},
    "revised-carriers-a-week": {"metric": MILES, **WEEKS, **BY_CARRIER, **REVISED, "maxParticipants": 3},
    "longest-a-week": {"metric": MILES, **WEEKS, "aggregation": "max", "numbering": "dense"},
    "mornings": {"metric": FLIGHTS, **WEEKS, "startTime": "06:00", "endTime": "11:30", "maxParticipants": 20},
    # Time in the air is never sent as history: where late events are ignored, what is over was never made anew.
    "air-time": {"metric": AIR_TIME, **FOR_EVER, **BY_CARRIER},
    "air-time-a-week": {"metric": AIR_TIME, **WEEKS, **BY_CARRIER, "maxParticipants": 3},
    "shortest-a-month": {"metric": AIR_TIME, **MONTHS, **REVISED, "aggregation": "min", "order": "asc"},
    "shortest-a-week": {"metric": AIR_TIME, **WEEKS, "aggregation": "min", "order": "asc", "numbering": "competition"},
    "last-a-week": {"metric": AIR_TIME, **WEEKS, "aggregation": "last", "startTime": "05:00"},
    "united-a-week": {"metric": AIR_TIME, **WEEKS, "filter": "UA"},
}
# A board that was there from the start, and one that came later.
FIRST, LATER = "first-{}", "later-{}"

Row = tuple[int, str, float]
Place = tuple[str, int, int]


# What is sent, and when


@dataclass
class Parcel:
    """Flights that are sent as they are, and flights that are sent as history."""

    plain: list[Flight] = field(default_factory=list)
    history: list[Flight] = field(default_factory=list)

    def parts(self, number: int) -> list["Parcel"]:
        """The parcel in so many parts."""
        return [Parcel(self.plain[at::number], self.history[at::number]) for at in range(number)]


def chosen() -> list[Flight]:
    """The flights of the share, in the order of departure."""
    past = BEGIN + timedelta(days=DAYS)
    departed = [flight for flight in flights.read(ROWS).departed if flight.departed_at < past]
    return [flight for flight in departed if crc32(flight.tail_number.encode()) % SHARE == 0]


def parcels(departed: Iterable[Flight]) -> tuple[list[Parcel], Parcel]:
    """What is sent at each step of the clock, in no order, and what is kept back. One flight in four comes late."""
    steps = [Parcel() for _ in range(timedelta(days=DAYS) // STEP + STEPS_LATE + STEPS_BETWEEN_HISTORY + 2)]
    kept_back = Parcel()
    for number, flight in sorted((crc32(b"%d" % flight.line), flight) for flight in departed):
        kind, chance = divmod(number, KEPT_BACK)
        step = max(flight.departed_at - BEGIN, timedelta()) // STEP + 1 + STEPS_LATE * (kind % 4 == 0)
        if kind // 4 % 2:
            (steps[step + -step % STEPS_BETWEEN_HISTORY] if chance else kept_back).history.append(flight)
        else:
            (steps[step] if chance else kept_back).plain.append(flight)
    return steps, kept_back


class Airport:
    """Sends flights to a server, moves its clock, and lets aeroplanes change their carriers."""

    def __init__(self, address: str, caller: Caller, departed: Sequence[Flight]) -> None:
        self.client = Client(address, ADMIN_KEY)
        self.caller = caller
        self.carriers = sorted({flight.carrier for flight in departed})
        self.now = BEGIN
        self.batches_sent = 0
        self._tail_numbers = sorted({flight.tail_number for flight in departed})

    def send(self, parcel: Parcel) -> None:
        """Send all of it; of what is history, the time in the air is sent as if it were not."""
        self._send("", (line for flight in parcel.plain for line in lines_of(flight)))
        self._send("?history=true", (line for flight in parcel.history for line in [*lines_of(flight)][:2]))
        self._send("", (line for flight in parcel.history for line in [*lines_of(flight)][2:]))

    def _send(self, query: str, lines: Iterable[Line]) -> None:
        for batch in batches(lines):
            body = b"[" + b",".join(line.item for line in batch) + b"]"
            reply = self.client.call("POST", f"/admin/v1/metrics/events{query}", body)
            assert reply.status == 202, reply.body
            self.batches_sent += 1

    def move_on(self, step: timedelta) -> None:
        """Time passes, and some aeroplanes get another carrier, or none; who has sent nothing yet is unknown."""
        if ALL:
            # Moving the clock would wait too, but so long that the connection would be given up.
            settle(self.client, PATIENCE_SECONDS, lambda works: None)
        self.now += step
        self.caller.move_clock(self.now)
        for tail_number in self._tail_numbers:
            chance = crc32(f"{tail_number} {self.now}".encode())
            if chance % 6 == 0:
                carrier = [*self.carriers, None][chance // 6 % (len(self.carriers) + 1)]
                answer = self.caller.send("PATCH", f"/v1/users/{tail_number}", {"attributes": {CARRIER: carrier}})
                assert answer.status_code in (200, 404), answer.text

    def go_on(self, parcel: Parcel, moves_on: bool) -> None:
        """Flights arrive few by few, and in the middle of them midnight or noon may pass."""
        small = parcel.parts(1 + max(len(parcel.plain), len(parcel.history)) // FLIGHTS_AT_ONCE)
        for one in small[::2]:
            self.send(one)
        if moves_on:
            self.move_on(timedelta(hours=13))
        for one in small[1::2]:
            self.send(one)


def tell_the_story(airport: Airport, departed: Sequence[Flight], boards: Sequence[str]) -> int:
    """From no board at all to two of each kind. Returns how many batches arrived while the later ones were made."""
    subjects = define_subjects(airport.caller)
    for key in boards:
        define_board(airport.caller, subjects, FIRST, key)
    steps, kept_back = parcels(departed)
    for parcel in steps:
        airport.send(parcel)
        airport.move_on(STEP)
    meanwhile = 0
    with ThreadPoolExecutor(1) as thread:
        for place, (key, parcel) in enumerate(zip(boards, kept_back.parts(len(boards)), strict=True)):
            before = airport.batches_sent
            going_on = thread.submit(airport.go_on, parcel, moves_on=place % 8 == 3)
            define_board(airport.caller, subjects, LATER, key)
            meanwhile += airport.batches_sent - before
            going_on.result()
    assert shortcomings(settle(airport.client, PATIENCE_SECONDS, lambda works: None)) == []
    return meanwhile


def define_subjects(caller: Caller) -> dict[str, str]:
    """The ids of attributes and metrics by their keys."""
    attributes = {one["key"]: caller.define_attribute(one["key"], one["type"]) for one in ATTRIBUTES}
    return attributes | {one["key"]: caller.define_metric(one["key"]) for one in METRICS}


def define_board(caller: Caller, subjects: dict[str, str], naming: str, key: str) -> None:
    fields = {name: value for name, value in BOARDS[key].items() if name not in ("metric", "breakdown", "filter")}
    fields |= {"key": naming.format(key), "name": key, "status": "active", "rankBy": "metric"}
    fields["metricId"] = subjects[BOARDS[key]["metric"]]
    fields["breakdownAttributes"] = [subjects[attribute] for attribute in BOARDS[key].get("breakdown", [])]
    if "filter" in BOARDS[key]:
        fields["userAttributes"] = [{"attributeId": subjects[CARRIER], "attributeValue": BOARDS[key]["filter"]}]
    answer = caller.send("POST", "/admin/v1/leaderboards", [fields])
    # One that takes long to make comes with a warning.
    assert answer.status_code == 201, answer.text


# What is told in the end


@dataclass
class Told:
    """All that a server tells of one board. A run is known by its first day, a group by its carrier."""

    pages: dict[tuple[str, str | None], list[Row]] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    histories: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)


def all_told(caller: Caller, board: str, carriers: Sequence[str], today: date) -> Told:
    """Every page of every run and group, and the histories of the winners."""
    told = Told()
    settings = BOARDS[board.partition("-")[2]]
    day = date.fromisoformat(settings["start"])
    while day <= today:
        for carrier in carriers if "breakdown" in settings else [None]:
            group = {} if carrier is None else {"userAttributes": f"{CARRIER}:{carrier}"}
            run = read_run(caller, told, board, day, group, carrier)
        if run["runEnd"] is None:
            break
        day = date.fromisoformat(run["runEnd"]) + timedelta(days=1)
    return told


def read_run(
    caller: Caller, told: Told, board: str, day: date, group: dict[str, str], carrier: str | None
) -> dict[str, Any]:
    """Read one group of one run; returns the last page."""
    rows: list[Row] = []
    for offset in count(0, 1000):
        page: dict[str, Any] = caller.get(f"/v1/leaderboards/{board}", run=day, limit=1000, offset=offset, **group)
        rows += [(row["rank"], row["userId"], row["exactValue"]) for row in page["rankings"]]
        if len(rows) == page["totalParticipants"]:
            break
    run = page["runStart"]
    told.pages[run, carrier] = rows
    if "revision" in page:
        told.ignored[run], told.revisions[run] = page["ignoredLateEvents"], page["revision"]
    for _, user, _ in rows[:1]:
        standing = caller.get(f"/v1/users/{user}/leaderboards/{board}", run=day, numEvents=100)
        told.histories[run, user] = standing["history"]
    return page


class Kept:
    """What is kept of the boards of a server that was stopped."""

    def __init__(self, home: Home) -> None:
        catalog = home.database or sqlite_at(home.data / "catalog.sqlite3")
        self._numbers = dict(catalog.execute("SELECT key, number FROM boards"))
        self._archive = open_archive(home.data, None if home.database is None else home.database.url)

    def ends(self, board: str) -> dict[tuple[int, str], list[tuple[int, int, int]]]:
        """Every row of every final run and group: user, value, when it was reached."""
        number, found = self._numbers[board], {}
        for run in self._archive.final_runs(number):
            final = self._archive.final_run(number, run)
            assert final is not None
            for group, size in final.sizes.items():
                order = self._archive.order(
                    number, run, group, descending=True, later_first=False, id_of=lambda user: b""
                )
                found[run, "/".join(group)] = order.page(0, size)
        return found

    def days(self, board: str, runs: Iterable[int]) -> dict[tuple[int, int], dict[int, Place]]:
        """Everybody's group, rank and value on each day of these runs, by first day of the run and day."""
        number, found = self._numbers[board], {}
        for run in runs:
            for day, _, _ in self._archive.history(number, run, 0, 0, date.max.toordinal()):
                kept = self._archive.day(number, run, day)
                assert kept is not None
                names, (users, groups, ranks, values) = kept
                places = zip(["/".join(names[group]) for group in groups], ranks, values, strict=True)
                found[run, day] = dict(zip(users, places, strict=True))
        return found

    def close(self) -> None:
        self._archive.close()


@dataclass
class Evidence:
    """What both boards of each pair told while the server ran, and what they left behind."""

    boards: Sequence[str]
    told: dict[str, Told]
    kept: Kept
    batches_meanwhile: int


@pytest.fixture(scope="module")
def evidence(homes: Homes) -> Iterator[Evidence]:
    """The story from beginning to end."""
    departed = chosen()
    boards = [key for key in BOARDS if homes is in_folder or EFFORT > 1 or key in PAIRS_ON_A_CLUSTER]
    clock = BEGIN.isoformat().replace("+00:00", "Z")
    with memory_folder() as folder, homes(folder) as home, home.serve("--test-clock", clock) as process:
        with Caller(process.address, ADMIN_KEY) as caller:
            airport = Airport(process.address, caller, departed)
            meanwhile = tell_the_story(airport, departed, boards)
            names = [naming.format(key) for key in boards for naming in (FIRST, LATER)]
            told = {name: all_told(caller, name, airport.carriers, airport.now.date()) for name in names}
            airport.client.close()
        assert process.stop() == 0
        with closing(Kept(home)) as kept:
            yield Evidence(boards, told, kept, meanwhile)


# The promise

each_pair = pytest.mark.parametrize("pair", BOARDS)


@each_pair
def test_every_rank_of_every_run_and_group_is_the_same(evidence: Evidence, pair: str) -> None:
    """Live runs and final ones, with what was ignored in them; the histories of the winners."""
    first, later = evidence.told[FIRST.format(pair)], evidence.told[LATER.format(pair)]

    assert sum(map(len, first.pages.values())) > 50
    assert first.pages == later.pages
    assert first.ignored == later.ignored
    assert first.histories == later.histories


@each_pair
def test_every_row_of_every_final_run_is_the_same(evidence: Evidence, pair: str) -> None:
    """With the instant at which each value was reached, and who is in which group."""
    first, later = (evidence.kept.ends(naming.format(pair)) for naming in (FIRST, LATER))

    assert first == later
    assert bool(first) == ("runUnit" in BOARDS[pair])


@each_pair
def test_every_day_of_everybodys_history_is_the_same(evidence: Evidence, pair: str) -> None:
    """Group, rank and value at the end of each day that is kept."""
    runs = {date.fromisoformat(run).toordinal() for run, _ in evidence.told[FIRST.format(pair)].pages}
    first, later = (evidence.kept.days(naming.format(pair), runs) for naming in (FIRST, LATER))

    assert len(first) > 20
    assert first == later


def test_events_arrived_while_boards_were_made(evidence: Evidence) -> None:
    """Otherwise little of this would be shown."""
    assert evidence.batches_meanwhile > len(evidence.boards)


def test_final_runs_were_revised_and_late_events_were_ignored(evidence: Evidence) -> None:
    """By history everywhere; by late events where the board wants that, and else they were left out."""
    for key in evidence.boards:
        settings, told = BOARDS[key], evidence.told[FIRST.format(key)]
        if "runUnit" in settings:
            ignores = "lateEvents" not in settings
            assert any(told.ignored.values()) == ignores, key
            assert any(told.revisions.values()) == (settings["metric"] != AIR_TIME or not ignores), key


def test_aeroplanes_were_in_other_groups_in_other_runs(evidence: Evidence) -> None:
    """Final runs have the groups of their own time."""
    groups: dict[int, set[str]] = {}
    for (_, group), rows in evidence.kept.ends(LATER.format("carriers-a-week")).items():
        for user, _, _ in rows:
            groups.setdefault(user, set()).add(group)

    assert sum(len(found) > 1 for found in groups.values()) > 10
