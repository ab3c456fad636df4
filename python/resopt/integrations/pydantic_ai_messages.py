"""pydantic-ai's messages as resopt's requests and answers: what of a call determines its answer, and JSON to keep."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ThinkingPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel

from resopt.key import key
from resopt.types import CacheMode, Request, Response, Scope, Usage

_NOT_SENT: Final = ("timestamp", "run_id", "conversation_id", "usage")
"""Of a message: who made it when, and at what cost."""

_WAITING: Final = ("timeout", "request_timeout", "first_event_timeout", "max_retries")
"""Settings that say how long to wait for an answer, not what it says."""

_KEPT_THERE: Final = ("openai_conversation_id", "openai_previous_response_id")
"""Settings that continue what the provider keeps: each call changes it, so none may be left out."""

_parameters: Final = TypeAdapter(ModelRequestParameters)


def as_request(
    model: Model, scope: Scope, tags: tuple[str, ...], messages: Any, settings: Any, parameters: ModelRequestParameters
) -> Request:
    """What the key covers: all that the model is told, and which model it is."""
    history = ModelMessagesTypeAdapter.dump_python(messages, mode="json")
    for message in history:
        for name in _NOT_SENT:
            message.pop(name, None)
        for part in message["parts"]:
            part.pop("timestamp", None)
    prompts = [part for message in history for part in message["parts"] if part["part_kind"] == "user-prompt"]
    written = _parameters.dump_python(parameters, mode="json")
    for name, value in vars(parameters).items():
        if isinstance(value, set) and name in written:
            written[name] = sorted(value)  # a set has an order of its own in every process
    given = _telling(settings)
    body = {"model": model.model_name, "history": history, "parameters": written, "settings": given}
    body["upstream"] = _identity(model, shared=scope.tenant is not None)
    body["prompt"] = prompts[-1]["content"] if prompts else None
    settled = {**(model.settings or {}), **given}
    if settled.get("max_tokens") is not None:  # under the name by which budgets bound an answer
        body["max_tokens"] = settled["max_tokens"]
    tools = [tool.kind for tool in parameters.native_tools]
    tools += ["function"] if parameters.function_tools or parameters.output_tools else []
    if tools:  # as other APIs have them: what the provider runs is neither kept nor bounded
        body["tools"] = [{"type": kind} for kind in tools]
    mode: CacheMode = "bypass" if any(name in settled for name in _KEPT_THERE) else "default"
    return Request(api="pydantic_ai", body=body, scope=scope, tags=tags, cache=mode)


def as_answer(response: ModelResponse) -> Response:
    """The model's response, as it is kept."""
    usage = response.usage
    tokens = Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.output_reasoning_tokens,
    )
    reason = (response.finish_reason or "stop").replace("tool_call", "tool_calls")  # who does not say was not cut off
    others = [part.part_kind for part in response.parts if not isinstance(part, TextPart | ThinkingPart)]
    return Response(
        text=response.text or " ".join(others),
        model=response.model_name or "",
        usage=tokens if usage.has_values() else None,
        finish_reason=reason if response.state == "complete" else response.state,
        body=ModelMessagesTypeAdapter.dump_json([response]),
        created_at=response.timestamp.timestamp(),
    )


def as_model_response(answer: Response) -> ModelResponse:
    """A response of the caller's own."""
    response = cast("ModelResponse", ModelMessagesTypeAdapter.validate_json(answer.body)[0])
    details = response.provider_details
    if details and isinstance(details.get("timestamp"), str):  # in a field of any type JSON keeps no dates
        details["timestamp"] = datetime.fromisoformat(details["timestamp"])
    return response


def _telling(settings: Any) -> dict[str, Any]:
    return {name: value for name, value in (settings or {}).items() if name not in _WAITING}


def _identity(model: Model, *, shared: bool) -> list[Any]:
    """Which model this is: class, name, place and whose account; of a wrapper or a fallback, of all within."""
    within = [model.wrapped] if isinstance(model, WrapperModel) else getattr(model, "models", [])
    account = getattr(getattr(getattr(model, "provider", None), "client", None), "api_key", None)
    digest = key(account, namespace="account") if isinstance(account, str) and not shared else None
    here = [type(model).__qualname__, model.system, model.model_name, model.base_url, _telling(model.settings), digest]
    return [*here, *(_identity(one, shared=shared) for one in within)]
