"""A receiver of webhooks for tests that are no coroutines: a real HTTP server in a thread of this process."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

_PATIENCE_SECONDS = 30


class Received(NamedTuple):
    """One request: the id of the event, the signature, and the body as it came."""

    event_id: str
    signature: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Worked out anew, over the raw bytes."""
        return self.signature == base64.b64encode(hmac.digest(secret.encode(), self.body, hashlib.sha256)).decode()


class PlainReceiver:
    """What came, and the status that is answered, with where a redirect points; while `hanging`, nothing is."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.location: str | None = None
        self.hanging = False
        self.received: list[Received] = []
        self._more = threading.Condition()
        self._released = threading.Event()

    def until(self, count: int) -> list[Received]:
        """Wait until so many requests came; those that did."""
        with self._more:
            self._more.wait_for(lambda: len(self.received) >= count, _PATIENCE_SECONDS)
            return list(self.received)

    def told(self) -> list[str]:
        """What came in short, `started weekly-laps 2026-03-02`, with the first day of the run."""
        return [
            f"{body['type'][12:]} {body['leaderboard']['key']} {body['leaderboard']['runStart']}"
            for body in (one.json for one in self.received)
        ]

    def release(self) -> None:
        """Let go of whoever waits for an answer."""
        self._released.set()

    def take(self, received: Received) -> None:
        """Note a request."""
        with self._more:
            self.received.append(received)
            self._more.notify_all()
        if self.hanging:
            self._released.wait(_PATIENCE_SECONDS)


@contextmanager
def plain_receiver() -> Iterator[PlainReceiver]:
    """A receiver on a free port of this machine."""
    receiver = PlainReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(Received(self.headers["idempotency-key"], self.headers["x-trophy-signature"], body))
            self.send_response(receiver.status)
            if receiver.location is not None:
                self.send_header("location", receiver.location)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.release()
            server.shutdown()
            thread.join()
