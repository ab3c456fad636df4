"""Public prices from the `genai-prices` package: its pinned snapshot read as `Price`s, its network code left alone."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from resopt.errors import MissingExtraError
from resopt.metrics.prices import Price

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from genai_prices.types import ModelInfo, ModelPrice

_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}
_BEYOND_TOKENS = ("requests_kcount", "output_reasoning_mtok")
"""Charges that every call, or the tokens we count, would owe besides the four rates: with one, the price is unknown."""


def source(at: datetime | None) -> Callable[[str], Price | None]:
    """A function from model name to its price at the moment `at`, or None where the snapshot cannot say.

    `openai/gpt-4o` names the provider; a name without one is given to the provider that `genai-prices` sees behind it.

    Raises:
        MissingExtraError: `genai-prices` is not installed.
    """
    try:
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot
    except ImportError as error:
        raise MissingExtraError("public prices need genai-prices: pip install 'resopt[prices]'") from error
    from datetime import UTC, datetime

    moment = at or datetime.now(UTC)

    def find(model: str) -> Price | None:
        # Built on the package's own data for each name: `get_snapshot()` may hold what somebody's updater fetched, and
        # a snapshot remembers every name it was ever asked for.
        snapshot = DataSnapshot(providers=providers, from_auto_update=False)
        provider, slash, name = model.partition("/")
        for reference, provider_id in ((name, provider), (model, None)) if slash else ((model, None),):
            try:
                _, info = snapshot.find_provider_model(reference, None, provider_id, None)
            except LookupError:
                continue
            return _price(info, moment)
        return None

    return find


def _price(info: ModelInfo, moment: datetime) -> Price | None:
    listed = _listed(info, moment)
    if listed is None or any(getattr(listed, name, None) is not None for name in _BEYOND_TOKENS):
        return None
    if listed.input_mtok is None or listed.output_mtok is None:
        return None
    starts = {tier.start for name in _FIELDS.values() for tier in getattr(getattr(listed, name), "tiers", ())}
    above = {start: Price(**_at(listed, start + 1)) for start in starts if start > 0}
    return Price(**_at(listed, 1), above=above)


def _listed(info: ModelInfo, moment: datetime) -> ModelPrice | None:
    """The entry that is valid at the moment; None when that depends on the hour of the day."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    if isinstance(info.prices, ModelPrice):
        return info.prices
    for entry in reversed(info.prices):
        if isinstance(entry.constraint, TimeOfDateConstraint):
            return None
        if entry.constraint is None or entry.constraint.active(moment):
            return entry.prices
    return info.prices[0].prices if info.prices else None


def _at(listed: ModelPrice, input_tokens: int) -> dict[str, Any]:
    """The four rates of a call with so many input tokens; the tier reached counts for the whole call."""
    rates: dict[str, Any] = {}
    for field, name in _FIELDS.items():
        value = getattr(listed, name)
        if value is not None and not isinstance(value, Decimal):
            reached = [tier.price for tier in value.tiers if input_tokens > tier.start]
            value = reached[-1] if reached else value.base
        rates[field] = value
    return rates
