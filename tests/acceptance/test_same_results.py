"""One workload, sent to a server with a data folder and to two workers on a Valkey Cluster: all answers are the same.

What differs is what servers make up, ids and the instants of the test; it is left out, and everything else compared:
the answer to each request, and then every route that reads something. But for the list of all events, in which those
of one instant are in the order of the log, and the logs of several shards have none among them.
"""

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from palmares.api.routes import ADMIN, APPLICATION
from tests.acceptance.calls import Caller
from tests.acceptance.forked import Forked
from tests.acceptance.load import until
from tests.acceptance.process import ADMIN_KEY
from tests.databases import Postgres
from tests.valkey_servers import Address, fresh_name

ZONES = ["Asia/Tokyo", "America/New_York", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12"]
USERS = [f"user-{number}" for number in range(9)]
CLUBS = ["north", "south"]
BOARDS: dict[str, dict[str, Any]] = {
    "for-ever": {},
    "weeks": {"runUnit": "day", "runInterval": 7, "breakdownAttributes": ["club"]},
    "days": {"runUnit": "day", "runInterval": 1, "lateEvents": "revise"},
    "best": {"aggregation": "max", "maxParticipants": 5},
    "shared": {"aggregation": "min", "order": "asc", "numbering": "dense", "runUnit": "month", "runInterval": 1},
}
DAYS_OF_PAST = 12
# On a slow machine.
SOON_SECONDS = 20.0
NOBODY = "00000000-0000-4000-8000-000000000000"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Side:
    """One of the two: its servers, asked in turn, and the ids that it made up, by what we call them."""

    def __init__(self, began: datetime, callers: Sequence[Caller]) -> None:
        self._began = began - timedelta(seconds=5)
        self._all = callers
        self._callers = cycle(callers)
        self.ids: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, call_it: str | None = None) -> Any:
        """The status and the body, without what this side made up. In path and body, `<name>` is an id that was told
        earlier; the id in this answer is remembered by `call_it`."""
        answer = next(self._callers).send(method, self._filled(path), self._filled(body))
        told = answer.json()
        if call_it is not None:
            assert answer.status_code < 300, told
            self.ids[call_it] = told["eventId"] if "eventId" in told else told["created"][0]["id"]
            if call_it.startswith("board-"):
                # How far it came meanwhile is a matter of time.
                return answer.status_code, {}
        return answer.status_code, self._plain(told)

    def knows_all(self) -> bool:
        """Whether all servers of this side know the boards that any of them was told of."""
        boards = sum(name.startswith("board-") for name in self.ids)
        return all(len(caller.get("/v1/leaderboards")) == boards for caller in self._all)

    def _filled(self, given: Any) -> Any:
        if isinstance(given, str):
            return re.sub(r"<([\w-]+)>", lambda found: self.ids[found[1]], given)
        if isinstance(given, dict):
            return {name: self._filled(part) for name, part in given.items()}
        return [self._filled(part) for part in given] if isinstance(given, list) else given

    def _plain(self, told: Any) -> Any:
        if isinstance(told, dict):
            # How many times a run was revised depends on what came while it was.
            return {name: self._plain(part) for name, part in told.items() if name != "revision"}
        if isinstance(told, list):
            return [self._plain(part) for part in told]
        if not isinstance(told, str):
            return told
        return _INSTANT.sub(self._past, _ID.sub("an id", told))

    def _past(self, found: re.Match[str]) -> str:
        return "now" if datetime.fromisoformat(found[0]) >= self._began else found[0]


@pytest.fixture
def sides(tmp_path: Path, postgres: Postgres, valkey_cluster: list[Address]) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as opened:
        database = opened.enter_context(postgres.database())
        cluster = {
            "valkey_url": "valkey://" + ",".join(f"{host}:{port}" for host, port in valkey_cluster),
            "valkey_name": fresh_name(),
            "valkey_shards": "5",
            # So few that most of what reads the log reads it in PostgreSQL.
            "valkey_lines": "3",
            "database_url": database.url,
        }
        servers = [Forked(tmp_path / "data", admin_key=ADMIN_KEY, **given) for given in ({}, cluster, cluster)]
        callers = []
        for server in servers:
            opened.callback(server.kill)
            server.wait()
            callers.append(opened.enter_context(Caller(server.address, ADMIN_KEY)))
        began = datetime.now(UTC)
        yield Side(began, callers[:1]), Side(began, callers[1:])


