"""pydantic-ai's model wrapper: real agents over real HTTP, the simulator counts what they ask it."""

import contextlib
from datetime import datetime

import anyio
import pytest

from provider_faces import KEY
from resopt import Budget, BudgetExceededError, Limit, ManualClock, PriceBook, ResponseCache, Scope

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import (
    BinaryContent,
    DocumentUrl,
    FinalResultEvent,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
    VideoUrl,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.providers.openai import OpenAIProvider

from resopt.integrations.pydantic_ai import ResoptModel
from resopt.integrations.pydantic_ai_messages import as_request

pytestmark = pytest.mark.anyio
TESTED_WITH = ("pydantic-ai", "pydantic-ai-slim", "openai")
QUESTION = "What is Python?"
PRICES = {"gpt-4o": (2.5, 10.0)}


@pytest.fixture
def anyio_backend():
    """Agents are made for asyncio."""
    return "asyncio"


@pytest.fixture
async def bare(server):
    """The bare model; each call makes one more, all with one HTTP client each, closed at the end."""
    clients = []

    def bare(name="gpt-4o", api_key=KEY, base_url=server.base_url, **settings):
        client = AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0)
        clients.append(client)
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client), settings=settings or None)

    yield bare
    for client in clients:
        await client.close()


@pytest.fixture
def cache():
    return ResponseCache()


@pytest.fixture
def model(bare, cache):
    return ResoptModel(bare(), cache=cache, prices=PRICES)


def asked(server):
    return server.stats().requests


def answers(result):
    return [message for message in result.all_messages() if isinstance(message, ModelResponse)]


async def stream(model, question=QUESTION):
    """The events of a streamed run's answer, and the answer."""
    events = []
    async with Agent(model).iter(question) as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as streamed:
                    events += [event async for event in streamed]
    return events, run.result


def written(events):
    """The text that a reader of the events puts together."""
    text = ""
    for event in events:
        if isinstance(event, PartStartEvent):
            text += event.part.content
        elif not isinstance(event, PartEndEvent | FinalResultEvent):
            text += event.delta.content_delta
    return text


async def test_a_hit_equals_the_miss_and_asks_nobody(server, model):
    first, second = await Agent(model).run(QUESTION), await Agent(model).run(QUESTION)
    assert asked(server) == 1
    assert first.output == second.output
    (miss,), (hit,) = answers(first), answers(second)
    for name in ("run_id", "conversation_id"):  # the agent writes its own there
        setattr(hit, name, getattr(miss, name))
    assert hit == miss
    assert isinstance(hit.provider_details["timestamp"], datetime)
    assert [record.outcome for record in model.resopt.ledger.records] == ["miss", "hit"]


async def test_it_answers_as_the_bare_model(server, bare, model):
    alone, wrapped = await Agent(bare()).run(QUESTION), await Agent(model).run(QUESTION)
    (one,), (other,) = answers(alone), answers(wrapped)
    for name in ("run_id", "conversation_id", "timestamp", "provider_response_id", "provider_details"):
        setattr(other, name, getattr(one, name))
    assert one == other
    assert (model.model_name, model.system, model.base_url) == (bare().model_name, bare().system, bare().base_url)


async def test_usage_on_a_hit_is_that_of_the_answer_and_the_ledger_knows_what_was_billed(model):
    first, second = await Agent(model).run(QUESTION), await Agent(model).run(QUESTION)
    assert second.usage.input_tokens == first.usage.input_tokens > 0
    miss, hit = model.resopt.ledger.records
    assert miss.cost == hit.baseline_cost > 0
    assert hit.cost == 0
    assert hit.usage.input_tokens == 0


async def test_a_hit_belongs_to_its_caller(model):
    await Agent(model).run(QUESTION)
    spoilt = answers(await Agent(model).run(QUESTION))[0]
    text = spoilt.parts[0].content
    spoilt.parts[0].content = "spoilt"
    spoilt.provider_details.clear()
    again = answers(await Agent(model).run(QUESTION))[0]
    assert again.parts[0].content == text
    assert again.provider_details


@pytest.mark.parametrize(
    "other",
    [
        lambda bare: bare("gpt-4o-mini"),
        lambda bare: bare(temperature=0.5),
        lambda bare: bare(base_url=bare().base_url.replace("127.0.0.1", "localhost")),
        lambda bare: FallbackModel(bare()),
    ],
    ids=["model", "settings", "base URL", "class"],
)
async def test_other_models_have_other_answers(server, bare, cache, other):
    for one in (bare(), other(bare), bare(), other(bare)):
        await Agent(ResoptModel(one, cache=cache)).run(QUESTION)
    assert asked(server) == 2


