"""The outbox: messages to webhooks, durable before anything is sent, and the notes of those who write them.

A message goes in together with the note of why it need not be written again, in one transaction: so after a crash
none is missing and none is written twice. What came of each delivery is kept as a log.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from palmares.domain.group import Group
from palmares.domain.webhook import DeliveryStatus, EventType


class Recipient(NamedTuple):
    """A webhook that is to be told: its id, its address at present, and the id of the delivery (`evt_…`)."""

    webhook: str
    url: str
    delivery: str


class Message(NamedTuple):
    """What is told: the JSON that is sent, when it happened, and to whom."""

    scope: int
    event: EventType
    created: int
    body: bytes
    recipients: Sequence[Recipient]


class Due(NamedTuple):
    """A delivery to attempt now; `attempts` were made before."""

    id: str
    body: bytes
    attempts: int


class Attempt(NamedTuple):
    """What came of an attempt: `attempts` are made by now. `due` is the next attempt's instant, if there is one.

    `code` is the status answered, None where there was no answer; `problem` says in words what went wrong.
    """

    delivery: str
    webhook: str
    url: str
    at: int
    attempts: int
    status: DeliveryStatus
    due: int | None
    code: int | None
    problem: str | None


class Delivery(NamedTuple):
    """A line of the log. `due` is the next attempt's instant while it is pending, `last_attempt` that of the last."""

    id: str
    webhook: str
    url: str
    event: EventType
    created: int
    status: DeliveryStatus
    attempts: int
    due: int | None
    last_attempt: int | None
    code: int | None
    problem: str | None
    body: bytes


class Wanted(NamedTuple):
    """Which lines of the log: all that fit what is given, from one end, after some others."""

    scope: int
    limit: int = 10
    skip: int = 0
    newest_first: bool = False
    webhook: str | None = None
    event: EventType | None = None
    status: DeliveryStatus | None = None


# The notes of those who write messages


class BoardNote(NamedTuple):
    """How far a board's runs are told: the first days of the last runs whose beginning and end are dealt with.

    `calendar` says by which runs that was; `active` whether the board was followed when last seen.
    """

    board: int
    calendar: str
    active: bool
    started: int | None
    finished: int | None


class RankingNote(NamedTuple):
    """What was last told of a ranking: a digest of it, and until when nothing more is told."""

    board: int
    run_start: int
    group: Group
    digest: bytes
    until: int


class Batch(NamedTuple):
    """Users of one run who were told of at one time, and not before `until` again: parallel columns.

    `groups` are places in `names`; rank 0 stands for not ranked, its value is then meaningless.
    """

    board: int
    run_start: int
    until: int
    names: list[Group]
    users: array[int]
    groups: array[int]
    ranks: array[int]
    values: array[int]


class BatchEnd(NamedTuple):
    """The window of a batch is over: those who were not told of again are forgotten."""

    board: int
    run_start: int
    until: int


class WatchNote(NamedTuple):
    """The place of the log and the instant up to which changes of rank are told, and of which boards."""

    position: int
    at: int
    boards: Sequence[int]


@dataclass(frozen=True, slots=True)
class Notes:
    """Everything that was noted, as found at the start. `watched` are the boards whose rankings have notes."""

    boards: Sequence[BoardNote] = ()
    rankings: Sequence[RankingNote] = ()
    batches: Sequence[Batch] = ()
    watch: WatchNote | None = None
    watched: Sequence[int] = ()
    new: bool = False


@dataclass(slots=True)
class Entry:
    """What one transaction writes: messages, and notes in place of former ones.

    `forgotten` are boards of which no notes are kept any more but `boards`; `watched` of which rankings are noted.
    """

    messages: list[Message] = field(default_factory=list)
    boards: list[BoardNote] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    rankings: list[RankingNote] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    ended: list[BatchEnd] = field(default_factory=list)
    watch: WatchNote | None = None
