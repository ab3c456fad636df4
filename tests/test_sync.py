"""The blocking face: the same pipeline in the caller's own thread, from many threads, with and without a twin."""

import asyncio
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
import trio

from asking import CALL_COST, PRICES, Scripted, Twin, ask, body, outcomes
from resopt import AsyncOptimizer, Ledger, OpenAIProvider, Optimizer, Request, ResponseCache, Scope, SimulatedServer
from resopt.errors import (
    CacheMissError,
    ClosedError,
    ConfigurationError,
    ServerError,
    UnkeyableError,
)
from resopt.sync import drive

QUESTION = "How do I reset my router?"
PERSONAL = "What is my account balance?"


class SlowTwin(Twin):
    """Takes its time in a blocking call, so that other threads come meanwhile."""

    def __init__(self, **fields):
        super().__init__(**fields)
        self.release = threading.Event()

    async def complete(self, request):
        response = await super().complete(request)
        assert self.release.wait(10)
        return response


class Suspends(Twin):
    """Says that it never suspends, and does."""

    async def complete(self, request):
        await Suspension()
        return await super().complete(request)


class Suspension:
    def __await__(self):
        yield


@pytest.fixture(params=[Twin, Scripted], ids=["twin", "portal"])
def provider(request):
    return request.param()


@pytest.fixture
def optimizer(provider):
    with Optimizer(provider, prices=PRICES) as made:
        yield made


def in_threads(count, function):
    """Run `function(number)` in so many threads that begin together."""
    together = threading.Barrier(count)

    def one(number):
        together.wait(10)
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_outcomes_and_money_are_those_of_the_async_face(optimizer, provider):
    miss, hit = optimizer.complete(QUESTION), optimizer.complete(ask(QUESTION.lower()))
    assert (miss.trace.outcome, miss.trace.cost) == ("miss", CALL_COST)
    assert (hit.trace.outcome, hit.trace.mechanism, hit.trace.avoided) == ("hit", "folded", CALL_COST)
    assert optimizer.complete(QUESTION, cache="bypass").trace.outcome == "bypass"
    assert optimizer.complete(QUESTION, cache="refresh").text == f"3: {QUESTION}"
    with pytest.raises(CacheMissError):
        optimizer.complete("Something else?", cache="only")
    assert optimizer.lookup(QUESTION).text == f"3: {QUESTION}"
    assert outcomes(optimizer) == ["miss", "hit", "bypass", "miss", "error"]
    assert provider.calls == 3


def test_a_hit_starts_no_thread():
    cache = ResponseCache()
    cache.set(QUESTION, "stored")
    before = threading.active_count()
    optimizer = Optimizer(Scripted(), cache=cache)
    assert optimizer.complete(QUESTION).text == "stored"
    assert threading.active_count() == before


@pytest.mark.parametrize("loop", [asyncio.run, trio.run])
def test_it_works_inside_a_running_event_loop(provider, loop):
    async def main():
        with Optimizer(provider) as optimizer:
            return [optimizer.complete(QUESTION).trace.outcome for _ in range(2)]

    assert loop(main if loop is trio.run else main()) == ["miss", "hit"]


def test_equal_calls_of_sixteen_threads_make_one():
    provider = SlowTwin()
    optimizer = Optimizer(provider, prices=PRICES)

    def one(number):
        if number == 0:
            threading.Timer(0.2, provider.release.set).start()
        return optimizer.complete(QUESTION)

    responses = in_threads(16, one)
    assert provider.calls == 1
    assert len({id(response) for response in responses}) == 16
    counted = outcomes(optimizer)
    assert counted.count("miss") == 1
    assert counted.count("coalesced") + counted.count("hit") == 15
    assert sum(record.cost for record in optimizer.ledger.records) == CALL_COST
    assert sum(record.baseline_cost for record in optimizer.ledger.records) == 16 * CALL_COST


def test_an_answer_that_landed_after_the_lookup_is_not_bought_again(monkeypatch):
    """Between its lookup and its flight, another thread's whole call may fit."""
    provider = Twin()
    optimizer = Optimizer(provider, prices=PRICES)
    plan = optimizer.cache.plan

    def overtaken(request, key=None):
        monkeypatch.setattr(optimizer.cache, "plan", plan)
        assert optimizer.complete(QUESTION).trace.outcome == "miss"
        return plan(request, key)

    monkeypatch.setattr(optimizer.cache, "plan", overtaken)
    late = optimizer.complete(QUESTION)
    assert (late.trace.outcome, late.trace.cost, provider.calls) == ("hit", 0, 1)
    assert outcomes(optimizer) == ["miss", "hit"]


def test_sixteen_threads_keep_exact_books_and_never_mix_users(provider):
    with Optimizer(provider, prices=PRICES, cache=ResponseCache(max_size=50), ledger=None) as optimizer:
        complete = provider.complete

        async def owner(request):
            made = await complete(request)
            mine = request.question == PERSONAL
            fields = {"text": request.scope.user if mine else "*", "usage": made.usage}
            return await Scripted(**fields).complete(request)

        provider.complete = owner

        def one(number):
            draw = random.Random(number)
            for _ in range(60):
                user = draw.choice(["ann", "bob", "eve"])
                question = draw.choice([PERSONAL, QUESTION, f"What is {draw.randrange(30)}?"])
                tags = draw.choice([(), ("kb",)])
                response = optimizer.complete(question, scope=Scope(user=user), tags=tags)
                assert response.text == (user if question == PERSONAL else "*")
                if draw.random() < 0.05:
                    optimizer.cache.invalidate(tag="kb")

        in_threads(16, one)
        records = optimizer.ledger.records
        assert len(records) == 960
        assert sum(record.cost for record in records) == provider.calls * CALL_COST
        assert sum(record.avoided_cost for record in records) == (960 - provider.calls) * CALL_COST
        assert optimizer.skipped == {}


