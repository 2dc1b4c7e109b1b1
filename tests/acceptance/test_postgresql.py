"""The real process with its catalog, archive and outbox in a real PostgreSQL, which is also away for a while."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from palmares.cli import main
from palmares.config import load
from palmares.server import Server
from palmares.sql.claim import DatabaseInUse
from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.process import Process
from tests.databases import Place, Postgres

BEGINS = datetime(2026, 3, 2, 9, tzinfo=UTC)
# A minute before the first run, of two days, is over everywhere, and when it is.
NEARLY_FINAL = datetime(2026, 3, 4, 11, 59, tzinfo=UTC)
LATER = NEARLY_FINAL + timedelta(hours=1)

Call = Callable[[Process], Caller]


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Place]:
    """A database of the test's own."""
    with postgres.database() as place:
        yield place


def serve(start: Start, database: Place, now: datetime) -> Process:
    return start("--test-clock", now.isoformat(), PALMARES_DATABASE_URL=database.url)


def palmares(*arguments: str, database: Place) -> Result:
    """Run a command beside the server; in this process, which is quicker."""
    return CliRunner(env={"PALMARES_DATABASE_URL": database.url}).invoke(main, arguments)


def define_board(caller: Caller) -> None:
    caller.define_board("laps", caller.define_metric("laps"), start="2026-03-02", runUnit="day", runInterval=2)


def past(caller: Caller) -> Any:
    """The final run, and a user's days of it."""
    page = caller.get("/v1/leaderboards/laps", run="2026-03-02")
    user = caller.get("/v1/users/ann/leaderboards/laps", run="2026-03-02", numEvents=100)
    return page["rankings"], user["history"]


def test_all_is_there_after_a_restart(start: Start, call: Call, database: Place) -> None:
    """What was defined and recorded, the final run, the ends of days, keys; the folder has the events only."""
    process = serve(start, database, BEGINS)
    caller = call(process)
    define_board(caller)
    for user, value in (("ann", 5), ("bob", 7)):
        assert caller.event("laps", user, value).status_code == 201
    caller.move_clock(BEGINS + timedelta(days=1))
    assert caller.event("laps", "ann", 4).json()["leaderboards"]["laps"]["rank"] == 1
    caller.move_clock(LATER)
    caller.event("laps", "bob", 1)
    before = past(caller)
    another = load({"PALMARES_DATABASE_URL": database.url}, data=process.data.with_name("another"))
    with pytest.raises(DatabaseInUse):
        anyio.run(Server.open, another)
    key = palmares("keys", "create", database=database)
    assert palmares("webhooks", "list", database=database).exit_code == 0
    process.stop()

    again = serve(start, database, LATER)
    with Caller(again.address, key.stdout.strip()) as caller:
        rows, history = before
        assert [(row["rank"], row["userId"], row["exactValue"]) for row in rows] == [(1, "ann", 9), (2, "bob", 7)]
        assert {day["rank"] for day in history} >= {1, 2}
        assert past(caller) == before
        assert (caller.page("laps"), caller.total("bob", "laps")) == ([(1, "bob", 1)], 8)
        # Commands find the catalog by the same setting, and the server follows: asking is the waiting.
        assert palmares("keys", "revoke", key.stdout[:8], database=database).exit_code == 0
        assert any(caller.send("GET", "/v1/leaderboards").status_code == 401 for _ in range(100_000))
    kept = {file.name for file in process.data.iterdir()}
    assert not kept & {"catalog.sqlite3", "archive.sqlite3", "outbox.sqlite3"}
    assert database.execute("SELECT count(*) FROM final_runs") == [(1,)]


def test_while_the_database_is_away_events_are_recorded_and_nothing_is_lost(
    start: Start, call: Call, database: Place, postgres: Postgres
) -> None:
    """What needs the database says so with 503 and when to try again; it all heals by itself."""
    process = serve(start, database, BEGINS)
    caller = call(process)
    define_board(caller)
    caller.event("laps", "ann", 5)
    caller.move_clock(NEARLY_FINAL)

    with postgres.away():
        assert caller.event("laps", "bob", 7, tz="Etc/GMT+12").json()["leaderboards"]["laps"]["rank"] == 1
        assert caller.page("laps", run="2026-03-02") == [(1, "bob", 7), (2, "ann", 5)]
        refused = [
            caller.send("POST", "/admin/v1/metrics", [{"name": "Miles", "key": "miles"}]),
            # The run ends, and cannot be written into the archive.
            caller.send("PUT", "/admin/v1/test-clock", {"now": LATER.isoformat()}),
            caller.send("GET", "/v1/users/ann/leaderboards/laps?run=2026-03-02"),
        ]
        assert caller.event("laps", "ann", 2).json()["leaderboards"]["laps"]["rank"] == 1
        listed = palmares("keys", "list", database=database)
    assert [(answer.status_code, int(answer.headers["Retry-After"]) > 0) for answer in refused] == [(503, True)] * 3
    assert listed.exit_code == 1
    assert listed.output.startswith("Error: the catalog's database does not work at present; nothing was stored (conn")

    caller.move_clock(LATER)
    caller.define_metric("miles")
    # The server looks once a second whether the database is back: asking is the waiting.
    final_run = "/v1/leaderboards/laps?run=2026-03-02"
    assert any(caller.send("GET", final_run).status_code == 200 for _ in range(100_000))
    assert [(row["userId"], row["exactValue"]) for row in past(caller)[0]] == [("bob", 7), ("ann", 5)]
    assert (caller.page("laps"), caller.total("ann", "laps")) == ([(1, "ann", 2)], 7)
    with postgres.away():
        caller.event("laps", "bob", 1)
        assert process.stop() == 0
    again = call(serve(start, database, LATER))
    assert [(row["userId"], row["exactValue"]) for row in past(again)[0]] == [("bob", 7), ("ann", 5)]
    assert again.page("laps") == [(1, "ann", 2), (2, "bob", 1)]
