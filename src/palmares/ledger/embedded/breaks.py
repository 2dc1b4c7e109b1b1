"""Who leaves a ranking when: streaks break at local midnights, without an event.

Each user has at most one instant. Instants are kept by user in an array, which is right, and the other way round in
buckets, which only tell whom to look at: a user whose instant has moved stays in the old bucket too.
"""

from __future__ import annotations

from array import array
from heapq import heappop, heappush

from palmares.domain.value import MOST

_NEVER = MOST


class Breaks:
    """The users of one ranking by the instant at which they leave it."""

    __slots__ = ("_buckets", "_instants", "_leaving")

    def __init__(self) -> None:
        self._leaving = array("q")
        self._buckets: dict[int, array[int]] = {}
        self._instants: list[int] = []

    @property
    def first(self) -> int:
        """The first instant at which anybody may leave."""
        return self._instants[0] if self._instants else _NEVER

    def set(self, user: int, instant: int | None) -> None:
        """Let a user leave at an instant, or stay."""
        if user >= len(self._leaving):
            if instant is None:
                return
            # Some at once: users are numbered one after the other.
            self._leaving.extend([_NEVER] * (user + 1 - len(self._leaving)))
        leaving = _NEVER if instant is None else instant
        if self._leaving[user] != leaving:
            self._leaving[user] = leaving
            if instant is not None:
                self._put(user, instant)

    def pop(self, now: int) -> list[int]:
        """The users who leave until an instant; they do so once."""
        found: list[int] = []
        while self.first <= now:
            instant = heappop(self._instants)
            for user in self._buckets.pop(instant):
                if self._leaving[user] == instant:
                    self._leaving[user] = _NEVER
                    found.append(user)
        return found

    def dump(self) -> bytes:
        """The instants of all users, by number."""
        return self._leaving.tobytes()

    def load(self, raw: bytes) -> None:
        """Take in what `dump` told, when nothing is known yet."""
        self._leaving = array("q", raw)
        for user, instant in enumerate(self._leaving):
            if instant != _NEVER:
                self._put(user, instant)

    def _put(self, user: int, instant: int) -> None:
        bucket = self._buckets.get(instant)
        if bucket is None:
            bucket = self._buckets[instant] = array("I")
            heappush(self._instants, instant)
        bucket.append(user)
