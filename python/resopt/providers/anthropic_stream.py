"""Anthropic's messages as a stream: what its events add up to, and how a whole message is cut into such events.

Values that need no look inside stay the bytes they came as (`msgspec.Raw`): no number or field that this release does
not know is changed on its way. Deltas and events of an unknown kind make a stream unusable, since what they would have
added is unknown; unknown kinds of block come whole with their start and pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from resopt.providers.dialect import UnusableReplyError
from resopt.providers.failures import explanation
from resopt.providers.pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Fields: TypeAlias = dict[str, Any]
"""An object of the API: values as they came (`msgspec.Raw`), or replaced by plain ones."""

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_text_decoder = msgspec.json.Decoder(str)

_NULL: Final = b"null"
_NOTHING: Final = msgspec.Raw(_NULL)

_JOINED: Final = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
}
"""Deltas that are joined, by kind: where the piece is, and the block's field that the pieces add up to."""

_PUT: Final = {"signature_delta": ("signature",), "compaction_delta": ("content", "encrypted_content")}
"""Deltas that bring fields of the block whole, by kind."""

_RUNS_OF_TOOLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_KNOWN_LATE: Final = ("stop_reason", "stop_sequence", "stop_details", "container")
_COUNTED_LATE: Final = ("server_tool_use", "output_tokens_details")
_COUNTED_TWICE: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def assemble(events: Sequence[bytes]) -> bytes:
    """The whole message that a stream's events add up to.

    Raises:
        UnusableReplyError: the stream did not end with `message_stop`, reports an error, or is not understood.
    """
    message = _Message()
    try:
        for event in events:
            message.take(event)
        return message.ended()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableReplyError(f"not an event of a message: {error}") from None


def cut(body: bytes) -> tuple[bytes, ...]:
    """The events as which the API would have streamed a whole message; `assemble` makes the same message of them.

    Raises:
        UnusableReplyError: the body is no message, or one without what every stream says.
    """
    try:
        return tuple(map(msgspec.json.encode, _events(_fields(body))))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableReplyError(f"not a message: {error}") from None


class _Block:
    """One block of content while it arrives."""

    __slots__ = ("citations", "fields", "joined", "open", "parts")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.open = True
        self.joined = ""
        self.parts: list[str] = []
        self.citations: list[Any] = []

    def add(self, delta: Fields) -> None:
        kind = _text(delta, "type")
        if kind in _JOINED:
            source, field = _JOINED[kind]
            if field not in self.fields or self.joined not in ("", field):
                raise UnusableReplyError(f"{kind} for a block of another kind")
            self.joined = field
            self.parts.append(_text(delta, source))
        elif kind in _PUT:
            self.fields.update({name: delta.get(name, _NOTHING) for name in _PUT[kind]})
        elif kind == "citations_delta":
            self.citations.append(_required(delta, "citation"))
        else:
            raise UnusableReplyError(f"an unknown kind of delta: {kind}")

    def close(self) -> None:
        self.open = False
        if self.citations:
            before = msgspec.json.decode(self.fields.get("citations", _NOTHING), type=list[msgspec.Raw] | None)
            self.fields["citations"] = [*(before or ()), *self.citations]
        together = "".join(self.parts)
        if self.joined == "input":
            if together:
                self.fields["input"] = _json_object(together)
        elif self.joined:
            self.fields[self.joined] = _text(self.fields, self.joined) + together


