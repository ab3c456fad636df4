"""Limits: what headers mean, how buckets and concurrency learn, lanes, tenants, deadlines, retries; real sockets."""

import threading
import time
from datetime import UTC, datetime, timedelta

import anyio
import pytest

import resopt
from asking import PRICES, Scripted, ask
from provider_faces import KEY
from resopt import (
    AsyncOptimizer,
    ConfigurationError,
    DeadlineError,
    Limits,
    OpenAIProvider,
    Optimizer,
    ProviderTimeoutError,
    QueueFullError,
    RateLimitError,
    Request,
    Scope,
    ServerError,
    on_terms,
)
from resopt.batch.bucket import Bucket
from resopt.batch.concurrency import Concurrency
from resopt.batch.headers import Told, read_duration, read_limits
from resopt.providers.simulated import RateLimits, SimulatedModel, SimulatedServer
from resopt.providers.simulated_limits import Meter
from resopt.terms import current_terms

pytestmark = pytest.mark.anyio

MODEL = SimulatedModel(name="gpt-4o", input_price=2.5, output_price=10.0, p50=0.0, p95=0.0)


# ---- headers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("20ms", 0.02),
        ("1.5", 1.5),
        ("0", 0.0),
        ("1d", 86_400.0),
        (" 12S ", 12.0),
        ("150µs", 0.00015),
        ("-1", None),
        ("", None),
        ("soon", None),
        ("6m 0s", None),
        ("5s5", None),
        ("nan", None),
        ("inf", None),
        ("999999999", None),
        (None, None),
    ],
)
def test_durations(text, seconds):
    assert read_duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("ending", ["Z", "+00:00"])
def test_dates(ending):
    date = (datetime.now(UTC) + timedelta(seconds=90)).isoformat().replace("+00:00", ending)
    assert read_duration(date) == pytest.approx(90, abs=2)
    assert read_duration("2020-01-01T00:00:00Z") == 0.0


def test_openai_headers():
    told = read_limits(
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert told == {"requests": Told(60.0, 59.0, 1.0), "tokens": Told(150_000.0, 149_984.0, 360.0)}


def test_anthropic_headers():
    soon = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = read_limits(
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": soon,
            "anthropic-ratelimit-input-tokens-limit": "40000",
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-output-tokens-remaining": "8000",
        }
    )
    assert told["requests"].limit == 50.0
    assert told["requests"].remaining == 0.0
    assert told["requests"].reset == pytest.approx(30, abs=2)
    assert told["input_tokens"] == Told(40_000.0, 39_000.0, None)
    assert told["output_tokens"] == Told(None, 8_000.0, None)


@pytest.mark.parametrize("value", ["-1", "0", "", "many", "nan"])
def test_a_limit_that_is_unknown(value):
    told = read_limits({"x-ratelimit-limit-requests": value, "x-ratelimit-remaining-requests": "-1"})
    assert told == {}


# ---- buckets


def test_a_bucket_lets_through_what_refills():
    bucket = Bucket(60, 60.0, 0.0)
    bucket.use(60)
    assert bucket.seconds_until(1, 0.0) == pytest.approx(1.0)
    bucket.refill(10.0)
    assert bucket.level == pytest.approx(10)
    assert bucket.seconds_until(5, 10.0) == 0
    assert bucket.seconds_until(1_000, 10.0) == pytest.approx(50.0), "more than there ever is waits for all there is"


def test_a_bucket_believes_the_provider_as_far_as_it_can_know():
    bucket = Bucket(None, 60.0, 0.0)
    assert bucket.seconds_until(10**9, 0.0) == 0
    bucket.learn(Told(100.0, 40.0, 36.0), flying=10, now=0.0)
    assert (bucket.limit, bucket.level) == (100.0, 40.99)
    bucket.level = 40.0
    bucket.use(5)
    bucket.learn(Told(100.0, 38.0, 37.2), flying=5, now=0.0)
    assert bucket.level == 35.0, "what is in the air may not be counted yet"
    bucket.learn(Told(100.0, 20.0, 48.0), flying=5, now=0.0)
    assert bucket.level == 20.99, "somebody else uses the key too"
    bucket.learn(Told(100.0, 90.0, 6.0), flying=5, now=0.0)
    assert bucket.level == 85.0


