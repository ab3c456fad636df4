"""What a router has learnt, as a file: versioned and checksummed, never pickled, never trusted."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from resopt._core import Cuts, RouteModel
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from os import PathLike

    from resopt.route.deciding import Desk

_MAGIC = b"resopt-route\x02"
_DIGEST = 16


class State(msgspec.Struct, frozen=True):
    """What is kept: whose it is, the fitted model, the traffic's percentiles, tiers that the labels dropped."""

    tiers: list[tuple[str, str]]
    model: bytes
    steps: list[float]
    excess: list[float]
    counted: Annotated[int, msgspec.Meta(ge=0)]
    dropped: dict[int, str]


def save_state(path: str | PathLike[str], desk: Desk) -> None:
    """Write a router's state; the file is complete or not there.

    Raises:
        OSError: it cannot be written.
    """
    steps, excess, counted = desk.cuts.state()
    tiers = [(tier.name, tier.model) for tier in desk.tiers]
    state = State(tiers, desk.model.to_bytes(), steps, excess, counted, desk.dropped)
    content = _MAGIC + msgspec.msgpack.encode(state)
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content + hashlib.blake2b(content, digest_size=_DIGEST).digest())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_state(path: str | PathLike[str], desk: Desk) -> bool:
    """Bring back a state; whether it could be. One that cannot is a cold start and a warning."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        _warn(path, f"it cannot be read ({error.strerror})")
        return False
    try:
        state = _read(data)
        if state.tiers != [(tier.name, tier.model) for tier in desk.tiers]:
            raise ConfigurationError("it belongs to other tiers")  # noqa: TRY301 - reported like the others
        _restore(desk, state)
    except (ConfigurationError, msgspec.MsgspecError) as error:
        _warn(path, str(error))
        return False
    return True


def _read(data: bytes) -> State:
    content, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.blake2b(content, digest_size=_DIGEST).digest() != digest:
        raise ConfigurationError("its checksum is wrong")
    if not content.startswith(_MAGIC):
        raise ConfigurationError("it was not written by this version of resopt")
    return msgspec.msgpack.decode(content[len(_MAGIC) :], type=State)


def _restore(desk: Desk, state: State) -> None:
    """All of a state or nothing of it."""
    model = RouteModel.from_bytes(state.model)
    if not all(0 <= place < len(desk.tiers) for place in state.dropped) or len(state.dropped) >= len(desk.tiers):
        raise ConfigurationError("its dropped tiers make no sense")
    trial = Cuts([1.0] + [0.0] * (len(desk.tiers) - 1), model)
    trial.restore(state.steps, state.excess, state.counted)
    desk.dropped = dict(state.dropped)
    desk.refit(model)
    desk.cuts.restore(state.steps, state.excess, state.counted)


def _warn(path: str | PathLike[str], why: str) -> None:
    warnings.warn(f"{os.fspath(path)} is not used, the router starts cold: {why}", RuntimeWarning, stacklevel=4)
