"""The simulated provider's `POST /v1/chat/completions`: OpenAI's chat shape, whole and as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.simulated_answers import count_tokens
from resopt.providers.simulated_delivery import Api, Event, Reply, event, openai_error
from resopt.providers.simulated_speech import Answer, Moment, Prompt, Tool, ToolCall, compose, logprobs, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_CHOICES = 128
"""OpenAI's limit."""


class StreamOptions(msgspec.Struct):
    """`stream_options` of a chat request."""

    include_usage: bool = False


class ChatBody(msgspec.Struct):
    """What the simulator reads of a chat request; everything else is accepted and has no effect."""

    messages: list[dict[str, Any]]
    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: Any = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    service_tier: str | None = None

    @property
    def prompt(self) -> Prompt:
        """The request in the simulator's own terms."""
        named = self.tool_choice or self.function_call or "auto"
        if isinstance(named, dict):
            named = "=" + str(named.get("function", named).get("name", ""))
        tools = [one.get("function") or {} for one in self.tools or ()] or self.functions or ()
        return Prompt(
            messages=self.messages,
            tools=[Tool(str(one.get("name", "")), one.get("parameters")) for one in tools],
            choice=str(named),
            parallel=self.parallel_tool_calls is not False and not self.functions,
            schema=_schema(self.response_format or {}),
            limit=self.max_completion_tokens or self.max_tokens,
            stops=[self.stop] if isinstance(self.stop, str) else self.stop or [],
        )


def _schema(wanted: dict[str, Any]) -> Any:
    if wanted.get("type") == "json_schema":
        return (wanted.get("json_schema") or {}).get("schema") or {}
    if wanted.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}, "score": {"type": "integer"}}}
    return None


def read(body: bytes, deployment: str | None) -> ChatBody:
    """The request of a body; refuses what OpenAI refuses.

    Raises:
        ConfigurationError: says what is wrong.
    """
    chat = msgspec.json.decode(body, type=ChatBody)
    chat.model = deployment or chat.model
    if not chat.model:
        raise ConfigurationError("you must provide a `model`")
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
    return chat


def complete(chat: ChatBody, moment: Moment) -> Reply:
    """The reply to a chat request."""
    prompt = chat.prompt
    answers = [compose(prompt, moment, position) for position in range(chat.n or 1)]
    input_tokens, output_tokens = prompt.tokens, sum(answer.tokens for answer in answers)
    cached = moment.wishes.cached
    if cached is None:
        cached = moment.memory.cached_tokens(moment.model.name, prompt)
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": min(cached, input_tokens)},
        "completion_tokens_details": {"reasoning_tokens": sum(answer.reasoning_tokens for answer in answers)},
    }
    head = {
        "id": moment.identify("chatcmpl-"),
        "object": "chat.completion",
        "created": moment.now,
        "model": moment.model.name,
        "service_tier": chat.service_tier or "default",
    }
    choices = [_choice(chat, answer, index) for index, answer in enumerate(answers)]
    events = _events(chat, head, answers, usage) if chat.stream else []
    return Reply({**head, "choices": choices, "usage": usage}, events, input_tokens, output_tokens)


def _finish(chat: ChatBody, answer: Answer) -> str:
    calls = "function_call" if chat.functions and not chat.tools else "tool_calls"
    return {"length": "length", "filter": "content_filter", "tools": calls}.get(answer.ending, "stop")


def _choice(chat: ChatBody, answer: Answer, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": _content(answer), "refusal": answer.refusal}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    if answer.calls and chat.functions and not chat.tools:
        message["function_call"] = _function(answer.calls[0])
    elif answer.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": _function(call)} for call in answer.calls
        ]
    probable = {"content": _logprobs(chat, answer.text), "refusal": _logprobs(chat, answer.refusal or "")}
    return {
        "index": index,
        "message": message,
        "logprobs": probable if chat.logprobs else None,
        "finish_reason": _finish(chat, answer),
    }


def _content(answer: Answer) -> str | None:
    """The text, or None beside what stands for it."""
    return None if (answer.calls or answer.refusal) and not answer.text else answer.text


def _function(call: ToolCall) -> dict[str, str]:
    return {"name": call.name, "arguments": call.arguments}


def _logprobs(chat: ChatBody, text: str) -> list[dict[str, Any]] | None:
    return logprobs(text, chat.top_logprobs or 0) if chat.logprobs and text else None


def _events(chat: ChatBody, head: dict[str, Any], answers: list[Answer], usage: dict[str, Any]) -> list[Event]:
    """Role, one event per piece, finish reason, usage when asked, `[DONE]`."""
    head = {**head, "object": "chat.completion.chunk"}
    counted = chat.stream_options is not None and chat.stream_options.include_usage
    tail = {"usage": None} if counted else {}
    events = []
    for index, answer in enumerate(answers):
        for tokens, delta, probable in _deltas(chat, answer):
            choice = {"index": index, "delta": delta, "logprobs": probable, "finish_reason": None}
            events.append(event({**head, "choices": [choice], **tail}, tokens=tokens))
        end = {"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish(chat, answer)}
        events.append(event({**head, "choices": [end], **tail}))
    if counted:
        events.append(event({**head, "choices": [], "usage": usage}))
    return [*events, Event(0, b"data: [DONE]\n\n")]


def _deltas(chat: ChatBody, answer: Answer) -> Iterator[tuple[int, dict[str, Any], dict[str, Any] | None]]:
    """Each delta with its tokens and its log probabilities."""
    yield 0, {"role": "assistant", "content": "" if _content(answer) is not None else None}, None
    for piece in pieces(answer.reasoning or ""):
        yield count_tokens(piece), {"reasoning_content": piece}, None
    for name, text in (("content", answer.text), ("refusal", answer.refusal or "")):
        entries = _logprobs(chat, text) or []
        for position, piece in enumerate(pieces(text)):
            probable = {"content": None, "refusal": None, name: entries[position : position + 1]} if entries else None
            yield count_tokens(piece), {name: piece}, probable
    for index, call in enumerate(answer.calls):
        legacy = chat.functions and not chat.tools
        for position, piece in enumerate(("", *pieces(call.arguments))):
            function = {"arguments": piece} if position else {"name": call.name, "arguments": ""}
            if legacy:
                yield count_tokens(piece), {"function_call": function}, None
            else:
                opening = {} if position else {"id": call.id, "type": "function"}
                delta = {"tool_calls": [{"index": index, **opening, "function": function}]}
                yield count_tokens(piece), delta, None


def _error_event(_: int) -> bytes:
    return event(openai_error(500, "The server had an error while processing your request.")).data


API = Api(
    path="/chat/completions",
    read=read,
    complete=complete,
    error=openai_error,
    error_event=_error_event,
    empty={"id": "chatcmpl-0", "object": "chat.completion", "choices": []},
    request_id="x-request-id",
)
