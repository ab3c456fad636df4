"""Transports below bare clients of httpx and httpx2: what is read is what came, and it comes once."""

import json
import threading
import time
from contextlib import aclosing

import anyio
import pytest

from raw_server import wait_until
from resopt import ConfigurationError, ResponseCache, last, options
from resopt.providers.simulated import SimulatedServer
from resopt.wrap.transport import AsyncTransport, SyncTransport
from transports import BODIES, TALK, Client, drive, module, play

TESTED_WITH = ("transports", "httpx2", "httpx", "openai", "anthropic")
__all__ = ["module", "play"]

FORMS = {
    "plain": ({}, ""),
    "plain gzip": ({}, "gzip"),
    "stream": ({"stream": True}, ""),
    "stream gzip": ({"stream": True}, "gzip"),
}


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("form", FORMS)
def test_a_hit_is_read_byte_for_byte_as_the_miss(play, module, server, path, form):
    fields, wishes = FORMS[form]
    body = {**BODIES[path], **fields}
    with module.Client() as http:
        bare = Client(http, server)
        came = drive(bare.post(path, body, x_simulate=wishes))

    async def scenario(client, transport):
        return [await client.post(path, body, x_simulate=wishes) for _ in range(3)], transport.resopt.ledger.records

    (miss, *hits), records = play(scenario)
    assert miss.how is None
    assert miss.shape() == came.shape()
    assert ("content-encoding" in miss.headers) == ("gzip" in form)
    for hit in hits:
        assert hit.how == "hit"
        assert hit.age == "0"
        assert hit.read() == miss.read()
    assert server.stats().requests == 2
    assert [record.outcome for record in records] == ["miss", "hit", "hit"]
    assert records[0].usage == records[1].avoided_usage
    assert (records[0].usage.output_tokens > 0) == (path != "/v1/chat/completions" or "stream" not in form)


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_is_replayed_event_by_event(play, server, path):
    async def scenario(client, transport):
        return [await client.post(path, {**BODIES[path], "stream": True}) for _ in range(2)]

    miss, hit = play(scenario)
    assert len(hit.chunks) == miss.text.count("\n\n")
    assert all(chunk.endswith(b"\n\n") for chunk in hit.chunks)


def test_streaming_and_plain_callers_are_kept_apart(play, server):
    path = "/v1/chat/completions"
    bodies = [
        BODIES[path],
        {**BODIES[path], "stream": True},
        {**BODIES[path], "stream": True, "stream_options": {"include_usage": True}},
    ]

    async def scenario(client, transport):
        return [await client.post(path, body) for body in [*bodies, *bodies]]

    replies = play(scenario)
    assert [reply.how for reply in replies] == [None] * 3 + ["hit"] * 3
    assert [reply.raw for reply in replies[:3]] == [reply.raw for reply in replies[3:]]
    assert len({reply.raw for reply in replies}) == 3


def test_who_accepts_no_gzip_gets_none(play, server):
    path = "/v1/chat/completions"

    async def scenario(client, transport):
        return [
            await client.post(path, x_simulate="gzip", accept_encoding=accepted)
            for accepted in ("gzip", "identity", "gzip", "identity")
        ]

    replies = play(scenario)
    assert [reply.how for reply in replies] == [None, None, "hit", "hit"]
    assert ["content-encoding" in reply.headers for reply in replies] == [True, False, True, False]


BAD = [
    *[({}, wishes) for wishes in ("429", "500", "status=400", "error_body", "refusal", "filter", "blank")],
    ({"max_tokens": 2}, ""),
    *[({"stream": True}, wishes) for wishes in ("429", "cut=3", "unended", "error_event=3", "refusal")],
]


@pytest.mark.parametrize(("fields", "wishes"), BAD)
def test_only_good_answers_are_kept(play, server, fields, wishes):
    path = "/v1/chat/completions"

    async def scenario(client, transport):
        replies = [await client.post(path, {**BODIES[path], **fields}, x_simulate=wishes) for _ in range(2)]
        return replies, len(transport.resopt.cache)

    replies, kept = play(scenario)
    assert [reply.how for reply in replies] == [None, None]
    assert server.stats().requests == 2
    assert kept == 0


