"""`palmares environments`, and the keys that open them, on a data folder without a server."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from palmares.cli import main
from palmares.databases import open_catalog

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command on a data folder with a catalog."""

    async def make() -> None:
        await (await open_catalog(tmp_path)).close()

    asyncio.run(make())
    return lambda *arguments, **options: CliRunner(**options).invoke(main, [*arguments, "--data", str(tmp_path)])


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_there_is_production_from_the_start(run: Run) -> None:
    """Without tenants."""
    assert listed(run, "environments", "list") == [
        {"key": "production", "name": "Production", "priority": 1, "multiTenancy": False, "tenants": 0}
    ]


def test_an_environment_is_made_and_its_multi_tenancy_switched(run: Run) -> None:
    """What is not said is told by the key, the others and the setting."""
    made = run("environments", "create", "staging")
    named = run("environments", "create", "qa", "--name", "Tests", "--priority", "5", "--multi-tenancy", "true")
    switched = run("environments", "multi-tenancy", "production", "on")

    assert [one.stdout for one in (made, named, switched)] == [
        "staging is there\n",
        "qa is there\n",
        "multi-tenancy of production is on\n",
    ]
    assert [tuple(one.values()) for one in listed(run, "environments", "list")] == [
        ("production", "Production", 1, True, 0),
        ("staging", "staging", 2, False, 0),
        ("qa", "Tests", 5, True, 0),
    ]


def test_the_setting_says_whether_a_new_environment_has_tenants(run: Run) -> None:
    """An option says otherwise for one."""
    variable = {"PALMARES_MULTI_TENANCY": "true"}
    assert run("environments", "create", "one", env=variable).exit_code == 0
    assert run("environments", "create", "two", "--multi-tenancy", "false", env=variable).exit_code == 0

    assert [one["multiTenancy"] for one in listed(run, "environments", "list")] == [False, True, False]


def test_the_table_has_a_line_for_each(run: Run) -> None:
    """For people."""
    run("environments", "create", "staging")

    lines = run("environments", "list").stdout.splitlines()

    assert [line.split() for line in lines] == [
        ["key", "name", "priority", "multi-tenancy", "tenants"],
        ["production", "Production", "1", "off", "0"],
        ["staging", "staging", "2", "off", "0"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("environments", "create", "production"), "key: another environment has the key 'production'"),
        (("environments", "create", "has space"), "key: only letters, digits, hyphen and underscore, 1 to 255 of them"),
        (("environments", "multi-tenancy", "prod", "on"), "there is no environment 'prod'; there are production"),
        (("keys", "create", "--environment", "prod"), "there is no environment 'prod'; there are production"),
        (("keys", "list", "--environment", "prod"), "there is no environment 'prod'; there are production"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 1, no traceback."""
    done = run(*arguments)

    assert (done.exit_code, done.stderr) == (1, f"Error: {message}\n")


def test_a_key_opens_the_environment_that_it_is_made_for(run: Run) -> None:
    """Production, if none is named; the list may be of one environment."""
    run("environments", "create", "staging")
    run("keys", "create", "--name", "first")
    run("keys", "create", "--name", "second", "--environment", "staging")

    assert [(key["name"], key["environment"]) for key in listed(run, "keys", "list")] == [
        ("first", "production"),
        ("second", "staging"),
    ]
    assert [key["name"] for key in listed(run, "keys", "list", "--environment", "staging")] == ["second"]
    assert run("keys", "list").stdout.splitlines()[2].split()[-1] == "staging"
    assert "environment" not in run("keys", "list", "--environment", "staging").stdout
