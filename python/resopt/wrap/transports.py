"""Transports of httpx2 and httpx that answer from memory: the same code for both, blocking and async."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from resopt.errors import ConfigurationError
from resopt.sync import drive
from resopt.wrap.credentials import namespace_of
from resopt.wrap.hook import Hook, generation_of, module_of
from resopt.wrap.metering import Metering
from resopt.wrap.wire import api_of, form_of, json_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import Self

    from resopt.cache.response import ResponseCache
    from resopt.metrics.ledger import Ledger
    from resopt.metrics.prices import PriceBook
    from resopt.stage import Gate
    from resopt.streaming import Streams
    from resopt.wrap.hook import Exchange


class Transport:
    """What both transports share: all but how one waits. `SyncTransport` says what the arguments are."""

    _BELOW: str
    _DUTY: str
    _BLOCKING: bool

    def __init__(
        self,
        wrapped: Any = None,
        *,
        module: ModuleType | None = None,
        cache: ResponseCache | None = None,
        prices: PriceBook | Mapping[str, Any] | None = None,
        ledger: Ledger | None = None,
        gates: Sequence[Gate] = (),
        replay_pace: float = 0.0,
    ) -> None:
        if wrapped is not None and not callable(getattr(wrapped, self._DUTY, None)):
            raise ConfigurationError(
                f"{type(self).__name__} wraps a transport with {self._DUTY}(), not {type(wrapped).__name__}"
            )
        name = None if wrapped is None else generation_of(wrapped)
        if module is not None and name is not None and module.__name__ != name:
            raise ConfigurationError(f"the wrapped transport is of {name}, not of {module.__name__}")
        self._hook = Hook(
            blocking=self._BLOCKING, cache=cache, prices=prices, ledger=ledger, gates=gates, replay_pace=replay_pace
        )
        self._wrapped = wrapped
        self._module: Any = module_of(wrapped) if module is None and name is not None else module
        self._streams: Streams | None = None
        self._lock = threading.Lock()

    @property
    def resopt(self) -> Any:
        """The optimizer: `ledger`, `invalidate`, `stats`."""
        return self._hook.resopt

    @property
    def generation(self) -> str | None:
        """The HTTP library it is made for; None when the first request is to say."""
        return None if self._module is None else str(self._module.__name__)

    def _exchange(self, request: Any) -> Exchange | Metering | None:
        """The request for an answer, or only what passes the gates with it; None when it must pass through."""
        module = self._module
        if self._streams is None:
            with self._lock:
                module = self._fit(request)
        method, path, headers = request.method, request.url.path, request.headers
        try:
            content = request.content
        except module.RequestNotRead:  # sent piece by piece
            return self._hook.metering(method, path, lambda: None)
        found = api_of(method, path, lambda: json_of(content))
        if found is None:  # no answer that is kept; where it costs money all the same, the gates are to know
            return self._hook.metering(method, path, lambda: json_of(content))
        api, body = found
        form = form_of(body, headers.get("accept", ""), headers.get("accept-encoding", ""))
        address = str(request.url)
        return self._hook.exchange(api, body, lambda tenant: namespace_of(address, headers, form, tenant))

    def _fit(self, request: Any) -> Any:
        """The HTTP library, learnt from the first request where it was not said.

        Raises:
            ConfigurationError: the client is of another one than the wrapped transport.
        """
        if self._module is None:
            self._module = module_of(request)
        if generation_of(request) != self.generation:
            raise ConfigurationError(
                f"this transport is made for {self.generation}, but its client is of {generation_of(request)}: "
                "wrap a transport of the client's own library"
            )
        if self._wrapped is None:
            self._wrapped = getattr(self._module, self._BELOW)()
        if self._streams is None:
            self._streams = self._hook.streams(self._module)
        return self._module


class SyncTransport(Transport):
    """A transport for blocking clients of httpx2 or httpx, which answers from memory where it may; thread-safe.

    Args:
        wrapped: the transport below, which is closed with this one; the library's own `HTTPTransport` when None.
        module: `httpx2` or `httpx`, where the wrapped transport's class does not say it; else the first request does.
        cache: a `ResponseCache`; one with the defaults (1 hour, 1,000 answers) when None. Several may share one.
        prices: a `PriceBook`, or a mapping of model to (input, output) dollars per million tokens.
        ledger: where records go; a new one with `prices` when None.
        gates: what every call upstream must pass, in this order (`resopt.stage.Gate`): a `Budget`, `Limits`. Streams,
            each retry of a client library and what costs money without being kept (embeddings, images, audio, batches,
            …: `resopt/wrap/costs.py`) pass them too. What a transport sends is what its client wrote, so a limit that
            says `degrade` rejects here. Who is turned away gets a reply of status 429 that tells client libraries not
            to try again; from a budget without `unknown` so does what has no worst case, such as a request for an
            answer whose body is sent piece by piece.
        replay_pace: seconds between the events of a stream that is served from memory; 0 sends them at once.

    Raises:
        ConfigurationError: an argument is of the wrong type, or of another HTTP library than the rest.
    """

    _BELOW = "HTTPTransport"
    _DUTY = "handle_request"
    _BLOCKING = True

    def handle_request(self, request: Any) -> Any:
        """Answer a request, as every transport of httpx2 and httpx does."""
        exchange = self._exchange(request)
        below = self._wrapped
        if exchange is None or self._streams is None:
            return below.handle_request(request)

        async def send() -> Any:
            return below.handle_request(request)

        if isinstance(exchange, Metering):
            return drive(self._hook.passed(self._module, exchange, send))
        return drive(self._hook.reply(self._module, self._streams, exchange, send))

    def close(self) -> None:
        """Close the wrapped transport. The ledger and the cache can still be read."""
        if self._wrapped is not None:
            self._wrapped.close()

    def __enter__(self) -> Self:
        if self._wrapped is not None:
            self._wrapped.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._wrapped is not None:
            self._wrapped.__exit__(*error)


class AsyncTransport(Transport):
    """The same for async clients, on asyncio and trio.

    The arguments are those of `SyncTransport`.
    """

    _BELOW = "AsyncHTTPTransport"
    _DUTY = "handle_async_request"
    _BLOCKING = False

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request, as every async transport of httpx2 and httpx does."""
        exchange = self._exchange(request)
        below = self._wrapped
        if exchange is None or self._streams is None:
            return await below.handle_async_request(request)

        async def send() -> Any:
            return await below.handle_async_request(request)

        if isinstance(exchange, Metering):
            return await self._hook.passed(self._module, exchange, send)
        return await self._hook.reply(self._module, self._streams, exchange, send)

    async def aclose(self) -> None:
        """Close the wrapped transport. The ledger and the cache can still be read."""
        if self._wrapped is not None:
            await self._wrapped.aclose()

    async def __aenter__(self) -> Self:
        if self._wrapped is not None:
            await self._wrapped.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._wrapped is not None:
            await self._wrapped.__aexit__(*error)
