"""The auditor: knows every entry that was ever asked for, and what became of it.

Each entry carries a mark that ends up in the log: in the attributes of its event, as the reason of a void, else in the
name of its user. So
the log tells which entries were recorded, in which order and how often.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from palmares.domain.board import Board
from palmares.domain.metric import Metric
from palmares.ledger.contract import Entry, Outcome, Record
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.ledger.event_id import position_of
from tests.ledger_world import everything, rankings_of
from tests.slow_ledger import SlowLedger

Request = Sequence[tuple[str, Entry]]


class Auditor:
    """Told of every request and answer; `audit` compares them with what the ledger holds."""

    def __init__(self) -> None:
        self._now = 0
        self._entries: dict[str, Entry] = {}
        self._requests: list[Request] = []
        self._must: set[str] = set()
        self._must_not: set[str] = set()
        self._may: set[str] = set()
        self._positions: dict[str, int] = {}
        self._lines: list[Record] = []
        self._recorded: list[str] = []
        self._slow = SlowLedger(lambda: self._now, lambda: str(UUID(int=0)))

    def asked(self, request: Request) -> None:
        """A request is on its way: it may be stored as a whole or not at all."""
        self._requests.append(request)
        self._entries |= dict(request)
        self._must_not -= {mark for mark, _ in request}

    def acknowledged(self, request: Request, outcomes: Sequence[Outcome]) -> None:
        """It is stored, for ever. An event's id names its place in the log."""
        for (mark, entry), outcome in zip(request, outcomes, strict=True):
            if entry.voids is not None:
                # Whoever was first has left the mark.
                (self._may if outcome.replayed else self._must).add(mark)
                continue
            self._must.add(mark)
            if outcome.event_id is not None:
                position = position_of(outcome.event_id)
                assert self._positions.setdefault(mark, position) == position, "one event, two ids"

    @property
    def events(self) -> list[int]:
        """The positions of the events that were acknowledged, oldest first."""
        return sorted(self._positions.values())

    def refused(self, request: Request) -> None:
        """Nothing of it was stored, unless an earlier try was."""
        self._must_not |= {mark for mark, _ in request} - self._must - self._may

    def unanswered(self, request: Request) -> None:
        """Whether it is stored, nobody was told."""
        self._may |= {mark for mark, _ in request}

    async def audit(
        self, ledger: EmbeddedLedger, boards: Collection[Board], metrics: Collection[Metric], now: int
    ) -> None:
        """Nothing acknowledged is lost or doubled, nothing refused has left a trace, and the rankings are right.

        So are final runs and the days of histories, once all is done that is due at this instant.
        """
        await self.audit_present(ledger, boards)
        await ledger.advance(now)
        await ledger.settle()
        await self._slow.advance(now)
        for board in boards:
            await self._slow.follow(board)
        ids = {entry.user_id for entry in self._entries.values()}
        expected = await everything(self._slow, boards, ids, metrics)
        found = await everything(ledger, boards, ids, metrics)
        assert found.keys() == expected.keys()
        for name, told in expected.items():
            assert found[name] == told, name
        for board in boards:
            self._slow.forget(board.number)

    async def audit_present(self, ledger: EmbeddedLedger, boards: Collection[Board]) -> None:
        """The log, and the rankings of what never ends: right at any moment, whatever cannot be written just now."""
        lines = await ledger.records(0, 1_000_000)
        assert lines[: len(self._lines)] == self._lines, "the past has changed"
        assert [line.position for line in lines] == list(range(1, len(lines) + 1))
        await self._take_in(lines[len(self._lines) :])
        self._check_marks()
        assert [line[:-1] for line in await self._slow.records(0, 1_000_000)] == [line[:-1] for line in self._lines]
        endless = [board for board in boards if board.run_unit is None and board.end is None]
        for board in endless:
            await self._slow.follow(board)
        assert await rankings_of(ledger, endless) == await rankings_of(self._slow, endless)
        for board in endless:
            self._slow.forget(board.number)

    async def _take_in(self, lines: Sequence[Record]) -> None:
        for line, mark in zip(lines, marks_of(lines), strict=True):
            if mark not in self._recorded[-1:]:
                self._recorded.append(mark)
                self._now = line.recorded_at
                await self._slow.record([self._entries[mark]])
            assert self._positions.get(mark, line.position) >= line.position
            if line.kind == "event":
                assert self._positions.setdefault(mark, line.position) == line.position
        self._lines += lines

    def _check_marks(self) -> None:
        recorded = set(self._recorded)
        assert len(recorded) == len(self._recorded), "recorded twice"
        assert self._must <= recorded, "acknowledged and lost"
        assert not self._must_not & recorded, "refused and recorded"
        for request in self._requests:
            marks = {mark for mark, _ in request}
            assert marks <= recorded or not marks & recorded, "half of a request"


def marks_of(lines: Sequence[Record]) -> list[str]:
    """The mark of each line. A user who was created by an event alone has that of the event, which follows."""
    marks: list[str] = []
    for line in reversed(lines):
        body: dict[str, Any] = json.loads(line.body or "{}")
        marks.append(body["name"] or marks[-1] if line.kind == "user" else body.get("mark") or body["reason"])
    return marks[::-1]
