"""The table of settings: each with its name, default, kind and a sentence of help.

`SETTINGS` is the only list; the environment (`PALMARES_<NAME>`), the command line and docs/settings.md follow it.
What the command line gives wins over the environment, the environment over the default.

    settings = load(os.environ, port=9000)

Nothing here looks at the machine: the environment is handed in.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palmares.domain.errors import Invalid
from palmares.ledger.valkey.servers import Servers, read_servers
from palmares.service.test_clock import parse_stand

PREFIX = "PALMARES_"


class ConfigurationError(Exception):
    """A setting is unknown, or its value is not allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server was told, checked. `load` makes it; the fields are the rows of `SETTINGS`, in the same order."""

    data: Path
    database_url: str | None = field(repr=False)
    valkey_url: Servers | None = field(repr=False)
    valkey_shards: int
    valkey_name: str
    valkey_replicas: int
    valkey_lines: int | None
    workers: int
    host: str
    port: int
    admin_key: str | None = field(repr=False)
    queue_limit: int
    max_body_bytes: int
    user_cache: int
    checkpoint_events: int
    project_events: int
    test_clock: int | None
    multi_tenancy: bool
    rate_limit_events: int | None
    rate_limit_reads: int | None
    cors_application_origins: tuple[str, ...]
    cors_admin_origins: tuple[str, ...]
    webhooks_allow_private: bool
    webhooks_throttle_seconds: int
    log_level: str
    log_format: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What a setting may hold: `allowed` says it in words, `read` turns text into the value or raises ValueError."""

    allowed: str
    read: Callable[[str], object]
    secret: bool = False


def folder() -> Kind:
    return Kind("the path of a folder", Path)


def database() -> Kind:
    """An address, as others write it too; it may hold a password."""
    read = _matching(r"postgres(ql)?://\S+")
    allowed = "the address of a PostgreSQL database, such as postgresql://user:password@host:5432/palmares"
    return Kind(allowed, lambda text: read(text).replace("postgres://", "postgresql://", 1), secret=True)


def valkey() -> Kind:
    """Where Valkey is, with a password maybe."""
    allowed = (
        "the address of Valkey or Redis, such as valkey://user:password@host:6379; nodes of a cluster are joined by "
        "commas, and valkeys:// is over TLS, with ?ca=/path/of.pem where the authority is your own"
    )
    return Kind(allowed, read_servers, secret=True)


def ledger_name() -> Kind:
    return Kind("letters, digits, - and _", _matching(r"[A-Za-z0-9_-]{1,64}"))


def host_name() -> Kind:
    return Kind("a host name or an IP address", _matching(r"[^\s/]+"))


def whole_number(least: int, most: int | None = None) -> Kind:
    allowed = f"a whole number from {least} to {most}" if most is not None else f"a whole number, {least} or more"

    def read(text: str) -> int:
        number = int(_matching(r"[0-9]{1,18}")(text))
        if number < least or (most is not None and number > most):
            raise ValueError(text)
        return number

    return Kind(allowed, read)


def one_of(*words: str) -> Kind:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind(", ".join(words[:-1]) + " or " + words[-1], read)


def switch() -> Kind:
    words = {"true": True, "false": False}

    def read(text: str) -> bool:
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]

    return Kind("true or false", read)


def instant() -> Kind:
    """Where a test clock may stand, in microseconds."""

    def read(text: str) -> int:
        try:
            return parse_stand(text)
        except Invalid:
            raise ValueError(text) from None

    return Kind("an instant such as 2026-03-04T00:00:00Z", read)


def origins() -> Kind:
    """Where pages may come from that call from a browser; nowhere has to have a word, since empty means not set."""

    def read(text: str) -> tuple[str, ...]:
        if text in ("*", "none"):
            return (text,) if text == "*" else ()
        return tuple(_ORIGIN(part.strip().lower()) for part in text.split(","))

    return Kind("*, none, or origins such as https://app.example joined by commas", read)


