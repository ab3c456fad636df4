"""Anthropic's Message Batches: requests go in as one JSON body, results come out as JSON lines."""

from __future__ import annotations

import os
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from resopt.errors import ConfigurationError, InvalidRequestError
from resopt.providers.anthropic_reply import AnthropicMessages
from resopt.providers.batch_http import BatchClient, decoded
from resopt.providers.batches import BatchState, RemoteBatch, RowEnd, RowState
from resopt.providers.checks import require_seconds
from resopt.providers.dialect import UnusableReplyError
from resopt.providers.openai import _check_base_url, _encoder, _headers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import httpx2

    from resopt.types import Request

_PATH = "/v1/messages/batches"
_VERSION = "2023-06-01"
_PAGE = 100
_CLOCKS_DIFFER = 60.0
_OVERHEAD = 16
"""Bytes around the rows of a body."""

_AGAIN = ("overloaded_error", "api_error", "rate_limit_error", "timeout_error")


class AnthropicBatches:
    """Answers `anthropic.messages` requests within a day and at half the price, through Message Batches.

    Give it to `Deferred`.

    Args:
        base_url: address of the API without `/v1`.
        api_key: sent as `x-api-key`; by default the environment variable `ANTHROPIC_API_KEY`.
        headers: further headers of every request.
        timeout: seconds to wait for the next byte of a reply.
        client: an `httpx2.AsyncClient` of yours, which stays yours to close.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    api = "anthropic.messages"
    most_rows = 100_000
    most_bytes = 256 * 10**6 - _OVERHEAD

    def __init__(
        self,
        base_url: str = "https://api.anthropic.com",
        api_key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        require_seconds("timeout", timeout)
        if api_key is not None and not isinstance(api_key, str):
            raise ConfigurationError(f"api_key must be a str, not {type(api_key).__name__}")
        key = os.environ.get("ANTHROPIC_API_KEY", "") if api_key is None else api_key
        own = {"anthropic-version": _VERSION, **({"x-api-key": key.strip()} if key.strip() else {})}
        sent = _headers({**own, **(headers or {})}, "")
        base = _check_base_url(base_url)
        self._client = BatchClient("anthropic batches", base, sent, timeout=timeout, client=client)

    def encode(self, name: str, request: Request) -> bytes:
        """A row; see `Batches.encode`."""
        if request.api != self.api:
            raise InvalidRequestError(f"this API takes {self.api} requests, not {request.api}")
        if request.body.get("stream"):
            raise InvalidRequestError("`stream` makes no sense in a batch; leave it out")
        try:
            return _encoder.encode({"custom_id": name, "params": request.body})
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidRequestError(f"the body cannot be written as JSON: {error}") from None

    async def create(self, tag: str, rows: Sequence[bytes]) -> RemoteBatch:  # noqa: ARG002 - the rows' names carry it
        """Hand in rows; see `Batches.create`."""
        content = b'{"requests":[' + b",".join(rows) + b"]}"
        return _remote(decoded(await self._client.send("POST", _PATH, content=content, repeat=False), _Batch))

    async def find(self, tag: str, since: float, rows: int) -> tuple[RemoteBatch | None, bool]:
        """The batch whose rows are named by this tag; see `Batches.find`.

        A batch has no metadata, and the names of its rows can be read only when it has ended: one that runs and has as
        many rows may be it.
        """
        after, unsure = "", False
        while True:
            page = decoded(await self._client.send("GET", f"{_PATH}?limit={_PAGE}{after}"), _Page)
            for each in page.data:
                if _moment(each.created_at) < since - _CLOCKS_DIFFER:
                    return None, unsure
                batch = _remote(each)
                if batch.rows != rows:
                    continue
                if batch.state == "running":
                    unsure = True
                elif await self._named(batch, tag):
                    return batch, False
            if not page.has_more or not page.data:
                return None, unsure
            after = f"&after_id={page.data[-1].id}"

    async def _named(self, batch: RemoteBatch, tag: str) -> bool:
        """Whether the rows of a batch are named by the tag, as far as the first readable one says."""
        first = ""
        async with aclosing(self.results(batch)) as ends:
            async for end in ends:  # to the end: the HTTP client leaves a download that breaks off to the collector
                first = first or end.name
        return first.startswith(f"{tag}-")

    async def get(self, name: str) -> RemoteBatch:
        """A batch as it is now."""
        return _remote(decoded(await self._client.send("GET", f"{_PATH}/{name}"), _Batch))

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[RowEnd, None]:
        """What became of the rows."""
        async with aclosing(self._client.lines(f"{_PATH}/{batch.id}/results")) as lines:
            async for line in lines:
                if line.strip():
                    yield _row_end(line)

    async def cancel(self, name: str) -> RemoteBatch:
        """Stop working on a batch."""
        return _remote(decoded(await self._client.send("POST", f"{_PATH}/{name}/cancel"), _Batch))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Counts(msgspec.Struct):
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class _Batch(msgspec.Struct):
    id: str
    processing_status: str
    created_at: str = ""
    expires_at: str | None = None
    request_counts: _Counts = msgspec.field(default_factory=_Counts)


class _Page(msgspec.Struct):
    data: list[_Batch]
    has_more: bool = False


class _Fault(msgspec.Struct):
    type: str = ""
    message: str = ""


class _Error(msgspec.Struct):
    error: _Fault = msgspec.field(default_factory=_Fault)


class _Result(msgspec.Struct):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error = msgspec.field(default_factory=_Error)


class _Row(msgspec.Struct):
    custom_id: str
    result: _Result


def _remote(batch: _Batch) -> RemoteBatch:
    counts = batch.request_counts
    state: BatchState = "running"
    if batch.processing_status == "ended":  # every row has a line of its own, whatever became of it
        state = "completed"
    rows = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
    expires = None if batch.expires_at is None else _moment(batch.expires_at)
    return RemoteBatch(id=batch.id, state=state, rows=rows, expires=expires)


def _moment(date: str) -> float:
    try:
        return datetime.fromisoformat(date).timestamp()
    except ValueError:
        return 0.0


def _row_end(line: bytes) -> RowEnd:
    """What a line of the results says."""
    try:
        row = msgspec.json.decode(line, type=_Row)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return RowEnd("", "unreadable", problem=f"a line of the results is not as promised: {error}")
    result = row.result
    if result.type == "succeeded":
        try:
            return RowEnd(row.custom_id, "answered", _messages.read(bytes(result.message), 0.0), 200)
        except UnusableReplyError as error:
            return RowEnd(row.custom_id, "unreadable", problem=str(error))
    if result.type in ("expired", "canceled"):
        return RowEnd(row.custom_id, "undone", problem=f"the row is {result.type}")
    fault = result.error.error
    state: RowState = "again" if fault.type in _AGAIN else "refused"
    return RowEnd(row.custom_id, state, problem=fault.message or fault.type or "no reason given")


_messages = AnthropicMessages()
