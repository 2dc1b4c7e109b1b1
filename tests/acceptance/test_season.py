"""A whole season on the test clock, with users around the earth: every event in its run, every run closed in time.

From the end of 2025 to April 2026: over the year's end, months of 31 and of 28 days, and the nights in which New York
and Berlin put their clocks forward. What the server shows is compared with arithmetic of the test's own over the log.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from trophy import UpsertedUser

from tests.acceptance.arithmetic import ONE_DAY, Contest, Day, Log, Row, final_at
from tests.acceptance.calls import Caller
from tests.acceptance.homes import Home
from tests.acceptance.logs import lines_of, make_anew
from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import define_attribute, define_metric, sync_client

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
DAY_BEFORE = ["09:59:59.999", "10:00", "15:00", "22:00", "23:00"]
DAY_ITSELF = ["00:00", "04:00", "05:00", "10:00", "11:59:59.999", "12:00", "12:30"]


# For a cluster, because every day takes time: the last week has all kinds of turns but that of a year.
THE_END_BEGINS = datetime(2026, 3, 26, tzinfo=UTC)
AT_THE_END = [turn for turn in TURNS if turn > THE_END_BEGINS.date()]


def moments(turns: Iterable[date]) -> list[datetime]:
    """Every instant at which users do something."""
    found = set()
    for turn in turns:
        for day, texts in ((turn - ONE_DAY, DAY_BEFORE), (turn, DAY_ITSELF)):
            found |= {datetime.combine(day, time.fromisoformat(text), UTC) for text in texts}
    return sorted(found)


@dataclass
class Season:
    """A server on a test clock, and what its users are like at present."""

    process: Process
    caller: Caller
    client: Any
    chance: random.Random
    begins: datetime
    now: datetime
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
            happened = max(self.now - ago, self.begins).isoformat().replace("+00:00", "Z")
            items.append(
                {"key": "laps", "user": {"id": user}, "value": self.chance.randrange(9), "timestamp": happened}
            )
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


@contextmanager
def clocked(home: Home, now: datetime) -> Iterator[Season]:
    """A server whose clock stands at an instant."""
    with (
        home.serve("--test-clock", now.isoformat()) as process,
        Caller(process.address, ADMIN_KEY) as caller,
        sync_client(process.address, ADMIN_KEY) as client,
    ):
        yield Season(process, caller, client, random.Random(20260329), now, now)


def define(server: Season, contests: Iterable[Contest]) -> None:
    """A metric, an attribute, and these boards."""
    club, laps = define_attribute(server.client, "club"), define_metric(server.client, "laps")
    fixed = {"rankBy": "metric", "metricId": laps, "status": "active"}
    boards = [fixed | {"key": one.key, "name": one.key} | board_fields(one, club) for one in contests]
    answer = server.caller.send("POST", "/admin/v1/leaderboards", boards).json()
    # The remark on those that have not begun is that they are scheduled.
    assert [issue["message"] for issue in answer["issues"] if issue["severity"] == "error"] == []


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


def test_a_season_around_the_earth_is_what_arithmetic_over_the_log_says(home: Home) -> None:
    """Each event lands in the right run, and each run is frozen as it was at its end, groups and all.

    So it is when the server has made everything anew from the log, too.
    """
    begins, turns = (BEGINS, TURNS) if home.is_folder else (THE_END_BEGINS, AT_THE_END)
    with clocked(home, begins) as server:
        define(server, CONTESTS)
        for moment in moments(turns):
            server.move(moment)
            server.act()
        server.move(ENDS)
        log = Log(lines_of(home))
        assert sum(event.recorded >= final_at(event.local.date()) for event in log.events) > 2 * len(turns)
        assert len(rankings_of(log)) > 10 * len(turns)
        check_all(server, log)
        assert server.process.stop() == 0
    make_anew(home)
    with clocked(home, begins) as server:
        assert server.caller.get("/admin/v1/test-clock") == {"now": "2026-04-02T12:00:00.000Z"}
        check_all(server, log)


def rankings_of(log: Log) -> list[tuple[Contest, date, str]]:
    """Every contest, first day of a run and group in which anything happened."""
    return [
        (contest, first, group)
        for contest in CONTESTS
        for first, _ in sorted(log.events_by_run(contest))
        for group in log.groups(contest)
    ]


def check_all(server: Season, log: Log) -> None:
    """Every ranking of every run, and every history of a week, is what the arithmetic says."""
    for contest, first, group in rankings_of(log):
        assert server.page(contest, first, group) == log.ranking(contest, first, group), (contest, first)
    [weeks] = [contest for contest in CONTESTS if contest.key == "club-weeks"]
    for first, _ in log.events_by_run(weeks):
        for user in ZONES:
            assert server.history(weeks, first, user) == log.history(weeks, first, user, ENDS), (first, user)


def test_a_run_is_open_until_the_last_zone_on_earth_has_left_it(home: Home) -> None:
    """One moment before noon UTC on the day after its last day it counts; at noon it is final and counts nothing."""
    daily, weekly = Contest("daily", date(2026, 1, 1), "day"), Contest("weekly", date(2025, 12, 29), "day", 7)
    sunday, last_moment = date(2026, 1, 4), datetime(2026, 1, 5, 11, 59, 59, 999_000, UTC)
    with clocked(home, last_moment) as server:
        define(server, [daily, weekly])
        assert runs_of(server, "gus", 1, tz="Etc/GMT+12") == {"daily": "2026-01-04", "weekly": "2025-12-29"}
        batch = [{"key": "laps", "user": {"id": "late"}, "value": 2, "timestamp": "2026-01-04T20:00:00Z"}]
        assert server.caller.batch(batch).status_code == 202
        for contest in (daily, weekly):
            assert server.page(contest, sunday, "") == [Row(1, "late", 2), Row(2, "gus", 1)]

        server.move(final_at(sunday))
        assert runs_of(server, "gus", 4) == {"daily": "2026-01-05", "weekly": "2026-01-05"}
        assert server.caller.batch(batch).status_code == 202
        for contest in (daily, weekly):
            assert server.page(contest, sunday, "") == [Row(1, "late", 2), Row(2, "gus", 1)]
        assert server.caller.total("late", "laps") == 4


def test_a_day_begins_in_kiritimati_and_goes_around(home: Home) -> None:
    """Two runs of a board are open at once; each user is in the one of the own wall clock."""
    daily = Contest("daily", date(2026, 1, 1), "day")
    with clocked(home, datetime(2026, 1, 9, 9, 59, 59, 999_000, UTC)) as server:
        define(server, [daily])
        assert runs_of(server, "kiri", 1, tz=ZONES["kiri"]) == {"daily": "2026-01-09"}
        assert server.caller.send("GET", "/v1/leaderboards/daily?run=2026-01-10").status_code == 404
        server.move(datetime(2026, 1, 9, 10, tzinfo=UTC))
        assert server.page(daily, date(2026, 1, 10), "") == []
        assert runs_of(server, "kiri", 1) == {"daily": "2026-01-10"}
        assert runs_of(server, "gus", 1, tz=ZONES["gus"]) == {"daily": "2026-01-08"}
        assert runs_of(server, "yuki", 1, tz=ZONES["yuki"]) == {"daily": "2026-01-09"}


@pytest.mark.parametrize(
    ("zone", "night", "hour_missing"),
    [("America/New_York", date(2026, 3, 8), 2), ("Europe/Berlin", date(2026, 3, 29), 2)],
)
def test_a_window_follows_the_wall_clock_when_it_is_put_forward(
    home: Home, zone: str, night: date, hour_missing: int
) -> None:
    """The same hour UTC is another hour on the wall, so the window opens an hour earlier from then on."""
    window = Contest(
        "window", night - 2 * ONE_DAY, "day", opening=time(hour_missing + 1), closing=time(hour_missing + 2)
    )
    days = [night - ONE_DAY, night, night + ONE_DAY]
    opens = [datetime.combine(day, window.opening, ZoneInfo(zone)).astimezone(UTC) for day in days]
    assert [later - earlier for earlier, later in pairwise(opens)] == [
        timedelta(hours=23),
        timedelta(hours=24),
    ]
    moment = timedelta(milliseconds=1)
    with clocked(home, opens[0] - ONE_DAY) as server:
        define(server, [window])
        for day, opening in zip(days, opens, strict=True):
            server.move(opening - moment)
            assert runs_of(server, "u", 1, tz=zone) == {}
            server.move(opening)
            assert runs_of(server, "u", 1) == {"window": day.isoformat()}
            server.move(opening + timedelta(hours=1) - moment)
            assert runs_of(server, "u", 1) == {"window": day.isoformat()}
            server.move(opening + timedelta(hours=1))
            assert runs_of(server, "u", 1) == {}


def test_statuses_change_by_themselves(home: Home) -> None:
    """At 10:00 UTC on the day before the start, and at 12:00 UTC on the day after the end."""
    contest = Contest("short", date(2026, 1, 10), end=date(2026, 1, 20))
    statuses = [
        ("2026-01-09T09:59:59.999+00:00", "scheduled"),
        ("2026-01-09T10:00:00.000+00:00", "active"),
        ("2026-01-21T11:59:59.999+00:00", "active"),
        ("2026-01-21T12:00:00.000+00:00", "finished"),
    ]
    with clocked(home, BEGINS) as server:
        define(server, [contest])
        for moment, status in statuses:
            server.move(datetime.fromisoformat(moment))
            counted = runs_of(server, "gus", 1, tz="Etc/GMT+12")
            assert server.client.leaderboards.get("short").status == status
            assert [board.status for board in server.client.admin.leaderboards.list()] == [status]
            listed = [board.status for board in server.client.leaderboards.all_()]
            assert listed == ([] if status == "finished" else [status])
            assert [board.status for board in server.client.leaderboards.all_(include_finished=True)] == [status]
            # On the last evening in the latest zone it still counts; before it is the first day there, nothing does.
            assert counted == ({"short": "2026-01-10"} if moment == statuses[2][0] else {})
        assert server.page(contest, date(2026, 1, 10), "") == [Row(1, "gus", 1)]


def runs_of(server: Season, user: str, value: int, **fields: Any) -> dict[str, str]:
    """Send an event: the first days of the runs in which it counts."""
    answer = server.client.metrics.event("laps", user=UpsertedUser(id=user, **fields), value=value)
    return {key: board.start for key, board in answer.leaderboards.items()}
