"""Wrapped clients of Anthropic's models in clouds, and what the library and resopt build on wrapped clients."""

import json

import pytest

import resopt
from claude import BODY, Claude, anthropic, calls, dumped, face, running, server
from resopt.errors import ConfigurationError
from resopt.providers.simulated import SimulatedServer

TESTED_WITH = ("Anthropic", "anthropic")
__all__ = ["face", "running", "server"]


def outcome(made):
    return resopt.last(made).outcome


def test_clients_of_clouds(server):
    cache = resopt.ResponseCache()
    foundry = {"api_key": "k", "base_url": server.url}
    aws = {"workspace_id": "w", "base_url": server.url, "aws_region": "eu-central-1"}
    google = {"project": "p", "workspace_id": "w", "base_url": server.url}
    one = resopt.wrap(anthropic.AnthropicFoundry(**foundry), cache=cache)
    two = resopt.wrap(anthropic.AnthropicFoundry(**foundry), cache=cache)
    renewing = [
        resopt.wrap(anthropic.AnthropicFoundry(azure_ad_token_provider=lambda: "t", base_url=server.url), cache=cache)
        for _ in range(2)
    ]
    keyed = [resopt.wrap(anthropic.AnthropicAWS(api_key=key, **aws), cache=cache) for key in ("k", "l")]
    clouds = [
        resopt.wrap(anthropic.AnthropicGoogleCloud(token_provider=lambda: "t", **google), cache=cache) for _ in range(2)
    ]
    outcomes = [
        outcome(client.messages.create(**BODY))
        for client in (one, two, *renewing, *keyed, *clouds, renewing[0], keyed[1])
    ]
    assert outcomes == ["miss", "hit", *["miss"] * 6, "hit", "hit"]
    assert outcome(clouds[0].with_options(timeout=4).messages.create(**BODY)) == "hit"
    with one.messages.stream(**BODY) as stream:
        assert stream.get_final_text()
    assert outcome(stream) == "hit"
    assert one.models is None
    for client in (one, two, *renewing, *keyed, *clouds):
        client.close()


def test_clients_that_sign_their_requests_are_told_apart():
    settings = {"aws_access_key": "a", "aws_secret_key": "s", "aws_region": "eu-central-1", "workspace_id": "w"}
    with SimulatedServer(time_scale=0) as server:
        clients = [anthropic.AnthropicAWS(base_url=server.url, **settings) for _ in range(2)]
        names = {resopt.wrap(client)._resopt_door.identity.namespace(None, None, None) for client in clients}
    assert len(names) == 2


@pytest.mark.parametrize("name", ["AnthropicBedrock", "AnthropicVertex", "AnthropicBedrockMantle"])
def test_clients_that_are_no_anthropic_clients_are_refused(name):
    kind = getattr(anthropic, name)
    with pytest.raises(ConfigurationError, match=name):
        resopt.wrap(kind.__new__(kind))


@anthropic.beta_tool
def look_up(word: str) -> str:
    """Look a word up.

    Args:
        word: the word.
    """
    return f"{word}: unknown"


@anthropic.beta_async_tool
async def look_up_async(word: str) -> str:
    """Look a word up.

    Args:
        word: the word.
    """
    return f"{word}: unknown"


@pytest.mark.parametrize("stream", [False, True])
def test_the_librarys_runner_of_tools_asks_through_memory(face, stream):
    async def test(wrapped, bare):
        async def run(claude):
            tool = look_up if face.blocking else look_up_async
            runner = claude.messages.tool_runner(
                **BODY, tools=[tool], tool_choice={"type": "any"}, max_iterations=2, stream=stream
            )
            if face.blocking:
                return [turn.get_final_message() if stream else turn for turn in runner]
            return [await turn.get_final_message() if stream else turn async for turn in runner]

        beta = Claude(wrapped.client, beta=True)
        first = await run(beta)
        asked = calls(face.server)
        again = await run(beta)
        assert dumped(again) == dumped(first)
        assert calls(face.server) == asked == len(first) == 2

    face.run(test)


def test_the_optimizer_of_a_wrapped_client_answers_requests(face):
    async def test(wrapped, bare):
        made = await wrapped.create()
        request = resopt.Request(api="anthropic.messages", body=dict(BODY))
        optimizer = wrapped.client.resopt
        response = await wrapped.came(optimizer.complete(request))
        assert response.text == made.content[0].text
        assert json.loads(response.body)["type"] == "message"
        records = optimizer.ledger.report()
        assert records.requests == 2

    face.run(test)
