"""Webhooks: what may be told where, the signature, and when something is attempted again."""

from dataclasses import replace

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.local_time import parse_instant
from palmares.domain.webhook import EVENT_TYPES, Webhook, check, check_url, retry_at, signature, succeeded

HOOK = Webhook(
    number=1,
    id="w",
    scope=1,
    name="Shop",
    url="https://example.org/hook",
    events=EVENT_TYPES,
    secret="whs_7Qm2",
    created=0,
)
AT = parse_instant("2026-03-04T10:00:00Z", "at")


def test_the_signature_is_base64_of_hmac_sha256_over_the_bytes() -> None:
    """The check value of the published contract."""
    body = b'{"type":"leaderboard.started","leaderboard":{"key":"weekly-laps"}}'

    assert signature("whs_7Qm2", body) == "7tEhfoc2sMrtb9+KcKqUh7KjuC0ldm1AWDK0+MHbzms="


def test_a_byte_more_or_another_secret_gives_another_signature() -> None:
    """Also white space counts, which means nothing in JSON."""
    assert len({signature("a", b"{}"), signature("a", b"{} "), signature("b", b"{}")}) == 3


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 2), (3, 4)])
def test_a_failed_attempt_is_followed_by_another_after_one_two_and_four_minutes(attempts: int, minutes: int) -> None:
    """Counted from the failure."""
    assert retry_at(attempts, AT) == AT + minutes * 60_000_000


def test_after_four_attempts_nothing_more_is_tried() -> None:
    """The first and three more."""
    assert retry_at(4, AT) is None


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    """Whatever it says."""
    assert succeeded(status)


@pytest.mark.parametrize("status", [None, 100, 199, 300, 301, 302, 304, 307, 308, 400, 404, 429, 500, 503])
def test_redirects_errors_and_silence_are_failures(status: int | None) -> None:
    """Nothing is followed anywhere."""
    assert not succeeded(status)


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_a_webhook_wants_what_it_lists_while_it_is_active(event: str) -> None:
    """A paused one wants nothing."""
    only = replace(HOOK, events=(event,))

    assert [one for one in EVENT_TYPES if only.wants(one)] == [event]
    assert not any(replace(only, status="paused").wants(one) for one in EVENT_TYPES)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org:8080/a/b?c=d",
        "HTTPS://Example.ORG/",
        "https://xn--bcher-kva.example/",
        "http://1.1.1.1/",
        "http://[2606:4700:4700::1111]:81/x",
        "https://localhost.example.org/",
        "https://not-localhost/",
    ],
)
def test_an_address_of_the_internet_is_allowed(url: str) -> None:
    """By name or by number."""
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://LOCALHOST:80/",
        "http://localhost./",
        "http://a.localhost/",
        "http://127.0.0.1/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fe80::1%25eth0]/",
    ],
)
def test_a_private_address_is_refused_unless_allowed(url: str) -> None:
    """As far as it shows in the URL."""
    with pytest.raises(Invalid, match="webhooks_allow_private"):
        check_url(url, allow_private=False)
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://",
        "http:///path",
        "http://:80/",
        "http://example.org:port/",
        "http://example.org:0/",
        "http://example.org:70000/",
        "http://[::1/",
        "http://user@example.org/",
        "http://user:pass@example.org/",
        "http://@example.org/",
        "http://example.org/#part",
        "http://exa mple.org/",
        "http://example.org/\r\nX-Evil: 1",
        "http://bücher.example/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://1.2.3.4.5/",
        "https://example.org/" + "a" * 2048,
    ],
)
def test_what_is_no_plain_http_address_is_refused_in_any_case(url: str) -> None:
    """Other schemes, credentials, numbers in disguise."""
    with pytest.raises(Invalid, match=r"^url: "):
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"events": ()}, "events"),
        ({"secret": ""}, "secret"),
        ({"secret": "with space"}, "secret"),
        ({"secret": "x" * 256}, "secret"),
        ({"secret": "é"}, "secret"),
    ],
)
def test_a_webhook_needs_a_name_an_event_and_a_secret(fields: dict, field: str) -> None:
    """The message begins with the field."""
    with pytest.raises(Invalid, match=f"^{field}: "):
        check(replace(HOOK, **fields), allow_private=False)


def test_the_secret_is_not_in_what_is_printed_of_a_webhook() -> None:
    """Logs and tracebacks show objects."""
    assert "whs_7Qm2" not in repr(HOOK)
