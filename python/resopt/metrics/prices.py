"""What tokens cost: exact integers, from the user's own prices or a pinned snapshot; nothing is ever fetched.

Prices are written as providers publish them, in dollars per million tokens, and kept as picodollars (10**-12 dollars)
per token: 2.50 dollars per million tokens is 2,500,000 picodollars per token. That conversion is the only place where
money is rounded (half to even, at the seventh decimal of dollars per million); every cost after it is an exact integer.
A model without a price is unknown (`None`), never free.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from resopt.types import Usage

Amount: TypeAlias = str | int | float | Decimal
"""Dollars per million tokens. A float means the number it prints as: 0.1 is one tenth, not its binary neighbour."""

Rates: TypeAlias = tuple[int, int, int, int, tuple[tuple[int, Any], ...]]
"""Picodollars per token of fresh input, cached input, cache writes and output; then (tokens, rates), highest first."""

_PICODOLLARS_PER_TOKEN = Decimal(10**6)
"""One dollar per million tokens, in picodollars per token."""

_LARGEST = Decimal(10**6)
"""A dollar per token: anything above is a price in another unit."""

_REMEMBERED = 4_096
"""Model names whose price is remembered; callers choose names, so the memory of them is bounded."""

_DATE = r"[-@](?:20\d{2}-(?:0[1-9]|1[0-2])-[0-3]\d|20\d{2}(?:0[1-9]|1[0-2])[0-3]\d|latest)"


class Price(msgspec.Struct, frozen=True):
    """What one model charges, in dollars per million tokens (str, int, float or Decimal; kept as Decimal).

    Attributes:
        input: input tokens that come neither from nor into the provider's prefix cache.
        output: output tokens, reasoning included.
        cached_input: input tokens read from the provider's prefix cache; None when they cost as much as `input`.
        cache_write: input tokens written to it; None when they cost as much as `input`.
        above: prices for long prompts: above that many input tokens in all, the whole call is charged at that price.

    Raises:
        ConfigurationError: a price is negative, not a number, more than a dollar per token, or finer than can be kept.
    """

    input: Amount
    output: Amount
    cached_input: Amount | None = None
    cache_write: Amount | None = None
    above: Mapping[int, Price] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached_input", "cache_write"):
            value = getattr(self, name)
            if value is not None or name in ("input", "output"):
                msgspec.structs.force_setattr(self, name, _amount(name, value))
        above: Any = self.above
        if not isinstance(above, Mapping):
            raise ConfigurationError(f"above must map input tokens to a Price, not be {type(above).__name__}")
        for tokens, price in above.items():
            if type(tokens) is not int or tokens <= 0 or not isinstance(price, Price) or price.above:
                raise ConfigurationError(
                    f"above must map input tokens (ints above 0) to a Price without an above of its own, not {tokens!r}"
                )
        msgspec.structs.force_setattr(self, "above", dict(above))

    def rates(self) -> Rates:
        """The price as picodollars per token, as `Rates` has them."""
        input_rate = _rate(self.input)
        cached = input_rate if self.cached_input is None else _rate(self.cached_input)
        write = input_rate if self.cache_write is None else _rate(self.cache_write)
        tiers = tuple((tokens, self.above[tokens].rates()) for tokens in sorted(self.above, reverse=True))
        return (input_rate, cached, write, _rate(self.output), tiers)


class PriceBook:
    """The prices of many models, found by the names that requests and providers use.

    A name is looked for, upper and lower case alike, in this order, and the first that is in the book counts:

    1. as it is: `openai/gpt-4o-2024-08-06`;
    2. without a date or `latest` at its end (`-2024-08-06`, `-20240806`, `@20240806`, `-latest`): `openai/gpt-4o`;
    3. both again without the part before the first slash, as often as there is one: `gpt-4o-2024-08-06`, `gpt-4o`.

    Anything else is unknown: a `gpt-4o` price says nothing about `gpt-4o-mini`, `ft:gpt-4o` or `gpt-4o:free`.

    Args:
        prices: by model name a `Price`, a mapping of its fields, or the pair (input, output).

    Raises:
        ConfigurationError: a name or price makes no sense; the message names it.
    """

    __slots__ = ("_prices", "_rates", "_source")

    def __init__(self, prices: Mapping[str, Price | Mapping[str, Any] | tuple[Amount, Amount]] | None = None) -> None:
        if prices is not None and not isinstance(prices, Mapping):
            raise ConfigurationError(f"prices must map model names to prices, not be {type(prices).__name__}")
        self._prices: dict[str, Price] = {}
        self._rates: dict[str, Rates | None] = {}
        self._source: Callable[[str], Price | None] | None = None
        names: Any = prices or {}
        for name, price in names.items():
            if not isinstance(name, str) or not name:
                raise ConfigurationError(f"a model name must be a str that is not empty, not {name!r}")
            if name.lower() in self._prices:
                raise ConfigurationError(f"model {name!r} has two prices; upper and lower case are not told apart")
            self._prices[name.lower()] = _price(name, price)

    @classmethod
    def bundled(
        cls,
        overrides: Mapping[str, Price | Mapping[str, Any] | tuple[Amount, Amount]] | None = None,
        *,
        at: datetime | None = None,
    ) -> PriceBook:
        """The public prices in the installed release of `genai-prices` (extra `prices`), with the user's own in front.

        Only the snapshot inside that package is read: no network, no thread, whatever else in the process updates it.
        Models whose price depends on more than token counts (a fee per request, the hour of the day, reasoning tokens
        charged apart) are unknown here, as are those it lists without a price. Extras that no token count shows (web
        searches, audio, images, one-hour cache writes) are not included.

        Args:
            overrides: the user's own prices, as for `PriceBook`.
            at: the moment whose prices count; now, when None.

        Raises:
            MissingExtraError: `genai-prices` is not installed.
        """
        from resopt.metrics.bundled import source

        book = cls(overrides)
        book._source = source(at)
        return book

    def price(self, model: str) -> Price | None:
        """The price found for a model name, or None when it is unknown."""
        if not isinstance(model, str):
            raise ConfigurationError(f"model must be a str, not {type(model).__name__}")
        for name in _names(model.lower()):
            if (price := self._prices.get(name)) is not None:
                return price
        return None if self._source is None else self._source(model)

    def cost(self, model: str, usage: Usage) -> int | None:
        """Picodollars that `usage` costs at `model`'s price.

        None when the model is unknown, or when the usage contradicts itself (a negative count, or more tokens cached
        and written than there are input tokens): what is unknown is not guessed.
        """
        try:
            rates = self._rates[model]
        except KeyError:
            rates = self._resolve(model)
        if rates is None:
            return None
        input_tokens = usage.input_tokens
        cached = usage.cached_input_tokens
        written = usage.cache_write_tokens
        output = usage.output_tokens
        fresh = input_tokens - cached - written
        if fresh < 0 or cached < 0 or written < 0 or output < 0:
            return None
        input_rate, cached_rate, write_rate, output_rate, tiers = rates
        for above, tier in tiers:
            if input_tokens > above:
                input_rate, cached_rate, write_rate, output_rate, _ = tier
                break
        return fresh * input_rate + cached * cached_rate + written * write_rate + output * output_rate

    def _resolve(self, model: str) -> Rates | None:
        price = self.price(model)
        rates = None if price is None else price.rates()
        if len(self._rates) >= _REMEMBERED:
            self._rates.clear()
        self._rates[model] = rates
        return rates


def _names(model: str) -> list[str]:
    """The names a model may be listed under, the most exact first."""
    names = []
    while True:
        names.append(model)
        undated = re.sub(_DATE + r"\Z", "", model)
        if undated and undated != model:
            names.append(undated)
        _, slash, model = model.partition("/")
        if not slash or not model:
            return names


def _price(name: str, value: Any) -> Price:
    try:
        if isinstance(value, Price):
            return value
        if isinstance(value, Mapping):
            return Price(**value)
        if isinstance(value, tuple) and len(value) == 2:
            return Price(*value)
    except (ConfigurationError, TypeError) as error:
        raise ConfigurationError(f"price of {name!r}: {error}") from error
    raise ConfigurationError(
        f"price of {name!r} must be Price(input, output), a mapping of its fields or a pair (input, output), "
        f"not {value!r}"
    )


def _amount(name: str, value: Any) -> Decimal:
    """Dollars per million tokens as an exact, checked Decimal."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ConfigurationError(f"{name} must be dollars per million tokens, not {type(value).__name__}")
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ConfigurationError(f"{name} must be dollars per million tokens, not {value!r}") from None
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"{name} must be dollars per million tokens from 0 up, not {value!r}")
    if amount > _LARGEST:
        raise ConfigurationError(f"{name} is {value!r} dollars per million tokens, more than a dollar for each token")
    if amount and not _rate(amount):
        raise ConfigurationError(f"{name} is {value!r} dollars per million tokens, less than can be counted (0.000001)")
    return amount


def _rate(amount: Amount) -> int:
    """Picodollars per token of dollars per million tokens."""
    return int((Decimal(amount) * _PICODOLLARS_PER_TOKEN).to_integral_value(ROUND_HALF_EVEN))
