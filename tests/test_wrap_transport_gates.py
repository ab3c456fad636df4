"""Gates below clients hold for everything that costs money, not for answers alone, and for nothing else."""

import gc
import json
import threading
from contextlib import aclosing

import anyio
import httpx
import pytest

from asking import wait_for
from costly_server import ONE_DOLLAR, PRICES, CostlyServer, cost_of, usage_of
from provider_faces import drive
from resopt import Budget, Limit, Limits, PriceBook, Request, Scope, options
from resopt.route.worst_case import TEMPLATE_TOKENS, worst_usage
from resopt.wrap.costs import UNBOUNDED, priced
from resopt.wrap.transport import AsyncTransport, SyncTransport, middleware
from transports import module, play

TESTED_WITH = ("transports", "httpx2", "httpx")
__all__ = ["module", "play"]
# Both libraries leave the generator of a stream that is not read to its end behind, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http(x|core)2?\\.:ResourceWarning")

BOOK = PriceBook(PRICES)
COMPLETIONS = "/v1/completions"
FORM = {"files": {"file": ("a.wav", b"RIFF")}, "data": {"model": "whisper-1"}}
COSTLY = {
    "/v1/images/generations": {"json": {"model": "gpt-image-1", "prompt": "a cat", "user": "ann"}},
    "/v1/images/edits": FORM,
    "/v1/images/variations": FORM,
    "/openai/deployments/dall-e-3/images/generations": {"json": {"prompt": "a cat"}},
    "/v1/audio/speech": {"json": {"model": "tts-1", "input": "Hello", "voice": "alloy"}},
    "/v1/audio/transcriptions": FORM,
    "/v1/audio/translations": FORM,
    "/v1/videos": {"json": {"prompt": "a cat"}},
    "/v1/videos/v_1/remix": {"json": {"prompt": "a dog"}},
    "/v1/responses": {"json": {"model": "gpt-4o", "prompt": {"id": "p_1"}}},
    "/v1/responses/compact": {"json": {"model": "gpt-4o", "input": "Hello"}},
    "/v1/threads/runs": {"json": {"assistant_id": "a"}},
    "/v1/threads/t_1/runs": {"json": {"assistant_id": "a"}},
    "/v1/threads/t_1/runs/r_1/submit_tool_outputs": {"json": {"tool_outputs": []}},
    "/v1/batches": {"json": {"input_file_id": "f", "endpoint": "/v1/chat/completions"}},
    "/v1/messages/batches": {"json": {"requests": []}},
    "/v1/fine_tuning/jobs": {"json": {"model": "gpt-4o", "training_file": "f"}},
    "/v1/evals/e_1/runs": {"json": {"data_source": {}}},
    "/v1/complete": {"json": {"model": "claude-2", "prompt": "Hello", "max_tokens_to_sample": 9}},
    "/model/anthropic.claude-v2:1/invoke": {"json": {"messages": []}},
    "/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict": {"json": {"messages": []}},
    "/v1/completions": {"content": b"no JSON"},
}
FREE = {
    "/v1/moderations": {"json": {"input": "Hello"}},
    "/v1/files": FORM,
    "/v1/uploads/u_1/complete": {"json": {"part_ids": ["a"]}},
    "/v1/messages/count_tokens": {"json": {"model": "claude-haiku-4-5", "messages": []}},
    "/v1/responses/input_tokens": {"json": {"model": "gpt-4o", "input": "Hello"}},
    "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict": {"json": {"messages": []}},
    "/v1/responses/r_1/cancel": {"json": {}},
    "/v1/batches/b_1/cancel": {"json": {}},
    "/v1/messages/batches/b_1/cancel": {"json": {}},
    "/v1/threads": {"json": {"messages": []}},
    "/v1/threads/t_1/messages": {"json": {"role": "user", "content": "Hello"}},
    "/v1/threads/t_1/runs/r_1/cancel": {"json": {}},
    "/v1/threads/t_1/runs/r_1": {"json": {"metadata": {}}},
    "/v1/fine_tuning/jobs/j_1/cancel": {"json": {}},
    "/v1/vector_stores/s_1/file_batches": {"json": {"file_ids": ["a"]}},
    "/v1/chat/completions/c_1": {"json": {"metadata": {}}},
    "/rooms/1/messages": {"json": {"text": "somebody else's"}},
    "/surveys/1/responses": {"json": {"answers": [1, 2]}},
    "/films/videos": {"json": {"title": "somebody else's"}},
    "/bakery/batches": {"json": {"flour": 3}},
    "/v1/sessions": {"json": {"password": "somebody else's"}},
}


@pytest.fixture(scope="module")
def running():
    with CostlyServer() as server:
        yield server


