"""The boards that a shard counts on, and the schemes by which it pays points, as one worker knows them.

A shard keeps these definitions itself, with a number that grows at every change. A commit tells the number that its
worker knows, and the shard refuses it when it is not the present one: so no worker records an event past a board that
another has followed. A *generation* is one making of a board's rankings; while a new one is made, both count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.effect import final_at
from palmares.domain.errors import NotFound
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.points import Points, decode_schemes
from palmares.ledger.valkey.member import Members


class Definition(msgspec.Struct, array_like=True, frozen=True):
    """What a shard keeps of a generation; see `Making`."""

    board: Board
    ready: bool
    stopped: int | None = None
    streaks: StreakSettings | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Definition)


class Making:
    """One generation of a board's rankings. `ready` says that it has all that was recorded; `stopped`, that it counts
    no more, since the position at which the board was finished by hand (0 while that is still to be told).

    Of a board that ranks by streak, `streaks` are the settings by which it counts: a worker that has not heard of other
    ones, or has heard of them already, counts on it like all the others.
    """

    __slots__ = ("_finals", "board", "dense", "generation", "members", "plan", "ready", "stopped", "streaks")

    def __init__(
        self,
        generation: int,
        board: Board,
        ready: bool,
        stopped: int | None = None,
        streaks: StreakSettings | None = None,
    ) -> None:
        self.generation = generation
        self.board = board
        self.plan = Plan(board)
        self.ready = ready
        self.stopped = stopped
        self.streaks = streaks
        self.members = Members(board)
        self.dense = board.numbering == "dense"
        self._finals: dict[int, int] = {}

    @property
    def counts(self) -> bool:
        """Whether events and changes of users still change it."""
        return self.stopped is None

    def is_live(self, run_start: int, now: int) -> bool:
        """Whether events still count in the run that begins on a day. The ends of runs are remembered."""
        final = self._finals.get(run_start)
        if final is None:
            run = self.board.schedule.run_at(run_start)
            final = self._finals[run_start] = 0 if run is None else final_at(run)
        return now < final and self.counts


class Boards:
    """All generations of a shard, and its schemes. Generations that were stopped are only read. `version` is the number
    of the shard's last change of them, and `streaks` are those that rank by streak and count."""

    def __init__(self, version: int = 0, makings: Iterable[Making] = (), points: Points | None = None) -> None:
        self.version = version
        self.points = Points() if points is None else points
        self._by_generation = {making.generation: making for making in makings}
        # The youngest generation; 0 when there is none.
        self.newest = max(self._by_generation, default=0)
        self._by_metric: dict[int, list[Making]] = {}
        for making in self._by_generation.values():
            if making.board.counted is not None and making.counts:
                self._by_metric.setdefault(making.board.counted.number, []).append(making)
        self.streaks = [making for making in self if making.streaks is not None and making.counts]
        ready = sorted((making for making in self if making.ready), key=lambda making: making.generation)
        self._readable = {making.board.number: making for making in ready}

    def __iter__(self) -> Iterator[Making]:
        return iter(self._by_generation.values())

    def get(self, generation: int) -> Making | None:
        """A generation, if it is still there."""
        return self._by_generation.get(generation)

    def counting(self, metric: int) -> Sequence[Making]:
        """What events of a metric change."""
        return self._by_metric.get(metric, ())

    def by_streak(self, scope: int) -> Iterator[Making]:
        """What the streaks of a scope change."""
        return (making for making in self.streaks if making.board.scope == scope)

    def of(self, board_number: int) -> list[Making]:
        """All generations of a board, oldest first."""
        found = [making for making in self if making.board.number == board_number]
        return sorted(found, key=lambda making: making.generation)

    def current(self, board_number: int) -> Making:
        """What is read of a board; `NotFound` when it is not followed."""
        making = self.readable(board_number)
        if making is None:
            raise NotFound("the leaderboard has no rankings")
        return making

    def readable(self, board_number: int) -> Making | None:
        """What is read of a board, if there is anything: the youngest generation that is ready."""
        return self._readable.get(board_number)

    def is_current(self, making: Making) -> bool:
        """Whether a generation is what is read of its board."""
        return self._readable.get(making.board.number) is making


def encode_board(board: Board, ready: bool, stopped: int | None, streaks: StreakSettings | None) -> bytes:
    """A definition as a shard keeps it."""
    return _encoder.encode(Definition(board, ready, stopped, streaks))


def decode_boards(version: int, stored: Mapping[bytes, bytes], schemes: Mapping[bytes, bytes]) -> Boards:
    """All generations and schemes of a shard."""
    points = Points()
    for position in sorted(map(int, schemes)):
        scope, body = schemes[b"%d" % position].split(b":", 1)
        points.define(int(scope), decode_schemes(body.decode()), position)
    defined = [(int(number), _decoder.decode(raw)) for number, raw in stored.items()]
    makings = [Making(number, one.board, one.ready, one.stopped, one.streaks) for number, one in defined]
    return Boards(version, makings, points)


def counts_alike(one: Board, other: Board) -> bool:
    """Whether two definitions have the same rankings while both count: names, status and the cap decide nothing that is
    stored."""
    shown: dict[str, object] = {
        "name": "",
        "key": "",
        "description": None,
        "asked_status": "active",
        "ready": True,
        "max_participants": 1,
    }
    shown["finished_position"] = None
    return replace(one, **shown) == replace(other, **shown)  # type: ignore[arg-type]
