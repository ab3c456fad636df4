"""Budgets and calls that are made twice: retries, hedges, the standard tier after flex. Each is held and charged."""

import inspect
from contextvars import copy_context

import anthropic
import anyio
import openai
import pytest

import resopt
from asking import CALL_COST, USAGE, OnlyOnce, ask, wait_for
from asking import PRICES as LIST
from raw_server import RawServer, http
from resopt import (
    AsyncOptimizer,
    Budget,
    BudgetExceededError,
    HedgedProvider,
    Limit,
    OpenAIProvider,
    PriceBook,
    ProviderConnectionError,
    ProviderTimeoutError,
    ServerError,
)
from resopt.errors import QueueFullError
from resopt.gates import one_more
from resopt.providers.simulated import SimulatedServer
from resopt.terms import tell_attempts
from resopt.types import Response

pytestmark = pytest.mark.anyio

PRICES = PriceBook(LIST)
OPTIONS = {"model": "gpt-4o", "max_tokens": 100}
REPLY = (
    b'{"id":"1","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Yes."},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}'
)
WORST = Budget(Limit(5), prices=PRICES).worst_case(ask("one", **OPTIONS))


def budget_for(calls):
    return Budget(Limit(calls * WORST / 1e12), prices=PRICES)


def spent(budget):
    assert budget.accounts.open == 0
    return budget.balance(budget.limits[0]).spent


async def asked(provider, budget, **how):
    async with AsyncOptimizer(provider, prices=PRICES, gates=[budget]) as optimizer:
        (answer,) = await optimizer.gather(["one"], errors="return", **OPTIONS, **how)
        return answer


def raw(server, **options):
    return OpenAIProvider(server.base_url, "k", deadline=20.0, **options)


# ---- retries


@pytest.mark.parametrize("times", [1, 2])
async def test_what_broke_off_before_its_reply_is_charged_beside_the_answer(times):
    budget = budget_for(3)
    with RawServer(*[None] * times, http(REPLY)) as server:
        answer = await asked(raw(server), budget)
        assert answer.text == "Yes."
        assert len(server.requests) == times + 1
    assert spent(budget) == times * WORST + CALL_COST


async def test_a_retry_that_does_not_fit_is_not_made():
    budget = budget_for(1.5)
    with RawServer(None, http(REPLY)) as server:
        error = await asked(raw(server), budget)
        assert len(server.requests) == 1
    assert isinstance(error, ProviderConnectionError)
    assert "budget" in str(error)
    assert spent(budget) == WORST


async def test_refusals_need_no_money_for_the_next_try():
    budget = budget_for(1.5)
    with RawServer(http("{}", "429 Too Many Requests"), http("{}", "500 Internal Server Error"), http(REPLY)) as server:
        assert (await asked(raw(server), budget)).text == "Yes."
    assert spent(budget) == CALL_COST


async def test_a_refusal_by_a_clock_may_be_billed():
    budget = budget_for(2.5)
    with RawServer(http("{}", "408 Request Timeout"), http(REPLY)) as server:
        assert (await asked(raw(server), budget)).text == "Yes."
    assert spent(budget) == WORST + CALL_COST


async def test_without_gates_there_is_nothing_to_ask():
    with RawServer(None, http(REPLY)) as server:
        async with AsyncOptimizer(raw(server)) as optimizer:
            assert (await optimizer.complete("one")).text == "Yes."
    assert one_more().tickets == []


async def test_a_retry_that_finds_the_line_full_leaves_the_first_attempt_charged():
    budget = budget_for(2.5)
    with RawServer(http("{}", "504 Gateway Timeout"), http(REPLY)) as server:
        async with AsyncOptimizer(raw(server), prices=PRICES, gates=[Full(), budget]) as optimizer:
            with pytest.raises(ServerError, match="the line is full"):
                await optimizer.complete("one", **OPTIONS)
    assert spent(budget) == WORST


class Full:
    """Limits that let each call pass once."""

    name = "limits"

    async def enter(self, request):
        tell_attempts(self)
        return self

    async def again(self, seconds):
        raise QueueFullError("the line is full")

    def ended(self, status, headers, wait, *, timed_out):
        pass

    def settle(self, response, error):
        tell_attempts(None)

    def blocking(self):
        return self


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_provider_that_is_down_costs_nothing(attempts):
    budget = budget_for(1.5)
    provider = OpenAIProvider("http://127.0.0.1:9/v1", "k", max_attempts=attempts)
    assert isinstance(await asked(provider, budget), ProviderConnectionError)
    assert spent(budget) == 0


