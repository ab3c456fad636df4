"""The simulated provider's `POST /v1/responses`: OpenAI's responses, whole and as the events it sends."""

from __future__ import annotations

from typing import Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.simulated_answers import count_tokens, text_of
from resopt.providers.simulated_delivery import Api, Event, Reply, event, openai_error
from resopt.providers.simulated_speech import Answer, Moment, Prompt, Tool, compose, logprobs, pieces

_ENDS = {"length": "max_output_tokens", "filter": "content_filter"}


class ResponsesBody(msgspec.Struct):
    """What the simulator reads of a request; what is only echoed is in `echoed`."""

    input: str | list[dict[str, Any]]
    model: str = ""
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[dict[str, Any]] = []
    tool_choice: Any = "auto"
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    previous_response_id: str | None = None
    reasoning: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None

    @property
    def prompt(self) -> Prompt:
        """The request in the simulator's own terms."""
        messages = [] if self.instructions is None else [{"role": "system", "content": self.instructions}]
        items = [{"role": "user", "content": self.input}] if isinstance(self.input, str) else self.input
        choice = self.tool_choice or "auto"
        wanted = (self.text or {}).get("format") or {}
        schemas = {"json_schema": wanted.get("schema") or {}, "json_object": {"type": "object"}}
        return Prompt(
            messages=[*messages, *map(_message, items)],
            tools=[Tool(one["name"], one.get("parameters")) for one in self.tools if one.get("type") == "function"],
            choice="=" + str(choice.get("name", "")) if isinstance(choice, dict) else str(choice),
            parallel=self.parallel_tool_calls is not False,
            schema=schemas.get(str(wanted.get("type"))),
            limit=self.max_output_tokens,
        )

    @property
    def logprobs(self) -> int | None:
        """How many of the most probable tokens to list, or None for no log probabilities."""
        return (self.top_logprobs or 0) if "message.output_text.logprobs" in (self.include or ()) else None


def _message(item: dict[str, Any]) -> dict[str, Any]:
    """An item of the input as a message; a call's output is a message of the tool."""
    if "role" in item:
        return {"role": item["role"], "content": item.get("content")}
    kind = str(item.get("type", "item"))
    if kind == "function_call_output":
        return {"role": "tool", "content": item.get("output")}
    return {"role": kind, "content": text_of([item])}


def read(body: bytes, deployment: str | None) -> ResponsesBody:
    """The request of a body; refuses what OpenAI refuses.

    Raises:
        ConfigurationError: says what is wrong.
    """
    request = msgspec.json.decode(body, type=ResponsesBody)
    request.model = deployment or request.model
    if not request.model:
        raise ConfigurationError("you must provide a `model`")
    if not request.input:
        raise ConfigurationError("`input` must not be empty")
    if request.max_output_tokens is not None and request.max_output_tokens < 1:
        raise ConfigurationError("`max_output_tokens` must be at least 1")
    if not all(isinstance(one.get("name", ""), str) for one in request.tools):
        raise ConfigurationError("`tools[].name` must be a str")
    return request


def complete(request: ResponsesBody, moment: Moment) -> Reply:
    """The reply to a request."""
    prompt = request.prompt
    answer = compose(prompt, moment)
    cached = moment.wishes.cached
    if cached is None:
        cached = moment.memory.cached_tokens(moment.model.name, prompt)
    usage = {
        "input_tokens": prompt.tokens,
        "input_tokens_details": {"cached_tokens": min(cached, prompt.tokens), "cache_write_tokens": 0},
        "output_tokens": answer.tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": prompt.tokens + answer.tokens,
    }
    reason = _ENDS.get(answer.ending)
    status = "incomplete" if reason else "completed"
    started = _response(request, moment)
    output = _output(request, answer, moment, status)
    plain = {
        **started,
        "status": status,
        "completed_at": None if reason else moment.now,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage,
    }
    events = _Script(request, answer).play(started, output, plain) if request.stream else []
    return Reply(plain, events, prompt.tokens, answer.tokens)


def _response(request: ResponsesBody, moment: Moment) -> dict[str, Any]:
    """The response before anything was said."""
    return {
        "id": moment.identify("resp_"),
        "object": "response",
        "created_at": moment.now,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": None,
        "model": moment.model.name,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "reasoning": request.reasoning or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": request.text or {"format": {"type": "text"}},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools,
        "top_logprobs": request.top_logprobs or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": request.metadata or {},
    }