def test_two_workers_on_a_cluster_answer_like_a_server_with_a_data_folder(sides: tuple[Side, Side]) -> None:
    """Events now, late and in bulk, changes of users, corrections, points, a late board, an erasure; then all reads."""
    today = datetime.now(UTC).date()
    for requests in (definitions(today), workload(random.Random(20260304), today)):
        for request in requests:
            one, other = (side.ask(*request) for side in sides)
            assert one == other, request
            assert one[0] < 300, (request, one)
        for side in sides:
            until(side.knows_all)
    for question in questions(today):
        one, other = ask_both(sides, question)
        assert one == other, question
        assert one[0] in (200, 400, 404), (question, one)


def ask_both(sides: tuple[Side, Side], question: str) -> tuple[Any, Any]:
    """Both answers, the same as soon as they are: late boards and revisions are made in the background."""
    answers = [side.ask("GET", question) for side in sides]

    def are_same() -> bool:
        answers[:] = [side.ask("GET", question) for side in sides]
        return bool(answers[0] == answers[1])

    if answers[0] != answers[1]:
        with suppress(AssertionError):
            until(are_same, SOON_SECONDS)
    return answers[0], answers[1]


def definitions(today: date) -> Iterator[tuple[Any, ...]]:
    """What is counted, and boards of every kind."""
    start = str(today - timedelta(days=DAYS_OF_PAST))
    yield "POST", "/admin/v1/attributes", [{"name": "Club", "key": "club", "type": "user"}], "club"
    for key in ("laps", "hours"):
        yield "POST", "/admin/v1/metrics", [{"name": key, "key": key}], key
    trigger = {"type": "metric", "points": 2, "status": "active", "metricId": "<laps>", "metricThreshold": 3}
    yield "POST", "/admin/v1/points", [{"name": "Gold", "key": "gold", "triggers": [trigger]}], "gold"
    fixed = {"rankBy": "metric", "metricId": "<laps>", "status": "active", "start": start}
    for key, fields in BOARDS.items():
        groups = {"breakdownAttributes": ["<club>"]} if "breakdownAttributes" in fields else {}
        yield "POST", "/admin/v1/leaderboards", [{"name": key, "key": key} | fixed | fields | groups], f"board-{key}"
    rich = {"name": "Rich", "key": "rich", "rankBy": "points", "pointsSystemId": "<gold>"}
    yield "POST", "/admin/v1/leaderboards", [rich | {"status": "active", "start": start}], "board-rich"


def workload(chance: random.Random, today: date) -> Iterator[tuple[Any, ...]]:
    """What users do, and what is done to them."""
    for number, user in enumerate(USERS):
        fields = {"name": user.title(), "tz": ZONES[number % len(ZONES)], "attributes": {"club": CLUBS[number % 2]}}
        yield "PUT", f"/v1/users/{user}", fields
    for number in range(24):
        # The last one is not erased.
        user = "user-0" if number == 23 else chance.choice(USERS)
        value = chance.randrange(1, 9) if chance.random() < 0.7 else round(chance.random() * 9, 3)
        yield "POST", "/v1/metrics/laps/event", {"user": {"id": user}, "value": value}, f"event-{number}"
        if number % 6 == 1:
            yield "POST", "/admin/v1/metrics/events", [item(chance, today, 4) for _ in range(6)]
        if number % 6 == 3:
            yield "PATCH", f"/v1/users/{user}", {"attributes": {"club": chance.choice(CLUBS)}}
    history = [item(chance, today, DAYS_OF_PAST - 1) for _ in range(30)]
    yield "POST", "/admin/v1/metrics/events?history=true", history
    yield "POST", "/v1/metrics/laps/event", {"user": {"id": "user-1"}, "value": 7}, "void"
    yield "DELETE", "/admin/v1/events?ids=<event-3>&ids=<void>&reason=sensor"
    yield "PUT", "/admin/v1/users/user-2/metrics/laps", {"total": 12.5}
    yield "PATCH", "/admin/v1/users", [{"id": "user-4", "hidden": True}]
    yield "DELETE", "/admin/v1/users?ids=user-7"
    yield "POST", "/v1/metrics/laps/event", {"user": {"id": "user-7"}, "value": 2}
    late = {"name": "Late", "key": "late", "rankBy": "metric", "metricId": "<laps>", "status": "active"}
    late |= {"start": str(today - timedelta(days=DAYS_OF_PAST)), "runUnit": "day", "runInterval": 3}
    yield "POST", "/admin/v1/leaderboards", [late | {"breakdownAttributes": ["<club>"]}], "board-late"


