"""A plain HTTP client with short ways to define things, for what is not the official SDK's business to show."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self, TypeVar

import httpx

Result = TypeVar("Result")


class Caller:
    """Requests to one server with one key; usable from several threads at once."""

    def __init__(self, address: str, key: str) -> None:
        limits = httpx.Limits(max_connections=None)
        self._client = httpx.Client(base_url=address, headers={"X-API-KEY": key}, timeout=60, limits=limits)

    def get(self, path: str, **query: Any) -> Any:
        """The body of a successful answer."""
        answer = self._client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Any request; the answer as it is."""
        return self._client.request(method, path, json=body, headers=headers)

    def event(self, metric: str, user: str, value: float, key: str | None = None, **user_fields: Any) -> httpx.Response:
        """Send one event."""
        body = {"user": {"id": user, **user_fields}, "value": value}
        return self.send("POST", f"/v1/metrics/{metric}/event", body, {"Idempotency-Key": key} if key else None)

    def batch(self, items: Iterable[Mapping[str, Any]]) -> httpx.Response:
        """Send a batch of events."""
        return self.send("POST", "/admin/v1/metrics/events", list(items))

    def total(self, user: str, metric: str) -> float:
        """The lifetime total of a user and metric."""
        current: float = self.get(f"/v1/users/{user}/metrics/{metric}")["current"]
        return current

    def page(self, board: str, **query: Any) -> list[tuple[int, str, float]]:
        """(rank, user, exact value) of the rows of one page."""
        rows = self.get(f"/v1/leaderboards/{board}", **query)["rankings"]
        return [(row["rank"], row["userId"], row["exactValue"]) for row in rows]

    def figure(self, line: str) -> float:
        """The number on the line of `/metrics` that begins so; 0 when there is none yet."""
        for text in self._client.get("/metrics").text.splitlines():
            if text.startswith(line):
                return float(text.rpartition(" ")[2])
        return 0.0

    def define_metric(self, key: str) -> str:
        """Create a metric; returns its id."""
        return self._define("metrics", {"name": key.title(), "key": key})

    def define_attribute(self, key: str, kind: str = "user") -> str:
        """Create an attribute; returns its id."""
        return self._define("attributes", {"name": key.title(), "key": key, "type": kind})

    def define_board(self, key: str, metric_id: str, **fields: Any) -> str:
        """Create an active board that ranks by a metric since the beginning of 2026; returns its id when it is there,
        which on a busy machine may be later than the answer."""
        fixed = {"name": key.title(), "key": key, "rankBy": "metric", "metricId": metric_id, "status": "active"}
        made = self._define("leaderboards", fixed | {"start": "2026-01-01"} | fields)
        assert any("progress" not in self.get(f"/admin/v1/leaderboards/{made}") for _ in range(10_000))
        return made

    def define_points(self, key: str, metric_id: str, **fields: Any) -> str:
        """Create a points system that pays one point for each whole unit of a metric; returns its id."""
        trigger = {"type": "metric", "points": 1, "status": "active", "metricId": metric_id, "metricThreshold": 1}
        return self._define("points", {"name": key.title(), "key": key, "triggers": [trigger]} | fields)

    def move_clock(self, now: datetime) -> None:
        """Move the test clock; everything that is due until then is done on return."""
        text = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        answer = self.send("PUT", "/admin/v1/test-clock", {"now": text})
        assert (answer.status_code, answer.json()) == (200, {"now": text}), answer.text

    def _define(self, things: str, item: Mapping[str, Any]) -> str:
        answer = self.send("POST", f"/admin/v1/{things}", [item])
        assert answer.status_code == 201, answer.text
        assert [issue for issue in answer.json()["issues"] if issue["severity"] == "error"] == []
        made: str = answer.json()["created"][0]["id"]
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()


def together(work: Callable[[int], Result], count: int) -> list[Result]:
    """Do work for each number below `count`, all at the same time; the results in the order of the numbers."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))
