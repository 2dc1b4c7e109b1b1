"""What the slow ledger answers, as functions of the log, a board's definition, a run and a moment.

Everything is worked out anew from the whole log. `until` is a moment: what was known just before it, who stood where.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.erased import anonymous_id
from palmares.domain.group import Group, group_of, own_group
from palmares.domain.local_time import day_of, start_of
from palmares.domain.metric import Metric
from palmares.domain.points import Scheme
from palmares.domain.run import Run, closes_at
from palmares.domain.snapshot import DAYS_KEPT
from palmares.domain.standing import Standing, rank_all
from palmares.domain.tally import Tally, fold
from palmares.domain.user import User
from palmares.domain.value import checked
from tests.slow_streaks import StreakBoard, events_of_run, value_at

# Later than everything: a run that is not final is seen as of now.
NEVER = 2**63 - 1


@dataclass(frozen=True)
class UserLine:
    """A user as of this place in the log."""

    position: int
    recorded_at: int
    user: User


@dataclass(frozen=True)
class EventLine:
    """One event. An award is one too, on the counter of its points system, by a trigger."""

    position: int
    recorded_at: int
    event_id: str
    user: int
    metric: Metric
    amount: int
    occurred_at: int
    local_at: int
    total: int
    idempotency_key: str | None
    attributes: Mapping[str, str] | None
    history: bool
    trigger: str | None = None
    earned_by: int | None = None


@dataclass(frozen=True)
class PointsLine:
    """By which schemes a scope pays points from this place on."""

    position: int
    recorded_at: int
    scope: int
    schemes: tuple[Scheme, ...]


@dataclass(frozen=True)
class VoidLine:
    """An event is void from this place in the log on."""

    position: int
    recorded_at: int
    event: EventLine
    total: int
    reason: str | None


@dataclass(frozen=True)
class ErasureLine:
    """Nobody knows a user from this place in the log on."""

    position: int
    recorded_at: int
    user: int


Line = UserLine | EventLine | VoidLine | ErasureLine | PointsLine
Log = Sequence[Line]
# Who is ranked, by group.
Rankings = dict[Group, list[Standing]]
# The rank and value of each who is ranked, by id.
Places = dict[str, tuple[int, int]]


# Users


def users_of(log: Log, until: int = NEVER) -> dict[int, User]:
    """The users by number, each as of their last line before a moment; who came later, as of their first."""
    found: dict[int, User] = {}
    for line in log:
        if isinstance(line, UserLine) and (line.user.number not in found or line.recorded_at < until):
            found[line.user.number] = line.user
    return found


def erased(log: Log, until: int = NEVER) -> set[int]:
    """The numbers of the users who were erased before a moment."""
    return {line.user for line in log if isinstance(line, ErasureLine) and line.recorded_at < until}


def known_users(log: Log) -> dict[int, User]:
    """The users by number who were not erased."""
    gone = erased(log)
    return {number: user for number, user in users_of(log).items() if number not in gone}


def user_with(log: Log, scope: int, user_id: str) -> User | None:
    return next((user for user in known_users(log).values() if (user.scope, user.id) == (scope, user_id)), None)


# Points


def schemes_of(log: Log, scope: int) -> tuple[Scheme, ...]:
    """By what a scope pays at the end of a log."""
    found = [line.schemes for line in log if isinstance(line, PointsLine) and line.scope == scope]
    return found[-1] if found else ()


# Events


def events_of(log: Log, metric_number: int) -> Iterator[EventLine]:
    return (line for line in log if isinstance(line, EventLine) and line.metric.number == metric_number)


def voids_of(log: Log) -> dict[int, VoidLine]:
    """The voids by the position of the event."""
    return {line.event.position: line for line in log if isinstance(line, VoidLine)}


def standing_events(log: Log) -> list[EventLine]:
    """The events that are not void."""
    void = voids_of(log)
    return [line for line in log if isinstance(line, EventLine) and line.position not in void]


def own_events(log: Log) -> list[EventLine]:
    """What users did themselves: the events that are not void, without awards."""
    return [event for event in standing_events(log) if event.trigger is None]


def total_of(log: Log, user_number: int, metric_number: int) -> int:
    return sum(event.amount for event in events_of(standing_events(log), metric_number) if event.user == user_number)


def counted(log: Log, board: Board) -> Log:
    """The part of the log that counts on a board: all, or what there was when it was finished by hand."""
    return log if board.finished_position is None else log[: board.finished_position]


def events_by_run(log: Log, board: Board) -> dict[Run, list[EventLine]]:
    """The events that a board counts, if it counts any, by the run that they happened in, in the order of the log."""
    if isinstance(board, StreakBoard):
        scopes = {number: user.scope for number, user in users_of(log).items()}
        own = [event for event in own_events(counted(log, board)) if scopes[event.user] == board.scope]
        return events_of_run(board, own)
    plan = Plan(board)
    found: dict[Run, list[EventLine]] = {}
    for event in () if board.counted is None else events_of(counted(log, board), board.counted.number):
        run = plan.run_at(event.local_at)
        if run is not None:
            found.setdefault(run, []).append(event)
    return found


def final_at(run: Run) -> int:
    """When a run is over everywhere; an open one never is."""
    return NEVER if run.end is None else closes_at(run.end)


def came_late(line: EventLine | VoidLine, run: Run) -> bool:
    """Whether the run was final when the event or the void was recorded."""
    return line.recorded_at >= final_at(run)


def takes_effect_at(event: EventLine, board: Board, run: Run) -> int | None:
    """When an event of a run begins to count there; None for one that came too late for the board."""
    if event.history:
        return event.occurred_at
    if not came_late(event, run):
        return event.recorded_at
    return final_at(run) - 1 if board.late_events == "revise" else None


def takes_back(void: VoidLine, board: Board, run: Run) -> bool:
    """Whether a void takes its event out of a run: not where it came too late for the board."""
    return not came_late(void, run) or board.late_events == "revise"


def effects(log: Log, board: Board, run: Run) -> list[tuple[int, EventLine]]:
    """The events that count in a run, each with when it takes effect."""
    void = voids_of(counted(log, board))
    return [
        (effect, event)
        for effect, event in effects_before_voids(log, board, run)
        if event.position not in void or not takes_back(void[event.position], board, run)
    ]


def voids_in(log: Log, board: Board, run: Run) -> list[VoidLine]:
    """The voids of events that count, or did, in a run."""
    void = voids_of(counted(log, board))
    return [void[event.position] for _, event in effects_before_voids(log, board, run) if event.position in void]


def effects_before_voids(log: Log, board: Board, run: Run) -> list[tuple[int, EventLine]]:
    pairs = [(takes_effect_at(event, board, run), event) for event in events_by_run(log, board).get(run, [])]
    return [(effect, event) for effect, event in pairs if effect is not None]


def ignored_late(log: Log, board: Board, run: Run) -> int:
    """How many events and voids of a run came too late."""
    events = len(events_by_run(log, board).get(run, [])) - len(effects_before_voids(log, board, run))
    return events + len([void for void in voids_in(log, board, run) if not takes_back(void, board, run)])


def revising(log: Log, board: Board, run: Run) -> list[EventLine | VoidLine]:
    """The events and voids that changed a run when it was final."""
    events = [event for _, event in effects_before_voids(log, board, run) if came_late(event, run)]
    voids = [void for void in voids_in(log, board, run) if came_late(void, run) and takes_back(void, board, run)]
    return [*events, *voids]


# Values and ranks


def tallies(log: Log, board: Board, run: Run, until: int = NEVER) -> dict[int, Tally]:
    """What everyone had earned in a run, by the number of the user, whether they take part or not.

    Events are taken in the order in which they happened; those of one instant in the order of the log.
    """
    gone = erased(counted(log, board), until)
    events = [event for effect, event in effects(log, board, run) if effect < until and event.user not in gone]
    if isinstance(board, StreakBoard):
        return streaks(log, board, run, events, until)
    amounts: dict[int, list[tuple[int, int]]] = {}
    for event in sorted(events, key=lambda event: (event.occurred_at, event.position)):
        amounts.setdefault(event.user, []).append((event.amount, event.occurred_at))
    found = {user: fold(board.aggregation, pairs) for user, pairs in amounts.items()}
    return {user: tally for user, tally in found.items() if tally is not None}


def streaks(log: Log, board: StreakBoard, run: Run, events: list[EventLine], until: int) -> dict[int, Tally]:
    """The streak of everyone just before a moment."""
    users = users_of(counted(log, board), until)
    found = {}
    for user in {event.user for event in events}:
        own = [event for event in events if event.user == user]
        value = value_at(board, run, own, until, users[user])
        if value is not None:
            found[user] = Tally(*value)
    return found


def check_values(log: Log, board: Board) -> None:
    """`Invalid` when anyone's value in any run does not fit."""
    for run in events_by_run(log, board):
        for tally in tallies(log, board, run).values():
            checked(tally.value, f"a value on leaderboard {board.key!r}")


