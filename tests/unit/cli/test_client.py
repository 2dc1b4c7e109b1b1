"""A client tries again when asked to, and only so often. It talks to a real server on the loopback interface."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from palmares.cli.client import LONGEST_WAIT_SECONDS, MOST_TRIES, Client, Refused, Reply, ServerUnreachable

Script = list[tuple[int, dict[str, str], bytes]]
OK = (200, {}, b"[]")
LATER = (429, {"Retry-After": "3"}, b'{"error": "too many"}')


class Scripted(ThreadingHTTPServer):
    """Answers requests by a script, one line each, and keeps what it was asked. A status of 0 hangs up."""

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.asked: list[tuple[str, str, bytes, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self.clients: list[Client] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, body, self.headers["X-API-KEY"]))
        self.server.headers.append(dict(self.headers))
        self.server.connections.add(self.client_address)
        status, headers, reply = self.server.script.pop(0)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(reply))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a test's output is pytest's."""


@contextmanager
def scripted(*script: tuple[int, dict[str, str], bytes]) -> Iterator[Scripted]:
    with Scripted(list(script)) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            for client in server.clients:
                client.close()
            server.shutdown()


def client_of(server: Scripted, waits: list[float], path: str = "") -> Client:
    server.clients.append(Client(server.url + path, "abcd1234.secret", waits.append))
    return server.clients[-1]


def test_a_request_carries_the_key_and_the_body() -> None:
    """The key is a header on every call, never a part of the address."""
    with scripted((202, {}, b'{"accepted": 1}')) as server:
        reply = client_of(server, []).call("POST", "/admin/v1/metrics/events", b"[1]")

    assert (reply.status, reply.body) == (202, b'{"accepted": 1}')
    assert server.asked == [("POST", "/admin/v1/metrics/events", b"[1]", "abcd1234.secret")]


def test_headers_go_with_every_request_or_with_one() -> None:
    """Those of the client, and those of a call."""
    with scripted(OK, OK) as server:
        client = Client(server.url, "abcd1234.secret", headers={"Tenant-ID": "acme"})
        server.clients.append(client)
        client.call("PUT", "/", headers={"Idempotency-Key": "k"})
        client.fetch(list[int], "DELETE", "/")

    assert [one["Tenant-ID"] for one in server.headers] == ["acme", "acme"]
    assert [one.get("Idempotency-Key") for one in server.headers] == ["k", None]


def test_requests_share_a_connection() -> None:
    """A file of a million events is sent over one connection."""
    with scripted(OK, OK, OK) as server:
        client = client_of(server, [])
        for _ in range(3):
            client.call("GET", "/")

    assert len(server.connections) == 1


def test_the_path_of_the_address_stands_before_every_route() -> None:
    """A server may live below a path of a larger site."""
    with scripted(OK) as server:
        client_of(server, [], "/scores/").call("GET", "/v1/leaderboards")

    assert server.asked[0][1] == "/scores/v1/leaderboards"


def test_an_overloaded_server_is_asked_again_after_the_time_it_names() -> None:
    """Retry-After is honoured, and the same request is sent again."""
    with scripted(LATER, LATER, (202, {}, b"{}")) as server:
        waits: list[float] = []
        client = client_of(server, waits)
        reply = client.call("POST", "/", b"[]")

    assert reply.status == 202
    assert waits == [3.0, 3.0]
    assert client.retries == 2
    assert len({asked[2] for asked in server.asked}) == 1


def test_without_a_named_time_the_pauses_double() -> None:
    """A server in trouble is not hammered."""
    with scripted(*[(503, {}, b"")] * 4, OK) as server:
        waits: list[float] = []
        client_of(server, waits).call("GET", "/")

    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_no_pause_is_longer_than_a_minute() -> None:
    """Whatever the server names, a person is waiting."""
    with scripted((503, {"Retry-After": "86400"}, b""), OK) as server:
        waits: list[float] = []
        client_of(server, waits).call("GET", "/")

    assert waits == [LONGEST_WAIT_SECONDS]


def test_a_connection_that_breaks_is_opened_again() -> None:
    """A server that restarts in between does not end an import."""
    with scripted(OK, (0, {}, b""), OK) as server:
        waits: list[float] = []
        client = client_of(server, waits)
        replies = [client.call("GET", "/").status for _ in range(2)]

    assert replies == [200, 200]
    assert len(server.connections) == 2


def test_after_the_last_try_the_server_counts_as_unreachable() -> None:
    """Patience ends, and the message says what the server kept answering."""
    with scripted(*[LATER] * MOST_TRIES) as server:
        waits: list[float] = []
        with pytest.raises(ServerUnreachable, match="429: too many"):
            client_of(server, waits).call("GET", "/")

    assert len(waits) == MOST_TRIES - 1


def test_where_nobody_listens_one_try_is_enough_to_know() -> None:
    """The first question of an import is asked once, so that a wrong address is told at once."""
    with scripted() as server:
        url = server.url
    waits: list[float] = []

    with pytest.raises(ServerUnreachable, match="does not answer"):
        Client(url, "abcd1234.secret", waits.append).call("GET", "/", tries=1)

    assert waits == []


def test_a_refused_request_is_not_tried_again() -> None:
    """What is refused stays refused."""
    unknown = (401, {}, b'{"error": "the API key is unknown"}')
    with scripted(unknown) as server, pytest.raises(Refused, match="401: the API key is unknown"):
        client_of(server, []).fetch(list[int], "GET", "/")

    assert len(server.asked) == 1


def test_an_answer_of_another_kind_of_server_is_told_as_such() -> None:
    """A web page is not taken for an answer."""
    with scripted((200, {}, b"<html>")) as server, pytest.raises(ServerUnreachable, match="no Palmares server"):
        client_of(server, []).fetch(list[int], "GET", "/")


def test_a_body_is_sent_as_json_and_read_as_the_type_asked_for() -> None:
    """`fetch` is for everything but the hot batch route."""
    with scripted((201, {}, b'{"created": 1}')) as server:
        answer = client_of(server, []).fetch(dict[str, int], "POST", "/", [{"key": "laps"}])

    assert answer == {"created": 1}
    assert json.loads(server.asked[0][2]) == [{"key": "laps"}]


@pytest.mark.parametrize("url", ["", "palmares.example", "ftp://palmares.example", "http://"])
def test_an_address_without_scheme_or_host_is_refused(url: str) -> None:
    """Better at once than as a puzzling failure of the connection."""
    with pytest.raises(ValueError, match="is not the address of a server"):
        Client(url, "key")


def test_a_message_of_something_else_in_between_is_shown_as_it_came() -> None:
    """A proxy's error page is cut, not hidden."""
    with scripted((400, {}, b"<h1>Bad Request</h1>")) as server, pytest.raises(Refused, match="<h1>Bad Request</h1>"):
        client_of(server, []).fetch(list[int], "GET", "/")


def test_a_reply_says_how_long_to_wait_if_the_server_does() -> None:
    """A date in the header is not understood, and nothing breaks."""
    with scripted((200, {"Retry-After": "soon"}, b"[]")) as server:
        assert client_of(server, []).call("GET", "/") == Reply(200, b"[]", None)
