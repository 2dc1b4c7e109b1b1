"""A key sends no more requests a second than it may, and may send those at once: in one process, and over several.

Shared buckets are those of Valkey, and every other request is sent to another worker.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import cycle

import pytest

from palmares.domain.errors import RateLimited
from palmares.ledger.valkey.store import Glide, Lost
from palmares.service.rate_limit import Buckets, RateLimiter, RouteClass
from palmares.shared_buckets import SharedBuckets
from tests.definitions import Clock
from tests.valkey_servers import Address, fresh_name

pytestmark = pytest.mark.anyio

SECOND = 1_000_000


Rates = dict[RouteClass, int]


class Keys:
    """Limiters that are to be as one, asked in turn, and a clock for them."""

    def __init__(self, clock: Clock, limiters: list[RateLimiter]) -> None:
        self.clock = clock
        self._next = cycle(limiters)

    async def sent(self, number: int, key: str = "key-1", route_class: RouteClass = "events") -> int:
        """How many of so many requests pass."""
        return sum([await self.passes(key, route_class) for _ in range(number)])

    async def passes(self, key: str = "key-1", route_class: RouteClass = "events") -> bool:
        try:
            await next(self._next).take(key, route_class)
        except RateLimited:
            return False
        return True


MakeKeys = Callable[..., Keys]


@pytest.fixture(params=["one process", "two workers", "two workers, cluster"])
async def make_keys(request: pytest.FixtureRequest) -> AsyncIterator[MakeKeys]:
    """Makes keys with 5 events and 50 reads a second, or other rates."""
    async with AsyncExitStack() as opened:
        stores = []
        if request.param != "one process":
            servers: list[Address] = request.getfixturevalue(
                "valkey_cluster" if "cluster" in request.param else "valkey"
            )
            for _ in range(2):
                stores.append(await Glide.connect(servers))
                opened.push_async_callback(stores[-1].close)

        def make(rates: Rates | None = None) -> Keys:
            rates, clock, name = rates or {"events": 5, "reads": 50}, Clock("2026-03-04 10:00"), fresh_name()
            if not stores:
                return Keys(clock, [Buckets(rates, clock)])
            return Keys(clock, [SharedBuckets(store, name, rates, clock) for store in stores])

        yield make


async def test_a_second_of_requests_may_come_at_once_and_then_as_many_as_time_brings(make_keys: MakeKeys) -> None:
    """A fifth of a second brings one of five."""
    keys = make_keys()

    assert await keys.sent(20) == 5
    keys.clock.now += SECOND // 5
    assert await keys.sent(20) == 1
    keys.clock.now += SECOND // 5 - 1
    assert await keys.sent(20) == 0
    keys.clock.now += 1
    assert await keys.sent(20) == 1
    keys.clock.now += SECOND
    assert await keys.sent(20) == 5


async def test_nobody_saves_up_more_than_a_second(make_keys: MakeKeys) -> None:
    """However long they were silent."""
    keys = make_keys()
    assert await keys.sent(1) == 1

    keys.clock.now += 3600 * SECOND

    assert await keys.sent(20) == 5


@pytest.mark.parametrize("rate", [1, 3, 7, 999])
async def test_over_a_long_time_it_is_the_rate_exactly(make_keys: MakeKeys, rate: int) -> None:
    """Also one that does not divide a second: nothing is lost by rounding, however often it is asked for."""
    keys = make_keys({"events": rate})
    passed, began, seconds = await keys.sent(rate), keys.clock(), 1 + 7 // rate

    while keys.clock() < began + seconds * SECOND:
        keys.clock.now += SECOND // (4 * rate)
        passed += await keys.sent(1)

    assert passed - rate in (rate * seconds, rate * seconds + 1)


async def test_keys_and_classes_do_not_use_up_each_others_requests(make_keys: MakeKeys) -> None:
    """Each key has a bucket for each class."""
    keys = make_keys()

    assert await keys.sent(20) == 5
    assert await keys.sent(20, key="key-2") == 5
    assert await keys.sent(100, route_class="reads") == 50


async def test_a_class_without_a_rate_is_not_limited(make_keys: MakeKeys) -> None:
    """Either may be set alone."""
    keys = make_keys({"reads": 1})

    assert await keys.sent(1000) == 1000
    assert await keys.sent(3, route_class="reads") == 1


async def test_a_request_that_is_refused_does_not_count(make_keys: MakeKeys) -> None:
    """Asking in vain makes it no longer; after a second there is always one."""
    keys = make_keys({"events": 1})
    await keys.sent(1)

    for _ in range(10):
        keys.clock.now += SECOND // 11
        assert not await keys.passes()
    keys.clock.now += SECOND // 11 + 1

    assert await keys.passes()


async def test_a_clock_that_is_set_back_shuts_nobody_out(make_keys: MakeKeys) -> None:
    """The bucket fills from the new time on."""
    keys = make_keys()
    await keys.sent(5)

    keys.clock.now -= 3600 * SECOND
    assert await keys.sent(20) == 0
    keys.clock.now += SECOND

    assert await keys.sent(20) == 5


async def test_requests_that_come_at_once_share_one_bucket(make_keys: MakeKeys) -> None:
    """However they are spread over workers, as many pass as one process would let pass."""
    keys = make_keys({"events": 7})

    passed = await asyncio.gather(*(keys.passes() for _ in range(40)))

    assert sum(passed) == 7


async def test_by_the_time_of_valkey_no_more_pass_than_the_rate_whatever_clocks_workers_have(
    valkey: list[Address],
) -> None:
    """As nobody sets that time here: what passed is at most the bucket and what the time that it took brings."""
    store = await Glide.connect(valkey)
    limiter = SharedBuckets(store, fresh_name(), {"reads": 20})
    keys = Keys(Clock("2026-03-04 10:00"), [limiter])

    async def now() -> int:
        [[seconds, micros]] = await store.read([[b"TIME"]])
        return int(seconds) * SECOND + int(micros)

    began = await now()
    passed = await keys.sent(60, route_class="reads")
    took = await now() - began
    await store.close()

    assert 20 <= passed <= 20 + 20 * took // SECOND + 1


async def test_buckets_are_forgotten_by_themselves(valkey: list[Address]) -> None:
    """There may be as many keys as users."""
    store, name = await Glide.connect(valkey), fresh_name()

    await SharedBuckets(store, name, {"reads": 20}).take("key-1", "reads")
    [left] = await store.read([[b"PTTL", f"{{{name}:sent:key-1:reads}}".encode()]])
    await store.close()

    assert 0 < left <= 60_000


async def test_nobody_passes_who_cannot_be_counted(valkey: list[Address]) -> None:
    """All who came while a call was on its way are told so, and those who come afterwards."""
    store = await Glide.connect(valkey)
    limiter = SharedBuckets(store, fresh_name(), {"events": 7})
    await store.close()

    for _ in range(2):
        told = await asyncio.gather(*(limiter.take("key-1", "events") for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in told] == [Lost] * 3
