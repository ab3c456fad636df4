"""Providers in trouble, over real sockets: what is retried, for how long, and which error comes out."""

import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import pytest

from provider_faces import QUESTION, completion, provider_for
from raw_server import RawServer, http, wait_until
from resopt import errors
from resopt.providers.openai import OpenAIProvider
from resopt.providers.retry import RetryPolicy, wait_asked_for
from resopt.providers.simulated import SimulatedModel, SimulatedServer


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        ("", "application/json", "not JSON"),
        ("<html>busy</html>", "text/html", "not JSON"),
        ('{"choices": [', "application/json", "not JSON"),
        (b'{"choices": [{"message": {"content": "\xff"}}]}', "application/json", "not JSON"),
        ("[]", "application/json", "not a chat completion"),
        ("null", "application/json", "not a chat completion"),
        ("{}", "application/json", "no choices"),
        ('{"choices": []}', "application/json", "no choices"),
        ('{"choices": null}', "application/json", "no choices"),
        ('{"choices": {"a": 1}}', "application/json", "not a chat completion"),
        ('{"choices": [{"finish_reason": "stop"}]}', "application/json", "message"),
        ('{"choices": [{"message": {"content": 5}}]}', "application/json", "not a chat completion"),
        ('{"choices": 1, "usage": {"prompt_tokens": "x"}}', "application/json", "not a chat completion"),
        ('{"usage": {"prompt_tokens": "x"}, "choices": 1}', "application/json", "not a chat completion"),
        ('{"error": {"message": "model overloaded", "code": 502}}', "application/json", "model overloaded"),
        ("[" * 100_000, "application/json", "not"),
    ],
)
def test_a_success_that_is_no_answer_is_a_response_error(ask, body, content_type, words):
    with (
        RawServer(http(body, content_type=content_type)) as server,
        pytest.raises(errors.ProviderResponseError, match=words) as caught,
    ):
        ask(OpenAIProvider(server.base_url, ""))
    assert caught.value.status == 200
    assert caught.value.attempts == 1
    assert "base_url" in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["malformed", "html", "empty"])
def test_simulated_bad_replies_are_response_errors(server, ask, fault):
    with pytest.raises(errors.ProviderResponseError):
        ask(provider_for(server, headers={"x-simulate": fault}))
    assert server.stats().requests == 1


@pytest.mark.parametrize("fault", ["429", "500"])
def test_passing_trouble_is_waited_out(server, ask, fault):
    server.next_faults(fault, fault)
    response = ask(provider_for(server, headers={"x-simulate-headers": '{"retry-after-ms": "1"}'}))
    assert response.finish_reason == "stop"
    stats = server.stats()
    assert stats.requests == 3
    assert stats.statuses == {fault: 2, "200": 1}


@pytest.mark.parametrize(("fault", "kind"), [("429", errors.RateLimitError), ("500", errors.ServerError)])
def test_lasting_trouble_ends_after_the_permitted_attempts(server, ask, fault, kind):
    headers = {"x-simulate": fault, "x-simulate-headers": '{"retry-after-ms": "1"}'}
    with pytest.raises(kind, match="4 of 4 attempts") as caught:
        ask(provider_for(server, headers=headers, max_attempts=4))
    assert server.stats().requests == caught.value.attempts == 4
    assert caught.value.status == int(fault)
    assert caught.value.retry_after == 0.001
    assert "error" in caught.value.body


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [
        ("301 Moved", errors.ProviderResponseError, 1),
        ("400 Bad Request", errors.BadRequestError, 1),
        ("401 Unauthorized", errors.AuthenticationError, 1),
        ("402 Payment Required", errors.BadRequestError, 1),
        ("403 Forbidden", errors.AuthenticationError, 1),
        ("404 Not Found", errors.BadRequestError, 1),
        ("408 Request Timeout", errors.ProviderTimeoutError, 2),
        ("409 Conflict", errors.BadRequestError, 2),
        ("413 Too Large", errors.BadRequestError, 1),
        ("422 Unprocessable", errors.BadRequestError, 1),
        ("429 Too Many", errors.RateLimitError, 2),
        ("500 Error", errors.ServerError, 2),
        ("503 Unavailable", errors.ServerError, 2),
        ("529 Overloaded", errors.ServerError, 2),
    ],
)
def test_each_status_has_its_error_and_its_retries(ask, status, kind, attempts):
    reply = http('{"error": {"message": "because."}}', status, location="https://elsewhere", retry_after_ms="1")
    with RawServer(reply) as server, pytest.raises(kind, match="because") as caught:
        ask(OpenAIProvider(server.base_url, "", max_attempts=2))
    assert type(caught.value) is kind
    assert caught.value.status == int(status[:3])
    assert len(server.requests) == caught.value.attempts == attempts


