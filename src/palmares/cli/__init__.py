"""The command door: `palmares`, one file per command.

A command's file is imported when it is called: `palmares import` need not wait for the database's library to load.
"""

from __future__ import annotations

from importlib import import_module

import click

# The commands in the order of the help, with where they are.
COMMANDS = {
    "serve": ("palmares.cli.serve", "serve_command"),
    "demo": ("palmares.cli.demo", "demo"),
    "import": ("palmares.cli.import_", "import_command"),
    "events": ("palmares.cli.events", "events"),
    "environments": ("palmares.cli.environments", "environments"),
    "keys": ("palmares.cli.keys", "keys"),
    "users": ("palmares.cli.users", "users"),
    "doctor": ("palmares.cli.doctor", "doctor"),
    "compact": ("palmares.cli.compact", "compact_command"),
    "rebuild": ("palmares.cli.rebuild", "rebuild_command"),
    "migrate": ("palmares.cli.migrate", "migrate_command"),
    "verify": ("palmares.cli.verify", "verify_command"),
    "webhooks": ("palmares.cli.webhooks", "webhooks"),
}


class Commands(click.Group):
    """The group of the commands in the table above."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="palmares")
def main() -> None:
    """Palmares, the open leaderboard server."""
