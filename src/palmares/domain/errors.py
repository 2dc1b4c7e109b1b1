"""What may go wrong, as one tree.

    PalmaresError
     ├── Invalid         a value of the wrong type, malformed or out of range
     ├── NotAllowed      well-formed, but the present definitions or state forbid it
     ├── Unauthorized    no key, or one that opens nothing
     ├── Forbidden       a good key, but not for this
     ├── NotFound        no such thing
     ├── TooLarge        more bytes than one request may carry
     ├── Overloaded      nothing was stored; try again after a moment
     │    └── RateLimited    the key has asked too often
     └── Unavailable     nothing was stored; the disk or another part does not work at present

The class tells the kind; one table, in `api/errors.py`, maps it to a status.
"""

from __future__ import annotations

from typing import Self


class PalmaresError(Exception):
    """Something that may happen, told to the caller."""

    @property
    def message(self) -> str:
        """The sentence for people; its wording is not part of any contract."""
        return str(self.args[0]) if self.args else str(self.__doc__)

    def at(self, place: int) -> Self:
        """The same error, told of one item of a list; places count from 0."""
        return type(self)(f"[{place}] {self.message}")


class Invalid(PalmaresError):
    """The request is malformed."""


class NotAllowed(PalmaresError):
    """The request is well-formed but not allowed."""


class Unauthorized(PalmaresError):
    """The API key is missing, malformed, unknown or revoked."""


class Forbidden(PalmaresError):
    """The API key does not open this."""


class NotFound(PalmaresError):
    """There is no such thing."""


class TooLarge(PalmaresError):
    """The request body is too large."""


class Overloaded(PalmaresError):
    """Too many events wait for the disk; nothing was stored, try again."""

    retry_after_seconds = 1


class RateLimited(Overloaded):
    """The API key sends more requests than it may; nothing was stored, try again."""


class Unavailable(PalmaresError):
    """The server cannot write at present; nothing was stored, try again."""

    retry_after_seconds = 5
