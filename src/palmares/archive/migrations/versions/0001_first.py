"""The first tables: editions and their shelves, the ends of days, final runs."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_editions()
    _make_shelves()
    _make_days()
    _make_final_runs()
    _make_final_columns()


def _make_editions() -> None:
    op.create_table(
        "editions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("board", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_editions"),
        sqlite_autoincrement=True,
    )
    current = sa.text("current")
    op.create_index(
        "ix_editions_board", "editions", ["board"], unique=True, sqlite_where=current, postgresql_where=current
    )


def _make_shelves() -> None:
    op.create_table(
        "shelves",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("run_start", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_shelves"),
        sa.ForeignKeyConstraint(["edition"], ["editions.number"], name="fk_shelves_edition", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shelves_edition_run_start", "shelves", ["edition", "run_start"])
    _make_on_shelf("shelf_groups", ("number",), sa.Column("name", sa.Text(), nullable=False))


def _make_days() -> None:
    _make_on_shelf("days", ("day",))
    _make_on_shelf(
        "day_places",
        ("chunk", "day"),
        sa.Column("users", sa.LargeBinary(), nullable=False),
        sa.Column("ranks", sa.LargeBinary(), nullable=False),
        sa.Column("micros", sa.LargeBinary(), nullable=False),
        sa.Column("groups", sa.LargeBinary()),
    )


def _make_final_runs() -> None:
    _make_on_shelf(
        "final_runs",
        (),
        sa.Column("end", sa.Integer()),
        sa.Column("revision", sa.Integer(), nullable=False),
    )
    _make_on_shelf(
        "final_groups",
        ("group_number",),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("participants", sa.LargeBinary(), nullable=False),
        sa.Column("micros", sa.LargeBinary(), nullable=False),
        sa.Column("reached", sa.LargeBinary(), nullable=False),
        sa.Column("better", sa.LargeBinary(), nullable=False),
    )


def _make_final_columns() -> None:
    _make_on_shelf(
        "final_rows",
        ("group_number", "chunk"),
        sa.Column("participants", sa.LargeBinary(), nullable=False),
        sa.Column("micros", sa.LargeBinary(), nullable=False),
        sa.Column("reached", sa.LargeBinary(), nullable=False),
    )
    _make_on_shelf(
        "final_places",
        ("chunk",),
        sa.Column("users", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.Column("ranks", sa.LargeBinary(), nullable=False),
        sa.Column("micros", sa.LargeBinary(), nullable=False),
        sa.Column("groups", sa.LargeBinary()),
    )


def _make_on_shelf(name: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    """A table whose rows belong to a shelf, and go with it."""
    op.create_table(
        name,
        sa.Column("shelf", sa.Integer(), nullable=False),
        *(sa.Column(part, sa.Integer(), autoincrement=False, nullable=False) for part in key),
        *columns,
        sa.PrimaryKeyConstraint("shelf", *key, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["shelf"], ["shelves.number"], name=f"fk_{name}_shelf", ondelete="CASCADE"),
    )
