"""States as JSON, versioned and checksummed: what was damaged or written by hand is told from what was saved.

The checksum is over the values and not over the bytes, so that a database may keep the JSON in its own way: other
blanks, another order of fields.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from resopt._core import KeySpace
from resopt.errors import ConfigurationError

_CHECKSUM = KeySpace("resopt saved state").key

State = TypeVar("State", bound=msgspec.Struct)


class _Envelope(msgspec.Struct):
    version: int = 0
    checksum: str = ""
    state: msgspec.Raw = msgspec.Raw(b"null")


def seal(state: msgspec.Struct, version: int) -> str:
    """A state as JSON, with its version and a checksum."""
    # As it will be read back: an int where a float belongs comes back as a float.
    state = msgspec.json.decode(msgspec.json.encode(state), type=type(state))
    content = msgspec.Raw(msgspec.json.encode(state))
    return msgspec.json.encode(_Envelope(version, _sum(state, version), content)).decode()


def unseal(text: str | bytes, kind: type[State], version: int, what: str) -> State:
    """Read back what `seal` wrote.

    Args:
        text: the JSON.
        kind: of the state.
        version: the one that this release writes; no other is read.
        what: it is, in errors, such as `saved experiment`.

    Raises:
        ConfigurationError: it is something else, of another version, or damaged.
    """
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
        if envelope.version != version:
            raise ConfigurationError(f"this is no {what}: it is of version {envelope.version}, not of {version}")
        state = msgspec.json.decode(envelope.state, type=kind)
    except (msgspec.MsgspecError, UnicodeError, TypeError) as error:
        raise ConfigurationError(f"this is no {what}: {error}") from error
    if envelope.checksum != _sum(state, version):
        raise ConfigurationError(f"this is no {what}: its checksum is wrong")
    return state


def _sum(state: msgspec.Struct, version: int) -> str:
    return _CHECKSUM((version, msgspec.json.encode(state, order="sorted"))).hex()
