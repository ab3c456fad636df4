"""Budgets below clients: what transports send passes the gates, whatever its form, and nobody overspends."""

import threading
from contextlib import aclosing, suppress

import anyio
import httpx
import pytest

from asking import wait_for
from provider_faces import drive
from resopt import Budget, BudgetExceededError, Limit, ManualClock, PriceBook, ResponseCache, Scope, options
from resopt.providers.simulated import SimulatedServer
from resopt.wrap.transport import AsyncTransport, SyncTransport
from transports import BODIES, Client, module, play

TESTED_WITH = ("transports", "httpx2", "httpx")
__all__ = ["module", "play"]
# httpx leaves the generator of a stream that is not read to its end behind, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'httpx2?\\.:ResourceWarning")

PRICES = PriceBook({"gpt-4o": (2.5, 10), "claude-haiku-4-5": (1, 5), "text-embedding-3-small": (0.02, 0)})
CHAT = "/v1/chat/completions"
FORMS = {"whole": {}, "stream": {"stream": True}}


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture
def budget():
    return Budget(Limit(5), prices=PRICES)


def account(budget):
    return budget.balance(budget.limits[0])


def asked(path=CHAT, text="What is Python?", stream=False, **fields):
    body = {**BODIES[path], **fields}
    if path == CHAT and stream:
        body["stream_options"] = {"include_usage": True}
    body["input" if "input" in body else "messages"] = [{"role": "user", "content": text}]
    return {**body, "stream": True} if stream else body


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_set_aside_and_settled_with_what_it_cost(play, module, server, budget, path, stream):
    async def scenario(client, transport):
        came = [await client.post(path, asked(path, stream=stream)) for _ in range(2)]
        return [reply.how for reply in came], transport.resopt.ledger.records

    how, records = play(scenario, gates=[budget], prices=PRICES)
    assert how == [None, "hit"]
    assert records[0].cost > 0
    assert (account(budget).spent, account(budget).promised, budget.accounts.open) == (records[0].cost, 0, 0)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("stream", [False, True])
def test_what_does_not_fit_is_turned_away_and_never_sent(play, server, path, stream):
    budget = Budget(Limit("0.000001", window="day"), prices=PRICES, degrade=["gpt-4o-mini"])

    async def scenario(client, transport):
        reply = await client.post(path, asked(path, stream=stream))
        return reply, [record.error for record in transport.resopt.ledger.records]

    reply, errors = play(scenario, gates=[budget])
    assert (reply.status, reply.how) == (429, "turned away")
    assert reply.headers["x-should-retry"] == "false"
    assert 0 < int(reply.headers["retry-after"]) <= 86_400
    assert "resopt_budget_exceeded" in reply.text
    assert errors == ["BudgetExceededError"]
    assert (server.stats().requests, account(budget).spent, budget.accounts.open) == (0, 0, 0)


def test_a_transport_cannot_degrade(play, server):
    """The body is the client's: a limit that says `degrade` rejects."""
    budget = Budget(Limit("0.0001", over="degrade"), prices=PRICES, degrade=["text-embedding-3-small"])

    async def scenario(client, transport):
        return (await client.post(CHAT, asked(max_tokens=100))).status

    assert play(scenario, gates=[budget]) == 429
    assert server.stats().requests == 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_past_its_time_is_served_where_the_budget_says_so(play, server, stream):
    clock = ManualClock(1_700_000_000.0)
    limit = Limit("0.02", over="stale")
    budget = Budget(limit, prices=PRICES)
    cache = ResponseCache(ttl_seconds=60, stale_seconds=3600, clock=clock)

    async def scenario(client, transport):
        body = asked(stream=stream, max_tokens=300)
        first = await client.post(CHAT, body)
        clock.advance(120)
        budget.reserve_amount(20_000_000_000 - account(budget).spent).send()
        return first, await client.post(CHAT, body)

    first, second = play(scenario, gates=[budget], cache=cache)
    assert second.raw == first.raw
    assert second.how == "hit"
    assert server.stats().requests == 1


