"""Errors on the wire: one table from what went wrong to the status, and one body for all of them."""

from __future__ import annotations

import msgspec

from palmares.domain import errors

STATUS: dict[type[errors.PalmaresError], int] = {
    errors.NotAllowed: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooLarge: 413,
    errors.Invalid: 422,
    errors.Overloaded: 429,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}


def status_of(error: errors.PalmaresError) -> int:
    """The status of an error; adapters have errors of their own, each a kind of one in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


class ErrorBody(msgspec.Struct):
    """The body of every answer that is not a success."""

    error: str


def body(message: str) -> bytes:
    """The error body as JSON."""
    return msgspec.json.encode(ErrorBody(message))
