"""Ids of events: made of time and place, and read back."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from palmares.ledger.event_id import event_id, position_of

instants = st.integers(0, 253_402_300_799_999_999)
positions = st.integers(1, 2**62 - 1)


@given(instants, positions)
def test_an_id_tells_its_position(recorded_at: int, position: int) -> None:
    """Nothing has to be looked up to find the event."""
    assert position_of(event_id(recorded_at, position)) == position


@given(instants, positions)
def test_an_id_is_a_uuid_of_version_7(recorded_at: int, position: int) -> None:
    """In its one canonical form, with the milliseconds in front."""
    text = event_id(recorded_at, position)
    identifier = UUID(text)
    assert str(identifier) == text
    assert (identifier.version, identifier.variant) == (7, RFC_4122)
    assert identifier.int >> 80 == recorded_at // 1000


@given(st.lists(st.tuples(instants, positions), min_size=2, unique=True))
def test_ids_sort_like_time_and_place(events: list[tuple[int, int]]) -> None:
    """So that no two are the same, and an index on them stays compact."""
    assert sorted(events) == [event for _, event in sorted((event_id(*event), event) for event in events)]
