"""Who asks: from the text of an API key to the key it is."""

from __future__ import annotations

import hashlib
import hmac

from palmares.catalog.contract import ApiKey
from palmares.domain.errors import Unauthorized
from palmares.service.context import Context


def secret_hash(secret: str) -> bytes:
    """What is kept of a key's secret. Secrets are long and random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def authenticate(context: Context, text: str | None) -> ApiKey:
    """The active admin key with this text (`prefix.secret`); raises `Unauthorized` for any other text."""
    if not text:
        raise Unauthorized("the X-API-KEY header is missing")
    prefix, _, secret = text.partition(".")
    key = context.catalog.key(prefix)
    if key is None or not hmac.compare_digest(key.secret_hash, secret_hash(secret)) or not key.active:
        raise Unauthorized("the API key is unknown or no longer active")
    context.catalog.touch_key(key.id, context.clock())
    return key
