"""What all who tell webhooks of something have in common: who wants to hear it, and how it becomes a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from palmares.catalog.contract import Catalog
from palmares.domain.board import Board, Status
from palmares.domain.group import Group
from palmares.domain.rank_change import Change
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.domain.webhook import EventType
from palmares.ledger.contract import Row
from palmares.outbox.contract import Message, Recipient

MOST_ROWS = 10


class Bodies(Protocol):
    """What messages look like on the wire: JSON."""

    def rankings(
        self,
        event: EventType,
        at: int,
        board: Board,
        status: Status,
        run: Run,
        group: Group | None,
        rows: Sequence[Row],
    ) -> bytes:
        """Of a run that began, changed or ended: the best rows of a group, None for no group in particular."""

    def rank(
        self,
        event: EventType,
        at: int,
        board: Board,
        status: Status,
        run: Run,
        group: Group,
        user: User,
        change: Change,
    ) -> bytes:
        """Of a user who stands elsewhere than before."""


class Teller:
    """Makes messages. `new_id` makes a UUID."""

    def __init__(self, catalog: Catalog, bodies: Bodies, new_id: Callable[[], str]) -> None:
        self.bodies = bodies
        self._catalog = catalog
        self._new_id = new_id

    def boards(self) -> Iterator[Board]:
        """All boards of all scopes."""
        for scope in self._catalog.scopes():
            yield from self._catalog.definitions(scope).boards

    def wanted(self, event: EventType) -> dict[int, Board]:
        """The boards, by number, that count and of which somebody wants to hear events of a type."""
        return {
            board.number: board
            for scope in self._catalog.scopes()
            if self.wants(scope, event)
            for board in self._catalog.definitions(scope).boards
            if board.ready and board.asked_status == "active"
        }

    def wants(self, scope: int, event: EventType) -> bool:
        """Whether anybody in a scope wants to hear events of a type."""
        return any(webhook.wants(event) for webhook in self._catalog.definitions(scope).webhooks)

    def message(self, scope: int, event: EventType, at: int, body: bytes) -> Message:
        """The message to everybody in a scope who wants to hear it."""
        recipients = [
            Recipient(webhook.id, webhook.url, f"evt_{self._new_id().replace('-', '')}")
            for webhook in self._catalog.definitions(scope).webhooks
            if webhook.wants(event)
        ]
        return Message(scope, event, at, body, recipients)


async def pause() -> None:
    """Let others have their turn on the event loop."""
    await asyncio.sleep(0)
