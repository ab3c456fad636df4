"""The part of the pipeline that finds out whether semantic hits are right, behind the caller's back.

An audit asks the provider for the real answer, compares it with the one that was served, and is paid for by the
mechanism `audit`. It runs in a task or a thread of its own; an audit that fails counts against the tier.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.cache.meaning import SEMANTIC, Considered
from resopt.cache.second import Upstream
from resopt.errors import ConfigurationError
from resopt.flight.errand import send
from resopt.stages import Gated
from resopt.types import Response

if TYPE_CHECKING:
    from resopt.cache.admission import Plan
    from resopt.cache.audit import Due
    from resopt.cache.semantic import SemanticCache
    from resopt.optimizer import AsyncOptimizer
    from resopt.types import Request

NOTHING = Considered()
"""Of a request that nothing was considered for."""


class Auditing:
    """The semantic tier's side of one pipeline.

    Args:
        pipeline: whose hits and misses are looked after.

    Attributes:
        blocking: whether callers have no event loop.
        under_way: audits that have not ended.
    """

    def __init__(self, pipeline: AsyncOptimizer) -> None:
        self.blocking = False
        self.under_way = 0
        self._pipeline = pipeline

    async def consider(self, request: Request, plan: Plan) -> Considered:
        """What the semantic tier can say of a request that the lookup did not answer."""
        cache, accounts = self._pipeline.cache, self._pipeline.accounts
        if cache.meaning is None or (cache.allowed is not None and not cache.allowed("semantic", request)):
            return NOTHING
        provider, stages = self._pipeline.provider, self._pipeline.stages
        asked: Any = Gated(stages, provider) if stages.gates else provider
        try:
            found = await cache.meaning.consider(cache, request, plan, Upstream(asked, self.blocking))
        except Exception as error:  # noqa: BLE001 - invariant 8
            return Considered(steps=(accounts.skip("semantic", error),))
        if found.response is None:
            for call in found.billed:
                accounts.background(call, request.scope)
        return found

    def served(self, request: Request, response: Response) -> None:
        """A hit went out: remember it when it rests on what questions mean, and audit it when the toss says so."""
        if response.trace.mechanism not in SEMANTIC:
            return
        cache = self._semantic()
        try:
            due = cache.audit.given(cache, request, response)
            if due is not None:
                send(self._audit, due, blocking=self.blocking)
        except Exception as error:  # noqa: BLE001 - invariant 8
            self._pipeline.accounts.skip("audit", error)

    async def missed(self, considered: Considered, response: Response, plan: Plan) -> None:
        """A miss had candidates: learn from the answer that came, when the toss says so."""
        if considered.matter is None or not considered.matter.decision.audited:
            return
        cache = self._semantic()
        try:
            if self.blocking or not cache.audit.slow:
                await cache.audit.missed(cache, considered, response, plan.key)
            else:
                send(cache.audit.missed, cache, considered, response, plan.key, blocking=False)
        except Exception as error:  # noqa: BLE001 - invariant 8
            self._pipeline.accounts.skip("audit", error)

    def missed_soon(self, considered: Considered, response: Response, plan: Plan) -> None:
        """The same where nobody can wait."""
        if considered.matter is None or not considered.matter.decision.audited:
            return
        try:
            send(self.missed, considered, response, plan, blocking=self.blocking)
        except Exception as error:  # noqa: BLE001 - invariant 8
            self._pipeline.accounts.skip("audit", error)

    def report_bad_hit(self, which: Response | str) -> int:
        """As `SemanticCache.report_bad_hit`; of an exact cache, drops the answer."""
        cache = self._pipeline.cache
        if cache.meaning is not None:
            return self._semantic().report_bad_hit(which)
        if isinstance(which, Response) and which.trace.key is not None:
            return cache.invalidate(key=which.trace.key)
        raise ConfigurationError("report the Response: this cache remembers no ids of hits")

    async def _audit(self, due: Due) -> None:
        pipeline = self._pipeline
        self.under_way += 1
        began = perf_counter()
        real: Response | None = None
        try:
            asked = msgspec.structs.replace(due.request, cache="bypass")
            real = await pipeline.stages.call(asked, pipeline.provider.complete)
            pipeline.ledger.background(
                "audit", real.model, real.usage, latency=perf_counter() - began, scope=due.request.scope
            )
        except Exception as error:  # noqa: BLE001 - an audit that fails counts against the tier
            pipeline.accounts.skip("audit", error)
        finally:
            self.under_way -= 1
        cache = self._semantic()
        await cache.audit.settle(cache, due, real)

    def _semantic(self) -> SemanticCache:
        from resopt.cache.semantic import SemanticCache

        cache = self._pipeline.cache
        if not isinstance(cache, SemanticCache):
            raise ConfigurationError("the pipeline's cache has no semantic tier: give cache=SemanticCache(…)")
        return cache