def test_the_provider_may_forbid_or_ask_for_a_retry(ask):
    with RawServer(http("{}", "503 Busy", x_should_retry="false")) as server, pytest.raises(errors.ServerError):
        ask(OpenAIProvider(server.base_url, ""))
    assert len(server.requests) == 1
    first = http("{}", "404 Not yet", x_should_retry="true", retry_after="0")
    with RawServer(first, http(completion({"content": "a"}))) as server:
        assert ask(OpenAIProvider(server.base_url, "")).text == "a"


def test_an_empty_account_is_not_retried(ask):
    body = '{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    with RawServer(http(body, "429 Too Many")) as server, pytest.raises(errors.RateLimitError, match="billing"):
        ask(OpenAIProvider(server.base_url, ""))
    assert len(server.requests) == 1


@pytest.mark.parametrize(("words", "text"), [('"detail": "no route"', "no route"), ('"message": "flat"', "flat")])
def test_other_servers_words_are_found(ask, words, text):
    with RawServer(http("{" + words + "}", "400 Bad")) as server, pytest.raises(errors.BadRequestError, match=text):
        ask(OpenAIProvider(server.base_url, ""))


@pytest.mark.parametrize("header", [{"retry_after_ms": "150"}, {"retry_after": "0.15"}])
def test_retry_after_is_honoured(ask, header):
    with RawServer(http("{}", "429 Too Many", **header), http(completion({"content": "a"}))) as server:
        start = time.monotonic()
        response = ask(OpenAIProvider(server.base_url, ""))
        elapsed = time.monotonic() - start
    assert elapsed >= 0.15
    # The latency is that of the answer alone, not of the waits before it.
    assert response.latency < 0.15


