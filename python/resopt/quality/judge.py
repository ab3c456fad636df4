"""A judge of answers: a function of yours, a metric of an evaluation library, or a model with a fixed rubric.

A model that is shown two answers prefers the first too often (Zheng et al. 2023: the same verdict in both orders for
65 % of pairs), so it is asked in both orders, and what it does not say twice is a tie. What is no verdict counts as
none: never as zero.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import BudgetExceededError, ConfigurationError
from resopt.gates import check_gates, through
from resopt.quality.functions import read_said, scoring
from resopt.quality.rubric import RUBRIC, compare_messages, read_choice, read_score, score_messages, version_of
from resopt.ramp import check_callable
from resopt.types import EVERYONE, Billed, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from resopt.stage import Gate
    from resopt.types import Scope, Usage


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge says.

    Attributes:
        score: 0 to 1; of a comparison 1 when the candidate is better, 0.5 for a tie, 0 when it is worse; None when
            there is no verdict.
        reason: why, or why there is none.
        judge: who judged.
        version: of the judge's rubric and model; empty for a function.
        calls: the calls to a model that it took, each with its usage.
    """

    score: float | None
    reason: str = ""
    judge: str = ""
    version: str = ""
    calls: tuple[Billed, ...] = ()


class Judge:
    """Scores answers, and compares two answers to one question.

    Args:
        scorer: called with `(prompt, answer, context)`, returns a score from 0 to 1, or `(score, reason)`; it may be
            async. Or an object with DeepEval's `measure(test_case)`. None when a model judges.
        pairwise: called with `(prompt, first, second)`, returns what the first is worth against the second: 1, 0.5, 0.
        provider: where the model is asked: anything with `async complete(Request)`. Take one of another family than the
            models whose answers are judged.
        model: the model that judges.
        rubric: what makes an answer good. It is part of `version`.
        parameters: further fields of the calls' bodies.
        max_calls: calls to the model at most; after that there are no verdicts.
        budget: a `Budget` from which each call is set aside before it is made.
        bill: called as `bill("judge", model, usage)` for each call: `ledger.background` does.
        name: in verdicts; made of the function's or the model's name when empty.

    Attributes:
        version: of rubric and model.

    Raises:
        ConfigurationError: it is not clear who judges.
    """

    def __init__(
        self,
        scorer: Any = None,
        *,
        pairwise: Callable[[str, str, str], Any] | None = None,
        provider: Any = None,
        model: str = "",
        rubric: str = RUBRIC,
        parameters: Mapping[str, Any] | None = None,
        max_calls: int = 1_000,
        budget: Any = None,
        bill: Callable[[str, str, Usage | None], Any] | None = None,
        name: str = "",
    ) -> None:
        asks_model = provider is not None
        if asks_model == (scorer is not None or pairwise is not None):
            raise ConfigurationError("a judge is a function (scorer, pairwise) or a model (provider, model): give one")
        if asks_model and not (callable(getattr(provider, "complete", None)) and model):
            raise ConfigurationError("a model that judges needs a provider with complete(), and model=its name")
        if scorer is not None and not callable(scorer) and not callable(getattr(scorer, "measure", None)):
            raise ConfigurationError("scorer must be callable as (prompt, answer, context), or have a measure()")
        _check(pairwise, model, rubric, parameters, max_calls, bill, name)
        self.name = name or model or getattr(scorer or pairwise, "__name__", type(scorer or pairwise).__name__)
        self.version = version_of(rubric, model) if asks_model else ""
        self._counts = {"calls": 0, "no verdict": 0}
        self._scorer, self._pairwise = scorer, pairwise
        self._provider, self._model, self._rubric = provider, model, rubric
        self._parameters = {"temperature": 0, "max_tokens": 120} if parameters is None else dict(parameters)
        self._max_calls, self._gates, self._bill = max_calls, check_gates([budget]), bill
        self._scope: Scope = EVERYONE
        self._tags: tuple[str, ...] = ("judge",)
        self._twins: list[Any] = []
        self._lock = threading.Lock()

    async def score(self, prompt: str, answer: str, context: str | None = None) -> Verdict:
        """How good an answer is; what goes wrong on the way is no verdict, and no error.

        Raises:
            ConfigurationError: a function returned a score outside 0 to 1, or `bill` failed.
        """
        if self._provider is not None:
            calls: list[Billed] = []
            messages = score_messages(self._rubric, prompt, answer, context)
            return self._verdict(*await self._ask(messages, read_score, calls), calls)
        if self._scorer is None:
            raise ConfigurationError("this judge only compares: give it a scorer to score")
        return self._verdict(*await self._called(scoring(self._scorer), prompt, answer, context))

    async def compare(self, prompt: str, candidate: str, baseline: str) -> Verdict:
        """Whether the candidate is better (1), as good (0.5) or worse (0), asked in both orders.

        A judge that only scores compares its two scores.

        Raises:
            ConfigurationError: a function returned a score outside 0 to 1, or `bill` failed.
        """
        if candidate == baseline:
            return self._verdict(0.5, "the same answer")
        if self._provider is None and self._pairwise is None:
            ours, theirs = [await self.score(prompt, answer) for answer in (candidate, baseline)]
            if ours.score is None or theirs.score is None:
                return self._verdict(None, ours.reason or theirs.reason)
            return self._verdict((1 + (ours.score > theirs.score) - (ours.score < theirs.score)) / 2, ours.reason)
        calls: list[Billed] = []
        forward, reason = await self._prefer(prompt, candidate, baseline, calls)
        if forward is None:
            return self._verdict(None, reason, calls)
        backward, other = await self._prefer(prompt, baseline, candidate, calls)
        if backward is None:
            return self._verdict(None, other, calls)
        if forward + backward != 1:
            return self._verdict(0.5, "the verdict depends on the order", calls)
        return self._verdict(forward, reason, calls)

    async def agreement(self, rows: Sequence[tuple[str, str, float]]) -> tuple[float | None, int]:
        """Share of answers on which this judge and people agree whether they are good, and of how many.

        Args:
            rows: question, answer, and what people scored it, 0 to 1; 50 to 100 rows say something.
        """
        verdicts = [((await self.score(prompt, answer)).score, human) for prompt, answer, human in rows]
        both = [(score >= 0.5) == (human >= 0.5) for score, human in verdicts if score is not None]
        return (sum(both) / len(both) if both else None), len(both)

    @property
    def asks_model(self) -> bool:
        """Whether a model judges, and not a function."""
        return self._provider is not None

    @property
    def calls(self) -> int:
        """Calls made to the model."""
        return self._counts["calls"]

    @property
    def no_verdict(self) -> int:
        """How often there was none."""
        return self._counts["no verdict"]

    def blocking(self) -> BlockingJudge:
        """The same judge, with the same counts, for callers that block.

        Raises:
            ConfigurationError: the provider has no blocking twin.
        """
        twin = copy(self)
        twin._gates = tuple(gate.blocking() for gate in self._gates)  # noqa: SLF001 - of its own class
        if self._provider is not None:
            if not callable(getattr(self._provider, "blocking", None)):
                raise ConfigurationError(f"the provider {type(self._provider).__name__} has no blocking() twin")
            with self._lock:
                if not self._twins:
                    self._twins.append(self._provider.blocking())
            twin._provider = self._twins[0]  # noqa: SLF001
        return BlockingJudge(twin)

    def close(self) -> None:
        """Close what `blocking` opened; the provider is its owner's."""
        with self._lock:
            twins, self._twins[:] = [*self._twins], []
        for twin in twins:
            with suppress(StopIteration):
                twin.aclose().send(None)

    def within(self, gates: Sequence[Gate], asked: Request | None = None, *, bills: bool = True) -> Judge:
        """The same judge, with the same counts, whose calls pass these gates too: those of who wants the verdict.

        Args:
            gates: in this order, after its own budget, which is asked once even when it is among them.
            asked: the request whose answer is judged: the calls count in the budgets of its user, tenant and tags.
            bills: whether `bill` hears of the calls; not where who asks writes them down (`Verdict.calls`).
        """
        twin = copy(self)
        own = self._gates
        twin._gates = (*own, *(gate for gate in gates if all(gate is not each for each in own)))  # noqa: SLF001
        if asked is not None:
            twin._scope, twin._tags = asked.scope, (*asked.tags, "judge")  # noqa: SLF001
        if not bills:
            twin._bill = None  # noqa: SLF001
        return twin

    async def _prefer(self, prompt: str, first: str, second: str, calls: list[Billed]) -> tuple[float | None, str]:
        if self._provider is not None:
            return await self._ask(compare_messages(self._rubric, prompt, first, second), read_choice, calls)
        return await self._called(self._pairwise, prompt, first, second)

    async def _called(self, judge: Any, *args: Any) -> tuple[float | None, str]:
        try:
            said = judge(*args)
            said = await said if inspect.isawaitable(said) else said
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - quality is watched over, not served
            return None, f"{type(error).__name__}: {error}"
        return read_said(said)

    async def _ask(
        self, messages: list[dict[str, Any]], read: Callable[[str], tuple[float | None, str]], calls: list[Billed]
    ) -> tuple[float | None, str]:
        """One call to the model, within calls and budget."""
        with self._lock:
            if self._counts["calls"] >= self._max_calls:
                return None, "max_calls is used up"
            self._counts["calls"] += 1
        body = {"model": self._model, "messages": messages, **self._parameters}
        request = Request(body=body, scope=self._scope, tags=self._tags)
        try:
            response = await through(self._gates, request, partial(self._provider.complete, request))
        except BudgetExceededError as error:
            return None, str(error)
        except Exception as error:  # noqa: BLE001 - quality is watched over, not served
            return None, f"{type(error).__name__}: {error}"
        calls.append(Billed("judge", self._model, response.usage))
        if self._bill is not None:
            try:
                self._bill("judge", self._model, response.usage)
            except Exception as error:
                raise ConfigurationError(f"bill failed to take a judge's call: {error!r}") from error
        return read(response.text)

    def _verdict(self, score: float | None, reason: str, calls: Sequence[Billed] = ()) -> Verdict:
        if score is None:
            with self._lock:
                self._counts["no verdict"] += 1
        return Verdict(score=score, reason=reason, judge=self.name, version=self.version, calls=tuple(calls))


