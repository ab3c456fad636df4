"""What the user said last, wherever a request's body may hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONVERSATIONS = ("messages", "input", "prompt")
_NOT_THE_USER = ("assistant", "developer", "function", "model", "system", "tool")


def last_question(body: dict[str, Any]) -> str | None:
    """The text of the last message that is not someone else's; None when there is no text."""
    conversation = next((body[name] for name in _CONVERSATIONS if body.get(name)), None)
    if not isinstance(conversation, list | tuple):
        return _text(conversation)
    for message in reversed(conversation):
        if _field(message, "role") not in _NOT_THE_USER:
            text = _text(message)
            if text is not None:
                return text
    return _text(conversation[-1])


def _text(value: Any) -> str | None:
    """The text of a message, a part of one, or several parts, one per line."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        texts = [text for text in map(_text, value) if text is not None]
        return "\n".join(texts) if texts else None
    inner = _field(value, "content")
    inner = _field(value, "text") if inner is None else inner
    return None if inner is value or str(_field(value, "type")).endswith("tool_result") else _text(inner)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
