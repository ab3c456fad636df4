"""The replies of the simulated provider, byte by byte: completions, streams, refusals and broken ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from starlette.responses import Response

from resopt.errors import ConfigurationError
from resopt.providers.simulated_answers import answer, count_prompt_tokens, count_tokens, cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from resopt.providers.simulated_answers import Fault, SimulatedModel

_ERROR_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body></html>"


class StreamOptions(msgspec.Struct):
    """`stream_options` of a chat request."""

    include_usage: bool = False


_MOST_CHOICES = 128
"""OpenAI's limit."""


class ChatBody(msgspec.Struct):
    """What the simulator reads of a chat request; everything else is accepted and has no effect."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None


class Choice(msgspec.Struct):
    """One answer of a completion."""

    text: str
    finish_reason: str
    tool_calls: list[dict[str, Any]] | None


class Completion(msgspec.Struct):
    """A complete answer, before it is written as JSON or as a stream."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    input_tokens: int
    output_tokens: int

    @property
    def usage(self) -> dict[str, Any]:
        """The usage object of the reply."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }


def check(chat: ChatBody) -> None:
    """Refuse what OpenAI refuses, beyond wrong types.

    Raises:
        ConfigurationError: says what is wrong.
    """
    if not chat.messages:
        raise ConfigurationError("`messages` must not be empty")
    for position, message in enumerate(chat.messages):
        if not isinstance(message.get("role"), str):
            raise ConfigurationError(f"`messages[{position}].role` must be a str")
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = getattr(chat, name)
        if value is not None and value < 1:
            raise ConfigurationError(f"`{name}` must be at least 1")
    if chat.n is not None and chat.n > _MOST_CHOICES:  # or one request would keep the server busy for ever
        raise ConfigurationError(f"`n` must be at most {_MOST_CHOICES}")


def complete(
    seed: int, chat: ChatBody, model: SimulatedModel, fault: Fault | None, *, number: int, now: int
) -> Completion:
    """The answer to a chat request."""
    choices = [_choose(seed, chat, model, fault, position) for position in range(chat.n or 1)]
    return Completion(
        id=f"chatcmpl-{seed:x}-{number:x}",
        created=now,
        model=model.name,
        choices=choices,
        input_tokens=count_prompt_tokens(chat.messages),
        output_tokens=sum(
            count_tokens(choice.text) + sum(count_tokens(str(call)) for call in choice.tool_calls or ())
            for choice in choices
        ),
    )


def _choose(seed: int, chat: ChatBody, model: SimulatedModel, fault: Fault | None, position: int) -> Choice:
    if chat.tools and (chat.tool_choice == "required" or isinstance(chat.tool_choice, dict)):
        name = chat.tools[0].get("function", {}).get("name", "")
        call = {"id": f"call_{position}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        return Choice("", "tool_calls", [call])
    text = answer(seed, model.name, chat.messages, position)
    if fault == "filter":
        return Choice("", "content_filter", None)
    limit = chat.max_completion_tokens or chat.max_tokens
    if fault == "truncate":
        limit = max(1, count_tokens(text) // 2)
    if limit is not None and count_tokens(text) > limit:
        return Choice(cut(text, limit), "length", None)
    return Choice(text, "stop", None)


def json_response(value: Any, status: int = 200) -> Response:
    """Any plain data as a JSON reply."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def json_reply(completion: Completion, *, halved: bool = False) -> Response:
    """The completion in one piece; `halved` promises all of it, sends half and closes the connection."""
    choices = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": None if choice.tool_calls else choice.text,
                **({"tool_calls": choice.tool_calls} if choice.tool_calls else {}),
            },
            "finish_reason": choice.finish_reason,
        }
        for index, choice in enumerate(completion.choices)
    ]
    body = msgspec.json.encode(
        {
            "id": completion.id,
            "object": "chat.completion",
            "created": completion.created,
            "model": completion.model,
            "choices": choices,
            "usage": completion.usage,
        }
    )
    return (HalfReply if halved else Response)(body, 200, media_type="application/json")


def refusal(status: int, message: str, kind: str, code: str | None = None) -> Response:
    """An error in OpenAI's shape."""
    return json_response({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)


def gone() -> Response:
    """What is written for a client that left: nobody reads it; 499 is nginx's code for that."""
    return Response(status_code=499)


def broken(fault: Fault | None, retry_after: float | None) -> Response:
    """The reply of a fault that needs no completion."""
    if fault == "429":
        response = refusal(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded")
        if retry_after is not None:
            response.headers["retry-after"] = f"{retry_after:g}"
        return response
    if fault == "500":
        return refusal(500, "The server had an error while processing your request.", "server_error")
    if fault == "html":
        return Response(_ERROR_PAGE, 200, media_type="text/html")
    if fault == "empty":
        return json_response({"id": "chatcmpl-0", "object": "chat.completion", "choices": []})
    return Response(b'{"id": "chatcmpl-0", "object": "chat.comp', 200, media_type="application/json")


class HalfReply(Response):
    """A reply whose connection closes after half of the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        # Returning before the last part makes the server close the connection.
        await send({"type": "http.response.body", "body": half, "more_body": True})


class EventStream(Response):
    """The completion as server-sent events: role, one event per word, finish reason, usage when asked, `[DONE]`."""

    def __init__(self, completion: Completion, chat: ChatBody, fault: Fault | None, pace: float) -> None:
        super().__init__(status_code=200, headers={"cache-control": "no-cache"}, media_type="text/event-stream")
        del self.headers["content-length"]
        self.completion = completion
        self.include_usage = chat.stream_options is not None and chat.stream_options.include_usage
        self.fault = fault
        self.pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        events = list(self._events())
        if self.fault == "disconnect":
            events = events[: len(events) // 2]
        for tokens, event in events:
            if self.pace and tokens:
                await anyio.sleep(self.pace * tokens)
            await send({"type": "http.response.body", "body": b"data: " + event + b"\n\n", "more_body": True})
        if self.fault != "disconnect":
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    def _events(self) -> Iterator[tuple[int, bytes]]:
        """Each event with the tokens it brings, for pacing."""
        for index, choice in enumerate(self.completion.choices):
            yield 0, self._chunk(index, {"role": "assistant", "content": ""})
            if choice.tool_calls:
                calls = [{"index": number, **call} for number, call in enumerate(choice.tool_calls)]
                yield 0, self._chunk(index, {"tool_calls": calls})
            words = choice.text.split(" ")
            for position, word in enumerate(words if choice.text else ()):
                piece = word if position == 0 else " " + word
                yield count_tokens(piece), self._chunk(index, {"content": piece})
            yield 0, self._chunk(index, {}, choice.finish_reason)
        if self.include_usage:
            yield 0, self._event([], self.completion.usage)

    def _chunk(self, index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        return self._event([{"index": index, "delta": delta, "finish_reason": finish_reason}], None)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        event = {
            "id": self.completion.id,
            "object": "chat.completion.chunk",
            "created": self.completion.created,
            "model": self.completion.model,
            "choices": choices,
        }
        if self.include_usage:
            event["usage"] = usage
        return msgspec.json.encode(event)
