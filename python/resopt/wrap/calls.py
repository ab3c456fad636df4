"""How a wrapped method answers: from memory, or by the client library's own method, blocking or not."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from resopt.providers.dialect import dialect_of
from resopt.sync import drive
from resopt.wrap.door import Asked, Door, response_of
from resopt.wrap.metering import let_through
from resopt.wrap.objects import Kinds, Moulds, mark
from resopt.wrap.streams import AsyncRecording, Recording, stream_class

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.types import Request, Response


class Method:
    """One method of an SDK resource that creates answers.

    Args:
        api: the name of its API, such as `openai.chat`.
        kind: the class of a whole answer.
        kinds: the classes of a stream's events.
        stream: the client library's stream class.
    """

    def __init__(self, api: str, kind: Any, kinds: Kinds, stream: type) -> None:
        self.api = api
        self._moulds = Moulds(kind)
        self.kinds = kinds
        self.stream = stream

    def call(self, client: Any, create: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Answer a blocking call as `create(**arguments)` would."""
        door: Door = client._resopt_door  # noqa: SLF001 - put there by `graft`
        asked = door.read(self.api, arguments)
        if asked is None:
            return create(**arguments)
        if asked.request.body.get("stream"):
            return drive(self._stream(door, client, asked, in_blocking(create), Recording))
        hit = door.pipeline.recall(asked.request, asked.started, self._fits, asked.key)
        return drive(self._ask(door, asked, in_blocking(create))) if hit is None else self._remade(hit)

    async def acall(self, client: Any, create: Callable[..., Awaitable[Any]], arguments: dict[str, Any]) -> Any:
        """Answer an async call as `await create(**arguments)` would."""
        door: Door = client._resopt_door  # noqa: SLF001
        asked = door.read(self.api, arguments)
        if asked is None:
            return await create(**arguments)
        if asked.request.body.get("stream"):
            return await self._stream(door, client, asked, create, AsyncRecording)
        hit = door.pipeline.recall(asked.request, asked.started, self._fits, asked.key)
        return await self._ask(door, asked, create) if hit is None else self._remade(hit)

    async def _ask(self, door: Door, asked: Asked, create: Callable[..., Awaitable[Any]]) -> Any:
        mine: list[tuple[Any, Response]] = []

        async def upstream(request: Request) -> Response:
            began = perf_counter()
            with let_through(door.pipeline):
                made = await create(**asked.arguments(request))
            mine.append((made, response_of(request, made, perf_counter() - began)))
            return mine[-1][1]

        response = await door.pipeline.ask(asked.request, asked.started, upstream, self._fits)
        # Who asked upstream gets what came from there: of several attempts the one that counts.
        came = next((made for made, answer in reversed(mine) if answer.body == response.body), None)
        if came is not None:
            return mark(came, response.trace)
        if not response.body:  # what came was no object of the library, so there is nothing to make it again from
            return await create(**asked.arguments(asked.request))
        return self._remade(response)

    async def _stream(
        self,
        door: Door,
        client: Any,
        asked: Asked,
        create: Callable[..., Awaitable[Any]],
        recording: type[Recording | AsyncRecording],
    ) -> Any:
        async def upstream(request: Request) -> Recording | AsyncRecording:
            with let_through(door.pipeline):
                return recording(await create(**asked.arguments(request)))

        passage: Any = door.streams.recall(asked.request, asked.started, asked.key)
        if passage is None:
            passage = await door.streams.open(asked.request, asked.started, upstream)
        return stream_class(self.stream)(client, passage, self.kinds, asked.pace)

    def _remade(self, response: Response) -> Any:
        return self._moulds.make(response.body, response.trace)

    def _fits(self, stored: Response) -> bool:
        if stored.events is None:
            return True
        dialect = dialect_of(self.api)
        return dialect is not None and dialect.whole(stored) is not None


def in_blocking(create: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """A blocking method as a coroutine function that never suspends."""

    async def made(*given: Any, **arguments: Any) -> Any:
        return create(*given, **arguments)

    return made
