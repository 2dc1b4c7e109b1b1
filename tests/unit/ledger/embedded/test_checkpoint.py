"""The checkpoint file: whole or ignored, and only for boards that count as they did."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from palmares.archive.sql import SqlArchive
from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.errors import NotFound
from palmares.domain.run import Run
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.ledger.embedded import checkpoint
from palmares.ledger.embedded.checkpoint import Checkpoint, Damaged, Writer, fingerprint
from palmares.ledger.embedded.ledger import Limits
from palmares.ledger.embedded.rankings import Rankings
from tests.ledger_world import CALM, Clock, open_embedded, swim
from tests.world import HOURS, LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board(1, "pools", breakdown=(POOL,), run_unit="day", run_interval=7)
OTHER = make_board(2, "other", order="asc", ties="last", numbering="dense")
RUNS = [BOARD.start, BOARD.start + 7]
GROUPS: list[tuple[str, ...] | None] = [("east",), ("west",), None]
NOW = 1_000
STREAKS = StreakSettings()


def id_of(number: int) -> bytes:
    return f"user-{number:03}".encode()


def make_rankings(board: Board, groups: list[Any], count: int = 20) -> Rankings:
    """Everybody in one group of each run, with many ties."""
    rankings = Rankings(Plan(board), id_of)
    for run_start in RUNS if board is BOARD else [board.start]:
        for user in range(count):
            rankings.set(run_start, groups[user % len(groups)], user, Tally(user % 3, run_start + user % 5))
    return rankings


def entries_of(rankings: Rankings) -> dict[Any, Any]:
    """All entries of all groups in order."""
    return {
        (run_start, group): index.page(0, 1000)
        for run_start, groups in rankings.runs.items()
        for group, index in groups.items()
        if len(index)
    }


async def nothing() -> None:
    """A pause in which nothing happens."""


async def write(path: Path, *rankings: Rankings, pause: Callable[[], Any] = nothing, position: int = 42) -> Writer:
    writer = Writer(rankings)
    with path.open("wb") as file, patch.object(checkpoint, "_ENTRIES_PER_SLICE", 3):
        await writer.write_slices(file, pause)
        writer.write_end(file, position, NOW)
    return writer


def read(path: Path, *boards: Board) -> dict[int, Rankings]:
    stored = Checkpoint(path)
    held = {board.number: Rankings(Plan(board), id_of) for board in boards if stored.holds(board, STREAKS, 0)}
    stored.load(held)
    return held


async def test_what_was_written_is_read(folder: Path) -> None:
    """All entries of all groups of all runs, the hidden group included, the position and the instant."""
    pools, other = make_rankings(BOARD, GROUPS), make_rankings(OTHER, [()])
    await write(folder / "c", pools, other)
    held = read(folder / "c", BOARD, OTHER)
    assert entries_of(held[1]) == entries_of(pools)
    assert entries_of(held[2]) == entries_of(other)
    stored = Checkpoint(folder / "c")
    assert (stored.position, stored.now) == (42, NOW)


async def test_what_came_late_is_kept(folder: Path) -> None:
    """How much of it was left out, and what is still to be revised."""
    pools = make_rankings(BOARD, GROUPS)
    pools.ignored.update({RUNS[0]: 3})
    revised = Run(RUNS[1], RUNS[1] + 6)
    pools.revising.add(revised)
    await write(folder / "c", pools)
    held = read(folder / "c", BOARD)[1]
    assert (held.ignored, held.revising) == ({RUNS[0]: 3}, {revised})


async def test_a_board_that_nobody_asks_for_is_left_in_the_file(folder: Path) -> None:
    """Only those that are wanted are loaded."""
    await write(folder / "c", make_rankings(BOARD, GROUPS), make_rankings(OTHER, [()]))
    assert list(read(folder / "c", OTHER)) == [2]


async def test_empty_rankings_are_held_too(folder: Path) -> None:
    """A board without events needs no second look at the log."""
    await write(folder / "c", Rankings(Plan(BOARD), id_of))
    assert entries_of(read(folder / "c", BOARD)[1]) == {}


async def test_who_moves_while_slices_are_written_stands_where_the_end_says(folder: Path) -> None:
    """Before or behind the place that the writer has come to, in the same group, another, or for the first time."""
    pools = make_rankings(BOARD, GROUPS)
    steps = iter(range(1000))

    async def move_somebody() -> None:
        step = next(steps)
        user, run_start = step * 7 % 20, RUNS[step % 2]
        groups = pools.runs[run_start]
        [group] = [group for group, index in groups.items() if user in index]
        writer.touch(1, run_start, user, group, GROUPS[step % 3])
        groups[group].remove(user)
        pools.set(run_start, GROUPS[step % 3], user, Tally(step % 5, step))
        writer.touch(1, run_start, 100 + step, ("new",), ("new",))
        pools.set(run_start, ("new",), 100 + step, Tally(step, step))

    writer = Writer([pools])
    with (folder / "c").open("wb") as file, patch.object(checkpoint, "_ENTRIES_PER_SLICE", 3):
        await writer.write_slices(file, move_somebody)
        await move_somebody()
        writer.write_end(file, 43, NOW)
    assert next(steps) > 10
    held = read(folder / "c", BOARD)[1]
    assert entries_of(held) == entries_of(pools)
    for groups in held.runs.values():
        for index in groups.values():
            index.check()


async def test_a_file_with_any_byte_changed_is_damaged(folder: Path) -> None:
    """In its lines, its columns and its end."""
    path = folder / "c"
    pools = make_rankings(BOARD, GROUPS)
    writer = Writer([pools])
    with path.open("wb") as file:
        writer.touch(1, RUNS[0], 3, ("east",), ("east",))
        await writer.write_slices(file, nothing)
        writer.write_end(file, 42, NOW)
    whole = path.read_bytes()
    for place in range(len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            Checkpoint(path)


async def test_a_file_that_ends_too_early_is_damaged(folder: Path) -> None:
    """At every length."""
    path = folder / "c"
    await write(path, make_rankings(BOARD, GROUPS))
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(Damaged):
            Checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        b"not a checkpoint",
        b'{"position":1}\n',
        b'{"board":1,"run_start":1,"group":[],"count":4611686018427387904}\n',
        b'{"board":1,"run_start":1,"group":[],"count":-1}\n',
    ],
)
async def test_what_is_no_checkpoint_is_damaged(folder: Path, content: bytes) -> None:
    """Whatever it is."""
    (folder / "c").write_bytes(content)
    with pytest.raises(Damaged):
        Checkpoint(folder / "c")


async def test_a_missing_file_is_told_apart(folder: Path) -> None:
    """That is no damage."""
    with pytest.raises(FileNotFoundError):
        Checkpoint(folder / "c")


CHANGED: dict[str, dict[str, Any]] = {
    "metric": {"metric": HOURS},
    "start": {"start": BOARD.start + 1},
    "end": {"end": BOARD.start + 10},
    "run unit": {"run_unit": "month"},
    "run interval": {"run_interval": 8},
    "start time": {"start_time": "09:00"},
    "end time": {"end_time": "09:00"},
    "aggregation": {"aggregation": "max"},
    "order": {"order": "asc"},
    "ties": {"ties": "last"},
    "breakdown": {"breakdown": (LEVEL,)},
    "no breakdown": {"breakdown": ()},
    "filters": {"filters": ((LEVEL, "pro"),)},
    "late events": {"late_events": "revise"},
    "finished": {"finished_position": 7},
}


@pytest.mark.parametrize("what", CHANGED)
async def test_a_board_that_counts_otherwise_is_not_held(folder: Path, what: str) -> None:
    """Its rankings have to be made from the log."""
    await write(folder / "c", make_rankings(BOARD, GROUPS))
    assert not Checkpoint(folder / "c").holds(replace(BOARD, **CHANGED[what]), STREAKS, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "New"},
        {"description": "New"},
        {"max_participants": 3},
        {"numbering": "competition"},
        {"asked_status": "finished"},
        {"key": "new"},
    ],
)
async def test_what_does_not_decide_who_stands_where_does_not_matter(folder: Path, fields: dict[str, Any]) -> None:
    """The rankings on disk are right for it."""
    await write(folder / "c", make_rankings(BOARD, GROUPS))
    assert Checkpoint(folder / "c").holds(replace(BOARD, **fields), STREAKS, 0)


async def test_values_of_filters_and_their_attributes_tell_boards_apart() -> None:
    """And so does the order of breakdown attributes, which is that of the group's values."""
    boards = [
        make_board(filters=((LEVEL, "pro"),)),
        make_board(filters=((LEVEL, "new"),)),
        make_board(filters=((POOL, "pro"),)),
        make_board(breakdown=(POOL, LEVEL)),
        make_board(breakdown=(LEVEL, POOL)),
        make_board(numbering="dense"),
    ]
    assert len({fingerprint(board) for board in boards}) == len(boards)


