r"""What a freshness rule is, and the English forms of question (shields) under which rules do not hold.

The rules ask for a form, not for a subject. "What is my X", "has my X been …", "do I have …", "how much did I …" are
about the state of something that belongs to the asker, whatever X is. "How do I …", "why was …", "can I …", "what if …"
ask for a procedure, a reason or a policy, which is the same for everybody: those forms are the shields.

Patterns meet one clause at a time, prepared by `freshness_text.py`: case-folded, single blanks, straight apostrophes,
and a polite beginning that asks to be told something replaced by `ask ` ("could you tell me when my bill is due" reads
`ask when my bill is due`). Other polite beginnings are dropped.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["generic", "time_sensitive", "personal"]
Action = Literal["store", "short", "bypass"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why an answer must not be shared as usual.

    Attributes:
        name: what a trace calls it.
        kind: `personal` (the answer depends on who asks) or `time_sensitive` (on when).
        words: the rule is tried only on texts with one of these words, separated by blanks (`#` stands for any
            digit, `@` for itself). Without words it is tried on every text, which costs time on each request.
        opening: regular expressions, one of which the clause must begin with, after an optional `ask `.
        anywhere: regular expressions, one of which may stand anywhere in the clause instead.
        unless: names of shields under which the rule does not hold.
        besides: regular expressions under which it does not hold, anywhere in the clause.
        action: `store` for as long as anything, `short` for `ttl` seconds, or `bypass`.
        ttl: seconds, for `short`.
    """

    name: str
    kind: Kind
    words: str = ""
    opening: tuple[str, ...] = ()
    anywhere: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    action: Action = "short"
    ttl: float | None = None


class Shield(msgspec.Struct, frozen=True, kw_only=True):
    """A form of question under which rules that name it do not hold; the fields are those of `Rule`."""

    opening: tuple[str, ...] = ()
    anywhere: tuple[str, ...] = ()


SHIELDS: dict[str, Shield] = {
    # How something is done, or what would happen: the same for everybody.
    "procedure": Shield(
        opening=(
            r"how (?:to|do|does|can|could|should|would|might|may|will)\b",
            r"(?:what|where|who|which \w+|when|whom) (?:should|can|could|must|may|shall|would|might)\b",
            r"(?:what|where|who|which \w+|when) (?:do|does) (?:i|we|you|one|people|someone|a|an)\b(?! (?:owe|have)\b)",
            r"(?:what|where|how|when|which \w+) (?:i|we) (?:should|can|could|must|need|have to)\b",
            r"what (?:are|is|'s)? ?(?:the )?(?:steps?|procedure|process|way|requirements?)\b",
            r"what (?:happens|if|happened if|will happen|would happen|to do)\b",
            r"(?:is there|are there|is it|are we|am i|are you) (?:a way|any way|possible|able|allowed|permitted)\b",
            r"(?:do|will|would) (?:i|we) (?:need|have to|get charged|be charged|be able)\b",
            r"(?:the )?(?:steps?|way|procedure|process|instructions?) (?:to|for)\b|ways? to\b",
            r"(?<!ask )if (?:i|my|we|the|a|you)\b",
        ),
    ),
    "reason": Shield(
        opening=(
            r"why|how come",
            r"what(?:'?s| is| was| are| were)? (?:the (?:reason|matter|problem|issue|cause)|wrong|going on|"
            r"happening)\b",
            r"what (?:caus|went wrong)",
        ),
    ),
    "permission": Shield(
        opening=(r"(?:if |whether )?(?:can|could|may|might|should|must|shall|would) (?!you (?:tell|see|check)\b)\w",),
    ),
    # It is about words, or asks for a text to be made.
    "language": Shield(
        opening=(
            r"(?:translat\w+|explain|describe|define|summari[sz]e|rewrite|rephrase|paraphrase|proofread|spell|"
            r"compose)\b",
            r"(?:draft|write|generate|invent|make up|give (?:\w+ )*tips)\b",
        ),
        anywhere=(
            r"\bdifference between\b",
            r"\bhow (?:do|would|can|should) (?:you|i|we|one) (?:say|spell|pronounce|translate)\b",
            r"\bwhat (?:does|do|did) .{1,60} mean\b|\bmean(?:ings?)? of\b|\bwhat is meant by\b",
            r"\bhow (?:is|are) .{1,40} (?:spelled|pronounced|made|calculated|computed|measured|produced|formed|"
            r"determined|"
            r"defined|protected|stored|used|set)\b",
        ),
    ),
    # It is about programs: their dates, times, users and branches are names, not facts of the day.
    "program": Shield(
        anywhere=(
            r"\b(?:in|with|using|for) (?:a )?(?:python|java|javascript|typescript|sql|mysql|postgres\w*|bash|shell|"
            r"excel|"
            r"c\+\+|c#|rust|go|golang|php|ruby|perl|powershell|html|css|linux|git|docker|pandas|react)\b",
        ),
    ),
}

PROCEDURES = ("language", "procedure", "reason", "permission")
"""The shields of most rules."""
