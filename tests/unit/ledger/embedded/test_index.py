"""What the index promises, one claim at a time. `tests/property/test_index.py` tries the combinations."""

from array import array
from collections.abc import Callable

import pytest

from palmares.ledger.embedded._index import Index, merge_places

LARGEST = 2**63 - 1
SMALLEST = -(2**63)
LARGEST_PARTICIPANT = 2**32 - 1


def order(index: Index) -> list[int]:
    return [participant for participant, _, _ in index.page(0, len(index))]


def buffers(*entries: tuple[int, int, int]) -> tuple[array, array, array]:
    """Entries (participant, value, reached_at) as the three columns that `load` takes."""
    return (
        array("q", [value for _, value, _ in entries]),
        array("q", [reached_at for _, _, reached_at in entries]),
        array("I", [participant for participant, _, _ in entries]),
    )


def reversed_id(participant: int) -> bytes:
    """An id whose order is the other way round than that of the numbers."""
    return b"%010d" % (LARGEST_PARTICIPANT - participant)


def filled(count: int, *, id_of: Callable[[int], bytes] | None = None) -> Index:
    """An index of small blocks, three levels high from 100 entries on; everyone has the same value and instant."""
    index = Index(id_of=id_of, _block=8)
    for participant in range(count):
        index.put(participant, 5, 7)
    return index


def test_an_empty_index_answers_everything():
    """Nothing is there, and nothing raises but a row that does not exist."""
    index = Index(distinct=True)
    assert len(index) == 0
    assert 3 not in index
    assert index.get(3) is None
    assert index.row(3) == -1
    assert index.remove(3) == -1
    assert index.page(0, 10) == []
    assert index.count_better(0) == index.count_distinct_better(0) == index.count_before(0, 0, 0) == 0
    assert index.dump_after(None, 10) == index.dump_after((1, 2, 3), 10) == (b"", b"", b"")
    index.check()


def test_the_higher_value_stands_higher():
    """Descending is the default order."""
    index = Index()
    assert index.put(1, 10, 0) == (-1, 0)
    assert index.put(2, 20, 0) == (-1, 0)
    assert index.put(3, 15, 0) == (-1, 1)
    assert order(index) == [2, 3, 1]
    assert index.at(1) == (3, 15, 0)


def test_the_lower_value_stands_higher_when_ascending():
    """Lap times and golf."""
    index = Index(descending=False)
    for participant, value in ((1, 10), (2, 20), (3, 15)):
        index.put(participant, value, 0)
    assert order(index) == [1, 3, 2]
    assert index.count_better(15) == 1


@pytest.mark.parametrize(("later_first", "expected"), [(False, [2, 1]), (True, [1, 2])])
def test_equal_values_are_ordered_by_the_instant_they_were_reached(later_first: bool, expected: list[int]):
    """The earlier one stands higher, unless the later one is asked for."""
    index = Index(later_first=later_first)
    index.put(1, 10, 200)
    index.put(2, 10, 100)
    assert order(index) == expected


def test_full_ties_are_ordered_by_id_and_not_by_number():
    """Numbers are given by arrival; ids make the order the same on every machine."""
    index = filled(100, id_of=reversed_id)
    assert order(index) == list(range(99, -1, -1))
    assert index.row(0) == 99
    index.check()


def test_full_ties_without_ids_are_ordered_by_number():
    """Where no id is known, the numbers decide."""
    assert order(filled(100)) == list(range(100))


def test_ids_are_asked_for_only_to_part_full_ties():
    """An id may cost a look-up on disk."""

    def never(participant: int) -> bytes:
        raise AssertionError(participant)

    index = Index(id_of=never, _block=8)
    for participant in range(500):
        index.put(participant, participant % 10, participant)
        index.put(participant, participant % 7, participant)
    assert index.count_before(3, 3, 3) == index.row(3)
    index.check()


