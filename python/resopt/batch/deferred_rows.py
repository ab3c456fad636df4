"""What the store of deferred work keeps, and how that is written."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.types import Request, Response

if TYPE_CHECKING:
    from collections.abc import Sequence


class StoredRow(msgspec.Struct, frozen=True, gc=False):
    """One request of a submission."""

    number: int
    handle: str
    position: int
    request: Request
    state: str
    attempts: int


class StoredPart(msgspec.Struct, frozen=True, gc=False):
    """One batch at the provider, or about to be; `remote` is its name there."""

    tag: str
    api: str
    remote: str | None
    state: str
    created: float
    rows: int
    deadline: float


class StoredEnd(msgspec.Struct, frozen=True, gc=False):
    """What a row ended in: an answer, or the type and the text of an error; `free` says that it was not billed."""

    response: Response | None = None
    error: str = ""
    problem: str = ""
    status: int | None = None
    free: bool = False


class NewRow(msgspec.Struct, gc=False):
    """A row to be kept: its request, what it is, and its end if it has one already."""

    request: Request
    identity: bytes | None
    end: StoredEnd | None = None
    via: str = ""


def read_row(columns: Sequence[Any]) -> StoredRow:
    """A row of the columns in which it is kept."""
    number, handle, position, request, state, attempts = columns
    return StoredRow(number, handle, position, _request.decode(request), state, attempts)


_pack = msgspec.msgpack.Encoder(enc_hook=lambda value: value.model_dump(mode="json", exclude_unset=True))
_request = msgspec.msgpack.Decoder(Request)
_end = msgspec.msgpack.Decoder(StoredEnd)


def write_end(end: StoredEnd) -> bytes:
    """An end as it is kept."""
    return msgspec.msgpack.encode(end)


def read_end(value: bytes | None, crc: int | None) -> StoredEnd:
    """What `write_end` wrote; an error in its place when it is damaged."""
    if value is not None and zlib.crc32(value) == crc:
        try:
            return _end.decode(value)
        except msgspec.MsgspecError:
            pass
    return StoredEnd(
        error="CheckpointError", problem="the answer in the store is damaged; it was paid for, and is lost"
    )


def write_request(request: Request) -> bytes:
    """A request as it is kept."""
    return _pack.encode(request)
