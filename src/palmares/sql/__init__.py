"""SQL databases: what the adapters that keep something in tables have in common."""