def test_put_gives_the_rows_before_and_after():
    """The answer to an event says how far it carried."""
    index = Index(_block=8)
    for participant in range(100):
        index.put(participant, 100 - participant, 0)
    assert index.put(99, 101, 0) == (99, 0)
    assert index.put(99, 0, 0) == (0, 99)
    assert index.put(50, 52, 0) == (50, 49)
    index.check()


def test_putting_the_same_again_changes_nothing():
    """Neither the row nor the entry."""
    index = filled(50)
    assert index.put(20, 5, 7) == (20, 20)
    assert index.get(20) == (5, 7)


def test_add_counts_from_zero_for_a_new_participant():
    """Then from what is there."""
    index = Index()
    assert index.add(1, -5, 10) == (-1, 0)
    assert index.add(1, 8, 20) == (0, 0)
    assert index.get(1) == (3, 20)


@pytest.mark.parametrize(("start", "delta"), [(LARGEST, 1), (SMALLEST, -1), (LARGEST, LARGEST), (SMALLEST, SMALLEST)])
def test_a_sum_that_does_not_fit_raises_and_changes_nothing(start: int, delta: int):
    """Exact or not at all."""
    index = Index()
    index.put(1, start, 10)
    with pytest.raises(OverflowError, match="64 bits"):
        index.add(1, delta, 20)
    assert index.get(1) == (start, 10)
    index.check()


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("later_first", [True, False])
def test_the_extremes_of_all_numbers_are_in_order(descending: bool, later_first: bool):
    """No number is special, and none overflows."""
    index = Index(descending=descending, later_first=later_first, distinct=True, _block=8)
    numbers = [SMALLEST, SMALLEST + 1, -1, 0, 1, LARGEST - 1, LARGEST]
    entries = [(value, reached_at) for value in numbers for reached_at in numbers]
    for place, (value, reached_at) in enumerate(entries):
        index.put(LARGEST_PARTICIPANT - place, value, reached_at)
    entries.sort(key=lambda entry: (-entry[0] if descending else entry[0], -entry[1] if later_first else entry[1]))
    assert [entry[1:] for entry in index.page(0, 100)] == entries
    better = sorted(numbers, reverse=descending)
    assert [index.count_better(value) for value in better] == [7 * place for place in range(7)]
    assert [index.count_distinct_better(value) for value in better] == list(range(7))
    assert [index.count_before(*entry, 0) for entry in entries] == list(range(49))
    index.check()


@pytest.mark.parametrize("numbers", [(LARGEST + 1, 0), (SMALLEST - 1, 0), (0, LARGEST + 1)])
def test_a_number_wider_than_64_bits_raises(numbers: tuple[int, int]):
    """It is never cut."""
    index = Index()
    with pytest.raises(OverflowError):
        index.put(1, *numbers)
    with pytest.raises(OverflowError):
        index.put(LARGEST_PARTICIPANT + 1, 0, 0)
    assert len(index) == 0


def test_remove_gives_the_row_that_was():
    """-1 when there was none."""
    index = filled(100)
    assert index.remove(40) == 40
    assert index.remove(40) == -1
    assert index.row(41) == 40
    assert 40 not in index
    index.check()


def test_a_page_is_cut_to_what_exists():
    """Like a slice with bounds that are not negative."""
    index = filled(30)
    assert [participant for participant, _, _ in index.page(28, 99)] == [28, 29]
    assert index.page(30, 99) == index.page(5, 5) == index.page(9, 3) == index.page(-9, -3) == []
    assert len(index.page(-5, LARGEST)) == 30
    assert index.page(LARGEST, SMALLEST) == []


@pytest.mark.parametrize("row", [-1, 30, LARGEST])
def test_a_row_that_does_not_exist_raises(row: int):
    """Rows are not counted from the end."""
    with pytest.raises(IndexError):
        filled(30).at(row)


