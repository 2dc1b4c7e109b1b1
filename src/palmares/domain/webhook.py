"""Webhooks: who is told of what happens to leaderboards, and how it is told.

A webhook is an address of the customer's, with the types of event that it wants to hear of and a secret of its own.
What is told is a *message*; telling it to one webhook is a *delivery*, which is attempted until it succeeds or
nothing more is tried:

    attempt 1 ── 1 minute ── attempt 2 ── 2 minutes ── attempt 3 ── 4 minutes ── attempt 4
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from palmares.domain.address import is_public, parse_address
from palmares.domain.errors import Invalid
from palmares.domain.local_time import SECOND
from palmares.domain.metric import LONGEST_TEXT, check_name

EventType = Literal[
    "leaderboard.started", "leaderboard.changed", "leaderboard.rank_changed", "leaderboard.finished"
]  # fmt: skip
WebhookStatus = Literal["active", "paused"]
DeliveryStatus = Literal["pending", "delivered", "failed"]

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
STARTED, CHANGED, RANK_CHANGED, FINISHED = EVENT_TYPES

# What a new secret begins with, so that people know it when they find it somewhere.
SECRET_PREFIX = "whs_"
LONGEST_URL = 2048
ANSWER_SECONDS = 60
_WAITS_SECONDS = (60, 120, 240)
MOST_ATTEMPTS = 1 + len(_WAITS_SECONDS)

# What resolvers may read as a number, 0x7f.1 say, and so as an address.
_NUMBER = re.compile(r"\d+|0[xX][0-9a-fA-F]*")
_UNPRINTABLE = re.compile(r"[^!-~]")
_SECRET = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where to tell what. `number` says which came first, `id` is the UUID on the wire; `created` is an instant."""

    number: int
    id: str
    scope: int
    name: str
    url: str
    events: tuple[EventType, ...]
    status: WebhookStatus = "active"
    secret: str = field(repr=False)
    created: int

    def wants(self, event: EventType) -> bool:
        """Whether to tell it of an event of this type that happens now."""
        return self.status == "active" and event in self.events


def check(webhook: Webhook, allow_private: bool) -> Webhook:
    """The webhook itself, or `Invalid` with what is wrong; fields are called as on the wire."""
    check_name(webhook.name)
    check_url(webhook.url, allow_private)
    if not webhook.events:
        raise Invalid(f"events: expected at least one of {', '.join(EVENT_TYPES)}")
    if len(webhook.secret) > LONGEST_TEXT or not _SECRET.fullmatch(webhook.secret):
        raise Invalid(f"secret: expected 1 to {LONGEST_TEXT} printable ASCII characters without spaces")
    return webhook


def check_url(url: str, allow_private: bool) -> None:
    """Raises `Invalid` unless something may be sent there, as far as the URL tells.

    Names are not looked up: what they stand for is judged at each connection.
    """
    if len(url) > LONGEST_URL or _UNPRINTABLE.search(url):
        raise Invalid(f"url: expected at most {LONGEST_URL} printable ASCII characters without spaces")
    host = _host(url)
    address = parse_address(host)
    if address is None and _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise Invalid("url: the host is neither a name nor an address")
    local = host.rstrip(".").rpartition(".")[2] == "localhost" if address is None else not is_public(address)
    if local and not allow_private:
        raise Invalid("url: private addresses are refused; the setting webhooks_allow_private allows them")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise Invalid("url: is malformed") from None
    if parts.scheme not in ("http", "https") or not whole:
        raise Invalid("url: expected an address that begins with https:// or http://")
    if "@" in parts.netloc:
        raise Invalid("url: must not hold a user name or a password")
    if parts.fragment:
        raise Invalid("url: must not hold a fragment (#)")
    assert parts.hostname is not None
    return parts.hostname


def signature(secret: str, body: bytes) -> str:
    """What proves that a body comes from who knows the secret: base64 of HMAC-SHA256 over the very bytes."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def succeeded(status: int | None) -> bool:
    """Whether an answer, None where there was none, says that the message has arrived. Redirects do not."""
    return status is not None and 200 <= status < 300


def retry_at(attempts: int, failed_at: int) -> int | None:
    """When to try again after so many attempts, the last of which failed at an instant; None for never."""
    return None if attempts >= MOST_ATTEMPTS else failed_at + _WAITS_SECONDS[attempts - 1] * SECOND
