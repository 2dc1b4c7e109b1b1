"""The buckets of all workers, in Valkey: the same arithmetic as `Buckets`, in one script.

The time is Valkey's, so that clocks of workers that differ let nothing through. A bucket of a key lies in a slot of its
own, and is forgotten a minute after its last request.

Of one bucket, one call is on its way at a time, and it takes for all who have come meanwhile: a call costs as much as a
good part of an event, and Valkey may have to write to the disk before it answers.
"""

from __future__ import annotations

import asyncio
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
        # Who waits for the next call, by bucket; there is an entry while one is on its way.
        self._waiting: dict[bytes, list[asyncio.Future[bool]]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def take(self, key_id: str, route_class: RouteClass) -> None:
        """Take one request out of the bucket of a key: one round trip, shared by all that arrive together. Raises
        `Unavailable` while Valkey is away: who cannot count lets nobody in."""
        rate = self._rates.get(route_class)
        if rate is None:
            return
        bucket = f"{{{self._ledger}:sent:{key_id}:{route_class}}}".encode()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if bucket in self._waiting:
            self._waiting[bucket].append(answer)
        else:
            self._waiting[bucket] = [answer]
            call = asyncio.create_task(self._take_for_all(bucket, rate), name="palmares-rate")
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        if not await answer:
            raise RateLimited(f"this key may send {rate} requests a second here")

    async def _take_for_all(self, bucket: bytes, rate: int) -> None:
        """Take for those who wait, until nobody does. Who came first passes first."""
        while waiting := self._waiting[bucket]:
            self._waiting[bucket] = []
            now = b"" if self._clock is None else b"%d" % self._clock()
            try:
                arguments = [b"%d" % rate, now, b"%d" % len(waiting)]
                passing = int(await self._store.script("take", [bucket], arguments))
            except Exception as error:
                for answer in waiting:
                    if not answer.done():
                        answer.set_exception(error)
            else:
                for place, answer in enumerate(waiting):
                    if not answer.done():
                        answer.set_result(place < passing)
        del self._waiting[bucket]
