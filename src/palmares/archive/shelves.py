"""Editions and their shelves: the steps that transactions of the archive are made of.

Where an edition is asked for, a number will do, or `current(board)`.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from palmares.archive import tables
from palmares.archive.columns import chunks_of_rows, chunks_of_users, packed, packed_groups
from palmares.archive.order import heads_of
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DayEnd, Places, Rows

Edition = int | ScalarSelect[int]

_ABOUT_THE_END = (tables.final_runs, tables.final_groups, tables.final_rows, tables.final_places)
# How many rows of blobs are put together before they are sent to the database.
_ROWS_AT_ONCE = 64
# An array by user is taken while it has at most so many places for each user that is in it.
_MOST_SPREAD = 16


class Final(NamedTuple):
    """A run that is final: the shelf that says how it ended."""

    shelf: int
    run: Run
    revision: int


def current(board: int) -> ScalarSelect[int]:
    """The current edition of a board."""
    edition = tables.editions
    return select(edition.c.number).where(edition.c.board == board, edition.c.current).scalar_subquery()


def add_edition(writer: Connection, board: int, is_current: bool) -> int:
    """A new edition, with nothing in it."""
    return _add(writer, tables.editions, board=board, current=is_current)


def drop_edition(writer: Connection, edition: int) -> None:
    """Forget an edition with all its shelves."""
    writer.execute(delete(tables.editions).where(tables.editions.c.number == edition))


def make_current(writer: Connection, edition: int) -> None:
    """Let an edition be the current one of its board, which must have no other."""
    writer.execute(update(tables.editions).where(tables.editions.c.number == edition).values(current=True))


def take_over(writer: Connection, edition: int, former: int, run_start: int, complete: int | None) -> None:
    """Move the shelves of a run to a former edition, in place of the same days and the same end there, and of all days
    before the one up to which it is complete."""
    taken = {day for _, day in days_of(writer, edition, run_start)}
    replaced = [
        (shelf, day)
        for shelf, day in days_of(writer, former, run_start)
        if day in taken or (complete is not None and day < complete)
    ]
    drop_days(writer, replaced)
    _revise(writer, final_of(writer, edition, run_start), final_of(writer, former, run_start))
    shelf = tables.shelves
    moving = update(shelf).where(shelf.c.edition == edition, shelf.c.run_start == run_start)
    writer.execute(moving.values(edition=former))
    drop_empty_shelves(writer, former, run_start)


def go_on_with_revisions(writer: Connection, edition: int, former: int) -> None:
    """Let the final runs of an edition go on with the revisions that they have in a former one."""
    shelf = tables.shelves
    runs = writer.scalars(select(shelf.c.run_start).where(shelf.c.edition == edition).distinct()).all()
    for run_start in runs:
        _go_on(writer, final_of(writer, edition, run_start), final_of(writer, former, run_start))


def _revise(writer: Connection, new: Final | None, former: Final | None) -> None:
    _go_on(writer, new, former)
    if new is not None and former is not None:
        _drop_end(writer, former.shelf)


def _go_on(writer: Connection, new: Final | None, former: Final | None) -> None:
    """Give the end of a run the revision that it had, raised by one when it is another end."""
    if new is None or former is None:
        return
    differs = _digest(writer, new.shelf) != _digest(writer, former.shelf)
    going_on = update(tables.final_runs).where(tables.final_runs.c.shelf == new.shelf)
    writer.execute(going_on.values(revision=max(new.revision, former.revision + differs)))


def _digest(connection: Connection, shelf: int) -> bytes:
    """The same for two shelves only when the rows of all groups are."""
    group, part = tables.shelf_groups, tables.final_rows
    same = and_(group.c.shelf == part.c.shelf, group.c.number == part.c.group_number)
    chosen = select(group.c.name, part.c.chunk, part.c.participants, part.c.micros, part.c.reached).join(part, same)
    chosen = chosen.where(group.c.shelf == shelf).order_by(group.c.name, part.c.chunk)
    digest = hashlib.blake2b()
    for name, chunk, *columns in connection.execute(chosen.execution_options(yield_per=_ROWS_AT_ONCE)):
        # With the number of rows, so that no other columns put together the same bytes.
        digest.update(json.dumps([name, chunk, len(columns[0])]).encode())
        for column in columns:
            digest.update(column)
    return digest.digest()


def days_of(connection: Connection, edition: Edition, run_start: int) -> list[tuple[int, int]]:
    """(shelf, day) of all days of a run that are kept, ascending by day."""
    shelf, day = tables.shelves, tables.days
    chosen = select(day.c.shelf, day.c.day).join(shelf, shelf.c.number == day.c.shelf)
    rows = connection.execute(_of_run(chosen, edition, run_start).order_by(day.c.day))
    return [(number, held) for number, held in rows]


def drop_days(writer: Connection, days: Sequence[tuple[int, int]]) -> None:
    """Forget some days, each (shelf, day)."""
    if not days:
        return
    keys = [{"of_shelf": shelf, "of_day": day} for shelf, day in days]
    for table in (tables.day_places, tables.days):
        of_key = (table.c.shelf == bindparam("of_shelf"), table.c.day == bindparam("of_day"))
        writer.execute(delete(table).where(*of_key), keys)


def drop_empty_shelves(writer: Connection, edition: int, run_start: int) -> None:
    """Forget the shelves of a run on which nothing lies any more; the newest one stays."""
    shelf, newer = tables.shelves, tables.shelves.alias("newer")
    dropping = delete(shelf).where(
        shelf.c.edition == edition,
        shelf.c.run_start == run_start,
        exists().where(newer.c.edition == edition, newer.c.run_start == run_start, newer.c.number > shelf.c.number),
        ~exists().where(tables.days.c.shelf == shelf.c.number),
        ~exists().where(tables.final_runs.c.shelf == shelf.c.number),
    )
    writer.execute(dropping)


def add_days(writer: Connection, edition: int, run_start: int, ends: Sequence[DayEnd]) -> None:
    """Lay days that are not kept yet on the newest shelf of a run."""
    shelf = _newest_shelf(writer, edition, run_start)
    groups = list(dict.fromkeys(group for end in ends for group in end.groups))
    number_of = dict(zip(groups, _numbers_of(writer, shelf, groups), strict=True))
    _insert_all(writer, tables.days, ({"shelf": shelf, "day": end.day} for end in ends))
    rows = (
        row | {"shelf": shelf, "day": end.day}
        for end in ends
        for row in _places_in_chunks(end.places, [number_of[group] for group in end.groups])
    )
    _insert_all(writer, tables.day_places, rows)


def add_end(
    writer: Connection,
    edition: int,
    run: Run,
    groups: Sequence[tuple[Group, Rows]],
    places: Places,
    revision: int,
) -> None:
    """Keep how a run ended, instead of what was kept of that; the revision of that stays."""
    former = final_of(writer, edition, run.start)
    if former is None:
        shelf = _newest_shelf(writer, edition, run.start)
    else:
        # Readers may remember what lay on the former shelf.
        _drop_end(writer, former.shelf)
        shelf = _add_shelf(writer, edition, run.start)
    revision = revision if former is None else former.revision
    writer.execute(insert(tables.final_runs).values(shelf=shelf, end=run.end, revision=revision))
    numbers = _numbers_of(writer, shelf, [group for group, _ in groups])
    orders = [rows for _, rows in groups]
    _add_orders(writer, shelf, numbers, orders)
    _add_final_places(writer, shelf, numbers, orders, places)
    if former is not None:
        drop_empty_shelves(writer, edition, run.start)


def final_of(connection: Connection, edition: Edition, run_start: int) -> Final | None:
    """How a run ended; None when it is not final."""
    shelf, final = tables.shelves, tables.final_runs
    chosen = select(shelf.c.number, final.c.end, final.c.revision).join(final, final.c.shelf == shelf.c.number)
    row = connection.execute(_of_run(chosen, edition, run_start)).one_or_none()
    return None if row is None else Final(row.number, Run(run_start, row.end), row.revision)


def group_of(name: str) -> Group:
    """The group of that name."""
    return tuple(json.loads(name))


def _of_run(chosen: Select[Any], edition: Edition, run_start: int) -> Select[Any]:
    return chosen.where(tables.shelves.c.edition == edition, tables.shelves.c.run_start == run_start)


def _newest_shelf(writer: Connection, edition: int, run_start: int) -> int:
    newest = writer.scalar(_of_run(select(func.max(tables.shelves.c.number)), edition, run_start))
    return _add_shelf(writer, edition, run_start) if newest is None else int(newest)


def _add_shelf(writer: Connection, edition: int, run_start: int) -> int:
    return _add(writer, tables.shelves, edition=edition, run_start=run_start)


def _drop_end(writer: Connection, shelf: int) -> None:
    for table in _ABOUT_THE_END:
        writer.execute(delete(table).where(table.c.shelf == shelf))


def _numbers_of(writer: Connection, shelf: int, groups: Sequence[Group]) -> list[int]:
    """The numbers of groups on a shelf; those that are new to it get the next ones."""
    group = tables.shelf_groups
    rows = writer.execute(select(group.c.name, group.c.number).where(group.c.shelf == shelf))
    known: dict[str, int] = dict(rows.all())
    names = [json.dumps(values) for values in groups]
    new = [name for name in dict.fromkeys(names) if name not in known]
    known |= {name: number for number, name in enumerate(new, len(known))}
    _insert_all(writer, group, ({"shelf": shelf, "number": known[name], "name": name} for name in new))
    return [known[name] for name in names]


def _add_orders(writer: Connection, shelf: int, numbers: Sequence[int], orders: Sequence[Rows]) -> None:
    for number, rows in zip(numbers, orders, strict=True):
        key = {"shelf": shelf, "group_number": number}
        heads = heads_of(rows)
        head = key | {"size": len(rows.participants), "better": packed(heads.better)} | _packed_rows(heads.first)
        writer.execute(insert(tables.final_groups).values(**head))
        chunks = (
            key | {"chunk": chunk} | _packed_rows(Rows(*(column[cut] for column in rows)))
            for chunk, cut in chunks_of_rows(len(rows.participants))
        )
        _insert_all(writer, tables.final_rows, chunks)


def _add_final_places(
    writer: Connection, shelf: int, numbers: Sequence[int], orders: Sequence[Rows], places: Places
) -> None:
    rows = _rows_of(places.users, orders)
    cuts = (cut for _, cut in chunks_of_users(places.users))
    chunks = (
        row | {"shelf": shelf, "rows": packed(rows[cut])}
        for row, cut in zip(_places_in_chunks(places, numbers), cuts, strict=True)
    )
    _insert_all(writer, tables.final_places, chunks)


def _rows_of(users: array[int], orders: Sequence[Rows]) -> array[int]:
    """The row of each user in the order that has the user."""
    row_of: array[int] | dict[int, int] = {}
    if users and users[-1] < _MOST_SPREAD * len(users):
        row_of = array("I", bytes(4 * (users[-1] + 1)))
    for rows in orders:
        for row, participant in enumerate(rows.participants):
            row_of[participant] = row
    return array("I", map(row_of.__getitem__, users))


def _packed_rows(rows: Rows) -> dict[str, Any]:
    return {
        "participants": packed(rows.participants),
        "micros": packed(rows.values),
        "reached": packed(rows.reached),
    }


def _places_in_chunks(places: Places, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    for chunk, cut in chunks_of_users(places.users):
        yield {
            "chunk": chunk,
            "users": packed(places.users[cut]),
            "ranks": packed(places.ranks[cut]),
            "micros": packed(places.values[cut]),
            "groups": packed_groups(places.groups[cut], numbers),
        }


def _add(writer: Connection, table: Table, **row: Any) -> int:
    """Insert a row that gets a number."""
    key = writer.execute(insert(table).values(**row)).inserted_primary_key
    assert key is not None, "a table with numbers gives one"
    return int(key[0])


def _insert_all(writer: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    rest = iter(rows)
    while portion := list(islice(rest, _ROWS_AT_ONCE)):
        writer.execute(insert(table), portion)
