"""Where in one text the material is and where the question, as prompts for retrieval are commonly put together.

What a user writes is an instruction unless it says that it is material: between tags or triple quotes, or below a label
that says so. Below a label nothing says where the material ends, so paragraphs that tell somebody what to do end it,
and one in the midst of it makes all of it an instruction.
"""

from __future__ import annotations

import re

_NAMES = (
    "contexts?|documents?|docs?|passages?|articles?|sources?|excerpts?|extracts?|chunks?|snippets?|"
    r"search[ _]results?|materials?|knowledge[ _]base|transcript|reference(?: text)?"
)
_TAGGED = re.compile(
    rf"<({_NAMES}|document_contents?)\b[^<>]*>((?:(?!</?(?:{_NAMES}|document_contents?)\b).)*)</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_QUOTED = re.compile(r'(""")(.*?)"""', re.DOTALL)
_RULED = re.compile(
    rf"^[^\n]{{0,60}}\b(?:{_NAMES})\b[^\n]{{0,60}}\n-{{3,}}\n(.*?)^-{{3,}}$", re.DOTALL | re.IGNORECASE | re.MULTILINE
)
_LABELLED = re.compile(
    rf"^(?:\W{{0,4}}(?:the |retrieved |relevant )?(?:{_NAMES})\b[^\n:]{{0,40}}:[ \t*]*\n"
    rf"|(?=(?:{_NAMES}) ?\[?\d+\]?[:.)\] ]))"
    r"(.*?)(?=^[^\n:]{0,30}\b(?:question|query)\b[^\n:]{0,20}:|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_ASKED = re.compile(
    r"^[^\n:]{0,30}\b(?:question|query)\b[^\n:]{0,20}:[ \t]*\n?(\S[^\n]*)$", re.IGNORECASE | re.MULTILINE
)
_TAG = re.compile(r"</?\w[^<>\n]{0,80}>")
_TAGGED_QUESTION = re.compile(r"<(question|query)>\s*(.*?)\s*</\1>", re.DOTALL | re.IGNORECASE)

_VERBS = (
    "answer|ask|avoid|base|be|begin|check|cite|classify|consider|convert|copy|decide|describe|ensure|explain|extract|"
    "fill|find|follow|format|give|ignore|include|keep|leave|limit|list|look|make|mention|note|omit|output|pick|print|"
    "provide|put|quote|read|refer|refuse|remember|reply|respond|return|rewrite|say|select|show|sort|speak|start|state|"
    "stay|stick|summari[sz]e|take|tell|think|translate|treat|use|write"
)
_BEGINS = r"(?:^|[.!?:;]\s{1,4}|\n[ \t]{0,40}(?:[-*•]|\d{1,3}[.)])?[ \t]{0,4})"
_TELLS = re.compile(
    rf"{_BEGINS}(?:please|always|never|do(?:n['\u2019]t| not)|must|(?:only |just |then )?(?:{_VERBS})\b"
    rf"|(?:if|when|unless|where)\b[^.!?\n]{{0,200}},\s?(?:then )?(?:please )?"
    rf"(?:{_VERBS}|never|do(?:n['\u2019]t| not)))\b"
    r"|\b(?:you|your|yours)\b",
    re.IGNORECASE,
)
"""What tells somebody what to do: orders at the beginning of a sentence, and whatever speaks to its reader."""

_PARAGRAPH = re.compile(r"(?:(?!\n[ \t]*\n).)+", re.DOTALL)
_LEAST = 80
"""Characters up to which what stands between tags is left: names of files, titles."""


def materials_of(text: str) -> list[tuple[int, int]]:
    """The places of the material in a text; none where it does not say that it has any."""
    for pattern in (_TAGGED, _QUOTED):
        places = [match.span(2) for match in pattern.finditer(text)]
        places = [(start, end) for start, end in places if end - start >= _LEAST]
        if places:
            return places
    ruled = _RULED.search(text)
    if ruled is not None:
        return [ruled.span(1)]
    labelled = _LABELLED.search(text)
    return [] if labelled is None else _told_apart(text, *labelled.span(1))


def _told_apart(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A labelled stretch without the instructions behind it; nothing with instructions in the midst of it."""
    parts = [match.span() for match in _PARAGRAPH.finditer(text, start, end) if match[0].strip()]
    while parts and _tells(text, *parts[-1]):
        parts.pop()
    if not parts or any(_tells(text, *part) for part in parts):
        return []
    return [(start, parts[-1][1])]


def _tells(text: str, start: int, end: int) -> bool:
    return _TELLS.search(text[start:end].strip()) is not None


def without(text: str, places: list[tuple[int, int]]) -> str:
    """The text without some places of it."""
    ends = [0, *(end for _, end in places)]
    starts = [*(start for start, _ in places), len(text)]
    return "\n\n".join(text[end:start] for end, start in zip(ends, starts, strict=True))


def question_of(text: str) -> str:
    """The question in a text: between tags, behind the last label that names one, or a last paragraph that asks."""
    tagged = _TAGGED_QUESTION.search(text)
    if tagged is not None:
        return tagged[2]
    asked = _ASKED.findall(text)
    if asked:
        return str(asked[-1])
    last = _TAG.sub("", text.rstrip().rpartition("\n\n")[2]).strip()
    return last if last.endswith("?") and len(last) < 400 else ""
