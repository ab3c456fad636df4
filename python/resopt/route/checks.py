"""What can be said of an answer without asking a model: checks in the order of what they cost.

A check is a name, what failing it takes off a quality of 1, and a function `(request, response)` that returns what is
wrong in words, or None. One that takes all of it (1.0) makes the answer unusable. Each is cheap: bounded text, no
network. Users add their own the same way: `Check("mentions the order", 1.0, lambda request, response: …)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.route.figures import final_answer, made_up, numbers_in, numbers_meant, sums
from resopt.route.needs import schema_of, wants_json
from resopt.route.schema import fault_in
from resopt.route.tier import is_share
from resopt.types import COMPLETE, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.types import Response

READ = 20_000
"""Characters of an answer that the checks of its wording read."""

_APOLOGY = re.compile(
    r"\A\W*(?:i(?:['\u2019]m| am) (?:\w+ )?sorry|sorry|my apologies|unfortunately|es tut mir leid|leider"
    r"|je suis désolé|lo siento)\b",
    re.IGNORECASE,
)
_UNABLE = re.compile(
    r"\b(?:(?:i|we) (?:\w+ )?(?:can(?:no|['\u2019])t|can not|(?:am|are) (?:unable|not able)|won['\u2019]t)"
    r"|(?:i['\u2019]m|we['\u2019]re) (?:unable|not able)"
    r"|kann ich (?:\w+ )?nicht|geht nicht|nicht möglich|ne (?:peux|puis) pas|no puedo)\b",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"\A\W*(?:as an ai[^.]{0,60}, )?(?:i|we) "
    r"(?:can(?:no|['\u2019])t|can not|(?:am|are) (?:unable|not able) to|won['\u2019]t) "
    r"(?:\w+ ){0,2}(?:help|assist|answer|provide|comply|discuss|share|generate|create|do that|fulfil)",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^\s*```", re.MULTILINE)
_WORD = re.compile(r"\w+")
_ASKS_FOR_NUMBER = re.compile(
    r"\bhow (?:many|much|long|far|old|fast)\b|\bcalculate\b|\bwhat (?:is|was) the (?:total|sum)\b", re.IGNORECASE
)
_WORDS_ASKED = re.compile(
    r"(?P<most>\b(?:at most|up to|under|within|(?:no|not) (?:more|longer) than|(?:less|fewer) than"
    r"|max(?:imum)?(?: of)?)\s+)?"
    r"\b(?P<count>\d{1,2},\d{3}|\d{1,5})[- ]words?\b(?! (?:problem|document|file|long question))",
    re.IGNORECASE,
)
_ASKS_FOR_MUCH = re.compile(
    r"\b(?:write|compose|draft|give) (?:me |us )?(?:an?|the) (?:\w+ ){0,2}"
    r"(?:essay|article|report|story|letter|speech)\b|\bin (?:great )?detail\b",
    re.IGNORECASE,
)
_RUN = 8


class Check(msgspec.Struct, frozen=True):
    """One check: its name, what failing it takes off a quality of 1, and the function that says what is wrong."""

    name: str
    takes: float
    test: Callable[[Request, Any], str | None]

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"a check's name must be a str that is not empty, not {self.name!r}")
        takes: object = self.takes
        if not is_share(takes) or not self.takes:
            raise ConfigurationError(f"what check {self.name!r} takes must lie above 0 and up to 1, not {takes!r}")
        if not callable(self.test):
            raise ConfigurationError(f"the test of check {self.name!r} must be callable")


class Fault(msgspec.Struct, frozen=True):
    """A check that an answer failed, and why; `takes` is what it takes off a quality of 1."""

    check: str
    why: str
    takes: float


def inspect(checks: Sequence[Check], request: Request, response: Response) -> tuple[float, tuple[Fault, ...]]:
    """The quality of an answer by these checks, 1 (nothing found) to 0, and what they found.

    The first check that makes it unusable ends the search; one that raises counts as passed.
    """
    quality, faults = 1.0, []
    for check in checks:
        try:
            why = check.test(request, response)
        except Exception:  # noqa: BLE001, S112 - a check that fails says nothing of the answer
            continue
        if why is not None:
            faults.append(Fault(check.name, why, check.takes))
            quality *= 1.0 - check.takes
            if check.takes >= 1.0:
                break
    return quality, tuple(faults)


def empty(_: Request, response: Response) -> str | None:
    """Nothing was said and no tool called."""
    return None if response.text.strip() or response.tool_calls else "the answer is empty"


def truncated(_: Request, response: Response) -> str | None:
    """The model was cut off, or filtered."""
    reason = response.finish_reason
    return None if reason is None or reason in COMPLETE or reason == "refusal" else f"it ended by {reason}"


def refusal(_: Request, response: Response) -> str | None:
    """The model declined."""
    if response.finish_reason == "refusal":
        return "the model declined"
    text = response.text[:READ]
    declined = _DECLINES.match(text) or (_APOLOGY.match(text) and _UNABLE.search(text[:300]))
    return "it begins like a refusal" if declined else None


def schema(request: Request, response: Response) -> str | None:
    """The answer is not what the request's JSON schema asks for."""
    wanted = schema_of(request.body)
    if wanted is None or response.tool_calls:
        return None
    try:
        value = msgspec.json.decode(response.text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return f"it is no JSON: {error}"
    return fault_in(value, wanted)


def parse(request: Request, response: Response) -> str | None:
    """JSON was asked for and none came, or a code fence is left open."""
    text = response.text
    if wants_json(request.body) and not response.tool_calls:
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            return f"it is no JSON: {error}"
    return "a code fence is left open" if len(_FENCE.findall(text[:READ])) % 2 and len(text) <= READ else None


def repetition(_: Request, response: Response) -> str | None:
    """The model went round in circles: the same eight words again and again."""
    words = _WORD.findall(response.text[:READ].lower())
    if len(words) < 4 * _RUN:
        return None
    runs = [tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)]
    again = 1 - len(set(runs)) / len(runs)
    return f"{again:.0%} of it was said before" if again > 0.3 else None


