"""What the archive promises, one claim at a time. `tests/property/test_archive.py` tries the combinations."""

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

from palmares.archive import shelves
from palmares.archive.columns import CHUNK
from palmares.archive.sql import SqlArchive
from palmares.domain.board import Board, Numbering
from palmares.domain.errors import NotFound, Unavailable
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DAYS_KEPT, DayEnd, DayStanding, FinalPlace, FinalRun, Places, Rows
from palmares.domain.standing import rank_all
from palmares.domain.tally import Tally
from palmares.ledger.embedded._index import Index, merge_places
from palmares.ledger.keeping import Archive
from palmares.ledger.union import Union
from tests.databases import Place, sqlite_in

BOARD = 7
RUN = Run(100, 106)
DE, FR, IT = ("de",), ("fr",), ("it",)
SORTING: dict[str, Any] = {"descending": True, "later_first": False, "id_of": lambda number: b"%010d" % number}

# By group and user the value and the instant.
Standings = dict[Group, dict[int, tuple[int, int]]]


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture
def archive(url: str) -> Iterator[SqlArchive]:
    archive = SqlArchive.open(url)
    yield archive
    archive.close()


def indexes_of(standings: Standings) -> dict[Group, Index]:
    """The rankings that a ledger would have."""
    indexes = {group: Index(**SORTING, distinct=True) for group in standings}
    for group, users in standings.items():
        for user, (value, reached_at) in users.items():
            indexes[group].put(user, value, reached_at)
    return indexes


def places_of(indexes: dict[Group, Index], numbering: Numbering = "ordinal", limit: int = 10**9) -> Places:
    columns = merge_places(index.places(limit, numbering) for index in indexes.values())
    return Places(*(array(code, column) for code, column in zip("IIIq", columns, strict=True)))


def keep_run(
    archive: Archive, edition: int, standings: Standings, numbering: Numbering = "ordinal", run: Run = RUN
) -> None:
    indexes = indexes_of(standings)
    archive.keep_run(edition, run, rows_of(indexes), places_of(indexes, numbering))


def rows_of(indexes: dict[Group, Index]) -> list[tuple[Group, Rows]]:
    orders = []
    for group, index in indexes.items():
        values, reached, participants = index.dump_after(None, len(index))
        orders.append((group, Rows(array("I", participants), array("q", values), array("q", reached))))
    return orders


def keep_day(archive: Archive, edition: int, day: int, standings: Standings, run: Run = RUN) -> None:
    archive.keep_days(edition, run.start, [DayEnd(day, list(standings), places_of(indexes_of(standings)))])


def many(count: int, values: int = 50) -> dict[int, tuple[int, int]]:
    """So many users, every third number, with many ties of both kinds."""
    return {number * 3: (number * 7919 % values, number % 4) for number in range(count)}


# The ends of days


def test_the_history_of_a_user_is_the_days_that_are_kept(archive: SqlArchive) -> None:
    """Ascending, within a range, with None for a day on which the user was not ranked."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 103, {(): {2: (30, 0)}})
    keep_day(archive, edition, 101, {(): {1: (10, 0), 2: (20, 0)}})
    keep_day(archive, edition, 104, {})
    keep_day(archive, edition, 105, {(): {1: (50, 0)}})

    history = archive.history(BOARD, RUN.start, 1, 101, 104)

    assert history == [DayStanding(101, 2, 10), DayStanding(103, None, None), DayStanding(104, None, None)]
    assert archive.history(BOARD, RUN.start, 1, 105, 999) == [DayStanding(105, 1, 50)]
    assert archive.history(BOARD, RUN.start + 1, 1, 0, 999) == archive.history(BOARD + 1, RUN.start, 1, 0, 999) == []
    assert [archive.has_day(edition, RUN.start, day) for day in (101, 102)] == [True, False]


def test_a_day_that_is_kept_again_replaces_what_was_kept(archive: SqlArchive) -> None:
    """A day may have been kept just before a crash, and is kept again after it."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 101, {(): {1: (10, 0), 5000: (5, 0)}})
    keep_day(archive, edition, 101, {(): {1: (20, 0)}})

    assert archive.history(BOARD, RUN.start, 1, 0, 999) == [DayStanding(101, 1, 20)]
    assert archive.history(BOARD, RUN.start, 5000, 0, 999) == [DayStanding(101, None, None)]