class Leaving:
    """A provider whose work goes on after its answer."""

    name = "leaving"

    def __init__(self):
        self.later = None

    async def complete(self, request):
        self.later = copy_context()
        return Response(text="Yes.", model="gpt-4o", usage=USAGE, finish_reason="stop", body=b"{}")

    async def aclose(self):
        pass


async def test_what_goes_on_after_a_call_is_no_part_of_it():
    budget, provider = budget_for(2.5), Leaving()
    await asked(provider, budget)
    assert provider.later.run(one_more).tickets == []
    assert spent(budget) == CALL_COST


class Strange(OnlyOnce):
    """A gate that holds nothing and says so in its own words."""

    def hold(self, request, order=None):
        raise QueueFullError("not now")

    def held(self, key):
        return None


@pytest.mark.parametrize("how", ["retry", "flex", "hedge"])
async def test_a_gate_may_refuse_a_further_attempt_in_its_own_words(how):
    with RawServer([1.5] if how == "flex" else None, http(REPLY)) as server:
        provider = raw(server, max_attempts=1 if how == "flex" else 3, timeout=0.7)
        if how == "hedge":
            provider = hedged((0.05, None), (0.0, None))
        answer = await asked(provider, Strange(), **({"tier": "flex"} if how == "flex" else {}))
    kinds = {"retry": "ProviderConnectionError", "flex": "ProviderTimeoutError", "hedge": "Response"}
    assert type(answer).__name__ == kinds[how]


# ---- flex


async def test_flex_is_settled_at_half_the_price():
    budget = budget_for(1.5)
    with SimulatedServer(time_scale=0) as server:
        answer = await asked(raw(server), budget, tier="flex")
    cost = PRICES.cost("gpt-4o", answer.usage)
    assert spent(budget) == cost - cost // 2


async def test_flex_without_room_costs_nothing():
    budget = budget_for(1.5)
    with RawServer(http("{}", "429 Too Many Requests"), http(REPLY)) as server:
        assert (await asked(raw(server, max_attempts=1), budget, tier="flex")).text == "Yes."
    assert spent(budget) == CALL_COST


@pytest.mark.parametrize("fits", [True, False])
async def test_flex_that_nobody_waited_for_may_be_billed_beside_the_standard_tier(fits):
    budget = budget_for(2.5 if fits else 1.5)
    with RawServer([1.5], http(REPLY)) as server:
        answer = await asked(raw(server, max_attempts=1, timeout=0.7), budget, tier="flex")
        assert len(server.requests) == 1 + fits
    if fits:
        assert spent(budget) == WORST + CALL_COST
    else:
        assert isinstance(answer, ProviderTimeoutError)
        assert spent(budget) == WORST


# ---- hedges


class Paced:
    """Each call takes what is next: seconds, or seconds and an error."""

    name = "paced"

    def __init__(self, *schedule):
        self.schedule = list(schedule)
        self.calls = 0

    async def complete(self, request):
        seconds, error = self.schedule[self.calls]
        self.calls += 1
        await anyio.sleep(seconds)
        if error is not None:
            raise error
        return Response(
            text="Yes.", model=request.model, usage=USAGE, finish_reason="stop", body=b"{}", latency=seconds
        )

    async def aclose(self):
        pass


def hedged(*schedule):
    provider = HedgedProvider(Paced(*schedule))
    for _ in range(30):
        provider._learn("gpt-4o", 0.01)
    provider._tokens = 1.0
    return provider


async def test_of_two_calls_the_one_cut_off_is_charged_in_full():
    budget = budget_for(2.5)
    provider = hedged((5.0, None), (0.0, None))
    with anyio.fail_after(3):
        assert (await asked(provider, budget)).text == "Yes."
    assert provider.figures.hedges == 1
    assert spent(budget) == CALL_COST + WORST


async def test_a_call_that_was_refused_costs_nothing_beside_the_other():
    budget = budget_for(2.5)
    provider = hedged((0.05, ServerError("down", status=503)), (0.1, None))
    assert (await asked(provider, budget)).text == "Yes."
    assert spent(budget) == CALL_COST


async def test_two_that_fail_are_charged_for_what_each_may_have_cost():
    budget = budget_for(2.5)
    provider = hedged((0.05, ServerError("down", status=503)), (0.1, ProviderTimeoutError("late")))
    assert isinstance(await asked(provider, budget), ServerError)
    assert spent(budget) == WORST


async def test_a_hedge_that_does_not_fit_is_not_made():
    budget = budget_for(1.5)
    provider = hedged((0.1, None), (0.0, None))
    assert (await asked(provider, budget)).text == "Yes."
    assert (provider.figures.hedges, provider.figures.capped) == (0, 1)
    assert spent(budget) == CALL_COST


