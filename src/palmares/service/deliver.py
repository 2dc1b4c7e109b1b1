"""Delivers messages to webhooks: signed, attempted again when that fails, and noted in a log.

Each webhook has a lane of its own, with a bound on what is on its way at once, so one that is slow or dead delays
nobody else. What is to be delivered lies in the outbox until somebody has received it: after a crash in the middle of
an attempt it is attempted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from palmares.catalog.contract import Catalog
from palmares.domain.errors import PalmaresError
from palmares.domain.local_time import DAY, HOUR, SECOND
from palmares.domain.webhook import EventType, Webhook, retry_at, signature, succeeded
from palmares.outbox.contract import Attempt, Due, Entry, Message, Outbox, Recipient, Sender

logger = structlog.get_logger(__name__)

# Messages that are on their way to one webhook at once.
MOST_AT_ONCE = 16
# For how long the log is kept: so that last month's winners can be looked up.
KEPT = 31 * DAY
_BETWEEN_PRUNINGS = HOUR
# When it cannot be noted what came of an attempt, the same message would be sent again and again.
_BACK_OFF = 60 * SECOND
_GRACE_SECONDS = 3.0


@dataclass(slots=True)
class Deliverer:
    """A worker of the timekeeper's, who comes after those who write messages.

    `clock` tells the present instant. `advance` sets lanes going and does not wait for them; a patient one returns
    when everything was attempted that is due. `_stirred` tells a lane that there may be more for it to begin.
    """

    outbox: Outbox
    catalog: Catalog
    sender: Sender
    clock: Callable[[], int]
    patient: bool = False
    _lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _stirred: dict[str, asyncio.Event] = field(default_factory=dict)
    _left_alone_until: dict[str, int] = field(default_factory=dict)
    _pruned_at: int | None = None
    _closing: bool = False

    def next_due(self) -> int | None:
        """See `Worker`. What is on its way already is not due."""
        webhooks = self._webhooks()
        dues = [
            max(due, self._left_alone_until.get(webhook_id, due))
            for webhook_id, due in self.outbox.waiting().items()
            if webhook_id not in self._lanes and (webhook_id not in webhooks or _active(webhooks[webhook_id]))
        ]
        return min(dues, default=None)

    async def advance(self, now: int) -> None:
        """See `Worker`."""
        await self._give_up_deleted()
        while lanes := self._set_going(now):
            if not self.patient:
                break
            await asyncio.gather(*lanes)
        await self._prune(now)

    async def close(self) -> None:
        """Let what is on its way end, if that is soon. What does not end is attempted again at the next start."""
        self._closing = True
        if lanes := [*self._lanes.values()]:
            _, late = await asyncio.wait(lanes, timeout=_GRACE_SECONDS)
            for lane in late:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        await self.sender.close()

    def _webhooks(self) -> dict[str, Webhook]:
        scopes = self.catalog.scopes()
        return {webhook.id: webhook for scope in scopes for webhook in self.catalog.definitions(scope).webhooks}

    async def _give_up_deleted(self) -> None:
        webhooks = self._webhooks()
        for webhook_id in [waiting for waiting in self.outbox.waiting() if waiting not in webhooks]:
            if webhook_id not in self._lanes:
                await self.outbox.give_up(webhook_id, "the webhook was deleted")

    def _set_going(self, now: int) -> list[asyncio.Task[None]]:
        """Start the lanes of webhooks for which something is due, and stir those that go on."""
        webhooks, begun = self._webhooks(), []
        for webhook_id, due in self.outbox.waiting().items():
            webhook = webhooks.get(webhook_id)
            due = max(due, self._left_alone_until.get(webhook_id, due))
            if due > now or webhook is None or not _active(webhook):
                continue
            if webhook_id in self._lanes:
                self._stirred[webhook_id].set()
            else:
                # In time that stands, everything happens at the instant that is being lived through.
                time = (lambda: now) if self.patient else self.clock
                self._stirred[webhook_id] = asyncio.Event()
                lane = asyncio.create_task(self._lane(webhook_id, time), name="palmares-webhook")
                self._lanes[webhook_id] = lane
                begun.append(lane)
        return begun

    async def _lane(self, webhook_id: str, time: Callable[[], int]) -> None:
        on_their_way: dict[str, asyncio.Task[None]] = {}
        try:
            await self._keep_full(webhook_id, on_their_way, time)
        except Exception as error:
            await asyncio.gather(*on_their_way.values(), return_exceptions=True)
            self._left_alone_until[webhook_id] = time() + _BACK_OFF
            reason = error.message if isinstance(error, PalmaresError) else repr(error)
            logger.error("deliveries to a webhook cannot be made", webhook=webhook_id, reason=reason)
        finally:
            for attempt in on_their_way.values():
                attempt.cancel()
            await asyncio.gather(*on_their_way.values(), return_exceptions=True)
            del self._lanes[webhook_id], self._stirred[webhook_id]

    async def _keep_full(
        self, webhook_id: str, on_their_way: dict[str, asyncio.Task[None]], time: Callable[[], int]
    ) -> None:
        """Begin the next attempt whenever one has ended, so that a slow one takes up one place and no more."""
        stirred = self._stirred[webhook_id]
        while True:
            stirred.clear()
            for delivery in [delivery for delivery, attempt in on_their_way.items() if attempt.done()]:
                on_their_way.pop(delivery).result()
            await self._begin_more(webhook_id, on_their_way, time)
            if not on_their_way:
                return
            await stirred.wait()

    async def _begin_more(
        self, webhook_id: str, on_their_way: dict[str, asyncio.Task[None]], time: Callable[[], int]
    ) -> None:
        webhook, free = self._webhooks().get(webhook_id), MOST_AT_ONCE - len(on_their_way)
        if self._closing or webhook is None or not _active(webhook) or not free:
            return
        stirred = self._stirred[webhook_id]
        # What is on its way is among them, until it is noted what came of it.
        due = await self.outbox.due(webhook_id, time(), MOST_AT_ONCE)
        for one in [one for one in due if one.id not in on_their_way][:free]:
            attempt = asyncio.create_task(self._attempt(webhook, one, time), name="palmares-attempt")
            attempt.add_done_callback(lambda _: stirred.set())
            on_their_way[one.id] = attempt

    async def _attempt(self, webhook: Webhook, due: Due, time: Callable[[], int]) -> None:
        attempt = await send(self.sender, webhook, due, time)
        await self.outbox.write(Entry(attempts=[attempt]))

    async def _prune(self, now: int) -> None:
        if self._pruned_at is None or now >= self._pruned_at + _BETWEEN_PRUNINGS:
            more = await self.outbox.prune(now - KEPT)
            self._pruned_at = None if more else now


async def send(sender: Sender, webhook: Webhook, due: Due, time: Callable[[], int]) -> Attempt:
    """Make one attempt and tell what came of it."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Palmares-Webhooks/1",
        "Idempotency-Key": due.id,
        "X-Trophy-Signature": signature(webhook.secret, due.body),
    }
    answer = await sender.post(webhook.url, headers, due.body)
    at, attempts = time(), due.attempts + 1
    attempt = Attempt(due.id, webhook.id, webhook.url, at, attempts, "delivered", None, answer.status, None)
    if succeeded(answer.status):
        return attempt
    again = retry_at(attempts, at)
    problem = answer.problem or f"answered {answer.status}"
    return attempt._replace(status="failed" if again is None else "pending", due=again, problem=problem)


async def send_sample(
    outbox: Outbox, sender: Sender, webhook: Webhook, event: EventType, body: bytes, delivery: str, now: int
) -> Attempt:
    """Send one message to one webhook, be it active or not, once; what came of it stands in the log."""
    attempt = await send(sender, webhook, Due(delivery, body, 0), lambda: now)
    if attempt.status == "pending":
        attempt = attempt._replace(status="failed", due=None)
    message = Message(webhook.scope, event, now, body, [Recipient(webhook.id, webhook.url, delivery)])
    await outbox.write(Entry(messages=[message], attempts=[attempt]))
    return attempt


def _active(webhook: Webhook) -> bool:
    return webhook.status == "active"
