"""What a provider is: the one thing the pipeline knows about where answers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from resopt.types import Request, Response


@runtime_checkable
class Provider(Protocol):
    """Answers requests of one API shape.

    The pipeline is written once, as async code. `Optimizer` (blocking) drives it with `coroutine.send(None)`, which
    works only when nothing ever suspends; for that a provider offers a twin that waits inside blocking calls.
    """

    @property
    def name(self) -> str:
        """Short name for traces and reports, such as `openai`."""
        ...

    async def complete(self, request: Request) -> Response:
        """Ask for one answer. Retries belong here and nowhere else.

        Raises:
            InvalidRequestError: the request cannot be sent.
            ProviderError: no usable answer came, after all permitted attempts.
        """
        ...

    async def aclose(self) -> None:
        """Close what the provider opened. A second call does nothing."""
        ...

    def blocking(self) -> Provider:
        """A provider with the same settings whose methods never suspend; the caller closes it."""
        ...


def check_provider(provider: object) -> None:
    """Refuse what cannot be a provider before it is paid for an answer.

    Raises:
        ConfigurationError: it lacks something; the message says what.
    """
    for name in ("complete", "aclose"):
        if not callable(getattr(provider, name, None)):
            raise ConfigurationError(f"provider must have an async {name}(), which {type(provider).__name__} has not")
    if not isinstance(getattr(provider, "name", None), str):
        raise ConfigurationError(f"provider must have a name, a str, which {type(provider).__name__} has not")
