"""The two ends of an exchange: the response upstream as a source of pieces, and pieces as the body of a response."""

from __future__ import annotations

import time
from _thread import start_new_thread
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from resopt.passage import Piece, Replay
from resopt.types import NO_TRACE
from resopt.wrap.wire import Head, write_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class Source:
    """An HTTP response as a source of pieces: its head, then the bytes of its body."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply
        self._head: bytes | None = write_head(Head.of(reply))
        self._chunks: Iterator[bytes] = iter(reply.stream)

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        head, self._head = self._head, None
        if head is not None:
            return Piece(head, None)
        try:
            return Piece(next(self._chunks), None)
        except BaseException:  # the end too: a connection goes back to its pool when it is closed
            self.close()
            raise

    async def rest(self) -> bytes:
        """All of the body; blocks."""
        try:
            return b"".join(self._chunks)
        finally:
            self.close()

    def close(self) -> None:
        """Close it upstream."""
        self._reply.close()


class AsyncSource:
    """The same for an async response."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply
        self._head: bytes | None = write_head(Head.of(reply))
        self._chunks: AsyncIterator[bytes] = aiter(reply.stream)

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        head, self._head = self._head, None
        return Piece((await anext(self._chunks)) if head is None else head, None)

    async def rest(self) -> bytes:
        """All of the body."""
        try:
            return b"".join([chunk async for chunk in self._chunks])
        finally:
            await self.close()

    async def close(self) -> None:
        """Close it upstream."""
        finish = getattr(self._chunks, "aclose", None)
        if finish is not None:  # a generator left to the collector is finished at some time, or on trio never
            await finish()
        await self._reply.aclose()


class _Body:
    """A response's body, blocking. Stands before the HTTP library's own class of byte streams."""

    def __init__(self, passage: Any, pace: float) -> None:
        self._passage, self._pace = passage, pace

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pace:
            time.sleep(self._pace)
        piece: Piece | bytes | None = self._passage.next()
        if piece is None:
            raise StopIteration
        return piece if isinstance(piece, bytes) else piece.data

    def close(self) -> None:
        """Read no more; the exchange goes on for others."""
        self._passage.leave()


class _AsyncBody:
    """The same for async callers."""

    def __init__(self, passage: Any, pace: float) -> None:
        self._passage, self._pace = passage, pace

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pace:
            import anyio

            await anyio.sleep(self._pace)
        passage = self._passage
        piece: Piece | bytes | None = passage.next() if isinstance(passage, Replay) else await passage.anext()
        if piece is None:
            raise StopAsyncIteration
        return piece if isinstance(piece, bytes) else piece.data

    async def aclose(self) -> None:
        """Read no more; the exchange goes on for others."""
        self._passage.leave()


@cache
def body_class(module: Any, blocking: bool) -> Any:  # noqa: FBT001
    """The class of bodies for one HTTP library, which takes no other streams than its own."""
    if blocking:
        return type("Body", (_Body, module.SyncByteStream), {})
    return type("AsyncBody", (_AsyncBody, module.AsyncByteStream), {})


def decoded(module: Any, head: Head, content: bytes) -> bytes:
    """The body of an exchange without its content encoding, as an HTTP library undoes it."""
    headers = [(b"content-encoding", head.value(b"content-encoding").encode("latin-1"))]
    plain: bytes = module.Response(200, headers=headers, content=content).content
    return plain


def whole_reply(module: Any, read: Any, *, blocking: bool) -> Any:
    """A response whose body has been read and decoded, as one that has yet to be."""
    encoding = (b"content-encoding", b"content-length")
    headers = [(name, value) for name, value in read.headers.raw if name.lower() not in encoding]
    headers.append((b"content-length", str(len(read.content)).encode()))
    stream = body_class(module, blocking)(Replay([read.content], NO_TRACE), 0.0)
    return module.Response(read.status_code, headers=headers, extensions=read.extensions, stream=stream)


class _Ending:
    """A reply's body that its caller reads, and that is looked at when that has ended.

    Args:
        stream: the body.
        ended: called once, as `ended(chunks, whole=…, error=…)`.
    """

    def __init__(self, stream: Any, ended: Callable[..., None]) -> None:
        self._stream, self._ended = stream, [ended]
        self._chunks: Any = None
        self._seen: list[bytes] = []

    def _end(self, *, whole: bool = False, error: BaseException | None = None) -> None:
        try:
            ended = self._ended.pop()
        except IndexError:
            return
        chunks, self._seen = self._seen, []
        ended(chunks, whole=whole, error=error)

    def __del__(self) -> None:
        if self._ended:
            # The collector may run anywhere, under any lock; what the end needs is taken in a thread that holds none.
            with suppress(RuntimeError):  # the interpreter is shutting down
                start_new_thread(self._end, ())


class _Tap(_Ending):
    """Such a body, blocking. Stands before the HTTP library's own class of byte streams."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self._stream)
            chunk: bytes = next(self._chunks)
        except StopIteration:
            self._end(whole=True)
            raise
        except BaseException as error:
            self._end(error=error)
            raise
        self._seen.append(chunk)
        return chunk

    def close(self) -> None:
        """Read no more."""
        try:
            self._stream.close()
        finally:
            self._end()


class _AsyncTap(_Ending):
    """The same for async callers."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = aiter(self._stream)
            chunk: bytes = await anext(self._chunks)
        except StopAsyncIteration:
            self._end(whole=True)
            raise
        except BaseException as error:
            self._end(error=error)
            raise
        self._seen.append(chunk)
        return chunk

    async def aclose(self) -> None:
        """Read no more."""
        try:
            finish = getattr(self._chunks, "aclose", None)
            if finish is not None:  # as of `AsyncSource`
                await finish()
            await self._stream.aclose()
        finally:
            self._end()


@cache
def _tap_class(module: Any, blocking: bool) -> Any:  # noqa: FBT001
    if blocking:
        return type("Tap", (_Tap, module.SyncByteStream), {})
    return type("AsyncTap", (_AsyncTap, module.AsyncByteStream), {})


def tap(module: Any, reply: Any, ended: Callable[..., None]) -> None:
    """Have the body of an HTTP reply looked at when its caller has read it: nothing is read ahead, or held up.

    Args:
        module: the reply's HTTP library.
        reply: what has not been read yet.
        ended: called once, as `ended(chunks, whole=…, error=…)`, with the body as it came: read to its end, broken off
            by an error, or neither when who read it left.
    """
    blocking = isinstance(reply.stream, module.SyncByteStream)
    reply.stream = _tap_class(module, blocking)(reply.stream, ended)