def test_days_that_nobody_can_ask_for_are_let_go(archive: SqlArchive) -> None:
    """As many as the longest history needs stay, counted from the day that is kept."""
    edition = archive.edition(BOARD)
    for day in range(100, 100 + DAYS_KEPT + 5):
        keep_day(archive, edition, day, {(): {1: (day, 0)}})

    history = archive.history(BOARD, RUN.start, 1, 0, 9999)

    assert [standing.day for standing in history] == list(range(105, 105 + DAYS_KEPT))
    assert all(standing.value == standing.day for standing in history)


def test_days_that_are_kept_together_are_as_if_kept_one_after_another(archive: SqlArchive) -> None:
    """Each day has groups of its own, and those that nobody can ask for are let go."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 201, {DE: {9: (90, 0)}})
    days: dict[int, Standings] = {
        100: {DE: {1: (10, 0)}},
        201: {FR: {1: (20, 0)}, DE: {2: (30, 0)}},
        202: {},
        203: {IT: {1: (40, 0)}, FR: {2: (50, 0)}},
    }
    ends = [DayEnd(day, list(found), places_of(indexes_of(found))) for day, found in days.items()]

    archive.keep_days(edition, RUN.start, ends)

    expected = [DayStanding(201, 1, 20), DayStanding(202, None, None), DayStanding(203, 1, 40)]
    assert archive.history(BOARD, RUN.start, 1, 0, 999) == expected
    assert archive.history(BOARD, RUN.start, 9, 201, 201) == [DayStanding(201, None, None)]
    for day in (201, 203):
        kept = archive.day(BOARD, RUN.start, day)
        assert kept is not None
        assert {user: kept[0][group] for user, group in zip(kept[1].users, kept[1].groups, strict=True)} == {
            user: group for group, users in days[day].items() for user in users
        }


def test_days_of_other_runs_stay(archive: SqlArchive) -> None:
    """Runs may be far apart."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 101, {(): {1: (10, 0)}})
    keep_day(archive, edition, 901, {(): {1: (20, 0)}}, Run(900, 906))

    assert archive.history(BOARD, RUN.start, 1, 0, 999) == [DayStanding(101, 1, 10)]


