"""How many requests a second a key may send.

Each key has a bucket for each class of routes. It holds one second's worth of requests, runs full at the rate of the
class, and every request takes one out; what finds it empty is refused. So a key may send what it has not sent in the
second before, and never more than its rate for long. A rate is at least one a second, so it is enough to wait for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from palmares.domain.errors import RateLimited

# events: sending events, and all of the Admin API; reads: everything else.
RouteClass = Literal["events", "reads"]

# Buckets are counted in millionths of a request, and filled by the microsecond: a rate is how much in each.
_REQUEST = 1_000_000
# There is no need to look for full buckets among so few.
_FEW = 10_000


class RateLimiter(Protocol):
    """Counts requests. Several processes may share one, so asking may take a round trip."""

    async def take(self, key_id: str, route_class: RouteClass) -> None:
        """Count a request of a key; raises `RateLimited` for one too many, which does not count."""


class Buckets:
    """A `RateLimiter` within one process. `rates` are requests a second; a class without one is not limited."""

    def __init__(self, rates: Mapping[RouteClass, int], clock: Callable[[], int]) -> None:
        self._rates = rates
        self._clock = clock
        # How much is missing from a bucket, and at which instant. A full one need not be kept.
        self._missing: dict[tuple[str, RouteClass], tuple[int, int]] = {}
        self._most = _FEW

    async def take(self, key_id: str, route_class: RouteClass) -> None:
        """Take one request out of the bucket of a key; two dictionary steps."""
        rate = self._rates.get(route_class)
        if rate is None:
            return
        now = self._clock()
        missing = self._missing_at(key_id, route_class, rate, now)
        empty = missing + _REQUEST > rate * _REQUEST
        # Kept in both cases: a clock that was set back would else not fill the bucket until it has caught up.
        self._missing[key_id, route_class] = (missing if empty else missing + _REQUEST), now
        if len(self._missing) > self._most:
            self._forget_full(now)
        if empty:
            raise RateLimited(f"this key may send {rate} requests a second here")

    def _missing_at(self, key_id: str, route_class: RouteClass, rate: int, now: int) -> int:
        missing, at = self._missing.get((key_id, route_class), (0, now))
        return max(missing - max(now - at, 0) * rate, 0)

    def _forget_full(self, now: int) -> None:
        """Looked for again when there are twice as many as now, so that it costs little for each request."""
        self._missing = {
            (key_id, route_class): kept
            for (key_id, route_class), kept in self._missing.items()
            if self._missing_at(key_id, route_class, self._rates[route_class], now)
        }
        self._most = max(2 * len(self._missing), _FEW)
