"""Deferred work against the simulated APIs: handles, equal requests, bad rows, expiry, deadlines, money, processes."""

import json
import sqlite3

import anyio
import httpx2
import pytest

from asking import Scripted, ask
from batches import POLL, path, running, server
from resopt import (
    AnthropicBatches,
    AsyncOptimizer,
    BadRequestError,
    BatchError,
    CheckpointError,
    ConfigurationError,
    DeadlineError,
    Deferred,
    InvalidRequestError,
    OpenAIBatches,
    OpenAIProvider,
    ProviderConnectionError,
    ProviderResponseError,
    ProviderTimeoutError,
    RateLimitError,
    Request,
    ServerError,
    UnknownHandleError,
)
from resopt.batch.deferred_store import Store
from resopt.providers.anthropic_batches import _row_end as anthropic_row
from resopt.providers.openai_batches import _row_end as openai_row
from resopt.providers.simulated import BatchTimes, SimulatedServer
from resopt.terms import current_terms

pytestmark = pytest.mark.anyio

__all__ = ["path", "running", "server"]


def apis(server):
    return [OpenAIBatches(server.base_url, "k"), AnthropicBatches(server.url, "k")]


def claude(text):
    message = {"role": "user", "content": text}
    return Request(
        api="anthropic.messages", body={"model": "claude-haiku-4-5", "max_tokens": 300, "messages": [message]}
    )


def names(results):
    return [type(result).__name__ for result in results]


