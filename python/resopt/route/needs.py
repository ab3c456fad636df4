"""What a request needs of a model: room for its tokens, tools, eyes, a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from resopt.route.tier import Tier
    from resopt.types import Request

BYTES_PER_TOKEN = 3
"""A guess on the safe side: English has about four bytes per token, other scripts three and fewer."""

ANSWER_TOKENS = 1_024
"""Room left for an answer whose length the request does not limit."""

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_IMAGES = frozenset({"image", "image_url", "input_image"})
_DEEP = 6


class Needs(msgspec.Struct, frozen=True):
    """What a request needs of a model; `tokens` is a guess on the safe side of prompt and answer together."""

    tokens: int = 0
    tools: bool = False
    vision: bool = False
    json_schema: bool = False

    def lacking(self, tier: Tier) -> str | None:
        """What a tier lacks for it, in words; None when it will do."""
        if self.tools and not tier.tools:
            return "it cannot call tools"
        if self.vision and not tier.vision:
            return "it cannot see images"
        if self.json_schema and not tier.json_schema:
            return "it knows no JSON schema"
        if tier.context_window is not None and self.tokens > tier.context_window:
            return f"about {self.tokens:,} tokens do not fit into {tier.context_window:,}"
        return None


def needs_of(request: Request) -> Needs:
    """What a request needs."""
    body = request.body
    held = _conversation(body)
    size, vision = _measure(held, _DEEP)
    size += _measure(body.get("system") or body.get("instructions"), _DEEP)[0]
    tools = body.get("tools") or body.get("functions")
    size += _measure(tools, _DEEP)[0]
    return Needs(
        tokens=size // BYTES_PER_TOKEN + answer_limit(request, ANSWER_TOKENS),
        tools=bool(tools),
        vision=vision,
        json_schema=schema_of(body) is not None,
    )


def answer_limit(request: Request, otherwise: int) -> int:
    """Tokens that the answer may have."""
    for name in _LIMITS:
        limit = request.body.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            return limit
    return otherwise


def prompt_tokens(request: Request) -> int:
    """About how many tokens are sent, for an expected cost: a quarter of the bytes of all text."""
    body = request.body
    size = sum(_measure(part, _DEEP)[0] for part in (_conversation(body), body.get("system"), body.get("tools")))
    return max(1, size // 4)


def schema_of(body: Mapping[str, Any]) -> Any:
    """The JSON schema that the answer is to follow, or None: chat, responses and messages say it in their own ways."""
    wanted = body.get("response_format")
    if not isinstance(wanted, Mapping):
        text = body.get("text") or body.get("output_config")
        wanted = text.get("format") if isinstance(text, Mapping) else body.get("output_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None
    inner = wanted.get("json_schema")
    holder = inner if isinstance(inner, Mapping) else wanted
    return holder.get("schema", {})


def wants_json(body: Mapping[str, Any]) -> bool:
    """Whether the answer is to be JSON."""
    wanted = body.get("response_format")
    if not isinstance(wanted, Mapping):
        text = body.get("text")
        wanted = text.get("format") if isinstance(text, Mapping) else None
    asked = isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")
    return asked or schema_of(body) is not None


def _conversation(body: Mapping[str, Any]) -> Any:
    return next((body[name] for name in ("messages", "input", "prompt") if body.get(name)), None)


def _measure(value: Any, deep: int) -> tuple[int, bool]:
    """Bytes of all text in a value, and whether there is an image in it; an image's own data does not count."""
    if isinstance(value, str):
        return (len(value) if value.isascii() else len(value.encode("utf-8", "replace"))), False
    if deep == 0:
        return 0, False
    if isinstance(value, Mapping):
        if value.get("type") in _IMAGES:
            return 0, True
        value = list(value.values())
    elif not isinstance(value, list | tuple):
        content = getattr(value, "content", None)
        return (0, False) if content is None else _measure(content, deep - 1)
    measured = [_measure(each, deep - 1) for each in value]
    return sum(size for size, _ in measured), any(image for _, image in measured)
