"""OpenAI's Batch API: a file of requests goes in, a file of answers and one of errors come out."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from resopt.errors import InvalidRequestError
from resopt.providers.batch_http import BatchClient, decoded
from resopt.providers.batches import BatchState, RemoteBatch, RowEnd, RowState
from resopt.providers.checks import require_seconds
from resopt.providers.dialect import UnusableReplyError
from resopt.providers.openai import _check_base_url, _headers, _query, encode_body
from resopt.providers.openai_reply import to_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import httpx2

    from resopt.types import Request

_ENDPOINT = "/v1/chat/completions"
_STATES: dict[str, BatchState] = {
    "completed": "completed",
    "expired": "expired",
    "cancelled": "cancelled",
    "failed": "failed",
}
_UNDONE = ("batch_expired", "batch_cancelled")
_PAGE = 100
_CLOCKS_DIFFER = 60.0
"""Seconds by which the provider's clock may be behind ours."""


class OpenAIBatches:
    """Answers `openai.chat` requests within a day and at half the price, through OpenAI's Batch API.

    Give it to `Deferred`. Works with Azure and others that speak the same shape.

    Args:
        base_url: address of the API, to which `/files` and `/batches` are added.
        api_key: sent as `Authorization: Bearer …`; by default the environment variable `OPENAI_API_KEY`.
        headers: further headers of every request.
        query: parameters of every address.
        timeout: seconds to wait for the next byte of a reply.
        client: an `httpx2.AsyncClient` of yours, which stays yours to close.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    api = "openai.chat"
    most_rows = 50_000
    most_bytes = 200 * 10**6

    def __init__(
        self,
        base_url: str = "https://api.openai.com/v1",
        api_key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        require_seconds("timeout", timeout)
        base = _check_base_url(base_url)
        sent = _headers(headers, api_key)
        self._client = BatchClient("openai batches", base, sent, query=_query(query), timeout=timeout, client=client)

    def encode(self, name: str, request: Request) -> bytes:
        """A line of the input file; see `Batches.encode`."""
        body = encode_body(request)
        if not isinstance(request.body.get("model"), str):
            raise InvalidRequestError("a row of a batch must name its model")
        row = {"custom_id": name, "method": "POST", "url": _ENDPOINT, "body": msgspec.Raw(body)}
        return msgspec.json.encode(row)

    async def create(self, tag: str, rows: Sequence[bytes]) -> RemoteBatch:
        """Upload a file and make a batch of it; see `Batches.create`."""
        boundary = uuid4().hex
        content = _form(boundary, f"{tag}.jsonl", b"\n".join(rows) + b"\n")
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        # A second copy of a file costs nothing: only batches are billed.
        uploaded = decoded(await self._client.send("POST", "/files", content=content, headers=kind), _File)
        asked = {
            "input_file_id": uploaded.id,
            "endpoint": _ENDPOINT,
            "completion_window": "24h",
            "metadata": {"resopt": tag},
        }
        made = await self._client.send("POST", "/batches", content=msgspec.json.encode(asked), repeat=False)
        return _remote(decoded(made, _Batch))

    async def find(self, tag: str, since: float, rows: int) -> tuple[RemoteBatch | None, bool]:  # noqa: ARG002
        """The batch with this tag in its metadata; see `Batches.find`."""
        after = ""
        while True:
            page = decoded(await self._client.send("GET", f"/batches?limit={_PAGE}{after}"), _Page)
            for batch in page.data:
                if (batch.metadata or {}).get("resopt") == tag:
                    return _remote(batch), False
                if batch.created_at < since - _CLOCKS_DIFFER:
                    return None, False
            if not page.has_more or not page.data:
                return None, False
            after = f"&after={page.data[-1].id}"

    async def get(self, name: str) -> RemoteBatch:
        """A batch as it is now."""
        return _remote(decoded(await self._client.send("GET", f"/batches/{name}"), _Batch))

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[RowEnd, None]:
        """What became of the rows: the file of answers, then the file of errors."""
        for file in batch.files:
            async with aclosing(self._client.lines(f"/files/{file}/content")) as lines:
                async for line in lines:
                    if line.strip():
                        yield _row_end(line)

    async def cancel(self, name: str) -> RemoteBatch:
        """Stop working on a batch."""
        return _remote(decoded(await self._client.send("POST", f"/batches/{name}/cancel"), _Batch))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _File(msgspec.Struct):
    id: str


class _Counts(msgspec.Struct):
    total: int = 0


class _Batch(msgspec.Struct):
    id: str
    status: str
    created_at: float = 0.0
    expires_at: float | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, Any] | None = None
    errors: Any = None


class _Page(msgspec.Struct):
    data: list[_Batch]
    has_more: bool = False


class _RowReply(msgspec.Struct):
    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"null")


class _RowError(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Row(msgspec.Struct):
    custom_id: str
    response: _RowReply | None = None
    error: _RowError | None = None


def _remote(batch: _Batch) -> RemoteBatch:
    problem = ""
    if batch.status == "failed":
        found = batch.errors.get("data") if isinstance(batch.errors, dict) else None
        texts = [str(each.get("message")) for each in found or () if isinstance(each, dict)]
        problem = "; ".join(texts[:3]) or "the provider did not say why"
    return RemoteBatch(
        id=batch.id,
        state=_STATES.get(batch.status, "running"),
        rows=0 if batch.request_counts is None else batch.request_counts.total,
        expires=batch.expires_at,
        problem=problem,
        files=tuple(file for file in (batch.output_file_id, batch.error_file_id) if file),
    )


def _row_end(line: bytes) -> RowEnd:
    """What a line of a results file says."""
    try:
        row = msgspec.json.decode(line, type=_Row)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return RowEnd("", "unreadable", problem=f"a line of the results is not as promised: {error}")
    if row.error is not None and row.response is None:
        text = row.error.message or row.error.code or "no reason given"
        return RowEnd(row.custom_id, "undone" if row.error.code in _UNDONE else "again", problem=text)
    reply = row.response
    if reply is None:
        return RowEnd(row.custom_id, "unreadable", problem="the row has neither an answer nor an error")
    return read_row(row.custom_id, reply.status_code, bytes(reply.body))


def read_row(name: str, status: int, body: bytes) -> RowEnd:
    """A row with a reply of its own."""
    from resopt.providers.failures import explanation

    if status < 300:
        try:
            return RowEnd(name, "answered", to_response(body, 0.0), status)
        except UnusableReplyError as error:
            return RowEnd(name, "unreadable", status=status, problem=str(error))
    state: RowState = "again" if status in (408, 409, 429) or status >= 500 else "refused"
    return RowEnd(name, state, status=status, problem=explanation(body) or f"status {status}")


def _form(boundary: str, name: str, content: bytes) -> bytes:
    """A form with the purpose and the file, as browsers send it."""
    mark = f"--{boundary}\r\n".encode()
    purpose = b'content-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    head = f'content-disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
    return b"".join(
        (mark, purpose, mark, head, b"content-type: application/jsonl\r\n\r\n", content, b"\r\n", mark[:-2], b"--\r\n")
    )