def admin_key() -> Kind:
    """A key as clients send it. A prefix that begins with `app_` would be taken for an application key."""
    allowed = "8 letters, digits, - or _ that do not begin with app_, a dot, and a secret of 16 characters or more"
    return Kind(allowed, _matching(r"(?!app_)[A-Za-z0-9_-]{8}\.[!-~]{16,}"), secret=True)


def _matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return read


_ORIGIN = _matching(r"[a-z][a-z0-9+.-]*://[^\s/,*?#@]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. A default is text, as one would write it, and checked like any other value."""

    name: str
    default: str | None
    kind: Kind
    help: str

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data",
        "./palmares-data",
        folder(),
        "The folder that holds the events, and all that is in no database; made at the first start.",
    ),
    Setting(
        "database_url",
        None,
        database(),
        "A database for definitions, keys, final runs and webhook messages; without it, they are in the data folder.",
    ),
    Setting(
        "valkey_url",
        None,
        valkey(),
        "Keep the events in Valkey, which any number of workers share, and not in the data folder; needs database_url.",
    ),
    Setting(
        "valkey_shards",
        "1",
        whole_number(1, 1024),
        "Parts of the events in Valkey, for the nodes of a cluster; settled when the data is made.",
    ),
    Setting("valkey_name", "palmares", ledger_name(), "What all keys in Valkey begin with; each installation its own."),
    Setting(
        "valkey_replicas",
        "0",
        whole_number(0, 5),
        "Replicas of Valkey that have each event before it is answered, so that it outlives a failover.",
    ),
    Setting(
        "valkey_lines",
        None,
        whole_number(0),
        "Lines of the log that stay in Valkey, of each part, once they are kept in the database; without it, all do.",
    ),
    Setting("workers", "1", whole_number(1, 64), "Processes that serve; more than one need valkey_url."),
    Setting("host", "127.0.0.1", host_name(), "The address to listen on."),
    Setting("port", "8787", whole_number(0, 65535), "The port to listen on; 0 takes a free one."),
    Setting("admin_key", None, admin_key(), "The admin key; without it, the first start makes one and prints it."),
    Setting(
        "queue_limit",
        "20000",
        whole_number(1),
        "Events that may wait for the disk or Valkey; more are answered with 429.",
    ),
    Setting("max_body_bytes", "4194304", whole_number(1), "The largest request body, in bytes."),
    Setting("user_cache", "100000", whole_number(1), "Users held in memory; the others are read from disk."),
    Setting("checkpoint_events", "1000000", whole_number(1), "Events after which a checkpoint is taken."),
    Setting("project_events", "100000", whole_number(1), "Events held in memory before the projections are filled."),
    Setting(
        "test_clock",
        None,
        instant(),
        "A clock for tests in place of the real one, for one process: it stands there until it is moved.",
    ),
    Setting(
        "multi_tenancy",
        "false",
        switch(),
        "Whether environments made from now on have tenants; `palmares environments` changes one that is there.",
    ),
    Setting(
        "rate_limit_events",
        None,
        whole_number(1, 1_000_000),
        "Requests a second that one key may send events with, and call the Admin API; more are answered with 429.",
    ),
    Setting(
        "rate_limit_reads",
        None,
        whole_number(1, 1_000_000),
        "Requests a second that one key may send to the other routes; more are answered with 429.",
    ),
    Setting("cors_application_origins", "*", origins(), "Whose pages may call from a browser with application keys."),
    Setting("cors_admin_origins", "none", origins(), "Whose pages may call from a browser with admin keys."),
    Setting(
        "webhooks_allow_private", "false", switch(), "Whether webhooks may lie in private networks and on this machine."
    ),
    Setting(
        "webhooks_throttle_seconds",
        "900",
        whole_number(1, 86_400),
        "Seconds in which webhooks hear of one ranking, and of one user's rank in a run, once.",
    ),
    Setting("log_level", "info", one_of("debug", "info", "warning", "error"), "The least serious line that is logged."),
    Setting("log_format", "text", one_of("text", "json"), "Lines for people, or JSON for machines."),
)


