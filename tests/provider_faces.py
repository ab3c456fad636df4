"""One way to ask a provider on asyncio, on trio and blocking, and a simulated server to ask."""

import json

import anyio
import pytest

from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated import Faults, SimulatedServer
from resopt.types import Request

KEY = "sk-proj-0123456789abcdefSECRET"

QUESTION = Request.chat("What is Python?")


def drive(coroutine):
    """Run a coroutine that never suspends, as the blocking Optimizer does."""
    try:
        coroutine.send(None)
    except StopIteration as ending:
        return ending.value
    coroutine.close()
    raise AssertionError("it suspended")


@pytest.fixture(params=["asyncio", "trio", "blocking"])
def ask(request):
    """Send requests through a provider on one face, and close it."""

    async def session(provider, requests):
        async with provider:
            return [await provider.complete(one) for one in requests]

    def ask(provider, *requests):
        requests = requests or (QUESTION,)
        if request.param == "blocking":
            answers = drive(session(provider.blocking(), requests))
        else:
            answers = anyio.run(session, provider, requests, backend=request.param)
        return answers[0] if len(answers) == 1 else answers

    ask.face = request.param
    return ask


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0, api_key=KEY, faults=Faults(retry_after=0)) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


def provider_for(server, **settings):
    return OpenAIProvider(server.base_url, **{"api_key": KEY, **settings})


def completion(message, finish_reason="stop", **fields):
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"id": "1", "model": "m", "choices": [choice], **fields})
