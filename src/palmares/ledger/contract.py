"""The ledger: takes events durably and answers rankings.

Everything a ledger answers is a fold over what was recorded; nothing here knows HTTP, JSON or definitions storage.
One suite, `tests/contract/`, runs over every adapter, and new behaviour goes into it first.

A ledger follows boards: `follow` makes the rankings of a board from what is already recorded and keeps them current.
Reads of a board that is not followed raise `NotFound`.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from palmares.domain.board import Board
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.points import Scheme
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.streak import CountedPeriod, Streak
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User

NO_STREAK = Streak()
StreakOrder = Literal["active", "longest"]


@dataclass(slots=True)
class Entry:
    """One thing to record: a change of a user, an event of that user, or both at once.

    `changes` are the given profile fields (`domain/user.py`). Without a metric there is no event. `occurred_at` None
    means the instant of recording. With `must_exist` an unknown user raises `NotFound` instead of being created; a
    change of `hidden` goes with it. With `history` an event with an `occurred_at` takes effect as if it had been
    recorded when it happened, also in runs that are final and in days that are over. `control` puts a user who is
    created now into the control group.

    With `total` in place of an amount the event adds what leads from the user's present total of the metric to that
    one; where that is nothing, no event is recorded and the outcome has no `event_id`.

    With `voids` the entry says nothing but that the event at that position is void (`void` makes such entries), and
    everything is as if that had not been; only its idempotency key stays used. `domain/effect.py` tells what becomes
    of final runs. The user is the event's.

    `erase` erases a user, who must exist, and does nothing else: the id is unknown from then on, live rankings and
    lists have nobody there, and rows of final runs are anonymous. `compact` is what removes the data from the files.
    """

    scope: int
    user_id: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    metric: Metric | None = None
    amount: int = 0
    attributes: Mapping[str, str] | None = None
    idempotency_key: str | None = None
    occurred_at: int | None = None
    must_exist: bool = False
    history: bool = False
    control: bool = False
    total: int | None = None
    voids: int | None = None
    reason: str | None = None
    erase: bool = False


def void(scope: int, position: int, reason: str | None = None) -> Entry:
    """The entry that says that an event is void, and why."""
    return Entry(scope, "", voids=position, reason=reason)


class BoardOutcome(NamedTuple):
    """Where the event left its user on one board. Ranks are None outside the cap; the threshold is a wire integer."""

    board: Board
    run: Run
    group: Group
    rank: int | None
    previous_rank: int | None
    threshold: int


class Award(NamedTuple):
    """Points that an event earned its user, or took: by one trigger, told by its id, of one points system, told by the
    number of its counter. `total` are the user's points after it; amounts are micros."""

    id: str
    system: int
    trigger: str
    amount: int
    total: int
    occurred_at: int


@dataclass(slots=True)
class Outcome:
    """What recording one entry did. `event_id`, `total`, `boards` and `awards` belong to its event, if it had one.

    `streak` is the user's after the event, and `streak_extended` says that the event made it longer. A replayed entry
    changed nothing: `event_id` is the first one's, everything else the present state, without awards.

    Of a void, `event_id` is that of the event, and `replayed` says that it was void already; there are no `boards`.
    """

    user: User
    created: bool = False
    event_id: str | None = None
    total: int = 0
    replayed: bool = False
    boards: Sequence[BoardOutcome] = ()
    streak: Streak = NO_STREAK
    streak_extended: bool = False
    awards: Sequence[Award] = ()


class Row(NamedTuple):
    """One row of a page. `row` counts from 0 in rank order, `rank` from 1 by the board's numbering; micros."""

    row: int
    rank: int
    user_id: str
    user_name: str | None
    value: int


class Place(NamedTuple):
    """Where one participant stands; the row and rank are None outside the cap. The value is in micros."""

    row: int | None
    rank: int | None
    value: int


class RunState(NamedTuple):
    """How far a run has come. `revision` counts how often it was closed again since it became final, and
    `ignored_late_events` what came after that and was left out."""

    final: bool
    revision: int
    ignored_late_events: int


class Ranks(NamedTuple):
    """Who is ranked where in one group: parallel columns in ascending order of the users' numbers, values in micros."""

    participants: array[int]
    ranks: array[int]
    values: array[int]


class DayChange(NamedTuple):
    """What the events of one local day added to a user's total of one metric, in micros."""

    day: int
    change: int


class StreakRow(NamedTuple):
    """A user among the longest streaks, and how many periods it has."""

    user_id: str
    user_name: str | None
    length: int


