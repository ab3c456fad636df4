"""Whose calls a client makes: what separates the answers of two customers in one process.

Answers are kept apart by the client's address, by what it proves its identity with, and by whatever headers and query
parameters its owner added; only a digest of all that is ever held. A named tenant takes the place of the credential.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from resopt._core import KeySpace

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPACE: Final = KeySpace("resopt.credentials")

_NOT_THE_ANSWER: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "idempotency-key",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-client-request-id",
        "x-request-id",
    }
)
"""Headers that travel with a request but change nothing in its answer."""

_OF_THE_LIBRARY: Final = "x-stainless-"
_SECRETS: Final = ("api-key", "auth", "cookie", "credential", "organization", "project", "secret", "token", "workspace")
"""Parts of the names of headers that say who is calling."""

_OF_THE_WAY: Final = ("__cf", "_cf", "awsalb", "gclb", "arraffinity")
"""How the names of cookies begin that load balancers and guards on the way set, and change at will."""

_KEYS: Final = ("api_key", "auth_token", "_azure_ad_token")
"""Attributes of clients that hold a credential."""

_RENEWING: Final = (
    "_api_key_provider",
    "_azure_ad_token_provider",
    "_creds_state",
    "_provider_runtime",
    "_token_cache",
    "_use_sigv4",
    "_workload_identity_auth",
)
"""Attributes of clients that renew their credential by themselves, or sign each request with one."""


class Identity:
    """The identity of one client; follows it when its key is changed.

    Args:
        client: an SDK client with `base_url`, `default_headers` and, where it takes one, `api_key`.
        like: the identity of the client that this one is a copy of.
    """

    def __init__(self, client: Any, like: Identity | None = None) -> None:
        self._client = client
        self._renews = any(getattr(client, name, None) not in (None, False) for name in _RENEWING)
        # What is renewed cannot tell callers apart over time, so such a client and its copies are told apart as such.
        self.nonce: bytes = os.urandom(16) if like is None else like.nonce
        self._measured: tuple[tuple[object, ...], tuple[str, str]] = ((), ("", ""))

    def namespace(self, tenant: str | None, headers: Mapping[str, Any] | None, query: Any) -> str:
        """The digest that keeps this client's answers apart.

        Args:
            tenant: whose answers these are; then the credential does not count.
            headers: headers of this one call.
            query: parameters of this one call.
        """
        held = vars(self._client)
        seen = (held.get("_base_url"), held.get("api_key"), held.get("auth_token"), held.get("_azure_ad_token"))
        measured = self._measured
        if seen != measured[0]:
            # In one assignment: another thread must never see the new key beside the old digests.
            measured = self._measured = (seen, self._measure())
        digest = measured[1][tenant is not None]
        if not headers and not query:
            return digest
        own = _telling(headers or {}, with_secrets=tenant is None)
        return digest if not own and not query else _SPACE.key([digest, own, _text(query)]).hex()

    def _measure(self) -> tuple[str, str]:
        client = self._client
        headers = client.default_headers
        query = _text(getattr(client, "_custom_query", None))
        base = str(client.base_url)
        plain = _telling(headers, with_secrets=False)
        if self._renews:  # the renewed secret may be among all headers, but not among those that its owner added
            added = getattr(client, "_custom_headers", None) or {}
            proof: list[Any] = [self.nonce, plain, _telling(added, with_secrets=True)]
        else:
            keys = [getattr(client, name, None) for name in _KEYS]
            proof = [[key if isinstance(key, str) else None for key in keys], _telling(headers, with_secrets=True)]
        return _SPACE.key([base, query, proof]).hex(), _SPACE.key([base, query, plain]).hex()


def _telling(headers: Mapping[str, Any], *, with_secrets: bool) -> list[list[str]]:
    """The headers that may change an answer, in order of name."""
    telling = []
    for name, value in headers.items():
        lower = name.lower()
        if lower in _NOT_THE_ANSWER or lower.startswith(_OF_THE_LIBRARY) or not isinstance(value, str | bytes):
            continue
        if with_secrets or not any(part in lower for part in _SECRETS):
            text = value if isinstance(value, str) else value.decode("latin-1")
            if lower != "cookie":
                telling.append([lower, text])
            elif own := _own_cookies(text):
                telling.append([lower, own])
    return sorted(telling)


def _text(query: Any) -> str:
    return repr(sorted(query.items(), key=str)) if query else ""


def namespace_of(address: str, headers: Mapping[str, Any], form: list[str], tenant: str | None) -> str:
    """The digest that keeps apart what travels over HTTP below any client.

    Args:
        address: scheme, host, path and query.
        headers: all headers of the request.
        form: what decides which bytes fit the caller.
        tenant: whose answers these are; then the credential does not count.
    """
    return _SPACE.key(["http", address, form, _telling(headers, with_secrets=tenant is None)]).hex()


def namespace_below(client: str, path: str, form: list[str]) -> str:
    """The digest for what a client sends, seen below its methods.

    Args:
        client: the client's own namespace.
        path: where on its server the request goes, with the query.
        form: what decides which bytes fit the caller.
    """
    return _SPACE.key(["middleware", client, path, form]).hex()


def _own_cookies(cookies: str) -> str:
    kept = (cookie.strip() for cookie in cookies.split(";"))
    return "; ".join(sorted(cookie for cookie in kept if not cookie.lower().startswith(_OF_THE_WAY)))
