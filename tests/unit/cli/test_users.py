"""`palmares users` against a real server in another thread."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from palmares.cli import main


class Server(ThreadingHTTPServer):
    """Knows all users but eve, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Any] = []
        self.headers: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_PATCH(self) -> None:
        items = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(items)
        self.server.headers.append(self.headers)
        known = [{"id": item["id"], "hidden": item["hidden"]} for item in items if item["id"] != "eve"]
        issues = [{"severity": "error", "message": "id: unknown", "id": "eve"} for item in items if item["id"] == "eve"]
        self.answer({"updated": known, "issues": issues})

    def do_DELETE(self) -> None:
        self.server.asked.append(self.path)
        if self.path.endswith("/eve"):
            self.answer({"error": "user 'eve' was not found"}, 404)
        elif self.path.endswith("/secret"):
            self.answer({"error": "no key"}, 401)
        else:
            self.answer({"deleted": [{"id": "whoever"}], "issues": []})

    def answer(self, body: Any, status: int = 200) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Nothing to be read."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(server: Server, *arguments: str) -> Result:
    url = f"http://127.0.0.1:{server.server_port}"
    return CliRunner().invoke(main, ["users", *arguments, "--url", url, "--key", "k.s"])


def test_users_are_hidden_and_brought_back(server: Server) -> None:
    done = [run(server, "hide", "ann", "bob"), run(server, "unhide", "ann", "--tenant", "acme")]
    assert [one.stdout for one in done] == ["ann is hidden\nbob is hidden\n", "ann is shown\n"]
    assert server.asked == [
        [{"id": "ann", "hidden": True}, {"id": "bob", "hidden": True}],
        [{"id": "ann", "hidden": False}],
    ]
    assert [headers["Tenant-ID"] for headers in server.headers] == [None, "acme"]


def test_more_than_a_hundred_are_several_requests(server: Server) -> None:
    done = run(server, "hide", *(f"user-{number}" for number in range(101)))
    assert done.exit_code == 0
    assert list(map(len, server.asked)) == [100, 1]


def test_what_could_not_be_done_is_told_and_the_rest_is_done(server: Server) -> None:
    done = run(server, "hide", "ann", "eve")
    assert (done.exit_code, done.stdout) == (1, "ann is hidden\n")
    assert done.stderr == "eve: id: unknown\nError: 1 of the users could not be changed\n"


def test_an_address_that_is_none_is_a_mistake_of_usage(server: Server) -> None:
    done = CliRunner().invoke(main, ["users", "hide", "ann", "--url", "nowhere", "--key", "k.s"])
    assert done.exit_code == 2


def test_users_are_erased_one_by_one_whatever_their_ids(server: Server) -> None:
    done = run(server, "erase", "--yes", "org/7,é", "eve", "bob")
    assert server.asked == [f"/admin/v1/users/{name}" for name in ("org%2F7%2C%C3%A9", "eve", "bob")]
    assert (done.exit_code, done.stdout) == (1, "org/7,é is erased\nbob is erased\n")
    assert done.stderr.startswith("eve: there is no user with this id\n")


def test_without_a_confirmation_nobody_is_erased(server: Server) -> None:
    """Nor by a script that forgot `--yes`."""
    done = run(server, "erase", "ann")
    assert (done.exit_code, server.asked) == (1, [])


def test_what_a_server_refuses_stops_the_command(server: Server) -> None:
    done = run(server, "erase", "--yes", "secret", "bob")
    assert (done.exit_code, len(server.asked)) == (1, 1)
    assert "the server answers 401: no key" in done.stderr
