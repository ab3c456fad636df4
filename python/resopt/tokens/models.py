"""Which encoding and which chat rules a model has, and what is assumed of one whose tokenizer is not public.

Encodings are those of tiktoken 0.14.0 (`model.py`); names may be spelled as gateways spell them, see `names.py`. Ratios
of other tokenizers to `o200k_base` are medians and 5 % and 95 % quantiles measured on documents, code, JSON and six
languages; see `ratios.py` for better ones, from replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from resopt._core import ChatFamily, Encoding
from resopt.errors import ConfigurationError
from resopt.tokens.names import claude_version, learned_name, plain_name

TextClass: TypeAlias = Literal["prose", "code", "cjk", "other"]
"""English prose; code, JSON and markup; Chinese, Japanese and Korean; any other language."""

DEFAULT: Final = "o200k_base"
"""The encoding of a text for which no model is named: that of every current OpenAI model."""


class Ratio(msgspec.Struct, frozen=True):
    """Tokens of a model for each of `o200k_base`, within one class of texts.

    Attributes:
        value: the median.
        low: the 5 % quantile.
        high: the 95 % quantile.
        seen: from how many replies it was learned; 0 for one that is assumed.
    """

    value: float
    low: float
    high: float
    seen: int = 0


class ModelTokens(msgspec.Struct, frozen=True):
    """How the tokens of a model are counted.

    Attributes:
        encoding: the name of its encoding, or of the one from which its tokens are estimated.
        family: the rules of its chats, see `_core.ChatFamily`.
        exact: whether the encoding is the model's own.
        ratios: what is assumed of a model whose tokenizer is not public.
        name: what it is called in `TokenRatios`: the same for an alias and the releases behind it.
        tools: shares by which what tools cost once (`ChatFamily.for_tools`) may be lower and higher.
    """

    encoding: str
    family: str
    exact: bool
    ratios: Mapping[TextClass, Ratio]
    name: str = ""
    tools: tuple[float, float] = (0.1, 0.1)


EXACT: Final[Mapping[TextClass, Ratio]] = dict.fromkeys(("prose", "code", "cjk", "other"), Ratio(1.0, 1.0, 1.0))

# Measured of the tokenizer that Anthropic published with Claude 2; those of later models are not public.
_CLAUDE: Final[Mapping[TextClass, Ratio]] = {
    "prose": Ratio(1.08, 1.0, 1.17),
    "code": Ratio(1.0, 0.84, 1.18),
    "cjk": Ratio(1.72, 1.29, 4.29),
    "other": Ratio(1.72, 1.29, 4.29),
}
# With Opus 4.7 and 4.8, Opus 5, Sonnet 5 and Fable 5 the same text takes about 30 % more (Anthropic, *Token counting*).
_CLAUDE_NEWER: Final[Mapping[TextClass, Ratio]] = {
    kind: Ratio(ratio.value * 1.3, ratio.low * 1.1, ratio.high * 1.4) for kind, ratio in _CLAUDE.items()
}
# Of other models that came since it is not said which of the two they have: probably the newer, perhaps a newer still.
_CLAUDE_UNKNOWN: Final[Mapping[TextClass, Ratio]] = {
    kind: Ratio(newer.value, _CLAUDE[kind].low, newer.high * 1.2) for kind, newer in _CLAUDE_NEWER.items()
}
_DEEPSEEK: Final[Mapping[TextClass, Ratio]] = {
    "prose": Ratio(1.03, 1.0, 1.07),
    "code": Ratio(1.03, 1.0, 1.11),
    "cjk": Ratio(1.21, 0.86, 1.99),
    "other": Ratio(1.21, 0.86, 1.99),
}
# A guess that holds both of the above and some more.
_UNKNOWN: Final[Mapping[TextClass, Ratio]] = {
    "prose": Ratio(1.08, 0.95, 1.5),
    "code": Ratio(1.05, 0.84, 1.6),
    "cjk": Ratio(1.2, 0.75, 3.0),
    "other": Ratio(1.4, 0.85, 4.3),
}

# Beginnings of names, the longer first. One ends where the name does or before one of `-@:`; with a `*` anywhere.
_OWN: Final = (
    ("o200k_base", "o200k_base", "gpt-4o"),
    ("o200k_harmony", "o200k_harmony", "other"),
    ("cl100k_base", "cl100k_base", "gpt-4"),
    ("gpt-oss", "o200k_harmony", "other"),
    ("gpt-5-mini", "o200k_base", "gpt-5-mini"),
    ("gpt-5-nano", "o200k_base", "gpt-5-nano"),
    ("gpt-5*", "o200k_base", "gpt-5"),
    ("gpt-4.5", "o200k_base", "gpt-4.1"),
    ("gpt-4.1-mini", "o200k_base", "gpt-4.1-mini"),
    ("gpt-4.1-nano", "o200k_base", "gpt-4.1-nano"),
    ("gpt-4.1", "o200k_base", "gpt-4.1"),
    ("gpt-4o-mini", "o200k_base", "gpt-4o-mini"),
    ("gpt-4o", "o200k_base", "gpt-4o"),
    ("chatgpt-4o", "o200k_base", "gpt-4o"),
    ("gpt-4", "cl100k_base", "gpt-4"),
    ("gpt-3.5-turbo-0301", "cl100k_base", "gpt-3.5-turbo-0301"),
    ("gpt-3.5", "cl100k_base", "gpt-3.5"),
    ("gpt-35-turbo", "cl100k_base", "gpt-3.5"),
    ("o1", "o200k_base", "o-series"),
    ("o3", "o200k_base", "o-series"),
    ("o4-mini", "o200k_base", "o4-mini"),
    ("text-embedding-3", "cl100k_base", "other"),
    ("text-embedding-ada-002", "cl100k_base", "other"),
    ("davinci-002", "cl100k_base", "other"),
    ("babbage-002", "cl100k_base", "other"),
)
_ESTIMATED: Final = (("deepseek", "other", _DEEPSEEK),)

# The least version, the sort of model (any, when empty) and its family; the newer first.
_CLAUDE_FAMILIES: Final = (
    ((5, 0), "", "claude-5"),
    ((4, 8), "", "claude-4-8"),
    ((4, 7), "", "claude-4-7"),
    ((4, 6), "", "claude-4-6"),
    ((4, 5), "", "claude-4-5"),
    ((4, 0), "", "claude-4"),
    ((3, 5), "haiku", "claude-3-5-haiku"),
    ((3, 5), "", "claude-3-5-sonnet"),
    ((3, 0), "opus", "claude-3-opus"),
    ((3, 0), "sonnet", "claude-3-sonnet"),
    ((0, 0), "", "claude-3-haiku"),
)
_NEWER_SINCE: Final = (4, 7)
_NEWER_KNOWN: Final = {"opus": (4, 7), "sonnet": (5, 0), "fable": (5, 0)}
"""Models that are said to have the newer tokenizer, from these versions to the end of the fifth."""

_PROMPT_KNOWN: Final = (0.3, 0.2)
"""Anthropic's own pages of November 2025 and July 2026 differ by as much in the prompt for tools of one model."""
_PROMPT_UNKNOWN: Final = (0.5, 1.3)
"""Of a model in neither page: from the smallest to the largest prompt that any model has."""

