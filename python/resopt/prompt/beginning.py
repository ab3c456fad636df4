"""What a provider may keep of a conversation, and by what a conversation is known when it comes again.

A provider keeps the beginning of a prompt, in the order tools, system, messages: through a mark of the caller's, and
through the last answer, which the call before ended with. What is behind that has entered with this call.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from resopt.prompt.bodies import is_models, listed_messages, messages_name

MARKS: Final = ("cache_control", "prompt_cache_breakpoint")
"""Fields by which callers say where a prefix ends: Anthropic's, and OpenAI's from GPT-5.6 on."""

_HEADS = ("system", "instructions", "tools", "functions")
_HEAD_ROLES = ("system", "developer")


def is_marked(part: Any) -> bool:
    """Whether a block, a tool or a message has a mark, itself or within."""
    if not isinstance(part, dict):
        return False
    if any(part.get(mark) is not None for mark in MARKS):
        return True
    content = part.get("content")
    return isinstance(content, list) and any(map(is_marked, content))


def count_marks(body: dict[str, Any]) -> int:
    """How many marks a body has, the one for the whole of it (Anthropic's automatic caching) included."""
    parts = [body, *_listed(body.get("system")), *_listed(body.get("tools"))]
    parts += [*_listed(body.get("messages")), *_listed(body.get("input"))]
    return sum(map(_marks_of, parts))


def _marks_of(part: Any) -> int:
    if not isinstance(part, dict):
        return 0
    own = any(part.get(mark) is not None for mark in MARKS)
    return own + sum(map(_marks_of, _listed(part.get("content"))))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def leading(messages: list[Any]) -> int:
    """How many messages at the beginning are the system's."""
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _HEAD_ROLES:
            return at
    return len(messages)


def head_of(body: dict[str, Any], api: str) -> dict[str, Any]:
    """Tools and system prompts of a body, as a body."""
    messages = listed_messages(body, api)
    head = {name: body[name] for name in ("model", *_HEADS) if name in body}
    return {**head, messages_name(api): messages[: leading(messages)]}


def beginning(body: dict[str, Any], api: str) -> dict[str, Any]:
    """What a provider may keep of a body, as a body: its head, and the messages through the last answer or mark."""
    messages = listed_messages(body, api)
    answers = [at for at, message in enumerate(messages) if is_models(message)]
    end = max(leading(messages), answers[-1] + 1 if answers else 0)
    kept = messages[:end]
    for at in range(len(messages) - 1, end - 1, -1):
        if is_marked(messages[at]):
            kept = [*messages[:at], _through_mark(messages[at])]
            break
    return {**head_of(body, api), messages_name(api): kept}


def _through_mark(message: dict[str, Any]) -> dict[str, Any]:
    """The message without what stands behind its last mark."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    marked = [at for at, part in enumerate(content) if is_marked(part)]
    return {**message, "content": content[: marked[-1] + 1]} if marked else message


class Trail:
    """By what the turns of a conversation are known when it comes again with more behind it.

    Marks are left out of it, since callers move them on with every call, and so is whether a text is a block.

    Attributes:
        starts: by message, a digest of the answer before it; of nothing where there is none.
        through: by message, a digest of that answer and of all that was said since.
        first: a digest of the first message that is not the system's, which tells one conversation from another.
    """

    __slots__ = ("first", "starts", "through")

    def __init__(self, messages: list[Any]) -> None:
        self.starts: list[bytes] = []
        self.through: list[bytes] = []
        start, running = b"", hashlib.blake2b(digest_size=16)
        heads = leading(messages)
        self.first = b""
        for at, message in enumerate(messages):
            own = msgspec.json.encode(_plain(message), enc_hook=repr)
            if is_models(message):
                running = hashlib.blake2b(own, digest_size=16)
                start = running.digest()
            elif at >= heads:  # a system prompt that tells the time does not make another conversation
                running.update(b"%d:" % len(own) + own)
            if at == heads:
                self.first = hashlib.blake2b(own, digest_size=16).digest()
            self.starts.append(start)
            self.through.append(running.digest())


def _plain(message: Any) -> Any:
    """A message as it would be without marks and with its texts as blocks."""
    if not isinstance(message, dict):
        return message
    plain = {key: value for key, value in message.items() if key not in MARKS}
    content = plain.get("content")
    if isinstance(content, str):
        plain["content"] = [{"type": "text", "text": content}]
    elif isinstance(content, list):
        plain["content"] = [_plain(part) for part in content]
    return plain
