"""SQL databases, SQLite or PostgreSQL: what the adapters that keep something in tables have in common."""