async def test_both_are_charged_when_nobody_waits_any_more():
    budget = budget_for(2.5)
    provider = hedged((5.0, None), (5.0, None))
    async with anyio.create_task_group() as group:
        group.start_soon(asked, provider, budget)
        await wait_for(lambda: provider._provider.calls == 2)
        group.cancel_scope.cancel()
    await wait_for(lambda: budget.accounts.open == 0)
    assert spent(budget) == 2 * WORST


# ---- client libraries, which try again by themselves

MESSAGE = (
    b'{"id":"1","type":"message","role":"assistant","model":"gpt-4o","content":[{"type":"text","text":"Yes."}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":100,"output_tokens":20}}'
)
EVENTS = (
    b'data: {"id":"1","model":"gpt-4o","created":1,"object":"chat.completion.chunk","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"Yes."},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"1","model":"gpt-4o","created":1,"object":"chat.completion.chunk","choices":[],'
    b'"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}\n\ndata: [DONE]\n\n'
)
VECTORS = (
    b'{"object":"list","model":"gpt-4o","data":[{"object":"embedding","index":0,"embedding":[1.0]}],'
    b'"usage":{"prompt_tokens":7,"total_tokens":7}}'
)
TALK = {"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "one"}]}


async def finished(value):
    return await value if inspect.isawaitable(value) else value


async def talked(client):
    method = client.chat.completions.create if hasattr(client, "chat") else client.messages.create
    return await finished(method(**TALK))


async def streamed(client):
    stream = await finished(client.chat.completions.create(**TALK, stream=True, stream_options={"include_usage": True}))
    return [chunk async for chunk in stream] if hasattr(stream, "__aiter__") else list(stream)


async def completed(client):
    return await finished(client.resopt.complete("one", **OPTIONS))


async def embedded(client):
    return await finished(client.embeddings.create(model="gpt-4o", input=["one"], encoding_format="float"))


OPENAI = [openai.OpenAI, openai.AsyncOpenAI]
ANTHROPIC = [anthropic.Anthropic, anthropic.AsyncAnthropic]
WAYS = [
    *((kind, talked, http(REPLY)) for kind in OPENAI),
    *((kind, talked, http(MESSAGE)) for kind in ANTHROPIC),
    *((kind, completed, http(REPLY)) for kind in OPENAI),
    *((kind, streamed, http(EVENTS, content_type="text/event-stream")) for kind in OPENAI),
    *((kind, embedded, http(VECTORS)) for kind in OPENAI),
]


async def tried(kind, use, budget, *replies):
    """What a wrapped client that tries three times comes to: the number of attempts, and an error or None."""
    with RawServer(*replies) as server:
        url = server.base_url.removesuffix("/v1") if kind in ANTHROPIC else server.base_url
        bare = kind(api_key="k", base_url=url, max_retries=2)
        error = None
        try:
            await use(resopt.wrap(bare, prices=PRICES, gates=[budget]))
        except Exception as failure:
            error = failure
        await finished(bare.close())
        return len(server.requests), error


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # the library leaves them to trio
@pytest.mark.parametrize(("kind", "use", "reply"), WAYS)
async def test_a_client_that_tries_again_is_charged_for_what_may_be_billed(anyio_backend_name, kind, use, reply):
    if anyio_backend_name == "trio" and kind not in (openai.AsyncOpenAI, anthropic.AsyncAnthropic):
        pytest.skip("nothing in it waits")
    roomy, once = budget_for(50), budget_for(50)
    attempts, error = await tried(kind, use, once, reply)
    assert (attempts, error) == (1, None)
    attempts, error = await tried(kind, use, roomy, http("{}", "429 Too Many Requests"), reply)
    assert (attempts, error, spent(roomy)) == (2, None, spent(once)), "a refusal costs nothing"
    attempts, error = await tried(kind, use, roomy, None, reply)
    assert (attempts, error) == (2, None)
    worst = spent(roomy) - 2 * spent(once)
    assert worst > 0, "what broke off is charged in full"
    tight = Budget(Limit(1.5 * worst / 1e12), prices=PRICES)
    attempts, error = await tried(kind, use, tight, None, reply)
    assert attempts == 1
    assert isinstance(error, BudgetExceededError)
    assert spent(tight) == worst, "what broke off may be billed, though nothing more was asked"


@pytest.mark.parametrize("kind", [*OPENAI, *ANTHROPIC])
async def test_who_was_never_reached_costs_nothing_however_often_it_is_tried(kind):
    budget = budget_for(5)
    bare = kind(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=1)
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)):
        await talked(resopt.wrap(bare, prices=PRICES, gates=[budget]))
    await finished(bare.close())
    assert spent(budget) == 0
