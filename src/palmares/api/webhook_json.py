"""What webhooks are sent: the bodies of messages, and samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palmares.api.board_json import extended, shown_json
from palmares.api.wire import ENCODER, breakdown_values, rankings, user_answer
from palmares.domain.board import Board, Status
from palmares.domain.group import Group
from palmares.domain.local_time import HOUR, day_of, format_instant
from palmares.domain.metric import Attribute, Metric
from palmares.domain.rank_change import Change
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.domain.value import MICROS, exact, rounded
from palmares.domain.webhook import RANK_CHANGED, STARTED, EventType
from palmares.ledger.contract import Row

_SAMPLE_ID = "00000000-0000-4000-8000-000000000000"


class WebhookBodies:
    """`Bodies` as JSON."""

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
        """Of a run that began, changed or ended."""
        fields = {"rankings": rankings(rows), **_group(board, group)}
        return _body(event, at, {}, extended(shown_json(board, status, run), fields))

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
        fields = {
            "rank": change.rank,
            "value": _rounded(change.value),
            "previousRank": change.previous_rank,
            "previousValue": _rounded(change.previous_value),
            "exactValue": None if change.value is None else exact(change.value),
            **_group(board, group),
        }
        return _body(event, at, {"user": user_answer(user)}, extended(shown_json(board, status, run), fields))


def sample(event: EventType, at: int) -> bytes:
    """A message of a type as it would look if there were a leaderboard of weekly laps."""
    today = day_of(at)
    metric = Metric(0, _SAMPLE_ID, 0, "laps-swum", "Laps swum")
    pool = Attribute(_SAMPLE_ID, 0, "user", "pool", "Pool")
    board = Board(
        number=0, id=_SAMPLE_ID, scope=0, key="weekly-laps", name="Weekly Laps", asked_status="active",
        rank_by="metric", metric=metric, start=today, run_unit="day", run_interval=7, breakdown=(pool,),
    )  # fmt: skip
    run, bodies = Run(today, today + 6), WebhookBodies()
    if event == RANK_CHANGED:
        user = User(
            number=0, scope=0, id="swim-7", name="Noor Haddad", tz="Asia/Tokyo", attributes={"pool": "east"},
            created=at - 24 * HOUR, updated=at,
        )  # fmt: skip
        change = Change(0, 9, 46 * MICROS, 4, 58 * MICROS)
        return bodies.rank(event, at, board, "active", run, ("east",), user, change)
    if event == STARTED:
        return bodies.rankings(event, at, board, "active", run, None, [])
    rows = [Row(0, 1, "swim-7", "Noor Haddad", 131 * MICROS), Row(1, 2, "swim-2", "Ivo Brandt", 61 * MICROS)]
    return bodies.rankings(event, at, board, "active", run, ("east",), rows)


def _body(event: EventType, at: int, fields: dict[str, Any], board: bytes) -> bytes:
    beginning = ENCODER.encode({"type": event, "timestamp": format_instant(at), **fields})
    return b'%b,"leaderboard":%b}' % (beginning[:-1], board)


def _group(board: Board, group: Group | None) -> dict[str, Any]:
    """The fields that name a group; none without breakdown, and where no group in particular is meant."""
    return {} if group is None else dict(breakdown_values(board, group))


def _rounded(value: int | None) -> int | None:
    return None if value is None else rounded(value)
