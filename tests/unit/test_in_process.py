"""The server inside a program."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palmares import AsyncPalmares, Palmares
from palmares.config import ConfigurationError
from palmares.domain.errors import Invalid, NotAllowed, NotFound, Unavailable
from palmares.ledger.embedded.folder import FolderInUse
from palmares.outbox.sql import SqlOutbox


@pytest.fixture(scope="module")
def palmares() -> Iterator[Palmares]:
    """One for all tests; each takes a metric of its own."""
    with Palmares() as opened:
        yield opened


def define(palmares: Palmares, key: str, **fields: Any) -> None:
    """A metric, and an active board of the same key that ranks by it."""
    [metric] = palmares.create("metrics", {"key": key, "name": key})
    board = {"key": key, "name": key, "rankBy": "metric", "metricId": metric["id"], "status": "active"}
    palmares.create("leaderboards", board | fields)


def test_an_event_is_ranked_when_it_is_answered(palmares: Palmares) -> None:
    """The answers are those of the wire."""
    define(palmares, "laps")

    palmares.record("laps", {"id": "noor", "name": "Noor"}, 12)
    answer = palmares.record("laps", "ivo", 15.5)

    assert (answer["total"], answer["leaderboards"]["laps"]["rank"]) == (15.5, 1)
    rows = palmares.leaderboard("laps", limit=10)["rankings"]
    assert [(row["rank"], row["userId"], row["userName"]) for row in rows] == [(1, "ivo", None), (2, "noor", "Noor")]
    assert palmares.standing("noor", "laps")["rank"] == 2


def test_an_event_with_a_key_counts_once(palmares: Palmares) -> None:
    define(palmares, "once")

    first = palmares.record("once", "noor", 12, idempotency_key="session 884")
    again = palmares.record("once", "noor", 12, idempotency_key="session 884")

    assert (again["eventId"], again["total"], again["idempotentReplayed"]) == (first["eventId"], 12, True)


def test_ids_may_hold_anything(palmares: Palmares) -> None:
    """They are part of a path only on the wire."""
    define(palmares, "odd")
    palmares.record("odd", "org/7?a#b ü%2F", 3)

    assert palmares.standing("org/7?a#b ü%2F", "odd")["value"] == 3


def test_everything_that_http_can_ask_can_be_asked(palmares: Palmares) -> None:
    """By method, path, body and query; what is None is left out."""
    define(palmares, "asked")
    palmares.call("PUT", "/v1/users/ivo", {"name": "Ivo"})

    assert palmares.call("GET", "/v1/users/ivo")["name"] == "Ivo"
    shown = palmares.call("GET", "/v1/leaderboards", includeFinished="true", limit=None)
    assert "asked" in [board["key"] for board in shown]


@pytest.mark.parametrize(
    ("metric", "user", "kind", "message"),
    [
        ("unknown", "a", NotFound, "metric 'unknown' was not found"),
        ("refused", "", Invalid, "user.id: expected string of at least 1 character"),
        ("refused", {"id": "a", "attributes": {"pool": "east"}}, NotAllowed, "'pool'"),
    ],
)
def test_what_the_wire_refuses_is_an_error_with_its_message(
    palmares: Palmares, metric: str, user: Any, kind: type[Exception], message: str
) -> None:
    """Of the same tree as inside the server."""
    # Created by the first of these tests; for the others it is an issue that nobody looks at.
    palmares.call("POST", "/admin/v1/metrics", [{"key": "refused", "name": "Refused"}])

    with pytest.raises(kind) as caught:
        palmares.record(metric, user, 1)

    assert message in caught.value.message


def test_a_definition_that_is_refused_is_an_error(palmares: Palmares) -> None:
    """Though the other items are created, as always."""
    with pytest.raises(Invalid, match="key: only letters"):
        palmares.create("metrics", {"key": "fine", "name": "Fine"}, {"key": "not fine", "name": "Not"})

    assert palmares.record("fine", "noor", 1)["total"] == 1


def test_what_was_recorded_is_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    """A folder holds the same as that of a server."""
    with Palmares(tmp_path) as first:
        define(first, "laps")
        first.record("laps", "noor", 12)

    with Palmares(tmp_path) as again:
        assert again.standing("noor", "laps")["rank"] == 1


def test_a_folder_is_open_once(tmp_path: Path) -> None:
    """The second to open it is told, and what it had begun is gone again."""
    with Palmares(tmp_path), pytest.raises(FolderInUse):
        Palmares(tmp_path)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean"):
        Palmares(test_clok="2026-03-04T00:00:00Z")


def test_closing_again_does_nothing(tmp_path: Path) -> None:
    palmares = Palmares(tmp_path)
    palmares.close()
    palmares.close()

    Palmares(tmp_path).close()


def test_a_season_can_be_tried_out_with_a_clock_that_is_set(tmp_path: Path) -> None:
    """The run of the first day is over three days later."""
    with Palmares(tmp_path, test_clock="2026-03-04T12:00:00Z") as palmares:
        define(palmares, "daily", runUnit="day", runInterval=1)
        palmares.record("daily", "noor", 12)
        palmares.call("PUT", "/admin/v1/test-clock", {"now": "2026-03-07T12:00:00Z"})

        assert palmares.leaderboard("daily")["rankings"] == []
        assert [row["userId"] for row in palmares.leaderboard("daily", run="2026-03-04")["rankings"]] == ["noor"]


@pytest.mark.anyio
async def test_the_application_can_be_mounted_and_asks_for_a_key(tmp_path: Path) -> None:
    """In a program with an event loop."""
    async with AsyncPalmares.open(tmp_path) as palmares:
        await palmares.create("metrics", {"key": "laps", "name": "Laps"})
        transport = httpx.ASGITransport(palmares.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://game") as client:
            body = {"user": {"id": "noor"}, "value": 1}
            refused = await client.post("/v1/metrics/laps/event", json=body)
            key = {"X-API-KEY": await palmares.create_key("game")}
            accepted = await client.post("/v1/metrics/laps/event", json=body, headers=key)

    assert (refused.status_code, accepted.status_code) == (401, 201)


def test_the_package_loads_no_server_for_who_does_not_ask() -> None:
    """Commands and tests import parts of it."""
    code = "import sys, palmares; assert 'palmares.server' not in sys.modules; palmares.Palmares; palmares.no_such"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.strip().endswith("AttributeError: module 'palmares' has no attribute 'no_such'")


def test_whatever_is_asked_of_a_closed_one_is_refused(tmp_path: Path) -> None:
    """At once, and nobody waits for ever."""
    with Palmares(tmp_path) as palmares:
        pass

    with pytest.raises(Unavailable, match="closed"):
        palmares.leaderboard("laps")


@pytest.mark.anyio
async def test_a_thread_with_an_event_loop_may_open_and_close(tmp_path: Path) -> None:
    """As a notebook has; also when opening fails."""
    with Palmares(tmp_path), pytest.raises(FolderInUse):
        Palmares(tmp_path)

    Palmares(tmp_path).close()


def test_closing_lets_go_of_the_folder_whatever_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is told."""

    async def fail(_: object) -> None:
        raise Unavailable("the outbox is gone")

    with monkeypatch.context() as patch:
        patch.setattr(SqlOutbox, "close", fail)
        palmares = Palmares(tmp_path)
        with pytest.raises(Unavailable, match="the outbox is gone"):
            palmares.close()

    Palmares(tmp_path).close()


def test_keys_are_not_printed_when_something_goes_wrong() -> None:
    """A program that configured no logging gets tracebacks on standard error, without the values of variables."""
    code = """
import asyncio
import httpx
from palmares import AsyncPalmares
from palmares.api import leaderboards

def fail(*_):
    raise RuntimeError("something unforeseen")

async def main():
    leaderboards.shown_boards = fail
    async with AsyncPalmares.open() as palmares:
        key = await palmares.create_key("game")
        transport = httpx.ASGITransport(palmares.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://game", headers={"X-API-KEY": key}) as client:
            answer = await client.get("/v1/leaderboards")
        print(answer.status_code, key)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, key = done.stdout.split()

    assert (status, "something unforeseen" in done.stderr, key in done.stderr) == ("500", True, False)
