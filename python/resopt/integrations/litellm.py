"""LiteLLM's cache over a `ResponseCache`: `litellm.cache = ResoptCache()`.

LiteLLM asks its cache and stores in it by itself, streams included; `no-cache`, `no-store`, `ttl` and `s-maxage` of a
call's `cache={…}` are honoured. It cannot share one call among concurrent misses: for that use `resopt.wrap`.
"""

from __future__ import annotations

from typing import Any, Final

from resopt.cache.response import ResponseCache
from resopt.errors import MissingExtraError, UnkeyableError
from resopt.key import SHAPES, key
from resopt.types import EVERYONE, Scope

try:
    from litellm.caching.caching import Cache
    from litellm.types.utils import is_litellm_owned_kwarg

    from resopt.integrations.litellm_store import UNKEYABLE, Store
except ImportError as error:
    raise MissingExtraError("resopt.integrations.litellm needs: pip install 'litellm[proxy]'") from error
try:  # each hit of LiteLLM imports this, and fails where its proxy's libraries are missing
    import litellm.llms.anthropic.pass_through.messages.response_cache  # noqa: F401
except ModuleNotFoundError as error:
    if not str(error.name).startswith("litellm"):
        raise MissingExtraError(f"LiteLLM's cache needs {error.name}: pip install 'litellm[proxy]'") from error

_PLACE: Final = ("api_base", "base_url", "api_version", "custom_llm_provider")
_IGNORED: Final = {*SHAPES["openai.chat"].ignored, "litellm_params", "parent_otel_span", *_PLACE, "api_key"}


class ResoptCache(Cache):
    """Answers of `litellm.completion` and its kin; keys cover every parameter, the place asked and the API key.

    Calls of a `Router` share by model group, and a tenant takes the place of the API key. Not stored is what was cut
    off, filtered, refused or empty, or what `responses.freshness` says of the last question.

    Args:
        responses: where answers are kept; its limits, time to live, `invalidate` and `stats` apply.
        scope: who may share the answers.
        tags: names by which what is stored through this object can be invalidated.
        **options: `mode`, `namespace`, `ttl` and `supported_call_types` as of LiteLLM's `Cache`.
    """

    def __init__(
        self,
        responses: ResponseCache | None = None,
        scope: Scope = EVERYONE,
        tags: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(**({"type": "local", "max_messages": None} | options))
        self.responses = ResponseCache() if responses is None else responses
        self.cache = Store(self.responses, scope, tags)
        self._scope = scope

    def get_cache_key(self, **kwargs: Any) -> str:
        """The key of a call; the same whatever the order of its parameters, streamed or not."""
        preset = self.get_preset_cache_key_from_kwargs(**kwargs)
        if preset is not None:
            return str(preset)
        names = [name for name in kwargs if name not in _IGNORED and not is_litellm_owned_kwarg(name)]
        given = {name: self._get_param_value(name, kwargs) for name in names if kwargs[name] is not None}
        if given.get("model") == kwargs.get("model"):  # not a Router's group, whose members are alike
            own = _PLACE if self._scope.tenant is not None else (*_PLACE, "api_key")
            given |= {name: kwargs[name] for name in own if kwargs.get(name) is not None}
        schema = getattr(given.get("response_format"), "model_json_schema", None)
        try:
            digest = key(given | {"response_format": schema()} if schema else given, namespace="litellm").hex()
        except UnkeyableError:
            return UNKEYABLE
        return str(self._add_namespace_to_cache_key(digest, **kwargs))
