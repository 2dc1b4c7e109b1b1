"""Settings reach a command as options or variables; what is wrong is told in one line."""

import click
import pytest
from click.testing import CliRunner

from palmares.cli import main
from palmares.cli.options import Failed, plain_errors, settings_from
from palmares.config import SETTINGS, Setting
from palmares.domain.errors import Unavailable


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's environment says about Palmares, these tests do not hear it."""
    for row in SETTINGS:
        monkeypatch.delenv(row.variable, raising=False)
    monkeypatch.delenv("PALMARES_URL", raising=False)


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    done = CliRunner().invoke(main, arguments)
    return done.exit_code, done.stderr


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_setting_is_an_option_of_serve(row: Setting) -> None:
    """The options are made from the table of settings."""
    serve = main.get_command(click.Context(main), "serve")

    assert serve is not None
    assert row.name in {parameter.name for parameter in serve.params}


def test_an_option_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is set for long, the option for now."""
    monkeypatch.setenv("PALMARES_PORT", "9000")

    assert settings_from({"port": None}).port == 9000
    assert settings_from({"port": "9001"}).port == 9001


def test_a_command_s_own_default_stands_in_for_the_table_s_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo is quiet unless somebody asked for more."""
    assert settings_from({}, log_level="warning").log_level == "warning"

    monkeypatch.setenv("PALMARES_LOG_LEVEL", "debug")
    assert settings_from({}, log_level="warning").log_level == "debug"


def test_the_address_of_another_server_does_not_stop_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """PALMARES_URL is for `palmares import`, and is likely to be set in the same shell."""
    monkeypatch.setenv("PALMARES_URL", "http://127.0.0.1:8787")

    assert settings_from({}).port == 8787


def test_an_unknown_variable_stops_a_start_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, nothing was made."""
    monkeypatch.setenv("PALMARES_PROT", "9000")

    code, said = run("serve")

    assert code == 2
    assert "PALMARES_PROT is not a setting; did you mean PALMARES_PORT?" in said


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    """As for variables."""
    code, said = run("serve", "--prot", "9000")

    assert code == 2
    assert "--port" in said


def test_a_value_that_is_not_allowed_is_refused_with_what_is() -> None:
    """The option is named as it was written."""
    code, said = run("serve", "--port", "many")

    assert code == 2
    assert "port cannot be 'many'; allowed is a whole number from 0 to 65535" in said


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), OSError("the disk is full")])
def test_what_may_happen_becomes_one_line(error: Exception) -> None:
    """No traceback for what the person can mend."""
    with pytest.raises(Failed, match="the disk is full"), plain_errors():
        raise error


def test_what_cannot_happen_keeps_its_traceback() -> None:
    """A bug is to be found."""
    with pytest.raises(ZeroDivisionError), plain_errors():
        raise ZeroDivisionError


def test_an_unknown_command_is_refused() -> None:
    """With the list in the help."""
    assert run("serv")[0] == 2
