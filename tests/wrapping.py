"""Wrapped clients of OpenAI's library, told the same story blocking, on asyncio and on trio, over real HTTP."""

import gc
import inspect
import threading
import warnings
from contextlib import asynccontextmanager

import anyio
import openai
import pytest

import resopt
from resopt.providers.simulated import SimulatedServer
from resopt.sync import drive

PRICES = {"gpt-4o": (2.5, 10), "gpt-4o-mini": (0.15, 0.6)}
MODEL = "gpt-4o"
TALK = [{"role": "user", "content": "What is Python?"}]
ASKED = {"model": MODEL, "messages": TALK}
INPUT = {"model": MODEL, "input": "What is Python?"}
USAGE = {"stream_options": {"include_usage": True}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    "required": ["name", "size"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA, "strict": True}}
    for name in ("look_up", "write_down")
]
FLAT_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]
NEW_IN_EACH_REPLY = ("id", "created", "created_at", "completed_at", "item_id", "call_id")


def simulate(wishes):
    return {"extra_headers": {"x-simulate": wishes}}


@pytest.fixture(scope="module")
def serving():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture
def simulated(serving):
    serving.reset()
    return serving


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def face(request):
    """One way to use a client: `face.tell(story)` runs `await story(face)`."""
    return Face(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def task_face(request):
    return Face(request.param)


class Face:
    """Blocking, asyncio or trio."""

    def __init__(self, name):
        self.name = name
        self.blocks = name == "blocking"

    def tell(self, story, *args):
        """Run an async function; blocking clients never suspend in it."""
        if self.blocks:
            return drive(story(self, *args))
        try:
            return anyio.run(story, self, *args, backend=self.name)
        finally:
            if self.name == "trio":
                # Bare streams too leave generators of the library behind, which trio warns of and then closes.
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Async generator", ResourceWarning)
                    gc.collect()

    def bare(self, server, *, azure=False, **settings):
        settings = {"api_key": "k", "max_retries": 0, **settings}
        if azure:
            kind = openai.AzureOpenAI if self.blocks else openai.AsyncAzureOpenAI
            return kind(azure_endpoint=server.url, api_version="2024-10-21", **settings)
        kind = openai.OpenAI if self.blocks else openai.AsyncOpenAI
        return kind(**{"base_url": server.base_url, **settings})

    @asynccontextmanager
    async def client(self, server, *, azure=False, wrapping=None, **settings):
        """A wrapped client, closed in the end."""
        bare = self.bare(server, azure=azure, **settings)
        try:
            yield resopt.wrap(bare, **{"prices": PRICES, **(wrapping or {})})
        finally:
            await settled(bare.close())


async def settled(value):
    """What a method gave, blocking or not."""
    return await value if inspect.isawaitable(value) else value


async def all_of(stream):
    """The rest of a stream."""
    if hasattr(stream, "__aiter__"):
        return [event async for event in stream]
    return list(stream)


async def following(stream):
    """The next event."""
    return await anext(stream) if hasattr(stream, "__anext__") else next(stream)


def dumps(events):
    return [dump(event) for event in events]


def dump(answer, **how):
    """What an object says; the library's own parsed answers warn when they are dumped."""
    return answer.model_dump(warnings=False, **how)


def told(value):
    """A dump without what is new in each reply."""
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items() if name not in NEW_IN_EACH_REPLY}
    return [told(inner) for inner in value] if isinstance(value, list) else value


def outcomes(client):
    return [record.outcome for record in client.resopt.ledger.records]


def balanced(client):
    """Spent and avoided money add up to the baseline, record by record."""
    return all(
        None in (record.cost, record.baseline_cost)
        or record.cost + sum(record.avoided.values()) == record.baseline_cost
        for record in client.resopt.ledger.records
    )


async def eventually(condition, face):
    """Wait until something is so that happens elsewhere."""
    for _ in range(2000):
        if condition():
            return
        await (pause() if face.blocks else anyio.sleep(0.005))
    raise AssertionError("it never happened")


async def pause():
    """Block for a moment."""
    threading.Event().wait(0.005)