async def test_answers_come_in_order_from_both_providers(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit([ask("one"), claude("two"), "three"], model="gpt-4o-mini")
        assert deferred.status(handle).waiting == 3
        assert deferred.partial(handle) == [None] * 3
        answers = await deferred.result(handle)
        assert [word in answer.text for word, answer in zip(("one", "two", "three"), answers, strict=True)] == [
            True
        ] * 3
        status = deferred.status(handle)
        assert (status.total, status.answered, status.done) == (3, 3, True)
        assert deferred.partial(handle) == answers
        assert answers[0].detour.discount == 50
        assert answers[0].usage.input_tokens > 0
    assert server.stats().batch_rows == 3


async def test_equal_requests_are_sent_once_also_of_other_submissions(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        first = await deferred.submit(["a", "b", "a"], deadline=1000)
        second = await deferred.submit(["b", "c"], deadline=2000)
        third = await deferred.submit([ask("a", cache="bypass")])
        assert len(await deferred.result(second)) == 2
        answers = await deferred.result(first)
        await deferred.result(third)
    assert answers[0] == answers[2]
    assert server.stats().batch_rows == 4


async def test_another_process_gets_the_result(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit(["a", "b"])
        await deferred.step()
        assert deferred.status(handle).sent == 2
    async with Deferred(path, apis(server), poll=POLL) as other:
        assert other.handles() == [handle]
        assert len(await other.result(handle)) == 2
        assert other.forget(handle)
        assert not other.forget(handle)
        with pytest.raises(UnknownHandleError):
            await other.result(handle)
        with pytest.raises(UnknownHandleError):
            other.status("nothing")
    assert server.stats().batches == 1


async def test_many_may_wait_and_one_drives(server, path):
    async with Deferred(path, apis(server), poll=POLL) as one, Deferred(path, apis(server), poll=POLL) as two:
        handle = await one.submit([f"q{number}" for number in range(20)])
        with one._store.driving() as mine:
            assert mine
            assert not await two.step()
        results = []

        async def wait(deferred):
            results.append(await deferred.result(handle))

        async with anyio.create_task_group() as group:
            for deferred in (one, two, one):
                group.start_soon(wait, deferred)
    assert results[0] == results[1] == results[2]
    assert (server.stats().batch_rows, server.stats().batches) == (20, 1)


async def test_a_name_of_ones_own_makes_submitting_safe_to_repeat(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        for _ in range(2):
            assert await deferred.submit(["a"], name="nightly") == "nightly"
        await deferred.run()
        assert deferred.status("nightly").done
        assert deferred.status("nightly").total == 1


async def test_a_submission_larger_than_a_batch_is_split(server, path):
    async with Deferred(path, apis(server), poll=POLL, most_rows=4) as deferred:
        await deferred.result(await deferred.submit([f"q{number}" for number in range(10)]))
    assert server.stats().batches == 3
    small = OpenAIBatches(server.base_url, "k")
    small.most_bytes = 600
    async with Deferred(path.with_name("other"), [small], poll=POLL) as deferred:
        await deferred.result(await deferred.submit([f"p{number}" for number in range(10)]))
    assert server.stats().batches > 5


async def test_nothing_to_do(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        assert await deferred.result(await deferred.submit([])) == []
        await deferred.run()
    assert server.stats().batches == 0


BAD_ROWS = {
    "fine": "Response",
    "x [simulate: status=400]": "BadRequestError",
    "x [simulate: malformed]": "ProviderResponseError",
    "x [simulate: disconnect]": "ProviderResponseError",
    "x [simulate: twice]": "Response",
}


@pytest.mark.parametrize("make", [ask, claude], ids=["openai", "anthropic"])
async def test_bad_rows_end_in_typed_errors_and_good_ones_in_answers(server, path, make):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit([make(text) for text in BAD_ROWS])
        with pytest.raises(BatchError, match="3 of 5 requests failed") as caught:
            await deferred.result(handle)
        assert names(caught.value.results) == list(BAD_ROWS.values())
        assert "it may be billed, so it was not sent again" in str(caught.value.results[2])
        assert names(await deferred.result(handle, errors="return")) == list(BAD_ROWS.values())
    stats = server.stats()
    assert (stats.batches, stats.batch_rows) == (1, 4)


@pytest.mark.parametrize(("fault", "error"), [("429", "RateLimitError"), ("500", "ServerError")])
async def test_a_row_that_the_provider_fails_is_sent_again_so_many_times(server, path, fault, error):
    async with Deferred(path, apis(server), poll=POLL, attempts=2) as deferred:
        handle = await deferred.submit(["fine", f"x [simulate: {fault}]"])
        assert names(await deferred.result(handle, errors="return")) == ["Response", error]
    assert (server.stats().batches, server.stats().batch_rows) == (2, 1)


@pytest.mark.parametrize("make", [ask, claude], ids=["openai", "anthropic"])
async def test_rows_that_expire_are_sent_again_and_then_given_up(server, path, make):
    async with Deferred(path, apis(server), poll=POLL, attempts=2) as deferred:
        handle = await deferred.submit([make("fine"), make("x [simulate: timeout]")])
        results = await deferred.result(handle, errors="return")
    assert names(results) == ["Response", "ProviderTimeoutError"]
    assert (server.stats().batches, server.stats().batch_rows) == (2, 1)


async def test_what_would_miss_its_deadline_is_asked_directly_at_the_full_price(path):
    keys = []

    async def complete(request):
        keys.append(current_terms().idempotency_key)
        return await Scripted().complete(request)

    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=0.05)) as server:
        async with Deferred(path, apis(server), poll=POLL, margin=1.0, complete=complete) as deferred:
            handle = await deferred.submit(["fine", "late [simulate: timeout]"], deadline=1.4)
            results = await deferred.result(handle)
            assert "late" in results[1].text
            assert results[1].detour is None
            soon = await deferred.submit(["at once"], deadline=0.5)
            await deferred.result(soon)
        stats = server.stats()
    assert (stats.batches, stats.batch_rows) == (1, 1)
    assert len(set(keys)) == 2
    assert all(key.startswith("resopt-work-") for key in keys)


async def test_a_provider_that_neither_ends_nor_stops_is_not_waited_for(path):
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=60, cancel_seconds=60)) as server:
        async with Deferred(path, apis(server), poll=POLL, margin=0.4, complete=Scripted().complete) as deferred:
            handle = await deferred.submit(["a", "b"], deadline=0.8)
            with anyio.fail_after(5):
                assert names(await deferred.result(handle)) == ["Response", "Response"]


async def test_without_a_way_to_ask_directly_the_deadline_is_an_error(path):
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=60)) as server:
        async with Deferred(path, apis(server), poll=POLL, margin=0.2) as deferred:
            handle = await deferred.submit(["a"], deadline=0.4)
            (error,) = await deferred.result(handle, errors="return")
    assert isinstance(error, DeadlineError)


async def test_a_result_may_be_waited_for_so_long(path):
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=60)) as server:
        async with Deferred(path, apis(server), poll=POLL) as deferred:
            handle = await deferred.submit(["a"])
            with pytest.raises(TimeoutError):
                await deferred.result(handle, timeout=0.1)
            assert deferred.status(handle).sent == 1


