"""What is known of an API's wire format: how a reply is read, and how a whole reply and a stream turn into each other.

Streams are recorded as their events, one JSON object each, without the framing of server-sent events (`data:`,
`[DONE]`, comments and pings are transport). What a whole reply says that a stream cannot, and the reverse, is `None`
here: then what was stored does not fit, and the caller's request goes upstream.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resopt.types import Response


class UnusableReplyError(Exception):
    """What came is no answer of this API; the text says why."""


class Dialect(Protocol):
    """One API's wire format. Stateless; methods may be called from any thread."""

    @property
    def api(self) -> str:
        """The name in `Request.api`, such as `openai.chat`."""
        ...

    def read(self, body: bytes, seconds: float) -> Response:
        """The answer in a whole reply.

        Args:
            body: the reply's JSON, byte for byte.
            seconds: how long the upstream call took.

        Raises:
            UnusableReplyError: it is no reply of this API, holds an error in place of one, or lacks a choice (`n`).
        """
        ...

    def assemble(self, events: Sequence[bytes]) -> bytes:
        """The whole reply that a stream's events add up to, as the API would have sent it without streaming.

        Args:
            events: all events in order, one JSON object each.

        Raises:
            UnusableReplyError: the stream did not end cleanly, or is not of this API.
        """
        ...

    def whole(self, response: Response) -> bytes | None:
        """The stored answer for a caller who does not stream; None when a stream left out what belongs there."""
        ...

    def replay(self, response: Response, body: Mapping[str, Any]) -> Sequence[bytes] | None:
        """The stored answer for a caller who streams: the events as they came, or cut from the whole reply.

        Args:
            response: the stored answer.
            body: the caller's request body (`stream_options.include_usage` decides what is in the stream).

        Returns:
            The events in order; None when what was stored cannot answer this caller.
        """
        ...


_DIALECTS = {
    "openai.chat": "resopt.providers.openai_stream:OpenAIChat",
    "openai.responses": "resopt.providers.openai_responses:OpenAIResponses",
    "anthropic.messages": "resopt.providers.anthropic_reply:AnthropicMessages",
}


@cache
def dialect_of(api: str) -> Dialect | None:
    """The wire format of an API by its name in `Request.api`, loaded on first use; None when it is not known."""
    place = _DIALECTS.get(api)
    if place is None:
        return None
    module, _, name = place.partition(":")
    return cast("Dialect", getattr(import_module(module), name)())
