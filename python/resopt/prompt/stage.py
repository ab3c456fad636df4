"""`PromptOptimizer`: the stage of the pipeline that sends less, and never more than it can answer for.

What enters a conversation is shortened once, when it enters, and the same bytes are sent for ever after: a provider's
cached prefix stays what it was. Whatever goes wrong here, the caller's own words are sent.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from resopt.errors import ConfigurationError
from resopt.prompt.bodies import APIS, replaced
from resopt.prompt.compress import check_share
from resopt.prompt.entering import Texts
from resopt.prompt.length import AnswerLength
from resopt.prompt.optimizer import KEPT_EXAMPLES, LEVELS, Level, check_markers, optimize_prompt
from resopt.prompt.prefix import PrefixPlanner, steady
from resopt.prompt.replay import Replay
from resopt.stage import Cap, Prepared
from resopt.types import Request, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.prompt.optimizer import Markers
    from resopt.types import Response

VERBATIM = "resopt:verbatim"
"""A request with this tag is sent as it is."""


class PromptFigures(msgspec.Struct, frozen=True):
    """What the stage has done so far.

    Attributes:
        requests: requests seen.
        shortened: requests of which less was sent, or would have been in shadow mode.
        tokens: tokens of all texts, tools included, before anything was done.
        tokens_saved: tokens that were not sent.
        by_rule: tokens by rule, most first.
        left_alone: texts that were left because a provider may have them in its prefix cache.
        repeated: answers asked for once more because our cap had cut them off; in shadow mode, that would have been.
        cut: streams that our cap cut off, where `AnswerLength(streams=True)` allows that; in shadow mode, would have.
        failed: requests sent as they were because something went wrong here.
    """

    requests: int
    shortened: int
    tokens: int
    tokens_saved: int
    by_rule: dict[str, int]
    left_alone: int
    repeated: int
    cut: int
    failed: int


class PromptOptimizer:
    """The `prompt` stage: `AsyncOptimizer(provider, stages=[PromptOptimizer()])`.

    System prompts and what the user says are shortened by rules; results of tools are made compact; with `context`,
    long material that came with a question is cut to what the question is about. Works on OpenAI's chat and responses
    and on Anthropic's messages. A request tagged `resopt:verbatim` is sent as it is.

    Args:
        level: as for `optimize_prompt`; None applies no rules.
        context: share of the words of fresh material to keep; True for 0.3, None or False to leave it alone.
        length: an `AnswerLength`, or True for one with the defaults, to cap answers; None or False for no caps.
        shadow: measure, and send the original.
        prefix_cache: put tools and keys in a steady order and mark prefixes for the provider's cache.
        expected_calls: how many further calls are expected to share a prefix. 0 leaves alone every beginning that a
            provider may have cached.
        protect: marks between which nothing is touched, as for `optimize_prompt`.
        examples: how many examples level `strong` keeps.
        applies: whether the stage takes part in a request; it always does when None.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    name = "prompt"

    def __init__(
        self,
        level: Level | None = "light",
        *,
        context: float | bool | None = None,
        length: AnswerLength | bool | None = None,
        shadow: bool = False,
        prefix_cache: bool = False,
        expected_calls: float = 0,
        protect: Markers = (),
        examples: int = KEPT_EXAMPLES,
        applies: Callable[[Request], bool] | None = None,
    ) -> None:
        if level is not None and level not in LEVELS:
            raise ConfigurationError(f"level must be one of {', '.join(LEVELS)}, or None, not {level!r}")
        if length is not None and not isinstance(length, AnswerLength | bool):
            raise ConfigurationError(f"length must be an AnswerLength, a bool or None, not {type(length).__name__}")
        for name, flag in (("shadow", shadow), ("prefix_cache", prefix_cache)):
            if not isinstance(flag, bool):
                raise ConfigurationError(f"{name} must be True or False, not {flag!r}")
        if applies is not None and not callable(applies):
            raise ConfigurationError(f"applies must be a function of a request, or None, not {type(applies).__name__}")
        optimize_prompt("", level or "light", examples=examples)  # the same rules for its arguments, said at once
        self.level = level
        self.context = (
            (0.3 if context else None) if context is None or isinstance(context, bool) else check_share(context)
        )
        self.length = AnswerLength() if length is True else length or None
        self.shadow, self.prefix_cache = shadow, prefix_cache
        self.planner = PrefixPlanner(expected_calls)
        self._applies = applies
        markers = check_markers(protect)
        self._texts = Texts(level, self.context, markers, examples)
        self._replay = Replay(self._texts, self.planner, cuts=self.context is not None)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._by_rule: Counter[str] = Counter()
        settings = [
            level,
            self.context,
            prefix_cache,
            expected_calls,
            check_markers(protect),
            examples,
            self.length is not None,
        ]
        digest = hashlib.blake2b(msgspec.json.encode([1, *settings]), digest_size=6).hexdigest()
        self._policy = "shadow" if shadow else digest

    @property
    def policy(self) -> str:
        """A digest of the settings that change what is sent; in shadow mode nothing is changed."""
        return self._policy

    @property
    def figures(self) -> PromptFigures:
        """What the stage has done so far."""
        with self._lock:
            counts, rules = dict(self._counts), dict(self._by_rule.most_common())
        return PromptFigures(
            requests=counts.get("requests", 0),
            shortened=counts.get("shortened", 0),
            tokens=counts.get("tokens", 0),
            tokens_saved=counts.get("saved", 0),
            by_rule=rules,
            left_alone=counts.get("left", 0),
            repeated=0 if self.length is None else self.length.repeated,
            cut=0 if self.length is None else self.length.cuts,
            failed=counts.get("failed", 0),
        )

    def prepare(self, request: Request) -> Prepared | None:
        """What to send in place of a request; never raises: what fails is sent as it is."""
        try:
            if (
                request.api not in APIS
                or VERBATIM in request.tags
                or not (self._applies is None or self._applies(request))
            ):
                return None
            return self._prepared(request)
        except Exception as error:  # noqa: BLE001 - an error here sends the original
            with self._lock:
                self._counts["failed"] += 1
            return Prepared(request, Step(self.name, "failed", f"{type(error).__name__}: {error}"))

    def again(self, request: Request, response: Response) -> Prepared | None:  # noqa: ARG002
        """None: what our cap cut off is asked for again by way of `cut`."""
        return None

    def cut(self, request: Request, cap: Cap) -> Step:
        """That our cap cut an answer off. A stream cannot be asked for again, and must not pass for whole."""
        streamed = bool(request.body.get("stream"))
        if self.length is not None:
            self.length.cut(cap, streamed=streamed)
        if streamed:
            return Step(self.name, "cut", "our cap cut this stream off: streams of this template are not capped again")
        return Step(self.name, "repeated", "our cap cut the answer off: asked once more without it")

    def learn(self, request: Request, response: Response) -> None:
        """Take note of how long the answer was; in shadow mode, of whether a cap would have cut it too."""
        if self.length is None:
            return
        if self.shadow:
            self.length.watch(request, response)
        else:
            self.length.learn(request, response)

    def _prepared(self, request: Request) -> Prepared | None:
        found = self._replay.shortened(request)
        texts, notes = found.texts, found.notes
        with self._lock:
            self._counts["requests"] += 1
            self._counts["left"] += found.left
            self._counts["shortened"] += bool(texts)
            self._counts["tokens"] += found.before
            self._counts["saved"] += found.saved
            self._by_rule.update(found.rules)
        reason = _reason(found.saved, found.rules, notes)
        if self.shadow:
            return Prepared(request, Step(self.name, "shadow", reason)) if texts or notes else None
        body = replaced(request.body, texts) if texts else request.body
        if self.prefix_cache:
            body = steady(body, request.api)
        sent = request if body is request.body else msgspec.structs.replace(request, body=body)
        capped, cap = (sent, None) if self.length is None else self.length.capped(sent, self.name)
        if capped is request and not notes:
            return None
        action = (
            "shortened" if texts else "capped" if capped is not sent else "marked" if sent is not request else "left"
        )
        return Prepared(
            capped, Step(self.name, action, reason), shortened=found.saved, replayed=found.replayed, cap=cap
        )


def _reason(saved: int, rules: Counter[str], notes: list[str]) -> str:
    parts = [f"{saved} tokens fewer" if saved else ""]
    parts += [", ".join(f"{rule} {tokens}" for rule, tokens in rules.most_common(6))]
    return "; ".join(part for part in (*parts, *dict.fromkeys(notes)) if part)
