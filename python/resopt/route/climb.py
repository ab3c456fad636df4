"""One request on its way up a cascade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from resopt.errors import (
    ConfigurationError,
    ProviderError,
    ProviderTimeoutError,
    ResoptError,
    RoutingError,
)
from resopt.gates import TURNED_AWAY, unbilled
from resopt.route.asking import sent_to
from resopt.route.attempts import Attempt, CascadeResult, best, cheapest_start, total_cost
from resopt.route.choice import barred
from resopt.route.needs import answer_limit, needs_of
from resopt.types import PICODOLLARS

if TYPE_CHECKING:
    from resopt.route.cascade import CostAwareRouter
    from resopt.route.verdict import Verdict
    from resopt.route.wishes import Wishes
    from resopt.types import Request, Response


class Climb:
    """Where a request begins, where it may go from there, and what it has cost.

    Args:
        cascade: whose settings count.
        request: what is asked.
        wishes: the caller's.

    Attributes:
        place: the tier to begin with.
        start: why there.
        percentile: how much the question asks for, 0 to 1.

    Raises:
        RoutingError: no tier may serve it.
    """

    def __init__(self, cascade: CostAwareRouter, request: Request, wishes: Wishes) -> None:
        self._cascade, self.request = cascade, request
        self.choice = cascade.router.choose(request, wishes)
        notes = self.choice.notes
        self._critical = wishes.critical or (not self.choice.free and bool(notes) and notes[0].startswith("critical"))
        self.percentile = 0.5 if self.choice.percentile is None else self.choice.percentile
        out = {**cascade.router.dropped, **barred(cascade.tiers, wishes, needs_of(request), request.api)}
        health = cascade.health
        open_places = [place for place in range(len(cascade.tiers)) if place not in out]
        self._places = [place for place in open_places if not health.resting(cascade.tiers[place].model)] or open_places
        self._costs = {place: self._expected(place) for place in self._places}
        self.place, self.start = self._begin()

    def _begin(self) -> tuple[int, str]:
        if self._critical:
            return self.choice.place, "critical: the most able tier that may be asked"
        if self.request.body.get("stream"):
            return self.choice.place, "a stream is never switched: the tier that the score asks for"
        return self._cheapest(self._places)

    def _cheapest(self, places: list[int]) -> tuple[int, str]:
        """Where among these places to go on, and why."""
        chances = [self._cascade.escalations.chance(place, self.percentile) for place in places]
        return cheapest_start([self._costs[place] for place in places], chances, places)

    def _expected(self, place: int) -> int | None:
        limit = answer_limit(self.request, 0) or None
        return self._cascade.router.costs.expected(self._cascade.tiers[place], self.choice.prompt, limit)

    def above(self, place: int) -> int | None:
        """The tier to ask when the answer of one will not do; None when there is none above it."""
        higher = [other for other in self._places if other > place]
        return self._cheapest(higher)[0] if higher else None

    def _below(self, place: int) -> int | None:
        """The tier to ask where a budget says that one is too dear; None when there is none below it."""
        lower = [other for other in self._places if other < place]
        return None if self._critical or not lower else max(lower)

    def expected_below(self, place: int) -> int:
        """What attempts at lower tiers are likely to have cost."""
        return sum(cost or 0 for other, cost in self._costs.items() if self.place <= other < place)

    def affords(self, place: int, spent: int | None) -> bool:
        """Whether a further attempt fits the budget; what is unknown does not."""
        budget, cost = self._cascade.budget, self._costs[place]
        return budget is None or (spent is not None and cost is not None and spent + cost <= budget)

    async def run(self, *, blocking: bool) -> CascadeResult:
        """Ask until an answer will do or nothing more may be asked.

        Raises:
            RoutingError: not even the first attempt fits the budget per request.
            BudgetExceededError: a gate lets no attempt pass.
            ConfigurationError: there is a budget but no price, or nobody to ask.
            ProviderError: every attempt failed (or what the last tier's own call raised).
        """
        cascade = self._cascade
        self._check_first()
        cascade.router.take(self.choice, self.place)
        started = cascade.clock()
        attempts: list[Attempt] = []
        place, error, ended = self.place, None, ""
        while not ended:
            left = None if cascade.deadline is None else cascade.deadline - (cascade.clock() - started)
            try:
                attempt, error = await self._attempt(place, left, blocking=blocking)
            except TURNED_AWAY as refused:
                cheaper = getattr(refused, "over", None) == "degrade" and not attempts
                lower = self._below(place) if cheaper else None
                if lower is None and best(attempts) is None:
                    raise
                place, ended = (place, "budget") if lower is None else (lower, "")
                continue
            attempts.append(attempt)
            above = self.above(place)
            ended = self._ended(attempts, above, started)
            if not ended and above is not None:
                place = above
        counted = best(attempts)
        if counted is None or counted.response is None or counted.verdict is None:
            raise error if error is not None else RoutingError("no attempt brought an answer")
        return CascadeResult(
            response=counted.response,
            model=counted.model,
            cost=total_cost(attempts),
            accepted=counted.verdict.quality >= cascade.quality_threshold,
            ended=ended,
            start=self.start,
            attempts=tuple(attempts),
        )

    def _check_first(self) -> None:
        cascade, model = self._cascade, self._cascade.tiers[self.place].model
        if cascade.budget is None or self.affords(self.place, 0):
            return
        cost = self._costs[self.place]
        if cost is None:
            raise ConfigurationError(
                f"a budget per request needs the price of {model!r}: pass prices="
                f"PriceBook({{{model!r}: (input, output)}}), PriceBook.bundled(), or budget_per_request=None"
            )
        raise RoutingError(
            f"asking {model} is expected to cost ${cost / PICODOLLARS:.6f}, more than the budget of "
            f"${cascade.budget / PICODOLLARS:.6f} per request"
        )

    def _ended(self, attempts: list[Attempt], above: int | None, started: float) -> str:
        """Why there is no further attempt; empty when there is one."""
        cascade, verdict = self._cascade, attempts[-1].verdict
        if verdict is not None and verdict.quality >= cascade.quality_threshold:
            return "accepted"
        if self.request.body.get("stream"):
            return "stream"
        if above is None:
            return "highest tier"
        if len(attempts) >= cascade.max_attempts:
            return "attempts"
        if cascade.deadline is not None and cascade.clock() - started >= cascade.deadline:
            return "deadline"
        return "" if self.affords(above, self._spent(attempts)) else "budget"

    def _spent(self, attempts: list[Attempt]) -> int | None:
        """Picodollars of all attempts, for the budget; a call cut off counts as what it was expected to cost."""
        total = 0
        for attempt in attempts:
            cost = attempt.cost
            if cost is None and attempt.response is None:
                place = next(place for place in self._places if self._cascade.tiers[place].name == attempt.tier)
                cost = self._costs[place]
            if cost is None:
                return None
            total += cost
        return total

    async def _attempt(self, place: int, left: float | None, *, blocking: bool) -> tuple[Attempt, Exception | None]:
        cascade, tier = self._cascade, self._cascade.tiers[place]
        sent = sent_to(self.request, tier.model)
        began = cascade.clock()
        try:
            response = await self._asked(place, sent, left, blocking=blocking)
        except Exception as error:  # of whatever library the tier's own call uses
            if isinstance(error, ResoptError) and not isinstance(error, ProviderError):
                raise
            seconds = cascade.clock() - began
            words = f"{type(error).__name__}: {error}"
            cost = None if isinstance(error, ProviderTimeoutError) else 0  # what was cut off may be billed
            failed = Attempt(
                tier=tier.name, model=tier.model, response=None, verdict=None, cost=cost, seconds=seconds, error=words
            )
            return failed, error
        cascade.router.learn(sent, response)
        left = None if left is None else left - (cascade.clock() - began)
        verdict = await self._judged(sent, response, left, blocking=blocking)
        cascade.escalations.count(place, self.percentile, failed=verdict.quality < cascade.quality_threshold)
        cost = cascade.upstream.cost(tier.model, response)
        cost = None if cost is None or verdict.cost is None else cost + verdict.cost
        seconds = cascade.clock() - began
        attempt = Attempt(
            tier=tier.name, model=tier.model, response=response, verdict=verdict, cost=cost, seconds=seconds
        )
        return attempt, None

    async def _judged(self, sent: Request, response: Response, left: float | None, *, blocking: bool) -> Verdict:
        """What is said of an answer; a judge that fails says nothing, for the answer is paid for."""
        examiner = self._cascade.examiner
        try:
            return await examiner.fully(sent, response, blocking=blocking, left=left)
        except ConfigurationError:  # a mistake in the program
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8
            may_cost = isinstance(error, ProviderError) and not unbilled(error)
            reason = f"the judge failed: {type(error).__name__}: {error}"
            verdict = examiner.cheaply(sent, response)
            return msgspec.structs.replace(verdict, reason=reason, cost=None if may_cost else 0)

    async def _asked(self, place: int, sent: Request, left: float | None, *, blocking: bool) -> Response:
        tier, upstream = self._cascade.tiers[place], self._cascade.upstream
        if left is None or blocking:
            return await upstream.ask(tier, sent, blocking=blocking)
        import anyio

        with anyio.move_on_after(max(0.0, left)):
            return await upstream.ask(tier, sent, blocking=False)
        raise ProviderTimeoutError(f"{tier.model} did not answer within the deadline of {self._cascade.deadline:g} s")
