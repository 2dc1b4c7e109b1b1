"""PostgreSQL: its version, clock, durability, and room for connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from palmares.doctor.finding import Finding, Level, ok, skew, version_at_least
from palmares.sql import postgresql

_OLDEST: Final = (15,)
# What one worker may have open at once.
_CONNECTIONS_OF_A_WORKER: Final = 12
_SETTINGS: Final = "server_version", "server_encoding", "fsync", "synchronous_commit", "max_connections"


class Facts(NamedTuple):
    """What a server tells of itself: settings by name, whether it is a standby, and how many connections there are."""

    settings: Mapping[str, str]
    standby: bool
    connections: int


def examine_postgresql(url: str, clock: Callable[[], int]) -> list[Finding]:
    """Ask the server."""
    engine = postgresql.session_engine(url)
    try:
        with engine.connect() as session:
            settings = {name: str(session.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in _SETTINGS}
            standby = bool(session.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one())
            connections = session.exec_driver_sql("SELECT count(*) FROM pg_stat_activity").scalar_one()
            before = clock()
            seconds = session.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
            after = clock()
    except SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or error).splitlines()[0]
        return [Finding("wrong", "PostgreSQL", told, "see that it runs, and that database_url leads to it")]
    finally:
        engine.dispose()
    return [
        *judge(Facts(settings, standby, int(connections))),
        skew("clock of PostgreSQL", before, int(seconds * 1_000_000), after),
    ]


def judge(facts: Facts) -> list[Finding]:
    """What is good and bad about a server."""
    settings = facts.settings
    findings = [version_at_least("PostgreSQL", settings["server_version"].split()[0], _OLDEST)]
    if settings["server_encoding"] != "UTF8":
        advice = "make the database with ENCODING 'UTF8'"
        findings.append(Finding("wrong", "encoding", settings["server_encoding"], advice))
    if facts.standby:
        findings.append(Finding("wrong", "PostgreSQL", "a standby", "let database_url lead to the primary"))
    findings += [_durable(name, settings[name]) for name in ("fsync", "synchronous_commit")]
    return [*findings, _room(int(settings["max_connections"]), facts.connections)]


def _durable(name: str, value: str) -> Finding:
    if value != "off":
        return ok(f"PostgreSQL {name}", value)
    level: Level = "wrong" if name == "fsync" else "doubtful"
    return Finding(level, f"PostgreSQL {name}", value, f"set {name} to on, or a crash of it loses definitions and keys")


def _room(most: int, used: int) -> Finding:
    told = f"{used} of {most}"
    if most - used >= _CONNECTIONS_OF_A_WORKER:
        return ok("PostgreSQL connections", told)
    advice = f"raise max_connections: a worker may have {_CONNECTIONS_OF_A_WORKER}"
    return Finding("doubtful", "PostgreSQL connections", told, advice)
