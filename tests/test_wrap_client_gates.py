"""Gates of wrapped clients: whatever a client is asked passes them once if it costs money, and never if it does not."""

import contextlib
import inspect
import threading

import anyio
import openai
import pytest

import resopt
from costly_server import ONE_DOLLAR, PRICES, CostlyServer, cost_of, usage_of
from resopt import Budget, BudgetExceededError, Limit, Limits, PriceBook, Request
from resopt.providers.simulated import SimulatedServer
from resopt.sync import drive

TESTED_WITH = ("OpenAI", "openai")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The libraries leave the generator of a stream that is not read to its end behind, which trio reports.
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]

BOOK = PriceBook({**PRICES, "gpt-4o": (2.5, 10), "text-embedding-3-small": (0.02, 0)})
TALK = [{"role": "user", "content": "What is Python?"}]
CLAUDE = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": TALK}
ASKED = {"model": "gpt-4o", "messages": TALK, "max_tokens": 99}
LEGACY = {"model": "gpt-3.5-turbo-instruct", "prompt": ["one two", "three"], "n": 2}
SOUND = ("a.wav", b"RIFF")
RAW = {"extra_headers": {"x-stainless-raw-response": "true"}}


@pytest.fixture(scope="module")
def costly():
    with CostlyServer() as server:
        yield server


@pytest.fixture
def other(costly):
    costly.reset()
    return costly


@pytest.fixture(scope="module")
def answering():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture
def simulated(answering):
    answering.reset()
    return answering


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def face(request):
    return request.param


async def came(made):
    return await made if inspect.isawaitable(made) else made


def tell(face, story):
    return drive(story()) if face == "blocking" else anyio.run(story, backend=face)


@contextlib.asynccontextmanager
async def client_of(face, server, gates, kind="OpenAI", **settings):
    """A wrapped client, closed in the end. `kind` is the blocking class."""
    import anthropic

    name = kind if face == "blocking" else f"Async{kind}"
    library = anthropic if "Anthropic" in kind else openai
    where = {"base_url": server.url if library is anthropic else server.base_url}
    if "Azure" in kind:
        where = {"azure_endpoint": server.url, "api_version": "2024-10-21"}
    bare = getattr(library, name)(**{"api_key": "k", "max_retries": 0, **where, **settings})
    try:
        yield resopt.wrap(bare, gates=gates, prices=BOOK)
    finally:
        await came(bare.close())


def ask(face, server, gates, what, kind="OpenAI", **settings):
    """What `what(client)` comes to, and the ledger's records of it."""

    async def story():
        async with client_of(face, server, gates, kind, **settings) as client:
            return await came(what(client)), client.resopt.ledger.records

    return tell(face, story)


def account(budget):
    return budget.balance(budget.limits[0])


def settled(budget):
    """Nothing is promised any more; what was spent."""
    assert (account(budget).promised, budget.accounts.open) == (0, 0)
    return account(budget).spent


