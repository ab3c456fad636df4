"""What travels through the pipeline: frozen structs, made of immutable parts, shared by every room.

A `Response` goes to many callers: the provider's reply is kept as bytes, and `Response.json()` decodes it for each.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

from resopt.errors import ConfigurationError, InvalidRequestError
from resopt.question import last_question

CacheMode = Literal["default", "bypass", "refresh", "only"]
"""`default` looks up and stores; `bypass` does neither; `refresh` asks upstream and stores; `only` never asks."""

Outcome = Literal["hit", "miss", "coalesced", "bypass", "error", "cancelled", "background"]
"""How a request ended: served from cache, by its own upstream call, by another caller's call, past the cache, …

`background` is no request of a caller's but a call resopt made of its own accord: an audit, a judge, a prefetch.
"""

COMPLETE: Final = frozenset({"stop", "tool_calls", "function_call", "end_turn", "stop_sequence", "tool_use", "eos"})
"""Finish reasons of an answer that said all it had to say."""

PICODOLLARS = 10**12
"""Picodollars in a dollar: money is integers of this unit inside, so that sums are exact."""

_CACHE_MODES: tuple[object, ...] = get_args(CacheMode)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Who may share an answer: nothing stored for one tenant or namespace is ever served to another.

    `user` separates only the answers that depend on who asks (`cache/freshness.py` decides which those are).
    """

    tenant: str | None = None
    user: str | None = None
    namespace: str = ""

    def __post_init__(self) -> None:
        for name in ("tenant", "user"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name} must be a str or None, not {type(value).__name__}")
        if not isinstance(self.namespace, str):
            raise ConfigurationError(f"namespace must be a str, not {type(self.namespace).__name__}")


EVERYONE = Scope()
"""The scope of a request that names none."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call.

    `input_tokens` is the total, including what was read from (`cached_input_tokens`) and written to
    (`cache_write_tokens`) the provider's prefix cache; `output_tokens` includes `reasoning_tokens`.
    Source: OpenTelemetry GenAI `gen_ai.usage.*`.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens


NO_USAGE = Usage()
"""Nothing billed."""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One function call asked for by the model; `arguments` is the JSON text exactly as it came."""

    id: str
    name: str
    arguments: str


class Billed(msgspec.Struct, frozen=True):
    """A call billed beside the one that answered (an earlier attempt, a rewrite, a judge), and to whose account."""

    mechanism: str
    model: str
    usage: Usage | None


