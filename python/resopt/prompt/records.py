"""Texts made of records, JSON and tables: they are chosen whole, since half a record is broken or says something else.

Of JSON the longest list is looked for, at the top or below keys, and everything else of it is kept.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_LEAST = 4
"""Records from which there is anything to choose."""
_DEEPEST = 8
_LIKE_JSON = re.compile(r"\s*[\[{]\s*(?:[\"{\[\]}]|$)")


class Records(msgspec.Struct, frozen=True):
    """A text as records.

    Attributes:
        texts: the records as they are written.
        said: what each says, as words that a question may be matched with.
        before: what stands in front of them.
        between: what stands between two.
        after: what stands behind them.
    """

    texts: list[str]
    said: list[str]
    before: str = ""
    between: str = "\n"
    after: str = ""

    def with_only(self, places: list[int]) -> str:
        """The text with some of its records."""
        return self.before + self.between.join(self.texts[at] for at in places) + self.after


def is_like_json(text: str) -> bool:
    """Whether a text begins as JSON does; a passage that is numbered `[1]` does not."""
    return _LIKE_JSON.match(text) is not None


def records_of(text: str) -> Records | None:
    """The records of a text; None for prose, and for JSON that has no list worth choosing from."""
    stripped = text.strip()
    if is_like_json(stripped):
        return _of_json(stripped) or _of_lines(stripped)
    lines = stripped.split("\n")
    if len(lines) < _LEAST + 1:
        return None
    if stripped.startswith("rows of [") and lines[0].endswith("]:"):
        return Records(lines[1:], lines[1:], f"{lines[0]}\n")
    if all(line.lstrip().startswith("|") for line in lines) and not set(lines[1]) - set("|-: "):
        return Records(lines[2:], lines[2:], "\n".join(lines[:2]) + "\n") if len(lines) > _LEAST + 1 else None
    return None


def _of_json(text: str) -> Records | None:
    try:
        msgspec.json.decode(text)
        path, raws = _longest(msgspec.Raw(text.encode()), 0)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    if len(raws) < _LEAST:
        return None
    texts = [bytes(raw).decode() for raw in raws]
    said = [_said(msgspec.json.decode(raw)) for raw in raws]
    hole = "[\0]"  # no JSON has this control character in it
    before, _, after = _around(text, path, hole).partition(hole)
    return Records(texts, said, f"{before}[", ",", f"]{after}")


def _longest(raw: msgspec.Raw, depth: int) -> tuple[list[str], list[msgspec.Raw]]:
    """The longest list within a value, and the keys that lead to it."""
    first = bytes(raw).lstrip()[:1]
    if first == b"[":
        return [], msgspec.json.decode(raw, type=list[msgspec.Raw])
    best: tuple[list[str], list[msgspec.Raw]] = ([], [])
    if first == b"{" and depth < _DEEPEST:
        for key, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
            path, found = _longest(value, depth + 1)
            if sum(map(len, map(bytes, found))) > sum(map(len, map(bytes, best[1]))):
                best = ([key, *path], found)
    return best


def _around(text: str, path: list[str], hole: str) -> str:
    """The JSON with a hole in place of the list that a path leads to."""
    if not path:
        return hole
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    fields[path[0]] = msgspec.Raw(_around(bytes(fields[path[0]]).decode(), path[1:], hole).encode())
    return msgspec.json.encode(fields).decode()


def _of_lines(text: str) -> Records | None:
    """JSON by the line."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < _LEAST:
        return None
    try:
        said = [_said(msgspec.json.decode(line)) for line in lines]
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return Records(lines, said)


def _said(value: Any) -> str:
    """What a value says, keys included, as one sentence."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return " ".join(str(value).split())
