"""Definitions, API keys and scopes: small, read often, changed seldom."""