def test_a_window_does_not_refill_before_its_end():
    bucket = Bucket(None, 60.0, 0.0)
    bucket.learn(Told(100.0, 0.0, 60.0), flying=0, now=0.0)
    assert bucket.seconds_until(1.99, 0.0) == pytest.approx(0.6), "a bucket takes 60 s to be full again"
    bucket.learn(Told(100.0, 90.0, 20.0), flying=0, now=0.0)
    bucket.use(90)
    bucket.refill(10.0)
    assert bucket.level == pytest.approx(0.0)
    assert bucket.seconds_until(1, 10.0) == pytest.approx(10.0)
    bucket.refill(20.0)
    assert bucket.level == pytest.approx(100.0)


def test_what_the_user_knows_is_only_lowered():
    bucket = Bucket(50, 60.0, 0.0)
    bucket.learn(Told(500.0, 499.0, 0.1), flying=0, now=0.0)
    assert bucket.limit == 50
    bucket.learn(Told(20.0, 19.0, 3.0), flying=0, now=0.0)
    assert bucket.limit == 20


# ---- concurrency


def test_concurrency_grows_while_it_is_used_up_and_is_cut_once_per_round():
    limit = Concurrency(10, 1, 100)
    for _ in range(10):
        limit.succeeded(2)
    assert limit.limit == 10
    for _ in range(10):
        limit.succeeded(limit.limit)
    assert limit.limit == 20
    for _ in range(20):
        limit.lost(0)
    assert (limit.limit, limit.losses) == (14, 1)
    before = limit.limit
    for _ in range(before * 2):
        limit.succeeded(limit.limit)
    assert before < limit.limit <= before + 2, "additive after the first loss"
    limit.lost(1)
    assert limit.losses == 2


def test_concurrency_has_bounds():
    limit = Concurrency(4, 2, 6)
    for epoch in range(10):
        limit.lost(epoch)
    assert limit.limit == 2
    for _ in range(100):
        limit.succeeded(6)
    assert limit.limit == 6


def test_a_slower_first_chunk_lowers_concurrency_and_a_steady_one_does_not():
    steady = Concurrency(50, 1, 100)
    for _ in range(200):
        steady.first_chunk(0.3, 50)
    assert steady.limit == 50
    for _ in range(30):
        steady.first_chunk(1.5, steady.limit)
    assert steady.limit < 35
    idle = Concurrency(50, 1, 100)
    for seconds in [0.3] * 50 + [1.5] * 30:
        idle.first_chunk(seconds, 3)
    assert idle.limit == 50, "few calls in the air say nothing about many"


# ---- the gate


