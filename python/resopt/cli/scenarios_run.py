"""The pattern's two bulk scenarios, replayed against a simulated provider over real HTTP.

Both are made up, and say how: what comes out is no property of anyone's traffic, but of resopt on this traffic. The
provider's delays are a tenth of what they stand for; every figure of time is a ratio, so that cancels out.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.batch.limits import Limits
from resopt.batch.processor import BatchProcessor
from resopt.metrics.report import Report
from resopt.optimizer import AsyncOptimizer
from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated import SimulatedModel, SimulatedServer
from resopt.stage import Prepared
from resopt.types import Request, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resopt.types import Response

WIDE = 50
LANGUAGES = ("German", "French", "Spanish", "Italian", "Polish")
LARGE, SMALL = "gpt-4o", "gpt-4o-mini"
UI_STRINGS = 1_000
UI_SHARE = 0.8
"""Share of phrases that are strings of a user interface; the others are sentences that come once."""

_SHORT = 4
"""Words up to which a phrase goes to the small model."""

_VERBOSE = "You are an experienced editor. " + "Please read the following article carefully and with attention. " * 12
_BRIEF = "Summarise the article in two sentences. " * 5
_WORDS: Sequence[str] = [
    "account",
    "add",
    "back",
    "billing",
    "cancel",
    "change",
    "close",
    "code",
    "confirm",
    "contact",
    "continue",
    "copy",
    "currency",
    "date",
    "delete",
    "details",
    "done",
    "download",
    "edit",
    "email",
    "enable",
    "error",
    "export",
    "file",
    "filter",
    "find",
    "finish",
    "help",
    "home",
    "invite",
    "item",
    "keep",
    "language",
    "learn",
    "link",
    "list",
    "login",
    "menu",
    "message",
    "more",
    "move",
    "name",
    "new",
    "next",
    "note",
    "open",
    "order",
    "page",
    "password",
    "pay",
    "phone",
    "print",
    "profile",
    "remove",
    "rename",
    "reply",
    "reset",
    "retry",
    "save",
    "search",
    "select",
    "send",
    "settings",
    "share",
    "show",
    "sign",
    "sort",
    "start",
    "status",
    "stop",
    "submit",
    "sync",
    "team",
    "undo",
    "update",
    "upload",
    "user",
    "view",
    "wait",
    "week",
    "year",
]


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario gave.

    Attributes:
        count: requests.
        seconds: how long they took.
        sequential: how long they would have taken one after another, by a sample.
        report: the ledger's.
    """

    count: int
    seconds: float
    sequential: float
    report: Report

    @property
    def faster(self) -> float:
        """How many times faster than one after another."""
        return self.sequential / self.seconds

    @property
    def cost(self) -> float:
        """Change of the cost, as a share: -0.5 is half."""
        return -(self.report.avoided_share or 0.0)

    @property
    def tokens(self) -> float:
        """Change of the tokens per request, as a share."""
        report = self.report
        return (report.tokens_per_request or 0.0) / (report.baseline_tokens_per_request or 1.0) - 1.0


class Swap:
    """A stage that does what the pattern's strategy says: another model, and a shorter instruction.

    Args:
        model: which model to ask, of a request; the one asked for when it gives that.
        system: the instruction to send instead; None keeps it.
        shortened: tokens that this saves.
    """

    name = "route"
    policy = "scenario"

    def __init__(self, model: Callable[[Request], str], system: str | None = None, shortened: int = 0) -> None:
        self._model, self._system, self._shortened = model, system, shortened

    def prepare(self, request: Request) -> Prepared | None:
        """What to send in place of a request."""
        model = self._model(request)
        if model == request.model and self._system is None:
            return None
        body = {**request.body, "model": model}
        if self._system is not None:
            body["messages"] = [{"role": "system", "content": self._system}, *body["messages"][1:]]
        changed = msgspec.structs.replace(request, body=body)
        mechanism = "route" if model != request.model else None
        return Prepared(changed, Step("route", model), mechanism=mechanism, shortened=self._shortened)

    def again(self, request: Request, response: Response) -> Prepared | None:  # noqa: ARG002 - every answer will do
        """Nothing is asked twice."""
        return None

    def learn(self, request: Request, response: Response) -> None:
        """Nothing is learned."""


def articles(count: int, seed: int) -> list[Request]:
    """Requests to summarise articles of about 400 tokens, with a verbose instruction of about 200."""
    draw = random.Random(seed)  # noqa: S311 - a script, not a secret
    made = []
    for number in range(count):
        text = " ".join(draw.choices(_WORDS, k=260))
        made.append(Request.chat(f"Article {number}: {text}", model=LARGE, system=_VERBOSE, max_tokens=600))
    return made


