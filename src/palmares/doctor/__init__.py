"""`palmares doctor`: whether what a server stands on is as it should be, and what to change where it is not.

Each file looks at one thing: it gathers facts, and judges them by a function of its own that needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from palmares.config import Settings
from palmares.doctor.finding import Finding
from palmares.doctor.folder import examine_folder
from palmares.doctor.postgresql import examine_postgresql


async def examine(settings: Settings, clock: Callable[[], int]) -> list[Finding]:
    """Everything that these settings make use of."""
    findings = []
    if settings.valkey_url is None:
        findings += examine_folder(settings.data)
    else:
        # For clusters only: its client takes long to load.
        from palmares.doctor.valkey import examine_valkey

        findings += await examine_valkey(
            settings.valkey_url, settings.valkey_name, settings.valkey_shards, settings.valkey_replicas, clock
        )
    if settings.database_url is not None:
        findings += examine_postgresql(settings.database_url, clock)
    if settings.valkey_url is not None and settings.database_url is not None:
        from palmares.doctor.kept_log import examine_kept_log

        findings += await examine_kept_log(
            settings.valkey_url, settings.valkey_name, settings.valkey_shards, settings.database_url
        )
    return findings
