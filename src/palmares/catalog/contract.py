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
from palmares.domain.points import PointsSystem, PointsTrigger
from palmares.domain.settings import EnvironmentSettings
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.webhook import Webhook

# The scope that exists from the start: the production environment, no tenant.
DEFAULT_SCOPE = 1


@dataclass(frozen=True, slots=True)
class Environment:
    """What isolates all data. `scope` is its own, without a tenant.

    With `multi_tenancy` every request names a tenant, and only the scopes of tenants are reached.
    A new one has id and scope 0. The lower the `priority`, the earlier it is listed.
    """

    id: int
    key: str
    name: str
    priority: int
    created: int
    multi_tenancy: bool = False
    scope: int = 0


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of the customer, within an environment, with a scope of its own; a new one has scope 0."""

    id: str
    environment: int
    customer_id: str
    name: str
    created: int
    updated: int
    scope: int = 0


@dataclass(frozen=True, slots=True)
class Tenants:
    """The tenants of one environment that are not archived, oldest first."""

    all: Sequence[Tenant] = ()
    by_id: Mapping[str, Tenant] = field(default_factory=dict)
    by_customer_id: Mapping[str, Tenant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An admin key: opens one environment, told by the environment's own scope.

    Only a hash (SHA-256) of its secret is kept; the prefix may be shown.
    """

    id: str
    scope: int
    name: str
    prefix: str
    secret_hash: bytes
    active: bool
    created: int
    last_used: int | None = None


@dataclass(frozen=True, slots=True)
class ApplicationKey:
    """A key of one user of one scope, safe in their hands. `last_used` is true to the minute."""

    id: str
    scope: int
    user_id: str
    prefix: str
    secret_hash: bytes
    created: int
    last_used: int | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """What one scope has defined, without what was deleted. Lists are oldest first.

    Only `points_triggers`, by their ids, has the deleted ones too: what they have paid still refers to them.
    """

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
    points_systems: Sequence[PointsSystem] = ()
    points_system_by_key: Mapping[str, PointsSystem] = field(default_factory=dict)
    points_system_by_id: Mapping[str, PointsSystem] = field(default_factory=dict)
    points_triggers: Mapping[str, PointsTrigger] = field(default_factory=dict)
    streaks: StreakSettings = field(default_factory=StreakSettings)
    webhooks: Sequence[Webhook] = ()
    webhook_by_id: Mapping[str, Webhook] = field(default_factory=dict)
    settings: EnvironmentSettings = field(default_factory=EnvironmentSettings)