class Slow(Scripted):
    """Answers after a while, and knows how many it answers at once and in which order they came."""

    def __init__(self, seconds=0.01, **fields):
        super().__init__(**fields)
        self.seconds = seconds
        self.now = self.most = 0
        self.lanes = []

    async def complete(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        self.lanes.append(current_terms().lane)
        try:
            await anyio.sleep(self.seconds)
            return await super().complete(request)
        finally:
            self.now -= 1


async def test_no_more_calls_are_in_the_air_than_allowed():
    limits = Limits(max_concurrency=3)
    provider = Slow()
    async with AsyncOptimizer(provider, gates=[limits]) as optimizer:
        await optimizer.gather([f"q{number}" for number in range(20)], 20)
    assert provider.most == 3
    figures = limits.figures()
    assert (figures.calls, figures.flying, figures.queued) == (20, 0, 0)
    assert figures.waited >= 15
    assert figures.wait_max > 0


async def test_interactive_calls_go_before_bulk():
    provider = Slow()
    limits = Limits(max_concurrency=2, start=2)
    async with AsyncOptimizer(provider, gates=[limits]) as optimizer, anyio.create_task_group() as group:
        group.start_soon(optimizer.gather, [f"bulk {number}" for number in range(30)], 30)
        await anyio.sleep(0.005)
        for number in range(5):
            group.start_soon(optimizer.complete, f"interactive {number}")
    last = max(place for place, lane in enumerate(provider.lanes) if lane == "interactive")
    assert last < 10, provider.lanes


async def test_bulk_is_not_starved():
    provider = Slow(0.001)
    limits = Limits(max_concurrency=1, start=1)
    async with AsyncOptimizer(provider, gates=[limits]) as optimizer, anyio.create_task_group() as group:
        group.start_soon(optimizer.gather, ["bulk"])
        for number in range(40):
            group.start_soon(optimizer.complete, f"interactive {number}")
    assert provider.lanes.index("bulk") < 20


async def test_tenants_take_turns():
    order = []

    class Noting(Slow):
        async def complete(self, request):
            order.append(request.scope.tenant)
            return await super().complete(request)

    limits = Limits(max_concurrency=1, start=1)
    async with AsyncOptimizer(Noting(0.001), gates=[limits]) as optimizer, anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(optimizer.complete, ask(f"flood {number}", scope=Scope(tenant="a")))
        await anyio.sleep(0.002)
        for number in range(3):
            group.start_soon(optimizer.complete, ask(f"other {number}", scope=Scope(tenant="b")))
    assert max(place for place, tenant in enumerate(order) if tenant == "b") < 16


async def test_what_cannot_make_its_deadline_fails_at_once():
    limits = Limits(requests_per_minute=60)
    async with AsyncOptimizer(Scripted(), prices=PRICES, gates=[limits]) as optimizer:
        await optimizer.gather([f"q{number}" for number in range(58)], 58)
        with on_terms(lane="bulk", deadline=0.5):
            began = time.monotonic()
            with pytest.raises(DeadlineError, match="was not sent"):
                await optimizer.complete("late")
            assert time.monotonic() - began < 0.2
        with on_terms(deadline=5.0):
            assert (await optimizer.complete("in time")).trace.outcome == "miss"
    assert isinstance(DeadlineError("x"), TimeoutError)


async def test_a_deadline_that_passes_in_line():
    limits = Limits(max_concurrency=1, start=1)
    async with AsyncOptimizer(Slow(0.3), gates=[limits]) as optimizer, anyio.create_task_group() as group:
        group.start_soon(optimizer.complete, "first")
        await anyio.sleep(0.01)
        with on_terms(deadline=0.05), pytest.raises(DeadlineError, match="deadline is over"):
            await optimizer.complete("second")
        assert limits.figures().queued == 0


async def test_a_line_that_is_too_long_is_closed():
    limits = Limits(max_concurrency=1, start=1, max_queue=2)
    async with AsyncOptimizer(Slow(0.05), gates=[limits]) as optimizer:
        results = await optimizer.gather([f"q{number}" for number in range(6)], 6, errors="return")
    assert [type(result).__name__ for result in results].count("QueueFullError") == 3
    assert issubclass(QueueFullError, resopt.ResoptError)


async def test_who_leaves_the_line_or_the_air_leaves_room():
    limits = Limits(max_concurrency=1, start=1)
    async with AsyncOptimizer(Slow(10), gates=[limits]) as optimizer:
        for _ in range(3):
            with anyio.move_on_after(0.01):
                async with anyio.create_task_group() as group:
                    for number in range(3):
                        group.start_soon(optimizer.complete, f"q{number}")
        await anyio.sleep(0.01)
        assert (limits.figures().queued, limits.figures().flying) == (0, 0)
        optimizer.provider.seconds = 0
        with anyio.fail_after(5):
            await optimizer.complete("last")


async def test_tokens_are_reserved_and_settled():
    limits = Limits(tokens_per_minute=1_000, estimate=lambda _: 400)
    async with AsyncOptimizer(Scripted(), gates=[limits]) as optimizer:
        for number in range(5):  # of 400 reserved, 120 are used
            with on_terms(deadline=0.1):
                await optimizer.complete(f"q{number}")
        assert limits.figures().tokens_left["gpt-4o"] == pytest.approx(400, abs=20)
        await optimizer.complete("p")
        with on_terms(deadline=0.1), pytest.raises(DeadlineError):
            await optimizer.complete("r")
    assert limits.figures().tokens_left["gpt-4o"] < 400


def test_the_default_estimate_knows_texts_and_limits():
    limits = Limits()
    short = limits._tokens(Request.chat("x" * 400, max_tokens=50))
    assert 150 <= short <= 155
    assert limits._tokens(Request.chat("x" * 400)) > 300
    limits.learn_length(0)
    assert limits._tokens(Request.chat("")) < 257


@pytest.mark.parametrize(
    ("error", "cut"),
    [
        (RateLimitError("x", status=429, retry_after=0.01), True),
        (ServerError("x", status=529), True),
        (ProviderTimeoutError("x"), True),
        (ServerError("x", status=500), False),
    ],
)
async def test_errors_of_any_provider_teach(error, cut):
    limits = Limits(start=10)
    provider = Scripted()
    provider.error = error
    async with AsyncOptimizer(provider, gates=[limits]) as optimizer:
        with pytest.raises(type(error)):
            await optimizer.complete("q")
    assert limits.figures().concurrency == {"gpt-4o": 7 if cut else 10}
    assert limits.figures().flying == 0


async def test_a_first_chunk_is_taken_note_of():
    limits = Limits(start=10)
    ticket = await limits.enter(ask("q"))
    for seconds in [0.1] * 20:
        ticket.first_chunk(seconds)
    ticket.settle(None, None)
    assert current_terms().attempts is None
    assert limits.figures().concurrency == {"gpt-4o": 10}


def test_threads_wait_too():
    limits = Limits(requests_per_minute=50, window=1.0)
    provider = Scripted()
    provider.blocking = lambda: provider
    with Optimizer(provider, gates=[limits]) as optimizer:
        began = time.monotonic()
        threads = [threading.Thread(target=optimizer.complete, args=(f"q{number}",)) for number in range(65)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert time.monotonic() - began >= 0.25
    assert provider.calls == 65


async def test_tasks_and_threads_share_one_line():
    limits = Limits(requests_per_minute=20, window=0.5)
    provider = Scripted()
    provider.blocking = lambda: provider
    optimizer = AsyncOptimizer(provider, gates=[limits])
    blocking = Optimizer(provider, gates=[limits])
    began = time.monotonic()
    async with anyio.create_task_group() as group:
        for number in range(15):
            group.start_soon(optimizer.complete, f"task {number}")
            group.start_soon(anyio.to_thread.run_sync, blocking.complete, f"thread {number}")
    assert time.monotonic() - began >= 0.2
    assert (provider.calls, limits.figures().calls) == (30, 30)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": "many"}, "tokens_per_minute"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"start": 5, "max_concurrency": 3}, "must not be above"),
        ({"reserve": 1}, "reserve"),
        ({"estimate": 3}, "estimate"),
        ({"max_queue": 0}, "max_queue"),
        ({"window": -1}, "window"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match):
        Limits(**options)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"lane": "fast"}, "lane must be one of"), ({"deadline": 0}, "deadline"), ({"deadline": True}, "deadline")],
)
def test_terms_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match), on_terms(**options):
        pass