class Detour(msgspec.Struct, frozen=True, kw_only=True):
    """How the call upstream differed from what the caller asked for, as far as money goes.

    Attributes:
        mechanism: what chose another model than the one asked for (`route`); None when none did.
        shortened: input tokens of the caller's request that were not sent; negative when more were.
        replayed: those of them that the provider would have read from its prefix cache, if it read anything there.
        discount: per cent off the list price, as for deferred work.
        also: further calls billed for this answer.
    """

    mechanism: str | None = None
    shortened: int = 0
    replayed: int = 0
    discount: int = 0
    also: tuple[Billed, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One decision of one stage: `stage` did `action` because of `reason`; `seconds` it took, where measured."""

    stage: str
    action: str
    reason: str = ""
    seconds: float | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request ended as it did, as data.

    Attributes:
        id: unique id of the decision, for feedback and reports.
        outcome: how the request ended.
        mechanism: what avoided money: `exact`, `folded`, `coalesced`, …; None when nothing did.
        key: the 16-byte key the request was looked up by, or None when it was never keyed.
        age: seconds since the answer was stored; None unless it came from a cache.
        steps: the decisions in the order they were taken.
        usage: tokens billed for this request (zeros on a local hit).
        cost: picodollars spent; None when a price is unknown.
        baseline_cost: picodollars the request would have cost without resopt; None when a price is unknown.
        latency: seconds from call to answer.
        baseline_latency: seconds the upstream call took when the answer was made.
    """

    id: str = ""
    outcome: Outcome = "miss"
    mechanism: str | None = None
    key: bytes | None = None
    age: float | None = None
    steps: tuple[Step, ...] = ()
    usage: Usage = NO_USAGE
    cost: int | None = None
    baseline_cost: int | None = None
    latency: float = 0.0
    baseline_latency: float = 0.0

    @property
    def avoided(self) -> int | None:
        """Picodollars not spent: baseline minus cost; None when a price is unknown."""
        if self.cost is None or self.baseline_cost is None:
            return None
        return self.baseline_cost - self.cost


NO_TRACE = Trace()
"""The trace of an answer that no pipeline has touched yet."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the caller made it.

    Attributes:
        api: shape of the body: `openai.chat`, ….
        body: the caller's request body; it is read, never changed, and sent as it is.
        scope: who may share the answer.
        tags: names by which the stored answer can be invalidated.
        ttl: seconds the answer may be served; None for the cache's own.
        cache: how the cache may be used, see `CacheMode`.
    """

    body: dict[str, Any]
    api: str = "openai.chat"
    scope: Scope = EVERYONE
    tags: tuple[str, ...] = ()
    ttl: float | None = None
    cache: CacheMode = "default"

    def __post_init__(self) -> None:
        plain = type(self.body) is dict and type(self.api) is str and type(self.scope) is Scope
        if not plain or self.cache not in _CACHE_MODES or self.ttl is not None or self.tags != ():
            _check(self)

    @classmethod
    def chat(
        cls,
        prompt: str,
        *,
        model: str = "gpt-4o",
        system: str | None = None,
        scope: Scope = EVERYONE,
        tags: tuple[str, ...] = (),
        ttl: float | None = None,
        cache: CacheMode = "default",
        **parameters: Any,
    ) -> Request:
        """One question in the OpenAI chat shape.

        Args:
            prompt: the user's message.
            model: the model asked for.
            system: a system message to put before it.
            scope: who may share the answer.
            tags: names by which the stored answer can be invalidated.
            ttl: seconds the answer may be served.
            cache: how the cache may be used.
            **parameters: further fields of the body (`temperature`, `max_tokens`, …).

        Raises:
            InvalidRequestError: the prompt, model or system message is not a str, or `messages` are given besides.
        """
        if not isinstance(prompt, str):
            raise InvalidRequestError(f"prompt must be a str, not {type(prompt).__name__}")
        if not isinstance(model, str):
            raise InvalidRequestError(f"model must be a str, not {type(model).__name__}")
        if "messages" in parameters:
            raise InvalidRequestError("a prompt is the one message; for several use Request(body={'messages': …})")
        user = {"role": "user", "content": prompt}
        if system is None:
            messages = [user]
        elif isinstance(system, str):
            messages = [{"role": "system", "content": system}, user]
        else:
            raise InvalidRequestError(f"system must be a str or None, not {type(system).__name__}")
        body = {"model": model, "messages": messages, **parameters}
        return cls(body=body, scope=scope, tags=tags, ttl=ttl, cache=cache)

    @property
    def model(self) -> str:
        """The model asked for, or the empty str when the body names none."""
        model = self.body.get("model", "")
        return model if isinstance(model, str) else ""

    @property
    def question(self) -> str | None:
        """What the user said last, or None when no text can be found.

        The rules of freshness judge it, so it is sought wherever it may be: behind later messages of others, in parts,
        in objects of a client library, and in `input` or `prompt` where the API has no `messages`. Results of tools are
        no words of the user, though Anthropic sends them in the user's name.
        """
        messages = self.body.get("messages")
        if type(messages) is list and messages:
            last = messages[-1]
            if type(last) is dict and last.get("role") == "user":
                content = last.get("content")
                if type(content) is str:
                    return content
        return None if self.api == "openai.embeddings" else last_question(self.body)


def _check(request: Request) -> None:
    """Say what of a request is wrong, if anything is; most are plain and never come here."""
    if type(request.body) is not dict:
        raise InvalidRequestError(f"body must be a dict, not {type(request.body).__name__}")
    if not isinstance(request.api, str):
        raise ConfigurationError(f"api must be a str, not {type(request.api).__name__}")
    if not isinstance(request.scope, Scope):
        raise ConfigurationError(f"scope must be a Scope, not {type(request.scope).__name__}")
    if request.cache not in _CACHE_MODES:
        raise ConfigurationError(f"cache must be one of {', '.join(get_args(CacheMode))}, not {request.cache!r}")
    ttl: object = request.ttl
    if ttl is not None and not (isinstance(ttl, int | float) and not isinstance(ttl, bool) and ttl > 0):
        raise ConfigurationError(f"ttl must be a number of seconds above 0 or None, not {request.ttl!r}")
    _check_tags(request.tags)


def _check_tags(tags: object) -> None:
    if type(tags) is not tuple:
        raise ConfigurationError(f"tags must be a tuple of str, not {type(tags).__name__}")
    for tag in tags:
        if not isinstance(tag, str):
            raise ConfigurationError(f"tags must be a tuple of str, but one is {type(tag).__name__}")
        if tag.startswith("\0"):
            raise ConfigurationError(f"a tag must not begin with NUL, which marks resopt's own: {tag!r}")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One answer.

    Attributes:
        text: the answer's text; empty when the model only called tools.
        model: the model that answered, as the provider names it.
        usage: tokens the answer took when it was made, or None when the provider did not say: unknown is not zero
            (`trace.usage` is what this request was billed).
        finish_reason: the provider's word: `stop`, `length`, `tool_calls`, `content_filter`, …; `refusal` when the
            model declined in a field of its own.
        tool_calls: function calls the model asked for.
        body: the provider's whole reply as JSON; of a stream, what its events add up to.
        events: the events of a stream as they came, one JSON object each; None when the reply came in one piece.
        created_at: Unix time at which the answer was made, in seconds.
        latency: seconds the upstream call took.
        detour: how the call that made it differed from what was asked for; None when it did not.
        trace: how this request came by the answer.
    """

    text: str
    model: str
    usage: Usage | None = None
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    body: bytes = b""
    events: tuple[bytes, ...] | None = None
    created_at: float = 0.0
    latency: float = 0.0
    detour: Detour | None = None
    trace: Trace = NO_TRACE

    def json(self) -> Any:
        """The provider's reply, decoded afresh: the caller may change it without anyone else noticing."""
        return msgspec.json.decode(self.body) if self.body else {}

    def traced(self, trace: Trace) -> Response:
        """The same answer with another trace: each caller has a response of their own."""
        return msgspec.structs.replace(self, trace=trace)

    @property
    def weight(self) -> int:
        """Bytes held for this answer: texts, reply and events as UTF-8, 256 for the structs and 48 for each event."""
        called = sum(_size(call.id) + _size(call.name) + _size(call.arguments) for call in self.tool_calls)
        streamed = 0 if self.events is None else sum(map(len, self.events)) + 48 * len(self.events)
        return _size(self.text) + len(self.body) + called + streamed + 256


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
