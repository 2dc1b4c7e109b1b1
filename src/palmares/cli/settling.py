"""Waiting until leaderboards show everything that was recorded.

A board that is made from events of the past, and final runs or past days that such events change, take the server
some time. It tells how far it is by the boards of the Admin API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from palmares.cli.client import Client

PAUSE_SECONDS = 0.25
_BOARDS_AT_ONCE = 100


class Work(msgspec.Struct):
    """How the work on one leaderboard goes. `progress` counts from 0 to 1 while it is made, `revising` says that
    something recorded is not shown yet, and `problem` why it could not be made."""

    key: str
    progress: float | None = None
    revising: bool = False
    problem: str | None = None

    @property
    def done(self) -> bool:
        """Whether the leaderboard shows everything, or never will."""
        return self.progress is None and not self.revising


def look(client: Client) -> list[Work]:
    """How the work on all leaderboards goes. One request for each hundred of them."""
    found: list[Work] = []
    while True:
        path = f"/admin/v1/leaderboards?limit={_BOARDS_AT_ONCE}&skip={len(found)}"
        part = client.fetch(list[Work], "GET", path)
        found += part
        if len(part) < _BOARDS_AT_ONCE:
            return found


def settle(client: Client, patience_seconds: float, tell: Callable[[Sequence[Work]], None]) -> list[Work]:
    """Wait until the work on all leaderboards is done, or patience is at its end; how it goes then.

    `tell` hears how it goes after each look. The pauses between looks are what is counted as waiting.
    """
    waited = 0.0
    while True:
        works = look(client)
        tell(works)
        if waited >= patience_seconds or all(work.done for work in works):
            return works
        client.pause(PAUSE_SECONDS)
        waited += PAUSE_SECONDS


def shortcomings(works: Sequence[Work]) -> list[str]:
    """What is still to be said of leaderboards that do not show everything: a sentence for each."""
    found = [f"leaderboard {work.key!r} could not be made: {work.problem}" for work in works if work.problem]
    busy = [f"leaderboard {work.key!r} does not show everything yet" for work in works if not work.done]
    return found + busy
