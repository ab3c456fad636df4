"""The pipeline over real sockets to a provider that fails in every way it can: one clear error, no harm done."""

import socket
import threading
from contextlib import contextmanager

import anyio
import pytest

from resopt import (
    AsyncOptimizer,
    AuthenticationError,
    BadRequestError,
    InvalidRequestError,
    OpenAIProvider,
    Optimizer,
    ProviderConnectionError,
    ProviderResponseError,
    ProviderTimeoutError,
    RateLimitError,
    Request,
    Scope,
    ServerError,
    SimulatedServer,
)
from resopt.providers.simulated import Faults

QUESTION = "How do I reset my router?"

FAULTS = [
    ("500", ServerError),
    ("429", RateLimitError),
    ("timeout", ProviderTimeoutError),
    ("html", ProviderResponseError),
    ("malformed", ProviderResponseError),
    ("empty", ProviderResponseError),
    ("disconnect", ProviderConnectionError),
]


@pytest.fixture(scope="module")
def shared_server():
    with SimulatedServer(time_scale=0, faults=Faults(hang=5.0)) as server:
        yield server


@pytest.fixture
def server(shared_server):
    shared_server.reset()
    return shared_server


def prices_of(server):
    return {model.name: (model.input_price, model.output_price) for model in server.models}


def provider_of(server, **options):
    return OpenAIProvider(server.base_url, api_key="k", max_attempts=1, **({"timeout": 0.3} | options))


def check_the_books(optimizer, server):
    """Everything the server billed is in the ledger, and nothing else; every record balances."""
    records = optimizer.ledger.records
    assert sum(record.cost for record in records) == server.stats().picodollars
    for record in records:
        assert record.cost + record.avoided_cost == record.baseline_cost


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "error"), FAULTS)
async def test_a_fault_is_one_error_is_counted_and_leaves_nothing(server, fault, error):
    async with AsyncOptimizer(provider_of(server), prices=prices_of(server)) as optimizer:
        server.next_faults(fault)
        with pytest.raises(error):
            await optimizer.complete(QUESTION)
        assert len(optimizer.cache) == 0
        assert [(record.outcome, record.error) for record in optimizer.ledger.records] == [("error", error.__name__)]
        assert (await optimizer.complete(QUESTION)).trace.outcome == "miss"
        assert (await optimizer.complete(QUESTION)).trace.outcome == "hit"
        assert server.stats().requests == 2


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_the_same_for_the_blocking_face(server, fault, error):
    with Optimizer(provider_of(server), prices=prices_of(server)) as optimizer:
        server.next_faults(fault)
        with pytest.raises(error):
            optimizer.complete(QUESTION)
        assert (len(optimizer.cache), [record.outcome for record in optimizer.ledger.records]) == (0, ["error"])
        assert optimizer.complete(QUESTION).trace.outcome == "miss"


@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["truncate", "filter"])
async def test_an_answer_that_was_cut_is_billed_given_and_not_kept(server, fault):
    async with AsyncOptimizer(provider_of(server), prices=prices_of(server)) as optimizer:
        server.next_faults(fault)
        cut = await optimizer.complete(QUESTION)
        assert cut.finish_reason in ("length", "content_filter")
        assert cut.trace.steps[-1].action == "refused"
        assert (await optimizer.complete(QUESTION)).trace.outcome == "miss"
        check_the_books(optimizer, server)


@pytest.mark.anyio
async def test_an_error_reaches_all_who_wait_and_the_next_call_works(server):
    async with AsyncOptimizer(provider_of(server), prices=prices_of(server)) as optimizer:
        server.next_faults("timeout")
        errors = []

        async def one():
            with pytest.raises(ProviderTimeoutError) as caught:
                await optimizer.complete(QUESTION)
            errors.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
        assert len({id(error) for error in errors}) == 20
        assert server.stats().requests == 1
        assert [record.outcome for record in optimizer.ledger.records] == ["error"] * 20
        assert (await optimizer.complete(QUESTION)).trace.outcome == "miss"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"model": "unknown", "messages": [{"role": "user", "content": QUESTION}]}, BadRequestError),
        ({"model": "gpt-4o", "messages": [{"role": "user", "content": "\ud800"}]}, InvalidRequestError),
        ({"model": "gpt-4o"}, (BadRequestError, InvalidRequestError)),
        ({"model": "gpt-4o", "messages": [{"role": "user", "content": QUESTION}], "stream": True}, InvalidRequestError),
        ({"model": "gpt-4o", "messages": [{"role": "user", "content": QUESTION}], "n": 2**70}, BadRequestError),
    ],
)
async def test_a_request_the_provider_refuses_is_not_kept(server, body, error):
    async with AsyncOptimizer(provider_of(server), prices=prices_of(server)) as optimizer:
        for _ in range(2):
            with pytest.raises(error):
                await optimizer.complete(Request(body=body))
        assert (len(optimizer.cache), [record.outcome for record in optimizer.ledger.records]) == (0, ["error"] * 2)


