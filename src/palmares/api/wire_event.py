"""The answer to an event, which tells what it did to everything that has a shape of its own."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from palmares.api.wire import EventLeaderboard, Exact, StreakState, Uuid
from palmares.api.wire_points import EventPoints


class EventAnswer(Struct, rename="camel"):
    """What an event did. The last two fields are there when an idempotency key was sent."""

    event_id: Uuid
    metric_id: Uuid
    total: Exact
    achievements: list[dict[str, Any]]
    current_streak: StreakState
    points: dict[str, EventPoints]
    leaderboards: dict[str, EventLeaderboard]
    idempotency_key: str | UnsetType = UNSET
    idempotent_replayed: bool | UnsetType = UNSET