def test_terms_nest_and_end():
    with on_terms(lane="bulk", deadline=10):
        with on_terms(deadline=100) as inner:
            assert inner.lane == "bulk"
            assert inner.seconds_left <= 10
        with on_terms(deadline=1) as inner:
            assert inner.seconds_left <= 1
    assert current_terms().seconds_left == float("inf")


# ---- over real sockets


def provider_for(server, **options):
    return OpenAIProvider(server.base_url, api_key=KEY, **options)


@pytest.mark.parametrize("face", ["asyncio", "trio", "blocking"])
def test_limits_are_learned_from_headers_and_kept(face):
    rules = RateLimits(requests_per_minute=60, window=1.0)
    questions = [f"q{number}" for number in range(90)]
    limits = Limits(window=1.0)
    with SimulatedServer([MODEL], limits=rules) as server:

        async def work():
            async with AsyncOptimizer(provider_for(server, max_attempts=5), gates=[limits]) as optimizer:
                await optimizer.gather(questions, 10)

        if face == "blocking":
            with Optimizer(provider_for(server, max_attempts=5), gates=[limits]) as optimizer:
                optimizer.gather(questions, 10)
        else:
            anyio.run(work, backend=face)
        stats = server.stats()
    assert stats.statuses["200"] == 90
    assert stats.limited < 15, "90 at once would be refused 30 times"
    assert limits.figures().requests_left["gpt-4o"] < 60


