"""The adapters that this suite runs over. A new one is finished when it is in the table and everything passes."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from palmares.archive.sql import SqlArchive
from palmares.domain.board import Board
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.contract import Ledger
from palmares.ledger.embedded.ledger import Limits
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.effort import EFFORT
from tests.faults import write_wal_only
from tests.ledger_world import BUSY, CALM, Clock, Home, LedgerWorld, memory_folder, open_embedded
from tests.slow_ledger import SlowLedger
from tests.templates import empty_archive, place
from tests.twins import copy_as_after_a_kill
from tests.valkey_servers import Address, fresh_name


class SlowHome:
    """The oracle's. It has no disk: what is opened again is the same object, told anew which boards to follow."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        numbers = iter(range(1, 10**9))
        self._ledger = SlowLedger(clock, lambda: str(UUID(int=next(numbers))))

    async def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Ledger:
        await self._ledger.restart(boards, streaks)
        return self._ledger

    def kill(self) -> None:
        """It remembers all the same."""


class EmbeddedHome:
    """A data folder for each life that a kill has ended, and one for the present."""

    def __init__(self, limits: Limits, folder: Path, clock: Clock) -> None:
        self._limits = limits
        self._folder = folder
        self._clock = clock
        self._life = 0

    @property
    def data(self) -> Path:
        return self._folder / str(self._life)

    async def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Ledger:
        ledger = await open_embedded(self.data, self._clock, boards, self._limits, streaks)
        write_wal_only(ledger)
        return ledger

    def kill(self) -> None:
        before, self._life = self.data, self._life + 1
        copy_as_after_a_kill(before, self.data)


class ValkeyHome:
    """A ledger of its own name on a server or cluster that others use too, with an archive of its own. Each life is
    another worker."""

    def __init__(self, addresses: Sequence[Address], shards: int, folder: Path, clock: Clock) -> None:
        self._addresses = addresses
        self._archive = f"sqlite:///{folder / 'archive.sqlite3'}"
        place(folder / "archive.sqlite3", empty_archive())
        self._shards = shards
        self._clock = clock
        self._name = fresh_name()
        self._lives = count(1)

    async def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Ledger:
        return await ValkeyLedger.open(
            self._addresses,
            boards,
            self._clock,
            f"worker-{next(self._lives)}",
            streaks,
            name=self._name,
            shards=self._shards,
            open_archive=lambda: SqlArchive.open(self._archive),
        )

    def kill(self) -> None:
        """Whatever a worker was at is in Valkey as a whole or not at all."""


Adapter = Callable[[pytest.FixtureRequest, Path, Clock], Home]


def without_server(make: Callable[[Path, Clock], Home]) -> Adapter:
    """An adapter that needs nothing but a folder."""
    return lambda request, folder, clock: make(folder, clock)


def on_valkey(server: str, shards: int) -> Adapter:
    """An adapter on a server or cluster, named by its fixture."""
    return lambda request, folder, clock: ValkeyHome(request.getfixturevalue(server), shards, folder, clock)


# Embedded: everything since the start is in memory. Busy: users leave the cache, and projection and checkpoint are
# written, all the time.
ADAPTERS: dict[str, Adapter] = {
    "slow": without_server(SlowHome),
    "embedded": without_server(partial(EmbeddedHome, CALM)),
    "embedded, busy": without_server(partial(EmbeddedHome, BUSY)),
    "valkey, 1 shard": on_valkey("valkey", 1),
    "valkey, 4 shards": on_valkey("valkey", 4),
    "valkey cluster": on_valkey("valkey_cluster", 4),
}
VALKEY = ("valkey, 1 shard", "valkey, 4 shards", "valkey cluster")
SHARDED = ("valkey, 4 shards", "valkey cluster")
GAPS = "each shard numbers its own users and lines, so together they have gaps, and another order"
# What is otherwise in this ledger by its design; tests/unit/ledger/valkey says how it is here.
OTHERWISE: dict[str, tuple[Collection[str], str]] = {
    "test_a_refused_request_leaves_no_gap": (SHARDED, GAPS),
    "test_parallel_lists_do_not_mix": (SHARDED, GAPS),
    "test_the_position_is_that_of_the_last_line": (SHARDED, GAPS),
    "test_the_log_is_told_in_order_and_in_pieces": (SHARDED, GAPS),
    "test_the_log_tells_which_schemes_held_when": (SHARDED, "each shard has the schemes in its own log"),
    "test_a_frozen_board_stays_as_it_is": (SHARDED, GAPS),
    "test_a_reader_sees_all_of_a_list_or_nothing": (VALKEY, "three reads are of three moments; each is of one"),
}


