"""Alembic comes in here; `sql/migrations.py` called it, and does the rest."""

from palmares.outbox.tables import metadata
from palmares.sql.migrations import run

run(metadata)
