"""Tells that rankings of live runs changed: `leaderboard.changed`.

The first change of a ranking is told at once and opens a window in which nothing more is told. What changed in the
window is told at its end, unless by then all is again as it was last told: a digest of the ranking says whether.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

from palmares.domain.board import Board
from palmares.domain.effect import is_live
from palmares.domain.errors import NotFound
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.webhook import CHANGED
from palmares.ledger.contract import Ledger
from palmares.outbox.contract import Entry, Notes, Outbox, RankingNote
from palmares.service.teller import MOST_ROWS, Teller, pause

# How much of a column is hashed at a time, in numbers, and how many messages share a transaction.
_STEP = 65_536
_MOST_MESSAGES = 100
_DIGEST_BYTES = 16


@dataclass(slots=True)
class _Told:
    """A ranking as last told; `stale` when it may have changed since."""

    run: Run
    digest: bytes
    until: int
    stale: bool


# Board number, first day of the run, group.
_Key = tuple[int, int, Group]


class TellRankings:
    """What the announcer calls for `leaderboard.changed`. `interval` is the length of a window in microseconds."""

    def __init__(self, ledger: Ledger, outbox: Outbox, teller: Teller, interval: int, notes: Notes) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._teller = teller
        self._interval = interval
        self._told: dict[_Key, _Told] = {}
        self._watched: dict[int, Board] = {}
        self._looked_at = notes.watch.at
        self._restored = {(note.board, note.run_start, note.group): note for note in notes.rankings}
        self._formerly_watched = set(notes.watch.changed)

    @property
    def watched(self) -> list[int]:
        """The numbers of the boards whose changes are told."""
        return sorted(self._watched)

    def next_due(self) -> int | None:
        """When a window ends in which something may have changed."""
        return min([told.until for told in self._told.values() if told.stale], default=None)

    def notice(self, changed: Iterable[tuple[int, Run, Group]]) -> None:
        """Rankings changed."""
        for number, run, group in changed:
            if number in self._watched and is_live(run, self._looked_at):
                told = self._told.setdefault((number, run.start, group), _Told(run, b"", self._looked_at, True))
                told.stale = True

    async def advance(self, now: int) -> None:
        """Tell what is to be told by an instant."""
        await self.look(now)
        await self._tell(now)
        await self._forget(lambda key: self._is_over(key, now))
        self._looked_at = now

    async def look(self, now: int) -> None:
        """Watch the boards of which somebody wants to hear now, and no others."""
        wanted = self._teller.wanted(CHANGED)
        for number in wanted.keys() - self._watched.keys():
            if number in self._formerly_watched:
                await self._resume(wanted[number], now)
            else:
                await self._begin(wanted[number], now)
        self._watched = wanted
        await self._forget(lambda key: key[0] not in wanted)
        if self._restored:
            # Only once: a board that is watched again later begins anew.
            untaken = {key[:2] for key in self._restored} - {key[:2] for key in self._told}
            await self._outbox.write(Entry(forgotten_rankings=sorted(untaken)))
            self._restored.clear()
        self._formerly_watched.clear()

    async def _begin(self, board: Board, now: int) -> None:
        """Begin with the rankings as they are: that is no news."""
        entry = Entry()
        async for run, group in self._live_rankings(board, now):
            told = _Told(run, await self._digest(board.number, run, group), now, False)
            self._told[board.number, run.start, group] = told
            entry.rankings.append(_note((board.number, run.start, group), told))
        await self._outbox.write(entry)

    async def _resume(self, board: Board, now: int) -> None:
        """Go on after a restart; what was not told before it shows in the digests."""
        async for run, group in self._live_rankings(board, self._looked_at):
            key = (board.number, run.start, group)
            note = self._restored.get(key)
            digest, until = (b"", now) if note is None else (note.digest, note.until)
            self._told[key] = _Told(run, digest, until, True)

    async def _live_rankings(self, board: Board, now: int) -> AsyncIterator[tuple[Run, Group]]:
        try:
            for run in await self._ledger.runs(board.number):
                if is_live(run, now):
                    for group in await self._ledger.groups(board.number, run):
                        yield run, group
        except NotFound:
            # A board whose events lead out of the range of values has no rankings.
            return

    async def _tell(self, now: int) -> None:
        due = [key for key, told in self._told.items() if told.stale and told.until <= now]
        for start in range(0, len(due), _MOST_MESSAGES):
            await self._tell_some(due[start : start + _MOST_MESSAGES], now)

    async def _tell_some(self, keys: Iterable[_Key], now: int) -> None:
        entry = Entry()
        after = {key: await self._tell_one(entry, key, now) for key in keys}
        if entry.messages:
            await self._outbox.write(entry)
        # Not before it is written: else what could not be written would count as told.
        self._told |= after

    async def _tell_one(self, entry: Entry, key: _Key, now: int) -> _Told:
        """What is told of a ranking by now; the message, if there is news, goes into the entry."""
        number, _, group = key
        told = self._told[key]
        digest = await self._digest(number, told.run, group)
        if digest == told.digest:
            return replace(told, stale=False)
        board = self._watched[number]
        rows = await self._ledger.page(number, told.run, [group], 0, MOST_ROWS)
        body = self._teller.bodies.rankings(CHANGED, now, board, board.status_at(now), told.run, group, rows)
        entry.messages.append(self._teller.message(board.scope, CHANGED, now, body))
        told = _Told(told.run, digest, now + self._interval, False)
        entry.rankings.append(_note(key, told))
        return told

    async def _digest(self, number: int, run: Run, group: Group) -> bytes:
        """What tells two states of a ranking apart. Linear in the participants, but nobody has to wait for it."""
        ranks = await self._ledger.ranks(number, run, group)
        found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for column in (ranks.participants, ranks.ranks, ranks.values):
            for start in range(0, len(column), _STEP):
                found.update(column[start : start + _STEP])
                await pause()
        return found.digest()

    async def _forget(self, over: Callable[[_Key], bool]) -> None:
        keys = [key for key in self._told if over(key)]
        if keys:
            # Runs end for all of their groups at the same time, or nearly so.
            runs = {key[:2] for key in keys} - {key[:2] for key in self._told.keys() - set(keys)}
            await self._outbox.write(Entry(forgotten_rankings=sorted(runs)))
            for key in keys:
                if key[:2] in runs:
                    del self._told[key]

    def _is_over(self, key: _Key, now: int) -> bool:
        told = self._told[key]
        return not told.stale and not is_live(told.run, now)


def _note(key: _Key, told: _Told) -> RankingNote:
    return RankingNote(*key, told.digest, told.until)