def rankings(log: Log, board: Board, run: Run, until: int = NEVER, seen_by: int | None = None) -> Rankings:
    """Every ranking of a run, by the attributes that the users had just before the moment.

    `seen_by` is a user who stands in it though hidden.
    """
    users, gone = users_of(counted(log, board), until), erased(log)
    members: dict[Group, dict[str, Tally]] = {}
    for number, tally in tallies(log, board, run, until).items():
        group = (own_group if number == seen_by else group_of)(board, users[number].attributes)
        if group is not None:
            # In rows that an erasure leaves behind, the id of before decides between equals, but stands nowhere.
            name = f"{users[number].id}\0{number}" if number in gone else users[number].id
            members.setdefault(group, {})[name] = tally
    return {group: [_shown(standing) for standing in rank_all(board, found)] for group, found in members.items()}


def _shown(standing: Standing) -> Standing:
    _, erased_before, number = standing.participant.partition("\0")
    return standing._replace(participant=anonymous_id(int(number))) if erased_before else standing


def union(board: Board, found: Rankings, groups: Collection[Group]) -> list[Standing]:
    """Those who are ranked in any of the groups, ranked anew as one; each group's own cap has been applied before."""
    ranked = [standing for group in set(groups) for standing in found.get(group, [])]
    members = {standing.participant: Tally(standing.value, standing.reached_at) for standing in ranked}
    return rank_all(replace(board, max_participants=None), members)


