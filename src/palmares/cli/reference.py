"""docs/cli.md, written from the commands: `python -m palmares.cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from palmares.cli import main

# The same on every terminal.
_WIDTH = 100


def page() -> str:
    """The page: every command with its help."""
    lines = [
        "# Command line",
        "",
        "<!-- written by `python -m palmares.cli.reference`; a test compares -->",
        "",
        "`palmares` has a command for each thing that a person does with a server; `python -m palmares` is the same.",
        "What `palmares serve` can be told is explained in [settings.md](settings.md).",
        "Files for `palmares import` are explained in [import.md](import.md).",
        "What goes wrong is told in one line on standard error.",
        "",
        "| exit code | means |",
        "| --- | --- |",
        "| 0 | done |",
        "| 1 | not done; `palmares import`: some lines were rejected |",
        "| 2 | the command line is wrong; `palmares import`: the file was not sent to its end |",
        "| 3 | `palmares import`: all is accepted, but not every leaderboard shows it |",
    ]
    context = click.Context(main, info_name="palmares", terminal_width=_WIDTH, **main.context_settings)
    for path, text in _helps(context):
        lines += ["", f"## {path}", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def _helps(context: click.Context) -> Iterator[tuple[str, str]]:
    """Each command's path and help, groups before what they hold."""
    command = context.command
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, text
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _helps(click.Context(inner, parent=context, info_name=name, terminal_width=_WIDTH))


if __name__ == "__main__":
    click.echo(page(), nl=False)
