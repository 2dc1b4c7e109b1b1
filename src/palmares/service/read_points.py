"""Reading points: systems, what a user has, and what an event earned.

A ledger tells of awards by numbers and ids. What has become of a trigger since is told as it is defined now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.errors import NotFound
from palmares.domain.points import PointsSystem, PointsTrigger
from palmares.ledger.contract import Award
from palmares.service.context import Context
from palmares.service.read_user import read_user


class ShownAward(NamedTuple):
    """An award and its trigger; None only where the definitions were lost."""

    award: Award
    trigger: PointsTrigger | None


class UserPoints(NamedTuple):
    """What a user has in a points system, in micros, and some awards."""

    system: PointsSystem
    total: int
    awards: Sequence[ShownAward]

    @property
    def added(self) -> int:
        """What these awards gave, less what they took."""
        return sum(shown.award.amount for shown in self.awards)


def points_system_with(definitions: Definitions, key: str) -> PointsSystem:
    """The points system with that key, or `NotFound`."""
    system = definitions.points_system_by_key.get(key)
    if system is None:
        raise NotFound(f"points system {key[:64]!r} was not found")
    return system


async def read_points(context: Context, scope: int, user_id: str, key: str, awards: int) -> UserPoints:
    """What a user has in a points system, with so many of the newest awards, the newest first.

    Raises `NotFound` for an unknown user or system. O(awards).
    """
    user = await read_user(context, scope, user_id)
    definitions = context.catalog.definitions(scope)
    system = points_system_with(definitions, key)
    total = await context.ledger.total(user, system.counter)
    newest = await context.ledger.awards(user, system.counter, awards)
    return UserPoints(system, total, _shown(definitions, newest))


def earned_points(context: Context, scope: int, awards: Sequence[Award]) -> list[UserPoints]:
    """What the awards of one event come to in each points system; none in one that was deleted this moment."""
    definitions = context.catalog.definitions(scope)
    systems = {system.counter.number: system for system in definitions.points_systems}
    found = []
    for number in dict.fromkeys(award.system for award in awards):
        own = [award for award in awards if award.system == number]
        if number in systems:
            found.append(UserPoints(systems[number], own[-1].total, _shown(definitions, own)))
    return found


def _shown(definitions: Definitions, awards: Sequence[Award]) -> list[ShownAward]:
    return [ShownAward(award, definitions.points_triggers.get(award.trigger)) for award in awards]
