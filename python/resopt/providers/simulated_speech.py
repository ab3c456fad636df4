"""What the simulated model says to a prompt, whatever the API: text, tool calls, JSON, refusals, thoughts.

The files of the APIs translate their requests into a `Prompt` and write the `Answer` in their own shape.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import msgspec

from resopt.providers.simulated_answers import (
    SimulatedModel,
    answer,
    count_prompt_tokens,
    count_tokens,
    cut,
    fold,
    seeded,
    text_of,
)
from resopt.providers.simulated_schema import sample
from resopt.providers.simulated_wishes import Wishes

Ending = Literal["stop", "length", "filter", "tools", "refusal"]

_REFUSAL = "I'm sorry, but I cannot help with that."
_TOKENS_PER_IMAGE = 85
_CACHED_FROM = 1024
_CACHED_STEP = 128
_MOST_PREFIXES = 4096
_IMAGES = ("image_url", "input_image", "image")


class Tool(msgspec.Struct, frozen=True):
    """A tool that the model may call."""

    name: str
    parameters: Any = None


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool; the arguments are JSON."""

    id: str
    name: str
    arguments: str


class Prompt(msgspec.Struct, kw_only=True):
    """A request in the simulator's own terms.

    Attributes:
        messages: dicts of `role` and `content` (a str, or parts).
        tools: what may be called.
        choice: `auto`, `none`, `required`, or `=NAME` for one tool.
        parallel: whether several tools may be called at once.
        schema: JSON schema of the answer; None for plain text.
        limit: most tokens of the answer.
        stops: texts that end the answer before them.
    """

    messages: list[dict[str, Any]]
    tools: list[Tool] = []
    choice: str = "auto"
    parallel: bool = True
    schema: Any = None
    limit: int | None = None
    stops: list[str] = []

    @property
    def question(self) -> str:
        """The text of the last message."""
        return text_of(self.messages[-1].get("content")) if self.messages else ""

    @property
    def images(self) -> int:
        """How many images the messages carry."""
        contents = [message.get("content") for message in self.messages]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        return sum(isinstance(part, dict) and part.get("type") in _IMAGES for part in parts)

    @property
    def tokens(self) -> int:
        """Tokens of the whole prompt."""
        return count_prompt_tokens(self.messages) + _TOKENS_PER_IMAGE * self.images


class Answer(msgspec.Struct, kw_only=True):
    """What the model says, before an API gives it a shape."""

    text: str = ""
    calls: list[ToolCall] = []
    refusal: str | None = None
    reasoning: str | None = None
    ending: Ending = "stop"
    stop_sequence: str | None = None

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the thoughts."""
        return count_tokens(self.reasoning or "")

    @property
    def tokens(self) -> int:
        """Tokens of all of it."""
        calls = sum(count_tokens(call.name) + count_tokens(call.arguments) for call in self.calls)
        return count_tokens(self.text) + count_tokens(self.refusal or "") + calls + self.reasoning_tokens


class Moment(msgspec.Struct, kw_only=True):
    """Everything beside the request that a reply depends on.

    Attributes:
        seed: the server's.
        model: the model asked.
        wishes: what this request asks of the simulator.
        number: the number of the request, for identifiers.
        now: Unix time in whole seconds.
        memory: the prompts seen before.
    """

    seed: int
    model: SimulatedModel
    wishes: Wishes
    number: int
    now: int
    memory: PromptMemory

    def identify(self, prefix: str, *parts: object) -> str:
        """An identifier: of this request alone, or when `parts` are given the same for all equal ones."""
        if not parts:
            return f"{prefix}{self.seed:x}-{self.number:x}"
        return f"{prefix}{seeded('id', self.seed, self.model.name, *parts).getrandbits(64):016x}"


class PromptMemory:
    """Beginnings of prompts seen before, as an API's prompt cache keeps them."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}

    def meet(self, digest: bytes) -> bool:
        """Whether it was seen before; from now on it was."""
        known = self._seen.pop(digest, 0) is None
        self._seen[digest] = None
        if len(self._seen) > _MOST_PREFIXES:
            del self._seen[next(iter(self._seen))]
        return known

    def cached_tokens(self, model: str, prompt: Prompt) -> int:
        """Tokens of the longest beginning seen before: whole messages, from 1024 tokens, in steps of 128."""
        if prompt.tokens < _CACHED_FROM:
            return 0
        digest = hashlib.blake2b(model.encode(), digest_size=16)
        cached, around = 0, count_prompt_tokens([])
        tokens = around
        for message in prompt.messages:
            digest.update(msgspec.json.encode(message))
            tokens += Prompt(messages=[message]).tokens - around
            if tokens >= _CACHED_FROM and self.meet(digest.digest()):
                cached = tokens // _CACHED_STEP * _CACHED_STEP
        return cached


