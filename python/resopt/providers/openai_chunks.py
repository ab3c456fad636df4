"""Chunks of a chat completion's stream, put together into the reply that the API sends in one piece.

Strings, in deltas, are pieces of one text; objects grow field by field; entries of lists are told apart by their
`index`. That holds for fields nobody has heard of too (`reasoning_content`, `reasoning_details`, …), because compatible
servers stream those as they stream the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt.providers.dialect import UnusableReplyError
from resopt.providers.failures import explanation

if TYPE_CHECKING:
    from collections.abc import Sequence

_SETTLED = frozenset({"id", "index", "name", "role", "type"})
"""Said once, though some servers repeat them with every piece."""

_FROM_FIRST = frozenset({"id", "created", "model"})
"""The same in every chunk, but empty in the one that Azure sends before the answer begins."""

_OF_CHUNKS = frozenset({"object", "choices", "obfuscation"})


def assemble(events: Sequence[bytes]) -> bytes:
    """The chat completion that a stream's chunks add up to.

    Raises:
        UnusableReplyError: a choice did not end, an error came in between, or pieces contradict each other.
    """
    completion: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    try:
        for event in events:
            chunk = _decode(event)
            _take_fields(completion, chunk)
            for piece in chunk.get("choices") or ():
                choices.setdefault(_index(piece), _Choice()).add(piece)
        if not choices or sorted(choices) != list(range(len(choices))):
            raise UnusableReplyError("a stream without choices, or with one missing")
        whole = [{"index": index, **choices[index].whole()} for index in sorted(choices)]
    except RecursionError:
        raise UnusableReplyError("nested too deeply") from None
    return msgspec.json.encode({"object": "chat.completion", **completion, "choices": whole})


def _decode(event: bytes) -> dict[str, Any]:
    try:
        chunk = msgspec.json.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnusableReplyError(f"a chunk is not JSON: {error}") from None
    if not isinstance(chunk, dict) or not isinstance(chunk.get("choices"), list | None):
        raise UnusableReplyError("not a chunk of a chat completion")
    if chunk.get("error") is not None:
        raise UnusableReplyError(f"an error in the stream: {explanation(event) or chunk['error']}")
    return chunk


def _index(piece: Any) -> int:
    index = piece.get("index") if isinstance(piece, dict) else None
    if not isinstance(index, int):
        raise UnusableReplyError("a choice without an index")
    return index


def _take_fields(completion: dict[str, Any], chunk: dict[str, Any]) -> None:
    """The fields beside the choices; usage is null in all chunks but one, and absent from a reply without it."""
    for name, value in chunk.items():
        if name in _OF_CHUNKS or (name in _FROM_FIRST and completion.get(name)):
            continue
        if value is not None:
            completion[name] = value
        elif name != "usage":
            completion.setdefault(name, None)


class _Choice:
    """One of the answers of a stream."""

    def __init__(self) -> None:
        self._message = _Object()
        self._fields: dict[str, Any] = {"logprobs": None, "finish_reason": None}
        self._has_logprobs = False

    def add(self, piece: dict[str, Any]) -> None:
        """Take the part of a chunk that belongs to this choice."""
        for name, value in piece.items():
            if name == "delta":
                self._message.add({} if value is None else value)
            elif name != "index":
                self._has_logprobs |= name == "logprobs"
                self._fields[name] = _grown(self._fields.get(name), value)

    def whole(self) -> dict[str, Any]:
        """The choice as in a reply of one piece."""
        if not self._fields["finish_reason"]:
            raise UnusableReplyError("the stream broke off: a choice has no finish_reason")
        message = self._message.whole()
        if message.get("audio") is not None:
            raise UnusableReplyError("audio in pieces has another format than in one piece")
        for call in message.get("tool_calls") or ():
            if not isinstance(call, dict) or call.pop("index", None) is None:
                raise UnusableReplyError("pieces of a tool call without an index")
        fields = dict(self._fields)
        if not self._has_logprobs:
            del fields["logprobs"]
        return {"message": message, **fields}


def _grown(held: Any, value: Any) -> Any:
    """A field beside the delta: lists (tokens of logprobs) go on, objects gain fields, else the last word counts."""
    if value is None:
        return held
    if isinstance(held, list) and isinstance(value, list):
        held.extend(value)
        return held
    if isinstance(held, dict) and isinstance(value, dict):
        for name, item in value.items():
            held[name] = _grown(held.get(name), item)
        return held
    return value


class _Object:
    """A JSON object that comes in pieces."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}

    def add(self, delta: Any) -> None:
        """Take a piece of it.

        Raises:
            UnusableReplyError: it contradicts what came before.
        """
        if not isinstance(delta, dict):
            raise _contradiction(delta)
        for name, value in delta.items():
            held = self._fields.get(name)
            if value is None or (name in _SETTLED and value == ""):
                self._fields.setdefault(name, value)
            elif name in _SETTLED and not isinstance(value, dict | list):
                if held not in (None, "", value):
                    raise _contradiction(value)
                self._fields[name] = value
            elif isinstance(held, _Text | _Object | _List):
                held.add(value)
            else:
                self._fields[name] = _begin(value)

    def whole(self) -> dict[str, Any]:
        """All pieces together."""
        return {name: _end(value) for name, value in self._fields.items()}


class _Text:
    """A text that comes in pieces; joined once, because adding to a long text again and again copies it each time."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: Any) -> None:
        """Take a piece of it."""
        if not isinstance(piece, str):
            raise _contradiction(piece)
        self._pieces.append(piece)

    def whole(self) -> str:
        """All pieces together."""
        return "".join(self._pieces)


class _List:
    """A list whose entries come in pieces, told apart by their `index`; entries without one come whole."""

    def __init__(self) -> None:
        self._indexed: dict[int, _Object] = {}
        self._others: list[Any] = []

    def add(self, entries: Any) -> None:
        """Take pieces of entries, or whole ones."""
        if not isinstance(entries, list):
            raise _contradiction(entries)
        for entry in entries:
            index = entry.get("index") if isinstance(entry, dict) else None
            if isinstance(index, int):
                self._indexed.setdefault(index, _Object()).add(entry)
            else:
                self._others.append(entry)

    def whole(self) -> list[Any]:
        """The entries in the order of their index."""
        return [self._indexed[index].whole() for index in sorted(self._indexed)] + self._others


def _begin(value: Any) -> Any:
    held: _Text | _Object | _List
    if isinstance(value, str):
        held = _Text()
    elif isinstance(value, dict):
        held = _Object()
    elif isinstance(value, list):
        held = _List()
    else:
        return value
    held.add(value)
    return held


def _end(value: Any) -> Any:
    return value.whole() if isinstance(value, _Text | _Object | _List) else value


def _contradiction(piece: Any) -> UnusableReplyError:
    return UnusableReplyError(f"pieces of the stream contradict each other: {str(piece)[:80]!r}")
