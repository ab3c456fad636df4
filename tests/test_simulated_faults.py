"""What goes wrong with the simulated provider's replies, as the real SDKs see it, and what the server counts."""

import array
import base64
import contextlib
import json
import math

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from raw_server import wait_until
from resopt.errors import ConfigurationError
from resopt.providers.simulated import SimulatedServer
from resopt.providers.simulated_answers import seeded
from resopt.providers.simulated_schema import sample
from resopt.providers.simulated_wishes import Wishes, parse_wishes
from test_simulated_sdks import SCHEMA, TALK, TOOLS, Shape, chat, claude, running, server, simulate

anthropic = pytest.importorskip("anthropic")
openai = pytest.importorskip("openai")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
__all__ = ["chat", "claude", "running", "server"]

FACES = ["chat", "responses", "messages"]
LAST = {"chat": None, "responses": "response.completed", "messages": "message_stop"}


@pytest.fixture(params=FACES)
def face(request, chat, claude):
    """One API: how to ask it, whole and as a stream, and its SDK."""

    def ask(**options):
        if request.param == "chat":
            return chat.chat.completions.create(model="gpt-4o", messages=TALK, **options)
        if request.param == "responses":
            return chat.responses.create(model="gpt-4o", input="What is Python?", **options)
        return claude.messages.create(model="claude-haiku-4-5", max_tokens=900, messages=TALK, **options)

    ask.name = request.param
    ask.sdk = anthropic if request.param == "messages" else openai
    # Anthropic's SDK keeps the ping, the third event, to itself.
    ask.visible = lambda events: events - (request.param == "messages" and events >= 3)
    return ask