async def test_a_refusal_closes_the_line_for_everybody():
    limits = Limits(start=1, max_concurrency=1)
    with SimulatedServer([MODEL], time_scale=0) as server:
        async with AsyncOptimizer(provider_for(server), gates=[limits]) as optimizer:
            server.next_faults("429, retry_after=0.2")
            began = time.monotonic()
            await optimizer.gather([f"q{number}" for number in range(5)], 5)
            assert time.monotonic() - began >= 0.2
        assert server.stats().statuses == {"200": 5, "429": 1}
    assert limits.figures().retries == {"429": 1}
    assert limits.figures().calls == 6


async def test_retries_keep_to_the_deadline_of_the_terms():
    with SimulatedServer([MODEL], time_scale=0) as server:
        async with AsyncOptimizer(provider_for(server), gates=[Limits()]) as optimizer:
            server.next_faults("429, retry_after=5")
            with on_terms(deadline=1.0), pytest.raises(RateLimitError, match=r"beyond the .* left of the deadline of"):
                await optimizer.complete("q")
        async with AsyncOptimizer(provider_for(server), gates=[Limits()]) as optimizer:
            server.next_faults("timeout")
            began = time.monotonic()
            with on_terms(deadline=0.2), pytest.raises(ProviderTimeoutError):
                await optimizer.complete("p")
            assert time.monotonic() - began < 2


async def test_a_call_is_named_when_its_terms_name_it():
    with SimulatedServer([MODEL], time_scale=0) as server:
        async with AsyncOptimizer(provider_for(server), prices=PRICES) as optimizer:
            for _ in range(2):
                with on_terms(idempotency_key="once"):
                    await optimizer.complete(ask("q", cache="bypass"))
            assert server.last_request().headers["idempotency-key"] == "once"
            await optimizer.complete("p")
            assert "idempotency-key" not in server.last_request().headers
        stats = server.stats()
    assert (stats.repeated, stats.statuses) == (1, {"200": 3})


# ---- the simulator's own limits


def test_the_simulated_bucket_and_window():
    now = [0.0]
    bucket = Meter(RateLimits(requests_per_minute=2, window=10.0), lambda: now[0])
    assert [bucket.admit(0), bucket.admit(0)] == [0, 0]
    assert bucket.admit(0) == pytest.approx(5.0)
    now[0] = 5.0
    assert bucket.admit(0) == 0
    window = Meter(RateLimits(requests_per_minute=2, window=10.0, algorithm="window"), lambda: now[0])
    assert [window.admit(0), window.admit(0)] == [0, 0]
    now[0] = 12.0
    assert window.admit(0) == pytest.approx(3.0)
    assert window.headers("/chat/completions", 3.0)["x-ratelimit-reset-requests"] == "3s"
    now[0] = 15.0
    assert window.admit(0) == 0


def test_the_simulated_limits_count_tokens_and_can_be_silent():
    meter = Meter(RateLimits(tokens_per_minute=100), lambda: 0.0)
    assert meter.admit(80) == 0
    assert meter.admit(80) == pytest.approx(36.0)
    assert meter.headers("/messages", 0.0)["anthropic-ratelimit-tokens-remaining"] == "20"
    assert Meter(RateLimits(requests_per_minute=1, silent=True), lambda: 0.0).headers("/messages", 1.0) == {}
    for options in ({"requests_per_minute": 0}, {"window": 0}, {"algorithm": "leaky"}):
        with pytest.raises(ConfigurationError):
            RateLimits(**options)
