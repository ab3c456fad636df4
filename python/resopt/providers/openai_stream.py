"""OpenAI's chat completions and their streams: how what was stored answers whoever asks, streaming or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.providers import openai_chunks
from resopt.providers.openai_cut import cut
from resopt.providers.openai_reply import to_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.types import Response

_KNOWN_OPTIONS = frozenset({"include_usage", "include_obfuscation"})


class OpenAIChat:
    """The wire format of `openai.chat`."""

    api = "openai.chat"

    def read(self, body: bytes, seconds: float) -> Response:
        """The answer in a chat completion; of several choices, the first, ended as the worst of them.

        Raises:
            UnusableReplyError: it is no chat completion, or holds an error or no choices.
        """
        return to_response(body, seconds)

    def assemble(self, events: Sequence[bytes]) -> bytes:
        """The chat completion that chunks add up to.

        Raises:
            UnusableReplyError: a choice did not end, an error came in between, or pieces contradict each other.
        """
        return openai_chunks.assemble(events)

    def whole(self, response: Response) -> bytes | None:
        """The reply in one piece; None when it was streamed without usage, which belongs there."""
        return (response.body or None) if response.events is None or response.usage is not None else None

    def replay(self, response: Response, body: Mapping[str, Any]) -> Sequence[bytes] | None:
        """The chunks, with usage where the caller's `stream_options` ask for it and without where they do not.

        None when usage is asked for and unknown, when the reply holds what chunks cannot carry, or when the caller
        asks for what only the server can do (`continuous_usage_stats` of vLLM).
        """
        options = body.get("stream_options")
        options = options if isinstance(options, Mapping) else {}
        if any(value for name, value in options.items() if name not in _KNOWN_OPTIONS):
            return None
        include_usage = bool(options.get("include_usage"))
        if response.events is None:
            return cut(response.body, include_usage=include_usage) if response.body else None
        if include_usage:
            return response.events if response.usage is not None else None
        return _without_usage(response.events)


def _without_usage(events: Sequence[bytes]) -> Sequence[bytes]:
    """The chunks of a caller who did not ask for usage: one chunk less, and no `usage: null` in the others."""
    if not any(b'"usage"' in event for event in events):
        return events
    left = []
    for event in events:
        chunk = msgspec.json.decode(event)
        if chunk.get("usage", 0) is None:
            del chunk["usage"]
            left.append(msgspec.json.encode(chunk))
        elif "usage" not in chunk or chunk.get("choices"):
            left.append(event)  # a server that says it unasked
    return left
