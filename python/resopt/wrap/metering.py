"""What is not kept but costs money: past the gates, settled by what its reply says of it, and into the books.

A reply is never held up: what says what it cost is read as the caller reads it, and settled when that has ended.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from resopt.gates import making
from resopt.providers.dialect import Dialect, UnusableReplyError, dialect_of
from resopt.route.worst_case import UNBOUNDED
from resopt.types import Request, Response, Scope, Step, Usage
from resopt.wrap.bodies import decoded, tap
from resopt.wrap.door import user_of
from resopt.wrap.options import current
from resopt.wrap.wire import Exchanges, Head, RefusedError, json_of, write_head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from resopt.gates import Passes
    from resopt.optimizer import AsyncOptimizer

_let_through: ContextVar[Any] = ContextVar("resopt_let_through", default=None)


@contextmanager
def let_through(pipeline: AsyncOptimizer) -> Iterator[None]:
    """Say that the call made inside the `with` block has passed the gates of `pipeline` already."""
    token = _let_through.set(pipeline)
    try:
        yield
    finally:
        _let_through.reset(token)


def is_let_through(pipeline: AsyncOptimizer) -> bool:
    """Whether the running code makes a call that has passed the gates of `pipeline` already."""
    return _let_through.get() is pipeline


class Metering:
    """One call on its way through the gates; who asks is who the running code says, or the body.

    Args:
        pipeline: whose gates, and whose books.
        api: its API.
        body: what is sent, as far as it is known.
    """

    def __init__(self, pipeline: AsyncOptimizer, api: str, body: dict[str, Any]) -> None:
        self._pipeline, self._started = pipeline, perf_counter()
        given = current.get()
        scope = Scope(tenant=given.tenant, user=given.user or user_of(body))
        self._request = Request(body=body, api=api, scope=scope, tags=given.tags, cache="bypass")
        self._passes: Passes | None = None
        self._sent_at = self._started

    async def call(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """What `send()` comes to, once all gates let the call pass; whoever calls this says what it came to.

        Raises:
            ResoptError: a gate is closed to it.
            Exception: what `send` raised.
        """
        pipeline = self._pipeline
        try:
            self._passes = await pipeline.stages.enter(self._request)
            self._sent_at = perf_counter()
            with making(pipeline.stages.gates, self._request, pipeline.accounts.skip), let_through(pipeline):
                return await pipeline.accounts.upstream(send())
        except BaseException as error:
            self._fail(error)
            raise

    def came(self, content: bytes | None) -> None:
        """The call came to an answer, which has been read; None for one that does not say what it cost."""
        told = content is not None and not self._unbounded
        self._settle(self._told(lambda: content or b"") if told else None)

    def watch(self, module: Any, reply: Any) -> None:
        """The call came to an HTTP reply, which says what it cost when it is read."""
        if reply.status_code >= 300:
            self._fail(RefusedError(Head.of(reply), b""))
        elif self._unbounded:
            self._settle(None)
        elif reply.is_stream_consumed:
            self.came(reply.content)
        else:
            tap(module, reply, partial(self._read, partial(decoded, module), Head.of(reply)))

    def _read(
        self, decode: Any, head: Head, chunks: Sequence[bytes], *, whole: bool, error: BaseException | None
    ) -> None:
        """The reply has been read, to its end or not."""
        exchanges = Exchanges(self._dialect, decode)
        response = self._told(lambda: exchanges.assemble([write_head(head), *chunks]))
        if response is None and not whole:  # who leaves before the end may be billed for all of it
            self._fail(GeneratorExit() if error is None else error)
        else:
            self._settle(response)

    def _told(self, content: Callable[[], bytes]) -> Response | None:
        """What a reply says; None when that is nothing, or nothing that can be read."""
        seconds = perf_counter() - self._sent_at
        try:
            return self._dialect.read(content(), seconds)
        except UnusableReplyError:
            return None
        except Exception as failure:  # noqa: BLE001 - invariant 8: the reply is the caller's, whatever we make of it
            self._pipeline.accounts.skip("metering", failure)
            return None

    @property
    def _unbounded(self) -> bool:
        return self._request.api == UNBOUNDED

    @property
    def _dialect(self) -> Dialect:
        return dialect_of(self._request.api) or Billing(self._request)

    def _settle(self, response: Response | None) -> None:
        passes, request = self._passes, self._request
        if response is None:
            response = Response(text="", model=request.model, latency=perf_counter() - self._sent_at)
        if passes is not None:
            passes.settle(response, None)
        asked = Step("provider", self._pipeline.provider.name, "", response.latency)
        self._pipeline.accounts.record(request, response, self._started, outcome="bypass", steps=(asked,))

    def _fail(self, error: BaseException) -> None:
        if self._passes is not None:
            self._passes.settle(None, error)
        self._pipeline.accounts.failure(error, self._started, self._request)


class Billing:
    """The dialect of what is only billed here: of all that a reply says, what it cost.

    Args:
        request: whose reply it is.
    """

    def __init__(self, request: Request) -> None:
        self.api, self._model = request.api, request.model

    def read(self, body: bytes, seconds: float) -> Response:
        """An answer that says nothing but what was billed.

        Raises:
            UnusableReplyError: it is no JSON object.
        """
        said = json_of(body)
        if not isinstance(said, dict):
            raise UnusableReplyError("no JSON object")
        return Response(text="", model=self._model, usage=_usage(said.get("usage")), latency=seconds)

    def assemble(self, events: Sequence[bytes]) -> bytes:
        """The last event that says what was billed."""
        for event in reversed(events):
            said = json_of(event)
            if isinstance(said, dict) and _usage(said.get("usage")) is not None:
                return event
        return b"{}"

    def whole(self, response: Response) -> bytes | None:  # noqa: ARG002
        """None: nothing is kept."""
        return None

    def replay(self, response: Response, body: Mapping[str, Any]) -> Sequence[bytes] | None:  # noqa: ARG002
        """None: nothing is kept."""
        return None


def _usage(said: object) -> Usage | None:
    """What was billed; embeddings have no completion."""
    if not isinstance(said, dict):
        return None
    asked, answered = said.get("prompt_tokens"), said.get("completion_tokens") or 0
    if type(asked) is not int or type(answered) is not int or min(asked, answered) < 0:
        return None
    return Usage(input_tokens=asked, output_tokens=answered)
