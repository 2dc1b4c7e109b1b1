"""Buckets in one process forget what is full; tests/contract has what they have in common with shared ones."""

import pytest

from palmares.domain.errors import RateLimited
from palmares.service import rate_limit
from palmares.service.rate_limit import Buckets
from tests.definitions import Clock

pytestmark = pytest.mark.anyio

SECOND = 1_000_000


async def test_full_buckets_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be as many keys as users, and only those of this second matter."""
    monkeypatch.setattr(rate_limit, "_FEW", 10)
    clock = Clock("2026-03-04 10:00")
    buckets = Buckets({"events": 5}, clock)
    for number in range(1000):
        await buckets.take(f"key-{number}", "events")
        clock.now += SECOND // 10
        assert len(buckets._missing) <= 20
    for _ in range(5):
        await buckets.take("busy", "events")
    for number in range(100):
        await buckets.take(f"key-{number}", "events")

    with pytest.raises(RateLimited):
        await buckets.take("busy", "events")
