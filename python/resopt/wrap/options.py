"""Control per call, without touching a client's signatures: context variables, safe across tasks and threads."""

from __future__ import annotations

import contextvars
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.types import CacheMode, Request, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `options` sets; None for what it leaves as it is."""

    cache: CacheMode = "default"
    ttl: float | None = None
    tags: tuple[str, ...] = ()
    tenant: str | None = None
    user: str | None = None
    replay_pace: float | None = None


NO_OPTIONS = Options()

current: contextvars.ContextVar[Options] = contextvars.ContextVar("resopt_options", default=NO_OPTIONS)
"""The options of the running code."""


@contextmanager
def options(
    *,
    cache: CacheMode | None = None,
    ttl: float | None = None,
    tags: Iterable[str] | None = None,
    tenant: str | None = None,
    user: str | None = None,
    replay_pace: float | None = None,
) -> Iterator[None]:
    """Set how calls made inside the `with` block use the cache; what is not given stays as it is outside.

    Args:
        cache: `default` looks up and stores; `bypass` does neither; `refresh` asks upstream and stores; `only` never
            asks, and raises `CacheMissError` when nothing fits.
        ttl: seconds an answer may be served.
        tags: names by which stored answers can be invalidated; they add to those of an outer block.
        tenant: whose answers these are; nobody else's are served. With a tenant the client's credential no longer
            separates answers: all its calls for one tenant share them.
        user: who asks: answers that depend on that ("my order") are kept for that user alone.
        replay_pace: seconds between the events of a stream that is served from memory; 0 sends them at once.

    Raises:
        ConfigurationError: a value is of the wrong type or out of range.
    """
    outer = current.get()
    if isinstance(tags, str):
        raise ConfigurationError(f'tags must be an iterable of str, such as ("{tags}",), not a str')
    inner = Options(
        cache=outer.cache if cache is None else cache,
        ttl=outer.ttl if ttl is None else ttl,
        tags=(*outer.tags, *(tags or ())),
        tenant=outer.tenant if tenant is None else _name("tenant", tenant),
        user=outer.user if user is None else _name("user", user),
        replay_pace=outer.replay_pace if replay_pace is None else check_pace(replay_pace),
    )
    Request(body={}, cache=inner.cache, ttl=inner.ttl, tags=inner.tags)  # the same rules, said at once
    token = current.set(inner)
    try:
        yield
    finally:
        current.reset(token)


def last(response: Any) -> Trace | None:
    """How an answer came about: hit or miss, age, money, and every decision on the way.

    Args:
        response: what a wrapped client's method returned: an answer, a stream (complete once it was read to its end),
            or one of the client library's helpers around a stream. Below a client's methods, where `resopt.transport`
            answers: the HTTP response.

    Returns:
        The trace; None for what did not pass through resopt.
    """
    for holder in (response, *(getattr(response, name, None) for name in ("_raw_stream", "_raw_response"))):
        trace = getattr(holder, "_resopt", None)
        if isinstance(trace, Trace):
            return trace
    extensions = getattr(response, "extensions", None)
    trace = getattr(extensions.get("resopt"), "trace", None) if isinstance(extensions, dict) else None
    return trace if isinstance(trace, Trace) else None


def check_pace(pace: object) -> float:
    """Seconds from 0 up.

    Raises:
        ConfigurationError: it is anything else.
    """
    if isinstance(pace, bool) or not isinstance(pace, int | float) or not 0 <= pace < float("inf"):
        raise ConfigurationError(f"replay_pace must be seconds from 0 up, not {pace!r}")
    return float(pace)


def _name(what: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{what} must be a str that is not empty, not {value!r}")
    return value