def test_a_day_of_many_users_is_read_back_whole(archive: SqlArchive) -> None:
    """In chunks, some full and some nearly empty, with groups that were not there on the day before."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 101, {DE: many(10)})
    indexes = indexes_of({FR: {number * 3 + 1: (number % 9, 0) for number in range(4500)}, DE: many(4500)})
    indexes[IT] = indexes_of({IT: {2**32 - 1: (5, 0), 10**6: (6, 0)}})[IT]
    places = places_of(indexes, "competition")
    archive.keep_days(edition, RUN.start, [DayEnd(102, list(indexes), places)])

    assert archive.day(BOARD, RUN.start, 101) == ([DE, FR, IT], places_of(indexes_of({DE: many(10)})))
    found = archive.day(BOARD, RUN.start, 102)
    assert found is not None
    groups, kept = found
    assert [groups[group] for group in kept.groups] == [list(indexes)[group] for group in places.groups]
    assert kept._replace(groups=places.groups) == places
    assert archive.day(BOARD, RUN.start, 103) is None
    for place in range(0, len(places.users), 997):
        standing = DayStanding(102, places.ranks[place], places.values[place])
        assert archive.history(BOARD, RUN.start, places.users[place], 102, 102) == [standing]


# Final runs


@pytest.mark.parametrize("numbering", ["ordinal", "competition", "dense"])
def test_a_final_run_is_as_the_slow_ranking_has_it(archive: SqlArchive, numbering: Numbering) -> None:
    """Every rank, value, row and size, over several chunks of rows and of users."""
    standings: Standings = {DE: many(2 * CHUNK + 10), FR: {number * 3 + 1: (number % 5, 0) for number in range(700)}}
    keep_run(archive, archive.edition(BOARD), standings, numbering)

    board = Board(
        number=BOARD, id="b", scope=1, key="b", name="B", rank_by="metric", start=RUN.start, numbering=numbering
    )
    assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, 0, {DE: 2 * CHUNK + 10, FR: 700})
    for group, users in standings.items():
        slow = rank_all(board, {f"{user:010}": Tally(*tally) for user, tally in users.items()})
        order = archive.order(BOARD, RUN.start, group, **SORTING)
        assert order.page(0, 10**6) == [(int(one.participant), one.value, one.reached_at) for one in slow]
        for row in [0, 1, len(slow) // 2, CHUNK % len(slow), len(slow) - 1]:
            user = int(slow[row].participant)
            assert archive.place(BOARD, RUN.start, user) == FinalPlace(group, row, slow[row].rank, slow[row].value)
            assert order.row(user) == row
    assert archive.place(BOARD, RUN.start, 2) is None
    assert archive.order(BOARD, RUN.start, FR, **SORTING).row(0) == -1


def test_only_those_inside_the_cap_have_a_place(archive: SqlArchive) -> None:
    """The archive keeps what it is given: the first rows."""
    index = indexes_of({(): many(30)})[()]
    values, reached, participants = index.dump_after(None, 10)
    rows = Rows(array("I", participants), array("q", values), array("q", reached))
    archive.keep_run(archive.edition(BOARD), RUN, [((), rows)], places_of({(): index}, limit=10))

    assert archive.place(BOARD, RUN.start, index.at(9)[0]) == FinalPlace((), 9, 10, index.at(9)[1])
    assert archive.place(BOARD, RUN.start, index.at(10)[0]) is None
    assert len(archive.order(BOARD, RUN.start, (), **SORTING)) == 10


@pytest.mark.parametrize("numbering", ["ordinal", "competition", "dense"])
def test_groups_are_read_together_as_from_memory(archive: SqlArchive, numbering: Numbering) -> None:
    """The union of final groups has the rows and ranks of the union of live ones."""
    chance = Random(3)
    standings: Standings = {
        group: {number * 3 + part: (chance.randrange(200), chance.randrange(3)) for number in range(size)}
        for part, (group, size) in enumerate([(DE, CHUNK + 300), (FR, 40), (IT, CHUNK)])
    }
    indexes = indexes_of(standings)
    keep_run(archive, archive.edition(BOARD), standings)
    orders = [archive.order(BOARD, RUN.start, group, **SORTING) for group in standings]
    board = Board(
        number=BOARD, id="b", scope=1, key="b", name="B", rank_by="metric", start=RUN.start, numbering=numbering
    )

    sizes = [len(index) for index in indexes.values()]
    live = Union(board, list(indexes.values()), sizes, SORTING["id_of"])
    final = Union(board, orders, sizes, SORTING["id_of"])

    assert final.page(0, sum(sizes)) == live.page(0, sum(sizes))
    for start in [1, CHUNK - 3, CHUNK + 200, sum(sizes) - 10]:
        assert final.page(start, start + 10) == live.page(start, start + 10)
    entry = orders[1].at(20)
    assert final.row(entry) == live.row(entry)


def test_a_run_that_nobody_joined_is_final_all_the_same(archive: SqlArchive) -> None:
    """With no group at all, or with an empty one."""
    edition = archive.edition(BOARD)
    keep_run(archive, edition, {})
    keep_run(archive, edition, {DE: {}}, run=Run(200, None))

    assert archive.final_run(BOARD, 100) == FinalRun(RUN, 0, {})
    assert archive.final_run(BOARD, 200) == FinalRun(Run(200, None), 0, {DE: 0})
    assert archive.final_runs(BOARD) == [100, 200]
    assert archive.place(BOARD, 200, 1) is None
    assert len(archive.order(BOARD, 200, DE, **SORTING)) == 0


def test_what_was_not_kept_is_told_apart(archive: SqlArchive) -> None:
    """No board, no run, no group: nothing, and an empty order."""
    assert archive.final_run(BOARD, RUN.start) is None
    assert archive.final_runs(BOARD) == []
    assert archive.place(BOARD, RUN.start, 1) is None
    keep_run(archive, archive.edition(BOARD), {DE: {1: (10, 0)}})
    for run_start, group in ((RUN.start, FR), (RUN.start + 1, DE)):
        order = archive.order(BOARD, run_start, group, **SORTING)
        assert (len(order), order.page(0, 5), order.row(1), order.count_better(0)) == (0, [], -1, 0)
        assert order.count_before(0, 0, 1) == order.count_distinct_better(0) == 0


def test_a_run_kept_twice_in_an_edition_is_kept_once(archive: SqlArchive) -> None:
    """As after a crash between keeping and noting it; it is no revision."""
    edition = archive.edition(BOARD)
    keep_run(archive, edition, {DE: {1: (10, 0)}, FR: {2: (20, 0)}})
    assert archive.place(BOARD, RUN.start, 2) is not None
    keep_run(archive, edition, {DE: {1: (30, 0)}})

    assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, 0, {DE: 1})
    assert archive.place(BOARD, RUN.start, 1) == FinalPlace(DE, 0, 1, 30)
    assert archive.place(BOARD, RUN.start, 2) is None


def test_small_groups_of_a_large_user_base_find_their_rows(archive: SqlArchive) -> None:
    """User numbers spread over all there are."""
    users = dict.fromkeys((5, 10**6, 2**32 - 1), (10, 0))
    keep_run(archive, archive.edition(BOARD), {DE: users})

    assert [archive.place(BOARD, RUN.start, user) for user in (2**32 - 1, 5, 10**6)] == [
        FinalPlace(DE, row, row + 1, 10) for row in (2, 0, 1)
    ]


# Editions


def test_an_edition_is_unseen_until_it_is_installed(archive: SqlArchive) -> None:
    """And then is all there is."""
    current = archive.edition(BOARD)
    assert archive.edition(BOARD) == current
    keep_run(archive, current, {DE: {1: (10, 0)}})
    keep_day(archive, current, 101, {DE: {1: (10, 0)}})
    new = archive.begin_edition(BOARD)
    keep_run(archive, new, {DE: {1: (20, 0)}}, run=Run(200, 206))
    assert archive.final_runs(BOARD) == [100]

    archive.install(BOARD, new)

    assert archive.edition(BOARD) == new
    assert archive.final_runs(BOARD) == [200]
    assert archive.history(BOARD, 100, 1, 0, 999) == []


def test_a_board_is_held_once_it_has_an_edition(archive: SqlArchive) -> None:
    """One in the making is none."""
    archive.begin_edition(BOARD)
    assert not archive.holds(BOARD)
    archive.edition(BOARD)
    assert archive.holds(BOARD)
    assert not archive.holds(BOARD + 1)


def test_a_revised_run_takes_the_place_of_the_former(archive: SqlArchive) -> None:
    """With a revision more; other runs, and days that were not worked out anew, stay."""
    current = archive.edition(BOARD)
    for run in (RUN, Run(200, 206)):
        keep_run(archive, current, {DE: {1: (10, 0)}}, run=run)
    for day in (101, 102):
        keep_day(archive, current, day, {DE: {1: (10, 0)}})

    for revision in (1, 2):
        new = archive.begin_edition(BOARD)
        for run in (RUN, Run(200, 206), Run(300, 306)):
            keep_run(archive, new, {FR: {1: (10 + revision, 0)}}, run=run)
        keep_day(archive, new, 102, {FR: {1: (10 + revision, 0)}})
        archive.install(BOARD, new, [RUN.start])
        assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, revision, {FR: 1})

    assert archive.edition(BOARD) == current
    assert archive.place(BOARD, RUN.start, 1) == FinalPlace(FR, 0, 1, 12)
    assert archive.final_run(BOARD, 200) == FinalRun(Run(200, 206), 0, {DE: 1})
    assert archive.final_runs(BOARD) == [100, 200]
    assert archive.history(BOARD, 100, 1, 0, 999) == [DayStanding(101, 1, 10), DayStanding(102, 1, 12)]
    keep_day(archive, current, 103, {DE: {1: (13, 0)}})
    assert archive.history(BOARD, 100, 1, 103, 103) == [DayStanding(103, 1, 13)]


@pytest.mark.parametrize(
    ("changed", "revision"),
    [
        ({DE: {1: (10, 5), 2: (9, 0)}, FR: {3: (10, 5)}, IT: {}}, 0),
        ({FR: {3: (10, 5)}, DE: {1: (10, 5), 2: (9, 0)}}, 0),
        ({DE: {1: (11, 5), 2: (9, 0)}, FR: {3: (10, 5)}}, 1),
        ({DE: {1: (10, 6), 2: (9, 0)}, FR: {3: (10, 5)}}, 1),
        ({DE: {1: (10, 5)}, FR: {3: (10, 5), 2: (9, 0)}}, 1),
        ({DE: {1: (10, 5), 2: (9, 0)}, IT: {3: (10, 5)}}, 1),
        ({DE: {1: (10, 5), 2: (9, 0)}}, 1),
    ],
)
def test_only_a_run_that_became_another_is_a_revision(archive: SqlArchive, changed: Standings, revision: int) -> None:
    """By a value, an instant, a group or somebody missing; not by an empty group, or groups in another sequence."""
    keep_run(archive, archive.edition(BOARD), {DE: {1: (10, 5), 2: (9, 0)}, FR: {3: (10, 5)}})
    new = archive.begin_edition(BOARD)
    keep_run(archive, new, changed)
    archive.install(BOARD, new, [RUN.start])

    final = archive.final_run(BOARD, RUN.start)

    assert final == FinalRun(RUN, revision, {group: len(users) for group, users in changed.items()})


def test_a_whole_edition_goes_on_with_the_revisions(archive: SqlArchive) -> None:
    """Nothing changes silently, however it comes about; only a run that is gone takes its revisions along."""
    current = archive.edition(BOARD)
    archive.keep_run(current, RUN, [], places_of({}), revision=3)
    archive.keep_run(current, Run(200, 206), [], places_of({}), revision=3)
    for value, revision in ((10, 4), (10, 4), (11, 5)):
        new = archive.begin_edition(BOARD)
        keep_run(archive, new, {DE: {1: (value, 0)}})
        archive.install(BOARD, new)
        assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, revision, {DE: 1})
    assert archive.final_runs(BOARD) == [RUN.start]


def test_a_run_may_begin_with_a_revision(archive: SqlArchive) -> None:
    """It was revised before it was kept; kept again, it has the revision that it began with."""
    edition = archive.edition(BOARD)
    for revision in (2, 0, 5):
        archive.keep_run(edition, RUN, [], places_of({}), revision)

    assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, 2, {})


def test_a_run_that_was_not_final_is_taken_over_without_a_revision(archive: SqlArchive) -> None:
    """Days of a live run may be worked out anew; and a run that is kept for the first time begins at 0."""
    current = archive.edition(BOARD)
    keep_run(archive, current, {DE: {1: (10, 0)}})
    new = archive.begin_edition(BOARD)
    keep_day(archive, new, 101, {DE: {1: (10, 0)}})
    keep_run(archive, new, {DE: {1: (10, 0)}}, run=Run(200, 206))
    archive.install(BOARD, new, [RUN.start, 200])

    assert [archive.final_run(BOARD, start) for start in (100, 200)] == [
        FinalRun(RUN, 0, {DE: 1}),
        FinalRun(Run(200, 206), 0, {DE: 1}),
    ]
    assert archive.history(BOARD, 100, 1, 0, 999) == [DayStanding(101, 1, 10)]


def test_an_installation_happens_as_a_whole_or_not_at_all(archive: SqlArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may fail at its last step."""
    keep_run(archive, archive.edition(BOARD), {DE: {1: (10, 0)}})
    new = archive.begin_edition(BOARD)
    keep_run(archive, new, {DE: {1: (20, 0)}})

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(shelves, "drop_edition", fail)
        with pytest.raises(sqlite3.OperationalError):
            archive.install(BOARD, new, [RUN.start])

    assert archive.place(BOARD, RUN.start, 1) == FinalPlace(DE, 0, 1, 10)
    archive.install(BOARD, new, [RUN.start])
    assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, 1, {DE: 1})


