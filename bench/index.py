"""The native index beside Valkey's sorted set: `python -m bench.index`.

Both hold one ranking, descending, with values spread evenly over 32 bits. An update moves a random participant up by
anything below one hundredth of that range, so at a million participants by 5,000 rows on average, and answers the rows
before and after. The index is called from Python, one call an operation; Valkey gets 32 operations a round trip,
already encoded, over the loopback interface, and runs on the other core if there is one.

To doubt: what else the machine does changes all times by a third and more; only ratios within one run mean something.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.finding import Finding, print_findings
from bench.machine import resident_bytes
from bench.rivals import Valkey, batches, command, valkey
from palmares.ledger.embedded._index import Index

REPEATS = 5
OPERATIONS = 50_000
PIPELINE = 32
RANGE = 2**32
LARGEST_DELTA = RANGE // 100
KEY = b"ranking"


@dataclass(frozen=True)
class Figures:
    """Of one structure with so many participants. Times are medians, nanoseconds an operation."""

    name: str
    participants: int
    update_nanoseconds: float
    rank_nanoseconds: float
    bytes_a_participant: float
    resident_bytes_a_participant: float | None = None
    load_seconds: float | None = None
    load_sorted_seconds: float | None = None


def measure_index(participants: int, values: array[int]) -> Figures:
    """The index, loaded by half, the other half put in at random, then updated; then the loads.

    In this order: memory that the loads gave back would be used again, and not count as resident.
    """
    resident = resident_bytes(os.getpid())
    index = Index()
    half = participants // 2
    index.load(values[:half], array("q", bytes(8 * half)), array("I", range(half)))
    for participant in range(half, participants):  # values are random, so places are
        index.put(participant, values[participant], 0)

    def update(who: Sequence[int], deltas: Sequence[int]) -> None:
        add = index.add
        for participant, delta in zip(who, deltas, strict=True):
            add(participant, delta, 1)

    def rank(who: Sequence[int], _: Sequence[int]) -> None:
        row = index.row
        for participant in who:
            row(participant)

    update_nanoseconds = _median_nanoseconds(participants, lambda who, deltas: _timed(update, who, deltas))
    rank_nanoseconds = _median_nanoseconds(participants, lambda who, deltas: _timed(rank, who, deltas))
    gc.collect()
    resident = resident_bytes(os.getpid()) - resident
    size = index.nbytes
    index.clear()
    return Figures(
        "palmares",
        participants,
        update_nanoseconds,
        rank_nanoseconds,
        size / participants,
        resident / participants,
        *_measure_loads(participants, values),
    )


def _measure_loads(participants: int, values: array[int]) -> tuple[float, float]:
    """Seconds to load all, unsorted and sorted."""
    index = Index()
    reached, numbers = array("q", bytes(8 * participants)), array("I", range(participants))
    unsorted = _timed(index.load, values, reached, numbers)
    dump = index.dump_after(None, participants)
    columns = [memoryview(column).cast(code) for column, code in zip(dump, "qqI", strict=True)]
    index.clear()
    return unsorted, _timed(index.load_sorted, *columns)


def measure_valkey(rival: Valkey, participants: int, values: array[int]) -> Figures:
    """The sorted set, loaded in batches of 1,000, then updated."""
    empty = rival.used_memory()
    for start in range(0, participants, 1000):
        pairs = (
            b"%d" % number for who in range(start, min(start + 1000, participants)) for number in (values[who], who)
        )
        rival.send(command(b"ZADD", KEY, *pairs), lines=1)

    def run(commands: list[bytes], lines: int) -> float:
        trips = batches(commands, PIPELINE)
        return _timed(lambda: [rival.send(trip, lines * PIPELINE) for trip in trips])

    def update(who: Sequence[int], deltas: Sequence[int]) -> float:
        commands = []
        for participant, delta in zip(who, deltas, strict=True):
            member = b"%d" % participant
            rank = command(b"ZREVRANK", KEY, member)
            commands.append(rank + command(b"ZINCRBY", KEY, b"%d" % delta, member) + rank)
        return run(commands, lines=4)

    def rank(who: Sequence[int], _: Sequence[int]) -> float:
        return run([command(b"ZREVRANK", KEY, b"%d" % participant) for participant in who], lines=1)

    update_nanoseconds = _median_nanoseconds(participants, update)
    rank_nanoseconds = _median_nanoseconds(participants, rank)
    size = (rival.used_memory() - empty) / participants
    rival.send(command(b"FLUSHALL"), lines=1)
    return Figures("valkey", participants, update_nanoseconds, rank_nanoseconds, size)


def _median_nanoseconds(participants: int, measure: Callable[[Sequence[int], Sequence[int]], float]) -> float:
    """Nanoseconds an operation, over repeats with fresh random participants; the first, a warm-up, does not count."""
    chance = random.Random(7)
    operations = OPERATIONS // PIPELINE * PIPELINE
    seconds = []
    for _ in range(REPEATS + 1):
        who = [chance.randrange(participants) for _ in range(operations)]
        deltas = [chance.randrange(LARGEST_DELTA) for _ in range(operations)]
        seconds.append(measure(who, deltas))
    return statistics.median(seconds[1:]) / operations * 1e9


def _timed(work: Callable[..., object], *arguments: object) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def findings(figures: Sequence[Figures]) -> list[Finding]:
    """The table: ours beside the rival's at every size, and how the largest size compares with the smallest."""
    rows = []
    ours = [own for own in figures if own.name == "palmares"]
    rivals = {rival.participants: rival for rival in figures if rival.name == "valkey"}
    for own in ours:
        rows += _findings_at(own, rivals[own.participants])
    if len(ours) > 1:
        growth = ours[-1].update_nanoseconds / ours[0].update_nanoseconds
        what = f"index: update at {ours[-1].participants:,} to {ours[0].participants:,}"
        rows.append(Finding(what, f"{growth:.2f} ×", target="≤ 2.5 ×", reached=growth <= 2.5))
    return rows


