"""`python -m bench`: all measurements, one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from bench import cluster, history, http, index, machine
from bench.finding import Finding, print_findings
from bench.http import Scale

Measurement = Callable[[Scale], Iterator[Finding]]

_QUICK = Scale(
    users=100_000,
    restart_users=100_000,
    events=100_000,
    turns=3,
    turn_seconds=1,
    warm_up_seconds=1,
    timed_events=10_000,
)
_NORMAL = Scale(
    users=1_000_000,
    restart_users=1_000_000,
    events=500_000,
    turns=5,
    turn_seconds=3,
    warm_up_seconds=3,
    timed_events=120_000,
)
_FULL = Scale(
    users=1_000_000,
    restart_users=10_000_000,
    events=1_000_000,
    turns=9,
    turn_seconds=4,
    warm_up_seconds=5,
    timed_events=300_000,
)


def _index(scale: Scale) -> Iterator[Finding]:
    yield from index.findings(index.measure(sorted({scale.users, scale.restart_users})))


def _history(scale: Scale) -> Iterator[Finding]:
    yield from history.measure(scale.users)


MEASUREMENTS: dict[str, Measurement] = {
    "ceiling": http.measure_ceiling,
    "index": _index,
    "reads": http.measure_reads,
    "events": http.measure_events,
    "batches": http.measure_batches,
    "restart": http.measure_restart,
    "history": _history,
    "cluster": cluster.measure,
}


@click.command()
@click.option("--quick", "scale", flag_value="quick", help="100,000 users, about two minutes.")
@click.option("--normal", "scale", flag_value="normal", default=True, help="A million users, about eight minutes.")
@click.option("--full", "scale", flag_value="full", help="Restart and index with ten million, half an hour or more.")
@click.option("--only", "names", multiple=True, type=click.Choice(list(MEASUREMENTS)), help="May be repeated.")
def main(scale: str, names: tuple[str, ...]) -> None:
    """Measure, and print figures beside rivals and targets."""
    click.echo(machine.description(), err=True)
    if not machine.cores_are_apart():
        click.echo("Serving and load cannot be kept apart here; the figures are worth little.", err=True)
    findings: list[Finding] = []
    for name in names or MEASUREMENTS:
        others = machine.Others()
        findings += MEASUREMENTS[name]({"quick": _QUICK, "normal": _NORMAL, "full": _FULL}[scale])
        click.echo(f"measured: {name}; other work on the machine took {others.share():.0%} of a core", err=True)
    print_findings(findings)


if __name__ == "__main__":
    main()
