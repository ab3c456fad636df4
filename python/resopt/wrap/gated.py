"""A wrapped client with gates: what no covered method asks passes them on its way out of the client.

All requests of the client libraries go through one method of the client, `request`. What a covered method sends has
passed the gates when it comes there; everything else that costs money (raw replies, images, audio, batches, …) passes
them there. A client without gates is not given these classes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from resopt.sync import drive
from resopt.wrap.calls import in_blocking
from resopt.wrap.costs import priced
from resopt.wrap.door import UNSET
from resopt.wrap.graft import Client
from resopt.wrap.hook import module_of
from resopt.wrap.metering import Metering, is_let_through
from resopt.wrap.objects import recorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class GatedClient(Client):
    """What stands before a blocking client's class."""

    def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        """As the client library's own, past the gates."""
        ask = partial(super().request, cast_to, options, **how)  # type: ignore[misc]
        metering = _metering(self, options)
        return ask() if metering is None else drive(_passed(metering, in_blocking(ask)))


class AsyncGatedClient(Client):
    """The same for an async client."""

    async def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        """As the client library's own, past the gates."""
        ask = partial(super().request, cast_to, options, **how)  # type: ignore[misc]
        metering = _metering(self, options)
        return await (ask() if metering is None else _passed(metering, ask))


def _metering(client: Client, options: Any) -> Metering | None:
    """What passes the gates with a request; None where it need not, or has."""
    pipeline = client._resopt_door.pipeline  # noqa: SLF001 - put there by `graft`
    if is_let_through(pipeline):
        return None
    found = priced(options.method, options.url.partition("?")[0], partial(_body, options))
    return None if found is None else Metering(pipeline, *found)


def _body(options: Any) -> dict[str, Any] | None:
    """The fields that will be sent; files beside them are not looked at."""
    given = options.json_data
    if not isinstance(given, dict):
        return None
    fields = {**given, **(options.extra_json or {})}
    return {name: value for name, value in fields.items() if type(value).__name__ not in UNSET}


async def _passed(metering: Metering, ask: Callable[[], Awaitable[Any]]) -> Any:
    """What the client library made of the reply: an answer, a stream, a raw reply, or anything else."""
    made = await metering.call(ask)
    reply = getattr(made, "http_response", None) or getattr(made, "response", None)
    if hasattr(made, "model_dump_json"):
        metering.came(recorded(made))
    elif hasattr(reply, "is_stream_consumed"):
        metering.watch(module_of(reply), reply)
    else:
        metering.came(None)
    return made
