"""A whole season on the test clock, with users around the earth: every event in its run, every run closed in time.

From the end of 2025 to April 2026: over the year's end, months of 31 and of 28 days, and the nights in which New York
and Berlin put their clocks forward. What the server shows is compared with arithmetic of the test's own over the log.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from trophy import UpsertedUser

from tests.acceptance.arithmetic import ONE_DAY, Contest, Day, LogFile, Row, final_at
from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import define_attribute, define_board, define_metric, sync_client

ZONES = {
    "kiri": "Pacific/Kiritimati",
    "yuki": "Asia/Tokyo",
    "bert": "Europe/Berlin",
    "yves": "America/New_York",
    "hoku": "Pacific/Honolulu",
    "gus": "Etc/GMT+12",
}
CLUBS = ["north", "south"]
BEGINS = datetime(2025, 12, 27, tzinfo=UTC)
ENDS = datetime(2026, 4, 2, 12, tzinfo=UTC)

CONTESTS = [
    Contest("daily", date(2025, 12, 28), "day", end=date(2026, 3, 31)),
    Contest("weekly", date(2025, 12, 29), "day", 7),
    Contest("club-weeks", date(2025, 12, 29), "day", 7, by="club"),
    Contest("revised-weeks", date(2025, 12, 29), "day", 7, by="club", revised=True),
    Contest("monthly", date(2025, 12, 1), "month"),
    # 31 December, 31 January, 28 February, 31 March.
    Contest("last-of-month", date(2025, 12, 31), "month"),
    Contest("north-months", date(2026, 1, 1), "month", only=("club", "north")),
    Contest("yearly", date(2025, 1, 1), "year"),
    Contest("evenings", date(2025, 12, 29), "day", 7, opening=time(18), closing=time(23, 30)),
    Contest("small-hours", date(2026, 1, 1), "month", opening=time(1), closing=time(4), by="club"),
    Contest("for-ever", date(2025, 12, 28)),
]
# The days that begin a year, a month, a week, or on which clocks are put forward.
TURNS = [
    *[date(2026, 1, 1), date(2026, 1, 5), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 1)],
    *[date(2026, 3, 2), date(2026, 3, 8), date(2026, 3, 9), date(2026, 3, 29), date(2026, 3, 30), date(2026, 4, 1)],
]
# Before and after it is midnight somewhere, in the hours (UTC) from the day before to the day itself.
DAY_BEFORE = ["09:59:59.999", "10:00", "14:59:59.999", "15:00", "22:00", "22:59:59.999", "23:00"]
DAY_ITSELF = ["00:00", "01:00", "03:59:59.999", "04:00", "05:00", "06:59", "07:00", "09:59:59.999", "10:00"]
NOON = ["11:59:59.999", "12:00", "12:30"]


def moments() -> list[datetime]:
    """Every instant at which users do something."""
    found = set()
    for turn in TURNS:
        for day, texts in ((turn - ONE_DAY, DAY_BEFORE), (turn, DAY_ITSELF + NOON)):
            found |= {datetime.combine(day, time.fromisoformat(text), UTC) for text in texts}
    return sorted(found)


@dataclass
class Season:
    """A server on a test clock, and what its users are like at present."""

    process: Process
    caller: Caller
    client: Any
    chance: random.Random
    now: datetime = BEGINS
    zones: dict[str, str] = field(default_factory=lambda: dict(ZONES))
    clubs: dict[str, str] = field(default_factory=dict)

    def move(self, now: datetime) -> None:
        """Move the clock."""
        self.now = now
        self.caller.move_clock(now)

    def act(self) -> None:
        """Everybody does something, some change their club or where they live, some things come late."""
        for user in ZONES:
            self.check_event(user)
        if self.chance.random() < 0.3:
            self.check_event(self.chance.choice(["nomad", "nobody"]))
        if self.chance.random() < 0.2:
            self.send_late()

    def check_event(self, user: str) -> None:
        """Send an event; it counts on the boards, and in the runs, that the user's wall clock and club say."""
        fields: dict[str, Any] = {}
        if user == "nomad" or user not in self.clubs:
            fields["tz"] = self.zones[user] = self.zones.get(user) or self.chance.choice([*ZONES.values()])
        if user not in self.clubs or self.chance.random() < 0.15:
            self.clubs[user] = self.chance.choice(CLUBS)
            fields["attributes"] = {"club": self.clubs[user]}
        answer = self.client.metrics.event(
            "laps", user=UpsertedUser(id=user, **fields), value=self.chance.randrange(1, 9)
        )
        if user == "nomad":
            del self.zones[user]
        local = self.now.astimezone(ZoneInfo(fields.get("tz") or self.zones[user])).replace(tzinfo=None)
        told = {key: (board.start, board.end) for key, board in answer.leaderboards.items()}
        assert told == dict(self.expected(user, local)), f"{user} at {self.now}"

    def expected(self, user: str, local: datetime) -> Iterator[tuple[str, tuple[str, str | None]]]:
        """The boards on which an event counts, each with first and last day of the run."""
        for contest in CONTESTS:
            run, group = contest.run_at(local), contest.group_of({"club": self.clubs[user]})
            if run is not None and group is not None:
                yield contest.key, (run[0].isoformat(), run[1] and run[1].isoformat())

    def send_late(self) -> None:
        """A batch of events of the last days, many of them in runs that are final; one of its users leaves the club."""
        items = []
        for user in self.chance.sample([*ZONES], 3):
            ago = timedelta(seconds=self.chance.randrange(10 * 86_400))
            happened = max(self.now - ago, BEGINS).isoformat().replace("+00:00", "Z")
            items.append({"key": "laps", "user": {"id": user}, "value": self.chance.randrange(9), "timestamp": happened})
        leaver = items[0]["user"]
        leaver["attributes"] = {"club": None}
        self.clubs.pop(leaver["id"], None)
        assert self.caller.batch(items).status_code == 202

    def page(self, contest: Contest, first: date, group: str) -> list[Row]:
        """What the server shows."""
        chosen = {"user_attributes": f"{contest.by}:{group}"} if contest.by else {}
        page = self.client.leaderboards.get(contest.key, run=first.isoformat(), limit=1000, **chosen)
        return [Row(row.rank, row.user_id, row.value) for row in page.rankings]

    def history(self, contest: Contest, first: date, user: str) -> list[Day]:
        """What the server shows of the days of a user in a run."""
        answer = self.client.users.leaderboard(user, contest.key, run=first.isoformat(), num_events=100)
        return [Day(date.fromisoformat(str(day.date)), day.rank, day.value) for day in answer.history]

    def check_all(self, log: LogFile) -> int:
        """Every ranking of every run is what the arithmetic says; returns how many there were."""
        compared = 0
        for contest in CONTESTS:
            for first, _ in log.runs(contest):
                for group in log.groups(contest):
                    assert self.page(contest, first, group) == log.ranking(contest, first, group), (contest, first)
                    compared += 1
        return compared


