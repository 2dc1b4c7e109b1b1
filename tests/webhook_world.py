"""A small world for tests of webhooks: a real ledger and a real outbox, an announcer, and a clock that is moved.

It begins on Wednesday 2026-03-04, noon UTC, like the world of actions, and knows the same metrics and attributes.
Moving the clock does what falls due, instant by instant, as the test clock of a server does.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from palmares.api.webhook_json import WebhookBodies
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.local_time import parse_instant
from palmares.domain.value import parse
from palmares.domain.webhook import EVENT_TYPES, EventType, Webhook
from palmares.ledger.contract import Entry
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.outbox.contract import Delivery, Wanted
from palmares.outbox.sql import SqlOutbox
from palmares.service.announce import Announcer, Ways
from palmares.service.test_clock import ClockMover, StandingClock
from palmares.service.timekeeper import Timekeeper
from tests.ledger_world import memory_folder, open_embedded
from tests.plain_catalog import PlainCatalog
from tests.twins import copy_as_after_a_kill
from tests.world import HOURS, LAPS, LEVEL, POOL

THROTTLE_SECONDS = 900


class HookedCatalog(PlainCatalog):
    """With webhooks, which are given too."""

    def scopes(self) -> list[int]:
        return [DEFAULT_SCOPE]

    def hook(self, *webhooks: Webhook) -> None:
        """Webhooks are added or, by their id, replaced."""
        by_id = {**self._definitions.webhook_by_id, **{webhook.id: webhook for webhook in webhooks}}
        self._definitions = replace(self._definitions, webhooks=list(by_id.values()), webhook_by_id=by_id)

    def unhook(self, webhook: Webhook) -> None:
        by_id = {key: one for key, one in self._definitions.webhook_by_id.items() if key != webhook.id}
        self._definitions = replace(self._definitions, webhooks=list(by_id.values()), webhook_by_id=by_id)

    def remove(self, board: Board) -> None:
        del self._boards[board.key]
        self.add()


def make_hook(number: int = 1, *events: EventType, **fields: Any) -> Webhook:
    """A webhook that wants these events, without any all of them."""
    made: dict[str, Any] = {"name": f"hook {number}", "url": f"https://example.org/{number}", "secret": "whs_7Qm2"}
    return Webhook(
        number=number, id=str(UUID(int=number)), scope=DEFAULT_SCOPE, events=events or EVENT_TYPES, created=0,
        **made | fields,
    )  # fmt: skip


class Timer:
    """Counts seconds as the test says."""

    def __init__(self) -> None:
        self.seconds = 0.0
        # How much passes from one look at it to the next.
        self.pace = 0.0

    def __call__(self) -> float:
        self.seconds += self.pace
        return self.seconds


class WebhookWorld:
    """The parts, and short ways to move them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._life = 0
        self._ids = count(1)
        self.catalog = HookedCatalog([LAPS, HOURS], [POOL, LEVEL])
        self.clock = StandingClock(parse_instant("2026-03-04T12:00:00Z", "now"), self._save)
        self.timer = Timer()
        self.patient = True
        self.ledger: EmbeddedLedger
        self.outbox: SqlOutbox
        self.announcer: Announcer
        self._mover: ClockMover

    async def _save(self, now: int) -> None:
        """The folder of a test needs no clock."""

    @property
    def data(self) -> Path:
        return self._folder / str(self._life)

    async def open(self) -> None:
        """What a server does at its start, in the same order."""
        self.data.mkdir(exist_ok=True)
        boards = [board for board in self.catalog.definitions(DEFAULT_SCOPE).boards if board.asked_status != "inactive"]
        self.ledger = await open_embedded(self.data, self.clock, boards)
        self.outbox = await SqlOutbox.open(f"sqlite:///{self.data / 'outbox.sqlite3'}")
        ways = Ways(THROTTLE_SECONDS, self.timer, self.new_id, WebhookBodies(), self.patient)
        self.announcer = await Announcer.open(self.ledger, self.catalog, self.outbox, ways)
        keeper = Timekeeper([self.ledger, self.announcer], self.clock, lambda: 0.0, _never)
        self._mover = ClockMover(self.clock, keeper, self.ledger.settle)
        self._keeper = keeper
        await keeper.finish()

    async def close(self) -> None:
        """What a server does at its end."""
        await self.announcer.close(self.clock())
        await self.shut()

    async def shut(self) -> None:
        """Close the files and nothing else."""
        await self.outbox.close()
        await self.ledger.close()

    async def restart(self, at: str | None = None) -> None:
        """Close everything and open it again, maybe later."""
        await self.close()
        self.set(at)
        await self.open()

    async def crash(self, at: str | None = None) -> None:
        """Open what a kill at this moment leaves, maybe later."""
        former = self.ledger, self.outbox, self.announcer
        before, self._life = self.data, self._life + 1
        copy_as_after_a_kill(before, self.data)
        self.set(at)
        await self.open()
        await former[1].close()
        await former[0].close()

    def set(self, at: str | None) -> None:
        """Set the clock while nobody looks."""
        if at is not None:
            self.clock = StandingClock(parse_instant(at, "at"), self._save)

    def new_id(self) -> str:
        return str(UUID(int=next(self._ids)))

    # What happens

    async def define(self, *boards: Board) -> None:
        """Make boards known, follow those that count, and let announcements begin."""
        self.catalog.add(*boards)
        for board in boards:
            if board.asked_status != "inactive":
                await self.ledger.follow(board)
        await self.look()

    async def hook(self, *events: EventType, **fields: Any) -> Webhook:
        """Let the webhook want these events from now on."""
        webhook = make_hook(1, *events, **fields)
        self.catalog.hook(webhook)
        await self.look()
        return webhook

    async def look(self) -> None:
        """What actions do when they have defined something."""
        await self.announcer.look(self.clock())

    async def tick(self) -> None:
        """What a server does every second."""
        await self._keeper.finish()

    async def go(self, at: str) -> None:
        """Move the clock to an instant of March 2026, such as `04T12:15`, living through all that falls due."""
        text = at if len(at) > 12 else f"2026-03-{at}:00Z"
        await self._mover.move(parse_instant(text, "at"))

    async def change(self, user_id: str, **changes: Any) -> None:
        """Create or change a user; announced at the next tick."""
        await self.ledger.record([Entry(DEFAULT_SCOPE, user_id, changes)])

    async def swim(self, user_id: str, laps: str | int, **changes: Any) -> None:
        """Record an event; announced at the next tick."""
        await self.ledger.record([Entry(DEFAULT_SCOPE, user_id, changes, LAPS, parse(str(laps)))])

    async def swims(self, user_id: str, laps: str | int, **changes: Any) -> None:
        """Record an event, and let a tick come."""
        await self.swim(user_id, laps, **changes)
        await self.tick()

    async def hides(self, user_id: str, hidden: bool = True) -> None:
        """Hide a user or bring one back, and let a tick come."""
        await self.ledger.record([Entry(DEFAULT_SCOPE, user_id, {"hidden": hidden}, must_exist=True)])
        await self.tick()

    # What was told

    async def deliveries(self) -> list[Delivery]:
        return await self.outbox.deliveries(Wanted(DEFAULT_SCOPE, limit=100_000))

    async def bodies(self, event: EventType | None = None) -> list[Any]:
        """The messages, of one type or of all, in the order in which they were written."""
        wanted = Wanted(DEFAULT_SCOPE, limit=100_000, event=event)
        return [json.loads(line.body) for line in await self.outbox.deliveries(wanted)]

    async def told(self) -> list[str]:
        """The messages in short, `04T12:00 finished weekly-laps`, in the order in which they were written."""
        return [short(body) for body in await self.bodies()]

    async def heard(self, webhook: Webhook) -> list[str]:
        """What one webhook was told, in short."""
        wanted = Wanted(DEFAULT_SCOPE, limit=100_000, webhook=webhook.id)
        bodies = [json.loads(line.body) for line in await self.outbox.deliveries(wanted)]
        return [short(body) for body in bodies]

    async def moves(self) -> list[str]:
        """The changes of rank in short: `04T12:00 ann 2 → 1`, and the values of both."""
        return [
            f"{minute(body)} {body['user']['id']} {_place(board, 'previousRank', 'previousValue')} → "
            f"{_place(board, 'rank', 'value')}"
            for body in await self.bodies("leaderboard.rank_changed")
            for board in [body["leaderboard"]]
        ]

    async def notes(self) -> Any:
        return await self.outbox.notes()


def short(body: Any) -> str:
    """A message in short: `04T12:00 finished weekly-laps`."""
    return f"{minute(body)} {body['type'][12:]} {body['leaderboard']['key']}"


def minute(body: Any) -> str:
    """Day and time of a message of March 2026: `04T12:15`."""
    at: str = body["timestamp"]
    assert at.startswith("2026-03-")
    assert at.endswith(":00.000Z"), at
    return at[8:16]


def _place(board: Any, rank: str, value: str) -> str:
    return "–" if board[rank] is None else f"{board[rank]} ({board[value]})"


async def _never(seconds: float) -> None:
    raise AssertionError("nobody waits here")


@asynccontextmanager
async def opened() -> AsyncIterator[WebhookWorld]:
    with memory_folder() as folder:
        world = WebhookWorld(folder)
        await world.open()
        try:
            yield world
        finally:
            await world.shut()