def test_distinct_values_are_counted_only_when_asked_for_at_the_start():
    """Keeping the count costs something, so it is off by default."""
    with pytest.raises(ValueError, match="distinct=True"):
        Index().count_distinct_better(0)


def test_a_key_that_is_not_there_can_be_placed():
    """So that several rankings can be merged."""
    index = filled(30, id_of=reversed_id)
    assert index.count_before(5, 7, 30) == 0
    assert index.count_before(5, 7, 10) == index.row(10)
    assert index.count_before(5, 8, 10) == 30
    assert index.count_before(6, 0, 10) == 0


def test_load_puts_unsorted_columns_in_order():
    """Ties by id included."""
    index = Index(id_of=reversed_id, _block=8)
    index.load(*buffers(*((participant, participant % 3, participant % 2) for participant in range(200))))
    assert order(index) == sorted(range(200), key=lambda number: (-(number % 3), number % 2, -number))
    index.check()


def test_columns_may_be_raw_bytes():
    """A checkpoint is read without copying it."""
    values, reached, participants = buffers((1, 10, 0), (2, 20, 0))
    index = Index()
    index.load(
        memoryview(values.tobytes()).cast("q"),
        memoryview(reached.tobytes()).cast("q"),
        memoryview(participants.tobytes()).cast("I"),
    )
    assert order(index) == [2, 1]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 56, 57, 448, 449, 5000])
def test_a_dump_loads_back_sorted(count: int):
    """At every size around a full leaf, a full branch and one more level."""
    index = Index(_block=8, distinct=True)
    index.load(*buffers(*((participant, participant * 7 % 50, 3) for participant in range(count))))
    index.check()
    copy = Index(_block=8, distinct=True)
    dump = index.dump_after(None, count + 1)
    copy.load_sorted(*(memoryview(column).cast(code) for column, code in zip(dump, "qqI", strict=True)))
    copy.check()
    assert copy.page(0, count) == index.page(0, count)
    assert copy.put(count, 1000, 0) == (-1, 0)
    copy.check()


def test_sorted_columns_that_are_not_are_refused():
    """By value, by instant and, without ids, by number."""
    for first, second in (((1, 10, 0), (2, 20, 0)), ((1, 10, 5), (2, 10, 4)), ((2, 10, 0), (1, 10, 0))):
        index = Index()
        with pytest.raises(ValueError, match="out of order"):
            index.load_sorted(*buffers(first, second))
        assert len(index) == 0
    by_id = Index(id_of=reversed_id)
    by_id.load_sorted(*buffers((2, 10, 0), (1, 10, 0)))
    by_id.check()


@pytest.mark.parametrize("method", ["load", "load_sorted"])
def test_a_load_that_cannot_be_leaves_the_index_as_it_was(method: str):
    """Twice the same participant, columns of unequal length, an index in use, columns of another type."""
    index = Index()
    with pytest.raises(ValueError, match="there twice"):
        getattr(index, method)(*buffers((7, 20, 0), (7, 10, 0)))
    values, reached, participants = buffers((1, 20, 0), (2, 10, 0))
    with pytest.raises(ValueError, match="same length"):
        getattr(index, method)(values, reached, participants[:1])
    with pytest.raises(ValueError, match="mismatch"):
        getattr(index, method)(values, reached, values)
    with pytest.raises(TypeError):
        getattr(index, method)(values, reached, None)
    assert len(index) == 0
    index.check()
    index.put(9, 1, 1)
    with pytest.raises(ValueError, match="empty"):
        getattr(index, method)(values, reached, participants)
    assert order(index) == [9]


def test_a_dump_goes_on_after_a_cursor_that_has_moved():
    """The cursor is a key; whether its entry is still there makes no difference."""
    index = Index(_block=8)
    for participant in range(100):
        index.put(participant, 1000 - participant, 0)
    cursor = (1000 - 49, 0, 49)
    after = index.dump_after(cursor, 10)
    assert array("I", after[2]).tolist() == list(range(50, 60))
    index.put(49, 0, 0)
    assert index.dump_after(cursor, 10) == after
    index.remove(49)
    assert index.dump_after(cursor, 10) == after
    with pytest.raises(ValueError, match="negative"):
        index.dump_after(None, -1)


