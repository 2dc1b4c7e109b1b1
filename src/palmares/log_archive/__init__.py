"""The log of a ledger on Valkey, kept for good: the lines of each shard in a SQL database."""
