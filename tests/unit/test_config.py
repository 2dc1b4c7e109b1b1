"""Settings come from one table, and whatever is wrong is refused in words that help."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from palmares.config import SETTINGS, ConfigurationError, Settings, load
from palmares.ledger.valkey.servers import Servers


def test_without_anything_said_the_defaults_hold() -> None:
    settings = load({})

    assert settings == Settings(
        data=Path("palmares-data"),
        database_url=None,
        valkey_url=None,
        valkey_shards=1,
        valkey_name="palmares",
        valkey_replicas=0,
        valkey_lines=None,
        workers=1,
        host="127.0.0.1",
        port=8787,
        admin_key=None,
        queue_limit=20_000,
        max_body_bytes=4 * 1024 * 1024,
        user_cache=100_000,
        checkpoint_events=1_000_000,
        project_events=100_000,
        test_clock=None,
        multi_tenancy=False,
        rate_limit_events=None,
        rate_limit_reads=None,
        cors_application_origins=("*",),
        cors_admin_origins=(),
        webhooks_allow_private=False,
        webhooks_throttle_seconds=900,
        log_level="info",
        log_format="text",
    )


def test_the_settings_have_exactly_the_fields_of_the_table() -> None:
    assert [field.name for field in fields(Settings)] == [row.name for row in SETTINGS]


DATABASE = "postgresql://me:pass@db:5432/scores?sslmode=require"
ANOTHER_VALUE = {
    "data": ("/srv/scores", Path("/srv/scores")),
    "database_url": ("postgres://me:pass@db:5432/scores?sslmode=require", DATABASE),
    "valkey_url": ("valkey://me:pass@cache:6380", Servers((("cache", 6380),), "me", "pass")),
    "valkey_shards": ("4", 4),
    "valkey_name": ("scores", "scores"),
    "valkey_replicas": ("2", 2),
    "valkey_lines": ("500", 500),
    "workers": ("2", 2),
    "host": ("::", "::"),
    "port": ("0", 0),
    "admin_key": ("abcd1234.very.long.secret", "abcd1234.very.long.secret"),
    "queue_limit": ("1", 1),
    "max_body_bytes": ("1024", 1024),
    "user_cache": ("7", 7),
    "checkpoint_events": ("10", 10),
    "project_events": ("5", 5),
    "test_clock": ("2026-03-04T00:00:00Z", 1_772_582_400_000_000),
    "multi_tenancy": ("true", True),
    "rate_limit_events": ("5", 5),
    "rate_limit_reads": ("50", 50),
    "cors_application_origins": ("none", ()),
    "cors_admin_origins": (
        "https://app.example, capacitor://localhost,http://[::1]:3000",
        ("https://app.example", "capacitor://localhost", "http://[::1]:3000"),
    ),
    "webhooks_allow_private": ("true", True),
    "webhooks_throttle_seconds": ("60", 60),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
}


# What a setting does not go without.
ALONG = {
    "valkey_url": {"PALMARES_DATABASE_URL": DATABASE},
    "workers": {"PALMARES_DATABASE_URL": DATABASE, "PALMARES_VALKEY_URL": "valkey://cache"},
}


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_setting_is_also_an_environment_variable(row) -> None:
    text, value = ANOTHER_VALUE[row.name]

    environment = {f"PALMARES_{row.name.upper()}": text} | ALONG.get(row.name, {})

    assert getattr(load(environment), row.name) == value


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_what_is_given_wins_over_the_environment(row) -> None:
    text, value = ANOTHER_VALUE[row.name]
    environment = ALONG.get(row.name, {}) | ({} if row.default is None else {row.variable: row.default})

    assert getattr(load(environment, **{row.name: text}), row.name) == value


CLUSTER = {"PALMARES_VALKEY_URL": "valkey://cache", "PALMARES_DATABASE_URL": DATABASE}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PALMARES_WORKERS": "2"}, "workers cannot be 2 without valkey_url.* give valkey_url and database_url"),
        ({"PALMARES_VALKEY_URL": "valkey://cache"}, "valkey_url needs database_url.* give its address"),
        (
            CLUSTER | {"PALMARES_TEST_CLOCK": "2026-03-04T00:00:00Z", "PALMARES_WORKERS": "2"},
            "workers cannot be 2 with test_clock.* leave workers at 1",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_to_do(environment, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(environment)


def test_passwords_are_not_shown() -> None:
    """Neither of what is taken nor of what is not."""
    address = "valkey://me:secret-word@cache"

    assert "secret-word" not in repr(load(CLUSTER | {"PALMARES_VALKEY_URL": address}))
    with pytest.raises(ConfigurationError) as refused:
        load(CLUSTER | {"PALMARES_VALKEY_URL": f"{address}/7"})
    assert "secret-word" not in str(refused.value)


def test_a_value_may_be_given_in_its_own_type() -> None:
    settings = load({}, port=9000, data=Path("here"))

    assert (settings.port, settings.data) == (9000, Path("here"))


def test_none_means_not_given() -> None:
    assert load({"PALMARES_PORT": "9000"}, port=None).port == 9000


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"PALMARES_PORT": "", "PALMARES_ADMIN_KEY": ""}) == load({})


def test_variables_of_other_programs_are_none_of_our_business() -> None:
    assert load({"PORT": "1", "HOST": "x", "PALMARESQUE": "y"}) == load({})


@pytest.mark.parametrize(
    ("environment", "given", "message"),
    [
        ({"PALMARES_PROT": "1"}, {}, "PALMARES_PROT is not a setting; did you mean PALMARES_PORT?"),
        ({"PALMARES_port": "1"}, {}, "PALMARES_port is not a setting; did you mean PALMARES_PORT?"),
        ({"PALMARES_ADMINKEY": "1"}, {}, "PALMARES_ADMINKEY is not a setting; did you mean PALMARES_ADMIN_KEY?"),
        ({"PALMARES_PROT": ""}, {}, "PALMARES_PROT is not a setting; did you mean PALMARES_PORT?"),
        ({}, {"checkpoint_event": 1}, "checkpoint_event is not a setting; did you mean checkpoint_events?"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_known_name(environment, given, message) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(environment, **given)

    assert str(caught.value) == message


def test_an_unknown_setting_that_resembles_none_is_refused_with_all_names() -> None:
    with pytest.raises(ConfigurationError, match="PALMARES_QQQQ is not a setting; the settings are PALMARES_DATA, "):
        load({"PALMARES_QQQQ": "1"})


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("host", "a b", "a host name or an IP address"),
        ("host", "http://here", "a host name or an IP address"),
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "-1", "a whole number from 0 to 65535"),
        ("port", "http", "a whole number from 0 to 65535"),
        ("port", "٨٠", "a whole number from 0 to 65535"),
        ("queue_limit", "0", "a whole number, 1 or more"),
        ("max_body_bytes", "4MiB", "a whole number, 1 or more"),
        ("user_cache", "1e5", "a whole number, 1 or more"),
        ("checkpoint_events", "1.5", "a whole number, 1 or more"),
        ("checkpoint_events", " 5", "a whole number, 1 or more"),
        ("project_events", "9" * 5000, "a whole number, 1 or more"),
        ("test_clock", "2026-03-04", "an instant such as 2026-03-04T00:00:00Z"),
        ("test_clock", "1969-12-31T23:59:59Z", "an instant such as 2026-03-04T00:00:00Z"),
        ("rate_limit_events", "0", "a whole number from 1 to 1000000"),
        ("rate_limit_reads", "0.5", "a whole number from 1 to 1000000"),
        *[
            ("cors_application_origins", text, "*, none, or origins such as https://app.example joined by commas")
            for text in (
                "app.example",
                "https://app.example/",
                "https://app.example/page",
                "*.example",
                "*,none",
                "https://*.example",
                "https://a.example,",
                "https://me@app.example",
                "null",
            )
        ],
        ("log_level", "loud", "debug, info, warning or error"),
        ("log_format", "xml", "text or json"),
    ],
)
def test_a_wrong_value_is_refused_with_name_value_and_what_is_allowed(name, text, allowed) -> None:
    variable = f"PALMARES_{name.upper()}"

    with pytest.raises(ConfigurationError) as from_environment:
        load({variable: text})
    with pytest.raises(ConfigurationError) as from_command_line:
        load({}, **{name: text})

    assert str(from_environment.value) == f"{variable} cannot be {text!r}; allowed is {allowed}"
    assert str(from_command_line.value) == f"{name} cannot be {text!r}; allowed is {allowed}"


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "short.hunter2-hunter2!",
        "abcd1234.hunter2-hunter2",
        "abcd1234.hunter2 hunter2!",
        "app_1234.hunter2-hunter2!",
    ],
)
def test_a_wrong_admin_key_is_refused_and_not_shown(text) -> None:
    with pytest.raises(ConfigurationError, match="PALMARES_ADMIN_KEY cannot be the value given") as caught:
        load({"PALMARES_ADMIN_KEY": text})

    assert text not in str(caught.value)


def test_origins_are_told_in_either_case_of_letters() -> None:
    """Browsers send small ones."""
    assert load({}, cors_admin_origins="HTTPS://App.Example").cors_admin_origins == ("https://app.example",)


def test_the_admin_key_is_not_in_what_is_printed_of_the_settings() -> None:
    assert "hunter2" not in repr(load({"PALMARES_ADMIN_KEY": "abcd1234.hunter2-hunter2!"}))


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        load({}).port = 1


@pytest.mark.parametrize("text", ["hunter2", "mysql://me:hunter2@db/scores", "postgresql://me:hunter2@my db/scores"])
def test_a_wrong_database_url_is_refused_and_not_shown(text) -> None:
    with pytest.raises(ConfigurationError, match="PALMARES_DATABASE_URL cannot be the value given") as caught:
        load({"PALMARES_DATABASE_URL": text})

    assert "hunter2" not in str(caught.value)


def test_the_password_of_the_database_is_not_in_what_is_printed_of_the_settings() -> None:
    assert "hunter2" not in repr(load({"PALMARES_DATABASE_URL": "postgresql://me:hunter2@db/scores"}))
