"""How the server says how it is, without a key."""

import httpx
import pytest

from tests.http import client, make_app
from tests.world import World, make_board

pytestmark = pytest.mark.anyio


async def get(path: str, obstacle: str | None = None) -> httpx.Response:
    transport = httpx.ASGITransport(make_app(World(), obstacle))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get(path)


async def test_a_process_that_answers_is_up() -> None:
    """Also while it cannot write."""
    for obstacle in (None, "the disk is full"):
        answer = await get("/healthz", obstacle)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_ready_when_nothing_keeps_it_from_its_work() -> None:
    ready, blocked = await get("/readyz"), await get("/readyz", "the disk is full")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert (blocked.status_code, blocked.json()) == (503, {"error": "the disk is full"})
    assert int(blocked.headers["retry-after"]) > 0


async def test_the_figures_of_the_ledger_are_shown_to_prometheus() -> None:
    answer = await get("/metrics")
    lines = answer.text.splitlines()

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for line in [
        "palmares_events_total 7.0",
        "palmares_replays_total 1.0",
        "palmares_refused_total 2.0",
        "palmares_failed_flushes_total 0.0",
        "palmares_queued_entries 3.0",
        'palmares_flush_seconds_bucket{le="0.001"} 2.0',
        'palmares_flush_seconds_bucket{le="0.01"} 3.0',
        'palmares_flush_seconds_bucket{le="+Inf"} 3.0',
        "palmares_flush_seconds_count 3.0",
        "palmares_flush_seconds_sum 0.007",
        'palmares_batch_entries_bucket{le="1.0"} 1.0',
        'palmares_batch_entries_bucket{le="+Inf"} 3.0',
        'palmares_participants{environment="production",leaderboard="weekly-laps",tenant="pool-9"} 12.0',
    ]:
        assert line in lines


async def test_requests_are_counted_by_the_path_that_is_served() -> None:
    """An alias counts as what it stands for, and the two APIs are told apart."""
    world = World()
    await world.define(make_board())
    async with client(world, "") as http:
        for path in ("/v1/leaderboards", "/api/leaderboards", "/v1/leaderboards/weekly-laps", "/v1/leaderboards/x"):
            await http.get(path)
        await http.get("/admin/v1/leaderboards")
        lines = (await http.get("/metrics")).text.splitlines()

    for line in [
        'palmares_requests_total{route="GET /v1/leaderboards",status="200"} 2.0',
        'palmares_requests_total{route="GET /v1/leaderboards/{key}",status="200"} 1.0',
        'palmares_requests_total{route="GET /v1/leaderboards/{key}",status="404"} 1.0',
        'palmares_requests_total{route="GET /admin/v1/leaderboards",status="200"} 1.0',
        'palmares_request_seconds_count{route="GET /v1/leaderboards/{key}"} 2.0',
        'palmares_request_seconds_bucket{le="0.001",route="GET /v1/leaderboards/{key}"} 2.0',
    ]:
        assert line in lines
