"""How a router comes to a decision: score, percentile, tier, and all that may move the choice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from resopt._core import Cuts, RouteModel
from resopt.errors import ConfigurationError
from resopt.route.choice import barred, nearest
from resopt.route.health import Health
from resopt.route.money import Costs, Spending
from resopt.route.needs import answer_limit, needs_of, prompt_tokens
from resopt.route.sessions import Session, Sessions, session_keys
from resopt.route.tier import RoutePolicy, default_shares, several, shares_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.route.tier import Tier
    from resopt.route.wishes import Wishes
    from resopt.types import Request


class Choice(msgspec.Struct):
    """A decision in the making.

    Attributes:
        place: the tier.
        raw, position, percentile: the score of the question; None when there is nothing to judge by.
        notes: what moved the choice.
        cost: picodollars expected; None when unknown.
        free: whether the cuts had their way, or could have had.
        session: by what the conversation is known, None when there is none.
        level: the percentile that the conversation is at.
        prompt: tokens sent, about.
    """

    place: int
    raw: float | None
    position: float | None
    percentile: float | None
    notes: list[str]
    cost: int | None = None
    free: bool = True
    session: Any = None
    level: float = 0.5
    prompt: int = 0


class Desk:
    """Makes the decisions of one router; safe to use from many threads.

    Args:
        tiers: the tiers, the cheapest first.
        policy: by what the traffic is divided.
        costs: expected costs.
        health: which models rest.
        sessions: the conversations.
    """

    def __init__(
        self, tiers: Sequence[Tier], policy: RoutePolicy, costs: Costs, health: Health, sessions: Sessions
    ) -> None:
        self.tiers, self.policy, self.costs, self.health, self.sessions = tuple(tiers), policy, costs, health, sessions
        self.model = RouteModel()
        self.answered, self._lock = [0] * len(self.tiers), threading.Lock()
        self.dropped: dict[int, str] = {}
        self.spending = None if policy.picodollars is None else Spending(policy.picodollars, tiers, costs)
        self.middle = len(tiers) // 2
        self.cuts = Cuts(self.shares(), self.model)

    def shares(self) -> list[float]:
        """The share that each tier is to get now."""
        names = [tier.name for tier in self.tiers]
        if self.spending is not None:
            shares = self.spending.shares()
        elif self.policy.quality_loss is not None:
            shares = self._shares_by_loss(self.policy.quality_loss)
        elif self.policy.shares is not None:
            shares = shares_of(self.policy, names)
        else:
            shares = default_shares(len(names))
        for place in self.dropped:
            heir = next((up for up in range(place + 1, len(shares)) if up not in self.dropped), None)
            heir = heir if heir is not None else next(down for down in range(place, -1, -1) if down not in self.dropped)
            shares[heir] += shares[place]
            shares[place] = 0.0
        return shares

    def _shares_by_loss(self, most: float) -> list[float]:
        losses = self.model.losses
        strong = 1.0
        if losses is not None:
            strong = next((place / (len(losses) - 1) for place, loss in enumerate(losses) if loss <= most), 1.0)
        shares = [0.0] * len(self.tiers)
        shares[0] += 1.0 - strong
        shares[-1] += strong
        return shares

    def refit(self, model: RouteModel) -> None:
        """Score by another model from now on; the traffic's percentiles begin anew."""
        self.model = model
        self.cuts = Cuts(self.shares(), self.model)

    def choose(self, request: Request | None, text: str | None, wishes: Wishes, *, critical: bool) -> Choice:
        """Choose a tier for a request, or for a text alone; changes nothing.

        Raises:
            RoutingError: no tier may serve it.
        """
        raw = None if text is None else self.model.score(text)
        position = None if text is None or raw is None else self.model.position(text)
        percentile = None if position is None else self.cuts.percentile(position)
        choice = Choice(self.middle, raw, position, percentile, [])
        choice.prompt = max(1, len(text or "") // 4) if request is None else prompt_tokens(request)
        limit = None if request is None else _limit(request)
        session = self._session(request, wishes, choice)
        self._by_score(choice, wishes, session)
        api = None if request is None else request.api
        out = {**self.dropped, **barred(self.tiers, wishes, None if request is None else needs_of(request), api)}
        if critical or wishes.critical:
            choice.place, choice.free = len(self.tiers) - 1, False
            choice.notes.insert(0, "critical: the most able tier that may be asked")
        choice.place, moved = nearest(self.tiers, choice.place, out, self.health)
        choice.notes.extend(moved)
        choice.free = choice.free and not moved  # what the cuts did not choose they need not make up for
        if request is not None:  # a text alone brings no conversation along that could be cached
            self._keep_warm(choice, session, limit, out)
        choice.cost = self.costs.expected(self.tiers[choice.place], choice.prompt, limit)
        choice.free = choice.free and wishes.is_plain
        if self.model.mix:
            choice.notes.append(f"scored by your labels, {self.model.mix:.0%}, and the prior")
        return choice

    def cheaper(self, place: int, request: Request | None, wishes: Wishes) -> list[Tier]:
        """The tiers below one that may serve a request as well, the most able first."""
        needs, api = (None, None) if request is None else (needs_of(request), request.api)
        out = {**self.dropped, **barred(self.tiers, wishes, needs, api)}
        return [self.tiers[lower] for lower in range(place - 1, -1, -1) if lower not in out]

    def _session(self, request: Request | None, wishes: Wishes, choice: Choice) -> Session | None:
        """What is known of the conversation that a request continues."""
        known, choice.session = session_keys(request, wishes.session)
        return None if known is None else self.sessions.get(known)

    def _by_score(self, choice: Choice, wishes: Wishes, session: Session | None) -> None:
        if self.spending is not None:
            self.cuts.set_shares(self.shares())
        if choice.percentile is None:
            choice.place = self.cuts.tier_of_silence(self.middle)
            choice.level = 0.5 if session is None else session.level
            if session is not None:
                choice.place = self.cuts.tier(session.level, wishes.mode)
                choice.notes.append(f"the conversation keeps it at percentile {session.level:.2f}")
            return
        choice.level = self.sessions.level(session, choice.percentile)
        if choice.level > choice.percentile:
            choice.notes.append(f"the conversation keeps it at percentile {choice.level:.2f}")
        if wishes.mode != "balanced":
            choice.notes.append(f"mode {wishes.mode}")
        choice.place = self.cuts.tier(choice.level, wishes.mode)

    def _keep_warm(self, choice: Choice, session: Session | None, limit: int | None, out: dict[int, str]) -> None:
        """Undo a move down that would cost more than it saves, because a cached prefix is lost by it."""
        if session is None or choice.place >= session.tier or session.tier in out:
            return
        held = self.tiers[session.tier]
        warm = self.sessions.warm_tokens(session)
        if not warm or self.health.resting(held.model):
            return
        stay = self.costs.expected(held, choice.prompt, limit, cached=warm)
        move = self.costs.expected(self.tiers[choice.place], choice.prompt, limit)
        if stay is not None and move is not None and move >= stay:
            choice.place, choice.free = session.tier, False
            choice.notes.append(f"{held.name} is cheaper still: it has {warm:,} tokens of the prompt cached")

    def count(self, choice: Choice) -> None:
        """Take note of a decision that is carried out."""
        self.cuts.count(choice.position, choice.place, choice.free)
        if choice.session is not None:
            self.sessions.keep(choice.session, choice.level, choice.place, choice.prompt)
        if self.spending is not None and choice.cost is not None:
            self.spending.spent(choice.place, choice.cost)

    def learn(self, request: Request, model: str, usage: Any) -> None:
        """Take note of what a call took."""
        place = next((place for place, tier in enumerate(self.tiers) if tier.model == model), None)
        if place is None:
            return
        with self._lock:
            self.answered[place] += 1
        if usage is None:
            return
        if self.spending is not None:
            expected = self.costs.expected(self.tiers[place], prompt_tokens(request), _limit(request))
            cost = self.costs.of(model, usage)
            if expected is not None and cost is not None:
                self.spending.corrected(expected, cost)
        self.costs.learn(model, usage)


def _limit(request: Request) -> int | None:
    limit = answer_limit(request, 0)
    return limit or None


def check_settings(policy: object, critical: object, health: object, aliases: object) -> tuple[str, ...]:
    """The aliases, where the settings of a router are what they should be.

    Raises:
        ConfigurationError: one is not.
    """
    if policy is not None and not isinstance(policy, RoutePolicy):
        raise ConfigurationError(f"policy must be a RoutePolicy or None, not {type(policy).__name__}")
    if critical is not None and not callable(critical):
        raise ConfigurationError(f"critical must be callable or None, not {critical!r}")
    if health is not None and not isinstance(health, Health):
        raise ConfigurationError(f"health must be a Health or None, not {health!r}")
    names = several("aliases", aliases)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"aliases must be names of models, not {aliases!r}")
    return names
