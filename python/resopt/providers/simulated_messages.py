"""The simulated provider's `POST /v1/messages`: Anthropic's shape, whole and as the events it sends."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.simulated_answers import count_tokens, text_of
from resopt.providers.simulated_delivery import Api, Event, Reply, event
from resopt.providers.simulated_speech import Answer, Moment, Prompt, Tool, compose, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {"length": "max_tokens", "tools": "tool_use", "refusal": "refusal", "filter": "refusal"}
_EMPTY: dict[str, dict[str, Any]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
"""How each block begins in a stream."""

_CHOICES = {"any": "required", "none": "none"}


class MessagesBody(msgspec.Struct):
    """What the simulator reads of a request; everything else is accepted and has no effect."""

    messages: list[dict[str, Any]]
    model: str = ""
    max_tokens: int | None = None
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] = []
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None

    @property
    def prompt(self) -> Prompt:
        """The request in the simulator's own terms."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        choice = self.tool_choice or {}
        wanted = (self.output_config or {}).get("format") or self.output_format or {}
        named = "=" + str(choice.get("name", "")) if choice.get("type") == "tool" else "auto"
        return Prompt(
            messages=[*system, *self.messages],
            tools=[Tool(str(one.get("name", "")), one.get("input_schema")) for one in self.tools],
            choice=_CHOICES.get(str(choice.get("type")), named),
            parallel=not choice.get("disable_parallel_tool_use"),
            schema=(wanted.get("schema") or {}) if wanted.get("type") == "json_schema" else None,
            limit=self.max_tokens,
            stops=self.stop_sequences or [],
        )


def read(body: bytes, deployment: str | None) -> MessagesBody:
    """The request of a body; refuses what Anthropic refuses.

    Raises:
        ConfigurationError: says what is wrong.
    """
    request = msgspec.json.decode(body, type=MessagesBody)
    request.model = deployment or request.model
    if not request.model:
        raise ConfigurationError("model: Field required")
    if not request.messages:
        raise ConfigurationError("messages: at least one message is required")
    for position, message in enumerate(request.messages):
        if message.get("role") not in ("user", "assistant", "system"):
            raise ConfigurationError(f"messages.{position}.role: must be 'user' or 'assistant'")
    if request.max_tokens is None or request.max_tokens < 1:
        raise ConfigurationError("max_tokens: must be at least 1")
    return request


def complete(request: MessagesBody, moment: Moment) -> Reply:
    """The reply to a request."""
    thinks = (request.thinking or {}).get("type") in ("enabled", "adaptive")
    if thinks and not moment.wishes.reasoning:
        moment = msgspec.structs.replace(moment, wishes=msgspec.structs.replace(moment.wishes, reasoning=True))
    prompt = request.prompt
    answer = compose(prompt, moment)
    stop: dict[str, Any] = {"stop_reason": _STOPS.get(answer.ending, "end_turn"), "stop_sequence": None}
    if answer.stop_sequence is not None:
        stop = {"stop_reason": "stop_sequence", "stop_sequence": answer.stop_sequence}
    details = {"type": "refusal", "category": None, "explanation": None} if stop["stop_reason"] == "refusal" else None
    stop["stop_details"] = details
    content = list(_blocks(answer, moment))
    usage = _usage(request, prompt, moment)
    head = {
        "id": moment.identify("msg_"),
        "type": "message",
        "role": "assistant",
        "model": moment.model.name,
    }
    plain = {**head, "content": content, **stop, "usage": {**usage, "output_tokens": answer.tokens}}
    events = _events(head, content, stop, usage, answer) if request.stream else []
    return Reply(plain, events, prompt.tokens, answer.tokens)


def _blocks(answer: Answer, moment: Moment) -> Iterator[dict[str, Any]]:
    if answer.reasoning is not None:
        yield {
            "type": "thinking",
            "thinking": answer.reasoning,
            "signature": moment.identify("sig", answer.reasoning),
        }
    text = answer.text or answer.refusal
    if text:
        yield {"type": "text", "text": text}
    for call in answer.calls:
        identity = call.id.replace("call_", "toolu_")
        yield {"type": "tool_use", "id": identity, "name": call.name, "input": msgspec.json.decode(call.arguments)}


