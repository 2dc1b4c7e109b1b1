"""An archive that is obviously right: dictionaries of everything."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from palmares.domain.errors import NotFound
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DAYS_KEPT, DayEnd, DayStanding, FinalPlace, FinalRun, Places, Rows

Entry = tuple[int, int, int]  # participant, value, reached_at


@dataclass
class End:
    """How a run ended."""

    run: Run
    revision: int
    orders: dict[Group, list[Entry]]
    ranks: dict[int, int]


@dataclass
class KeptRun:
    """All that is kept of one run: by day and user the group, rank and value."""

    days: dict[int, dict[int, tuple[Group, int, int]]] = field(default_factory=dict)
    end: End | None = None


@dataclass
class Edition:
    """All that is kept of one board."""

    board: int
    current: bool
    runs: dict[int, KeptRun] = field(default_factory=dict)

    def run(self, run_start: int) -> KeptRun:
        return self.runs.setdefault(run_start, KeptRun())


class PlainArchive:
    """An `Archive` in memory."""

    def __init__(self) -> None:
        self.editions: dict[int, Edition] = {}
        self._last_edition = 0
        self._cuts: dict[tuple[int, int], bytes] = {}

    # Editions

    def begin_edition(self, board: int, current: bool = False) -> int:
        self._last_edition += 1
        self.editions[self._last_edition] = Edition(board, current)
        return self._last_edition

    def edition(self, board: int) -> int:
        found = self._current(board)
        return self.begin_edition(board, current=True) if found is None else found

    def holds(self, board: int) -> bool:
        return self._current(board) is not None

    def install(
        self,
        board: int,
        edition: int,
        runs: Collection[int] | None = None,
        complete: Mapping[int, int] | None = None,
    ) -> None:
        new, former = self._known(edition), self.edition(board)
        if edition == former:
            return
        held = self.editions[former]
        if runs is None:
            for run_start, run in new.runs.items():
                go_on(run.end, held.run(run_start).end)
            new.current = True
            del self.editions[former]
        else:
            for run_start in runs:
                take_over(held.run(run_start), new.run(run_start), (complete or {}).get(run_start, 0))
            del self.editions[edition]

    def discard(self, edition: int) -> None:
        if edition in self.editions and not self.editions[edition].current:
            del self.editions[edition]

    def forget(self, board: int) -> None:
        if self.holds(board):
            del self.editions[self.edition(board)]

    # Boards that were finished by hand

    def keep_cut(self, board: int, position: int, content: bytes) -> None:
        self._cuts[board, position] = content

    def cut(self, board: int, position: int) -> bytes | None:
        return self._cuts.get((board, position))

    # Days and runs

    def keep_days(self, edition: int, run_start: int, ends: Sequence[DayEnd]) -> None:
        kept = self._known(edition).run(run_start)
        for day, groups, places in ends:
            kept.days = {held: users for held, users in kept.days.items() if held > day - DAYS_KEPT}
            rows = zip(*places, strict=True)
            kept.days[day] = {user: (groups[group], rank, value) for user, group, rank, value in rows}

    def has_day(self, edition: int, run_start: int, day: int) -> bool:
        return edition in self.editions and day in self.editions[edition].run(run_start).days

    def keep_run(
        self, edition: int, run: Run, groups: Sequence[tuple[Group, Rows]], places: Places, revision: int = 0
    ) -> None:
        kept = self._known(edition).run(run.start)
        orders = {group: list(zip(*rows, strict=True)) for group, rows in groups}
        ranks = dict(zip(places.users, places.ranks, strict=True))
        kept.end = End(run, kept.end.revision if kept.end else revision, orders, ranks)

    def final_run(self, board: int, run_start: int) -> FinalRun | None:
        end = self._run(board, run_start).end
        if end is None:
            return None
        return FinalRun(end.run, end.revision, {group: len(order) for group, order in end.orders.items()})

    def final_runs(self, board: int) -> list[int]:
        current = self._current(board)
        return [] if current is None else sorted(start for start, run in self.editions[current].runs.items() if run.end)

    def order(
        self,
        board: int,
        run_start: int,
        group: Group,
        *,
        descending: bool,
        later_first: bool,
        id_of: Callable[[int], bytes],
    ) -> "PlainOrder":
        end = self._run(board, run_start).end
        entries = end.orders.get(group, []) if end else []
        return PlainOrder(entries, descending, later_first, id_of)

    def place(self, board: int, run_start: int, user: int) -> FinalPlace | None:
        end = self._run(board, run_start).end
        for group, order in end.orders.items() if end else ():
            for row, (participant, value, _) in enumerate(order):
                if end and participant == user:
                    return FinalPlace(group, row, end.ranks[user], value)
        return None

    def history(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> list[DayStanding]:
        days = self._run(board, run_start).days
        return [
            DayStanding(day, *days[day].get(user, (None, None, None))[1:])
            for day in sorted(days)
            if first_day <= day <= last_day
        ]

    def close(self) -> None:
        """Nothing is held."""

    def _current(self, board: int) -> int | None:
        return next((number for number, held in self.editions.items() if held.board == board and held.current), None)

    def _run(self, board: int, run_start: int) -> KeptRun:
        current = self._current(board)
        return KeptRun() if current is None else self.editions[current].run(run_start)

    def _known(self, edition: int) -> Edition:
        if edition not in self.editions:
            raise NotFound("the edition was forgotten")
        return self.editions[edition]


def take_over(held: KeptRun, new: KeptRun, complete: int) -> None:
    """Replace what is held of a run by what is new, all of it before the day up to which the new is complete."""
    held.days = {day: places for day, places in held.days.items() if day >= complete} | new.days
    go_on(new.end, held.end)
    held.end = new.end or held.end


def go_on(new: End | None, former: End | None) -> None:
    """Count on from the former revision."""
    if new and former:
        rows, former_rows = ({group: rows for group, rows in end.orders.items() if rows} for end in (new, former))
        new.revision = max(new.revision, former.revision + (rows != former_rows))


@dataclass
class PlainOrder:
    """An `Order` over a list of entries that is in order."""

    entries: list[Entry]
    descending: bool
    later_first: bool
    id_of: Callable[[int], bytes]

    def __len__(self) -> int:
        return len(self.entries)

    def at(self, row: int, /) -> Entry:
        return self.entries[row]

    def page(self, start: int, stop: int, /) -> list[Entry]:
        return self.entries[max(start, 0) : max(stop, 0)]

    def row(self, participant: int, /) -> int:
        return next((row for row, entry in enumerate(self.entries) if entry[0] == participant), -1)

    def count_better(self, value: int, /) -> int:
        return len(self._better(value))

    def count_distinct_better(self, value: int, /) -> int:
        return len(set(self._better(value)))

    def count_before(self, value: int, reached_at: int, participant: int, /) -> int:
        key = self._key((participant, value, reached_at))
        return sum(self._key(entry) < key for entry in self.entries)

    def in_order(self) -> list[Entry]:
        """The entries as the definition of the order has them."""
        return sorted(self.entries, key=self._key)

    def _better(self, value: int) -> list[int]:
        return [held for _, held, _ in self.entries if (held > value if self.descending else held < value)]

    def _key(self, entry: Entry) -> tuple[int, int, bytes]:
        participant, value, reached_at = entry
        return (
            -value if self.descending else value,
            -reached_at if self.later_first else reached_at,
            self.id_of(participant),
        )
