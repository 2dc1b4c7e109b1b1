"""Deliveries: signed, attempted again at the promised times, noted in the log, and no webhook delays another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Unavailable
from palmares.domain.local_time import DAY, HOUR, parse_instant
from palmares.domain.webhook import FINISHED, STARTED, Webhook
from palmares.outbox.contract import Delivery, Entry, Message, Recipient, Wanted
from palmares.outbox.http import HttpSender
from palmares.outbox.sql import SqlOutbox
from palmares.service import deliver
from palmares.service.deliver import KEPT, MOST_AT_ONCE, Deliverer, send_sample
from tests.ledger_world import Clock, memory_folder
from tests.receiver import Answering, Received, Receiver, receiving, status
from tests.webhook_world import HookedCatalog, make_hook

pytestmark = pytest.mark.anyio
MINUTE = 60_000_000
BODY = '{"type":"leaderboard.finished","leaderboard":{"name":"Bücher"}}'.encode()
SENDER_SECONDS = 20.0


@dataclass
class Post:
    """An outbox, a deliverer over real connections, and a clock that is set by hand."""

    folder: Path
    patient: bool = True
    catalog: HookedCatalog = field(default_factory=HookedCatalog)
    clock: Clock = field(default_factory=Clock)
    seconds: float = SENDER_SECONDS
    count: int = 0
    outbox: SqlOutbox = field(init=False)
    deliverer: Deliverer = field(init=False)

    async def open(self) -> None:
        self.outbox = await SqlOutbox.open(f"sqlite:///{self.folder / 'outbox.sqlite3'}")
        sender = HttpSender(True, self.seconds)
        self.deliverer = Deliverer(self.outbox, self.catalog, sender, self.clock, self.patient)

    async def close(self) -> None:
        await self.deliverer.close()
        await self.outbox.close()

    def hook(self, receiver: Receiver, number: int = 1, **fields: Any) -> Webhook:
        webhook = make_hook(number, url=receiver.url, **fields)
        self.catalog.hook(webhook)
        return webhook

    async def tell(self, *webhooks: Webhook, body: bytes = BODY) -> None:
        """Write a message to these webhooks."""
        recipients = []
        for webhook in webhooks:
            self.count += 1
            recipients.append(Recipient(webhook.id, webhook.url, f"evt_{self.count}"))
        await self.outbox.write(Entry(messages=[Message(DEFAULT_SCOPE, FINISHED, self.clock(), body, recipients)]))

    async def advance(self) -> None:
        await self.deliverer.advance(self.clock())

    async def live(self, minutes: int) -> list[float]:
        """Live through so many minutes; returns after how many each thing fell due."""
        began, until, dues = self.clock.now, self.clock.now + minutes * MINUTE, []
        await self.advance()
        while (due := self.deliverer.next_due()) is not None and due <= until:
            self.clock.now = due
            dues.append((due - began) / MINUTE)
            await self.advance()
        self.clock.now = until
        return dues

    async def log(self) -> list[Delivery]:
        return await self.outbox.deliveries(Wanted(DEFAULT_SCOPE, limit=1000))

    async def states(self) -> list[tuple[str, int, int | None]]:
        return [(line.status, line.attempts, line.code) for line in await self.log()]

    async def until(self, condition: Callable[[list[Delivery]], bool]) -> list[Delivery]:
        """Wait until the log is so."""
        async with asyncio.timeout(20):
            while not condition(lines := await self.log()):
                pass
        return lines


@asynccontextmanager
async def posting(**options: Any) -> AsyncIterator[Post]:
    with memory_folder() as folder:
        post = Post(folder, **options)
        await post.open()
        try:
            yield post
        finally:
            await post.close()


async def test_a_message_arrives_signed_over_its_very_bytes() -> None:
    """Checked by code that shares nothing with the one that signs."""
    async with posting() as post, receiving() as receiver:
        await post.tell(post.hook(receiver, secret="whs_other"))
        await post.advance()
        [received] = receiver.received

    assert received.body == BODY
    assert received.is_signed_with("whs_other")
    assert not received.is_signed_with("whs_7Qm2")
    assert received.event_id == "evt_1"
    assert received.headers["content-type"] == "application/json"


async def test_what_was_delivered_stands_in_the_log() -> None:
    """With everything that somebody who looks for an error wants to know."""
    async with posting() as post, receiving(status(204)) as receiver:
        webhook = post.hook(receiver)
        await post.tell(webhook)
        await post.advance()
        now = post.clock()
        line = Delivery(
            "evt_1", webhook.id, webhook.url, FINISHED, now, "delivered", 1, None, now, 204, None, BODY
        )  # fmt: skip

        assert await post.log() == [line]
        assert post.deliverer.next_due() is None


async def test_a_failure_is_followed_by_attempts_after_one_two_and_four_minutes() -> None:
    """All with the same id and the same bytes; after the fourth nothing more is tried."""
    async with posting() as post, receiving(status(503)) as receiver:
        await post.tell(post.hook(receiver))
        dues = await post.live(60)

        assert dues == [1, 3, 7]
        assert [(one.event_id, one.body) for one in receiver.received] == [("evt_1", BODY)] * 4
        assert all(one.is_signed_with("whs_7Qm2") for one in receiver.received)
        [line] = await post.log()
        assert (line.status, line.attempts, line.code, line.problem) == ("failed", 4, 503, "answered 503")


async def test_a_delivery_that_succeeds_later_is_attempted_no_more() -> None:
    """The log tells how many attempts it took."""
    async with posting() as post, receiving(status(500)) as receiver:
        await post.tell(post.hook(receiver))
        await post.live(2)
        receiver.answer = status(200)
        dues = await post.live(60)

        assert dues == [1]
        assert await post.states() == [("delivered", 3, 200)]


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure(code: int) -> None:
    """Nobody goes where it points."""
    async with posting() as post, receiving() as other, receiving(status(code, f"location: {other.url}")) as receiver:
        await post.tell(post.hook(receiver))
        await post.advance()

        assert await post.states() == [("pending", 1, code)]
        assert other.received == []


async def test_silence_is_a_failure() -> None:
    """It has no status; the log says what happened instead."""
    async with posting(seconds=0.05) as post, receiving() as receiver:
        receiver.answer = receiver.hang
        await post.tell(post.hook(receiver))
        await post.advance()
        [line] = await post.log()

        assert (line.status, line.code, line.problem) == ("pending", None, "no answer within 0.05 seconds")
        assert line.due == post.clock() + MINUTE


async def test_a_webhook_that_hangs_or_fails_delays_no_other() -> None:
    """All three are due at the same time, again and again."""
    async with (
        posting(patient=False) as post,
        receiving() as slow,
        receiving(status(500)) as broken,
        receiving() as good,
    ):
        slow.answer = slow.hang
        hooks = [post.hook(one, number) for number, one in enumerate((slow, broken, good), 1)]
        for _ in range(3 * MOST_AT_ONCE):
            await post.tell(*hooks)
        await post.advance()
        await good.until(3 * MOST_AT_ONCE)
        await broken.until(3 * MOST_AT_ONCE)

        assert len(slow.received) <= MOST_AT_ONCE
        await post.tell(*hooks)
        await post.until(lambda lines: _delivered(lines, hooks[2]) == 3 * MOST_AT_ONCE)
        await post.advance()
        await good.until(3 * MOST_AT_ONCE + 1)
        slow.release.set()


async def test_one_message_that_gets_no_answer_does_not_hold_up_the_others_to_the_same_webhook() -> None:
    """It takes one of the places; what waits goes through the others."""
    async with posting(patient=False) as post, receiving() as receiver:
        receiver.answer = hanging_at_first(receiver)
        webhook = post.hook(receiver)
        for _ in range(3 * MOST_AT_ONCE):
            await post.tell(webhook)
        await post.advance()
        await post.until(lambda lines: _delivered(lines, webhook) == 3 * MOST_AT_ONCE - 1)

        assert [line.id for line in await post.log() if line.status != "delivered"] == ["evt_1"]
        assert len(receiver.received) == 3 * MOST_AT_ONCE
        receiver.release.set()


async def test_what_is_told_while_a_message_gets_no_answer_is_sent_at_once() -> None:
    """Nobody waits for that answer as long as there are places."""
    async with posting(patient=False) as post, receiving() as receiver:
        receiver.answer = hanging_at_first(receiver)
        webhook = post.hook(receiver)
        await post.tell(webhook)
        await post.advance()
        await receiver.until(1)
        await post.tell(webhook)
        await post.advance()
        await post.until(lambda lines: _delivered(lines, webhook) == 1)

        assert [line.status for line in await post.log()] == ["pending", "delivered"]
        receiver.release.set()


async def test_advancing_does_not_wait_for_anybody_outside() -> None:
    """The timekeeper has other things to do."""
    async with posting(patient=False) as post, receiving() as receiver:
        receiver.answer = receiver.hang
        await post.tell(post.hook(receiver))
        await post.advance()
        await receiver.until(1)
        await post.advance()

        assert len(receiver.received) == 1
        assert post.deliverer.next_due() is None
        receiver.release.set()


async def test_no_more_than_so_many_messages_are_on_their_way_to_one_webhook() -> None:
    """It may be small."""
    most, present = 0, 0

    async def count(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal most, present
        present += 1
        most = max(most, present)
        await asyncio.sleep(0)
        present -= 1
        await status(200)(received, writer)

    async with posting() as post, receiving(count) as receiver:
        webhook = post.hook(receiver)
        for _ in range(5 * MOST_AT_ONCE):
            await post.tell(webhook)
        await post.advance()

        assert 1 < most <= MOST_AT_ONCE
        assert len({one.event_id for one in receiver.received}) == 5 * MOST_AT_ONCE


async def test_what_was_on_its_way_when_the_server_died_is_attempted_again() -> None:
    """With the same id, by which the receiver knows it."""
    async with posting(patient=False) as post, receiving() as receiver:
        receiver.answer = receiver.hang
        await post.tell(post.hook(receiver))
        await post.advance()
        await receiver.until(1)
        # As a kill would, without any word.
        for lane in post.deliverer._lanes.values():
            lane.cancel()
        await post.close()
        receiver.answer = status(200)
        await post.open()
        await post.advance()
        await post.until(lambda lines: lines[0].status == "delivered")

        assert [one.event_id for one in receiver.received] == ["evt_1", "evt_1"]


async def test_a_server_that_stops_lets_what_is_on_its_way_arrive() -> None:
    """So nothing is sent twice without need."""
    async with posting(patient=False) as post, receiving() as receiver:

        async def answer_later(received: Received, writer: asyncio.StreamWriter) -> None:
            await receiver.release.wait()
            await status(200)(received, writer)

        receiver.answer = answer_later
        webhook = post.hook(receiver)
        await post.tell(webhook)
        await post.advance()
        await receiver.until(1)
        closing = asyncio.create_task(post.deliverer.close())
        await asyncio.sleep(0)
        receiver.release.set()
        await closing

        assert await post.states() == [("delivered", 1, 200)]


async def test_a_server_that_stops_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not arrive is attempted at the next start."""
    monkeypatch.setattr(deliver, "_GRACE_SECONDS", 0.01)
    async with posting(patient=False) as post, receiving() as receiver:
        receiver.answer = receiver.hang
        await post.tell(post.hook(receiver))
        await post.advance()
        await receiver.until(1)
        await post.deliverer.close()

        assert await post.states() == [("pending", 0, None)]


