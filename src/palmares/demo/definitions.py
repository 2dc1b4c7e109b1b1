"""What the demo defines: attributes, metrics and boards over the flights, in the words of the Admin API.

Boards name their metric and breakdown attributes by key; whoever sends them puts the ids in their place. The weeks
begin on the Monday before the first flight, so that every flight lies in a run.
"""

from __future__ import annotations

from typing import Any

CARRIER, ORIGIN = "carrier", "origin"
MILES, FLIGHTS, AIR_TIME = "miles-flown", "flights", "air-time"

ATTRIBUTES: tuple[dict[str, str], ...] = (
    {"name": "Carrier", "key": CARRIER, "type": "user"},
    {"name": "Origin", "key": ORIGIN, "type": "event"},
)

METRICS: tuple[dict[str, str], ...] = (
    {"name": "Miles flown", "key": MILES, "units": "miles"},
    {"name": "Flights", "key": FLIGHTS, "units": "flights"},
    {"name": "Time in the air", "key": AIR_TIME, "units": "minutes"},
)

BOARDS: tuple[dict[str, Any], ...] = (
    {"name": "All-time miles", "key": "all-time-miles", "metric": MILES, "start": "2013-01-01"},
    {
        "name": "Monthly miles",
        "key": "monthly-miles",
        "metric": MILES,
        "start": "2013-01-01",
        "runUnit": "month",
        "runInterval": 1,
    },
    {
        "name": "Weekly flights",
        "key": "weekly-flights",
        "metric": FLIGHTS,
        "start": "2012-12-31",
        "runUnit": "day",
        "runInterval": 7,
    },
    {
        "name": "Miles by carrier",
        "key": "miles-by-carrier",
        "metric": MILES,
        "start": "2013-01-01",
        "breakdown": [CARRIER],
    },
    {
        "name": "Longest single flight",
        "key": "longest-flight",
        "metric": MILES,
        "start": "2013-01-01",
        "aggregation": "max",
    },
    {
        "name": "Shortest turn in the air",
        "key": "shortest-turn",
        "metric": AIR_TIME,
        "start": "2013-01-01",
        "aggregation": "min",
        "order": "asc",
    },
)
