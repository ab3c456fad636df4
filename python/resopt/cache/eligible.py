"""Which requests may be answered by meaning, and among which others: the scope of a semantic hit.

Two requests can only meet when everything but the last question of the user is the same: tenant, user where the answer
is personal, system prompt, earlier turns, tools, response format, limits, and every field that nobody knows. Only two
fields are taken by their class: the model by its family (a dated release is the model) and the sampling by whether it
wanders. What is no single question in plain words never meets anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from resopt._core import Question, is_plain_question

if TYPE_CHECKING:
    from resopt.cache.freshness import Decision
    from resopt.types import Request, Response

_CONVERSATION: Final = {"openai.chat": "messages", "anthropic.messages": "messages", "openai.responses": "input"}
"""By API the field that holds the conversation."""

_DATED: Final = re.compile(r"[-@](?:20\d{2}-?(?:0[1-9]|1[0-2])-?[0-3]\d|latest)\Z")
_TOOL_ROLES: Final = frozenset({"tool", "function"})
_TOOL_PARTS: Final = ("tool_use", "tool_result", "function_call", "function_call_output")
_TEXT_PARTS: Final = frozenset({"text", "input_text"})
_STEADY: Final = 0.3
"""Temperature up to which an answer is taken to be the model's settled one."""


class Asked(NamedTuple):
    """One question and everything it was asked with.

    Attributes:
        question: the user's last words.
        scope: the request without them, and with model and sampling by their class; its key is the partition's.
        request: as it came.
    """

    question: str
    scope: Request
    request: Request


def asked(request: Request, decision: Decision) -> Asked | str:
    """The question of a request that may be answered by meaning, or the reason why it may not."""
    field = _CONVERSATION.get(request.api)
    if field is None:
        return f"{request.api} requests are matched to the letter"
    body = request.body
    reason = _refused(body) or _untimely(request, decision)
    if reason:
        return reason
    conversation = body.get(field)
    question: str | None
    rest: str | list[Any]
    if isinstance(conversation, str):
        question, rest = conversation, ""
    elif isinstance(conversation, list | tuple) and conversation:
        for message in conversation:
            if _is_tool_traffic(message):
                return "tools were called: what they said belongs to the question"
        question, rest = _last(conversation)
    else:
        return "no conversation"
    if question is None:
        return "the last message is not one question in text"
    reason = _unplain(question)
    return reason or Asked(question, msgspec.structs.replace(request, body=_classified({**body, field: rest})), request)


def _unplain(question: str) -> str:
    """Why a question is not one in plain words; empty when it is."""
    if not is_plain_question(question):
        return "not a plain question: code, several lines or long"
    read = Question(question)
    if read.is_action:
        return "it asks for something to be done"
    if read.is_code:
        return "it holds code"
    return "more than one question" if read.questions > 1 else ""


def answers(response: Response) -> str:
    """Why a stored answer must not be served to another question; empty when it may."""
    if response.tool_calls:
        return "it calls tools"
    return "" if response.text.strip() else "it has no text"


def _refused(body: Mapping[str, Any]) -> str:
    if body.get("seed") is not None:
        return "a seed asks for this very answer"
    choices = body.get("n")
    if isinstance(choices, int) and choices > 1:
        return "more than one choice is asked for"
    return ""


def _untimely(request: Request, decision: Decision) -> str:
    """Freshness comes first: what depends on when is matched to the letter at most."""
    if decision.time_sensitive or decision.action == "bypass":
        return f"freshness: {decision.rule}"
    if decision.personal and not request.scope.user:
        return "the answer is personal and the request names no user"
    return ""


def _is_tool_traffic(message: Any) -> bool:
    if not isinstance(message, Mapping):
        return True  # an object of a client library: what is in it is not looked through
    if message.get("role") in _TOOL_ROLES or message.get("tool_calls") or message.get("type") in _TOOL_PARTS:
        return True
    content = message.get("content")
    return isinstance(content, list | tuple) and any(
        isinstance(part, Mapping) and part.get("type") in _TOOL_PARTS for part in content
    )


def _last(conversation: list[Any] | tuple[Any, ...]) -> tuple[str | None, list[Any]]:
    """The text of the last message when the user wrote it in one piece, and the conversation with that blank."""
    last = conversation[-1]
    if last.get("role") != "user":
        return None, []
    content = last.get("content")
    if isinstance(content, list | tuple) and len(content) == 1 and isinstance(content[0], Mapping):
        part = content[0]
        extra = part.keys() - {"type", "text"}
        content = part.get("text") if part.get("type") in _TEXT_PARTS and not extra else None
    if not isinstance(content, str):
        return None, []
    return content, [*conversation[:-1], {**last, "content": ""}]


def _classified(body: dict[str, Any]) -> dict[str, Any]:
    """The body with model and sampling by their class."""
    model = body.get("model")
    if isinstance(model, str):
        body["model"] = _DATED.sub("", model)
    temperature, top_p = body.pop("temperature", None), body.pop("top_p", None)
    steady = isinstance(temperature, int | float) and temperature <= _STEADY
    narrow = isinstance(top_p, int | float) and top_p <= _STEADY
    body["temperature"] = "steady" if steady or narrow else "open"
    return body
