"""A response object cut into the events that the API would have streamed, for a caller who streams.

Every item is announced empty, filled piece by piece where its type has events for that, and shown whole; the last event
is the response object itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt.providers.pieces import pieces, pieces_with_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    Event = dict[str, Any]

_ENDS = {"completed": "response.completed", "incomplete": "response.incomplete"}
_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
}
"""Of items that call something: which field comes in pieces, and its events."""

_PARTS = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
}
"""The same of parts of content."""


def cut(body: bytes) -> list[bytes] | None:
    """The events of a response object, which `OpenAIResponses.read` has read; None when it did not end."""
    response = msgspec.json.decode(body)
    end = _ENDS.get(response.get("status"))
    if end is None:
        return None
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    if "completed_at" in begun:
        begun["completed_at"] = None
    events: list[Event] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(response["output"]):
        events += _item(item, index)
    events.append({"type": end, "response": response})
    return [msgspec.json.encode({**event, "sequence_number": number}) for number, event in enumerate(events)]


def _item(item: dict[str, Any], index: int) -> Iterator[Event]:
    where = {"item_id": item.get("id") or "", "output_index": index}
    yield {"type": "response.output_item.added", "item": _announced(item), "output_index": index}
    field, events = _CALLS.get(item["type"], ("", ""))
    if isinstance(item.get(field), str):
        yield from _text(item[field], field, events, where, _named(item))
    for number, part in _numbered(item, "summary"):
        yield from _summary(part, {**where, "summary_index": number})
    for number, part in _numbered(item, "content"):
        yield from _part(part, {**where, "content_index": number})
    yield {"type": "response.output_item.done", "item": item, "output_index": index}


def _announced(item: dict[str, Any]) -> dict[str, Any]:
    """The item before anything of it has come."""
    field, _ = _CALLS.get(item["type"], ("", ""))
    empty = {field: ""} if isinstance(item.get(field), str) else {}
    lists: Event = {name: [] for name in ("summary", "content") if _numbered(item, name)}
    status = {"status": "in_progress"} if item.get("status") is not None else {}
    return {**item, **empty, **lists, **status}


def _numbered(item: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """The parts of a message, of reasoning or of its summary; other items have no events for what is in them."""
    parts = item.get(name)
    if item["type"] not in ("message", "reasoning") or not isinstance(parts, list):
        return []
    return [(number, part) for number, part in enumerate(parts) if isinstance(part, dict)]


def _named(item: dict[str, Any]) -> Event:
    return {"name": item["name"]} if item["type"] == "function_call" else {}


def _text(text: str, field: str, events: str, where: Event, done: Event) -> Iterator[Event]:
    """A text piece by piece, then whole."""
    for piece in pieces(text):
        yield {"type": f"{events}.delta", **where, "delta": piece}
    yield {"type": f"{events}.done", **where, field: text, **done}


def _summary(part: dict[str, Any], where: Event) -> Iterator[Event]:
    yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
    yield from _text(str(part.get("text", "")), "text", "response.reasoning_summary_text", where, {})
    yield {"type": "response.reasoning_summary_part.done", **where, "part": part}


def _part(part: dict[str, Any], where: Event) -> Iterator[Event]:
    field, events = _PARTS.get(str(part.get("type")), ("", ""))
    text = part.get(field)
    lists: Event = {name: [] for name in ("annotations", "logprobs") if part.get(name)}
    empty = {field: ""} if isinstance(text, str) else {}
    yield {"type": "response.content_part.added", **where, "part": {**part, **empty, **lists}}
    if part.get("type") == "output_text" and isinstance(text, str):
        yield from _output_text(part, where)
    elif isinstance(text, str):
        yield from _text(text, field, events, where, {})
    yield {"type": "response.content_part.done", **where, "part": part}


def _output_text(part: dict[str, Any], where: Event) -> Iterator[Event]:
    """Text with its log probabilities, then what it refers to."""
    text, tokens = part["text"], part.get("logprobs") or []
    for word, said in pieces_with_tokens(text, tokens):
        yield {"type": "response.output_text.delta", **where, "delta": word, "logprobs": said}
    for number, annotation in enumerate(part.get("annotations") or ()):
        place = {**where, "annotation_index": number}
        yield {"type": "response.output_text.annotation.added", **place, "annotation": annotation}
    yield {"type": "response.output_text.done", **where, "text": text, "logprobs": tokens}