class _Message:
    """A message while it arrives."""

    __slots__ = ("_blocks", "_ended", "_fields", "_usage")

    def __init__(self) -> None:
        self._fields: Fields | None = None
        self._usage: Fields = {}
        self._blocks: list[_Block] = []
        self._ended = False

    def take(self, data: bytes) -> None:
        event = _fields(data)
        kind = _text(event, "type")
        if kind == "ping":
            return
        if kind == "error":
            raise UnusableReplyError(f"an error within the stream: {explanation(data) or data.decode()}")
        if (kind == "message_start") is not (self._fields is None) or self._ended:
            raise UnusableReplyError(f"{kind} out of order")
        if kind == "message_start":
            self._start(_fields(_required(event, "message")))
        elif kind == "content_block_start":
            self._start_block(event)
        elif kind == "content_block_delta":
            self._block(event).add(_fields(_required(event, "delta")))
        elif kind == "content_block_stop":
            self._block(event).close()
        elif kind == "message_delta":
            self._change(event)
        elif kind == "message_stop":
            self._ended = True
        else:
            raise UnusableReplyError(f"an unknown kind of event: {kind}")

    def ended(self) -> bytes:
        if self._fields is None or not self._ended:
            raise UnusableReplyError("the stream broke off before message_stop")
        if any(block.open for block in self._blocks):
            raise UnusableReplyError("the stream ended within a block")
        content = [block.fields for block in self._blocks]
        return msgspec.json.encode({**self._fields, "content": content, "usage": self._usage})

    def _start(self, message: Fields) -> None:
        if msgspec.json.decode(_required(message, "content"), type=list[msgspec.Raw]):
            raise UnusableReplyError("a stream that starts with content")
        self._fields = message
        self._usage = _fields(_required(message, "usage"))

    def _start_block(self, event: Fields) -> None:
        if msgspec.json.decode(_required(event, "index"), type=int) != len(self._blocks):
            raise UnusableReplyError("blocks out of order")
        fields = _fields(_required(event, "content_block"))
        if _text(fields, "type") == "fallback" and self._fields is not None:
            # Another model took over in mid-stream; without streaming, the message is named after the last one.
            self._fields["model"] = _required(_fields(_required(fields, "to")), "model")
        self._blocks.append(_Block(fields))

    def _block(self, event: Fields) -> _Block:
        index = msgspec.json.decode(_required(event, "index"), type=int)
        if not 0 <= index < len(self._blocks) or not self._blocks[index].open:
            raise UnusableReplyError(f"an event for block {index}, which is not open")
        return self._blocks[index]

    def _change(self, event: Fields) -> None:
        """Take in `message_delta`: counts are totals, and what it leaves null was said at the start."""
        late = {**event, **_fields(_required(event, "delta"))}
        for name in ("type", "delta", "usage"):
            late.pop(name, None)
        for target, news in ((self._fields or {}, late), (self._usage, _fields(_required(event, "usage")))):
            for name, value in news.items():
                if bytes(value) != _NULL or name not in target or name.startswith("stop_"):
                    target[name] = value


def _events(message: Fields) -> Iterator[Fields]:
    usage = _fields(_required(message, "usage"))
    late = {name: message[name] for name in _KNOWN_LATE if name in message}
    beside = {name: message[name] for name in ("context_management",) if name in message}
    counts = {name: usage[name] for name in (*_COUNTED_TWICE, *_COUNTED_LATE) if name in usage}
    _required(usage, "output_tokens")
    uncounted: Fields = {name: None for name in _COUNTED_LATE if name in usage}
    unknown: Fields = dict.fromkeys((*late, *beside))
    begun = {**usage, **uncounted, "output_tokens": 1}
    start = {**message, **unknown, "content": [], "usage": begun}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(_objects_decoder.decode(_required(message, "content"))):
        emptied, deltas = _cut_block(block)
        yield {"type": "content_block_start", "index": index, "content_block": emptied}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": late, "usage": counts, **beside}
    yield {"type": "message_stop"}


def _cut_block(block: Fields) -> tuple[Fields, list[Fields]]:
    """A block as it starts, and the deltas that complete it; kinds that are not known start complete."""
    kind = _text(block, "type")
    if kind == "text":
        citations = msgspec.json.decode(block.get("citations", _NOTHING), type=list[msgspec.Raw] | None)
        deltas: list[Fields] = [{"type": "text_delta", "text": word} for word in pieces(_text(block, "text"))]
        deltas += [{"type": "citations_delta", "citation": citation} for citation in citations or ()]
        return {**block, "text": "", **({"citations": []} if citations else {})}, deltas
    if kind == "thinking":
        words = pieces(_text(block, "thinking"))
        deltas = [{"type": "thinking_delta", "thinking": word} for word in words]
        if "signature" in block:
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            block = {**block, "signature": ""}
        return {**block, "thinking": ""}, deltas
    if kind in _RUNS_OF_TOOLS:
        text = bytes(_json_object(_required(block, "input"))).decode()
        parts = ["", *(pieces(text) if text != "{}" else ())]  # the API's first piece is empty
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    return block, []


def _fields(data: bytes | msgspec.Raw) -> Fields:
    return _object_decoder.decode(data)


def _text(fields: Fields, name: str) -> str:
    return _text_decoder.decode(_required(fields, name))


def _required(fields: Fields, name: str) -> Any:
    try:
        return fields[name]
    except KeyError:
        raise UnusableReplyError(f"{name} is missing") from None


def _json_object(text: str | msgspec.Raw) -> msgspec.Raw:
    """The text itself, once it is known to be a whole object."""
    if not isinstance(msgspec.json.decode(text), dict):
        raise UnusableReplyError("the input of a tool is no object")
    return msgspec.Raw(text)
