"""A client library's objects and the JSON they are kept as: recorded when they come, made afresh for every caller.

An object is made again by pydantic's own validator, in strict mode and from JSON, which takes a twentieth of the time
of the library's lenient constructor. Where the strict way refuses, or would make something else than the library did,
the library's own constructor is used.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from resopt._core import Mould

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from resopt.types import Trace


_MOULDED: Final = 256 * 1024
"""Bytes of replies that moulds are kept of; a mould takes some six times as much as its reply."""

_REQUEST: Final = ("_request_id", "_workspace_id")
"""What the client libraries note of a request on the object that answers it."""


def recorded(made: Any) -> bytes:
    """The JSON that an object of a client library was made from: what was in it, unknown fields included."""
    text: str = made.model_dump_json(by_alias=True, exclude_unset=True, warnings=False)
    return text.encode()


def remade(kind: Any, data: bytes) -> Any:
    """An object of the class `kind` from its JSON, as the client library would have made it."""
    try:
        return kind.__pydantic_validator__.validate_json(data, strict=True)
    except ValueError:  # pydantic's ValidationError is one
        return kind.construct(**json.loads(data))


class Moulds:
    """Objects of one class from their JSON, each marked with how it came about.

    What is asked for a second time is made by a `Mould` from then on, in less than half the time. Moulds are forgotten
    when the replies they are of come to `_MOULDED` bytes; until then they may outlive what was cached.

    Args:
        kind: the class of a client library.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._moulds: dict[bytes, Mould | None] = {}
        self._bytes = 0
        self._mouldable = True

    def make(self, data: bytes, trace: Trace) -> Any:
        """An object from its JSON."""
        mould = self._moulds.get(data)
        made = self._made(data) if mould is None else mould.cast()
        vars(made)["_resopt"] = trace
        return made

    def _made(self, data: bytes) -> Any:
        made = remade(self._kind, data)
        held = vars(made)
        held["_request_id"] = held["_workspace_id"] = held["_resopt"] = None
        if len(data) > _MOULDED // 8:
            return made
        if self._bytes > _MOULDED:
            self._moulds, self._bytes = {}, 0
        if data not in self._moulds:
            self._moulds[data] = None
            self._bytes += len(data)
        elif self._mouldable:
            try:
                self._moulds[data] = Mould(made)
            except TypeError:  # something in objects of this class has no mould: they are made of their JSON
                self._mouldable = False
        return made


def is_faithful(made: Any, data: bytes) -> bool:
    """Whether what is made from the record equals what the client library made."""
    again: Any = remade(type(made), data)
    return bool(again.model_dump() == made.model_dump())


def mark(made: Any, trace: Trace, origin: Any = None) -> Any:
    """Note on an object how it came about; neither its fields, nor its equality, nor its dump change.

    Args:
        made: the object.
        trace: how it came about.
        origin: the object it was made of, whose request it belongs to; None when that is itself.
    """
    try:
        held = vars(made)
    except TypeError:  # a str in place of an answer holds no notes
        return made
    noted = held if origin is None else vars(origin)
    for name in _REQUEST:  # documented by the libraries: where no request was made, None must stand there
        held[name] = noted.get(name)
    held["_resopt"] = trace
    return made


class Kinds:
    """The classes of a stream's events, told apart by their `type`.

    Args:
        union: the client library's union of event classes, or the one class there is.
        construct: the library's own way to make an event of JSON it does not know.
    """

    def __init__(self, union: Any, construct: Callable[[Any], Any]) -> None:
        from pydantic import BaseModel

        self._construct = construct
        self._only = union if isinstance(union, type) and issubclass(union, BaseModel) else None
        self._by_type: dict[str, Any] = {}
        if self._only is None:
            for kind in _members(union):
                for name in get_args(kind.model_fields["type"].annotation):
                    self._by_type[name] = kind

    def all_remade(self, events: Iterable[bytes]) -> Iterator[Any]:
        """Events from their JSON, one by one."""
        if self._only is None:
            yield from map(self.remade, events)
            return
        validate = self._only.__pydantic_validator__.validate_json
        for data in events:
            try:
                made = validate(data, strict=True)
            except ValueError:
                made = self.remade(data)
            yield made

    def remade(self, data: bytes) -> Any:
        """An event from its JSON."""
        if self._only is not None:
            return remade(self._only, data)
        kind = self._by_type.get(_type_of(data))
        return self._construct(json.loads(data)) if kind is None else remade(kind, data)


class _Typed(msgspec.Struct):
    type: str = ""


_type_decoder = msgspec.json.Decoder(_Typed)


def _type_of(data: bytes) -> str:
    return _type_decoder.decode(data).type


def _members(union: Any) -> list[Any]:
    members = []
    for member in get_args(union):
        if isinstance(member, type):
            members.append(member)
        else:
            members.extend(_members(member))
    return members