@pytest.mark.parametrize("fault", ["500", "429", "disconnect"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_was_refused_is_given_back_and_what_broke_off_is_not(play, server, budget, fault, stream):
    body = asked(stream=stream, max_tokens=50)

    async def scenario(client, transport):
        server.next_faults(fault)
        with suppress(Exception):
            await client.post(CHAT, body)

    play(scenario, gates=[budget])
    charged = account(budget).spent > 0
    assert charged == (fault == "disconnect")
    assert (account(budget).promised, budget.accounts.open) == (0, 0)


def test_who_was_never_reached_is_owed_nothing(play, module, budget):
    class Nowhere:
        url = "http://127.0.0.1:9"

    async def scenario(client, transport):
        client = Client(client.http, Nowhere)
        with pytest.raises(module.ConnectError):
            await client.post(CHAT, asked())

    play(scenario, gates=[budget])
    assert (account(budget).spent, budget.accounts.open) == (0, 0)


async def half(client, server, body):
    """Read the beginning of a stream, which pauses there, and leave."""
    headers = {"authorization": "Bearer k", "x-simulate": "stall=600, stall_at=2"}
    request = client.build_request("POST", server.url + CHAT, json=body, headers=headers)
    if hasattr(client, "aclose"):
        response = await client.send(request, stream=True)
        async with aclosing(response.aiter_raw()) as chunks:
            async for _ in chunks:
                break
        await response.aclose()
    else:
        response = client.send(request, stream=True)
        for _ in response.iter_raw():
            break
        response.close()


def test_a_stream_left_half_way_is_charged_in_full(play, server, budget):
    body = asked(stream=True, max_tokens=50)

    async def scenario(client, transport):
        await half(client.http, server, body)
        return transport.resopt.ledger.records[-1].outcome

    assert play(scenario, gates=[budget]) == "cancelled"
    assert 0 < account(budget).spent < 0.001 * 10**12
    assert (account(budget).promised, budget.accounts.open) == (0, 0)


def test_embeddings_pass_the_gates_though_they_are_not_kept(play, module, server, budget):
    path, body = "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["one two three", "four"]}

    async def scenario(client, transport):
        return [await client.post(path, body) for _ in range(2)], transport.resopt.ledger.records

    replies, records = play(scenario, gates=[budget], prices=PRICES)
    with module.Client() as http:
        bare = drive(Client(http, server).post(path, body))
    assert [reply.text for reply in replies] == [bare.text, bare.text]
    assert [(record.outcome, record.cost > 0) for record in records] == [("bypass", True)] * 2
    assert account(budget).spent == sum(record.cost for record in records)
    assert budget.accounts.open == 0

    small = Budget(Limit("0.0000001"), prices=PRICES)

    async def too_dear(client, transport):
        return (await client.post(path, body)).status

    assert play(too_dear, gates=[small]) == 429
    assert server.stats().requests == 3


def test_a_refused_embedding_is_the_providers_own_reply_and_costs_nothing(play, server, budget):
    path, body = "/v1/embeddings", {"model": "text-embedding-3-small", "input": "one"}

    async def scenario(client, transport):
        server.next_faults("500")
        return await client.post(path, body)

    reply = play(scenario, gates=[budget])
    assert reply.status == 500
    assert "error" in reply.text
    assert (account(budget).spent, budget.accounts.open) == (0, 0)


def test_a_body_that_nobody_has_seen_is_turned_away(play, module, server, budget):
    """Sent piece by piece, a request for an answer cannot be bounded; without gates it passes as ever."""

    async def scenario(client, transport):
        blocking = not hasattr(client.http, "aclose")
        content = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}'

        async def later():
            yield content

        headers = {"authorization": "Bearer k", "content-type": "application/json"}
        pieces = iter([content]) if blocking else later()
        sent = client.http.post(server.url + CHAT, content=pieces, headers=headers)
        return (sent if blocking else await sent).status_code

    assert play(scenario, gates=[budget]) == 429
    assert server.stats().requests == 0
    assert play(scenario) == 200
    generous = Budget(Limit(5), prices=PRICES, unknown=1)
    assert play(scenario, gates=[generous]) == 200
    assert account(generous).spent == 10**12, "nobody can say what it cost"


def test_limits_of_users_are_told_apart(play, server):
    limit = Limit("0.0015", per="user", window="day")
    budget = Budget(limit, prices=PRICES)

    async def scenario(client, transport):
        statuses = []
        for user in ("ann", "ann", "bob"):
            with options(tenant="t", user=user):
                body = asked(text=f"Tell {user} about {len(statuses)}.", max_tokens=100)
                statuses.append((await client.post(CHAT, body)).status)
            if user == "ann":  # by another way she has used up what is left
                with suppress(BudgetExceededError):
                    budget.reserve_amount(500_000_000, scope=Scope(tenant="t", user="ann")).send()
        return statuses

    assert play(scenario, gates=[budget]) == [200, 429, 200]


CALLERS = 64


def crowd_body(number):
    return asked(text=f"What is {number} plus {number}?", stream=number % 2 == 0, max_tokens=60)


def test_sixty_four_callers_at_once_never_overspend_blocking(server):
    """A third of the streams is left half way; what they were billed is at most the limit, and nothing leaks."""
    limit = Limit("0.006")
    budget = Budget(limit, prices=PRICES)
    transport = SyncTransport(gates=[budget], prices=PRICES)
    statuses = []
    start = threading.Barrier(CALLERS)
    with httpx.Client(transport=transport, timeout=60) as client:

        def caller(number):
            start.wait()
            if number % 6 == 0:
                drive(half(client, server, crowd_body(number)))
                return
            headers = {"authorization": "Bearer k"}
            reply = client.post(server.url + CHAT, json=crowd_body(number), headers=headers)
            statuses.append(reply.status_code)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check_crowd(budget, transport, statuses, server)


@pytest.mark.anyio
async def test_sixty_four_callers_at_once_never_overspend_async(server):
    """The same with tasks, some of which are cancelled."""
    budget = Budget(Limit("0.006"), prices=PRICES)
    transport = AsyncTransport(gates=[budget], prices=PRICES)
    statuses = []
    async with httpx.AsyncClient(
        transport=transport, limits=httpx.Limits(max_connections=CALLERS), timeout=60
    ) as client:

        async def caller(number):
            if number % 6 == 0:
                await half(client, server, crowd_body(number))
                return
            with anyio.move_on_after(0.001 if number % 7 == 0 else 60):
                headers = {"authorization": "Bearer k"}
                reply = await client.post(server.url + CHAT, json=crowd_body(number), headers=headers)
                statuses.append(reply.status_code)

        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(caller, number)
        await wait_for(lambda: budget.accounts.open == 0)
    check_crowd(budget, transport, statuses, server)


def check_crowd(budget, transport, statuses, server):
    limit = 6_000_000_000
    assert set(statuses) == {200, 429}
    assert (account(budget).promised, budget.accounts.open) == (0, 0)
    billed = sum(record.cost or 0 for record in transport.resopt.ledger.records)
    assert 0 < billed <= account(budget).spent <= limit
    assert 0 < server.stats().requests < CALLERS