def places(columns: tuple[bytes, ...], codes: str) -> list[tuple[int, ...]]:
    """The columns of places, user by user."""
    return list(zip(*(array(code, column) for code, column in zip(codes, columns, strict=True)), strict=True))


@pytest.mark.parametrize(
    ("numbering", "ranks"),
    [("ordinal", [1, 2, 3, 4, 5]), ("competition", [1, 2, 2, 4, 5]), ("dense", [1, 2, 2, 3, 4])],
)
@pytest.mark.parametrize("descending", [True, False])
def test_places_are_by_participant_with_ranks_by_the_numbering(numbering: str, ranks: list[int], descending: bool):
    """Those with the numbers 5, 4 and so on stand in the rows from the first on."""
    index = Index(descending=descending, _block=8)
    for participant, value in ((5, 40), (4, 30), (3, 30), (2, 20), (1, -10)):
        index.put(participant, value if descending else -value, -participant)
    sign = 1 if descending else -1
    expected = [(5, ranks[0], 40), (4, ranks[1], 30), (3, ranks[2], 30), (2, ranks[3], 20), (1, ranks[4], -10)]
    expected = [(participant, rank, sign * value) for participant, rank, value in expected]
    assert places(index.places(99, numbering), "IIq") == expected[::-1]
    assert places(index.places(3, numbering), "IIq") == expected[2::-1]
    assert index.places(0, numbering) == Index().places(99, numbering) == (b"", b"", b"")


@pytest.mark.parametrize("count", [1, 255, 256, 5000])
@pytest.mark.parametrize("step", [1, 7, 2**11, 2**19])
def test_places_are_in_order_whatever_numbers_the_participants_have(count: int, step: int):
    """One, two or three digits of the sort, and leaves more than one."""
    index = Index(_block=8)
    for row in range(count):
        index.put(row * 7919 % 5003 * step % 2**32, -row, 0)
    columns = places(index.places(count, "ordinal"), "IIq")
    assert columns == sorted(
        (participant, row, value) for row, (participant, value, _) in enumerate(index.page(0, count), 1)
    )


def test_places_of_an_impossible_kind_are_refused():
    """A limit below nothing, a numbering that no board has."""
    with pytest.raises(ValueError, match="negative"):
        Index().places(-1, "ordinal")
    with pytest.raises(ValueError, match="numbering"):
        Index().places(1, "roman")


