"""Middleware for Anthropic's clients, through the client library's own `middleware=[…]`.

The library hands its middleware a request without its credential, so the client that makes the call is taken from the
chain; where it cannot be found nothing is shared, and the call goes upstream as if resopt were not there.
"""

from __future__ import annotations

import weakref
from datetime import timedelta
from functools import cache as once
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from resopt.errors import ConfigurationError, MissingExtraError
from resopt.sync import drive
from resopt.wrap.bodies import whole_reply
from resopt.wrap.calls import in_blocking
from resopt.wrap.credentials import Identity, namespace_below
from resopt.wrap.hook import Exchange, Hook, module_of
from resopt.wrap.wire import api_of, form_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from resopt.cache.response import ResponseCache
    from resopt.metrics.ledger import Ledger
    from resopt.metrics.prices import PriceBook
    from resopt.stage import Gate
    from resopt.streaming import Streams

_MODE = "x-stainless-raw-response"


def middleware(
    *,
    cache: ResponseCache | None = None,
    prices: PriceBook | Mapping[str, Any] | None = None,
    ledger: Ledger | None = None,
    gates: Sequence[Gate] = (),
    replay_pace: float = 0.0,
) -> Any:
    """Middleware for `Anthropic(middleware=[…])` and `AsyncAnthropic`, which answers `messages` from memory.

    Put it first, and what the others do on the way to the provider happens on a miss only. Its attribute `resopt` is
    the optimizer (`ledger`, `invalidate`, `stats`).

    Args:
        cache: a `ResponseCache`; one with the defaults (1 hour, 1,000 answers) when None. Several may share one.
        prices: a `PriceBook`, or a mapping of model to (input, output) dollars per million tokens.
        ledger: where records go; a new one with `prices` when None.
        gates: what every call upstream must pass, as for `SyncTransport`: what is sent stays as it is, so a limit that
            says `degrade` rejects. Put the middleware last then, that each attempt of the others passes them. What is
            not kept but costs money (batches, clients of other clouds) is turned away by the gate's own error.
        replay_pace: seconds between the events of a stream that is served from memory; 0 sends them at once.

    Raises:
        ConfigurationError: an argument is of the wrong type.
        MissingExtraError: anthropic is not installed, or too old to have middleware.
    """
    return _class()(cache=cache, prices=prices, ledger=ledger, gates=gates, replay_pace=replay_pace)


class _Face:
    """What stands before the client library's class `Middleware`."""

    _resopt_hook = True

    def __init__(self, *, cache: Any, prices: Any, ledger: Any, **settings: Any) -> None:
        blocking = _Side(blocking=True, cache=cache, prices=prices, ledger=ledger, **settings)
        self.resopt = blocking.hook.resopt
        shared = {"cache": self.resopt.cache, "ledger": self.resopt.ledger, "prices": None}
        self._blocking = blocking
        self._async = _Side(blocking=False, **settings, **shared)

    def handle(self, request: Any, call_next: Callable[[Any], Any]) -> Any:
        """Answer one attempt of a blocking client."""
        call = self._blocking.call(request, call_next)
        if call is None:
            return drive(self._blocking.passed(request, in_blocking(call_next)))

        async def ask() -> Any:
            return call_next(request)

        http = drive(call.reply(ask))
        if not call.streams:
            http.read()
        return call.made(http)

    async def handle_async(self, request: Any, call_next: Callable[[Any], Any]) -> Any:
        """Answer one attempt of an async client."""
        call = self._async.call(request, call_next)
        if call is None:
            return await self._async.passed(request, call_next)

        async def ask() -> Any:
            return await call_next(request)

        http = await call.reply(ask)
        if not call.streams:
            await http.aread()
        return call.made(http)