def no_final_answer(request: Request, response: Response) -> str | None:
    """A number was asked for, and the answer ends without one."""
    if not _ASKS_FOR_NUMBER.search((request.question or "")[-2_000:]):
        return None
    said = final_answer(response.text)
    if said is None:
        lines = response.text.strip().splitlines()
        said = lines[-1] if lines else ""
    return None if numbers_in(said) or numbers_meant(said) else "a number was asked for and none is given as the result"


def numbers_apart(request: Request, response: Response) -> str | None:
    """A sum written out is wrong, or the answer has numbers that neither the question nor its own work gives."""
    question = request.question or ""
    if not _ASKS_FOR_NUMBER.search(question[-2_000:]):
        return None
    _, wrong = sums(response.text)
    if wrong:
        return f"{wrong} sums do not add up"
    if len(set(numbers_in(response.text))) < 2:  # the bare result, whose work is not shown
        return None
    found = made_up(question, response.text)
    return f"numbers that are not in the question: {found[:4]}" if found else None


def length(request: Request, response: Response) -> str | None:
    """Far shorter or longer than the question asks for in words, or a line where an essay was asked for."""
    question = (request.question or "")[-2_000:]
    if response.tool_calls or not response.text.strip():
        return None
    said = len(response.text.split())
    asked = _WORDS_ASKED.search(question)
    if asked is None:
        return f"{said} words where much was asked for" if said < 10 and _ASKS_FOR_MUCH.search(question) else None
    wanted = int(asked["count"].replace(",", ""))
    if said > 2 * wanted + 10:
        return f"{said} words where {wanted} were asked for"
    short = said < wanted / 2 and wanted >= 20 and asked["most"] is None
    return f"{said} words where {wanted} were asked for" if short else None


STANDARD = (
    Check("empty", 1.0, empty),
    Check("truncated", 1.0, truncated),
    Check("refusal", 1.0, refusal),
    Check("schema", 1.0, schema),
    Check("parse", 1.0, parse),
    Check("repetition", 0.5, repetition),
    Check("final answer", 0.4, no_final_answer),
    Check("numbers", 0.3, numbers_apart),
    Check("length", 0.3, length),
)
"""The checks that a cascade makes when none are named, in the order of their cost."""