@pytest.mark.anyio
async def test_wrong_credentials():
    with SimulatedServer(time_scale=0, api_key="right") as server:
        async with AsyncOptimizer(OpenAIProvider(server.base_url, api_key="wrong")) as optimizer:
            with pytest.raises(AuthenticationError):
                await optimizer.complete(QUESTION)


@contextmanager
def listener(serve):
    """A socket that treats each connection as `serve` says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00\xff" * 50,
        HEAD,
        HEAD + b'{"choices": [',
        b"HTTP/1.1 200 OK\r\n\r\n",
        HEAD.replace(b"500", b"2") + b"[]",
    ],
)
async def test_a_server_that_talks_nonsense(reply):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(reply)

    with listener(serve) as address:
        provider = OpenAIProvider(address, api_key="k", max_attempts=1, timeout=1.0)
        async with AsyncOptimizer(provider) as optimizer:
            with pytest.raises((ProviderConnectionError, ProviderResponseError)):
                await optimizer.complete(QUESTION)
            assert (len(optimizer.cache), len(optimizer.ledger.records)) == (0, 1)


@pytest.mark.anyio
async def test_a_server_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    provider = OpenAIProvider(f"http://127.0.0.1:{port}/v1", api_key="k", max_attempts=1)
    async with AsyncOptimizer(provider) as optimizer:
        with pytest.raises(ProviderConnectionError):
            await optimizer.complete(QUESTION)
        assert [record.error for record in optimizer.ledger.records] == ["ProviderConnectionError"]


@pytest.mark.anyio
async def test_the_ledger_agrees_with_the_bill_over_traffic_with_faults():
    """Faults that are billed and then lost on the way are left out: no client can know of those."""
    faults = Faults(rate_429=0.1, rate_500=0.1, rate_truncated=0.1, rate_malformed=0.1)
    with SimulatedServer(time_scale=0, seed=3, faults=faults) as server:
        async with AsyncOptimizer(provider_of(server, timeout=5.0), prices=prices_of(server)) as optimizer:
            failed = []

            async def one(number):
                scope = Scope(user=f"user-{number % 3}")
                question = (f"What is number {number % 40}?", "What is my balance?", "What time is it?")[number % 3]
                try:
                    await optimizer.complete(question, scope=scope, model=("gpt-4o", "gpt-4o-mini")[number % 2])
                except (RateLimitError, ServerError, ProviderResponseError) as error:
                    failed.append(error)

            for start in range(0, 150, 30):
                async with anyio.create_task_group() as group:
                    for number in range(start, start + 30):
                        group.start_soon(one, number)
            check_the_books(optimizer, server)
            outcomes = [record.outcome for record in optimizer.ledger.records]
            assert len(outcomes) == 150
            assert outcomes.count("error") == len(failed) > 0
            assert {"hit", "miss", "coalesced", "bypass"} <= set(outcomes)


@pytest.mark.anyio
async def test_a_caller_that_leaves_cancels_the_call_upstream():
    with SimulatedServer(faults=Faults(hang=30.0)) as server:
        async with AsyncOptimizer(provider_of(server, timeout=30.0)) as optimizer:
            server.next_faults("timeout")
            with anyio.move_on_after(0.3):
                await optimizer.complete(QUESTION)
            with anyio.fail_after(5):
                while server.stats().disconnected == 0:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            assert [record.outcome for record in optimizer.ledger.records] == ["cancelled"]
