"""The money of a request that was not answered the way it was asked: another model, a shorter prompt, further calls.

The baseline is what the caller's own request would have cost at the model asked for. The difference is split so that
every mechanism accounts for its own step and the steps add up exactly: what the prompt stage took out at the price of
the model asked for, then the other model, then the discount; further calls are a loss of whoever made them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from resopt.types import NO_USAGE, Detour, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    Pricing: TypeAlias = Callable[[str, str | None, Usage | None], int | None]
    Parts: TypeAlias = tuple[tuple[str, int], ...]


def detoured(
    price: Pricing,
    saved: bool,  # noqa: FBT001
    mechanism: str | None,
    model: str,
    served_model: str | None,
    usage: Usage | None,
    detour: Detour,
) -> tuple[int | None, int | None, Parts]:
    """Cost, baseline and the parts of the difference, in picodollars; None and no parts where a price is unknown.

    Args:
        price: `price(model, its other name, usage)`.
        saved: whether the answer itself was not billed for this request (a hit).
        mechanism: what avoided money; of a hit, what served it; else what chose another model.
        model: the model asked for.
        served_model: the model that answered.
        usage: the tokens of the answer.
        detour: what was different.
    """
    whole = price(model, served_model if saved or mechanism is None else None, longer(usage, detour))
    if whole is None:
        return None, None, ()
    further = [(call.mechanism, price(call.model, None, call.usage)) for call in detour.also]
    parts: dict[str, int] = {}
    steps = (
        [(mechanism or "hit", whole)] if saved else _steps(price, mechanism, model, served_model, usage, detour, whole)
    )
    for name, amount in (*steps, *((name, None if cost is None else -cost) for name, cost in further)):
        if amount is None:
            return None, whole, ()
        if amount or name == mechanism:
            parts[name] = parts.get(name, 0) + amount
    return whole - sum(parts.values()), whole, tuple(parts.items()) if len(parts) > 1 or not mechanism else ()


def _steps(
    price: Pricing,
    mechanism: str | None,
    model: str,
    served_model: str | None,
    usage: Usage | None,
    detour: Detour,
    whole: int,
) -> list[tuple[str, int | None]]:
    """What each mechanism took off the price, from the caller's own request to what was billed."""
    other = served_model if mechanism is None else None
    asked = price(model, other, usage)
    served = asked if mechanism is None else price(served_model or model, None, usage)
    steps = [("prompt", _less(whole, asked))] if detour.shortened else []
    if mechanism is not None:
        steps.append((mechanism, _less(asked, served)))
    if detour.discount:
        steps.append(("deferred", None if served is None else served * detour.discount // 100))
    return steps


def _less(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else before - after


def longer(usage: Usage | None, detour: Detour) -> Usage | None:
    """The usage of the caller's own request.

    What was taken out would have been read from the provider's prefix cache, or written to it, as the rest was.
    """
    if usage is None or not detour.shortened:
        return usage
    replayed = min(max(detour.replayed, 0), max(detour.shortened, 0))
    read = replayed if usage.cached_input_tokens else 0
    written = max(0, detour.shortened - read) if usage.cache_write_tokens else 0
    return msgspec.structs.replace(
        usage,
        input_tokens=max(0, usage.input_tokens + detour.shortened),
        cached_input_tokens=usage.cached_input_tokens + read,
        cache_write_tokens=usage.cache_write_tokens + written,
    )


def used(saved: bool, usage: Usage | None, detour: Detour) -> tuple[Usage, Usage]:  # noqa: FBT001
    """Tokens billed and tokens not billed for a request that took a detour."""
    own = usage or NO_USAGE
    removed = Usage(input_tokens=max(0, detour.shortened))
    billed = [call.usage for call in detour.also if call.usage is not None]
    return (total(*billed), total(own, removed)) if saved else (total(own, *billed), removed)


def total(*usages: Usage) -> Usage:
    """The sum of several usages."""
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in Usage.__struct_fields__})
