"""Followed boards: found by number, by metric, by scope."""

from dataclasses import replace

import pytest

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.errors import NotFound
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.rankings import Rankings
from tests.world import HOURS, LAPS, LEVEL, POOL, make_board

PLAIN = make_board(1, "plain")
POOLS = make_board(2, "pools", breakdown=(POOL,))
PROS = make_board(3, "pros", filters=((LEVEL, "pro"),), metric=HOURS)


def make_rankings(board: Board) -> Rankings:
    return Rankings(Plan(board), lambda number: str(number).encode())


def follow(*boards: Board) -> tuple[Followed, list[Rankings]]:
    followed, made = Followed(), [make_rankings(board) for board in boards]
    for rankings in made:
        followed.install(rankings)
    return followed, made


def test_boards_are_found_by_what_changes_them() -> None:
    """Events of their metric; attributes, if they look at any."""
    followed, [plain, pools, pros] = follow(PLAIN, POOLS, PROS)
    assert list(followed) == [plain, pools, pros]
    assert list(followed.counting(LAPS.number)) == [plain, pools]
    assert list(followed.counting(HOURS.number)) == [pros]
    assert list(followed.counting(77)) == []
    assert list(followed.grouped(1)) == [pools, pros]
    assert list(followed.grouped(2)) == []


def test_what_is_not_followed_is_not_found() -> None:
    """It is an error with a name."""
    followed, [plain] = follow(PLAIN)
    assert followed.get(1) is plain
    with pytest.raises(NotFound):
        followed.get(2)


def test_a_new_form_takes_the_place_of_the_one_before() -> None:
    """It is counted once, by the new form."""
    followed, _ = follow(PLAIN, POOLS)
    newer = make_rankings(replace(PLAIN, metric=HOURS, breakdown=(POOL,)))
    followed.install(newer)
    assert followed.get(1) is newer
    assert newer not in followed.counting(LAPS.number)
    assert list(followed.counting(HOURS.number)) == [newer]
    assert newer in followed.grouped(1)
    assert len(list(followed)) == 2


def test_a_new_definition_keeps_the_rankings() -> None:
    """The same object, told what it is called now; a board that is not followed stays so."""
    followed, [plain] = follow(PLAIN)
    followed.redefine(Plan(replace(PLAIN, name="New")))
    followed.redefine(Plan(POOLS))
    assert followed.get(1) is plain
    assert plain.plan.board.name == "New"
    assert list(followed) == [plain]
    assert list(followed.counting(LAPS.number)) == [plain]


@pytest.mark.parametrize("by_definition", [True, False])
def test_a_frozen_board_is_read_and_counts_nothing(by_definition: bool) -> None:
    """Whether its definition says so or it was frozen just now."""
    rankings = make_rankings(replace(POOLS, finished_position=5) if by_definition else POOLS)
    rankings.frozen_position = 5
    followed = Followed()
    followed.install(rankings)
    assert followed.get(2) is rankings
    assert list(followed.counting(LAPS.number)) == list(followed.grouped(1)) == []


def test_a_board_without_metric_counts_nothing() -> None:
    """Points and streaks come from elsewhere."""
    followed, [rankings] = follow(make_board(rank_by="streak", metric=None))
    assert followed.get(1) is rankings
    assert list(followed.counting(LAPS.number)) == []


def test_a_removed_board_is_nowhere() -> None:
    """And removing it again is no error."""
    followed, [_, pools] = follow(PLAIN, POOLS)
    followed.remove(1)
    followed.remove(1)
    assert list(followed) == [pools]
    assert list(followed.counting(LAPS.number)) == [pools]
