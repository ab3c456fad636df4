"""How a stream in the air is read: by threads that fetch for one another, or by tasks that a carrying task feeds.

A source is what a client library returns for a stream: an iterator, or an async one, with `close`.
"""

from __future__ import annotations

import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from resopt.flight.flight import WATCH_SECONDS
from resopt.flight.places import task_place
from resopt.flight.relay import Event, Reading, Relay, lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

E = TypeVar("E", bound=Event)

AHEAD = 64
"""Events a carrying task may be ahead of the fastest reader: a stream that nobody reads stops at its source."""


class ThreadReading(Reading[E]):
    """A reader of a blocking stream. Whoever needs the next event fetches it, for all."""

    __slots__ = ()

    async def begin(self, ask: Callable[[], Awaitable[Any]], first: bool) -> None:  # noqa: FBT001
        """Open the stream, when `first`, or wait until it is open. It blocks, and never suspends.

        Raises:
            Exception: what kept it from opening.
        """
        relay = self.relay
        if first:
            relay.on_empty = partial(_close_source, relay)
            try:
                source = await ask()
            except BaseException as error:
                relay.claim()
                relay.end(error if isinstance(error, Exception) else lost())
                raise
            relay.open(source)
            return
        with relay.changed:
            while not relay.opened and not relay.ended:
                relay.changed.wait()
        if not relay.opened:
            relay.take(self)

    def next(self) -> E:
        """The next event; blocks until it comes.

        Raises:
            EndOfRelay: there are no more.
        """
        relay = self.relay
        while True:
            with relay.changed:
                event = relay.take(self)
                if event is not None:
                    return event
                if relay.fetching:
                    relay.changed.wait()
                    continue
                relay.fetching = True
            try:
                self._fetch()
            finally:
                with relay.changed:
                    relay.fetching = False
                    relay.changed.notify_all()

    def _fetch(self) -> None:
        relay = self.relay
        try:
            event = next(relay.source)
        except StopIteration:
            relay.end(None)
        except Exception as error:  # noqa: BLE001 - those who read raise it
            relay.end(error)
        except BaseException:
            relay.end(lost())
            raise
        else:
            relay.put(event)


class TaskReading(Reading[E]):
    """A reader of an async stream, which a task of the flight's own reads for all."""

    __slots__ = ()

    async def begin(self, ask: Callable[[], Awaitable[Any]], first: bool) -> None:  # noqa: FBT001
        """Open the stream, when `first`, or wait until it is open.

        Raises:
            Exception: what kept it from opening.
        """
        relay = self.relay
        if first:
            _Carrier(relay, ask).start()
        while not relay.opened:
            await self._wait(lambda: relay.opened or relay.ended)
            if relay.ended and not relay.opened:  # of a stream that is over already, the first event is for `next`
                relay.take(self)

    async def next(self) -> E:
        """The next event.

        Raises:
            EndOfRelay: there are no more.
        """
        relay = self.relay
        while True:
            event = relay.take(self)
            if event is not None:
                paused, relay.paused = relay.paused, None
                if paused is not None:
                    paused.wake()
                return event
            await self._wait(lambda: relay.ended or not relay.is_ahead(self))

    async def close(self) -> None:
        """Leave; the last waits until the stream upstream is closed, if that happens in this event loop."""
        self.leave()
        relay, place = self.relay, task_place()
        with relay.changed:
            carrier = relay.carrier
            if carrier is None or carrier.home is not place.home or not relay.deserted:
                return
            relay.closing.append(place)
        await place.wait(None)

    async def _wait(self, over: Callable[[], bool]) -> None:
        """Wait until something has changed, unless it is `over` already."""
        relay = self.relay
        with relay.changed:
            if over():
                return
            carrier, place = relay.carrier, task_place()
            self.place = place
        try:
            # An event loop that stops without cancelling its tasks tells nobody.
            elsewhere = carrier is not None and carrier.home is not place.home
            while not await place.wait(WATCH_SECONDS if elsewhere else None):
                if carrier is not None and carrier.gone():
                    relay.end(lost())
        finally:
            self.place = None


class _Carrier:
    """The task that reads a stream upstream for all its readers; it ends when they have left."""

    def __init__(self, relay: Relay[Any], ask: Callable[[], Awaitable[Any]]) -> None:
        import anyio

        self._relay, self._ask = relay, ask
        self._scope = anyio.CancelScope()
        self._place = task_place()

    def start(self) -> None:
        """Begin in a task of its own, with the context of the first reader."""
        self._relay.on_empty = self._cancel
        self._relay.carrier = self._place
        carrying = self._carry()
        try:
            self._place.spawn(carrying, contextvars.copy_context(), self._relay.landed)
        except BaseException:
            carrying.close()
            self._relay.landed()
            raise

    def _cancel(self) -> None:
        self._place.post(self._scope.cancel)

    async def _carry(self) -> None:
        relay = self._relay
        try:
            with self._scope:
                relay.open(await self._ask())
                await self._pass_on()
                relay.end(None)
        except Exception as error:  # noqa: BLE001 - those who read raise it
            relay.end(error)
        finally:
            await _close(relay.source)

    async def _pass_on(self) -> None:
        relay, count = self._relay, 0
        async for event in relay.source:
            relay.put(event)
            count += 1
            if count % (AHEAD // 4) == 0 and relay.lead() >= AHEAD:
                await self._pause()

    async def _pause(self) -> None:
        """Wait for a reader; one that has nothing to read cannot be among those waited for."""
        relay = self._relay
        place = task_place()
        with relay.changed:
            if relay.lead() < AHEAD:
                return
            relay.paused = place
        await place.wait(None)


async def _close(source: Any) -> None:
    """Close a stream upstream, whatever happens to the task that does it."""
    if source is None:
        return
    import anyio

    with anyio.CancelScope(shield=True):
        await source.close()


def _close_source(relay: Relay[Any]) -> None:
    if relay.source is not None:
        relay.source.close()
