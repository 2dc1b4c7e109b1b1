"""The files are compacted in the background after erasures, in an order in which nothing is forgotten too soon."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from palmares.catalog.contract import ApplicationKey
from palmares.domain.errors import Unavailable
from palmares.ledger.contract import Erasure
from palmares.service.compact import Compactor
from tests.naps import Naps

pytestmark = pytest.mark.anyio

ANN = Erasure(1, 7, "ann", 100)


@dataclass
class Parts:
    """A ledger, a catalog and an outbox that note what they are told. `failing` names a step that fails once."""

    erasures: list[Erasure] = field(default_factory=lambda: [ANN])
    keys: list[ApplicationKey] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    failing: str | None = None
    compacted: asyncio.Event = field(default_factory=asyncio.Event)

    async def unfinished_erasures(self) -> list[Erasure]:
        return list(self.erasures)

    async def application_keys_of(self, scope: int, user_ids: Sequence[str]) -> list[ApplicationKey]:
        return [key for key in self.keys if key.scope == scope and key.user_id in user_ids]

    async def delete_application_keys(self, keys: Sequence[ApplicationKey]) -> None:
        self._note("keys", [key.id for key in keys])

    async def rewrite(self, scope: int, change: Any) -> None:
        self._note("rewrite", scope, change(100, b'{"user":{"id":"ann"}}'), change(101, b'{"user":{"id":"ann"}}'))

    async def compact(self, numbers: Sequence[int] | None = None) -> None:
        self._note("compact", numbers)
        if numbers is not None:
            self.erasures = [erasure for erasure in self.erasures if erasure.number not in numbers]
            self.compacted.set()

    def _note(self, *what: Any) -> None:
        if what[0] == self.failing:
            self.failing = None
            raise Unavailable("the disk is full")
        self.told.append(what)


def compactor_of(parts: Any, naps: Naps) -> Compactor:
    return Compactor(parts, parts, parts, naps, lambda: 0.0)


WHOLE = [
    ("keys", ["old"]),
    ("rewrite", 1, None, b'{"user":{"id":"ann"}}'),
    ("compact", None),
    ("compact", None),
    ("compact", [7]),
]


def keys() -> list[ApplicationKey]:
    """One from before the erasure, one of somebody new with the id, and one of another scope."""
    made = [("old", 1, 99), ("new", 1, 101), ("other", 2, 99)]
    return [ApplicationKey(key_id, scope, "ann", f"app_{key_id}", b"", created) for key_id, scope, created in made]


async def test_the_ledger_comes_last_because_it_knows_the_ids() -> None:
    """Keys and messages from after the erasure are somebody else's."""
    parts = Parts(keys=keys())
    await compactor_of(parts, Naps()).settle()
    assert parts.told == WHOLE


async def test_without_an_id_only_the_ledger_has_something_left() -> None:
    """The others had been done before a crash."""
    parts = Parts([ANN._replace(user_id=None)])
    await compactor_of(parts, Naps()).settle()
    assert parts.told == [("compact", [7])]


async def test_it_begins_by_itself_and_again_after_a_failure() -> None:
    """A moment later, so that a crowd costs one pass."""
    parts, naps = Parts(keys=keys(), failing="rewrite"), Naps()
    naps.skipped = {1.0, 30.0}
    compactor = compactor_of(parts, naps)
    compactor.look()
    compactor.look()
    await parts.compacted.wait()
    await compactor.close()
    assert parts.told == [WHOLE[0], *WHOLE]
    assert parts.erasures == []


async def test_where_nothing_is_left_nothing_is_done() -> None:
    parts = Parts([])
    await compactor_of(parts, Naps()).settle()
    assert parts.told == []
