"""What is counted while requests are served; `health.py` shows it to Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable

# Upper bounds of the latency classes, in seconds.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class RouteMeter:
    """Plain counters of one route, cheap enough for the hottest: a request costs a step in a dictionary and a list."""

    __slots__ = ("_now", "classes", "seconds", "statuses")

    def __init__(self, timer: Callable[[], float]) -> None:
        self._now = timer
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.seconds = 0.0
        self.classes = [0] * (len(BOUNDS) + 1)

    def count(self, status: int, began: float) -> None:
        """Count a request that was answered just now."""
        elapsed = self._now() - began
        self.statuses[status] += 1
        self.seconds += elapsed
        self.classes[bisect_left(BOUNDS, elapsed)] += 1


class Meter:
    """The counters of all routes; `now` is the timer that requests are timed by."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self.now = timer
        self.routes: dict[str, RouteMeter] = {}

    def route(self, label: str) -> RouteMeter:
        """The counters of a route; its label is method and path."""
        return self.routes.setdefault(label, RouteMeter(self.now))