_REMEMBERED = 4_096
"""Model names that are remembered; callers choose names, so the memory of them is bounded."""

_models: dict[str, ModelTokens] = {}
_encodings: dict[str, Encoding] = {}
_families: dict[str, ChatFamily] = {}


def tokens_of(model: str) -> ModelTokens:
    """How the tokens of a model are counted; an unknown one is estimated from `o200k_base`.

    Raises:
        ConfigurationError: the model is not a str.
    """
    known = _models.get(model) if type(model) is str else None
    if known is not None:
        return known
    if not isinstance(model, str):
        raise ConfigurationError(f"model must be a str, not {type(model).__name__}")
    known = msgspec.structs.replace(_found(plain_name(model)), name=learned_name(model))
    if len(_models) >= _REMEMBERED:
        _models.clear()
    _models[str(model)] = known
    return known


def encoding_named(name: str) -> Encoding:
    """The encoding of this name; its tables are made when it is first asked for, in about 0.05 s.

    Raises:
        ConfigurationError: there is none of this name.
        DamagedModelError: the tables that came with resopt fail their check.
    """
    encoding = _encodings.get(name)
    if encoding is None:
        encoding = _encodings[name] = Encoding(name)
    return encoding


def own_encoding(model: str | None) -> Encoding:
    """The encoding with which a model really encodes.

    Raises:
        ConfigurationError: the model's tokenizer is not public, or the model is not known.
    """
    known = tokens_of(DEFAULT if model is None else model)
    if not known.exact:
        raise ConfigurationError(
            f"the tokenizer of {model!r} is not public or not known: count_tokens estimates its tokens, but they "
            f"cannot be listed. For the tokens of an encoding pass its name as model: {', '.join(_NAMES)}"
        )
    return encoding_named(known.encoding)


def family_named(name: str) -> ChatFamily:
    """The chat rules of this name."""
    family = _families.get(name)
    if family is None:
        family = _families[name] = ChatFamily(name)
    return family


_NAMES = ("o200k_base", "cl100k_base", "o200k_harmony")


def _found(name: str) -> ModelTokens:
    for beginning, encoding, family in _OWN:
        if _begins(name, beginning):
            return ModelTokens(encoding, family, exact=True, ratios=EXACT)
    if name.startswith("claude"):
        return _claude(name)
    for beginning, family, ratios in _ESTIMATED:
        if _begins(name, beginning):
            return ModelTokens(DEFAULT, family, exact=False, ratios=ratios)
    return ModelTokens(DEFAULT, "other", exact=False, ratios=_UNKNOWN)


def _claude(name: str) -> ModelTokens:
    """Claude by its version; one that is not known, or says none, is taken for the newest, with a wider band."""
    version = claude_version(name) or (99, 0)
    sort = next((sort for sort in ("opus", "sonnet", "haiku", "fable") if sort in name), "")
    family = next(family for least, of, family in _CLAUDE_FAMILIES if version >= least and of in ("", sort))
    known = version < _NEWER_SINCE or (sort in _NEWER_KNOWN and _NEWER_KNOWN[sort] <= version < (6, 0))
    newer = _CLAUDE_NEWER if known else _CLAUDE_UNKNOWN
    published = known and (version < (5, 0) or (sort, version) == ("sonnet", (5, 0)))
    return ModelTokens(
        DEFAULT,
        family,
        exact=False,
        ratios=_CLAUDE if version < _NEWER_SINCE else newer,
        tools=_PROMPT_KNOWN if published else _PROMPT_UNKNOWN,
    )


def _begins(name: str, beginning: str) -> bool:
    if beginning.endswith("*"):
        return name.startswith(beginning[:-1])
    return name.startswith(beginning) and name[len(beginning) : len(beginning) + 1] in ("", "-", "@", ":")