def test_retry_after_as_a_date_or_as_nonsense():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= wait_asked_for({"retry-after": later}) <= 30
    assert wait_asked_for({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert wait_asked_for({"retry-after-ms": "nan", "retry-after": "2"}) == 2
    for nonsense in ("soon", "-1", "inf", "nan", "", "Wed, 99 Oct 2015 07:28:00 GMT"):
        assert wait_asked_for({"retry-after": nonsense}) is None


def test_delays_double_up_to_eight_seconds_with_jitter():
    policy = RetryPolicy()
    for attempts, longest in [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 8), (2000, 8)]:
        delays = {policy.delay(attempts) for _ in range(50)}
        assert all(0.75 * longest <= delay <= longest for delay in delays)
        assert len(delays) > 10


def test_a_wait_beyond_the_deadline_gives_up_at_once(ask):
    with RawServer(http("{}", "429 Too Many", retry_after="30")) as server:
        start = time.monotonic()
        with pytest.raises(errors.RateLimitError, match=r"asked to wait 30 s, beyond the .* deadline of 2 s") as caught:
            ask(OpenAIProvider(server.base_url, "", deadline=2))
        assert time.monotonic() - start < 1.5
    assert caught.value.retry_after == 30
    assert len(server.requests) == 1


def test_the_deadline_covers_all_attempts(ask):
    with RawServer([0.25, http("{}", "503 Busy", retry_after="0")]) as server:
        start = time.monotonic()
        with pytest.raises(errors.ProviderError) as caught:
            ask(OpenAIProvider(server.base_url, "", deadline=0.9, max_attempts=100))
        assert 0.5 <= time.monotonic() - start < 2
    assert 3 <= caught.value.attempts <= 4


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
def test_a_silent_provider_times_out_and_is_not_asked_twice(server, ask, limit):
    start = time.monotonic()
    with pytest.raises(errors.ProviderTimeoutError, match="not sent again") as caught:
        ask(provider_for(server, headers={"x-simulate": "timeout"}, **{limit: 0.2}))
    assert 0.2 <= time.monotonic() - start < 2
    assert caught.value.status is None
    assert server.stats().requests == caught.value.attempts == 1


def test_a_reply_that_trickles_ends_at_the_deadline(ask):
    body = completion({"content": "a" * 50}).encode()
    head, _, body = http(body).partition(b"\r\n\r\n")
    parts = [head + b"\r\n\r\n"]
    for position in range(len(body)):
        parts += [body[position : position + 1], 0.05]
    with RawServer(parts) as server:
        start = time.monotonic()
        with pytest.raises(errors.ProviderTimeoutError):
            ask(OpenAIProvider(server.base_url, "", deadline=0.4))
        assert time.monotonic() - start < 2


def test_a_provider_that_is_down_is_tried_again_and_named(ask):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(errors.ProviderConnectionError, match=f"127.0.0.1:{port}") as caught:
        ask(OpenAIProvider(f"http://127.0.0.1:{port}/v1", "", max_attempts=2))
    assert caught.value.attempts == 2
    assert time.monotonic() - start >= 0.3


def test_a_connection_that_closes_before_the_reply_is_tried_again(ask):
    with RawServer(None, http(completion({"content": "a"}))) as server:
        assert ask(OpenAIProvider(server.base_url, "")).text == "a"
    assert len(server.requests) == 2


def test_a_reply_that_breaks_off_is_not_asked_for_again(server, ask):
    with pytest.raises(errors.ProviderConnectionError, match="middle of its reply") as caught:
        ask(provider_for(server, headers={"x-simulate": "disconnect"}))
    assert server.stats().requests == caught.value.attempts == 1


def test_a_reply_that_is_wrongly_compressed_is_an_error_of_the_provider(ask):
    with RawServer(http("{}", content_encoding="gzip")) as server, pytest.raises(errors.ProviderError):
        ask(OpenAIProvider(server.base_url, ""))


def test_nonsense_instead_of_http_is_an_error_of_the_provider(ask):
    with RawServer(b"SSH-2.0-OpenSSH_9.9\r\n\r\n") as server, pytest.raises(errors.ProviderConnectionError):
        ask(OpenAIProvider(server.base_url, "", max_attempts=1))


@pytest.mark.anyio
async def test_cancelling_closes_the_connection():
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=30, p95=30)
    async with SimulatedServer([model]) as server, OpenAIProvider(server.base_url, "") as provider:
        with anyio.move_on_after(0.3) as scope:
            await provider.complete(QUESTION)
        assert scope.cancelled_caught
        await anyio.to_thread.run_sync(wait_until, server, lambda stats: stats.disconnected == 1)


@pytest.mark.anyio
async def test_a_cancelled_wait_between_attempts_ends_at_once(server):
    headers = {"x-simulate": "500", "x-simulate-headers": '{"retry-after": "20"}'}
    start = time.monotonic()
    async with provider_for(server, headers=headers) as provider:
        with anyio.move_on_after(0.3) as scope:
            await provider.complete(QUESTION)
    assert scope.cancelled_caught
    assert time.monotonic() - start < 2


@pytest.mark.anyio
async def test_waiting_for_a_connection_ends_at_the_deadline_and_says_why():
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=30, p95=30)
    async with (
        SimulatedServer([model]) as server,
        OpenAIProvider(server.base_url, "", max_connections=1) as patient,
        anyio.create_task_group() as group,
    ):
        group.start_soon(patient.complete, QUESTION)
        await anyio.to_thread.run_sync(wait_until, server, lambda stats: stats.in_flight == 1)
        hasty = OpenAIProvider(server.base_url, "", deadline=0.5)
        hasty._transport = patient._transport
        with pytest.raises(errors.ProviderConnectionError, match="max_connections"):
            await hasty.complete(QUESTION)
        group.cancel_scope.cancel()
