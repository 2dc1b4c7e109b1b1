"""Files of events: CSV or JSON lines, plain or compressed with gzip, from a path or from standard input.

`opened` gives the content so that it can be read twice: once for its identity, once for its events. A line without an
idempotency key gets one made of the file's identity and the line's number, so the same file counts once however often
it is sent. The identity is a hash of the uncompressed content; giving it by hand lets a corrected file stay the same
file, with only the corrected lines still to be counted.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import hashlib
import io
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

import msgspec

from palmares.cli.batch import Item, Line, User

Format = Literal["csv", "jsonl"]
Reject = Callable[[int, str], None]

# Column of the header -> field of the event; `attributes.<key>` and `eventAttributes.<key>` come on top.
FIELDS = {
    "key": "key",
    "metric": "key",
    "userId": "userId",
    "value": "value",
    "timestamp": "timestamp",
    "idempotencyKey": "idempotencyKey",
    "userName": "name",
    "name": "name",
    "tz": "tz",
}
REQUIRED = ("key", "userId", "value")
_USER_ATTRIBUTE = "attributes."
_EVENT_ATTRIBUTE = "eventAttributes."
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GZIP = b"\x1f\x8b"
# The byte order mark that some programs begin UTF-8 files with.
_MARK = b"\xef\xbb\xbf"


class Unusable(Exception):
    """The file as a whole cannot be imported."""


class Facts(NamedTuple):
    """What one reading of a whole file tells: its identity, how many lines it has, and its format."""

    identity: str
    lines: int
    format: Format


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The uncompressed content of a file, or of standard input for `-`, at its start and ready for `seek(0)`.

    Raises `Unusable` when it cannot be opened.
    """
    try:
        source = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 (the next `with` closes it)
    except OSError as error:
        raise Unusable(f"{name} cannot be read: {error.strerror}") from error
    with source, tempfile.TemporaryFile() as copy:
        if not source.seekable():
            # A pipe can be read once only.
            shutil.copyfileobj(source, copy)
            copy.seek(0)
        raw = source if source.seekable() else copy
        compressed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        with gzip.open(raw) if compressed else nullcontext(raw) as content:
            yield cast(BinaryIO, content)


def facts(content: BinaryIO) -> Facts:
    """Read a whole file once; it is at its start again afterwards. Raises `Unusable` when it is damaged."""
    digest, lines, first, ended = hashlib.sha256(), 0, b"", True
    try:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
            lines += chunk.count(b"\n")
            first = first or chunk.removeprefix(_MARK).lstrip()[:1]
            ended = chunk.endswith(b"\n")
        content.seek(0)
    except (OSError, EOFError, zlib.error) as error:
        raise Unusable(f"the file cannot be read to its end: {error}") from error
    return Facts(digest.hexdigest()[:16], lines + (not ended), "jsonl" if first == b"{" else "csv")


def read(content: BinaryIO, kind: Format, identity: str, reject: Reject) -> Iterator[Line]:
    """The events of a file, in order. `reject` hears of each line that holds none, with the reason.

    Raises `Unusable` for a CSV header with columns that are unknown, missing or there twice.
    """
    return _read_csv(content, identity, reject) if kind == "csv" else _read_json(content, identity, reject)


def _own_key(identity: str, number: int) -> str:
    return f"import-{identity}-{number}"


def _read_json(content: BinaryIO, identity: str, reject: Reject) -> Iterator[Line]:
    for number, text in enumerate(content, start=1):
        text = text.removeprefix(_MARK).strip()
        if not text:
            continue
        try:
            # The decoder looks only at the outermost level: what is no UTF-8 further inside is found here.
            item = _OBJECT.decode(text.decode())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            reject(number, "not a JSON object")
            continue
        if bytes(item.get("idempotencyKey", b"null")) == b"null":
            item["idempotencyKey"] = msgspec.Raw(_ENCODER.encode(_own_key(identity, number)))
        yield Line(number, _ENCODER.encode(item))


def _read_csv(content: BinaryIO, identity: str, reject: Reject) -> Iterator[Line]:
    # Bytes that are no UTF-8 come through as lone surrogates, which the encoder refuses: so one bad line stays one.
    text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline="")
    header: Sequence[str] | None = None
    for number, cells in _rows(text, reject):
        if header is None:
            header = _checked_header(cells)
            continue
        try:
            item = _item(header, cells, _own_key(identity, number))
            yield Line(number, _ENCODER.encode(item))
        except UnicodeEncodeError:
            reject(number, "not UTF-8")
        except ValueError as error:
            reject(number, str(error))
    text.detach()


def _rows(text: Iterable[str], reject: Reject) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, with the line on which it begins: a quoted cell may span lines."""
    rows = csv.reader(text)
    while True:
        number = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reject(number, str(error))
            continue
        if cells:
            yield number, cells


def _checked_header(cells: list[str]) -> list[str]:
    """The field of each column."""
    fields = [_field(cell.strip()) for cell in cells]
    for field in fields:
        if fields.count(field) > 1:
            raise Unusable(f"the header has two columns for {field}")
    missing = [field for field in REQUIRED if field not in fields]
    if missing:
        raise Unusable(f"the header has no column for {', '.join(missing)}; the first line names the columns")
    return fields


def _field(column: str) -> str:
    if column in FIELDS:
        return FIELDS[column]
    for prefix in (_USER_ATTRIBUTE, _EVENT_ATTRIBUTE):
        if column.startswith(prefix) and len(column) > len(prefix):
            return column
    near = difflib.get_close_matches(column, [*FIELDS, "attributes.<key>", "eventAttributes.<key>"], n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"the columns are {', '.join(FIELDS)}, attributes.<key>, eventAttributes.<key>"
    )
    raise Unusable(f"{column!r} is not a column; {hint}")


def _item(header: Sequence[str], cells: Sequence[str], own_key: str) -> Item:
    """The event of a row; ValueError says what is wrong. An empty cell is a field that is not given."""
    if len(cells) != len(header):
        raise ValueError(f"expected {len(header)} cells, got {len(cells)}")
    given = {field: cell for field, cell in zip(header, cells, strict=True) if cell}
    for field in REQUIRED:
        if field not in given:
            raise ValueError(f"{field}: empty")
    return Item(
        key=given["key"],
        user=User(given["userId"], given.get("name"), given.get("tz"), _attributes(given, _USER_ATTRIBUTE)),
        value=_value(given["value"]),
        timestamp=given.get("timestamp"),
        idempotency_key=given.get("idempotencyKey", own_key),
        attributes=_attributes(given, _EVENT_ATTRIBUTE),
    )


def _attributes(given: dict[str, str], prefix: str) -> dict[str, str]:
    return {field.removeprefix(prefix): cell for field, cell in given.items() if field.startswith(prefix)}


def _value(text: str) -> int | Decimal:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"value: expected a number, got {text[:64]!r}")
    return Decimal(text)
