"""What rankings have to be, worked out from the log with nothing of the server's: zones and dates.

Everything is done the slow and obvious way: each question is answered from the whole log.
"""

import calendar
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.acceptance.logs import Line

Run = tuple[date, date | None]
ONE_DAY = timedelta(days=1)
NOON = time(12, tzinfo=UTC)


@dataclass(frozen=True)
class Contest:
    """A leaderboard that sums up, as the test defined it. `unit` None is one run, months are added to `start`."""

    key: str
    start: date
    unit: str | None = None
    interval: int = 1
    end: date | None = None
    opening: time = time.min
    closing: time | None = None
    by: str | None = None
    only: tuple[str, str] | None = None
    revised: bool = False

    def run_on(self, day: date) -> Run | None:
        """First and last day of the run that a day lies in."""
        if day < self.start or (self.end is not None and day > self.end):
            return None
        if self.unit is None:
            return self.start, self.end
        number = 0
        while self._start_of(number + 1) <= day:
            number += 1
        last = self._start_of(number + 1) - ONE_DAY
        return self._start_of(number), last if self.end is None else min(last, self.end)

    def run_at(self, local: datetime) -> Run | None:
        """The run that an event counts in, by the wall clock of its user."""
        inside = self.opening <= local.time() and (self.closing is None or local.time() < self.closing)
        return self.run_on(local.date()) if inside else None

    def group_of(self, attributes: dict[str, str]) -> str | None:
        """The group of a user: "" where there is only one; None for who takes no part."""
        if self.only is not None and attributes.get(self.only[0]) != self.only[1]:
            return None
        return "" if self.by is None else attributes.get(self.by)

    def _start_of(self, number: int) -> date:
        if self.unit == "day":
            return self.start + number * self.interval * ONE_DAY
        months = (
            self.start.year * 12 + self.start.month - 1 + number * self.interval * (12 if self.unit == "year" else 1)
        )
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(self.start.day, calendar.monthrange(year, month)[1]))


class Event(NamedTuple):
    """One event of the log; `local` is the wall clock of the user when it happened, by the zone known then."""

    position: int
    user: str
    amount: int
    occurred: datetime
    recorded: datetime
    local: datetime


class Profile(NamedTuple):
    """The attributes of a user from an instant on."""

    user: str
    since: datetime
    attributes: dict[str, str]


class Row(NamedTuple):
    """A row of a ranking, whole values."""

    rank: int
    user: str
    value: int


class Day(NamedTuple):
    """One entry of a history."""

    date: date
    rank: int | None
    value: int | None


def instant(microseconds: int) -> datetime:
    """The instant of a number in the log."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def final_at(last: date) -> datetime:
    """When a run with this last day becomes final."""
    return datetime.combine(last + ONE_DAY, NOON)


class Log:
    """The events and profiles of a log."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.events: list[Event] = []
        self.profiles: list[Profile] = []
        self._by_run: dict[Contest, defaultdict[Run, list[Event]]] = {}
        ids: dict[int, str] = {}
        zones: dict[int, ZoneInfo] = {}
        for line in lines:
            if line.profile is not None:
                profile = json.loads(line.profile)
                ids[line.user], zones[line.user] = line.user_id, ZoneInfo(profile.get("tz") or "UTC")
                self.profiles.append(Profile(line.user_id, instant(line.recorded), profile.get("attributes") or {}))
            else:
                happened = instant(line.occurred)
                local = happened.astimezone(zones[line.user]).replace(tzinfo=None)
                self.events.append(
                    Event(line.position, ids[line.user], line.amount, happened, instant(line.recorded), local)
                )

    def events_by_run(self, contest: Contest) -> dict[Run, list[Event]]:
        """The events of each run in which anything happened."""
        if contest not in self._by_run:
            by_run = self._by_run[contest] = defaultdict(list)
            for event in self.events:
                if (run := contest.run_at(event.local)) is not None:
                    by_run[run].append(event)
        return self._by_run[contest]

    def groups(self, contest: Contest) -> set[str]:
        """Every group that anybody was ever in."""
        found = {contest.group_of(profile.attributes) for profile in self.profiles}
        return {group for group in found if group is not None}

    def ranking(self, contest: Contest, first: date, group: str, until: datetime | None = None) -> list[Row]:
        """The rows of one group of one run as they are in the end, or as they were before an instant."""
        run = contest.run_on(first)
        assert run is not None
        end = final_at(run[1]) if run[1] is not None else datetime.max.replace(tzinfo=UTC)
        seen = end if until is None else min(until, end)
        members = {user for user, own in self._groups_before(contest, seen) if own == group}
        # Where late events revise, they count in the last moment of the run.
        counts = None if contest.revised and seen == end else seen
        tallies = {user: tally for user, tally in self._tallies(contest, run, counts) if user in members}
        best = sorted(tallies, key=lambda user: (-tallies[user][0], tallies[user][1], user.encode()))
        return [Row(rank, user, tallies[user][0] // 1_000_000) for rank, user in enumerate(best, start=1)]

    def history(self, contest: Contest, first: date, user: str, until: datetime) -> list[Day]:
        """Where a user stood at the end of each UTC day, from the first on which that was somewhere."""
        run = contest.run_on(first)
        assert run is not None
        end = until if run[1] is None else min(final_at(run[1]), until)
        days: list[Day] = []
        day = first - 2 * ONE_DAY
        while datetime.combine(day, time.min, UTC) < end:
            over = min(datetime.combine(day + ONE_DAY, time.min, UTC), end)
            found = [row for group in self.groups(contest) for row in self.ranking(contest, first, group, over)]
            own = next((row for row in found if row.user == user), None)
            if own is not None or days:
                days.append(Day(day, own and own.rank, own and own.value))
            day += ONE_DAY
        return days

    def _groups_before(self, contest: Contest, end: datetime) -> Iterator[tuple[str, str | None]]:
        """Each user's group by the attributes known before an instant; of who came later, by the first known."""
        known: dict[str, dict[str, str]] = {}
        for profile in self.profiles:
            if profile.since < end or profile.user not in known:
                known[profile.user] = profile.attributes
        return ((user, contest.group_of(attributes)) for user, attributes in known.items())

    def _tallies(self, contest: Contest, run: Run, end: datetime | None) -> Iterator[tuple[str, tuple[int, datetime]]]:
        """Each user's sum in a run, and when it was reached, by what was recorded before an instant."""
        counted: defaultdict[str, list[Event]] = defaultdict(list)
        for event in self.events_by_run(contest).get(run, []):
            if end is None or event.recorded < end:
                counted[event.user].append(event)
        for user, events in counted.items():
            total, reached = 0, datetime.min.replace(tzinfo=UTC)
            for event in sorted(events, key=lambda event: (event.occurred, event.position)):
                if event.amount or event is events[0]:
                    reached = event.occurred
                total += event.amount
            yield user, (total, reached)
