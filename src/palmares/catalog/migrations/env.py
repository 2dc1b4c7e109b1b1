"""Runs the migrations on the connection that `catalog/sql.py` hands over, inside its transaction."""

from alembic import context

from palmares.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
