"""Who leaves a ranking when a streak breaks, found by the instant."""

from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.value import MOST
from palmares.ledger.embedded.breaks import Breaks


def test_users_leave_at_their_instant_and_only_once() -> None:
    breaks = Breaks()
    for user, instant in ((1, 50), (2, 30), (3, 50)):
        breaks.set(user, instant)

    assert breaks.first == 30
    assert breaks.pop(29) == []
    assert sorted(breaks.pop(50)) == [1, 2, 3]
    assert breaks.pop(60) == []
    assert breaks.first == MOST


def test_only_the_last_instant_of_a_user_counts() -> None:
    """Also one that was given before, taken away and given again."""
    breaks = Breaks()
    breaks.set(1, 50)
    breaks.set(1, 70)
    breaks.set(2, 50)
    breaks.set(2, None)
    breaks.set(3, 50)
    breaks.set(3, 70)
    breaks.set(3, 50)

    assert breaks.pop(60) == [3]
    assert breaks.pop(80) == [1]


def test_who_stays_and_was_never_named_takes_no_room() -> None:
    breaks = Breaks()
    breaks.set(1_000_000, None)

    assert (breaks.dump(), breaks.first) == (b"", MOST)


@given(st.lists(st.tuples(st.integers(1, 6), st.one_of(st.none(), st.integers(0, 9)))), st.integers(0, 9))
def test_what_is_written_down_and_read_again_is_the_same(story: list[tuple[int, int | None]], now: int) -> None:
    """Compared with a dictionary, too."""
    breaks, read, expected = Breaks(), Breaks(), dict[int, int | None]()
    for user, instant in story:
        breaks.set(user, instant)
        expected[user] = instant
    read.load(breaks.dump())

    leaving = sorted(user for user, instant in expected.items() if instant is not None and instant <= now)
    assert sorted(breaks.pop(now)) == sorted(read.pop(now)) == leaving