def test_what_a_crash_left_behind_is_gone_after_opening(archive: SqlArchive, url: str) -> None:
    """An edition in the making is made again from the log; what was current is there."""
    keep_day(archive, archive.edition(BOARD), 101, {DE: {1: (10, 0)}})
    unseen = archive.begin_edition(BOARD)
    keep_day(archive, unseen, 101, {DE: {1: (20, 0)}})
    with closing(SqlArchive.open(url)) as opened:
        assert opened.history(BOARD, RUN.start, 1, 0, 999) == [DayStanding(101, 1, 10)]
        assert not opened.has_day(unseen, RUN.start, 101)
        with pytest.raises(NotFound, match="forgotten"):
            opened.install(BOARD, unseen)


def test_a_discarded_edition_is_gone_and_a_current_one_stays(archive: SqlArchive) -> None:
    """Discarding twice does no harm."""
    current, unseen = archive.edition(BOARD), archive.begin_edition(BOARD)
    for edition in (current, unseen):
        keep_day(archive, edition, 101, {DE: {1: (10, 0)}})
    for edition in (unseen, unseen, current):
        archive.discard(edition)

    assert [archive.has_day(edition, RUN.start, 101) for edition in (current, unseen)] == [True, False]


def test_nothing_is_kept_in_an_edition_that_is_gone(archive: SqlArchive) -> None:
    """A board may be deleted while its past is worked out."""
    edition = archive.edition(BOARD)
    archive.forget(BOARD)
    with pytest.raises(NotFound, match="forgotten"):
        keep_day(archive, edition, 101, {})
    with pytest.raises(NotFound, match="forgotten"):
        keep_run(archive, edition, {})