async def test_what_waits_for_a_paused_webhook_is_sent_when_it_is_resumed() -> None:
    """Not before."""
    async with posting() as post, receiving() as receiver:
        webhook = post.hook(receiver)
        await post.tell(webhook)
        post.catalog.hook(replace(webhook, status="paused"))
        assert await post.live(60) == []
        assert receiver.received == []
        post.catalog.hook(webhook)
        await post.advance()

        assert len(receiver.received) == 1


async def test_what_waits_for_a_deleted_webhook_fails() -> None:
    """The log says why."""
    async with posting() as post, receiving() as receiver:
        webhook = post.hook(receiver)
        await post.tell(webhook)
        post.catalog.unhook(webhook)
        await post.advance()
        [line] = await post.log()

        assert (line.status, line.problem, receiver.received) == ("failed", "the webhook was deleted", [])
        assert post.deliverer.next_due() is None


async def test_the_present_address_and_secret_are_used_at_each_attempt() -> None:
    """Whoever repairs a webhook gets what still waits."""
    async with posting() as post, receiving(status(500)) as wrong, receiving() as right:
        webhook = post.hook(wrong)
        await post.tell(webhook)
        await post.advance()
        post.catalog.hook(replace(webhook, url=right.url, secret="whs_new"))
        await post.live(1)
        [received] = right.received

        assert received.is_signed_with("whs_new")
        assert (await post.log())[0].url == right.url


