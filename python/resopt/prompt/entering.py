"""A text as it is sent: shortened when it enters a conversation, and the same bytes ever after."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from resopt.prompt.compress import compress_context
from resopt.prompt.counting import encoding_of
from resopt.prompt.dense import compact
from resopt.prompt.material import material_of, question_of
from resopt.prompt.optimizer import Level, optimize_prompt

if TYPE_CHECKING:
    from resopt.prompt.bodies import Spot
    from resopt.prompt.prefix import PrefixPlanner
    from resopt.types import Request

_REMEMBERED = 4096
_LONGEST_REMEMBERED = 1 << 20
LEAST_MATERIAL = 400
"""Characters from which a text is material that a question may be asked about."""


class Shortened(msgspec.Struct, frozen=True):
    """What became of one text."""

    text: str
    before: int
    after: int
    rules: dict[str, int]


class Texts:
    """What became of the texts seen so far: a bounded memo, so that what entered once is sent the same way again.

    Args:
        level: of the rules; None applies none.
        context: share of the words of fresh material to keep; None leaves it alone.
        protect: marks between which nothing is touched.
        examples: how many examples level `strong` keeps.
        planner: says what may be rewritten of what a provider may have cached.
    """

    def __init__(
        self,
        level: Level | None,
        context: float | None,
        protect: list[tuple[str, str]],
        examples: int,
        planner: PrefixPlanner,
    ) -> None:
        self._level, self._context, self._protect, self._examples = level, context, protect, examples
        self._planner = planner
        self._memo: OrderedDict[bytes, Shortened] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._memo)

    def entered(self, spot: Spot, question: str, request: Request, behind: int) -> Shortened | None:
        """A text as it is sent: made when it enters, the same ever after; None for one that must be left alone.

        Args:
            spot: the text.
            question: what the user asked when it entered; the same text asked about otherwise is cut otherwise.
            request: whose it is.
            behind: tokens before it.
        """
        key = self._key(spot, request.model, "" if self._context is None else question)
        with self._lock:
            known = self._memo.get(key)
            if known is not None:
                self._memo.move_to_end(key)
        if known is not None:
            return known
        if not spot.fresh:
            tokens = encoding_of(request.model).count(spot.text)
            could = self.ruled(spot, request.model)
            verdict = self._planner.judge(request.api, request.model, behind + tokens, behind + could.after)
            if not verdict.rewrite:
                return None if could.text != spot.text else could
        done = self.ruled(spot, request.model)
        if spot.kind == "result" or (self._context is not None and len(spot.text) >= LEAST_MATERIAL):
            done = self._cut(spot, done, question, request.model)
        self._remember(key, done)
        return done

    def _cut(self, spot: Spot, done: Shortened, question: str, model: str) -> Shortened:
        """Results in their compact form; with `context`, material without what the question is not about."""
        text, rules = done.text, dict(done.rules)
        if spot.kind == "result":
            text, rules = compact(text), {}
        count = encoding_of(model).count
        after = count(text)
        if spot.kind == "result":
            rules = {"tool result": done.before - after}
        if self._context is not None:
            cut = self._about(text, question, model)
            tokens = count(cut)
            if tokens < after:
                rules["context"] = after - tokens
                text, after = cut, tokens
        if after >= done.before:
            return done if spot.kind != "result" else Shortened(spot.text, done.before, done.before, {})
        return Shortened(text, done.before, after, {rule: tokens for rule, tokens in rules.items() if tokens})

    def _about(self, text: str, question: str, model: str) -> str:
        """The text without what the question is not about: its own question where it has one, and its own material."""
        place = material_of(text)
        if place is None and question and question not in text:
            place = (0, len(text))
        own = question_of(text) or question
        if place is None or not own:
            return text
        start, end = place
        if any(mark in text[start:end] for mark, _ in self._protect):
            return text
        cut = compress_context(text[start:end].strip("\n"), own, share=self._context, model=model)
        if not cut.compressed:
            return text
        return f"{text[:start]}\n{cut.context}\n{text[end:]}" if start else cut.context + text[end:]

    def ruled(self, spot: Spot, model: str) -> Shortened:
        """A text after the rules; results of tools are nobody's instructions."""
        key = b"rules" + self._key(spot, model)
        with self._lock:
            known = self._memo.get(key)
        if known is not None:
            return known
        if self._level is None or spot.kind == "result":
            tokens = encoding_of(model).count(spot.text)
            done = Shortened(spot.text, tokens, tokens, {})
        else:
            found = optimize_prompt(
                spot.text,
                self._level,
                protect=self._protect,
                examples=self._examples,
                brevity=spot.leads,
                model=model or None,
            )
            done = Shortened(found.text, found.tokens_before, found.tokens_after, found.saved_by_rule)
        self._remember(key, done)
        return done

    def _key(self, spot: Spot, model: str, question: str = "") -> bytes:
        """A digest of the text, of the question it came with, and of who counts its tokens."""
        parts = (spot.kind, str(spot.leads), model, question, spot.text)
        return hashlib.blake2b(
            b"\0".join(str(len(part)).encode() + b":" + part.encode("utf-8", "surrogatepass") for part in parts),
            digest_size=16,
        ).digest()

    def _remember(self, key: bytes, done: Shortened) -> None:
        if len(done.text) > _LONGEST_REMEMBERED:
            return
        with self._lock:
            self._memo[key] = done
            self._memo.move_to_end(key)
            while len(self._memo) > _REMEMBERED:
                self._memo.popitem(last=False)