def test_an_edition_in_the_making_outlives_the_current_one(archive: SqlArchive) -> None:
    """A board may be forgotten because it is made anew."""
    current, new = archive.edition(BOARD), archive.begin_edition(BOARD)
    keep_run(archive, current, {DE: {1: (10, 0)}})
    keep_run(archive, new, {DE: {1: (20, 0)}})
    archive.forget(BOARD)
    assert not archive.holds(BOARD)

    archive.install(BOARD, new)

    assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, 0, {DE: 1})
    assert archive.place(BOARD, RUN.start, 1) == FinalPlace(DE, 0, 1, 20)


def test_a_forgotten_board_leaves_nothing_behind(archive: SqlArchive, place: Place) -> None:
    """No row of any table; other boards stay, and its numbers are not given again."""
    other = archive.edition(BOARD + 1)
    keep_run(archive, other, {DE: {1: (10, 0)}})
    last = archive.edition(BOARD)
    keep_run(archive, last, {DE: many(2000)})
    keep_day(archive, last, 101, {DE: many(2000)})
    archive.forget(BOARD)

    assert archive.final_runs(BOARD) == []
    assert archive.final_runs(BOARD + 1) == [RUN.start]
    assert archive.begin_edition(BOARD) > last
    for table in ("shelves", "shelf_groups", "final_runs", "final_groups", "final_rows", "final_places"):
        assert place.execute(f"SELECT count(*) FROM {table}") == [(1,)]
    assert place.execute("SELECT (SELECT count(*) FROM days) + (SELECT count(*) FROM day_places)") == [(0,)]