async def test_requests_that_cannot_be_sent_are_errors_of_their_own(server, path):
    bad = [ask("x", stream=True), Request(api="openai.responses", body={"input": "x"}), Request(body={"messages": []}),
           ask("x", extra=float("nan")), Request(api="anthropic.messages", body={"stream": True})]  # fmt: skip
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit([*bad, "fine"])
        results = await deferred.result(handle, errors="return")
        assert names(results) == ["InvalidRequestError"] * 5 + ["Response"]
        assert "stream" in str(results[0])
        with pytest.raises(ConfigurationError, match="must be a Request or a str"):
            await deferred.submit([3])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"margin": -1}, "margin"),
        ({"attempts": 0}, "attempts"),
        ({"concurrency": 0}, "concurrency"),
        ({"poll": (2, 1)}, "poll"),
        ({"path": 3}, "path"),
    ],
)
def test_options_that_make_no_sense_are_refused(path, options, match):
    with pytest.raises(ConfigurationError, match=match):
        Deferred(**{"path": path, "batches": [], **options})


async def test_submissions_that_make_no_sense_are_refused(server, path):
    with pytest.raises(ConfigurationError, match="one for each API"):
        Deferred(path, [OpenAIBatches(server.base_url, "k")] * 2)
    async with Deferred(path, apis(server)) as deferred:
        for options in ({"deadline": 0}, {"deadline": "soon"}, {"name": ""}):
            with pytest.raises(ConfigurationError):
                await deferred.submit(["a"], **options)


def test_files_of_something_else_are_left_alone(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"hello" * 500)
    with pytest.raises(CheckpointError):
        Store(str(path))
    assert path.read_bytes() == b"hello" * 500
    other = sqlite3.connect(tmp_path / "y")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(CheckpointError, match="something else"):
        Store(str(tmp_path / "y"))


