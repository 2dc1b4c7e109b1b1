"""What the other shards count when some have committed: one more round trip, where there is more than one shard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from palmares.ledger.valkey.commit import Answer, Shard, order_keys
from palmares.ledger.valkey.merged import Merged, Piece
from palmares.ledger.valkey.shards import Shards, by_present_boards
from palmares.ledger.valkey.store import Command
from palmares.ledger.valkey.tell import Count, Question, Ranking, added_up


class Counting:
    """Completes the counts of the shards that took part in a commit."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def completed(self, asked: Mapping[Ranking, Question], answers: Mapping[int, Answer]) -> dict[Ranking, Count]:
        """The count of all shards together, by ranking."""
        counted = {place: answer.counts for place, answer in answers.items() if answer.verdict == "done"}
        others = [shard for shard in self._shards.all if shard.place not in counted]
        told = await asyncio.gather(*(by_present_boards(self._count)(shard, asked) for shard in others))
        everywhere = [*counted.values(), *told]
        found = {ranking: added_up([counts[ranking] for counts in everywhere]) for ranking in asked}
        if len(self._shards) > 1:
            await self._add_rows(asked, found)
        return found

    async def _count(self, shard: Shard, asked: Mapping[Ranking, Question]) -> dict[Ranking, Count]:
        commands = [command for ranking, question in asked.items() for command in _commands(shard, ranking, question)]
        now = self._shards.now
        if any(question.board.rank_by == "streak" for question in asked.values()):
            # The shards that took part have seen to it that nobody stands there whose streak is broken.
            commands.append([b"ZCOUNT", shard.keys.breaks, b"-inf", b"%d" % now])
        answers = iter(await self._shards.ask(shard.place, commands))
        counts = {ranking: _read(question, answers) for ranking, question in asked.items()}
        if not next(answers, 0):
            return counts
        await self._shards.break_streaks(shard, now)
        return await self._count(shard, asked)

    async def _add_rows(self, asked: Mapping[Ranking, Question], found: Mapping[Ranking, Count]) -> None:
        """Where a ranking is full, its rows around the cap are found over all shards."""
        for ranking, question in asked.items():
            if question.rows is not None and found[ranking].size > question.rows[0]:
                found[ranking].rows = await by_present_boards(self._rows)(ranking, *question.rows)

    async def _rows(self, ranking: Ranking, first: int, last: int) -> list[bytes]:
        pieces = [Piece(shard.place, order_keys(shard, ranking)[0]) for shard in self._shards.all]
        return await Merged(self._shards.asking(), pieces).window(first, last + 1)


def _commands(shard: Shard, ranking: Ranking, question: Question) -> list[Command]:
    order, values = order_keys(shard, ranking)
    commands: list[Command] = [[b"ZCARD", order]]
    commands += [[b"ZLEXCOUNT", order, b"-", b"(" + bound] for bound in question.bounds]
    if question.value_bounds:
        commands.append([b"ZRANGE", values, b"-", b"(" + max(question.value_bounds), b"BYLEX"])
    return commands


def _read(question: Question, answers: Any) -> Count:
    size = next(answers)
    counts: dict[bytes, int] = {bound: next(answers) for bound in question.bounds}
    better: Sequence[bytes] = next(answers) if question.value_bounds else ()
    return Count(size, counts, dict.fromkeys(question.value_bounds, 0), better)
