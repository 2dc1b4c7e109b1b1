"""From paths to endpoints: what is sent decides, nothing is decoded too early and nothing is redirected."""

import json
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from palmares.api import paths
from palmares.api.paths import application, raw_path

pytestmark = pytest.mark.anyio


class Echo:
    """Answers with its name and the path's parameters."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.dumps([self.name, scope["path_params"]]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-name", self.name.encode())]})
        await send({"type": "http.response.body", "body": body})


class Broken:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("surprise")


TABLE = [
    ("GET", "/v1/users/{id:path}/metrics/{key}", Echo("metric")),
    ("GET", "/v1/users/{id:path}/metrics", Echo("metrics")),
    ("POST", "/v1/users", Echo("create")),
    ("GET", "/v1/users/{id:path}", Echo("get")),
    ("PATCH", "/v1/users/{id:path}", Echo("update")),
    ("GET", "/v1/broken", Broken()),
]


async def request(method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(application(TABLE), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", follow_redirects=False) as client:
        return await client.request(method, path)


async def test_a_path_finds_its_endpoint_by_method() -> None:
    assert (await request("GET", "/v1/users/a")).json() == ["get", {"id": "a"}]
    assert (await request("PATCH", "/v1/users/a")).json() == ["update", {"id": "a"}]
    assert (await request("POST", "/v1/users")).json() == ["create", {}]


async def test_an_encoded_slash_separates_nothing() -> None:
    """The parameters are handed on encoded; the door decodes them."""
    assert (await request("GET", "/v1/users/org%2Fmetrics%2F7")).json() == ["get", {"id": "org%2Fmetrics%2F7"}]
    assert (await request("GET", "/v1/users/org%2F7/metrics/laps")).json() == [
        "metric",
        {"id": "org%2F7", "key": "laps"},
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("org/7", ["get", {"id": "org/7"}]),
        ("org/7/metrics", ["metrics", {"id": "org/7"}]),
        ("org/7/metrics/laps", ["metric", {"id": "org/7", "key": "laps"}]),
        ("a/metrics/b/metrics/laps", ["metric", {"id": "a/metrics/b", "key": "laps"}]),
        ("a/other/b", ["get", {"id": "a/other/b"}]),
    ],
)
async def test_an_id_may_span_segments_up_to_the_known_endings(path: str, expected: list[Any]) -> None:
    assert (await request("GET", f"/v1/users/{path}")).json() == expected


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [("GET", "/v1/users/a/", "get"), ("POST", "/v1/users/", "create"), ("GET", "/v1/users/a/metrics/", "metrics")],
)
async def test_a_trailing_slash_means_nothing(method: str, path: str, name: str) -> None:
    answer = await request(method, path)

    assert (answer.status_code, answer.json()[0]) == (200, name)


async def test_the_query_is_no_part_of_the_path() -> None:
    assert (await request("GET", "/v1/users/a?x=/metrics/")).json() == ["get", {"id": "a"}]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/user", "/v2/users/a", "/v1/users%2Fa", "//v1/users/a"])
async def test_an_unknown_path_is_404_with_the_error_body(path: str) -> None:
    answer = await request("GET", f"http://test{path}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/users", "POST"),
        ("DELETE", "/v1/users/a", "GET, PATCH, HEAD"),
        # A known ending belongs to its path: this is no user with the id "a/metrics".
        ("PATCH", "/v1/users/a/metrics", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_and_tells_the_right_ones(method: str, path: str, allowed: str) -> None:
    answer = await request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert list(answer.json()) == ["error"]


async def test_head_is_answered_like_get() -> None:
    answer = await request("HEAD", "/v1/users/a")

    assert (answer.status_code, answer.headers["x-name"]) == (200, "get")


async def test_what_breaks_is_500_with_the_error_body() -> None:
    answer = await request("GET", "/v1/broken")

    assert answer.status_code == 500
    assert list(answer.json()) == ["error"]
    assert "surprise" not in answer.text


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        (b"/v1/users/a%20b", "/v1/users/a%20b"),
        (b"/v1/users/", "/v1/users"),
        (b"/v1/users//", "/v1/users/"),
        (b"/", "/"),
        # Bytes that should have been encoded are, so that the door can decode them.
        ("/v1/users/é?".encode()[:-1], "/v1/users/%C3%A9"),
    ],
)
async def test_the_path_is_taken_as_it_was_sent(sent: bytes, path: str) -> None:
    assert raw_path({"type": "http", "raw_path": sent, "path": "/other"}) == path


async def test_without_the_sent_path_the_decoded_one_is_encoded_again() -> None:
    """A server need not hand it on."""
    assert raw_path({"type": "http", "path": "/v1/users/a b"}) == "/v1/users/a%20b"


async def test_what_was_found_for_a_path_is_remembered_for_all_its_methods() -> None:
    """And forgotten when there is no room; answers do not change by it."""
    transport = httpx.ASGITransport(application(TABLE))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for _ in range(3):
            for name in ("a", "b/metrics", "c" * (paths.LONGEST_REMEMBERED + 1), "d"):
                first = await client.get(f"/v1/users/{name}")
                assert (await client.get(f"/v1/users/{name}")).json() == first.json()
            assert (await client.patch("/v1/users/a")).json() == ["update", {"id": "a"}]
            assert (await client.delete("/v1/users/a")).status_code == 405


async def test_only_so_many_short_paths_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MOST_REMEMBERED", 3)
    table = paths.Table(Echo("behind"), {"/v1/users/{id:path}": paths.Methods({"GET": Echo("get")})})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(table), base_url="http://test") as client:
        for number in range(10):
            answers = [(await client.get(f"/v1/users/{number}")).json() for _ in range(2)]
            assert answers == [["get", {"id": f"{number}"}]] * 2
            assert 1 <= len(table._remembered) <= 3
        before = len(table._remembered)
        await client.get("/v1/users/" + "x" * 200)

        assert len(table._remembered) == before
