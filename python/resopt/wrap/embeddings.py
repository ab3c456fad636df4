"""`embeddings.create`, kept element by element: of a batch, only what is not known yet is sent.

A vector is kept as the 32-bit floats it came as where they are exact, which they are for every provider today, and as
64-bit floats where not, so what is served equals what came bit for bit. The provider bills a batch as a whole; tokens
are apportioned to its elements by length, so the tokens said of a batch that was sent in parts may be a few off, while
what was billed stays exact.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import CacheMissError
from resopt.flight import Landed
from resopt.gates import making
from resopt.types import Request, Response, Step, Usage
from resopt.wrap.metering import let_through
from resopt.wrap.objects import mark

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from resopt.wrap.door import Asked, Door

API = "openai.embeddings"

_LOOKED_UP = Step("cache", "hit", "every element was embedded before")
_ASKED = Step("flight", "asked")
_JOINED = Step("flight", "joined", "another caller was already asking")
_SWITCHED_OFF = Step("cache", "bypass", "switched off for this user")


def begin(door: Door, arguments: dict[str, Any]) -> Batch | None:
    """The call that these arguments make; None when it must pass by."""
    asked = door.read(API, arguments, keyed=False)
    inputs = None if asked is None else elements(asked.request.body.get("input"))
    return None if asked is None or inputs is None else Batch(door, asked, inputs)


class Kept(msgspec.Struct, frozen=True):
    """One element as it is kept, in `Response.body`.

    Attributes:
        vector: the numbers, packed; or the provider's own base64 text, when the caller wanted that.
        packed: the type code of the numbers, empty for text.
        entry: the other fields of the element.
        reply: the other fields of the whole reply.
    """

    vector: str
    packed: str
    entry: dict[str, Any]
    reply: dict[str, Any]

    @classmethod
    def of(cls, entry: dict[str, Any], reply: dict[str, Any]) -> Kept:
        """What to keep of an element of a reply."""
        vector = entry.pop("embedding")
        if isinstance(vector, str):
            return cls(vector, "", entry, reply)
        numbers = array("d", vector)
        narrow = array("f", vector)
        packed = narrow if array("d", narrow) == numbers else numbers
        return cls(b64encode(packed.tobytes()).decode(), packed.typecode, entry, reply)

    def embedding(self) -> Any:
        """The vector as the client library gives it: a list of floats, or base64 text."""
        return array(self.packed, b64decode(self.vector)).tolist() if self.packed else self.vector


class Batch:
    """One call: what of it is known, and what has to be asked for.

    Args:
        door: the client's way into the pipeline.
        asked: the call.
        inputs: its elements, in order.
    """

    def __init__(self, door: Door, asked: Asked, inputs: Sequence[Any]) -> None:
        self._pipeline = door.pipeline
        self._inputs = inputs
        cache = door.pipeline.cache
        # Switched on or off for the whole call, as for every other: an element has no user of its own.
        blind = door.pipeline.trials.blind(asked.request)
        self._decided = (_SWITCHED_OFF,) if blind else ()
        if blind and asked.request.cache != "only":
            request = msgspec.structs.replace(asked.request, cache="bypass")
            asked = msgspec.structs.replace(asked, request=request)
        self._asked, request = asked, asked.request
        self._requests = [msgspec.structs.replace(request, body={**request.body, "input": one}) for one in inputs]
        self._keys = [cache.key(one) for one in self._requests]
        self._found: dict[bytes, Response] = {}
        self._missing: list[int] = []
        missing: set[bytes] = set()
        for position, key in enumerate(self._keys):
            if key in self._found or key in missing:
                continue
            stored = None if blind else cache.lookup(self._requests[position], key)
            if stored is None:
                self._missing.append(position)
                missing.add(key)
            else:
                self._found[key] = stored

    def known(self) -> Any:
        """The answer when every element is known, otherwise None."""
        if self._missing:
            return None
        request, first = self._asked.request, self._found[self._keys[0]]
        response = msgspec.structs.replace(first, usage=self._usage(self._keys), latency=first.latency)
        ages = [stored.trace.age or 0.0 for stored in self._found.values()]
        hit = self._pipeline.accounts.record(
            request,
            response,
            self._asked.started,
            outcome="hit",
            mechanism="exact",
            age=max(ages),
            steps=(_LOOKED_UP,),
        )
        return mark(self._answer(), hit.trace)

    async def ask(self, create: Callable[..., Awaitable[Any]]) -> Any:
        """Ask for what is missing, keep it, and answer the whole call."""
        pipeline, asked = self._pipeline, self._asked
        request = asked.request
        try:
            if request.cache == "only":
                raise CacheMissError("not every element is stored, and cache='only' forbids asking the provider")  # noqa: TRY301
            if request.cache == "bypass":
                landed = Landed(await self._upstream(create), first=True)
            else:
                key = (request.cache, *(self._keys[position] for position in self._missing))
                landed = await pipeline.flight.run(key, self._upstream, create)
        except BaseException as error:
            pipeline.accounts.failure(error, asked.started, request)
            raise
        return self._land(*landed)

    def _land(self, landed: tuple[Request, Response, dict[bytes, Response], Any], first: bool) -> Any:  # noqa: FBT001
        """Account for what came, and make the answer of it and of what was known."""
        _, response, entries, made = landed
        asked, known = self._asked, [key for key in self._keys if key in self._found]
        mechanism = "exact" if known else None
        answer = self._pipeline.accounts.record(
            asked.request,
            response,
            asked.started,
            outcome=("bypass" if asked.request.cache == "bypass" else "miss") if first else "coalesced",
            mechanism=mechanism if first else "coalesced",
            steps=(*self._decided, _ASKED if first else _JOINED),
            spared=self._usage(known) if first and known else None,
        )
        self._found.update(entries)
        whole = len(self._missing) == len(self._keys)
        made = made if (first and whole) or not entries else self._answer()
        return mark(made, answer.trace)

    async def _upstream(
        self, create: Callable[..., Awaitable[Any]]
    ) -> tuple[Request, Response, dict[bytes, Response], Any]:
        """Send the missing elements; each that comes back is kept under its own key."""
        request, cache = self._asked.request, self._pipeline.cache
        inputs = [self._inputs[position] for position in self._missing]
        requests = [self._requests[position] for position in self._missing]
        if len(inputs) < len(self._inputs):
            request = msgspec.structs.replace(request, body={**request.body, "input": inputs})
        with ExitStack() as stack:
            fillings = [stack.enter_context(cache.filling(one, cache.plan(one))) for one in requests]
            stages = self._pipeline.stages
            passes = await stages.enter(request)
            began = perf_counter()
            try:
                with making(stages.gates, request, self._pipeline.accounts.skip), let_through(self._pipeline):
                    made = await create(**self._asked.arguments(request))
            except BaseException as error:
                passes.settle(None, error)
                raise
            seconds = perf_counter() - began
            tokens = getattr(getattr(made, "usage", None), "prompt_tokens", None)
            usage = Usage(input_tokens=tokens) if isinstance(tokens, int) else None
            whole = Response(text="", model=request.model, usage=usage, latency=seconds)
            passes.settle(whole, None)
            responses = _elements_of(made, [_length(one) for one in inputs], seconds)
            for filling, response in zip(fillings, responses, strict=False):
                filling.admit(response)
        keys = [self._keys[position] for position in self._missing]
        return self._asked.request, whole, dict(zip(keys, responses, strict=False)), made

    def _usage(self, keys: list[bytes]) -> Usage:
        return Usage(input_tokens=sum((self._found[key].usage or Usage()).input_tokens for key in keys))

    def _answer(self) -> Any:
        """A fresh reply object, as the client library makes it."""
        from openai.types import CreateEmbeddingResponse, Embedding
        from openai.types.create_embedding_response import Usage as Billed
        from pydantic import BaseModel

        # pydantic's own: the library's override looks at every number of a vector.
        construct: Any = BaseModel.model_construct.__func__  # type: ignore[attr-defined]
        data, reply = [], {}
        for index, key in enumerate(self._keys):
            kept = _decoder.decode(self._found[key].body)
            reply = kept.reply
            data.append(construct(Embedding, **{**kept.entry, "embedding": kept.embedding(), "index": index}))
        tokens = self._usage(self._keys).input_tokens
        billed = construct(Billed, prompt_tokens=tokens, total_tokens=tokens)
        return construct(CreateEmbeddingResponse, **{**reply, "data": data, "usage": billed})


_decoder = msgspec.json.Decoder(Kept)


def _elements_of(made: Any, weights: list[int], seconds: float) -> list[Response]:
    """The elements of a reply, each as an answer of its own; none when the reply has more or fewer than were sent."""
    reply = made.model_dump(exclude_unset=True, warnings=False)
    data, usage = reply.pop("data", None) or [], reply.pop("usage", None) or {}
    tokens = usage.get("prompt_tokens")
    if len(data) != len(weights):
        return []
    shares = [None] * len(weights) if not isinstance(tokens, int) else apportioned(tokens, weights)
    return [
        Response(
            text="embedding",
            model=reply.get("model") or "",
            usage=None if share is None else Usage(input_tokens=share),
            finish_reason="stop",
            body=msgspec.json.encode(Kept.of(dict(entry), reply)),
            latency=seconds,
        )
        for entry, share in zip(data, shares, strict=True)
    ]


def elements(given: object) -> list[Any] | None:
    """The elements of an `input`: texts, or lists of tokens; None for what is neither."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list | tuple) or not given:
        return None
    if all(type(one) is int for one in given):
        return [list(given)]
    return list(given) if all(isinstance(one, str | list | tuple) for one in given) else None


def apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `total` in proportion to `weights`, which add up to it (largest remainder)."""
    scale = sum(weights) or 1
    parts = [total * weight // scale for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda at: -(total * weights[at] % scale))
    for at in remainders[: total - sum(parts)]:
        parts[at] += 1
    return parts


def _length(one: Any) -> int:
    return max(1, len(one.encode("utf-8", "surrogatepass")) if isinstance(one, str) else len(one) * 4)
