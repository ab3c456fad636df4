"""An HTTP exchange as the pipeline keeps it: first its head, then the bytes of its body as they came.

Bodies are kept encoded, with their `content-encoding`: what is replayed then has the very bytes, length and headers of
what came, and only who accepts the same encodings gets them. They are decoded once, when the reply is over, to judge
whether it is a good answer.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt.errors import ProviderError
from resopt.providers.dialect import Dialect, UnusableReplyError, dialect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from resopt.types import Request, Response

_APIS: Final = (
    ("/chat/completions", "openai.chat", "messages"),
    ("/responses", "openai.responses", "input"),
    ("/messages", "anthropic.messages", "messages"),
)
"""By end of the path: the API, and a field without which a body is none of it (threads have messages too)."""

_OF_ONE_CALLER: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that belong to one connection or one caller: nobody else gets them."""

_OF_ONE_MOMENT: Final = re.compile(rb"retry-after|(x-|anthropic-)ratelimit-")
"""Names, or beginnings of names, of headers that would mislead whoever gets them later."""

NO_SUCH_ANSWER: Final = (
    b'{"error":{"type":"resopt_cache_miss","code":"resopt_cache_miss","param":null,'
    b'"message":"no stored answer fits, and cache=\'only\' forbids asking the provider"}}'
)


_CODES: Final = {
    "BudgetExceededError": b"budget_exceeded",
    "DeadlineError": b"deadline",
    "QueueFullError": b"queue_full",
}


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What comes before a body.

    Attributes:
        status: the HTTP status.
        version: such as `HTTP/1.1`.
        reason: the words behind the status.
        headers: names and values, in order.
    """

    status: int
    version: bytes
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, reply: Any) -> Head:
        """The head of an httpx or httpx2 response, without what is for its one caller."""
        kept = tuple((name, value) for name, value in reply.headers.raw if name.lower() not in _OF_ONE_CALLER)
        given = reply.extensions
        return cls(reply.status_code, given.get("http_version", b"HTTP/1.1"), given.get("reason_phrase", b""), kept)

    @property
    def extensions(self) -> dict[str, Any]:
        """The head as extensions of an httpx or httpx2 response."""
        return {"http_version": self.version, "reason_phrase": self.reason}

    def value(self, name: bytes) -> str:
        """The value of a header; empty when there is none."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")


_head_decoder = msgspec.msgpack.Decoder(Head)


def write_head(head: Head) -> bytes:
    """A head as the first piece of an exchange."""
    return msgspec.msgpack.encode(head)


def read_head(piece: bytes) -> Head:
    """The head in the first piece of an exchange."""
    return _head_decoder.decode(piece)


class RefusedError(ProviderError):
    """The reply is none of success; `head` and `content` are what came.

    Args:
        head: its head.
        content: its body, encoded as it came.
    """

    def __init__(self, head: Head, content: bytes) -> None:
        super().__init__(f"the provider replied with status {head.status}", status=head.status)
        self.head, self.content = head, content


def api_of(method: str, path: str, read: Callable[[], Any]) -> tuple[str, dict[str, Any]] | None:
    """API and body of a request for an answer that is kept; None for any other request.

    Args:
        method: of the request.
        path: of its URL.
        read: gives the body, decoded; called when the path is one of ours.
    """
    if method.upper() != "POST":
        return None
    for end, api, field in _APIS:
        if path.endswith(end):
            body = read()
            return (api, body) if isinstance(body, dict) and field in body else None
    return None


def turned_away(error: Exception) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of the reply to a request that a gate did not let pass.

    The header keeps the SDKs from asking again: what a budget forbids it forbids a second later too.
    """
    words = msgspec.json.encode(str(error))
    content = (
        b'{"error":{"type":"resopt_turned_away","code":"resopt_'
        + _CODES.get(type(error).__name__, b"gate_closed")
        + b'","param":null,"message":'
        + words
        + b"}}"
    )
    headers = [(b"content-type", b"application/json"), (b"x-should-retry", b"false"), (b"x-resopt", b"turned away")]
    if (seconds := getattr(error, "resets_in", None)) is not None:
        headers.append((b"retry-after", str(math.ceil(seconds)).encode()))
    return 429, headers, content


def json_of(content: bytes) -> Any:
    """What a body says; None when it is no JSON. Numbers stay as exact as they are written."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def form_of(body: Mapping[str, Any], accept: str, accept_encoding: str) -> list[str]:
    """What decides how an answer travels, and so which bytes fit."""
    travels = {name: body.get(name) for name in ("stream", "stream_options")}
    return [json.dumps(travels, sort_keys=True), accept, accept_encoding]


