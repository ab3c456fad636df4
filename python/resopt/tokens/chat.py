"""What of a chat is counted: its texts, how many messages, names, tools and images there are, in every API's shape.

Read are plain texts, lists of messages, and the bodies of OpenAI's chat, responses, completions and embeddings and of
Anthropic's messages; parts may be dicts or objects of a client library. The formulas are in the core, `tokens/chat.rs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from resopt._core import ChatFamily, Encoding, text_class
from resopt.errors import InvalidRequestError
from resopt.tokens.images import size_of_base64, size_of_url
from resopt.types import Request

if TYPE_CHECKING:
    from resopt.tokens.models import TextClass

Content: TypeAlias = str | Sequence[Mapping[str, Any]] | Request
"""A text, messages, or a whole request."""

_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "thinking", "reasoning_text", "summary_text", "refusal", None}
)
_IMAGE_PARTS = frozenset({"image_url", "input_image", "image"})


class Image(msgspec.Struct, frozen=True):
    """An image: its size in pixels, or None when only its address is known, and whether low detail was asked for."""

    size: tuple[int, int] | None
    low_detail: bool


class Chat:
    """What was found in a content.

    Attributes:
        texts: what is counted with the tokenizer.
        tool_texts: names, descriptions and properties of tools, likewise.
        messages: messages, the system's included; 0 for plain text, which has no frame.
        names: messages that name their author.
        tools: functions, those with properties, properties, lists of values, values.
        images: the images.
        uncounted: parts whose tokens nobody can tell from here, such as files and audio.
        given: tokens that came as numbers, as embeddings and completions may be asked for.
    """

    __slots__ = ("given", "images", "messages", "names", "texts", "tool_texts", "tools", "uncounted")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tool_texts: list[str] = []
        self.messages = 0
        self.names = 0
        self.tools = [0, 0, 0, 0, 0]
        self.images: list[Image] = []
        self.uncounted = 0
        self.given = 0

    @property
    def plain(self) -> bool:
        """Whether it is nothing but text, which has no frame."""
        return not (self.messages or self.tool_texts or self.images or self.uncounted)

    def frame(self, family: ChatFamily) -> int:
        """Tokens around the texts of messages and tools."""
        messages = family.messages(self.messages, self.names) if self.messages else 0
        return messages + family.tools(*self.tools)

    def by_class(self, encoding: Encoding) -> dict[TextClass, int]:
        """Tokens of the texts by class."""
        texts = self.texts + self.tool_texts
        counts: dict[TextClass, int] = {"prose": 0, "code": 0, "cjk": 0, "other": 0}
        for text, tokens in zip(texts, encoding.count_many(texts), strict=True):
            counts[text_class(text)] += tokens
        return counts


def read(content: Content) -> Chat:
    """Find what is counted in a text, messages or a request.

    Raises:
        InvalidRequestError: the content is none of these, or a message is neither a mapping nor an object with fields.
    """
    chat, given = Chat(), cast("object", content)
    if isinstance(given, str):
        chat.texts.append(given)
    elif isinstance(given, Request):
        _read_body(given, chat)
    elif isinstance(given, Iterable) and not isinstance(given, Mapping | bytes):
        _read_messages(given, chat)
    else:
        raise InvalidRequestError(f"tokens are counted of a str, messages or a Request, not {type(given).__name__}")
    return chat


def _read_body(request: Request, chat: Chat) -> None:
    body = request.body
    for name in ("system", "instructions"):
        if body.get(name):
            chat.messages += 1
            _read_content(body[name], chat)
    for name in ("messages", "input", "prompt"):
        if body.get(name):
            framed = name != "prompt" and request.api != "openai.embeddings"
            _read_conversation(body[name], chat, framed=framed)
    for tool in [*(body.get("tools") or ()), *(body.get("functions") or ())]:
        _read_tool(tool, chat)


def _read_conversation(found: Any, chat: Chat, *, framed: bool) -> None:
    """Messages, or what embeddings and completions take: a text or several, tokens or several sequences of them."""
    if isinstance(found, str):
        if framed:
            chat.messages += 1
            chat.texts.append("user")
        chat.texts.append(found)
    elif all(isinstance(item, str) for item in found):
        chat.texts += found
    elif all(isinstance(item, int) for item in found):
        chat.given += len(found)
    elif all(isinstance(item, list | tuple) for item in found):
        chat.given += sum(map(len, found))
    else:
        _read_messages(found, chat)


def _read_messages(messages: Iterable[Any], chat: Chat) -> None:
    for message in messages:
        if message is None or isinstance(message, str | bytes | int | float):
            raise InvalidRequestError(f"a message is a mapping with role and content, not {type(message).__name__}")
        chat.messages += 1
        role, name = _field(message, "role"), _field(message, "name")
        if isinstance(role, str):
            chat.texts.append(role)
            if isinstance(name, str):
                chat.names += 1
                chat.texts.append(name)
        _read_content(_field(message, "content"), chat)
        for call in _field(message, "tool_calls") or ():
            _read_call(_field(call, "function"), chat)
        _read_call(_field(message, "function_call"), chat)
        if role is None:  # an item of the responses API: a call, or what it gave
            _read_call(message if _field(message, "arguments") is not None else None, chat)
            _read_content(_field(message, "output"), chat)


def _read_call(call: Any, chat: Chat) -> None:
    """A function's name and arguments."""
    chat.texts += [
        value for name in ("name", "arguments") if call is not None and isinstance(value := _field(call, name), str)
    ]


