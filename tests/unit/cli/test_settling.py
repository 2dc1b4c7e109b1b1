"""A person waits until leaderboards show what was recorded, but not for ever, and hears what is not shown."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from palmares.cli.client import Client, Reply
from palmares.cli.settling import PAUSE_SECONDS, Work, look, settle, shortcomings

Board = Mapping[str, Any]
DONE: Board = {"key": "done", "name": "Done", "status": "active"}


def busy(key: str, **fields: Any) -> Board:
    return {"key": key, **fields}


class Scripted(Client):
    """A client whose server tells its boards by a script, one state for each look; the last one stays."""

    def __init__(self, *states: Sequence[Board]) -> None:
        self.waits: list[float] = []
        super().__init__("http://127.0.0.1:1", "abcd1234.secret", self.waits.append)
        self.states = list(states)
        self.asked: list[str] = []

    def call(self, method: str, path: str, body: bytes | None = None, *_: Any, **__: Any) -> Reply:
        self.asked.append(path)
        skip = int(path.partition("skip=")[2])
        part = self.states[0][skip : skip + 100]
        if len(part) < 100 and len(self.states) > 1:
            del self.states[0]
        return Reply(200, json.dumps(list(part)).encode())


def ignore(works: Sequence[Work]) -> None:
    """Nobody listens."""


def test_all_leaderboards_are_looked_at_however_many_there_are() -> None:
    """A hundred at a time, as the Admin API gives them."""
    client = Scripted([busy(f"board-{number}") for number in range(200)])

    assert [work.key for work in look(client)] == [f"board-{number}" for number in range(200)]
    assert client.asked == [f"/admin/v1/leaderboards?limit=100&skip={skip}" for skip in (0, 100, 200)]


def test_nobody_waits_when_everything_is_shown() -> None:
    """One look is enough."""
    client = Scripted([DONE])

    assert settle(client, math.inf, ignore) == [Work("done")]
    assert client.waits == []


def test_whoever_waits_does_so_until_nothing_is_made_or_revised_any_more() -> None:
    """A progress of 1 is not the end yet: the board is to be seen first."""
    states: list[list[Board]] = [
        [DONE, busy("made", progress=0.5), busy("revised", revising=True)],
        [DONE, busy("made", progress=1.0), busy("revised", revising=True)],
        [DONE, busy("made", progress=1.0), busy("revised")],
        [DONE, busy("made"), busy("revised")],
    ]
    told: list[list[str]] = []
    client = Scripted(*states)

    works = settle(client, math.inf, lambda works: told.append([work.key for work in works if not work.done]))

    assert told == [["made", "revised"], ["made", "revised"], ["made"], []]
    assert client.waits == [PAUSE_SECONDS] * 3
    assert shortcomings(works) == []


@pytest.mark.parametrize(("patience_seconds", "looks"), [(0, 1), (PAUSE_SECONDS, 2), (10 * PAUSE_SECONDS, 11)])
def test_patience_comes_to_its_end(patience_seconds: float, looks: int) -> None:
    """Without any, one look tells how it goes."""
    client = Scripted([DONE, busy("revised", revising=True)])

    works = settle(client, patience_seconds, ignore)

    assert len(client.asked) == looks
    assert shortcomings(works) == ["leaderboard 'revised' does not show everything yet"]


def test_a_leaderboard_that_cannot_be_made_is_not_waited_for() -> None:
    """It is named with the reason."""
    client = Scripted([DONE, busy("broken", problem="a value does not fit")])

    works = settle(client, math.inf, ignore)

    assert client.waits == []
    assert shortcomings(works) == ["leaderboard 'broken' could not be made: a value does not fit"]
