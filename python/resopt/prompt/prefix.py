"""What a provider keeps of a prompt's beginning, and when rewriting that beginning pays.

Reading a cached prefix costs a tenth of reading it afresh, writing it a quarter more (Anthropic for 5 minutes, and
OpenAI from GPT-5.6 on). A prefix rewritten to the share 1 - f of its length must be written once, which pays only after
n = (1.25 - 0.1) / 0.1 · (1 - f) / f = 11.5 (1 - f) / f further calls.

Sources: Anthropic and OpenAI on prompt caching; minimum sizes as of October 2026.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import msgspec

from resopt.errors import ConfigurationError

READ: Final = 0.1
WRITE: Final = 1.25
MOST_BREAKPOINTS: Final = 4
"""Marks of `cache_control` that Anthropic takes in one request."""

_OPENAI_MINIMUM: Final = 1024
_ANTHROPIC_MINIMUMS: Final[tuple[tuple[str, int], ...]] = (
    ("opus-5", 512),
    ("fable-5", 512),
    ("mythos-5", 512),
    ("haiku-4-5", 4096),
    ("opus-4-5", 4096),
    ("opus-4-6", 4096),
    ("opus-4-7", 4096),
    ("haiku", 2048),
)
_ANTHROPIC_MINIMUM: Final = 1024


def pays_after(share: float) -> float:
    """Further calls after which rewriting a cached prefix has paid, when a share of it is removed.

    Raises:
        ConfigurationError: the share is not above 0 and below or at 1.
    """
    number: object = share
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 1:
        raise ConfigurationError(f"share must be a number above 0 and up to 1, not {share!r}")
    return (WRITE - READ) / READ * (1 - share) / share


def minimum_prefix(api: str, model: str) -> int:
    """Tokens below which a provider caches no prefix."""
    if not api.startswith("anthropic"):
        return _OPENAI_MINIMUM
    name = model.replace(".", "-")
    return next((least for part, least in _ANTHROPIC_MINIMUMS if part in name), _ANTHROPIC_MINIMUM)


class Verdict(msgspec.Struct, frozen=True):
    """Whether a stretch of a prompt may be rewritten, and why."""

    rewrite: bool
    reason: str


class PrefixPlanner:
    """Decides whether the beginning of a prompt may be rewritten.

    Args:
        expected_calls: how many further calls are expected to share a prefix while the provider keeps it. 0 leaves
            every prefix alone that a provider may have cached.

    Raises:
        ConfigurationError: it is not a number from 0 up.
    """

    def __init__(self, expected_calls: float = 0) -> None:
        calls: object = expected_calls
        if isinstance(calls, bool) or not isinstance(calls, int | float) or not calls >= 0:
            raise ConfigurationError(f"expected_calls must be a number from 0 up, not {expected_calls!r}")
        self.expected_calls = float(expected_calls)

    def judge(self, api: str, model: str, before: int, after: int) -> Verdict:
        """Whether to rewrite a prefix that may be cached.

        Args:
            api: shape of the body.
            model: the model asked for.
            before: tokens of the prefix as it is.
            after: tokens of it rewritten.
        """
        least = minimum_prefix(api, model)
        if before < least:
            return Verdict(rewrite=True, reason=f"shorter than the {least} tokens that are cached")
        share = (before - after) / before
        if share <= 0:
            return Verdict(rewrite=False, reason="nothing to remove")
        calls = pays_after(share)
        if self.expected_calls >= calls:
            return Verdict(rewrite=True, reason=f"pays after {math.ceil(calls)} calls more")
        return Verdict(
            rewrite=False,
            reason=f"cached prefix of {before} tokens: removing {share:.0%} pays after {math.ceil(calls)} calls more, "
            f"{self.expected_calls:.0f} expected",
        )


def marked(body: dict[str, Any]) -> int:
    """How many marks of `cache_control` a body of Anthropic's has."""
    places = [body.get("system"), body.get("tools")]
    places += [message.get("content") for message in body.get("messages", ()) if isinstance(message, dict)]
    parts = (part for place in places if isinstance(place, list) for part in place)
    return sum(isinstance(part, dict) and part.get("cache_control") is not None for part in parts)


def steady(body: dict[str, Any], api: str, head_tokens: int) -> dict[str, Any]:
    """The body with its tools in a steady order, and marked or keyed so that the provider keeps its beginning.

    Tools are sorted by name and the keys of their schemas by theirs. Anthropic: the last block of tools and system, and
    of a conversation also the newest turn, get `cache_control`, unless the caller has marked any. OpenAI: a
    `prompt_cache_key` made from tools and system, unless there is one.

    Args:
        body: a request's body; it is not changed.
        api: its shape.
        head_tokens: tokens of tools and system together.
    """
    body = dict(body)
    tools = body.get("tools")
    if isinstance(tools, list):
        body["tools"] = sorted((_sorted(tool) for tool in tools), key=_tool_name)
    model = body.get("model")
    if head_tokens < minimum_prefix(api, model if isinstance(model, str) else ""):
        return body
    if api.startswith("anthropic"):
        return body if marked(body) else _mark(body)
    if body.get("prompt_cache_key") is None:
        body["prompt_cache_key"] = _head_digest(body)
    return body


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return str(name or tool.get("type") or "")


def _head_digest(body: dict[str, Any]) -> str:
    messages = body.get("messages", body.get("input"))
    systems = [
        message
        for message in (messages if isinstance(messages, list) else ())
        if isinstance(message, dict) and message.get("role") in ("system", "developer")
    ]
    head = msgspec.json.encode([body.get("model"), body.get("tools"), body.get("instructions"), systems])
    return "resopt-" + hashlib.blake2b(head, digest_size=12).hexdigest()


def _mark(body: dict[str, Any]) -> dict[str, Any]:
    system = body.get("system")
    if isinstance(system, str) and system:
        body["system"] = [_with_mark({"type": "text", "text": system})]
    elif isinstance(system, list) and system and isinstance(system[-1], dict):
        body["system"] = [*system[:-1], _with_mark(system[-1])]
    elif isinstance(body.get("tools"), list) and body["tools"]:
        body["tools"] = [*body["tools"][:-1], _with_mark(body["tools"][-1])]
    messages = body.get("messages")
    users = [
        at for at, message in enumerate(messages or ()) if isinstance(message, dict) and message.get("role") == "user"
    ]
    if isinstance(messages, list) and len(users) > 1:
        at = users[-1]
        body["messages"] = [*messages[:at], _marked_message(messages[at]), *messages[at + 1 :]]
    return body


def _marked_message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str) and content:
        return {**message, "content": [_with_mark({"type": "text", "text": content})]}
    if isinstance(content, list) and content and isinstance(content[-1], dict):
        return {**message, "content": [*content[:-1], _with_mark(content[-1])]}
    return message


def _with_mark(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "cache_control": {"type": "ephemeral"}}
