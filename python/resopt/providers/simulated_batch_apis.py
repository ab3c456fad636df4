"""The two APIs of deferred work at the simulated provider: OpenAI's files and batches, Anthropic's message batches."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from resopt.providers import simulated_chat, simulated_messages
from resopt.providers.simulated_batches import MOST_BYTES, MOST_ROWS, Batch, Desk, Row, lines
from resopt.providers.simulated_delivery import json_response, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

_PAGE = 20
_MOST_ON_A_PAGE = 100


class _OpenAIRow(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _CreateBody(msgspec.Struct):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


class _AnthropicRow(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


class _AnthropicBody(msgspec.Struct):
    requests: list[_AnthropicRow]


def routes(desk: Desk, admits: Callable[[Request], bool]) -> list[Route]:
    """All routes of both APIs; `admits` says whether a request carries the key."""
    openai, anthropic = _OpenAI(desk), _Anthropic(desk)

    def guarded(api: Any, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            desk.count(request.url.path)
            if not admits(request):
                return refusal(api, 401, "Incorrect API key provided", "invalid_api_key")
            return await answer(request)

        return endpoint

    def route(api: Any, path: str, answer: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
        return Route(path, guarded(api, answer), methods=[method])

    chat, messages = simulated_chat.API, simulated_messages.API
    return [
        route(chat, "/v1/files", openai.upload, "POST"),
        route(chat, "/v1/files/{file}/content", openai.content),
        route(chat, "/v1/batches", openai.create, "POST"),
        route(chat, "/v1/batches", openai.list),
        route(chat, "/v1/batches/{batch}", openai.get),
        route(chat, "/v1/batches/{batch}/cancel", openai.cancel, "POST"),
        route(messages, "/v1/messages/batches", anthropic.create, "POST"),
        route(messages, "/v1/messages/batches", anthropic.list),
        route(messages, "/v1/messages/batches/{batch}", anthropic.get),
        route(messages, "/v1/messages/batches/{batch}/results", anthropic.results),
        route(messages, "/v1/messages/batches/{batch}/cancel", anthropic.cancel, "POST"),
    ]


class _OpenAI:
    """OpenAI's files and batches."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def upload(self, request: Request) -> Response:
        fields = _multipart(request.headers.get("content-type", ""), await request.body())
        if fields.get("purpose") != b"batch" or "file" not in fields:
            return refusal(simulated_chat.API, 400, "`purpose` must be `batch`, with a `file`")
        if len(fields["file"]) > MOST_BYTES["/chat/completions"]:
            return refusal(simulated_chat.API, 413, "the file is larger than 200 MB")
        name = self._desk.number("file-")
        self._desk.files[name] = ("batch", fields["file"])
        return json_response({"id": name, "object": "file", "bytes": len(fields["file"]), "purpose": "batch"})

    async def content(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name in self._desk.files:
            return Response(self._desk.files[name][1], media_type="application/jsonl")
        kind, _, batch_name = name.partition("_of_")
        batch = self._desk.batches.get(batch_name)
        if batch is None or kind not in ("output", "errors"):
            return refusal(simulated_chat.API, 404, f"No such File object: {name}")
        self._desk.look(batch)
        states = ("done",) if kind == "output" else ("failed", "expired")
        return Response(lines(batch, _openai_line, states), media_type="application/jsonl")

    async def create(self, request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await request.body(), type=_CreateBody)
            content = self._desk.files[asked.input_file_id][1]
        except (msgspec.MsgspecError, KeyError) as error:
            return refusal(simulated_chat.API, 400, f"The request is malformed: {error}")
        if asked.completion_window != "24h":
            return refusal(simulated_chat.API, 400, "`completion_window` must be `24h`")
        rows, errors = _openai_rows(content, asked.endpoint)
        batch = self._desk.open(
            simulated_chat.API, "batch_", [] if errors else rows, metadata=asked.metadata or {},
            input_file=asked.input_file_id, errors=errors,
        )  # fmt: skip
        return json_response(_openai_batch(batch))

    async def list(self, request: Request) -> Response:
        return _listed(self._desk, request, simulated_chat.API, _openai_batch)

    async def get(self, request: Request) -> Response:
        batch = self._desk.batches.get(request.path_params["batch"])
        if batch is None:
            return refusal(simulated_chat.API, 404, "No such batch")
        return json_response(_openai_batch(self._desk.look(batch)))

    async def cancel(self, request: Request) -> Response:
        batch = self._desk.batches.get(request.path_params["batch"])
        if batch is None:
            return refusal(simulated_chat.API, 404, "No such batch")
        return json_response(_openai_batch(self._desk.cancel(batch)))


class _Anthropic:
    """Anthropic's message batches."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create(self, request: Request) -> Response:
        body = await request.body()
        try:
            asked = msgspec.json.decode(body, type=_AnthropicBody)
        except msgspec.MsgspecError as error:
            return refusal(simulated_messages.API, 400, f"The request is malformed: {error}")
        names = [row.custom_id for row in asked.requests]
        if not names or len(set(names)) < len(names) or not all(re.fullmatch(r"[\w-]{1,64}", name) for name in names):
            return refusal(simulated_messages.API, 400, "requests: custom_id must be unique, of 1 to 64 letters")
        if len(names) > MOST_ROWS["/messages"] or len(body) > MOST_BYTES["/messages"]:
            return refusal(simulated_messages.API, 413, "the batch is too large")
        rows = [(row.custom_id, bytes(row.params)) for row in asked.requests]
        return json_response(_anthropic_batch(self._desk.open(simulated_messages.API, "msgbatch_", rows)))

    async def list(self, request: Request) -> Response:
        return _listed(self._desk, request, simulated_messages.API, _anthropic_batch)

    async def get(self, request: Request) -> Response:
        batch = self._desk.batches.get(request.path_params["batch"])
        if batch is None:
            return refusal(simulated_messages.API, 404, "No such batch")
        return json_response(_anthropic_batch(self._desk.look(batch)))

    async def results(self, request: Request) -> Response:
        batch = self._desk.batches.get(request.path_params["batch"])
        if batch is None or self._desk.look(batch).ended is None:
            return refusal(simulated_messages.API, 404, "No such batch, or it has not ended")
        states = ("done", "failed", "expired", "cancelled")
        return Response(lines(batch, _anthropic_line, states), media_type="application/x-jsonl")

    async def cancel(self, request: Request) -> Response:
        batch = self._desk.batches.get(request.path_params["batch"])
        if batch is None:
            return refusal(simulated_messages.API, 404, "No such batch")
        return json_response(_anthropic_batch(self._desk.cancel(batch)))


def _listed(desk: Desk, request: Request, api: Any, write: Callable[[Batch], dict[str, Any]]) -> Response:
    """A page of batches, the newest first."""
    mine = [batch for batch in reversed(desk.batches.values()) if batch.api is api]
    after = request.query_params.get("after") or request.query_params.get("after_id")
    if after:
        mine = mine[[batch.id for batch in mine].index(after) + 1 :]
    size = min(int(request.query_params.get("limit", _PAGE)), _MOST_ON_A_PAGE)
    page = [write(desk.look(batch)) for batch in mine[:size]]
    last = page[-1]["id"] if page else None
    return json_response({"object": "list", "data": page, "has_more": len(mine) > size, "last_id": last})


def _openai_rows(content: bytes, endpoint: str) -> tuple[list[tuple[str, bytes]], list[str]]:
    """The rows of an input file, and what is wrong with it."""
    rows: list[tuple[str, bytes]] = []
    errors: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(filter(None, content.split(b"\n")), 1):
        try:
            row = msgspec.json.decode(line, type=_OpenAIRow)
        except msgspec.MsgspecError as error:
            errors.append(f"line {number}: {error}")
            continue
        if row.custom_id in seen:
            errors.append(f"line {number}: duplicate custom_id {row.custom_id}")
        if row.method != "POST" or row.url != endpoint or endpoint != "/v1/chat/completions":
            errors.append(f"line {number}: invalid method or url")
        seen.add(row.custom_id)
        rows.append((row.custom_id, bytes(row.body)))
    if not rows:
        errors.append("the file is empty")
    if len(rows) > MOST_ROWS["/chat/completions"]:
        errors.append("too many rows")
    return rows, errors


def _openai_batch(batch: Batch) -> dict[str, Any]:
    counts = batch.counts()
    status = "in_progress"
    if batch.errors:
        status = "failed"
    elif batch.ended is not None:
        status = "expired" if counts["expired"] else "cancelled" if batch.cancelled is not None else "completed"
    elif batch.cancelled is not None:
        status = "cancelling"
    over = batch.ended is not None
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "status": status,
        "errors": {"object": "list", "data": [{"message": text} for text in batch.errors]} if batch.errors else None,
        "input_file_id": batch.input_file,
        "output_file_id": f"output_of_{batch.id}" if over and counts["done"] else None,
        "error_file_id": f"errors_of_{batch.id}" if over and counts["failed"] + counts["expired"] else None,
        "completion_window": "24h",
        "created_at": int(batch.created),
        "expires_at": int(batch.expires),
        "request_counts": {"total": len(batch.rows), "completed": counts["done"], "failed": counts["failed"]},
        "metadata": batch.metadata,
    }


def _openai_line(row: Row) -> dict[str, Any]:
    head = {"id": f"batch_req_{row.custom_id}", "custom_id": row.custom_id}
    if row.state == "expired":
        message = "This request could not be executed before the completion window expired."
        return {**head, "response": None, "error": {"code": "batch_expired", "message": message}}
    response = {"status_code": row.status, "request_id": f"req_{row.custom_id}", "body": row.reply}
    return {**head, "response": response, "error": None}


def _anthropic_batch(batch: Batch) -> dict[str, Any]:
    counts = batch.counts()
    over = batch.ended is not None
    status = "ended" if over else "in_progress" if batch.cancelled is None else "canceling"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {
            # All rows count as being processed until the whole batch has ended.
            "processing": 0 if over else len(batch.rows),
            "succeeded": counts["done"] if over else 0,
            "errored": counts["failed"] if over else 0,
            "canceled": counts["cancelled"] if over else 0,
            "expired": counts["expired"] if over else 0,
        },
        "created_at": _date(batch.created),
        "expires_at": _date(batch.expires),
        "ended_at": None if batch.ended is None else _date(batch.ended),
        "results_url": None if batch.ended is None else f"/v1/messages/batches/{batch.id}/results",
    }


def _anthropic_line(row: Row) -> dict[str, Any]:
    result: dict[str, Any] = {"type": {"expired": "expired", "cancelled": "canceled"}.get(row.state, "errored")}
    if row.state == "done":
        result = {"type": "succeeded", "message": row.reply}
    elif row.state == "failed":
        result["error"] = row.reply
    return {"custom_id": row.custom_id, "result": result}


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _multipart(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form, by name."""
    found = re.search(r'boundary="?([^";]+)', content_type)
    fields: dict[str, bytes] = {}
    for part in body.split(b"--" + found[1].encode())[1:-1] if found else ():
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if name:
            fields[name[1].decode()] = content.removesuffix(b"\r\n")
    return fields