def test_an_error_reply_comes_through_whole(play, server):
    async def scenario(client, transport):
        reply = await client.post("/v1/chat/completions", x_simulate="429, retry_after=7")
        return reply, transport.resopt.ledger.records

    reply, (record,) = play(scenario)
    assert (record.outcome, record.error) == ("error", "RefusedError")
    assert reply.status == 429
    assert reply.headers["retry-after"] == "7"
    assert "error" in json.loads(reply.text)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("events", [0, 2])
def test_a_dying_stream_is_the_librarys_own_error_and_not_kept(play, module, server, path, events):
    async def scenario(client, transport):
        for _ in range(2):
            with pytest.raises(module.RemoteProtocolError) as caught:
                await client.post(path, {**BODIES[path], "stream": True}, x_simulate=f"die={events}")
            assert str(caught.value.request.url).endswith(path)
        return len(transport.resopt.cache)

    assert play(scenario) == 0
    assert server.stats().requests == 2


def test_the_librarys_own_error_comes_when_nobody_answers(play, module):
    class Nowhere:
        url = "http://127.0.0.1:1"

    async def scenario(client, transport):
        client._url = Nowhere.url
        with pytest.raises(module.ConnectError) as caught:
            await client.post("/v1/chat/completions")
        assert caught.value.request.method == "POST"

    play(scenario)


APART = {
    "keys": [{"authorization": "Bearer one"}, {"authorization": "Bearer two"}],
    "Azure's keys": [{"api_key": "one"}, {"api_key": "two"}],
    "Anthropic's keys": [{"x_api_key": "one"}, {"x_api_key": "two"}],
    "organizations": [{"openai_organization": "one"}, {"openai_organization": "two"}],
    "beta features": [{"anthropic_beta": "one"}, {}],
    "sessions": [{"cookie": "session=1"}, {"cookie": "session=2"}],
}


@pytest.mark.parametrize("what", APART)
def test_callers_are_kept_apart(play, server, what):
    async def scenario(client, transport):
        return [await client.post("/v1/messages", **headers) for headers in [*APART[what], *APART[what]]]

    first, second, *again = play(scenario)
    assert (first.how, second.how) == (None, None)
    assert first.raw != second.raw
    assert [reply.raw for reply in again] == [first.raw, second.raw]


def test_one_tenant_may_have_many_keys_and_two_tenants_meet_nowhere(play, server):
    path = "/v1/chat/completions"

    async def scenario(client, transport):
        how = []
        for tenant, key in (("a", "one"), ("a", "two"), ("b", "one")):
            with options(tenant=tenant):
                how.append((await client.post(path, authorization=f"Bearer {key}")).how)
        return how

    assert play(scenario) == [None, "hit", None]


@pytest.mark.parametrize("header", ["x_request_id", "x_stainless_retry_count", "idempotency_key", "user_agent"])
def test_what_cannot_change_an_answer_does_not_separate(play, header):
    async def scenario(client, transport):
        return [(await client.post("/v1/responses", **{header: value})).how for value in ("one", "two")]

    assert play(scenario) == [None, "hit"]


def test_cookies_of_the_way_do_not_separate(play):
    async def scenario(client, transport):
        cookies = ("__cf_bm=1; a=b", "a=b; __cf_bm=2; _cfuvid=3")
        return [(await client.post("/v1/responses", cookie=cookie)).how for cookie in cookies]

    assert play(scenario) == [None, "hit"]