def account(budget):
    return budget.balance(budget.limits[0])


def settled(budget):
    """Nothing is promised any more; what was spent."""
    assert (account(budget).promised, budget.accounts.open) == (0, 0)
    return account(budget).spent


async def post(client, server, path, **content):
    sent = client.http.post(server.url + path, headers={"authorization": "Bearer k"}, **content)
    return sent if not hasattr(client.http, "aclose") else await sent


@pytest.mark.parametrize("path", COSTLY)
def test_what_has_no_worst_case_is_refused_or_set_aside_in_full(play, server, path):
    async def scenario(client, transport):
        reply = await post(client, server, path, **COSTLY[path])
        return reply, transport.resopt.ledger.records

    budget = Budget(Limit(5), prices=BOOK)
    reply, records = play(scenario, gates=[budget])
    assert (reply.status_code, reply.headers["x-resopt"]) == (429, "turned away")
    assert reply.headers["x-should-retry"] == "false"
    assert [(record.outcome, record.error) for record in records] == [("error", "BudgetExceededError")]
    assert (server.requests, settled(budget)) == ([], 0)
    if path == COMPLETIONS:  # what the budget lets pass is for the provider to refuse
        return

    generous = Budget(Limit(5), prices=BOOK, unknown=1)
    reply, records = play(scenario, gates=[generous], prices=BOOK)
    assert (reply.status_code, reply.headers.get("x-resopt")) == (200, None)
    assert [(record.outcome, record.cost) for record in records] == [("bypass", None)]
    assert settled(generous) == ONE_DOLLAR

    bare, records = play(scenario)
    assert (bare.content, records) == (reply.content, [])
    assert server.paths == [path] * 2
    if "json" in COSTLY[path]:
        assert server.requests[0][1] == server.requests[1][1]


