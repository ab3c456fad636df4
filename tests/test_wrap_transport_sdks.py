"""The real SDKs over the transports, each on the HTTP library it is built on; Anthropic's by its middleware as well."""

import threading
from contextlib import contextmanager, suppress
from functools import partial

import anyio
import pytest

from provider_faces import drive
from resopt import Budget, Limit, PriceBook, last, options
from resopt.providers.simulated import SimulatedServer
from resopt.wrap.transport import AsyncTransport, SyncTransport, check, middleware
from test_simulated_sdks import SCHEMA, TALK, TOOLS
from transports import MODULES

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
TESTED_WITH = ("transports", "httpx2", "httpx", "openai", "anthropic")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The SDKs stop reading at the last event and leave generators of theirs behind, which trio reports.
    pytest.mark.filterwarnings("ignore:Async generator '(openai|anthropic|httpx2?)\\.:ResourceWarning"),
]


def library(sdk):
    """The HTTP library that an SDK is built on."""
    return next(
        kind.__module__.partition(".")[0] for kind in sdk.DefaultHttpxClient.__mro__ if "httpx" in kind.__module__
    )


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


WAYS = ["openai over transport", "anthropic over transport", "anthropic by middleware"]


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def face(request):
    return request.param


class Sdk:
    """A client of one SDK, with resopt below it; every method is a coroutine."""

    def __init__(self, way, server, *, blocking, key="k", hook=None, **settings):
        self.blocking = blocking
        self.sdk = openai if way.startswith("openai") else anthropic
        self.url = server.base_url if self.sdk is openai else server.url
        names = ("OpenAI", "AsyncOpenAI") if self.sdk is openai else ("Anthropic", "AsyncAnthropic")
        kind = getattr(self.sdk, names[not blocking])
        if "middleware" in way:
            self.hook = middleware(**settings) if hook is None else hook
            placed = {"middleware": [self.hook]}
        else:
            self.hook = (SyncTransport if blocking else AsyncTransport)(**settings) if hook is None else hook
            http = MODULES[library(self.sdk)]
            placed = {"http_client": (http.Client if blocking else http.AsyncClient)(transport=self.hook)}
        self.client = kind(base_url=self.url, api_key=key, max_retries=0, **placed)
        check(self.client)
        self.optimizer = self.hook.resopt

    def create(self, **fields):
        extra = fields.pop("simulate", None)
        headers = {"extra_headers": {"x-simulate": extra}} if extra else {}
        if fields.pop("api", None) == "responses":
            return self.client.responses.create(model="gpt-4o", input="What is Python?", **fields, **headers)
        if self.sdk is openai:
            return self.client.chat.completions.create(**{"model": "gpt-4o", "messages": TALK, **fields}, **headers)
        body = {"model": "claude-haiku-4-5", "max_tokens": 900, "messages": TALK, **fields}
        return self.client.messages.create(**body, **headers)

    async def ask(self, **fields):
        """An answer, or the events of a stream, as dumps."""
        made = self.create(**fields)
        made = made if self.blocking else await made
        if not fields.get("stream"):
            return made.model_dump()
        return [event.model_dump() for event in (made if self.blocking else [event async for event in made])]

    async def close(self):
        closed = self.client.close()
        if closed is not None:
            await closed


@pytest.fixture
def play(way, face, server):
    """Play a scenario, `async def scenario(sdk)`, on one SDK and face."""

    def play(scenario, **settings):
        async def session():
            sdk = Sdk(way, server, blocking=face == "blocking", **settings)
            try:
                return await scenario(sdk)
            finally:
                await sdk.close()

        return drive(session()) if face == "blocking" else anyio.run(session, backend=face)

    return play


def bare(way, server, **fields):
    """What the SDK makes of it without resopt, but for what is new in each reply."""
    if way.startswith("openai"):
        client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    else:
        client = anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0)
    with client:
        sdk = object.__new__(Sdk)
        sdk.blocking, sdk.client, sdk.sdk = True, client, openai if way.startswith("openai") else anthropic
        return lasting(drive(sdk.ask(**fields)))


NEW = {"id", "created", "created_at", "completed_at", "item_id", "obfuscation"}


def lasting(made):
    if isinstance(made, dict):
        return {name: lasting(value) for name, value in made.items() if name not in NEW}
    return [lasting(value) for value in made] if isinstance(made, list) else made