def phrases(count: int, seed: int) -> list[tuple[str, str]]:
    """Pairs of language and phrase: strings of a user interface by Zipf's law, and sentences that come once."""
    draw = random.Random(seed)  # noqa: S311 - a script, not a secret
    strings = [" ".join(draw.choices(_WORDS, k=draw.randint(1, 5))).capitalize() for _ in range(UI_STRINGS)]
    weights = [1.0 / rank for rank in range(1, UI_STRINGS + 1)]
    made = []
    for number in range(count):
        if draw.random() < UI_SHARE:
            phrase = draw.choices(strings, weights)[0]
        else:
            phrase = f"Ticket {number}: " + " ".join(draw.choices(_WORDS, k=draw.randint(6, 14)))
        made.append((draw.choice(LANGUAGES), phrase))
    return made


async def content(count: int, seed: int, on_progress: Callable[[int], None]) -> ScenarioResult:
    """Summaries of articles that do not depend on each other, 50 at a time."""
    models = _models(0.15)
    saved = (len(_VERBOSE) - len(_BRIEF)) // 4
    stage = Swap(lambda _: SMALL, _BRIEF, saved)
    requests = articles(count, seed)
    with SimulatedServer(models, seed=seed, process=True) as server:
        async with _optimizer(server, [stage]) as optimizer:
            sequential = await _sequential(server, requests[: max(10, count // 50)], count)
            began = time.perf_counter()
            await optimizer.gather(requests, WIDE, progress=lambda done, _: on_progress(done))
            seconds = time.perf_counter() - began
            return ScenarioResult(
                count=count, seconds=seconds, sequential=sequential, report=optimizer.ledger.summary()
            )


async def translation(count: int, seed: int, on_progress: Callable[[int], None]) -> ScenarioResult:
    """Phrases into five languages, batched by language, small model for short ones, repeated ones from memory."""
    from resopt.batch.gather import batch_process
    from resopt.cache.response import ResponseCache

    pairs = phrases(count, seed)
    stage = Swap(lambda request: SMALL if len((request.question or "").split()) <= _SHORT else LARGE)
    asked = [_translate(language, phrase) for language, phrase in pairs]
    with SimulatedServer(_models(0.12), seed=seed, process=True) as server:
        # A translation depends neither on who asks nor on when: the rules of freshness have no say here.
        cache = ResponseCache(max_size=count, ttl_seconds=86_400, freshness=False)
        async with _optimizer(server, [stage], cache) as optimizer:
            sequential = await _sequential(server, asked[: max(10, count // 500)], count)

            async def answer(request: Request) -> Any:
                return await optimizer.complete(request)

            began = time.perf_counter()
            async with BatchProcessor(run=answer, batch_size=WIDE, key=lambda request: request.tags) as batches:
                done = 0

                async def one(request: Request) -> None:
                    nonlocal done
                    await batches.submit(request)
                    done += 1
                    on_progress(done)

                await batch_process(asked, WIDE * len(LANGUAGES), run=one, identity=lambda _: None)
            seconds = time.perf_counter() - began
            return ScenarioResult(
                count=count, seconds=seconds, sequential=sequential, report=optimizer.ledger.summary()
            )


def _translate(language: str, phrase: str) -> Request:
    system = f"Translate into {language}. Answer with the translation alone."
    return Request.chat(phrase, model=LARGE, system=system, max_tokens=600, tags=(language,))


def _models(seconds: float) -> list[SimulatedModel]:
    """Both models with delays of a tenth of what they stand for; prices are those of the simulator."""
    large = SimulatedModel(name=LARGE, input_price=2.5, output_price=10.0, p50=seconds, p95=seconds * 1.5)
    small = SimulatedModel(name=SMALL, input_price=0.15, output_price=0.6, p50=seconds, p95=seconds * 1.5)
    return [large, small]


def _optimizer(server: SimulatedServer, stages: list[Any], cache: Any = None) -> AsyncOptimizer:
    prices = {model.name: (model.input_price, model.output_price) for model in server.models}
    provider = OpenAIProvider(server.base_url, api_key="simulated", max_connections=WIDE * 2)
    return AsyncOptimizer(provider, cache=cache, prices=prices, stages=stages, gates=[Limits(start=WIDE * 2)])


async def _sequential(server: SimulatedServer, sample: list[Request], count: int) -> float:
    """Seconds that so many would take one after another without resopt, by a sample."""
    async with OpenAIProvider(server.base_url, api_key="simulated") as provider:
        await provider.complete(sample[0])
        began = time.perf_counter()
        for request in sample:
            await provider.complete(request)
        return (time.perf_counter() - began) * count / len(sample)
