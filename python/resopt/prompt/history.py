"""`prune_history`: a conversation within a budget of tokens, by what is lossless first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from resopt._core import Encoding, extract_context
from resopt.errors import ConfigurationError
from resopt.prompt.counting import encoding_of, is_sound, query_of
from resopt.prompt.dense import compact, distinct

_FRAME = 3
"""Tokens that a message costs beyond its texts; source: OpenAI's cookbook, `num_tokens_from_messages`."""
_LEAST_RESULT = 200
"""Characters up to which the result of a tool is left alone."""
_SHARES = (0.5, 0.25, 0.1)


class PrunedHistory(msgspec.Struct, frozen=True):
    """A conversation within its budget.

    Attributes:
        messages: what is left, in its order; messages that were not changed are the caller's own objects.
        tokens_before: tokens of the whole conversation.
        tokens_after: tokens of what is left.
        fits: whether that is within the budget; what must be kept may be too much.
        dropped: places of the messages that were left out.
        shortened: places of the messages whose texts were.
    """

    messages: list[dict[str, Any]]
    tokens_before: int
    tokens_after: int
    fits: bool
    dropped: tuple[int, ...] = ()
    shortened: tuple[int, ...] = ()


def prune_history(
    messages: Sequence[Mapping[str, Any]],
    budget: int,
    *,
    keep_last: int = 2,
    pinned: Sequence[int] = (),
    query: str | None = None,
    model: str | None = None,
) -> PrunedHistory:
    """Bring a conversation within a budget of tokens.

    In this order, as far as is needed: results of tools in their shortest lossless form (compact JSON, tables); logs
    among them as distinct lines with counts; older results cut to what the question is about; older turns left out,
    those least about the question first. System messages, pinned ones and the last turns stay as they are. A call of a
    tool and its results stay or go together, as providers demand.

    Args:
        messages: in the shape of OpenAI's chat or of Anthropic's messages; they are not changed.
        budget: tokens that the conversation may have.
        keep_last: turns at the end that stay; a turn begins with a message of the user.
        pinned: places of further messages that stay.
        query: the question by which older turns are judged; the last message of the user when None.
        model: whose tokens are counted.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    if type(budget) is not int or budget < 1:
        raise ConfigurationError(f"budget must be a number of tokens from 1 up, not {budget!r}")
    if type(keep_last) is not int or keep_last < 1:
        raise ConfigurationError(f"keep_last must be a number of turns from 1 up, not {keep_last!r}")
    _check_messages(messages)
    pins = _places(pinned, len(messages))
    pruning = _Pruning([dict(message) for message in messages], budget, encoding_of(model))
    question = pruning.question() if query is None else query_of(query)
    return pruning.run(messages, question, keep_last, pins)


def _check_messages(messages: Any) -> None:
    """A generator would be used up by looking at it, so it is no list either."""
    listed = isinstance(messages, Sequence) and not isinstance(messages, str | bytes)
    if not listed or not all(isinstance(message, Mapping) for message in messages):
        raise ConfigurationError("messages must be a list of messages, each a dict with a role")


def _places(pinned: Any, count: int) -> set[int]:
    places: list[Any] = list(pinned) if isinstance(pinned, Iterable) else [None]
    if any(type(place) is not int or not 0 <= place < count for place in places):
        raise ConfigurationError(f"pinned must hold places of messages, from 0 to {count - 1}, not {pinned!r}")
    return set(places)


class _Pruning:
    """One conversation on its way into its budget."""

    def __init__(self, messages: list[dict[str, Any]], budget: int, encoding: Encoding) -> None:
        self.now = messages
        self.budget = budget
        self.encoding = encoding
        self.costs = [self._cost(message) for message in messages]
        self.dropped: set[int] = set()
        self.shortened: set[int] = set()

    def run(
        self, original: Sequence[Mapping[str, Any]], question: str, keep_last: int, pins: set[int]
    ) -> PrunedHistory:
        before = self.total()
        fixed = self._fixed(keep_last) | pins
        older = [at for at in range(len(self.now)) if at not in fixed]
        for shorten in (compact, distinct):
            for at in range(len(self.now)) if shorten is compact else older:
                if self.total() > self.budget and at not in pins:
                    self._shorten_results(at, shorten)
        for share in _SHARES:
            for at in older:
                if self.total() > self.budget:
                    self._shorten_results(at, lambda text, part=share: _excerpt(text, question, part))
        self._drop(older, fixed, question)
        left = [
            self.now[at] if at in self.shortened else original[at]
            for at in range(len(self.now))
            if at not in self.dropped
        ]
        after = self.total()
        return PrunedHistory(
            [message if isinstance(message, dict) else dict(message) for message in left],
            tokens_before=before,
            tokens_after=after,
            fits=after <= self.budget,
            dropped=tuple(sorted(self.dropped)),
            shortened=tuple(sorted(self.shortened - self.dropped)),
        )

    def total(self) -> int:
        return sum(cost for at, cost in enumerate(self.costs) if at not in self.dropped)

    def question(self) -> str:
        for message in reversed(self.now):
            if message.get("role") == "user" and not _result_ids(message):
                text = _spoken(message)
                if text:
                    return text
        return ""

    def _fixed(self, keep_last: int) -> set[int]:
        """Places of system messages and of the last turns, with the calls that their results answer."""
        users = [
            at for at, message in enumerate(self.now) if message.get("role") == "user" and not _result_ids(message)
        ]
        start = users[-keep_last] if len(users) >= keep_last else 0
        fixed = {at for at, message in enumerate(self.now) if message.get("role") in ("system", "developer")}
        return fixed | set(range(start, len(self.now)))

    def _drop(self, older: list[int], fixed: set[int], question: str) -> None:
        """Leave out the older turns least about the question, oldest first among equals, until all fits."""
        groups = [group for group in _groups(self.now, older) if not group & fixed]
        texts = [" ".join(_all_text(self.now[at]) for at in sorted(group)) for group in groups]
        scores = _relevance(texts, question)
        for index in sorted(range(len(groups)), key=lambda index: (scores[index], min(groups[index]))):
            if self.total() <= self.budget:
                return
            self.dropped |= groups[index]

    def _shorten_results(self, at: int, shorten: Any) -> None:
        message = self.now[at]
        changed = _with_results(
            message, lambda text: shorten(text) if len(text) > _LEAST_RESULT and is_sound(text) else text
        )
        if changed is message:
            return
        cost = self._cost(changed)
        if cost < self.costs[at]:
            self.now[at], self.costs[at] = changed, cost
            self.shortened.add(at)

    def _cost(self, message: Mapping[str, Any]) -> int:
        return _FRAME + self.encoding.count(_all_text(message))


def _excerpt(text: str, question: str, share: float) -> str:
    kept, price, _, _, _, peak = extract_context([text], question, share=share, budget=None, encoding="o200k_base")
    return kept[0] if peak and price else text


def _relevance(texts: list[str], question: str) -> list[float]:
    """How much of what is about the question each text holds: its share of the words kept for it."""
    sound = [text if is_sound(text) else "" for text in texts]
    if not sound or not is_sound(question):
        return [0.0] * len(texts)
    kept, *_, coverage, _ = extract_context(sound, question, share=0.3, budget=None, encoding="o200k_base")
    return [len(part) / max(len(text), 1) if coverage else 0.0 for part, text in zip(kept, sound, strict=True)]


def _groups(messages: list[dict[str, Any]], older: list[int]) -> list[set[int]]:
    """Older messages by turn: a question, what was called for it, what came, and the answer."""
    groups: list[set[int]] = []
    for at in older:
        begins = messages[at].get("role") == "user" and not _result_ids(messages[at])
        if begins or not groups:
            groups.append(set())
        groups[-1].add(at)
    return _joined(messages, groups)


def _joined(messages: list[dict[str, Any]], groups: list[set[int]]) -> list[set[int]]:
    """The groups, those that share the id of a call made one, with whatever else holds the call or its result."""
    holders: dict[str, set[int]] = {}
    for at, message in enumerate(messages):
        for name in (*_call_ids(message), *_result_ids(message)):
            holders.setdefault(name, set()).add(at)
    whole = list(groups)
    for together in holders.values():
        touching = [group for group in whole if group & together]
        if touching:
            whole = [group for group in whole if not group & together]
            whole.append(set().union(together, *touching))
    return sorted(whole, key=min)


def _call_ids(message: Mapping[str, Any]) -> list[str]:
    calls = message.get("tool_calls")
    found = [str(call.get("id")) for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    return found + [str(part.get("id")) for part in _parts(message) if part.get("type") == "tool_use"]


def _result_ids(message: Mapping[str, Any]) -> list[str]:
    found = [str(message.get("tool_call_id"))] if message.get("role") == "tool" else []
    return found + [str(part.get("tool_use_id")) for part in _parts(message) if part.get("type") == "tool_result"]


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []


def _spoken(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in _parts(message) if isinstance(part.get("text"), str))


def _all_text(message: Mapping[str, Any]) -> str:
    """Everything of a message that is billed by its text."""
    pieces = [_spoken(message)]
    for part in _parts(message):
        if part.get("type") == "tool_result":
            pieces.append(_spoken(part))
        elif part.get("type") == "tool_use":
            pieces.append(f"{part.get('name')} {part.get('input')}")
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            pieces.append(f"{function.get('name')} {function.get('arguments')}")
    return "\n".join(pieces)


def _with_results(message: dict[str, Any], shorten: Any) -> dict[str, Any]:
    """The message with its results of tools shortened; the message itself when nothing is."""
    content = message.get("content")
    if message.get("role") == "tool":
        changed = _shortened(content, shorten)
        return message if changed is content else {**message, "content": changed}
    if not any(part.get("type") == "tool_result" for part in _parts(message)):
        return message
    parts = []
    for part in message["content"]:
        is_result = isinstance(part, Mapping) and part.get("type") == "tool_result"
        inner = _shortened(part.get("content"), shorten) if is_result else None
        parts.append(part if not is_result or inner is part.get("content") else {**part, "content": inner})
    same = all(new is old for new, old in zip(parts, message["content"], strict=True))
    return message if same else {**message, "content": parts}


def _shortened(content: Any, shorten: Any) -> Any:
    if isinstance(content, str):
        text = shorten(content)
        return content if text == content else text
    if not isinstance(content, list):
        return content
    parts = []
    for part in content:
        text = part.get("text") if isinstance(part, Mapping) and part.get("type") in ("text", "input_text") else None
        new = shorten(text) if isinstance(text, str) else text
        parts.append(part if new == text else {**part, "text": new})
    return content if all(new is old for new, old in zip(parts, content, strict=True)) else parts
