"""The world that the HTTP measurements play in: who the users are, what is defined, and what is asked.

Three boards count one metric: one for ever, one by the week, one broken down by country. Everybody has a value on all
three. Who sends the next event, or looks, is drawn by a Zipf law, as few are often there and many seldom; the most
active are spread over the numbers, since people do not sign up in the order of their zeal.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

import msgspec

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.metric import Attribute, Metric
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry

ADMIN_KEY = "benchkey.0123456789abcdefghijklmn"
EVER, WEEKLY, BY_COUNTRY = "ever", "weekly", "by-country"
METRIC = Metric(0, str(UUID(int=1)), DEFAULT_SCOPE, "points", "Points")
COUNTRY = Attribute(str(UUID(int=2)), DEFAULT_SCOPE, "user", "country", "Country")
_COUNTRIES = 50
_ZONES = ("America/Los_Angeles", "America/Sao_Paulo", "Europe/Madrid", "Africa/Lagos", "Asia/Kolkata", "Asia/Tokyo")
_MOST_VALUE = 1_000_000
_ZIPF_EXPONENT = 0.99
# A prime: times it, modulo any smaller number of users, everybody is met once.
_SPREAD = 2_147_483_647


def first_day() -> int:
    """The Monday of last week. Boards begin then, so that this week is a whole one in every zone."""
    today = datetime.now(UTC).date()
    return (today - timedelta(days=today.weekday() + 7)).toordinal()


def boards(metric: Metric) -> list[Board]:
    """The three boards, not yet numbered, without a cap: everybody has a rank."""
    return [
        _board(11, EVER, metric),
        _board(12, WEEKLY, metric, run_unit="day", run_interval=7),
        _board(13, BY_COUNTRY, metric, breakdown=(COUNTRY,)),
    ]


def _board(identifier: int, key: str, metric: Metric, **fields: Any) -> Board:
    return Board(
        number=0, id=str(UUID(int=identifier)), scope=DEFAULT_SCOPE, key=key, name=key.title(), asked_status="active",
        rank_by="metric", metric=metric, max_participants=None, start=first_day(), **fields,
    )  # fmt: skip


def user_id(number: int) -> str:
    """The id of a user, counted from 0."""
    return f"user-{number:08}"


def first_entries(users: int, metric: Metric, seed: int = 1) -> Iterator[Entry]:
    """Everybody's first event, which makes them known."""
    chance = random.Random(seed)
    for number in range(users):
        profile = {
            "name": f"Name {number}",
            "tz": chance.choice(_ZONES),
            "attributes": {COUNTRY.key: f"country-{chance.randrange(_COUNTRIES)}"},
        }
        yield Entry(DEFAULT_SCOPE, user_id(number), profile, metric, chance.randint(1, _MOST_VALUE) * MICROS)


def draw_users(users: int, count: int, seed: int) -> list[int]:
    """The numbers of users as they come, by a Zipf law; the same for the same seed."""
    weights = accumulate((rank + 1) ** -_ZIPF_EXPONENT for rank in range(users))
    ranks = random.Random(seed).choices(range(users), cum_weights=list(weights), k=count)
    return [rank * _SPREAD % users for rank in ranks]


def event_requests(users: int, count: int, seed: int) -> list[bytes]:
    """Single events."""
    chance = random.Random(seed)
    path = f"/v1/metrics/{METRIC.key}/event"
    return [
        post(path, {"user": {"id": user_id(number)}, "value": chance.randint(1, 100)})
        for number in draw_users(users, count, seed)
    ]


def with_keys(requests: Iterator[bytes]) -> Iterator[bytes]:
    """The requests, each with an idempotency key that no other has."""
    for number, request in enumerate(requests):
        yield request.replace(b"\r\n\r\n", b"\r\nIdempotency-Key: session-%012d\r\n\r\n" % number, 1)


def batch_requests(users: int, count: int, size: int, seed: int) -> list[bytes]:
    """Batches of events."""
    chance = random.Random(seed)
    items = [
        {"key": METRIC.key, "user": {"id": user_id(number)}, "value": chance.randint(1, 100)}
        for number in draw_users(users, count * size, seed)
    ]
    return [post("/admin/v1/metrics/events", items[start : start + size]) for start in range(0, len(items), size)]


def standing_requests(users: int, count: int, seed: int) -> list[bytes]:
    """Standings of users on the board for ever."""
    return [get(f"/v1/users/{user_id(number)}/leaderboards/{EVER}") for number in draw_users(users, count, seed)]


def around_requests(users: int, count: int, seed: int) -> list[bytes]:
    """Pages of five rows above a user, the user, and five below."""
    return [
        get(f"/v1/leaderboards/{EVER}?userId={user_id(number)}&offset=-5&limit=11")
        for number in draw_users(users, count, seed)
    ]


def top_request() -> bytes:
    """The first ten of the board for ever."""
    return get(f"/v1/leaderboards/{EVER}?limit=10")


def get(path: str) -> bytes:
    """A reading request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {ADMIN_KEY}\r\n\r\n".encode()


def post(path: str, content: object, method: str = "POST") -> bytes:
    """A writing request."""
    body = msgspec.json.encode(content)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {ADMIN_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