class Catalog(Protocol):
    """Definitions and keys, durable. Every method may raise `Unavailable`."""

    def definitions(self, scope: int) -> Definitions:
        """The present definitions of a scope; a dictionary look-up."""

    def scopes(self) -> Sequence[int]:
        """All scopes but those of archived tenants, the default one first."""

    def environments(self) -> Sequence[Environment]:
        """All environments, the most important first."""

    def environment(self, scope: int) -> Environment:
        """The environment that a scope is part of, also that of an archived tenant; a dictionary look-up."""

    def tenants(self, environment: int) -> Tenants:
        """The tenants of an environment, by its id; a dictionary look-up."""

    def tenant(self, scope: int) -> Tenant | None:
        """The tenant whose scope it is; None for an environment's own scope, and when the tenant is archived."""

    def key(self, prefix: str) -> ApiKey | None:
        """The admin key with that prefix, active or not; a dictionary look-up."""

    def keys(self) -> Sequence[ApiKey]:
        """All admin keys, oldest first."""

    async def application_key(self, prefix: str) -> ApplicationKey | None:
        """The application key with that prefix: a dictionary look-up if it was used lately, else one small read."""

    async def application_keys(self, scope: int, ids: Sequence[str]) -> list[ApplicationKey]:
        """Those of a scope among the application keys with these ids."""

    async def application_keys_of(self, scope: int, user_ids: Sequence[str]) -> list[ApplicationKey]:
        """The application keys of some users. A pass over all keys of the scope."""

    def changing(self) -> AbstractAsyncContextManager[None]:
        """Hold this while checking and then saving definitions: within this process one holds it at a time.

        Begins with a `refresh`, so what is checked is what the others left behind. On PostgreSQL one of all processes
        holds it at a time; raises `Unavailable` after having waited for ten seconds. On SQLite, two processes that
        give the same key all the same are kept apart by the database: the later one's save raises `Unavailable` and
        stores nothing.
        """

    async def save_environment(self, environment: Environment) -> Environment:
        """Insert (id 0) an environment, with a scope of its own, or update one; returns it as it is now."""

    async def save_tenants(self, tenants: Sequence[Tenant]) -> list[Tenant]:
        """Insert (scope 0) tenants, each with a scope, or update them, all or none; returns them as they are now."""

    async def archive_tenants(self, ids: Sequence[str], now: int) -> None:
        """Archive tenants for good: nothing reaches their scopes any more, and their customer ids are free."""

    async def save_metrics(self, metrics: Sequence[Metric]) -> list[Metric]:
        """Insert (number 0) or update metrics, all or none; returns them with their numbers."""

    async def save_attributes(self, attributes: Sequence[Attribute]) -> list[Attribute]:
        """Insert or update attributes, all or none."""

    async def save_boards(self, boards: Sequence[Board]) -> list[Board]:
        """Insert (number 0) or update boards, all or none; returns them with their numbers."""

    async def save_points_systems(self, systems: Sequence[PointsSystem]) -> list[PointsSystem]:
        """Insert (number 0) or update points systems with the triggers that they have, all or none; returns them with
        their numbers. Triggers that a system does not have any more stay until they are deleted."""

    async def save_streaks(self, scope: int, settings: StreakSettings) -> None:
        """Keep what counts for the streaks of a scope."""

    async def save_settings(self, scope: int, settings: EnvironmentSettings) -> None:
        """Keep the settings of the environment that a scope is part of; they hold in all of its scopes."""

    async def save_webhooks(self, webhooks: Sequence[Webhook]) -> list[Webhook]:
        """Insert (number 0) or update webhooks, all or none; returns them with their numbers."""

    async def delete_metrics(self, ids: Sequence[str]) -> None:
        """Delete metrics; their numbers are never given again."""

    async def delete_attributes(self, ids: Sequence[str]) -> None:
        """Delete attributes."""

    async def delete_boards(self, ids: Sequence[str]) -> None:
        """Delete boards; their numbers are never given again."""

    async def delete_points_systems(self, ids: Sequence[str]) -> None:
        """Delete points systems; their numbers are never given again."""

    async def delete_points_triggers(self, ids: Sequence[str], now: int) -> None:
        """Delete triggers of points systems."""

    async def delete_webhooks(self, ids: Sequence[str]) -> None:
        """Delete webhooks and their secrets."""

    async def save_key(self, key: ApiKey) -> None:
        """Insert or update an admin key by its id."""

    async def delete_key(self, key_id: str) -> None:
        """Delete an admin key."""

    def touch_key(self, key_id: str, now: int) -> None:
        """Note that a key was used; written with the next `refresh`, so a crash may lose the newest seconds."""

    async def save_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        """Insert application keys, all or none."""

    async def delete_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        """Delete application keys; other processes hear of it with their next `refresh`."""

    def touch_application_key(self, key: ApplicationKey, now: int) -> None:
        """As `touch_key`, but noted once a minute: one key for each end user would make many writes."""

    async def refresh(self) -> bool:
        """Write which keys were used and take up what other processes changed; True when anything changed."""

    async def compact(self) -> None:
        """Leave nothing in the files of what was deleted; `Unavailable` when that is not possible now."""

    async def close(self) -> None:
        """Let go of the database."""
