"""Palmares: the open leaderboard server."""

__version__ = "0.1.0"