def test_paths_and_queries_separate(play, server):
    body = BODIES["/v1/chat/completions"]

    async def scenario(client, transport):
        paths = ("/v1/chat/completions", "/v1/chat/completions?api-version=1", "/v1/chat/completions?api-version=2")
        return [(await client.post(path, body)).how for path in (*paths, *paths)]

    assert play(scenario) == [None] * 3 + ["hit"] * 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}),
        ("/v1/threads/t/messages", {"role": "user", "content": "hi"}),
        ("/v1/files", {"a": 1}),
        ("/v1/messages/count_tokens", {"model": "claude-haiku-4-5", "messages": TALK}),
    ],
)
def test_everything_else_passes_through(play, server, path, body):
    async def scenario(client, transport):
        replies = [await client.post(path, body) for _ in range(2)]
        return replies, len(transport.resopt.cache), transport.resopt.stats.misses

    replies, kept, misses = play(scenario)
    assert (kept, misses) == (0, 0)
    assert [reply.how for reply in replies] == [None, None]


def test_a_body_sent_piece_by_piece_passes_through(module, server):
    body = json.dumps(BODIES["/v1/chat/completions"]).encode()
    transport = SyncTransport()
    with module.Client(transport=transport) as client:
        for _ in range(2):
            reply = client.post(
                server.base_url + "/chat/completions",
                content=iter([body[:9], body[9:]]),
                headers={"content-type": "application/json"},
            )
            assert reply.json()["choices"]
    assert server.stats().requests == 2
    assert transport.resopt.stats.misses == 0


def test_options_rule_each_call(play, server):
    path = "/v1/chat/completions"

    async def scenario(client, transport):
        how = []
        for given in ({"cache": "only"}, {"cache": "bypass"}, {}, {"cache": "refresh"}, {"cache": "only"}):
            with options(tags=("t",), **given):
                reply = await client.post(path)
                how.append((reply.status, reply.how))
        assert transport.resopt.invalidate(tag="t") == 1
        how.append((reply.status, (await client.post(path)).how))
        return how

    assert play(scenario) == [(504, "miss"), (200, None), (200, None), (200, None), (200, "hit"), (200, None)]
    assert server.stats().requests == 4


def test_the_trace_of_a_reply(play):
    async def scenario(client, transport):
        return [last((await client.post("/v1/chat/completions")).response) for _ in range(2)]

    miss, hit = play(scenario, prices={"gpt-4o": (2.5, 10)})
    assert (miss.outcome, hit.outcome) == ("miss", "hit")
    assert miss.cost == hit.avoided > 0
    assert hit.age is not None


class Watched(ResponseCache):
    """A cache that shows what it is given to keep."""

    def admit(self, request, response, plan=None):
        self.shown = (response, request.scope, plan)
        return super().admit(request, response, plan)


def test_nothing_kept_holds_a_credential(play):
    cache = Watched()

    async def scenario(client, transport):
        headers = {"authorization": "Bearer very-secret", "cookie": "session=very-secret"}
        await client.post("/v1/chat/completions", **headers)
        return transport.resopt.ledger.records

    records = play(scenario, cache=cache)
    assert len(cache) == 1
    assert b"choices" in b"".join(cache.shown[0].events)
    assert "very-secret" not in repr((cache.shown, records))


