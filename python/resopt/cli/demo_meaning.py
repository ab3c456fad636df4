"""The demo's fourth part: questions in other words, a trap, an answer that is adapted, and one that is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from resopt.cache.second import Rewriter
from resopt.cache.tiers import MultiTierCache
from resopt.cli.demo_day import LARGE, SMALL, SYSTEM
from resopt.cli.demo_run import DemoError
from resopt.optimizer import AsyncOptimizer
from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated_answers import DEFAULT_MODELS

if TYPE_CHECKING:
    from resopt.providers.simulated import SimulatedServer
    from resopt.types import Response

_SCRIPT: Final[tuple[tuple[str, str], ...]] = (
    ("How do I reset my password?", "miss"),
    ("How can I reset my password?", "L2"),
    ("How do I block my card?", "miss"),
    ("How do I unblock my card?", "miss"),
    ("How do I change my PIN?", "miss"),
    ("What is the best way to change my PIN?", "L3"),
)
"""What is asked, and where the answer is to come from."""

_REPORTED: Final = 1


class Told(NamedTuple):
    """One question of this part: what came, and what resopt says of it."""

    question: str
    response: Response
    tier: str | None

    @property
    def reason(self) -> str:
        """What the semantic tier said; empty when it was not asked."""
        return next((step.reason for step in self.response.trace.steps if step.stage == "semantic"), "")


class Meaning(NamedTuple):
    """The whole part: the script, how many answers a report took back, and what came of asking again."""

    told: tuple[Told, ...]
    dropped: int
    again: tuple[Told, Told]


async def tell_apart(server: SimulatedServer) -> Meaning:
    """Ask the script through a `MultiTierCache`, report one hit as wrong, and ask both of its questions again."""
    server.reset()
    provider = OpenAIProvider(server.base_url, api_key="")
    prices = {model.name: (model.input_price, model.output_price) for model in DEFAULT_MODELS}
    tiers = MultiTierCache(rewriter=Rewriter(model=SMALL), audit_share=0, label_share=0)
    async with AsyncOptimizer(provider, cache=tiers, prices=prices) as optimizer:

        async def ask(question: str) -> Told:
            response = await optimizer.complete(question, model=LARGE, system=SYSTEM)
            return Told(question, response, tiers.tier(response))

        told = tuple([await ask(question) for question, _ in _SCRIPT])
        dropped = optimizer.report_bad_hit(told[_REPORTED].response)
        again = (await ask(_SCRIPT[0][0]), await ask(_SCRIPT[_REPORTED][0]))
        report = optimizer.ledger.summary()
    if report.spent != server.stats().picodollars:
        raise DemoError(f"the ledger says {report.spent}, but the provider billed {server.stats().picodollars}")
    return Meaning(told, dropped, again)


def check_meaning(meaning: Meaning) -> str:
    """What was found to be as it should, in words.

    Raises:
        DemoError: an answer came from elsewhere than the script says, or a reported one came back.
    """
    for told, (question, tier) in zip(meaning.told, _SCRIPT, strict=True):
        if (told.tier or "miss") != tier:
            raise DemoError(
                f"the answer to {question!r} was to come from {tier}, but came from {told.tier or 'a call'}"
            )
    if meaning.dropped != 2 or any(told.tier is not None for told in meaning.again):
        raise DemoError("a hit that was reported as wrong was served again")
    return "no trap was served, the rewritten answer was billed as one, and the reported hit did not come back"
