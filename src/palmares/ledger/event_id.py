"""The ids of events: UUIDs of version 7 made of the time and the place in the log.

Nothing has to be stored to tell an event's id, and nothing looked up to find the event that an id names, but where a
ledger was taken over from another: then the place is the one that the event had there.
"""

from __future__ import annotations


def event_id(recorded_at: int, position: int) -> str:
    """The id of the event recorded at that instant at that position (below 2^62). Ids sort like positions."""
    milliseconds, rest = divmod(recorded_at, 1000)
    text = f"{milliseconds:012x}7{rest:03x}{position | 1 << 63:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def position_of(identifier: str) -> int:
    """The position that an id names."""
    return int(identifier.replace("-", "")[16:], 16) & ((1 << 62) - 1)
