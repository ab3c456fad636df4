"""One batch while it runs: who of it still waits, what came back for whom, which item was at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from resopt.errors import (
    BadRequestError,
    ItemCancelledError,
    ProviderError,
    ProviderResponseError,
)

if TYPE_CHECKING:
    from resopt.batch.engine import Engine
    from resopt.batch.room import Entry


class Running:
    """A batch on its way.

    Args:
        engine: whose it is.
        entries: its items, in order.
        weight: their weight together.
        demand: items that waited when it was formed, its own included.
    """

    def __init__(self, engine: Engine, entries: list[Entry], weight: float, demand: int) -> None:
        self.entries, self.weight, self.demand = entries, weight, demand
        self._engine = engine
        self._scope = anyio.CancelScope()
        self._present = len(entries)

    async def run(self) -> None:
        """Process the items and give each its end."""
        with self._scope:
            await self._process(self.entries)

    def left(self, entry: Entry) -> None:  # noqa: ARG002 - which one makes no difference
        """A caller has gone; with the last one the work is cancelled, for nobody wants it."""
        self._present -= 1
        if not self._present:
            self._scope.cancel()

    def abandon(self, error: BaseException) -> None:
        """End all who have no end yet: the work was cut off."""
        for entry in self.entries:
            self._engine.settle(entry, None, error)

    async def _process(self, entries: list[Entry]) -> None:
        entries = [entry for entry in entries if not entry.left]
        if not entries:
            return
        try:
            results = await self._engine.process([entry.item for entry in entries])
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -float("inf"):
                raise
            failure = ItemCancelledError("the work of this batch was cancelled from within")
            failure.__cause__ = error
            self._share(entries, failure)
        except Exception as error:  # noqa: BLE001 - it is the callers', who are waiting for it
            if len(entries) == 1 or not self._engine.isolate or _is_nobodys(error):
                self._share(entries, error)
                return
            middle = len(entries) // 2
            await self._process(entries[:middle])
            await self._process(entries[middle:])
        else:
            self._hand_out(entries, results)

    def _hand_out(self, entries: list[Entry], results: Any) -> None:
        try:
            results = list(results)
            problem = "" if len(results) == len(entries) else f"{len(results)} results"
        except TypeError:
            problem = f"a {type(results).__name__}"
        if problem:
            error = ProviderResponseError(
                f"a batch of {len(entries)} items came back as {problem}: which is whose, nobody can tell"
            )
            self._share(entries, error)
            return
        self._engine.settle_all(entries, results)

    def _share(self, entries: list[Entry], error: Exception) -> None:
        for entry in entries:
            self._engine.settle(entry, None, error)


def _is_nobodys(error: Exception) -> bool:
    """Whether the provider failed, rather than an item: asking again for each half would double the trouble."""
    return isinstance(error, ProviderError) and not isinstance(error, BadRequestError)
