"""Columns come back from their bytes as they were."""

from array import array

import pytest

from palmares.archive.columns import (
    CHUNK,
    chunks_of_rows,
    chunks_of_users,
    packed,
    packed_groups,
    place_of,
    unpacked,
    unpacked_groups,
)

LARGEST = 2**63 - 1


def test_numbers_are_little_endian_and_come_back() -> None:
    """A file may be read on another machine than the one that wrote it."""
    assert packed(array("I", [1, 2**32 - 1])) == b"\x01\0\0\0\xff\xff\xff\xff"
    assert packed(array("q", [-2])) == b"\xfe" + b"\xff" * 7
    for numbers in (array("I", [0, 5, 2**32 - 1]), array("q", [-LARGEST - 1, 0, LARGEST])):
        assert unpacked(numbers.typecode, packed(numbers)) == numbers


def test_a_machine_of_the_other_kind_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, numbers in memory are the other way round."""
    monkeypatch.setattr("sys.byteorder", "big")
    numbers = array("I", [1, 2])

    assert packed(numbers) == b"\0\0\0\x01\0\0\0\x02"
    assert numbers == array("I", [1, 2])
    assert unpacked("I", packed(numbers)) == numbers


def test_groups_are_numbered_anew_and_take_the_room_they_need() -> None:
    """No bytes for one group, two for each user up to 65,536 groups, else four."""
    groups = array("I", [0, 1, 1, 0])

    assert packed_groups(groups[:1], [0]) is None
    for numbers, size in (([7, 0], 8), ([3, 65_535], 8), ([3, 65_536], 16)):
        content = packed_groups(groups, numbers)
        assert content is not None
        assert len(content) == size
        assert unpacked_groups(content, 4) == array("I", [numbers[group] for group in groups])
    assert unpacked_groups(None, 3) == array("I", [0, 0, 0])


def test_users_are_cut_where_their_numbers_pass_a_chunk() -> None:
    """Chunks that nobody is in are left out."""
    users = array("I", [0, CHUNK - 1, CHUNK, 5 * CHUNK + 3, 2**32 - 1])

    found = [(chunk, users[cut].tolist()) for chunk, cut in chunks_of_users(users)]

    assert found == [(0, [0, CHUNK - 1]), (1, [CHUNK]), (5, [5 * CHUNK + 3]), (2**32 // CHUNK - 1, [2**32 - 1])]
    assert list(chunks_of_users(array("I"))) == []


@pytest.mark.parametrize(("count", "lengths"), [(0, []), (1, [1]), (CHUNK, [CHUNK]), (CHUNK + 2, [CHUNK, 2])])
def test_rows_are_cut_evenly(count: int, lengths: list[int]) -> None:
    """Only the last chunk may be short."""
    rows = range(count)

    assert [(chunk, len(rows[cut])) for chunk, cut in chunks_of_rows(count)] == list(enumerate(lengths))


def test_a_user_is_found_among_ascending_ones() -> None:
    """None for one who is not there, before, between and behind."""
    users = array("I", [2, 4, 6])

    assert [place_of(users, user) for user in range(1, 8)] == [None, 0, None, 1, None, 2, None]
