"""The demo, told through the HTTP API: define, import the flights, show rankings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from rich.console import Console
from rich.table import Table

from palmares.cli.batch import Item, Line, Sender, User, batches, poster
from palmares.cli.client import Client
from palmares.demo.definitions import AIR_TIME, ATTRIBUTES, BOARDS, CARRIER, FLIGHTS, METRICS, MILES, ORIGIN
from palmares.demo.flights import ZONE, Flight

Definition = Mapping[str, Any]
_ENCODER = msgspec.json.Encoder()


class DemoFailed(Exception):
    """The server refused something that the demo needs."""


# Define.


def define(client: Client) -> None:
    """Define what is not yet there: attributes, metrics, then the boards that refer to them by id."""
    attributes = _ensure(client, "attributes", ATTRIBUTES)
    metrics = _ensure(client, "metrics", METRICS)
    _ensure(client, "leaderboards", [_board(board, attributes, metrics) for board in BOARDS])


def _board(board: Definition, attributes: Mapping[str, str], metrics: Mapping[str, str]) -> Definition:
    """A board as the Admin API takes it."""
    settings = {name: value for name, value in board.items() if name not in ("metric", "breakdown")}
    return {
        **settings,
        "rankBy": "metric",
        "metricId": metrics[board["metric"]],
        "breakdownAttributes": [attributes[key] for key in board.get("breakdown", [])],
        "status": "active",
    }


def _ensure(client: Client, things: str, wanted: Sequence[Definition]) -> dict[str, str]:
    """The id of each thing by its key; those that are missing are created."""
    path = f"/admin/v1/{things}"
    present = client.fetch(list[dict[str, Any]], "GET", f"{path}?limit=100")
    known = {thing["key"]: thing["id"] for thing in present}
    missing = [thing for thing in wanted if thing["key"] not in known]
    if missing:
        answer = client.fetch(dict[str, Any], "POST", path, missing)
        if answer["issues"]:
            raise DemoFailed(f"{things}: {answer['issues'][0]['message']}")
        known |= {thing["key"]: thing["id"] for thing in answer["created"]}
    return known


# Import.


def send_flights(client: Client, flights: Iterable[Flight], advance: Callable[[int], None]) -> int:
    """Send the events of flights, in order; `advance` hears how many more were sent. Returns how many that were."""
    sender = Sender(poster(client), _refuse)
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


class Place(NamedTuple):
    """One row of a page, as far as the demo shows it."""

    rank: int
    user_id: str
    value: int


FIRST_SCENES = (
    Scene("All-time miles", "miles", "all-time-miles", {"limit": "5"}),
    Scene("Monthly miles: January 2013", "miles", "monthly-miles", {"run": "2013-01-01", "limit": "5"}),
    Scene("Weekly flights: the first week of 2013", "flights", "weekly-flights", {"run": "2013-01-01", "limit": "5"}),
    Scene("Miles by carrier: Hawaiian", "miles", "miles-by-carrier", {"userAttributes": "carrier:HA", "limit": "5"}),
    Scene("Longest single flight", "miles", "longest-flight", {"limit": "5"}),
    Scene("Shortest turn in the air", "minutes", "shortest-turn", {"limit": "5"}),
)


def show_rankings(client: Client, console: Console) -> list[Scene]:
    """Print some rankings; returns the pages that were read, to be tried by hand."""
    scenes = list(FIRST_SCENES)
    for scene in scenes:
        console.print(_table(scene, _page(client, scene)))
    middle = _middle(client)
    if middle is not None:
        scenes.append(middle)
        console.print(_table(middle, _page(client, middle), marked=middle.query["userId"]))
    return scenes


def _middle(client: Client) -> Scene | None:
    """The neighbours of whoever stands a hundredth place down the longest ranking; None when it is shorter."""
    rows = _page(client, Scene("", "", "all-time-miles", {"offset": "99", "limit": "1"}))
    if not rows:
        return None
    user_id = rows[0].user_id
    return Scene(f"All-time miles around {user_id}", "miles", "all-time-miles", {"userId": user_id, "limit": "5"})


def _page(client: Client, scene: Scene) -> list[Place]:
    answer = client.fetch(dict[str, Any], "GET", scene.path)
    return [Place(row["rank"], row["userId"], row["value"]) for row in answer["rankings"]]


def _table(scene: Scene, rows: Iterable[Place], marked: str | None = None) -> Table:
    table = Table(title=scene.title, title_justify="left", min_width=44)
    table.add_column("rank", justify="right")
    table.add_column("aeroplane")
    table.add_column(scene.unit, justify="right")
    for row in rows:
        table.add_row(f"{row.rank:,}", row.user_id, f"{row.value:,}", style="bold" if row.user_id == marked else None)
    return table
