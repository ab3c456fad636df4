"""`AnswerLength`: how long the answers of a template are, and from that how long the next may be.

Per template and model a running quantile of output tokens, with head-room, caps what the provider may write: a runaway
answer ends early, an ordinary one never meets the cap. An answer that did is asked for once more without it.

A stream cannot be asked for again: its first words have been read by then. So streams have no cap unless `streams=True`
asks for it, and then only a loose one on strong evidence, which is given up for good the first time that it cuts.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from resopt._core import Sketch
from resopt.errors import ConfigurationError
from resopt.stage import CUT_OFF, Cap

if TYPE_CHECKING:
    from resopt.types import Request, Response

_FIELDS = {
    "openai.chat": ("max_completion_tokens", "max_tokens"),
    "openai.responses": ("max_output_tokens",),
    "anthropic.messages": ("max_tokens",),
}
"""Where each shape says how long an answer may be; the first is the one we set."""

_LEAST_CAP = 64
_DIGITS = re.compile(r"\d+")
_TEMPLATES = 4096

_STREAM_EVIDENCE = 4
"""By how much more answers a template must have had before its streams are capped."""

_STREAM_ROOM = 2.0
"""By what the longest answer ever is multiplied for the cap of a stream. An answer longer than the n before it comes
once in n + 1 (exchangeability alone); one twice as long as all of those is a runaway, as far as lengths can tell."""


class _Template:
    """What is known of one template: its answers' lengths, and by how much caps proved too low."""

    __slots__ = ("lengths", "longest", "room", "spares_streams")

    def __init__(self, room: float) -> None:
        self.lengths = Sketch(0.02, 256)
        self.room = room
        self.longest = 0
        self.spares_streams = False


class AnswerLength:
    """Caps answers at what their template has needed so far, with head-room.

    Thread-safe and bounded: the 4,096 templates used last are kept. A template is the model, the system prompt, the
    tools and the response format; without a system prompt, the first line of the question with its numbers left out.

    Args:
        quantile: of the answers' lengths, on which the cap is based.
        head_room: by what it is multiplied.
        least: answers after which a template has a cap.
        streams: cap streams too, at twice the longest answer ever, or the ordinary cap where that is higher, once the
            template has had 4 * `least` answers. One that the cap cuts off stays cut: what was read cannot be taken
            back. It is marked in its trace, never kept in the cache, and the template's streams are not capped again.

    Attributes:
        repeated: answers asked for once more because our cap had cut them off.
        cuts: streams that our cap cut off.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self, *, quantile: float = 0.99, head_room: float = 1.5, least: int = 50, streams: bool = False
    ) -> None:
        _number("quantile", quantile, 0.5, 1.0)
        _number("head_room", head_room, 1.0, 100.0)
        if type(least) is not int or least < 1:
            raise ConfigurationError(f"least must be a whole number from 1 up, not {least!r}")
        if not isinstance(streams, bool):
            raise ConfigurationError(f"streams must be a bool, not {type(streams).__name__}")
        self.quantile, self.head_room, self.least = float(quantile), float(head_room), least
        self.streams = streams
        self.repeated = self.cuts = 0
        self._templates: OrderedDict[bytes, _Template] = OrderedDict()
        self._lock = threading.Lock()

    def plan(self, request: Request) -> int | None:
        """The cap for a request's answer, or None where it gets none.

        There is none for a template seen too rarely, for streams unless asked for (what was cut off could not be taken
        back), or where the caller has set a lower one.
        """
        streamed = bool(request.body.get("stream"))
        if request.api not in _FIELDS or (streamed and not self.streams):
            return None
        with self._lock:
            template = self._templates.get(_template_of(request))
            enough = self.least * (_STREAM_EVIDENCE if streamed else 1)
            if template is None or template.lengths.count < enough or (streamed and template.spares_streams):
                return None
            length = template.lengths.quantile(self.quantile)
            room, longest = template.room, template.longest
        cap = max(_LEAST_CAP, math.ceil((length or 0) * room))
        if streamed:
            cap = max(cap, math.ceil(longest * _STREAM_ROOM))
        own = _own_cap(request)
        return None if own is not None and (own <= cap or not request.api.startswith("anthropic")) else cap

    def capped(self, request: Request, stage: str = "prompt") -> tuple[Request, Cap | None]:
        """The request with its cap, and that; the request itself and None where it gets none."""
        tokens = self.plan(request)
        if tokens is None:
            return request, None
        field = _FIELDS[request.api][0]
        cap = Cap(stage, field, tokens, request.body.get(field), _template_of(request))
        return msgspec.structs.replace(request, body={**request.body, field: tokens}), cap

    def cut(self, cap: Cap, *, streamed: bool) -> None:
        """Take note that a cap was too low: the next leaves more room; a template's streams have none from then on."""
        with self._lock:
            template = self._templates.get(cap.template)
            self.cuts += streamed
            self.repeated += not streamed
            if template is not None and streamed:
                template.spares_streams = True
            elif template is not None:
                template.room = min(template.room * 1.5, 100.0)

    def watch(self, request: Request, response: Response) -> None:
        """As `learn`, for answers that had no cap: count those that would have been cut off."""
        tokens = self.plan(request)
        if tokens is not None and response.usage is not None and response.usage.output_tokens > tokens:
            with self._lock:
                streamed = bool(request.body.get("stream"))
                self.cuts += streamed
                self.repeated += not streamed
        self.learn(request, response)

    def learn(self, request: Request, response: Response) -> None:
        """Take note of an answer's length; one that was cut off says nothing of it."""
        if request.api not in _FIELDS:
            return
        if response.finish_reason in CUT_OFF or response.usage is None:
            return
        key = _template_of(request)
        with self._lock:
            template = self._templates.pop(key, None) or _Template(self.head_room)
            self._templates[key] = template
            while len(self._templates) > _TEMPLATES:
                self._templates.popitem(last=False)
            template.lengths.add(float(response.usage.output_tokens))
            template.longest = max(template.longest, response.usage.output_tokens)


def _own_cap(request: Request) -> int | None:
    caps = [request.body.get(field) for field in _FIELDS[request.api]]
    return min((cap for cap in caps if type(cap) is int), default=None)


def _template_of(request: Request) -> bytes:
    body = request.body
    messages = body.get("messages", body.get("input"))
    listed = messages if isinstance(messages, list) else []
    head = [
        message.get("content")
        for message in listed
        if isinstance(message, dict) and message.get("role") in ("system", "developer")
    ]
    head += [body.get("system"), body.get("instructions")]
    if not any(head):
        head = [_DIGITS.sub("", (request.question or "").partition("\n")[0])[:200]]
    shape = [request.api, request.model, head, body.get("tools"), body.get("response_format"), body.get("text")]
    shape += [body.get("reasoning_effort"), body.get("reasoning"), body.get("thinking")]
    return hashlib.blake2b(msgspec.json.encode(shape, enc_hook=repr), digest_size=16).digest()


def _number(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise ConfigurationError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