def _findings_at(own: Figures, rival: Figures) -> list[Finding]:
    at = f"{own.participants:,}"
    faster = rival.update_nanoseconds / own.update_nanoseconds
    rank_is_bound = own.participants >= 10_000_000
    return [
        Finding(
            f"index: add and both ranks, {at}",
            f"{own.update_nanoseconds:,.0f} ns",
            f"{rival.update_nanoseconds:,.0f} ns",
            f"{faster:.1f} ×",
            "≥ 10 ×",
            faster >= 10,
        ),
        Finding(
            f"index: rank, {at}",
            f"{own.rank_nanoseconds:,.0f} ns",
            f"{rival.rank_nanoseconds:,.0f} ns",
            f"{rival.rank_nanoseconds / own.rank_nanoseconds:.1f} ×",
            "≤ 1,000 ns" if rank_is_bound else "",
            own.rank_nanoseconds <= 1000 if rank_is_bound else None,
        ),
        Finding(
            f"index: bytes a participant, {at}",
            f"{own.bytes_a_participant:.1f} ({own.resident_bytes_a_participant:.1f} resident)",
            f"{rival.bytes_a_participant:.1f}",
            f"{own.bytes_a_participant / rival.bytes_a_participant:.2f} ×",
            "≤ 36",
            own.bytes_a_participant <= 36,
        ),
        Finding(f"index: load, {at}", f"{own.load_seconds:.2f} s"),
        Finding(f"index: load sorted, {at}", f"{own.load_sorted_seconds:.2f} s"),
    ]


def measure(sizes: Sequence[int]) -> list[Figures]:
    """Both structures at every size, one after the other, in one run."""
    figures = []
    with valkey() as rival:
        for participants in sizes:
            values = array("q", array("I", random.Random(1).randbytes(4 * participants)))
            figures.append(measure_index(participants, values))
            figures.append(measure_valkey(rival, participants, values))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="The native index beside Valkey's sorted set.")
    parser.add_argument("--participants", type=int, action="append", help="may be given more than once")
    parser.add_argument("--full", action="store_true", help="1 and 10 million participants; takes some minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    sizes = [1_000_000, 10_000_000] if options.full else options.participants or [1_000_000]
    figures = measure(sizes)
    print_findings(findings(figures))
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
