"""A text as it is sent: shortened when it enters a conversation, and the same bytes ever after."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from resopt.prompt.compress import compress_context
from resopt.prompt.counting import encoding_of
from resopt.prompt.dense import compact
from resopt.prompt.material import materials_of, question_of, without
from resopt.prompt.optimizer import Level, optimize_prompt

if TYPE_CHECKING:
    from resopt.prompt.bodies import Spot

_TEXTS = 4096
_TEXT_BYTES = 32 << 20
_DECISIONS = 65_536
_OVERHEAD = 400
"""Bytes of an entry besides its text: its key, its figures, its place in the dict."""
LEAST_MATERIAL = 400
"""Characters from which a text is material that a question may be asked about."""

Form: TypeAlias = Literal["whole", "ruled", "cut"]
"""As it is; by what is the same whatever is asked (rules, compact results); and cut to a question besides."""


class Shortened(msgspec.Struct, frozen=True):
    """What became of one text, and why material in it was left whole, where it was."""

    text: str
    before: int
    after: int
    rules: dict[str, int]
    note: str = ""


class Decisions:
    """What was decided about the texts that have entered, by digest; the longest unused are forgotten first.

    A text can be made anew from what it was, but not whether it was sent so: a provider may have either in its cache.
    So this memory is its own, and holds far more than that of the texts.
    """

    def __init__(self, most: int = _DECISIONS) -> None:
        self._most = most
        self._forms: OrderedDict[bytes, Form] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._forms)

    def get(self, *keys: bytes) -> Form | None:
        """The form in which the first known of some keys is sent."""
        with self._lock:
            for key in keys:
                form = self._forms.get(key)
                if form is not None:
                    self._forms.move_to_end(key)
                    return form
        return None

    def keep(self, key: bytes, form: Form) -> None:
        """Remember a form; one that is known already stays."""
        with self._lock:
            self._forms.setdefault(key, form)
            self._forms.move_to_end(key)
            while len(self._forms) > self._most:
                self._forms.popitem(last=False)


class Texts:
    """The forms of texts, and a bounded memory of those that are shorter than the original.

    Args:
        level: of the rules; None applies none.
        context: share of the words of fresh material to keep; None leaves it alone.
        protect: marks between which nothing is touched.
        examples: how many examples level `strong` keeps.
    """

    def __init__(
        self, level: Level | None, context: float | None, protect: list[tuple[str, str]], examples: int
    ) -> None:
        self._level, self._context, self._protect, self._examples = level, context, protect, examples
        self._memo: OrderedDict[bytes, tuple[str | None, Shortened, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._memo)

    @property
    def size(self) -> int:
        """Bytes that are remembered."""
        return self._bytes

    def key(self, spot: Spot, model: str) -> bytes:
        """A digest of a text and of who counts its tokens."""
        who = f"{spot.kind} {spot.leads} {model}"
        return digest(who.encode("utf-8", "replace"), spot.text.encode("utf-8", "surrogatepass"))

    def made(self, spot: Spot, form: Form, question: str, model: str) -> Shortened:
        """A text in one of its forms: always the same for the same text and question.

        Args:
            spot: the text.
            form: which of them.
            question: what the user asked when the text entered; it matters to material only.
            model: whose tokens are counted.
        """
        long = self._context is not None and len(spot.text) >= LEAST_MATERIAL
        cut = form == "cut" and long and spot.kind != "head"
        asked = question.encode("utf-8", "surrogatepass") if cut else b""
        key = digest(b"cut" if cut else form.encode(), asked, self.key(spot, model))
        with self._lock:
            known = self._memo.get(key)
            if known is not None:
                self._memo.move_to_end(key)
        if known is not None:
            done = known[1]
            return msgspec.structs.replace(done, text=spot.text) if known[0] is None else done
        if form == "whole":
            tokens = encoding_of(model).count(spot.text)
            done = Shortened(spot.text, tokens, tokens, {})
        else:
            done = self._compact(spot, model) if spot.kind == "result" else self._ruled(spot, model)
            done = self._cut(spot, done, question, model) if cut else done
        self._remember(key, done, spot.text)
        return done

    def _ruled(self, spot: Spot, model: str) -> Shortened:
        if self._level is None:
            tokens = encoding_of(model).count(spot.text)
            return Shortened(spot.text, tokens, tokens, {})
        found = optimize_prompt(
            spot.text,
            self._level,
            protect=self._protect,
            examples=self._examples,
            brevity=spot.leads,
            model=model or None,
        )
        return Shortened(found.text, found.tokens_before, found.tokens_after, found.saved_by_rule)

    def _compact(self, spot: Spot, model: str) -> Shortened:
        """A result in its compact form: results of tools are nobody's instructions, so no rule reads them."""
        return _less(spot.text, compact(spot.text), "tool result", model)

    def _cut(self, spot: Spot, done: Shortened, question: str, model: str) -> Shortened:
        """Material without what the question is not about; what is left of a result is made compact after that."""
        if spot.kind != "result":
            text, note = self._about(done.text, question, model)
            return _shorter(done, text, "context", model, note)
        if not question or any(mark in spot.text for mark, _ in self._protect):
            return done
        found = compress_context(spot.text, question, share=self._context, model=model or None)
        if not found.compressed:
            return msgspec.structs.replace(done, note=found.reason)
        return _shorter(done, compact(found.context), "context", model)

    def _about(self, text: str, question: str, model: str) -> tuple[str, str]:
        """The user's text without what its question is not about, where it says what is material; or why not."""
        places = materials_of(text)
        own = question_of(without(text, places)) or question
        inside = [text[start:end] for start, end in places]
        if not places or not own or any(mark in part for part in inside for mark, _ in self._protect):
            return text, ""
        passages = [{"text": part.strip("\n"), "at": at} for at, part in enumerate(inside)]
        cut = compress_context(passages, own, share=self._context, model=model or None)
        if not cut.compressed:
            return text, cut.reason
        kept = {passage["at"]: passage["text"] for passage in cut.context}
        pieces, behind = [], 0
        for at, (start, end) in enumerate(places):
            pieces += [text[behind:start].rstrip("\n"), "\n", str(kept.get(at, "")), "\n"]
            behind = end
        return "".join(pieces) + text[behind:].lstrip("\n"), ""

    def _remember(self, key: bytes, done: Shortened, original: str) -> None:
        text = None if done.text == original else done.text
        kept = msgspec.structs.replace(done, text="") if text is None else done
        size = _OVERHEAD + (0 if text is None else sys.getsizeof(text))
        if size > _TEXT_BYTES // 4:
            return
        with self._lock:
            old = self._memo.pop(key, None)
            self._bytes += size - (0 if old is None else old[2])
            self._memo[key] = (text, kept, size)
            while len(self._memo) > _TEXTS or self._bytes > _TEXT_BYTES:
                self._bytes -= self._memo.popitem(last=False)[1][2]


def digest(*parts: bytes) -> bytes:
    """A digest of some parts, each by itself."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(b"%d:" % len(part))
        made.update(part)
    return made.digest()


def _less(before: str, after: str, rule: str, model: str) -> Shortened:
    count = encoding_of(model).count
    tokens = count(before)
    fewer = tokens if after == before else count(after)
    if fewer >= tokens:
        return Shortened(before, tokens, tokens, {})
    return Shortened(after, tokens, fewer, {rule: tokens - fewer})


def _shorter(done: Shortened, text: str, rule: str, model: str, note: str = "") -> Shortened:
    """What was done so far and one thing more, where that saves tokens."""
    after = done.after if text == done.text else encoding_of(model).count(text)
    if after >= done.after:
        return msgspec.structs.replace(done, note=note) if note else done
    rules = {**done.rules, rule: done.rules.get(rule, 0) + done.after - after}
    return Shortened(text, done.before, after, rules)
