"""What LangChain tells its cache about a call, as a request: messages, settings, and schemas that it only names."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from resopt.types import Request

if TYPE_CHECKING:
    from resopt.types import CacheMode, Scope

_CLASS: Final = re.compile(r"<class '([\w.]+)\.(\w+)'>")


def as_request(scope: Scope, tags: tuple[str, ...], prompt: str, llm_string: str) -> Request:
    """The request that a prompt and a model's settings stand for; past the cache if they do not say enough."""
    body: dict[str, Any] = {"llm": llm_string, "prompt": prompt}  # of a chat model, this is messages as JSON
    with contextlib.suppress(AttributeError, LookupError, RecursionError, TypeError, ValueError):
        written = json.loads(prompt, parse_constant=str)
        for one in written:  # no model sees the usage, and LangChain adds a cost of 0 to what came from a cache
            one["kwargs"].pop("usage_metadata", None)
            one["role"] = "user" if one["id"][-1].startswith("Human") else "assistant"
            one["content"] = one["kwargs"].pop("content")
        body = {"llm": llm_string, "messages": written}
    schemas = _schemas(llm_string)
    mode: CacheMode = "bypass" if schemas is None else "default"
    return Request(api="langchain", body=body | {"schemas": schemas}, scope=scope, tags=tags, cache=mode)


def _schemas(llm_string: str) -> list[Any] | None:
    """Schemas of the classes that structured output asks for: LangChain writes only their names, which may change.

    None when there are other things of which it wrote a name or an address: two of them may have the same.
    """
    found = []
    for module, name in _CLASS.findall(llm_string):
        schema = getattr(getattr(sys.modules.get(module), name, None), "model_json_schema", None)
        if schema is not None:
            found.append(schema())
    unnamed = len(found) < llm_string.count("<class ") or " at 0x" in llm_string
    return None if unnamed else found
