"""What the outbox promises: whole entries, durable; who waits; the log; and nothing forgotten too soon."""

import asyncio
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.local_time import parse_instant
from palmares.domain.webhook import CHANGED, FINISHED, EventType
from palmares.outbox import sql
from palmares.outbox.contract import (
    NO_WATCH,
    Attempt,
    Batch,
    BoardNote,
    Due,
    Entry,
    Message,
    Notes,
    RankingNote,
    Recipient,
    Wanted,
    WatchNote,
)
from palmares.outbox.sql import SqlOutbox
from tests.databases import Place, sqlite_in

pytestmark = pytest.mark.anyio
AT = parse_instant("2026-03-04T10:00:00Z", "at")
MINUTE = 60_000_000
ONE, OTHER = "hook-1", "hook-2"


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[SqlOutbox]:
    outbox = await SqlOutbox.open(place.url)
    try:
        yield outbox
    finally:
        await outbox.close()


def message(*deliveries: tuple[str, str], event: EventType = FINISHED, at: int = AT, body: bytes = b"{}") -> Message:
    """A message, given pairs of the delivery's id and the webhook's."""
    recipients = [Recipient(webhook, f"https://example.org/{webhook}", delivery) for delivery, webhook in deliveries]
    return Message(1, event, at, body, recipients)


def attempt(delivery: str, webhook: str = ONE, due: int | None = None, attempts: int = 1) -> Attempt:
    """One that succeeded, or failed if there is to be another."""
    status, code = ("delivered", 200) if due is None else ("pending", 500)
    return Attempt(delivery, webhook, "https://example.org/", AT + 1, attempts, status, due, code, None)


def batch(until: int, *users: int, board: int = 1) -> Batch:
    columns = array("I", users), array("I", [0] * len(users)), array("I", users), array("q", [-5] * len(users))
    return Batch(board, 739_000, until, [("east", "ü"), ()], *columns)


async def ids(outbox: SqlOutbox, **wanted: object) -> list[str]:
    return [line.id for line in await outbox.deliveries(Wanted(1, **wanted))]  # type: ignore[arg-type]


async def test_a_message_waits_for_all_whom_it_is_for(place: Place) -> None:
    """Each delivery is one of its own, with the same body."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE), ("evt_2", OTHER), body=b'{"a":1}')]))

        assert outbox.waiting() == {ONE: AT, OTHER: AT}
        assert await outbox.due(ONE, AT, 10) == [Due("evt_1", b'{"a":1}', 0)]
        assert await outbox.due(OTHER, AT, 10) == [Due("evt_2", b'{"a":1}', 0)]
        assert await outbox.due(ONE, AT - 1, 10) == []


async def test_a_message_to_nobody_leaves_nothing_behind_in_the_log(place: Place) -> None:
    """Whoever wanted it may be gone by now."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message()]))

        assert outbox.waiting() == {}
        assert await ids(outbox) == []


async def test_what_is_due_comes_in_the_order_in_which_it_became_due(place: Place) -> None:
    """And no more than asked for."""
    async with opened(place) as outbox:
        times = [("evt_3", AT + 2), ("evt_1", AT), ("evt_2", AT)]
        await outbox.write(Entry(messages=[message((delivery, ONE), at=at) for delivery, at in times]))

        assert [due.id for due in await outbox.due(ONE, AT + 9, 10)] == ["evt_1", "evt_2", "evt_3"]
        assert [due.id for due in await outbox.due(ONE, AT + 9, 2)] == ["evt_1", "evt_2"]