class _Side:
    """The blocking or the async half of one middleware."""

    def __init__(self, *, blocking: bool, **settings: Any) -> None:
        self.hook, self.blocking = Hook(blocking=blocking, **settings), blocking
        self._identities: weakref.WeakKeyDictionary[Any, Identity] = weakref.WeakKeyDictionary()
        self._streams: dict[str, Streams] = {}

    def call(self, request: Any, call_next: Any) -> _Call | None:
        """The request for an answer that is to be answered here; None when it is to pass."""
        options = request.options
        found = api_of(options.method, options.url.partition("?")[0], lambda: _body(options))
        if found is None:
            return None
        client = _client_behind(call_next)
        if client is None:
            self.hook.skip("middleware", ConfigurationError("the client that makes this call is not known"))
            return None
        api, body = found
        headers = options.headers if hasattr(options.headers, "items") else {}
        form = form_of(body, "", str(bool(request.stream)))
        identity = self._identities.get(client)
        if identity is None:
            identity = self._identities.setdefault(client, Identity(client))

        def namespace(tenant: str | None) -> str:
            own = identity.namespace(tenant, headers, options.params)
            return namespace_below(own, options.url, form)

        module = module_of(client._client)  # noqa: SLF001 - there is no other way to tell
        streams = self._streams.get(module.__name__)
        if streams is None:
            streams = self._streams.setdefault(module.__name__, self.hook.streams(module))
        return _Call(self, client, module, streams, request, self.hook.exchange(api, body, namespace))

    async def passed(self, request: Any, call_next: Callable[[Any], Any]) -> Any:
        """What comes of an attempt that is not answered here; where it costs money it passes the gates.

        Raises:
            ResoptError: a gate is closed to it. The library hands that on, and does not try again.
        """
        options = request.options
        metering = self.hook.metering(options.method, options.url.partition("?")[0], partial(_body, options))
        if metering is None:
            return await call_next(request)
        sent = await metering.call(partial(call_next, request))
        metering.watch(module_of(sent.http_response), sent.http_response)
        return sent


class _Call:
    """One attempt of a client to get an answer."""

    def __init__(
        self, side: _Side, client: Any, module: Any, streams: Streams, request: Any, exchange: Exchange
    ) -> None:
        self._side, self._client, self._module = side, client, module
        self._streams, self._request, self._exchange = streams, request, exchange
        self._sent: Any = None
        headers = request.options.headers
        mode = headers.get(_MODE) if hasattr(headers, "get") else None
        self.streams = bool(request.stream) or mode == "stream"

    async def reply(self, ask: Callable[[], Any]) -> Any:
        """The HTTP response to this attempt."""

        async def send() -> Any:
            self._sent = await ask()
            http = self._sent.http_response
            if not http.is_stream_consumed:
                return http
            return whole_reply(self._module, http, blocking=self._side.blocking)

        return await self._side.hook.reply(self._module, self._streams, self._exchange, send)

    def made(self, http: Any) -> Any:
        """What the client library makes of an HTTP response."""
        sent, request = self._sent, self._request
        if sent is not None and not self.streams and sent.http_response.is_stream_consumed:
            return sent  # who asked upstream gets what came from there
        client = self._client
        if sent is None:
            http.request = self._module.Request("POST", f"{str(client.base_url).rstrip('/')}{request.options.url}")
        else:
            http.request = sent.http_request
        http.elapsed = timedelta(seconds=perf_counter() - self._exchange.started)
        from anthropic import _response

        kind = _response.APIResponse if self._side.blocking else _response.AsyncAPIResponse
        return kind(
            raw=http,
            cast_to=request.cast_to,
            client=client,
            stream=request.stream,
            stream_cls=request.stream_cls,
            options=request.options,
            retries_taken=request.retries_taken,
        )


def _body(options: Any) -> Any:
    """The body that will be sent, where it is plain JSON."""
    if options.files or options.content is not None or not isinstance(options.json_data, dict):
        return None
    return {**options.json_data, **(options.extra_json or {})}


def _client_behind(call_next: Any) -> Any:
    """The client at the end of a chain of middleware; None when it is not found, or another than Anthropic's own.

    Only the library's own links are followed: what other middleware holds may be somebody else's client. Clients of
    other clouds prove their identity in ways of their own, so nothing of theirs is shared.
    """
    import anthropic

    step = call_next
    while step is not None:
        cells = getattr(step, "__closure__", None) or ()
        names = step.__code__.co_freevars if cells else ()
        held = {name: cell.cell_contents for name, cell in zip(names, cells, strict=True)}
        client = held.get("self")
        if isinstance(client, anthropic.Anthropic | anthropic.AsyncAnthropic):
            return client
        step = held.get("call_next")
    return None


@once
def _class() -> type:
    try:
        from anthropic import Middleware
    except ImportError as error:
        raise MissingExtraError("resopt.transport.middleware needs anthropic 2.x with middleware") from error
    return type("ResoptMiddleware", (_Face, Middleware), {})
