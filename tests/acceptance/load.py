"""Load for servers to which something happens meanwhile, and the auditor who knows what was answered.

Each writer is a user who does one thing after another, worth one each, and sends it again until it is answered. So
whatever is lost or counted twice shows in the next answer, and whoever reads knows between which bounds everybody is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import httpx

from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY

DEADLINE_SECONDS = 60.0


def until(is_so: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Ask again and again until it is so; fails when that takes longer."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it takes too long"
        # Whom is waited for has the same processors.
        os.sched_yield()


class Writer:
    """One user. `answered` things were answered, `refused` times they were to come again."""

    def __init__(self, address: str, metric: str, name: str) -> None:
        self.name = name
        self.answered = 0
        self.refused = 0
        self.address = address
        self._metric = metric

    def write(self, stop: threading.Event) -> None:
        """Go on until told to stop."""
        with Caller(self.address, ADMIN_KEY) as caller:
            while not stop.is_set():
                until(lambda: self._is_answered(caller))
                self.answered += 1

    def _is_answered(self, caller: Caller) -> bool:
        try:
            answer = caller.event(self._metric, self.name, 1, f"{self.name}-{self.answered}")
        except httpx.TransportError:
            self.refused += 1
            return False
        if answer.status_code in (429, 503):
            assert int(answer.headers["retry-after"]) > 0
            self.refused += 1
            return False
        assert answer.status_code in (200, 201, 202), answer.text
        assert answer.json()["total"] == self.answered + 1, "lost or counted twice"
        return True


class Load:
    """Writers and a reader, from when it is entered until it is left. The board has the key of the metric.

    Writers are shared out among the servers; the reader asks the last one.
    """

    def __init__(self, addresses: Sequence[str], metric: str, writers: int = 4) -> None:
        self.metric = metric
        self.writers = [
            Writer(addresses[number % len(addresses)], metric, f"{metric}-{number}") for number in range(writers)
        ]
        self.pages = 0
        self._address = addresses[-1]
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        works = [self._read, *(lambda writer=writer: writer.write(self._stop) for writer in self.writers)]
        self._threads = [threading.Thread(target=self._noting, args=[work]) for work in works]

    @property
    def answered(self) -> int:
        """How many events were answered."""
        return sum(writer.answered for writer in self.writers)

    @property
    def refused(self) -> int:
        """How many times something was to be sent again."""
        return sum(writer.refused for writer in self.writers)

    def flow(self, events: int = 3, address: str | None = None) -> None:
        """Wait until every writer, or each of one server, has had so many more events answered, and the reader a
        page."""
        writers = [writer for writer in self.writers if address in (None, writer.address)]
        before, pages = [writer.answered for writer in writers], self.pages
        self._until(
            lambda: (
                self.pages > pages
                and all(writer.answered >= had + events for writer, had in zip(writers, before, strict=True))
            )
        )

    def be_refused(self) -> None:
        """Wait until somebody was to send something again."""
        before = self.refused
        self._until(lambda: self.refused > before)

    def audit(self, callers: Sequence[Caller], others: Mapping[str, float]) -> None:
        """Once all is over: every worker tells what was answered, no more and no less; `others` have values, too."""
        expected = {writer.name: writer.answered for writer in self.writers} | dict(others)
        for caller in callers:
            rows = caller.page(self.metric)
            assert {name: value for _, name, value in rows} == expected
            _check_order(rows)
            assert {name: caller.total(name, self.metric) for name in expected} == expected

    def _until(self, is_so: Callable[[], bool]) -> None:
        until(lambda: bool(self._failures) or is_so())
        if self._failures:
            raise self._failures[0]

    def _read(self) -> None:
        """What is read is never behind what was answered, nor ahead of what was sent, and in order."""
        with Caller(self._address, ADMIN_KEY) as caller:
            while not self._stop.is_set():
                least = {writer.name: writer.answered for writer in self.writers}
                try:
                    answer = caller.send("GET", f"/v1/leaderboards/{self.metric}")
                except httpx.TransportError:
                    continue
                if answer.status_code != 200:
                    assert answer.status_code in (429, 503), answer.text
                    assert int(answer.headers["retry-after"]) > 0
                    continue
                told = [(row["rank"], row["userId"], row["exactValue"]) for row in answer.json()["rankings"]]
                values = {name: value for _, name, value in told}
                for writer in self.writers:
                    assert least[writer.name] <= values.get(writer.name, 0) <= writer.answered + 1, "a wrong rank"
                _check_order(told)
                self.pages += 1

    def _noting(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failures.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.flow()
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures and kind is None:
            raise self._failures[0]


def _check_order(rows: Sequence[tuple[int, str, float]]) -> None:
    assert [rank for rank, _, _ in rows] == list(range(1, len(rows) + 1))
    values = [value for _, _, value in rows]
    assert values == sorted(values, reverse=True)
