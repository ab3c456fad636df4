"""The schema of OpenAI's chat completions: what is read of a reply, and how it becomes a `Response`.

Only what the pipeline needs is typed; everything else passes through in `Response.body`. Absent and null are the same,
because compatible servers differ in which of the two they send.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from resopt.providers.failures import explanation
from resopt.types import Response, ToolCall, Usage


class UnusableReplyError(Exception):
    """A body that is no chat completion; the text says why."""


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""
    input: str = ""


class _ToolCall(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    error: Any = None
    usage: _Usage | None = None


class _CompletionWithoutUsage(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    error: Any = None
    usage: Any = None


_decoder = msgspec.json.Decoder(_Completion)
_lenient_decoder = msgspec.json.Decoder(_CompletionWithoutUsage)


def to_response(body: bytes, seconds: float) -> Response:
    """The answer in a reply's body.

    Args:
        body: the reply, byte for byte.
        seconds: how long the upstream call took.

    Raises:
        UnusableReplyError: it is no chat completion, or one without an answer.
    """
    completion = _decode(body)
    if completion.error is not None:
        raise UnusableReplyError(f"an error in place of an answer: {explanation(body) or completion.error}")
    if not completion.choices:
        raise UnusableReplyError("no choices")
    choice = completion.choices[0]
    message = choice.message
    text = message.content if isinstance(message.content, str) else _join(message.content)
    finish_reason = choice.finish_reason
    if message.refusal and not text:
        text, finish_reason = message.refusal, "refusal"
    return Response(
        text=text,
        model=completion.model or "",
        usage=_usage(completion.usage) if isinstance(completion, _Completion) else None,
        finish_reason=finish_reason,
        tool_calls=_tool_calls(message) if message.tool_calls or message.function_call else (),
        body=body,
        created_at=time.time(),
        latency=seconds,
    )


def _decode(body: bytes) -> _Completion | _CompletionWithoutUsage:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        # A usage we cannot read makes the usage unknown; the answer is paid for and stays good.
        if "`$.usage" in str(error):
            return _decode_without_usage(body)
        raise UnusableReplyError(f"not a chat completion: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableReplyError(f"not JSON: {error}") from None


def _decode_without_usage(body: bytes) -> _CompletionWithoutUsage:
    try:
        return _lenient_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnusableReplyError(f"not a chat completion: {error}") from None


def _join(parts: list[_Part] | None) -> str:
    """Text of a content that is a list of parts (Mistral); parts without text, such as images, count as nothing."""
    return "".join(part.text or "" for part in parts or ())


def _tool_calls(message: _Message) -> tuple[ToolCall, ...]:
    calls = []
    for call in message.tool_calls or ():
        function = call.function or call.custom or _Function()
        calls.append(ToolCall(id=call.id or "", name=function.name, arguments=function.arguments or function.input))
    if message.function_call is not None and not calls:
        # The shape that came before tools; some servers still use it.
        calls.append(ToolCall(id="", name=message.function_call.name, arguments=message.function_call.arguments))
    return tuple(calls)


def _usage(usage: _Usage | None) -> Usage | None:
    """The tokens billed; None when the provider did not say, or said what cannot be (a part above its total)."""
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details is not None else 0
    written = (details.cache_write_tokens or 0) if details is not None else 0
    outputs = usage.completion_tokens_details
    reasoning = (outputs.reasoning_tokens or 0) if outputs is not None else 0
    if min(cached, written, reasoning, usage.completion_tokens) < 0 or cached + written > usage.prompt_tokens:
        return None
    return Usage(
        input_tokens=usage.prompt_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=usage.completion_tokens,
        reasoning_tokens=reasoning,
    )