def _usage(request: MessagesBody, prompt: Prompt, moment: Moment) -> dict[str, Any]:
    """Input tokens by how they were read: at the full price, into the cache, from the cache."""
    written, read = {"5m": 0, "1h": 0}, 0
    if moment.wishes.cached is not None:
        read = min(moment.wishes.cached, prompt.tokens)
    else:
        written, read = _cache(request, prompt, moment)
    return {
        "input_tokens": prompt.tokens - sum(written.values()) - read,
        "cache_creation_input_tokens": sum(written.values()),
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written["5m"],
            "ephemeral_1h_input_tokens": written["1h"],
        },
        "output_tokens": 1,
        "service_tier": "standard",
    }


def _cache(request: MessagesBody, prompt: Prompt, moment: Moment) -> tuple[dict[str, int], int]:
    """Tokens written to and read from the prompt cache, of any length: up to each `cache_control`, in order."""
    written, read, tokens, known = {"5m": 0, "1h": 0}, 0, 0, 0
    digest = hashlib.blake2b(request.model.encode(), digest_size=16)
    for block, mark in _cacheable(request):
        digest.update(msgspec.json.encode(block, order="deterministic"))
        tokens = min(tokens + count_tokens(text_of([block])), prompt.tokens)
        if mark is None:
            continue
        if moment.memory.meet(digest.digest()):
            read, known = tokens, tokens
            written = {"5m": 0, "1h": 0}
        else:
            written["1h" if mark.get("ttl") == "1h" else "5m"] += tokens - known
            known = tokens
    return written, read


def _cacheable(request: MessagesBody) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Everything of the request in the order of the cache, without its marks, and the marks."""
    blocks: list[dict[str, Any]] = list(request.tools)
    contents = [request.system or []] + [message.get("content") or [] for message in request.messages]
    for content in contents:
        blocks += [{"type": "text", "text": content}] if isinstance(content, str) else content
    for position, block in enumerate(blocks):
        last = request.cache_control if position == len(blocks) - 1 else None
        yield (
            {name: value for name, value in block.items() if name != "cache_control"},
            block.get("cache_control") or last,
        )


def _events(
    head: dict[str, Any], content: list[dict[str, Any]], stop: dict[str, Any], usage: dict[str, Any], answer: Answer
) -> list[Event]:
    """Start, the blocks piece by piece, the reason to stop with the usage, the end."""
    nothing = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
    events = [_say("message_start", message={**head, "content": [], **nothing, "usage": usage})]
    for index, block in enumerate(content):
        events.append(_say("content_block_start", index=index, content_block={**block, **_EMPTY[block["type"]]}))
        if index == 0:
            events.append(_say("ping"))
        for tokens, delta in _deltas(block):
            events.append(_say("content_block_delta", tokens, index=index, delta=delta))
        events.append(_say("content_block_stop", index=index))
    totals = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counted = {**{name: usage[name] for name in totals}, "output_tokens": answer.tokens}
    return [*events, _say("message_delta", delta=stop, usage=counted), _say("message_stop")]


def _deltas(block: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    if block["type"] == "tool_use":
        yield 0, {"type": "input_json_delta", "partial_json": ""}
        for piece in pieces(msgspec.json.encode(block["input"]).decode()):
            yield count_tokens(piece), {"type": "input_json_delta", "partial_json": piece}
        return
    field = block["type"]
    for piece in pieces(block[field]):
        yield count_tokens(piece), {"type": f"{field}_delta", field: piece}
    if field == "thinking":
        yield 0, {"type": "signature_delta", "signature": block["signature"]}


def _say(name: str, tokens: int = 0, **fields: Any) -> Event:
    return event({"type": name, **fields}, name, tokens)


def _error(status: int, message: str, code: str | None = None) -> dict[str, Any]:  # noqa: ARG001 - OpenAI's alone
    """An error in Anthropic's shape."""
    return {"type": "error", "error": {"type": _KINDS.get(status, "api_error"), "message": message}}


def _error_event(_: int) -> bytes:
    return event(_error(529, "Overloaded"), "error").data


API = Api(
    path="/messages",
    read=read,
    complete=complete,
    error=_error,
    error_event=_error_event,
    empty={"id": "msg_0", "type": "message", "role": "assistant", "content": [], "model": "", "stop_reason": None},
    request_id="request-id",
)
