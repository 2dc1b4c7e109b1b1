"""A catalog of definitions that are given once: enough for actions that read them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from palmares.catalog.contract import DEFAULT_SCOPE, ApiKey, ApplicationKey, Definitions, Environment, Tenants
from palmares.domain.board import Board
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import PointsSystem
from palmares.domain.settings import EnvironmentSettings
from palmares.domain.streak_settings import StreakSettings
from palmares.service.authenticate import secret_hash

PRODUCTION = Environment(1, "production", "Production", 1, created=0, scope=DEFAULT_SCOPE)


class PlainCatalog:
    """The reading half of a `Catalog`, with one scope and one admin key; only boards and settings can be saved."""

    def __init__(self, metrics: Sequence[Metric] = (), attributes: Sequence[Attribute] = (), key: str = "") -> None:
        self._boards: dict[str, Board] = {}
        self._definitions = Definitions(
            metrics=metrics,
            attributes=attributes,
            metric_by_key={metric.key: metric for metric in metrics},
            metric_by_id={metric.id: metric for metric in metrics},
            attribute_by_id={attribute.id: attribute for attribute in attributes},
            user_attribute_keys=frozenset(one.key for one in attributes if one.kind == "user"),
            event_attribute_keys=frozenset(one.key for one in attributes if one.kind == "event"),
        )
        prefix, _, secret = key.partition(".")
        self._key = ApiKey("key-1", DEFAULT_SCOPE, "test", prefix, secret_hash(secret), True, 0)

    def add(self, *boards: Board) -> None:
        """Boards are added or, by their key, replaced."""
        self._boards |= {board.key: board for board in boards}
        self._definitions = replace(
            self._definitions,
            boards=list(self._boards.values()),
            board_by_key=self._boards,
            board_by_id={board.id: board for board in self._boards.values()},
        )

    async def save_boards(self, boards: Sequence[Board]) -> list[Board]:
        self.add(*boards)
        return list(boards)

    def pay(self, *systems: PointsSystem) -> None:
        """These are the points systems from now on."""
        self._definitions = replace(
            self._definitions,
            points_systems=systems,
            points_system_by_key={system.key: system for system in systems},
            points_system_by_id={system.id: system for system in systems},
            points_triggers={trigger.id: trigger for system in systems for trigger in system.triggers},
        )

    async def save_streaks(self, scope: int, settings: StreakSettings) -> None:
        assert scope == DEFAULT_SCOPE
        self._definitions = replace(self._definitions, streaks=settings)

    async def save_settings(self, scope: int, settings: EnvironmentSettings) -> None:
        assert scope == DEFAULT_SCOPE
        self._definitions = replace(self._definitions, settings=settings)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        yield

    def definitions(self, scope: int) -> Definitions:
        return self._definitions if scope == DEFAULT_SCOPE else Definitions()

    def key(self, prefix: str) -> ApiKey | None:
        return self._key if prefix == self._key.prefix else None

    def environment(self, scope: int) -> Environment:
        assert scope == DEFAULT_SCOPE
        return PRODUCTION

    def environments(self) -> Sequence[Environment]:
        return [PRODUCTION]

    def tenants(self, environment: int) -> Tenants:
        return Tenants()

    async def application_key(self, prefix: str) -> ApplicationKey | None:
        return None

    async def application_keys_of(self, scope: int, user_ids: Sequence[str]) -> list[ApplicationKey]:
        return []

    async def delete_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        assert not keys

    def touch_key(self, key_id: str, now: int) -> None:
        """The time of use is not kept."""
