"""The first tables: messages and deliveries, and the notes of those who write messages."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _make_messages()
    _make_deliveries()
    _make_notes_of_boards()
    _make_batches()
    _make_watch()


def _make_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_messages"),
    )
    op.create_index("ix_messages_created", "messages", ["created"])


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("message", _NUMBER, nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.String(36), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.BigInteger()),
        sa.Column("last_attempt", sa.BigInteger()),
        sa.Column("code", sa.Integer()),
        sa.Column("problem", sa.Text()),
        sa.PrimaryKeyConstraint("number", name="pk_deliveries"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
        sa.ForeignKeyConstraint(["message"], ["messages.number"], name="fk_deliveries_message"),
    )
    op.create_index("ix_deliveries_message", "deliveries", ["message"])
    op.create_index("ix_deliveries_created", "deliveries", ["created"])
    pending = sa.text("status = 'pending'")
    op.create_index(
        "ix_deliveries_webhook_due", "deliveries", ["webhook", "due"], sqlite_where=pending, postgresql_where=pending
    )


def _make_notes_of_boards() -> None:
    op.create_table(
        "board_notes",
        sa.Column("board", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("calendar", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("started", sa.Integer()),
        sa.Column("finished", sa.Integer()),
        sa.PrimaryKeyConstraint("board", name="pk_board_notes"),
    )
    op.create_table(
        "ranking_notes",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("board", sa.Integer(), nullable=False),
        sa.Column("run_start", sa.Integer(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ranking_notes"),
    )
    op.create_index(
        "ix_ranking_notes_board_run_start_group", "ranking_notes", ["board", "run_start", "group"], unique=True
    )


def _make_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("board", sa.Integer(), nullable=False),
        sa.Column("run_start", sa.Integer(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("users", sa.LargeBinary(), nullable=False),
        sa.Column("groups", sa.LargeBinary(), nullable=False),
        sa.Column("ranks", sa.LargeBinary(), nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_batches"),
    )
    op.create_index("ix_batches_board_run_start_until", "batches", ["board", "run_start", "until"])


def _make_watch() -> None:
    op.create_table(
        "watch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changed", sa.JSON(), nullable=False),
        sa.Column("ranked", sa.JSON(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watch"),
    )
