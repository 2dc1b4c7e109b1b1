"""What the ledger counts about itself, for monitoring."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

# Upper bounds of the classes of flush time, in seconds, and of batch size, in entries.
FLUSH_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)


@dataclass(slots=True)
class Histogram:
    """Counts by upper bound; the last class is everything above."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, amount: float) -> None:
        """Count one observation."""
        self.total += amount
        self.counts[bisect_left(self.bounds, amount)] += 1


@dataclass(slots=True)
class Figures:
    """Since the start of the process."""

    events: int = 0
    replays: int = 0
    refused: int = 0
    failed_flushes: int = 0
    ignored_late_events: int = 0
    flush_seconds: Histogram = field(default_factory=lambda: Histogram(FLUSH_BOUNDS))
    batch_entries: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))
