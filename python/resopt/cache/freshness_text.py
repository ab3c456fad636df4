"""How the freshness rules read a question: folded, as words, and as clauses without their polite beginnings (English).

Texts that differ only in case, blanks, width of characters or trailing punctuation read the same. Only the first and
last 1,000 characters are read: a question stands at one end of a long text, and the time stays bounded.
"""

from __future__ import annotations

import re
from functools import cache

_END_CHARACTERS = 1_000
_DASHES = "\u2013\u2014"
_QUOTES = "\u2018\u2019\u201c\u201d"
_BREAKS = str.maketrans(dict.fromkeys(f"\"'{_QUOTES}.,;:!?()[]{{}}<>/\\|-{_DASHES}\u2026*_~#&+=@", " "))
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc", "'''")
_JOINING = frozenset({"and", "but", "so", "because", "also"})
_CLAUSE_ENDS = (
    rf"(?<! no)(?<! nr)[.?!;,:\u2026]+ +| +[-{_DASHES}]+ +| (?:and|but|so|because|also) (?=(?:what|where|when|who|how|"
    rf"is|are|has|did|"
    r"do|can|could|why|please|tell)\b)"
)
_ASKING = (
    r"(?:(?:tell|show|give|get|read|send|remind|bring|let)(?: to)? (?:me|us)(?: (?:know|see|hear))?|know|see|hear|"
    r"find(?: out)?|look up|look at|pull up|bring up|check(?: up)?(?: on| in| out| and see)?|track|list|display|"
    r"confirm|say|view|read(?: out)?|open(?: up)?|locate|tell|show|(?:verify|remember|recall|wonder(?:ing)?|forgot|"
    r"forget)(?= (?:what|when|where|which|who|how|if|whether)\b))"
)
_FILLERS = (
    r"(?:(?:hi|hello|hey|ok|okay|so|well|please|pls|plz|um|and|but|also|thanks|sorry|excuse me|alexa|siri|actually|"
    r"just|quick question|good (?:morning|afternoon|evening|day)|(?:hi|hello|hey) there|can someone) )+"
)
_REQUEST = (
    r"(?:(?:can|could|would) you(?: please| kindly| just| possibly| help me)*(?: to)? |"
    r"(?:i|we)(?: would|'d)?(?: really| just| also)? (?:want|need|like|wish)(?: you)? to |"
    r"(?:i )?(?:wanna|gotta|must|have to) |i'm trying to |help me (?:to )?|do you(?: happen to)? (?=know\b|see\b)|"
    rf"(?:are you able|is it possible|i'm curious|i am curious) to (?={_ASKING}\b)|please |"
    r"i (?:can't|cannot|cant|don't|dont|do not) (?=(?:remember|recall) (?:what|when|where|which|who|how|if)\b|"
    r"know (?:when|which|if|how (?:much|many))\b)|"
    r"i (?=(?:wonder|forgot|forget)\b)|i(?:'m| am| was) (?=wondering\b))?"
    rf"(?P<ask>{_ASKING}(?: please| exactly)? )?"
)


def fold(question: str) -> str:
    """The text as rules see it."""
    if len(question) > 2 * _END_CHARACTERS:
        question = f"{question[:_END_CHARACTERS]} . {question[-_END_CHARACTERS:]}"
    if not question.isascii():
        import unicodedata

        question = unicodedata.normalize("NFKC", question).translate(_APOSTROPHES)
    return " ".join(question.casefold().split()).rstrip(".?! ")


def words_of(text: str) -> set[str]:
    """The words of a folded text; `#` stands for any digit and `@` for itself."""
    if text.replace(" ", "").isalpha():
        return set(text.split())
    words = set(text.translate(_BREAKS).split())
    if any(map(text.__contains__, "0123456789")):
        words.add("#")
    if "@" in text:
        words.add("@")
    return words


@cache
def _compiled() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """At first use: an import compiles nothing."""
    return re.compile(_CLAUSE_ENDS), re.compile(_FILLERS), re.compile(_REQUEST)


def clauses_of(text: str, words: set[str]) -> list[str]:
    """The clauses of a folded text; a polite beginning is dropped or, where it asks to be told, written `ask `."""
    clause_ends, fillers, request = _compiled()
    if _JOINING.isdisjoint(words) and text.replace(" ", "").isalpha():
        return [_without_courtesy(text, fillers, request)]
    return [_without_courtesy(clause, fillers, request) for clause in clause_ends.split(text)]


def _without_courtesy(clause: str, fillers: re.Pattern[str], request: re.Pattern[str]) -> str:
    filler = fillers.match(clause)
    start = filler.end() if filler else 0
    asked = request.match(clause, start)
    if asked is None or asked.end() == start:
        return clause[start:]
    rest = clause[asked.end() :]
    return f"ask {rest}" if asked["ask"] else rest
