"""Files of events become items of the batch route; a line that holds none is named with the reason."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from palmares.cli import event_file
from palmares.cli.event_file import Format, Unusable


def items(content: str | bytes, kind: Format = "csv") -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """The items and the rejections of a content, by line."""
    rejected: dict[int, str] = {}
    data = content.encode() if isinstance(content, str) else content
    lines = event_file.read(io.BytesIO(data), kind, "facade", rejected.__setitem__)
    return {line.number: json.loads(line.item) for line in lines}, rejected


def raw_item(content: str, kind: Format = "csv") -> bytes:
    return next(iter(event_file.read(io.BytesIO(content.encode()), kind, "facade", lambda line, reason: None))).item


def test_every_column_finds_its_field() -> None:
    """All columns that exist, in one row."""
    header = "metric,userId,value,timestamp,idempotencyKey,userName,tz,attributes.pool,eventAttributes.lane"
    row = "laps-swum,swim-7,12,2026-03-04T09:15:00Z,session-884,Noor Haddad,Asia/Tokyo,east,3"

    accepted, rejected = items(f"{header}\n{row}\n")

    assert rejected == {}
    assert accepted == {
        2: {
            "key": "laps-swum",
            "user": {"id": "swim-7", "name": "Noor Haddad", "tz": "Asia/Tokyo", "attributes": {"pool": "east"}},
            "value": 12,
            "timestamp": "2026-03-04T09:15:00Z",
            "idempotencyKey": "session-884",
            "attributes": {"lane": "3"},
        }
    }


def test_key_and_name_are_other_names_of_metric_and_user_name() -> None:
    """As in the bodies of the HTTP API."""
    accepted, _ = items("key,userId,name,value\nlaps,swim-7,Noor,1\n")

    assert accepted[2]["key"] == "laps"
    assert accepted[2]["user"] == {"id": "swim-7", "name": "Noor"}


def test_an_empty_cell_is_a_field_that_is_not_given() -> None:
    """An empty name would otherwise overwrite the stored one."""
    accepted, _ = items("metric,userId,value,name,tz,attributes.pool\nlaps,swim-7,1,,,\n")

    assert accepted[2]["user"] == {"id": "swim-7"}


def test_a_line_without_idempotency_key_gets_one_of_the_files_identity_and_its_number() -> None:
    """That is what makes a second run of the same file count nothing twice."""
    accepted, _ = items("metric,userId,value,idempotencyKey\nlaps,swim-7,1,\nlaps,swim-7,1,mine\n")

    assert [item["idempotencyKey"] for item in accepted.values()] == ["import-facade-2", "mine"]


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        ("12", b"12"),
        ("-3", b"-3"),
        ("0.1", b"0.1"),
        (" 7 ", b"7"),
        (".5", b"0.5"),
        ("+4", b"4"),
        ("9223372036854.775807", b"9223372036854.775807"),
        ("1e3", b"1E+3"),
    ],
)
def test_a_value_is_sent_with_every_digit(cell: str, sent: bytes) -> None:
    """A value never passes through a float."""
    assert b'"value":' + sent + b"," in raw_item(f"metric,userId,value\nlaps,swim-7,{cell}\n")


@pytest.mark.parametrize("cell", ["", "twelve", "1_000", "nan", "inf", "0x10", "1,5", "٣", "1 2"])
def test_a_cell_that_is_no_number_rejects_its_line_only(cell: str) -> None:
    """Spellings that Python would take for numbers are none in JSON."""
    accepted, rejected = items(f'metric,userId,value\nlaps,swim-7,"{cell}"\nlaps,swim-7,2\n')

    assert list(accepted) == [3]
    assert list(rejected) == [2]
    assert rejected[2].startswith("value: ")


@pytest.mark.parametrize("row", ["laps,swim-7", "laps,swim-7,1,2"])
def test_a_row_of_another_length_than_the_header_is_rejected(row: str) -> None:
    """A missing or an extra comma shifts the cells: better no event than a wrong one."""
    assert items(f"metric,userId,value\n{row}\n")[1] == {2: f"expected 3 cells, got {row.count(',') + 1}"}


def test_a_row_without_user_is_rejected() -> None:
    """Every event has a user."""
    assert items("metric,userId,value\nlaps,,1\n")[1] == {2: "userId: empty"}


def test_a_line_that_is_not_utf_8_is_rejected_alone() -> None:
    """The lines around it count."""
    accepted, rejected = items(b"metric,userId,value\nlaps,\xff\xfe,1\nlaps,\xc3\xa9,1\n")

    assert rejected == {2: "not UTF-8"}
    assert accepted[3]["user"]["id"] == "é"


def test_a_row_that_spans_lines_has_the_number_of_its_first() -> None:
    """That is the line a person looks for in an editor."""
    accepted, rejected = items('metric,userId,name,value\n\nlaps,swim-7,"Noor\nHaddad",1\nlaps,swim-8,Ivo,x\n')

    assert list(accepted) == [3]
    assert list(rejected) == [5]


def test_a_byte_order_mark_does_not_belong_to_the_first_column() -> None:
    """Spreadsheets write one."""
    assert list(items(b"\xef\xbb\xbfmetric,userId,value\r\nlaps,swim-7,1\r\n")[0]) == [2]


def test_a_misspelt_column_is_refused_with_the_nearest_name() -> None:
    """Ignoring a `timestmp` would put a year of events on today."""
    with pytest.raises(Unusable, match="'timestmp' is not a column; did you mean timestamp"):
        items("metric,userId,value,timestmp\nlaps,swim-7,1,2026-03-04T09:15:00Z\n")


def test_a_column_like_no_other_is_refused_with_the_list_of_all() -> None:
    """The message teaches the format."""
    with pytest.raises(Unusable, match="the columns are key, metric, userId, value"):
        items("metric,userId,value,qqqqq\n")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("metric,value", "no column for userId"),
        ("laps,swim-7,12", "is not a column"),
        ("metric,key,userId,value", "two columns for key"),
        ("metric,userId,value,attributes.", "is not a column"),
    ],
)
def test_a_header_that_cannot_be_used_refuses_the_file(header: str, problem: str) -> None:
    """Nothing of such a file is sent."""
    with pytest.raises(Unusable, match=problem):
        items(f"{header}\nlaps,swim-7,1\n")


def test_json_lines_are_items_of_the_batch_route_as_they_are() -> None:
    """Fields that this program does not know are sent too: the server decides."""
    item = {"key": "laps", "user": {"id": "swim-7"}, "value": 1, "idempotencyKey": "a", "timestamp": "x", "new": [1]}

    assert items(json.dumps(item) + "\n", "jsonl")[0] == {1: item}


def test_a_number_in_json_lines_keeps_its_digits() -> None:
    """Twenty digits survive, as they do in CSV."""
    line = '{"key": "laps", "user": {"id": "swim-7"}, "value": 9223372036854.775807}'

    assert b"9223372036854.775807" in raw_item(line, "jsonl")


@pytest.mark.parametrize("given", ["", ', "idempotencyKey": null'])
def test_a_json_line_without_idempotency_key_gets_one(given: str) -> None:
    """An explicit null is no key either."""
    line = '{"key": "laps", "user": {"id": "swim-7"}, "value": 1' + given + "}"

    assert items(f"\n{line}\n", "jsonl")[0][2]["idempotencyKey"] == "import-facade-2"


@pytest.mark.parametrize("line", [b"[1]", b"12", b"{", b'{"key": "\xff"}', b"[" * 100_000])
def test_a_line_that_is_no_json_object_is_rejected(line: bytes) -> None:
    """It is named, and the next line is read."""
    accepted, rejected = items(line + b'\n{"key": "laps"}\n', "jsonl")

    assert rejected == {1: "not a JSON object"}
    assert list(accepted) == [2]


@pytest.mark.parametrize(
    ("content", "kind", "lines"),
    [
        (b"metric,userId\n", "csv", 1),
        (b'{"key": 1}\n{"key": 2}', "jsonl", 2),
        (b'\xef\xbb\xbf\n {"key": 1}\n', "jsonl", 2),
        (b"", "csv", 0),
    ],
)
def test_the_first_character_tells_the_format(content: bytes, kind: str, lines: int) -> None:
    """No option is needed, also for standard input, which has no name."""
    facts = event_file.facts(io.BytesIO(content))

    assert (facts.format, facts.lines) == (kind, lines)


def test_the_identity_is_that_of_the_content() -> None:
    """A copy under another name is the same file; one more byte makes another."""
    identities = [event_file.facts(io.BytesIO(content)).identity for content in (b"a\n", b"a\n", b"a\nb\n")]

    assert identities[0] == identities[1] != identities[2]


def test_a_compressed_file_is_the_same_file(tmp_path: Path) -> None:
    """Compressing what was imported does not make it count again."""
    plain, packed = tmp_path / "events.csv", tmp_path / "events.csv.gz"
    plain.write_bytes(b"metric,userId,value\nlaps,swim-7,1\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    with event_file.opened(str(plain)) as one, event_file.opened(str(packed)) as other:
        assert event_file.facts(one) == event_file.facts(other)
        assert one.read() == other.read() != b""


def test_a_damaged_compressed_file_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The whole file is read once before the first event is sent."""
    damaged = tmp_path / "events.csv.gz"
    damaged.write_bytes(gzip.compress(b"metric,userId,value\n" * 1000)[:-20])

    with event_file.opened(str(damaged)) as content, pytest.raises(Unusable, match="cannot be read to its end"):
        event_file.facts(content)


def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    """No traceback for a typing error."""
    with pytest.raises(Unusable, match="No such file"), event_file.opened(str(tmp_path / "none.csv")):
        pytest.fail("there is nothing to open")
