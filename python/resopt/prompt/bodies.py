"""Where the texts of a body are: the beginning that all calls of a template share, and the turns behind it.

Only texts are touched, never images, tool definitions, calls or the model's own words. A body is never changed: what is
replaced is copied on the way down to it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Place: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to a text in a body."""

Kind: TypeAlias = Literal["head", "user", "result"]
APIS = ("openai.chat", "openai.responses", "anthropic.messages")
_TEXT_PARTS = ("text", "input_text")
_KINDS: dict[str, Kind] = {"system": "head", "developer": "head", "user": "user", "tool": "result"}


class Spot(msgspec.Struct, frozen=True):
    """A text of a body.

    Attributes:
        place: where it is.
        text: the text.
        kind: `head` for system prompts, `user` for the user's words, `result` for what a tool returned.
        turn: how many messages of the model stand before it.
        fresh: it entered with this call: no message of the model stands behind it.
        leads: it is the first text, and the answer is free in its form: what is asked of the whole answer goes here.
    """

    place: Place
    text: str
    kind: Kind
    turn: int
    fresh: bool
    leads: bool = False

    @property
    def message(self) -> int:
        """Index of its message; -1 for a text beside the messages."""
        at = self.place[1] if len(self.place) > 1 and self.place[0] in ("messages", "input") else -1
        return at if isinstance(at, int) else -1


def spots(body: dict[str, Any], api: str) -> list[Spot]:
    """The texts of a body that may be shortened, in the order in which they are read."""
    name = messages_name(api)
    messages = body.get(name)
    listed = listed_messages(body, api)
    turns = list(accumulate(map(is_models, listed)))
    last = turns[-1] if turns else 0
    found: list[Spot] = []
    for head in ("system", "instructions"):
        _read(body.get(head), (head,), "head", found, last, last)
    if isinstance(messages, str):
        _read(messages, (name,), "user", found, last, last)
    for at, turn in enumerate(turns):
        message = listed[at] if isinstance(listed[at], dict) else {}
        role = message.get("role")
        if message.get("type") == "function_call_output":
            _read(message.get("output"), (name, at, "output"), "result", found, turn, last)
        elif role in _KINDS:
            _read(message.get("content"), (name, at, "content"), _KINDS[role], found, turn, last)
    if found and found[0].kind != "result" and not _has_form(body):
        found[0] = msgspec.structs.replace(found[0], leads=True)
    return found


def _has_form(body: dict[str, Any]) -> bool:
    """Whether the answer must be JSON: as long as its schema wants it, whatever else is asked for."""
    text = body.get("text")
    formats = (body.get("response_format"), text.get("format") if isinstance(text, dict) else None)
    return any(form is not None and not (isinstance(form, dict) and form.get("type") == "text") for form in formats)


def messages_name(api: str) -> str:
    """Under which key a body has its messages."""
    return "input" if api == "openai.responses" else "messages"


def listed_messages(body: dict[str, Any], api: str) -> list[Any]:
    """The messages of a body; none where it has a bare text."""
    messages = body.get(messages_name(api))
    return messages if isinstance(messages, list) else []


def is_models(message: Any) -> bool:
    """Whether a message is the model's: an answer, or a call of a tool."""
    if not isinstance(message, dict):
        return True  # an object of a client library: what it is cannot be told, so nothing before it is fresh
    return message.get("role") in ("assistant", "model") or message.get("type") in ("function_call", "reasoning")


def _read(content: Any, place: Place, kind: Kind, found: list[Spot], turn: int, last: int) -> None:
    if isinstance(content, str):
        if content:
            found.append(Spot(place, content, kind, turn, turn == last))
    elif isinstance(content, list):
        for at, part in enumerate(content):
            if not isinstance(part, dict):
                continue
            if part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str) and part["text"]:
                found.append(Spot((*place, at, "text"), part["text"], kind, turn, turn == last))
            elif part.get("type") == "tool_result":
                _read(part.get("content"), (*place, at, "content"), "result", found, turn, last)


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
