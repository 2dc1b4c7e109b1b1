"""Measurements of Palmares, each beside its rival and its target: `make bench`.

    index    the native index and Valkey's sorted sets, in one process each
    http     the whole server and a bare one that does no work, over the same HTTP
    history  the archive: a hundred days of everybody
    rivals   starts the others
    load     the load generator

How to read the figures, and what to doubt in them, is in docs/performance.md.
"""
