"""Conversations: what a conversation was about keeps its model up for a while, and a warm prefix is worth something.

"Commit it" after an hour of hard work is no simple question. So a conversation's level goes up with a question at once
and comes down by a part of the way with each that follows. And moving to another model loses the prefix that the
provider has cached for this one: a move down is made only when the call is still cheaper with the prefix read afresh.
"""

from __future__ import annotations

import hashlib
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


def session_keys(request: Request | None, named: str | None) -> tuple[Any, Any]:
    """By what the conversation that a request continues is known, and by what it is from now on; None for by nothing.

    By its name, or whose it is and how it began. Conversations of nobody may begin alike ("hi"); they are known by all
    that was said so far, so that no two of them share anything but what they have in common.

    Args:
        request: None for a text alone, which belongs to a conversation only by name.
        named: the name.
    """
    if request is None:
        alone = None if named is None else (None, None, "", named)
        return alone, alone
    scope = request.scope
    owner = (scope.tenant, scope.user, scope.namespace)
    if named is not None:
        return (*owner, named), (*owner, named)
    messages = request.body.get("messages") or request.body.get("input")
    if not isinstance(messages, list | tuple) or not messages:
        return None, None
    answers = [place for place, message in enumerate(messages) if _field(message, "role") == "assistant"]
    if scope.tenant is None and scope.user is None:
        before, whole = _digests(messages, answers[-1] if answers else 0)
        return (*owner, before) if before and answers else None, (*owner, whole) if whole else None
    first = next((message for message in messages if _field(message, "role") == "user"), None)
    text = _field(first, "content")
    key = (*owner, text[:500]) if isinstance(text, str) and text else None
    return key if answers else None, key


def _digests(messages: list[Any] | tuple[Any, ...], place: int) -> tuple[bytes, bytes]:
    """What stands for the messages before a place and for all of them; empty when that cannot be said."""
    digest, before = hashlib.blake2b(digest_size=16), b""
    try:
        for at, message in enumerate(messages):
            if at == place:
                before = digest.digest()
            digest.update(msgspec.json.encode(message, enc_hook=repr) + b"\n")
    except (TypeError, ValueError, RecursionError):
        return b"", b""
    return before, digest.digest()


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
