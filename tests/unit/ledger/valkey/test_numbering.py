"""How lines and users of several shards are numbered, with and without what was taken over."""

import pytest

from palmares.ledger.valkey.numbering import Inherited, Numbering

ALL = [
    Numbering(1), Numbering(4), Numbering(1, Inherited(7, 3)), Numbering(4, Inherited(7, 3)),
    Numbering(16, Inherited(1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("numbering", ALL)
def test_every_place_behind_what_was_taken_over_is_one_line_of_one_shard(numbering: Numbering) -> None:
    """And there is no place between them that no line can have."""
    first = numbering.inherited.lines
    lines = [(place, position) for position in range(first + 1, first + 9) for place in range(numbering.shards)]
    places = [numbering.whole_position(place, position) for place, position in lines]
    assert places == list(range(first + 1, first + 1 + len(lines)))
    assert [numbering.split_position(place) for place in places] == [[line] for line in lines]


@pytest.mark.parametrize("numbering", ALL)
def test_what_was_taken_over_has_the_place_that_it_had(numbering: Numbering) -> None:
    """Which shard has it, has to be looked for."""
    for position in range(numbering.inherited.lines + 1):
        shards = range(numbering.shards if position else 1)
        assert {numbering.whole_position(place, position) for place in shards} == {position}
        if position:
            assert numbering.split_position(position) == [(place, position) for place in shards]


@pytest.mark.parametrize("numbering", ALL)
def test_how_far_each_shard_is_follows_from_a_place_of_the_whole(numbering: Numbering) -> None:
    """It is the last line of the shard that is not behind."""
    for whole in range(1, numbering.inherited.lines + 3 * numbering.shards + 2):
        for place in range(numbering.shards):
            upto = numbering.place_upto(place, whole)
            assert numbering.whole_position(place, upto) <= whole < numbering.whole_position(place, upto + 1)


def test_users_behind_those_who_were_taken_over_are_where_they_got_their_number() -> None:
    """So is who is called by the number, having been erased."""
    numbering = Numbering(4, Inherited(7, 3))
    assert [list(numbering.shards_of_number(number)) for number in (1, 3)] == [[0, 1, 2, 3]] * 2
    assert [list(numbering.shards_of_number(number)) for number in (4, 5, 7, 8)] == [[0], [1], [3], [0]]
    assert [numbering.shard_of(b"1:erased-%d" % number) for number in (4, 5, 7, 8)] == [0, 1, 3, 0]


def test_between_lines_that_were_taken_over_are_gaps() -> None:
    numbering = Numbering(4, Inherited(7, 3))
    assert [numbering.follows(position, 2) for position in (1, 2, 3, 7, 8)] == [False, False, True, True, False]
    assert [numbering.follows(position, 7) for position in (7, 8, 9)] == [False, True, False]
