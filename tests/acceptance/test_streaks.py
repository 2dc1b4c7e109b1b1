"""Streaks through the official SDK, on a clock that the test moves: they grow, break at midnight, and rank users."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from trophy import CreateLeaderboardRequestItem, StreakSettingsMetric, UpsertedUser
from trophy.errors import UnprocessableEntityError

from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import define_metric, made_board, sync_client

CLOCK = ("--test-clock", "2026-03-04T12:00:00Z")


def swim(client: Any, user: str, tz: str, value: float = 1) -> Any:
    return client.metrics.event(key="laps", user=UpsertedUser(id=user, tz=tz), value=value)


def standings(client: Any) -> list[tuple[str, int]]:
    return [(row.user_id, row.value) for row in client.leaderboards.get("streaks").rankings]


def define_streaks(client: Any) -> None:
    item = CreateLeaderboardRequestItem(
        name="Streaks", key="streaks", rank_by="streak", start="2026-03-01", status="active"
    )
    made_board(client, item)


def test_a_streak_grows_breaks_at_local_midnight_and_is_there_after_a_kill(
    start: Start, call: Callable[[Process], Caller]
) -> None:
    """As the SDK reads it: in answers to events, of one user and of many, and on a board."""
    process = start(*CLOCK)
    clock = call(process)
    with sync_client(process.address, ADMIN_KEY) as client:
        define_metric(client, "laps")
        define_streaks(client)
        first = swim(client, "tokyo", "Asia/Tokyo")
        swim(client, "york", "America/New_York")
        clock.move_clock(datetime.fromisoformat("2026-03-05T12:00:00+00:00"))
        second = swim(client, "york", "America/New_York")
        assert list(first.leaderboards) == list(second.leaderboards) == ["streaks"]
        assert (first.current_streak.length, first.current_streak.extended) == (1, True)
        assert (second.current_streak.length, second.current_streak.expires) == (2, "2026-03-06")
        assert standings(client) == [("york", 2), ("tokyo", 1)]
        clock.move_clock(datetime.fromisoformat("2026-03-05T15:00:00+00:00"))
        assert standings(client) == [("york", 2)]
    process.kill()

    process = start("--test-clock", "2026-03-05T16:00:00Z")
    with sync_client(process.address, ADMIN_KEY) as client:
        assert standings(client) == [("york", 2)]
        york = client.users.streak("york", history_periods=3)
        assert (york.length, york.started, york.period_end) == (2, "2026-03-04", "2026-03-05")
        assert york.extended.isoformat() == "2026-03-05T12:00:00+00:00"
        assert [(one.period_start, one.length, one.used_pause) for one in york.streak_history] == [
            ("2026-03-03", 0, False), ("2026-03-04", 1, False), ("2026-03-05", 2, False),
        ]  # fmt: skip
        many = client.streaks.list(user_ids=["tokyo", "york"])
        assert [(one.user_id, one.streak_length) for one in many] == [("york", 2), ("tokyo", 0)]


def test_settings_change_what_counts(start: Start) -> None:
    """For what has happened, too; what does not fit is a typed error of the SDK."""
    process = start(*CLOCK)
    with sync_client(process.address, ADMIN_KEY) as client:
        define_metric(client, "laps")
        define_streaks(client)
        swim(client, "a", "UTC", 3)
        swim(client, "b", "UTC", 5)
        before = client.admin.streaks.settings.get()
        assert (before.frequency, before.evaluation_mode, before.metrics, before.freezes) == ("daily", "OR", [], None)
        after = client.admin.streaks.settings.update(
            frequency="weekly", metrics=[StreakSettingsMetric(key="laps", threshold=5)]
        )
        assert (after.frequency, [(one.key, one.threshold) for one in after.metrics]) == ("weekly", [("laps", 5)])
        assert standings(client) == [("b", 1)]
        assert swim(client, "a", "UTC", 2).current_streak.period_start == "2026-03-01"
        with pytest.raises(UnprocessableEntityError, match="days"):
            client.admin.streaks.settings.update(days_off=[0])
        assert client.admin.streaks.settings.get() == after
