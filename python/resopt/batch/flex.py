"""`tier="flex"`: the same call at half the price, answered when there is room.

OpenAI's `service_tier="flex"` stays a call that is waited for. When there is no room, or the deadline is near, the
request is sent once more at the standard tier: what it asks for is the same, so the answers are interchangeable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from resopt.errors import BudgetExceededError, DeadlineError, InvalidRequestError, ProviderTimeoutError, RateLimitError
from resopt.gates import one_more, unbilled
from resopt.terms import current_terms, on_terms
from resopt.types import Detour, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.types import Request, Response

_DISCOUNT = 50
_KEPT_BACK = 0.25
"""Share of the time to the deadline that is kept for the standard tier."""


def flexible(call: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The call, made at the tier `flex` first.

    Raises:
        InvalidRequestError: from the call: the API of the request has no such tier.
    """

    async def ask(request: Request) -> Response:
        if not request.api.startswith("openai."):
            raise InvalidRequestError(f"{request.api} has no tier `flex`; leave tier out, or use tier='batch'")
        sent = msgspec.structs.replace(request, body={**request.body, "service_tier": "flex"})
        left = current_terms().seconds_left
        try:
            if left == float("inf"):
                response = await call(sent)
            else:
                with on_terms(deadline=max(left * (1 - _KEPT_BACK), 1e-3)):
                    response = await call(sent)
        except (RateLimitError, ProviderTimeoutError, DeadlineError) as error:
            step = Step("tier", "standard", f"flex had no room in time: {type(error).__name__}")
            if not unbilled(error):  # who does not wait for a call may be billed for it
                try:
                    one_more().settle(None, error)
                except BudgetExceededError:
                    raise error from None
            response = await call(request)
            return response.traced(Trace(steps=(step, *response.trace.steps)))
        served = _tier_of(response)
        step = Step("tier", served or "unknown")
        response = response.traced(Trace(steps=(step, *response.trace.steps)))
        if served != "flex":  # the provider answered it otherwise, and bills it so
            return response
        return msgspec.structs.replace(response, detour=Detour(discount=_DISCOUNT))

    return ask


class _Tier(msgspec.Struct):
    service_tier: str | None = None


def _tier_of(response: Response) -> str | None:
    """The tier that a reply says it was served at."""
    try:
        return msgspec.json.decode(response.body, type=_Tier).service_tier
    except msgspec.MsgspecError:
        return None
