"""LangChain's cache over a `ResponseCache`: `ChatOpenAI(cache=ResoptCache())`, or `set_llm_cache(ResoptCache())`.

LangChain asks its cache in `invoke`, `batch` and their async twins. It never does in `stream`, does not say which API
key a model has, and cannot share one call among concurrent misses: for those wrap the client below (`resopt.wrap`).
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Final

from resopt.cache.response import ResponseCache
from resopt.errors import MissingExtraError
from resopt.integrations.langchain_request import as_request
from resopt.types import COMPLETE, EVERYONE, Response, Scope

try:
    from langchain_core import messages, outputs
    from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
    from langchain_core.load import dumps, loads
except ImportError as error:
    raise MissingExtraError("resopt.integrations.langchain needs: pip install langchain-core") from error

_OUTPUTS: Final = (outputs.ChatGeneration, outputs.ChatGenerationChunk, outputs.Generation, outputs.GenerationChunk)
_ALLOWED: Final = (*_OUTPUTS, messages.AIMessage, messages.AIMessageChunk)
_ENDINGS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")

with warnings.catch_warnings():  # says once, to whoever comes first, that it is in beta: not to our users
    warnings.simplefilter("ignore")
    loads("null", allowed_objects=_ALLOWED)


class ResoptCache(BaseCache):
    """Answers of LangChain models, kept by the rules of a `ResponseCache` and made afresh for each hit.

    The rules of freshness judge the last human message. Not stored is what was cut off, filtered, refused or empty, a
    tool call that does not parse, what LangChain could not load again, and answers to calls of which LangChain tells
    something by its name alone, such as structured output into a class that its module does not hold.

    Args:
        cache: where answers are kept; its limits, time to live, freshness, `invalidate` and `stats` apply.
        scope: who may share the answers; models with API keys of different customers need a tenant each.
        tags: names by which what is stored through this object can be invalidated.
    """

    def __init__(self, cache: ResponseCache | None = None, scope: Scope = EVERYONE, tags: tuple[str, ...] = ()) -> None:
        self.cache = ResponseCache() if cache is None else cache
        self._request = partial(as_request, scope, tags)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:  # noqa: D102 - as its base says
        found = self.cache.lookup(self._request(prompt, llm_string))
        return None if found is None else list(loads(found.body.decode(), allowed_objects=_ALLOWED))

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:  # noqa: D102
        body = "[" + ",".join(dumps(generation) for generation in return_val) + "]"
        try:
            loads(body, allowed_objects=_ALLOWED)
            reasons, texts = zip(*map(_ending, return_val), strict=True)
        except (NotImplementedError, ValueError):  # nothing, or something that LangChain writes, but does not load
            return
        reason = next((reason for reason in reasons if reason not in COMPLETE), "stop")
        text = "\n".join(texts) if all(texts) else ""
        answer = Response(text=text, model="", finish_reason=reason, body=body.encode())
        self.cache.admit(self._request(prompt, llm_string), answer)

    def clear(self, **_: Any) -> None:  # noqa: D102
        self.cache.clear()

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:  # noqa: D102
        return self.lookup(prompt, llm_string)  # memory needs no thread to wait in

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:  # noqa: D102
        self.update(prompt, llm_string, return_val)

    async def aclear(self, **_: Any) -> None:  # noqa: D102
        self.clear()


def _ending(generation: outputs.Generation) -> tuple[str, str]:
    """Why the answer ended (`stop` when nobody says: then nothing cut it off), and its text or what stands for it."""
    message = getattr(generation, "message", messages.AIMessage(""))
    kinds = {str(part.get("type")) for part in message.content if isinstance(part, dict)}
    text = generation.text.strip() or str(message.tool_calls or kinds - {"text", "reasoning", "thinking"} or "")
    said = {**(generation.generation_info or {}), **message.response_metadata}
    refused = message.invalid_tool_calls or message.additional_kwargs.get("refusal") or "refusal" in kinds
    reason = "refusal" if refused else str(next((said[name] for name in _ENDINGS if said.get(name)), "stop")).lower()
    return "stop" if reason in {"complete", "completed"} else reason, text
