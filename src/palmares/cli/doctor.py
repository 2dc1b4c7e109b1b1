"""`palmares doctor`: what a server stands on, looked at before it is started or when something is odd."""

from __future__ import annotations

import asyncio

import click

from palmares.cli.options import setting_options, settings_from
from palmares.doctor import examine
from palmares.doctor.finding import Finding, Level
from palmares.machine import system_clock

# What says where everything is; the rest of the settings decides nothing here.
_OPTIONS = ("data", "database_url", "valkey_url", "valkey_shards", "valkey_name")
_COLOURS: dict[Level, str] = {"ok": "green", "doubtful": "yellow", "wrong": "red"}


@click.command("doctor")
@setting_options(*_OPTIONS)
def doctor(**given: str | None) -> None:
    """Look at what a server stands on, and say what to change; changes nothing itself.

    Valkey, PostgreSQL or the data folder: versions, durability, memory and disk, replicas, clocks. The exit code is 1
    when something is wrong; what is only doubtful does not count.
    """
    findings = asyncio.run(examine(settings_from(given), system_clock))
    for finding in findings:
        _print(finding)
    if any(finding.level == "wrong" for finding in findings):
        raise SystemExit(1)


def _print(finding: Finding) -> None:
    """A line, and one below it for what to change."""
    click.echo(f"{click.style(f'{finding.level:8}', fg=_COLOURS[finding.level])}  {finding.what}: {finding.told}")
    if finding.advice:
        click.echo(f"{'':8}  -> {finding.advice}")
