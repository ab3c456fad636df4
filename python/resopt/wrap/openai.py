"""OpenAI's clients with resopt in front: chat completions, responses and embeddings; everything else is as it was.

The methods that create answers are covered. `parse` and `stream` are made of those by the library's own code, and so
are covered with them. Raw replies pass by; where there are gates, all that passes by is held by `gated.py`.
"""

from __future__ import annotations

from copy import copy
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from resopt.sync import drive
from resopt.wrap import embeddings
from resopt.wrap.calls import Method, in_blocking
from resopt.wrap.door import is_raw
from resopt.wrap.graft import door_of
from resopt.wrap.objects import Kinds, mark

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def _chat(*, blocking: bool) -> Method:
    from openai import AsyncStream, Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    kinds = Kinds(ChatCompletionChunk, ChatCompletionChunk.construct)
    return Method("openai.chat", ChatCompletion, kinds, Stream if blocking else AsyncStream)


@cache
def _responses(*, blocking: bool) -> Method:
    from openai import AsyncStream, Stream
    from openai._models import construct_type
    from openai.types.responses import Response, ResponseStreamEvent

    def construct(value: Any) -> Any:
        return construct_type(type_=ResponseStreamEvent, value=value)

    kinds = Kinds(ResponseStreamEvent, construct)
    return Method("openai.responses", Response, kinds, Stream if blocking else AsyncStream)


def _created(body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What `create` is to be given for a request that `parse` is about to send."""
    sent = dict(body)
    for name, option in (("extra_headers", "headers"), ("extra_query", "params"), ("extra_body", "extra_json")):
        if options.get(option) is not None:
            sent[name] = options[option]
    return {**sent, "timeout": options["timeout"]} if "timeout" in options else sent


def _parsed(made: Any, options: dict[str, Any]) -> Any:
    """What `parse` makes of the answer; it says how by the request's `post_parser`."""
    answer, trace = options["post_parser"](made), getattr(made, "_resopt", None)
    return answer if trace is None else mark(answer, trace, made)


def _asking(resource: Any, post: Callable[..., Any]) -> Any:
    """The resource with another way to send a request, for the library's own `parse` to use."""
    asking = copy(resource)
    asking.__dict__["_post"] = post
    return asking


def _passes_by(arguments: dict[str, Any]) -> bool:
    return is_raw(arguments) or bool(arguments.get("stream"))


class _Resource:
    """What stands before a resource of the blocking client."""

    _client: Any
    _method: Any

    def create(self, **arguments: Any) -> Any:
        return self._method.call(self._client, super().create, arguments)  # type: ignore[misc]

    def parse(self, **arguments: Any) -> Any:
        original: Any = super().parse  # type: ignore[misc]
        if _passes_by(arguments):
            return original(**arguments)

        def post(_: str, *, body: Any, options: Any, **__: Any) -> Any:
            return _parsed(self.create(**_created(body, options)), options)

        return original.__func__(_asking(self, post), **arguments)


class _AsyncResource(_Resource):
    """What stands before a resource of the async client."""

    async def create(self, **arguments: Any) -> Any:
        return await self._method.acall(self._client, super().create, arguments)

    async def parse(self, **arguments: Any) -> Any:
        original: Any = super().parse
        if _passes_by(arguments):
            return await original(**arguments)

        async def post(_: str, *, body: Any, options: Any, **__: Any) -> Any:
            return _parsed(await self.create(**_created(body, options)), options)

        return await original.__func__(_asking(self, post), **arguments)


class _Completions(_Resource):
    _method = cached_property(lambda _: _chat(blocking=True))


class _AsyncCompletions(_AsyncResource):
    _method = cached_property(lambda _: _chat(blocking=False))


class _Responses(_Resource):
    _method = cached_property(lambda _: _responses(blocking=True))


class _AsyncResponses(_AsyncResource):
    _method = cached_property(lambda _: _responses(blocking=False))


class _Embeddings:
    """What stands before `embeddings` of the blocking client."""

    _client: Any

    def create(self, **arguments: Any) -> Any:
        batch = embeddings.begin(door_of(self), arguments)
        create = super().create  # type: ignore[misc]
        if batch is None:
            return create(**arguments)
        known = batch.known()
        return drive(batch.ask(in_blocking(create))) if known is None else known


class _AsyncEmbeddings:
    """The same for the async client."""

    _client: Any

    async def create(self, **arguments: Any) -> Any:
        batch = embeddings.begin(door_of(self), arguments)
        create = super().create  # type: ignore[misc]
        if batch is None:
            return await create(**arguments)
        known = batch.known()
        return await batch.ask(create) if known is None else known


BLOCKING = {
    "chat": {"completions": _Completions},
    "beta": {"chat": {"completions": _Completions}},
    "responses": _Responses,
    "embeddings": _Embeddings,
}
"""What stands before which resource of `OpenAI`."""

ASYNC = {
    "chat": {"completions": _AsyncCompletions},
    "beta": {"chat": {"completions": _AsyncCompletions}},
    "responses": _AsyncResponses,
    "embeddings": _AsyncEmbeddings,
}
"""The same for `AsyncOpenAI`."""