def _output(request: ResponsesBody, answer: Answer, moment: Moment, status: str) -> list[dict[str, Any]]:
    """The items of the answer: thoughts, message, calls."""
    items: list[dict[str, Any]] = []
    if answer.reasoning is not None:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        items.append({"id": moment.identify("rs_", answer.reasoning), "type": "reasoning", "summary": summary})
    part: dict[str, Any] | None = None
    if answer.refusal is not None:
        part = {"type": "refusal", "refusal": answer.refusal}
    elif answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": _logprobs(request, answer)}
    if part is not None:
        identity = moment.identify("msg_", answer.text, answer.refusal)
        message = {"id": identity, "type": "message", "status": status, "role": "assistant", "content": [part]}
        items.append(message)
    for call in answer.calls:
        called = {"arguments": call.arguments, "call_id": call.id, "name": call.name}
        items.append({"id": moment.identify("fc_", call.id), "type": "function_call", "status": status, **called})
    return items


def _logprobs(request: ResponsesBody, answer: Answer) -> list[dict[str, Any]]:
    return [] if request.logprobs is None else logprobs(answer.text, request.logprobs)


class _Script:
    """The events of one response, numbered as they come."""

    def __init__(self, request: ResponsesBody, answer: Answer) -> None:
        self.request = request
        self.answer = answer
        self.events: list[Event] = []

    def play(self, started: dict[str, Any], output: list[dict[str, Any]], plain: dict[str, Any]) -> list[Event]:
        """All of them, from `response.created` to the last."""
        self._say("created", response=started)
        self._say("in_progress", response=started)
        tellers = {"reasoning": self._tell_reasoning, "message": self._tell_message, "function_call": self._tell_call}
        for index, item in enumerate(output):
            place = {"output_index": index}
            tellers[item["type"]](item, place)
            self._say("output_item.done", **place, item=item)
        self._say(plain["status"], response=plain)
        return self.events

    def _say(self, name: str, tokens: int = 0, /, **fields: Any) -> None:
        name = f"response.{name}"
        self.events.append(event({"type": name, "sequence_number": len(self.events), **fields}, name, tokens))

    def _tell_reasoning(self, item: dict[str, Any], place: dict[str, Any]) -> None:
        self._say("output_item.added", **place, item={**item, "summary": []})
        place = {"item_id": item["id"], **place, "summary_index": 0}
        (part,) = item["summary"]
        self._say("reasoning_summary_part.added", **place, part={**part, "text": ""})
        for piece in pieces(part["text"]):
            self._say("reasoning_summary_text.delta", count_tokens(piece), **place, delta=piece)
        self._say("reasoning_summary_text.done", **place, text=part["text"])
        self._say("reasoning_summary_part.done", **place, part=part)

    def _tell_message(self, item: dict[str, Any], place: dict[str, Any]) -> None:
        self._say("output_item.added", **place, item={**item, "status": "in_progress", "content": []})
        place = {"item_id": item["id"], **place, "content_index": 0}
        (part,) = item["content"]
        field, name = ("text", "output_text") if part["type"] == "output_text" else ("refusal", "refusal")
        probable: list[dict[str, Any]] = part.get("logprobs", [])
        empty = {**part, field: "", **({"logprobs": []} if field == "text" else {})}
        self._say("content_part.added", **place, part=empty)
        for position, piece in enumerate(pieces(part[field])):
            extra = {"logprobs": probable[position : position + 1]} if field == "text" else {}
            self._say(f"{name}.delta", count_tokens(piece), **place, delta=piece, **extra)
        self._say(
            f"{name}.done", **place, **{field: part[field]}, **({"logprobs": probable} if field == "text" else {})
        )
        self._say("content_part.done", **place, part=part)

    def _tell_call(self, item: dict[str, Any], place: dict[str, Any]) -> None:
        self._say("output_item.added", **place, item={**item, "status": "in_progress", "arguments": ""})
        place = {"item_id": item["id"], **place}
        for piece in pieces(item["arguments"]):
            self._say("function_call_arguments.delta", count_tokens(piece), **place, delta=piece)
        done = {"arguments": item["arguments"], "name": item["name"]}
        self._say("function_call_arguments.done", **place, **done)


def _error_event(position: int) -> bytes:
    message = "The server had an error while processing your request."
    fields = {"type": "error", "code": "server_error", "message": message, "param": None}
    return event({**fields, "sequence_number": position}, "error").data


API = Api(
    path="/responses",
    read=read,
    complete=complete,
    error=openai_error,
    error_event=_error_event,
    empty={"id": "resp_0", "object": "response", "created_at": 0, "status": "completed", "model": "", "output": []},
    request_id="x-request-id",
)
