"""`palmares keys` beside a running server: what it changes holds within a second."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from palmares.cli import main
from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY, NotStarted, Process, run

Keys = Callable[..., str]


@pytest.fixture
def keys(server: Process) -> Keys:
    """Run `palmares keys` beside the server; returns what it prints."""
    return lambda *arguments: keys_of(server, *arguments)


def keys_of(server: Process, *arguments: str) -> str:
    # In this process, which is quicker; to the server it is another one.
    done = CliRunner().invoke(main, ["keys", *arguments, *server.beside])
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def status(server: Process, key: str) -> int:
    with Caller(server.address, key) as caller:
        return caller.send("GET", "/v1/leaderboards").status_code


def comes_to(server: Process, key: str, wanted: int) -> bool:
    """Whether the key is answered with that status soon. The server looks once a second; asking is the waiting."""
    with Caller(server.address, key) as caller:
        return any(caller.send("GET", "/v1/leaderboards").status_code == wanted for _ in range(100_000))


def test_the_command_works_as_a_program_of_its_own(server: Process) -> None:
    """As people run it."""
    done = run("keys", "create", *server.beside)

    assert (done.returncode, done.stderr) == (0, "")
    assert comes_to(server, done.stdout.strip(), 200)


def test_a_key_made_beside_a_running_server_opens_it(server: Process, keys: Keys) -> None:
    """No restart is needed."""
    text = keys("create", "--name", "build server")

    assert comes_to(server, text, 200)


def test_a_revoked_key_opens_nothing_until_it_is_activated(server: Process, keys: Keys) -> None:
    """Unchanged, it works again."""
    text = keys("create")
    prefix = text.partition(".")[0]
    assert comes_to(server, text, 200)

    keys("revoke", prefix)
    assert comes_to(server, text, 401)

    keys("activate", prefix)
    assert comes_to(server, text, 200)


def test_a_rotated_key_is_another_one_and_the_old_one_is_dead(server: Process, keys: Keys) -> None:
    """Prefix and secret both change; the name stays."""
    old = keys("create", "--name", "build server")
    assert comes_to(server, old, 200)

    new = keys("rotate", old.partition(".")[0])

    assert comes_to(server, new, 200)
    assert status(server, old) == 401
    assert new.partition(".")[0] != old.partition(".")[0]
    assert "build server" in {key["name"] for key in json.loads(keys("list", "--json"))}


def test_a_deleted_key_is_gone(server: Process, keys: Keys) -> None:
    """From the server and from the list."""
    text = keys("create")
    prefix = text.partition(".")[0]
    assert comes_to(server, text, 200)

    keys("delete", prefix)

    assert comes_to(server, text, 401)
    assert prefix not in {key["prefix"] for key in json.loads(keys("list", "--json"))}


def test_the_list_shows_when_keys_were_made_and_last_used_but_no_secret(start: Start) -> None:
    """The server notes the use of a key; the secret is nowhere to be had."""
    server = start()
    text = keys_of(server, "create", "--name", "unused")
    prefix, _, secret = text.partition(".")
    assert status(server, ADMIN_KEY) == 200
    assert server.stop() == 0

    [given, unused] = json.loads(keys_of(server, "list", "--json"))

    assert given["prefix"] == ADMIN_KEY.partition(".")[0]
    assert given["lastUsed"] >= given["created"]
    assert (unused["prefix"], unused["name"], unused["active"], unused["lastUsed"]) == (prefix, "unused", True, None)
    assert secret not in keys_of(server, "list") + keys_of(server, "list", "--json")


def test_the_table_names_each_key_and_its_state(keys: Keys) -> None:
    """For people: a line for each key."""
    prefix = keys("create", "--name", "build server").partition(".")[0]
    keys("revoke", prefix)

    [line] = [line for line in keys("list").splitlines() if prefix in line]

    assert line.split()[:4] == [prefix, "build", "server", "no"]
    assert line.endswith("never")


@pytest.mark.parametrize("command", ["revoke", "activate", "rotate", "delete"])
def test_a_prefix_that_no_key_has_is_told_in_one_line(server: Process, command: str) -> None:
    """Exit code 1, no traceback."""
    done = CliRunner().invoke(main, ["keys", command, "nobodysK", *server.beside])

    assert done.exit_code == 1
    assert done.stderr == "Error: there is no key with the prefix or id 'nobodysK'\n"


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    """It was misspelt."""
    done = run("keys", "list", "--data", str(tmp_path / "nowhere"))

    assert done.returncode == 1
    assert done.stderr.startswith("Error: there is no data folder ")
    assert not (tmp_path / "nowhere").exists()


def test_the_key_that_the_first_start_prints_opens_the_server(start: Start) -> None:
    """It is printed once: the second start says nothing of it, and it still works."""
    first = start(admin_key=None)
    key = first.wait_for("Admin key: ").removeprefix("Admin key: ")
    assert status(first, key) == 200
    assert first.stop() == 0

    second = start(admin_key=None)
    assert status(second, key) == 200
    second.send(signal.SIGTERM)
    with pytest.raises(NotStarted):
        second.wait_for("Admin key: ")


def test_a_folder_in_use_is_refused_in_one_line_that_names_it_and_its_holder(server: Process) -> None:
    """Exit code 1, no traceback, and the first server goes on."""
    with pytest.raises(NotStarted) as refused:
        Process(server.data)

    assert refused.value.code == 1
    assert refused.value.errors == f"Error: the data folder {server.data} is in use by process {server.pid}\n"
    assert status(server, ADMIN_KEY) == 200
