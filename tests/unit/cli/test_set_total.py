"""`palmares users set-total` asks the server for what it is told."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from palmares.cli import main
from tests.unit.cli.test_client import Scripted, scripted

STATE = {"id": "m", "key": "laps", "name": "Laps", "status": "active", "current": 0.3, "achievements": []}


def run(server: Scripted, *arguments: str) -> Result:
    options = ["--url", server.url, "--key", "abcd1234.secret"]
    return CliRunner().invoke(main, ["users", "set-total", *options, *arguments])


def answer(**given: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(STATE | given).encode()


def test_a_total_is_set() -> None:
    """To the very number, of a user with any id; the answer names the event."""
    with scripted(answer(eventId="e-1")) as server:
        result = run(server, "org/a b", "laps", "9223372036854.775807", "--idempotency-key", "k", "--tenant", "acme")

    assert (result.exit_code, result.stdout) == (0, "laps of org/a b is 0.3 (event e-1)\n")
    [(method, path, body, _)] = server.asked
    assert (method, path) == ("PUT", "/admin/v1/users/org%2Fa%20b/metrics/laps")
    assert body == b'{"total":9223372036854.775807}'
    assert (server.headers[0]["Idempotency-Key"], server.headers[0]["Tenant-ID"]) == ("k", "acme")


def test_a_total_may_be_negative_or_whole() -> None:
    """It is no option."""
    with scripted(answer(eventId=None)) as server:
        result = run(server, "ann", "laps", "-5")

    assert server.asked[0][2] == b'{"total":-5}'
    assert result.stdout == "laps of ann is 0.3 (no event was needed)\n"


@pytest.mark.parametrize("total", ["many", "", "9223372036855"])
def test_what_is_no_total_is_told_in_a_line(total: str) -> None:
    """Before anything is sent."""
    with scripted() as server:
        result = run(server, "ann", "laps", total)

    assert result.exit_code == 1
    assert "total" in result.stderr
    assert server.asked == []


def test_what_the_server_refuses_is_told_in_a_line() -> None:
    """Without a traceback."""
    with scripted((404, {}, b'{"error": "user \'zoe\' was not found"}')) as server:
        result = run(server, "zoe", "laps", "1")

    assert result.exit_code == 1
    assert "user 'zoe' was not found" in result.stderr
