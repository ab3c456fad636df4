"""`prune_history`: a conversation within a budget of tokens, by what is lossless first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from resopt._core import extract_context
from resopt.errors import ConfigurationError, InvalidRequestError
from resopt.prompt.compress import compress_context
from resopt.prompt.counting import encoding_of, is_sound, query_of
from resopt.prompt.dense import compact, distinct
from resopt.tokens.count import count_tokens

_LEAST_RESULT = 200
"""Characters up to which the result of a tool is left alone."""
_SHARES = (0.5, 0.25, 0.1)


class PrunedHistory(msgspec.Struct, frozen=True):
    """A conversation within its budget.

    Tokens are those of `count_tokens`, at the high end of its band: what fits here fits at the provider.

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
    messages: Iterable[Mapping[str, Any]],
    budget: int,
    *,
    keep_last: int = 2,
    pinned: Iterable[int] = (),
    query: str | None = None,
    model: str | None = None,
) -> PrunedHistory:
    """Bring a conversation within a budget of tokens.

    In this order, as far as is needed: older results of tools in their shortest lossless form (compact JSON, tables);
    logs among them as distinct lines with counts; results cut to what the question is about; older turns left out,
    those least about the question first. System messages, pinned ones and the last turns stay as they are. A call of a
    tool and its results stay or go together, as providers demand.

    Args:
        messages: in the shape of OpenAI's chat or of Anthropic's messages, as a list or any other iterable; they are
            not changed.
        budget: tokens that the conversation may have.
        keep_last: turns at the end that stay; a turn begins with a message of the user.
        pinned: places of further messages that stay.
        query: the question by which older turns are judged; the last message of the user when None.
        model: whose tokens are counted.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
        InvalidRequestError: a message holds what no API takes, so that its tokens cannot be counted.
    """
    if type(budget) is not int or budget < 1:
        raise ConfigurationError(f"budget must be a number of tokens from 1 up, not {budget!r}")
    if type(keep_last) is not int or keep_last < 1:
        raise ConfigurationError(f"keep_last must be a number of turns from 1 up, not {keep_last!r}")
    encoding_of(model)  # named at once, not where a message is counted
    given: object = messages
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigurationError(f"messages must be a list of messages, not {type(given).__name__}")
    listed: list[Any] = list(given)
    if not all(isinstance(message, Mapping) for message in listed):
        raise ConfigurationError("messages must be a list of messages, each a dict with a role")
    pins = _places(pinned, len(listed))
    pruning = _Pruning(listed, budget, model)
    question = pruning.question() if query is None else query_of(query)
    return pruning.run(question, keep_last, pins)


def _places(pinned: Any, count: int) -> set[int]:
    places: list[Any] = list(pinned) if isinstance(pinned, Iterable) else [None]
    if any(type(place) is not int or not 0 <= place < count for place in places):
        raise ConfigurationError(f"pinned must hold places of messages, from 0 to {count - 1}, not {pinned!r}")
    return set(places)


class _Pruning:
    """One conversation on its way into its budget."""

    def __init__(self, messages: list[Any], budget: int, model: str | None) -> None:
        self.original = messages
        self.now: list[dict[str, Any]] = [dict(message) for message in messages]
        self.budget = budget
        self.model = model
        # A conversation costs what its messages do alone, but for the beginning of the answer, which comes once.
        frame = {"role": "user", "content": ""}
        self.once = 2 * self._count([frame]) - self._count([frame, frame])
        self.costs = [self._cost(message) for message in self.now]
        self.total = sum(self.costs) + (self.once if messages else 0)
        self.dropped: set[int] = set()
        self.shortened: set[int] = set()

    def run(self, question: str, keep_last: int, pins: set[int]) -> PrunedHistory:
        before = self._exact(self.original)
        if before <= self.budget:
            self.total = before
        fixed = self._fixed(keep_last) | pins
        older = [at for at in range(len(self.now)) if at not in fixed]
        forms = [compact, distinct, *(_cut_to(question, share) for share in _SHARES)]
        for shorten in forms:
            for at in older:
                if self.total <= self.budget:
                    break
                self._shorten_results(at, shorten)
        self._drop(older, fixed, question)
        left = [
            self.now[at] if at in self.shortened or not isinstance(message, dict) else message
            for at, message in enumerate(self.original)
            if at not in self.dropped
        ]
        after = self._exact(left) if self.dropped or self.shortened else before
        return PrunedHistory(
            left,
            tokens_before=before,
            tokens_after=after,
            fits=after <= self.budget,
            dropped=tuple(sorted(self.dropped)),
            shortened=tuple(sorted(self.shortened - self.dropped)),
        )

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
        if self.total <= self.budget:
            return
        groups = [group for group in _groups(self.now, older) if not group & fixed]
        texts = [" ".join(_all_text(self.now[at]) for at in sorted(group)) for group in groups]
        scores = _relevance(texts, question)
        for index in sorted(range(len(groups)), key=lambda index: (scores[index], min(groups[index]))):
            if self.total <= self.budget:
                return
            self.dropped |= groups[index]
            self.total -= sum(self.costs[at] for at in groups[index])

    def _shorten_results(self, at: int, shorten: Callable[[str], str]) -> None:
        message = self.now[at]
        changed = _with_results(
            message, lambda text: shorten(text) if len(text) > _LEAST_RESULT and is_sound(text) else text
        )
        if changed is message:
            return
        cost = self._cost(changed)
        if cost < self.costs[at]:
            self.total += cost - self.costs[at]
            self.now[at], self.costs[at] = changed, cost
            self.shortened.add(at)

    def _cost(self, message: dict[str, Any]) -> int:
        return self._count([message]) - self.once

    def _exact(self, messages: list[Any]) -> int:
        return self._count(messages) if messages else 0

    def _count(self, messages: list[Any]) -> int:
        try:
            return count_tokens(messages, self.model).high
        except (TypeError, ValueError, AttributeError) as error:
            raise InvalidRequestError(f"a message cannot be counted: {error}") from error


def _cut_to(question: str, share: float) -> Callable[[str], str]:
    def cut(text: str) -> str:
        return compress_context(text, question, share=share).context if is_sound(question) else text

    return cut


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
    holders: dict[str, list[int]] = {}
    for at, message in enumerate(messages):
        for name in (*_call_ids(message), *_result_ids(message)):
            holders.setdefault(name, []).append(at)
    owner = list(range(len(messages)))

    def found(at: int) -> int:
        while owner[at] != at:
            owner[at] = owner[owner[at]]
            at = owner[at]
        return at

    for together in (*map(sorted, groups), *holders.values()):
        for at in together:
            owner[found(at)] = found(together[0])
    whole: dict[int, set[int]] = {}
    for at in range(len(messages)):
        whole.setdefault(found(at), set()).add(at)
    roots = {found(at) for group in groups for at in group}
    return sorted((whole[root] for root in roots), key=min)


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
