"""`optimize_prompt`: a prompt without its fat, and the receipt by which every change can be undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from resopt._core import shorten_prompt
from resopt.errors import ConfigurationError
from resopt.prompt.counting import encoding_of, is_sound, text_of

Level: TypeAlias = Literal["lossless", "light", "strong"]
"""`lossless`: blanks, padding, repetition. `light`: filler and wordiness too. `strong`: templates and examples too."""

Markers: TypeAlias = Iterable[str | tuple[str, str]]
"""Pairs of an opening and a closing mark; one str stands for both."""

LEVELS: tuple[Level, ...] = get_args(Level)
KEPT_EXAMPLES = 3


class Change(msgspec.Struct, frozen=True):
    """One thing that was done to a prompt.

    Attributes:
        rule: what wanted it; several names joined by `+` where rules met.
        start: first character of the original that it replaced.
        end: one past the last.
        before: what stood there.
        after: what stands there now.
        tokens: tokens saved; those of all changes add up to what the whole prompt saved.
    """

    rule: str
    start: int
    end: int
    before: str
    after: str
    tokens: int


class OptimizedPrompt(msgspec.Struct, frozen=True):
    """A prompt without its fat.

    Attributes:
        text: what is left; never longer than the original, in characters or in tokens.
        tokens_before: tokens of the original.
        tokens_after: tokens of `text`.
        changes: what was done, in the order of the original.
    """

    text: str
    tokens_before: int
    tokens_after: int
    changes: tuple[Change, ...] = ()

    @property
    def tokens_saved(self) -> int:
        """Tokens that are not sent."""
        return self.tokens_before - self.tokens_after

    @property
    def saved_by_rule(self) -> dict[str, int]:
        """Tokens saved by each rule, most first; where rules met, the first has it all."""
        saved: Counter[str] = Counter()
        for change in self.changes:
            saved[change.rule.partition("+")[0]] += change.tokens
        return dict(saved.most_common())

    def restore(self) -> str:
        """The original, character for character."""
        pieces: list[str] = []
        place = length = 0
        for change in self.changes:
            kept = change.start - length
            pieces += (self.text[place : place + kept], change.before)
            place += kept + len(change.after)
            length = change.end
        pieces.append(self.text[place:])
        return "".join(pieces)


def optimize_prompt(
    prompt: str,
    level: Level = "light",
    *,
    protect: Markers = (),
    examples: int = KEPT_EXAMPLES,
    brevity: bool = True,
    model: str | None = None,
) -> OptimizedPrompt:
    """Take the fat off a prompt.

    Never touched: code (fenced, inline, indented, lines that look like it), quotes, keys and values of JSON, numbers,
    units, names, addresses, ids, placeholders (`{x}`, `{{x}}`, `%s`, `<x>`, `$VAR`), negations, conditions, whatever
    stands below or behind a label (`Review: …`), and what stands between marks of yours. Only English is shortened
    beyond *lossless*. A prompt optimized twice is a prompt optimized once.

    Args:
        prompt: the prompt.
        level: `lossless` removes blanks, padding and repetition; `light` also filler, politeness, wordy phrases, empty
            personas and instructions given twice; `strong` also rewrites templates, drops examples and asks for brevity
            where the prompt says nothing of length.
        protect: marks between which nothing is touched: pairs, or a str that opens and closes.
        examples: how many examples `strong` keeps.
        brevity: whether `strong` may ask for a short answer.
        model: whose tokens are counted; those of `o200k_base` when None or when its tokenizer is not public.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    text_of(prompt, "prompt")
    markers = check_markers(protect)
    encoding = encoding_of(model)
    if type(examples) is not int or examples < 1:
        raise ConfigurationError(f"examples must be a whole number from 1 up, not {examples!r}")
    if level not in LEVELS:
        raise ConfigurationError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    if not is_sound(prompt):
        tokens = encoding.count(prompt)
        return OptimizedPrompt(prompt, tokens, tokens)
    text, before, after, rows = shorten_prompt(
        prompt, level=level, encoding=encoding.name, markers=markers, examples=examples, brevity=bool(brevity)
    )
    return OptimizedPrompt(text, before, after, tuple(Change(*row) for row in rows))


def check_markers(protect: Any) -> list[tuple[str, str]]:
    """Marks as pairs.

    Raises:
        ConfigurationError: something is neither a str nor a pair of them, or is empty.
    """
    if isinstance(protect, str):
        raise ConfigurationError(
            f"protect must hold several marks or pairs of them, such as [({protect!r}, …)], not a str"
        )
    if not isinstance(protect, Iterable):
        raise ConfigurationError(
            f"protect must hold marks or pairs of marks, () for none, not {type(protect).__name__}"
        )
    pairs: list[tuple[str, str]] = []
    for mark in protect:
        pair = (mark, mark) if isinstance(mark, str) else mark
        good = isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(text, str) and text for text in pair)
        if not good or not all(map(is_sound, pair)):
            raise ConfigurationError(f"protect must hold marks or pairs of marks, none of them empty, not {mark!r}")
        pairs.append(pair)
    return pairs