async def test_after_a_failed_attempt_a_delivery_waits_for_the_next(place: Place) -> None:
    """Of several, the first tells when somebody has to look."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE)), message(("evt_2", ONE))]))
        await outbox.write(Entry(attempts=[attempt("evt_1", due=AT + 2 * MINUTE), attempt("evt_2", due=AT + MINUTE)]))

        assert outbox.waiting() == {ONE: AT + MINUTE}
        assert [due.id for due in await outbox.due(ONE, AT + MINUTE, 10)] == ["evt_2"]
        assert await outbox.due(ONE, AT + 2 * MINUTE, 10) == [Due("evt_2", b"{}", 1), Due("evt_1", b"{}", 1)]


async def test_what_was_delivered_does_not_wait_any_more(place: Place) -> None:
    """Nor does what failed for good."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE), ("evt_2", OTHER))]))
        failed = attempt("evt_2", OTHER)._replace(status="failed", code=None, problem="no answer")
        await outbox.write(Entry(attempts=[attempt("evt_1"), failed]))
        lines = await outbox.deliveries(Wanted(1))

        assert outbox.waiting() == {}
        assert [(line.status, line.attempts, line.code, line.problem) for line in lines] == [
            ("delivered", 1, 200, None),
            ("failed", 1, None, "no answer"),
        ]


async def test_a_message_and_its_attempt_can_be_written_together(place: Place) -> None:
    """So nobody else attempts it meanwhile."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE))], attempts=[attempt("evt_1")]))

        assert outbox.waiting() == {}
        assert [line.status for line in await outbox.deliveries(Wanted(1))] == ["delivered"]


async def test_giving_up_lets_everything_fail_that_waits_for_one_webhook(place: Place) -> None:
    """Others go on waiting; an attempt that comes to an end later changes nothing."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE), ("evt_2", OTHER)), message(("evt_3", ONE))]))
        await outbox.write(Entry(attempts=[attempt("evt_3")]))
        await outbox.give_up(ONE, "the webhook was deleted")
        await outbox.write(Entry(attempts=[attempt("evt_1")]))
        lines = await outbox.deliveries(Wanted(1))

        assert outbox.waiting() == {OTHER: AT}
        assert [(line.status, line.due, line.problem) for line in lines] == [
            ("failed", None, "the webhook was deleted"),
            ("pending", AT, None),
            ("delivered", None, None),
        ]


async def test_the_log_is_read_from_either_end_in_parts_and_by_what_is_wanted(place: Place) -> None:
    """By webhook, type and status, within one scope."""
    async with opened(place) as outbox:
        changed = message(("evt_2", OTHER), event=CHANGED)
        elsewhere = message(("evt_9", ONE))._replace(scope=2)
        await outbox.write(Entry(messages=[message(("evt_1", ONE)), changed, elsewhere, message(("evt_3", ONE))]))
        await outbox.write(Entry(attempts=[attempt("evt_3")]))

        assert await ids(outbox) == ["evt_1", "evt_2", "evt_3"]
        assert await ids(outbox, newest_first=True, limit=2) == ["evt_3", "evt_2"]
        assert await ids(outbox, limit=1, skip=1) == ["evt_2"]
        assert await ids(outbox, webhook=ONE) == ["evt_1", "evt_3"]
        assert await ids(outbox, event=CHANGED) == ["evt_2"]
        assert await ids(outbox, status="pending", webhook=ONE) == ["evt_1"]
        assert [line.id for line in await outbox.deliveries(Wanted(2))] == ["evt_9"]


async def test_what_was_written_is_there_after_a_restart(place: Place) -> None:
    """Messages, who waits for them, and the notes."""
    note = BoardNote(1, "739000 day 7", True, 739_000, None)
    ranking = RankingNote(1, 739_000, ("east", "ü"), b"digest", AT)
    watch = WatchNote([1], [1, 2], 17, AT)
    entry = Entry([message(("evt_1", ONE))], [], [note], [], [ranking], [], [batch(AT, 1, 2**32 - 1)], [], watch)
    async with opened(place) as outbox:
        assert await outbox.notes() == Notes(new=True, boards=[], rankings=[], batches=[])
        await outbox.write(entry)
    async with opened(place) as outbox:
        notes = await outbox.notes()

        assert outbox.waiting() == {ONE: AT}
        assert notes == Notes([note], [ranking], [batch(AT, 1, 2**32 - 1)], watch)
        assert not notes.new


