"""OpenAI's responses API: what is read of a reply, and how what was stored answers whoever asks, streaming or not.

The last event of a stream holds the whole reply, so nothing needs to be put together. A reply that is still in the
making (`queued`, `in_progress`: `background`) is no answer yet.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from resopt.providers.dialect import UnusableReplyError
from resopt.providers.failures import explanation
from resopt.providers.openai_reply import InputDetails, OutputDetails, usage_of
from resopt.providers.openai_responses_cut import cut
from resopt.types import COMPLETE, Response, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

_ENDED_BY = {"max_output_tokens": "length"}
_UNDONE = frozenset({"in_progress", "incomplete"})


class _Part(msgspec.Struct):
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    """Any item of the output; what its fields are depends on its type, and new types come with every release."""

    type: str
    status: Any = None
    content: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    input: Any = None


class _Usage(msgspec.Struct):
    input_tokens: int
    output_tokens: int = 0
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class _Why(msgspec.Struct):
    reason: str | None = None


class _Reply(msgspec.Struct):
    output: list[_Item]
    status: str | None = None
    incomplete_details: _Why | None = None
    model: str | None = None
    error: Any = None
    usage: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw()


class OpenAIResponses:
    """The wire format of `openai.responses`."""

    api = "openai.responses"

    def read(self, body: bytes, seconds: float) -> Response:
        """The answer in a response object.

        Raises:
            UnusableReplyError: it is no response object, or one that failed, was cancelled or is still in the making.
        """
        reply = _decode(body, _Reply, "a response object")
        if reply.error is not None or reply.status not in (None, "completed", "incomplete"):
            raise UnusableReplyError(f"no answer but {reply.status}: {explanation(body) or reply.error}")
        parts = [part for item in reply.output if item.type == "message" for part in _parts(item)]
        text = "".join(part.text or "" for part in parts)
        refusal = "".join(part.refusal or "" for part in parts)
        calls = tuple(_call(item) for item in reply.output if item.type in ("function_call", "custom_tool_call"))
        end = _end(reply, called=bool(calls))
        return Response(
            text=text or refusal,
            model=reply.model or "",
            usage=_usage(reply.usage),
            finish_reason="refusal" if refusal and end in COMPLETE else end,
            tool_calls=calls,
            body=body,
            created_at=time.time(),
            latency=seconds,
        )

    def assemble(self, events: Sequence[bytes]) -> bytes:
        """The response object in a stream's last event, byte for byte.

        Raises:
            UnusableReplyError: the stream broke off, or the answer failed.
        """
        for event in reversed(events):
            decoded = _decode(event, _Event, "an event")
            if decoded.type in ("error", "response.failed", "response.cancelled"):
                said = explanation(event) or explanation(bytes(decoded.response))
                raise UnusableReplyError(f"{decoded.type} in the stream: {said}")
            if decoded.type in ("response.completed", "response.incomplete") and bytes(decoded.response):
                return bytes(decoded.response)
        raise UnusableReplyError("the stream broke off: it has no response.completed")

    def whole(self, response: Response) -> bytes | None:
        """The response object: streams hold all of it."""
        return response.body or None

    def replay(self, response: Response, body: Mapping[str, Any]) -> Sequence[bytes] | None:  # noqa: ARG002 - a Dialect
        """The events as they came, or cut from the response object."""
        if response.events is not None:
            return response.events
        return cut(response.body) if response.body else None


def _decode(body: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnusableReplyError(f"not {what}: {explanation(body) or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableReplyError(f"not JSON: {error}") from None


def _parts(item: _Item) -> list[_Part]:
    try:
        return msgspec.convert(item.content or [], list[_Part])
    except msgspec.ValidationError as error:
        raise UnusableReplyError(f"not a message: {error}") from None


def _call(item: _Item) -> ToolCall:
    said = item.input if item.type == "custom_tool_call" else item.arguments
    if not (isinstance(item.name, str) and isinstance(said, str)):
        raise UnusableReplyError(f"not a {item.type}: it lacks its name or arguments")
    return ToolCall(id=item.call_id if isinstance(item.call_id, str) else "", name=item.name, arguments=said)


def _end(reply: _Reply, *, called: bool) -> str | None:
    """Why it ended, in the words of chat completions, which admission knows."""
    if reply.status == "incomplete":
        reason = reply.incomplete_details.reason if reply.incomplete_details is not None else None
        return _ENDED_BY.get(reason or "", reason or "incomplete")
    if any(item.status in _UNDONE for item in reply.output if isinstance(item.status, str)):
        return "incomplete"
    if reply.status is None:
        return None
    return "tool_calls" if called else "stop"


def _usage(usage: Any) -> Usage | None:
    try:
        read = msgspec.convert(usage, _Usage)
    except msgspec.ValidationError:  # absent, or not readable: unknown; the answer is paid for and stays good
        return None
    return usage_of(read.input_tokens, read.input_tokens_details, read.output_tokens, read.output_tokens_details)