class Record(NamedTuple):
    """One line of the log, as stored: an event, a void of one (`target` is its position), a user, or points.

    `body` is JSON text: the profile of a user, the attributes of an event, an object with the reason of a void. An
    award is an event on the counter of its points system, and has its trigger in the body. A record of the kind
    `points` has no user (0), and in the body the schemes by which its scope pays from then on.
    """

    position: int
    kind: str
    recorded_at: int
    scope: int
    user: int
    metric: int | None
    amount: int | None
    occurred_at: int | None
    local_at: int | None
    total: int | None
    idempotency_key: str | None
    target: int | None
    body: str | None


class VoidNote(NamedTuple):
    """When an event was taken back, and why, if that was told."""

    at: int
    reason: str | None


class StoredEvent(NamedTuple):
    """An event as it was recorded, and what has become of it. Amount and total are in micros; the total is the user's
    right behind the event."""

    id: str
    position: int
    user_id: str
    metric: int
    amount: int
    total: int
    attributes: Mapping[str, str]
    idempotency_key: str | None
    occurred_at: int
    recorded_at: int
    history: bool
    void: VoidNote | None


class WantedEvents(NamedTuple):
    """Which events of a scope to show: those that fit all that is given, in front of a position if one is given.

    They were recorded at `recorded_from` or later, and earlier than `recorded_before`.
    """

    scope: int
    limit: int
    before: int | None = None
    user: User | None = None
    metric: Metric | None = None
    recorded_from: int | None = None
    recorded_before: int | None = None
    idempotency_key: str | None = None


class EventPage(NamedTuple):
    """Some events, newest first. More may come in front of the position `before`; none when it is None."""

    events: Sequence[StoredEvent]
    before: int | None


class Erasure(NamedTuple):
    """A user who was erased, when, and the id until then; None when that is not kept any more."""

    scope: int
    number: int
    user_id: str | None
    erased_at: int