async def test_a_note_takes_the_place_of_the_former_one(place: Place) -> None:
    """Of the same board, the same ranking; there is only one of what is watched."""
    former, later = BoardNote(1, "a", True, None, None), BoardNote(1, "b", False, 2, 1)
    east, west = RankingNote(1, 5, ("east",), b"1", AT), RankingNote(1, 5, ("west",), b"1", AT)
    async with opened(place) as outbox:
        await outbox.write(Entry(boards=[former], rankings=[east, west], watch=NO_WATCH))
        await outbox.write(Entry(boards=[later], rankings=[east._replace(digest=b"2")], watch=WatchNote([], [], 2, AT)))
        notes = await outbox.notes()

    assert (notes.boards, notes.watch) == ([later], WatchNote([], [], 2, AT))
    assert notes.rankings == [east._replace(digest=b"2"), west]


async def test_forgetting_comes_before_noting(place: Place) -> None:
    """So that one entry can replace what it forgets."""
    async with opened(place) as outbox:
        rankings = [RankingNote(1, day, ("east",), b"1", AT) for day in (5, 6)]
        boards = [BoardNote(number, "a", True, None, None) for number in (1, 2)]
        batches = [batch(AT, 1), batch(AT, 2), batch(AT + 1, 3), batch(AT, 4, board=2)]
        await outbox.write(Entry(boards=boards, rankings=rankings, batches=batches))
        again = Entry(
            gone=[1],
            rankings=[rankings[0]._replace(digest=b"2")],
            forgotten_rankings=[(1, 5), (1, 6)],
            batches=[batch(AT, 9)],
            forgotten_batches=[(1, 739_000, AT)],
        )
        await outbox.write(again)
        notes = await outbox.notes()

    assert [note.board for note in notes.boards] == [2]
    assert notes.rankings == [rankings[0]._replace(digest=b"2")]
    assert notes.batches == [batch(AT + 1, 3), batch(AT, 4, board=2), batch(AT, 9)]


async def test_an_entry_that_cannot_be_written_whole_is_not_written_at_all(place: Place) -> None:
    """Here the same id is given twice."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE))]))
        with pytest.raises(Unavailable):
            await outbox.write(Entry(messages=[message(("evt_2", ONE)), message(("evt_1", OTHER))], watch=NO_WATCH))

        assert await ids(outbox) == ["evt_1"]
        assert (await outbox.notes()).new
        assert outbox.waiting() == {ONE: AT}


async def test_entries_that_come_together_are_all_there_when_their_writers_go_on(place: Place) -> None:
    """However they share transactions."""
    async with opened(place) as outbox:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(outbox.write(Entry(messages=[message((f"evt_{number}", ONE))])))

        assert len(await ids(outbox, limit=100)) == 50


async def test_a_writer_that_gives_up_waiting_keeps_nobody_else_from_writing(place: Place) -> None:
    """What it gave is written or not, but whole."""
    async with opened(place) as outbox:
        given_up = asyncio.create_task(outbox.write(Entry(messages=[message(("evt_1", ONE))])))
        waiting = asyncio.create_task(outbox.write(Entry(messages=[message(("evt_2", ONE))])))
        await asyncio.sleep(0)
        given_up.cancel()
        await waiting

        assert "evt_2" in await ids(outbox)


async def test_only_what_is_over_and_old_is_pruned(place: Place) -> None:
    """And the body of a message with the last delivery of it."""
    async with opened(place) as outbox:
        messages = [
            message(("evt_1", ONE), ("evt_2", OTHER)),
            message(("evt_3", ONE)),
            message(("evt_4", ONE), at=AT + 5),
        ]
        await outbox.write(Entry(messages=messages))
        await outbox.write(Entry(attempts=[attempt("evt_1"), attempt("evt_3"), attempt("evt_4")]))
        more = await outbox.prune(AT + 5)

        assert not more
        assert await ids(outbox) == ["evt_2", "evt_4"]
        assert count(place, "messages") == 2


async def test_pruning_is_done_in_portions(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for it."""
    monkeypatch.setattr(sql, "_MOST_PRUNED", 2)
    async with opened(place) as outbox:
        names = [f"evt_{number}" for number in range(3)]
        await outbox.write(Entry(messages=[message((name, ONE)) for name in names]))
        await outbox.write(Entry(attempts=[attempt(name) for name in names]))

        assert [await outbox.prune(AT + 1), await outbox.prune(AT + 1)] == [True, False]
        assert (await ids(outbox), count(place, "messages")) == ([], 0)


