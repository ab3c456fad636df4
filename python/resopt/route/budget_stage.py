"""A cheaper model where the one asked for does not fit the budget: the stage that goes with the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from resopt.stage import Prepared
from resopt.types import Step

if TYPE_CHECKING:
    from resopt.route.budget import Budget
    from resopt.types import Request, Response


class Degrading:
    """Asks the first of the budget's cheaper models that fits, when the limit that is used up says so.

    It sets nothing aside, which the gate does: should others be faster in between, the gate refuses the call.

    Args:
        budget: whose limits and cheaper models count.
    """

    name: Final = "degrade"

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.policy = ",".join(budget.degrade)

    def prepare(self, request: Request) -> Prepared | None:
        """The request for a cheaper model; None when it fits as it is, or nothing does."""
        refusal = self._budget.refusal(request)
        if refusal is None or refusal.over != "degrade":
            return None
        for model in self._budget.degrade:
            if model == request.model:
                continue
            cheaper = msgspec.structs.replace(request, body={**request.body, "model": model})
            if self._budget.refusal(cheaper) is None:
                return Prepared(cheaper, Step("budget", "degraded", f"{model}: {refusal.limit}"), mechanism="budget")
        return None

    def again(self, request: Request, response: Response) -> Prepared | None:  # noqa: ARG002 - what a stage has
        """Nothing: whatever came must do."""
        return None

    def learn(self, request: Request, response: Response) -> None:
        """Nothing: the gate settles what calls cost."""
