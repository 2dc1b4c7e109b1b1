"""Webhooks of a real server, received by a real receiver."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from click.testing import CliRunner

from palmares.cli import main
from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.process import Process, run
from tests.plain_receiver import PlainReceiver, plain_receiver

Call = Callable[[Process], Caller]
ALLOWED = {"PALMARES_WEBHOOKS_ALLOW_PRIVATE": "true"}
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
WEEKLY = {"start": "2026-03-02", "runUnit": "day", "runInterval": 7}


@pytest.fixture
def receiver() -> Iterator[PlainReceiver]:
    with plain_receiver() as receiver:
        yield receiver


def started_at(start: Start, moment: datetime) -> Process:
    """A server whose clock stands."""
    return start("--test-clock", moment.isoformat().replace("+00:00", "Z"), **ALLOWED)


def define_webhook(caller: Caller, receiver: PlainReceiver, *events: str, name: str = "hook") -> str:
    """Create a webhook for these events of boards; returns its secret."""
    item = {"name": name, "url": receiver.url, "events": [f"leaderboard.{event}" for event in events]}
    answer = caller.send("POST", "/admin/v1/webhooks", [item])
    assert answer.status_code == 201, answer.text
    assert answer.json()["issues"] == []
    secret: str = answer.json()["created"][0]["secret"]
    return secret


def test_a_week_is_told_from_its_beginning_to_its_end(start: Start, call: Call, receiver: PlainReceiver) -> None:
    """All four events, signed, each once; the answer of the test clock waits for their delivery."""
    caller = call(started_at(start, BEGIN - timedelta(days=1)))
    secret = define_webhook(caller, receiver, "started", "changed", "rank_changed", "finished")
    caller.define_board("weekly-laps", caller.define_metric("laps"), status="scheduled", **WEEKLY)
    caller.move_clock(BEGIN)
    caller.event("laps", "ann", 3)
    caller.move_clock(BEGIN + timedelta(minutes=20))
    caller.event("laps", "ben", 5)
    caller.move_clock(BEGIN + timedelta(days=7, hours=13))

    assert sorted(receiver.told()) == sorted(
        [
            "started weekly-laps 2026-03-02",
            "changed weekly-laps 2026-03-02",
            "rank_changed weekly-laps 2026-03-02",
            "changed weekly-laps 2026-03-02",
            "rank_changed weekly-laps 2026-03-02",
            "rank_changed weekly-laps 2026-03-02",
            "started weekly-laps 2026-03-09",
            "finished weekly-laps 2026-03-02",
        ]
    )
    assert all(one.is_signed_with(secret) for one in receiver.received)
    assert len({one.event_id for one in receiver.received}) == len(receiver.received)
    [finished] = [one.json for one in receiver.received if one.json["type"] == "leaderboard.finished"]
    assert finished["timestamp"] == "2026-03-09T13:00:00.000Z"
    assert [row["userId"] for row in finished["leaderboard"]["rankings"]] == ["ben", "ann"]
    log = caller.get("/admin/v1/webhooks/deliveries", limit=100)
    assert {(line["id"], line["status"], line["responseCode"]) for line in log} == {
        (one.event_id, "delivered", 200) for one in receiver.received
    }


@pytest.mark.parametrize("status", [503, 302])
def test_a_failure_is_attempted_again_after_one_two_and_four_minutes(
    start: Start, call: Call, receiver: PlainReceiver, status: int
) -> None:
    """By the test clock; with the same id and the same bytes. Another webhook hears of it once.

    A redirect is a failure like any other: nobody goes to that other webhook where it points.
    """
    with plain_receiver() as other:
        caller = call(started_at(start, BEGIN))
        define_webhook(caller, receiver, "rank_changed")
        define_webhook(caller, other, "rank_changed", name="other")
        caller.define_board("weekly-laps", caller.define_metric("laps"), **WEEKLY)
        receiver.status, receiver.location = status, other.url
        caller.event("laps", "ann", 3)
        seen = []
        for minutes in (0, 0.9, 1, 2.9, 3, 6.9, 7, 60):
            caller.move_clock(BEGIN + timedelta(minutes=minutes))
            seen.append(len(receiver.received))

        assert seen == [1, 1, 2, 2, 3, 3, 4, 4]
        assert len({(one.event_id, one.body) for one in receiver.received}) == 1
        assert len(other.received) == 1
        [line] = caller.get("/admin/v1/webhooks/deliveries", status="failed")
        assert (line["id"], line["attempts"], line["responseCode"]) == (receiver.received[0].event_id, 4, status)


def test_a_server_that_was_away_over_the_close_tells_of_it_once(
    start: Start, call: Call, receiver: PlainReceiver
) -> None:
    """Three days late, with the rankings as they were; and not again at the next start."""
    server = started_at(start, BEGIN)
    caller = call(server)
    define_webhook(caller, receiver, "started", "finished")
    caller.define_board("weekly-laps", caller.define_metric("laps"), **WEEKLY)
    caller.event("laps", "ann", 3)
    caller.move_clock(BEGIN + timedelta(days=6))
    server.stop()
    started_at(start, BEGIN + timedelta(days=10)).stop()
    started_at(start, BEGIN + timedelta(days=11)).stop()

    assert receiver.told() == [
        "started weekly-laps 2026-03-02",
        "started weekly-laps 2026-03-09",
        "finished weekly-laps 2026-03-02",
    ]


def test_nothing_is_lost_when_the_server_is_killed(start: Start, call: Call, receiver: PlainReceiver) -> None:
    """Killed right after events were answered, again and again; every user is told of, up to the last rank."""
    server = started_at(start, BEGIN)
    caller = call(server)
    define_webhook(caller, receiver, "rank_changed")
    caller.define_board("weekly-laps", caller.define_metric("laps"), **WEEKLY)
    numbers = count(1)
    for _ in range(3):
        for number in (next(numbers) for _ in range(5)):
            assert caller.event("laps", f"user-{number}", number).status_code == 201
        server.kill()
        server = started_at(start, BEGIN)
        caller = call(server)
    caller.move_clock(BEGIN + timedelta(hours=1))

    last: dict[str, int] = {}
    told: set[str] = set()
    for received in receiver.received:
        if received.event_id not in told:
            told.add(received.event_id)
            body = received.json
            assert body["leaderboard"]["previousRank"] == last.get(body["user"]["id"])
            last[body["user"]["id"]] = body["leaderboard"]["rank"]
    assert last == {user: rank for rank, user, _ in caller.page("weekly-laps", limit=100)}


def test_a_receiver_that_hangs_delays_neither_events_nor_other_webhooks(
    start: Start, call: Call, receiver: PlainReceiver
) -> None:
    """With the real clock."""
    receiver.hanging = True
    with plain_receiver() as other:
        server = start(**ALLOWED)
        caller = call(server)
        define_webhook(caller, receiver, "changed", "rank_changed")
        define_webhook(caller, other, "rank_changed", name="other")
        caller.define_board("all-time", caller.define_metric("laps"))
        for number in range(3):
            assert caller.event("laps", f"user-{number}", number).status_code == 201
            assert len(other.until(number + 1)) > number
        assert len(receiver.until(1)) >= 1
        receiver.release()

        assert {one.json["user"]["id"] for one in other.received} >= {"user-0", "user-1", "user-2"}


def test_private_addresses_are_refused_unless_allowed(start: Start, call: Call, receiver: PlainReceiver) -> None:
    """At the definition, and at each connection: what was allowed once need not be for ever."""
    server = start()
    item = {"name": "inside", "url": receiver.url, "events": ["leaderboard.finished"]}
    refused = call(server).send("POST", "/admin/v1/webhooks", [item])
    made = run("webhooks", "create", receiver.url, "--name", "inside", *server.beside, **ALLOWED)
    sent = run("webhooks", "test", "inside", *server.beside)

    assert refused.status_code == 200
    assert refused.json()["issues"][0]["message"].startswith("url: ")
    assert made.returncode == 0
    assert (sent.returncode, receiver.received) == (1, [])
    assert "private" in sent.stderr


def test_a_webhook_made_beside_a_running_server_hears_of_what_happens_then(
    start: Start, call: Call, receiver: PlainReceiver
) -> None:
    """`palmares webhooks` needs no server, and a server takes up what it does."""
    server = start(**ALLOWED)
    caller = call(server)
    caller.define_board("all-time", caller.define_metric("laps"))
    beside = server.beside
    made = CliRunner().invoke(main, ["webhooks", "create", receiver.url, "--name", "beside", *beside], env=ALLOWED)
    assert made.exit_code == 0, made.output
    assert CliRunner().invoke(main, ["webhooks", "test", "beside", *beside], env=ALLOWED).exit_code == 0

    # The server looks once a second; sending is the waiting.
    for number in range(100_000):
        caller.event("laps", f"user-{number}", number)
        if len(receiver.received) > 1:
            break

    sample, first, *_ = receiver.received
    assert sample.json["leaderboard"]["name"] == "Weekly Laps"
    assert first.json["leaderboard"]["key"] == "all-time"
