"""`compress_context`: the sentences of a context that a question needs, when it shows which those are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from resopt._core import count_words, extract_context
from resopt.errors import ConfigurationError
from resopt.prompt.counting import encoding_of, is_sound, query_of
from resopt.prompt.gate import asks_about_all, matched_everywhere
from resopt.prompt.records import Records, is_like_json, records_of

Context = TypeVar("Context")

SHARE = 0.3
LEAST_WORDS = 60
"""A context shorter than this is left as it is: there is nothing to gain."""

_FIELDS = ("text", "content", "page_content", "passage", "snippet", "body")


class CompressedContext(msgspec.Struct, Generic[Context], frozen=True):
    """What is left of a context.

    Attributes:
        context: of the kind that was given (text, list of passages, message).
        compressed: whether anything was left out.
        reason: why, or why not.
        words_before: words of the original.
        words_after: words of what is left.
        tokens_before: tokens of the original.
        tokens_after: tokens of what is left.
        mass: share of the match with the question that the kept part holds.
        coverage: share of the question's words in the passage that matches best.
    """

    context: Context
    compressed: bool
    reason: str
    words_before: int
    words_after: int
    tokens_before: int
    tokens_after: int
    mass: float = 0.0
    coverage: float = 0.0


def compress_context(
    context: Context,
    query: str,
    *,
    budget: int | None = None,
    share: float | None = None,
    model: str | None = None,
) -> CompressedContext[Context]:
    """Keep the sentences of a context that a question is about, in their order.

    Sentences are scored by BM25, with their passage, their neighbours and the kind of answer asked for. When the match
    is not concentrated in what would be kept (a summary is wanted, or the passages are all to the point), or nothing of
    the question is found, or it counts, lists or compares, the context is returned as it is, and `reason` says so.
    Records (elements of a JSON list, rows of a table) are kept whole or left out, so JSON stays JSON.

    Args:
        context: a text; a list of passages, each a text or a dict with its text under `text`, `content` or
            `page_content`; or a chat message, such as the result of a tool. Dicts keep their other fields; a passage of
            which nothing is kept is left out of a list.
        query: the question.
        budget: tokens that may be kept, instead of a share; a context within it is returned as it is.
        share: share of the words that may be kept; 0.3 when neither is given.
        model: whose tokens are counted.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    query_of(query)
    if budget is not None and share is not None:
        raise ConfigurationError("give a budget in tokens or a share of the words, not both")
    part = check_share(SHARE if share is None else share)
    if budget is not None and (type(budget) is not int or budget < 1):
        raise ConfigurationError(f"budget must be a number of tokens from 1 up, or None, not {budget!r}")
    encoding = encoding_of(model)
    passages = _passages(context)
    words, tokens = sum(map(count_words, passages)), sum(map(encoding.count, passages))
    untouched = CompressedContext(context, False, "", words, words, tokens, tokens)  # noqa: FBT003 - a record

    def left(reason: str, mass: float = 0.0, coverage: float = 0.0) -> CompressedContext[Context]:
        return msgspec.structs.replace(untouched, reason=reason, mass=mass, coverage=coverage)

    if words < LEAST_WORDS:
        return left("too short to be worth it")
    if budget is not None and tokens <= budget:
        return left("within its budget")
    if asks_about_all(query):
        return left("the question is about all of it")
    limit = part * words if budget is None else budget
    price_of = count_words if budget is None else encoding.count
    kept, mass, coverage, reason = _chosen(passages, query, part, budget, encoding.name, limit, price_of)
    if reason:
        return left(reason, mass, coverage)
    after = sum(map(encoding.count, kept))
    if after >= tokens:
        return left("nothing to leave out", mass, coverage)
    return CompressedContext(
        _rebuilt(context, kept),
        compressed=True,
        reason="kept what the question is about",
        words_before=words,
        words_after=sum(map(count_words, kept)),
        tokens_before=tokens,
        tokens_after=after,
        mass=mass,
        coverage=coverage,
    )


