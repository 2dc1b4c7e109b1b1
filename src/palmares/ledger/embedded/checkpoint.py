"""The standings on disk, so that a restart reads them instead of the whole log.

A checkpoint is written in slices while events go on, so its slices are of different moments. What makes it exact:
every user whose entry changes meanwhile is `touched`. A slice leaves out who was touched before it, and the end of
the file says of everyone touched where they stood at first and where they stand in the end. All entries together are
then those of the position at the end.

The file is a sequence of parts, each a line of JSON and, for a slice, its three columns; the last line ends with a
checksum of everything else. It replaces the one before atomically, or not at all.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from array import array
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from palmares.domain.board import Board
from palmares.domain.effect import is_late
from palmares.domain.group import Group
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.ledger.embedded._index import Index
from palmares.ledger.embedded.rankings import Rankings

_ENTRIES_PER_SLICE = 16_384
_COLUMNS = (("values", "q"), ("reached", "q"), ("participants", "I"))
Key = tuple[int, int, Group | None]


class Columns:
    """The entries of one ranking, as loading wants them."""

    __slots__ = ("participants", "reached", "values")

    def __init__(self) -> None:
        self.values = array("q")
        self.reached = array("q")
        self.participants = array("I")


class Slice(msgspec.Struct):
    """The next `count` entries of a ranking; they follow in three columns."""

    board: int
    run_start: int
    group: Group | None
    count: int


class Leaving(msgspec.Struct, tag_field="leaving", tag="by user"):
    """When users leave a board by breaking their streaks; the instants of `count` users follow, by number."""

    board: int
    count: int


class Touched(msgspec.Struct, array_like=True):
    """A user whose entry in a run changed while the checkpoint was written: the group at first, and the end, which is
    None for who has no value any more."""

    board: int
    run_start: int
    user: int
    group_at_first: Group | None
    group: Group | None
    value: int | None
    reached_at: int


class Past(msgspec.Struct, array_like=True):
    """What is to be known of a board's past: the edition that has it, how many late events were ignored, by run, the
    runs to be revised, and those of which days are kept. Runs are told by their first days."""

    edition: int
    ignored: dict[int, int]
    revising: list[int]
    begun: list[int]


class End(msgspec.Struct):
    """The position and the instant that the file stands for, and what is not in the slices.

    That is the settings its boards were counted by, who was touched, and what is over.
    """

    position: int
    now: int
    fingerprints: dict[int, str]
    touched: list[Touched]
    pasts: dict[int, Past]
    checksum: int = 0


class Damaged(Exception):
    """The file is not a whole checkpoint."""


def fingerprint(board: Board, streaks: StreakSettings | None = None) -> str:
    """Tells boards with different rankings apart: everything that decides who stands where, and nothing else.

    `streaks` are the settings by which the streaks count that a board ranks by, None where that does not matter any
    more because its run is final.
    """
    settings = (
        board.counted.number if board.counted else None, board.start, board.end, board.run_unit, board.run_interval,
        board.start_time, board.end_time, board.aggregation, board.order, board.ties, board.numbering == "dense",
        board.late_events,
        [attribute.key for attribute in board.breakdown],
        [(attribute.key, value) for attribute, value in board.filters], board.finished_position,
        # The last is raised when streaks are counted by another rule.
        streaks and (streaks.version, streaks.frequency, streaks.evaluation_mode, streaks.metrics, streaks.days_off, 1),
    )  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()


class Writer:
    """Writes one checkpoint. Tell it of every change of a standing while it is at work (`touch`)."""

    def __init__(self, rankings: Iterable[Rankings]) -> None:
        self._rankings = {held.plan.board.number: held for held in rankings}
        # By board and run: of each user, the group at first and the group at present.
        self._touched: dict[tuple[int, int], dict[int, tuple[Group | None, Group | None]]] = {}
        self._checksum = 0

    def touch(self, board: int, run_start: int, user: int, before: Group | None, after: Group | None) -> None:
        """The entry of a user, in one group until now, changes and is in another, or the same. Constant time."""
        users = self._touched.setdefault((board, run_start), {})
        known = users.get(user)
        users[user] = (before if known is None else known[0], after)

    async def write_slices(self, file: IO[bytes], pause: Callable[[], Awaitable[None]]) -> None:
        """Write every entry that nobody touches, a slice at a time."""
        for number, rankings in self._rankings.items():
            for run_start, groups in list(rankings.runs.items()):
                for group, index in list(groups.items()):
                    await self._write_index(file, (number, run_start, group), index, pause)

    def write_end(self, file: IO[bytes], position: int, now: int) -> None:
        """Write where everyone touched stands now, which is as of `position` and the instant `now`."""
        touched = [
            entry
            for (board, run_start), users in self._touched.items()
            for user, (group_at_first, group) in users.items()
            for entry in self._entry(board, run_start, user, group_at_first, group)
        ]
        for rankings in self._rankings.values():
            if rankings.streaks is not None:
                self._write_leaving(file, rankings)
        prints = {number: print_of(rankings, now) for number, rankings in self._rankings.items()}
        end = End(position, now, prints, touched, {number: _past(held) for number, held in self._rankings.items()})
        end.checksum = _checksum(end, self._checksum)
        file.write(msgspec.json.encode(end) + b"\n")

    def _write_leaving(self, file: IO[bytes], rankings: Rankings) -> None:
        raw = rankings.breaks.dump()
        header = msgspec.json.encode(Leaving(rankings.number, len(raw) // 8)) + b"\n"
        for part in (header, raw):
            self._checksum = zlib.crc32(part, self._checksum)
            file.write(part)

    async def _write_index(self, file: IO[bytes], key: Key, index: Index, pause: Callable[[], Awaitable[None]]) -> None:
        cursor: tuple[int, int, int] | None = None
        while True:
            columns = index.dump_after(cursor, _ENTRIES_PER_SLICE)
            values, reached, participants = (array(kind, raw) for (_, kind), raw in zip(_COLUMNS, columns, strict=True))
            if not participants:
                return
            cursor = (values[-1], reached[-1], participants[-1])
            self._write_slice(file, key, self._untouched(key, values, reached, participants))
            await pause()

    def _untouched(
        self, key: Key, values: array[int], reached: array[int], participants: array[int]
    ) -> tuple[array[int], array[int], array[int]]:
        touched = self._touched.get(key[:2])
        if not touched:
            return values, reached, participants
        kept = [row for row, user in enumerate(participants) if user not in touched]
        return (
            array("q", [values[row] for row in kept]),
            array("q", [reached[row] for row in kept]),
            array("I", [participants[row] for row in kept]),
        )

    def _write_slice(self, file: IO[bytes], key: Key, columns: tuple[array[int], ...]) -> None:
        board, run_start, group = key
        parts = [msgspec.json.encode(Slice(board, run_start, group, len(columns[0]))) + b"\n"]
        parts += [column.tobytes() for column in columns]
        for part in parts:
            self._checksum = zlib.crc32(part, self._checksum)
            file.write(part)

    def _entry(
        self, board: int, run_start: int, user: int, group_at_first: Group | None, group: Group | None
    ) -> Iterable[Touched]:
        rankings = self._rankings.get(board)
        found = None if rankings is None else rankings.stored(run_start, group, user)
        if rankings is not None:
            yield Touched(board, run_start, user, group_at_first, group, *(found or (None, 0)))


def _past(rankings: Rankings) -> Past:
    revising = [run.start for run in rankings.revising]
    return Past(rankings.edition, dict(rankings.ignored), revising, sorted(rankings.begun))


def print_of(rankings: Rankings, now: int) -> str:
    """The fingerprint that tells whether rankings are still right."""
    final = rankings.frozen or is_late(rankings.plan.only_run, now)
    return fingerprint(rankings.counted, None if final else rankings.streaks)


def save(file: IO[bytes], path: Path) -> None:
    """Make a finished file durable and put it in the place of the one before; for another thread."""
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).replace(path)


class Checkpoint:
    """A whole checkpoint, read back. Raises `Damaged` for anything else, `FileNotFoundError` when there is none."""

    def __init__(self, path: Path) -> None:
        self._columns: dict[Key, Columns] = {}
        self._leaving: dict[int, bytes] = {}
        with path.open("rb") as file:
            self._end = self._read(file)
        self.position, self.now = self._end.position, self._end.now

    def holds(self, board: Board, streaks: StreakSettings, edition: int) -> bool:
        """Whether the rankings of the board are in it, counted by the settings that board and streaks have now.

        What is over of them has to be in that edition: another one was made for other settings.
        """
        past = self._end.pasts.get(board.number)
        if past is None or past.edition != edition:
            return False
        prints = {fingerprint(board)} | ({fingerprint(board, streaks)} if board.rank_by == "streak" else set())
        return self._end.fingerprints.get(board.number) in prints

    def load(self, boards: Mapping[int, Rankings]) -> None:
        """Fill empty rankings, by board number. Linear; no ids are compared but for those touched."""
        for (board, run_start, group), columns in self._columns.items():
            if board in boards:
                index = boards[board].index(run_start, group)
                index.load_sorted(columns.values, columns.reached, columns.participants)
        self._columns.clear()
        for number, rankings in boards.items():
            past = self._end.pasts[number]
            rankings.ignored.update(past.ignored)
            rankings.begun.update(past.begun)
            found = [rankings.plan.board.schedule.run_at(start) for start in past.revising]
            rankings.revising.update(run for run in found if run is not None)
        held = [entry for entry in self._end.touched if entry.board in boards]
        for entry in held:
            boards[entry.board].index(entry.run_start, entry.group_at_first).remove(entry.user)
        for entry in held:
            if entry.value is not None:
                boards[entry.board].set(entry.run_start, entry.group, entry.user, Tally(entry.value, entry.reached_at))
        for number, raw in self._leaving.items():
            if number in boards:
                boards[number].breaks.load(raw)

    def _read(self, file: IO[bytes]) -> End:
        checksum = 0
        try:
            while not (line := file.readline()).startswith(b'{"position"'):
                read = self._read_leaving if line.startswith(b'{"leaving"') else self._read_slice
                checksum = read(file, line, zlib.crc32(line, checksum))
            end = msgspec.json.decode(line, type=End)
        except (msgspec.DecodeError, ValueError, OverflowError, MemoryError) as error:
            raise Damaged(str(error)) from error
        if end.checksum != _checksum(end, checksum):
            raise Damaged("the checksum does not match")
        return end

    def _read_leaving(self, file: IO[bytes], line: bytes, checksum: int) -> int:
        part = msgspec.json.decode(line, type=Leaving)
        raw = self._leaving[part.board] = file.read(part.count * 8)
        return zlib.crc32(raw, checksum)

    def _read_slice(self, file: IO[bytes], line: bytes, checksum: int) -> int:
        part = msgspec.json.decode(line, type=Slice)
        columns = self._columns.setdefault((part.board, part.run_start, part.group), Columns())
        for name, kind in _COLUMNS:
            raw = file.read(part.count * array(kind).itemsize)
            checksum = zlib.crc32(raw, checksum)
            getattr(columns, name).frombytes(raw)
        return checksum


def _checksum(end: End, slices: int) -> int:
    """The checksum of the slices and of the end, but for the checksum in it."""
    return zlib.crc32(msgspec.json.encode(msgspec.structs.replace(end, checksum=0)), slices)
