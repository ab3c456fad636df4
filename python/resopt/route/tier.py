"""Tiers, what each can do, and by what target the traffic is divided among them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.types import PICODOLLARS


class Tier(msgspec.Struct, frozen=True):
    """A model to route to. Tiers are listed from the cheapest to the most able.

    Attributes:
        name: what the tier is called in decisions, wishes and reports: `fast`, `balanced`, `powerful`.
        model: the model's name as requests and price books have it.
        context_window: tokens of prompt and answer together that it takes; None when that is no concern.
        tools: whether it can call tools.
        vision: whether it can see images.
        json_schema: whether it can answer in the form of a JSON schema.
        quality: mean quality of its answers from 0 to 1, where known; a tier that costs no less and is no better than
            another is dropped.
        api: the API shape it is asked in (`openai.chat`); None when the provider takes what comes.
        call: asks this model: takes a `Request`, returns a `Response` or the answer's text, or an awaitable of either.
            None for the router's provider.
    """

    name: str
    model: str
    context_window: int | None = None
    tools: bool = True
    vision: bool = True
    json_schema: bool = True
    quality: float | None = None
    api: str | None = None
    call: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        for name in ("name", "model"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"a tier's {name} must be a str that is not empty, not {value!r}")
        window: object = self.context_window
        if window is not None and (type(window) is not int or window <= 0):
            raise ConfigurationError(f"context_window of tier {self.name!r} must be tokens above 0, not {window!r}")
        quality: object = self.quality
        if quality is not None and not is_share(quality):
            raise ConfigurationError(f"quality of tier {self.name!r} must lie between 0 and 1, not {quality!r}")
        for name in ("tools", "vision", "json_schema"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(
                    f"{name} of tier {self.name!r} must be True or False, not {getattr(self, name)!r}"
                )
        if self.call is not None and not callable(self.call):
            raise ConfigurationError(f"call of tier {self.name!r} must be callable, not {type(self.call).__name__}")


class RoutePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """By what the traffic is divided among the tiers; make one with `share`, `dollars` or `loss`.

    Attributes:
        shares: share of requests by tier; tiers that are not named divide the rest as they would by default.
        picodollars: mean cost per request, in picodollars.
        quality_loss: mean quality that may be lost against asking the most able tier every time, from 0 to 1.
    """

    shares: tuple[tuple[str, float], ...] | None = None
    picodollars: int | None = None
    quality_loss: float | None = None

    @classmethod
    def share(cls, shares: Mapping[str, float] | None = None, **by_tier: float) -> RoutePolicy:
        """Give each tier this share of the requests: `RoutePolicy.share(powerful=0.1)`.

        Raises:
            ConfigurationError: a share is not from 0 to 1, or they add up to more than 1.
        """
        if shares is not None and not isinstance(shares, Mapping):
            raise ConfigurationError(f"shares must be a mapping of tier to share, not {type(shares).__name__}")
        wanted: dict[str, float] = {**(shares or {}), **by_tier}
        if not wanted:
            raise ConfigurationError("name at least one tier and its share: RoutePolicy.share(powerful=0.1)")
        for name, share in wanted.items():
            if not is_share(share):
                raise ConfigurationError(f"the share of tier {name!r} must lie between 0 and 1, not {share!r}")
        if sum(wanted.values()) > 1 + 1e-9:
            raise ConfigurationError(f"the shares add up to {sum(wanted.values()):.3f}, more than 1")
        return cls(shares=tuple(wanted.items()))

    @classmethod
    def dollars(cls, per_request: float) -> RoutePolicy:
        """Spend this much per request on average; needs prices.

        Raises:
            ConfigurationError: it is not a number of dollars above 0.
        """
        if not is_dollars(per_request):
            raise ConfigurationError(f"dollars per request must be a number above 0, not {per_request!r}")
        return cls(picodollars=round(per_request * PICODOLLARS))

    @classmethod
    def loss(cls, at_most: float) -> RoutePolicy:
        """Lose at most this much quality on average (0.02 is two points of 100); needs `router.fit`.

        Until the router is fitted every request goes to the most able tier: nothing is known of what others lose.

        Raises:
            ConfigurationError: it is not a number from 0 to 1.
        """
        if not is_share(at_most):
            raise ConfigurationError(f"a quality loss must lie between 0 and 1, not {at_most!r}")
        return cls(quality_loss=float(at_most))


def is_share(value: object) -> bool:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_dollars(value: object) -> bool:
    """Whether a value is a number of dollars above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6