async def test_what_is_pending_is_found_by_an_index(place: Place) -> None:
    """However long the log is."""
    async with opened(place) as outbox:
        await outbox.write(Entry(messages=[message(("evt_1", ONE))]))
    query = "SELECT due FROM deliveries WHERE status = 'pending' AND webhook = 'hook-1' ORDER BY due LIMIT 1"
    if place.is_sqlite:
        plan = place.execute(f"EXPLAIN QUERY PLAN {query}")
    else:
        # PostgreSQL would rather read a table as small as this one to its end.
        plan = place.execute("SET enable_seqscan = off", f"EXPLAIN {query}")

    assert "ix_deliveries_webhook_due" in str(plan)
    assert "pending" in str(sql._PENDING.compile())


async def test_an_outbox_of_a_newer_version_is_not_touched(place: Place) -> None:
    """Who goes back to an older version is told so."""
    async with opened(place):
        pass
    place.execute("UPDATE outbox_version SET version_num = '9999'")

    with pytest.raises(Unavailable, match="newer version"):
        await SqlOutbox.open(place.url)


def count(place: Place, table: str) -> int:
    [(found,)] = place.execute(f"SELECT count(*) FROM {table}")
    return int(found)


async def test_messages_of_a_scope_are_changed_and_removed_some_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the deliveries that wait, and those of the log; those of others, and of other scopes, stay."""
    monkeypatch.setattr(sql, "_MOST_REWRITTEN", 2)
    async with opened(place) as outbox:
        bodies = [b"keep", b"change", b"remove", b"remove", b"change"]
        sent = [message((f"evt_{number}", ONE), at=AT + number, body=body) for number, body in enumerate(bodies)]
        foreign = message(("evt_9", OTHER), body=b"remove")._replace(scope=2)
        await outbox.write(Entry(messages=[*sent, foreign]))
        await outbox.write(Entry(attempts=[attempt("evt_0"), attempt("evt_2")]))
        seen = []

        def change(created: int, body: bytes) -> bytes | None:
            seen.append((created - AT, body))
            return {b"change": b"changed", b"remove": None}.get(body, body)

        await outbox.rewrite(1, change)

        assert seen == [*enumerate(bodies)]
        assert await ids(outbox) == ["evt_0", "evt_1", "evt_4"]
        assert [due.body for due in await outbox.due(ONE, AT + 9, 10)] == [b"changed", b"changed"]
        assert outbox.waiting() == {ONE: AT + 1, OTHER: AT}
        assert [due.body for due in await outbox.due(OTHER, AT, 10)] == [b"remove"]


def files_with(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if text in path.read_bytes()]


async def test_after_compacting_the_files_hold_nothing_that_was_removed(tmp_path: Path) -> None:
    """However it lay in them."""
    async with opened(sqlite_in(tmp_path)) as outbox:
        secret = b"xyzzy" * 3000
        sent = [message((f"evt_{number}", ONE), body=secret if number % 3 else b"other") for number in range(30)]
        await outbox.write(Entry(messages=sent))
        await outbox.rewrite(1, lambda created, body: None if body == secret else body)
        await outbox.compact()
        assert files_with(tmp_path, b"xyzzy") == []
        assert len(await ids(outbox, limit=100)) == 10
