"""Cascades: the cheap model first, and a stronger one only when the answer itself says that it is needed."""

from __future__ import annotations

import contextvars
import hashlib
import time
from typing import TYPE_CHECKING, Any

from resopt.errors import ConfigurationError, RoutingError
from resopt.route.asking import Upstream, drive, sent_to
from resopt.route.attempts import CascadeResult, Escalations
from resopt.route.checks import STANDARD, Check
from resopt.route.climb import Climb
from resopt.route.complexity import check_text
from resopt.route.router import ModelRouter
from resopt.route.tier import Tier, is_dollars, is_seconds, is_share, several
from resopt.route.verdict import Examiner
from resopt.route.wishes import current, routing
from resopt.stage import Prepared, Weighed
from resopt.types import PICODOLLARS, Request, Response, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resopt.route.answers import AnswerScorer
    from resopt.route.verdict import Verdict
    from resopt.route.wishes import Wishes
    from resopt.stage import Gate


class Way:
    """How far a request of a pipeline has come: since when, and by how many calls."""

    __slots__ = ("attempts", "cascade", "started")

    def __init__(self, cascade: CostAwareRouter, started: float) -> None:
        self.cascade, self.started, self.attempts = cascade, started, 1


_way: contextvars.ContextVar[Way | None] = contextvars.ContextVar("resopt_cascade", default=None)

TIERS = (Tier("fast", "gpt-4o-mini"), Tier("powerful", "gpt-4o"))
"""Who is asked when no tiers are named."""


