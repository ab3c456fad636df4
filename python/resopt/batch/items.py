"""What an item of a batch is: when two are the same, and how a result is written down and given out again."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import msgspec

from resopt.errors import InvalidRequestError
from resopt.types import Request, Response

_PLAIN = (str, bytes, int, float, bool, type(None), Response)
"""Types of results that nobody can change, so that equal items may share one."""


def identity_of(item: Any, task: str = "") -> bytes:
    """16 bytes that are the same for equal items of a task, in every process.

    Args:
        item: plain data, a `Request`, or objects of a client library within either.
        task: what is done with it; the same item in another task is another item.

    Raises:
        InvalidRequestError: it is not plain data, so nothing can tell whether it is the same.
    """
    if type(item) is Request:
        told: Any = (
            "request", item.api, item.body, item.scope.tenant, item.scope.user, item.scope.namespace, item.tags,
            item.ttl, item.cache,
        )  # fmt: skip
    else:
        told = (type(item).__name__, item)
    try:
        encoded = _encoder.encode((task, told))
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError) as error:
        raise InvalidRequestError(
            f"an item cannot be encoded: {error}; give plain data (str, numbers, lists, dicts), or identity=…"
        ) from None
    return hashlib.blake2b(encoded, digest_size=16).digest()


def _encode_model(value: Any) -> Any:
    """Objects of client libraries and other pydantic models say what is in them."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    raise TypeError(f"{type(value).__name__} is not plain data")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_model, order="deterministic", decimal_format="string")


def own_copy(result: Any) -> Any:
    """The result for one more item: what could be changed is copied, so that no two items share it."""
    if isinstance(result, _PLAIN):
        return result
    try:
        return copy.deepcopy(result)
    except Exception:  # noqa: BLE001 - an object that cannot be copied is shared: its owner decided that
        return result


def write_result(result: Any) -> bytes:
    """A result as bytes: a `Response`, or plain data that comes back as it was.

    Raises:
        InvalidRequestError: it is something else.
    """
    if type(result) is Response:
        return b"r" + _results.encode(result)
    if not _comes_back(result):
        raise InvalidRequestError(
            f"a result of type {type(result).__name__} cannot be kept in a checkpoint: return plain data (str, bytes, "
            "numbers, lists, dicts with str as keys) or a Response"
        )
    try:
        return b"p" + _results.encode(result)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRequestError(f"a result cannot be kept in a checkpoint: {error}") from None


def read_result(written: bytes) -> Any:
    """What `write_result` wrote.

    Raises:
        ValueError: it is something else.
    """
    if written[:1] == b"r":
        return msgspec.msgpack.decode(written[1:], type=Response)
    if written[:1] == b"p":
        return msgspec.msgpack.decode(written[1:])
    raise ValueError("not a result of resopt")


_results = msgspec.msgpack.Encoder()


def _comes_back(value: Any) -> bool:
    """Whether the value is of types that MessagePack gives back unchanged."""
    kind = type(value)
    if kind in (str, bytes, int, float, bool, type(None)):
        return True
    if kind is list:
        return all(map(_comes_back, value))
    return kind is dict and all(type(name) is str and _comes_back(inner) for name, inner in value.items())
