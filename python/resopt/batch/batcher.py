"""What the batchers have in common: an engine that is looked at and closed the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from resopt.batch.engine import Engine
    from resopt.batch.figures import BatchFigures


class Batcher:
    """Something that collects items into batches; used in `async with`, or closed by `aclose`."""

    _engine: Engine

    @property
    def figures(self) -> BatchFigures:
        """What has been done so far; what a cache answered is not among it."""
        return self._engine.figures()

    async def aclose(self) -> None:
        """Take nothing more and return when all that was submitted has ended; nothing waits for company any more."""
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
