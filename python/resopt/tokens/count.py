"""How many tokens a text, messages or a request has, and how sure that is."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Literal

import msgspec

from resopt.tokens.chat import Content, read
from resopt.tokens.given import several, text_of
from resopt.tokens.models import DEFAULT, ModelTokens, encoding_named, family_named, tokens_of
from resopt.tokens.ratios import TokenRatios, ratio_of
from resopt.types import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt._core import ChatFamily, Encoding
    from resopt.tokens.found import Chat, Image

Basis = Literal["tokenizer", "formula", "ratio"]
"""What a count rests on: the model's own tokenizer; that and published formulas; ratios to another tokenizer."""

_WINDOW = 1_000_000
"""Tokens that the widest windows of context hold (GPT-4.1, Claude, Gemini): no request has many more."""

_LARGE_IMAGE = (2048, 2048)
_USUAL_IMAGE = (1024, 1024)


class TokenCount(msgspec.Struct, frozen=True):
    """A number of tokens and how sure it is; `int(count)` is the number.

    Attributes:
        tokens: the count, or the best estimate.
        low: the count is hardly lower; the same as `tokens` when exact.
        high: the count is hardly higher; a million, the widest window of any model, where parts are uncounted.
        encoding: the encoding that was counted with.
        basis: `tokenizer` (exact), `formula` (texts exact; frames of messages, tools and images by published formulas)
            or `ratio` (another tokenizer's count times a ratio).
        uncounted: parts that are not in `tokens` and `low`, because their tokens cannot be known here: files, audio,
            conversations and prompts kept at the provider, most tools of the provider's own, MCP servers.
    """

    tokens: int
    low: int
    high: int
    encoding: str
    basis: Basis
    uncounted: int = 0

    @property
    def exact(self) -> bool:
        """Whether the provider bills exactly this number for it."""
        return self.basis == "tokenizer" and not self.uncounted

    def __int__(self) -> int:
        return self.tokens


def count_tokens(content: Content, model: str | None = None, *, ratios: TokenRatios | None = None) -> TokenCount:
    """How many tokens a text, messages or a request has for a model.

    A text is counted exactly when the model's tokenizer is public (OpenAI's models). Messages have a frame besides: 3
    tokens each, 1 more with a name, 3 for the reply's beginning; a function 7 (10 before gpt-4o), 3 if it has
    properties, 3 a property, 3 a listed value less 3 a list, 12 once (Claude: the prompt for tools that Anthropic
    publishes for the model and choice of tool); the schema of an answer its JSON and 9; an image by its tiles (85 + 170
    a tile of 512 by 512 for gpt-4o), patches or area. Sources: OpenAI's cookbook, *How to count tokens with tiktoken*
    and issue 2140, and the vendors' guides to vision and tools; they call these estimates, so `exact` is False then,
    with a narrow band where the formula covers what is sent, and a wide one where a schema has definitions and
    alternatives or parts are `uncounted`. Of any other model tokens
    are estimated from `o200k_base`, by the ratio learned in `ratios` or assumed for its class of text, with the band
    in which nine of ten texts lie.

    Args:
        content: a str, a list of messages, or a `Request` of any API (its tools, images and system prompt count).
        model: a model or the name of an encoding; None for the request's own, or `o200k_base`.
        ratios: what was learned about models whose tokenizer is not public.

    Raises:
        ConfigurationError: the model is not a str.
        InvalidRequestError: the content is none of these.
        DamagedModelError: the token tables that came with resopt are damaged.
    """
    if model is None:
        model = (content.model if type(content) is Request else None) or DEFAULT
    known = tokens_of(model)
    encoding = encoding_named(known.encoding)
    if known.exact and isinstance(content, str):
        return _exact(encoding.count(content), known)
    chat = read(content)
    if not known.exact:
        return _by_ratio(chat, model, known, encoding, ratios)
    if chat.plain:
        return _exact(sum(encoding.count_many(chat.texts)) + chat.given, known)
    return _by_formula(chat, known, encoding)


def count_tokens_many(
    texts: Iterable[str], model: str | None = None, *, ratios: TokenRatios | None = None
) -> list[TokenCount]:
    """How many tokens each of many texts has; see `count_tokens`. Other threads run meanwhile.

    Raises:
        ConfigurationError: the model, or one of the texts, is not a str, or there is only one text.
    """
    model = DEFAULT if model is None else model
    known = tokens_of(model)
    encoding = encoding_named(known.encoding)
    if known.exact:
        return [_exact(tokens, known) for tokens in encoding.count_many(several(texts))]
    return [_by_ratio(read(text_of(text)), model, known, encoding, ratios) for text in several(texts)]


def _exact(tokens: int, known: ModelTokens) -> TokenCount:
    return TokenCount(tokens, tokens, tokens, known.encoding, "tokenizer")


def _by_formula(chat: Chat, known: ModelTokens, encoding: Encoding) -> TokenCount:
    """Texts exactly, frames by formula."""
    family = family_named(known.family)
    tokens = sum(chat.by_class(encoding).values()) + chat.frame(family) + chat.given
    return _banded(chat, known, encoding, (tokens, tokens, tokens), 1.0)


def _by_ratio(chat: Chat, model: str, known: ModelTokens, encoding: Encoding, ratios: TokenRatios | None) -> TokenCount:
    """Each class of texts by its own ratio; frames as they are, give or take as for a formula."""
    tokens = low = high = 0.0
    for kind, count in chat.by_class(encoding).items():
        if count:
            ratio = ratio_of(model, kind, ratios)
            tokens, low, high = tokens + count * ratio.value, low + count * ratio.low, high + count * ratio.high
    frame = chat.frame(family_named(known.family)) + chat.given
    texts = (floor(low) + frame, round(tokens) + frame, ceil(high) + frame)
    return _banded(chat, known, encoding, texts, ratio_of(model, "code", ratios).high)


def _banded(chat: Chat, known: ModelTokens, encoding: Encoding, texts: tuple[int, int, int], code: float) -> TokenCount:
    """A count of texts and frames with its images, and the band of both; `code` is the ratio of what is spelled out.

    A message may be a token more or fewer, as the formula's versions differ by that. What is not counted may be as much
    as fits into any model.
    """
    family = family_named(known.family)
    low, tokens, high = (text + image for text, image in zip(texts, _images(chat.images, family), strict=True))
    fewer, more = chat.doubt(encoding, family, known)
    high += chat.messages + ceil(more * max(1.0, code))
    return TokenCount(
        tokens,
        max(0, low - chat.messages - fewer),
        max(high, _WINDOW) if chat.uncounted else high,
        known.encoding,
        "formula" if known.exact else "ratio",
        chat.uncounted,
    )


def _images(images: list[Image], family: ChatFamily) -> tuple[int, int, int]:
    """Tokens of images: at least, probably, at most. Of an address the size is not known, and nothing is fetched."""
    low = usual = high = 0
    for image in images:
        if image.size is not None:
            tokens = family.image(*image.size, low_detail=image.low_detail)
            low, usual, high = low + tokens, usual + tokens, high + tokens
        else:
            low += family.image(1, 1, low_detail=image.low_detail)
            usual += family.image(*_USUAL_IMAGE, low_detail=image.low_detail)
            high += family.image(*_LARGE_IMAGE, low_detail=image.low_detail)
    return low, usual, high
