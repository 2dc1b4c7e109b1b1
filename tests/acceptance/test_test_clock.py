"""The test clock as its user meets it: moved, stopped, started again, and the story of its page."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.calls import Caller, together
from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY, NotStarted, Process

Call = Callable[[Process], Caller]
PATH = "/admin/v1/test-clock"
PAGE = Path(__file__).parents[2] / "docs" / "test-clock.md"
# Long before the test runs, as the real clock goes.
PAST = "2025-03-04T00:00:00Z"
# So long that no test lives to see it.
FUTURE = "2999-01-01T00:00:00Z"


def stands(caller: Caller) -> str:
    """Where the clock stands."""
    now: str = caller.get(PATH)["now"]
    return now


def test_the_clock_stands_until_it_is_moved_and_events_happen_when_it_says(start: Start, call: Call) -> None:
    """The real clock is nowhere to be seen."""
    process = start("--test-clock", PAST)
    assert process.wait_for("The test clock ") == "The test clock stands at 2025-03-04T00:00:00.000Z"
    caller = call(process)
    metric = caller.define_metric("laps")
    caller.define_board("daily", metric, start="2025-03-04", runUnit="day", runInterval=1)
    first = caller.event("laps", "u", 1, tz="UTC").json()
    caller.move_clock(datetime(2025, 3, 5, tzinfo=UTC))
    second = caller.event("laps", "u", 2).json()

    runs = [answer["leaderboards"]["daily"]["runStart"] for answer in (first, second)]
    assert runs == ["2025-03-04", "2025-03-05"]
    user = caller.get("/v1/users/u")
    assert user["created"] == "2025-03-04T00:00:00.000Z"
    assert stands(caller) == "2025-03-05T00:00:00.000Z"


@pytest.mark.parametrize("end", [Process.stop, Process.kill], ids=["SIGTERM", "kill -9"])
def test_after_a_restart_it_goes_on_from_the_later_of_where_it_stood_and_what_is_given(
    start: Start, call: Call, end: Callable[[Process], object]
) -> None:
    """However the server came to its end; the setting is an option and a variable."""
    process = start(PALMARES_TEST_CLOCK=PAST)
    call(process).move_clock(datetime(2025, 3, 9, 12, tzinfo=UTC))
    end(process)
    again = start("--test-clock", PAST)
    assert stands(call(again)) == "2025-03-09T12:00:00.000Z"
    end(again)
    later = start("--test-clock", "2025-03-10T00:00:00+01:00")
    assert stands(call(later)) == "2025-03-09T23:00:00.000Z"


def test_moves_that_come_at_once_are_done_one_after_the_other(start: Start, call: Call) -> None:
    """Whatever their order: the clock ends at the latest, those that were too late are refused, none fails."""
    caller = call(start("--test-clock", PAST))
    caller.define_board("daily", caller.define_metric("laps"), start="2025-03-01", runUnit="day", runInterval=1)
    caller.event("laps", "u", 1)
    bodies = [{"now": f"2025-03-{day:02}T12:00:00.000Z"} for day in range(5, 21)]
    answers = together(lambda place: caller.send("PUT", PATH, bodies[place]), len(bodies))

    assert {answer.status_code for answer in answers} <= {200, 422}
    assert answers[-1].status_code == 200
    assert stands(caller) == "2025-03-20T12:00:00.000Z"


def test_a_server_on_the_real_clock_has_none_and_goes_on_in_a_home_of_the_past(start: Start, call: Call) -> None:
    """What is there is then history: runs that were open are final."""
    some_days_ago = (datetime.now(UTC) - timedelta(days=4)).date().isoformat()
    process = start("--test-clock", f"{some_days_ago}T00:00:00Z")
    caller = call(process)
    caller.define_board("daily", caller.define_metric("laps"), start=some_days_ago, runUnit="day", runInterval=1)
    caller.event("laps", "u", 1)
    assert "revision" not in caller.get("/v1/leaderboards/daily")
    process.stop()
    real = start()
    assert call(real).send("GET", PATH).status_code == 404
    assert call(real).send("PUT", PATH, {"now": FUTURE}).status_code == 404
    assert PATH.removeprefix("/admin/v1") not in call(real).get("/admin/v1/openapi")["paths"]
    assert call(real).get("/v1/leaderboards/daily", run=some_days_ago)["revision"] == 0
    assert "was used with a test clock" in real.errors()


def test_the_real_clock_refuses_a_home_whose_test_clock_is_ahead_of_it(start: Start, call: Call) -> None:
    """In one line that says what to do; with a test clock all is fine as ever."""
    process = start("--test-clock", FUTURE)
    assert call(process).send("POST", "/v1/users", {"id": "u"}).status_code == 201
    process.stop()
    with pytest.raises(NotStarted) as refusal:
        start()
    assert refusal.value.code == 1
    assert refusal.value.errors.strip().count("\n") == 0
    assert "2999-01-01T00:00:00.000Z" in refusal.value.errors
    assert "--test-clock" in refusal.value.errors
    assert stands(call(start("--test-clock", PAST))) == "2999-01-01T00:00:00.000Z"


def test_the_clock_never_stands_before_what_was_recorded(start: Start, call: Call) -> None:
    """What the real clock filled is opened as of its last record, to the next millisecond."""
    process = start()
    assert call(process).send("POST", "/v1/users", {"id": "u"}).status_code == 201
    created = call(process).get("/v1/users/u")["created"]
    process.stop()
    caller = call(start("--test-clock", PAST))
    now = stands(caller)
    assert created <= now
    assert caller.send("PUT", PATH, {"now": now}).json() == {"now": now}


def test_a_server_that_is_stopped_while_it_moves_the_clock_stops(start: Start, call: Call) -> None:
    """The move is answered or broken off; the next start finds the clock where it stood."""
    process = start("--test-clock", PAST)
    caller = call(process)
    caller.define_board("daily", caller.define_metric("laps"), start="2025-03-01", runUnit="day", runInterval=1)
    caller.event("laps", "u", 1)

    def act(place: int) -> int:
        if place:
            while stands(caller).startswith(PAST[:10]):
                pass
            process.send(signal.SIGTERM)
            return 0
        return caller.send("PUT", PATH, {"now": "2025-04-01T00:00:00Z"}).status_code

    assert together(act, 2)[0] in (200, 503)
    assert process.stop() == 0
    assert PAST < stands(call(start("--test-clock", PAST))) <= "2025-04-01T00:00:00.000Z"


def test_limits_of_requests_go_by_the_real_clock(start: Start, call: Call) -> None:
    """Whoever sent too many may send again soon, although the test clock stands; a move changes nothing of it."""
    limits = {"PALMARES_RATE_LIMIT_EVENTS": "2", "PALMARES_RATE_LIMIT_READS": "2"}
    caller = call(start("--test-clock", PAST, **limits))

    def until(method: str, path: str, body: object, code: int) -> None:
        # Sending is the waiting.
        deadline = time.monotonic() + 30
        while caller.send(method, path, body).status_code != code:
            assert time.monotonic() < deadline

    for _ in range(2):
        until("POST", "/v1/users", {"id": "u"}, 429)
        until("GET", "/v1/users/u", None, 200)
        until("GET", PATH, None, 429)
        until("PUT", PATH, {"now": "2025-03-05T00:00:00.000Z"}, 200)


def test_the_clock_is_not_moved_by_more_than_five_years_at_once(start: Start, call: Call) -> None:
    """A slip is refused with a sentence, and the clock stays."""
    caller = call(start("--test-clock", PAST))
    refused = caller.send("PUT", PATH, {"now": "2052-03-04T00:00:00Z"})

    assert refused.status_code == 422
    assert "five years at most" in refused.json()["error"]
    assert stands(caller) == "2025-03-04T00:00:00.000Z"


def test_the_story_of_the_page_ends_as_it_says(start: Start) -> None:
    """Every line of docs/test-clock.md, pasted into a shell, against a server that was started as it says."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    serve, story = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    [clock] = re.findall(r"--test-clock (\S+)", serve)
    process = start("--test-clock", clock)
    answers: list[str] = []
    for command in commands(story):
        line = command.replace("http://127.0.0.1:8787", process.address).replace(
            "<the key that was printed>", ADMIN_KEY
        )
        if "<the id in the answer above>" in line:
            [made] = re.findall(r'"id":"([^"]+)"', answers[-1])
            line = line.replace("<the id in the answer above>", made)
        if line.startswith("export"):
            preamble = line
        else:
            shell = ["bash", "-c", f"{preamble}\n{line} --silent --fail"]
            environment = {"PATH": os.environ["PATH"]}
            answers.append(subprocess.run(shell, env=environment, capture_output=True, check=True, text=True).stdout)
    assert re.findall(r'"userId":"(\w+)".*?"rank":(\d+)', answers[-1]) == [("kai", "1"), ("noor", "2")]
    assert '"revision":0' in answers[-1]


def commands(story: str) -> list[str]:
    """The commands of a block of shell, comments left out; one may span lines within quotes."""
    found: list[str] = []
    for line in story.splitlines():
        if found and found[-1].count("'") % 2:
            found[-1] += "\n" + line
        elif line and not line.startswith("#"):
            found.append(line)
    return found
