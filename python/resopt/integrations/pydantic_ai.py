"""pydantic-ai's models behind an `AsyncOptimizer`: `Agent(ResoptModel("openai:gpt-4o"))`.

A hit has the usage, timestamp and parts of the answer as it was made, so an agent's own sums count it in full; what was
really billed is in `model.resopt.ledger`. Streams are replayed part by part; of concurrent equal streams each asks.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from resopt.errors import MissingExtraError
from resopt.integrations.gated import let_in, told
from resopt.optimizer import AsyncOptimizer
from resopt.types import EVERYONE, Request, Response, Scope

try:
    from pydantic_ai.models import CompletedStreamedResponse
    from pydantic_ai.models.wrapper import WrapperModel

    from resopt.integrations.pydantic_ai_messages import as_answer, as_model_response, as_request
except ImportError as error:
    raise MissingExtraError("resopt.integrations.pydantic_ai needs: pip install pydantic-ai-slim") from error
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_call: ContextVar[Any] = ContextVar("_call")


class _Upstream:  # the wrapped model as a provider: the call itself comes in the context of whoever asks first
    name = "pydantic_ai"

    async def complete(self, _: Request) -> Response:
        return as_answer(await _call.get()())

    async def aclose(self) -> None:
        """The wrapped model is its owner's to close."""


class ResoptModel(WrapperModel):
    """A model that answers from memory where it may; in all else the wrapped model.

    Answers are shared by models alike in name, settings, base URL and API key; if a tenant is named, instead of the key
    by tenant. `resopt` is the optimizer, with its `cache` and `ledger`.

    Args:
        wrapped: the model, or its name.
        scope: who may share the answers.
        tags: names by which what is stored through this model can be invalidated.
        **options: `cache`, `prices`, `ledger` and `gates` as of `AsyncOptimizer`; streams pass the gates too. The model
            is the wrapped one, so a limit that says `degrade` rejects. A `FallbackModel` has no price of its own: a
            budget refuses it unless it has `unknown=`.
    """

    def __init__(self, wrapped: Any, *, scope: Scope = EVERYONE, tags: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(wrapped)
        self.resopt = AsyncOptimizer(cast("Any", _Upstream()), **options)
        self._resopt_request = partial(as_request, self.wrapped, scope, tags)

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> Any:
        """Answer from memory, or by one call for all who ask the same now."""
        asked = (messages, model_settings, model_request_parameters)
        token = _call.set(partial(self.wrapped.request, *asked))
        try:
            return as_model_response(await self.resopt.complete(self._resopt_request(*asked)))
        finally:
            _call.reset(token)

    @asynccontextmanager
    async def request_stream(
        self, messages: Any, model_settings: Any, model_request_parameters: Any, run_context: Any = None
    ) -> AsyncGenerator[Any]:
        """Replay what is stored, or pass on the wrapped model's stream, and keep it if it ends cleanly."""
        started = perf_counter()
        asked = (messages, model_settings, model_request_parameters)
        request = self._resopt_request(*asked)
        found = self.resopt.recall(request, started)
        if found is None:
            plan, passes, found = await let_in(self.resopt, request, started)
        if found is not None:
            parts = as_model_response(found)
            yield CompletedStreamedResponse(parts, model_request_parameters=asked[2], replay_events=True)
            return
        with told(self.resopt, request, passes, started) as end:
            with self.resopt.cache.filling(request, plan) as filling:
                async with self.wrapped.request_stream(*asked, run_context) as stream:
                    end.opened = True
                    yield stream
                end.answer = as_answer(stream.get())
                filling.admit(end.answer)
            if end.answer.finish_reason != "incomplete":
                end.outcome = "bypass" if plan.key is None else "miss"
