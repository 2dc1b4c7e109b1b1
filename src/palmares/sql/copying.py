"""All rows of a part from one database into another, whatever kinds of databases these are."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, Table, func, insert, select

from palmares.domain.errors import NotAllowed
from palmares.sql.database import Database

# Some rows are chunks of many kilobytes.
_ROWS_PER_PIECE = 500


def copy(source: Database, target: Database, metadata: MetaData, name: str) -> int:
    """Fill the empty tables of a part with the rows of another database, all or none; returns how many these are.

    Tables are made or brought up to date on both sides. Raises `NotAllowed` when the target has rows already.
    """
    with source.writing() as writer:
        source.migrate(writer)
    count = 0
    with source.reading() as reader, target.writing() as writer:
        target.migrate(writer)
        for table in metadata.sorted_tables:
            if writer.scalar(select(func.count()).select_from(table)):
                raise NotAllowed(f"the {name} that is to be filled has something in {table.name} already")
            count += _copy_table(reader, writer, table)
            target.go_on_numbering(writer, table)
    return count


def _copy_table(reader: Connection, writer: Connection, table: Table) -> int:
    count = 0
    for rows in reader.execute(select(table)).mappings().partitions(_ROWS_PER_PIECE):
        writer.execute(insert(table), [dict(row) for row in rows])
        count += len(rows)
    return count
