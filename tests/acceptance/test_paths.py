"""Paths as clients send them, over a real connection: ids of every form, slashes at the end, bases old and new."""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask(server: Process) -> Iterator[Ask]:
    """Send a request whose target goes out exactly as it is given; answers the status and the body."""
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)

    def send(method: str, target: str, body: Any = None, key: str | None = ADMIN_KEY) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | ({"X-API-KEY": key} if key else {})
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None

    yield send
    connection.close()


@pytest.fixture(scope="session")
def board(caller: Caller) -> str:
    """A metric and a board that ranks by it, there as long as the server: these tests may come in several turns."""
    caller.define_board("paths", caller.define_metric("paths"))
    return "paths"


# The last of these would be other routes if they were not encoded.
IDS = [
    "org/7", "a|b", "a+b", "a b", "ü-名前-🏊", "50%", "a%2Fb", "a%20b", "..", ".", "a/", "/a", "a//b", "a?b=c", "a#b",
    "a:b@c;d,e=f", "~'()*!$&", "x" * 255, "a/metrics", "a/metrics/paths", "a/leaderboards/paths",
]  # fmt: skip


@pytest.mark.parametrize("user", IDS)
def test_an_encoded_id_of_any_form_is_one_user(ask: Ask, board: str, user: str) -> None:
    """Made, read, changed and ranked under the very id that was given."""
    path = f"/v1/users/{quote(user, safe='')}"
    assert ask("PUT", path, {"name": "Ann"})[0] == 200
    status, shown = ask("GET", path)
    assert (status, shown["id"], shown["name"]) == (200, user, "Ann")
    assert ask("PATCH", path, {"name": "Bob"})[1]["name"] == "Bob"
    assert ask("POST", f"/v1/metrics/{board}/event", {"user": {"id": user}, "value": 3})[0] == 201
    assert ask("GET", f"{path}/metrics/{board}")[1]["current"] == 3
    assert [one["current"] for one in ask("GET", f"{path}/metrics")[1] if one["key"] == board] == [3]
    assert ask("GET", f"{path}/leaderboards/{board}")[1]["value"] == 3
    page = ask("GET", f"/v1/leaderboards/{board}?limit=1&offset=0&userId={quote(user, safe='')}")[1]
    assert [(row["userId"], row["userName"]) for row in page["rankings"]] == [(user, "Bob")]


@pytest.mark.parametrize("user", ["raw/7", "raw/a/b/c", "raw|pipe", "raw+plus", "raw:colon", "raw/metrics/x", "raw//b"])
def test_an_id_may_stand_in_a_path_unencoded(ask: Ask, board: str, user: str) -> None:
    """As some SDKs send it: a slash in it does not hide the user."""
    assert ask("POST", f"/v1/metrics/{board}/event", {"user": {"id": user}, "value": 2})[0] == 201
    assert ask("GET", f"/v1/users/{user}/metrics/{board}")[1]["current"] == 2
    assert ask("GET", f"/v1/users/{user}/leaderboards/{board}")[1]["value"] == 2
    summary = "aggregation=daily&startDate=2026-03-01&endDate=2026-03-01"
    assert ask("GET", f"/v1/users/{user}/metrics/{board}/event-summary?{summary}")[0] == 200
    if "/metrics/" not in user:
        assert ask("GET", f"/v1/users/{user}")[1]["id"] == user


def test_a_slash_at_the_end_means_nothing(ask: Ask, board: str) -> None:
    """On every kind of route, and nothing is redirected."""
    event = {"user": {"id": "slash"}, "value": 1}
    assert ask("POST", f"/v1/metrics/{board}/event/", event)[0] == 201
    assert ask("PUT", "/v1/users/slash/", {"name": "Slash"})[0] == 200
    assert ask("GET", f"/v1/leaderboards/{board}/?limit=1")[0] == 200
    assert ask("GET", "/admin/v1/metrics/")[0] == 200
    assert ask("POST", "/admin/v1/metrics/events/", [event | {"key": board}]) == (202, {"accepted": 1})
    assert ask("GET", f"/v1/users/slash/metrics/{board}/")[1]["current"] == 2
    assert ask("GET", "/healthz/")[0] == 200


def test_the_old_base_is_another_name_of_the_application_api(ask: Ask, board: str) -> None:
    """`/api`, with and without a slash at the end; the Admin API has no such name."""
    assert ask("POST", f"/api/metrics/{board}/event", {"user": {"id": "old"}, "value": 1})[0] == 201
    assert ask("GET", "/api/users/old") == ask("GET", "/v1/users/old")
    assert ask("GET", f"/api/leaderboards/{board}/") == ask("GET", f"/v1/leaderboards/{board}")
    assert ask("GET", "/api/attributes")[0] == 404


@pytest.mark.parametrize("base", ["/v1", "/admin/v1", "/api"])
def test_each_api_describes_itself_to_anybody(ask: Ask, base: str) -> None:
    """`GET {base}/openapi` needs no key."""
    status, document = ask("GET", f"{base}/openapi", key=None)
    assert (status, document["openapi"]) == (200, "3.1.0")
    assert ("/metrics/{key}/event" in document["paths"]) is (base != "/admin/v1")


def test_lists_in_a_query_are_repeated_or_joined_by_commas(ask: Ask, caller: Caller) -> None:
    """Both at once, too."""
    ids = [caller.define_metric(f"paths-{number}") for number in range(4)]
    target = f"/admin/v1/metrics?ids={ids[0]}&ids={ids[1]},{ids[2]}&ids={ids[3]}"
    assert [one["id"] for one in ask("DELETE", target)[1]["deleted"]] == ids


def test_a_head_request_answers_without_a_body(ask: Ask) -> None:
    """And the connection goes on."""
    assert ask("HEAD", "/v1/leaderboards") == (200, None)
    assert ask("GET", "/healthz")[0] == 200


def test_a_large_body_in_pieces_is_refused(server: Process) -> None:
    """It names no length beforehand; what counts is what comes."""
    piece = b" " * 100_000
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)
    pieces = (piece for _ in range(45))
    connection.request("POST", "/v1/users", pieces, {"X-API-KEY": ADMIN_KEY}, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, list(json.loads(answer.read()))) == (413, ["error"])
    connection.close()
