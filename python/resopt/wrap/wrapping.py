"""One line in front of a real client: `client = resopt.wrap(OpenAI())`."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import isawaitable
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from resopt.cache.response import ResponseCache
from resopt.errors import ConfigurationError, InvalidRequestError
from resopt.flight.reading import TaskReading, ThreadReading
from resopt.optimizer import AsyncOptimizer
from resopt.streaming import Streams
from resopt.sync import Optimizer
from resopt.wrap.door import Door, response_of
from resopt.wrap.graft import Client, graft, retrying
from resopt.wrap.options import check_pace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resopt.metrics.ledger import Ledger
    from resopt.metrics.prices import PriceBook
    from resopt.quality.feedback import Feedback
    from resopt.rollout.buckets import Rollout
    from resopt.rollout.experiment import Experiment
    from resopt.rollout.shadow import Shadow
    from resopt.stage import Gate, Stage
    from resopt.types import Request, Response

C = TypeVar("C")

_LIBRARIES = {
    "openai": ("OpenAI", "AsyncOpenAI"),
    "anthropic": ("Anthropic", "AsyncAnthropic"),
}
"""By client library its blocking and its async client; their subclasses (Azure, …) are these too."""


def wrap(
    client: C,
    *,
    cache: ResponseCache | None = None,
    prices: PriceBook | Mapping[str, Any] | None = None,
    ledger: Ledger | None = None,
    stages: Sequence[Stage] = (),
    gates: Sequence[Gate] = (),
    rollout: Rollout | None = None,
    experiments: Sequence[Experiment | Shadow] = (),
    quality: Feedback | None = None,
    replay_pace: float = 0.0,
) -> C:
    """A client that answers from memory where it may; otherwise it is the client that was given, and costs as much.

    Covered: `chat.completions.create`, `.parse` and `.stream`, `responses.create`, `.parse` and `.stream`,
    `embeddings.create` of OpenAI's clients; `messages.create`, `.parse` and `.stream` of Anthropic's. Everything else
    passes through, though past the gates where it costs money. Retries, timeouts and errors are the client's own.

    Args:
        client: an `openai.OpenAI`, `AsyncOpenAI`, `anthropic.Anthropic`, `AsyncAnthropic` or one of a subclass. It
            stays as it is; the two share connections.
        cache: a `ResponseCache`; when None one of an hour, 100,000 answers (every embedding is one) and 256 MB. Two
            clients may share one.
        prices: a `PriceBook`, or a mapping of model to (input, output) dollars per million tokens.
        ledger: where records go; a new one with `prices` when None.
        stages: what may change what is sent upstream, in this order (`resopt.stage.Stage`); not for embeddings.
        gates: what every call upstream that costs money must pass, in this order (`resopt.stage.Gate`), raw replies and
            what is not covered included (images, audio, batches, …), but for WebSockets.
        rollout: for which share of users stages are on.
        experiments: what is tried out, as for `AsyncOptimizer`.
        quality: collects feedback (`client.resopt.feedback(…)`), with guardrails if any.
        replay_pace: seconds between the events of a stream that is served from memory; 0 sends them at once.

    Returns:
        A client of the same type; its attribute `resopt` is the optimizer (`ledger`, `invalidate`, `stats`, `close`).

    Raises:
        ConfigurationError: the client is none of these, or an argument is of the wrong type.
    """
    library, blocking = _recognised(client)
    pace = check_pace(replay_pace)
    provider = _Through(library, client)
    kind = Optimizer if blocking else AsyncOptimizer
    if cache is None:
        cache = ResponseCache(max_size=100_000, max_bytes="256MB")
    optimizer = kind(
        provider,
        cache=cache,
        prices=prices,
        ledger=ledger,
        stages=stages,
        gates=gates,
        rollout=rollout,
        experiments=experiments,
        quality=quality,
    )
    pipeline = optimizer.pipeline if isinstance(optimizer, Optimizer) else optimizer
    streams = Streams(pipeline, ThreadReading if blocking else TaskReading)
    door = Door(optimizer, streams, client, pace)
    wrapped: C = graft(client, door, _branches(library, blocking=blocking), _face(pipeline, blocking=blocking))
    return wrapped


def _recognised(client: object) -> tuple[str, bool]:
    """The client's library, and whether it is the blocking client."""
    if hasattr(client, "_resopt_door"):
        raise ConfigurationError("this client is wrapped already")
    for library, (blocking, other) in _LIBRARIES.items():
        module: Any = sys.modules.get(library)
        if module is None:
            continue
        if isinstance(client, getattr(module, blocking)):
            return library, True
        if isinstance(client, getattr(module, other)):
            return library, False
    raise ConfigurationError(
        f"resopt.wrap takes an OpenAI, AsyncOpenAI, Anthropic or AsyncAnthropic client, not {type(client).__name__}; "
        "for anything else see resopt.cached and resopt.transport"
    )


def _branches(library: str, *, blocking: bool) -> Mapping[str, Any]:
    resources = import_module(f"resopt.wrap.{library}")
    branches: Mapping[str, Any] = resources.BLOCKING if blocking else resources.ASYNC
    return branches


def _face(pipeline: AsyncOptimizer, *, blocking: bool) -> type[Client]:
    """What stands before the client's class; only where there are gates does it look at each request."""
    if not pipeline.stages.gates:
        return Client
    from resopt.wrap.gated import AsyncGatedClient, GatedClient

    return GatedClient if blocking else AsyncGatedClient


_RESOURCES = {"openai.chat": "chat.completions", "openai.responses": "responses", "anthropic.messages": "messages"}


class _Through:
    """The bare client as a provider: what `client.resopt.complete(…)` asks."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self._client = retrying(client)

    async def complete(self, request: Request) -> Response:
        if request.api not in _RESOURCES:
            raise InvalidRequestError(f"{self.name}'s client is not known to answer {request.api} requests")
        began = perf_counter()
        made = attrgetter(_RESOURCES[request.api])(self._client).create(**request.body)
        if isawaitable(made):
            made = await made
        return response_of(request, made, perf_counter() - began)

    async def aclose(self) -> None:
        """The client is its owner's to close."""

    def blocking(self) -> _Through:
        return self
