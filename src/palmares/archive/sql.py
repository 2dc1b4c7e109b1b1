"""The archive in a SQL database.

What a shelf says about the end of a run never changes, so chunks of it that were read are remembered by the shelf's
number, and nothing has to be told of a change. Which shelf counts is asked anew every time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, Self

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, delete, insert, select

from palmares.archive import shelves, tables
from palmares.archive.columns import CHUNK, place_of, unpacked, unpacked_groups
from palmares.archive.order import NO_HEADS, FinalOrder, Heads, Sorting
from palmares.archive.shelves import Final, current
from palmares.domain.errors import NotFound, Unavailable
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DAYS_KEPT, DayEnd, DayStanding, FinalPlace, FinalRun, Places, Rows
from palmares.sql.database import Database, Part

# Some builds of SQLite overwrite with zeros whatever is deleted, which would write every day that is let go once more.
_PART = Part("archive", "palmares.archive:migrations", tables.VERSION_TABLE, sqlite_pragmas={"secure_delete": "OFF"})
# A chunk of either kind takes about 24 KiB in memory.
_CHUNKS_REMEMBERED = 512
_SHELVES_REMEMBERED = 128


class _Groups(NamedTuple):
    """The groups of a final run, both ways, and how many are ranked in each."""

    by_number: Mapping[int, Group]
    number_of: Mapping[Group, int]
    sizes: Mapping[Group, int]


class _Places(NamedTuple):
    """The places of one chunk of users in a final run."""

    users: array[int]
    groups: array[int]
    rows: array[int]
    ranks: array[int]
    values: array[int]


class SqlArchive:
    """An archive of final runs and the ends of days, one edition of each board.

    The methods are blocking and may be called from any thread. What they write is durable on return. They raise
    `Unavailable` when the database cannot be used, and what keeps something raises `NotFound` when its edition was
    forgotten.
    """

    def __init__(self, url: str, is_away: Callable[[], bool], check_claim: Callable[[], None]) -> None:
        """Use `open`, which also brings the tables up to date."""
        self._database = Database(url, _PART, is_away, check_claim)
        self._groups = lru_cache(_SHELVES_REMEMBERED)(self._read_groups)
        self._heads = lru_cache(_SHELVES_REMEMBERED)(self._read_heads)
        self._rows = lru_cache(_CHUNKS_REMEMBERED)(self._read_rows)
        self._places = lru_cache(_CHUNKS_REMEMBERED)(self._read_places)

    @classmethod
    def open(
        cls,
        url: str,
        is_away: Callable[[], bool] = lambda: False,
        check_claim: Callable[[], None] = lambda: None,
        shared: bool = False,
    ) -> Self:
        """The archive at a database URL, made or brought up to date when needed.

        Editions that were never installed are forgotten, unless it is `shared` with processes that may have some in
        the making. Reads are refused at once while `is_away` says that nobody
        should wait for the database, and writes with what `check_claim` raises. Raises `Unavailable` when the database
        cannot be used.
        """
        archive = cls(url, is_away, check_claim)
        try:
            archive._prepare(shared)
        except BaseException:
            archive.close()
            raise
        return archive

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    # Editions

    def begin_edition(self, board: int) -> int:
        """The number of a new edition of a board, empty and unseen."""
        with self._database.writing() as writer:
            return shelves.add_edition(writer, board, is_current=False)

    def edition(self, board: int) -> int:
        """The current edition of a board; begun and made current when there was none."""
        with self._database.reading() as reader:
            found = reader.scalar(select(current(board)))
        if found is not None:
            return int(found)
        with self._database.writing() as writer:
            return _current_or_new(writer, board)

    def holds(self, board: int) -> bool:
        """Whether there is a current edition of a board."""
        with self._database.reading() as reader:
            return reader.scalar(select(current(board))) is not None

    def install(
        self,
        board: int,
        edition: int,
        runs: Collection[int] | None = None,
        complete: Mapping[int, int] | None = None,
    ) -> None:
        """Make an edition current instead of the former, all at once.

        A run that is final in both goes on with the revision that it had, raised by one if any of its rows differs.
        With `runs` (first days), only those are taken over into the former edition, which stays current, and the other
        runs stay as they are: of a run that the new edition has as final, the end replaces the former one; days that
        the new edition has replace the former ones. Days before the one that `complete` names for a run are as the new
        edition has them, also those that it has not.
        """
        with self._database.writing() as writer:
            _require(writer, edition)
            former = _current_or_new(writer, board)
            if edition == former:
                return
            if runs is None:
                shelves.go_on_with_revisions(writer, edition, former)
                shelves.drop_edition(writer, former)
                shelves.make_current(writer, edition)
            else:
                for run_start in runs:
                    shelves.take_over(writer, edition, former, run_start, (complete or {}).get(run_start))
                shelves.drop_edition(writer, edition)

    def discard(self, edition: int) -> None:
        """Forget an edition that was never installed; nothing when it was, or is gone."""
        with self._database.writing() as writer:
            unseen = delete(tables.editions).where(tables.editions.c.number == edition, ~tables.editions.c.current)
            writer.execute(unseen)

    def forget(self, board: int) -> None:
        """Forget the current edition of a board; one in the making stays."""
        with self._database.writing() as writer:
            writer.execute(delete(tables.editions).where(tables.editions.c.board == board, tables.editions.c.current))

    # Boards that were finished by hand

    def keep_cut(self, board: int, position: int, content: bytes) -> None:
        """Keep what the ledger has to know of a board that was finished at a position, instead of what was kept."""
        with self._database.writing() as writer:
            cut = tables.cuts.c
            writer.execute(delete(tables.cuts).where(cut.board == board, cut.position == position))
            writer.execute(insert(tables.cuts).values(board=board, position=position, content=content))

    def cut(self, board: int, position: int) -> bytes | None:
        """What was kept of a board that was finished at a position."""
        cut = tables.cuts.c
        with self._database.reading() as reader:
            return reader.scalar(select(cut.content).where(cut.board == board, cut.position == position))

    # The ends of days

    def keep_days(self, edition: int, run_start: int, ends: Sequence[DayEnd]) -> None:
        """Keep the ends of some days of a run, ascending, instead of what was kept for those days.

        Days of the run that lie `DAYS_KEPT` or more before the last of them are let go. One transaction, O(users) for
        each day.
        """
        assert all(former.day < end.day for former, end in pairwise(ends)), "days are kept in their order"
        let_go = ends[-1].day - DAYS_KEPT
        ends = [end for end in ends if end.day > let_go]
        renewed = {end.day for end in ends}
        with self._database.writing() as writer:
            _require(writer, edition)
            kept = shelves.days_of(writer, edition, run_start)
            old = [held for held in kept if held[1] in renewed or held[1] <= let_go]
            shelves.drop_days(writer, old)
            shelves.add_days(writer, edition, run_start, ends)
            if old:
                shelves.drop_empty_shelves(writer, edition, run_start)

    def has_day(self, edition: int, run_start: int, day: int) -> bool:
        """Whether that day of a run is kept."""
        with self._database.reading() as reader:
            return any(held == day for _, held in shelves.days_of(reader, edition, run_start))

    def history(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> list[DayStanding]:
        """The days of a run that are kept, within a range, ascending, with where a user stood.

        One chunk is read for each day.
        """
        asked = {
            "of_board": board, "of_run": run_start, "of_chunk": user // CHUNK, "first": first_day, "last": last_day,
        }  # fmt: skip
        with self._database.reading() as reader:
            return [_standing_on(row, user) for row in reader.execute(_HISTORY, asked)]

    def day(self, board: int, run_start: int, day: int) -> tuple[list[Group], Places] | None:
        """Everybody's place at the end of a day, with the list of groups it refers to; None when it is not kept.

        O(users), for whoever compares or takes along all of it.
        """
        with self._database.reading() as reader:
            kept = shelves.days_of(reader, current(board), run_start)
            shelf = next((shelf for shelf, held in kept if held == day), None)
            return None if shelf is None else (_names_on(reader, shelf), _places_on(reader, shelf, day))

    # Final runs

    def keep_run(
        self, edition: int, run: Run, groups: Sequence[tuple[Group, Rows]], places: Places, revision: int = 0
    ) -> None:
        """Keep how a run ended: each group's ranked rows in order, and everybody's place in them. O(users).

        Kept twice in one edition, it is as if kept once, with the first revision.
        """
        with self._database.writing() as writer:
            _require(writer, edition)
            shelves.add_end(writer, edition, run, groups, places, revision)

    def final_run(self, board: int, run_start: int) -> FinalRun | None:
        """A run of the current edition; None when it was not kept."""
        final = self._final(board, run_start)
        return None if final is None else FinalRun(final.run, final.revision, self._groups(final.shelf).sizes)

    def final_runs(self, board: int) -> list[int]:
        """The first days of the runs that are kept in the current edition, ascending."""
        with self._database.reading() as reader:
            return list(reader.scalars(_FINAL_RUNS, {"of_board": board}))

    def order(
        self,
        board: int,
        run_start: int,
        group: Group,
        *,
        descending: bool,
        later_first: bool,
        id_of: Callable[[int], bytes],
    ) -> FinalOrder:
        """One group's ranking of a run that is kept, read where it lies; empty when there is none.

        The last arguments say how the board orders, as the index takes them. When the run is kept anew while it is
        read, its chunks are gone, and reading one raises `Unavailable`.
        """
        sorting = Sorting(descending, later_first, id_of)
        final = self._final(board, run_start)
        number = None if final is None else self._groups(final.shelf).number_of.get(group)
        if final is None or number is None:
            return FinalOrder(0, NO_HEADS, lambda chunk: NO_HEADS.first, lambda participant: -1, sorting)
        shelf, size = final.shelf, self._groups(final.shelf).sizes[group]

        def row_of(participant: int) -> int:
            place = self._place(shelf, participant)
            return place.row if place is not None and place.group == group else -1

        return FinalOrder(
            size, self._heads(shelf, number), lambda chunk: self._rows(shelf, number, chunk), row_of, sorting
        )

    def place(self, board: int, run_start: int, user: int) -> FinalPlace | None:
        """Where a user stood when the run became final, in whichever group; None when not ranked. Reads one chunk."""
        final = self._final(board, run_start)
        return None if final is None else self._place(final.shelf, user)

    def _prepare(self, shared: bool) -> None:
        with self._database.writing() as writer:
            self._database.migrate(writer)
            if not shared:
                writer.execute(delete(tables.editions).where(~tables.editions.c.current))

    def _final(self, board: int, run_start: int) -> Final | None:
        with self._database.reading() as reader:
            row = reader.execute(_FINAL, {"of_board": board, "of_run": run_start}).one_or_none()
        return None if row is None else Final(row.number, Run(run_start, row.end), row.revision)

    def _place(self, shelf: int, user: int) -> FinalPlace | None:
        places = self._places(shelf, user // CHUNK)
        place = None if places is None else place_of(places.users, user)
        if places is None or place is None:
            return None
        group = self._groups(shelf).by_number[places.groups[place]]
        return FinalPlace(group, places.rows[place], places.ranks[place], places.values[place])

    # What is remembered by the number of a shelf

    def _read_groups(self, shelf: int) -> _Groups:
        group, final = tables.shelf_groups, tables.final_groups
        same = and_(final.c.shelf == group.c.shelf, final.c.group_number == group.c.number)
        chosen = select(group.c.number, group.c.name, final.c.size).join(final, same).where(final.c.shelf == shelf)
        with self._database.reading() as reader:
            rows = reader.execute(chosen.order_by(group.c.number)).all()
            _require_end(reader, shelf)
        names = {row.number: shelves.group_of(row.name) for row in rows}
        sizes = {names[row.number]: int(row.size) for row in rows}
        return _Groups(names, {name: number for number, name in names.items()}, sizes)

    def _read_heads(self, shelf: int, group: int) -> Heads:
        head = tables.final_groups
        row = self._read_one(shelf, select(head).where(head.c.shelf == shelf, head.c.group_number == group))
        assert row is not None, "a group that is known has heads"
        return Heads(_rows_in(row), unpacked("I", row.better))

    def _read_rows(self, shelf: int, group: int, chunk: int) -> Rows:
        part = tables.final_rows
        key = (part.c.shelf == shelf, part.c.group_number == group, part.c.chunk == chunk)
        row = self._read_one(shelf, select(part).where(*key))
        assert row is not None, "a row that is counted lies in a chunk"
        return _rows_in(row)

    def _read_places(self, shelf: int, chunk: int) -> _Places | None:
        part = tables.final_places
        row = self._read_one(shelf, select(part).where(part.c.shelf == shelf, part.c.chunk == chunk))
        if row is None:
            return None
        users = unpacked("I", row.users)
        groups, rows = unpacked_groups(row.groups, len(users)), unpacked("I", row.rows)
        return _Places(users, groups, rows, unpacked("I", row.ranks), unpacked("q", row.micros))

    def _read_one(self, shelf: int, chosen: Select[Any]) -> Row[Any] | None:
        with self._database.reading() as reader:
            row = reader.execute(chosen).one_or_none()
            if row is None:
                _require_end(reader, shelf)
        return row


def _current_or_new(writer: Connection, board: int) -> int:
    found = writer.scalar(select(current(board)))
    return shelves.add_edition(writer, board, is_current=True) if found is None else found


def _require(writer: Connection, edition: int) -> None:
    if writer.scalar(select(tables.editions.c.number).where(tables.editions.c.number == edition)) is None:
        raise NotFound("the edition was forgotten")


def _require_end(reader: Connection, shelf: int) -> None:
    """What is not on a shelf was never there, or is not any more."""
    if reader.scalar(select(tables.final_runs.c.shelf).where(tables.final_runs.c.shelf == shelf)) is None:
        raise Unavailable("the run was kept anew while it was read; try again")


# What is asked often is put together once: that takes longer than to ask.


def _here() -> ColumnElement[bool]:
    """Of the shelves, those of the current edition of a board."""
    edition = tables.editions
    current_one = select(edition.c.number).where(edition.c.board == bindparam("of_board"), edition.c.current)
    return tables.shelves.c.edition == current_one.scalar_subquery()


def _final() -> Select[Any]:
    """How a run ended, with the shelf that says so."""
    shelf, final = tables.shelves, tables.final_runs
    chosen = select(shelf.c.number, final.c.end, final.c.revision).join(final, final.c.shelf == shelf.c.number)
    return chosen.where(_here(), shelf.c.run_start == bindparam("of_run"))


def _final_runs() -> Select[Any]:
    """The first days of the runs that are final."""
    shelf = tables.shelves
    return select(shelf.c.run_start).join(tables.final_runs).where(_here()).order_by(shelf.c.run_start)


def _history() -> Select[Any]:
    """The days of a run within a range, each with the columns of a chunk if anyone in it was ranked."""
    shelf, day, part = tables.shelves, tables.days, tables.day_places
    same = and_(part.c.shelf == day.c.shelf, part.c.day == day.c.day, part.c.chunk == bindparam("of_chunk"))
    return (
        select(day.c.day, part.c.users, part.c.ranks, part.c.micros)
        .select_from(shelf)
        .join(day, day.c.shelf == shelf.c.number)
        .outerjoin(part, same)
        .where(_here(), shelf.c.run_start == bindparam("of_run"))
        .where(day.c.day.between(bindparam("first"), bindparam("last")))
        .order_by(day.c.day)
    )


_FINAL = _final()
_FINAL_RUNS = _final_runs()
_HISTORY = _history()


def _standing_on(row: Row[Any], user: int) -> DayStanding:
    place = None if row.users is None else place_of(unpacked("I", row.users), user)
    if place is None:
        return DayStanding(row.day, None, None)
    return DayStanding(row.day, unpacked("I", row.ranks)[place], unpacked("q", row.micros)[place])


def _rows_in(row: Row[Any]) -> Rows:
    return Rows(unpacked("I", row.participants), unpacked("q", row.micros), unpacked("q", row.reached))


def _names_on(reader: Connection, shelf: int) -> list[Group]:
    group = tables.shelf_groups
    names = reader.scalars(select(group.c.name).where(group.c.shelf == shelf).order_by(group.c.number))
    return [shelves.group_of(name) for name in names]


def _places_on(reader: Connection, shelf: int, day: int) -> Places:
    part = tables.day_places
    chosen = select(part).where(part.c.shelf == shelf, part.c.day == day).order_by(part.c.chunk)
    together = Places(array("I"), array("I"), array("I"), array("q"))
    for row in reader.execute(chosen):
        users = unpacked("I", row.users)
        together.users.extend(users)
        together.groups.extend(unpacked_groups(row.groups, len(users)))
        together.ranks.extend(unpacked("I", row.ranks))
        together.values.extend(unpacked("q", row.micros))
    return together