async def test_when_nothing_can_be_noted_the_webhook_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be sent the same again and again."""
    async with posting() as post, receiving() as receiver:
        await post.tell(post.hook(receiver))
        with monkeypatch.context() as patch:

            async def fail(entry: Entry) -> None:
                raise Unavailable("the disk is full")

            patch.setattr(post.outbox, "write", fail)
            for _ in range(5):
                await post.advance()
        assert len(receiver.received) == 1
        assert post.deliverer.next_due() == post.clock() + MINUTE
        await post.live(1)

        assert await post.states() == [("delivered", 1, 200)]


async def test_the_log_is_kept_for_a_month() -> None:
    """And what still waits as long as it does."""
    async with posting() as post, receiving() as receiver:
        await post.tell(post.hook(receiver))
        await post.advance()
        paused = post.hook(receiver, 2, status="paused")
        await post.tell(paused)
        post.clock.now += KEPT
        await post.advance()
        assert len(await post.log()) == 2
        post.clock.now += 2 * HOUR
        await post.advance()

        assert KEPT >= 31 * DAY
        assert [line.webhook for line in await post.log()] == [paused.id]


async def test_a_sample_is_sent_once_and_stands_in_the_log() -> None:
    """Also to a paused webhook; a failure is final, and nothing waits afterwards."""
    async with posting() as post, receiving(status(500)) as receiver:
        webhook = post.hook(receiver, status="paused")
        sender, now = HttpSender(allow_private=True), parse_instant("2026-03-04T10:00:00Z", "now")
        attempt = await send_sample(post.outbox, sender, webhook, STARTED, BODY, "evt_test", now)
        await sender.close()
        [received] = receiver.received
        [line] = await post.log()

        assert (attempt.status, attempt.code) == ("failed", 500)
        assert received.is_signed_with(webhook.secret)
        assert (line.id, line.event, line.status, line.due, line.attempts) == ("evt_test", STARTED, "failed", None, 1)
        assert post.outbox.waiting() == {}


def hanging_at_first(receiver: Receiver) -> Answering:
    """The first message gets no answer before it is released, the others get one at once."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        await (receiver.hang if received.event_id == "evt_1" else status(200))(received, writer)

    return answer


def _delivered(lines: list[Delivery], webhook: Webhook) -> int:
    return sum(line.webhook == webhook.id and line.status == "delivered" for line in lines)
