"""Erasing a user of a real server: unknown at once, and after compacting in no byte of anything that is kept."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.homes import Home
from tests.acceptance.load import until
from tests.acceptance.logs import every_byte
from tests.acceptance.process import Process, run
from tests.plain_receiver import PlainReceiver, plain_receiver

Call = Callable[[Process], Caller]
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
WEEKLY = {"start": "2026-03-02", "runUnit": "day", "runInterval": 7}
PERSON = {
    "name": "Xanthippe Quux",
    "email": "xanthippe@quux.example",
    "deviceTokens": ["token-zyxwv"],
    "attributes": {"pool": "east", "city": "Ouagadougou"},
}
# In every text that is about the person, and in none other.
TRACES = ["quux-id-31", "Xanthippe", "quux.example", "token-zyxwv", "Ouagadougou", "Timbuktu", "butterfly", "once-only"]


@pytest.fixture
def receiver() -> Iterator[PlainReceiver]:
    with plain_receiver() as receiver:
        yield receiver


def started(start: Start) -> Process:
    return start(
        "--test-clock", BEGIN.isoformat().replace("+00:00", "Z"), "--project-events", "7", "--checkpoint-events", "20",
        PALMARES_WEBHOOKS_ALLOW_PRIVATE="true",
    )  # fmt: skip


def live(caller: Caller, receiver: PlainReceiver) -> str:
    """A week and a day of a person among others, told to a webhook; returns an application key of the person."""
    hook = {
        "name": "hook",
        "url": receiver.url,
        "events": [f"leaderboard.{name}" for name in ("rank_changed", "finished")],
    }
    assert caller.send("POST", "/admin/v1/webhooks", [hook]).status_code == 201
    pool = caller.define_attribute("pool")
    caller.define_attribute("city")
    caller.define_attribute("stroke", "event")
    laps = caller.define_metric("laps")
    caller.define_board("weekly", laps, **WEEKLY)
    caller.define_board("pools", laps, breakdownAttributes=[pool], **WEEKLY)
    for day in (0, 1, 8):
        caller.move_clock(BEGIN + timedelta(days=day))
        for number in range(8):
            caller.event("laps", f"other-{number}", 10 * number + day, attributes={"pool": "east"}, name=f"O {number}")
            if number == 5 or (number == 3 and day):
                swim(caller, number * 10 - 5, f"once-only-{day}-{number}")
    caller.send("PATCH", "/v1/users/quux-id-31", {"attributes": {"city": "Timbuktu"}})
    caller.move_clock(BEGIN + timedelta(days=8, hours=6))
    made = caller.send("POST", "/admin/v1/application-api-keys", [{"userId": "quux-id-31"}])
    key: str = made.json()["created"][0]["key"]
    return key


def swim(caller: Caller, laps: float, key: str) -> None:
    body = {"user": {"id": "quux-id-31", **PERSON}, "value": laps, "attributes": {"stroke": "butterfly"}}
    answer = caller.send("POST", "/v1/metrics/laps/event", body, {"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text


def traces_in(home: Home) -> dict[str, list[str]]:
    """What is found of the person, file by file, or table by table and key by key."""
    found = {
        name: [trace for trace in TRACES if trace.encode() in content] for name, content in every_byte(home).items()
    }
    return {name: traces for name, traces in found.items() if traces}


def shown(caller: Caller, **query: Any) -> list[Any]:
    return [
        caller.page("weekly", limit=100, **query),
        caller.page("pools", limit=100, userAttributes="pool:east", **query),
    ]


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_nothing_is_left_anywhere_after_compacting(
    home: Home, start: Start, call: Call, receiver: PlainReceiver, ending: str
) -> None:
    """Final runs keep every rank, with a row that names nobody; all others have what they had."""
    server = started(start)
    caller = call(server)
    key = live(caller, receiver)
    assert caller.send("GET", "/v1/users/quux-id-31", headers={"X-API-KEY": key}).status_code == 200
    final, present = shown(caller, run="2026-03-02"), shown(caller)
    assert len(traces_in(home)) >= 4

    answer = caller.send("DELETE", "/admin/v1/users?ids=quux-id-31&ids=nobody")
    assert answer.json() == {
        "deleted": [{"id": "quux-id-31"}],
        "issues": [{"severity": "error", "message": "id: there is no user with this id", "id": "nobody"}],
    }
    assert caller.send("GET", "/v1/users/quux-id-31", headers={"X-API-KEY": key}).status_code == 401
    assert caller.send("GET", "/v1/users/quux-id-31").status_code == 404

    def check(caller: Caller) -> None:
        over = shown(caller, run="2026-03-02")
        [nobody] = {user for rows in over for _, user, _ in rows if user.startswith("erased-")}
        anonymous = [
            [(rank, user.replace("quux-id-31", nobody), value) for rank, user, value in rows] for rows in final
        ]
        assert over == anonymous != final
        others = [[(user, value) for _, user, value in rows if user != "quux-id-31"] for rows in present]
        now = shown(caller)
        assert [[row[1:] for row in rows] for rows in now] == others
        assert [[row[0] for row in rows] for rows in now] == [list(range(1, len(rows) + 1)) for rows in now]

    check(caller)
    getattr(server, ending)()
    if home.is_folder:
        compacted = run("compact", *server.beside)
        told = (compacted.returncode, compacted.stdout)
        assert told == (0, "the files hold nothing of erased users\n"), compacted.stderr
        assert traces_in(home) == {}
    again = call(started(start))
    # On a cluster, workers do it by themselves.
    until(lambda: traces_in(home) == {})
    check(again)
    answer = again.send("POST", "/v1/metrics/laps/event", {"user": {"id": "quux-id-31"}, "value": 1})
    assert (answer.status_code, answer.json()["total"]) == (201, 1)


def test_a_folder_in_use_is_not_compacted_by_the_command(start: Start) -> None:
    """The server does it by itself."""
    server = start()
    refused = run("compact", "--data", str(server.data))
    assert refused.returncode == 1
    assert "in use by process" in refused.stderr