def item(chance: random.Random, today: date, days: int) -> dict[str, Any]:
    """An event of the last days, of some hour."""
    happened = datetime.combine(today, datetime.min.time()) - timedelta(hours=chance.randrange(1, days * 24))
    return {
        "key": chance.choice(["laps", "laps", "hours"]), "user": {"id": chance.choice(USERS)},
        "value": chance.randrange(1, 9), "timestamp": f"{happened.isoformat()}Z",
    }  # fmt: skip


def questions(today: date) -> Iterator[str]:
    """Every route that reads, with what makes a difference."""
    days = [today - timedelta(days=number) for number in range(DAYS_OF_PAST + 1)]
    span = {"startDate": str(days[-1]), "endDate": str(today), "aggregation": "daily"}
    yield "/v1/leaderboards?includeFinished=true"
    for key in (*BOARDS, "rich", "late"):
        clubs = CLUBS if key in ("weeks", "late") else []
        for group in [{"userAttributes": f"club:{club}"} for club in clubs] or [{}]:
            yield f"/v1/leaderboards/{key}?{urlencode({'limit': 100} | group)}"
            for day in days if key in ("weeks", "days", "late") else []:
                yield f"/v1/leaderboards/{key}?{urlencode({'run': day, 'limit': 100} | group)}"
        for user in USERS:
            yield f"/v1/users/{user}/leaderboards/{key}?numEvents=50"
    for day in days:
        for user in USERS[:3]:
            yield f"/v1/users/{user}/leaderboards/days?run={day}&numEvents=50"
    for user in [*USERS, "nobody"]:
        paths = ["", "/metrics", "/metrics/laps", "/streak?historyPeriods=14", "/points/gold?awards=50", "/preferences"]
        yield from (f"/v1/users/{user}{path}" for path in paths)
        yield f"/v1/users/{user}/metrics/laps/event-summary?{urlencode(span)}"
        yield f"/admin/v1/users/{user}"
        yield f"/admin/v1/events?userId={user}&limit=100"
    yield from (f"/v1/streaks?userIds={','.join(USERS)}", "/v1/streaks/rankings", "/v1/streaks/rankings?type=longest")
    yield "/v1/points/gold"
    yield from ("/admin/v1/events/<void>", "/admin/v1/events/<event-23>")
    for things in ("leaderboards", "metrics", "attributes", "points", "webhooks", "tenants", "environments"):
        yield f"/admin/v1/{things}"
    yield from (
        f"/admin/v1/{what}" for what in ("settings", "streaks/settings", "webhooks/deliveries", f"tenants/{NOBODY}")
    )
    yield from (
        f"/admin/v1/{what}" for what in ("metrics/<laps>", "attributes/<club>", "points/<gold>", f"webhooks/{NOBODY}")
    )
    yield from ("/admin/v1/points/<gold>/triggers", f"/admin/v1/points/<gold>/triggers/{NOBODY}")
    yield from ("/v1/openapi", "/admin/v1/openapi")
    for key in (*BOARDS, "rich", "late"):
        yield f"/admin/v1/leaderboards/<board-{key}>"


def test_no_route_that_reads_is_left_out() -> None:
    """But for those that only tell that there is nothing yet."""
    asked = [question.partition("?")[0] for question in questions(date(2026, 3, 4))]
    missing = [
        base + endpoint.path
        for base, endpoints in (("/v1", APPLICATION), ("/admin/v1", ADMIN))
        for endpoint in endpoints
        if endpoint.method == "GET" and "stubs" not in endpoint.handler.__module__
        if not any(re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", base + endpoint.path), path) for path in asked)
    ]
    assert missing == []
