"""What of a chat is counted: its texts, how many messages, names, tools and images there are, in every API's shape.

Read are plain texts, lists of messages, and the bodies of OpenAI's chat, responses, completions and embeddings and of
Anthropic's messages; parts may be dicts or objects of a client library. The formulas are in the core, `tokens/chat.rs`.
What is kept at the provider (a conversation, a stored prompt, a file) and what the provider adds by itself (its server
tools, MCP servers) is `uncounted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from resopt.errors import InvalidRequestError
from resopt.tokens.found import Chat, Image, each, field, fielded, kind_of, spelled
from resopt.tokens.images import size_of_base64, size_of_url
from resopt.tokens.tools import read_format, read_tool
from resopt.types import Request

Content: TypeAlias = str | Sequence[Mapping[str, Any]] | Request
"""A text, messages, or a whole request."""

_TEXT_PARTS: Final = frozenset(
    {"text", "input_text", "output_text", "thinking", "reasoning_text", "summary_text", "refusal", None}
)
_IMAGE_PARTS: Final = frozenset({"image_url", "input_image", "image", "computer_screenshot"})
_ITEMS: Final = frozenset(
    {"message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
"""Items of the responses API that can be counted."""

_CONVERSATIONS: Final = ("messages", "input", "prompt")
_READ: Final = frozenset({*_CONVERSATIONS, "system", "instructions", "tools", "functions"})
_KEPT: Final = ("previous_response_id", "conversation", "container")
"""What names something kept at the provider."""


def read(content: Content) -> Chat:
    """Find what is counted in a text, messages or a request.

    Raises:
        InvalidRequestError: the content is none of these, or a part of it is not what it should be.
    """
    chat, given = Chat(), cast("object", content)
    try:
        if isinstance(given, str):
            chat.texts.append(given)
        elif isinstance(given, Request):
            _read_body(given, chat)
        elif isinstance(given, Iterable) and not isinstance(given, Mapping | bytes | bytearray):
            _read_messages(given, chat)
        else:
            raise InvalidRequestError(f"tokens are counted of a str, messages or a Request, not {type(given).__name__}")
    except RecursionError:
        raise InvalidRequestError("the content is nested too deeply to be counted: it may contain itself") from None
    return chat


def _read_body(request: Request, chat: Chat) -> None:
    body = request.body
    for name in ("system", "instructions"):
        if body.get(name):
            chat.messages += 1
            _read_content(body[name], chat)
    for name in _CONVERSATIONS:
        if found := body.get(name):
            framed = name != "prompt" and request.api != "openai.embeddings"
            _read_conversation(found, chat, name=name, framed=framed)
    for name in ("tools", "functions"):
        for tool in each(body.get(name), name):
            read_tool(tool, chat)
    for answer in _formats(body):
        read_format(answer, chat)
    chat.forced = _forced(body.get("tool_choice"))
    kept = sum(body.get(name) is not None for name in _KEPT) + len(list(each(body.get("mcp_servers"), "mcp_servers")))
    unread = body.keys().isdisjoint((*_READ, *_KEPT)) and bool(body.keys() - {"model"})  # another API's shape
    chat.uncounted += kept + unread


def _formats(body: Mapping[str, Any]) -> list[Any]:
    """What is said of the answer's format in OpenAI's chat and responses, and in Anthropic's messages, old and new."""
    found = [body.get("response_format"), body.get("output_format")]
    found += [field(body.get(name), "format") for name in ("text", "output_config")]
    return [answer for answer in found if answer is not None]


def _forced(choice: Any) -> bool:
    """Whether the model must call a tool."""
    kind = choice if isinstance(choice, str) else field(choice, "type")
    return kind in ("any", "tool", "required", "function", "custom")


def _read_stored_prompt(prompt: Mapping[str, Any], chat: Chat) -> None:
    """A prompt that is kept at the provider: only what is put into it is known."""
    chat.uncounted += 1
    variables = prompt.get("variables")
    for value in variables.values() if isinstance(variables, Mapping) else ():
        _read_content(value, chat)


