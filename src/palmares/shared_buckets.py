"""The buckets of all workers, in Valkey: the same arithmetic as `Buckets`, in one script.

The time is Valkey's, so that clocks of workers that differ let nothing through. A bucket of a key lies in a slot of its
own, and is forgotten a minute after its last request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from palmares.domain.errors import RateLimited
from palmares.ledger.valkey.store import Store
from palmares.service.rate_limit import RouteClass


class SharedBuckets:
    """A `RateLimiter` for all who have the same ledger. `rates` are requests a second; a class without one is not
    limited. The `clock` of a test takes the place of Valkey's."""

    def __init__(
        self, store: Store, ledger: str, rates: Mapping[RouteClass, int], clock: Callable[[], int] | None = None
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._rates = rates
        self._clock = clock

    async def take(self, key_id: str, route_class: RouteClass) -> None:
        """Take one request out of the bucket of a key: one round trip. Raises `Unavailable` while Valkey is away: who
        cannot count lets nobody in."""
        rate = self._rates.get(route_class)
        if rate is None:
            return
        bucket = f"{{{self._ledger}:sent:{key_id}:{route_class}}}".encode()
        now = b"" if self._clock is None else b"%d" % self._clock()
        if not await self._store.script("take", [bucket], [b"%d" % rate, now]):
            raise RateLimited(f"this key may send {rate} requests a second here")