COSTLY = {
    "images.generate": lambda client: client.images.generate(prompt="a cat", model="gpt-image-1"),
    "images.edit": lambda client: client.images.edit(image=SOUND, prompt="a cat"),
    "images.create_variation": lambda client: client.images.create_variation(image=SOUND),
    "images raw": lambda client: client.images.with_raw_response.generate(prompt="a cat"),
    "speech": lambda client: client.audio.speech.create(input="Hello", model="tts-1", voice="alloy"),
    "transcriptions": lambda client: client.audio.transcriptions.create(file=SOUND, model="whisper-1"),
    "translations": lambda client: client.audio.translations.create(file=SOUND, model="whisper-1"),
    "compact": lambda client: client.responses.compact(model="gpt-4o", input="Hello"),
    "batches": lambda client: client.batches.create(
        input_file_id="f", endpoint="/v1/chat/completions", completion_window="24h"
    ),
    "fine_tuning": lambda client: client.fine_tuning.jobs.create(model="gpt-4o", training_file="f"),
    "videos": lambda client: client.videos.create(prompt="a cat"),
    "videos.remix": lambda client: client.videos.remix("v_1", prompt="a dog"),
    "runs": lambda client: client.beta.threads.runs.create("t_1", assistant_id="a"),
    "create_and_run": lambda client: client.beta.threads.create_and_run(assistant_id="a"),
    "tool outputs": lambda client: client.beta.threads.runs.submit_tool_outputs(
        "r_1", thread_id="t_1", tool_outputs=[]
    ),
    "any path": lambda client: client.post("/images/generations", body={"prompt": "a cat"}, cast_to=object),
    "options": lambda client: client.with_options(timeout=9).images.generate(prompt="a cat"),
    "client raw": lambda client: client.with_raw_response.images.generate(prompt="a cat"),
}
FREE = {
    "moderations": lambda client: client.moderations.create(input="Hello"),
    "files": lambda client: client.files.create(file=SOUND, purpose="batch"),
    "thread": lambda client: client.beta.threads.create(),
    "message": lambda client: client.beta.threads.messages.create("t_1", role="user", content="Hello"),
    "cancelled run": lambda client: client.beta.threads.runs.cancel("r_1", thread_id="t_1"),
    "cancelled batch": lambda client: client.batches.cancel("b_1"),
    "read batch": lambda client: client.batches.retrieve("b_1"),
    "batches": lambda client: client.batches.list(),
}
OTHERS = {
    "batches": lambda client: client.messages.batches.create(requests=[{"custom_id": "a", "params": CLAUDE}]),
    "beta batches": lambda client: client.beta.messages.batches.create(requests=[{"custom_id": "a", "params": CLAUDE}]),
    "complete": lambda client: client.post("/v1/complete", body={"prompt": "Hello"}, cast_to=object),
}
FREE_OF_ANTHROPIC = {
    "counted tokens": lambda client: client.messages.count_tokens(model="claude-haiku-4-5", messages=TALK),
    "cancelled message batch": lambda client: client.messages.batches.cancel("b_1"),
}


def check_costly(face, server, what, kind="OpenAI"):
    budget, generous = Budget(Limit(5), prices=BOOK), Budget(Limit(5), prices=BOOK, unknown=1)
    with pytest.raises(BudgetExceededError):
        ask(face, server, [budget], what, kind)
    assert (server.requests, settled(budget)) == ([], 0)
    made, records = ask(face, server, [generous], what, kind)
    assert [(record.outcome, record.cost) for record in records] == [("bypass", None)]
    assert settled(generous) == ONE_DOLLAR
    bare, records = ask(face, server, (), what, kind)
    assert (type(bare).__name__, records) == (type(made).__name__, [])
    assert len(server.requests) == 2


@pytest.mark.parametrize("what", COSTLY)
def test_what_has_no_worst_case_is_refused_or_set_aside_in_full(face, other, what):
    check_costly(face, other, COSTLY[what])


@pytest.mark.parametrize("what", OTHERS)
def test_the_same_of_anthropic(face, other, what):
    check_costly(face, other, OTHERS[what], "Anthropic")


@pytest.mark.parametrize("what", ["images.generate", "batches"])
def test_the_same_of_azure(face, other, what):
    check_costly(face, other, COSTLY[what], "AzureOpenAI")


@pytest.mark.parametrize("what", FREE | FREE_OF_ANTHROPIC)
def test_what_is_free_passes_untouched(face, other, what):
    kind, what = ("Anthropic", FREE_OF_ANTHROPIC[what]) if what in FREE_OF_ANTHROPIC else ("OpenAI", FREE[what])
    budget = Budget(Limit("0.000001"), prices=BOOK)

    async def story():
        async with client_of(face, other, [budget], kind) as client:
            await came(what(client))
            return client.resopt.ledger.records

    assert tell(face, story) == []
    assert (len(other.requests), settled(budget)) == (1, 0)


def test_limits_count_them(face, other):
    limits = Limits()
    ask(face, other, [limits], COSTLY["speech"])
    ask(face, other, [limits], lambda client: client.completions.create(**LEGACY))
    assert (limits.figures().calls, limits.figures().flying) == (2, 0)


@pytest.mark.parametrize("status", [400, 500])
def test_what_the_provider_refuses_costs_nothing(face, other, status):
    budget = Budget(Limit(5), prices=BOOK, unknown=1)
    other.status = status
    for what in (COSTLY["images.generate"], lambda client: client.completions.create(**LEGACY)):
        with pytest.raises(openai.APIStatusError):
            ask(face, other, [budget], what)
    assert settled(budget) == 0