def _read_content(content: Any, chat: Chat) -> None:
    """A text, or parts: texts, images, calls of tools and what they gave."""
    if content is None:
        return
    if isinstance(content, str):
        chat.texts.append(content)
        return
    if isinstance(content, Mapping) or not isinstance(content, Iterable):
        content = (content,)
    for part in content:
        if isinstance(part, str):
            chat.texts.append(part)
        else:
            _read_part(part, _field(part, "type"), chat)


def _read_part(part: Any, kind: Any, chat: Chat) -> None:
    if kind in _TEXT_PARTS:
        texts = (_field(part, name) for name in ("text", "thinking", "refusal"))
        chat.texts += [text for text in texts if isinstance(text, str)]
    elif kind in _IMAGE_PARTS:
        chat.images.append(_image(part))
    elif kind == "tool_result":
        _read_content(_field(part, "content"), chat)
    elif kind == "tool_use":
        chat.texts += (str(_field(part, "name")), msgspec.json.encode(_field(part, "input")).decode())
    else:
        chat.uncounted += 1


def _image(part: Any) -> Image:
    source = _field(part, "source")
    if source is not None:  # Anthropic's shape
        data = _field(source, "data")
        return Image(size_of_base64(data) if isinstance(data, str) else None, low_detail=False)
    address = _field(part, "image_url")
    detail = _field(part, "detail")
    if address is not None and not isinstance(address, str):
        address, detail = _field(address, "url"), _field(address, "detail")
    return Image(size_of_url(address) if isinstance(address, str) else None, low_detail=detail == "low")


def _read_tool(tool: Any, chat: Chat) -> None:
    function = _field(tool, "function")
    function = tool if function is None else function
    name = _field(function, "name")
    if not isinstance(name, str):
        chat.uncounted += 1  # a tool of the provider's own, whose text is not ours
        return
    description = _field(function, "description") or ""
    chat.tools[0] += 1
    chat.tool_texts.append(f"{name}:{str(description).removesuffix('.')}")
    schema = _field(function, "parameters") or _field(function, "input_schema")
    properties = _field(schema, "properties") if schema is not None else None
    if isinstance(properties, Mapping) and properties:
        chat.tools[1] += 1
        _read_properties(properties, chat)


def _read_properties(properties: Mapping[str, Any], chat: Chat) -> None:
    """Properties of a schema, those inside others included."""
    for key, schema in properties.items():
        schema = schema if isinstance(schema, Mapping) else {}  # noqa: PLW2901 - `true` is a schema as well
        description = str(schema.get("description") or "").removesuffix(".")
        chat.tools[2] += 1
        chat.tool_texts.append(f"{key}:{schema.get('type', '')}:{description}")
        values = schema.get("enum")
        if isinstance(values, list | tuple) and values:
            chat.tools[3] += 1
            chat.tools[4] += len(values)
            chat.tool_texts += map(str, values)
        items = schema.get("items")
        for inner in (schema, items if isinstance(items, Mapping) else {}):
            deeper = inner.get("properties")
            if isinstance(deeper, Mapping):
                _read_properties(deeper, chat)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
