"""Webhooks of a cluster: whichever worker records, and whichever dies, each thing is told once."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.test_workers import DEADLINE_SECONDS, until
from tests.databases import Postgres
from tests.plain_receiver import plain_receiver
from tests.valkey_servers import durable_server

TOLD = sorted(
    ["started", "changed ann", "changed bob ann", "rank_changed ann 1", "rank_changed bob 1", "rank_changed ann 2"]
)


def test_each_change_is_told_once_whichever_worker_records_and_whichever_leads(
    postgres: Postgres, tmp_path: Path
) -> None:
    """The leader is killed; the other one goes on with what it left."""
    with ExitStack() as opened:
        valkey = opened.enter_context(durable_server(tmp_path))
        database = opened.enter_context(postgres.database())
        receiver = opened.enter_context(plain_receiver())
        variables = {
            "PALMARES_VALKEY_URL": f"valkey://{valkey.host}:{valkey.port}",
            "PALMARES_DATABASE_URL": database.url,
            "PALMARES_WEBHOOKS_ALLOW_PRIVATE": "true",
            "PALMARES_WEBHOOKS_THROTTLE_SECONDS": "1",
        }
        first, second = (opened.enter_context(Process(tmp_path / "none", **variables)) for _ in range(2))
        one, other = (opened.enter_context(Caller(process.address, ADMIN_KEY)) for process in (first, second))
        item = {
            "name": "hook",
            "url": receiver.url,
            "events": ["leaderboard.started", "leaderboard.changed", "leaderboard.rank_changed"],
        }
        answer = other.send("POST", "/admin/v1/webhooks", [item])
        assert answer.status_code == 201, answer.text
        one.define_board("laps", one.define_metric("laps"))
        receiver.until(1)
        until(lambda: "laps" in other.event("laps", "ann", 1).json().get("leaderboards", {}), DEADLINE_SECONDS)
        until(lambda: len({one.event_id for one in receiver.received}) == 3, DEADLINE_SECONDS)
        leader, rest = (first, other) if "does the timed work now" in first.errors() else (second, one)
        leader.kill()
        assert rest.event("laps", "bob", 5).status_code == 201
        until(lambda: len({one.event_id for one in receiver.received}) == len(TOLD), DEADLINE_SECONDS)

    # What was on its way to the webhook when the leader died is sent again, under the same id.
    told = {one.event_id: one.json for one in receiver.received}
    assert sorted(in_short(body) for body in told.values()) == TOLD


def in_short(body: Any) -> str:
    """Such as `rank_changed ann 2`, or `changed` with all who are ranked."""
    board = body["leaderboard"]
    if "rank" in board:
        return f"rank_changed {body['user']['id']} {board['rank']}"
    return " ".join([body["type"].removeprefix("leaderboard."), *(row["userId"] for row in board["rankings"])])
