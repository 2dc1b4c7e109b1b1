"""Who asks: from the text of an API key to the key it is, and to the scope it opens."""

from __future__ import annotations

import hashlib
import hmac

from palmares.catalog.contract import ApiKey, ApplicationKey, Catalog
from palmares.domain.errors import Forbidden, Invalid, Unauthorized
from palmares.service.context import Context

# What application keys, and no others, begin with.
APPLICATION_PREFIX = "app_"
APPLICATION_PREFIX_LENGTH = len(APPLICATION_PREFIX) + 5

MOST_PROVEN = 10_000

# Stands in for the hash of a key that does not exist.
_NO_HASH = bytes(32)


def secret_hash(secret: str) -> bytes:
    """What is kept of a key's secret. Secrets are long and random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


async def authenticate(context: Context, text: str | None) -> ApiKey | ApplicationKey:
    """The key with this text (`prefix.secret`), noted as used; raises `Unauthorized` for any other text.

    A few dictionary look-ups, and a small read for an application key that was not used lately.
    """
    if not text:
        raise Unauthorized("the X-API-KEY header is missing; it holds a key, as prefix.secret")
    prefix, _, secret = text.partition(".")
    key = await _key(context.catalog, prefix)
    # All secrets are compared, also with nothing: how long the answer takes must not tell a prefix from its absence.
    equal = hmac.compare_digest(_NO_HASH if key is None else key.secret_hash, secret_hash(secret))
    if key is None or not equal or not _active(key):
        raise Unauthorized("the API key is unknown or no longer active")
    _note_use(context, key)
    return key


class Proven:
    """The texts of admin keys that were found right, so that a secret is hashed once and not for each request.

    Only what was right gets in, and it is found by a hash that differs from process to process: how long a look takes
    tells nothing of what is in here.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys: dict[str, ApiKey] = {}

    def key(self, text: str) -> ApiKey | None:
        """The key with that text, noted as used, if it was proven and nothing has changed about it since."""
        key = self._keys.get(text)
        if key is None or self._context.catalog.key(key.prefix) is not key:
            return None
        _note_use(self._context, key)
        return key

    def note(self, text: str, key: ApiKey | ApplicationKey) -> None:
        """Remember an admin key that `authenticate` has found by its text. There are few of them."""
        if isinstance(key, ApiKey):
            if len(self._keys) >= MOST_PROVEN:
                self._keys.clear()
            self._keys[text] = key


def opened_scope(catalog: Catalog, key: ApiKey | ApplicationKey, customer_id: str | None) -> int:
    """The scope that a key opens for the tenant that a request names, by its customer id; empty is the same as None.

    Without multi-tenancy the tenant is not looked at. Raises `Invalid` for a tenant that is not named or not there,
    and `Forbidden` for an application key where its kind of scope is not to be had.
    """
    environment = catalog.environment(key.scope)
    if environment.multi_tenancy:
        tenant = catalog.tenants(environment.id).by_customer_id.get(customer_id or "")
        # Who holds the key of one tenant cannot find out which others there are.
        if tenant is None or not _belongs(key, tenant.scope):
            raise Invalid(_complaint(customer_id))
        return tenant.scope
    if not _belongs(key, environment.scope):
        raise Forbidden("this application key belongs to a tenant, and the environment has no multi-tenancy any more")
    return environment.scope


def own_scope(catalog: Catalog, key: ApiKey | ApplicationKey) -> int:
    """The scope of a key's environment itself, where what concerns all of its tenants is kept."""
    return catalog.environment(key.scope).scope


async def _key(catalog: Catalog, prefix: str) -> ApiKey | ApplicationKey | None:
    if not prefix.startswith(APPLICATION_PREFIX):
        return catalog.key(prefix)
    # What cannot be a key is not worth a read.
    return await catalog.application_key(prefix) if len(prefix) == APPLICATION_PREFIX_LENGTH else None


def _active(key: ApiKey | ApplicationKey) -> bool:
    """An admin key may rest, and an application key is deleted when it is to open nothing more."""
    return isinstance(key, ApplicationKey) or key.active


def _note_use(context: Context, key: ApiKey | ApplicationKey) -> None:
    now = context.clock()
    if isinstance(key, ApplicationKey):
        context.catalog.touch_application_key(key, now)
    else:
        context.catalog.touch_key(key.id, now)


def _belongs(key: ApiKey | ApplicationKey, scope: int) -> bool:
    """An admin key opens its environment and all tenants in it, an application key the one scope it was made in."""
    return isinstance(key, ApiKey) or key.scope == scope


def _complaint(customer_id: str | None) -> str:
    if not customer_id:
        return "Tenant-ID: required, because the environment has multi-tenancy"
    return f"Tenant-ID: there is no tenant {customer_id[:64]!r} that this key opens"
