"""Where in one text the material is and where the question, as prompts for retrieval are commonly put together."""

from __future__ import annotations

import re

_TAGGED = re.compile(
    r"<(context|contexts|documents?|docs|passages?|articles?|sources?|search_results|material)\b[^<>]*>(.*?)</\1>",
    re.DOTALL | re.IGNORECASE,
)
_LABELLED = re.compile(
    r"^(?:context|documents|passages|sources|articles|search results|excerpts)\b[^\n:]{0,40}:[ \t]*\n(.*?)"
    r"(?=^[^\n:]{0,30}\b(?:question|query)\b[^\n:]{0,20}:)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_ASKED = re.compile(
    r"^[^\n:]{0,30}\b(?:question|query)\b[^\n:]{0,20}:[ \t]*\n?(\S[^\n]*)$", re.IGNORECASE | re.MULTILINE
)
_TAGGED_QUESTION = re.compile(r"<(question|query)>\s*(.*?)\s*</\1>", re.DOTALL | re.IGNORECASE)


def material_of(text: str) -> tuple[int, int] | None:
    """The place of the material in a text: between tags that say so, or below a label down to the question's."""
    tagged = _TAGGED.search(text)
    if tagged is not None:
        return tagged.span(2)
    labelled = _LABELLED.search(text)
    return None if labelled is None else labelled.span(1)


def question_of(text: str) -> str:
    """The question in a text: between tags, behind the last label that names one, or a last paragraph that asks."""
    tagged = _TAGGED_QUESTION.search(text)
    if tagged is not None:
        return tagged[2]
    asked = _ASKED.findall(text)
    if asked:
        return str(asked[-1])
    last = text.rstrip().rpartition("\n\n")[2]
    return last if last.endswith("?") and len(last) < 400 else ""