@pytest.mark.parametrize("path", FREE)
def test_what_is_free_passes_untouched(play, server, path):
    async def scenario(client, transport):
        reply = await post(client, server, path, **FREE[path])
        return reply.status_code, transport.resopt.ledger.records

    budget = Budget(Limit("0.000001"), prices=BOOK)
    assert play(scenario, gates=[budget]) == (200, [])
    assert (server.paths, settled(budget)) == ([path], 0)


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/audio/transcriptions", COMPLETIONS])
def test_what_the_provider_refuses_costs_nothing(play, server, path, status):
    content = COSTLY[path] if path != COMPLETIONS else {"json": {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi"}}
    budget = Budget(Limit(5), prices=BOOK, unknown=1)

    async def scenario(client, transport):
        server.status = status
        reply = await post(client, server, path, **content)
        return reply.status_code, reply.json()["error"]["message"], transport.resopt.ledger.records[0].outcome

    assert play(scenario, gates=[budget]) == (status, "no", "error")
    assert settled(budget) == 0


def test_limits_count_them(play, server):
    limits = Limits()

    async def scenario(client, transport):
        for path in ("/v1/images/generations", "/v1/batches", "/v1/audio/translations"):
            await post(client, server, path, **COSTLY[path])
        await post(client, server, COMPLETIONS, json=completion())

    play(scenario, gates=[limits])
    assert (limits.figures().calls, limits.figures().flying) == (4, 0)


def test_they_count_in_the_account_of_who_asks(play, server):
    """Said by the running code, or by the body itself."""
    budget = Budget(Limit(1, per="user"), prices=BOOK, unknown=1)

    async def scenario(client, transport):
        path = "/v1/images/generations"
        statuses = []
        for _ in range(2):
            statuses.append((await post(client, server, path, **COSTLY[path])).status_code)
            with options(user="bob"):
                statuses.append((await post(client, server, path, **COSTLY[path])).status_code)
        return statuses

    assert play(scenario, gates=[budget]) == [200, 200, 429, 429]
    spent = [budget.balance(budget.limits[0], scope=Scope(user=user)).spent for user in ("ann", "bob", "cid")]
    assert spent == [ONE_DOLLAR, ONE_DOLLAR, 0]


def completion(prompt="one two three", **fields):
    return {"model": "gpt-3.5-turbo-instruct", "prompt": prompt, **fields}


PROMPTS = ["one two three", ["one", "two three"], [5, 60, 700], [[5, 60], [700], [1]]]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_completion_is_set_aside_and_settled_with_what_it_cost(play, server, prompt):
    body = completion(prompt, n=2)
    budget = Budget(Limit(5), prices=BOOK)

    async def scenario(client, transport):
        return (await post(client, server, COMPLETIONS, json=body)).json(), transport.resopt.ledger.records

    reply, records = play(scenario, gates=[budget], prices=BOOK)
    assert reply["usage"] == usage_of(body)
    assert [(record.outcome, record.cost) for record in records] == [("bypass", cost_of(usage_of(body)))]
    assert settled(budget) == cost_of(usage_of(body)) == server.billed

    small = Budget(Limit("0.00001"), prices=BOOK)
    assert play(scenario, gates=[small])[0]["error"]["code"] == "resopt_budget_exceeded"
    assert (len(server.requests), settled(small)) == (1, 0)


@pytest.mark.parametrize("prompt", [*PROMPTS, "", [], [""], [[]], "ñ€😀" * 30, list(range(300)), "\x00\x01"])
@pytest.mark.parametrize("fields", [{}, {"max_tokens": 7}, {"n": 3, "best_of": 5}, {"max_tokens": None, "n": None}])
def test_the_worst_case_of_a_completion_bounds_it(prompt, fields):
    body = completion(prompt, **fields)
    worst, usage = worst_usage(Request(body=body, api="openai.completions"), 10**6), usage_of(body)
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) + TEMPLATE_TOKENS
    assert usage["prompt_tokens"] <= worst.input_tokens <= size
    prompts = 0 if prompt == [] else usage["completion_tokens"]
    assert worst.output_tokens >= prompts
    assert worst.output_tokens in (usage["completion_tokens"], usage["completion_tokens"] * max(1, len(prompt)))


@pytest.mark.parametrize("fields", [{"prompt": {"text": "one"}}, {"max_tokens": "9"}, {"n": -1}, {"prompt": 3}])
def test_a_completion_that_makes_no_sense_has_no_bound(fields):
    assert worst_usage(Request(body=completion() | fields, api="openai.completions"), 1000) is None


def test_nothing_bounds_what_is_only_known_to_cost_money():
    body = {"model": "gpt-4o", "prompt": "a cat", "max_tokens": 1}
    assert worst_usage(Request(body=body, api=UNBOUNDED), 1000, lambda _: 1) is None


def test_a_streamed_completion_is_settled_by_what_it_says_and_never_held_up(play, server):
    budget = Budget(Limit(5), prices=BOOK)
    body = completion(stream=True, max_tokens=20)
    told = {**body, "stream_options": {"include_usage": True}}

    async def scenario(client, transport):
        def first(chunk):
            assert b"Python" in chunk
            assert account(budget).promised > 0
            server.held = False

        server.held = True
        said = await streamed(client, server, told, first)
        return said, transport.resopt.ledger.records

    said, records = play(scenario, gates=[budget], prices=BOOK)
    assert said.endswith(b"data: [DONE]\n\n")
    assert settled(budget) == cost_of(usage_of(body)) == records[0].cost

    untold = Budget(Limit(5), prices=BOOK)
    play(lambda client, _: streamed(client, server, body), gates=[untold])
    assert settled(untold) == untold.worst_case(Request(body=body, api="openai.completions"))


async def streamed(client, server, body, seen=lambda _: None, *, leave=False):
    """The bytes of a stream; `seen` is called with its first chunk, and `leave` reads no more than that."""
    request = client.http.build_request("POST", server.url + COMPLETIONS, json=body)
    chunks = []
    if hasattr(client.http, "aclose"):
        response = await client.http.send(request, stream=True)
        async with aclosing(response.aiter_raw()) as coming:
            async for chunk in coming:
                chunks.append(chunk)
                seen(chunk) if len(chunks) == 1 else None
                if leave:
                    break
        await response.aclose()
    else:
        response = client.http.send(request, stream=True)
        for chunk in response.iter_raw():
            chunks.append(chunk)
            seen(chunk) if len(chunks) == 1 else None
            if leave:
                break
        response.close()
    return b"".join(chunks)


def test_a_stream_left_half_way_is_charged_in_full(play, server):
    budget = Budget(Limit(5), prices=BOOK)
    body = completion(stream=True, stream_options={"include_usage": True})

    async def scenario(client, transport):
        server.held = True
        try:
            await streamed(client, server, body, leave=True)
        finally:
            server.held = False
        return [record.outcome for record in transport.resopt.ledger.records]

    assert play(scenario, gates=[budget]) == ["cancelled"]
    assert settled(budget) == budget.worst_case(Request(body=body, api="openai.completions"))


def test_a_reply_that_nobody_reads_or_closes_is_charged_in_full(server):
    budget = Budget(Limit(5), prices=BOOK)
    with httpx.Client(transport=SyncTransport(gates=[budget]), timeout=60) as client:
        request = client.build_request("POST", server.url + COMPLETIONS, json=completion())
        response = client.send(request, stream=True)
        assert budget.accounts.open == 1
        del response
        gc.collect()  # the libraries' replies and their bodies hold one another
        for _ in range(1000):
            if not budget.accounts.open:
                break
            threading.Event().wait(0.005)
    assert settled(budget) > 0


CALLERS = 64
LIMIT = 1_000_000_000


def crowd(number):
    return completion([f"word {number}"] * (1 + number % 3), n=1 + number % 2, stream=number % 4 == 0)


def test_sixty_four_callers_at_once_never_overspend_blocking(server):
    budget = Budget(Limit("0.001"), prices=BOOK)
    statuses, start = [], threading.Barrier(CALLERS)
    with httpx.Client(transport=SyncTransport(gates=[budget]), timeout=60) as client:

        def caller(number):
            start.wait()
            statuses.append(client.post(server.url + COMPLETIONS, json=crowd(number)).status_code)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200, 429}
    assert 0 < server.billed <= settled(budget) <= LIMIT