def kinds(events):
    return [getattr(event, "type", None) for event in events]


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ("429, retry_after=2", "RateLimitError"),
        ("status=503, retry_after=2", "InternalServerError"),
        ("status=400, retry_after=2", "BadRequestError"),
        ("500, retry_after=2", "InternalServerError"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_status_is_the_sdks_own_error(face, wishes, error, stream):
    with pytest.raises(getattr(face.sdk, error)) as caught:
        face(stream=stream, **simulate(wishes))
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.request_id.startswith("req_")
    if face.name == "messages":
        assert caught.value.body["type"] == "error"
        assert caught.value.body["error"]["type"] in ("rate_limit_error", "api_error", "invalid_request_error")


def test_an_error_may_come_with_status_200(face):
    assert "server had an error" in face(**simulate("error_body")).to_dict(mode="json")["error"]["message"]


@pytest.mark.parametrize("events", [0, 1, 3])
def test_a_stream_may_die_after_some_events(server, face, events):
    seen = []
    with pytest.raises(Exception, match=r"peer closed connection|incomplete|Connection error"):
        seen.extend(face(stream=True, **simulate(f"die={events}")))
    assert len(seen) == face.visible(events)
    stats = wait_until(server, lambda stats: stats.streams_open == 0)
    assert (stats.streams, stats.streams_aborted) == (1, 0)


def test_a_stream_may_end_too_early_in_good_order(face):
    whole, unended, cut = [
        list(face(stream=True, **({} if wishes is None else simulate(wishes)))) for wishes in (None, "unended", "cut=4")
    ]
    if face.name == "chat":
        assert len(unended) == len(whole)
    else:
        assert kinds(unended) == kinds(whole)[:-1]
        assert kinds(whole)[-1] == LAST[face.name]
    assert kinds(cut) == kinds(whole)[: len(cut)]
    assert len(cut) == face.visible(4)


def test_chat_streams_end_with_done_unless_told_otherwise(server):
    body = {"model": "gpt-4o", "messages": TALK, "stream": True}
    url = f"{server.base_url}/chat/completions"
    assert httpx2.post(url, json=body).text.endswith("data: [DONE]\n\n")
    assert "[DONE]" not in httpx2.post(url, json=body, headers={"x-simulate": "unended"}).text


def test_an_error_may_come_in_the_middle_of_a_stream(face):
    seen = []
    with contextlib.suppress(face.sdk.APIError):
        seen.extend(face(stream=True, **simulate("error_event=3")))
        assert seen[-1].type == "error"  # the responses API tells it as an event
        assert seen[-1].sequence_number == 3
        seen.pop()
    assert len(seen) == face.visible(3)


@pytest.mark.parametrize("wishes", ["stall=30, stall_at=2", "pace=30", "first_byte=30"])
def test_a_slow_reply_meets_the_clients_timeout(server, face, wishes):
    with pytest.raises(Exception, match=r"(?i)timed out"):
        list(face(stream=True, timeout=0.3, **simulate(wishes)))
    stats = wait_until(server, lambda stats: stats.streams_open == 0 == stats.in_flight)
    assert stats.streams_aborted == (wishes != "first_byte=30")
    assert stats.disconnected == (wishes == "first_byte=30")


def test_a_client_that_leaves_a_stream_is_seen(server, face):
    stream = face(stream=True, **simulate("stall=30, stall_at=3"))
    next(iter(stream))
    assert server.stats().streams_open == 1
    stream.close()
    stats = wait_until(server, lambda stats: stats.streams_open == 0)
    assert (stats.streams, stats.streams_aborted) == (1, 1)
    list(face(stream=True))
    assert server.stats().streams_aborted == 1


# On trio the SDK leaves its own generators to the collector when a stream is left early, which trio warns about.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_many_streams_at_once_are_counted_one_by_one(server):
    """Every fourth client leaves in the middle.

    Those who leave read the bytes themselves: the library leaves its generators to the collector, which may run in the
    server's thread and find them at work.
    """
    texts = []
    body = {"model": "gpt-4o", "messages": TALK, "stream": True}

    async def ask(client, position):
        if position % 4 == 0:
            await leave()
            return
        async with await client.chat.completions.create(**body) as stream:
            texts.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))

    async def leave():
        headers = {"x-simulate": "stall=30, stall_at=3"}
        async with (
            httpx2.AsyncClient() as client,
            client.stream("POST", f"{server.base_url}/chat/completions", json=body, headers=headers) as reply,
            contextlib.aclosing(reply.aiter_bytes()) as received,
        ):
            seen = b""
            async for piece in received:
                seen += piece
                if seen.count(b"data:") >= 3:
                    return

    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        async with anyio.create_task_group() as group:
            for position in range(40):
                group.start_soon(ask, client, position)
        stats = await anyio.to_thread.run_sync(wait_until, server, lambda stats: stats.streams_open == 0)
    assert (stats.streams, stats.streams_aborted, len(texts), len(set(texts))) == (40, 10, 30, 1)


def test_a_stalled_stream_does_not_keep_the_server_from_stopping():
    with SimulatedServer(time_scale=0) as server:
        body = {"model": "gpt-4o", "messages": TALK, "stream": True}
        with httpx2.stream(
            "POST", f"{server.base_url}/chat/completions", json=body, headers={"x-simulate": "stall=600"}
        ) as reply:
            received = reply.iter_bytes()
            next(received)
            assert server.stats().streams_open == 1
            server.stop()
            with pytest.raises(httpx2.TransportError):
                list(received)


@pytest.mark.parametrize("stream", [False, True])
def test_compression_only_for_those_who_accept_it(server, stream):
    body = {"model": "gpt-4o", "messages": TALK, "stream": stream}
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        headers = {"x-simulate": "gzip", "accept-encoding": accepted}
        reply = httpx2.post(f"{server.base_url}/chat/completions", json=body, headers=headers)
        assert reply.headers.get("content-encoding") == encoding
        assert "What" in reply.text or "what" in reply.text


def test_a_message_may_ask_for_itself_and_a_script_too(server, chat):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Go. [simulate: tools=2]"}], "tools": TOOLS}
    calls = chat.chat.completions.create(**body).choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["look_up", "write_down"]
    assert set(json.loads(calls[0].function.arguments)) == set(SCHEMA["required"])
    server.next_faults("refusal", None)
    replies = [chat.chat.completions.create(model="gpt-4o", messages=TALK).choices[0].message for _ in range(2)]
    assert [reply.refusal is None for reply in replies] == [False, True]
    assert server.stats().faults == {"tools": 1, "refusal": 1}