def load(environment: Mapping[str, str], **given: object) -> Settings:
    """The settings in force: what is given (by name; None means not given), else the environment, else the defaults.

    An empty variable counts as not set.
    Raises ConfigurationError for a name that is no setting and for a value that is not allowed.
    """
    _refuse_unknown((name for name in environment if name.startswith(PREFIX)), [row.variable for row in SETTINGS])
    _refuse_unknown(given, [row.name for row in SETTINGS])
    values: dict[str, Any] = {row.name: _value(row, environment, given) for row in SETTINGS}
    settings = Settings(**values)
    _refuse_unfit(settings)
    return settings


def _refuse_unfit(settings: Settings) -> None:
    """Settings that are allowed, but not together."""
    if settings.valkey_url is None:
        if settings.workers > 1:
            raise ConfigurationError(
                f"workers cannot be {settings.workers} without valkey_url: one process at a time has a data folder; "
                "give valkey_url and database_url, or leave workers at 1"
            )
        return
    if settings.database_url is None:
        raise ConfigurationError(
            "valkey_url needs database_url: definitions and keys of all workers are in a PostgreSQL database; "
            "give its address"
        )
    if settings.test_clock is not None and settings.workers > 1:
        raise ConfigurationError(
            f"workers cannot be {settings.workers} with test_clock: several workers have no clock in common; leave "
            "workers at 1"
        )


def _refuse_unknown(names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigurationError(f"{name} is not a setting; {_hint(name, known)}")


def _hint(name: str, known: list[str]) -> str:
    # The prefix is the same in all: compared with it, everything would look alike.
    stems = {one.removeprefix(PREFIX): one for one in known}
    near = difflib.get_close_matches(name.removeprefix(PREFIX).upper(), [stem.upper() for stem in stems], n=1)
    if not near:
        return f"the settings are {', '.join(known)}"
    return f"did you mean {next(one for stem, one in stems.items() if stem.upper() == near[0])}?"


def _value(row: Setting, environment: Mapping[str, str], given: Mapping[str, object]) -> object:
    """Reads one setting. A message names the setting as the person wrote it: the variable, or the name."""
    if given.get(row.name) is not None:
        return _read(row, row.name, str(given[row.name]))
    if environment.get(row.variable):
        return _read(row, row.variable, environment[row.variable])
    return None if row.default is None else _read(row, row.name, row.default)


def _read(row: Setting, name: str, text: str) -> object:
    try:
        return row.kind.read(text)
    except ValueError:
        shown = "the value given (not shown, it is a secret)" if row.kind.secret else repr(text)
        raise ConfigurationError(f"{name} cannot be {shown}; allowed is {row.kind.allowed}") from None


def page() -> str:
    """docs/settings.md, written from the table: `python -m palmares.config > docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "<!-- written by `python -m palmares.config`; a test compares -->",
        "",
        "Every setting is an option of `palmares serve` and an environment variable.",
        "The option wins over the variable, the variable over the default; an empty variable counts as not set.",
        "A `PALMARES_` variable that is not in this table stops the start and names the nearest one that is.",
        "",
        "| option | variable | default | allowed | what it does |",
        "| --- | --- | --- | --- | --- |",
        *(_line(row) for row in SETTINGS),
        "",
        "For a Service called `palmares`, Kubernetes sets `PALMARES_PORT`, `PALMARES_SERVICE_HOST` and more by itself.",
        "Give the pod `enableServiceLinks: false`.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Setting) -> str:
    default = "none" if row.default is None else f"`{row.default}`"
    option = "--" + row.name.replace("_", "-")
    return f"| `{option}` | `{row.variable}` | {default} | {row.kind.allowed} | {row.help} |"


if __name__ == "__main__":
    print(page(), end="")
