"""One HTTP attempt, with or without an event loop: the seam that keeps the rest of a provider written once.

`AsyncTransport` awaits `httpx2.AsyncClient` (asyncio and trio); `BlockingTransport` has the same methods over
`httpx2.Client`, and its coroutines never suspend. URL and headers are prepared once, not per call.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

import anyio
import anyio.lowlevel
import msgspec

from resopt.errors import ClosedError, MissingExtraError
from resopt.terms import current_terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

_KEEP_SECONDS = 30.0
"""How long an idle connection stays open for the next call: below what common servers and balancers allow."""


class Reply(NamedTuple):
    """A complete HTTP reply; the names of `headers` may be looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class InterruptedAttemptError(Exception):
    """An attempt ended without a complete reply.

    Attributes:
        reason: what happened, for people.
        before_reply: no part of a reply had arrived.
        timed_out: it ended by a timeout after the request was sent: the provider may still be working on it.
    """

    def __init__(self, reason: str, *, before_reply: bool, timed_out: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.before_reply = before_reply
        self.timed_out = timed_out


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send, and how long to wait.

    Attributes:
        url: the whole URL, with its query.
        headers: headers of every request; they hold secrets, so `repr` shows their names only.
        connect_timeout: seconds to open a connection.
        read_timeout: seconds without a byte of the reply.
        max_connections: connections open at once, also kept for reuse.
    """

    url: str
    headers: tuple[tuple[str, str], ...]
    connect_timeout: float
    read_timeout: float
    max_connections: int

    def __repr__(self) -> str:
        return f"Endpoint({self.url.partition('?')[0]!r}, headers: {', '.join(name for name, _ in self.headers)})"


class Transport(Protocol):
    """Sends one request at a time per call; knows nothing of retries or schemas."""

    async def post(self, content: bytes, seconds: float) -> Reply:
        """Send `content` and read the whole reply within `seconds`.

        Raises:
            InterruptedAttemptError: no complete reply arrived.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts."""
        ...

    async def aclose(self) -> None:
        """Close the connections that this transport opened."""
        ...


class AsyncTransport:
    """Over `httpx2.AsyncClient`: one client per event loop, because its connections cannot move to another.

    A `client` of the caller's is used as it is, with its own headers, proxies and limits, and stays open.
    """

    def __init__(self, endpoint: Endpoint, client: httpx2.AsyncClient | None = None) -> None:
        self._endpoint = endpoint
        self._given = client
        self._opened: anyio.lowlevel.RunVar[tuple[httpx2.AsyncClient, _Template]] = anyio.lowlevel.RunVar("client")
        self._template = None if client is None else _Template(endpoint, client)
        self._closed = False

    def _open(self) -> tuple[httpx2.AsyncClient, _Template]:
        if self._closed:
            raise ClosedError("this provider is closed")
        if self._given is not None and self._template is not None:
            if self._given.is_closed:
                raise ClosedError("the httpx2 client that this provider was given is closed")
            return self._given, self._template
        opened = self._opened.get(None)
        if opened is None:
            httpx2 = load_httpx2()
            client = httpx2.AsyncClient(limits=_limits(self._endpoint))
            opened = client, _Template(self._endpoint, client)
            self._opened.set(opened)
        return opened

    async def post(self, content: bytes, seconds: float) -> Reply:
        """See `Transport.post`. Cancelling it closes the connection, so that the provider can stop working."""
        client, template = self._open()
        request = template.request(content, seconds)
        response = None
        # The timeouts of httpx2 are per read; only a scope bounds a reply that trickles.
        with anyio.move_on_after(seconds):
            try:
                response = await client.send(request, stream=True)
                body = template.decode(response, [part async for part in response.aiter_raw()])
            except template.failures as error:
                interrupt(error, before_reply=response is None)
            return Reply(response.status_code, response.headers, body)
        raise _out_of_time(seconds, before_reply=response is None)

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts."""
        await anyio.sleep(seconds)

    async def aclose(self) -> None:
        """Close the client of this event loop, unless it is the caller's. Later calls raise `ClosedError`."""
        self._closed = True
        opened = self._opened.get(None)
        if opened is not None:
            with anyio.CancelScope(shield=True):
                await opened[0].aclose()


class BlockingTransport:
    """Over `httpx2.Client`: the same methods, but nothing in them suspends. Threads may share it.

    Without an event loop nothing can interrupt a read, so a reply that trickles may end up to one read timeout late.
    """

    def __init__(self, endpoint: Endpoint, client: httpx2.Client | None = None) -> None:
        self._endpoint = endpoint
        self._given = client
        self._opened: tuple[httpx2.Client, _Template] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def _open(self) -> tuple[httpx2.Client, _Template]:
        if self._closed:
            raise ClosedError("this provider is closed")
        if self._given is not None and self._given.is_closed:
            raise ClosedError("the httpx2 client that this provider was given is closed")
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    client = self._given or load_httpx2().Client(limits=_limits(self._endpoint))
                    self._opened = client, _Template(self._endpoint, client)
        return self._opened

    async def post(self, content: bytes, seconds: float) -> Reply:
        """See `Transport.post`."""
        client, template = self._open()
        request = template.request(content, seconds)
        end = time.monotonic() + seconds
        response = None
        parts = []
        try:
            response = client.send(request, stream=True)
            for part in response.iter_raw():
                parts.append(part)
                if time.monotonic() > end:
                    raise _out_of_time(seconds, before_reply=False)
            body = template.decode(response, parts)
        except template.failures as error:
            interrupt(error, before_reply=response is None)
        finally:
            if response is not None:
                response.close()
        return Reply(response.status_code, response.headers, body)

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts, holding up this thread."""
        time.sleep(seconds)  # noqa: ASYNC251 - the blocking twin blocks, by contract

    async def aclose(self) -> None:
        """Close the client, unless it is the caller's. Later calls raise `ClosedError`."""
        self._closed = True
        if self._opened is not None and self._given is None:
            self._opened[0].close()


class _Template:
    """A request with everything but its body: building one from scratch costs as much as decoding the answer."""

    def __init__(self, endpoint: Endpoint, client: httpx2.AsyncClient | httpx2.Client) -> None:
        httpx2 = load_httpx2()
        request = client.build_request("POST", endpoint.url, headers=list(endpoint.headers), content=b"{}")
        del request.headers["content-length"]
        self._headers = request.headers
        self._url = request.url
        self._request = httpx2.Request
        self._response = httpx2.Response
        self._stream = httpx2.ByteStream
        self._connect_timeout = endpoint.connect_timeout
        self._read_timeout = endpoint.read_timeout
        self.failures: tuple[type[Exception], ...] = (httpx2.RequestError, httpx2.StreamError)

    def request(self, content: bytes, seconds: float) -> httpx2.Request:
        """The request for `content`, every timeout cut to the seconds that are left."""
        wait = min(self._read_timeout, seconds)
        # A little before the deadline, so that the error says what was short: a free connection.
        pool = 0.95 * seconds
        timeout = {"connect": min(self._connect_timeout, seconds), "read": wait, "write": wait, "pool": pool}
        request: httpx2.Request = self._request(
            "POST", self._url, headers=self._headers, stream=self._stream(content), extensions={"timeout": timeout}
        )
        request.headers["content-length"] = str(len(content))
        name = current_terms().idempotency_key
        if name:
            request.headers["idempotency-key"] = name
        return request

    def decode(self, response: httpx2.Response, parts: list[bytes]) -> bytes:
        """The body, uncompressed after the last byte: a decoder that fails midway would leave httpx2's streams open."""
        body = b"".join(parts)
        if "content-encoding" in response.headers:
            body = self._response(response.status_code, headers=response.headers, content=body).content
        return body


def interrupt(error: Exception, *, before_reply: bool) -> NoReturn:
    """Raise an error of httpx2 as ours, without its text where that could repeat a header."""
    httpx2 = load_httpx2()
    kind = type(error).__name__
    if isinstance(error, httpx2.PoolTimeout):
        reason = "no connection became free in time; raise max_connections"
    elif isinstance(error, httpx2.ConnectTimeout):
        reason = "no connection could be opened in time"
    elif isinstance(error, httpx2.TimeoutException):
        reason = "nothing more arrived in time" if isinstance(error, httpx2.ReadTimeout) else "it took too long to send"
    elif isinstance(error, httpx2.LocalProtocolError):
        reason = "the request is not valid HTTP; check the headers"
    else:
        reason = f"{error}" or kind
    connecting = isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout)
    timed_out = isinstance(error, httpx2.TimeoutException) and not connecting
    cause = None if isinstance(error, httpx2.LocalProtocolError) else error
    raise InterruptedAttemptError(f"{reason} ({kind})", before_reply=before_reply, timed_out=timed_out) from cause


def _out_of_time(seconds: float, *, before_reply: bool) -> InterruptedAttemptError:
    return InterruptedAttemptError(
        f"no complete reply within {seconds:.3g} s", before_reply=before_reply, timed_out=True
    )


def _limits(endpoint: Endpoint) -> httpx2.Limits:
    count = endpoint.max_connections
    limits: httpx2.Limits = load_httpx2().Limits(
        max_connections=count, max_keepalive_connections=count, keepalive_expiry=_KEEP_SECONDS
    )
    return limits


def load_httpx2() -> Any:
    """The HTTP client module, imported at the first call.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtraError("calling a provider needs: pip install 'resopt[http]'") from error
    return httpx2