def test_shelves_that_were_emptied_are_gone(archive: SqlArchive, place: Place) -> None:
    """However often a run is revised, it has no more shelves than it needs."""
    current = archive.edition(BOARD)
    keep_day(archive, current, 101, {DE: {1: (10, 0)}})
    for value in range(5):
        new = archive.begin_edition(BOARD)
        keep_day(archive, new, 102, {DE: {1: (value, 0)}})
        keep_run(archive, new, {DE: {1: (value, 0)}})
        archive.install(BOARD, new, [RUN.start])

    assert place.execute("SELECT count(*) FROM shelves") == [(2,)]
    assert archive.history(BOARD, RUN.start, 1, 0, 999) == [DayStanding(101, 1, 10), DayStanding(102, 1, 4)]


def test_a_shelf_goes_with_its_last_day(archive: SqlArchive, place: Place) -> None:
    """When the day is too old for anybody to ask for."""
    current, new = archive.edition(BOARD), archive.begin_edition(BOARD)
    for edition, day in ((current, 101), (new, 102)):
        keep_day(archive, edition, day, {DE: {1: (day, 0)}})
    archive.install(BOARD, new, [RUN.start])
    keep_day(archive, current, 101 + DAYS_KEPT, {DE: {1: (5, 0)}})

    assert place.execute("SELECT count(*) FROM shelves") == [(1,)]
    assert [standing.day for standing in archive.history(BOARD, RUN.start, 1, 0, 999)] == [102, 101 + DAYS_KEPT]