@pytest.mark.anyio
async def test_sixty_four_callers_at_once_never_overspend_async(server):
    """The same with tasks, some of which are cancelled."""
    budget = Budget(Limit("0.001"), prices=BOOK)
    statuses = []
    transport = AsyncTransport(gates=[budget])
    async with httpx.AsyncClient(
        transport=transport, limits=httpx.Limits(max_connections=CALLERS), timeout=60
    ) as client:

        async def caller(number):
            with anyio.move_on_after(0.002 if number % 7 == 0 else 60):
                reply = await client.post(server.url + COMPLETIONS, json=crowd(number))
                statuses.append(reply.status_code)

        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(caller, number)
        await wait_for(lambda: budget.accounts.open == 0)
    assert set(statuses) == {200, 429}
    assert 0 < server.billed <= settled(budget) <= LIMIT


def test_only_posts_cost_money():
    assert priced("GET", "/v1/batches", lambda: {"input_file_id": "f"}) is None
    assert priced("post", "/v1/batches", lambda: {"input_file_id": "f"}) == (UNBOUNDED, {"input_file_id": "f"})
    assert priced("POST", COMPLETIONS, completion) == ("openai.completions", completion())
    assert priced("POST", "/v1/chat/completions", lambda: {"messages": []}) == ("openai.chat", {"messages": []})
    assert priced("POST", "/v1/threads/t/messages", lambda: None) is None


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def ask_claude(request, server):
    """Ask one thing of a client of Anthropic's with resopt's middleware; `kind` is the client's class."""
    anthropic = pytest.importorskip("anthropic")

    def ask(gates, what, kind="Anthropic", **settings):
        hook = middleware(gates=gates)
        name = kind if request.param == "blocking" else f"Async{kind}"
        client = getattr(anthropic, name)(middleware=[hook], max_retries=2, **settings)

        async def session():
            try:
                made = what(client)
                return made if request.param == "blocking" else await made
            finally:
                closing = client.close()
                if request.param != "blocking":
                    await closing

        return drive(session()) if request.param == "blocking" else anyio.run(session, backend=request.param)

    return ask


CLAUDE = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


def test_middleware_lets_nothing_round_the_gates(ask_claude, server):
    from resopt import BudgetExceededError

    own = {"base_url": server.url, "api_key": "k"}
    batch = [{"custom_id": "a", "params": CLAUDE}]

    def batches(client):
        return client.messages.batches.create(requests=batch)

    budget, generous = Budget(Limit(5), prices=BOOK), Budget(Limit(5), prices=BOOK, unknown=1)
    with pytest.raises(BudgetExceededError):
        ask_claude([budget], batches, **own)
    assert server.requests == []
    assert ask_claude([generous], batches, **own).id == "x_1"
    ask_claude([budget], lambda client: client.messages.count_tokens(model="m", messages=[]), **own)
    assert ask_claude((), batches, **own).id == "x_1"
    assert (settled(generous), settled(budget)) == (ONE_DOLLAR, 0)


def test_middleware_of_a_client_that_it_shares_nothing_of_passes_the_gates(ask_claude, server):
    """Bedrock's client proves its identity in a way of its own: nothing is kept, but it costs money all the same."""
    from resopt import BudgetExceededError

    bedrock = {"base_url": server.url, "api_key": "k", "aws_region": "us-east-1", "kind": "AnthropicBedrock"}
    budget, small = Budget(Limit(5), prices=BOOK), Budget(Limit("0.00001"), prices=BOOK)
    with pytest.raises(BudgetExceededError):
        ask_claude([small], lambda client: client.messages.create(**CLAUDE), **bedrock)
    assert server.requests == []
    ask_claude([budget], lambda client: client.messages.create(**CLAUDE), **bedrock)
    assert server.paths == ["/model/claude-haiku-4-5/invoke"]
    assert settled(budget) > 0, "the reply does not say what it cost"
    assert settled(small) == 0
