"""The SDK's asynchronous client with many calls at once, as a server of games would use it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from trophy import AsyncTrophyApi, CreateLeaderboardRequestItem, CreateMetricRequestItem, UpsertedUser

from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import environment

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(server: Process) -> AsyncIterator[AsyncTrophyApi]:
    """The SDK with a key that opens everything."""
    async with httpx.AsyncClient(timeout=60) as connection:
        yield AsyncTrophyApi(environment=environment(server.address), api_key=ADMIN_KEY, httpx_client=connection)


async def define(client: AsyncTrophyApi, key: str) -> None:
    """A metric, and a board that ranks by it."""
    metric = CreateMetricRequestItem(name=key, key=key)
    [made] = (await client.admin.metrics.create(request=[metric])).created
    board = CreateLeaderboardRequestItem(name=key, key=key, rank_by="metric", metric_id=made.id, status="active")
    [made_board] = (await client.admin.leaderboards.create(request=[board])).created
    # On a busy machine, it may be there later than the answer.
    while "progress" in (await client.admin.leaderboards.get(made_board.id)).dict():
        pass


async def test_events_sent_at_once_are_all_ranked(client: AsyncTrophyApi) -> None:
    """Fifty users at once: told in the order of their ids, each event answers the rank that it had just then."""
    await define(client, "async-all")
    answers = await asyncio.gather(
        *(client.metrics.event(key="async-all", user=UpsertedUser(id=f"async-u{n}"), value=n) for n in range(50))
    )
    before: list[float] = []
    for answer in sorted(answers, key=lambda answer: answer.event_id):
        assert answer.leaderboards["async-all"].rank == 1 + sum(value > answer.total for value in before)
        before.append(answer.total)
    page = await client.leaderboards.get("async-all", limit=50)
    assert [(row.rank, row.user_id) for row in page.rankings] == [(50 - n, f"async-u{n}") for n in range(49, -1, -1)]


async def test_ranks_of_a_crowd_have_seen_all_who_came_before(client: AsyncTrophyApi) -> None:
    """Five crowds of ten users at once, one after the other: whom else a rank has seen, it may choose in its own."""
    await define(client, "async-crowds")
    before: list[float] = []
    for crowd in range(5):
        values = range(crowd, 50, 5)
        users = {f"async-c{value}": value for value in values}
        answers = await asyncio.gather(
            *(
                client.metrics.event(key="async-crowds", user=UpsertedUser(id=user), value=value)
                for user, value in users.items()
            )
        )
        for answer in answers:
            least = 1 + sum(value > answer.total for value in before)
            most = least + sum(value > answer.total for value in values)
            assert least <= answer.leaderboards["async-crowds"].rank <= most
        before += values
    page = await client.leaderboards.get("async-crowds", limit=50)
    assert [(row.rank, row.value) for row in page.rankings] == [(50 - value, value) for value in range(49, -1, -1)]


async def test_reads_between_writes_never_see_half_an_event(client: AsyncTrophyApi) -> None:
    """Every page read meanwhile is a whole ranking: ranks without gaps, values in order."""
    await define(client, "async-mixed")

    async def write(number: int) -> None:
        await client.metrics.event(key="async-mixed", user=UpsertedUser(id=f"async-m{number % 10}"), value=number)

    async def read() -> list[tuple[int, int]]:
        page = await client.leaderboards.get("async-mixed", limit=100)
        return [(row.rank, row.value) for row in page.rankings]

    mixed = [work for number in range(60) for work in (write(number), read())]
    for page in [answer for answer in await asyncio.gather(*mixed) if answer is not None]:
        assert [rank for rank, _ in page] == list(range(1, len(page) + 1))
        assert [value for _, value in page] == sorted((value for _, value in page), reverse=True)
    assert sum(value for _, value in await read()) == sum(range(60))