# Several shards are on a cluster or on one server, as the same code does both; `EFFORT` above 1 takes both for all.
# Long tests, in which four shards on one server do all that one shard does, and all that a cluster does.
LONG = {
    "test_a_board_followed_late_is_a_board_that_was_there_from_the_start",
    "test_a_board_that_was_followed_late_is_the_same_after_opening_again",
    "test_a_day_tells_what_was_read_at_its_end",
    "test_a_final_run_is_read_like_a_live_one",
    "test_a_frozen_board_can_be_made_again",
    "test_a_frozen_board_survives_a_restart",
    "test_a_past_that_is_imported_is_like_one_that_was_lived_through",
    "test_a_run_without_end_is_never_final",
    "test_a_story_goes_on_after_a_start",
    "test_a_union_is_ranked_as_one",
    "test_events_that_come_while_a_board_is_made_are_in_it",
    "test_every_kind_of_board_ranks_like_rank_all",
    "test_following_a_followed_board_again_changes_nothing",
    "test_following_later_is_like_following_from_the_start",
    "test_history_survives_opening_again",
    "test_void_events_have_never_been",
}
# Of the longest files, what reaches each script in a cluster: the rest is the same with as many shards on one server.
ON_A_CLUSTER: dict[str, Collection[str]] = {
    "test_closing": ["test_the_next_run_goes_on_while_one_closes"],
    "test_following": ["test_a_run_that_goes_on_is_made_with_the_days_that_are_over"],
    "test_frozen": ["test_all_runs_are_final_at_once", "test_groups_are_those_of_that_moment"],
    "test_hiding": ["test_a_hidden_user_goes_on_counting_and_comes_back_with_everything"],
    "test_history": ["test_each_day_is_kept_with_its_end"],
    "test_history_imports": ["test_history_revises_a_final_run_whatever_the_board_says"],
    "test_late_events": ["test_the_last_value_is_that_of_the_latest_time"],
    "test_points_voiding": ["test_what_was_cut_by_the_limit_is_earned_by_others"],
    "test_streak_boards": [
        "test_late_events_are_ignored_or_revise_a_final_run",
        "test_who_breaks_a_streak_leaves_at_local_midnight_without_an_event",
    ],
    "test_streak_preferences": ["test_who_wants_no_streak_has_none_and_leaves_the_boards"],
    "test_voiding": ["test_a_void_event_does_not_count", "test_who_has_no_event_left_leaves"],
}


def kinds_of(file: str, test: str) -> list[str]:
    """The adapters that a test is run with."""
    if EFFORT > 1:
        return list(ADAPTERS)
    if test in LONG:
        return [kind for kind in ADAPTERS if kind not in ("valkey, 1 shard", "valkey cluster")]
    left_out = "valkey, 4 shards" if test in ON_A_CLUSTER.get(file, [test]) else "valkey cluster"
    return [kind for kind in ADAPTERS if kind != left_out]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" not in metafunc.fixturenames:
        return
    file, test = metafunc.module.__name__.rpartition(".")[2], metafunc.function.__name__
    left_out, reason = OTHERWISE.get(test, ((), ""))
    skipped = pytest.mark.skip(reason=reason)
    worlds = [pytest.param(kind, marks=[skipped] if kind in left_out else []) for kind in kinds_of(file, test)]
    metafunc.parametrize("world", worlds, indirect=True)


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[LedgerWorld]:
    """An empty ledger of each kind in turn."""
    clock = Clock()
    with memory_folder() as folder:
        home = ADAPTERS[request.param](request, folder, clock)
        made = LedgerWorld(home, clock)
        await made.open()
        yield made
        await made.ledger.close()