class Exchanges:
    """The dialect of exchanges with one API: their pieces are the head and bytes, and what those say is the API's.

    Args:
        inner: the API's own dialect.
        decode: `decode(head, content)` undoes the content encoding.
    """

    def __init__(self, inner: Dialect, decode: Any) -> None:
        self.api = inner.api
        self._inner, self._decode = inner, decode

    def read(self, body: bytes, seconds: float) -> Response:
        """As the API's own."""
        return self._inner.read(body, seconds)

    def assemble(self, events: Sequence[bytes]) -> bytes:
        """The API's whole reply in an exchange.

        Raises:
            UnusableReplyError: it is none, or did not end cleanly.
        """
        if not events:  # everybody left before the head came
            raise UnusableReplyError("nothing came")
        head, content = read_head(events[0]), b"".join(events[1:])
        if head.status != 200:
            raise UnusableReplyError(f"status {head.status}")
        if head.value(b"content-encoding"):
            try:
                content = self._decode(head, content)
            except Exception as error:  # noqa: BLE001 - each decoder has errors of its own
                raise UnusableReplyError(f"its encoding cannot be undone: {error}") from None
        if not _is_stream(head):
            return content
        sent = list(data_of(content))
        if self.api in _ENDS_WITH_DONE and (not sent or sent.pop() != b"[DONE]"):
            raise UnusableReplyError("the stream broke off before [DONE]")
        return self._inner.assemble(sent)

    def whole(self, response: Response) -> bytes | None:  # noqa: ARG002
        """None: an exchange answers only who asks for the same bytes."""
        return None

    def replay(self, response: Response, body: Mapping[str, Any]) -> Sequence[bytes] | None:  # noqa: ARG002
        """The pieces of an exchange; a stream's anew, one event each, unless they are encoded."""
        events = response.events
        if not events:
            return None
        head = read_head(events[0])
        if not _is_stream(head) or head.value(b"content-encoding"):
            return events
        return [events[0], *_BEHIND_EVENTS.split(b"".join(events[1:]))]


def exchanges_of(request: Request, decode: Any) -> Exchanges:
    """The dialect of exchanges like this request's; its API is one that `api_of` knows."""
    inner = dialect_of(request.api)
    if inner is None:
        raise UnusableReplyError(f"{request.api} is not known here")
    return Exchanges(inner, decode)


_ENDS_WITH_DONE: Final = frozenset({"openai.chat", "openai.completions"})
_BEHIND_EVENTS: Final = re.compile(rb"(?<=\n\n)(?=.)|(?<=\r\n\r\n)(?=.)|(?<=\r\r)(?=.)", re.DOTALL)
_LINES: Final = re.compile(rb"\r\n|\n|\r")


def data_of(content: bytes) -> Iterator[bytes]:
    """The data of server-sent events that are complete, in order; comments and pings left out.

    Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
    """
    data: list[bytes] = []
    for line in _LINES.split(content.removeprefix(b"\xef\xbb\xbf")):
        if not line:
            if data:
                yield b"\n".join(data)
            data = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))


def served(head: Head, age: float | None) -> list[tuple[bytes, bytes]]:
    """Headers for one who did not make the exchange; `x-resopt` says how they come by it, `age` how old it is."""
    if age is None:
        return [*head.headers, (b"x-resopt", b"coalesced")]
    kept = [(name, value) for name, value in head.headers if not _OF_ONE_MOMENT.match(name.lower())]
    return [*kept, (b"x-resopt", b"hit"), (b"age", str(int(age)).encode())]


def _is_stream(head: Head) -> bool:
    return head.value(b"content-type").lower().startswith("text/event-stream")