def test_set_cookie_and_rate_limits_are_not_replayed(module):
    def answer(request):
        headers = {"set-cookie": "__cf_bm=1", "x-ratelimit-remaining-requests": "9", "x-request-id": "r"}
        message = {"role": "assistant", "content": "Hello."}
        reply = {"id": "1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        return module.Response(200, headers=headers, json=reply)

    with module.Client(transport=SyncTransport(module.MockTransport(answer))) as client:
        replies = [client.post("http://x/v1/chat/completions", json=BODIES["/v1/chat/completions"]) for _ in range(2)]
    assert replies[0].headers["set-cookie"] == "__cf_bm=1"
    assert replies[1].headers["x-resopt"] == "hit"
    assert replies[1].headers["x-request-id"] == "r"
    assert not {"set-cookie", "x-ratelimit-remaining-requests"} & set(replies[1].headers)


@pytest.mark.parametrize("stream", [False, True])
def test_concurrent_threads_make_one_call(module, server, stream):
    together = 20
    transport, barrier, read = SyncTransport(), threading.Barrier(together), []
    path = "/v1/chat/completions"
    with module.Client(transport=transport) as http:

        def ask():
            barrier.wait()
            with http.stream("POST", server.url + path, json={**BODIES[path], "stream": stream}) as reply:
                read.append(b"".join(reply.iter_raw()))

        threads = [threading.Thread(target=ask) for _ in range(together)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read) == together
    assert len(set(read)) == 1
    assert server.stats().requests == 1


# Both HTTP libraries leave a generator of theirs behind when a reader leaves, which trio reports.
leaving = pytest.mark.filterwarnings("ignore:Async generator.*BoundAsyncStream:ResourceWarning")


@leaving
@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_concurrent_tasks_make_one_call_whoever_leaves(module, server, stream):
    path, read = "/v1/chat/completions", []
    transport = AsyncTransport()
    body = {**BODIES[path], "stream": stream}
    async with module.AsyncClient(transport=transport) as http:

        async def ask(leaves):
            headers = {"x-simulate": "first_byte=0.2, pace=0.01"}
            sending = http.stream("POST", server.url + path, json=body, headers=headers)
            async with sending as reply, aclosing(reply.aiter_raw()) as chunks:
                seen = await anext(chunks)
                if not leaves:
                    async for chunk in chunks:
                        seen += chunk
                    read.append(seen)

        async with anyio.create_task_group() as group:
            scopes = {}
            for number in range(60):

                async def cancelled(number=number):
                    with anyio.CancelScope() as scope:
                        scopes[number] = scope
                        await ask(number % 3 == 1)

                group.start_soon(cancelled)
            await anyio.sleep(0.05)
            for number, scope in scopes.items():  # trio starts tasks in no order
                if number % 3 == 0:
                    scope.cancel()
    assert len(read) == 20
    assert len(set(read)) == 1
    assert server.stats().requests == 1


@leaving
@pytest.mark.anyio
async def test_when_all_have_left_the_call_is_closed(module, server):
    path = "/v1/chat/completions"
    transport = AsyncTransport()
    async with module.AsyncClient(transport=transport) as http:
        headers = {"x-simulate": "pace=0.05"}
        body = {**BODIES[path], "stream": True}
        sending = http.stream("POST", server.url + path, json=body, headers=headers)
        async with sending as reply, aclosing(reply.aiter_raw()) as chunks:
            await anext(chunks)
        await anyio.to_thread.run_sync(lambda: wait_until(server, lambda stats: stats.streams_open == 0))
        assert server.stats().streams_aborted == 1
        assert len(transport.resopt.cache) == 0
        assert transport.resopt.cut_off == 1


def test_closing_the_client_closes_the_wrapped_transport(module):
    below = module.HTTPTransport()
    closed = []
    below.close = lambda: closed.append(True)
    module.Client(transport=SyncTransport(below)).close()
    assert closed == [True]


@pytest.mark.anyio
async def test_closing_an_async_client_closes_the_wrapped_transport(module):
    class Below(module.AsyncHTTPTransport):
        closed = False

        async def aclose(self):
            self.closed = True
            await super().aclose()

    below = Below()
    await module.AsyncClient(transport=AsyncTransport(below)).aclose()
    assert below.closed


@pytest.mark.parametrize("wrong", [3, object()])
def test_what_is_no_transport_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="wraps a transport with"):
        SyncTransport(wrong)
    with pytest.raises(ConfigurationError, match="wraps a transport with"):
        AsyncTransport(wrong)


@pytest.mark.parametrize("path", BODIES)
def test_late_threads_get_what_was_seen_and_then_what_comes(module, server, path):
    body, headers = {**BODIES[path], "stream": True}, {"x-simulate": "pace=0.005"}
    http = module.Client(transport=SyncTransport())
    with http, http.stream("POST", server.url + path, json=body, headers=headers) as first:
        chunks = first.iter_raw()
        seen = next(chunks)
        assert server.stats().streams_open == 1  # nothing is held back until the end
        second = http.post(server.url + path, json=body, headers=headers)
        seen += b"".join(chunks)
    assert second.headers["x-resopt"] == "coalesced"
    assert second.content == seen
    assert server.stats().requests == 1


