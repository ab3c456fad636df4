"""What the simulated provider says: seeded answers, token counts, latencies and prices.

Everything here is a pure function of the seed and its arguments, so that two runs of a demo, test or benchmark see the
same text, the same delays and the same faults.
"""

from __future__ import annotations

import hashlib
import math
import random
import unicodedata
from typing import Any, Literal, get_args

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.checks import require_number, require_seconds

Fault = Literal["429", "500", "timeout", "truncate", "disconnect", "malformed", "html", "empty", "filter"]
"""What can go wrong with a simulated reply; also the values of the request header `x-simulate`."""

FAULTS: tuple[Fault, ...] = get_args(Fault)

_NORMAL_QUANTILE_95 = 1.6448536269514722
"""Quantile 0.95 of the standard normal distribution: how many sigmas the p95 lies above the median."""

_SUBJECTS = (
    "the service", "your request", "a typical setup", "the first step", "this approach", "the common case",
    "the short answer", "the usual team", "the default", "a careful reader", "the second option", "the original design",
)  # fmt: skip
_VERBS = (
    "depends on", "works best with", "usually needs", "is explained by", "can be replaced by", "follows from",
    "is limited by", "should be checked against", "has little to do with", "improves with", "is described in",
)  # fmt: skip
_OBJECTS = (
    "the order of the steps", "a clear goal", "the settings of the account", "a small amount of patience",
    "the version in use", "the rules of the region", "one good example", "the size of the input", "a fresh start",
    "the notes of the last release", "the number of people involved", "a simple test", "the shape of the data",
)  # fmt: skip
_OPENINGS = ("", "", "", "In short, ", "As a rule, ", "In practice, ", "Note that ", "For most people, ", "Today ")


class SimulatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the simulated provider: what it costs and how long it takes.

    Latencies are lognormal, drawn per request from the seed: measured latencies of hosted models are skewed like that.

    Attributes:
        name: the model's name in requests.
        input_price: dollars per million input tokens.
        output_price: dollars per million output tokens.
        p50: median seconds until the answer starts.
        p95: 95th percentile of the same.
        tokens_per_second: pace of the output after that; None sends it at once.
    """

    name: str
    input_price: float
    output_price: float
    p50: float
    p95: float
    tokens_per_second: float | None = None

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"the name of a simulated model must be a str that is not empty, not {name!r}")
        for field in ("input_price", "output_price", "p50", "p95"):
            require_number(f"{field} of {name}", getattr(self, field))
        if self.p95 < self.p50:
            raise ConfigurationError(f"p95 of {self.name} must not be below its p50, {self.p50}, but is {self.p95}")
        if self.p50 == 0 < self.p95:
            raise ConfigurationError(f"p95 of {self.name} must be 0 when its p50 is 0")
        if self.tokens_per_second is not None:
            require_seconds(f"tokens_per_second of {self.name}", self.tokens_per_second)

    def latency(self, draw: random.Random) -> float:
        """Seconds until the answer starts: lognormal through `p50` and `p95`."""
        if self.p50 == 0:
            return 0.0
        sigma = math.log(self.p95 / self.p50) / _NORMAL_QUANTILE_95
        return self.p50 * math.exp(draw.gauss(0.0, sigma))

    def price(self, input_tokens: int, output_tokens: int) -> int:
        """Picodollars of a call (a dollar per million tokens is 1,000,000 picodollars per token)."""
        return input_tokens * round(self.input_price * 1e6) + output_tokens * round(self.output_price * 1e6)


DEFAULT_MODELS: tuple[SimulatedModel, ...] = (
    SimulatedModel(name="gpt-4o", input_price=2.5, output_price=10.0, p50=0.9, p95=2.6),
    SimulatedModel(name="gpt-4o-mini", input_price=0.15, output_price=0.6, p50=0.5, p95=1.4),
    SimulatedModel(name="gpt-3.5-turbo", input_price=0.5, output_price=1.5, p50=0.6, p95=1.5),
)
"""Plausible prices and latencies for a simulation; they are not quoted from anyone."""

OTHER_MODELS: tuple[SimulatedModel, ...] = (
    SimulatedModel(name="claude-sonnet-4-5", input_price=3.0, output_price=15.0, p50=1.0, p95=2.8),
    SimulatedModel(name="claude-haiku-4-5", input_price=1.0, output_price=5.0, p50=0.6, p95=1.6),
    SimulatedModel(name="text-embedding-3-small", input_price=0.02, output_price=0.0, p50=0.1, p95=0.3),
    SimulatedModel(name="text-embedding-3-large", input_price=0.13, output_price=0.0, p50=0.15, p95=0.4),
)
"""More of the kind, for the other APIs; any model answers in any API."""


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """How often each thing goes wrong: shares of all chat requests, drawn from the seed; together at most 1.

    Attributes:
        rate_429: refused with 429.
        rate_500: failed with 500.
        rate_timeout: no reply for `hang` seconds, then the connection is closed.
        rate_truncated: an answer cut in the middle, with finish reason `length`.
        rate_disconnect: the connection is closed in the middle of the body.
        rate_malformed: status 200 with a body that is not JSON.
        retry_after: seconds to send as `Retry-After` with 429, or None for no such header.
        hang: seconds that a `timeout` keeps the connection open; never scaled.
    """

    rate_429: float = 0.0
    rate_500: float = 0.0
    rate_timeout: float = 0.0
    rate_truncated: float = 0.0
    rate_disconnect: float = 0.0
    rate_malformed: float = 0.0
    retry_after: float | None = None
    hang: float = 600.0

    def __post_init__(self) -> None:
        for rate, _ in _RATES:
            require_number(rate, getattr(self, rate), most=1)
        if sum(getattr(self, rate) for rate, _ in _RATES) > 1 + 1e-9:
            raise ConfigurationError("the rates of all faults together must be at most 1")
        require_number("hang", self.hang)
        if self.retry_after is not None:
            require_number("retry_after", self.retry_after)

    def draw(self, draw: random.Random) -> Fault | None:
        """The fault of one request, or None."""
        position = draw.random()
        for rate, fault in _RATES:
            position -= getattr(self, rate)
            if position < 0:
                return fault
        return None


_RATES: tuple[tuple[str, Fault], ...] = (
    ("rate_429", "429"),
    ("rate_500", "500"),
    ("rate_timeout", "timeout"),
    ("rate_truncated", "truncate"),
    ("rate_disconnect", "disconnect"),
    ("rate_malformed", "malformed"),
)


def seeded(*parts: object) -> random.Random:
    """A random generator that depends on `parts` alone, in every process (`hash` of a str would not)."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "little"))  # noqa: S311 - a simulation, not a secret


