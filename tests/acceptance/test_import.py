"""`palmares import` into a real server: counted once, bad lines named, nothing else lost."""

import csv
import gzip
import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process, command, environment, run

Import = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def importing(server: Process, tmp_path: Path) -> Import:
    """Write a file and import it."""

    def importing(content: str | bytes, *options: str, name: str = "events.csv") -> "subprocess.CompletedProcess[str]":
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return run("import", str(file), *options, PALMARES_URL=server.address, PALMARES_ADMIN_KEY=ADMIN_KEY)

    return importing


def lines(metric: str, users: Iterable[int]) -> str:
    """A CSV file in which user n earns n, on a day of its own."""
    rows = (f"{metric},{metric}-{user},{user},2026-01-{user % 28 + 1:02d}T12:00:00Z\n" for user in users)
    return "metric,userId,value,timestamp\n" + "".join(rows)


def test_a_csv_file_is_counted_with_users_attributes_and_times(caller: Caller, importing: Import) -> None:
    """Every kind of column reaches its place."""
    metric = caller.define_metric("csv-laps")
    caller.define_attribute("csv-pool")
    caller.define_attribute("csv-lane", "event")
    caller.define_board("csv-monthly", metric, runUnit="month", runInterval=1)

    done = importing(
        "metric,userId,value,timestamp,userName,tz,attributes.csv-pool,eventAttributes.csv-lane\n"
        "csv-laps,csv-7,12.5,2026-01-31T23:30:00Z,Noor Haddad,Asia/Tokyo,east,3\n",
        "--history",
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 events accepted, 0 lines rejected\n"
    user = caller.get("/v1/users/csv-7")
    assert (user["name"], user["tz"], user["attributes"]) == ("Noor Haddad", "Asia/Tokyo", {"csv-pool": "east"})
    # In Tokyo it was February already.
    assert caller.page("csv-monthly", run="2026-02-01") == [(1, "csv-7", 12.5)]


def test_json_lines_are_counted_from_standard_input(server: Process, caller: Caller) -> None:
    """Items as the batch route takes them, one a line."""
    caller.define_metric("json-laps")
    items = [{"key": "json-laps", "user": {"id": "json-7"}, "value": value} for value in (1, 2, 0.5)]

    done = subprocess.run(
        command("import", "-", "--url", server.address, "--key", ADMIN_KEY), env=environment(), check=False,
        input="".join(json.dumps(item) + "\n" for item in items), capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert caller.total("json-7", "json-laps") == 3.5


def test_a_file_that_is_imported_again_counts_nothing_twice(caller: Caller, importing: Import) -> None:
    """Compressed or not: it is the same content."""
    metric = caller.define_metric("again-laps")
    caller.define_board("again", metric)
    content = lines("again-laps", range(1, 2501))

    first = importing(content)
    ranking = caller.page("again", limit=1000)
    second = importing(gzip.compress(content.encode()), name="events.csv.gz")

    assert first.stdout == second.stdout == "2,500 events accepted, 0 lines rejected\n"
    assert ranking[0] == (1, "again-laps-2500", 2500)
    assert caller.page("again", limit=1000) == ranking


def test_an_import_that_was_cut_off_is_finished_by_running_it_again(caller: Caller, importing: Import) -> None:
    """The beginning of a file, given the file's identity, and then the file: every line counts once."""
    caller.define_metric("cut-laps")
    content = lines("cut-laps", range(1, 301))

    importing(content[: len(content) // 2], "--identity", "cut", "--rejected", "/dev/null")
    done = importing(content, "--identity", "cut")

    assert done.returncode == 0
    totals = [caller.total(f"cut-laps-{user}", "cut-laps") for user in range(1, 301)]
    assert totals == [float(user) for user in range(1, 301)]


def test_only_bad_lines_are_rejected_and_each_is_named_with_its_reason(
    caller: Caller, importing: Import, tmp_path: Path
) -> None:
    """Those that the server refuses and those that hold no event, out of a file of three batches."""
    metric = caller.define_metric("bad-laps")
    caller.define_board("bad", metric)
    rows = lines("bad-laps", range(2, 2502)).splitlines()
    rows[99] = "no-such-metric,bad-laps-100,1,2026-01-01T12:00:00Z"
    rows[1499] = "bad-laps,bad-laps-1500,many,2026-01-01T12:00:00Z"
    rows[1500] = "bad-laps,bad-laps-1501,1,yesterday"
    rows[2000] = "bad-laps,bad-laps-2001,1,2999-01-01T00:00:00Z"

    done = importing("\n".join(rows), "--rejected", str(tmp_path / "rejected.csv"))

    assert done.returncode == 1
    with (tmp_path / "rejected.csv").open(newline="") as file:
        rejected = {int(row["line"]): row["reason"] for row in csv.DictReader(file)}
    assert list(rejected) == [100, 1500, 1501, 2001]
    assert [reason.partition(":")[0] for reason in rejected.values()] == [
        "metric 'no-such-metric' was not found",
        "value",
        "timestamp",
        "timestamp",
    ]
    for line, reason in rejected.items():
        assert f"line {line}: {reason}\n" in done.stdout
    assert "2,496 events accepted, 4 lines rejected" in done.stdout
    assert caller.get("/v1/leaderboards/bad")["totalParticipants"] == 2496


def test_corrected_lines_alone_are_counted_when_the_file_keeps_its_identity(caller: Caller, importing: Import) -> None:
    """As the report says: correct in place, import again with the identity that it names."""
    caller.define_metric("fix-laps")
    first = importing("metric,userId,value\nfix-laps,fix-7,1\nfix-laps,fix-7,two\n")
    identity = first.stdout.rpartition("--identity ")[2].strip()

    second = importing("metric,userId,value\nfix-laps,fix-7,1\nfix-laps,fix-7,2\n", "--identity", identity)

    assert (first.returncode, second.returncode) == (1, 0)
    assert caller.total("fix-7", "fix-laps") == 3


def test_events_of_a_user_are_counted_in_the_order_of_the_file(caller: Caller, importing: Import) -> None:
    """The last one is the present value, also when other lines of its batch were rejected."""
    metric = caller.define_metric("last-laps")
    caller.define_board("last", metric, aggregation="last")
    rows = [f"last-laps,last-7,{value}" for value in range(1500)]
    rows[10] = rows[700] = "last-laps,,1"

    importing("metric,userId,value\n" + "\n".join(rows) + "\n")

    assert caller.page("last") == [(1, "last-7", 1499)]


def test_history_changes_final_runs_and_days_that_are_over(caller: Caller, importing: Import) -> None:
    """Without the option, the same lines are late: the run stays as it is, and says how many were left out."""
    metric = caller.define_metric("past-laps")
    caller.define_board("past", metric, runUnit="month", runInterval=1)
    rows = (
        "metric,userId,value,timestamp\n"
        "past-laps,past-7,10,2026-01-05T12:00:00Z\n"
        "past-laps,past-8,9,2026-01-07T12:00:00Z\n"
    )

    late = importing(rows)
    before = caller.get("/v1/leaderboards/past", run="2026-01-01")
    done = importing(rows, "--history", "--identity", "once-more")
    after = caller.get("/v1/leaderboards/past", run="2026-01-01")

    assert late.stdout == done.stdout == "2 events accepted, 0 lines rejected\n"
    assert (late.returncode, done.returncode) == (0, 0)
    assert (before["rankings"], before["revision"], before["ignoredLateEvents"]) == ([], 0, 2)
    assert caller.page("past", run="2026-01-01") == [(1, "past-7", 10), (2, "past-8", 9)]
    assert (after["revision"], after["ignoredLateEvents"]) == (1, 2)
    history = caller.get("/v1/users/past-8/leaderboards/past", run="2026-01-01", numEvents=100)["history"]
    assert [(day["date"], day["rank"]) for day in history[:2]] == [("2026-01-07", 2), ("2026-01-08", 2)]
    assert history[-1]["date"] == "2026-02-01"


def test_a_leaderboard_made_later_has_history_in_its_past_runs(caller: Caller, importing: Import) -> None:
    """What was sent as of now is late there too, and is in the totals only."""
    metric = caller.define_metric("early-laps")

    importing("metric,userId,value,timestamp\nearly-laps,early-7,3,2026-01-05T12:00:00Z\n", "--history")
    importing("metric,userId,value,timestamp\nearly-laps,early-8,4,2026-01-05T12:00:00Z\n")
    caller.define_board("early", metric, runUnit="month", runInterval=1)

    assert caller.page("early", run="2026-01-31") == [(1, "early-7", 3)]
    assert caller.total("early-8", "early-laps") == 4


def test_a_wrong_key_sends_nothing(server: Process, tmp_path: Path) -> None:
    """Exit code 2, and one sentence."""
    file = tmp_path / "events.csv"
    file.write_text(lines("laps", [1]))

    done = run("import", str(file), "--url", server.address, "--key", "wrongkey.secretOfNobody")

    assert done.returncode == 2
    assert done.stderr.startswith("palmares import: the server answers 401: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """Exit code 2, and no minute of trying."""
    file = tmp_path / "events.csv"
    file.write_text(lines("laps", [1]))

    done = run("import", str(file), "--url", "http://127.0.0.1:1", "--key", ADMIN_KEY)

    assert done.returncode == 2
    assert "the server does not answer" in done.stderr


def test_a_missing_file_sends_nothing(server: Process, tmp_path: Path) -> None:
    """Exit code 2, and one sentence."""
    done = run("import", str(tmp_path / "none.csv"), "--url", server.address, "--key", ADMIN_KEY)

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "No such file" in done.stderr
