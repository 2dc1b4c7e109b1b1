"""The official SDK as the tests use it: both of its clients behind one face, and short ways to define things."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from trophy import (
    AsyncTrophyApi,
    CreateAttributeRequestItem,
    CreateLeaderboardRequestItem,
    CreateMetricRequestItem,
    TrophyApi,
)
from trophy.environment import TrophyApiEnvironment


def environment(address: str) -> TrophyApiEnvironment:
    """The two base URLs: all that a client of Trophy changes, besides its key."""
    return TrophyApiEnvironment(api=f"{address}/v1", admin=f"{address}/admin/v1")


Statuses = list[int]


@contextmanager
def sync_client(address: str, key: str, statuses: Statuses | None = None) -> Iterator[TrophyApi]:
    """The SDK's synchronous client; the status of every answer is added to the list."""

    def note(answer: httpx.Response) -> None:
        if statuses is not None:
            statuses.append(answer.status_code)

    with httpx.Client(timeout=60, follow_redirects=True, event_hooks={"response": [note]}) as connection:
        yield TrophyApi(environment=environment(address), api_key=key, httpx_client=connection)


@contextmanager
def awaited_client(address: str, key: str, statuses: Statuses | None = None) -> Iterator[Any]:
    """The SDK's asynchronous client, each of whose calls is awaited at once: it is used like the synchronous one."""

    async def note(answer: httpx.Response) -> None:
        if statuses is not None:
            statuses.append(answer.status_code)

    with asyncio.Runner() as runner:
        connection = httpx.AsyncClient(timeout=60, follow_redirects=True, event_hooks={"response": [note]})
        try:
            client = AsyncTrophyApi(environment=environment(address), api_key=key, httpx_client=connection)
            yield _Awaited(client, runner)
        finally:
            runner.run(connection.aclose())


class _Awaited:
    def __init__(self, wrapped: Any, runner: asyncio.Runner) -> None:
        self._wrapped = wrapped
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return _Awaited(getattr(self._wrapped, name), self._runner)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._runner.run(self._wrapped(*arguments, **named))


def define_metric(client: Any, key: str, **fields: Any) -> str:
    """Create a metric; returns its id."""
    return _only(client.admin.metrics.create(request=[CreateMetricRequestItem(key=key, name=key.title(), **fields)]))


def define_attribute(client: Any, key: str, kind: str = "user") -> str:
    """Create an attribute; returns its id."""
    item = CreateAttributeRequestItem(key=key, name=key.title(), type=kind)
    return _only(client.admin.attributes.create(request=[item]))


def define_board(client: Any, key: str, metric_id: str, **fields: Any) -> str:
    """Create an active board that ranks by a metric since Monday 2026-03-02; returns its id."""
    fixed = {"name": key.title(), "key": key, "rank_by": "metric", "metric_id": metric_id, "status": "active"}
    item = CreateLeaderboardRequestItem(**fixed | {"start": "2026-03-02"} | fields)
    return made_board(client, item)


def made_board(client: Any, item: CreateLeaderboardRequestItem) -> str:
    """Create a board; returns its id when it is there, which on a busy machine may be later than the answer."""
    answer = client.admin.leaderboards.create(request=[item])
    assert [issue for issue in answer.issues if issue.severity == "error"] == []
    [made] = answer.created
    assert any("progress" not in client.admin.leaderboards.get(made.id).dict() for _ in range(10_000))
    return str(made.id)


def _only(answer: Any) -> str:
    assert answer.issues == []
    [made] = answer.created
    return str(made.id)
