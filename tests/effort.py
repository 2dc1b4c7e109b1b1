"""How much is left to chance: how many examples, kills and steps. As much as fits into some minutes by default;
`EFFORT=10` tries ten times as much."""

import os

EFFORT = int(os.environ.get("EFFORT") or "1")


def tries(number: int) -> int:
    """So many of the expensive tries at least."""
    return number * EFFORT
