"""The schema of Anthropic's messages: what is read of a reply, and how it becomes a `Response`.

Only what the pipeline needs is typed; everything else passes through in `Response.body`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.providers.anthropic_stream import assemble, cut
from resopt.providers.dialect import UnusableReplyError
from resopt.providers.failures import explanation
from resopt.types import Response, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct):
    type: str = "message"
    content: list[_Block] | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


_decoder = msgspec.json.Decoder(_Message)
_usage_decoder = msgspec.json.Decoder(_Usage | None)


class AnthropicMessages:
    """Anthropic's `/v1/messages`; see `Dialect`."""

    __slots__ = ()

    api = "anthropic.messages"

    def read(self, body: bytes, seconds: float) -> Response:
        """The answer in a whole message; what the API's own tools did is no call for the caller to make.

        Args:
            body: the reply's JSON, byte for byte.
            seconds: how long the upstream call took.

        Raises:
            UnusableReplyError: it is no message, or holds an error in place of one.
        """
        message = _decode(body)
        if message.type == "error" or message.error is not None:
            raise UnusableReplyError(f"an error in place of an answer: {explanation(body) or message.error}")
        if message.type != "message" or message.content is None:
            raise UnusableReplyError("no message with content")
        return Response(
            text="".join(block.text or "" for block in message.content if block.type == "text"),
            model=message.model or "",
            usage=_usage(message.usage),
            finish_reason=message.stop_reason,
            tool_calls=tuple(
                ToolCall(id=block.id or "", name=block.name or "", arguments=bytes(block.input).decode())
                for block in message.content
                if block.type == "tool_use"
            ),
            body=body,
            created_at=time.time(),
            latency=seconds,
        )

    def assemble(self, events: Sequence[bytes]) -> bytes:
        """The whole message that a stream's events add up to.

        Args:
            events: all events in order, one JSON object each.

        Raises:
            UnusableReplyError: the stream did not end cleanly, or is not of this API.
        """
        return assemble(events)

    def whole(self, response: Response) -> bytes | None:
        """The stored message: a stream says all that a whole one does."""
        return response.body or None

    def replay(self, response: Response, body: Mapping[str, Any]) -> Sequence[bytes] | None:  # noqa: ARG002
        """The stored message as events: as they came, or cut from the whole one.

        Args:
            response: the stored answer.
            body: the caller's request body; nothing in it changes what is in the stream.

        Returns:
            The events in order; None when what was stored is no whole message.
        """
        if response.events is not None:
            return response.events
        try:
            return cut(response.body)
        except UnusableReplyError:
            return None


def _decode(body: bytes) -> _Message:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnusableReplyError(f"not a message: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableReplyError(f"not JSON: {error}") from None


def _usage(raw: msgspec.Raw) -> Usage | None:
    """The tokens billed; None when the API did not say, or said what cannot be: the answer is paid for and stays good.

    The API counts apart what `Usage.input_tokens` has in one: fresh input, cache reads and cache writes. Which writes
    are kept for an hour, and so cost more (`cache_creation`), has no place in `Usage`.
    """
    try:
        usage = _usage_decoder.decode(raw)
    except msgspec.DecodeError:
        return None
    if usage is None:
        return None
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details
    reasoning = (details.thinking_tokens or 0) if details is not None else 0
    if min(usage.input_tokens, read, written, reasoning, usage.output_tokens) < 0:
        return None
    return Usage(
        input_tokens=usage.input_tokens + read + written,
        cached_input_tokens=read,
        cache_write_tokens=written,
        output_tokens=usage.output_tokens,
        reasoning_tokens=reasoning,
    )
