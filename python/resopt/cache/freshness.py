"""Freshness: what must not be cached, or only briefly, or only for one user, by the form of the question.

A cached answer is wrong for the next caller when it depends on who asked or on when. `Freshness.classify` says so from
the text alone, in microseconds, and the same for every spelling that the cache takes for one question. The rules are
data (`freshness_people.py`: who; `freshness_times.py`: when; English) and can be replaced. Every decision names its
rule and the words that met it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from resopt.cache.freshness_people import PERSONAL
from resopt.cache.freshness_rules import SHIELDS, Action, Kind, Rule, Shield
from resopt.cache.freshness_text import clauses_of, fold, words_of
from resopt.cache.freshness_times import TIME
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_RULES: tuple[Rule, ...] = PERSONAL + TIME
"""What `Freshness()` uses; to change some: `Freshness([*(rule for rule in DEFAULT_RULES if …), Rule(…)])`."""

_MEMO_ENTRIES = 4_096
_MEMO_CHARACTERS = 512
"""Bounds of what is remembered: at most about 3 MB, and typically a third of one."""

_SEVERITY: dict[Action, int] = {"store": 0, "short": 1, "bypass": 2}


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
        """The action when `user` asks: a personal answer without a known user is nobody's, so it is bypassed.

        The empty str is no user either: it is what many applications have for those who did not sign in.
        """
        return "bypass" if self.personal and not user else self.action


GENERIC = Decision()
"""The answer is the same for everybody, and tomorrow."""


class Freshness:
    """Tells which questions must not be cached as usual.

    Args:
        rules: what to look for; by default the English rules. An empty sequence finds nothing.
        shields: forms of question, by name, under which rules that name them do not hold (`Rule.unless`). A clause
            under the shield `language` puts the rest of its text under it too ("Translate: where is my order?").

    Raises:
        ConfigurationError: a rule or shield is not one, holds no regular expression, or contradicts itself.
    """

    def __init__(self, rules: Iterable[Rule] = DEFAULT_RULES, *, shields: Mapping[str, Shield] = SHIELDS) -> None:
        self.rules = tuple(rules)
        self.shields = dict(shields)
        if self.rules is not DEFAULT_RULES or shields is not SHIELDS:  # checking costs as much as compiling
            _check(self.rules, self.shields)
        self._tables: _Tables | None = None
        self._memo: dict[str, Decision] = {}

    @classmethod
    def off(cls) -> Freshness:
        """One that takes every question for generic."""
        return cls(())

    def classify(self, question: str) -> Decision:
        """Whether the answer to `question` depends on who asks or on when.

        Decisions on short texts are remembered: a cache hit is a text that came before, and shall not pay for the rules
        again. When the memory is full it starts afresh, which needs neither order nor lock.
        """
        decision = self._memo.get(question)
        if decision is None:
            decision = self._read(question)
            if len(question) <= _MEMO_CHARACTERS:
                if len(self._memo) >= _MEMO_ENTRIES:
                    self._memo.clear()
                self._memo[question] = decision
        return decision

    def _read(self, question: str) -> Decision:
        tables = self._tables
        if tables is None:  # at first use, so that an import costs nothing; two threads may both do it, equally
            tables = self._tables = _Tables(self.rules, self.shields)
        text = fold(question)
        words = words_of(text)
        tried = tables.rules_for(words)
        if not tried:
            return GENERIC
        found: dict[Kind, tuple[Rule, str]] = {}
        about_words = False
        clauses = clauses_of(text, words)
        for clause in clauses:
            about_words = about_words or (len(clauses) > 1 and tables.holds("language", clause))
            tables.search(clause, tried, found, {"language": True} if about_words else {})
        return _decide(found) if found else GENERIC


class _Form:
    """The compiled patterns of one rule or shield. One that looks only at the beginning of a clause is `cheap`."""

    def __init__(self, opening: tuple[str, ...], anywhere: tuple[str, ...]) -> None:
        self._opening = re.compile(rf"(?:ask )?(?:{'|'.join(opening)})") if opening else None
        self._anywhere = re.compile("|".join(anywhere)) if anywhere else None
        self.cheap = self._anywhere is None

    def match(self, clause: str) -> re.Match[str] | None:
        match = self._opening.match(clause) if self._opening is not None else None
        if match is None and self._anywhere is not None:
            match = self._anywhere.search(clause)
        return match


class _Compiled:
    """A rule ready for use; its cheap shields are asked before its own patterns, the others after."""

    def __init__(self, rule: Rule, shields: dict[str, _Form]) -> None:
        self.rule = rule
        self.form = _Form(rule.opening, rule.anywhere)
        self.cheap_shields = tuple(name for name in rule.unless if shields[name].cheap)
        self.other_shields = tuple(name for name in rule.unless if not shields[name].cheap)
        self._besides = re.compile("|".join(rule.besides)) if rule.besides else None

    def excepted(self, clause: str) -> bool:
        return self._besides is not None and self._besides.search(clause) is not None


class _Tables:
    """Rules and shields, compiled, with an index from words to rules."""

    def __init__(self, rules: tuple[Rule, ...], shields: dict[str, Shield]) -> None:
        self._shields = {name: _Form(shield.opening, shield.anywhere) for name, shield in shields.items()}
        self._rules = [_Compiled(rule, self._shields) for rule in rules]
        self._by_word: dict[str, int] = {}  # bit n stands for rule n
        self._always = 0
        for number, rule in enumerate(rules):
            for word in rule.words.split():
                self._by_word[word] = self._by_word.get(word, 0) | 1 << number
            if not rule.words:
                self._always |= 1 << number

    def rules_for(self, words: set[str]) -> list[_Compiled]:
        """The rules worth trying on a text with these words, in their order."""
        bits = self._always
        for word in words:
            bits |= self._by_word.get(word, 0)
        return [rule for number, rule in enumerate(self._rules) if bits >> number & 1] if bits else []

    def holds(self, shield: str, clause: str) -> bool:
        """Whether the clause has the form named; False for a name that is not in use."""
        form = self._shields.get(shield)
        return form is not None and form.match(clause) is not None

    def search(
        self, clause: str, tried: list[_Compiled], found: dict[Kind, tuple[Rule, str]], known: dict[str, bool]
    ) -> None:
        """Note the first rule of each kind that meets the clause; `known` holds what is known of its shields."""
        for candidate in tried:
            if candidate.rule.kind in found or self._under(candidate.cheap_shields, clause, known):
                continue
            match = candidate.form.match(clause)
            if match is None or self._under(candidate.other_shields, clause, known) or candidate.excepted(clause):
                continue
            found[candidate.rule.kind] = (candidate.rule, match.group().strip())

    def _under(self, shields: tuple[str, ...], clause: str, known: dict[str, bool]) -> bool:
        for name in shields:
            if name not in known:
                known[name] = self.holds(name, clause)
            if known[name]:
                return True
        return False


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


def _check(rules: tuple[object, ...], shields: Mapping[str, object]) -> None:
    for name, shield in shields.items():
        if not isinstance(shield, Shield):
            raise ConfigurationError(f"freshness shield {name!r} must be a Shield, not {type(shield).__name__}")
        _check_patterns(f"freshness shield {name!r}", shield.opening, shield.anywhere)
    for rule in rules:
        if not isinstance(rule, Rule):
            raise ConfigurationError(f"freshness rules must be Rule, not {type(rule).__name__}")
        where = f"freshness rule {rule.name!r}"
        _check_choices(where, rule)
        if unknown := sorted(set(rule.unless) - shields.keys()):
            raise ConfigurationError(f"{where}: unknown shield {unknown[0]!r}; known: {', '.join(sorted(shields))}")
        if rule.words != str(rule.words).casefold():
            raise ConfigurationError(f"{where}: words must be one str in lower case, not {rule.words!r}")
        _check_patterns(where, rule.opening, rule.anywhere)
        if rule.besides:
            _check_patterns(where, rule.besides, ())


def _check_choices(where: str, rule: Rule) -> None:
    if rule.kind not in ("personal", "time_sensitive"):
        raise ConfigurationError(f"{where}: kind must be 'personal' or 'time_sensitive', not {rule.kind!r}")
    if rule.action not in _SEVERITY:
        raise ConfigurationError(f"{where}: action must be 'store', 'short' or 'bypass', not {rule.action!r}")
    if rule.action == "short" and not (isinstance(rule.ttl, int | float) and rule.ttl > 0):
        raise ConfigurationError(f"{where}: action 'short' needs ttl, a number of seconds above 0, not {rule.ttl!r}")
    if rule.action != "short" and rule.ttl is not None:
        raise ConfigurationError(f"{where}: ttl goes with action 'short' only, not with {rule.action!r}")


def _check_patterns(where: str, opening: object, anywhere: object) -> None:
    for patterns in (opening, anywhere):
        if not isinstance(patterns, tuple) or not all(isinstance(pattern, str) for pattern in patterns):
            raise ConfigurationError(f"{where}: patterns must be a tuple of str, not {patterns!r}")
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigurationError(f"{where}: {pattern!r} is not a regular expression: {error}") from error
    if not opening and not anywhere:
        raise ConfigurationError(f"{where}: neither opening nor anywhere holds a pattern, so it can never hold")
