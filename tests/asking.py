"""A provider in this process for the tests of the pipeline: it answers, waits, fails and keeps books."""

import threading

import anyio

from resopt import AsyncOptimizer, Optimizer, Request, Response, Usage
from resopt.errors import QueueFullError

PRICES = {"gpt-4o": (2.5, 10.0)}
USAGE = Usage(input_tokens=100, output_tokens=20)
CALL_COST = 100 * 2_500_000 + 20 * 10_000_000
"""Picodollars of one call of `USAGE` at `PRICES`."""


class Scripted:
    """Answers every request with its number and question; `blocking` gives itself, for it never suspends by itself.

    Attributes:
        gate: when set to an `anyio.Event`, answers wait for it.
        fields: what answers have other than usual.
        error: raised instead of answering.
    """

    name = "scripted"

    def __init__(self, **fields):
        self.fields = fields
        self.error = None
        self.gate = None
        self.requests = []
        self.answered = 0
        self.closed = 0
        self._lock = threading.Lock()

    async def complete(self, request):
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.answered += 1
        text = f"{number}: {request.question}"
        usual = {"text": text, "model": request.model, "usage": USAGE, "finish_reason": "stop", "body": b'{"a":[1]}'}
        return Response(**(usual | {"latency": 0.5} | self.fields))

    async def aclose(self):
        self.closed += 1

    @property
    def calls(self):
        return len(self.requests)


class Twin(Scripted):
    """The same with a blocking twin: itself."""

    def blocking(self):
        return self


class OnlyOnce:
    """A gate whose queue is full after the first call."""

    name = "limits"

    def __init__(self):
        self.passed = 0

    async def enter(self, request):
        self.passed += 1
        if self.passed > 1:
            raise QueueFullError("the queue is full")
        return self

    def settle(self, response, error):
        """Nothing to note."""

    def blocking(self):
        return self


def answered(face, provider, requests, **options):
    """Have requests answered in turn by one optimizer on one face; it, closed, and the answers."""
    if face == "blocking":
        with Optimizer(provider, **options) as optimizer:
            return optimizer, [optimizer.complete(one) for one in requests]

    async def session():
        async with AsyncOptimizer(provider, **options) as optimizer:
            return optimizer, [await optimizer.complete(one) for one in requests]

    return anyio.run(session, backend=face)


def ask(text, **parameters):
    return Request.chat(text, **parameters)


def body(*messages, model="gpt-4o", **fields):
    return {"model": model, "messages": [{"role": role, "content": text} for role, text in messages], **fields}


def outcomes(optimizer):
    return [record.outcome for record in optimizer.ledger.records]


async def wait_for(condition):
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  (often another thread makes it true)
            await anyio.sleep(0.001)
