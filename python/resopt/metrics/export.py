"""Records as lines of JSON, to be kept, and read by `resopt report` or anything else.

A file may hold other lines beside: each object names its kind in `line`, `record` here.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

import msgspec

from resopt.errors import ConfigurationError
from resopt.metrics.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_HEAD: Final = b'{"line":"record",'


def lines_of(records: Iterable[Record]) -> bytes:
    """Records as JSON, one on each line."""
    return b"".join(_HEAD + msgspec.json.encode(record)[1:] + b"\n" for record in records)


def read_lines(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """The lines of an export, plain or gzip: number, kind and JSON; empty ones are left out.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no object that names its kind.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _kind(path, number, line), line
    except (OSError, EOFError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def read_record(line: bytes) -> Record:
    """The record of a line of its kind.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(line, type=Record)


class _Kind(msgspec.Struct):
    line: str


def _kind(path: Path, number: int, line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Kind).line
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}, line {number}: not a line of an export ({error})") from error