async def test_other_words_settings_tools_and_instructions_have_other_answers(server, model):
    def weather(city: str) -> str:
        raise AssertionError("nobody calls it")

    await Agent(model).run(QUESTION)
    await Agent(model).run(QUESTION.lower())
    await Agent(model).run(QUESTION, model_settings={"temperature": 0.1})
    await Agent(model, instructions="Be brief.").run(QUESTION)
    await Agent(model, system_prompt="Be brief.").run(QUESTION)
    await Agent(model, tools=[weather]).run(QUESTION)
    assert asked(server) == 6


async def test_how_long_to_wait_is_no_part_of_the_question(server, model):
    await Agent(model).run(QUESTION)
    await Agent(model).run(QUESTION, model_settings={"timeout": 5.0})
    assert asked(server) == 1


async def test_accounts_never_meet_unless_a_tenant_says_so(server, bare, cache):
    for count, scope in enumerate([Scope(), Scope(tenant="a"), Scope(tenant="b")], start=1):
        await Agent(ResoptModel(bare(), cache=cache, scope=scope)).run(QUESTION)
        await Agent(ResoptModel(bare(), cache=cache, scope=scope)).run(QUESTION)
        assert asked(server) == count
    stranger = bare(api_key="sk-of-somebody-else")
    with pytest.raises(ModelHTTPError):
        await Agent(ResoptModel(stranger, cache=cache)).run(QUESTION)
    assert (await Agent(ResoptModel(stranger, cache=cache, scope=Scope(tenant="a"))).run(QUESTION)).output


class Caller:
    """A model in this process that calls a tool, then says what it got; counts its calls."""

    def __init__(self, *, ending="stop"):
        self.calls, self.ending = 0, ending
        self.gate = None
        self.model = FunctionModel(self.answer, stream_function=self.stream, model_name="caller")

    async def answer(self, messages, info):
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        last = messages[-1].parts[-1]
        if info.function_tools and last.part_kind != "tool-return":
            return ModelResponse(
                [ThinkingPart("Hm."), ToolCallPart("double", {"number": 21})], finish_reason="tool_call"
            )
        return ModelResponse([TextPart(f"It is {last.content}")], finish_reason=self.ending)

    async def stream(self, messages, info):
        self.calls += 1
        last = messages[-1].parts[-1]
        if info.function_tools and last.part_kind != "tool-return":
            yield {0: DeltaToolCall("double", '{"numb', tool_call_id="call-1")}
            yield {0: DeltaToolCall(json_args='er": 21}')}
        else:
            yield "It is "
            yield f"{last.content}"


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("streaming", [False, True])
async def test_tool_calls_are_kept_and_each_turn_is_found_again(streaming):
    caller = Caller()
    agent = Agent(ResoptModel(caller.model), tools=[double])
    results = []
    for _ in range(2):
        if streaming:
            async with agent.run_stream("Double 21, please") as run:
                results.append(await run.get_output())
        else:
            results.append((await agent.run("Double 21, please")).output)
    assert results == ["It is 42"] * 2
    assert caller.calls == 2


async def test_a_history_is_known_by_what_was_said_not_when(server, model):
    for _ in range(2):
        history = (await Agent(model).run(QUESTION)).all_messages()
        await Agent(model).run("And what is Rust?", message_history=history)
    assert asked(server) == 2


async def test_a_retry_is_found_again():
    caller = Caller()
    agent = Agent(ResoptModel(caller.model), retries=2)

    @agent.output_validator
    def refuse_once(text):
        if "Try" not in text:
            raise ModelRetry("Try again")
        return text

    for _ in range(2):
        await agent.run("Say something")
    assert caller.calls == 2


async def test_structured_output_is_found_again():
    class City(BaseModel):
        name: str

    calls = []

    def answer(messages, info):
        calls.append(1)
        return ModelResponse([ToolCallPart(info.output_tools[0].name, {"name": "Rome"})])

    agent = Agent(ResoptModel(FunctionModel(answer)), output_type=City)
    assert [(await agent.run("A city")).output for _ in range(2)] == [City(name="Rome")] * 2
    assert len(calls) == 1


async def test_a_stream_is_kept_and_replayed(server, model):
    (live, first), (replayed, second) = await stream(model), await stream(model)
    assert asked(server) == 1
    assert len(live) > len(replayed)
    assert written(live) == written(replayed) == first.output == second.output
    assert second.usage.output_tokens == first.usage.output_tokens > 0
    assert [record.outcome for record in model.resopt.ledger.records] == ["miss", "hit"]


async def test_a_stored_answer_serves_a_stream_and_the_reverse(server, model):
    whole = await Agent(model).run(QUESTION)
    events, _ = await stream(model)
    assert written(events) == whole.output
    _, streamed = await stream(model, "What is Rust?")
    assert (await Agent(model).run("What is Rust?")).output == streamed.output
    assert asked(server) == 2


