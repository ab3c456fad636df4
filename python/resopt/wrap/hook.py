"""What every hook below a client shares: which requests are answered here, and how an exchange becomes a reply."""

from __future__ import annotations

import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import (
    CacheMissError,
    ConfigurationError,
    InvalidRequestError,
    UnkeyableError,
)
from resopt.flight.reading import TaskReading, ThreadReading
from resopt.gates import TURNED_AWAY
from resopt.optimizer import AsyncOptimizer
from resopt.passage import Passage, Replay
from resopt.streaming import Streams
from resopt.sync import Optimizer
from resopt.types import NO_TRACE, Request, Response, Scope
from resopt.wrap.bodies import AsyncSource, Source, body_class, decoded
from resopt.wrap.costs import priced
from resopt.wrap.door import user_of
from resopt.wrap.metering import Metering
from resopt.wrap.options import check_pace, current
from resopt.wrap.wire import (
    NO_SUCH_ANSWER,
    Head,
    RefusedError,
    exchanges_of,
    read_head,
    served,
    turned_away,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import ModuleType

    from resopt.cache.response import ResponseCache
    from resopt.metrics.ledger import Ledger
    from resopt.metrics.prices import PriceBook
    from resopt.stage import Gate

GENERATIONS = ("httpx2", "httpx")
"""The HTTP libraries, newest first."""


class Exchange(msgspec.Struct, frozen=True):
    """One request for an answer, as it was sent.

    Attributes:
        request: what is looked up and recorded.
        key: its key; None when it is to pass by the cache.
        started: the `perf_counter` at which it came.
    """

    request: Request
    key: bytes | None
    started: float


class Hook:
    """The way of HTTP exchanges into the pipeline.

    Args:
        blocking: whether its callers block.
        cache: as for `resopt.wrap`.
        prices: as for `resopt.wrap`.
        ledger: as for `resopt.wrap`.
        gates: as for `resopt.wrap`.
        replay_pace: seconds between the events of a stream that is served from memory.

    Attributes:
        resopt: the optimizer.
    """

    def __init__(
        self,
        *,
        blocking: bool,
        cache: ResponseCache | None,
        prices: PriceBook | Mapping[str, Any] | None,
        ledger: Ledger | None,
        gates: Sequence[Gate],
        replay_pace: float,
    ) -> None:
        self._pace = check_pace(replay_pace)
        kind = Optimizer if blocking else AsyncOptimizer
        self.resopt = kind(_Below(), cache=cache, prices=prices, ledger=ledger, gates=gates)
        self._metered = bool(gates)
        self._pipeline = self.resopt if isinstance(self.resopt, AsyncOptimizer) else self.resopt.pipeline
        self._blocking = blocking

    def streams(self, module: ModuleType) -> Streams:
        """The exchanges of one HTTP library."""
        dialect = partial(exchanges_of, decode=partial(decoded, module))
        return Streams(self._pipeline, ThreadReading if self._blocking else TaskReading, dialect)

    def exchange(self, api: str, body: dict[str, Any], namespace: Callable[[str | None], str]) -> Exchange:
        """What a request for an answer asks, with the options of the running code.

        Args:
            api: its API.
            body: its body.
            namespace: what keeps apart the answers of different callers, given the tenant.
        """
        started = perf_counter()
        given = current.get()
        request = Request(
            body=body,
            api=api,
            scope=Scope(tenant=given.tenant, user=given.user or user_of(body), namespace=namespace(given.tenant)),
            tags=given.tags,
            ttl=given.ttl,
            cache=given.cache,
        )
        try:
            key = None if given.cache == "bypass" else self._pipeline.cache.key(request)
        except UnkeyableError as error:  # what works without resopt must work with it
            self._pipeline.accounts.skip("key", error)
            request, key = msgspec.structs.replace(request, cache="bypass"), None
        return Exchange(request, key, started)

    def metering(self, method: str, path: str, read: Callable[[], Any]) -> Metering | None:
        """What passes the gates with a request to which no answer is kept; None where it need not.

        Args:
            method: of the request.
            path: of its URL.
            read: gives the body, decoded; None when nobody has seen it.
        """
        found = priced(method, path, read) if self._metered else None
        return None if found is None else Metering(self._pipeline, *found)

    def skip(self, stage: str, error: Exception) -> None:
        """Count what could not be done; the request goes on without it."""
        self._pipeline.accounts.skip(stage, error)

    async def reply(
        self,
        module: ModuleType,
        streams: Streams,
        exchange: Exchange,
        send: Callable[[], Awaitable[Any]],
    ) -> Any:
        """A response to an exchange: of memory, of one that is in the air, or by `send()`."""
        mine: list[Any] = []
        source = Source if self._blocking else AsyncSource

        async def ask(_: Request) -> Any:
            sent = await send()
            mine.append(sent)
            coming: Any = source(sent)
            if sent.status_code >= 300:
                raise RefusedError(Head.of(sent), await coming.rest())
            return coming

        try:
            passage: Any = streams.recall(exchange.request, exchange.started, exchange.key)
            if passage is None:
                passage = await streams.open(exchange.request, exchange.started, ask)
            head = read_head(await self._first(passage))
        except RefusedError as refused:
            head, passage = refused.head, Replay([refused.content], NO_TRACE)
        except CacheMissError:
            return self._no_such_answer(module)
        except TURNED_AWAY as error:
            return self._turned_away(module, error)
        if mine:
            headers, extensions = mine[0].headers, {**mine[0].extensions}
        else:
            age = passage.trace.age if passage.trace.outcome == "hit" else None
            headers, extensions = served(head, age), head.extensions
        extensions["resopt"] = passage
        return module.Response(head.status, headers=headers, extensions=extensions, stream=self._body(module, passage))

    async def passed(self, module: ModuleType, metering: Metering, send: Callable[[], Awaitable[Any]]) -> Any:
        """The reply to what is not kept here but passes the gates: as it came, read as the caller reads it."""
        try:
            reply = await metering.call(send)
        except TURNED_AWAY as error:
            return self._turned_away(module, error)
        metering.watch(module, reply)
        return reply

    async def _first(self, passage: Passage | Replay) -> bytes:
        if isinstance(passage, Passage):
            piece = passage.next() if self._blocking else await passage.anext()
            if piece is not None:
                return piece.data
        elif (kept := passage.next()) is not None:
            return kept
        raise ConfigurationError("the optimizer of this transport keeps something else than exchanges")

    def _body(self, module: ModuleType, passage: Passage | Replay) -> Any:
        given = current.get().replay_pace
        pace = self._pace if given is None else given
        return body_class(module, self._blocking)(passage, pace if isinstance(passage, Replay) else 0.0)

    def _no_such_answer(self, module: ModuleType) -> Any:
        """What RFC 9111 (5.2.1.7) has for `only-if-cached`; the second header keeps the SDKs from asking again."""
        headers = {"content-type": "application/json", "x-should-retry": "false", "x-resopt": "miss"}
        passage = Replay([NO_SUCH_ANSWER], NO_TRACE)
        return module.Response(504, headers=headers, stream=self._body(module, passage))

    def _turned_away(self, module: ModuleType, error: Exception) -> Any:
        status, headers, content = turned_away(error)
        return module.Response(status, headers=headers, stream=self._body(module, Replay([content], NO_TRACE)))


def generation_of(made: Any) -> str | None:
    """The HTTP library that an object's class comes from, itself or by inheritance; None when it is neither."""
    for kind in type(made).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in GENERATIONS:
            return root
    return None


def module_of(made: Any) -> Any:
    """The HTTP library that an object's class comes from.

    Raises:
        ConfigurationError: it comes from neither.
    """
    name = generation_of(made)
    if name is None:
        raise ConfigurationError(f"{type(made).__name__} is of neither httpx2 nor httpx")
    return sys.modules[name]


class _Below:
    """The provider of an optimizer that hangs below a client: only the client knows how to ask."""

    name = "http"

    async def complete(self, request: Request) -> Response:
        raise InvalidRequestError(f"a transport sends what its client asks; ask that client for {request.api}")

    async def aclose(self) -> None:
        """The wrapped transport is closed with its client."""

    def blocking(self) -> _Below:
        return self
