"""Providers as objects: settings, secrets, clients of the caller's, closing, event loops and threads."""

import contextlib
import logging
import threading

import anyio
import httpx2
import pytest

from provider_faces import KEY, QUESTION, drive, provider_for
from raw_server import RawServer, http
from resopt import errors
from resopt.providers.base import Provider
from resopt.providers.openai import OpenAIProvider


def everything_said(error):
    """Every text of an error and of what caused it, as a traceback or a log would show them."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(getattr(error, "body", ""))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)


def test_the_key_is_nowhere_in_errors_reprs_and_logs(server, ask, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "sk-wrong-key-0987654321"
    provider = provider_for(server, api_key=wrong, headers={"api-key": "azure-secret-1", "x-simulate-headers": "{}"})
    with pytest.raises(errors.AuthenticationError, match=r"Incorrect API key provided: Bearer \[secret\]") as caught:
        ask(provider)
    said = everything_said(caught.value) + repr(provider) + str(vars(provider)["_endpoint"]) + caplog.text
    said += "".join(repr(record.args) for record in caplog.records)
    assert wrong not in said
    assert "azure-secret-1" not in said
    reply = http(f"<p>azure-secret-1 {wrong}</p>", "500 Error")
    with RawServer(reply) as raw, pytest.raises(errors.ServerError) as caught:
        ask(OpenAIProvider(raw.base_url, wrong, headers={"x": "azure-secret-1"}, max_attempts=1))
    assert caught.value.body == "<p>[secret] [secret]</p>"


def test_the_key_comes_from_the_environment_unless_given(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")

    def key_sent(provider):
        twin = provider.blocking()
        with contextlib.suppress(errors.AuthenticationError):
            drive(twin.complete(QUESTION))
        drive(twin.aclose())
        return server.last_request().headers.get("authorization")

    assert key_sent(OpenAIProvider(server.base_url)) == f"Bearer {KEY}"
    assert key_sent(OpenAIProvider(server.base_url, "other-key")) == "Bearer other-key"
    assert key_sent(OpenAIProvider(server.base_url, "")) is None
    assert key_sent(OpenAIProvider(server.base_url, headers={"api-key": "azure-key"})) is None
    assert key_sent(OpenAIProvider(server.base_url, headers={"Authorization": "Basic abc"})) == "Basic abc"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "api.openai.com/v1"}, "base_url"),
        ({"base_url": "ftp://host/v1"}, "base_url"),
        ({"base_url": "http://host:port/v1"}, "base_url"),
        ({"base_url": 5}, "base_url"),
        ({"base_url": "http://host/v1?a=b"}, "query="),
        ({"base_url": "http://user:pass@host/v1"}, "headers="),
        ({"api_key": "sk-with blank"}, "api_key"),
        ({"api_key": "sk-\u2026"}, "api_key"),
        ({"api_key": b"sk"}, "api_key"),
        ({"headers": {"a b": "c"}}, "header"),
        ({"headers": {"a": "c\r\nx: y"}}, "header"),
        ({"headers": {"a": 1}}, "headers"),
        ({"query": {"a": 1}}, "query"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"connect_timeout": "5"}, "connect_timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"deadline": -1}, "deadline"),
        ({"max_connections": 0}, "max_connections"),
        ({"client": object()}, "client"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_without_secrets(settings, words):
    with pytest.raises(errors.ConfigurationError, match=words) as caught:
        OpenAIProvider(**settings)
    assert "sk-" not in str(caught.value)
    assert "user:pass" not in str(caught.value)


def test_a_client_of_the_callers_is_used_and_stays_open(server, ask):
    if ask.face == "blocking":
        with httpx2.Client(headers={"x-mine": "yes"}) as client:
            provider = provider_for(server, client=client)
            ask(provider)
            assert not client.is_closed
            with pytest.raises(errors.ConfigurationError, match="AsyncClient"):
                drive(provider.complete(QUESTION))
    else:

        async def session():
            async with httpx2.AsyncClient(headers={"x-mine": "yes"}) as client:
                async with provider_for(server, client=client) as provider:
                    await provider.complete(QUESTION)
                    with pytest.raises(errors.ConfigurationError, match=r"httpx2\.Client"):
                        provider.blocking()
                assert not client.is_closed

        anyio.run(session, backend=ask.face)
    assert server.last_request().headers["x-mine"] == "yes"


def test_after_close_it_says_so(server, ask):
    async def session(provider):
        async with provider:
            await provider.complete(QUESTION)
        await provider.aclose()
        with pytest.raises(errors.ClosedError):
            await provider.complete(QUESTION)

    if ask.face == "blocking":
        drive(session(provider_for(server).blocking()))
    else:
        anyio.run(session, provider_for(server), backend=ask.face)


def test_a_closed_client_of_the_callers_is_named(server):
    client = httpx2.Client()
    client.close()
    with pytest.raises(errors.ClosedError, match="given"):
        drive(provider_for(server, client=client).blocking().complete(QUESTION))


def test_headers_of_the_callers_client_that_cannot_be_sent_are_not_repeated(server):
    with httpx2.Client(headers={"x-secret": "hush\x00hush"}) as client:
        twin = provider_for(server, client=client, max_attempts=1).blocking()
        with pytest.raises(errors.ProviderError, match="headers") as caught:
            drive(twin.complete(QUESTION))
    assert "hush" not in everything_said(caught.value)


def test_one_provider_serves_one_event_loop_after_another(server):
    provider = provider_for(server)

    async def session():
        response = await provider.complete(QUESTION)
        client, _ = provider._transport._opened.get()
        await client.aclose()
        return response

    assert anyio.run(session).text == anyio.run(session, backend="trio").text == anyio.run(session).text


def test_threads_may_share_the_blocking_twin(server):
    twin = provider_for(server).blocking()
    texts = []

    def work():
        texts.extend(drive(twin.complete(QUESTION)).text for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drive(twin.aclose())
    assert len(texts) == 40
    assert len(set(texts)) == 1


def test_it_is_a_provider():
    provider = OpenAIProvider("http://localhost/v1/", "")
    assert isinstance(provider, Provider)
    assert isinstance(provider.blocking(), Provider)
    assert provider.name == "openai"
    assert repr(provider) == "OpenAIProvider('http://localhost/v1')"