def is_seconds(value: object) -> bool:
    """Whether a value is a number of seconds above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def default_shares(count: int) -> list[float]:
    """Shares of `count` tiers by default: each half of the one below it (2/3 and 1/3; 4/7, 2/7 and 1/7)."""
    weights = [2.0 ** (count - place - 1) for place in range(count)]
    return [weight / sum(weights) for weight in weights]


def shares_of(policy: RoutePolicy, names: list[str]) -> list[float]:
    """The share of each tier, the cheapest first, as the policy's shares have it.

    Raises:
        ConfigurationError: the policy names a tier that there is not, or leaves a rest that no tier gets.
    """
    wanted = dict(policy.shares or ())
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ConfigurationError(f"the policy names tiers that there are not: {', '.join(unknown)}; have {names}")
    rest = max(0.0, 1.0 - sum(wanted.values()))
    others = [name for name in names if name not in wanted]
    if not others and rest > 1e-9:
        raise ConfigurationError(f"the shares of all tiers must add up to 1, not {1 - rest:.3f}")
    for name, share in zip(others, default_shares(len(others)), strict=True):
        wanted[name] = rest * share
    return [wanted[name] for name in names]


def left_of(policy: RoutePolicy, given: Sequence[Tier], left: Sequence[Tier]) -> RoutePolicy:
    """The policy for the tiers that are left: what a dropped one was to get goes to the next above that is left.

    Raises:
        ConfigurationError: as for `shares_of`.
    """
    if policy.shares is None or len(given) == len(left):
        return policy
    names, kept = [tier.name for tier in given], {tier.name for tier in left}
    shares = dict.fromkeys((tier.name for tier in left), 0.0)
    for place, share in enumerate(shares_of(policy, names)):
        heirs = [name for name in (*names[place:], *reversed(names[:place])) if name in kept]
        shares[heirs[0]] += share
    return RoutePolicy(shares=tuple(shares.items()))


def several(what: str, given: Any) -> tuple[Any, ...]:
    """Several things as a tuple.

    Raises:
        ConfigurationError: it is one thing, or a str.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{what} must be several in a list, not {given!r}")
    return tuple(given)


def check_tiers(tiers: Sequence[Tier]) -> tuple[Tier, ...]:
    """The tiers as a tuple.

    Raises:
        ConfigurationError: there are none or too many, one is no `Tier`, or two have a name in common.
    """
    found = several("tiers", tiers)
    if not 1 <= len(found) <= 16:
        raise ConfigurationError(f"a router has 1 to 16 tiers, not {len(found)}")
    for tier in found:
        if not isinstance(tier, Tier):
            raise ConfigurationError(f'tiers must be Tier("fast", "gpt-4o-mini"), …, not {type(tier).__name__}')
    for called in ([tier.name for tier in found], [tier.model for tier in found]):
        if len(set(called)) != len(called):
            raise ConfigurationError(f"two tiers are called alike: {', '.join(called)}")
    return found


def digest(tiers: tuple[Tier, ...], policy: RoutePolicy, extra: str) -> str:
    """A short name of the settings that can change an answer; what was learnt is not among them."""
    settings = [
        [tier.name, tier.model, tier.context_window, tier.tools, tier.vision, tier.json_schema, tier.api]
        for tier in tiers
    ]
    said = msgspec.json.encode(["1", settings, [policy.shares, policy.picodollars, policy.quality_loss], extra])
    return hashlib.sha256(said).hexdigest()[:16]
