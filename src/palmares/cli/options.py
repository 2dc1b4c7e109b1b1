"""The options that the table of settings gives, and how a command stops when something is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from palmares.config import SETTINGS, ConfigurationError, Setting, Settings, load
from palmares.domain.errors import PalmaresError

Function = TypeVar("Function", bound=Callable[..., Any])

# Variables that begin like settings, but belong to the commands that speak to a running server.
CLIENT_VARIABLES = frozenset({"PALMARES_URL"})


class Failed(click.ClickException):
    """What the command was to do cannot be done: one line, exit code 1."""


def setting_options(*names: str) -> Callable[[Function], Function]:
    """A decorator that adds the options of these settings, or of all; they arrive as text, None when not given."""

    def decorate(function: Function) -> Function:
        for row in reversed(SETTINGS):
            if not names or row.name in names:
                function = _option(row)(function)
        return function

    return decorate


def _option(row: Setting) -> Callable[[Function], Function]:
    default = "" if row.default is None else f"; default: {row.default}"
    return click.option(
        "--" + row.name.replace("_", "-"), row.name, metavar="VALUE", help=f"{row.help}  [{row.variable}{default}]"
    )


def settings_from(given: dict[str, str | None], **defaults: str) -> Settings:
    """The settings in force. `defaults` stand in for the table's where neither option nor variable is given.

    Raises `click.UsageError` (exit code 2) for a setting that is unknown or a value that is not allowed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in CLIENT_VARIABLES}
    for name, value in defaults.items():
        if not environment.get(f"PALMARES_{name.upper()}"):
            environment[f"PALMARES_{name.upper()}"] = value
    try:
        return load(environment, **given)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors that may happen become one line on standard error and exit code 1, without a traceback."""
    try:
        yield
    except PalmaresError as error:
        raise Failed(error.message + _told_by_driver(error.__cause__)) from None
    except OSError as error:
        raise Failed(str(error)) from None


def _told_by_driver(cause: BaseException | None) -> str:
    """What a database said, which helps the person at the terminal and is nobody else's business."""
    said = str(getattr(cause, "orig", "")).splitlines()
    return f" ({said[0]})" if said else ""
