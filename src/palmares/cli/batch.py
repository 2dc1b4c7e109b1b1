"""Sending events in batches, so that only the bad ones of a refused batch are left out.

A batch is taken whole or refused whole. A refused one is cut into parts that are sent on their own, in order: at the
item that the server's message points to, else in the middle. So an event is rejected only when it was refused alone,
and the events of a user arrive in the order in which they were given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from palmares.cli.client import Client, Refused, Reply, message_of

Post = Callable[[bytes], Reply]

MOST_ITEMS = 1000
# Well below the smallest limit that anyone would set for a request body.
MOST_BYTES = 1_000_000
_ABOUT_THE_ITEMS = frozenset((400, 404, 413, 422))
_INDEX = re.compile(r"\[(\d+)\]")


class User(msgspec.Struct, omit_defaults=True):
    """The user of an event, as the batch route takes it; only the given fields are sent."""

    id: str
    name: str | None = None
    tz: str | None = None
    attributes: dict[str, str] = {}


class Item(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An event as the batch route takes it. `key` is the metric's, `attributes` are the event's."""

    key: str
    user: User
    value: int | Decimal
    timestamp: str | None = None
    idempotency_key: str | None = None
    attributes: dict[str, str] = {}


class Line(NamedTuple):
    """An event ready to be sent, and the line that it comes from (the first is 1)."""

    number: int
    item: bytes


def poster(client: Client, *, history: bool = False) -> Post:
    """A function that sends a batch to the client's server; as history, events take effect when they happened."""
    path = "/admin/v1/metrics/events?history=true" if history else "/admin/v1/metrics/events"
    return lambda body: client.call("POST", path, body)


class Sender:
    """Sends lines with `post`. `reject` hears of each line that was left out, with the reason."""

    def __init__(self, post: Post, reject: Callable[[int, str], None]) -> None:
        self._post = post
        self._reject = reject
        self.accepted = 0

    def send(self, lines: Sequence[Line]) -> None:
        """Send lines in order; all are accepted or rejected when it returns.

        Raises `Refused` for a refusal that is not about the events (a wrong key, say) and `ServerUnreachable`.
        Cost: one request, and about three more for each line that is rejected.
        """
        waiting = [lines]
        while waiting:
            part = waiting.pop()
            reply = self._post(b"[" + b",".join(line.item for line in part) + b"]")
            if reply.status == 202:
                self.accepted += len(part)
            elif len(part) > 1:
                waiting.extend(reversed(_parts(part, _refusal(reply))))
            else:
                self._reject(part[0].number, _about_one(_refusal(reply)))


def _refusal(reply: Reply) -> str:
    if reply.status not in _ABOUT_THE_ITEMS:
        raise Refused(reply.status, message_of(reply))
    return message_of(reply)


def _parts(lines: Sequence[Line], message: str) -> list[Sequence[Line]]:
    """Smaller parts, in order: around the item that the message points to, else two halves."""
    pointed = _INDEX.search(message)
    if pointed and int(pointed[1]) < len(lines):
        index = int(pointed[1])
        return [part for part in (lines[:index], lines[index : index + 1], lines[index + 1 :]) if part]
    middle = len(lines) // 2
    return [lines[:middle], lines[middle:]]


def _about_one(message: str) -> str:
    """The message without the index, which says nothing where there was one item."""
    return re.sub(r"^\[0\][.:]?\s*", "", message)


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in batches of what one request may carry."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == MOST_ITEMS or size + len(line.item) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.item) + 1
    if batch:
        yield batch
