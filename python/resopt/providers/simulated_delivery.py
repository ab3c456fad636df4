"""How the simulated provider's replies travel: whole, as events, compressed, late, broken in the middle.

Each API says what a reply contains (`Reply`) and how it words an error (`Api`); nothing here knows their shapes.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from resopt.providers.simulated_app import SimulatedApp
    from resopt.providers.simulated_speech import Moment
    from resopt.providers.simulated_wishes import Wishes

_ERROR_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body></html>"
_GZIP = 31
"""zlib's name for the gzip format."""


class Event(NamedTuple):
    """One event of a stream: the tokens it brings, for pacing, and its bytes."""

    tokens: int
    data: bytes


class Reply(NamedTuple):
    """A complete answer in the shape of its API.

    Attributes:
        plain: the JSON object.
        events: the same as a stream, its last event being the one that ends it; empty where there are no streams.
        input_tokens: what it cost to read.
        output_tokens: what it cost to write.
    """

    plain: dict[str, Any]
    events: list[Event]
    input_tokens: int
    output_tokens: int


class Api(NamedTuple):
    """One API of the provider.

    Attributes:
        path: its address below `/v1`.
        read: the request of a body; raises ConfigurationError or msgspec.MsgspecError for a bad one.
        complete: the reply to it.
        error: an error body, of a status, a message and OpenAI's error code.
        error_event: an error in the middle of a stream, of its position.
        empty: a reply without an answer.
        request_id: the header that names the request.
    """

    path: str
    read: Callable[[bytes, str | None], Any]
    complete: Callable[[Any, Moment], Reply]
    error: Callable[[int, str, str | None], dict[str, Any]]
    error_event: Callable[[int], bytes]
    empty: dict[str, Any]
    request_id: str


_OPENAI_KINDS = {429: "requests", 500: "server_error", 502: "server_error", 503: "server_error", 504: "server_error"}


def openai_error(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    kind = _OPENAI_KINDS.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def event(value: Any, name: str | None = None, tokens: int = 0) -> Event:
    """An event whose data is this, as JSON."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return Event(tokens, head + b"data: " + msgspec.json.encode(value) + b"\n\n")


def json_response(value: Any, status: int = 200) -> Response:
    """Any plain data as a JSON reply."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def refusal(api: Api, status: int, message: str, code: str | None = None) -> Response:
    """An error of the API."""
    return json_response(api.error(status, message, code), status)


def gone() -> Response:
    """What is written for a client that left: nobody reads it; 499 is nginx's code for that."""
    return Response(status_code=499)


def broken(api: Api, wishes: Wishes, retry_after: float | None) -> Response | None:
    """The reply of a fault that needs no answer, or None."""
    fault = wishes.fault
    if fault == "html":
        return Response(_ERROR_PAGE, 200, media_type="text/html")
    if fault == "empty":
        return json_response(api.empty)
    if fault == "malformed":
        return Response(b'{"id": "chatcmpl-0", "object": "chat.comp', 200, media_type="application/json")
    if wishes.error_body:
        return json_response(api.error(500, "The server had an error while processing your request.", None))
    status = wishes.status or (int(fault) if fault in ("429", "500") else None)
    if status is None:
        return None
    limited = status == 429
    message = (
        "Rate limit reached for requests." if limited else "The server had an error while processing your request."
    )
    response = refusal(api, status, message, "rate_limit_exceeded" if limited else None)
    seconds = retry_after if wishes.retry_after is None and limited else wishes.retry_after
    if seconds is not None:
        response.headers["retry-after"] = f"{seconds:g}"
    return response


def whole(reply: Reply, wishes: Wishes, *, compressed: bool) -> Response:
    """The reply in one piece; `disconnect` promises all of it, sends half and closes the connection."""
    body = msgspec.json.encode(reply.plain)
    packer = zlib.compressobj(wbits=_GZIP)
    content = packer.compress(body) + packer.flush() if compressed else body
    response = (HalfReply if wishes.fault == "disconnect" else Response)(content, 200, media_type="application/json")
    if compressed:
        response.headers["content-encoding"] = "gzip"
    return response


class HalfReply(Response):
    """A reply whose connection closes after half of the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        # Returning before the last part makes the server close the connection.
        await send({"type": "http.response.body", "body": half, "more_body": True})


class EventStream(Response):
    """A reply as server-sent events, with whatever goes wrong on the way; the app counts it while it is open."""

    def __init__(
        self, app: SimulatedApp, api: Api, reply: Reply, wishes: Wishes, pace: float, *, compressed: bool
    ) -> None:
        super().__init__(status_code=200, headers={"cache-control": "no-cache"}, media_type="text/event-stream")
        del self.headers["content-length"]
        if compressed:
            self.headers["content-encoding"] = "gzip"
        self.app = app
        self.wishes = wishes
        self.pace = pace
        self._packer = zlib.compressobj(wbits=_GZIP) if compressed else None
        self._events, self._ends_well = _arrange(api, reply.events, wishes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Send it, and stop as soon as the client leaves."""
        async with anyio.create_task_group() as group:
            with self.app.stream_open(group.cancel_scope) as watch:
                group.start_soon(self._watch, receive, watch, group.cancel_scope)
                await self._send(send)
                watch.sent = True
                group.cancel_scope.cancel()

    async def _watch(self, receive: Receive, watch: OpenStream, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        watch.left = not watch.sent
        scope.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        stall_at = len(self._events) // 2 if self.wishes.stall_at is None else self.wishes.stall_at
        for position, (tokens, data) in enumerate(self._events):
            seconds = self.pace * tokens + self.wishes.pace + (self.wishes.stall if position == stall_at else 0.0)
            if seconds:
                await anyio.sleep(seconds)
            await send({"type": "http.response.body", "body": self._pack(data), "more_body": True})
        if self._ends_well:
            rest = self._packer.flush() if self._packer else b""
            await send({"type": "http.response.body", "body": rest, "more_body": False})

    def _pack(self, data: bytes) -> bytes:
        if self._packer is None:
            return data
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)


class OpenStream:
    """How a stream that is being sent is doing."""

    sent = False
    left = False


def _arrange(api: Api, events: list[Event], wishes: Wishes) -> tuple[list[Event], bool]:
    """The events that are really sent, and whether the body ends in good order behind them."""
    if wishes.fault == "disconnect":
        return events[: (len(events) - 1) // 2], False
    if wishes.die is not None:
        return events[: wishes.die], False
    if wishes.error_event is not None:
        return [*events[: wishes.error_event], Event(0, api.error_event(wishes.error_event))], True
    if wishes.cut is not None:
        return events[: wishes.cut], True
    return (events[:-1] if wishes.unended else events), True
