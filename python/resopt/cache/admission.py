"""Admission: which answers are good enough to keep, for whom and for how long.

A truncated, filtered, empty or interrupted answer that is stored is served again and again; so only what said all it
had to say is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from resopt.cache.freshness import GENERIC, Decision
from resopt.types import Step

if TYPE_CHECKING:
    from resopt.types import Request, Response

COMPLETE: Final = frozenset({"stop", "tool_calls", "function_call", "end_turn", "stop_sequence", "tool_use", "eos"})
"""Finish reasons of an answer that said all it had to say; any other, or none, is not stored."""

# Tags of our own begin with NUL, which `request.tags` cannot: they never meet.
MODEL: Final = "\0model:"
USER: Final = "\0user:"


class Plan(msgspec.Struct, frozen=True):
    """What may be done with the answer to a request.

    Attributes:
        key: under which it may be shared and stored; None when it is for this caller alone.
        decision: what the freshness rules say of the question.
        ttl: seconds it may be served; None for the cache's own.
        steps: the reasons, for the trace.
    """

    key: bytes | None
    decision: Decision = GENERIC
    ttl: float | None = None
    steps: tuple[Step, ...] = ()


def unfit(response: Response) -> str:
    """Why an answer must not be stored; empty when it may."""
    if response.finish_reason is None:
        return "no finish reason: it may have been interrupted"
    if response.finish_reason not in COMPLETE:
        return f"ended by {response.finish_reason}"
    if not response.text.strip() and not response.tool_calls:
        return "empty"
    return ""


def shorter(one: float | None, other: float | None) -> float | None:
    """The smaller of two times to live, where None sets no limit."""
    known = [ttl for ttl in (one, other) if ttl is not None]
    return min(known) if known else None


def own_tags(request: Request, response: Response | None, user: str | None) -> list[str]:
    """Tags of our own: the models asked for and served, and the user whose own the answer is."""
    models = {request.model} if response is None else {request.model, response.model}
    return [MODEL + model for model in sorted(models)] + ([] if user is None else [USER + user])
