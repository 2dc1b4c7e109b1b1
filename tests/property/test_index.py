"""Random changes of an index against a plain list that is sorted anew for every question."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from palmares.ledger.embedded._index import Index
from tests.effort import tries

Entry = tuple[int, int, int]  # participant, value, reached_at

LARGEST = 2**63 - 1
# Few different numbers, so that ties of every kind abound, and the extremes.
NUMBERS = st.sampled_from([-LARGEST - 1, -2, -1, 0, 1, 2, 3, LARGEST])
INSTANTS = st.integers(0, 2)
# Mostly neighbours, so that many blocks get filled; some far away, so that the directory changes form.
PARTICIPANTS = st.one_of(st.integers(0, 150), st.sampled_from([5_000, 10**6, 2**32 - 1]))
DISTANCES = st.integers(1, 90)


def id_of(participant: int) -> bytes:
    """An id in another order than the numbers."""
    return b"%d" % (participant * 2_654_435_761 % 2**32)


@dataclass
class SortedList:
    """The order as its definition says it, slow and obvious."""

    descending: bool
    later_first: bool
    id_of: Callable[[int], bytes] | None
    entries: dict[int, tuple[int, int]] = field(default_factory=dict)

    def key(self, entry: Entry) -> tuple[int, int, bytes | int]:
        participant, value, reached_at = entry
        return (
            -value if self.descending else value,
            -reached_at if self.later_first else reached_at,
            participant if self.id_of is None else self.id_of(participant),
        )

    def in_order(self) -> list[Entry]:
        return sorted(((participant, *entry) for participant, entry in self.entries.items()), key=self.key)

    def row(self, participant: int) -> int:
        return next((row for row, entry in enumerate(self.in_order()) if entry[0] == participant), -1)

    def better(self, value: int) -> list[int]:
        return [own for own, _ in self.entries.values() if (own > value if self.descending else own < value)]

    def put(self, participant: int, value: int, reached_at: int) -> tuple[int, int]:
        before = self.row(participant)
        self.entries[participant] = (value, reached_at)
        return before, self.row(participant)


def columns(entries: list[Entry]) -> tuple[array, array, array]:
    return (
        array("q", [value for _, value, _ in entries]),
        array("q", [reached_at for _, _, reached_at in entries]),
        array("I", [participant for participant, _, _ in entries]),
    )


def entries_of(dump: tuple[bytes, bytes, bytes]) -> list[Entry]:
    values, reached, participants = (
        memoryview(column).cast(code).tolist() for column, code in zip(dump, "qqI", strict=True)
    )
    return list(zip(participants, values, reached, strict=True))


class IndexAgainstSortedList(RuleBasedStateMachine):
    """Every operation of the index gives what the sorted list gives, and leaves every invariant whole."""

    @initialize(descending=st.booleans(), later_first=st.booleans(), distinct=st.booleans(), with_ids=st.booleans())
    def start(self, descending: bool, later_first: bool, distinct: bool, with_ids: bool) -> None:
        self.distinct = distinct
        self.model = SortedList(descending, later_first, id_of if with_ids else None)
        self.index = self.another()

    def another(self) -> Index:
        model = self.model
        return Index(
            descending=model.descending,
            later_first=model.later_first,
            distinct=self.distinct,
            id_of=model.id_of,
            _block=8,
        )

    @rule(participant=PARTICIPANTS, value=NUMBERS, reached_at=INSTANTS)
    def put(self, participant: int, value: int, reached_at: int) -> None:
        assert self.index.put(participant, value, reached_at) == self.model.put(participant, value, reached_at)

    @rule(first=PARTICIPANTS, count=DISTANCES, value=NUMBERS, reached_at=INSTANTS)
    def put_many(self, first: int, count: int, value: int, reached_at: int) -> None:
        for participant in range(first, min(first + count, 2**32)):
            self.index.put(participant, value, reached_at)
            self.model.entries[participant] = (value, reached_at)

    @rule(participant=PARTICIPANTS, delta=NUMBERS, reached_at=INSTANTS)
    def add(self, participant: int, delta: int, reached_at: int) -> None:
        value = self.model.entries.get(participant, (0, 0))[0] + delta
        try:
            rows = self.index.add(participant, delta, reached_at)
        except OverflowError:
            assert not -LARGEST - 1 <= value <= LARGEST
        else:
            assert rows == self.model.put(participant, value, reached_at)

    @rule(participant=PARTICIPANTS)
    def remove(self, participant: int) -> None:
        assert self.index.remove(participant) == self.model.row(participant)
        self.model.entries.pop(participant, None)

    @rule(first=PARTICIPANTS, count=DISTANCES)
    def remove_many(self, first: int, count: int) -> None:
        for participant in range(first, min(first + count, 2**32)):
            self.index.remove(participant)
            self.model.entries.pop(participant, None)

    @precondition(lambda self: len(self.model.entries) > 100)
    @rule()
    def clear(self) -> None:
        self.index.clear()
        self.model.entries.clear()

    @rule()
    def load_a_copy(self) -> None:
        copy = self.another()
        copy.load(*columns([(participant, *entry) for participant, entry in self.model.entries.items()]))
        self.index = copy

    @rule()
    def load_a_sorted_copy(self) -> None:
        copy = self.another()
        copy.load_sorted(*columns(self.index.page(0, len(self.index))))
        self.index = copy

    @rule(start=st.integers(-3, 200), length=st.integers(-3, 100))
    def page(self, start: int, length: int) -> None:
        assert self.index.page(start, start + length) == self.model.in_order()[max(start, 0) : max(start + length, 0)]

    @rule(value=NUMBERS)
    def count_better(self, value: int) -> None:
        better = self.model.better(value)
        assert self.index.count_better(value) == len(better)
        if self.distinct:
            assert self.index.count_distinct_better(value) == len(set(better))

    @rule(participant=PARTICIPANTS, value=NUMBERS, reached_at=INSTANTS, limit=st.integers(0, 100))
    def dump_after(self, participant: int, value: int, reached_at: int, limit: int) -> None:
        key = self.model.key((participant, value, reached_at))
        rest = [entry for entry in self.model.in_order() if self.model.key(entry) > key]
        before = sum(self.model.key(entry) < key for entry in self.model.in_order())
        assert self.index.count_before(value, reached_at, participant) == before
        assert entries_of(self.index.dump_after((value, reached_at, participant), limit)) == rest[:limit]

    @rule(limit=st.integers(0, 200), numbering=st.sampled_from(["ordinal", "competition", "dense"]))
    def places(self, limit: int, numbering: str) -> None:
        expected = []
        for row, (participant, value, _) in enumerate(self.model.in_order()[:limit]):
            better = self.model.better(value)
            rank = {"ordinal": row, "competition": len(better), "dense": len(set(better))}[numbering] + 1
            expected.append((participant, rank, value))
        columns = zip("IIq", self.index.places(limit, numbering), strict=True)
        assert list(zip(*(array(code, column) for code, column in columns), strict=True)) == sorted(expected)

    @invariant()
    def all_agree(self) -> None:
        if not hasattr(self, "index"):
            return
        self.index.check()
        expected = self.model.in_order()
        assert len(self.index) == len(expected)
        assert self.index.page(0, len(expected)) == expected
        for row, (participant, value, reached_at) in enumerate(expected[:: max(1, len(expected) // 9)]):
            row *= max(1, len(expected) // 9)
            assert self.index.row(participant) == row
            assert self.index.at(row) == (participant, value, reached_at)
            assert self.index.get(participant) == (value, reached_at)


TestIndexAgainstSortedList = IndexAgainstSortedList.TestCase
TestIndexAgainstSortedList.settings = settings(
    max_examples=tries(80), stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@settings(max_examples=100, deadline=None)
@given(
    start=st.dictionaries(st.integers(0, 120), st.tuples(NUMBERS, INSTANTS)),
    changes=st.lists(st.lists(st.tuples(st.integers(0, 120), st.one_of(st.none(), NUMBERS), INSTANTS), max_size=5)),
    length=st.integers(1, 30),
)
def test_a_dump_in_slices_with_those_who_changed_replaced_is_the_final_state(
    start: dict[int, tuple[int, int]],
    changes: list[list[tuple[int, int | None, int]]],
    length: int,
):
    """A background checkpoint may take as long as it likes while entries come, move and go."""
    index = Index(id_of=id_of, _block=8)
    index.load(*columns([(participant, *entry) for participant, entry in start.items()]))
    dumped: dict[int, tuple[int, int]] = {}
    changed: set[int] = set()
    cursor = None
    while part := entries_of(index.dump_after(cursor, length)):
        dumped.update((participant, (value, reached_at)) for participant, value, reached_at in part)
        cursor = (part[-1][1], part[-1][2], part[-1][0])
        for participant, value, reached_at in changes.pop() if changes else []:
            changed.add(participant)
            if value is None:
                index.remove(participant)
            else:
                index.put(participant, value, reached_at)
    for participant in changed:
        dumped.pop(participant, None)
        entry = index.get(participant)
        if entry is not None:
            dumped[participant] = entry
    final = {participant: (value, reached_at) for participant, value, reached_at in index.page(0, len(index))}
    assert dumped == final
