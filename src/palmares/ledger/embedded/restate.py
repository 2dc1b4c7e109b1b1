"""Working out everybody's streak anew, after a change of what counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter

import msgspec

from palmares.domain.preferences import Preferences, streak_settings_of
from palmares.domain.streak import Streak, StreakEvent, fold
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.embedded.past import InThread
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.streaks import metrics_json

_USERS_AT_ONCE = 500
_PREFERENCES = msgspec.json.Decoder(Preferences)

# A user, the user's zone, the preferences as JSON, and an event.
Row = tuple[int, str | None, str | None, StreakEvent]


async def restate(projection: Projection, in_thread: InThread, scope: int, settings: StreakSettings) -> None:
    """Keep the streaks of a scope as they are by these settings.

    The projection has everything that was recorded while others held; whoever does something meanwhile has a newer
    state and keeps it. `in_thread` works on the thread that fills the projection. One pass over the events.
    """
    with closing(projection.snapshot()) as snapshot:
        users = groupby(snapshot.streak_events(scope, metrics_json(settings)), key=itemgetter(0))
        while portion := await in_thread(_some, users, settings):
            await in_thread(projection.restate, scope, portion)
    await in_thread(projection.finish_restating, scope, settings.version)
    projection.streak_rules[scope] = settings.version


def _some(users: Iterator[tuple[int, Iterator[Row]]], settings: StreakSettings) -> list[tuple[int, Streak]]:
    """The streaks of the next users."""
    return [(user, _streak(list(rows), settings)) for user, rows in islice(users, _USERS_AT_ONCE)]


def _streak(rows: list[Row], settings: StreakSettings) -> Streak:
    _, tz, preferences, _ = rows[0]
    if preferences is not None:
        settings = streak_settings_of(settings, _PREFERENCES.decode(preferences))
    return fold(settings, sorted(event for *_, event in rows), tz)