def test_an_error_reaches_every_thread_and_is_not_remembered(provider, optimizer):
    provider.error = ServerError("down", status=503)

    def one(_):
        with pytest.raises(ServerError) as caught:
            optimizer.complete(QUESTION)
        return caught.value.status

    assert in_threads(8, one) == [503] * 8
    provider.error = None
    assert optimizer.complete(QUESTION).trace.outcome == "miss"
    assert outcomes(optimizer) == ["error"] * 8 + ["miss"]


def test_an_interrupted_call_is_counted_as_cancelled():
    provider = Twin()
    provider.error = KeyboardInterrupt()
    optimizer = Optimizer(provider)
    with pytest.raises(KeyboardInterrupt):
        optimizer.complete(QUESTION)
    assert outcomes(optimizer) == ["cancelled"]
    provider.error = None
    assert optimizer.complete(QUESTION).trace.outcome == "miss"


def test_a_caller_interrupted_on_the_portal_ends_its_call():
    begun, cancelled = threading.Event(), threading.Event()

    class Hangs(Scripted):
        async def complete(self, request):
            begun.set()
            try:
                await anyio.sleep(20)
            finally:
                cancelled.set()

    def interrupt():
        assert begun.wait(10)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with Optimizer(Hangs()) as optimizer:
            in_another = threading.Thread(target=interrupt)
            in_another.start()
            with pytest.raises(KeyboardInterrupt):
                optimizer.complete(QUESTION)
            assert cancelled.wait(10)
            in_another.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcomes(optimizer) == ["cancelled"]


# Closing


def test_closing_closes_the_provider_once_and_leaves_no_thread(provider):
    before = threading.active_count()
    optimizer = Optimizer(provider)
    optimizer.complete(QUESTION)
    optimizer.close()
    assert provider.closed == 1
    for question in (QUESTION, "Something new?"):
        with pytest.raises(ClosedError):
            optimizer.complete(question)
    assert optimizer.lookup(QUESTION)
    assert outcomes(optimizer) == ["miss", "error", "error"]
    assert threading.active_count() == before


def test_a_provider_that_was_never_asked_is_closed_too(provider):
    with Optimizer(provider):
        pass
    assert provider.closed == 1


def test_a_call_that_comes_during_the_close_is_refused_and_starts_no_thread():
    before = threading.active_count()
    optimizer = Optimizer(Scripted())
    optimizer.close()
    optimizer.pipeline._closed = False  # it passed the check just before
    with pytest.raises(ClosedError):
        optimizer.complete(QUESTION)
    assert threading.active_count() == before


# Bad input


@pytest.mark.parametrize(
    ("request_", "parameters", "error"),
    [
        (3, {}, ConfigurationError),
        (Request(body={}), {"temperature": 0}, ConfigurationError),
        ("x", {"ttl": "1"}, ConfigurationError),
        (Request(body=body(("user", {1}))), {}, UnkeyableError),
    ],
)
def test_bad_input_gets_one_error_and_one_record(optimizer, provider, request_, parameters, error):
    with pytest.raises(error):
        optimizer.complete(request_, **parameters)
    assert [record.error for record in optimizer.ledger.records] == [error.__name__]
    assert provider.calls == 0


@pytest.mark.parametrize(
    "arguments",
    [{"provider": None}, {"provider": "openai"}, {"cache": {}}, {"prices": PRICES, "ledger": Ledger()}, {"ledger": 3}],
)
def test_arguments_of_the_wrong_type_are_refused(arguments):
    with pytest.raises(ConfigurationError):
        Optimizer(**({"provider": Twin()} | arguments))


@pytest.mark.parametrize("mode", ["default", "bypass"])
def test_a_twin_that_suspends_is_told_so(mode):
    optimizer = Optimizer(Suspends())
    with pytest.raises(ConfigurationError, match="never suspend"):
        optimizer.complete(QUESTION, cache=mode)
    assert [record.error for record in optimizer.ledger.records] == ["ConfigurationError"]


def test_drive_ends_a_coroutine_that_goes_on_after_the_error():
    ended = []

    async def stubborn():
        try:
            await Suspension()
        except ConfigurationError:
            pass
        finally:
            ended.append(True)
        return "never seen"

    with pytest.raises(ConfigurationError):
        drive(stubborn())
    assert ended == [True]


# Over real sockets


def test_sixteen_threads_over_http_are_billed_what_the_server_says():
    with SimulatedServer(time_scale=0) as server:
        prices = {model.name: (model.input_price, model.output_price) for model in server.models}
        with Optimizer(OpenAIProvider(server.base_url, api_key="k"), prices=prices) as optimizer:

            def one(number):
                return [optimizer.complete(f"What is number {n % 10}?").text for n in range(number, number + 20)]

            texts = in_threads(16, one)
            records = optimizer.ledger.records
            stats = server.stats()
        assert len({text for part in texts for text in part}) <= 10
        assert stats.requests == 10
        assert sum(record.cost for record in records) == stats.picodollars
        assert sum(record.cost + record.avoided_cost for record in records) == sum(r.baseline_cost for r in records)
        assert len(records) == 320


def test_both_faces_may_share_a_cache_and_a_ledger():
    cache, ledger = ResponseCache(), Ledger(PRICES)
    with Optimizer(Twin(), cache=cache, ledger=ledger) as blocking:
        assert blocking.complete(QUESTION).trace.outcome == "miss"
    waiting = AsyncOptimizer(Scripted(), cache=cache, ledger=ledger)

    async def main():
        return (await waiting.complete(QUESTION)).trace.outcome

    assert anyio.run(main) == "hit"
    assert [record.outcome for record in ledger.records] == ["miss", "hit"]
