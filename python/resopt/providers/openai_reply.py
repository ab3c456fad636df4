"""The schema of OpenAI's chat completions: what is read of a reply, and how it becomes a `Response`.

Only what the pipeline needs is typed; everything else passes through in `Response.body`. Absent and null are the same,
because compatible servers differ in which of the two they send.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from resopt.providers.dialect import UnusableReplyError
from resopt.providers.failures import explanation
from resopt.types import COMPLETE, Response, ToolCall, Usage


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


class InputDetails(msgspec.Struct):
    """What of the input came from, or went to, the provider's prefix cache."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    """What of the output nobody sees."""

    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None


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
    first, *others = completion.choices
    message = first.message
    ends = [_end(first), *(_end(other) if _says_something(other.message) else "empty" for other in others)]
    return Response(
        text=_text(message) or message.refusal or "",
        model=completion.model or "",
        usage=_usage(completion.usage) if isinstance(completion, _Completion) else None,
        finish_reason=next((end for end in ends if end not in COMPLETE), ends[0]),
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


def _text(message: _Message) -> str:
    """The text, also of a list of parts (Mistral); parts without text, such as images, count as nothing."""
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text or "" for part in message.content or ())


def _says_something(message: _Message) -> bool:
    return bool(_text(message).strip() or message.refusal or message.tool_calls or message.function_call)


def _end(choice: _Choice) -> str | None:
    """How a choice ended; of several, the worst one speaks for the reply."""
    refused = choice.message.refusal and not _text(choice.message) and choice.finish_reason in COMPLETE
    return "refusal" if refused else choice.finish_reason


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
    if usage is None:
        return None
    return usage_of(
        usage.prompt_tokens, usage.prompt_tokens_details, usage.completion_tokens, usage.completion_tokens_details
    )


def usage_of(
    input_tokens: int, inputs: InputDetails | None, output_tokens: int, outputs: OutputDetails | None
) -> Usage | None:
    """The tokens billed; None when the provider said what cannot be (a part above its total)."""
    cached = (inputs.cached_tokens or 0) if inputs is not None else 0
    written = (inputs.cache_write_tokens or 0) if inputs is not None else 0
    reasoning = (outputs.reasoning_tokens or 0) if outputs is not None else 0
    if min(cached, written, reasoning, output_tokens) < 0 or cached + written > input_tokens:
        return None
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning,
    )
