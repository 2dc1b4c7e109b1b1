"""The demo, told through the HTTP API: define, import the flights, make the leaderboards from them, show rankings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from rich.console import Console
from rich.table import Table

from palmares.cli.batch import Item, Line, Sender, User, batches, poster
from palmares.cli.client import Client
from palmares.cli.settling import Work, look, settle, shortcomings
from palmares.demo.definitions import AIR_TIME, ATTRIBUTES, BOARDS, CARRIER, FLIGHTS, METRICS, MILES, ORIGIN
from palmares.demo.flights import ZONE, Flight

Definition = Mapping[str, Any]
_ENCODER = msgspec.json.Encoder()


class DemoFailed(Exception):
    """The server refused something that the demo needs."""


# Define.


class Subjects(NamedTuple):
    """What leaderboards are about: the ids of attributes and metrics by their keys."""

    attributes: Mapping[str, str]
    metrics: Mapping[str, str]


def define(client: Client) -> Subjects:
    """Define the attributes and metrics that are not yet there."""
    return Subjects(_ensure(client, "attributes", ATTRIBUTES), _ensure(client, "metrics", METRICS))


def _ensure(
    client: Client, things: str, wanted: Sequence[Definition], created: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """The id of each thing by its key; those that are missing are created one by one, and `created` hears of each."""
    path = f"/admin/v1/{things}"
    present = client.fetch(list[dict[str, Any]], "GET", f"{path}?limit=100")
    known = {thing["key"]: thing["id"] for thing in present}
    for thing in wanted:
        if thing["key"] not in known:
            known[thing["key"]] = _create(client, path, thing)
            created()
    return known


def _create(client: Client, path: str, thing: Definition) -> str:
    answer = client.fetch(dict[str, Any], "POST", path, [thing])
    if not answer["created"]:
        raise DemoFailed(f"{thing['key']}: {answer['issues'][0]['message']}")
    return str(answer["created"][0]["id"])


# Import.


def send_flights(client: Client, flights: Iterable[Flight], advance: Callable[[int], None]) -> int:
    """Send the events of flights, in order, as history; `advance` hears how many more were sent. Returns how many
    that were."""
    sender = Sender(poster(client, history=True), _refuse)
    for batch in batches(line for flight in flights for line in lines_of(flight)):
        sender.send(batch)
        advance(len(batch))
    return sender.accepted


def _refuse(line: int, reason: str) -> None:
    raise DemoFailed(f"the flight on line {line} was refused: {reason}")


def lines_of(flight: Flight) -> Iterator[Line]:
    """A flight's two or three events. The user comes whole with the first, so that it is changed once."""
    whole = User(flight.tail_number, tz=ZONE, attributes={CARRIER: flight.carrier})
    yield _line(flight, MILES, whole, flight.miles)
    yield _line(flight, FLIGHTS, User(flight.tail_number), 1)
    if flight.minutes is not None:
        yield _line(flight, AIR_TIME, User(flight.tail_number), flight.minutes)


def _line(flight: Flight, metric: str, user: User, value: int) -> Line:
    timestamp = flight.departed_at.isoformat()
    # The file never changes, so a line of it is a flight for ever.
    item = Item(metric, user, value, timestamp, f"flight-{flight.line}", {ORIGIN: flight.origin})
    return Line(flight.line, _ENCODER.encode(item))


def events_of(flights: Iterable[Flight]) -> int:
    """How many events the flights give."""
    return sum(2 if flight.minutes is None else 3 for flight in flights)


# Make the leaderboards.


def make_boards(client: Client, subjects: Subjects, tell: Callable[[float], None]) -> int:
    """Create the leaderboards that are missing, and wait until all of them show every flight. Returns how many are new.

    The server makes them from the events that it has. `tell` hears how much is made, from 0 to 1.
    """
    new: list[None] = []

    def created() -> None:
        new.append(None)
        tell(share_made(look(client)))

    _ensure(client, "leaderboards", [_board(board, subjects) for board in BOARDS], created)
    works = settle(client, math.inf, lambda works: tell(share_made(works)))
    for sentence in shortcomings(works):
        raise DemoFailed(sentence)
    return len(new)


def share_made(works: Iterable[Work]) -> float:
    """How much of the demo's leaderboards is made, from 0 to 1."""
    keys = {board["key"] for board in BOARDS}
    return sum(1.0 if work.progress is None else work.progress for work in works if work.key in keys) / len(keys)


def _board(board: Definition, subjects: Subjects) -> Definition:
    """A board as the Admin API takes it."""
    settings = {name: value for name, value in board.items() if name not in ("metric", "breakdown")}
    return {
        **settings,
        "rankBy": "metric",
        "metricId": subjects.metrics[board["metric"]],
        "breakdownAttributes": [subjects.attributes[key] for key in board.get("breakdown", [])],
        "status": "active",
    }