async def test_a_frozen_board_is_held_once_its_definition_knows(folder: Path) -> None:
    """Before that, its rankings lack what came since."""
    rankings = make_rankings(BOARD, GROUPS)
    rankings.frozen_position = 7
    await write(folder / "c", rankings)
    stored = Checkpoint(folder / "c")
    assert stored.holds(replace(BOARD, finished_position=7), STREAKS, 0)
    assert not stored.holds(BOARD, STREAKS, 0)


# With the whole ledger


async def recorded(folder: Path, limits: Limits = CALM) -> tuple[Any, list[Any]]:
    """A ledger with some events, and the page that it shows."""
    ledger = await open_embedded(folder, Clock(), [OTHER], limits)
    await ledger.record([swim(f"user-{place}", place % 4) for place in range(10)])
    return ledger, await ledger.page(2, Run(OTHER.start, None), [()], 0, 100)


def edition_in(folder: Path) -> int:
    """The edition in which the archive of a folder keeps what is over of the board."""
    archive = SqlArchive.open(f"sqlite:///{folder / 'archive.sqlite3'}")
    try:
        return archive.edition(OTHER.number)
    finally:
        archive.close()


@pytest.mark.parametrize("content", [b"", b"garbage", None])
async def test_a_ledger_opens_without_a_good_checkpoint(folder: Path, content: bytes | None) -> None:
    """Damaged or missing: the rankings are made from the log, and the next checkpoint is whole again."""
    ledger, expected = await recorded(folder)
    await ledger.close()
    path = folder / "standings.checkpoint"
    path.unlink() if content is None else path.write_bytes(content)
    ledger = await open_embedded(folder, Clock(), [OTHER])
    assert await ledger.page(2, Run(OTHER.start, None), [()], 0, 100) == expected
    await ledger.record([swim("user-1", 1)])
    await ledger.close()
    assert Checkpoint(path).holds(OTHER, STREAKS, edition_in(folder))


