"""The catalog: what has been defined, and who may ask.

Everything a request needs is held in memory as immutable snapshots, so reading never waits; a change is on disk
before it is in the snapshot. Several processes may share one catalog: `refresh` picks up what the others changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from palmares.domain.board import Board
from palmares.domain.metric import Attribute, Metric
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.webhook import Webhook

# The scope that exists from the start: the production environment, no tenant.
DEFAULT_SCOPE = 1


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An admin key: opens one scope. Only a hash (SHA-256) of its secret is kept; the prefix may be shown."""

    id: str
    scope: int
    name: str
    prefix: str
    secret_hash: bytes
    active: bool
    created: int
    last_used: int | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """What one scope has defined, without what was deleted. Lists are oldest first."""

    metrics: Sequence[Metric] = ()
    attributes: Sequence[Attribute] = ()
    boards: Sequence[Board] = ()
    metric_by_key: Mapping[str, Metric] = field(default_factory=dict)
    metric_by_id: Mapping[str, Metric] = field(default_factory=dict)
    attribute_by_id: Mapping[str, Attribute] = field(default_factory=dict)
    user_attribute_keys: frozenset[str] = frozenset()
    event_attribute_keys: frozenset[str] = frozenset()
    board_by_key: Mapping[str, Board] = field(default_factory=dict)
    board_by_id: Mapping[str, Board] = field(default_factory=dict)
    streaks: StreakSettings = field(default_factory=StreakSettings)
    webhooks: Sequence[Webhook] = ()
    webhook_by_id: Mapping[str, Webhook] = field(default_factory=dict)


class Catalog(Protocol):
    """Definitions and keys, durable. Every method may raise `Unavailable`."""

    def definitions(self, scope: int) -> Definitions:
        """The present definitions of a scope; a dictionary look-up."""

    def scopes(self) -> Sequence[int]:
        """All scopes, the default one first."""

    def key(self, prefix: str) -> ApiKey | None:
        """The admin key with that prefix, active or not; a dictionary look-up."""

    def keys(self) -> Sequence[ApiKey]:
        """All admin keys, oldest first."""

    def changing(self) -> AbstractAsyncContextManager[None]:
        """Hold this while checking and then saving definitions: within this process one holds it at a time.

        Begins with a `refresh`, so what is checked is what the others left behind. Two processes that give the same
        key all the same are kept apart by the database: the later one's save raises `Unavailable` and stores nothing.
        """

    async def save_metrics(self, metrics: Sequence[Metric]) -> list[Metric]:
        """Insert (number 0) or update metrics, all or none; returns them with their numbers."""

    async def save_attributes(self, attributes: Sequence[Attribute]) -> list[Attribute]:
        """Insert or update attributes, all or none."""

    async def save_boards(self, boards: Sequence[Board]) -> list[Board]:
        """Insert (number 0) or update boards, all or none; returns them with their numbers."""

    async def save_streaks(self, scope: int, settings: StreakSettings) -> None:
        """Keep what counts for the streaks of a scope."""

    async def save_webhooks(self, webhooks: Sequence[Webhook]) -> list[Webhook]:
        """Insert (number 0) or update webhooks, all or none; returns them with their numbers."""

    async def delete_metrics(self, ids: Sequence[str]) -> None:
        """Delete metrics; their numbers are never given again."""

    async def delete_attributes(self, ids: Sequence[str]) -> None:
        """Delete attributes."""

    async def delete_boards(self, ids: Sequence[str]) -> None:
        """Delete boards; their numbers are never given again."""

    async def delete_webhooks(self, ids: Sequence[str]) -> None:
        """Delete webhooks and their secrets."""

    async def save_key(self, key: ApiKey) -> None:
        """Insert or update an admin key by its id."""

    async def delete_key(self, key_id: str) -> None:
        """Delete an admin key."""

    def touch_key(self, key_id: str, now: int) -> None:
        """Note that a key was used; written with the next `refresh`, so a crash may lose the newest seconds."""

    async def refresh(self) -> bool:
        """Write what `touch_key` noted and take up what other processes changed; True when anything changed."""

    async def close(self) -> None:
        """Let go of the database."""