def test_places_of_groups_are_merged_by_participant():
    """Each tells which part it came from; empty parts count."""
    parts = []
    for part in range(4):
        index = Index(_block=8)
        for number in range(100 if part != 1 else 0):
            index.put(number * 40_000_007 % 2**32 // 4 * 4 + part, number, 0)
        parts.append(index.places(90, "ordinal"))
    expected = sorted(
        (participant, part, rank, value)
        for part, columns in enumerate(parts)
        for participant, rank, value in places(columns, "IIq")
    )
    assert len(expected) == 270
    assert places(merge_places(parts), "IIIq") == expected
    assert merge_places(iter([])) == merge_places(parts[1:2]) == (b"", b"", b"", b"")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_parts_with_columns_of_unequal_length_are_refused(place: int):
    """They would be read beyond their ends."""
    columns = [b"1234", b"1234", b"12345678"]
    for wrong in (b"", columns[place] * 2, columns[place] + b"1"):
        with pytest.raises(ValueError, match="same length"):
            merge_places([(*columns[:place], wrong, *columns[place + 1 :])])


def test_what_id_of_raises_comes_out_and_changes_nothing():
    """Find first, change after: an id that cannot be read costs one operation, not the ranking."""
    failing = False

    def id_of(participant: int) -> bytes:
        if failing:
            raise KeyError(participant)
        return reversed_id(participant)

    index = filled(100, id_of=id_of)
    index.put(200, 6, 0)
    before = index.page(0, 200)
    failing = True
    for change in (
        lambda: index.put(200, 5, 7),
        lambda: index.put(300, 5, 7),
        lambda: index.add(200, -1, 7),
        lambda: index.count_before(5, 7, 300),
        lambda: Index(id_of=id_of).load(*buffers((1, 5, 7), (2, 5, 7))),
    ):
        with pytest.raises(KeyError):
            change()
    failing = False
    assert index.page(0, 200) == before
    index.check()


def test_an_id_must_be_bytes():
    """Text has an order of its own in every language."""
    index = Index(id_of=str)  # type: ignore[arg-type]
    index.put(1, 0, 0)
    with pytest.raises(TypeError, match="bytes"):
        index.put(2, 0, 0)
    assert order(index) == [1]


def test_the_index_cannot_change_while_it_compares_ids():
    """It is in the middle of a search then; reading is harmless."""

    def id_of(participant: int) -> bytes:
        assert index.row(1) == 0
        for change in (lambda: index.put(9, 9, 9), lambda: index.remove(1), index.clear):
            with pytest.raises(RuntimeError, match="id_of"):
                change()
        return reversed_id(participant)

    index = Index(id_of=id_of)
    index.put(1, 0, 0)
    assert index.put(2, 0, 0) == (-1, 0)
    assert order(index) == [2, 1]


def test_a_small_group_of_a_large_user_base_stays_small():
    """Ten participants whose numbers are spread over four billion."""
    index = Index()
    for place in range(10):
        index.put(place * (LARGEST_PARTICIPANT // 9), place, 0)
    assert index.nbytes < 1500
    assert order(index) == [place * (LARGEST_PARTICIPANT // 9) for place in range(9, -1, -1)]
    index.check()


def test_the_directory_changes_form_both_ways():
    """Sparse at first, dense when most numbers are there, sparse again when most are gone."""
    index = Index()
    for participant in range(0, 40_000, 10):
        index.put(participant, participant, 0)
    sparse = index.nbytes
    for participant in range(40_000):
        index.put(participant, participant, 0)
    index.check()
    dense_bytes_an_entry = index.nbytes / 40_000
    assert dense_bytes_an_entry < sparse / 4_000 - 8
    for participant in range(40_000):
        if participant % 1000:
            index.remove(participant)
    index.check()
    assert index.nbytes < 20_000
    assert [index.get(participant) for participant in range(0, 40_000, 1000)] == [
        (participant, 0) for participant in range(0, 40_000, 1000)
    ]
    index.put(LARGEST_PARTICIPANT, -1, 0)
    assert index.at(40) == (LARGEST_PARTICIPANT, -1, 0)
    index.check()


def test_removing_everything_gives_the_memory_back():
    """One by one as well as at once."""
    index = Index()
    empty = index.nbytes
    for participant in range(20_000):
        index.put(participant, participant * 7919 % 10_007, 0)
    for participant in range(20_000):
        index.remove(participant)
    assert index.nbytes == empty
    for participant in range(1000):
        index.put(participant, participant, 0)
    index.clear()
    assert (len(index), index.nbytes) == (0, empty)
    index.check()


def test_churn_does_not_grow_the_index():
    """Everyone moves a hundred times; no trail of near-empty blocks stays behind."""
    index = Index()
    count = 5_000
    for moved in range(100 * count):
        index.put(moved % count, moved * 7919 % 1_000_003, moved)
    index.check()
    assert index.nbytes < 36 * count


@pytest.mark.parametrize("block", [6, 9, 0, -8])
def test_a_block_size_that_would_break_the_tree_is_refused(block: int):
    """Only tests choose one."""
    with pytest.raises(ValueError, match="_block"):
        Index(_block=block)
