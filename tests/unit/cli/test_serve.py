"""What the first start suggests to paste into a shell."""

import json
import shlex
from itertools import pairwise

from palmares.cli.serve import first_calls


def parts_of(call: str) -> tuple[str, set[str], object]:
    """The address, the headers and the body of a call."""
    words = shlex.split(call)
    headers = {word for flag, word in pairwise(words) if flag == "-H"}
    address = next(word for word in words if word.startswith("http"))
    return address, headers, json.loads(words[words.index("-d") + 1])


def test_the_first_calls_define_a_metric_and_send_an_event() -> None:
    """With the key that was just made."""
    metric, event = [parts_of(call) for call in first_calls("http://here", "key.secret", multi_tenancy=False)]

    assert (metric[0], event[0]) == ("http://here/admin/v1/metrics", "http://here/v1/metrics/laps-swum/event")
    for _, headers, _ in (metric, event):
        assert headers == {"X-API-KEY: key.secret", "Content-Type: application/json"}


def test_with_multi_tenancy_a_tenant_is_made_first_and_named_by_the_others() -> None:
    """By its customer id; to make it, none is named."""
    tenant, *others = [parts_of(call) for call in first_calls("http://here", "key.secret", multi_tenancy=True)]
    plain = [parts_of(call) for call in first_calls("http://here", "key.secret", multi_tenancy=False)]

    address, headers, body = tenant
    assert (address, body) == ("http://here/admin/v1/tenants", [{"name": "Pool 9", "customerId": "pool-9"}])
    assert headers == plain[0][1]
    assert others == [(address, headers | {"Tenant-ID: pool-9"}, body) for address, headers, body in plain]