def _chosen(
    passages: list[str],
    query: str,
    share: float,
    budget: int | None,
    encoding: str,
    limit: float,
    price_of: Callable[[str], int],
) -> tuple[list[str], float, float, str]:
    """What is kept of each passage, how much of the match that is, how much was found, and why not if so."""
    whole = [records_of(text) for text in passages] if len(passages) == 1 else []
    if any(map(is_like_json, passages)) and not any(whole):
        if len(passages) == 1:
            return passages, 0.0, 0.0, "JSON without a list to choose from"
        whole = [Records(passages, passages)]
    records = whole[0] if whole else None
    units = passages if records is None else records.said
    kept, price, _, mass, coverage, peak = extract_context(units, query, share=share, budget=budget, encoding=encoding)
    if not peak:
        return passages, mass, coverage, "no clear peak: the question does not single out a part"
    if price == 0:
        return passages, mass, coverage, "not one sentence fits the budget"
    if matched_everywhere(units, query):
        return passages, mass, coverage, "nearly every part matches the question"
    if records is None:
        return kept, mass, coverage, ""
    # A record of which any sentence is wanted is kept whole: fewer sentences, until those records are few enough.
    for fewer in (1.0, 0.5, 0.25, 0.1):
        if fewer < 1:
            least = None if budget is None else max(1, int(budget * fewer))
            kept, *_ = extract_context(units, query, share=share * fewer, budget=least, encoding=encoding)
        places = [at for at, text in enumerate(kept) if text]
        only = [records.texts[at] if text else "" for at, text in enumerate(kept)]
        made = only if len(passages) > 1 else [records.with_only(places)]
        if places and sum(map(price_of, made)) <= limit:
            return made, mass, coverage, ""
    return passages, mass, coverage, "whole records are more than may be kept"


def check_share(share: object) -> float:
    """A share above 0 and up to 1.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise ConfigurationError(f"share must be a number above 0 and up to 1, not {share!r}")
    return float(share)


def _passages(context: Any) -> list[str]:
    """The texts of a context, unsound ones excluded by an error."""
    texts = [context] if isinstance(context, str | Mapping) else context
    if not isinstance(texts, Sequence):
        raise ConfigurationError(
            f"context must be a str, a message or a list of passages, not {type(context).__name__}"
        )
    found = [_text(passage) for passage in texts]
    if not all(map(is_sound, found)):
        raise ConfigurationError("context holds lone surrogates, which cannot be sent: decode it properly")
    return found


def _text(passage: Any) -> str:
    if isinstance(passage, str):
        return passage
    if isinstance(passage, Mapping):
        for name in _FIELDS:
            value = passage.get(name)
            if isinstance(value, str):
                return value
            if isinstance(value, list):
                return "\n\n".join(_text(part) for part in value if _has_text(part))
    raise ConfigurationError(
        f"a passage must be a str or a dict with its text under one of {', '.join(_FIELDS)}, "
        f"not {type(passage).__name__}"
    )


def _has_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _rebuilt(context: Any, kept: list[str]) -> Any:
    if isinstance(context, str):
        return kept[0]
    if isinstance(context, Mapping):
        return _with_text(context, kept[0])
    pairs = zip(context, kept, strict=True)
    return [text if isinstance(passage, str) else _with_text(passage, text) for passage, text in pairs if text]


def _with_text(passage: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The passage with another text; of several parts with text the first has it all, and others stay."""
    name = next(name for name in _FIELDS if isinstance(passage.get(name), str | list))
    value = passage[name]
    if isinstance(value, str):
        return {**passage, name: text}
    parts: list[Any] = []
    placed = False
    for part in value:
        if not _has_text(part):
            parts.append(part)
        elif not placed:
            placed = True
            parts.append(text if isinstance(part, str) else {**part, "text": text})
    return {**passage, name: parts}
