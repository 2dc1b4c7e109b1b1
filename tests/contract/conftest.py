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
from tests.faults import write_wal_only
from tests.ledger_world import BUSY, CALM, Clock, Home, LedgerWorld, memory_folder, open_embedded
from tests.slow_ledger import SlowLedger
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


# Embedded: everything since the start is in memory. Busy: users leave the cache, and projection and checkpoint are
# written, all the time.
ADAPTERS: dict[str, Callable[[Path, Clock], Home]] = {
    "slow": SlowHome,
    "embedded": partial(EmbeddedHome, CALM),
    "embedded, busy": partial(EmbeddedHome, BUSY),
}


class ValkeyHome:
    """A ledger of its own name on a server or cluster that others use too, with an archive of its own. Each life is
    another worker."""

    def __init__(self, addresses: Sequence[Address], shards: int, folder: Path, clock: Clock) -> None:
        self._addresses = addresses
        self._archive = f"sqlite:///{folder / 'archive.sqlite3'}"
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


# The ledger on Valkey is not finished: it is in the table above when all of the suite passes. Until then, these are the
# files that it passes, but for what `NOT_YET` names.
VALKEY: dict[str, tuple[str, int]] = {
    "valkey, 1 shard": ("valkey", 1),
    "valkey, 4 shards": ("valkey", 4),
    "valkey cluster": ("valkey_cluster", 4),
}
VALKEY_FILES = {
    "test_closing",
    "test_erasing",
    "test_exploring",
    "test_following",
    "test_frozen",
    "test_groups",
    "test_history",
    "test_history_imports",
    "test_hiding",
    "test_idempotency",
    "test_late_events",
    "test_order",
    "test_points",
    "test_points_voiding",
    "test_parallel",
    "test_reading",
    "test_record",
    "test_runs",
    "test_streaks",
    "test_totals",
    "test_voiding",
    "test_watching",
    "test_union",
    "test_users",
}
ALL = VALKEY.keys()
SHARDED = ("valkey, 4 shards", "valkey cluster")
BY_STREAK = "boards that rank by streak are refused"
# What is still to come, by test. It fails with one shard, and has to leave this table when it does not any more.
NOT_YET: dict[str, tuple[Collection[str], str]] = {
    **dict.fromkeys(
        [
            "test_longest_streaks_and_streak_boards_leave_hidden_users_out",
            "test_who_is_hidden_stays_so_over_a_restart",
            "test_awards_count_for_no_streak",
            "test_a_streak_is_that_of_the_events_that_are_left",
            "test_an_erased_user_is_unknown_and_gone_from_what_is_live",
            "test_the_same_id_is_a_new_user_with_nothing_of_the_old",
            "test_a_run_that_was_final_keeps_its_ranks_with_an_anonymous_row",
            "test_an_erasure_holds_over_a_restart",
            "test_a_run_that_is_revised_keeps_the_anonymous_row",
            "test_compacting_changes_nothing_that_is_told",
            "test_void_events_have_never_been",
        ],
        (ALL, BY_STREAK),
    ),
}
GAPS = "each shard numbers its own users and lines, so together they have gaps, and another order"
# What is otherwise in this ledger by its design; tests/unit/ledger/valkey says how it is here.
OTHERWISE: dict[str, tuple[Collection[str], str]] = {
    "test_a_list_is_recorded_in_its_order": (SHARDED, GAPS),
    "test_a_refused_request_leaves_no_gap": (SHARDED, GAPS),
    "test_a_line_of_the_log_tells_all_of_its_event": (SHARDED, GAPS),
    "test_an_event_creates_its_user": (SHARDED, GAPS),
    "test_what_comes_together_happens_in_order": (SHARDED, GAPS),
    "test_a_board_that_is_followed_later_has_the_anonymous_row_where_no_attributes_matter": (SHARDED, GAPS),
    "test_a_board_that_was_finished_by_hand_keeps_the_anonymous_row": (SHARDED, GAPS),
    "test_parallel_lists_do_not_mix": (SHARDED, GAPS),
    "test_everybodys_rank_is_told_by_number": (SHARDED, GAPS),
    "test_a_frozen_board_stays_as_it_is": (SHARDED, GAPS),
    "test_days_begin_with_the_first_event_that_is_left": (SHARDED, GAPS),
    "test_boards_that_are_followed_while_events_are_taken_back_are_right": (SHARDED, GAPS),
    "test_a_ledger_with_voids_is_equal_to_one_without_the_events": (SHARDED, GAPS),
    "test_the_position_is_that_of_the_last_line": (SHARDED, GAPS),
    "test_the_log_is_told_in_order_and_in_pieces": (SHARDED, GAPS),
    "test_the_log_tells_which_schemes_held_when": (SHARDED, "each shard has the schemes in its own log"),
    "test_a_reader_sees_all_of_a_list_or_nothing": (ALL, "three reads are of three moments; each is of one"),
}


# Long tests of what a cluster does like a server with as many shards.
LONG = {"test_a_union_is_ranked_as_one", "test_every_kind_of_board_ranks_like_rank_all"}
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
    "test_voiding": ["test_a_void_event_does_not_count", "test_who_has_no_event_left_leaves"],
}


def is_on_a_cluster(file: str, test: str) -> bool:
    """Whether a test is run on a cluster too."""
    return test not in LONG and test in ON_A_CLUSTER.get(file, [test])


def marks_of(test: str, kind: str) -> list[pytest.MarkDecorator]:
    """What is to be said of a test on Valkey."""
    marks = []
    for table, mark in ((NOT_YET, partial(pytest.mark.xfail, strict=True)), (OTHERWISE, pytest.mark.skip)):
        kinds, reason = table.get(test, ((), ""))
        if kind in kinds:
            marks.append(mark(reason=reason))
    return marks


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" not in metafunc.fixturenames:
        return
    kinds = [pytest.param(kind) for kind in ADAPTERS]
    file = metafunc.module.__name__.rpartition(".")[2]
    if file in VALKEY_FILES:
        test = metafunc.function.__name__
        wanted = [kind for kind in VALKEY if kind != "valkey cluster" or is_on_a_cluster(file, test)]
        if test in NOT_YET:
            wanted = [kind for kind in wanted if kind not in SHARDED]
        kinds += [pytest.param(kind, marks=marks_of(test, kind)) for kind in wanted]
    metafunc.parametrize("world", kinds, indirect=True)


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[LedgerWorld]:
    """An empty ledger of each kind in turn."""
    clock = Clock()
    with memory_folder() as folder:
        if request.param in VALKEY:
            server, shards = VALKEY[request.param]
            home: Home = ValkeyHome(request.getfixturevalue(server), shards, folder, clock)
        else:
            home = ADAPTERS[request.param](folder, clock)
        made = LedgerWorld(home, clock)
        await made.open()
        yield made
        await made.ledger.close()