class BlockingJudge:
    """A judge whose methods block: over functions that do not wait, or a provider's blocking twin. `Judge.blocking`."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def score(self, prompt: str, answer: str, context: str | None = None) -> Verdict:
        """As `Judge.score`."""
        return _driven(self._judge.score(prompt, answer, context))

    def compare(self, prompt: str, candidate: str, baseline: str) -> Verdict:
        """As `Judge.compare`."""
        return _driven(self._judge.compare(prompt, candidate, baseline))


def _check(pairwise: Any, model: Any, rubric: Any, parameters: Any, max_calls: Any, bill: Any, name: Any) -> None:
    for word, text in (("model", model), ("rubric", rubric), ("name", name)):
        if not isinstance(text, str):
            raise ConfigurationError(f"{word} must be a str, not {type(text).__name__}")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise ConfigurationError(f"parameters must be a mapping or None, not {type(parameters).__name__}")
    if type(max_calls) is not int or max_calls < 0:
        raise ConfigurationError(f"max_calls must be an int from 0 up, not {max_calls!r}")
    check_callable("pairwise", pairwise)
    check_callable("bill", bill)


def _driven(coroutine: Coroutine[Any, Any, Verdict]) -> Verdict:
    """Run a coroutine that never suspends to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        verdict: Verdict = end.value
        return verdict
    coroutine.close()
    raise ConfigurationError("this judge waits for an event loop: use it with await")
