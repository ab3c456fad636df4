"""Which form of each text of a conversation is sent: decided once, when it enters, and replayed ever after."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from resopt.prompt.beginning import Trail, beginning
from resopt.prompt.bodies import Place, Spot, listed_messages, replaced, spots, tools_text
from resopt.prompt.counting import encoding_of
from resopt.prompt.entering import LEAST_MATERIAL, Decisions, Form, Shortened, Texts, digest
from resopt.tokens.count import count_tokens
from resopt.types import Request

if TYPE_CHECKING:
    from resopt.prompt.prefix import PrefixPlanner, Verdict

_SENT = 65_536


class Replayed(msgspec.Struct, frozen=True):
    """What is sent of a request's texts.

    Attributes:
        texts: new texts by place.
        before: tokens of all texts, tools included.
        saved: tokens that are not sent.
        replayed: how many of those are of earlier turns, or of what every call begins with.
        rules: tokens saved by rule.
        left: texts that were left because a provider may have them in its prefix cache.
        notes: why, and why material was left whole that could have been cut.
    """

    texts: dict[Place, str]
    before: int
    saved: int
    replayed: int
    rules: Counter[str]
    left: int
    notes: list[str]


class Replay:
    """The texts of conversations, each in the form in which it was sent first.

    A text that enters behind everything a provider may have is shortened. One that a provider may have already, in
    front of a caller's mark or of an answer that this process knows nothing of, is never cut to a question, and
    rewritten by rules only where the planner says that it pays. Either way the decision is remembered.

    Args:
        texts: makes the forms.
        planner: says whether rewriting a prefix pays.
        cuts: whether material is cut to questions.
    """

    def __init__(self, texts: Texts, planner: PrefixPlanner, *, cuts: bool) -> None:
        self._texts, self._planner, self._cuts = texts, planner, cuts
        self._decisions = Decisions()
        self._sent = Decisions(_SENT)

    def shortened(self, request: Request) -> Replayed:
        """What to send of a request."""
        every = spots(request.body, request.api)
        trail = Trail(listed_messages(request.body, request.api))
        ends = self._ends(trail)
        asked = _questions(every, ends)
        start = beginning(request.body, request.api)
        kept = {spot.place for spot in spots(start, request.api)}
        verdict: Verdict | None = None
        done: dict[Place, Shortened] = {}
        notes: list[str] = []
        left = 0
        for spot, question in zip(every, asked, strict=True):
            held = spot.place in kept
            enters = spot.fresh and (spot.message >= ends[-1] if spot.kind == "head" or spot.message >= 0 else True)
            form, key = self._known(spot, question, request.model, trail, shared=held, enters=enters)
            if form is None:
                form = "ruled" if held or not enters else "cut"
                made = self._texts.made(spot, form, question, request.model)
                notes += [f"material left whole: {made.note}"] if made.note else []
                if made.text != spot.text:
                    if held and not (enters and spot.turn):
                        verdict = verdict or self._verdict(request, start)
                        form = form if verdict.rewrite else "whole"
                        notes += [] if verdict.rewrite else [verdict.reason]
                    self._decisions.keep(key, form)
            elif form == "whole":
                notes.append("in a cached prefix, and left as it was")
            left += form == "whole"
            done[spot.place] = self._texts.made(spot, form, question, request.model)
        if self._cuts and trail.through:
            self._sent.keep(trail.through[-1], "whole")
        return self._summed(request, every, done, left, notes)

    def _known(
        self, spot: Spot, question: str, model: str, trail: Trail, *, shared: bool, enters: bool
    ) -> tuple[Form | None, bytes]:
        """The form decided earlier, if any, and the key under which a new one is kept.

        A text that a provider may share among questions has one decision for all of them.
        """
        at, text = spot.message, self._texts.key(spot, model)
        if spot.kind == "head" and (at < 0 or spot.turn == 0):
            key = digest(text, trail.first)
            return self._decisions.get(key, digest(text, b"")), key  # the latter where nobody had said anything yet
        base = digest(text, trail.starts[at] if at >= 0 else b"")
        if not self._cuts or (shared and enters):
            return self._decisions.get(base), base
        own = digest(base, question.encode("utf-8", "surrogatepass"))
        return self._decisions.get(*([own] if enters else [own, base])), own

    def _ends(self, trail: Trail) -> list[int]:
        """Where requests that were sent earlier ended, as counts of messages: what they asked is settled."""
        if not self._cuts:
            return [0]
        known = [at + 1 for at, key in enumerate(trail.through[:-1]) if self._sent.get(key) is not None]
        return [0, *known]

    def _verdict(self, request: Request, start: dict[str, object]) -> Verdict:
        """Whether to rewrite the beginning of a conversation, judged by all of it, answers included."""
        texts = {
            spot.place: self._texts.made(spot, "ruled", "", request.model).text for spot in spots(start, request.api)
        }
        before, after = (
            count_tokens(Request(body=body, api=request.api), request.model or None).high
            for body in (start, replaced(start, texts))
        )
        return self._planner.judge(request.api, request.model, before, after)

    def _summed(
        self, request: Request, every: list[Spot], done: dict[Place, Shortened], left: int, notes: list[str]
    ) -> Replayed:
        text = tools_text(request.body, lambda tools: msgspec.json.encode(tools, enc_hook=repr))
        changed = [(spot.place, done[spot.place]) for spot in every if done[spot.place].text != spot.text]
        newest = max((spot.turn for spot in every), default=0)
        earlier = {spot.place for spot in every if spot.kind == "head" or spot.turn < newest}
        rules: Counter[str] = Counter()
        for _, made in changed:
            rules.update(made.rules)
        return Replayed(
            {place: made.text for place, made in changed},
            sum(made.before for made in done.values()) + (encoding_of(request.model).count(text) if text else 0),
            sum(made.before - made.after for _, made in changed),
            sum(made.before - made.after for place, made in changed if place in earlier),
            rules,
            left,
            notes,
        )


def _questions(every: list[Spot], ends: list[int]) -> list[str]:
    """What the user asked when each text entered: the last text of theirs in its turn, or before, that is not long.

    A turn is over with an answer, and where a request that was sent had its end.
    """
    turns = [(spot.turn, bisect_right(ends, spot.message)) for spot in every]
    asked: dict[tuple[int, int], str] = {}
    question = ""
    for spot, turn in zip(every, turns, strict=True):
        if spot.kind == "user" and len(spot.text) < LEAST_MATERIAL:
            question = spot.text
        if spot.kind != "head":
            asked[turn] = question
    return [asked.get(turn, "") for turn in turns]