@pytest.mark.anyio
@pytest.mark.parametrize("path", BODIES)
async def test_late_tasks_get_what_was_seen_and_then_what_comes(module, server, path):
    body, headers = {**BODIES[path], "stream": True}, {"x-simulate": "pace=0.005"}
    http = module.AsyncClient(transport=AsyncTransport())
    async with http, http.stream("POST", server.url + path, json=body, headers=headers) as first:
        chunks = first.aiter_raw()
        seen = await anext(chunks)
        assert server.stats().streams_open == 1  # nothing is held back until the end
        second = await http.post(server.url + path, json=body, headers=headers)
        seen += b"".join([chunk async for chunk in chunks])
    assert second.headers["x-resopt"] == "coalesced"
    assert second.content == seen
    assert server.stats().requests == 1


STRANGE = [
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "\\ud800"}]}',
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "seed": NaN}',
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "seed": 1e999}',
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "seed": ' + "9" * 400 + "}",
    '{"model": "gpt-4o", "messages": ' + "[" * 900 + "]" * 900 + "}",
    '{"model": "gpt-4o", "messages": ' + "[" * 90_000 + "]" * 90_000 + "}",
    '{"model": "gpt-4o", "messages": null}',
    '{"model": 4, "messages": "hi"}',
    "[]",
    "no JSON",
    "",
]


@pytest.mark.parametrize("content", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_strange_bodies_go_where_they_are_sent(module, path, content):
    """A drop-in must not break what works without it, nor change what is sent."""
    seen = []

    def answer(request):
        seen.append(request.content.decode())
        return module.Response(400, json={"error": {"message": "what is this?"}})

    with module.Client(transport=SyncTransport(module.MockTransport(answer))) as http:
        for _ in range(2):
            assert http.post("http://x" + path, content=content).status_code == 400
    assert seen == [content, content]


def test_numbers_that_are_not_the_same_are_not_taken_for_the_same(module):
    def answer(request):
        message = {"role": "assistant", "content": "Hello."}
        reply = {"id": "1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        return module.Response(200, json=reply)

    how = []
    with module.Client(transport=SyncTransport(module.MockTransport(answer))) as http:
        for seed in (2**64, 2**64 + 1, 2**64):
            body = {**BODIES["/v1/chat/completions"], "seed": seed}
            how.append(http.post("http://x/v1/chat/completions", json=body).headers.get("x-resopt"))
    assert how[:2] == [None, None]


@pytest.mark.parametrize("by", ["option", "setting"])
def test_a_replay_may_be_paced(play, by):
    body = {**BODIES["/v1/messages"], "stream": True}

    async def scenario(client, transport):
        await client.post("/v1/messages", body)
        with options(replay_pace=0.002 if by == "option" else None):
            began = time.perf_counter()
            hit = await client.post("/v1/messages", body)
        return hit, time.perf_counter() - began

    hit, seconds = play(scenario, **({"replay_pace": 0.002} if by == "setting" else {}))
    assert hit.how == "hit"
    assert seconds >= 0.002 * len(hit.chunks)


def test_an_answer_for_one_user_is_served_to_nobody_else(play):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Where is my order?"}]}

    async def scenario(client, transport):
        how = []
        for user in ("ada", "bob", "ada"):
            with options(user=user):
                how.append((await client.post("/v1/chat/completions", body)).how)
        how.append((await client.post("/v1/chat/completions", {**body, "user": "bob"})).how)
        return how

    assert play(scenario) == [None, None, "hit", "hit"]


def test_what_rests_on_the_providers_state_is_never_shared(play, server):
    body = {**BODIES["/v1/responses"], "previous_response_id": "resp_1"}

    async def scenario(client, transport):
        return [(await client.post("/v1/responses", body)).how for _ in range(2)]

    assert play(scenario) == [None, None]
    assert server.stats().requests == 2
