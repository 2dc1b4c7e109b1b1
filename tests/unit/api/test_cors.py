"""Calls from web pages: who may see the answers, by the kind of key."""

import httpx
import pytest

from palmares.api.cors import ANY, Origins
from palmares.api.meter import Meter
from palmares.api.routes import build_app
from tests.http import FIGURES, client
from tests.world import ADMIN_KEY, World, make_board

pytestmark = pytest.mark.anyio

APP, DESK, OTHER = "https://app.example", "https://desk.example", "https://other.example"
APP_KEY = "app_abcde.secret"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,content-type"}
CHOSEN = Origins((APP,), (DESK,))


def page(origins: Origins) -> httpx.AsyncClient:
    """What a browser sends is sent through this."""
    app = build_app(
        World().context,
        Meter(lambda: 0.0),
        max_body_bytes=10_000,
        readiness=lambda: None,
        ledger_figures=lambda: FIGURES,
        origins=origins,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def allowed(answer: httpx.Response) -> str | None:
    """The origin that may see an answer."""
    return answer.headers.get("access-control-allow-origin")


async def preflight(origins: Origins, path: str, origin: str) -> httpx.Response:
    async with page(origins) as http:
        return await http.options(path, headers=PREFLIGHT | {"Origin": origin})


async def get(origins: Origins, path: str, origin: str | None, key: str | None = None) -> httpx.Response:
    headers = {"Origin": origin, "X-API-KEY": key}
    async with page(origins) as http:
        return await http.get(path, headers={name: value for name, value in headers.items() if value is not None})


# If nothing is said


@pytest.mark.parametrize("path", ["/v1/leaderboards", "/api/leaderboards", "/v1//users/a/metrics", "/v1/nothing"])
async def test_pages_from_anywhere_may_call_with_application_keys(path: str) -> None:
    """They are made for that. The preflight allows every method and the headers it asks for."""
    answer = await preflight(Origins(), path, OTHER)

    assert (answer.status_code, answer.content, allowed(answer)) == (204, b"", ANY)
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "x-api-key,content-type"
    assert int(answer.headers["access-control-max-age"]) > 0
    for key in (APP_KEY, None):
        assert allowed(await get(Origins(), path, OTHER, key)) == ANY


async def test_no_page_sees_what_an_admin_key_opens() -> None:
    """Neither on the Admin API, which is not even answered a preflight, nor on the Application API."""
    refused = await preflight(Origins(), "/admin/v1/metrics", OTHER)

    assert (refused.status_code, allowed(refused)) == (405, None)
    assert "error" in refused.json()
    for path in ("/admin/v1/metrics", "/v1/leaderboards"):
        answer = await get(Origins(), path, OTHER, ADMIN_KEY)
        assert (answer.status_code, allowed(answer)) == (200, None)


async def test_errors_are_shown_to_pages_too() -> None:
    """With the headers that say when to try again."""
    answer = await get(Origins(), "/v1/leaderboards", OTHER, APP_KEY)

    assert (answer.status_code, allowed(answer)) == (401, ANY)
    assert answer.headers["access-control-expose-headers"] == "retry-after, x-ratelimit-reset"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_no_page_sees_how_the_server_is(path: str) -> None:
    """That is for inside."""
    answer = await get(Origins((ANY,), (ANY,)), path, OTHER)

    assert (answer.status_code, allowed(answer)) == (200, None)


async def test_cookies_are_never_allowed() -> None:
    """There are none; a page has what its key opens."""
    for answer in (await preflight(Origins(), "/v1/users", OTHER), await get(Origins(), "/v1/users", OTHER)):
        assert "access-control-allow-credentials" not in answer.headers


async def test_what_no_browser_sends_is_answered_as_ever() -> None:
    """Not a header more."""
    answer = await get(Origins(), "/v1/leaderboards", None, ADMIN_KEY)

    assert answer.status_code == 200
    assert set(answer.headers) == {"content-type", "content-length"}


# With chosen origins


@pytest.mark.parametrize(
    ("path", "key", "origin", "seen"),
    [
        ("/v1/leaderboards", APP_KEY, APP, True),
        ("/v1/leaderboards", APP_KEY, DESK, False),
        ("/v1/leaderboards", APP_KEY, OTHER, False),
        ("/v1/leaderboards", ADMIN_KEY, DESK, True),
        ("/v1/leaderboards", ADMIN_KEY, APP, False),
        ("/v1/leaderboards", None, APP, True),
        ("/admin/v1/metrics", ADMIN_KEY, DESK, True),
        ("/admin/v1/metrics", ADMIN_KEY, APP, False),
        ("/admin/v1/metrics", APP_KEY, APP, False),
        ("/admin/v1/metrics", APP_KEY, DESK, True),
        ("/v1/leaderboards", APP_KEY, "null", False),
    ],
)
async def test_each_kind_of_key_has_its_origins(path: str, key: str | None, origin: str, seen: bool) -> None:
    """An origin that may see an answer is named; caches keep the answers of all apart."""
    answer = await get(CHOSEN, path, origin, key)

    assert allowed(answer) == (origin if seen else None)
    assert answer.headers["vary"] == "origin"


async def test_a_preflight_without_a_key_is_answered_for_either_kind() -> None:
    """Which one it is tells the request that follows."""
    seen = {origin: allowed(await preflight(CHOSEN, "/v1/users", origin)) for origin in (APP, DESK, OTHER)}

    assert seen == {APP: APP, DESK: DESK, OTHER: None}
    assert allowed(await preflight(CHOSEN, "/admin/v1/users", APP)) is None
    assert allowed(await preflight(CHOSEN, "/admin/v1/users", DESK)) == DESK


async def test_nobody_may_call_where_there_are_no_origins() -> None:
    nowhere = Origins((), ())

    assert allowed(await preflight(nowhere, "/v1/users", APP)) is None
    assert allowed(await get(nowhere, "/v1/leaderboards", APP, APP_KEY)) is None


async def test_options_that_is_no_preflight_is_a_method_like_any_other() -> None:
    """405 with the methods that there are."""
    world = World()
    await world.define(make_board())
    async with client(world) as http:
        answer = await http.options("/leaderboards", headers={"Origin": APP})

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