# Reading while something is written


def test_reads_do_not_wait_for_a_write(archive: SqlArchive) -> None:
    """They see what was there before, from whatever thread they come."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 101, {DE: {1: (10, 0)}})
    seen: list[list[DayStanding]] = []

    with archive._database.writing() as writer:
        shelves.drop_edition(writer, edition)
        seen.append(archive.history(BOARD, RUN.start, 1, 0, 999))
        thread = Thread(target=lambda: seen.append(archive.history(BOARD, RUN.start, 1, 0, 999)))
        thread.start()
        thread.join()

    assert seen == [[DayStanding(101, 1, 10)]] * 2
    assert archive.history(BOARD, RUN.start, 1, 0, 999) == []


def test_a_write_does_not_wait_for_a_read(archive: SqlArchive) -> None:
    """The reader goes on with what it saw first."""
    edition = archive.edition(BOARD)
    with archive._database.reading() as reader:
        before = shelves.days_of(reader, edition, RUN.start)
        keep_day(archive, edition, 101, {DE: {1: (10, 0)}})
        assert shelves.days_of(reader, edition, RUN.start) == before == []

    assert archive.has_day(edition, RUN.start, 101)


def test_a_run_that_goes_between_two_steps_of_a_read_is_missed(
    archive: SqlArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not taken for a run without groups."""
    keep_run(archive, archive.edition(BOARD), {DE: {1: (10, 0)}})
    find = archive._final

    def find_and_lose(board: int, run_start: int) -> object:
        found = find(board, run_start)
        archive.forget(board)
        return found

    monkeypatch.setattr(archive, "_final", find_and_lose)
    with pytest.raises(Unavailable, match="kept anew"):
        archive.order(BOARD, RUN.start, DE, **SORTING)


def test_an_order_whose_run_is_kept_anew_says_so(archive: SqlArchive) -> None:
    """What was read before is still answered; what was not is gone, and the next order is the new one."""
    edition = archive.edition(BOARD)
    keep_run(archive, edition, {DE: many(2 * CHUNK)})
    order = archive.order(BOARD, RUN.start, DE, **SORTING)
    first = order.page(0, 5)
    keep_run(archive, edition, {DE: {1: (10, 0)}})

    assert order.page(0, 5) == first
    with pytest.raises(Unavailable, match="kept anew"):
        order.at(2 * CHUNK - 1)
    with pytest.raises(Unavailable, match="kept anew"):
        order.row(0)
    assert archive.order(BOARD, RUN.start, DE, **SORTING).page(0, 5) == [(1, 10, 0)]


def test_another_process_sees_what_is_kept(archive: SqlArchive, url: str) -> None:
    """It is in the file when the call returns, and nothing that was remembered stands in its way."""
    with closing(SqlArchive.open(url)) as other:
        keep_run(archive, archive.edition(BOARD), {DE: {1: (10, 0)}})
        assert other.place(BOARD, RUN.start, 1) == FinalPlace(DE, 0, 1, 10)
        keep_run(archive, archive.edition(BOARD), {DE: {1: (20, 0)}})
        assert other.place(BOARD, RUN.start, 1) == FinalPlace(DE, 0, 1, 20)


