"""Anthropic's clients with resopt in front: messages, of the beta too; everything else is as it was.

`create`, `parse` and `stream` of the library all end in one call of their resource's `_post`, with the whole body and
all headers made; that call is answered here. So what they do besides (formats, warnings, timeouts, helpers around
streams) is the library's own doing on a hit as well. Raw replies and all other paths pass by; where there are gates,
those are held by `gated.py`.
"""

from __future__ import annotations

from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from resopt.wrap.calls import Method
from resopt.wrap.door import TRANSPORT, UNSET, is_raw
from resopt.wrap.graft import door_of
from resopt.wrap.objects import Kinds, mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.wrap.door import Door

_PATH = "/v1/messages"


@cache
def _messages(*, blocking: bool) -> Method:
    from anthropic.types import Message, RawMessageStreamEvent

    return _method(Message, RawMessageStreamEvent, blocking=blocking)


@cache
def _beta_messages(*, blocking: bool) -> Method:
    from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent

    return _method(BetaMessage, BetaRawMessageStreamEvent, blocking=blocking)


def _method(kind: Any, event: Any, *, blocking: bool) -> Method:
    from anthropic import AsyncStream, Stream
    from anthropic._models import construct_type

    kinds = Kinds(event, lambda value: construct_type(type_=event, value=value))
    return Method("anthropic.messages", kind, kinds, Stream if blocking else AsyncStream)


class _Posted:
    """One call of `_post` as the method that `Method` answers.

    Args:
        post: the library's own.
        path: where to.
        body: what is sent.
        options: how it travels.
        rest: how the library reads the reply.
    """

    def __init__(
        self, post: Callable[..., Any], path: str, body: dict[str, Any], options: dict[str, Any], rest: dict[str, Any]
    ) -> None:
        self._post, self._path, self._body, self._rest = post, path, body, rest
        self._parser = options.get("post_parser")
        self._options = {name: value for name, value in options.items() if name != "post_parser"}

    def arguments(self, *, beta: bool) -> dict[str, Any]:
        """The call in the shape of a method's arguments; the beta's answers are kept apart."""
        options = self._options
        arguments = {name: value for name, value in self._body.items() if type(value).__name__ not in UNSET}
        headers, query = options.get("headers") or {}, options.get("params") or {}
        if any(isinstance(value, str) for value in headers.values()):
            arguments["extra_headers"] = headers
        if beta or query:
            arguments["extra_query"] = {**query, "beta": True} if beta else query
        if options.get("extra_json") is not None:
            arguments["extra_body"] = options["extra_json"]
        return arguments

    def create(self, *, extra_body: Any = None, **given: Any) -> Any:
        """Ask upstream; how the request travels is known already."""
        body = {name: value for name, value in given.items() if name not in TRANSPORT}
        options = self._options if extra_body is None else {**self._options, "extra_json": extra_body}
        return self._post(self._path, body=body, options=options, **self._rest)

    def parsed(self, door: Door, made: Any) -> Any:
        """What the caller gets of an answer; one that cannot be parsed is not served again."""
        if self._parser is None:
            return made
        trace = getattr(made, "_resopt", None)
        try:
            answer = self._parser(made)
        except Exception:
            if trace is not None and trace.key is not None:
                door.pipeline.invalidate(key=trace.key)
            raise
        return answer if trace is None else mark(answer, trace, made)


class _Resource:
    """What stands before a resource of the blocking client."""

    _client: Any
    _method: Any
    _beta = False

    @property
    def _post(self) -> Callable[..., Any]:
        return partial(self._answer, vars(self)["_post"])

    def _answer(self, post: Callable[..., Any], path: str, **sent: Any) -> Any:
        posted = _posted(post, path, **sent)
        if posted is None:
            return post(path, **sent)
        arguments = posted.arguments(beta=self._beta)
        return posted.parsed(door_of(self), self._method.call(self._client, posted.create, arguments))


class _AsyncResource(_Resource):
    """What stands before a resource of the async client."""

    async def _answer(self, post: Callable[..., Any], path: str, **sent: Any) -> Any:
        posted = _posted(post, path, **sent)
        if posted is None:
            return await post(path, **sent)
        arguments = posted.arguments(beta=self._beta)
        made = await self._method.acall(self._client, posted.create, arguments)
        return posted.parsed(door_of(self), made)


def _posted(
    post: Callable[..., Any], path: str, *, body: Any = None, options: Any = None, **rest: Any
) -> _Posted | None:
    """The call, or None when it is not one for an answer."""
    options = options or {}
    if path.partition("?")[0] != _PATH or not isinstance(body, dict):
        return None
    return None if is_raw({"extra_headers": options.get("headers")}) else _Posted(post, path, body, options, rest)


class _Messages(_Resource):
    _method = cached_property(lambda _: _messages(blocking=True))


class _AsyncMessages(_AsyncResource):
    _method = cached_property(lambda _: _messages(blocking=False))


class _BetaMessages(_Resource):
    _method = cached_property(lambda _: _beta_messages(blocking=True))
    _beta = True


class _AsyncBetaMessages(_AsyncResource):
    _method = cached_property(lambda _: _beta_messages(blocking=False))
    _beta = True


BLOCKING = {"messages": _Messages, "beta": {"messages": _BetaMessages}}
"""What stands before which resource of `Anthropic`."""

ASYNC = {"messages": _AsyncMessages, "beta": {"messages": _AsyncBetaMessages}}
"""The same for `AsyncAnthropic`."""