def test_speech_is_set_aside_while_it_streams(face, other):
    budget = Budget(Limit(5), prices=BOOK, unknown=1)

    async def story():
        async with client_of(face, other, [budget]) as client:
            speech = client.audio.speech.with_streaming_response
            manager = speech.create(input="Hello", model="tts-1", voice="alloy")
            if face == "blocking":
                with manager as reply:
                    return reply.read()
            async with manager as reply:
                return await reply.read()

    assert tell(face, story) == b"RIFF"
    assert settled(budget) == ONE_DOLLAR


def raw(client):
    return client.completions.with_raw_response.create(**LEGACY)


@pytest.mark.parametrize("what", [lambda client: client.completions.create(**LEGACY), raw], ids=["answer", "raw"])
def test_a_legacy_completion_is_settled_with_what_it_cost(face, other, what):
    budget, small = Budget(Limit(5), prices=BOOK), Budget(Limit("0.00001"), prices=BOOK)
    _, records = ask(face, other, [budget], what)
    assert [record.cost for record in records] == [cost_of(usage_of(LEGACY))]
    assert settled(budget) == cost_of(usage_of(LEGACY))
    with pytest.raises(BudgetExceededError):
        ask(face, other, [small], what)
    assert (len(other.requests), settled(small)) == (1, 0)


@pytest.mark.parametrize("told", [True, False])
def test_a_streamed_completion_is_settled_by_what_it_says_and_never_held_up(face, other, told):
    budget = Budget(Limit(5), prices=BOOK)
    body = {**LEGACY, "stream": True, **({"stream_options": {"include_usage": True}} if told else {})}

    async def story():
        async with client_of(face, other, [budget]) as client:
            other.held = True
            stream = await came(client.completions.create(**body))
            first = next(stream) if face == "blocking" else await anext(stream)
            assert account(budget).promised > 0
            other.held = False
            rest = list(stream) if face == "blocking" else [event async for event in stream]
            return [first, *rest]

    assert tell(face, story)[0].choices[0].text == " Python"
    worst = budget.worst_case(Request(body=body, api="openai.completions"))
    assert settled(budget) == (cost_of(usage_of(LEGACY)) if told else worst)


def raw_chat(client, **fields):
    return client.chat.completions.with_raw_response.create(**ASKED, **fields)


def raw_responses(client):
    return client.responses.with_raw_response.create(model="gpt-4o", input="What is Python?", max_output_tokens=99)


def raw_embeddings(client):
    return client.embeddings.with_raw_response.create(model="text-embedding-3-small", input="one two three")


def raw_claude(client):
    return client.messages.with_raw_response.create(**CLAUDE)


def raw_beta(client):
    return client.beta.messages.with_raw_response.create(**CLAUDE)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("OpenAI", raw_chat),
        ("AzureOpenAI", raw_chat),
        ("OpenAI", raw_responses),
        ("OpenAI", raw_embeddings),
        ("Anthropic", raw_claude),
        ("Anthropic", raw_beta),
    ],
)
def test_a_raw_reply_is_settled_with_what_it_cost(face, simulated, kind, what):
    budget, small = Budget(Limit(5), prices=BOOK), Budget(Limit("0.0000001"), prices=BOOK)
    made, records = ask(face, simulated, [budget], what, kind)
    assert made.http_response.status_code == 200
    assert [record.outcome for record in records] == ["bypass"]
    assert 0 < settled(budget) == records[0].cost < 10**9
    with pytest.raises(BudgetExceededError):
        ask(face, simulated, [small], what, kind)
    assert (simulated.stats().requests, settled(small)) == (1, 0)


@pytest.mark.parametrize("kind", ["OpenAI", "Anthropic"])
@pytest.mark.parametrize("leave", [False, True])
def test_a_reply_that_is_read_as_it_comes_is_settled_when_it_has_been_read(face, simulated, kind, leave):
    budget = Budget(Limit(5), prices=BOOK)

    async def story():
        async with client_of(face, simulated, [budget], kind) as client:
            resource = client.chat.completions if kind == "OpenAI" else client.messages
            body = ASKED if kind == "OpenAI" else CLAUDE
            manager = resource.with_streaming_response.create(**body)
            if face == "blocking":
                with manager as reply:
                    assert account(budget).promised > 0
                    None if leave else reply.read()
            else:
                async with manager as reply:
                    assert account(budget).promised > 0
                    None if leave else await reply.read()
            return client.resopt.ledger.records

    (record,) = tell(face, story)
    body, api = (ASKED, "openai.chat") if kind == "OpenAI" else (CLAUDE, "anthropic.messages")
    worst = budget.worst_case(Request(body=body, api=api))
    assert record.outcome == ("cancelled" if leave else "bypass")
    assert settled(budget) == (worst if leave else record.cost)
    assert 0 < settled(budget) <= worst


