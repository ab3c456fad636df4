"""A chat completion cut into the chunks that the API would have streamed, for a caller who streams.

Per choice: its role, then reasoning, text, refusal and calls in pieces, then why it ended. What nobody streams in
pieces goes with the role. Log probabilities travel with their tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt.providers.pieces import pieces, pieces_with_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_EVERY_CHUNK = ("id", "created", "model", "service_tier", "system_fingerprint")
_BESIDE = frozenset({"index", "message", "logprobs", "finish_reason"})
_TEXTS = ("content", "refusal")
_CALLS = frozenset({"tool_calls", "function_call"})
_OF_CALLS = ("arguments", "input")


def cut(body: bytes, *, include_usage: bool) -> list[bytes] | None:
    """The chunks of a chat completion.

    Args:
        body: the reply as it came in one piece, which `to_response` has read.
        include_usage: whether the usage is to be in the stream.

    Returns:
        None when the reply holds what chunks cannot carry, or not the usage asked for.
    """
    completion = msgspec.json.decode(body)
    usage = completion.get("usage")
    choices = completion["choices"]
    if (include_usage and usage is None) or not all(map(_fits, choices)):
        return None
    every = {name: completion[name] for name in _IN_EVERY_CHUNK if name in completion}
    every["object"] = "chat.completion.chunk"
    once = {k: v for k, v in completion.items() if k not in every and k not in ("choices", "usage")}
    chunks = []
    for position, choice in enumerate(choices):
        index = choice.get("index", position)
        for piece in _pieces_of(choice):
            chunk = {**every, **once, "choices": [{"index": index, **piece}]}
            chunks.append({**chunk, "usage": None} if include_usage else chunk)
            once = {}
    if include_usage:
        chunks.append({**every, "choices": [], "usage": usage})
    return [msgspec.json.encode(chunk) for chunk in chunks]


def _fits(choice: dict[str, Any]) -> bool:
    """Chunks carry text, not lists of parts; audio is streamed in another format; without an end it is no stream."""
    message = choice["message"]
    texts = all(message.get(name) is None or isinstance(message[name], str) for name in _TEXTS)
    known = texts and message.get("audio") is None and isinstance(choice.get("logprobs"), dict | None)
    return known and bool(choice.get("finish_reason"))


def _pieces_of(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The choice's part of each chunk: delta, log probabilities and finish reason."""
    message = choice["message"]
    streamed = _streamed(message)
    tokens = choice.get("logprobs") or {}
    bare: dict[str, Any] = {"logprobs": None} if "logprobs" in choice else {}
    bare["finish_reason"] = None
    # No token comes with the role: the SDK would count it twice.
    first = {name: [] if isinstance(value, list) else value for name, value in tokens.items()}
    yield {"delta": _first_delta(message, streamed), **bare, **_logprobs(first)}
    for name in streamed:
        for text, said in pieces_with_tokens(message[name], tokens.get(name)):
            yield {"delta": {name: text}, **bare, **_logprobs({**dict.fromkeys(tokens), name: said} if said else {})}
    for delta in _calls(message):
        yield {"delta": delta, **bare}
    beside = {name: value for name, value in choice.items() if name not in _BESIDE}
    unspoken = {name: None if name in streamed else value for name, value in tokens.items()}
    last = _logprobs(unspoken if any(unspoken.values()) else {})
    yield {"delta": {}, **bare, **last, "finish_reason": choice["finish_reason"], **beside}


def _logprobs(tokens: dict[str, Any]) -> dict[str, Any]:
    return {"logprobs": tokens} if tokens else {}


def _streamed(message: dict[str, Any]) -> list[str]:
    """The names of texts that come in pieces: what the model thought (of compatible servers) before what it says."""
    thoughts = [name for name in message if name.startswith("reasoning") and isinstance(message[name], str)]
    return [name for name in (*thoughts, *_TEXTS) if message.get(name)]


def _first_delta(message: dict[str, Any], streamed: list[str]) -> dict[str, Any]:
    # The API says null of a refusal that is to come, and "" of a text.
    delta = {name: ("" if name == "content" else None) if name in streamed else message[name] for name in message}
    return {name: value for name, value in delta.items() if name not in _CALLS or not value}


def _calls(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Deltas of calls: who is called, then with what, in pieces."""
    for index, call in enumerate(message.get("tool_calls") or ()):
        kind = next((kind for kind in ("function", "custom") if isinstance(call.get(kind), dict)), None)
        if kind is None:
            yield {"tool_calls": [{"index": index, **call}]}
            continue
        for number, piece in enumerate(_call(call[kind])):
            entry = {**call, kind: piece} if number == 0 else {kind: piece}
            yield {"tool_calls": [{**entry, "index": index}]}
    if message.get("function_call"):
        for piece in _call(message["function_call"]):
            yield {"function_call": piece}


def _call(called: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = next((name for name in _OF_CALLS if isinstance(called.get(name), str)), None)
    if name is None:
        yield called
        return
    yield {**called, name: ""}
    for piece in pieces(called[name]):
        yield {name: piece}
