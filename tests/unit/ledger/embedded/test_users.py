"""Users in layers: the newest state wins, and memory is bounded."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.local_time import EPOCH_ORDINAL
from palmares.domain.preferences import Preferences, StreakPreferences
from palmares.domain.user import User
from palmares.ledger.embedded.log import Log, PastEvent
from palmares.ledger.embedded.projection import FirstUse, Projection
from palmares.ledger.embedded.users import (
    Sum,
    Users,
    UserState,
    attributes_before,
    decode_user,
    encode_user,
    preferences_before,
)
from tests.ledger_world import BUSY, Clock, open_embedded, swim
from tests.log_lines import METRIC, STORY, event_line, user_line, void_line, write
from tests.world import make_board

EVER = (-(2**62), 2**62)
BOARD = make_board()


class Parts:
    """A log, its projection and the users, moved on by hand."""

    def __init__(self, folder: Path, most_cached: int = 4) -> None:
        self.log = Log(folder / "log.sqlite3")
        write(self.log, STORY)
        self.projection = Projection(folder / "projection.sqlite3", folder / "log.sqlite3", 7)
        self.projection.position = self.projection.fill(7)
        self.users = Users(self.projection, most_cached)

    def cached(self) -> int:
        return len(self.users._young.by_id) + len(self.users._old.by_id)

    def put(self, user_id: str, number: int, total: int = 0, **fields: Any) -> UserState:
        user = User(number=number, scope=1, id=user_id, created=0, updated=0, **fields)
        state = UserState(user, {METRIC: Sum(total, 0)})
        self.users.put(state)
        return state

    def project(self, *lines: Any) -> None:
        """What was put is in the log too; the projection takes it in."""
        write(self.log, lines)
        self.users.begin_filling()
        self.users.end_filling(self.projection.fill(self.log.position))

    def churn(self) -> None:
        """Look at so many others that nobody else stays in the cache."""
        for number in range(1, 60):
            self.users.find(1, f"other-{number}")


@pytest.fixture
def parts(folder: Path) -> Iterator[Parts]:
    made = Parts(folder)
    yield made
    made.projection.close()
    made.log.close()


def test_projected_users_are_found_by_id_and_by_number(parts: Parts) -> None:
    """With their totals and the time of their newest event."""
    state = parts.users.find(1, "ann")
    assert state is not None
    assert (state.user.name, state.sums) == ("Ann", {METRIC: Sum(7, 7)})
    assert parts.users.get(1) == state
    assert parts.users.id_of(2) == b"bob"
    assert parts.users.last_number == 2


def test_nobody_is_found_by_an_unknown_id_or_in_another_scope(parts: Parts) -> None:
    """None, again and again."""
    assert parts.users.find(1, "nobody") is None
    assert parts.users.find(2, "ann") is None


def test_the_cache_is_bounded(parts: Parts) -> None:
    """However many are looked at, no more than allowed stay in memory; who was seen lately is among them."""
    lines = [user_line(8 + place, 3 + place, f"other-{place}") for place in range(100)]
    parts.project(*lines)
    for place in range(100):
        parts.users.find(1, f"other-{place}")
        assert parts.cached() <= 4
        assert (1, f"other-{place}") in parts.users._young.by_id
    for number in range(1, 103):
        parts.users.get(number)
        assert parts.cached() <= 4


def test_who_is_looked_at_often_stays(parts: Parts) -> None:
    """Each look renews the stay."""
    parts.project(*(user_line(8 + place, 3 + place, f"other-{place}") for place in range(20)))
    ann = parts.users.find(1, "ann")
    for place in range(20):
        parts.users.find(1, f"other-{place}")
        assert parts.users.find(1, "ann") is ann


def test_what_is_not_projected_is_pinned(parts: Parts) -> None:
    """Nothing else has it, so no bound applies."""
    states = [parts.put(f"new-{place}", 10 + place) for place in range(20)]
    parts.churn()
    assert [parts.users.find(1, f"new-{place}") for place in range(20)] == states
    assert [parts.users.get(10 + place) for place in range(20)] == states
    assert parts.users.last_number == 29
    assert parts.users.unprojected_steps == 20


def test_a_newer_state_wins_over_cached_ones(parts: Parts) -> None:
    """In every phase of a projection step, and when everything else has left the cache."""
    parts.users.find(1, "ann")
    newer = parts.put("ann", 1, name="Newer")
    assert parts.users.find(1, "ann") is newer
    write(parts.log, [user_line(8, 1, "ann", "Newer")])
    parts.users.begin_filling()
    assert parts.users.find(1, "ann") is newer
    newest = parts.put("ann", 1, name="Newest")
    assert parts.users.find(1, "ann") is newest
    parts.users.end_filling(parts.projection.fill(8))
    assert parts.users.find(1, "ann") is newest
    parts.project(user_line(9, 1, "ann", "Newest"))
    for place in range(30):
        parts.users.get(1 + place % 2)
        found = parts.users.find(1, "ann")
        assert found is not None
        assert found.user.name == "Newest"
    assert parts.users.get(1).user.name == "Newest"


def test_stale_copies_never_come_back(parts: Parts) -> None:
    """A copy from before two steps ago may lie in an old layer, behind newer ones."""
    names = []
    for step in range(8, 20):
        parts.users.find(1, "ann")
        parts.users.find(1, "bob")
        parts.put("ann", 1, name=f"name-{step}")
        parts.project(user_line(step, 1, "ann", f"name-{step}"))
        parts.users.find(1, "bob")
        found = parts.users.find(1, "ann")
        names.append(found.user.name if found else None)
    assert names == [f"name-{step}" for step in range(8, 20)]


def test_a_failed_step_keeps_everything_for_the_next(parts: Parts) -> None:
    """Users, events and keys of before and of meanwhile; the newer state of a user wins."""
    parts.put("ann", 1, name="Before")
    bob = parts.put("bob", 2, name="Before")
    parts.users.note_event(1, METRIC, PastEvent(8, 8, 1, 8))
    parts.users.note_key(1, METRIC, "before", FirstUse(8, 8))
    parts.users.begin_filling()
    ann = parts.put("ann", 1, name="Meanwhile")
    parts.users.note_event(1, METRIC, PastEvent(9, 9, 2, 9))
    parts.users.note_key(1, METRIC, "meanwhile", FirstUse(9, 9))
    parts.users.undo_filling()
    assert parts.users.find(1, "ann") is ann
    assert parts.users.get(2) is bob
    assert [event.position for event in parts.users.history(1, METRIC, 8, 100, 100)] == [8, 9]
    assert parts.users.first_use(1, METRIC, "before") == FirstUse(8, 8)
    assert parts.users.first_use(1, METRIC, "meanwhile") == FirstUse(9, 9)
    assert parts.users.unprojected_steps == 3


def test_events_are_told_once_in_every_phase(parts: Parts) -> None:
    """Held, being taken in, on disk already but not yet told so, and projected."""
    event = PastEvent(8, 8, 1, 8)
    expected = [PastEvent(2, 2, 5, 2), PastEvent(7, 7, 4, 7), event]

    def told() -> list[PastEvent]:
        assert parts.users.days(1, METRIC, *EVER) == {EPOCH_ORDINAL: 8}
        return sorted(parts.users.history(1, METRIC, 2, 100, 100))

    write(parts.log, [event_line(8, 1, 1, 8)])
    parts.users.note_event(1, METRIC, event)
    assert told() == expected
    parts.users.begin_filling()
    assert told() == expected
    parts.projection.fill(8)
    assert told() == expected
    parts.users.end_filling(8)
    assert told() == expected


def test_a_history_ends_at_a_position_and_keeps_to_its_stretch(parts: Parts) -> None:
    """Of projected and of held events alike."""
    parts.users.note_event(1, METRIC, PastEvent(8, 8, 1, 8))
    parts.users.note_event(1, METRIC, PastEvent(9, 9, 1, 9))
    parts.users.note_event(1, 77, PastEvent(9, 10, 1, 9))
    assert sorted(event.position for event in parts.users.history(1, METRIC, *EVER, 8)) == [2, 6, 7, 8]
    assert sorted(event.position for event in parts.users.history(1, METRIC, 2, 8, 100)) == [2, 7]


def test_keys_are_found_wherever_they_are(parts: Parts) -> None:
    """By user, metric and key."""
    assert parts.users.first_use(1, METRIC, "k") == FirstUse(2, 2)
    assert parts.users.first_use(2, METRIC, "k") is None
    assert parts.users.first_use(1, 77, "k") is None
    parts.users.note_key(2, METRIC, "k", FirstUse(8, 8))
    assert parts.users.first_use(2, METRIC, "k") == FirstUse(8, 8)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "Ann", "email": "a@example.org", "tz": "Asia/Tokyo", "sign_up_date": 739_000, "control": True},
        {"device_tokens": ("one", "two"), "emails_declined": True},
        {"device_tokens": (), "attributes": {"pool": "east", "ä": "€\n\0"}},
        {"preferences": Preferences({"recap": ("push",)}, StreakPreferences(False, "AND", ((1, 5),), ()))},
    ],
)
def test_a_user_comes_back_from_its_body(fields: dict[str, Any]) -> None:
    """Every field, of its own type."""
    user = User(number=3, scope=2, id="x", created=5, updated=6, **fields)
    other = replace(user, attributes={"pool": "west"}, preferences=Preferences({"recap": ("email",)}))
    for before, attributes, preferences in (
        (None, None, None),
        (user, None, None),
        (other, other.attributes, other.preferences),
    ):
        body = encode_user(user, before)
        assert decode_user(3, 2, "x", body) == user
        assert (attributes_before(body), preferences_before(body)) == (attributes, preferences)


def test_a_line_from_before_there_were_preferences_is_of_a_user_without_any() -> None:
    """And lines of such users still look like that."""
    user = User(number=3, scope=2, id="x", created=5, updated=6)
    body = encode_user(user, replace(user, preferences=Preferences({"recap": ()})))

    assert '"preferences":' not in body
    assert decode_user(3, 2, "x", body).preferences == Preferences()


@pytest.mark.anyio
async def test_a_page_shows_a_name_changed_since_it_was_read_from_the_disk(folder: Path) -> None:
    """Names of users who were not seen lately are remembered until the user changes."""
    ledger = await open_embedded(folder, Clock(), [BOARD], BUSY)
    for number in range(12):
        await ledger.record([swim(f"user-{number}", 1, name="before")])
    run = BOARD.schedule.run_at(BOARD.start)
    assert run is not None
    assert {row.user_name for row in await ledger.page(BOARD.number, run, [()], 0, 20)} == {"before"}
    await ledger.record([swim("user-0", 1, name="after")])
    for number in range(1, 12):
        await ledger.record([swim(f"user-{number}", 1)])
    names = {row.user_id: row.user_name for row in await ledger.page(BOARD.number, run, [()], 0, 20)}
    assert (names.pop("user-0"), set(names.values())) == ("after", {"before"})
    await ledger.close()


@pytest.mark.anyio
async def test_what_layers_leave_behind_is_freed_little_by_little(folder: Path) -> None:
    """And wholly, so that memory stays bounded."""
    ledger = await open_embedded(folder, Clock(), [BOARD], BUSY)
    for number in range(50):
        await ledger.record([swim(f"user-{number}", 1, key=f"key-{number}")])
        assert sum(map(len, ledger._users._discarded)) < 50
    await ledger.close()


def test_a_void_is_known_in_whatever_layer_it_is(parts: Parts) -> None:
    """Of an event that is projected, or is not yet; also while the projection takes it in, and after that failed."""
    users, coming = parts.users, PastEvent(8, 8, 3, 8)
    users.note_event(1, METRIC, coming)

    def left(upto: int = 10) -> list[int]:
        return sorted(event.position for event in users.history(1, METRIC, *EVER, upto))

    assert (left(), users.days(1, METRIC, *EVER)) == ([2, 6, 7, 8], {EPOCH_ORDINAL: 10})
    users.note_void(1, METRIC, 2, 9)
    users.begin_filling()
    users.note_void(1, METRIC, 8, 10)
    assert (left(), left(9), left(8)) == ([6, 7], [6, 7, 8], [2, 6, 7, 8])
    assert users.days(1, METRIC, *EVER) == {EPOCH_ORDINAL: 2}
    assert [users.is_void(1, METRIC, target) for target in (2, 6, 8)] == [True, False, True]
    users.undo_filling()
    assert (left(), left(8)) == ([6, 7], [2, 6, 7, 8])
    parts.project(event_line(8, 1, 3, 10), void_line(9, STORY[1], 5), void_line(10, event_line(8, 1, 3, 10), 2))
    assert (left(), left(9), users.is_void(1, METRIC, 8)) == ([6, 7], [6, 7, 8], True)
    assert users.days(1, METRIC, *EVER) == {EPOCH_ORDINAL: 2}