# Show.


@dataclass(frozen=True, slots=True)
class Scene:
    """A page of a ranking worth looking at: its title, what the value is, and how the page is asked for."""

    title: str
    unit: str
    board: str
    query: Mapping[str, str]

    @property
    def path(self) -> str:
        """Path and query of the request."""
        return f"/v1/leaderboards/{self.board}?{urlencode(self.query, safe=':')}"


@dataclass(frozen=True, slots=True)
class Rise:
    """How an aeroplane came to the place that it has in the end: the days of a run on which its rank changed."""

    title: str
    unit: str
    board: str
    user_id: str
    query: Mapping[str, str]

    @property
    def path(self) -> str:
        """Path and query of the request."""
        return f"/v1/users/{quote(self.user_id, safe='')}/leaderboards/{self.board}?{urlencode(self.query)}"


class Place(NamedTuple):
    """One row of a page, as far as the demo shows it."""

    rank: int
    user_id: str
    value: int


JANUARY = Scene("Monthly miles: January 2013", "miles", "monthly-miles", {"run": "2013-01-15", "limit": "5"})
FIRST_SCENES = (
    Scene("All-time miles", "miles", "all-time-miles", {"limit": "5"}),
    JANUARY,
    Scene("Weekly flights: first week of 2013", "flights", "weekly-flights", {"run": "2013-01-01", "limit": "5"}),
    Scene("Miles by carrier: Hawaiian", "miles", "miles-by-carrier", {"userAttributes": "carrier:HA", "limit": "5"}),
    Scene("Longest single flight", "miles", "longest-flight", {"limit": "5"}),
    Scene("Shortest turn in the air", "minutes", "shortest-turn", {"limit": "5"}),
)


def show_rankings(client: Client, console: Console) -> list[str]:
    """Print some rankings; returns the paths that were asked for, to be tried by hand."""
    scenes = [*FIRST_SCENES, *_middle(client)]
    for scene in scenes:
        console.print(_page_table(scene, client.fetch(dict[str, Any], "GET", scene.path)))
    rises = _rise(client)
    for rise in rises:
        console.print(_rise_table(rise, client.fetch(dict[str, Any], "GET", rise.path)))
    return [scene.path for scene in scenes] + [rise.path for rise in rises]


def _middle(client: Client) -> list[Scene]:
    """The neighbours of whoever stands a hundredth place down the longest ranking; nothing when it is shorter."""
    rows = _page(client, Scene("", "", "all-time-miles", {"offset": "99", "limit": "1"}))
    return [
        Scene(f"All-time miles around {row.user_id}", "miles", "all-time-miles", {"userId": row.user_id, "limit": "5"})
        for row in rows
    ]


def _rise(client: Client) -> list[Rise]:
    """How the winner of January came to the top; nothing when nobody flew."""
    title, query = "{} on its way to the top of January 2013", {"run": JANUARY.query["run"], "numEvents": "100"}
    winners = [row.user_id for row in _page(client, JANUARY)[:1]]
    return [Rise(title.format(winner), JANUARY.unit, JANUARY.board, winner, query) for winner in winners]


def _page(client: Client, scene: Scene) -> list[Place]:
    return _places(client.fetch(dict[str, Any], "GET", scene.path))


def _places(answer: Mapping[str, Any]) -> list[Place]:
    return [Place(row["rank"], row["userId"], row["value"]) for row in answer["rankings"]]


def _page_table(scene: Scene, answer: Mapping[str, Any]) -> Table:
    """A page; its title says when nothing will change any more, and its user, if it is about one, stands out."""
    table = _table(scene.title + (", final" if "revision" in answer else ""), "rank", "aeroplane", scene.unit)
    marked = scene.query.get("userId")
    for row in _places(answer):
        table.add_row(f"{row.rank:,}", row.user_id, f"{row.value:,}", style="bold" if row.user_id == marked else None)
    return table


def _rise_table(rise: Rise, answer: Mapping[str, Any]) -> Table:
    table = _table(rise.title, "rank", "day", rise.unit)
    for day in answer["history"]:
        if day["rank"] != day["previousRank"]:
            table.add_row(f"{day['rank']:,}", day["date"], f"{day['value']:,}")
    return table


def _table(title: str, rank: str, subject: str, unit: str) -> Table:
    table = Table(title=title, title_justify="left", min_width=44)
    table.add_column(rank, justify="right")
    table.add_column(subject)
    table.add_column(unit, justify="right")
    return table
