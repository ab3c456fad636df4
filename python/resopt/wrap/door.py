"""The way of one client's calls into the pipeline: what of a call is keyed, and who may share its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt.errors import UnkeyableError
from resopt.optimizer import AsyncOptimizer
from resopt.providers.dialect import UnusableReplyError, dialect_of
from resopt.types import EVERYONE, Request, Response, Scope
from resopt.wrap.credentials import Identity
from resopt.wrap.objects import is_faithful, recorded
from resopt.wrap.options import NO_OPTIONS, current

if TYPE_CHECKING:
    from resopt.providers.dialect import Dialect
    from resopt.streaming import Streams
    from resopt.sync import Optimizer

TRANSPORT: Final = ("extra_headers", "extra_query", "extra_body", "timeout")
"""Arguments of every SDK method that say how a request travels."""

_TELLING: Final = frozenset({*TRANSPORT, "metadata", "safety_identifier", "user"})
"""Arguments that say more than what is asked: how it travels, or for whom."""

_RAW: Final = "x-stainless-raw-response"
UNSET: Final = frozenset({"NotGiven", "Omit"})
"""Names of the classes whose instances the client libraries take for no value."""


class Asked(msgspec.Struct, frozen=True):
    """One call of a wrapped method.

    Attributes:
        request: what is looked up and recorded.
        key: its key; None when it is to pass by the cache.
        transport: the arguments that say how the request travels, as they were given.
        extra: names of fields that came in `extra_body`.
        started: the `perf_counter` at which the call came.
        pace: seconds between the events of a stream served from memory.
    """

    request: Request
    key: bytes | None
    transport: dict[str, Any]
    extra: tuple[str, ...]
    started: float
    pace: float

    def arguments(self, request: Request) -> dict[str, Any]:
        """The arguments to call the SDK's own method with."""
        body = request.body
        if not self.extra:
            return {**body, **self.transport}
        named = {name: value for name, value in body.items() if name not in self.extra}
        return {**named, **self.transport, "extra_body": {name: body[name] for name in self.extra}}


class Door:
    """What a wrapped client knows of resopt.

    Args:
        optimizer: what its calls go through.
        streams: the streams of that optimizer.
        client: the wrapped client.
        pace: seconds between the events of a stream served from memory, unless `options` says otherwise.
        like: the identity of the client that this one is a copy of.
    """

    def __init__(
        self,
        optimizer: Optimizer | AsyncOptimizer,
        streams: Streams,
        client: Any,
        pace: float = 0.0,
        like: Identity | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.pipeline = optimizer if isinstance(optimizer, AsyncOptimizer) else optimizer.pipeline
        self.streams = streams
        self.identity = Identity(client, like)
        self._pace = pace
        self._scope = EVERYONE

    def beside(self, client: Any, *, same: bool = True) -> Door:
        """The door of a copy of the client.

        Args:
            client: the copy.
            same: whether it proves its identity as this one does.
        """
        return Door(self.optimizer, self.streams, client, self._pace, self.identity if same else None)

    def _plain(self, api: str, arguments: dict[str, Any], started: float) -> Asked | None:
        """What most calls are, read in half the time: a body and nothing else; None when there is more to it."""
        namespace = self.identity.namespace(None, None, None)
        scope = self._scope
        if scope.namespace != namespace:
            scope = self._scope = Scope(namespace=namespace)
        request = Request(body=arguments, api=api, scope=scope)
        try:
            key = self.pipeline.cache.key(request)
        except UnkeyableError:  # an argument that is not given, or something that can be gone through once only
            return None
        return Asked(request, key, {}, (), started, self._pace)

    def read(self, api: str, arguments: dict[str, Any], *, keyed: bool = True) -> Asked | None:
        """The call that these arguments make, or None when it must pass by.

        Args:
            api: the API's name.
            arguments: what the caller gave the method.
            keyed: make the key of the whole request.
        """
        started = perf_counter()
        if keyed and current.get() is NO_OPTIONS and _TELLING.isdisjoint(arguments):
            plain = self._plain(api, arguments, started)
            if plain is not None:
                return plain
        if is_raw(arguments):
            return None
        body: dict[str, Any] = {}
        transport: dict[str, Any] = {}
        extra: tuple[str, ...] = ()
        for name, value in arguments.items():
            if type(value).__name__ in UNSET:
                continue
            if name in TRANSPORT:
                transport[name] = value
            else:
                body[name] = value if isinstance(value, _PLAIN) or not isinstance(value, Iterable) else _held(value)
        headers = transport.get("extra_headers")
        if (added := transport.pop("extra_body", None)) is not None:
            if not isinstance(added, Mapping):
                return None
            body.update(added)
            extra = tuple(added)
        given = current.get()
        user = given.user or user_of(body)
        namespace = self.identity.namespace(given.tenant, headers, transport.get("extra_query"))
        request = Request(
            body=body,
            api=api,
            scope=Scope(tenant=given.tenant, user=user, namespace=namespace),
            tags=given.tags,
            ttl=given.ttl,
            cache=given.cache,
        )
        pace = self._pace if given.replay_pace is None else given.replay_pace
        try:
            key = None if given.cache == "bypass" or not keyed else self.pipeline.cache.key(request)
        except UnkeyableError as error:  # a drop-in must not break what works without it
            self.pipeline.accounts.skip("key", error)
            request, key = msgspec.structs.replace(request, cache="bypass"), None
        return Asked(request, key, transport, extra, started, pace)


def is_raw(arguments: dict[str, Any]) -> bool:
    """Whether a call asks for the raw reply (`with_raw_response`), which is the client library's business."""
    headers = arguments.get("extra_headers")
    return isinstance(headers, Mapping) and any(name.lower() == _RAW for name in headers)


def response_of(request: Request, made: Any, seconds: float) -> Response:
    """The answer in an object that a client library made.

    What is no answer (an error in the place of one), or could not be made again as it was, gets no finish reason, and
    so is never stored; the caller gets it as it came.
    """
    if not hasattr(made, "model_dump_json"):  # a reply of another type than JSON is a str to the library
        return Response(text="", model=request.model, latency=seconds)
    data = recorded(made)
    dialect: Dialect | None = dialect_of(request.api)
    try:
        response = None if dialect is None else dialect.read(data, seconds)
    except UnusableReplyError:
        response = None
    if response is None:
        return Response(text="", model=request.model, body=data, latency=seconds)
    if not is_faithful(made, data):
        return msgspec.structs.replace(response, finish_reason=None)
    return response


_PLAIN: Final = (str, bytes, list, tuple, dict)


def _held(value: Iterable[Any]) -> Any:
    """What can be gone through once only, as a list: it is keyed, and sent after that."""
    return value if isinstance(value, Mapping) or hasattr(type(value), "model_fields") else list(value)


def user_of(body: dict[str, Any]) -> str | None:
    """The end user that the request itself names."""
    for name in ("safety_identifier", "user"):
        if isinstance(user := body.get(name), str) and user:
            return user
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return user if isinstance(user, str) and user else None
