"""What an API of deferred work is: rows handed in together, fetched when they are done, at half the price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from resopt.types import Request, Response

BatchState = Literal["running", "completed", "expired", "cancelled", "failed"]
"""`completed`: every row has an end; `expired`, `cancelled`: rows without one were not done; `failed`: none was."""

RowState = Literal["answered", "refused", "again", "undone", "unreadable"]
"""`answered`; `refused`: the row is at fault; `again`: the provider failed and another try may help; `undone`: it was
not worked on, and not billed; `unreadable`: it was answered, and nobody can say what."""


class RemoteBatch(NamedTuple):
    """A batch at the provider.

    Attributes:
        id: its name there.
        state: how far it is.
        rows: how many it has, 0 when that is not known yet.
        expires: Unix time at which the provider gives up.
        problem: why it failed.
        files: where its results are.
    """

    id: str
    state: BatchState
    rows: int = 0
    expires: float | None = None
    problem: str = ""
    files: tuple[str, ...] = ()


class RowEnd(NamedTuple):
    """What became of a row.

    Attributes:
        name: the caller's name for it; empty in a line that nobody can read.
        state: what became of it.
        response: the answer.
        status: HTTP status of the row's own reply, where there was one.
        problem: what is wrong.
    """

    name: str
    state: RowState
    response: Response | None = None
    status: int | None = None
    problem: str = ""


class Batches(Protocol):
    """An API of deferred work; maps schemas and nothing else."""

    @property
    def api(self) -> str:
        """The shape of the requests it takes, as in `Request.api`."""
        ...

    @property
    def most_rows(self) -> int:
        """Rows of one batch."""
        ...

    @property
    def most_bytes(self) -> int:
        """Bytes of one batch."""
        ...

    def encode(self, name: str, request: Request) -> bytes:
        """A request as a row.

        Raises:
            InvalidRequestError: it cannot be sent.
        """
        ...

    async def create(self, tag: str, rows: Sequence[bytes]) -> RemoteBatch:
        """Hand in rows as a batch that can be found by its tag. Not repeated when it is unclear whether it succeeded.

        Raises:
            BadRequestError: the provider refused it.
            ProviderError: it failed, and perhaps the batch exists all the same.
        """
        ...

    async def find(self, tag: str, since: float, rows: int) -> tuple[RemoteBatch | None, bool]:
        """The batch of a tag, or None; and whether it cannot be said yet.

        Args:
            tag: what it was created with.
            since: Unix time before which it cannot have been created.
            rows: how many it has.
        """
        ...

    async def get(self, name: str) -> RemoteBatch:
        """A batch as it is now."""
        ...

    def results(self, batch: RemoteBatch) -> AsyncGenerator[RowEnd, None]:
        """What became of the rows of a batch that has ended."""
        ...

    async def cancel(self, name: str) -> RemoteBatch:
        """Stop working on a batch; it ends a while later."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