class CostAwareRouter:
    """Asks a cheap model, looks at the answer, and asks a stronger one when it will not do.

    An answer is looked at by the cheapest means first: checks (empty, cut off, refused, not the JSON asked for, going
    round in circles, no result, made-up numbers, not as long as asked for), a scorer fitted on your own labels, a
    judge. Every attempt is billed and kept. Where cheap answers fail so often that beginning with them costs more than
    it saves, the cascade begins higher up: that is decided per request, by expected cost at equal quality. A stream is
    never switched: its request goes to the one tier that a plain router would choose.

    It is a stage of the pipeline too: `AsyncOptimizer(provider, stages=[cascade])`. There the judge is asked where its
    verdict can still have another tier asked; the calls of a `Judge` pass the pipeline's gates and are in the request's
    record, so it needs no `bill`.

    Args:
        budget_per_request: dollars that all attempts at one request may be expected to cost; None for no limit.
        quality_threshold: quality from 0 to 1 from which an answer will do.
        tiers: from the cheapest to the most able; gpt-4o-mini and gpt-4o when None.
        prices: a `PriceBook`; needed when there is a budget.
        provider: who is asked; tiers may bring a `call` of their own.
        checks: in the order of what they cost; `resopt.route.checks.STANDARD` when None.
        scorer: an `AnswerScorer` fitted on your own labels.
        judge: a `Judge`, or takes (question, answer, context) and returns 0 to 1; may be async. Asked only what the
            others let pass.
        max_attempts: calls at most.
        deadline: seconds for all attempts and the judge together; None for no limit. A call or an async judge that
            takes longer is cut off; in a pipeline, whose provider has a timeout of its own, only the judge, and nothing
            more is asked. What blocks cannot be cut off: there it is looked at between attempts.
        router: a `ModelRouter` over the same tiers, whose score and health count; one of its own when None.
        clock: seconds, monotonic.
        gates: what every attempt must pass, and every call of a `Judge` (a `Budget`, `Limits`); the calls of a judge
            that is a function are the function's to reserve. An attempt that a gate stops is the end of the way up; a
            limit that says `degrade` has a lower tier asked first. In a pipeline, its own gates count instead.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    name = "route"

    def __init__(
        self,
        budget_per_request: float | None = 0.01,
        quality_threshold: float = 0.85,
        *,
        tiers: Sequence[Tier] | None = None,
        prices: Any = None,
        provider: Any = None,
        checks: Sequence[Check] | None = None,
        scorer: AnswerScorer | None = None,
        judge: Callable[..., Any] | None = None,
        max_attempts: int = 3,
        deadline: float | None = None,
        router: ModelRouter | None = None,
        clock: Callable[[], float] = time.monotonic,
        gates: Sequence[Gate] = (),
    ) -> None:
        if budget_per_request is not None and not is_dollars(budget_per_request):
            raise ConfigurationError(f"budget_per_request must be dollars above 0 or None, not {budget_per_request!r}")
        if not is_share(quality_threshold):
            raise ConfigurationError(f"quality_threshold must lie between 0 and 1, not {quality_threshold!r}")
        if type(max_attempts) is not int or max_attempts < 1:
            raise ConfigurationError(f"max_attempts must be a whole number above 0, not {max_attempts!r}")
        if deadline is not None and not is_seconds(deadline):
            raise ConfigurationError(f"deadline must be seconds above 0 or None, not {deadline!r}")
        self.budget = None if budget_per_request is None else round(budget_per_request * PICODOLLARS)
        self.quality_threshold = quality_threshold
        if router is not None and (tiers is not None or prices is not None or provider is not None or gates):
            raise ConfigurationError("give a router, or tiers with prices, provider and gates, not both")
        if router is not None and not isinstance(router, ModelRouter):
            raise ConfigurationError(f"router must be a ModelRouter or None, not {type(router).__name__}")
        if router is None:
            router = ModelRouter(TIERS if tiers is None else tiers, prices=prices, provider=provider, gates=gates)
        self.router = router
        checks = STANDARD if checks is None else several("checks", checks)
        for check in checks:
            if not isinstance(check, Check):
                raise ConfigurationError(f"checks must be Check(name, takes, test), not {type(check).__name__}")
        self.max_attempts, self.deadline, self.clock = max_attempts, deadline, clock
        self.tiers, self.health = self.router.tiers, self.router.health
        self.examiner = Examiner(checks, scorer, judge, quality_threshold, self.upstream)
        self.escalations = Escalations(len(self.tiers))
        settings = (self.router.policy, self.budget, quality_threshold, max_attempts, [each.name for each in checks])
        self.policy = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]

    async def execute_with_fallback(self, query: Request | str, **wishes: Any) -> tuple[Response, float | None, str]:
        """Ask a question, with stronger models behind.

        Args:
            query: a question, or a `Request`.
            **wishes: as `routing` takes them.

        Returns:
            The response (`.text` is the answer), the dollars of all attempts (None where a price or the usage is
            unknown), and the model that gave the answer.

        Raises:
            RoutingError: no tier may serve it, or not even the cheapest fits the budget per request.
            BudgetExceededError: a gate lets no attempt pass.
            ConfigurationError: there is nobody to ask, or a budget but no price.
            ProviderError: every attempt failed.
        """
        result = await self.execute(query, **wishes)
        return result.response, result.dollars, result.model

    async def execute(self, query: Request | str, **wishes: Any) -> CascadeResult:
        """The same with every attempt; see `execute_with_fallback`."""
        with routing(**wishes):
            climb = self.climb(query, current.get())
        return await climb.run(blocking=False)

    def execute_blocking(self, query: Request | str, **wishes: Any) -> CascadeResult:
        """The same, blocking; a deadline is looked at between attempts."""
        with routing(**wishes):
            return drive(self.climb(query, current.get()).run(blocking=True))

    def climb(self, query: Request | str, wishes: Wishes) -> Climb:
        """The way up for one request, not yet begun."""
        request = query if isinstance(query, Request) else Request.chat(check_text(query), model="auto")
        return Climb(self, request, wishes)

    @property
    def judge_failures(self) -> int:
        """How often the judge raised, was cut off, or said what is no score; the first time is in the log."""
        return self.examiner.failures

    @property
    def upstream(self) -> Upstream:
        """Who is asked."""
        return self.router.upstream

    def prepare(self, request: Request) -> Prepared | None:
        """The request with the first model in it; None when its model is pinned. For the pipeline.

        Raises:
            RoutingError: no tier may serve it, by the caller's wishes, or it asks for no model by name.
        """
        if request.body.get("stream"):
            return self.router.prepare(request)
        wishes = current.get()
        if self.router.is_pinned(request, wishes):
            return None
        try:
            climb = Climb(self, request, wishes)
        except RoutingError as error:
            return self.router.left_alone(request, wishes, error)
        tier = self.tiers[climb.place]
        self.router.take(climb.choice, climb.place)
        _way.set(Way(self, self.clock()))
        sent = sent_to(request, tier.model)
        step = Step("route", tier.model, climb.start)
        return Prepared(sent, step, mechanism=None if sent is request else "route")

    def again(self, request: Request, response: Response) -> Prepared | None:
        """The next stronger model when an answer will not do, as far as that can be told without waiting."""
        found = self._on_its_way(request)
        return (
            None if found is None else self._next(*found, request, response, self.examiner.cheaply(request, response))
        )

    async def weigh(self, request: Request, response: Response, gates: Sequence[Gate], *, blocking: bool) -> Weighed:
        """The same with the judge, where there is a stronger model whose call fits. For the pipeline.

        Raises:
            ConfigurationError: the judge is async and the pipeline blocks.
        """
        found = self._on_its_way(request)
        if found is None:
            return Weighed()
        climb, place = found
        verdict = self.examiner.cheaply(request, response)
        if self._open(climb, place, request, response, verdict) is not None:
            left = None if self.deadline is None else self.deadline - (self.clock() - self._way().started)
            verdict = await self.examiner.fully(request, response, blocking=blocking, gates=gates, left=left)
        return Weighed(self._next(climb, place, request, response, verdict), verdict.billed)

    def _on_its_way(self, request: Request) -> tuple[Climb, int] | None:
        """The way up of what was sent, and where on it that is; None when it is on none."""
        place = next((place for place, tier in enumerate(self.tiers) if tier.model == request.model), None)
        wishes = current.get()
        if place is None or wishes.pin:
            return None
        try:
            return Climb(self, request, wishes), place
        except RoutingError:  # it was left alone
            return None

    def _way(self) -> Way:
        """How far the running code's request has come; one that this cascade did not prepare begins now."""
        way = _way.get()
        if way is None or way.cascade is not self:
            way = Way(self, self.clock())
            _way.set(way)
        return way

    def _open(self, climb: Climb, place: int, request: Request, response: Response, verdict: Verdict) -> int | None:
        """The tier that may be asked next, should the answer not do; None when none may."""
        above, way = climb.above(place), self._way()
        late = self.deadline is not None and self.clock() - way.started >= self.deadline
        if above is None or late or way.attempts >= self.max_attempts:
            return None
        spent = self.upstream.cost(request.model, response)
        spent = None if spent is None or verdict.cost is None else spent + verdict.cost
        return above if climb.affords(above, None if spent is None else spent + climb.expected_below(place)) else None

    def _next(
        self, climb: Climb, place: int, request: Request, response: Response, verdict: Verdict
    ) -> Prepared | None:
        failed = verdict.quality < self.quality_threshold
        self.escalations.count(place, climb.percentile, failed=failed)
        above = self._open(climb, place, request, response, verdict) if failed else None
        if above is None:
            return None
        self._way().attempts += 1
        model = self.tiers[above].model
        return Prepared(sent_to(request, model), Step("route", model, str(verdict)), mechanism="route")

    def learn(self, request: Request, response: Response) -> None:
        """Take note of what came for what was sent."""
        self.router.learn(request, response)

    def vary(self, request: Request) -> str:
        """The wishes of the running code, which are part of the key."""
        return self.router.vary(request)

    def close(self) -> None:
        """Close what `execute_blocking` opened."""
        self.router.close()

    async def aclose(self) -> None:
        """Close what was opened, from async code; the provider is yours to close."""
        await self.router.aclose()