@contextmanager
def season(data: Path) -> Iterator[Season]:
    """A server whose clock stands before the season, with all its boards."""
    with (
        Process(data, "--test-clock", BEGINS.isoformat()) as process,
        Caller(process.address, ADMIN_KEY) as caller,
        sync_client(process.address, ADMIN_KEY) as client,
    ):
        define(caller, client, CONTESTS)
        yield Season(process, caller, client, random.Random(20260329))


def define(caller: Caller, client: Any, contests: Iterable[Contest]) -> None:
    """A metric, an attribute, and these boards."""
    club, laps = define_attribute(client, "club"), define_metric(client, "laps")
    for contest in contests:
        caller.define_board(contest.key, laps, **board_fields(contest, club))


def board_fields(contest: Contest, club: str) -> dict[str, Any]:
    """A contest in the words of the Admin API."""
    fields: dict[str, Any] = {"start": contest.start.isoformat()}
    if contest.unit is not None:
        fields |= {"runUnit": contest.unit, "runInterval": contest.interval}
    if contest.end is not None:
        fields["end"] = contest.end.isoformat()
    if contest.closing is not None:
        fields |= {"startTime": f"{contest.opening:%H:%M}", "endTime": f"{contest.closing:%H:%M}"}
    if contest.by is not None:
        fields["breakdownAttributes"] = [club]
    if contest.only is not None:
        fields["userAttributes"] = [{"attributeId": club, "attributeValue": contest.only[1]}]
    if contest.revised:
        fields["lateEvents"] = "revise"
    return fields


def test_a_season_around_the_earth_is_what_arithmetic_over_the_log_says(tmp_path: Path) -> None:
    """Each event lands in the right run, and each run is frozen as it was at its end, groups and all."""
    data = tmp_path / "data"
    with season(data) as server:
        for moment in moments():
            server.move(moment)
            server.act()
        server.move(ENDS)
        log = LogFile(data / "log.sqlite3")
        late = [event for event in log.events if event.recorded > final_at(event.local.date())]
        assert len(late) > 30
        assert server.check_all(log) > 250
        [weeks] = [contest for contest in CONTESTS if contest.key == "club-weeks"]
        for first, _ in log.runs(weeks):
            for user in ZONES:
                assert server.history(weeks, first, user) == log.history(weeks, first, user, ENDS), (first, user)
