"""Where LiteLLM puts what it calls cached data, an answer and the time it came, by the rules of a `ResponseCache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litellm.caching.base_cache import BaseCache

from resopt.types import COMPLETE, Request, Response, Scope

if TYPE_CHECKING:
    from resopt.cache.response import ResponseCache

UNKEYABLE: Final = "unkeyable"
"""The key of calls with something in them that is not plain data: nothing is kept under it."""


class Store(BaseCache):
    """The backend of a LiteLLM cache: what LiteLLM calls, and nothing that waits."""

    def __init__(self, responses: ResponseCache, scope: Scope, tags: tuple[str, ...]) -> None:
        super().__init__()
        self._responses, self._scope, self._tags = responses, scope, tags

    def get_cache(self, key: str, **kwargs: Any) -> Any:  # noqa: D102 - as LiteLLM says
        found = None if key == UNKEYABLE else self._responses.lookup(self._request(key, kwargs))
        return None if found is None else found.json()

    def set_cache(self, key: str, value: Any, **kwargs: Any) -> None:  # noqa: D102
        if key != UNKEYABLE:
            text, reason = _ending(value["response"])
            answer = Response(text=text, model="", finish_reason=reason, body=msgspec.json.encode(value))
            self._responses.admit(self._request(key, kwargs), answer)

    async def async_get_cache(self, key: str, **kwargs: Any) -> Any:  # noqa: D102
        return self.get_cache(key, **kwargs)

    async def async_set_cache(self, key: str, value: Any, **kwargs: Any) -> None:  # noqa: D102
        self.set_cache(key, value, **kwargs)

    async def async_set_cache_pipeline(self, cache_list: Any, **kwargs: Any) -> None:  # noqa: D102
        for name, value in cache_list:  # embeddings, of texts that are no questions
            self.set_cache(name, value, ttl=kwargs.get("ttl"))

    def flush_cache(self) -> None:  # noqa: D102
        self._responses.clear()

    async def delete_cache_keys(self, keys: list[str]) -> None:  # noqa: D102
        for name in keys:
            self._responses.invalidate(tag=name)

    async def disconnect(self) -> None:
        """Memory has nothing to close."""

    def _request(self, key: str, call: dict[str, Any]) -> Request:
        body = {name: call[name] for name in ("messages", "input") if call.get(name) is not None}
        body["key"] = key
        return Request(api="litellm", body=body, scope=self._scope, tags=(key, *self._tags), ttl=call.get("ttl"))


def _ending(response: Any) -> tuple[str, str]:
    """The text of an answer, or what stands for it, and why it ended."""
    data = msgspec.json.decode(response) if isinstance(response, str) else response
    reasons, texts = ["stop"], ["-"]
    if "choices" in data:
        messages = [choice.get("message") or choice for choice in data["choices"]]
        reasons = [choice["finish_reason"] for choice in data["choices"]]
        reasons += ["refusal" for message in messages if message.get("refusal")]
        texts = [
            str(m.get("content") or m.get("text") or m.get("tool_calls") or m.get("function_call") or "")
            for m in messages
        ]
    elif data.get("object") == "response":
        reasons = ["stop" if data.get("status") == "completed" else str(data.get("status"))]
        reasons += [
            "refusal" for item in data["output"] for part in item.get("content") or () if part["type"] == "refusal"
        ]
    elif "stop_reason" in data:
        reasons, texts = [data["stop_reason"]], [str(data.get("content") or "")]
    flaw = next((reason for reason in reasons if reason not in COMPLETE), "stop")
    return "\n".join(texts) if all(text.strip() for text in texts) else "", flaw