def fold(question: str) -> str:
    """The question as the simulator understands it: case, white space and closing marks do not matter."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split()).rstrip(".?! ")


def text_of(content: Any) -> str:
    """The text of a message's content: a str, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(_text_of_part, content))
    return ""


def _text_of_part(part: Any) -> str:
    """The text of a part; what is not text is told apart by a digest, so that other images get other answers."""
    if isinstance(part, dict) and "text" in part:
        return str(part["text"])
    digest = hashlib.blake2b(msgspec.json.encode(part, order="deterministic"), digest_size=4).hexdigest()
    return f"[{part.get('type', 'part') if isinstance(part, dict) else 'part'} {digest}]"


def answer(seed: int, model: str, messages: list[dict[str, Any]], choice: int = 0) -> str:
    """Two to seven sentences that depend on the seed, the model, the folded last message and all messages before it."""
    *before, last = messages
    context = [f"{message.get('role')}:{text_of(message.get('content'))}" for message in before]
    question = fold(text_of(last.get("content")))
    draw = seeded("answer", seed, model, choice, *context, question)
    subject = question[:80] or "that"
    sentences = [f"About “{subject}”: {draw.choice(_SUBJECTS)} {draw.choice(_VERBS)} {draw.choice(_OBJECTS)}."]
    for _ in range(draw.randint(1, 6)):
        sentence = f"{draw.choice(_OPENINGS)}{draw.choice(_SUBJECTS)} {draw.choice(_VERBS)} {draw.choice(_OBJECTS)}."
        sentences.append(sentence[0].upper() + sentence[1:])
    return " ".join(sentences)


def count_tokens(text: str) -> int:
    """Estimate of tokens: one per four bytes of UTF-8, rounded up. Good for a simulation, never for a bill."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def count_prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """Estimate for a whole prompt: the texts, four tokens around each message and three before the answer."""
    return 3 + sum(4 + count_tokens(text_of(message.get("content"))) for message in messages)


def cut(text: str, tokens: int) -> str:
    """The longest beginning of `text` that `count_tokens` counts as at most `tokens`."""
    return text.encode("utf-8", "surrogatepass")[: 4 * tokens].decode("utf-8", "ignore")
