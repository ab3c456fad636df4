"""OpenAI-compatible chat completions over HTTP: OpenAI, Azure, vLLM, Ollama and whoever else speaks that shape."""

from __future__ import annotations

import copy
import math
import os
from typing import TYPE_CHECKING, Any, Self

import msgspec

from resopt.errors import ConfigurationError, InvalidRequestError
from resopt.providers.checks import require_seconds, require_whole
from resopt.providers.dialect import UnusableReplyError
from resopt.providers.failures import Failures, is_out_of_quota
from resopt.providers.openai_reply import to_response
from resopt.providers.retry import RetryPolicy, send
from resopt.providers.transport import (
    AsyncTransport,
    BlockingTransport,
    Endpoint,
    InterruptedAttemptError,
    Transport,
    load_httpx2,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from resopt.types import Request, Response

_API = "openai.chat"


class OpenAIProvider:
    """Answers `openai.chat` requests from an OpenAI-compatible endpoint.

    The body is sent as the caller gave it: same fields, same order, nothing added. Connections are pooled. Retries
    happen here and nowhere else: 408, 409, 429, 5xx and connections that break before the reply, as long as attempts
    and deadline allow. A reply that times out or breaks off is not asked for again, because it may be billed.

    Azure: `OpenAIProvider("https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT",
    headers={"api-key": …}, query={"api-version": …})`.

    Args:
        base_url: address of the API, to which `/chat/completions` is added.
        api_key: sent as `Authorization: Bearer …`; by default the environment variable `OPENAI_API_KEY`, read now,
            unless `headers` brings credentials of its own. The empty str sends none.
        headers: further headers of every request.
        query: parameters of the address.
        timeout: seconds to wait for the next byte of a reply. An answer that is not streamed comes in one piece, so
            this must cover the time the model thinks.
        connect_timeout: seconds to open a connection.
        max_attempts: requests sent at most for one answer, the first included.
        deadline: seconds for one answer, with all attempts and waits. A `Retry-After` beyond it gives up at once.
        max_connections: connections open at once.
        client: an `httpx2.AsyncClient` or (for the blocking `Optimizer`) `httpx2.Client` with its own proxies,
            certificates and limits; it stays yours to close.
        name: short name for traces and reports.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
        MissingExtraError: httpx2 is not installed.
    """

    def __init__(
        self,
        base_url: str = "https://api.openai.com/v1",
        api_key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float = 300.0,
        connect_timeout: float = 5.0,
        max_attempts: int = 3,
        deadline: float = 600.0,
        max_connections: int = 100,
        client: httpx2.AsyncClient | httpx2.Client | None = None,
        name: str = "openai",
    ) -> None:
        require_whole("max_connections", max_connections, least=1)
        require_seconds("timeout", timeout)
        require_seconds("connect_timeout", connect_timeout)
        self._policy = RetryPolicy(max_attempts=max_attempts, deadline=deadline)
        self._name = name
        self._base_url = _check_base_url(base_url)
        sent = _headers(headers, api_key)
        url = f"{self._base_url}/chat/completions"
        secrets = tuple(value.removeprefix("Bearer ") for key, value in sent if key != "content-type")
        self._failures = Failures(name, url, secrets)
        self._endpoint = Endpoint(
            url=url + _query(query),
            headers=sent,
            connect_timeout=connect_timeout,
            read_timeout=timeout,
            max_connections=max_connections,
        )
        self._client = client
        self._transport = _open_transport(self._endpoint, client)

    def __repr__(self) -> str:
        return f"OpenAIProvider({self._base_url!r})"

    @property
    def name(self) -> str:
        """Short name for traces and reports."""
        return self._name

    async def complete(self, request: Request) -> Response:
        """Ask for one answer.

        Raises:
            InvalidRequestError: the body is not plain data, asks for a stream, or is not of the shape `openai.chat`.
            ProviderError: no usable answer came; its subclasses, `status` and `attempts` say why.
        """
        content = encode_body(request)
        attempted = await send(self._transport, content, self._policy, is_out_of_quota)
        end = attempted.end
        if isinstance(end, InterruptedAttemptError):
            raise self._failures.of(attempted) from end.__cause__
        if end.status >= 300:
            raise self._failures.of(attempted)
        try:
            return to_response(end.body, attempted.seconds)
        except UnusableReplyError as error:
            raise self._failures.unusable(attempted, end, str(error)) from None

    async def aclose(self) -> None:
        """Close the connections; a client of the caller's stays open. Later calls raise `ClosedError`."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def blocking(self) -> OpenAIProvider:
        """The same provider over `httpx2.Client`: its coroutines never suspend, so no event loop is needed.

        Raises:
            ConfigurationError: this one was given an `httpx2.AsyncClient`.
        """
        if self._client is not None and not isinstance(self._client, load_httpx2().Client):
            raise ConfigurationError("a blocking call needs client=httpx2.Client(…), not an httpx2.AsyncClient")
        twin = copy.copy(self)
        twin._transport = BlockingTransport(self._endpoint, self._client)  # noqa: SLF001 - a copy of this very class
        return twin


class _BlockingOnly:
    """Stands where an async transport would be when the caller gave a blocking client, which would stall the loop."""

    async def post(self, content: bytes, seconds: float) -> Any:  # noqa: ARG002 - the transport's signature
        raise ConfigurationError("async calls need client=httpx2.AsyncClient(…); httpx2.Client is for blocking ones")

    async def sleep(self, seconds: float) -> None:
        """Never reached: `post` always raises."""

    async def aclose(self) -> None:
        """Nothing was opened."""


def _open_transport(endpoint: Endpoint, client: httpx2.AsyncClient | httpx2.Client | None) -> Transport:
    httpx2 = load_httpx2() if client is not None else None
    if httpx2 is None or isinstance(client, httpx2.AsyncClient):
        return AsyncTransport(endpoint, client)  # type: ignore[arg-type]
    if isinstance(client, httpx2.Client):
        return _BlockingOnly()
    raise ConfigurationError(f"client must be an httpx2.AsyncClient or httpx2.Client, not {type(client).__name__}")


def encode_body(request: Request) -> bytes:
    """The caller's body as JSON: every field, in the caller's order.

    Raises:
        InvalidRequestError: it cannot be sent.
    """
    if request.api != _API:
        raise InvalidRequestError(f"this provider answers {_API} requests, not {request.api}")
    body = request.body
    if body.get("stream"):
        raise InvalidRequestError("`stream` is not supported here yet; leave it out to get the answer in one piece")
    try:
        content = _encoder.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRequestError(f"the body cannot be written as JSON: {error}") from None
    if b"null" in content and _has_number_beyond_json(body):
        raise InvalidRequestError("the body holds a float that JSON cannot write (nan or infinity)")
    return content


def _encode_model(value: Any) -> Any:
    """Messages may be objects of the OpenAI client or other pydantic models, which say what is set in them."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    raise TypeError(f"{type(value).__name__} is not plain data")


_encoder = msgspec.json.Encoder(enc_hook=_encode_model, decimal_format="number")


def _has_number_beyond_json(value: Any) -> bool:
    """Whether a float in there is not finite: the encoder writes null for it, which would change the request."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(_has_number_beyond_json(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_number_beyond_json(item) for item in value)
    return False


def _check_base_url(base_url: str) -> str:
    from urllib.parse import urlsplit

    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(base_url).__name__}")
    try:
        parts = urlsplit(base_url.strip())
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"base_url must look like https://host/v1, not {base_url!r}")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must not have a query or fragment; use query={…}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not hold a user name or password; use headers={…}")
    return base_url.strip().rstrip("/")


def _query(query: Mapping[str, str] | None) -> str:
    from urllib.parse import urlencode

    items = _text_items("query", query)
    return "?" + urlencode(items) if items else ""


def _text_items(name: str, mapping: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The items of an optional mapping from str to str."""
    items: list[tuple[Any, Any]] = list(mapping.items()) if mapping else []
    if not all(isinstance(part, str) for item in items for part in item):
        raise ConfigurationError(f"{name} must map str to str")
    return items


def _key_text(api_key: object) -> str:
    """The API key without the line break that files end with."""
    if api_key is None:
        return ""
    if not isinstance(api_key, str):
        raise ConfigurationError(f"api_key must be a str, not {type(api_key).__name__}")
    return api_key.strip()


def _headers(headers: Mapping[str, str] | None, api_key: str | None) -> tuple[tuple[str, str], ...]:
    """All headers, checked here so that no later error needs to quote one."""
    sent = {"content-type": "application/json", "accept": "application/json"}
    for name, value in _text_items("headers", headers):
        if not _is_sendable(value) or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigurationError(f"the header {name!r} has a name or value that HTTP cannot carry")
        sent[name.lower()] = value
    if api_key is None and not {"authorization", "api-key"} & sent.keys():
        api_key = os.environ.get("OPENAI_API_KEY", "")
    key = _key_text(api_key)
    if not _is_sendable(key) or " " in key:
        raise ConfigurationError("api_key has blanks, control characters or letters beyond ASCII; was it copied whole?")
    if key:
        sent["authorization"] = f"Bearer {key}"
    return tuple(sent.items())


def _is_sendable(value: str) -> bool:
    """Whether HTTP can carry it as the value of a header: visible ASCII and blanks, none of them at the ends."""
    return value.isascii() and value.isprintable() and value == value.strip()
