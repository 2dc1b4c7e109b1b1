"""`palmares demo`: a server with a year of real flights, to look at and to play with.

The server runs in the main thread, where signals arrive; the demo talks to it over HTTP from a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from palmares.cli.client import Client, Refused, ServerUnreachable
from palmares.cli.demo_story import DemoFailed, define, events_of, make_boards, send_flights, show_rankings
from palmares.cli.options import Failed, plain_errors, setting_options, settings_from
from palmares.cli.serve import get_call
from palmares.demo import flights
from palmares.demo.flights import Flights
from palmares.domain.local_time import SECOND
from palmares.server import Server
from palmares.service.context import Context
from palmares.service.keys import create_key, delete_key, list_keys
from palmares.web import serve

KEY_NAME = "demo"


@click.command("demo")
@click.option("--data", metavar="FOLDER", help="Keep the data in this folder; without it, a temporary one is used.")
@setting_options("host", "port")
@click.option("--limit", type=click.IntRange(1), help="Read only so many rows of the file.")
@click.option("--keep", is_flag=True, help="Leave the server running although there is no terminal.")
def demo(data: str | None, limit: int | None, keep: bool, **given: str | None) -> None:
    """Import a year of real flights, print rankings, and leave the server running.

    The leaderboards are created after the flights: the server makes them from the events that it has, with every run
    that is over and every day of its history.

    Needs the optional extra `palmares[demo]`. Where standard output is no terminal the server stops after printing.
    In the same folder the demo may be run again: nothing counts twice.
    """
    with plain_errors(), _folder(data) as folder:
        # A demo is for people: what the server logs as it goes would hide what it shows.
        # Its calls name no tenant.
        settings = settings_from({**given, "data": folder, "multi_tenancy": "false"}, log_level="warning")
        # Nothing of a demo stays, so it keeps out of databases.
        settings = replace(settings, database_url=None)
        telling = Telling(_read(limit), settings.admin_key, stay=keep or sys.stdout.isatty(), temporary=data is None)
        serve(settings, telling.begin)
        telling.leave()
    if telling.failure is not None:
        raise Failed(telling.failure)


def _folder(data: str | None) -> AbstractContextManager[str]:
    return nullcontext(data) if data is not None else tempfile.TemporaryDirectory(prefix="palmares-demo-")


def _read(limit: int | None) -> Flights:
    try:
        return flights.read(limit)
    except flights.FlightsMissing as error:
        raise Failed(str(error)) from None


class Telling:
    """One telling of the demo, from the moment the server accepts connections. `failure` says what went wrong."""

    def __init__(self, source: Flights, key: str | None, *, stay: bool, temporary: bool) -> None:
        self._source = source
        self._key = key
        self._stay = stay
        self._temporary = temporary
        self._console = Console(highlight=False)
        self._told = False
        self.failure: str | None = None

    def begin(self, server: Server, address: str) -> None:
        """Begin in a thread, so that the event loop that calls this goes on serving."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(server, address, loop), name="demo", daemon=True).start()

    def leave(self) -> None:
        """To be called when the server has stopped, however far the telling has come."""
        if not self._told and self.failure is None:
            # The progress bar, which nobody ends any more, hid the cursor.
            self._console.show_cursor()
            self._console.print("\nStopped before the end; in the same folder (--data) the demo goes on.")

    def _run(self, server: Server, address: str, loop: asyncio.AbstractEventLoop) -> None:
        try:
            key = self._key or server.first_key or _borrowed_key(server.context, loop)
            self._tell(address, key, server.context.clock)
        except (DemoFailed, Refused, ServerUnreachable) as error:
            self.failure = str(error)
        except BaseException as error:
            self.failure = repr(error)
            raise
        finally:
            if self.failure is not None or not self._stay:
                os.kill(os.getpid(), signal.SIGTERM)

    def _tell(self, address: str, key: str, clock: Callable[[], int]) -> None:
        client = Client(address, key)
        subjects = define(client)
        began = clock()
        with self._progress("events", events_of(self._source.departed)) as bar:
            events = send_flights(client, self._source.departed, bar.advance)
        self._report_events(events, (clock() - began) / SECOND)
        began = clock()
        with self._progress("leaderboards", 1) as bar:
            boards = make_boards(client, subjects, bar.reach)
        self._report_boards(boards, (clock() - began) / SECOND)
        paths = show_rankings(client, self._console)
        self._told = True
        if self._stay:
            self._farewell(address, key, paths)

    @contextmanager
    def _progress(self, what: str, total: float) -> Iterator[Bar]:
        """A progress bar on the terminal, nothing where there is none."""
        columns = (TextColumn("{task.description:12}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            yield Bar(progress, progress.add_task(what, total=total))

    def _report_events(self, events: int, seconds: float) -> None:
        source = self._source
        self._console.print(
            f"{source.rows:,} rows read: {len(source.departed):,} flights, "
            f"{source.without_departure:,} without departure time and {source.without_tail_number:,} without "
            f"tail number left out.\n"
            f"{events:,} events accepted in {seconds:.1f} seconds: {events / max(seconds, 0.001):,.0f} a second.",
            soft_wrap=True,
        )

    def _report_boards(self, boards: int, seconds: float) -> None:
        made = (
            f"{boards} leaderboards made from them in {seconds:.1f} seconds, with their past: every run that is over, "
            f"and the ends of days."
        )
        self._console.print(f"{made if boards else 'The leaderboards were there already.'}\n", soft_wrap=True)

    def _farewell(self, address: str, key: str, paths: Sequence[str]) -> None:
        self._console.print(f"\nThe server goes on at {address}; Ctrl-C stops it.", soft_wrap=True)
        if self._temporary:
            self._console.print("Its folder is temporary and is removed at the end.")
        self._console.print(f"Admin key: {key}\n\nTry:", soft_wrap=True, markup=False)
        for path in paths:
            self._console.print(get_call(address + path, key), soft_wrap=True, markup=False)


class Bar(NamedTuple):
    """A progress bar."""

    progress: Progress
    task: TaskID

    def advance(self, steps: float) -> None:
        """Go on by so many steps."""
        self.progress.advance(self.task, steps)

    def reach(self, completed: float) -> None:
        """Go on to that many steps in all."""
        self.progress.update(self.task, completed=completed)


def _borrowed_key(context: Context, loop: asyncio.AbstractEventLoop) -> str:
    """An admin key for a folder whose own key is not known here: the demo's, made new each time.

    The catalog belongs to the server's event loop, so the key is made there.
    """
    return asyncio.run_coroutine_threadsafe(_new_key(context), loop).result()


async def _new_key(context: Context) -> str:
    for key in list_keys(context):
        if key.name == KEY_NAME:
            await delete_key(context, key.id)
    _, text = await create_key(context, KEY_NAME)
    return text
