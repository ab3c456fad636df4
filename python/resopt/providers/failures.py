"""From the end of the last attempt to one typed error: what happened, what to do, and no secret in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from resopt.errors import (
    AuthenticationError,
    BadRequestError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
)
from resopt.providers.transport import InterruptedAttemptError, Reply

if TYPE_CHECKING:
    from resopt.providers.retry import Attempted

E = TypeVar("E", bound=ProviderError)

_EXCERPT = 2_000
_SHORTEST_SECRET = 6


class Failures:
    """Makes the errors of one provider.

    Args:
        name: the provider's name, the first word of every message.
        url: where requests go, without its query.
        secrets: values that must not appear in an error even when the provider repeats them.
    """

    def __init__(self, name: str, url: str, secrets: tuple[str, ...]) -> None:
        self._name = name
        self._url = url
        # The longest first, so that a secret within another leaves no rest behind.
        self._secrets = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def of(self, attempted: Attempted) -> ProviderError:
        """The error for attempts that ended without a reply of success."""
        end = attempted.end
        if isinstance(end, InterruptedAttemptError):
            return self._interrupted(end, attempted)
        kind, what, advice = _classify(end)
        said = explanation(end.body)
        parts = [f"{what} ({end.status})", self._clean(said) if said else "", advice, _so_far(attempted)]
        return self._build(kind, parts, attempted, end)

    def unusable(self, attempted: Attempted, reply: Reply, problem: str) -> ProviderResponseError:
        """The error for a reply that came with a success status, but is no answer."""
        kind = reply.headers.get("content-type", "no content type")
        advice = f"check that base_url leads to an OpenAI-compatible API; {self._url} sent {kind}"
        parts = [f"sent no usable answer ({reply.status})", self._clean(problem), advice]
        return self._build(ProviderResponseError, parts, attempted, reply)

    def _interrupted(self, end: InterruptedAttemptError, attempted: Attempted) -> ProviderError:
        reason = self._clean(end.reason)
        if end.timed_out:
            advice = "raise timeout or deadline, or ask for less; it was not sent again, as it may be billed already"
            parts = [f"did not answer in time: {reason}", advice, _so_far(attempted)]
            return self._build(ProviderTimeoutError, parts, attempted, None)
        if end.before_reply:
            what = f"could not be reached at {self._url}: {reason}"
            parts = [what, "check base_url and the network", _so_far(attempted)]
        else:
            what = f"broke off in the middle of its reply: {reason}"
            parts = [what, "it was not sent again, as it may be billed already"]
        return self._build(ProviderConnectionError, parts, attempted, None)

    def _build(self, kind: type[E], parts: list[str], attempted: Attempted, reply: Reply | None) -> E:
        text = ". ".join(part.rstrip(". ") for part in parts if part)
        return kind(
            f"{self._name} {text}",
            status=None if reply is None else reply.status,
            attempts=attempted.attempts,
            body=None if reply is None else self._excerpt(reply.body),
            retry_after=attempted.retry_after,
        )

    def _excerpt(self, body: bytes) -> str:
        # Cleaned before it is cut, so that a secret across the cut leaves no beginning behind.
        return self._clean(body[: 8 * _EXCERPT].decode("utf-8", "replace"))[:_EXCERPT]

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


def _classify(reply: Reply) -> tuple[type[ProviderError], str, str]:
    """Class, what happened and what to do, by status code."""
    status = reply.status
    if status in (401, 403):
        return AuthenticationError, "refused the credentials", "check api_key (or OPENAI_API_KEY) and what it may do"
    if status == 408:
        return ProviderTimeoutError, "gave up waiting", "ask for a shorter answer"
    if status == 429:
        if is_out_of_quota(reply):
            return RateLimitError, "has no quota left for this account", "check plan and billing; waiting does not help"
        return RateLimitError, "refused for now: too many requests or tokens", "slow down, or raise the limits"
    if status >= 500:
        return ServerError, "failed", "try later, or another model"
    if status == 404:
        return BadRequestError, "does not know this model or address", "check the model's name and base_url"
    if 300 <= status < 400:
        return ProviderResponseError, "redirected to another address", "redirects are not followed: correct base_url"
    return BadRequestError, "refused the request", "correct the request; sending it again cannot help"


def is_out_of_quota(reply: Reply) -> bool:
    """Whether a 429 means an empty account rather than haste (OpenAI's code `insufficient_quota`)."""
    return reply.status == 429 and b"insufficient_quota" in reply.body


def _so_far(attempted: Attempted) -> str:
    if attempted.gave_up:
        return f"Gave up: {attempted.gave_up}"
    return f"{attempted.attempts} attempts made" if attempted.attempts > 1 else ""


def explanation(body: bytes) -> str:
    """The provider's own words: `error.message` of OpenAI, or what vLLM, Ollama and FastAPI write; empty when none."""
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for name in ("error", "message", "detail"):
        if not isinstance(decoded, dict):
            break
        found = decoded.get(name)
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str):
            return found[:500]
    return ""
