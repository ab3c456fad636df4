"""Anthropic's clients for the tests of `resopt.wrap`: blocking, on asyncio and on trio, all asked in one way."""

import contextlib

import anyio
import pytest

import resopt
from provider_faces import drive
from resopt.providers.simulated import SimulatedServer

anthropic = pytest.importorskip("anthropic")
TALK = [{"role": "user", "content": "What is Python?"}]
BODY = {"model": "claude-haiku-4-5", "max_tokens": 900, "messages": TALK}
PRICES = {"claude-haiku-4-5": (1.0, 5.0)}


class Claude:
    """A client, bare or wrapped, whose methods are asked alike whether they block or not."""

    def __init__(self, client, *, beta=False):
        self.client = client
        self.blocking = isinstance(client, anthropic.Anthropic)
        self.messages = client.beta.messages if beta else client.messages

    async def came(self, made):
        return made if self.blocking else await made

    async def create(self, **body):
        return await self.came(self.messages.create(**{**BODY, **body}))

    async def parse(self, **body):
        return await self.came(self.messages.parse(**{**BODY, **body}))

    async def open(self, **body):
        return await self.create(stream=True, **body)

    async def read(self, stream):
        return list(stream) if self.blocking else [event async for event in stream]

    async def next(self, stream):
        return next(stream) if self.blocking else await anext(stream)

    async def close(self, stream):
        return await self.came(stream.close())

    async def events(self, **body):
        return await self.read(await self.open(**body))

    @contextlib.asynccontextmanager
    async def helper(self, **body):
        manager = self.messages.stream(**{**BODY, **body})
        if self.blocking:
            with manager as stream:
                yield stream
        else:
            async with manager as stream:
                yield stream

    async def helped(self, **body):
        """All that the helper around a stream gives."""
        async with self.helper(**body) as stream:
            events = await self.read(stream)
            message = await self.came(stream.get_final_message())
        async with self.helper(**body) as again:
            texts = await self.read(again.text_stream)
        return events, message, texts, resopt.last(stream)


class Face:
    """One way to run a client against the simulator."""

    def __init__(self, name, server):
        self.name = name
        self.server = server
        self.blocking = name == "blocking"
        self.kind = anthropic.Anthropic if self.blocking else anthropic.AsyncAnthropic
        self.made = []

    def bare(self, **settings):
        self.made.append(self.kind(**{"base_url": self.server.url, "api_key": "k", "max_retries": 0, **settings}))
        return self.made[-1]

    def run(self, test, **settings):
        """Run `await test(wrapped, bare)` with two `Claude`s."""

        async def running():
            bare = self.bare(**settings)
            try:
                await test(Claude(resopt.wrap(bare, prices=PRICES)), Claude(bare))
            finally:
                for made in self.made:
                    await Claude(made).came(made.close())

        if self.blocking:
            drive(running())
        else:
            anyio.run(running, backend=self.name)


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def face(request, server):
    return Face(request.param, server)


def calls(server):
    return server.stats().paths.get("/v1/messages", 0)


def dumped(made, *, identified=True):
    """What an object says; without what the simulator makes anew for every reply unless `identified`."""
    if isinstance(made, list):
        return [dumped(one, identified=identified) for one in made]
    data = made.model_dump(warnings=False)
    if not identified:
        for holder in (data, data.get("message") or {}):
            holder.pop("id", None)
    return data
