"""Who is told of answers that come outside a call of the pipeline: so that they are kept, and accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from resopt.types import Request, Response


class Books(Protocol):
    """The cache and the ledger, as deferred work sees them. Must not wait; what a method raises is the caller's."""

    def lookup(self, request: Request) -> Response | None:
        """The stored answer, or None."""
        ...

    def answered(self, request: Request, response: Response) -> None:
        """An answer has come, and was billed for this request."""
        ...

    def repeated(self, request: Request, response: Response) -> None:
        """A request got the answer that was billed for an equal one."""
        ...

    def cached(self, request: Request, response: Response) -> None:
        """A request was answered from memory."""
        ...

    def failed(self, request: Request, error: Exception) -> None:
        """A request ended without an answer."""
        ...


class _NoBooks:
    """Nobody is told."""

    def lookup(self, request: Request) -> Response | None:  # noqa: ARG002
        return None

    def answered(self, request: Request, response: Response) -> None:
        """Nothing is done."""

    def repeated(self, request: Request, response: Response) -> None:
        """Nothing is done."""

    def cached(self, request: Request, response: Response) -> None:
        """Nothing is done."""

    def failed(self, request: Request, error: Exception) -> None:
        """Nothing is done."""


NO_BOOKS: Books = _NoBooks()
"""For deferred work that belongs to no optimizer."""
