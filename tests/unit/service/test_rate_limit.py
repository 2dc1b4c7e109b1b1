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

    async def wait(self, key: str = "key-1", route_class: RouteClass = "events") -> int:
        """The seconds that a refusal names."""
        with pytest.raises(RateLimited) as refused:
            await self.buckets.take(key, route_class)
        return refused.value.retry_after_seconds


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


@pytest.mark.parametrize("rate", [1, 3, 7, 999, 1_000_000])
async def test_over_a_long_time_it_is_the_rate_exactly(rate: int) -> None:
    """Also one that does not divide a second: nothing is lost by rounding."""
    keys = Keys({"events": rate})
    tries, seconds = 4, 3
    step = max(SECOND // (rate * tries), 1)

    passed = await keys.sent(rate) if rate <= 1000 else 0
    while rate <= 1000 and keys.clock.now < Clock("2026-03-04 10:00").now + seconds * SECOND:
        keys.clock.now += step
        passed += await keys.sent(1)

    if rate <= 1000:
        assert rate * seconds <= passed - rate <= rate * seconds + 1
    else:
        assert await keys.sent(10) == 10


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


async def test_a_refusal_does_not_count_and_names_the_seconds_to_wait() -> None:
    """Whole ones, at least one, since clients wait no fractions; asking in vain makes it no longer."""
    keys = Keys({"events": 2, "reads": 1})
    await keys.sent(2)

    for _ in range(10):
        assert await keys.wait() == 1
    keys.clock.now += SECOND // 2
    assert await keys.passes()

    await keys.sent(1, route_class="reads")
    assert await keys.wait(route_class="reads") == 1


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
