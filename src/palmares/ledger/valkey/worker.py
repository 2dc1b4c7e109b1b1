"""The way of a request through the ledger: queued, read, drafted, committed, told.

One batch is on its way at a time; it takes whatever has queued up, so that requests that arrive together share the
round trips. A batch goes in rounds. A round reads the users (one round trip to each shard), works out what changes,
and sends to each shard what concerns it (another one), all shards at once. What was overtaken by another worker is
worked out anew in the next round; mostly there is none.

A request is stored by each of its shards as a whole or not at all. What cannot be taken is refused before anything of
the request is sent. Commits carry the worker's name and a number that counts up in each shard, so one that got no
answer is simply sent again: the shard knows whether it has done it, and what it had answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from palmares.domain.effect import last_boundary
from palmares.domain.errors import Overloaded, PalmaresError, Unavailable
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import without_person
from palmares.ledger.contract import BoardOutcome, Entry, Outcome
from palmares.ledger.event_id import event_id
from palmares.ledger.valkey.commit import Answer, Commit, Shard
from palmares.ledger.valkey.correct import CorrectingDraft
from palmares.ledger.valkey.counting import Counting
from palmares.ledger.valkey.draft import EventsNeeded, Picture, Step
from palmares.ledger.valkey.replicas import Unreplicated
from palmares.ledger.valkey.shards import Shards, follower, with_events
from palmares.ledger.valkey.store import Halted, Lost
from palmares.ledger.valkey.tell import Question, Ranking, Teller, questions
from palmares.ledger.valkey.watch import Watch

logger = structlog.get_logger(__name__)
_MOST_ENTRIES_PER_BATCH = 1_000
_MOST_SENDINGS = 3
_DOUBTFUL = "whether this was stored is not known; send it again with the same idempotency key"
_PARTLY = "a part of the list was stored before; send it again with the same idempotency keys"


class Request(msgspec.Struct, eq=False):
    """Entries that stand or fall together, and who waits for them. `outcomes` are those of entries that are stored.

    Who asked may go away; what they asked for is recorded all the same, the rest of a list too.
    """

    entries: Sequence[Entry]
    answer: asyncio.Future[list[Outcome]]
    outcomes: dict[int, Outcome] = {}
    steps: dict[int, Step] = {}
    refused: bool = False

    @property
    def open_places(self) -> list[int]:
        """The entries that are not stored yet."""
        return [place for place in range(len(self.entries)) if place not in self.outcomes]

    @property
    def is_stored(self) -> bool:
        """Whether all entries are."""
        return len(self.outcomes) == len(self.entries)

    def refuse(self, error: Exception) -> None:
        """Answer with an error."""
        self.refused = True
        if self.outcomes and isinstance(error, PalmaresError) and not isinstance(error, Unreplicated):
            error = Unavailable(f"{error.message}; {_PARTLY}")
        if not self.answer.done():
            self.answer.set_exception(error)

    def fulfil(self) -> None:
        """Answer with what became of all entries."""
        if not self.answer.done():
            self.answer.set_result([self.outcomes[place] for place in range(len(self.entries))])


class Worker:
    """Records entries. `name` is another one for every start of every process."""

    def __init__(
        self,
        shards: Shards,
        streaks: Mapping[int, StreakSettings],
        clock: Callable[[], int],
        name: str,
        most_queued: int,
    ) -> None:
        self.name = name
        self.queued_entries = 0
        self._shards = shards
        self.watch = Watch(shards, name)
        # Does what is due before anything is recorded at an instant.
        self.before_round: Callable[[int], Awaitable[None]] = _nothing_due
        # Told of each step that was stored.
        self.on_taken: Callable[[Step], None] = lambda step: None
        self._counting = Counting(shards)
        self._streaks = streaks
        self._clock = clock
        self._most_queued = most_queued
        self._numbers = [0] * len(shards)
        self._queue: list[Request] = []
        self._awake = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._work(), name="palmares-worker")

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        """See `Ledger.record`."""
        if self._closing:
            raise Unavailable("the server is stopping; nothing was stored")
        if self.queued_entries and self.queued_entries + len(entries) > self._most_queued:
            raise Overloaded
        request = Request(entries, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self.queued_entries += len(entries)
        self._awake.set()
        return await request.answer

    async def close(self) -> None:
        """Take nothing new, record what has queued up, and stop."""
        self._closing = True
        self._awake.set()
        await self._task
        # What the shards remember of this worker is for sendings that come twice; there are no more.
        await asyncio.gather(*(self._forget_me(shard) for shard in self._shards.all))

    async def _forget_me(self, shard: Shard) -> None:
        try:
            await self._shards.store.read([[b"HDEL", shard.keys.workers, self.name.encode(), follower(self.name)]])
        except PalmaresError as error:
            logger.warning("the last answer to this worker stays behind", shard=shard.place, reason=error.message)

    async def _work(self) -> None:
        while self._queue or not self._closing:
            await self._awake.wait()
            batch = self._take()
            try:
                await self._record(batch)
            except Exception as error:
                if not isinstance(error, PalmaresError):
                    logger.exception("a batch could not be recorded")
                for request in batch:
                    request.refuse(error)

    def _take(self) -> list[Request]:
        """The requests of the next batch: all that wait, up to a bound that keeps the wait of the first short."""
        taken, entries = 0, 0
        for request in self._queue:
            if taken and entries + len(request.entries) > _MOST_ENTRIES_PER_BATCH:
                break
            taken += 1
            entries += len(request.entries)
        batch, self._queue = self._queue[:taken], self._queue[taken:]
        self.queued_entries -= entries
        if not self._queue and not self._closing:
            self._awake.clear()
        return batch

    async def _record(self, batch: Sequence[Request]) -> None:
        """Round after round, until every request is answered."""
        waiting = list(batch)
        while waiting:
            await self._round(waiting)
            for request in waiting:
                if request.is_stored and not request.refused:
                    request.fulfil()
            waiting = [request for request in waiting if not request.refused and not request.is_stored]

    async def _round(self, waiting: Sequence[Request]) -> None:
        entries = [request.entries[place] for request in waiting for place in request.open_places]
        now = self._clock()
        await self.before_round(now)
        picture = await self._shards.picture(entries, now)
        await with_events(self._shards, picture, lambda: self._draft(picture, waiting))
        drafted = [request for request in waiting if request.steps]
        asked = questions(step for request in drafted for step in request.steps.values())
        answers, refusals = await self._commit(picture, drafted, asked)
        taken = [(request, place, step) for request in drafted for place, step in request.steps.items() if step.number]
        for _, _, step in taken:
            self.watch.note(step)
            self.on_taken(step)
        if taken:
            await self._tell(taken, asked, answers)
        for request, error in refusals:
            request.refuse(error)

    async def _tell(
        self,
        taken: Sequence[tuple[Request, int, Step]],
        asked: Mapping[Ranking, Question],
        answers: Mapping[int, Answer],
    ) -> None:
        """Give each step that was taken its outcome."""
        try:
            counts = await self._counting.completed(asked, answers)
        except PalmaresError as error:
            untold = Unavailable(f"all or a part was stored, but where it led cannot be told: {error.message}")
            for request, _, _ in taken:
                request.refuse(untold)
            return
        steps = [step for _, _, step in taken]
        told = Teller(steps, asked, counts).told(steps)
        for (request, place, step), boards in zip(taken, told, strict=True):
            request.outcomes[place] = self._outcome(step, boards)

    def _draft(self, picture: Picture, waiting: Sequence[Request]) -> None:
        """Give each request its steps, or refuse it; neither, as long as `EventsNeeded` is raised."""
        draft = CorrectingDraft(picture, self._streaks)
        needed: EventsNeeded | None = None
        refusals: list[tuple[Request, PalmaresError]] = []
        for request in waiting:
            request.steps, places = {}, request.open_places
            try:
                steps = draft.add([request.entries[place] for place in places])
            except EventsNeeded as by_now:
                needed = by_now
            except PalmaresError as error:
                refusals.append((request, error))
            else:
                request.steps = dict(zip(places, steps, strict=True))
        if needed is not None:
            raise needed
        for request, refusal in refusals:
            request.refuse(refusal)

    async def _commit(
        self, picture: Picture, drafted: Sequence[Request], asked: Mapping[Ranking, Question]
    ) -> tuple[dict[int, Answer], list[tuple[Request, Exception]]]:
        """Send to each shard what concerns it; returns the answers by shard, and who is to be refused because a shard
        gave none."""
        units = _units(drafted)
        sent = [
            self._send(self._packed(place, picture, [unit for _, unit in some], asked), picture.now)
            for place, some in units.items()
        ]
        answers: dict[int, Answer] = {}
        refusals: list[tuple[Request, Exception]] = []
        found = await asyncio.gather(*sent, return_exceptions=True)
        for (place, some), answer in zip(units.items(), found, strict=True):
            if isinstance(answer, tuple):
                answers[place], doubt = answer
                if doubt is not None:
                    stored = zip(some, answers[place].taken, strict=False)
                    refusals += [(request, doubt) for (request, _), taken in stored if taken]
            elif isinstance(answer, Exception):
                refusals += [(request, _told(answer, place)) for request, _ in some]
            else:
                raise answer
        return answers, refusals

    def _packed(
        self, place: int, picture: Picture, units: Sequence[Sequence[Step]], asked: Mapping[Ranking, Question]
    ) -> Commit:
        """What goes to a shard, by the boards that it was drafted for: there may be others by now."""
        shard = Shard(place, self._shards.all[place].keys, picture.boards[place])
        return Commit(shard, self._shards.numbering, picture.now, units, asked, self._shards.kept)

    async def _send(self, commit: Commit, now: int) -> tuple[Answer, Unreplicated | None]:
        """The answer, and why those who asked must not be told it, if so."""
        shard = self._shards.all[commit.place]
        self._numbers[shard.place] += 1
        arguments = commit.arguments(self.name, self._numbers[shard.place])
        reply, doubt = await self._sent(commit.keys, arguments)
        answer = commit.read(reply)
        if answer.verdict == "done":
            self._shards.note(shard, answer.position, now)
        elif answer.verdict == "due":
            await self._shards.let_pass(shard, last_boundary(now))
        elif answer.verdict == "breaks":
            await self._shards.break_streaks(shard, answer.position)
        return answer, doubt

    async def _sent(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> tuple[Any, Unreplicated | None]:
        """The answer to a commit, which is sent again while none comes; and whether too few replicas have it."""
        sendings = 0
        while True:
            try:
                return await self._shards.store.script("commit", keys, arguments), None
            except Unreplicated as doubt:
                return doubt.reply, doubt
            except Halted as error:
                raise Unavailable(f"{error.message}; {_DOUBTFUL}") from error
            except Lost as error:
                sendings += 1
                if sendings == _MOST_SENDINGS:
                    raise Lost(f"{error.message}; {_DOUBTFUL}") from error
                logger.warning("a commit got no answer and is sent again", reason=error.message)
            except Unavailable as error:
                # What is true of this sending need not be of one before.
                raise Lost(f"a commit got no answer; {_DOUBTFUL}") if sendings else error from error

    def _outcome(self, step: Step, boards: Sequence[BoardOutcome]) -> Outcome:
        """What one entry did."""
        user = step.state.user
        if user.number != step.number:
            user = replace(user, number=step.number)
        if step.erases is not None:
            return Outcome(without_person(user))
        if step.entry.metric is None and step.about is None:
            return Outcome(user, step.created)
        replayed = step.replayed is not None or (step.about is not None and not step.gone)
        outcome = Outcome(user, step.created, self._told_event(step), step.total, replayed, boards)
        outcome.streak, outcome.streak_extended = step.streak, step.streak_extended
        outcome.awards = [
            award._replace(id=self._event_id(step.shard, step.recorded_at, step.position + line - step.event_line))
            for line, award in step.awards
        ]
        return outcome

    def _told_event(self, step: Step) -> str | None:
        """The id of the step's event, of the one that it replays, or of the one that it is about."""
        told = step.about or step.replayed or (step if step.event_line else None)
        return None if told is None else self._event_id(step.shard, told.recorded_at, told.position)

    def _event_id(self, shard: int, recorded_at: int, position: int) -> str:
        return event_id(recorded_at, self._shards.whole_position(self._shards.all[shard], position))


async def _nothing_due(now: int) -> None:
    """Nothing ends by itself."""


def _told(error: Exception, shard: int) -> PalmaresError:
    """What those are told whose commit to a shard failed. What is not foreseen came after sending, as far as known."""
    if isinstance(error, PalmaresError):
        return error
    logger.error("a commit failed unexpectedly", shard=shard, exc_info=error)
    return Unavailable(f"shard {shard} failed unexpectedly; {_DOUBTFUL}")


def _units(requests: Sequence[Request]) -> dict[int, list[tuple[Request, list[Step]]]]:
    """What each request does in each shard, by shard."""
    units: dict[int, list[tuple[Request, list[Step]]]] = {}
    for request in requests:
        parts: dict[int, list[Step]] = {}
        for step in request.steps.values():
            parts.setdefault(step.shard, []).append(step)
        for shard, unit in parts.items():
            units.setdefault(shard, []).append((request, unit))
    return units