def test_legacy_functions(chat):
    body = {"model": "gpt-4o", "messages": TALK, "functions": [{"name": "look_up", "parameters": SCHEMA}]}
    body["function_call"] = {"name": "look_up"}
    choice = chat.chat.completions.create(**body).choices[0]
    assert (choice.finish_reason, choice.message.function_call.name) == ("function_call", "look_up")
    parts = [chunk.choices[0].delta.function_call for chunk in chat.chat.completions.create(**body, stream=True)]
    assert "".join(part.arguments for part in parts if part) == choice.message.function_call.arguments


def test_parsed_answers(chat, claude):
    parsed = chat.chat.completions.parse(model="gpt-4o", messages=TALK, response_format=Shape)
    assert isinstance(parsed.choices[0].message.parsed, Shape)
    assert isinstance(chat.responses.parse(model="gpt-4o", input="Hi", text_format=Shape).output_parsed, Shape)
    body = {"model": "claude-haiku-4-5", "max_tokens": 900, "messages": TALK, "output_format": Shape}
    message = claude.messages.parse(**body)
    assert isinstance(message.parsed_output, Shape)
    with claude.messages.stream(**body) as stream:
        assert stream.get_final_message().parsed_output == message.parsed_output
    with chat.chat.completions.stream(model="gpt-4o", messages=TALK, response_format=Shape) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == parsed.choices[0].message.parsed


def test_embeddings(chat):
    def embed(given, **options):
        return chat.embeddings.create(model="text-embedding-3-small", input=given, **options)

    both = embed(["one", "two"])
    (one,) = embed("one", encoding_format="float").data
    assert [len(entry.embedding) for entry in both.data] == [1536, 1536]
    assert both.data[0].embedding == one.embedding != both.data[1].embedding
    assert math.fsum(x * x for x in one.embedding) == pytest.approx(1, abs=1e-5)
    assert both.usage.prompt_tokens == both.usage.total_tokens == 2
    short = embed("one", dimensions=8).data[0].embedding
    norm = math.sqrt(math.fsum(x * x for x in one.embedding[:8]))
    assert short == pytest.approx([x / norm for x in one.embedding[:8]], abs=1e-6)
    raw = array.array("f", base64.b64decode(embed("one", encoding_format="base64").data[0].embedding))
    assert raw.tolist() == one.embedding
    assert embed([1, 2, 3]).data[0].embedding == embed([[1, 2, 3]]).data[0].embedding
    assert embed([[1, 2, 3]]).usage.prompt_tokens == 3
    for bad in ("", [], ["a", ""], [[1], "a"]):
        with pytest.raises(openai.BadRequestError):
            embed(bad)


def test_prompt_caches_of_both_kinds(chat, claude):
    long = [{"role": "system", "content": "word " * 1200}, *TALK]
    first, second = (chat.chat.completions.create(model="gpt-4o", messages=long).usage for _ in range(2))
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens == second.prompt_tokens // 128 * 128 > 1024

    def ask(question, ttl):
        marked = {"type": "text", "text": "word " * 40, "cache_control": {"type": "ephemeral", "ttl": ttl}}
        body = {"system": [marked], "messages": [{"role": "user", "content": question}]}
        return claude.messages.create(model="claude-haiku-4-5", max_tokens=900, **body).usage

    wrote, read = ask("One?", "1h"), ask("Two?", "5m")
    assert wrote.cache_creation_input_tokens == wrote.cache_creation.ephemeral_1h_input_tokens == 50
    assert (wrote.cache_read_input_tokens, read.cache_creation_input_tokens, read.cache_read_input_tokens) == (0, 0, 50)
    assert wrote.input_tokens == read.input_tokens > 0


