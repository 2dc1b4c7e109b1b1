"""The shapes on the wire: what requests may hold, and how the domain's objects look outside."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from palmares.api.complaint import sentence
from palmares.api.wire import (
    BATCH_DECODER,
    ENCODER,
    EVENT_DECODER,
    UPDATED_USER_DECODER,
    UPSERTED_USER_DECODER,
    amount,
    breakdown_values,
    leaderboard,
    metric_state,
    profile_changes,
    ranking,
    user_answer,
)
from palmares.domain.errors import Invalid
from palmares.domain.local_time import parse_instant
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.ledger.contract import Row
from tests.world import LAPS, LEVEL, POOL, day, make_board


def shown(answer: Any) -> Any:
    """An answer as a client reads it."""
    return json.loads(ENCODER.encode(answer), parse_float=Decimal)


def changes_of(body: str) -> dict[str, Any]:
    return profile_changes(UPDATED_USER_DECODER.decode(body))


# Boards


def test_a_board_has_every_field_with_null_where_nothing_is_set() -> None:
    board = make_board(max_participants=100, run_unit="day", run_interval=7)

    assert shown(leaderboard(board, "active")) == {
        "id": board.id,
        "name": "Weekly Laps",
        "key": "weekly-laps",
        "description": None,
        "status": "active",
        "rankBy": "metric",
        "metricKey": "laps-swum",
        "metricName": "Laps swum",
        "pointsSystemKey": None,
        "pointsSystemName": None,
        "breakdownAttribute": None,
        "breakdownAttributes": [],
        "userAttributes": [],
        "start": "2026-03-02",
        "end": None,
        "startTime": None,
        "endTime": None,
        "maxParticipants": 100,
        "runUnit": "day",
        "runInterval": 7,
        "aggregation": "sum",
        "order": "desc",
        "ties": "first",
        "numbering": "ordinal",
    }


def test_a_board_shows_keys_of_attributes_and_the_single_breakdown_attribute_by_itself() -> None:
    """The deprecated `breakdownAttribute` is there for exactly one."""
    one = shown(leaderboard(make_board(breakdown=(POOL,), filters=((LEVEL, "2"),)), "active"))
    two = shown(leaderboard(make_board(breakdown=(POOL, LEVEL)), "active"))

    assert (one["breakdownAttribute"], one["breakdownAttributes"]) == ("pool", ["pool"])
    assert one["userAttributes"] == [{"key": "level", "value": "2"}]
    assert (two["breakdownAttribute"], two["breakdownAttributes"]) == (None, ["pool", "level"])


def test_with_a_run_its_days_stand_in_start_and_end() -> None:
    board = make_board(run_unit="day", run_interval=7)

    answer = shown(leaderboard(board, "active", Run(day("2026-03-09"), day("2026-03-15"))))

    assert (answer["start"], answer["end"]) == ("2026-03-09", "2026-03-15")


@pytest.mark.parametrize(
    ("micros", "value", "exact"),
    [
        (58_000_000, 58, 58),
        (2_500_000, 3, Decimal("2.5")),
        (-2_500_000, -2, Decimal("-2.5")),
        (1, 0, Decimal("0.000001")),
        (9_007_199_254_740_993_000, 9_007_199_254_741, Decimal("9007199254740.993")),
        (1_500 * 10**6, 1500, 1500),
    ],
)
def test_a_ranking_carries_the_value_rounded_halves_up_and_the_exact_one(micros: int, value: int, exact: Any) -> None:
    """Integers have neither fraction nor exponent."""
    text = ENCODER.encode(ranking(Row(3, 4, "swim-7", None, micros))).decode()

    assert json.loads(text, parse_float=Decimal) == {
        "userId": "swim-7",
        "userName": None,
        "rank": 4,
        "value": value,
        "exactValue": exact,
    }
    assert f'"value":{value},' in text
    assert "e" not in text.partition('"exactValue":')[2].lower()


def test_the_group_of_an_event_is_named_by_pairs_and_a_single_one_by_itself() -> None:
    assert breakdown_values(make_board(), ()) == {}
    assert breakdown_values(make_board(breakdown=(POOL,)), ("east",)) == {
        "breakdownAttributeValues": [{"key": "pool", "value": "east"}],
        "breakdownAttributeValue": "east",
    }
    assert breakdown_values(make_board(breakdown=(POOL, LEVEL)), ("east", "2")) == {
        "breakdownAttributeValues": [{"key": "pool", "value": "east"}, {"key": "level", "value": "2"}]
    }


# Users


def test_a_user_has_every_field_with_null_where_nothing_is_set() -> None:
    created = parse_instant("2026-02-27T08:00:00Z", "")
    bare = User(number=1, scope=1, id="swim-7", created=created, updated=created)
    full = User(
        number=1,
        scope=1,
        id="swim-7",
        email="noor@example.com",
        name="Noor Haddad",
        tz="Asia/Tokyo",
        sign_up_date=day("2026-02-26"),
        device_tokens=("t",),
        attributes={"pool": "east"},
        created=created,
        updated=created + 1_234_567,
    )

    assert shown(user_answer(bare)) == {
        "id": "swim-7",
        "email": None,
        "name": None,
        "tz": None,
        "signUpDate": None,
        "deviceTokens": None,
        "subscribeToEmails": False,
        "attributes": {},
        "control": False,
        "created": "2026-02-27T08:00:00.000Z",
        "updated": "2026-02-27T08:00:00.000Z",
    }
    assert shown(user_answer(full)) | {"control": None} == {
        "id": "swim-7",
        "email": "noor@example.com",
        "name": "Noor Haddad",
        "tz": "Asia/Tokyo",
        "signUpDate": "2026-02-26",
        "deviceTokens": ["t"],
        "subscribeToEmails": True,
        "attributes": {"pool": "east"},
        "control": None,
        "created": "2026-02-27T08:00:00.000Z",
        "updated": "2026-02-27T08:00:01.234Z",
    }


def test_the_total_of_a_metric_is_an_exact_number() -> None:
    state = shown(metric_state(LAPS, 300_001))

    assert state == {
        "id": LAPS.id,
        "key": "laps-swum",
        "name": "Laps swum",
        "status": "active",
        "current": Decimal("0.300001"),
        "achievements": [],
    }


# What a request changes of a user


def test_an_absent_field_changes_nothing() -> None:
    assert changes_of("{}") == {}
    assert changes_of('{"unknown": 1}') == {}


def test_given_fields_come_in_the_domains_names_and_types() -> None:
    body = """{"email": "a@b.c", "name": "Noor", "tz": "Asia/Tokyo", "signUpDate": "2026-02-27",
        "deviceTokens": ["x", "y"], "subscribeToEmails": true, "attributes": {"pool": "east", "level": null}}"""

    assert changes_of(body) == {
        "email": "a@b.c",
        "name": "Noor",
        "tz": "Asia/Tokyo",
        "sign_up_date": day("2026-02-27"),
        "device_tokens": ("x", "y"),
        "subscribe_to_emails": True,
        "attributes": {"pool": "east", "level": None},
    }


def test_null_clears_what_can_be_cleared() -> None:
    body = '{"email": null, "name": null, "tz": null, "signUpDate": null, "deviceTokens": null}'

    assert changes_of(body) == dict.fromkeys(["email", "name", "tz", "sign_up_date", "device_tokens"])


def test_null_means_not_given_where_it_clears_nothing() -> None:
    """Clients send explicit nulls for what their caller left out."""
    assert changes_of('{"subscribeToEmails": null, "subscribedToEmails": null, "attributes": null}') == {}


def test_the_misspelt_name_of_the_email_flag_is_accepted_and_the_right_one_wins() -> None:
    assert changes_of('{"subscribedToEmails": false}') == {"subscribe_to_emails": False}
    assert changes_of('{"subscribedToEmails": false, "subscribeToEmails": null}') == {"subscribe_to_emails": False}
    assert changes_of('{"subscribedToEmails": false, "subscribeToEmails": true}') == {"subscribe_to_emails": True}


@pytest.mark.parametrize(
    "text", ["2026-02-27", "2026-02-27T23:59:59Z", "2026-02-28T01:00:00+02:00", "2026-02-26T23:00:00.123-02:00"]
)
def test_a_sign_up_date_time_is_reduced_to_its_day_in_utc(text: str) -> None:
    assert changes_of(json.dumps({"signUpDate": text})) == {"sign_up_date": day("2026-02-27")}


@pytest.mark.parametrize("text", ["", "2026-02-30", "20260227", "2026-02-27T10:00:00", "yesterday", "2026-02-27T"])
def test_a_sign_up_date_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="signUpDate"):
        changes_of(json.dumps({"signUpDate": text}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": 5}, "email"),
        ({"name": "x" * 256}, "name"),
        ({"tz": []}, "tz"),
        ({"subscribeToEmails": "yes"}, "subscribeToEmails"),
        ({"deviceTokens": "x"}, "deviceTokens"),
        ({"deviceTokens": ["x"] * 101}, "deviceTokens"),
        ({"deviceTokens": ["x" * 4097]}, "deviceTokens"),
        ({"attributes": {"pool": 5}}, "attributes"),
        ({"attributes": {"pool": "x" * 256}}, "attributes"),
        ({"attributes": []}, "attributes"),
    ],
)
def test_a_field_of_the_wrong_type_or_length_is_refused_by_name(body: dict[str, Any], field: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        UPDATED_USER_DECODER.decode(json.dumps(body))

    assert sentence(caught.value, UPDATED_USER_DECODER.type).startswith(field)


@pytest.mark.parametrize("body", ['{"id": ""}', json.dumps({"id": "x" * 256}), "{}", '{"id": 7}', '{"id": null}'])
def test_a_user_needs_an_id_of_1_to_255_characters(body: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="id"):
        UPSERTED_USER_DECODER.decode(body)


def test_texts_at_their_limits_are_taken() -> None:
    body = {"id": "é" * 255, "name": "x" * 255, "deviceTokens": ["x" * 4096] * 100}

    user = UPSERTED_USER_DECODER.decode(json.dumps(body))

    assert (user.id, user.name) == ("é" * 255, "x" * 255)
    assert len(profile_changes(user)["device_tokens"]) == 100


# Events


def value_of(number: str) -> int:
    """The amount of an event with this JSON text as its value."""
    return amount(EVENT_DECODER.decode(f'{{"user": {{"id": "a"}}, "value": {number}}}').value)


@pytest.mark.parametrize(
    ("number", "micros"),
    [
        ("12", 12_000_000),
        ("-0", 0),
        ("2.5", 2_500_000),
        ("1e3", 1_000_000_000),
        ("-1.5E-2", -15_000),
        ("0.0000005", 1),
        ("-0.0000005", -1),
        # Beyond what a float can tell apart.
        ("9007199254740.993001", 9_007_199_254_740_993_001),
        ("9223372036854.775807", 2**63 - 1),
        ("-9223372036854.775807", -(2**63 - 1)),
    ],
)
def test_the_value_of_an_event_is_read_from_its_text(number: str, micros: int) -> None:
    assert value_of(number) == micros


@pytest.mark.parametrize("other", ['"12"', "true", "false", "null", "[1]", '{"a": 1}'])
def test_a_value_that_is_no_number_is_refused_by_name(other: str) -> None:
    with pytest.raises(Invalid, match=r"^value: expected a number, got (a string|an object|an array|true|false|null)$"):
        value_of(other)


@pytest.mark.parametrize("number", ["9223372036854.775808", "1e13", "1e400", "-1e999999999", "9" * 1000])
def test_a_value_that_does_not_fit_is_refused_by_name(number: str) -> None:
    with pytest.raises(Invalid, match=r"^value: "):
        value_of(number)


@pytest.mark.parametrize("number", ["01", "1.", ".5", "+1", "NaN", "Infinity", "1_000", "0x10", "١"])
def test_a_value_that_is_no_json_is_refused(number: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        value_of(number)


def test_an_event_needs_a_user_and_a_value() -> None:
    with pytest.raises(msgspec.ValidationError, match="user"):
        EVENT_DECODER.decode('{"value": 1}')
    with pytest.raises(msgspec.ValidationError, match="value"):
        EVENT_DECODER.decode('{"user": {"id": "a"}}')
    with pytest.raises(msgspec.ValidationError, match="id"):
        EVENT_DECODER.decode('{"user": {}, "value": 1}')


def test_a_batch_has_1_to_1000_items_and_tells_the_place_of_a_bad_one() -> None:
    item = '{"key": "laps-swum", "user": {"id": "a"}, "value": 1}'

    assert len(BATCH_DECODER.decode(f"[{','.join([item] * 1000)}]")) == 1000
    for body in ("[]", f"[{','.join([item] * 1001)}]"):
        with pytest.raises(msgspec.ValidationError, match="length"):
            BATCH_DECODER.decode(body)
    with pytest.raises(msgspec.ValidationError) as caught:
        BATCH_DECODER.decode(f'[{item}, {{"key": "laps-swum", "user": {{"id": 5}}, "value": 1}}]')
    assert sentence(caught.value, BATCH_DECODER.type) == "[1].user.id: expected string, got integer"


def test_a_batch_item_may_carry_a_key_and_a_time_or_nulls() -> None:
    text = """[{"key": "k", "user": {"id": "a"}, "value": 1, "idempotencyKey": "i", "timestamp": "t"},
        {"key": "k", "user": {"id": "a"}, "value": 1, "idempotencyKey": null, "timestamp": null, "attributes": null}]"""

    first, second = BATCH_DECODER.decode(text)

    assert (first.idempotency_key, first.timestamp) == ("i", "t")
    assert (second.idempotency_key, second.timestamp, second.attributes) == (None, None, None)
