"""A copy of a client whose resources answer through resopt; nothing of the client library is patched.

The copy's class is made of the client's own, as are those of the resources on the way to a covered method:
`isinstance`, attributes and everything that is not covered stay as they are. Copies made by the client itself
(`with_options`) stay wrapped, with an identity of their own.
"""

from __future__ import annotations

import copy
import functools
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from resopt.gates import charge_again

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resopt.wrap.door import Door

_SAME_OWNER = frozenset(
    {
        "base_url",
        "default_headers",
        "default_query",
        "http_client",
        "max_retries",
        "middleware",
        "open_telemetry",
        "set_default_headers",
        "set_default_query",
        "timeout",
    }
)
"""Arguments of `with_options` after which a client still proves its identity with the same secret; after any other it
may be somebody else's. Addresses, headers and parameters are compared by themselves."""

_classes: dict[tuple[type, type], type] = {}


def graft(client: Any, door: Door, branches: Mapping[str, Any], face: type[Client]) -> Any:
    """A wrapped copy of a client.

    Args:
        client: the client; it stays as it is. The two share connections.
        door: the copy's way into the pipeline.
        branches: by name of a resource the class to put before its own, or the branches below it.
        face: the class to put before the client's own.
    """
    grafted = _copy(client)
    base = type(client)
    members = _members(base, branches)
    grafted.__class__ = _class(base, face, members)
    grafted.__dict__["_resopt_door"] = door.beside(grafted)
    return grafted


def retrying(client: Any) -> Any:
    """A copy of a client of which only this is new: its retries ask the gates that their call has passed."""
    made = _copy(client)
    made.__class__ = _class(type(client), Retrying, {})
    return made


def _copy(client: Any) -> Any:
    made = copy.copy(client)
    for name, value in vars(client).items():  # resources made so far call the bare client
        if getattr(value, "_client", None) is client:
            del made.__dict__[name]
    return made


def door_of(resource: Any) -> Door:
    """The way into the pipeline of the client that a resource belongs to."""
    door: Door = resource._client._resopt_door  # noqa: SLF001 - put there by `graft`
    return door


class Retrying:
    """What stands before the class of a client that is asked for a pipeline."""

    def _sleep_for_retry(self, **given: Any) -> Any:
        """Called by both libraries before each attempt but the first, where an error or a refusal is being handled."""
        charge_again(given.get("response"))
        return super()._sleep_for_retry(**given)  # type: ignore[misc]


class Client(Retrying):
    """What stands before a client's class."""

    _resopt_door: Door

    @property
    def resopt(self) -> Any:
        """The optimizer: `ledger`, `invalidate`, `stats`, `close`."""
        return self._resopt_door.optimizer

    def copy(self, **changes: Any) -> Any:
        """As the client library's own; the copy is wrapped like this one."""
        kind = type(self)
        bare = copy.copy(self)  # of the library's own class, which it may ask for before it hands on a credential
        bare.__class__ = kind.__bases__[0]
        made: Any = bare.copy(**changes)
        made.__class__ = kind
        made.__dict__["_resopt_door"] = self._resopt_door.beside(made, same=changes.keys() <= _SAME_OWNER)
        return made

    with_options = copy


def _members(base: type, branches: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _property(getattr(base, name), branch) for name, branch in branches.items() if hasattr(base, name)}


def _property(original: Any, branch: Any) -> functools.cached_property[Any]:
    """A resource with a branch grafted on, made when it is first used, as the client library makes it.

    By the function below the library's own cached property: that would put the bare resource where another thread finds
    it, and keeps it.
    """
    make = original.func if isinstance(original, functools.cached_property) else original.fget

    def resource(self: Any) -> Any:
        made = make(self)
        kind = type(made)
        if isinstance(branch, type):
            made.__class__ = _class(kind, branch, {})
        else:
            made.__class__ = _class(kind, _Nothing, _members(kind, branch))
        return made

    return functools.cached_property(resource)


class _Nothing:
    """Stands before a resource of which only what lies below is covered."""


def _class(base: type, face: type, members: Mapping[str, Any]) -> type:
    """A class of the same name and layout, in which what `face` defines comes before what `base` does.

    Its one base is `base`, or Python would not let an instance of that become one of this: the members of `face` are
    copied into it, and their `super()` is made to start at the new class. Methods look like those they stand for.
    """
    made = _classes.get((base, face))
    if made is None:
        here = CellType()
        body: dict[str, Any] = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__slots__": ()}
        for kind in reversed(face.__mro__[:-1]):
            for name, member in vars(kind).items():
                if not name.startswith("__"):
                    original = getattr(base, name, None)
                    body[name] = _moved(member, here, original) if isinstance(member, FunctionType) else member
        made = type(base.__name__, (base,), {**body, "_resopt_grafted": True, **members})
        here.cell_contents = made
        _classes[base, face] = made
    return made


def _moved(method: FunctionType, here: CellType, original: Any) -> Any:
    """A copy of a method for another class, with the signature and documentation of the one it stands for."""
    names, cells = method.__code__.co_freevars, method.__closure__ or ()
    closure = tuple(here if name == "__class__" else cell for name, cell in zip(names, cells, strict=True))
    copied = FunctionType(method.__code__, method.__globals__, method.__name__, method.__defaults__, closure)
    copied.__kwdefaults__ = method.__kwdefaults__
    return copied if original is None else functools.update_wrapper(copied, original)