FEATURES = {
    "text": ({}, {}),
    "tools": (
        {"tools": TOOLS, "tool_choice": "required"},
        {"tools": [{"name": "look_up", "input_schema": SCHEMA}], "tool_choice": {"type": "any"}},
    ),
    "gzip": ({"simulate": "gzip"}, {"simulate": "gzip"}),
    "multi-turn": (
        {"messages": [*TALK, {"role": "assistant", "content": "A snake."}, {"role": "user", "content": "And Rust?"}]},
        {"messages": [*TALK, {"role": "assistant", "content": "A snake."}, {"role": "user", "content": "And Rust?"}]},
    ),
    "logprobs or thinking": (
        {"logprobs": True, "top_logprobs": 2},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    ),
    "responses or system": ({"api": "responses"}, {"system": "Be brief."}),
}


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_hit_equals_the_miss_equals_the_bare_client(play, way, server, feature, stream):
    fields = {**FEATURES[feature][not way.startswith("openai")], "stream": stream}
    expected = bare(way, server, **fields)

    async def scenario(sdk):
        return [await sdk.ask(**fields) for _ in range(3)], sdk.optimizer.ledger.records, sdk.optimizer.skipped

    (miss, *hits), records, skipped = play(scenario)
    assert skipped == {}
    assert lasting(miss) == expected
    assert hits == [miss, miss]
    assert server.stats().requests == 2
    assert [record.outcome for record in records] == ["miss", "hit", "hit"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wishes", ["429", "500", "status=400", "refusal"])
def test_errors_are_the_sdks_own_and_not_kept(play, server, stream, wishes):
    async def scenario(sdk):
        for _ in range(2):
            if wishes == "refusal":
                await sdk.ask(stream=stream, simulate=wishes)
            else:
                with pytest.raises(sdk.sdk.APIStatusError) as caught:
                    await sdk.ask(stream=stream, simulate=wishes)
                assert caught.value.body["type" if sdk.sdk is anthropic else "message"]
                assert caught.value.request_id.startswith("req_")
                assert str(caught.value.request.url).startswith(server.url)
        return len(sdk.optimizer.cache)

    assert play(scenario) == 0
    assert server.stats().requests == 2


@pytest.mark.parametrize("wishes", ["die=2", "unended", "error_event=3", "cut=3"])
def test_a_broken_stream_is_not_kept(play, server, wishes):
    async def scenario(sdk):
        for _ in range(2):
            # Some of these the SDK cannot tell from a stream that ended well.
            with suppress(sdk.sdk.APIError, *(module.TransportError for module in MODULES.values())):
                await sdk.ask(stream=True, simulate=wishes)
        return len(sdk.optimizer.cache)

    assert play(scenario) == 0
    assert server.stats().requests == 2


def test_two_keys_never_meet(way, server):
    first = Sdk(way, server, blocking=True, key="one")
    second = Sdk(way, server, blocking=True, key="two", hook=first.hook)
    one, two = [drive(sdk.ask()) for sdk in (first, second)]
    assert one["id"] != two["id"]
    assert [drive(sdk.ask()) for sdk in (first, second)] == [one, two]
    third = first.client.with_options(api_key="three")
    assert server.stats().requests == 2
    first.client = third
    assert drive(first.ask())["id"] not in (one["id"], two["id"])
    with options(tenant="t"):
        shared = drive(first.ask())
        assert drive(second.ask()) == shared
    drive(second.close())


def test_cache_only_is_one_quick_error(play, server):
    async def scenario(sdk):
        sdk.client = sdk.client.with_options(max_retries=5)
        with options(cache="only"), pytest.raises(sdk.sdk.InternalServerError, match="no stored answer fits"):
            await sdk.ask()
        kept = await sdk.ask()
        with options(cache="only"):
            assert await sdk.ask() == kept

    play(scenario)
    assert server.stats().requests == 1


def test_the_sdks_own_retries_pass_here(play, server):
    async def scenario(sdk):
        sdk.client = sdk.client.with_options(max_retries=2)
        server.next_faults("500", None)
        await sdk.ask()
        await sdk.ask()
        return [record.outcome for record in sdk.optimizer.ledger.records]

    assert play(scenario) == ["error", "miss", "hit"]
    assert server.stats().requests == 2


def test_raw_and_streamed_responses(play, server):
    async def scenario(sdk):
        api = sdk.client.chat.completions if sdk.sdk is openai else sdk.client.messages
        body = {"model": "gpt-4o", "messages": TALK}
        if sdk.sdk is anthropic:
            body = {"model": "claude-haiku-4-5", "messages": TALK, "max_tokens": 900}
        read = []
        for _ in range(2):
            raw = api.with_raw_response.create(**body)
            raw = raw if sdk.blocking else await raw
            parsed = raw.parse()
            parsed = await parsed if hasattr(parsed, "__await__") else parsed
            assert raw.elapsed.total_seconds() >= 0
            assert str(raw.http_request.url).startswith(server.url)
            read.append((raw.status_code, raw.headers["content-type"], parsed.model_dump()))
        for _ in range(2):
            manager = api.with_streaming_response.create(**body)
            if sdk.blocking:
                with manager as response:
                    read.append((response.status_code, response.headers["content-type"], response.parse().model_dump()))
            else:
                async with manager as response:
                    parsed = await response.parse()
                    read.append((response.status_code, response.headers["content-type"], parsed.model_dump()))
        return read

    read = play(scenario)
    assert read == [read[0]] * 4
    assert server.stats().requests == 1


def test_helpers_around_streams(play, server):
    async def scenario(sdk):
        finals = []
        for _ in range(2):
            if sdk.sdk is openai:
                manager = sdk.client.chat.completions.stream(model="gpt-4o", messages=TALK)
            else:
                manager = sdk.client.messages.stream(model="claude-haiku-4-5", max_tokens=900, messages=TALK)
            if sdk.blocking:
                with manager as stream:
                    list(stream)
                    final = stream.get_final_completion() if sdk.sdk is openai else stream.get_final_message()
            else:
                async with manager as stream:
                    async for _event in stream:
                        pass
                    final = await (stream.get_final_completion() if sdk.sdk is openai else stream.get_final_message())
            finals.append(final.model_dump())
        return finals

    first, second = play(scenario)
    assert first == second
    assert server.stats().requests == 1


@pytest.mark.parametrize("stream", [False, True])
def test_concurrent_threads_make_one_call(way, server, stream):
    together = 20
    sdk, barrier, read = Sdk(way, server, blocking=True), threading.Barrier(together), []

    def ask():
        barrier.wait()
        read.append(drive(sdk.ask(stream=stream)))

    threads = [threading.Thread(target=ask) for _ in range(together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drive(sdk.close())
    assert len(read) == together
    assert all(one == read[0] for one in read)
    assert server.stats().requests == 1


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_concurrent_tasks_make_one_call(way, server, stream):
    sdk, read = Sdk(way, server, blocking=False), []

    async def ask():
        read.append(await sdk.ask(stream=stream, simulate="first_byte=0.05"))

    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(ask)
    await sdk.close()
    assert len(read) == 40
    assert all(one == read[0] for one in read)
    assert server.stats().requests == 1


@contextmanager
def closing(client):
    try:
        yield client
    finally:
        client.close()


def test_the_trace_of_an_sdks_stream(way, server):
    sdk = Sdk(way, server, blocking=True)
    traces = []
    with closing(sdk.client):
        for _ in range(2):
            stream = sdk.create(stream=True)
            list(stream)
            traces.append(last(stream.response))
    assert [trace.outcome for trace in traces] == ["miss", "hit"]


def test_middleware_takes_no_other_client_than_the_callers(server):
    """Other middleware may hold a client of its own, whose credential is not the caller's."""
    hook, seen = middleware(), []
    settings = {"base_url": server.url, "max_retries": 0}
    other = anthropic.Anthropic(api_key="other", **settings)

    def noting(request, call_next):
        seen.append(other.api_key)
        return call_next(request)

    made = []
    for key in ("one", "two"):
        with anthropic.Anthropic(api_key=key, middleware=[hook, noting], **settings) as client:
            made.append(client.messages.create(model="claude-haiku-4-5", max_tokens=900, messages=TALK).id)
    other.close()
    assert len(set(made)) == 2
    assert len(seen) == 2
    assert hook.resopt.skipped == {}


def test_middleware_passes_other_calls_and_other_chains(server, caplog):
    hook = middleware()
    with anthropic.Anthropic(base_url=server.url, api_key="k", middleware=[hook], max_retries=0) as client:
        client.messages.count_tokens(model="claude-haiku-4-5", messages=TALK)
        client.models.list()
        assert hook.resopt.stats.misses == 0

        def hiding(request, call_next):
            return hook.handle(request, partial(call_next))

        hidden = client.with_options(middleware=[hiding])
        made = [hidden.messages.create(model="claude-haiku-4-5", max_tokens=900, messages=TALK).id for _ in range(2)]
    assert len(set(made)) == 2
    assert hook.resopt.skipped == {"middleware": 2}
    assert "the client that makes this call is not known" in caplog.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_budget_holds_below_an_sdk_whose_retries_are_calls_too(play, way, server, stream):
    """The SDK raises its own error, at once: what a budget forbids it forbids at the second attempt too."""
    prices = PriceBook({"gpt-4o": (2.5, 10), "claude-haiku-4-5": (1, 5)})
    limit = Limit("0.02")
    budget = Budget(limit, prices=prices)

    async def scenario(sdk):
        sdk.client = sdk.client.with_options(max_retries=2)
        await sdk.ask(stream=stream, max_tokens=400)
        other = [{"role": "user", "content": "Write a book."}]
        with pytest.raises(sdk.sdk.RateLimitError, match="budget"):
            await sdk.ask(stream=stream, max_tokens=15_000, messages=other)
        return [record.outcome for record in sdk.optimizer.ledger.records]

    assert play(scenario, gates=[budget], prices=prices) == ["miss", "error"]
    assert server.stats().requests == 1
    assert budget.accounts.open == 0
    assert budget.balance(limit).spent > 0
