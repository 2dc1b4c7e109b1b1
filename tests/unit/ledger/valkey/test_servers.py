"""Where Valkey is, as people write it."""

import pytest

from palmares.ledger.valkey.servers import Servers, read_servers


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("valkey://cache", Servers((("cache", 6379),))),
        ("redis://cache:7000/", Servers((("cache", 7000),))),
        ("valkey://cache/0", Servers((("cache", 6379),))),
        ("valkey://a:1,b,[::1]:3", Servers((("a", 1), ("b", 6379), ("::1", 3)))),
        ("valkey://:word@cache", Servers((("cache", 6379),), None, "word")),
        ("redis://me:p%40ss%2Fword@cache", Servers((("cache", 6379),), "me", "p@ss/word")),
        ("rediss://cache", Servers((("cache", 6379),), tls=True)),
        ("valkeys://me:word@a:1,b:2?ca=/etc/ca.pem", Servers((("a", 1), ("b", 2)), "me", "word", True, "/etc/ca.pem")),
    ],
)
def test_an_address_names_servers_and_who_we_are_there(text: str, servers: Servers) -> None:
    assert read_servers(text) == servers


@pytest.mark.parametrize(
    "text",
    [
        "cache:6379",
        "http://cache",
        "valkey://",
        "valkey://cache/3",
        "valkey://cache:0",
        "valkey://cache:70000",
        "valkey://a,,b",
        "valkey://a:b:c",
        "valkey://cache?ca=/etc/ca.pem",
        "valkeys://cache?cert=/etc/ca.pem",
    ],
)
def test_what_is_no_address_of_valkey_is_refused(text: str) -> None:
    """Among them a database by number: a cluster has but one."""
    with pytest.raises(ValueError, match=r"not an? |is for TLS"):
        read_servers(text)
