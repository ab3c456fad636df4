"""What was found in a content: the texts that are counted, and how much there is around them.

It is the same for every model; `count.py` turns it into tokens, `ratios.py` learns from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt._core import ChatFamily, Encoding, text_class
from resopt.errors import InvalidRequestError

if TYPE_CHECKING:
    from resopt.tokens.models import ModelTokens, TextClass

FORMAT: Final = 9
"""Tokens around the schema of an answer: github.com/openai/openai-cookbook/issues/2140, measured against the API."""

_CLAUDE_FORMAT: Final = 500
"""At most as much more for Claude: Anthropic adds a prompt about the format, of a size that it does not publish."""


class Image(msgspec.Struct, frozen=True):
    """An image: its size in pixels, or None when only its address is known, and whether low detail was asked for."""

    size: tuple[int, int] | None
    low_detail: bool


class Chat:
    """What was found in a content.

    Attributes:
        texts: what is counted with the tokenizer.
        tool_texts: names, descriptions and properties of tools, likewise.
        deeper_texts: what of their schemas the published formula says nothing of: definitions, alternatives, properties
            of properties. Providers may leave it out.
        spelled: the tools as JSON, as providers may show them instead.
        messages: messages, the system's included; 0 for plain text, which has no frame.
        names: messages that name their author.
        tools: functions, those with properties, properties, lists of values, values.
        deeper: the same of `deeper_texts`.
        deep: whether the formula does not cover all of the tools.
        provided: tokens of tools whose definitions are the provider's own, in tokens of `o200k_base`.
        any_tool: whether there is a tool at all.
        forced: whether the model must call one.
        formats: schemas of the answer, without what is not counted of them.
        spelled_formats: the same as they were given.
        images: the images.
        uncounted: parts whose tokens nobody can tell from here, such as files and audio.
        given: tokens that came as numbers, as embeddings and completions may be asked for.
    """

    __slots__ = (
        "any_tool", "deep", "deeper", "deeper_texts", "forced", "formats", "given", "images", "messages", "names",
        "provided", "spelled", "spelled_formats", "texts", "tool_texts", "tools", "uncounted",
    )  # fmt: skip

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tool_texts: list[str] = []
        self.deeper_texts: list[str] = []
        self.spelled: list[str] = []
        self.messages = 0
        self.names = 0
        self.tools = [0, 0, 0, 0, 0]
        self.deeper = [0, 0, 0, 0, 0]
        self.deep = False
        self.provided = 0
        self.any_tool = False
        self.forced = False
        self.formats: list[str] = []
        self.spelled_formats: list[str] = []
        self.images: list[Image] = []
        self.uncounted = 0
        self.given = 0

    @property
    def plain(self) -> bool:
        """Whether it is nothing but text, which has no frame."""
        return not (self.messages or self.any_tool or self.formats or self.images or self.uncounted)

    def frame(self, family: ChatFamily) -> int:
        """Tokens around the texts of messages, tools and schemas of the answer."""
        messages = family.messages(self.messages, self.names) if self.messages else 0
        if not (self.any_tool or self.formats):
            return messages
        return messages + self._tools(family, [*self._all()]) + FORMAT * len(self.formats)

    def by_class(self, encoding: Encoding) -> dict[TextClass, int]:
        """Tokens of the texts by class; definitions of the provider's own are counted as code."""
        texts = self.texts + self.tool_texts + self.deeper_texts + self.formats
        counts: dict[TextClass, int] = {"prose": 0, "code": self.provided, "cjk": 0, "other": 0}
        for text, tokens in zip(texts, encoding.count_many(texts), strict=True):
            counts[text_class(text)] += tokens
        return counts

    def doubt(self, encoding: Encoding, family: ChatFamily, known: ModelTokens) -> tuple[int, int]:
        """How many tokens fewer, and how many more, tools and schemas of the answer may be than counted.

        Fewer: a tenth of what the formula covers, all that it does not, and a share of the prompt for tools. More: a
        tenth, a share of the prompt, and what the tools' JSON is longer, where the formula does not cover them or was
        not made for the model. The schema of an answer may be a fifth smaller, and as large as it was given.
        """
        if not (self.any_tool or self.formats):
            return 0, 0
        once = family.for_tools(forced=self.forced) if self.any_tool else 0
        sure = _tokens(encoding, self.tool_texts) + self._tools(family, self.tools) - once
        deeper_frame = self._tools(family, [*self._all()]) - self._tools(family, self.tools)
        deeper = _tokens(encoding, self.deeper_texts) + deeper_frame
        json_longer = 0
        if self.deep or not known.exact:
            json_longer = max(0, _tokens(encoding, self.spelled) - sure - deeper)
        formats = _tokens(encoding, self.formats)
        longer = _tokens(encoding, self.spelled_formats) - formats
        if self.formats and family.name.startswith("claude"):
            longer += _CLAUDE_FORMAT
        fewer = (sure + self.provided) / 10 + deeper + once * known.tools[0] + formats / 5
        more = (sure + deeper + self.provided + formats) / 10 + once * known.tools[1] + json_longer + longer
        return ceil(fewer), ceil(more)

    def _all(self) -> Iterator[int]:
        return (sure + deeper for sure, deeper in zip(self.tools, self.deeper, strict=True))

    def _tools(self, family: ChatFamily, counts: list[int]) -> int:
        """The frame of functions, or only what tools cost once where all are the provider's own."""
        if counts[0]:
            return family.tools(*counts, forced=self.forced)
        return family.for_tools(forced=self.forced) if self.any_tool else 0


def field(value: Any, name: str) -> Any:
    """A field of a mapping or of an object of a client library; None where it has none."""
    # Most are dicts: looking for the abstract class takes five times as long.
    if type(value) is dict or isinstance(value, Mapping):
        return value.get(name)
    return None if value is None else getattr(value, name, None)


def kind_of(part: Any) -> str | None:
    """What type a part says it is; None where it says none."""
    kind = field(part, "type")
    return kind if kind is None else str(kind)


def fielded(value: Any, what: str) -> Any:
    """A mapping, or an object of a client library.

    Raises:
        InvalidRequestError: it is a text, a number, a list or nothing, which have no fields.
    """
    if type(value) is dict:
        return value
    if value is None or isinstance(value, str | bytes | bytearray | int | float | list | tuple | set | frozenset):
        raise InvalidRequestError(f"{what}, not {type(value).__name__}")
    return value


def each(value: object, what: str) -> Iterable[Any]:
    """The items of a list; none of None.

    Raises:
        InvalidRequestError: it is no list.
    """
    if type(value) is list:
        return value
    if value is None:
        return ()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping):
        return value
    raise InvalidRequestError(f"{what} must be a list, not {type(value).__name__}")


def spelled(value: object, what: str) -> str:
    """A value as compact JSON, as models are shown it; lone surrogates stay, for they are counted as U+FFFD.

    Raises:
        InvalidRequestError: it is no JSON.
    """
    try:
        try:
            return msgspec.json.encode(value, enc_hook=_plain).decode()
        except (UnicodeEncodeError, OverflowError):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"{what} must be plain data, as JSON knows it: {error}") from error


def _plain(value: Any) -> Any:
    """What else than plain data may be spelled: other mappings, and objects of client libraries."""
    if isinstance(value, Mapping):
        return dict(value)
    if callable(dump := getattr(type(value), "model_dump", None)):
        return dump(value)
    raise TypeError(f"{type(value).__name__} is not")


def _tokens(encoding: Encoding, texts: list[str]) -> int:
    return sum(encoding.count_many(texts))
