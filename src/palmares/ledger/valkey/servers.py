"""Where Valkey is and who we are there, as one address:

    valkey://user:password@host:6379                  a server, or any node of a cluster
    valkey://host-1:6379,host-2,host-3:6381           several nodes of a cluster, to begin with whichever is up
    valkeys://host:6379                               over TLS; `?ca=/path/of.pem` for an authority of our own

`redis` and `rediss` are other words for `valkey` and `valkeys`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

_TLS: Final = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}
_PORT: Final = 6379
# A user may be left out and the password not, and the other way round.
_ADDRESS: Final = re.compile(
    r"(?P<scheme>\w+)://(?:(?P<user>[^:@/\s]*)(?::(?P<password>[^@/\s]*))?@)?(?P<nodes>[^/?@\s]+)/?0?(?:\?ca=(?P<ca>\S+))?"
)
_NODE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?")


class Servers(NamedTuple):
    """One server, or some nodes of a cluster. Whoever prints this prints the password."""

    addresses: tuple[tuple[str, int], ...]
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None


def read_servers(text: str) -> Servers:
    """The servers of an address; ValueError when it is none."""
    match = _ADDRESS.fullmatch(text)
    if match is None or match["scheme"] not in _TLS:
        raise ValueError("not an address of Valkey")
    tls = _TLS[match["scheme"]]
    if match["ca"] and not tls:
        raise ValueError("a certificate authority is for TLS")
    nodes = tuple(_node(one) for one in match["nodes"].split(","))
    return Servers(nodes, _text(match["user"]), _text(match["password"]), tls, _text(match["ca"]))


def _node(text: str) -> tuple[str, int]:
    match = _NODE.fullmatch(text)
    port = int((match and match["port"]) or _PORT)
    if match is None or not 0 < port < 65536:
        raise ValueError("not a host and a port")
    return match["host"].strip("[]"), port


def _text(quoted: str | None) -> str | None:
    return unquote(quoted) if quoted else None
