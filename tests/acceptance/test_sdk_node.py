"""Every method that the official Node SDK has, against a real server; `node/every_method.mjs` calls them.

As for Python, each needs a line in the table, gets along with one request, and can read its answer. This is an older
release of Trophy's API: a leaderboard without a cap, for one, is nothing that it could read.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.homes import Homes
from tests.acceptance.process import ADMIN_KEY, DEADLINE_SECONDS, Process

FOLDER = Path(__file__).parent / "node"


@dataclass
class Line:
    """What a method is called with, and what comes of it: nothing in particular, a value, or an error by its name."""

    arguments: list[Any]
    returns: Any = None
    fails: str | None = None


USER = {"id": "ada"}
DAYS = {"aggregation": "daily", "startDate": "2026-03-01", "endDate": "2026-03-31"}

LINES: dict[str, Line] = {
    "achievements.all": Line([{"userAttributes": "pool:east"}], returns=[]),
    "achievements.complete": Line(["finish", {"user": USER}], fails="NotFoundError"),
    "metrics.event": Line(["laps", {"user": USER, "value": 1.5, "idempotencyKey": "node", "attributes": {}}]),
    "users.create": Line(
        [
            {
                "id": "new",
                "email": "new@example.com",
                "name": "New",
                "tz": "Asia/Tokyo",
                "deviceTokens": ["token"],
                "subscribeToEmails": True,
                "attributes": {"pool": "east"},
            }
        ]
    ),
    "users.get": Line(["ada"]),
    "users.identify": Line(["identified", {"name": "Identified"}]),
    "users.update": Line(["ada", {"name": "Ada L."}]),
    "users.getPreferences": Line(["ada"]),
    "users.updatePreferences": Line(["ada", {"notifications": {"recap": ["email"], "streak_reminder": []}}]),
    "users.allMetrics": Line(["ada"]),
    "users.singleMetric": Line(["ada", "laps"]),
    "users.metricEventSummary": Line(["ada", "laps", DAYS]),
    "users.achievements": Line(["ada", {"includeIncomplete": "true"}], returns=[]),
    "users.streak": Line(["ada", {"historyPeriods": 3}]),
    "users.points": Line(["ada", "gold", {"awards": 5}]),
    "users.pointsEventSummary": Line(["ada", "gold", DAYS], fails="NotFoundError"),
    "users.leaderboard": Line(["ada", "weekly", {"numEvents": 5}]),
    "users.wrapped": Line(["ada", {"year": 2025}], fails="NotFoundError"),
    "streaks.list": Line([{"userIds": ["ada", "nobody"]}]),
    "streaks.rankings": Line([{"limit": 5, "type": "active"}]),
    "points.summary": Line(["gold", {"userAttributes": "pool:east"}], returns=[]),
    "points.system": Line(["gold"]),
    "leaderboards.all": Line([]),
    "leaderboards.get": Line(["weekly", {"userId": "ada", "offset": 0, "limit": 2}]),
    "admin.streaks.restore": Line([{"users": [USER]}]),
    "admin.streaks.freezes.create": Line([{"freezes": [{"userId": "ada"}]}]),
}


@pytest.fixture(scope="module")
def node() -> str:
    """The command, with the SDK in its folder. On a laptop without npm there is none; in CI there has to be one."""
    found = shutil.which("node")
    if found is None or not (FOLDER / "node_modules" / "@trophyso" / "node").is_dir():
        missing = "the Node SDK is not installed: `make test` does that where there is npm"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


@pytest.fixture(scope="module")
def server(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with a metric, an attribute, a board and a user."""
    with (
        homes(tmp_path_factory.mktemp("node")) as home,
        home.serve() as process,
        Caller(process.address, ADMIN_KEY) as caller,
    ):
        caller.define_attribute("pool")
        laps = caller.define_metric("laps")
        caller.define_board("weekly", laps, runUnit="day", runInterval=7)
        caller.define_points("gold", laps, maxPoints=1000)
        assert caller.event("laps", "ada", 1, name="Ada").status_code == 201
        yield process


@pytest.fixture(scope="module")
def told(node: str, server: Process) -> dict[str, Any]:
    """What the script tells of all calls."""
    calls = [{"method": method, "arguments": line.arguments} for method, line in LINES.items()]
    given = {"address": server.address, "key": ADMIN_KEY, "calls": calls}
    done = subprocess.run(
        [node, str(FOLDER / "every_method.mjs")], input=json.dumps(given), capture_output=True, text=True,
        timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_method_has_a_line_and_every_line_a_method(told: dict[str, Any]) -> None:
    """More than twenty of them: an empty look would prove nothing."""
    assert sorted(told["methods"]) == sorted(LINES)
    assert len(LINES) > 20


@pytest.mark.parametrize("method", LINES)
def test_a_method_gets_its_answer_with_one_request(method: str, told: dict[str, Any]) -> None:
    """The SDK reads the answer with its own serializers, and fails where it does not fit."""
    line = LINES[method]
    [answer] = [one for one in told["answers"] if one["method"] == method]
    [status] = answer["statuses"]

    assert answer.get("failed") == line.fails, answer
    assert status == (404 if line.fails else status)
    assert status < 500
    if line.returns is not None:
        assert answer["returned"] == line.returns


def test_points_are_told_by_all_who_tell_of_them(told: dict[str, Any]) -> None:
    """Of the system, of the event that earned some, and of the user."""
    answers = {one["method"]: one.get("returned") for one in told["answers"]}
    system, event, user = (answers[method] for method in ("points.system", "metrics.event", "users.points"))

    assert [trigger["metricThreshold"] for trigger in system["triggers"]] == [1]
    earned = event["points"]["gold"]
    assert (earned["total"], earned["added"], earned["maxPoints"]) == (2, 1, 1000)
    assert [award["total"] for award in user["awards"]] == [2, 1]


def test_what_cannot_be_done_is_told_item_by_item(told: dict[str, Any]) -> None:
    answers = {one["method"]: one.get("returned") for one in told["answers"]}

    for method in ("admin.streaks.restore", "admin.streaks.freezes.create"):
        [issue] = answers[method]["issues"]
        assert issue["severity"] == "error"