def test_a_raw_stream_is_settled_when_it_has_been_read(face, simulated):
    budget = Budget(Limit(5), prices=BOOK)

    async def story():
        async with client_of(face, simulated, [budget]) as client:
            reply = await came(raw_chat(client, stream=True, stream_options={"include_usage": True}))
            stream = reply.parse()
            events = list(stream) if face == "blocking" else [event async for event in stream]
            return events, client.resopt.ledger.records

    events, (record,) = tell(face, story)
    assert events[-1].usage.completion_tokens > 0
    assert 0 < settled(budget) == record.cost < budget.worst_case(Request(body=ASKED, api="openai.chat"))


def test_what_is_covered_passes_the_gates_once(face, simulated):
    """Answers, streams and embeddings of covered methods are counted there, and not again on their way out."""
    limits = Limits()

    async def story():
        async with client_of(face, simulated, [limits]) as client:
            for stream in (False, True):
                made = await came(client.chat.completions.create(**ASKED, stream=stream, temperature=float(stream)))
                if stream:
                    list(made) if face == "blocking" else [event async for event in made]
            await came(client.responses.create(model="gpt-4o", input="What is Python?"))
            await came(client.embeddings.create(model="text-embedding-3-small", input=["one", "two"]))
            return [record.outcome for record in client.resopt.ledger.records]

    assert tell(face, story) == ["miss"] * 4
    assert (limits.figures().calls, simulated.stats().requests) == (4, 4)


def test_what_a_covered_method_hands_on_passes_the_gates(face, simulated):
    """A call whose arguments cannot be keyed goes to the library as it is; it costs money all the same."""
    budget = Budget(Limit("0.00001"), prices=BOOK)
    with pytest.raises(BudgetExceededError):
        ask(face, simulated, [budget], lambda client: client.chat.completions.create(**ASKED, **RAW))
    assert (simulated.stats().requests, settled(budget)) == (0, 0)


def test_a_client_without_gates_is_what_it_was(face, other):
    kind = openai.OpenAI if face == "blocking" else openai.AsyncOpenAI
    bare = kind(api_key="k", base_url=other.base_url)
    assert type(resopt.wrap(bare)).request is kind.request
    gated = resopt.wrap(bare, gates=[Limits()])
    assert type(gated).request is not kind.request
    assert isinstance(gated, kind)
    assert type(gated).__name__ == kind.__name__
    assert inspect.signature(gated.request) == inspect.signature(bare.request)


CALLERS = 64


def test_sixty_four_callers_at_once_never_overspend_blocking(other):
    budget = Budget(Limit("0.001"), prices=BOOK)
    came, start = [], threading.Barrier(CALLERS)
    with openai.OpenAI(api_key="k", base_url=other.base_url, max_retries=0) as bare:
        client = resopt.wrap(bare, gates=[budget])

        def caller(number):
            start.wait()
            try:
                came.append(client.completions.create(**{**LEGACY, "n": 1 + number % 3}).model)
            except BudgetExceededError:
                came.append("refused")

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check_crowd(budget, came, other)


@pytest.mark.anyio
async def test_sixty_four_callers_at_once_never_overspend_async(other):
    budget = Budget(Limit("0.001"), prices=BOOK)
    came = []
    async with openai.AsyncOpenAI(api_key="k", base_url=other.base_url, max_retries=0) as bare:
        client = resopt.wrap(bare, gates=[budget])

        async def caller(number):
            try:
                came.append((await client.completions.create(**{**LEGACY, "n": 1 + number % 3})).model)
            except BudgetExceededError:
                came.append("refused")

        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(caller, number)
    check_crowd(budget, came, other)


def check_crowd(budget, came, server):
    assert len(came) == CALLERS
    assert 0 < came.count("refused") < CALLERS
    assert len(server.requests) == CALLERS - came.count("refused")
    assert 0 < server.billed == settled(budget) <= 10**9
