"""Freshness: what must not be cached, or only briefly, or only for one user, by the form of the question.

A cached answer is wrong for the next caller when it depends on who asked or on when. `Freshness.classify` says so from
the text alone, in microseconds and the same for every spelling that the cache takes for one question. The rules are data
(`freshness_rules.py`, English) and can be replaced; every decision names its rule and the words that met it.

How a text is read: it is folded (NFKC, case, blanks, trailing punctuation), cut into clauses, and each clause's polite
beginning is removed, or written `ask ` where it asks to be told something. Only the first and last 1,000 characters are
read: a question stands at one end of a long text, and the time stays bounded.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from resopt.cache.freshness_rules import DEFAULT_RULES, SHIELDS, Action, Kind, Rule
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_END_CHARACTERS = 1_000
_BREAKS = str.maketrans(dict.fromkeys("\"'“”‘’.,;:!?()[]{}<>/\\|-–—…*_~#&+=", " "))
_CLAUSE_ENDS = re.compile(
    r"[.?!;,:…]+ +| +[-–—]+ +| (?:and|but|so|because|also) (?=(?:what|where|when|who|how|is|are|has|did|do|can|could|"
    r"why|please|tell)\b)"
)
_ASKING = (
    r"(?:(?:tell|show|give|get|read|send|remind|bring|let)(?: to)? (?:me|us)(?: (?:know|see|hear))?|know|see|hear|find(?: out)?|"
    r"look up|look at|pull up|bring up|check(?: up)?(?: on| in| out| and see)?|track|list|display|confirm|say|"
    r"view|read(?: out)?|open(?: up)?|locate|tell|show|(?:verify|remember|recall|wonder(?:ing)?|forgot|forget)(?= (?:what|"
    r"when|where|which|who|how|if|whether)\b))"
)
_FILLERS = re.compile(
    r"(?:(?:hi|hello|hey|ok|okay|so|well|please|pls|plz|um|and|but|also|thanks|sorry|excuse me|alexa|siri|actually|just|"
    r"quick question|good (?:morning|afternoon|evening|day)|there|can someone|someone) )+"
)
_REQUEST = re.compile(
    r"(?:(?:can|could|would) you(?: please| kindly| just| possibly| help me)*(?: to)? |"
    r"(?:i|we)(?: would|'d)?(?: really| just| also)? (?:want|need|like|wish)(?: you)? to |(?:i )?(?:wanna|gotta|must|have to) |i'm trying to |help me (?:to )?|"
    rf"do you(?: happen to)? (?=know\b|see\b)|(?:are you able|is it possible|i'm curious|i am curious) to (?={_ASKING}\b)|please |"
    r"i (?:can't|cannot|cant|don't|dont|do not) (?=(?:remember|know|recall) (?:what|when|where|which|who|how|if)\b)|i (?=(?:wonder|forgot|forget)\b)|"
    r"i(?:'m| am| was) (?=wondering\b))?"
    rf"(?P<ask>{_ASKING}(?: please| exactly)? )?"
)


class Decision(msgspec.Struct, frozen=True):
    """What may be done with the answer to a question, and why.

    Attributes:
        kind: `generic`, `time_sensitive` or `personal`; `personal` also when it is both.
        action: `store`, `short` (keep for `ttl` seconds) or `bypass` (neither look up nor store).
        ttl: seconds an answer may be kept, for `short`.
        personal: the answer depends on who asks: its key must hold the user.
        time_sensitive: the answer depends on when.
        rule: names of the rules that met, joined by ` + `; empty for `generic`.
        matched: the words that met them, as they read after folding; joined by ` + `.
    """

    kind: Kind = "generic"
    action: Action = "store"
    ttl: float | None = None
    personal: bool = False
    time_sensitive: bool = False
    rule: str = ""
    matched: str = ""

    def action_for(self, user: str | None) -> Action:
        """The action when `user` asks: a personal answer without a known user is nobody's, so it is bypassed."""
        return "bypass" if self.personal and user is None else self.action


GENERIC = Decision()
"""The answer is the same for everybody, and tomorrow."""


class _Compiled(msgspec.Struct, frozen=True):
    rule: Rule
    words: frozenset[str]
    pattern: re.Pattern[str]
    besides: re.Pattern[str] | None
    unless: frozenset[str]


