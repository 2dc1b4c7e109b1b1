"""`palmares serve` as its operator meets it: first start, stop, refusals to start, health, a full disk."""

import itertools
import resource
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY, NotStarted, Process, run

Call = Callable[[Process], Caller]


def define(caller: Caller, key: str = "laps") -> str:
    """A metric, and a board of the same key that ranks by it."""
    caller.define_board(key, caller.define_metric(key))
    return key


def test_the_first_start_prints_a_key_and_calls_that_work(start: Start) -> None:
    """Each line with curl does what it says when it is pasted into a shell; the second start prints no key."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    process = start(admin_key=None)
    calls = list(curl_lines(process))
    assert len(calls) == 2
    answers = [subprocess.run(["sh", "-c", f"{line} --silent"], capture_output=True, check=True) for line in calls]
    assert b'"created":[{' in answers[0].stdout
    assert b'"total":12' in answers[1].stdout
    [key] = [line.removeprefix("Admin key: ") for line in process.printed if line.startswith("Admin key: ")]
    with Caller(process.address, key) as caller:
        assert caller.total("swim-7", "laps-swum") == 12
    assert process.stop() == 0

    again = start(admin_key=None)
    assert again.stop() == 0
    with Caller(start(admin_key=None).address, key) as caller:
        assert caller.total("swim-7", "laps-swum") == 12
    assert not any("key" in line.lower() for line in again.printed)


def curl_lines(process: Process) -> Iterator[str]:
    """The calls among the lines that a first start prints; a call ends the story."""
    while True:
        line = process.read_line()
        if line.startswith("curl "):
            yield line
            if "/event" in line:
                return


def test_a_stop_under_load_loses_nothing_that_was_answered(start: Start, call: Call) -> None:
    """SIGTERM: what was answered is there after the next start, what was not is there at most once, the exit is 0."""
    process = start()
    board = define(call(process))
    answered = threading.Semaphore(0)
    counted: Counter[str] = Counter()
    tried: Counter[str] = Counter()

    def write(number: int) -> None:
        with Caller(process.address, ADMIN_KEY) as caller:
            for place in itertools.count():
                user = f"u{number}-{place % 5}"
                tried[user] += 1
                try:
                    status = caller.event(board, user, 1).status_code
                except httpx.TransportError:
                    return
                if status != 201:
                    assert status == 503
                    tried[user] -= 1
                    return
                counted[user] += 1
                answered.release()

    with ThreadPoolExecutor(8) as writers:
        writing = [writers.submit(write, number) for number in range(8)]
        for _ in range(400):
            assert answered.acquire(timeout=60)
        code = process.stop()
        for one in writing:
            one.result(60)
    assert code == 0
    assert (process.data / "standings.checkpoint").exists()
    totals = {user: value for _, user, value in call(start()).page(board, limit=1000)}
    assert all(counted[user] <= totals.get(user, 0) <= tried[user] for user in tried)
    assert sum(counted.values()) >= 400


def test_a_second_server_on_the_same_folder_refuses_to_start(start: Start, call: Call) -> None:
    """It says which process has the folder; the first one goes on undisturbed."""
    first = start()
    board = define(call(first))
    with pytest.raises(NotStarted) as refusal:
        start(admin_key="another1.keyThatMustNotCount")
    assert refusal.value.code == 1
    assert refusal.value.errors.strip().count("\n") == 0
    assert str(first.data) in refusal.value.errors
    assert f"process {first.pid}" in refusal.value.errors
    assert call(first).event(board, "u", 1).status_code == 201
    first.kill()
    # The lock of a process that was killed is no hindrance.
    assert call(start()).total("u", board) == 1


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    """With the port in it, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--data", str(tmp_path / "data"), "--port", str(port), PALMARES_ADMIN_KEY=ADMIN_KEY)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.strip().count("\n") == 0
    assert str(port) in ended.stderr
    assert "in use" in ended.stderr


def test_an_unknown_setting_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """A typing error never passes silently; nothing is made on disk."""
    ended = run("serve", "--data", str(tmp_path / "data"), PALMARES_PROT="9000")
    assert ended.returncode == 2
    assert "PALMARES_PROT is not a setting; did you mean PALMARES_PORT?" in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("key", ["short.key", "abcdefgh.short", "app_abcd.0123456789abcdef"])
def test_an_admin_key_of_the_wrong_form_is_refused(tmp_path: Path, key: str) -> None:
    """The message does not repeat it: it is a secret, if a bad one."""
    ended = run("serve", "--data", str(tmp_path / "data"), "--port", "0", PALMARES_ADMIN_KEY=key)
    assert ended.returncode != 0
    assert "PALMARES_ADMIN_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert key not in ended.stderr


