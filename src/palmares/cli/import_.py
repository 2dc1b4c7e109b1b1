"""`palmares import`: the events of a file into a running server."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import IO, BinaryIO, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from palmares.cli import event_file
from palmares.cli.batch import Line, Post, Sender, batches, poster
from palmares.cli.client import Client, Refused, ServerUnreachable
from palmares.cli.event_file import Facts, Format, Unusable
from palmares.cli.settling import Work, settle, shortcomings

_MOST_SHOWN = 20

ALL_ACCEPTED, SOME_REJECTED, NOT_SENT, NOT_SHOWN = 0, 1, 2, 3


class Rejection(NamedTuple):
    """A line that was left out. The first line of a file is 1."""

    line: int
    reason: str


class TooManyRejected(Exception):
    """More lines were rejected than the person allowed."""


@dataclass(slots=True)
class Report:
    """How an import went. `problem` says what stopped it, `sent_to` up to which line it had come."""

    identity: str
    accepted: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    sent_to: int = 0
    problem: str | None = None

    @property
    def exit_code(self) -> int:
        """0 when everything was accepted, 1 when lines were rejected, 2 when the file was not sent to its end."""
        if self.problem is not None:
            return NOT_SENT
        return SOME_REJECTED if self.rejected else ALL_ACCEPTED


@dataclass(frozen=True, slots=True)
class Task:
    """What to import: the content of a file and what is known of it, from which line on, with how many bad lines."""

    content: BinaryIO
    facts: Facts
    from_line: int = 1
    most_rejected: int = 1000


def send_events(task: Task, post: Post, advance: Callable[[int], None]) -> Report:
    """Send the events of a file in order. `advance` hears how far it has come, as a line number.

    Never raises for what the server or the file does: the report says it.
    """
    report = Report(task.facts.identity)

    def reject(line: int, reason: str) -> None:
        if line >= task.from_line:
            report.rejected.append(Rejection(line, reason))
            if len(report.rejected) > task.most_rejected:
                raise TooManyRejected(f"more than {task.most_rejected} lines were rejected")

    sender = Sender(post, reject)
    try:
        for batch in batches(_lines(task, reject)):
            sender.send(batch)
            report.sent_to = batch[-1].number
            advance(report.sent_to)
    except (Refused, ServerUnreachable, Unusable, TooManyRejected) as error:
        report.problem = str(error)
    except KeyboardInterrupt:
        report.problem = "interrupted"
    report.accepted = sender.accepted
    report.rejected.sort()
    return report


def _lines(task: Task, reject: Callable[[int, str], None]) -> Iterator[Line]:
    lines = event_file.read(task.content, task.facts.format, task.facts.identity, reject)
    return dropwhile(lambda line: line.number < task.from_line, lines)


@click.command("import")
@click.argument("file")
@click.option(
    "--url",
    envvar="PALMARES_URL",
    default="http://127.0.0.1:8787",
    help="The address of the server.",
    show_default=True,
    show_envvar=True,
)
@click.option("--key", envvar="PALMARES_ADMIN_KEY", required=True, help="An admin key of the server.", show_envvar=True)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "jsonl"]),
    help="CSV or JSON lines; without it, the first character tells.",
)
@click.option("--identity", help="What makes the idempotency keys of lines that have none; without it, the content.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Leave out the lines before this one.")
@click.option(
    "--rejected",
    "rejected_file",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Write the rejected lines' numbers and reasons to this file, as CSV.",
)
@click.option(
    "--history",
    is_flag=True,
    help="Let events take effect when they happened, also in runs that are final and in days that are over.",
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    default=600,
    show_default=True,
    help="With --history: how many seconds to wait until the leaderboards show what was imported.",
)
@click.option(
    "--most-rejected",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Stop when more lines than this are rejected.",
)
def import_command(
    file: str,
    url: str,
    key: str,
    kind: Format | None,
    identity: str | None,
    from_line: int,
    rejected_file: IO[str] | None,
    history: bool,
    patience: int,
    most_rejected: int,
) -> None:
    """Send the events of FILE to a running server.

    FILE holds CSV with a header, or JSON lines; it may be compressed with gzip, and `-` is standard input. The same
    file sent again counts nothing twice, so an import that was interrupted is simply started again.

    Exit code: 0 when every line was accepted, 1 when some were rejected, 2 when the file was not sent to its end, 3
    when a leaderboard does not show it.
    """
    try:
        client = _connected(url, key)
        with event_file.opened(file) as content:
            facts = _chosen(event_file.facts(content), kind, identity)
            with _progress(facts.lines) as advance:
                task = Task(content, facts, from_line, most_rejected)
                report = send_events(task, poster(client, history=history), advance)
    except (Unusable, Refused, ServerUnreachable, ValueError) as error:
        click.echo(f"palmares import: {error}", err=True)
        raise SystemExit(NOT_SENT) from None
    show(report, client.retries)
    if rejected_file is not None:
        csv.writer(rejected_file, lineterminator="\n").writerows([Rejection._fields, *report.rejected])
    shown = show_history(client, patience) if history and report.problem is None else True
    raise SystemExit(report.exit_code or (ALL_ACCEPTED if shown else NOT_SHOWN))


def _connected(url: str, key: str) -> Client:
    """A client that has reached the server with this key; no second try, because a person waits."""
    client = Client(url, key)
    client.fetch(list[msgspec.Raw], "GET", "/admin/v1/metrics?limit=1", tries=1)
    return client


def show_history(client: Client, patience_seconds: float) -> bool:
    """Wait until the leaderboards show what was imported, telling the person so; whether they do."""
    told: list[str] = []

    def tell(works: Sequence[Work]) -> None:
        busy = [work.key for work in works if not work.done]
        if busy and not told:
            told.append(f"Waiting until these leaderboards show it: {', '.join(busy)}")
            click.echo(told[0], err=True)

    try:
        left = shortcomings(settle(client, patience_seconds, tell))
    except KeyboardInterrupt:
        left = ["not waited for any longer; the server goes on"]
    except (Refused, ServerUnreachable) as error:
        left = [f"whether the leaderboards show it is unknown: {error}"]
    for sentence in left:
        click.echo(sentence, err=True)
    return not left


def _chosen(facts: Facts, kind: Format | None, identity: str | None) -> Facts:
    return facts._replace(format=kind or facts.format, identity=identity or facts.identity)


@contextmanager
def _progress(lines: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on the terminal, nothing where there is none."""
    console = Console(stderr=True)
    columns = (TextColumn("lines"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("lines", total=lines)
        yield lambda line: progress.update(bar, completed=line)


def show(report: Report, retries: int) -> None:
    """Print a report: what was accepted, what was rejected and why, and how to go on."""
    for rejection in report.rejected[:_MOST_SHOWN]:
        click.echo(f"line {rejection.line}: {rejection.reason}")
    if len(report.rejected) > _MOST_SHOWN:
        click.echo(f"... and {len(report.rejected) - _MOST_SHOWN:,} more")
    click.echo(f"{report.accepted:,} events accepted, {len(report.rejected):,} lines rejected")
    if retries:
        click.echo(f"The server asked {retries:,} times to try again later, or did not answer.")
    if report.rejected:
        click.echo(f"Correct the rejected lines in place and import again with --identity {report.identity}")
    if report.problem is not None:
        click.echo(f"Stopped after line {report.sent_to:,}: {report.problem}", err=True)
        click.echo("Import again to go on; what was accepted is not counted twice.", err=True)
