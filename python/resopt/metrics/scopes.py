"""Digests that stand for scopes in records: they tell two scopes apart, and nobody whose they are."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from resopt.errors import ConfigurationError
from resopt.types import EVERYONE, Scope

_REMEMBERED: Final = 10_000


class Scopes:
    """The scopes that a ledger has seen lately, by digest.

    Args:
        key: of the digests, up to 64 bytes; random when None.

    Raises:
        ConfigurationError: the key is no such bytes.
    """

    __slots__ = ("_digests", "_key")

    def __init__(self, key: Any) -> None:
        if key is not None and (not isinstance(key, bytes) or not 0 < len(key) <= 64):
            raise ConfigurationError("scope_key must be 1 to 64 bytes or None")
        self._key: bytes = os.urandom(16) if key is None else key
        self._digests: dict[Scope, str] = {EVERYONE: ""}

    def digest(self, scope: Scope) -> str:
        """16 hexadecimal digits that stand for a scope."""
        digest = self._digests.get(scope)
        if digest is None:
            from hashlib import blake2b

            parts = msgspec.msgpack.encode((scope.namespace, scope.tenant, scope.user))
            digest = blake2b(parts, digest_size=8, key=self._key).hexdigest()
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
                self._digests[EVERYONE] = ""
            self._digests[scope] = digest
        return digest

    def find(self, digest: str) -> Scope | None:
        """The scope that a digest stands for; None when it was forgotten."""
        if not digest:
            return EVERYONE
        return next((scope for scope, known in list(self._digests.items()) if known == digest), None)
