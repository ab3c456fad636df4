"""The OpenAI-compatible provider over real sockets: one set of tests for asyncio, trio and blocking calls."""

import contextlib
import gc
import gzip
import json
import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import httpx2
import pytest

from raw_server import RawServer, http, wait_until
from resopt import errors
from resopt.providers.base import Provider
from resopt.providers.openai import OpenAIProvider
from resopt.providers.retry import RetryPolicy, wait_asked_for
from resopt.providers.simulated import Faults, SimulatedModel, SimulatedServer
from resopt.types import Request, ToolCall, Usage

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


def test_an_answer_becomes_a_response(server, ask):
    before = time.time()
    response = ask(provider_for(server))
    body = response.json()
    assert response.text == body["choices"][0]["message"]["content"] != ""
    assert response.model == "gpt-4o"
    assert response.finish_reason == "stop"
    assert response.tool_calls == ()
    expected = body["usage"]
    assert response.usage == Usage(input_tokens=expected["prompt_tokens"], output_tokens=expected["completion_tokens"])
    assert before <= response.created_at <= time.time()
    assert 0 < response.latency < 5


def test_the_body_is_sent_as_it_is(server, ask):
    body = {"temperature": 0.5, "messages": [{"role": "user", "content": "Grüße 🙂"}], "model": "gpt-4o", "x": None}
    ask(provider_for(server, headers={"X-Team": "blue"}, query={"api-version": "2026-01-01"}), Request(body=body))
    last = server.last_request()
    assert last.body == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert list(json.loads(last.body)) == list(body)
    assert last.path == "/v1/chat/completions?api-version=2026-01-01"
    assert last.headers["x-team"] == "blue"
    assert last.headers["authorization"] == f"Bearer {KEY}"
    assert last.headers["content-type"] == "application/json"


def test_connections_are_reused(ask):
    with RawServer(http(completion({"content": "a"}), connection="keep-alive")) as server:
        ask(OpenAIProvider(server.base_url, ""), QUESTION, QUESTION, QUESTION)
    assert len(server.requests) == 3
    assert len({id(connection) for connection, _ in server.requests}) == 1


TOOL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"a":1}'}}


@pytest.mark.parametrize(
    ("message", "text", "calls"),
    [
        ({"role": "assistant", "content": "hello", "extra": {"a": 1}}, "hello", ()),
        ({"content": None, "tool_calls": [TOOL]}, "", (("call_1", "look_up", '{"a":1}'),)),
        ({"tool_calls": [{"id": "c", "custom": {"name": "sql", "input": "select"}}]}, "", (("c", "sql", "select"),)),
        ({"content": None, "function_call": {"name": "old", "arguments": "{}"}}, "", (("", "old", "{}"),)),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]}, "ab", ()),
        ({"content": ""}, "", ()),
        ({}, "", ()),
    ],
)
def test_messages_of_every_shape(ask, message, text, calls):
    with RawServer(http(completion(message))) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert response.text == text
    assert response.tool_calls == tuple(ToolCall(id=a, name=b, arguments=c) for a, b, c in calls)


def test_a_refusal_is_told_from_an_answer(ask):
    with RawServer(http(completion({"content": None, "refusal": "I cannot."}))) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert (response.text, response.finish_reason) == ("I cannot.", "refusal")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(
                input_tokens=100,
                cached_input_tokens=60,
                cache_write_tokens=30,
                output_tokens=50,
                reasoning_tokens=40,
            ),
        ),
        ({"prompt_tokens": 7, "prompt_tokens_details": None}, Usage(input_tokens=7)),
        ({"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": None}}, None),
        (None, None),
        ({}, None),
        ({"prompt_tokens": "many"}, None),
        ({"prompt_tokens": 5, "completion_tokens": -1}, None),
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}, None),
    ],
)
def test_usage_is_exact_or_unknown(ask, usage, expected):
    if usage and usage.get("prompt_tokens_details") == {"cached_tokens": None}:
        expected = Usage(input_tokens=7, output_tokens=1)
    with RawServer(http(completion({"content": "a"}, usage=usage))) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert response.text == "a"
    assert response.usage == expected


def test_a_reply_without_usage_has_an_unknown_usage(ask):
    with RawServer(http(completion({"content": "a"}))) as server:
        assert ask(OpenAIProvider(server.base_url, "")).usage is None


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


def test_truncated_and_filtered_answers_say_so(server, ask):
    assert ask(provider_for(server, headers={"x-simulate": "truncate"})).finish_reason == "length"
    assert ask(provider_for(server, headers={"x-simulate": "filter"})).finish_reason == "content_filter"


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


def test_a_slow_provider_is_waited_for(ask):
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=0.3, p95=0.3)
    with SimulatedServer([model]) as server:
        assert ask(OpenAIProvider(server.base_url, "")).latency >= 0.3


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


def test_a_compressed_reply_is_read(ask):
    body = gzip.compress(completion({"content": "a"}).encode())
    with RawServer(http(body, content_encoding="gzip")) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert (response.text, response.json()["model"]) == ("a", "m")


def test_a_reply_that_is_wrongly_compressed_is_an_error_of_the_provider(ask):
    with RawServer(http("{}", content_encoding="gzip")) as server, pytest.raises(errors.ProviderError):
        ask(OpenAIProvider(server.base_url, ""))


def test_nonsense_instead_of_http_is_an_error_of_the_provider(ask):
    with RawServer(b"SSH-2.0-OpenSSH_9.9\r\n\r\n") as server, pytest.raises(errors.ProviderConnectionError):
        ask(OpenAIProvider(server.base_url, "", max_attempts=1))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request.chat("a", stream=True), "stream"),
        (Request(api="anthropic.messages", body={}), "anthropic.messages"),
        (Request.chat("a", temperature=float("nan")), "nan"),
        (Request.chat("a", stop=[None, float("inf")]), "nan or infinity"),
        (Request.chat("a", seed=object()), "object"),
        (Request.chat("\ud800"), "JSON"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_before_it_leaves(server, ask, request_, words):
    with pytest.raises(errors.InvalidRequestError, match=words):
        ask(provider_for(server), request_)
    assert server.stats().requests == 0


def test_a_body_that_contains_itself_is_refused(server, ask):
    loop = []
    loop.append(loop)
    with pytest.raises(errors.InvalidRequestError):
        ask(provider_for(server), Request.chat("a", stop=loop))


class SetFields:
    """Stands for a message object of the OpenAI client."""

    def model_dump(self, *, mode, exclude_unset):
        assert (mode, exclude_unset) == ("json", True)
        return {"role": "assistant", "content": "earlier"}


def test_messages_may_be_objects_of_the_openai_client(server, ask):
    body = {"model": "gpt-4o", "messages": [SetFields(), {"role": "user", "content": "and now?"}]}
    ask(provider_for(server), Request(body=body))
    assert json.loads(server.last_request().body)["messages"][0] == {"role": "assistant", "content": "earlier"}


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
async def test_calls_run_side_by_side_within_the_connections_allowed():
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=0.1, p95=0.1)
    async with SimulatedServer([model]) as server, OpenAIProvider(server.base_url, "", max_connections=4) as provider:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(provider.complete, Request.chat(f"question {number}"))
        stats = await anyio.to_thread.run_sync(server.stats)
    assert stats.requests == 12
    assert stats.in_flight_max == 4
    gc.collect()
