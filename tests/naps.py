"""Waiting without time: a sleep that ends when the test says so."""

import asyncio


class Naps:
    """A `sleep` for whoever wants one. Those of the lengths in `skipped` take no time."""

    def __init__(self) -> None:
        self.skipped: set[float] = set()
        self._begun: asyncio.Queue[float] = asyncio.Queue()
        self._sleepers: list[asyncio.Event] = []

    async def __call__(self, seconds: float) -> None:
        self._begun.put_nowait(seconds)
        if seconds not in self.skipped:
            awake = asyncio.Event()
            self._sleepers.append(awake)
            await awake.wait()

    async def begun(self, seconds: float) -> None:
        """Return when somebody has begun to sleep so long, since the last look."""
        async with asyncio.timeout(10):
            while await self._begun.get() != seconds:
                pass

    def wake(self) -> None:
        """Let everybody wake up who sleeps now."""
        while self._sleepers:
            self._sleepers.pop().set()
