"""What a wrapped client returns for a stream: an instance of the client library's own stream class, fed by resopt."""

from __future__ import annotations

import sys
import time
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from resopt.passage import Passage, Piece, Replay
from resopt.wrap.objects import Kinds, recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from resopt.types import Trace


class Recording:
    """A stream upstream as a source of pieces, blocking.

    Args:
        stream: what the client library returned.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        made = next(self.stream)
        return Piece(recorded(made), made)

    def close(self) -> None:
        """Close it upstream."""
        self.stream.close()


class AsyncRecording:
    """The same for an async stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        made = await anext(self.stream)
        return Piece(recorded(made), made)

    async def close(self) -> None:
        """Close it upstream."""
        await self.stream.close()


class _Face:
    """What streams have in common, blocking or not. Stands before the client library's class in the order of bases."""

    _options = None

    def __init__(self, client: Any, passage: Passage | Replay, kinds: Kinds, pace: float) -> None:
        self._client = client
        self._passage = passage
        self._kinds = kinds
        self._pace = pace if isinstance(passage, Replay) else 0.0

    @property
    def _iterator(self) -> Any:
        # Held, it would close a circle, and leave a dropped stream open upstream until the collector comes.
        return self

    @property
    def _resopt(self) -> Trace:
        return self._passage.trace

    @cached_property
    def response(self) -> Any:
        """Status and headers of the reply upstream, or of none; its body is what this stream yields.

        The client library's helpers close it to leave the stream.
        """
        passage = self._passage
        source = passage.source if isinstance(passage, Passage) else None
        upstream = getattr(getattr(source, "stream", None), "response", None)
        http: Any = sys.modules[_http(self._client._client if upstream is None else upstream)]  # noqa: SLF001 - below the SDK
        stream = _body(http)(passage)
        if upstream is not None:
            return http.Response(
                upstream.status_code, headers=upstream.headers, request=upstream.request, stream=stream
            )
        request = http.Request("POST", str(self._client.base_url))
        return http.Response(200, headers={"content-type": "text/event-stream"}, request=request, stream=stream)

    def _object(self, piece: Piece | bytes) -> Any:
        if type(piece) is bytes:
            return self._kinds.remade(piece)
        made = piece.take()  # type: ignore[union-attr]  # it is no bytes
        return self._kinds.remade(piece.data) if made is None else made  # type: ignore[union-attr]


class _ThreadFace(_Face):
    def __next__(self) -> Any:
        if self._pace:
            time.sleep(self._pace)
        piece = self._passage.next()
        if piece is None:
            raise StopIteration
        return self._object(piece)

    def __iter__(self) -> Iterator[Any]:
        passage = self._passage
        if self._pace or not isinstance(passage, Replay):
            return self
        return self._kinds.all_remade(passage)

    def __stream__(self) -> Iterator[Any]:
        return self

    def close(self) -> None:
        """Read no more; the stream goes on for others."""
        self._passage.leave()


class _TaskFace(_Face):
    async def __anext__(self) -> Any:
        if self._pace:
            import anyio

            await anyio.sleep(self._pace)
        passage = self._passage
        piece = passage.next() if isinstance(passage, Replay) else await passage.anext()
        if piece is None:
            raise StopAsyncIteration
        return self._object(piece)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __stream__(self) -> AsyncIterator[Any]:
        return self

    async def close(self) -> None:
        """Read no more; the stream goes on for others."""
        await _leave(self._passage)

    async def aclose(self) -> None:
        """As `close`."""
        await self.close()


async def _leave(passage: Passage | Replay) -> None:
    if isinstance(passage, Replay):
        passage.leave()
    else:
        await passage.aleave()


@cache
def _body(http: Any) -> Any:
    """The class of a reply's body that was read already, but whose closing leaves the stream."""

    class Body(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, passage: Passage | Replay) -> None:
            self._passage = passage

        def __iter__(self) -> Iterator[bytes]:
            return iter(())

        async def __aiter__(self) -> AsyncIterator[bytes]:
            nothing: tuple[bytes, ...] = ()
            for part in nothing:
                yield part

        def close(self) -> None:
            self._passage.leave()

        async def aclose(self) -> None:
            await _leave(self._passage)

    return Body


@cache
def stream_class(base: type) -> type:
    """The client library's stream class with resopt's way of reading."""
    face = _TaskFace if hasattr(base, "__anext__") else _ThreadFace
    return type(base.__name__, (face, base), {"__module__": base.__module__, "__qualname__": base.__qualname__})


def _http(thing: Any) -> str:
    """The name of the HTTP library that a thing is of: httpx2 or httpx."""
    for kind in type(thing).__mro__:  # there is no other way to tell
        root = kind.__module__.partition(".")[0]
        if root in ("httpx2", "httpx"):
            return root
    return "httpx2"
