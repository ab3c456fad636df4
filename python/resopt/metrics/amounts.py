"""What one request cost and would have cost, in picodollars; None wherever a price or the usage is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resopt.metrics.record import Money, Record, ids, refused
from resopt.types import EVERYONE, NO_USAGE

if TYPE_CHECKING:
    from resopt.metrics.prices import PriceBook
    from resopt.metrics.scopes import Scopes
    from resopt.types import Request, Response, Usage

_INFINITY = float("inf")


def price(prices: PriceBook, model: str, fallback: str | None, usage: Usage | None) -> int | None:
    """The cost at a model, or at its other name where that alone has a price; an answer of no tokens has none."""
    if usage is None or not (usage.input_tokens or usage.output_tokens):
        return None
    cost = prices.cost(model, usage)
    return cost if cost is not None or fallback is None else prices.cost(fallback, usage)


def spent(
    prices: PriceBook,
    money: Money,
    mechanism: str | None,
    model: str,
    served_model: str | None,
    usage: Usage | None,
) -> tuple[int | None, int | None]:
    """Cost and baseline of a request that went upstream, or failed to.

    Without a mechanism the model asked for and the one that answered are one model under two names (an alias and a
    dated release): the baseline is the call itself. With one (`route`), each is priced by its own name.
    """
    if money is Money.FAILED and (usage is None or not (usage.input_tokens or usage.output_tokens)):
        return 0, 0
    if mechanism is None:
        cost = price(prices, served_model or model, model, usage)
        return cost, cost
    return price(prices, served_model or model, None, usage), price(prices, model, None, usage)


def of_hit(prices: PriceBook, scopes: Scopes, ts: float, request: Request, found: Response, latency: float) -> Record:
    """The record of an answer from memory; its trace says by what mechanism, how old and by which decisions.

    Raises:
        ConfigurationError: a latency is negative or not a number.
    """
    usage, trace, scope, model = found.usage, found.trace, request.scope, request.model
    upstream = found.latency or latency
    if not (0.0 <= latency < _INFINITY and 0.0 <= upstream < _INFINITY):
        raise refused("hit", latency, found.latency)
    saved = price(prices, model, found.model, usage)
    return Record(
        ts,
        ids.next(),
        "hit",
        trace.mechanism or "hit",
        model,
        found.model,
        NO_USAGE,
        usage or NO_USAGE,
        0,
        saved,
        saved,
        latency,
        upstream,
        trace.steps,
        "" if scope is EVERYONE else scopes.digest(scope),
        trace.age,
        None,
        (),
        trace.key,
    )
