"""Where the texts of a body are: the beginning that all calls of a template share, and the turns behind it.

Only texts are touched, never images, tool definitions, calls or the model's own words. A body is never changed: what is
replaced is copied on the way down to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Place: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to a text in a body."""

APIS = ("openai.chat", "openai.responses", "anthropic.messages")
_TEXT_PARTS = ("text", "input_text")


class Spot(msgspec.Struct, frozen=True):
    """A text of a body.

    Attributes:
        place: where it is.
        text: the text.
        kind: `head` for system prompts, `user` for the user's words, `result` for what a tool returned.
        fresh: it entered with this call: no answer of the model stands behind it.
    """

    place: Place
    text: str
    kind: Literal["head", "user", "result"]
    fresh: bool


def spots(body: dict[str, Any], api: str) -> list[Spot]:
    """The texts of a body that may be shortened, in the order in which they are read."""
    found: list[Spot] = []
    for name in ("system", "instructions"):
        _read(body.get(name), (name,), "head", found, fresh=True)
    name = "input" if api == "openai.responses" else "messages"
    messages = body.get(name)
    if isinstance(messages, str):
        _read(messages, (name,), "user", found, fresh=True)
    if not isinstance(messages, list):
        return found
    answered = max((at for at, message in enumerate(messages) if _is_models(message)), default=-1)
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role, fresh = message.get("role"), at > answered
        if role in ("system", "developer"):
            _read(message.get("content"), (name, at, "content"), "head", found, fresh=fresh)
        elif role == "user":
            _read(message.get("content"), (name, at, "content"), "user", found, fresh=fresh)
        elif role == "tool":
            _read(message.get("content"), (name, at, "content"), "result", found, fresh=fresh)
        elif message.get("type") == "function_call_output":
            _read(message.get("output"), (name, at, "output"), "result", found, fresh=fresh)
    return found


def _is_models(message: Any) -> bool:
    """Whether a message is the model's: an answer, or a call of a tool."""
    if not isinstance(message, dict):
        return True  # an object of a client library: what it is cannot be told, so nothing before it is fresh
    return message.get("role") in ("assistant", "model") or message.get("type") in ("function_call", "reasoning")


def _read(
    content: Any, place: Place, kind: Literal["head", "user", "result"], found: list[Spot], *, fresh: bool
) -> None:
    if isinstance(content, str):
        if content:
            found.append(Spot(place, content, kind, fresh))
    elif isinstance(content, list):
        for at, part in enumerate(content):
            if not isinstance(part, dict):
                continue
            if part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str) and part["text"]:
                found.append(Spot((*place, at, "text"), part["text"], kind, fresh))
            elif part.get("type") == "tool_result":
                _read(part.get("content"), (*place, at, "content"), "result", found, fresh=fresh)


def replaced(body: dict[str, Any], texts: dict[Place, str]) -> dict[str, Any]:
    """The body with other texts in some places."""
    changed: Any = body
    for place, text in texts.items():
        changed = _put(changed, place, text)
    result: dict[str, Any] = changed
    return result


def _put(value: Any, place: Place, text: str) -> Any:
    if not place:
        return text
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _put(value[place[0]], place[1:], text)
    return copy


def tools_text(body: dict[str, Any], encode: Callable[[Any], bytes]) -> str:
    """The tools of a body as text, for counting."""
    tools = body.get("tools")
    return encode(tools).decode() if tools else ""
