"""Conversations: what a conversation was about keeps its model up for a while, and a warm prefix is worth something.

"Commit it" after an hour of hard work is no simple question. So a conversation's level goes up with a question at once
and comes down by a part of the way with each that follows. And moving to another model loses the prefix that the
provider has cached for this one: a move down is made only when the call is still cheaper with the prefix read afresh.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.types import Request

DOWN = 0.3
"""The part of the way down to an easier question's percentile that one such question takes."""

WARM = 300.0
"""Seconds for which providers keep a prefix after it was last used."""

_MOST = 10_000


class Session(msgspec.Struct):
    """One conversation: level (a percentile), tier of the last call, tokens of its prompt, when it was."""

    level: float
    tier: int
    prompt: int = 0
    at: float = 0.0


class Sessions:
    """The conversations of a router, the latest 10,000.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: OrderedDict[Any, Session] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Any) -> Session | None:
        """A copy of what is known of a conversation."""
        with self._lock:
            held = self._held.get(key)
            return None if held is None else msgspec.structs.replace(held)

    def level(self, session: Session | None, percentile: float) -> float:
        """The percentile to route by: up at once, down slowly."""
        if session is None or percentile >= session.level:
            return percentile
        return session.level - DOWN * (session.level - percentile)

    def warm_tokens(self, session: Session) -> int:
        """Tokens of the conversation that the provider is likely to have cached for the tier of its last call."""
        return session.prompt if self._clock() - session.at < WARM else 0

    def keep(self, key: Any, level: float, tier: int, prompt: int) -> None:
        """Take note of a call."""
        with self._lock:
            self._held[key] = Session(level, tier, prompt, self._clock())
            self._held.move_to_end(key)
            if len(self._held) > _MOST:
                self._held.popitem(last=False)


def session_key(request: Request, named: str | None) -> Any:
    """By what a conversation is known: its name, or whose it is and how it began; None for a single question."""
    scope = request.scope
    if named is not None:
        return (scope.tenant, scope.user, named)
    messages = request.body.get("messages") or request.body.get("input")
    if not isinstance(messages, list | tuple) or not messages:
        return None
    first = next((message for message in messages if _role(message) == "user"), None)
    text = _field(first, "content")
    return (scope.tenant, scope.user, text[:500]) if isinstance(text, str) and text else None


def is_continued(request: Request) -> bool:
    """Whether the model has spoken in the conversation before."""
    messages = request.body.get("messages") or request.body.get("input")
    return isinstance(messages, list | tuple) and any(_role(message) == "assistant" for message in messages)


def _role(message: Any) -> Any:
    return _field(message, "role")


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