def _read_conversation(given: Any, chat: Chat, *, name: str, framed: bool) -> None:
    """Messages, or what embeddings and completions take: a text or several, tokens or several sequences of them."""
    if isinstance(given, str):
        if framed:
            chat.messages += 1
            chat.texts.append("user")
        chat.texts.append(given)
        return
    if name == "prompt" and isinstance(given, Mapping):
        _read_stored_prompt(given, chat)
        return
    found = list(each(given, name))
    if all(isinstance(item, str) for item in found):
        chat.texts += found
    elif all(isinstance(item, int) for item in found):
        chat.given += len(found)
    elif all(isinstance(item, list | tuple) for item in found):
        chat.given += sum(map(len, found))
    else:
        _read_messages(found, chat)


def _read_messages(messages: Iterable[Any], chat: Chat) -> None:
    for message in messages:
        fielded(message, "a message is a mapping with role and content")
        chat.messages += 1
        role, name = field(message, "role"), field(message, "name")
        if isinstance(role, str):
            chat.texts.append(role)
            if isinstance(name, str):
                chat.names += 1
                chat.texts.append(name)
        _read_content(field(message, "content"), chat)
        _read_content(field(message, "refusal"), chat)
        if field(message, "audio") is not None:
            chat.uncounted += 1
        for call in each(field(message, "tool_calls"), "tool_calls"):
            fielded(call, "a call of a tool is a mapping with the function and its arguments")
            called = field(call, "function") or field(call, "custom")
            chat.uncounted += called is None
            _read_call(called, chat)
        _read_call(field(message, "function_call"), chat)
        if role is None:  # an item of the responses API: a call, or what it gave
            _read_call(message, chat)
            _read_content(field(message, "output"), chat)
            chat.uncounted += kind_of(message) not in _ITEMS


def _read_call(call: Any, chat: Chat) -> None:
    """The name of what is called, and with what: JSON as text, text of a custom tool, or data."""
    if call is None:
        return
    for name in ("name", "arguments", "input"):
        if (value := field(call, name)) is not None:
            chat.texts.append(value if isinstance(value, str) else spelled(value, f"{name} of a call"))


def _read_content(content: Any, chat: Chat) -> None:
    """A text, or parts: texts, images, calls of tools and what they gave."""
    if content is None:
        return
    if isinstance(content, str):
        chat.texts.append(content)
        return
    if isinstance(content, Mapping) or not isinstance(content, Iterable):
        content = (content,)
    if isinstance(content, bytes | bytearray):
        raise InvalidRequestError(f"content is a str or a list of parts, not {type(content).__name__}: decode it first")
    for part in content:
        if isinstance(part, str):
            chat.texts.append(part)
        else:
            _read_part(fielded(part, "content is a str or a list of parts, each a mapping with its type"), chat)


def _read_part(part: Any, chat: Chat) -> None:
    kind, source = kind_of(part), field(part, "source")
    if kind in _TEXT_PARTS:
        texts = [text for name in ("text", "thinking", "refusal") if (text := field(part, name)) is not None]
        if not all(isinstance(text, str) for text in texts):
            raise InvalidRequestError(f"the text of a part must be a str, not {type(texts[0]).__name__}")
        chat.texts += texts
        chat.uncounted += kind is None and not texts
    elif kind in _IMAGE_PARTS:
        chat.images.append(_image(part))
    elif kind == "tool_result":
        _read_content(field(part, "content"), chat)
    elif kind == "tool_use":
        _read_call(part, chat)
    elif kind == "document" and isinstance(text := field(source, "data"), str) and field(source, "type") == "text":
        chat.texts.append(text)
    else:
        chat.uncounted += 1


def _image(part: Any) -> Image:
    source = field(part, "source")
    if source is not None:  # Anthropic's shape
        data = field(source, "data")
        return Image(size_of_base64(data) if isinstance(data, str) else None, low_detail=False)
    address = field(part, "image_url")
    detail = field(part, "detail")
    if address is not None and not isinstance(address, str):
        address, detail = field(address, "url"), field(address, "detail")
    return Image(size_of_url(address) if isinstance(address, str) else None, low_detail=detail == "low")
