"""What is counted while requests are served; `health.py` shows it to Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

# Upper bounds of the latency classes, in seconds.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Meter:
    """Plain counters, cheap enough for the hottest route: a request costs three dictionary steps and a short search."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self.now = timer
        self.requests: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, float] = {}
        self.classes: dict[str, list[int]] = {}

    def request(self, label: str, status: int, began: float) -> None:
        """Count a request that was answered just now. `label` is its method and route."""
        elapsed = self.now() - began
        self.requests[label, status] = self.requests.get((label, status), 0) + 1
        self.seconds[label] = self.seconds.get(label, 0.0) + elapsed
        classes = self.classes.get(label)
        if classes is None:
            classes = self.classes[label] = [0] * (len(BOUNDS) + 1)
        classes[bisect_left(BOUNDS, elapsed)] += 1