# Opening


def test_what_was_kept_is_there_after_opening_again(url: str) -> None:
    """Durable on return."""
    with closing(SqlArchive.open(url)) as archive:
        keep_run(archive, archive.edition(BOARD), {DE: {1: (10, 0)}})
    with closing(SqlArchive.open(url)) as archive:
        assert archive.place(BOARD, RUN.start, 1) == FinalPlace(DE, 0, 1, 10)


@pytest.mark.parametrize("shared", [True, False])
def test_who_shares_an_archive_leaves_what_others_are_making(archive: SqlArchive, url: str, shared: bool) -> None:
    """Who has it alone knows that nobody is at it any more."""
    making = archive.begin_edition(BOARD)
    SqlArchive.open(url, shared=shared).close()
    if shared:
        keep_run(archive, making, {DE: {1: (10, 0)}})
        archive.install(BOARD, making)
        assert archive.final_runs(BOARD) == [RUN.start]
    else:
        with pytest.raises(NotFound):
            keep_run(archive, making, {DE: {1: (10, 0)}})


def test_a_file_that_is_no_database_cannot_be_opened(tmp_path: Path) -> None:
    """Nor is it written over."""
    (tmp_path / "test.sqlite3").write_bytes(b"something else" * 100)
    with pytest.raises(Unavailable, match="does not work"):
        SqlArchive.open(sqlite_in(tmp_path).url)
    assert (tmp_path / "test.sqlite3").read_bytes() == b"something else" * 100


def test_an_archive_of_a_newer_version_is_left_alone(archive: SqlArchive, url: str, place: Place) -> None:
    """Its tables may mean something else."""
    place.execute("UPDATE archive_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match="newer version"):
        SqlArchive.open(url)


def test_a_disk_that_fails_is_told_plainly(archive: SqlArchive, place: Place) -> None:
    """Reading as well as writing, and both work again when it does."""
    edition = archive.edition(BOARD)
    keep_day(archive, edition, 101, {DE: {1: (10, 0)}})
    place.execute("ALTER TABLE days RENAME TO elsewhere")
    with pytest.raises(Unavailable, match="does not work"):
        keep_day(archive, edition, 102, {})
    with pytest.raises(Unavailable, match="does not work"):
        archive.history(BOARD, RUN.start, 1, 0, 999)
    place.execute("ALTER TABLE elsewhere RENAME TO days")
    assert archive.history(BOARD, RUN.start, 1, 0, 999) == [DayStanding(101, 1, 10)]


def test_a_run_is_taken_over_whole_up_to_a_day(archive: SqlArchive) -> None:
    """Days before it that the new edition does not have are gone; later ones stay, and so do other runs."""
    current = archive.edition(BOARD)
    for day in (101, 102, 103):
        keep_day(archive, current, day, {DE: {1: (10, 0)}})
    new = archive.begin_edition(BOARD)
    keep_day(archive, new, 102, {DE: {1: (12, 0)}})
    archive.install(BOARD, new, [RUN.start, 200], {RUN.start: 103})

    assert archive.history(BOARD, RUN.start, 1, 0, 999) == [DayStanding(102, 1, 12), DayStanding(103, 1, 10)]


def test_a_run_of_which_nothing_is_left_is_taken_over_too(archive: SqlArchive) -> None:
    """It is final and empty, one revision further, without days."""
    current = archive.edition(BOARD)
    keep_day(archive, current, 101, {DE: {1: (10, 0)}})
    keep_run(archive, current, {DE: {1: (10, 0)}})
    new = archive.begin_edition(BOARD)
    keep_run(archive, new, {})
    archive.install(BOARD, new, [RUN.start], {RUN.start: 999})

    assert archive.final_run(BOARD, RUN.start) == FinalRun(RUN, 1, {})
    assert archive.place(BOARD, RUN.start, 1) is None
    assert archive.history(BOARD, RUN.start, 1, 0, 999) == []
