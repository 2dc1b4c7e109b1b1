"""What was found: good, doubtful or wrong, and what to do about it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Level = Literal["ok", "doubtful", "wrong"]

# In microseconds. Further apart, events are recorded later than they came, and runs end late.
_DOUBTFUL_SKEW: Final = 250_000
_WRONG_SKEW: Final = 1_000_000


class Finding(NamedTuple):
    """`what` was looked at, what it is (`told`), and what to change; no advice where it is as it should be."""

    level: Level
    what: str
    told: str
    advice: str = ""


def ok(what: str, told: str) -> Finding:
    """As it should be."""
    return Finding("ok", what, told)


def version_at_least(what: str, version: str, least: tuple[int, ...]) -> Finding:
    """Whether something is new enough; what stands behind the numbers decides nothing."""
    numbers = tuple(int(part) for part in version.split(".")[: len(least)] if part.isdigit())
    if numbers >= least:
        return ok(what, version)
    return Finding("wrong", what, version, f"install {'.'.join(map(str, least))} or newer")


def skew(what: str, before: int, theirs: int, after: int) -> Finding:
    """How far a clock is from ours, which was looked at right before and after it; what the way took is no skew."""
    apart = max(before - theirs, theirs - after, 0)
    told = "the same as here" if apart < _DOUBTFUL_SKEW else f"{apart / 1_000_000:.2f} s from the one here"
    if apart < _DOUBTFUL_SKEW:
        return ok(what, told)
    level: Level = "doubtful" if apart < _WRONG_SKEW else "wrong"
    return Finding(level, what, told, "have all machines set their clocks by NTP, such as with chrony")
