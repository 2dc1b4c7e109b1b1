"""A server that was away while runs ended, or died while it caught up, ends up like one that never was.

Two servers on test clocks live through the same: the steady one all the time, the other with an outage. What they show
is compared word by word.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.arithmetic import ONE_DAY
from tests.acceptance.calls import Caller
from tests.acceptance.forked import Forked
from tests.acceptance.process import ADMIN_KEY, Process

BEGINS = datetime(2026, 2, 26, tzinfo=UTC)
# An hour before a day, a week and a month are over everywhere.
BREAKS = datetime(2026, 3, 1, 11, tzinfo=UTC)
THREE_DAYS_LATER = datetime(2026, 3, 4, 13, 30, tzinfo=UTC)
A_MONTH_LATER = datetime(2026, 4, 2, 13, 30, tzinfo=UTC)
ZONES = {
    "kiri": "Pacific/Kiritimati", "bert": "Europe/Berlin", "hoku": "Pacific/Honolulu", "gus": "Etc/GMT+12",
}  # fmt: skip
CLUBS = ["north", "south"]
BOARDS: dict[str, dict[str, Any]] = {
    "daily": {"start": "2026-02-26", "runUnit": "day", "runInterval": 1},
    # Its first week is over when the outage begins.
    "weekly": {"start": "2026-02-22", "runUnit": "day", "runInterval": 7, "breakdownAttributes": ["club"]},
    "revised": {"start": "2026-02-22", "runUnit": "day", "runInterval": 7, "lateEvents": "revise"},
    "monthly": {"start": "2026-02-01", "runUnit": "month", "runInterval": 1},
    "ends": {"start": "2026-02-20", "end": "2026-03-02"},
    "begins": {"start": "2026-03-03", "runUnit": "day", "runInterval": 1},
}


def define(caller: Caller) -> None:
    """The same boards on every server."""
    club, laps = caller.define_attribute("club"), caller.define_metric("laps")
    items = [{"name": key, "key": key, "rankBy": "metric", "metricId": laps, "status": "active"} for key in BOARDS]
    for item, fields in zip(items, BOARDS.values(), strict=True):
        item |= fields | ({"breakdownAttributes": [club]} if "breakdownAttributes" in fields else {})
    assert len(caller.send("POST", "/admin/v1/leaderboards", items).json()["created"]) == len(BOARDS)


def live(caller: Caller, moment: datetime, late: timedelta = ONE_DAY) -> list[Any]:
    """Everybody does something, some of it late; what the server answers, but for its own ids."""
    answers = []
    for place, (user, zone) in enumerate(ZONES.items()):
        club = CLUBS[(place + moment.day) % 3 % 2]
        answer = caller.event("laps", user, place + moment.hour % 5, tz=zone, attributes={"club": club})
        answers.append((answer.status_code, without_ids(answer.json())))
    happened = (moment - late).isoformat().replace("+00:00", "Z")
    batch = [{"key": "laps", "user": {"id": user}, "value": 3, "timestamp": happened} for user in ZONES]
    answers.append((202, caller.batch(batch).json()))
    return answers


def live_until_it_breaks(caller: Caller) -> None:
    """Define and live through the days before the outage."""
    define(caller)
    moment = BEGINS
    while moment < BREAKS:
        moment += timedelta(hours=7)
        caller.move_clock(min(moment, BREAKS))
        live(caller, moment)


def without_ids(body: Any) -> Any:
    """The same without what a server makes up."""
    if isinstance(body, dict):
        return {name: without_ids(part) for name, part in body.items() if name not in ("id", "eventId", "metricId")}
    return [without_ids(part) for part in body] if isinstance(body, list) else body


def everything(caller: Caller, last_day: date) -> dict[str, Any]:
    """All that can be read of the boards, run by run, and of the users."""
    shown: dict[str, Any] = {
        "now": caller.get("/admin/v1/test-clock"),
        "listed": without_ids(caller.get("/v1/leaderboards")),
        "boards": without_ids(caller.get("/v1/leaderboards", includeFinished="true")),
        "users": [caller.get(f"/v1/users/{user}") for user in ZONES],
        "totals": [caller.total(user, "laps") for user in ZONES],
    }
    for key in BOARDS:
        for run in runs(caller, key, last_day):
            shown[f"{key} {run}"] = list(of_run(caller, key, run))
    return shown


def runs(caller: Caller, key: str, last_day: date) -> Iterator[str]:
    """The first days of the runs of a board."""
    day, seen = date(2026, 2, 26), set()
    while day <= last_day:
        answer = caller.send("GET", f"/v1/users/bert/leaderboards/{key}?run={day}")
        first = answer.json().get("runStart")
        if first is not None and first not in seen:
            seen.add(first)
            yield first
        day += ONE_DAY


def of_run(caller: Caller, key: str, run: str) -> Iterator[Any]:
    """The rankings of a run, and where each user stood day by day."""
    clubs = [{"userAttributes": f"club:{club}"} for club in CLUBS] if key == "weekly" else [{}]
    for group in clubs:
        yield without_ids(caller.get(f"/v1/leaderboards/{key}", run=run, limit=100, **group))
    for user in ZONES:
        yield without_ids(caller.get(f"/v1/users/{user}/leaderboards/{key}", run=run, numEvents=100))


@contextmanager
def steady_server(data: Path) -> Iterator[Caller]:
    """A server that has come to the moment before the outage, and stays up."""
    with Process(data, "--test-clock", BEGINS.isoformat()) as steady, Caller(steady.address, ADMIN_KEY) as caller:
        live_until_it_breaks(caller)
        yield caller


@pytest.mark.parametrize("end", [Process.stop, Process.kill], ids=["SIGTERM", "kill -9"])
def test_after_three_days_of_outage_all_is_as_if_the_server_had_been_up(
    tmp_path: Path, end: Callable[[Process], Any]
) -> None:
    """Runs are final, boards ended and began, days are in the histories; and it goes on the same."""
    data = tmp_path / "broken"
    with steady_server(tmp_path / "steady") as steady:
        with Process(data, "--test-clock", BEGINS.isoformat()) as broken, Caller(broken.address, ADMIN_KEY) as caller:
            live_until_it_breaks(caller)
            assert everything(caller, BREAKS.date()) == everything(steady, BREAKS.date())
            end(broken)
        steady.move_clock(THREE_DAYS_LATER)
        with (
            Process(data, "--test-clock", THREE_DAYS_LATER.isoformat()) as broken,
            Caller(broken.address, ADMIN_KEY) as caller,
        ):
            shown = everything(caller, THREE_DAYS_LATER.date())
            assert shown == everything(steady, THREE_DAYS_LATER.date())
            assert {board["key"] for board in shown["boards"] if board["status"] == "finished"} == {"ends"}
            assert [shown[run][0]["revision"] for run in ("daily 2026-02-28", "revised 2026-02-22")] == [0, 0]
            for later, late in [(timedelta(hours=1), ONE_DAY), (timedelta(hours=30), 7 * ONE_DAY)]:
                moment = THREE_DAYS_LATER + later
                caller.move_clock(moment)
                steady.move_clock(moment)
                assert live(caller, moment, late) == live(steady, moment, late)
                caller.move_clock(moment)
                steady.move_clock(moment)
                shown = everything(caller, moment.date())
                assert shown == everything(steady, moment.date())
            assert shown["revised 2026-02-22"][0]["revision"] >= 1
            assert shown["daily 2026-02-26"][0]["ignoredLateEvents"] > 0


def test_a_server_that_dies_again_and_again_while_it_catches_up_gets_there(tmp_path: Path) -> None:
    """Each run is closed once, whatever was done when the process was killed."""
    with steady_server(tmp_path / "steady") as steady:
        broken = live_and_die(tmp_path / "broken")
        steady.move_clock(A_MONTH_LATER)
        for changes in (1, 3, 8, 21, 34):
            server = Forked(broken, test_clock=A_MONTH_LATER.isoformat(), admin_key=ADMIN_KEY)
            wait_for_changes(broken / "archive.sqlite3-wal", changes, lambda server=server: server.starting)
            server.kill()
        with forked(broken, A_MONTH_LATER) as (_, caller):
            assert everything(caller, A_MONTH_LATER.date()) == everything(steady, A_MONTH_LATER.date())


def test_a_server_that_dies_while_the_clock_is_moved_gets_there(tmp_path: Path) -> None:
    """The clock goes on from the instant at which it stood; what was due there is done."""
    with steady_server(tmp_path / "steady") as steady:
        broken = live_and_die(tmp_path / "broken")
        steady.move_clock(A_MONTH_LATER)
        stood = BREAKS
        for changes in (1, 4, 16):
            with forked(broken, BREAKS) as (server, caller):
                moving = threading.Thread(target=try_to_move, args=(server.address,))
                moving.start()
                wait_for_changes(broken / "test-clock", changes, moving.is_alive)
                server.kill()
                moving.join(60)
            with forked(broken, BREAKS) as (_, caller):
                now = datetime.fromisoformat(caller.get("/admin/v1/test-clock")["now"])
            assert stood <= now <= A_MONTH_LATER
            stood = now
        assert stood > BREAKS
        with forked(broken, BREAKS) as (_, caller):
            caller.move_clock(A_MONTH_LATER)
            assert everything(caller, A_MONTH_LATER.date()) == everything(steady, A_MONTH_LATER.date())


@pytest.mark.parametrize("end", [Process.stop, Process.kill], ids=["SIGTERM", "kill -9"])
def test_beginnings_and_ends_of_runs_are_told_once_over_an_outage(
    tmp_path: Path, end: Callable[[Process], Any]
) -> None:
    """As by a server that stayed up: what was due meanwhile is told late rather than never, and nothing twice."""
    data, allowed = tmp_path / "broken", {"PALMARES_WEBHOOKS_ALLOW_PRIVATE": "true"}
    with receiver() as (url, told), receiver() as (steady_url, steadily_told):
        with (
            Process(tmp_path / "steady", "--test-clock", BEGINS.isoformat(), **allowed) as steady,
            Caller(steady.address, ADMIN_KEY) as caller,
        ):
            subscribe(caller, steady_url)
            live_until_it_breaks(caller)
            caller.move_clock(THREE_DAYS_LATER)
        with Process(data, "--test-clock", BEGINS.isoformat(), **allowed) as broken:
            with Caller(broken.address, ADMIN_KEY) as caller:
                subscribe(caller, url)
                live_until_it_breaks(caller)
            end(broken)
        before = len(told)
        for _ in range(2):
            with Process(data, "--test-clock", THREE_DAYS_LATER.isoformat(), **allowed) as broken:
                end(broken)
    assert 0 < before < len(told)
    assert len({key for key, _ in told}) == len(told)
    assert summaries(told) == summaries(steadily_told)
    ended = [summary for summary in summaries(told[before:]) if summary[0] == "leaderboard.finished"]
    assert [(key, run) for _, key, run, *_ in ended] == [
        ("begins", "2026-03-03"),
        *[("daily", run) for run in ("2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03")],
        *[("ends", "2026-02-20"), ("monthly", "2026-02-01"), ("revised", "2026-02-22")],
        # Once for each group.
        *[("weekly", "2026-02-22"), ("weekly", "2026-02-22")],
    ]


def subscribe(caller: Caller, url: str) -> None:
    """Let a webhook be told of beginnings and ends."""
    item = {"name": "all", "url": url, "events": ["leaderboard.started", "leaderboard.finished"]}
    assert caller.send("POST", "/admin/v1/webhooks", [item]).status_code == 201


def summaries(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[Any, ...]]:
    """What was told, sorted: type, board, run, group, rankings, and the status of the board."""
    found = []
    for _, body in told:
        board = body["leaderboard"]
        group = str(board.get("breakdownAttributeValues"))
        rankings = [(row["rank"], row["userId"], row["value"]) for row in board["rankings"]]
        found.append((body["type"], board["key"], board["runStart"], group, rankings, board["status"]))
    return sorted(found)


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A webhook's address, and what has been sent to it: (Idempotency-Key, body)."""
    received: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.headers["Idempotency-Key"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()
        serving.join()


def live_and_die(data: Path) -> Path:
    """The folder of a server that lived until the outage."""
    with forked(data, BEGINS) as (server, caller):
        live_until_it_breaks(caller)
        server.kill()
    return data


@contextmanager
def forked(data: Path, now: datetime) -> Iterator[tuple[Forked, Caller]]:
    """A server on a folder, which is killed in the end, and a client of it."""
    server = Forked(data, test_clock=now.isoformat(), admin_key=ADMIN_KEY)
    try:
        server.wait()
        with Caller(server.address, ADMIN_KEY) as caller:
            yield server, caller
    finally:
        server.kill()


def try_to_move(address: str) -> None:
    """Ask for the clock to be moved by a month; there may be no answer."""
    body = {"now": A_MONTH_LATER.isoformat()}
    try:
        httpx.put(f"{address}/admin/v1/test-clock", json=body, headers={"X-API-KEY": ADMIN_KEY}, timeout=60)
    except httpx.TransportError:
        return


def wait_for_changes(path: Path, count: int, at_work: Callable[[], bool]) -> None:
    """Return when a file has been seen to change so many times, or when nobody is at work any more."""
    last, changes = state_of(path), 0
    while changes < count and at_work():
        if (state := state_of(path)) != last:
            last, changes = state, changes + 1


def state_of(path: Path) -> tuple[int, int]:
    """What changes when a file is written to; of one that is not there, zeros."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
