"""Results of tools in fewer tokens: JSON without blanks, arrays of objects as tables, logs as distinct lines.

`compact` loses nothing: it is JSON with the blanks outside strings gone, or a table that says its columns once.
`distinct` loses which of several equal lines stood where; it says how often each did.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_LEAST_ROWS = 2
_STAMPS = re.compile(
    r"^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\]?\s*"
    r"|^\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s*"
)


def compact(text: str) -> str:
    """A result in its shortest lossless form: the text itself, compact JSON, or a table of its objects."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return text
    try:
        value = msgspec.json.decode(stripped)
        raw = msgspec.json.decode(stripped, type=list[dict[str, msgspec.Raw]]) if _is_rows(value) else None
    except (msgspec.DecodeError, RecursionError):
        return text
    forms = [text, _without_blanks(stripped)]
    if raw is not None:
        forms.append(_table(raw))
    return min(forms, key=len)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= _LEAST_ROWS and all(isinstance(row, dict) and row for row in value)


def _without_blanks(text: str) -> str:
    """JSON without the blanks outside its strings; numbers and escapes are kept as they were written."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda match: match.group(1) or "", text, flags=re.DOTALL)


def _table(rows: list[dict[str, msgspec.Raw]]) -> str:
    """Objects as rows below one row of their keys, cells as JSON; an absent key is an empty cell."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = ",".join(msgspec.json.encode(column).decode() for column in columns)
    lines = [
        ",".join(_without_blanks(bytes(row[column]).decode()) if column in row else "" for column in columns)
        for row in rows
    ]
    return "\n".join((f"rows of [{head}]:", *lines))


def distinct(text: str) -> str:
    """The lines of a log, each once with how often it came, in the order in which they first came.

    Lines that differ only by a time at their beginning are the same; the first time stands for all. A text in which
    fewer than a third of the lines repeat is no such log and is returned as it is.
    """
    lines = text.splitlines()
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for line in lines:
        key = _STAMPS.sub("", line).rstrip()
        counts[key] = counts.get(key, 0) + 1
        first.setdefault(key, line.rstrip())
    if len(counts) * 3 > len(lines) * 2:
        return text
    shorter = "\n".join(
        first[key] if count == 1 or not key else f"{first[key]} (x{count})" for key, count in counts.items()
    )
    return shorter if len(shorter) < len(text) else text
