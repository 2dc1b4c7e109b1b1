"""Whatever is kept, installed, discarded and forgotten: the archive answers like dictionaries of everything."""

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from palmares.archive.sql import SqlArchive
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DayEnd, Places, Rows
from tests.databases import Place, Postgres, sqlite_in
from tests.effort import tries
from tests.plain_archive import PlainArchive

BOARDS = (1, 2)
RUN_STARTS = (10, 400)
DAYS = (10, 11, 12, 110, 111, 112, 113)
# On both sides of the borders between chunks, and as far away as there are numbers.
USERS = (0, 1, 2, 1023, 1024, 1025, 70_000, 2**32 - 1)
GROUPS: tuple[Group, ...] = ((), ("de",), ("fr",), ("de", 'a "b", c'), ("\0 é ✓",))
SORTING = {"descending": True, "later_first": False, "id_of": lambda number: b"%010d" % number}

values = st.sampled_from([-(2**63), -1, 0, 1, 2, 2**63 - 1])
# By user the group, value and instant.
standings = st.dictionaries(
    st.sampled_from(USERS), st.tuples(st.sampled_from(GROUPS), values, st.integers(-1, 1)), max_size=len(USERS)
)
run_starts = st.sampled_from(RUN_STARTS)
runs = st.builds(Run, run_starts, st.none() | st.integers(500, 501))
boards = st.sampled_from(BOARDS)


def orders_of(standing: dict[int, tuple[Group, int, int]]) -> list[tuple[Group, Rows]]:
    """Each group's rows in order, groups in no order of their own."""
    orders = []
    for group in dict.fromkeys(group for group, _, _ in standing.values()):
        entries = [(user, value, reached) for user, (held, value, reached) in standing.items() if held == group]
        entries.sort(key=lambda entry: (-entry[1], entry[2], entry[0]))
        orders.append(
            (
                group,
                Rows(*(array(code, column) for code, column in zip("Iqq", zip(*entries, strict=True), strict=True))),
            )
        )
    return orders


def end_of(day: int, standing: dict[int, tuple[Group, int, int]]) -> DayEnd:
    """The end of a day at which users stood so."""
    groups = [group for group, _ in orders_of(standing)]
    return DayEnd(day, groups, places_of(standing, groups))


def places_of(standing: dict[int, tuple[Group, int, int]], groups: list[Group]) -> Places:
    """Everybody's place, by the competition's numbering."""
    places = Places(array("I"), array("I"), array("I"), array("q"))
    for user in sorted(standing):
        group, value, _ = standing[user]
        better = [held for held_group, held, _ in standing.values() if held_group == group and held > value]
        for column, number in zip(places, (user, groups.index(group), len(better) + 1, value), strict=True):
            column.append(number)
    return places


@contextmanager
def sqlite_of_its_own() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        yield sqlite_in(Path(folder))


