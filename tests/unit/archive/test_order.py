"""An order that is read in chunks answers like the live index over the same entries."""

from array import array
from itertools import product

import pytest

from palmares.archive.columns import CHUNK
from palmares.archive.order import FinalOrder, Heads, Sorting, heads_of
from palmares.domain.snapshot import Rows
from palmares.ledger.embedded._index import Index

LARGEST = 2**63 - 1
# What matters lies around the borders of chunks.
COUNTS = [0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5]
DIRECTIONS = list(product([False, True], [False, True]))


def id_of(participant: int) -> bytes:
    """An id in another order than the numbers."""
    return b"%d" % (participant * 2_654_435_761 % 2**32)


def filled(count: int, values: int, descending: bool = True, later_first: bool = False) -> Index:
    """An index of so many entries with so many different values, and ties of both kinds."""
    index = Index(descending=descending, later_first=later_first, distinct=True, id_of=id_of)
    index.load(
        array("q", [number * 7919 % values for number in range(count)]),
        array("q", [number % 3 for number in range(count)]),
        array("I", range(count)),
    )
    return index


def cut_up(index: Index, descending: bool = True, later_first: bool = False) -> tuple[FinalOrder, list[int]]:
    """The same order in chunks, and a list that notes which chunks are read."""
    values, reached, participants = index.dump_after(None, len(index))
    rows = Rows(array("I", participants), array("q", values), array("q", reached))
    read: list[int] = []

    def chunk(number: int) -> Rows:
        assert 0 <= number * CHUNK < len(index)
        read.append(number)
        return Rows(*(column[number * CHUNK : (number + 1) * CHUNK] for column in rows))

    return FinalOrder(len(index), heads_of(rows), chunk, index.row, Sorting(descending, later_first, id_of)), read


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("values", [1, 7, CHUNK + 3])
def test_rows_and_pages_are_those_of_the_index(count: int, values: int) -> None:
    """Also across the borders of chunks, and outside of what exists."""
    index = filled(count, values)
    order, _ = cut_up(index)

    assert len(order) == count
    assert [order.at(row) for row in range(count)] == index.page(0, count)
    for start, stop in [(-5, 3), (0, count), (CHUNK - 2, CHUNK + 2), (count - 1, count + 9), (5, 5), (9, 3)]:
        assert order.page(start, stop) == index.page(start, stop)
    assert order.row(0) == index.row(0)
    assert order.row(count) == -1


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_that_does_not_exist_raises(row: int) -> None:
    """Rows are not counted from the end."""
    with pytest.raises(IndexError):
        cut_up(filled(3, 3))[0].at(row)


@pytest.mark.parametrize(("descending", "later_first"), DIRECTIONS)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("values", [1, 7, CHUNK + 3])
def test_counts_are_those_of_the_index(count: int, values: int, descending: bool, later_first: bool) -> None:
    """Of values that are there, between, and beyond all; of entries that are there and that are not."""
    index = filled(count, values, descending, later_first)
    order, _ = cut_up(index, descending, later_first)

    for value in [-LARGEST - 1, -1, 0, 1, 2, 6, values // 2, values - 1, values, LARGEST]:
        assert order.count_better(value) == index.count_better(value)
        assert order.count_distinct_better(value) == index.count_distinct_better(value)
        for reached_at, participant in product([-1, 0, 2, 3], [0, count // 2, count + 5]):
            asked = (value, reached_at, participant)
            assert order.count_before(*asked) == index.count_before(*asked)


@pytest.mark.parametrize(("descending", "later_first"), DIRECTIONS)
def test_every_entry_has_its_row_of_others_before_it(descending: bool, later_first: bool) -> None:
    """The first and last ones of each chunk are where a search may go wrong by one."""
    index = filled(3 * CHUNK, 5, descending, later_first)
    order, _ = cut_up(index, descending, later_first)

    for row in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK - 1]:
        participant, value, reached_at = index.at(row)
        assert order.count_before(value, reached_at, participant) == row


def test_the_extremes_of_all_numbers_are_in_order() -> None:
    """No number is special."""
    index = Index(distinct=True, id_of=id_of)
    for participant, value in enumerate([-LARGEST - 1, LARGEST, 0]):
        index.put(participant, value, -LARGEST - 1)
    order, _ = cut_up(index)

    assert [order.count_better(value) for value in (LARGEST, 0, -LARGEST - 1)] == [0, 1, 2]
    assert order.count_before(-LARGEST - 1, LARGEST, 9) == 3


def test_a_question_reads_a_chunk_or_two() -> None:
    """However long the order is."""
    order, read = cut_up(filled(20 * CHUNK, 5000))
    for ask in (
        lambda: order.at(5000),
        lambda: order.page(5000, 5010),
        lambda: order.count_better(2500),
        lambda: order.count_before(2500, 1, 3),
    ):
        read.clear()
        ask()
        assert len(read) == 1
    read.clear()
    order.count_distinct_better(2500)
    assert len(read) == 2


def test_ids_are_asked_for_only_to_part_full_ties() -> None:
    """An id may cost a look-up on disk."""
    asked: list[int] = []

    def noting(participant: int) -> bytes:
        asked.append(participant)
        return id_of(participant)

    rows = Rows(array("I", [1, 2, 3]), array("q", [9, 5, 5]), array("q", [0, 0, 1]))
    order = FinalOrder(3, heads_of(rows), lambda chunk: rows, lambda participant: -1, Sorting(True, False, noting))

    assert [order.count_before(9, 1, 7), order.count_before(5, -1, 7), order.count_before(4, 0, 7)] == [1, 1, 3]
    assert asked == []
    assert order.count_before(5, 1, 3) == 2
    assert set(asked) == {3}


def test_heads_say_how_many_different_values_are_better() -> None:
    """A value that goes on over the border of a chunk counts once."""
    values = array("q", [9] * (CHUNK + 1) + [8] * (CHUNK - 1) + [7] * CHUNK + [6])
    rows = Rows(array("I", range(len(values))), values, array("q", bytes(8 * len(values))))

    heads = heads_of(rows)

    assert heads == Heads(
        Rows(array("I", [0, CHUNK, 2 * CHUNK, 3 * CHUNK]), array("q", [9, 9, 7, 6]), array("q", [0, 0, 0, 0])),
        array("I", [0, 0, 2, 3]),
    )