async def test_a_checkpoint_ahead_of_the_log_is_ignored(folder: Path) -> None:
    """A power failure took the end of the log, say: what the log does not hold has not happened."""
    ledger, _ = await recorded(folder)
    await ledger.close()
    rankings = make_rankings(OTHER, [()])
    await write(folder / "standings.checkpoint", rankings, position=1000)
    ledger = await open_embedded(folder, Clock(), [OTHER])
    assert await ledger.size(2, Run(OTHER.start, None), [()]) == 10
    await ledger.close()


async def test_an_unfinished_checkpoint_does_not_replace_the_one_before(folder: Path) -> None:
    """Saving fails; the old file stays, and recording goes on."""
    ledger, _ = await recorded(folder)
    await ledger.checkpoint()
    before = (folder / "standings.checkpoint").read_bytes()
    await ledger.record([swim("ann", 9)])
    with patch.object(checkpoint, "save", side_effect=OSError("no space left on device")), pytest.raises(OSError):
        await ledger.checkpoint()
    assert (folder / "standings.checkpoint").read_bytes() == before
    await ledger.record([swim("bob", 9)])
    await ledger.checkpoint()
    assert (folder / "standings.checkpoint").read_bytes() != before
    await ledger.close()


async def test_a_checkpoint_is_given_up_when_a_board_comes_or_goes(folder: Path) -> None:
    """What was written of it no longer fits."""
    for change in ("follow", "forget"):
        ledger, _ = await recorded(folder / change)

        async def change_boards(ledger: Any = ledger, change: str = change) -> None:
            if change == "follow":
                await ledger.follow(BOARD)
            else:
                ledger.forget(2)

        with patch("palmares.ledger.embedded.upkeep.pause", change_boards):
            await ledger.checkpoint()
        assert not (folder / change / "standings.checkpoint").exists()
        await ledger.close()


async def test_two_checkpoints_at_once_are_written_one_after_another(folder: Path) -> None:
    """Neither spoils the other."""
    ledger, _ = await recorded(folder)
    await asyncio.gather(ledger.checkpoint(), ledger.checkpoint())
    assert Checkpoint(folder / "standings.checkpoint").holds(OTHER, STREAKS, edition_in(folder))
    await ledger.close()


async def test_a_board_that_is_no_longer_defined_is_not_loaded(folder: Path) -> None:
    """Its part of the file is skipped."""
    ledger, _ = await recorded(folder)
    await ledger.close()
    ledger = await open_embedded(folder, Clock(), [])
    with pytest.raises(NotFound):
        await ledger.runs(2)
    await ledger.close()


async def test_the_end_of_a_file_without_slices_is_read(folder: Path) -> None:
    """A ledger without boards has a checkpoint too."""
    ledger = await open_embedded(folder, Clock(), [])
    await ledger.record([swim("ann", 1)])
    await ledger.close()
    assert Checkpoint(folder / "standings.checkpoint").position == 2
