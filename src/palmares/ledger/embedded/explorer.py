"""Looking for events, as they were recorded.

The log is in the order of recording, so a time is a place in it. The events of a user are found by the projection, all
others by walking the log backwards. However much there is, a page looks through no more than so many lines; where that
was not enough, the page is short and says where to go on.

Everything here is meant for another thread, on a connection of its own.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from palmares.domain.value import MOST
from palmares.ledger.contract import VoidNote, WantedEvents
from palmares.ledger.embedded.log import Line
from palmares.ledger.embedded.queries import query
from palmares.ledger.event_id import event_id, position_of

# What takes some milliseconds.
MOST_LOOKED_AT = 20_000


class Found(NamedTuple):
    """The line of an event, of what says that it is void, and the place of which its id is made."""

    line: Line
    void: VoidNote | None
    origin: int

    @property
    def id(self) -> str:
        """The id of the event."""
        return event_id(self.line.recorded_at, self.origin)


class FoundPage(NamedTuple):
    """Events, newest first, and the position in front of which to go on; None when there are no more."""

    found: list[Found]
    before: int | None


class _Reason(msgspec.Struct):
    reason: str


def explore(projection: Path, log: Path, upto: int, wanted: WantedEvents) -> FoundPage:
    """A page of events among the lines up to a position, all of which the projection has."""
    with closing(_connect(projection, log)) as connection:
        return _Search(connection, upto, wanted).page()


def look_up(projection: Path, log: Path, upto: int, scope: int, ids: list[str]) -> list[Found | None]:
    """The events with these ids; None for an id that no event of the scope has."""
    origins = sorted({_origin(text) for text in ids})
    with closing(_connect(projection, log)) as connection:
        rows = connection.execute(query("positions_of_origins"), (str(origins),))
        positions = {position for _, position in rows if position <= upto}
        found = {one.id: one for one in _stored(connection, scope, [*positions])}
    return [found.get(text.lower()) for text in ids]


def _origin(text: str) -> int:
    try:
        return position_of(text)
    except ValueError:
        return 0


class _Search:
    """One search; `_after` and `_before` are the positions between which it lies."""

    def __init__(self, connection: sqlite3.Connection, upto: int, wanted: WantedEvents) -> None:
        self._connection = connection
        self._wanted = wanted
        self._before = min(wanted.before or MOST, self._first_at(wanted.recorded_before, upto))
        self._after = 0 if wanted.recorded_from is None else self._first_at(wanted.recorded_from, upto) - 1

    def page(self) -> FoundPage:
        if self._wanted.user is None:
            positions = None
        elif self._wanted.idempotency_key is None:
            positions = self._of_user(self._wanted.user.number)
        else:
            positions = self._column("position_of_key")
        return self._walk() if positions is None else self._newest(positions)

    def _of_user(self, user: int) -> list[int] | None:
        """The positions of all that a user did; None where that is too much to look at."""
        metric = self._wanted.metric
        metrics = [row[0] for row in self._connection.execute(query("metrics_of_user"), (user,))]
        found: list[int | None] = []
        for number in metrics if metric is None else [metric.number]:
            most = MOST_LOOKED_AT + 1 - len(found)
            found += self._column("positions_of_user", metric=number, most=most)
            if len(found) > MOST_LOOKED_AT:
                return None
        return [position for position in found if position is not None]

    def _newest(self, positions: list[int]) -> FoundPage:
        limit = self._wanted.limit
        newest = sorted(positions, reverse=True)
        return self._shown(newest[:limit], newest[limit - 1] if len(newest) > limit else None)

    def _walk(self) -> FoundPage:
        """Through the newest lines."""
        limit, bottom = self._wanted.limit, max(self._after, self._before - MOST_LOOKED_AT - 1)
        found = self._column("events_in_stretch", after=bottom, most=limit + 1)
        if len(found) > limit:
            return self._shown(found[:limit], found[limit - 1])
        return self._shown(found, bottom + 1 if bottom > self._after else None)

    def _shown(self, positions: list[int], before: int | None) -> FoundPage:
        return FoundPage(_stored(self._connection, self._wanted.scope, positions), before)

    def _column(self, name: str, **others: Any) -> list[Any]:
        wanted = self._wanted
        given = {
            "scope": wanted.scope,
            "user": None if wanted.user is None else wanted.user.number,
            "metric": None if wanted.metric is None else wanted.metric.number,
            "key": wanted.idempotency_key,
            "after": self._after,
            "before": self._before,
        }
        return [row[0] for row in self._connection.execute(query(name), given | others)]

    def _first_at(self, instant: int | None, upto: int) -> int:
        """The position of the first line that was recorded at an instant or later; behind the last when none was."""
        first, past = 1, upto + 1
        while instant is not None and first < past:
            middle = (first + past) // 2
            row = self._connection.execute(
                "SELECT recorded_at FROM source.log WHERE position = ?", (middle,)
            ).fetchone()
            if row[0] < instant:
                first = middle + 1
            else:
                past = middle
        return past


def _stored(connection: sqlite3.Connection, scope: int, positions: list[int]) -> list[Found]:
    rows = connection.execute(query("stored_events"), {"positions": str(positions), "scope": scope})
    return [Found(Line(*line), _note(voided_at, body), origin) for *line, voided_at, body, origin in rows]


def _note(voided_at: int | None, body: str | None) -> VoidNote | None:
    if voided_at is None:
        return None
    return VoidNote(voided_at, None if body is None else msgspec.json.decode(body, type=_Reason).reason)


def _connect(projection: Path, log: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(projection, isolation_level=None)
    connection.execute("ATTACH ? AS source", (str(log),))
    return connection