class Ledger(Protocol):
    """Durable events, exact rankings. Every method may raise `Unavailable`; none leaves anything half-done."""

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Record entries in order, all or none; returns after they are on disk, ranked and readable.

        Exactly once per (scope, metric, user, idempotency key). Raises `Invalid` when a total or a value leaves its
        range or a change is malformed, `NotAllowed` and `NotFound` as `domain/user.py`, `domain/points.py` and
        `must_exist` say, `NotFound` also when there is no event of the scope where one is to be void, `Overloaded`
        when too many entries wait; then nothing was stored. Of several entries, the message tells the place of the
        one that was refused, such as `[3]`. Calls that arrive together share one flush.
        Cost: one append per entry, and per board counted O(log participants); for a void, linear in the user's events
        of the metric in the run.
        """

    async def advance(self, now: int) -> None:
        """Do what is due until an instant, in order and once, and return when that is durable.

        The end of a UTC day is kept in every ranking, and a run whose last day is over everywhere becomes final: it
        leaves the memory and is read from where it is kept, like any other. Recording goes on meanwhile; an event
        recorded later is recorded at `now` or later.
        """

    def next_due(self) -> int:
        """The instant at which `advance` has something to do again."""

    async def follow(self, board: Board) -> None:
        """Make the board's rankings from the events already recorded, of its past runs too, and keep them current.

        Following a followed board replaces its definition and makes the rankings anew; until they are complete, the
        former ones are read. Recording goes on meanwhile. Raises `Invalid` when the recorded events lead a value out
        of its range; then nothing has changed. Cost: one pass over the log.
        """

    def progress(self, board_number: int) -> float | None:
        """How much of its rankings is made, from 0 to 1, of a board that `follow` is at work on; else None."""

    def revising(self, board_number: int) -> bool:
        """Whether something was recorded that a board's final runs or past days do not show yet."""

    async def settle(self) -> None:
        """Return when everything recorded so far can be read also in the final runs that it revises."""

    def redefine(self, board: Board) -> None:
        """Replace a followed board's definition by one with the same rankings (a new name, a later end).

        A board that is not followed stays so.
        """

    def forget(self, board_number: int) -> None:
        """Stop following a board and let go of its rankings. Nothing recorded is lost."""

    async def freeze(self, board_number: int, note: Callable[[int], Awaitable[None]] | None = None) -> int:
        """Stop counting on a board for good and keep its rankings as they are; returns the last position counted.

        `note` is told the position before anything is kept of the rankings, while nothing is recorded: whoever dies
        in between finds a board that was finished there, or one that was not. What it raises stops the freezing.
        """

    async def runs(self, board_number: int) -> list[Run]:
        """The runs in which anyone has a value, or is ranked in the end, oldest first."""

    async def run_state(self, board_number: int, run: Run) -> RunState:
        """Whether a run is final, and what happened to it since."""

    async def group(self, board_number: int, run: Run, user: User) -> Group | None:
        """The group that the user stands in: by the present attributes, in a final run by those of its end.

        Who is hidden has the group of a live run in which they would stand.
        """

    async def history(
        self, board_number: int, run: Run, user: User, first_day: int, last_day: int
    ) -> list[DayStanding]:
        """The ends of the UTC days of a range that lie in the life of a run, with where the user stood, ascending.

        Only the newest `DAYS_KEPT` days of a run are kept. O(days).
        """

    async def groups(self, board_number: int, run: Run) -> Collection[Group]:
        """The groups of a run in which anyone stands."""

    async def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        """How many are ranked in the union of the groups. O(groups)."""

    async def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """The rows from `start` up to `stop` of the union of the groups, ranked as one. O(log n + rows) for one."""

    async def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """The user's place in the union of the groups; None for a user without a value there. O(groups · log n).

        In a live run, who is hidden has the place that they would have among those who are not.
        """

    async def ranks(self, board_number: int, run: Run, group: Group) -> Ranks:
        """Everybody's rank in a group of a run, at one moment. O(participants)."""

    async def ranks_as_of(self, board: Board, position: int, instant: int) -> list[tuple[Run, Group, Ranks]]:
        """The rankings of the runs that were live at an instant, as they were then, behind a place of the log.

        Recording goes on meanwhile. Cost: as following the board anew.
        """

    def changed_rankings(self) -> list[tuple[int, Run, Group]]:
        """The live rankings, as board number, run and group, that changed since the last call; at first none."""

    async def users(self, numbers: Sequence[int]) -> list[User]:
        """The users with these numbers, those that there are."""

    def position(self) -> int:
        """How far the log is: it grows with every line. With one log, that is the place of the last line; with several
        shards, it is of use only for `ranks_as_of`, and to see whether anything was recorded."""

    async def user(self, scope: int, user_id: str) -> User | None:
        """The user, or None. Constant time; a disk read when the user was not seen lately."""

    async def total(self, user: User, metric: Metric) -> int:
        """The user's lifetime total of a metric in micros; 0 where nothing was recorded."""

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        """The days of the range on which the user's total changed or might have, ascending."""

    async def set_streaks(self, scope: int, settings: StreakSettings) -> None:
        """Count the streaks of a scope by these settings from now on; until then, the defaults hold.

        When they count by other rules than before (another `version`), the streaks of all users and the boards that
        rank by them are made anew from the events already recorded. Recording goes on meanwhile; what is read is by
        the new rules once this returns. Cost: then, one pass over the events that count.
        """

    async def streak(self, user: User) -> Streak:
        """The user's streak as of the last event; `domain/streak.at` tells what is left of it at an instant."""

    async def counted_periods(self, user: User) -> list[CountedPeriod]:
        """Every period that counted for the user's streaks, ascending. Linear in the user's events."""

    async def streak_rankings(self, scope: int, order: StreakOrder, limit: int) -> list[StreakRow]:
        """The users with the longest streaks, the longest first: those alive now, or those of all times; nobody hidden.

        Of equal ones, that which was reached earlier stands higher, then the smaller id. One pass over the users.
        """

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        """Pay points by these schemes for what is recorded from now on; durable, and kept until they are set again.

        What was paid before stays as it is. Schemes as they are change nothing.
        """

    async def awards(self, user: User, system: Metric, limit: int) -> list[Award]:
        """The newest awards of a user in a points system, told by its counter, the newest first.

        The newest are those of the events that happened last on the user's clock. O(limit).
        """

    async def unfinished_erasures(self) -> list[Erasure]:
        """The erased users of whom the files still hold something, oldest first."""

    async def compact(self, numbers: Sequence[int]) -> None:
        """Remove what the files still hold of erased users but numbers, amounts and times; durable on return.

        Recording goes on meanwhile. Whatever is raised, nothing that was answered is lost, and it may be done again.
        Cost: a pass over the log, and writing the files beside the log anew.
        """

    async def records(self, after: int, limit: int) -> list[Record]:
        """The log in order, from the position behind `after`."""

    async def events(self, wanted: WantedEvents) -> EventPage:
        """Events of users who are there as they were recorded, newest first, void ones too; the last to be answered are
        among them.

        A page may be short, even empty, and not be the last: only so much is looked through for one.
        """

    async def events_with(self, scope: int, ids: Sequence[str]) -> list[StoredEvent | None]:
        """The events of a scope with these ids, in the same order; None for an id that no event has."""

    async def close(self) -> None:
        """Flush, checkpoint and let go of the files."""