def test_azure_and_what_is_passed_through(server, chat, claude):
    with openai.AzureOpenAI(azure_endpoint=server.url, api_key="k", api_version="2025-01-01", max_retries=0) as azure:
        reply = azure.chat.completions.create(model="gpt-4o", messages=TALK)
        assert len(azure.embeddings.create(model="text-embedding-3-small", input="a").data[0].embedding) == 1536
        assert azure.responses.create(model="gpt-4o", input="a").output_text
    path = "/openai/deployments/gpt-4o/chat/completions"
    assert server.requests()[0].path == f"{path}?api-version=2025-01-01"
    same = chat.chat.completions.create(model="gpt-4o", messages=TALK)
    assert reply.choices[0].message.content == same.choices[0].message.content
    assert same._request_id.startswith("req_")
    assert next(iter(chat.models.list())).id == "gpt-4o"
    assert "claude-haiku-4-5" in [model.id for model in claude.models.list()]
    assert chat.moderations.create(input=["a", "b"]).results[1].flagged is False
    assert claude.messages.count_tokens(model="claude-haiku-4-5", messages=TALK).input_tokens > 4
    for address in ("moderations", "messages/count_tokens"):
        assert httpx2.post(f"{server.base_url}/{address}", content=b"[]").status_code == 400
    assert server.stats().paths[path] == 1
    assert server.stats().paths["/v1/models"] == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": TALK, "tool_choice": {"function": "x"}}),
        ("chat/completions", {"messages": TALK, "tools": TOOLS, "tool_choice": "required", "n": 1000}),
        (
            "chat/completions",
            {
                "messages": TALK,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "integer", "minimum": "x"}},
                },
            },
        ),
        ("responses", {"input": "x", "tools": [{"type": "function"}]}),
        ("responses", {"input": ""}),
        ("embeddings", {"input": "a", "dimensions": 0}),
        ("messages", {"messages": [{"role": "user", "content": [1]}], "max_tokens": 5}),
        ("messages", {"messages": TALK, "max_tokens": 5, "output_config": {"format": 3}}),
        ("messages", {"messages": TALK}),
    ],
)
def test_wrong_types_deep_in_a_request_are_refused(server, path, body):
    reply = httpx2.post(f"{server.base_url}/{path}", json={"model": "gpt-4o", **body})
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_requests_are_kept_byte_for_byte(server):
    body = b'{ "model":"gpt-4o","messages":[{"role":"user","content":"\xc3\xa9"}]}'
    httpx2.post(f"{server.base_url}/chat/completions", content=body, headers={"x-mine": "yes"})
    (kept,) = server.requests()
    assert (kept.body, kept.headers["x-mine"]) == (body, "yes")


@pytest.mark.parametrize("key", ["right", "wrong"])
def test_the_key_may_come_in_each_providers_way(key):
    with SimulatedServer(time_scale=0, api_key="right") as server:
        clients = [
            openai.OpenAI(base_url=server.base_url, api_key=key).chat.completions,
            openai.AzureOpenAI(azure_endpoint=server.url, api_key=key, api_version="1").chat.completions,
            anthropic.Anthropic(base_url=server.url, api_key=key).messages,
        ]
        for client in clients:
            with contextlib.closing(client._client):
                ask = lambda: client.create(model="gpt-4o", messages=TALK, max_tokens=9)  # noqa: B023, E731
                if key == "right":
                    assert ask().model == "gpt-4o"
                else:
                    with pytest.raises((openai.AuthenticationError, anthropic.AuthenticationError)):
                        ask()


@pytest.mark.parametrize("written", ["nonsense", "die=-1", "die=x", "status=200", "stall=9999", "fault=429", "[]"])
def test_wishes_that_make_no_sense_are_refused(written):
    with pytest.raises(ConfigurationError):
        parse_wishes(written)


def test_wishes_are_read_as_written():
    assert parse_wishes(" gzip,tools=2 , 429") == Wishes(fault="429", gzip=True, tools=2)
    assert parse_wishes("") == Wishes()
    assert parse_wishes("die=0").names == ["die"]


class Deep(BaseModel):
    child: "Deep | None"
    many: list["Deep"]
    name: str


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_samples_satisfy_their_schema(seed):
    value = sample(Deep.model_json_schema(), seeded(seed))
    Deep.model_validate(value)
    shaped = sample(SCHEMA, seeded(seed))
    assert shaped["size"] >= 3
    assert shaped["kind"] in ("a", "b")
    assert Shape.model_validate(shaped, strict=True)
