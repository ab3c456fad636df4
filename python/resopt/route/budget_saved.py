"""What a budget writes down, so that a restart forgets nothing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from resopt.errors import ConfigurationError
from resopt.route.budget_lines import Line, Place

_MAGIC: Final = b"resopt budget 2\n"
_CHECK: Final = 16


class SavedOrder(msgspec.Struct, frozen=True):
    """Money held for work that outlives its process: until when, and the windows it was charged to if that is over."""

    key: str
    amount: int
    lines: tuple[Line, ...]
    ends: float
    charged: tuple[int, ...] | None = None


class SavedBudget(msgspec.Struct, frozen=True):
    """What was spent by account and window, and what is held for orders."""

    spent: list[tuple[Place, int, int]]
    orders: list[SavedOrder]


def write(saved: SavedBudget) -> bytes:
    """It as bytes, with a checksum."""
    data = msgspec.msgpack.encode(saved)
    return _MAGIC + blake2b(data, digest_size=_CHECK).digest() + data


def read(data: bytes) -> SavedBudget:
    """What `write` wrote.

    Raises:
        ConfigurationError: the data is cut short, changed or of another version.
    """
    body = data[len(_MAGIC) + _CHECK :]
    check = data[len(_MAGIC) : len(_MAGIC) + _CHECK]
    if data.startswith(_MAGIC) and blake2b(body, digest_size=_CHECK).digest() == check:
        try:
            return msgspec.msgpack.decode(body, type=SavedBudget)
        except msgspec.MsgspecError:
            pass
    raise ConfigurationError(
        "the saved budget is damaged or of another version; what was spent is not known: restore a copy, or remove it "
        "to begin at zero"
    )
