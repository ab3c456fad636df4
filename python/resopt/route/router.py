"""The router: which model answers a request, by score and target; a stage of the pipeline, and usable alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt._core import RouteModel
from resopt.errors import RoutingError
from resopt.route.asking import Upstream, drive, sent_to
from resopt.route.choice import Decision, without_dominated
from resopt.route.complexity import check_text, describe, grade
from resopt.route.deciding import Desk, check_settings
from resopt.route.health import Health
from resopt.route.labels import FitReport, read_labels
from resopt.route.money import Costs
from resopt.route.saved import load_state, save_state
from resopt.route.sessions import Sessions
from resopt.route.tier import RoutePolicy, Tier, check_tiers, digest, left_of
from resopt.route.wishes import NO_WISHES, current, routing
from resopt.stage import Prepared
from resopt.types import PICODOLLARS, Request, Response, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from resopt.route.deciding import Choice
    from resopt.route.wishes import Wishes
    from resopt.stage import Gate

DEFAULT = RoutePolicy()
"""Each tier half as often as the one below it."""


class ModelRouter:
    """Chooses a model for each request: cheap where that will do, able where it is needed.

    A question gets a score from what it is made of, the score a percentile among the traffic seen so far, and the
    percentile a tier, so that each tier gets its share: within 2 points after 500 requests, whatever the traffic.
    It is a stage of the pipeline (`AsyncOptimizer(provider, stages=[router])`), where requests that ask for one of its
    models, or for `auto`, are routed, and all others pinned. Safe to use from many threads.

    Args:
        tiers: from the cheapest to the most able. A tier that costs no less and is no better than another is dropped,
            and `notes` says so.
        policy: by what the traffic is divided (`RoutePolicy.share`, `.dollars`, `.loss`); when None each tier gets half
            of what the one below it gets.
        prices: a `PriceBook`; without one costs are unknown and nothing is dropped.
        provider: who is asked by `route_and_execute`; tiers may bring a `call` of their own.
        aliases: model names that stand for "whichever fits".
        critical: whether a request must have the most able tier.
        health: which models rest; one of its own when None.
        gates: what every call of `route_and_execute` must pass (a `Budget`, `Limits`). A limit that says `degrade` has
            the next lower tier asked that fits. In a pipeline, its own gates count instead.

    Attributes:
        policy: version of the settings, part of every key of the pipeline.
        target: the policy.
        tiers: those that are left.
        notes: what was dropped and why.

    Raises:
        ConfigurationError: an argument is wrong, two tiers are called alike, or a policy of dollars has no prices.
    """

    name = "route"

    def __init__(
        self,
        tiers: Sequence[Tier],
        policy: RoutePolicy | None = None,
        *,
        prices: Any = None,
        provider: Any = None,
        aliases: Sequence[str] = ("auto",),
        critical: Callable[[Request], bool] | None = None,
        health: Health | None = None,
        gates: Sequence[Gate] = (),
    ) -> None:
        given = check_tiers(tiers)
        names = check_settings(policy, critical, health, aliases)
        self.target = DEFAULT if policy is None else policy
        self.costs = costs = Costs(given, prices)
        self.tiers, self.notes = without_dominated(given, costs)
        self.health = Health() if health is None else health
        self._desk = Desk(self.tiers, left_of(self.target, given, self.tiers), costs, self.health, Sessions())
        self._critical = critical
        self._models = [tier.model for tier in self.tiers]
        self._routed = {*self._models, *(tier.model for tier in given), *names}
        self.upstream = Upstream(provider, costs, self.health, gates)
        self._plain = self._desk.spending is None
        self.policy = digest(self.tiers, self.target, ",".join(sorted(self._routed)))

    def analyze_complexity(self, query: str) -> int:
        """How much a question asks for among the traffic seen so far, 1 to 10; 5 when there is nothing to judge by."""
        position = self._desk.model.position(check_text(query))
        return grade(None if position is None else self._desk.cuts.percentile(position))

    def route_to_model(self, query: str, **wishes: Any) -> str:
        """The model to ask a question.

        Args:
            query: the user's own text.
            **wishes: as `routing` takes them: `mode`, `min_tier`, `max_tier`, `allow`, `deny`, `critical`, `session`.

        Raises:
            RoutingError: no tier may serve it.
            ConfigurationError: an argument is of the wrong type or unknown.
        """
        desk = self._desk
        plain = type(query) is str and not wishes and self._plain and not desk.dropped
        if plain and current.get() is NO_WISHES and not self.health.any_resting:
            return self._models[desk.cuts.decide(desk.model, query, desk.middle)]
        return self.route(query, **wishes).model

    select_model = route_to_model

    def route(self, request: Request | str, *, dry_run: bool = False, **wishes: Any) -> Decision:
        """Decide which model a request goes to, with the reasons.

        Args:
            request: a `Request`, or the text of a question.
            dry_run: only say what would be decided; nothing is counted.
            **wishes: as `routing` takes them.

        Raises:
            RoutingError: no tier may serve it.
            ConfigurationError: an argument is of the wrong type or unknown.
        """
        with routing(**wishes):
            return self._decide(request, current.get(), dry_run=dry_run)[0]

    def _decide(self, request: Request | str, wishes: Wishes, *, dry_run: bool) -> tuple[Decision, int | None]:
        whole = request if isinstance(request, Request) else None
        if whole is not None and self.is_pinned(whole, wishes):
            why = "pinned by the caller" if wishes.pin else f"{whole.model!r} is no model of the router"
            return Decision(
                model=whole.model,
                tier=None,
                score=5,
                reasons=(why,),
                expected_cost=None,
                complexity=None,
                policy=self.policy,
            ), None
        choice = self.choose(request, wishes)
        if not dry_run:
            self._desk.count(choice)
        text = request.question if isinstance(request, Request) else request
        complexity = describe(text or "", choice.raw, choice.percentile, choice.notes)
        tier = self.tiers[choice.place]
        decision = Decision(
            model=tier.model,
            tier=tier.name,
            score=complexity.score,
            reasons=complexity.reasons,
            expected_cost=choice.cost,
            complexity=complexity,
            policy=self.policy,
        )
        return decision, choice.place

    def is_pinned(self, request: Request, wishes: Wishes) -> bool:
        """Whether a request keeps the model it names: by wish, or because that is none of the router's."""
        return wishes.pin or request.model not in self._routed

    def choose(self, request: Request | str, wishes: Wishes) -> Choice:
        """A decision in the making; nothing is counted.

        Raises:
            RoutingError: no tier may serve it.
        """
        if not isinstance(request, Request):
            return self._desk.choose(None, check_text(request), wishes, critical=False)
        return self._desk.choose(request, request.question, wishes, critical=self._is_critical(request))

    def _is_critical(self, request: Request) -> bool:
        return self._critical is not None and bool(self._critical(request))

    def take(self, choice: Choice, place: int) -> None:
        """Count a decision that another has changed to the tier at `place`."""
        choice.free = choice.free and place == choice.place
        choice.place = place
        self._desk.count(choice)

    def route_and_execute(self, query: Request | str, **wishes: Any) -> tuple[Response, str, float | None]:
        """Route a question and ask it, blocking: the response, the model, and its dollars (None where unknown).

        Raises:
            RoutingError: no tier may serve it.
            ConfigurationError: there is nobody to ask: neither a provider nor a `call` of the tier.
            BudgetExceededError: a gate did not let it pass.
            ProviderError: no usable answer came.
        """
        with routing(**wishes):
            return drive(self._execute(query, blocking=True))

    async def aroute_and_execute(self, query: Request | str, **wishes: Any) -> tuple[Response, str, float | None]:
        """The same for asyncio and trio; see `route_and_execute`."""
        with routing(**wishes):
            wanted = current.get()
        return await self._execute(query, blocking=False, wishes=wanted)

    async def _execute(
        self, query: Request | str, *, blocking: bool, wishes: Wishes | None = None
    ) -> tuple[Response, str, float | None]:
        request = query if isinstance(query, Request) else Request.chat(check_text(query), model="auto")
        text_only = not isinstance(query, Request)
        wishes = current.get() if wishes is None else wishes
        decision, place = self._decide(query if text_only else request, wishes, dry_run=False)
        tiers = [Tier(name=decision.model, model=decision.model) if place is None else self.tiers[place]]
        if place is not None and not (wishes.critical or self._is_critical(request)):
            tiers += self._desk.cheaper(place, None if text_only else request, wishes)
        response, sent = await self.upstream.ask_affordable(tiers, request, blocking=blocking)
        self.learn(sent, response)
        cost = self.upstream.cost(sent.model, response)
        return response, sent.model, None if cost is None else cost / PICODOLLARS

    def fit(self, rows: Iterable[Any]) -> FitReport:
        """Learn from labelled questions of your own; 1,000 of them beat any rule, 10,000 take less than a second.

        The words' model is mixed into the score only as far as held-out rows say that it ranks better than the prior;
        the percentiles begin anew. A tier that costs no more and did no worse than another has that other dropped.

        Args:
            rows: each a pair of a question and either a mapping of model (or tier) to quality from 0 to 1, or whether
                the cheapest tier answers it well (a bool, or a number from 0 to 1).

        Raises:
            ConfigurationError: a row is something else, there are fewer than 50, or the most able tier gains nothing.
        """
        labels = read_labels(rows, self.tiers)
        model = RouteModel.fit(labels.texts, labels.gains)
        desk = self._desk
        measured = tuple(
            msgspec.structs.replace(tier, quality=labels.qualities.get(place)) for place, tier in enumerate(self.tiers)
        )
        if len(labels.qualities) == len(self.tiers):
            kept, notes = without_dominated(measured, desk.costs)
            desk.dropped = {
                place: "another costs no more and did no worse on the labels"
                for place, tier in enumerate(measured)
                if tier not in kept
            }
            self.notes = (*self.notes, *notes)
        desk.refit(model)
        count, gain, prior, held_out = model.summary or (0, 0.0, 0.0, 0.0)
        qualities = {self.tiers[place].name: quality for place, quality in labels.qualities.items()}
        return FitReport(
            rows=count, gain=gain, prior=prior, held_out=held_out, mix=model.mix or 0.0, qualities=qualities
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write what was learnt to a file: the fitted model, and the traffic's percentiles.

        Versioned, checksummed, at most 300 KB, no pickle. The file is complete or not there.
        """
        save_state(path, self._desk)

    def load(self, path: str | PathLike[str]) -> bool:
        """Read back what `save` wrote for the same tiers.

        Returns:
            Whether it was read. A file that is missing, damaged or of other tiers is a cold start, with a warning.
        """
        return load_state(path, self._desk)

    @property
    def dropped(self) -> dict[int, str]:
        """Places of tiers that labels have shown to be worth nothing, with the reason."""
        return self._desk.dropped

    @property
    def distribution(self) -> dict[str, int]:
        """Decisions by tier, since the start or the last fit; a budget that degrades or a cascade may ask others."""
        return {tier.name: count for tier, count in zip(self.tiers, self._desk.cuts.taken, strict=True)}

    @property
    def answered(self) -> dict[str, int]:
        """Answers by the tier that gave them, since the start: of `route_and_execute`, a cascade, a pipeline."""
        return {tier.name: count for tier, count in zip(self.tiers, self._desk.answered, strict=True)}

    def prepare(self, request: Request) -> Prepared | None:
        """The request with the chosen model in it; None when its model is pinned. For the pipeline.

        Raises:
            RoutingError: no tier may serve it, by the caller's wishes, or it asks for no model by name.
        """
        wishes = current.get()
        try:
            decision, place = self._decide(request, wishes, dry_run=False)
        except RoutingError as error:
            return self.left_alone(request, wishes, error)
        if place is None:
            return None
        step = Step("route", decision.model, "; ".join(decision.reasons[:4]))
        sent = sent_to(request, decision.model)
        return Prepared(sent, step, mechanism=None if sent is request else "route")

    def left_alone(self, request: Request, wishes: Wishes, error: RoutingError) -> Prepared:
        """A request that no tier can serve, with the model it asked for: better that the provider says what is wrong.

        Raises:
            RoutingError: the caller's wishes forbid that, or it names no model.
        """
        if not wishes.is_plain or request.model not in {tier.model for tier in self.tiers}:
            raise error
        return Prepared(request, Step("route", "left alone", str(error)))

    def again(self, request: Request, response: Response) -> Prepared | None:  # noqa: ARG002 - of the protocol
        """A router asks once; `CostAwareRouter` looks at the answer."""
        return None

    def learn(self, request: Request, response: Response) -> None:
        """Take note of what came for what was sent."""
        self._desk.learn(request, request.model, response.usage)

    def vary(self, request: Request) -> str:  # noqa: ARG002 - of the protocol
        """The wishes of the running code, which are part of the key: they may lead to another model."""
        return current.get().vary

    def close(self) -> None:
        """Close what `route_and_execute` opened."""
        drive(self.upstream.close())

    async def aclose(self) -> None:
        """Close what was opened, from async code; the provider is yours to close."""
        await self.upstream.close()
