"""The outbox: messages to webhooks, durable before anything is sent, and the notes of those who write them.

A message goes in together with the note of why it need not be written again, in one transaction: so after a crash
none is missing and none is written twice. What came of each delivery is kept as a log.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
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

    `calendar` says by which division into runs that was; `active` whether the board was followed when last seen.
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
    """Users of one run who were told of at one time, and not again before `until`: parallel columns.

    `groups` are places in `names`; rank 0 stands for not ranked, its value is then meaningless.
    """

    board: int
    run_start: int
    until: int
    names: Sequence[Group]
    users: array[int]
    groups: array[int]
    ranks: array[int]
    values: array[int]


class WatchNote(NamedTuple):
    """Of which boards changes are told, and changes of rank; these up to a place of the log and an instant."""

    changed: Sequence[int]
    ranked: Sequence[int]
    position: int
    at: int


NO_WATCH = WatchNote((), (), 0, 0)


@dataclass(frozen=True, slots=True)
class Notes:
    """Everything that was noted, as found at the start; `new` when nothing ever was."""

    boards: Sequence[BoardNote] = ()
    rankings: Sequence[RankingNote] = ()
    batches: Sequence[Batch] = ()
    watch: WatchNote = NO_WATCH
    new: bool = False


@dataclass(slots=True)
class Entry:
    """What one transaction writes: messages, what came of attempts, and notes in place of former ones.

    `gone` are boards without notes from now on. The other two name what is forgotten: the rankings of a run by board
    and first day, batches by board, first day and `until`.
    """

    messages: list[Message] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    boards: list[BoardNote] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    rankings: list[RankingNote] = field(default_factory=list)
    forgotten_rankings: list[tuple[int, int]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    forgotten_batches: list[tuple[int, int, int]] = field(default_factory=list)
    watch: WatchNote | None = None


class Outbox(Protocol):
    """Messages, deliveries and notes. Every method but `waiting` may raise `Unavailable`."""

    async def notes(self) -> Notes:
        """Everything noted. Read once, at the start."""

    async def write(self, entry: Entry) -> None:
        """Write an entry, all or nothing; durable on return. Entries that come together share a transaction.

        Forgetting comes before noting, and messages before what came of their attempts.
        """

    def waiting(self) -> Mapping[str, int]:
        """The webhooks, by id, that have deliveries to be attempted, and the instant of the first. In memory."""

    async def due(self, webhook: str, now: int, limit: int) -> list[Due]:
        """The deliveries to a webhook whose attempt is due at an instant, in the order in which they became so."""

    async def give_up(self, webhook: str, problem: str) -> None:
        """Let all deliveries to a webhook fail that still wait."""

    async def deliveries(self, wanted: Wanted) -> list[Delivery]:
        """Lines of the log, by the order in which messages were written."""

    async def prune(self, before: int) -> bool:
        """Forget deliveries of messages from before an instant that are over.

        A bounded number at a time: True when there may be more.
        """

    async def rewrite(self, scope: int, change: Callable[[int, bytes], bytes | None]) -> None:
        """Let every message of a scope be what `change` makes of its instant and body, in another thread.

        The very same bytes leave it alone; None removes it with its deliveries, also those that wait. Some messages at
        a time: when it fails, a part is done.
        """

    async def compact(self) -> None:
        """Leave nothing in the files of what was removed; `Unavailable` when that is not possible now."""

    async def close(self) -> None:
        """Let go of the database."""


class Answer(NamedTuple):
    """What came back: a status, or None and the reason why there is none."""

    status: int | None
    problem: str | None = None


class Sender(Protocol):
    """The way out."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a body and wait for the answer, for at most `ANSWER_SECONDS` in all. Never raises for what may happen.

        Redirects are answers like others. Unless private targets are allowed, nothing is ever connected to but
        addresses of the public internet.
        """

    async def close(self) -> None:
        """Let go of all connections."""