async def test_a_damaged_answer_is_an_error_and_not_another_bill(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit(["a", "b"])
        await deferred.result(handle)
        other = sqlite3.connect(path)
        other.execute("UPDATE row SET value = x'00' WHERE position = 0")
        other.commit()
        other.close()
        assert names(await deferred.result(handle, errors="return")) == ["CheckpointError", "Response"]
    assert server.stats().batch_rows == 2


# ---- crashes, one by one (kill -9 at random is in tests/faults)


async def test_a_batch_that_was_made_unnoticed_is_found(server, path):
    for make in (ask, claude):
        async with Deferred(path, apis(server), poll=POLL) as deferred:
            handle = await deferred.submit([make("a"), make("b")])
            await deferred.step()
            other = sqlite3.connect(path)  # as if it had died before it heard the name of the batch
            other.execute("UPDATE part SET remote = NULL, state = 'making'")
            other.commit()
            other.close()
            assert names(await deferred.result(handle)) == ["Response", "Response"]
    assert (server.stats().batches, server.stats().batch_rows) == (2, 4)


async def test_a_batch_that_was_never_made_is_made(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit([ask("a"), claude("b")])
        driver = deferred._driver
        for rows in driver._groups():
            for part, numbers, _ in driver._packed(rows):
                deferred._store.pack(part, numbers)  # and it dies
        assert names(await deferred.result(handle)) == ["Response", "Response"]
    assert server.stats().batches == 2


async def test_a_provider_that_fails_for_a_while(server, path):
    """Each kind of request fails once; after a creation that is unclear the batch is looked for."""
    failed = set()

    def handle(request):
        kind = (request.method, request.url.path.split("/")[2], request.url.path.endswith("content"))
        if kind not in failed:
            failed.add(kind)
            return httpx2.Response(503, json={"error": {"message": "busy"}})
        return None

    class Flaky(httpx2.AsyncBaseTransport):
        def __init__(self):
            self.inner = httpx2.AsyncHTTPTransport()

        async def handle_async_request(self, request):
            answer = handle(request)
            return answer if answer is not None else await self.inner.handle_async_request(request)

        async def aclose(self):
            await self.inner.aclose()

    async with httpx2.AsyncClient(transport=Flaky()) as client:
        api = OpenAIBatches(server.base_url, "k", client=client)
        api._client._policy = type(api._client._policy)(max_attempts=4, first_delay=0.01)
        async with Deferred(path, [api], poll=POLL) as deferred:
            handle_ = await deferred.submit(["a", "b"])
            with anyio.fail_after(20):
                results = await deferred.result(handle_)
    assert names(results) == ["Response", "Response"]
    assert len(failed) >= 4
    assert (server.stats().batches, server.stats().batch_rows) == (1, 2)


async def test_a_batch_that_the_provider_refuses_or_forgets(server, path):
    async with Deferred(path, apis(server), poll=POLL) as deferred:
        handle = await deferred.submit(["a"])
        await deferred.step()
        other = sqlite3.connect(path)
        other.execute("UPDATE part SET remote = 'batch_unknown'")
        other.commit()
        other.close()
        (error,) = await deferred.result(handle, errors="return")
    assert isinstance(error, BadRequestError)
    wrong = OpenAIBatches(server.base_url + "/nowhere", "k")
    async with Deferred(path.with_name("b"), [wrong], poll=POLL) as deferred:
        (error,) = await deferred.result(await deferred.submit(["a"]), errors="return")
    assert error.status in (404, 405)


async def test_an_unreachable_provider_is_a_clear_error():
    api = OpenAIBatches("http://127.0.0.1:9", "sk-secret-secret")
    api._client._policy = type(api._client._policy)(max_attempts=2, first_delay=0.01)
    with pytest.raises(ProviderConnectionError, match="could not be reached") as caught:
        await api.get("batch")
    assert "secret" not in str(caught.value)
    await api.aclose()


# ---- money


async def test_an_optimizer_keeps_what_comes_and_books_it_at_half_the_price(server, path):
    prices = {model.name: (model.input_price, model.output_price) for model in server.models}
    async with AsyncOptimizer(OpenAIProvider(server.base_url, api_key="k"), prices=prices) as optimizer:
        await optimizer.complete("known")
        async with optimizer.deferred(path, apis(server), poll=POLL) as deferred:
            answers = await optimizer.gather(["known", "a", "a", "b"], tier="batch", deferred=deferred)
        hit = await optimizer.complete("a")
        assert hit.text == answers[1].text
        report = optimizer.ledger.summary()
        stats = server.stats()
    assert stats.batch_rows == 2
    assert report.outcomes == {"coalesced": 1, "hit": 2, "miss": 3}
    assert report.spent == stats.picodollars
    assert report.baseline == report.spent + report.avoided
    deferred_saving = {saving.mechanism: saving for saving in report.savings}["deferred"]
    assert deferred_saving.avoided > 0
    assert report.work.batched == 4


async def test_flex_is_half_the_price_and_falls_back(server):
    prices = {model.name: (model.input_price, model.output_price) for model in server.models}
    async with AsyncOptimizer(OpenAIProvider(server.base_url, api_key="k", max_attempts=1), prices=prices) as optimizer:
        (answer,) = await optimizer.gather(["a"], tier="flex")
        assert json.loads(server.last_request().body)["service_tier"] == "flex"
        assert answer.detour.discount == 50
        assert ("tier", "flex") in [(step.stage, step.action) for step in answer.trace.steps]
        server.next_faults("429")
        (other,) = await optimizer.gather(["b"], tier="flex")
        assert other.detour is None
        assert ("tier", "standard") in [(step.stage, step.action) for step in other.trace.steps]
        assert optimizer.ledger.summary().spent == server.stats().picodollars
        assert (await optimizer.complete("a")).trace.outcome == "hit", "the same question at another tier"
        (error,) = await optimizer.gather([claude("x")], tier="flex", errors="return")
        assert isinstance(error, InvalidRequestError)


# ---- lines of results


GARBAGE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe",
    b'{"custom_id": 3}',
    b'{"custom_id": "a"}',
    b'{"custom_id": "a", "response": {"status_code": 200}}',
    b'{"custom_id": "a", "response": {"status_code": 200, "body": {}}}',
    b'{"custom_id": "a", "result": {"type": "succeeded"}}',
    b'{"custom_id": "a", "result": {"type": "succeeded", "message": {"content": 3}}}',
]


@pytest.mark.parametrize("line", GARBAGE)
def test_lines_that_nobody_can_read(line):
    for read in (openai_row, anthropic_row):
        assert read(line).state == "unreadable"


def test_errors_of_rows():
    assert openai_row(b'{"custom_id": "a", "error": {"code": "batch_expired"}}').state == "undone"
    assert openai_row(b'{"custom_id": "a", "error": {"code": "server_error", "message": "m"}}').state == "again"
    assert anthropic_row(b'{"custom_id": "a", "result": {"type": "canceled"}}').state == "undone"
    overloaded = b'{"custom_id": "a", "result": {"type": "errored", "error": {"error": {"type": "overloaded_error"}}}}'
    assert anthropic_row(overloaded).state == "again"
    refused = overloaded.replace(b"overloaded_error", b"invalid_request_error")
    assert anthropic_row(refused).state == "refused"


def test_errors_come_back_from_the_store_as_they_were():
    from resopt.batch.deferred import opened
    from resopt.batch.deferred_rows import StoredEnd

    for kind in (BadRequestError, RateLimitError, ServerError, ProviderTimeoutError, InvalidRequestError):
        error = opened(StoredEnd(error=kind.__name__, problem="text", status=400))
        assert (type(error), str(error)) == (kind, "text")
    assert isinstance(opened(StoredEnd(error="Nonsense", problem="text")), ProviderResponseError)
