"""What of a request determines its answer: the fields, the scope and the versions that a key covers.

A key covers every field of the body, known or not, but a short published list per API shape: fields that cannot change
the answer (`SHAPES`, each with its reason). Beside the body it covers the API, the namespace, the tenant, the user
where the answer is personal, and the versions of key schema, Unicode data and policies. An unknown API is keyed by
every field, and nothing of it is folded.

Only the question of the last message is ever folded (see `_core.fold`), and only when it is plain; all other text keeps
every character but the CR of CRLF.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from resopt._core import KeySpace, RequestShape
from resopt.errors import ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.types import Request

Matching = Literal["folded", "exact"]
"""`folded`: questions that differ in case, blanks and closing marks are the same; `exact`: only the same text is."""

_MATCHINGS = frozenset(get_args(Matching))


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """An API's request body, as far as keys go.

    Attributes:
        messages: the field that holds the conversation as a list of messages, or None when there is none.
        ignored: fields that cannot change the answer, each with the reason why not.
        stateful: fields by which the answer depends on what the provider keeps, each with what that is; a request that
            sets one is never answered from a cache, because no key can cover it.
    """

    messages: str | None = None
    ignored: Mapping[str, str] = MappingProxyType({})
    stateful: Mapping[str, str] = MappingProxyType({})


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "openai.chat": Shape(
            messages="messages",
            ignored=MappingProxyType(
                {
                    "user": "names the end user for abuse reports; the model never sees it",
                    "safety_identifier": "the successor of user",
                    "metadata": "labels on the stored completion",
                    "store": "whether the provider keeps a copy",
                    "stream": "how the answer travels, not what it says",
                    "stream_options": "what else travels with a stream",
                    "service_tier": "which queue serves the call",
                    "prompt_cache_key": "where the provider looks for a cached prefix",
                    "prompt_cache_retention": "how long the provider keeps that prefix",
                    "timeout": "how long the client waits",
                }
            ),
            stateful=MappingProxyType({"web_search_options": "the answer is looked up in the web"}),
        ),
        # What stays although the model never sees it: user_profile_id and workspace_id say for whom, inference_geo says
        # where, speed has its own price, container and diagnostics refer to other calls. Marks of cache_control within
        # messages, system and tools stay too: they cannot change the answer, but one app sets them alike every time.
        "anthropic.messages": Shape(
            messages="messages",
            ignored=MappingProxyType(
                {
                    "metadata": "names the end user for abuse reports; the model never sees it",
                    "stream": "how the answer travels, not what it says",
                    "service_tier": "which queue serves the call",
                    "cache_control": "up to where the provider keeps the prompt (at the top level only)",
                    "timeout": "how long the client waits",
                }
            ),
            stateful=MappingProxyType(
                {
                    "container": "files and variables are kept by the provider",
                    "mcp_servers": "the answer depends on what those servers say",
                }
            ),
        ),
        # Its reply repeats the request (`metadata`, `user`, `safety_identifier`, `prompt_cache_key`, `store`, …): those
        # count, or one caller would get back what another sent. `store` also says whether the reply's id can be used.
        "openai.responses": Shape(
            messages="input",
            ignored=MappingProxyType(
                {
                    "stream": "how the answer travels, not what it says",
                    "stream_options": "what else travels with a stream",
                    "service_tier": "which queue serves the call; the reply names the one that did",
                    "timeout": "how long the client waits",
                }
            ),
            stateful=MappingProxyType(
                {
                    "previous_response_id": "the conversation so far is kept by the provider",
                    "conversation": "the conversation so far is kept by the provider, and the answer is added to it",
                    "prompt": "the template is kept by the provider, and can be changed there",
                    "background": "the answer is fetched from the provider later",
                }
            ),
        ),
        "openai.embeddings": Shape(
            ignored=MappingProxyType(
                {
                    "user": "names the end user for abuse reports; the model never sees it",
                    "timeout": "how long the client waits",
                }
            ),
        ),
    }
)
"""What is known of each API, by its name in `Request.api`."""


HOSTED_TOOLS = ("code_execution", "code_interpreter", "file_search", "mcp", "web_fetch", "web_search")
"""How the types of tools begin that the provider runs, and that look beyond the request."""


def state_of(request: Request) -> str:
    """What at the provider the answer depends on beside the request itself; empty when nothing does."""
    shape, body = SHAPES.get(request.api), request.body
    for name, why in () if shape is None else shape.stateful.items():
        if body.get(name):
            return f"{name}: {why}"
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list | tuple) else ():
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if isinstance(kind, str) and kind.startswith(HOSTED_TOOLS):
            return f"the tool {kind}: the provider runs it, and what it finds may change"
    return ""


class RequestKey:
    """Makes the 16-byte key of requests; one per cache, shared by all threads.

    Args:
        namespace: separates the keys of this cache from every other's (a request's own namespace separates further).
        secret: bytes without which nobody can compute or test a key; None for keys that anyone can compute.
        policy: versions of the route and prompt policies; answers made under other versions are not found.
        matching: whether plain questions are folded, see `Matching`.

    Raises:
        ConfigurationError: an argument is of the wrong type or unknown.
    """

    __slots__ = ("_folded", "_key", "_policy", "_shapes", "_vary")

    def __init__(
        self,
        *,
        namespace: str = "",
        secret: bytes | None = None,
        policy: str | tuple[str, ...] = (),
        matching: Matching = "folded",
    ) -> None:
        if not isinstance(namespace, str):
            raise ConfigurationError(f"namespace must be a str, not {type(namespace).__name__}")
        if secret is not None and not isinstance(secret, bytes):
            raise ConfigurationError(f"secret must be bytes or None, not {type(secret).__name__}")
        if matching not in _MATCHINGS:
            raise ConfigurationError(f"matching must be one of {', '.join(sorted(_MATCHINGS))}, not {matching!r}")
        versions: object = (policy,) if isinstance(policy, str) else policy
        if not isinstance(versions, tuple) or not all(isinstance(version, str) for version in versions):
            raise ConfigurationError(f"policy must be a str or a tuple of str, not {policy!r}")
        self._key = KeySpace(namespace, secret).request
        self._policy = versions
        self._vary: Callable[[Request], tuple[str, ...]] | None = None
        self._folded = matching == "folded"
        self._shapes = {api: RequestShape(api, shape.messages, list(shape.ignored)) for api, shape in SHAPES.items()}

    def under(self, policy: tuple[str, ...], vary: Callable[[Request], tuple[str, ...]] | None = None) -> RequestKey:
        """The same keys under further policies, and under those that `vary` has for a request."""
        twin = copy(self)
        twin._policy = (*self._policy, *policy)  # noqa: SLF001 - of its own class
        twin._vary = vary or self._vary  # noqa: SLF001
        return twin

    def scoped(self, request: Request, policy: str, *, personal: bool = False, of: Request | None = None) -> bytes:
        """The key of all that `request` is asked with: of the questions that may meet under `policy`.

        `of` is the request as it came, where this one is what was left of it: it says what is switched on.
        """
        scope = request.scope
        user = scope.user if personal else None
        shape = self._shapes[request.api]
        varying = () if self._vary is None else self._vary(request if of is None else of)
        policies = (*self._policy, *varying, "meaning", policy)
        return self._key(shape, request.body, scope.namespace, scope.tenant, user, policies, False)  # noqa: FBT003

    def __call__(self, request: Request, *, personal: bool = False) -> bytes:
        """The key of `request`.

        Args:
            request: what the caller asked.
            personal: whether the answer depends on who asks; the key is then the user's own.

        Raises:
            UnkeyableError: the body holds something that is not plain data; the message names the path to it.
            InvalidRequestError: the answer is personal and the request names no user.
        """
        scope = request.scope
        user = None
        if personal:
            user = scope.user
            if user is None:
                raise InvalidRequestError("the answer is personal but the scope has no user: pass Scope(user=…)")
        shape = self._shapes.get(request.api)
        if shape is None:
            shape = RequestShape(request.api)
        policy = self._policy if self._vary is None else (*self._policy, *self._vary(request))
        return self._key(shape, request.body, scope.namespace, scope.tenant, user, policy, self._folded)


def key(value: Any, *, namespace: str = "", secret: bytes | None = None) -> bytes:
    """The 16-byte key of any plain data: the same in every process and release, unrelated across namespaces.

    Making a `KeySpace` once and calling its `key` is faster for many values.

    Args:
        value: None, bool, int, float, str, bytes, enum, Decimal, date, time, datetime, UUID, and lists, tuples,
            mappings with str keys, dataclasses, msgspec structs and pydantic models of those. Lists equal tuples, `1`
            equals `1.0`, `True` does not equal `1`, and the order of a mapping does not matter.
        namespace: separates the keys of one use from those of another.
        secret: bytes without which nobody can compute or test a key.

    Raises:
        UnkeyableError: the value holds something that is not plain data; the message names the path to it.
        ConfigurationError: the secret is empty.
    """
    return KeySpace(namespace, secret).key(value)


__all__ = ["SHAPES", "KeySpace", "Matching", "RequestKey", "Shape", "key", "state_of"]