class Freshness:
    """Tells which questions must not be cached as usual.

    Args:
        rules: what to look for; by default the English rules of `freshness_rules.py`. An empty sequence finds nothing.
        shields: named forms of question under which rules may not hold (`Rule.unless`).

    Raises:
        ConfigurationError: a rule is not a `Rule`, its pattern is not a regular expression, or its fields contradict.
    """

    def __init__(self, rules: Iterable[Rule] = DEFAULT_RULES, *, shields: Mapping[str, str] = SHIELDS) -> None:
        self.rules = tuple(rules)
        self.shields = dict(shields)
        if self.rules is not DEFAULT_RULES:  # tables of our own are checked by the tests
            for rule in self.rules:
                _check(rule, self.shields)
        self._compiled: tuple[_Compiled, ...] | None = None
        self._shields: dict[str, re.Pattern[str]] = {}
        self._words: frozenset[str] | None = None

    @classmethod
    def off(cls) -> Freshness:
        """One that takes every question for generic."""
        return cls(())

    def classify(self, question: str) -> Decision:
        """Whether the answer to `question` depends on who asks or on when."""
        compiled = self._compiled
        if compiled is None:
            compiled = self._compile()
        text = _fold(question)
        spaced = text.translate(_BREAKS)
        words = set(spaced.split())
        if any(map(str.isdigit, text)):
            words.add("#")
        if "@" in text:
            words.add("@")
        if self._words is not None and self._words.isdisjoint(words):
            return GENERIC
        tried = [candidate for candidate in compiled if not candidate.words or not candidate.words.isdisjoint(words)]
        clauses = _clauses(text, cut=spaced != text or not _JOINING.isdisjoint(words))
        found: dict[Kind, tuple[Rule, str]] = {}
        language = self._shields.get("language")
        quoting = language is not None and language.search(clauses[0]) is not None
        for clause in clauses:
            self._search(clause, tried, found, {"language"} if quoting else set())
        return _decide(found) if found else GENERIC

    def _search(
        self, clause: str, tried: list[_Compiled], found: dict[Kind, tuple[Rule, str]], shielded: set[str]
    ) -> None:
        """Note the first rule of each kind that meets a clause."""
        shielded |= {name for name, pattern in self._shields.items() if pattern.search(clause)}
        for candidate in tried:
            rule = candidate.rule
            if rule.kind in found or not candidate.unless.isdisjoint(shielded):
                continue
            match = candidate.pattern.search(clause)
            if match and not (candidate.besides and candidate.besides.search(clause)):
                found[rule.kind] = (rule, match.group().strip())

    def _compile(self) -> tuple[_Compiled, ...]:
        """Compile at first use, so that an import costs nothing; two threads may both do it, with equal results."""
        self._shields = {name: re.compile(pattern) for name, pattern in self.shields.items()}
        compiled = tuple(
            _Compiled(
                rule,
                frozenset(rule.words),
                re.compile(rule.pattern),
                re.compile(rule.besides) if rule.besides else None,
                frozenset(rule.unless),
            )
            for rule in self.rules
        )
        if all(rule.words for rule in self.rules):
            self._words = frozenset().union(*(candidate.words for candidate in compiled))
        self._compiled = compiled
        return compiled


_JOINING = frozenset({"and", "but", "so", "because", "also"})


def _fold(question: str) -> str:
    """The text as rules see it: equal for texts that differ in case, blanks, width or trailing punctuation only."""
    if len(question) > 2 * _END_CHARACTERS:
        question = f"{question[:_END_CHARACTERS]} … {question[-_END_CHARACTERS:]}"
    if not question.isascii():
        question = unicodedata.normalize("NFKC", question).replace("’", "'").replace("‘", "'")
    return " ".join(question.casefold().split()).rstrip(".?! ")


def _clauses(text: str, *, cut: bool) -> list[str]:
    """The clauses of a folded text, each with its polite beginning removed or written `ask `."""
    return [_without_courtesy(clause) for clause in (_CLAUSE_ENDS.split(text) if cut else [text])]


def _without_courtesy(clause: str) -> str:
    start = 0
    if fillers := _FILLERS.match(clause):
        start = fillers.end()
    request = _REQUEST.match(clause, start)
    if request is None or request.end() == start:
        return clause[start:] if start else clause
    rest = clause[request.end() :]
    return f"ask {rest}" if request["ask"] else rest


_SEVERITY: dict[Action, int] = {"store": 0, "short": 1, "bypass": 2}


def _decide(found: dict[Kind, tuple[Rule, str]]) -> Decision:
    """One decision from at most one rule of each kind: the stricter action, the shorter time."""
    rules = [found[kind][0] for kind in ("personal", "time_sensitive") if kind in found]
    times = [rule.ttl for rule in rules if rule.ttl is not None]
    action = max((rule.action for rule in rules), key=_SEVERITY.__getitem__)
    return Decision(
        kind=rules[0].kind,
        action=action,
        ttl=min(times) if times and action == "short" else None,
        personal="personal" in found,
        time_sensitive="time_sensitive" in found,
        rule=" + ".join(rule.name for rule in rules),
        matched=" + ".join(found[rule.kind][1] for rule in rules),
    )


def _check(rule: object, shields: Mapping[str, str]) -> None:
    if not isinstance(rule, Rule):
        raise ConfigurationError(f"freshness rules must be Rule, not {type(rule).__name__}")
    where = f"freshness rule {rule.name!r}"
    if rule.kind not in ("personal", "time_sensitive"):
        raise ConfigurationError(f"{where}: kind must be 'personal' or 'time_sensitive', not {rule.kind!r}")
    if rule.action not in _SEVERITY:
        raise ConfigurationError(f"{where}: action must be 'store', 'short' or 'bypass', not {rule.action!r}")
    if rule.action == "short" and not (isinstance(rule.ttl, int | float) and rule.ttl > 0):
        raise ConfigurationError(f"{where}: action 'short' needs ttl, a number of seconds above 0, not {rule.ttl!r}")
    if rule.action != "short" and rule.ttl is not None:
        raise ConfigurationError(f"{where}: ttl goes with action 'short' only, not with {rule.action!r}")
    if unknown := set(rule.unless) - shields.keys():
        raise ConfigurationError(f"{where}: unknown shield {sorted(unknown)[0]!r}; known: {', '.join(sorted(shields))}")
    if wrong := [word for word in rule.words if word != word.casefold() or len(word.split()) != 1]:
        raise ConfigurationError(f"{where}: words must be single and in lower case, not {wrong[0]!r}")
    for text in (rule.pattern, rule.besides):
        try:
            re.compile(text)
        except re.error as error:
            raise ConfigurationError(f"{where}: {text!r} is not a regular expression: {error}") from error
