"""Which tiers may serve a request, and which of them is nearest to the one that the score asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from resopt.errors import RoutingError
from resopt.route.complexity import Complexity
from resopt.route.money import TYPICAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.route.health import Health
    from resopt.route.money import Costs
    from resopt.route.needs import Needs
    from resopt.route.tier import Tier
    from resopt.route.wishes import Wishes


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Which model is asked, and why.

    Attributes:
        model: the model's name.
        tier: name of the tier; None when the model asked for is none of the router's and stays.
        score: 1 to 10, the complexity against the traffic seen so far.
        reasons: why, in words: what moved the choice first, then what the score is made of.
        expected_cost: picodollars that the call is expected to cost; None when a price is unknown.
        complexity: the score in full; None when the request was not judged.
        policy: version of the settings under which it was made.
    """

    model: str
    tier: str | None
    score: int
    reasons: tuple[str, ...]
    expected_cost: int | None
    complexity: Complexity | None
    policy: str


def barred(tiers: Sequence[Tier], wishes: Wishes, needs: Needs | None, api: str | None) -> dict[int, str]:
    """The tiers that must not serve a request, by place, each with the reason.

    Raises:
        RoutingError: a wish names a tier that there is not.
    """
    names = [tier.name for tier in tiers]
    known = {*names, *(tier.model for tier in tiers)}
    unknown = sorted((wishes.allow | wishes.deny | {*filter(None, (wishes.min_tier, wishes.max_tier))}) - known)
    if unknown:
        raise RoutingError(f"no tier or model is called {', '.join(unknown)}; the router has {', '.join(names)}")
    lowest = _place(tiers, wishes.min_tier, 0)
    highest = _place(tiers, wishes.max_tier, len(tiers) - 1)
    reasons = {}
    for place, tier in enumerate(tiers):
        called = {tier.name, tier.model}
        lacking = None if needs is None else needs.lacking(tier)
        if place < lowest:
            reasons[place] = f"below the lowest tier wished for, {wishes.min_tier}"
        elif place > highest:
            reasons[place] = f"above the highest tier wished for, {wishes.max_tier}"
        elif wishes.allow and not called & wishes.allow:
            reasons[place] = "not among those allowed"
        elif called & wishes.deny:
            reasons[place] = "denied"
        elif lacking is not None:
            reasons[place] = lacking
        elif tier.api is not None and api is not None and tier.api != api:
            reasons[place] = f"it is asked as {tier.api}, the request is {api}"
    return reasons


def nearest(tiers: Sequence[Tier], wanted: int, out: dict[int, str], health: Health) -> tuple[int, list[str]]:
    """The tier to ask: the wanted one, else the next one above, else the next one below; and what stood in the way.

    A model that rests is passed over, unless all that remain rest.

    Raises:
        RoutingError: every tier is barred; the message says why each is.
    """
    open_tiers = [place for place in range(len(tiers)) if place not in out]
    if not open_tiers:
        why = "; ".join(f"{tiers[place].name}: {reason}" for place, reason in out.items())
        raise RoutingError(f"no tier may serve this request: {why}")
    well = [place for place in open_tiers if not health.resting(tiers[place].model)] or open_tiers
    chosen = min(well, key=lambda place: (place < wanted, abs(place - wanted)))
    notes = []
    if chosen != wanted:
        reason = out.get(wanted, "it has failed lately and rests")
        notes.append(f"{tiers[chosen].name} in place of {tiers[wanted].name}: {reason}")
    return chosen, notes


def without_dominated(tiers: Sequence[Tier], costs: Costs) -> tuple[tuple[Tier, ...], tuple[str, ...]]:
    """The tiers that are worth having, and a note on each that is not: another costs no more and is no worse.

    A later tier counts as the better one unless both name a `quality`.
    """
    typical = [costs.of(tier.model, TYPICAL) for tier in tiers]
    kept: list[Tier] = []
    notes = []
    for place, tier in enumerate(tiers):
        by = next((other for other in range(len(tiers)) if _dominates(tiers, typical, other, place)), None)
        if by is None:
            kept.append(tier)
        else:
            notes.append(f"{tier.name} ({tier.model}) is dropped: {tiers[by].model} costs no more and is no worse")
    return tuple(kept), tuple(notes)


def _dominates(tiers: Sequence[Tier], costs: list[int | None], one: int, other: int) -> bool:
    cost, other_cost = costs[one], costs[other]
    if (
        one == other
        or cost is None
        or other_cost is None
        or cost > other_cost
        or not _can_all(tiers[one], tiers[other])
    ):
        return False
    quality, other_quality = tiers[one].quality, tiers[other].quality
    if quality is not None and other_quality is not None:
        if quality == other_quality and cost == other_cost:
            return one > other
        return quality >= other_quality
    return one > other


def _can_all(one: Tier, other: Tier) -> bool:
    """Whether a tier can do all that another can."""
    room = one.context_window is None or (
        other.context_window is not None and one.context_window >= other.context_window
    )
    abilities = ("tools", "vision", "json_schema")
    return room and all(getattr(one, name) or not getattr(other, name) for name in abilities)


def _place(tiers: Sequence[Tier], called: str | None, otherwise: int) -> int:
    return next((place for place, tier in enumerate(tiers) if called in (tier.name, tier.model)), otherwise)