def compose(prompt: Prompt, moment: Moment, choice: int = 0) -> Answer:
    """What the model says; depends on the seed, the prompt, the wishes and the number of the choice alone."""
    wishes = moment.wishes
    reasoning = _think(prompt, moment, choice) if wishes.reasoning else None
    if wishes.fault == "filter":
        return Answer(ending="filter", reasoning=reasoning)
    if wishes.refusal:
        return Answer(refusal=_REFUSAL, ending="refusal", reasoning=reasoning)
    if wishes.blank:
        return Answer(reasoning=reasoning)
    calls = _call_tools(prompt, moment, choice)
    if calls:
        text = answer(moment.seed, moment.model.name, prompt.messages, choice) if wishes.text else ""
        return Answer(text=text, calls=calls, ending="tools", reasoning=reasoning)
    if prompt.schema is not None:
        value = sample(prompt.schema, _draw("json", prompt, moment, choice))
        text = json.dumps(value, ensure_ascii=False)  # with blanks, so that a stream has more than one piece
    else:
        text = answer(moment.seed, moment.model.name, prompt.messages, choice)
    return _finish(text, reasoning, prompt, wishes)


def _finish(text: str, reasoning: str | None, prompt: Prompt, wishes: Wishes) -> Answer:
    """The text up to a stop sequence or the token limit."""
    found = {text.index(stop): stop for stop in prompt.stops if stop and stop in text}
    stopped = found[min(found)] if found else None
    if found:
        text = text[: min(found)]
    limit = max(1, count_tokens(text) // 2) if wishes.fault == "truncate" else prompt.limit
    if limit is not None and count_tokens(text) > limit:
        return Answer(text=cut(text, limit), ending="length", reasoning=reasoning)
    return Answer(text=text, stop_sequence=stopped, reasoning=reasoning)


def _draw(purpose: str, prompt: Prompt, moment: Moment, choice: int) -> Any:
    context = [f"{message.get('role')}:{text_of(message.get('content'))}" for message in prompt.messages[:-1]]
    return seeded(purpose, moment.seed, moment.model.name, choice, *context, fold(prompt.question))


def _think(prompt: Prompt, moment: Moment, choice: int) -> str:
    thoughts = answer(moment.seed, f"{moment.model.name} thinking", prompt.messages, choice)
    return f"Let me think. {thoughts}"


def _call_tools(prompt: Prompt, moment: Moment, choice: int) -> list[ToolCall]:
    """The calls that the prompt demands or the wishes ask for."""
    wished = moment.wishes.tools
    if not prompt.tools or prompt.choice == "none" or (prompt.choice == "auto" and not wished):
        return []
    tools = prompt.tools
    if prompt.choice.startswith("="):
        tools = [tool for tool in tools if tool.name == prompt.choice[1:]] or [Tool(prompt.choice[1:])]
    draw = _draw("tools", prompt, moment, choice)
    calls = []
    for position in range(max(1, wished) if prompt.parallel else 1):
        tool = tools[position % len(tools)]
        filled = sample(tool.parameters, draw) or {}
        name = f"call_{draw.getrandbits(64):016x}"
        calls.append(ToolCall(name, tool.name, msgspec.json.encode(filled).decode()))
    return calls


def pieces(text: str) -> list[str]:
    """The text as a stream brings it: word by word, each with the blank before it."""
    if not text:
        return []
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def logprobs(text: str, most: int) -> list[dict[str, Any]]:
    """One entry per piece: its token, how probable it was, and the `most` most probable tokens in its place."""
    entries = []
    for position, token in enumerate(pieces(text)):
        draw = seeded("logprobs", position, token)
        own = -round(draw.random(), 6)
        tops = [(token, own), *((f" other{rank}", own - rank) for rank in range(1, most))][:most]
        entries.append(
            {
                "token": token,
                "logprob": own,
                "bytes": list(token.encode()),
                "top_logprobs": [{"token": top, "logprob": p, "bytes": list(top.encode())} for top, p in tops],
            }
        )
    return entries