def rank_in(standings: list[Standing], participant: str) -> int | None:
    return next((standing.rank for standing in standings if standing.participant == participant), None)


# The ends of days


def days_of(log: Log, board: Board, run: Run, now: int, frozen_at: int = NEVER) -> dict[int, Places]:
    """Who stood where at the end of each UTC day of a run, as far as they are over: from the day on which somebody is
    ranked first, the newest `DAYS_KEPT`."""
    found: dict[int, Places] = {}
    for day, end in ends_of_days(log, board, run, now, frozen_at):
        places = places_in(rankings(log, board, run, end))
        if places or found:
            found[day] = places
    return {day: places for day, places in found.items() if day > max(found) - DAYS_KEPT}


def ends_of_days(log: Log, board: Board, run: Run, now: int, frozen_at: int) -> Iterator[tuple[int, int]]:
    """The days on which anyone had a value in a run, each with the moment that it is seen at.

    The run's last is the day on which it becomes final, and over when it does.
    """
    first = min((effect for effect, _ in effects(log, board, run)), default=NEVER)
    last = min(final_at(run), frozen_at)
    for day in range(day_of(first), day_of(min(now, last)) + 1):
        if start_of(day + 1) <= min(now, last):
            yield day, start_of(day + 1)
        elif last <= now:
            # Finished by hand, the run is over in the middle of a moment: all that was recorded by then is in it.
            yield day, last if last == final_at(run) else NEVER


def places_in(found: Rankings) -> Places:
    return {
        standing.participant: (standing.rank, standing.value) for standings in found.values() for standing in standings
    }