def test_health_and_figures_need_no_key(server: Process, caller: Caller) -> None:
    """`/healthz`, `/readyz`, and the figures that an operator watches."""
    board = define(caller, "figures")
    caller.event(board, "figures-u", 1, key="k")
    caller.event(board, "figures-u", 1, key="k")
    with httpx.Client(base_url=server.address) as anybody:
        assert anybody.get("/healthz").json() == {"status": "ok"}
        assert anybody.get("/readyz").json() == {"status": "ready"}
        answer = anybody.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    route = 'route="POST /v1/metrics/{key}/event"'
    for name in (
        f'palmares_requests_total{{{route},status="201"}}',
        f"palmares_request_seconds_count{{{route}}}",
        "palmares_events_total",
        "palmares_replays_total",
        "palmares_flush_seconds_count",
        "palmares_batch_entries_count",
        f'palmares_participants{{environment="production",leaderboard="{board}",tenant=""}}',
    ):
        assert caller.figure(name) >= 1, name
    assert "\npalmares_queued_entries 0.0\n" in answer.text


def test_each_setting_works_as_an_option_and_as_a_variable(start: Start) -> None:
    """The option wins."""
    body = {"user": {"id": "u", "name": "x" * 300}}
    process = start("--max-body-bytes", "100", PALMARES_MAX_BODY_BYTES="1000000")
    with Caller(process.address, ADMIN_KEY) as caller:
        assert caller.send("POST", "/v1/users", body).status_code == 413
        assert caller.send("POST", "/v1/users", {"id": "u"}).status_code == 201


fills_disks = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of other processes are Linux's")


@contextmanager
def full_disk(process: Process, most_bytes: int = 0) -> Iterator[None]:
    """No file of the process can grow beyond this size: to whoever writes, that is a full disk."""
    limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


@fills_disks
@pytest.mark.parametrize("spare_bytes", [0, 3_000, 40_000])
def test_a_full_disk_fails_events_cleanly_until_there_is_room_again(start: Start, call: Call, spare_bytes: int) -> None:
    """503 with Retry-After and nothing half-applied; reads go on; with room the server recovers by itself."""
    process = start(PALMARES_PROJECT_EVENTS="40", PALMARES_CHECKPOINT_EVENTS="60")
    caller = call(process)
    board = define(caller)
    assert caller.event(board, "u0", 1, key="k").status_code == 201
    counted = 1
    with full_disk(process, (process.data / "log.sqlite3-wal").stat().st_size + spare_bytes):
        for number in itertools.count(1):
            answer = caller.event(board, f"u{number % 9}", 1, key=f"k{number}")
            if answer.status_code == 503:
                break
            assert (answer.status_code, number < 1000) == (201, True)
            counted += 1
        assert set(answer.json()) == {"error"}
        assert int(answer.headers["Retry-After"]) >= 1
        assert int(answer.headers["X-RateLimit-Reset"]) > 1_700_000_000
        batch = [{"key": board, "user": {"id": f"new{n}"}, "value": 1} for n in range(900)]
        assert caller.batch(batch).status_code == 503
        assert caller.send("PUT", "/v1/users/u0", {"name": "Nobody"}).status_code == 503
        assert caller.send("GET", "/readyz").status_code == 503
        assert caller.send("GET", "/healthz").status_code == 200
        # Reads go on, and show what was answered.
        assert sum(value for _, _, value in caller.page(board)) == counted
        assert caller.get("/v1/users/u0")["name"] is None
        assert caller.send("GET", "/v1/users/new0").status_code == 404
    # The same requests again: the keys were not used up.
    assert caller.event(board, f"u{number % 9}", 1, key=f"k{number}").status_code == 201
    assert caller.batch(batch).status_code == 202
    assert caller.send("GET", "/readyz").status_code == 200
    shown = caller.page(board, limit=1000)
    assert sum(value for _, _, value in shown) == counted + 1 + 900
    assert process.stop() == 0
    assert call(start()).page(board, limit=1000) == shown


@fills_disks
def test_a_full_disk_fails_definitions_cleanly(start: Start, call: Call) -> None:
    """What could not be saved is not shown either, and can be made again later."""
    process = start()
    caller = call(process)
    board = define(caller)
    item = {"name": "Hours", "key": "hours"}
    with full_disk(process):
        answer = caller.send("POST", "/admin/v1/metrics", [item])
        assert (answer.status_code, set(answer.json())) == (503, {"error"})
        assert [one["key"] for one in caller.get("/admin/v1/metrics")] == [board]
    assert caller.send("POST", "/admin/v1/metrics", [item]).status_code == 201
    assert caller.event("hours", "u", 1).status_code == 201


@fills_disks
def test_a_server_whose_log_lines_go_to_the_full_disk_recovers_too(start: Start, call: Call) -> None:
    """What it says about the full disk goes to a file on that disk: that it cannot be written hurts nothing else."""
    process = start()
    caller = call(process)
    board = define(caller)
    with full_disk(process):
        for number in range(3):
            assert caller.event(board, f"u{number}", 1).status_code == 503
    assert caller.event(board, "u", 1).status_code == 201
    process.send(signal.SIGTERM)
    assert process.stop() == 0
