"""The check at start-up: does what a client sends reach resopt at all?"""

from __future__ import annotations

from typing import Any

from resopt.errors import ConfigurationError
from resopt.wrap.hook import generation_of
from resopt.wrap.transports import AsyncTransport, SyncTransport, Transport

_DEPTH = 4
"""Transports around one another that are looked through."""


def check(client: Any) -> None:
    """Raise when what a client sends would go around the transport or middleware of resopt that it was given.

    Args:
        client: a client of an SDK, or of httpx2 or httpx.

    Raises:
        ConfigurationError: it would; the message says why.
    """
    if any(getattr(entry, "_resopt_hook", False) for entry in getattr(client, "middleware", ())):
        return
    http = client if generation_of(client) else getattr(client, "_client", None)
    library = generation_of(http)
    if http is None or library is None or not hasattr(http, "_transport"):
        raise ConfigurationError(f"cannot tell how {type(client).__name__} sends: it has no client of httpx2 or httpx")
    for route, transport in _routes(client, http):
        found = _ours(transport, _DEPTH)
        if found is None:
            raise ConfigurationError(
                f"{route} goes through {_name(transport)}, around resopt: give the HTTP client "
                f"transport=resopt.transport.{'AsyncTransport' if _is_async(http) else 'SyncTransport'}(…) "
                "and no proxy or mount beside it"
            )
        _fits(found, http, library)


def _routes(client: Any, http: Any) -> list[tuple[str, Any]]:
    """By which way requests go; of a client with an address only the one there."""
    base = str(getattr(client, "base_url", "") or "")
    if base:
        module = __import__(str(generation_of(http)))
        return [(f"what is sent to {base}", http._transport_for_url(module.URL(base)))]  # noqa: SLF001 - no other way
    mounts = [(f"what is sent to {pattern.pattern}", way) for pattern, way in http._mounts.items()]  # noqa: SLF001
    return [("what is sent", http._transport), *((route, way) for route, way in mounts if way is not None)]  # noqa: SLF001


def _ours(transport: Any, depth: int) -> Transport | None:
    """The transport of ours, which may be wrapped by others."""
    if isinstance(transport, Transport):
        return transport
    if depth == 0 or not hasattr(transport, "__dict__"):
        return None
    inner = (value for value in vars(transport).values() if hasattr(type(value), "__dict__"))
    sends = (value for value in inner if hasattr(value, "handle_request") or hasattr(value, "handle_async_request"))
    return next((found for value in sends if (found := _ours(value, depth - 1)) is not None), None)


def _fits(found: Transport, http: Any, library: str) -> None:
    kind = AsyncTransport if _is_async(http) else SyncTransport
    if not isinstance(found, kind):
        raise ConfigurationError(f"{_name(http)} needs a resopt.transport.{kind.__name__}, not {_name(found)}")
    if found.generation not in (None, library):
        raise ConfigurationError(
            f"{_name(http)} is of {library}, but its transport is made for {found.generation}: "
            f"wrap a transport of {library}, or none"
        )


def _is_async(http: Any) -> bool:
    return hasattr(http, "aclose")


def _name(made: Any) -> str:
    return f"{type(made).__module__.partition('.')[0]}'s {type(made).__name__}"
