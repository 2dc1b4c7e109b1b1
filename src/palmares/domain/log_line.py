"""A line of a shard's log, as it travels from where it was recorded to where it is kept for good."""

from __future__ import annotations

from typing import NamedTuple

# The kind of the line that ends what a log has taken over from another one.
ARRIVAL = "arrival"


class LogLine(NamedTuple):
    """One line of the log of one shard.

    `position` counts from 1 in the shard, without gaps but for those among lines that were taken over. `user`,
    `recorded_at` and `content` are the line itself, and only the ledger can read the content. The rest is what the
    ledger reads in it, so that others can look for it.
    """

    position: int
    user: int
    recorded_at: int
    kind: str
    scope: int
    metric: int | None
    amount: int | None
    occurred_at: int | None
    local_at: int | None
    total: int | None
    idempotency_key: str | None
    target: int | None
    body: str | None
    content: bytes

    def is_same(self, other: LogLine) -> bool:
        """Whether this is that line, from which what it said of a person may be removed by now."""
        return self.without_person() == other.without_person()

    def without_person(self) -> LogLine:
        """Numbers, amounts and times, which stay for good."""
        return self._replace(idempotency_key=None, body=None, content=b"")
