"""The demo's fifth part: routing and shorter prompts on top of the cache, against everything on the strong model.

Quality goes the way that it goes for everybody: a `Judge` scores the answer and what the strong model would have said,
`optimizer.feedback` takes both, and the report has the ratio. Whether an answer is right, only the simulation knows
(`simulated_truth`): the judge asks it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from resopt.cli.demo_day import LARGE, QUESTIONS, SMALL
from resopt.cli.demo_run import DemoError
from resopt.metrics.prices import PriceBook
from resopt.optimizer import AsyncOptimizer
from resopt.prompt.stage import PromptOptimizer
from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated_answers import DEFAULT_MODELS
from resopt.providers.simulated_truth import is_right
from resopt.quality.judge import Judge
from resopt.route.router import ModelRouter
from resopt.route.tier import RoutePolicy, Tier

if TYPE_CHECKING:
    from resopt.metrics.report import Report
    from resopt.providers.simulated import SimulatedServer
    from resopt.stage import Stage

SYSTEM: Final = (
    "You are a very helpful and friendly AI assistant for the customers of Fernbank. Please make sure that you always "
    "answer in a few sentences. In order to help the customer, please kindly name the place in the app where they can "
    "find what they need. Please note that you must never ask for a password, a PIN or a full card number. It is "
    "important to note that fees, limits and opening hours are in the price list. In the event that you do not know "
    "the answer, please just say so and offer a call from a colleague."
)
"""As teams write them: half of it is politeness."""

HARD: Final[tuple[str, ...]] = (
    "I have 18,000 in savings at 2.1 %, a loan of 9,500 at 6.4 % with 31 months left, and an early repayment fee of"
    " 1 %. Should I repay now, in instalments, or not at all? Compare the three step by step.",
    "Compare your fixed deposit with a money market account over 3 years if rates fall by 0.25 points every six months,"
    " and say from which amount on the deposit is better.",
    "If I pay 240 a month into a pot for 7 years and take out 5,000 after year four, what do I have in the end at 3 %,"
    " and how much of it is interest? Show how you calculate it.",
    "My card was charged twice by a hotel, once in euros and once in dollars, and one charge was reversed at another"
    " rate. How much should I get back, which of the two do I dispute, and in which order?",
    "Explain why my effective rate is higher than the nominal one when interest is paid quarterly, and derive the"
    " formula for an account that also charges a fee of 12 a year.",
    "Draft a plan for a freelancer with income between 1,500 and 6,000 a month: how much to set aside for tax, for a"
    " reserve and for retirement, under which conditions to change it, and why.",
)
"""These take more than looking up."""

_REQUESTS, _HARD_SHARE = 240, 0.12


class Asked(NamedTuple):
    """One request of this part."""

    text: str
    hard: bool


class Routed(NamedTuple):
    """What came of it.

    Attributes:
        report: the ledger's.
        all_strong: picodollars that all requests cost on the strong model, without resopt.
    """

    report: Report
    all_strong: int

    @property
    def quality(self) -> tuple[float, float, float]:
        """The mean score as a share of the strong model's, with a 95 % interval: the report's own line."""
        quality = self.report.quality
        found = None if quality is None else quality.against_baseline
        if found is None or found.ratio is None or found.low is None or found.high is None:
            raise DemoError("there were too few scores")
        return found.ratio, found.low, found.high


def truth(seed: int) -> Judge:
    """A judge that knows: of an answer by the model that `context` names."""

    def judged(prompt: str, _: str, context: str | None) -> tuple[float, str]:
        right = is_right(context or "", prompt, hard=prompt in HARD, seed=seed)
        return float(right), "right" if right else "wrong"

    return Judge(judged, name="the simulation's truth")


def script(seed: int) -> list[Asked]:
    """Requests of a help desk: most are looked up, some are worked out, and popular ones come again."""
    draw = random.Random(seed)  # noqa: S311 - a script, no secret
    weights = [1 / rank for rank in range(1, len(QUESTIONS) + 1)]
    return [
        Asked(draw.choice(HARD), hard=True)
        if draw.random() < _HARD_SHARE
        else Asked(draw.choices(QUESTIONS, weights)[0], hard=False)
        for _ in range(_REQUESTS)
    ]


async def route_a_day(server: SimulatedServer, seed: int) -> Routed:
    """Ask the script with everything on, and work out what it would have cost on the strong model alone."""
    server.reset()
    book = PriceBook({model.name: (model.input_price, model.output_price) for model in DEFAULT_MODELS})
    router = ModelRouter(
        [Tier(name="fast", model=SMALL), Tier(name="powerful", model=LARGE)],
        RoutePolicy.share(fast=0.75, powerful=0.25),
        prices=book,
    )
    stages: list[Stage] = [router, PromptOptimizer(level="light")]
    judge = truth(seed)
    async with AsyncOptimizer(OpenAIProvider(server.base_url, api_key=""), prices=book, stages=stages) as optimizer:
        for asked in script(seed):
            response = await optimizer.complete(asked.text, model=LARGE, system=SYSTEM)
            score, baseline = [
                (await judge.score(asked.text, response.text, model)).score for model in (response.model, LARGE)
            ]
            optimizer.feedback(response, score=score, baseline=baseline, judge=judge.name)
        report = optimizer.ledger.summary()
    if report.spent != server.stats().picodollars:
        raise DemoError(f"the ledger says {report.spent}, but the provider billed {server.stats().picodollars}")
    return Routed(report, report.baseline)


def check_routed(routed: Routed) -> str:
    """What was found to be as it should, in words.

    Raises:
        DemoError: it saved less than three fifths, or gave away more than a tenth of the quality.
    """
    quality, _, _ = routed.quality
    saved = 1 - routed.report.spent / routed.all_strong
    if saved < 0.6 or quality < 0.9:
        raise DemoError(f"everything on saved {saved:.0%} at {quality:.0%} of the quality")
    return f"with everything on {saved:.1%} is saved at {quality:.1%} of the strong model's quality; its bill agrees"
