"""A key sends no more requests a second than it may, and may send those at once."""

import pytest

from palmares.domain.errors import RateLimited
from palmares.service import rate_limit
from palmares.service.rate_limit import Buckets, RouteClass
from tests.definitions import Clock

pytestmark = pytest.mark.anyio

SECOND = 1_000_000


class Keys:
    """Buckets for 5 events and 50 reads a second, and a clock for them."""

    def __init__(self, rates: dict[RouteClass, int] | None = None) -> None:
        self.clock = Clock("2026-03-04 10:00")
        self.buckets = Buckets({"events": 5, "reads": 50} if rates is None else rates, self.clock)

    async def sent(self, number: int, key: str = "key-1", route_class: RouteClass = "events") -> int:
        """How many of so many requests pass."""
        return sum([await self.passes(key, route_class) for _ in range(number)])

    async def passes(self, key: str = "key-1", route_class: RouteClass = "events") -> bool:
        try:
            await self.buckets.take(key, route_class)
        except RateLimited:
            return False
        return True


async def test_a_second_of_requests_may_come_at_once_and_then_as_many_as_time_brings() -> None:
    """A fifth of a second brings one of five."""
    keys = Keys()

    assert await keys.sent(20) == 5
    keys.clock.now += SECOND // 5
    assert await keys.sent(20) == 1
    keys.clock.now += SECOND // 5 - 1
    assert await keys.sent(20) == 0
    keys.clock.now += 1
    assert await keys.sent(20) == 1
    keys.clock.now += SECOND
    assert await keys.sent(20) == 5


async def test_nobody_saves_up_more_than_a_second() -> None:
    """However long they were silent."""
    keys = Keys()
    assert await keys.sent(1) == 1

    keys.clock.now += 3600 * SECOND

    assert await keys.sent(20) == 5


@pytest.mark.parametrize("rate", [1, 3, 7, 999])
async def test_over_a_long_time_it_is_the_rate_exactly(rate: int) -> None:
    """Also one that does not divide a second: nothing is lost by rounding, however often it is asked for."""
    keys = Keys({"events": rate})
    passed, began, seconds = await keys.sent(rate), keys.clock(), 3

    while keys.clock() < began + seconds * SECOND:
        keys.clock.now += SECOND // (4 * rate)
        passed += await keys.sent(1)

    assert passed - rate in (rate * seconds, rate * seconds + 1)


async def test_keys_and_classes_do_not_use_up_each_others_requests() -> None:
    """Each key has a bucket for each class."""
    keys = Keys()

    assert await keys.sent(20) == 5
    assert await keys.sent(20, key="key-2") == 5
    assert await keys.sent(100, route_class="reads") == 50


async def test_a_class_without_a_rate_is_not_limited() -> None:
    """Either may be set alone."""
    keys = Keys({"reads": 1})

    assert await keys.sent(1000) == 1000
    assert await keys.sent(3, route_class="reads") == 1


async def test_a_request_that_is_refused_does_not_count() -> None:
    """Asking in vain makes it no longer; after a second there is always one."""
    keys = Keys({"events": 1})
    await keys.sent(1)

    for _ in range(10):
        keys.clock.now += SECOND // 11
        assert not await keys.passes()
    keys.clock.now += SECOND // 11 + 1

    assert await keys.passes()


async def test_a_clock_that_is_set_back_shuts_nobody_out() -> None:
    """The bucket fills from the new time on."""
    keys = Keys()
    await keys.sent(5)

    keys.clock.now -= 3600 * SECOND
    assert await keys.sent(20) == 0
    keys.clock.now += SECOND

    assert await keys.sent(20) == 5


async def test_full_buckets_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be as many keys as users, and only those of this second matter."""
    monkeypatch.setattr(rate_limit, "_FEW", 10)
    keys = Keys()
    for number in range(1000):
        await keys.passes(f"key-{number}")
        keys.clock.now += SECOND // 10
        assert len(keys.buckets._missing) <= 20
    await keys.sent(5, key="busy")
    for number in range(100):
        await keys.passes(f"key-{number}")

    assert not await keys.passes("busy")
