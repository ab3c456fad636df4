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
from resopt.prompt.beginning import MARKS, count_marks, head_of, leading
from resopt.prompt.bodies import listed_messages
from resopt.tokens.count import count_tokens
from resopt.types import Request

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


def steady(body: dict[str, Any], api: str) -> dict[str, Any]:
    """The body with its tools in a steady order, and marked or keyed so that the provider keeps its beginning.

    Tools are sorted by name, within each span that a caller's mark ends, which stays at the end of its span. Their keys
    are sorted too, but for properties, which models fill in as they come, and for values given as examples.

    Anthropic: the last block of tools and system gets `cache_control` where the two are long enough to be kept, and of
    a conversation that is long enough the newest turn, unless the caller has marked any. OpenAI: a `prompt_cache_key`
    made from tools and system, or of a conversation that has grown behind a short head from its first message too,
    unless there is one.

    Args:
        body: a request's body; it is not changed.
        api: its shape.
    """
    body = dict(body)
    tools = body.get("tools")
    if isinstance(tools, list):
        body["tools"] = _sorted_tools(tools)
    claude = api.startswith("anthropic")
    if count_marks(body) if claude else body.get("prompt_cache_key") is not None:
        return body
    least = minimum_prefix(api, _model(body))
    head = head_of(body, api)
    messages = listed_messages(body, api)
    if _tokens(head, api) >= least:
        if not claude:
            return {**body, "prompt_cache_key": _key(head)}
        return _with_newest_marked(_with_head_marked(body))
    if len(messages) > leading(messages) + 1 and _tokens(body, api) >= least:
        if not claude:
            return {**body, "prompt_cache_key": _key([head, messages[leading(messages)]])}
        return _with_newest_marked(body)
    return body


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    return model if isinstance(model, str) else ""


def _tokens(body: dict[str, Any], api: str) -> int:
    return count_tokens(Request(body=body, api=api), _model(body) or None).tokens


def _key(shared: Any) -> str:
    return "resopt-" + hashlib.blake2b(msgspec.json.encode(shared, enc_hook=repr), digest_size=12).hexdigest()


_GIVEN: Final = ("default", "example", "examples", "const", "enum")
"""Keys of a schema behind which stand values, not schemas."""


def _sorted_tools(tools: list[Any]) -> list[Any]:
    """Tools by name within the spans that marks end; a mark moves to the tool that is now the last of its span."""
    found: list[Any] = []
    span: list[Any] = []
    for tool in tools:
        marks = {mark: tool[mark] for mark in MARKS if tool.get(mark) is not None} if isinstance(tool, dict) else {}
        span.append({key: value for key, value in tool.items() if key not in marks} if marks else tool)
        if marks:
            *others, last = sorted(map(_sorted, span), key=_tool_name)
            found += [*others, {**last, **marks} if isinstance(last, dict) else last]
            span = []
    return found + sorted(map(_sorted, span), key=_tool_name)


def _sorted(value: Any, *, named: bool = False) -> Any:
    """A schema with its keys sorted; `named` for properties, whose names stay in the order in which they were given."""
    if isinstance(value, dict):
        names = list(value) if named else sorted(value, key=str)
        return {
            name: value[name] if name in _GIVEN and not named else _sorted(value[name], named=name == "properties")
            for name in names
        }
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return str(name or tool.get("type") or "")


def _with_head_marked(body: dict[str, Any]) -> dict[str, Any]:
    system, tools = body.get("system"), body.get("tools")
    marked = _marked(system)
    if marked is not None:
        return {**body, "system": marked}
    if isinstance(tools, list) and tools and isinstance(tools[-1], dict):
        return {**body, "tools": [*tools[:-1], _with_mark(tools[-1])]}
    return body


def _with_newest_marked(body: dict[str, Any]) -> dict[str, Any]:
    """The body with the newest words of the user marked, if it is a conversation."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    users = [at for at, message in enumerate(messages) if isinstance(message, dict) and message.get("role") == "user"]
    content = _marked(messages[users[-1]].get("content")) if len(users) > 1 else None
    if content is None:
        return body
    at = users[-1]
    return {**body, "messages": [*messages[:at], {**messages[at], "content": content}, *messages[at + 1 :]]}


def _marked(content: Any) -> list[Any] | None:
    """A text or blocks with a mark on the last that can have one, which an empty one cannot; None where none can."""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return None
    for at in range(len(content) - 1, -1, -1):
        part = content[at]
        if isinstance(part, dict) and (part.get("type") != "text" or part.get("text")):
            return [*content[:at], _with_mark(part), *content[at + 1 :]]
    return None


def _with_mark(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "cache_control": {"type": "ephemeral"}}
