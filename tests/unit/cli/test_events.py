"""`palmares events` asks the server for what it is told, and shows what the server answers."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from palmares.cli import main
from tests.unit.cli.test_client import Scripted, scripted

ONE = "019b0000-0000-7000-8000-000000000001"
OTHER = "019b0000-0000-7000-8000-000000000002"


def event(event_id: str = ONE, **given: Any) -> dict[str, Any]:
    shown = {
        "id": event_id, "userId": "org/a", "metricId": None, "metricKey": "laps", "value": 0.1,
        "total": 12.5, "attributes": {"style": "crawl"}, "idempotencyKey": None,
        "occurredAt": "2026-03-04T08:00:00.000Z", "recordedAt": "2026-03-04T09:15:00.000Z", "history": False,
        "voided": None,
    }  # fmt: skip
    return shown | given


def reply(body: Any, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps(body).encode()


def run(server: Scripted, *arguments: str) -> Result:
    options = ["--url", server.url, "--key", "abcd1234.secret"]
    return CliRunner().invoke(main, ["events", *arguments, *options], env={"COLUMNS": "120"})


def asked(server: Scripted) -> list[tuple[str, str, dict[str, list[str]]]]:
    """Method, path and query of each request."""
    parts = [(method, urlsplit(path)) for method, path, *_ in server.asked]
    return [(method, path.path, parse_qs(path.query)) for method, path in parts]


def test_what_is_wanted_is_asked_for() -> None:
    """With the names that the server has for it, and the tenant as a header."""
    options = ["--user", "org/a", "--metric", "laps", "--from", "2026-03-04T00:00:00Z", "--to", "2026-03-05T00:00:00Z"]
    with scripted(reply({"events": [], "cursor": None})) as server:
        result = run(server, "list", *options, "--idempotency-key", "k", "--limit", "5", "--tenant", "acme")

    assert result.exit_code == 0, result.output
    [(method, path, query)] = asked(server)
    assert (method, path) == ("GET", "/admin/v1/events")
    assert query == {
        "userId": ["org/a"], "metricKey": ["laps"], "from": ["2026-03-04T00:00:00Z"], "to": ["2026-03-05T00:00:00Z"],
        "idempotencyKey": ["k"], "limit": ["5"],
    }  # fmt: skip
    assert server.headers[0]["Tenant-ID"] == "acme"


def test_events_are_shown_as_a_table() -> None:
    """With their exact values, and what has become of them."""
    events = [event(), event(OTHER, voided={"at": "2026-03-05T00:00:00.000Z", "reason": "robot"}, metricKey=None)]
    with scripted(reply({"events": events, "cursor": None})) as server:
        lines = run(server, "list").stdout.splitlines()

    assert lines[1].split() == [ONE, "2026-03-04", "09:15", "org/a", "laps", "0.1", "12.5"]
    assert lines[2].split() == [OTHER, "2026-03-04", "09:15", "org/a", "(deleted)", "0.1", "12.5", "void"]


def test_pages_are_followed_until_there_is_enough() -> None:
    """Also over one that is empty, and no further."""
    pages = [
        reply({"events": [event()], "cursor": "7"}),
        reply({"events": [], "cursor": "5"}),
        reply({"events": [event(OTHER)], "cursor": "3"}),
    ]
    with scripted(*pages) as server:
        result = run(server, "list", "--limit", "2", "--json")

    assert [one["id"] for one in json.loads(result.stdout)] == [ONE, OTHER]
    assert [query.get("cursor") for *_, query in asked(server)] == [None, ["7"], ["5"]]


def test_one_event_is_shown_line_by_line_or_as_json() -> None:
    """Everything that is known of it, numbers as they came."""
    huge = b'"total": 9223372036854.775807'
    answer = json.dumps(event()).encode().replace(b'"total": 12.5', huge)
    with scripted((200, {}, answer), (200, {}, answer)) as server:
        lines = [line.split(maxsplit=1) for line in run(server, "show", ONE).stdout.splitlines()]
        text = run(server, "show", ONE, "--json").stdout

    assert asked(server)[0][:2] == ("GET", f"/admin/v1/events/{ONE}")
    shown = {name: value.strip() for name, value in lines}
    assert (shown["userId"], shown["total"], shown["voided"]) == ("org/a", "9223372036854.775807", "null")
    assert "9223372036854.775807" in text


def test_events_are_taken_back_with_a_reason() -> None:
    """What the server says of each is told; a warning is no failure."""
    issues = [{"severity": "warning", "message": "id: this event was void already", "id": OTHER}]
    with scripted(reply({"deleted": [{"id": ONE}, {"id": OTHER}], "issues": issues})) as server:
        result = run(server, "void", ONE, OTHER, "--reason", "a robot")

    assert asked(server) == [("DELETE", "/admin/v1/events", {"ids": [ONE, OTHER], "reason": ["a robot"]})]
    assert (result.exit_code, result.stdout) == (0, f"{ONE} is void\n{OTHER} is void\n")
    assert result.stderr == f"{OTHER}: id: this event was void already\n"


def test_an_event_that_is_not_there_is_told() -> None:
    """By the exit code too."""
    issues = [{"severity": "error", "message": "id: there is no event with this id", "id": OTHER}]
    with scripted(reply({"deleted": [{"id": ONE}], "issues": issues})) as server:
        result = run(server, "void", ONE, OTHER)

    assert (result.exit_code, result.stdout) == (1, f"{ONE} is void\n")
    assert "there is no event" in result.stderr


def test_many_events_are_taken_back_in_several_requests() -> None:
    """The server takes a hundred at once."""
    nothing = reply({"deleted": [], "issues": []})
    with scripted(nothing, nothing) as server:
        run(server, "void", *(f"id-{number}" for number in range(101)))

    assert [len(query["ids"]) for *_, query in asked(server)] == [100, 1]


@pytest.mark.parametrize("arguments", [["list"], ["show", ONE], ["void", ONE]])
def test_what_the_server_refuses_is_told_in_a_line(arguments: list[str]) -> None:
    """Without a traceback, with exit code 1."""
    with scripted(reply({"error": "no such key"}, 401)) as server:
        result = run(server, *arguments)

    assert result.exit_code == 1
    assert "the server answers 401: no such key" in result.stderr


def test_an_address_that_is_none_is_told_in_a_line() -> None:
    """Before anything is sent."""
    result = CliRunner().invoke(main, ["events", "list", "--url", "nowhere", "--key", "k"])

    assert result.exit_code == 2
    assert "'nowhere' is not the address of a server" in result.stderr