class ArchiveAgainstDictionaries(RuleBasedStateMachine):
    """Every read of every run, after every step."""

    @initialize()
    def start(self) -> None:
        self.opened = ExitStack()
        self.url = self.opened.enter_context(self.make_place()).url
        self.archive = SqlArchive.open(self.url)
        self.plain = PlainArchive()
        # Numbers of the same edition here and there, also of some that are gone.
        self.editions: list[tuple[int, int]] = []

    def teardown(self) -> None:
        if hasattr(self, "archive"):
            self.archive.close()
            self.opened.close()

    @staticmethod
    def make_place() -> AbstractContextManager[Place]:
        """An empty database."""
        return sqlite_of_its_own()

    def pick(self, chance: int) -> tuple[int, int]:
        """An edition that is there, as it is called here and there."""
        known = [pair for pair in self.editions if pair[1] in self.plain.editions]
        return known[chance % len(known)]

    def has_editions(self) -> bool:
        return any(number in self.plain.editions for _, number in self.editions)

    @rule(board=boards)
    def begin_edition(self, board: int) -> None:
        self.editions.append((self.archive.begin_edition(board), self.plain.begin_edition(board)))

    @rule(board=boards)
    def current_edition(self, board: int) -> None:
        assert self.archive.holds(board) == self.plain.holds(board)
        self.editions.append((self.archive.edition(board), self.plain.edition(board)))

    @precondition(has_editions)
    @rule(
        chance=st.integers(0, 9),
        run_start=run_starts,
        ends=st.dictionaries(st.sampled_from(DAYS), standings, min_size=1, max_size=3),
    )
    def keep_days(self, chance: int, run_start: int, ends: dict[int, dict[int, tuple[Group, int, int]]]) -> None:
        for archive, edition in zip((self.archive, self.plain), self.pick(chance), strict=True):
            archive.keep_days(edition, run_start, [end_of(day, standing) for day, standing in sorted(ends.items())])

    @precondition(has_editions)
    @rule(chance=st.integers(0, 9), run=runs, standing=standings, revision=st.integers(0, 2))
    def keep_run(self, chance: int, run: Run, standing: dict[int, tuple[Group, int, int]], revision: int) -> None:
        orders = orders_of(standing)
        places = places_of(standing, [group for group, _ in orders])
        for archive, edition in zip((self.archive, self.plain), self.pick(chance), strict=True):
            archive.keep_run(edition, run, orders, places, revision)

    @precondition(has_editions)
    @rule(
        chance=st.integers(0, 9),
        runs=st.none() | st.sets(run_starts),
        complete=st.none() | st.dictionaries(run_starts, st.sampled_from(DAYS)),
    )
    def install(self, chance: int, runs: set[int] | None, complete: dict[int, int] | None) -> None:
        here, there = self.pick(chance)
        board = self.plain.editions[there].board
        self.archive.install(board, here, runs, complete)
        self.plain.install(board, there, runs, complete)

    @precondition(has_editions)
    @rule(chance=st.integers(0, 9))
    def discard(self, chance: int) -> None:
        here, there = self.pick(chance)
        self.archive.discard(here)
        self.plain.discard(there)

    @rule(board=boards)
    def forget(self, board: int) -> None:
        self.archive.forget(board)
        self.plain.forget(board)

    @rule()
    def open_again(self) -> None:
        """As after a crash: what was not installed is gone."""
        self.archive.close()
        self.archive = SqlArchive.open(self.url)
        for _, there in self.editions:
            self.plain.discard(there)

    @invariant()
    def all_agree(self) -> None:
        if not hasattr(self, "archive"):
            return
        for board in BOARDS:
            assert self.archive.final_runs(board) == self.plain.final_runs(board)
            for run_start in RUN_STARTS:
                self.run_agrees(board, run_start)
        for here, there in self.editions:
            assert self.archive.has_day(here, 10, 11) == self.plain.has_day(there, 10, 11)

    def run_agrees(self, board: int, run_start: int) -> None:
        assert self.archive.final_run(board, run_start) == self.plain.final_run(board, run_start)
        for user in USERS[::3]:
            assert self.archive.place(board, run_start, user) == self.plain.place(board, run_start, user)
        asked = (board, run_start, 1024, 11, 112)
        assert self.archive.history(*asked) == self.plain.history(*asked)
        for group in GROUPS:
            ours = self.archive.order(board, run_start, group, **SORTING)
            plain = self.plain.order(board, run_start, group, **SORTING)
            assert ours.page(0, 99) == plain.entries
            assert [ours.row(user) for user in USERS] == [plain.row(user) for user in USERS]


TestArchiveAgainstDictionaries = ArchiveAgainstDictionaries.TestCase
TestArchiveAgainstDictionaries.settings = settings(max_examples=tries(12), stateful_step_count=20)


def test_the_archive_on_postgresql_against_dictionaries(postgres: Postgres) -> None:
    """The same, fewer times: the statements are the same."""

    class OnPostgres(ArchiveAgainstDictionaries):
        make_place = staticmethod(postgres.database)

    run_state_machine_as_test(OnPostgres, settings=settings(max_examples=tries(2), stateful_step_count=20))
