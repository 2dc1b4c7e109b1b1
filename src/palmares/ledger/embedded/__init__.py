"""The ledger of one machine: an SQLite log, rankings in memory, everything else a projection of the log."""
