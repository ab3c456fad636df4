"""HTTP for the APIs of deferred work: JSON and files, asked again where asking again can do no harm."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from resopt.errors import ClosedError
from resopt.providers.failures import Failures
from resopt.providers.retry import Attempted, RetryPolicy, wait_asked_for
from resopt.providers.transport import InterruptedAttemptError, Reply, interrupt, load_httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    import httpx2

_LONGEST_WAIT = 60.0


class BatchClient:
    """Sends the requests of one API of deferred work. Works on asyncio and trio, one connection pool per event loop.

    Args:
        name: the provider's name, for errors.
        base_url: address that paths are added to.
        headers: of every request.
        query: parameters of every address, encoded, with their question mark; empty for none.
        timeout: seconds without a byte of a reply.
        max_attempts: requests sent at most for one that is safe to repeat.
        client: an `httpx2.AsyncClient` of the caller's; it stays theirs to close.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        headers: tuple[tuple[str, str], ...],
        *,
        query: str = "",
        timeout: float = 60.0,
        max_attempts: int = 4,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._base_url, self._headers, self._query, self._timeout = base_url, dict(headers), query, timeout
        secrets = tuple(value.removeprefix("Bearer ") for key, value in headers if key not in _PUBLIC)
        self._failures = Failures(name, base_url, secrets)
        self._policy = RetryPolicy(max_attempts=max_attempts, deadline=600.0)
        self._given = client
        self._opened: anyio.lowlevel.RunVar[httpx2.AsyncClient] = anyio.lowlevel.RunVar("batch_client")
        self._closed = False

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> bytes:
        """The body of the reply to a request.

        Args:
            method: of HTTP.
            path: added to the base.
            content: the request's body.
            headers: of this request.
            repeat: whether sending it twice does no harm; if not, only what was certainly not received is sent again.

        Raises:
            ProviderError: there was no reply of success.
        """
        attempts = 0
        while True:
            attempts += 1
            began = time.perf_counter()
            try:
                reply = await self._attempt(method, path, content, headers)
                if reply.status < 300:
                    return reply.body
                end: Reply | InterruptedAttemptError = reply
                again = reply.status in (408, 429) or (repeat and reply.status >= 500)
                asked = wait_asked_for(reply.headers)
            except InterruptedAttemptError as interruption:
                end, asked = interruption, None
                again = repeat
            if not again or attempts >= self._policy.max_attempts:
                attempted = Attempted(end, attempts, time.perf_counter() - began, "", asked)
                raise self._failures.of(attempted) from getattr(end, "__cause__", None)
            await anyio.sleep(min(self._policy.delay(attempts) if asked is None else asked, _LONGEST_WAIT))

    async def lines(self, path: str) -> AsyncGenerator[bytes, None]:
        """The lines of a file, as it is downloaded; a download that breaks off begins again behind them.

        Raises:
            ProviderError: it cannot be read.
        """
        given, attempts = 0, 0
        while True:
            attempts += 1
            seen = 0
            try:
                async with aclosing(self._download(path)) as download:
                    async for line in download:
                        seen += 1
                        if seen > given:
                            given += 1
                            yield line
            except InterruptedAttemptError as interruption:
                if attempts >= self._policy.max_attempts:
                    raise self._failures.of(Attempted(interruption, attempts, 0.0)) from interruption.__cause__
            else:
                return
            await anyio.sleep(self._policy.delay(attempts))

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        self._closed = True
        opened = self._opened.get(None)
        if opened is not None:
            with anyio.CancelScope(shield=True):
                await opened.aclose()

    def _open(self) -> httpx2.AsyncClient:
        if self._closed:
            raise ClosedError("this provider of batches is closed")
        if self._given is not None:
            return self._given
        opened = self._opened.get(None)
        if opened is None:
            opened = load_httpx2().AsyncClient(timeout=self._timeout)
            self._opened.set(opened)
        return opened

    async def _attempt(self, method: str, path: str, content: bytes, headers: Mapping[str, str] | None) -> Reply:
        httpx2 = load_httpx2()
        sent = {**self._headers, **(headers or {})}
        try:
            answer = await self._open().request(method, self._url(path), content=content or None, headers=sent)
        except httpx2.HTTPError as error:
            interrupt(error, before_reply=True)
        return Reply(answer.status_code, answer.headers, answer.content)

    async def _download(self, path: str) -> AsyncGenerator[bytes, None]:
        httpx2 = load_httpx2()
        try:
            async with self._open().stream("GET", self._url(path), headers=self._headers) as answer:
                if answer.status_code >= 300:
                    body = await answer.aread()
                    raise self._failures.of(Attempted(Reply(answer.status_code, answer.headers, body), 1, 0.0))
                rest = b""
                async with aclosing(answer.aiter_bytes()) as parts:
                    async for part in parts:
                        *whole, rest = (rest + part).split(b"\n")
                        for line in whole:
                            yield line
                if rest:
                    yield rest
        except httpx2.HTTPError as error:
            interrupt(error, before_reply=False)

    def _url(self, path: str) -> str:
        if not self._query:
            return self._base_url + path
        return self._base_url + path + ("&" + self._query[1:] if "?" in path else self._query)


_PUBLIC = frozenset({"content-type", "accept", "anthropic-version"})


def decoded(body: bytes, kind: Any) -> Any:
    """A reply as a struct.

    Raises:
        ProviderResponseError: it is something else.
    """
    import msgspec

    from resopt.errors import ProviderResponseError

    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProviderResponseError(f"the provider's reply is not what its batch API promises: {error}") from None