@pytest.mark.parametrize("fault", ["truncate", "filter"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_truncated_or_filtered_answer_is_not_stored(server, model, fault, streaming):
    async def ask():
        with contextlib.suppress(ModelAPIError, UnexpectedModelBehavior):  # what an agent makes of such an answer
            await (stream(model) if streaming else Agent(model, retries=0).run(QUESTION))

    server.next_faults(fault)
    await ask()
    assert len(model.resopt.cache) == 0
    await ask()
    await ask()
    assert asked(server) == 2


async def test_a_stream_left_early_is_not_stored(server, model):
    async with Agent(model).run_stream(QUESTION) as run:
        async for _ in run.stream_text(delta=True, debounce_by=None):
            break
    assert len(model.resopt.cache) == 0
    await Agent(model).run(QUESTION)
    assert asked(server) == 2
    assert model.resopt.ledger.records[0].outcome == "cancelled"


async def test_a_stream_that_dies_is_not_stored_and_its_error_is_the_callers(server, model):
    server.next_faults("disconnect")
    with pytest.raises(Exception, match=r"(?i)clos|connection|incomplete|disconnect"):
        await stream(model)
    assert len(model.resopt.cache) == 0
    assert model.resopt.ledger.records[0].outcome == "error"


async def test_an_error_is_the_models_own_and_not_stored(server, model):
    server.next_faults("500")
    with pytest.raises(ModelHTTPError):
        await Agent(model).run(QUESTION)
    await Agent(model).run(QUESTION)
    assert asked(server) == 2


@pytest.mark.parametrize(
    "answer", [ModelResponse([TextPart(" ")]), ModelResponse([TextPart("Yes.")], state="suspended")]
)
async def test_an_empty_or_unfinished_answer_is_not_stored(answer):
    model = ResoptModel(FunctionModel(lambda *_: answer))
    await model.request([], None, ModelRequestParameters())
    assert len(model.resopt.cache) == 0


async def test_concurrent_equal_requests_make_one_call():
    caller = Caller()
    caller.gate = anyio.Event()
    model = ResoptModel(caller.model)
    results = []

    async def ask():
        results.append(answers(await Agent(model).run("Say something"))[0])

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        caller.gate.set()
    assert caller.calls == 1
    assert len({id(result) for result in results}) == 20
    assert len({result.text for result in results}) == 1


async def test_concurrent_other_requests_get_their_own_answers():
    model = ResoptModel(Caller().model)
    results = {}

    async def ask(number):
        results[number] = (await Agent(model).run(f"Say {number}")).output

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, number)
    assert results == {number: f"It is Say {number}" for number in range(20)}


async def test_what_the_provider_keeps_is_not_left_out(server, bare, cache):
    model = ResoptModel(bare(), cache=cache)
    for _ in range(2):
        await Agent(model).run(QUESTION, model_settings={"openai_previous_response_id": "auto"})
    assert asked(server) == 2
    assert len(cache) == 0


async def test_the_rules_of_freshness_judge_the_question(server, model):
    for question in ("What time is it now?", ["What time is it now?"]):
        for _ in range(2):
            await Agent(model, instructions="Be brief.").run(question)
    assert asked(server) == 4
    assert len(model.resopt.cache) == 0


async def test_invalidate_clear_and_time_to_live(server, bare):
    clock = ManualClock()
    cache = ResponseCache(ttl_seconds=60, clock=clock)
    model = ResoptModel(bare(), cache=cache, tags=("docs",), prices=PriceBook())
    forget = [lambda: cache.invalidate(tag="docs"), lambda: cache.invalidate(model="gpt-4o"), cache.clear]
    for count, one in enumerate([*forget, lambda: clock.advance(61), lambda: None], start=1):
        await Agent(model).run(QUESTION)
        await stream(model)
        assert asked(server) == count
        one()


async def test_what_is_invalidated_while_a_stream_runs_is_not_stored(server, model):
    async with Agent(model).run_stream(QUESTION) as run:
        model.resopt.cache.clear()
        await run.get_output()
    assert len(model.resopt.cache) == 0


async def test_concurrent_equal_streams_each_ask_and_each_get_all():
    """As documented: they share what is stored, not the call."""
    caller = Caller()
    model = ResoptModel(caller.model)
    texts = []

    async def ask():
        events, _ = await stream(model, "Say something")
        texts.append(written(events))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
    assert texts == ["It is Say something"] * 10
    calls = caller.calls
    await ask()
    assert caller.calls == calls
    assert len(model.resopt.ledger.records) == 11


# Budgets.

BOOK = PriceBook(PRICES)
SMALL = {"max_tokens": 50}


def account(budget):
    return budget.balance(budget.limits[0])


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_budget_is_settled_with_what_a_call_cost(server, bare, streaming):
    budget = Budget(Limit(5), prices=BOOK)
    model = ResoptModel(bare(), prices=PRICES, gates=[budget])
    for _ in range(2):
        await (stream(model) if streaming else Agent(model).run(QUESTION))
    record = model.resopt.ledger.records[0]
    assert asked(server) == 1
    assert record.cost > 0
    assert (account(budget).spent, account(budget).promised, budget.accounts.open) == (record.cost, 0, 0)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("over", ["reject", "degrade"])
async def test_what_does_not_fit_a_budget_is_not_asked(server, bare, streaming, over):
    budget = Budget(Limit("0.000001", over=over), prices=BOOK, degrade=["gpt-4o"])
    model = ResoptModel(bare(**SMALL), gates=[budget])
    with pytest.raises(BudgetExceededError):
        await (stream(model) if streaming else Agent(model).run(QUESTION))
    assert (asked(server), account(budget).spent, budget.accounts.open) == (0, 0, 0)
    assert [record.error for record in model.resopt.ledger.records] == ["BudgetExceededError"]


async def test_a_stream_that_a_budget_forbids_is_served_past_its_time_where_it_says_so(server, bare):
    clock = ManualClock(1_700_000_000.0)
    budget = Budget(Limit("0.01", over="stale"), prices=BOOK)
    cache = ResponseCache(ttl_seconds=60, stale_seconds=3600, clock=clock)
    model = ResoptModel(bare(max_tokens=300), cache=cache, gates=[budget])
    first = await stream(model)
    clock.advance(120)
    budget.reserve_amount(10_000_000_000 - account(budget).spent).send()
    second = await stream(model)
    assert second[1].output == first[1].output
    assert asked(server) == 1


async def test_a_stream_left_half_way_is_charged_in_full(server, bare):
    budget = Budget(Limit(5), prices=BOOK)
    model = ResoptModel(bare(**SMALL), gates=[budget])
    async with Agent(model).run_stream(f"{QUESTION} [simulate: stall=600, stall_at=3]") as run:
        async for _ in run.stream_text(delta=True, debounce_by=None):
            break
    assert 50 * 10_000_000 < account(budget).spent < 10**12 / 100
    assert (account(budget).promised, budget.accounts.open) == (0, 0)


async def test_a_stream_that_the_provider_refuses_costs_nothing(server, bare):
    budget = Budget(Limit(5), prices=BOOK)
    model = ResoptModel(bare(**SMALL), gates=[budget])
    server.next_faults("500")
    with pytest.raises(ModelHTTPError):
        await stream(model)
    assert (account(budget).spent, budget.accounts.open) == (0, 0)


async def test_sixty_four_streams_and_calls_never_overspend(server, bare):
    budget = Budget(Limit("0.01"), prices=BOOK)
    model = ResoptModel(bare(**SMALL), prices=PRICES, gates=[budget])
    ended = []

    async def caller(number):
        question = f"What is {number} plus {number}?"
        try:
            if number % 8 == 0:
                with anyio.move_on_after(0.005):
                    await stream(model, question)
            else:
                await (stream(model, question) if number % 2 else Agent(model).run(question))
        except BudgetExceededError:
            ended.append("refused")

    async with anyio.create_task_group() as group:
        for number in range(64):
            group.start_soon(caller, number)
    assert (account(budget).promised, budget.accounts.open) == (0, 0)
    billed = sum(record.cost or 0 for record in model.resopt.ledger.records)
    assert 0 < billed <= account(budget).spent <= 10_000_000_000
    assert ended


@pytest.mark.parametrize(
    "given",
    [
        DocumentUrl(url="https://example.org/a.pdf"),
        BinaryContent(data=b"%PDF", media_type="application/pdf"),
        VideoUrl(url="https://example.org/a.mp4"),
    ],
)
async def test_what_a_file_costs_has_no_bound_and_an_image_has_one(bare, given):
    model = bare()
    parameters = ModelRequestParameters()

    def worst(*content, **settings):
        messages = [ModelRequest(parts=[UserPromptPart(content=["What is it?", *content])])]
        request = as_request(model, Scope(), (), messages, settings or SMALL, parameters)
        return Budget(Limit(5), prices=BOOK).worst_case(request)

    assert worst(given) is None
    assert worst() < worst(max_tokens=60) < worst(ImageUrl(url="https://example.org/a.png"))


async def test_tools_that_the_provider_runs_are_neither_bounded_nor_kept(bare):
    parameters = ModelRequestParameters(native_tools=[WebSearchTool()])
    messages = [ModelRequest(parts=[UserPromptPart(content=QUESTION)])]
    request = as_request(bare(), Scope(), (), messages, SMALL, parameters)
    assert Budget(Limit(5), prices=BOOK).worst_case(request) is None
    assert ResponseCache().plan(request).key is None
