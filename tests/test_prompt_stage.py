"""`PromptOptimizer` in the pipeline: what is sent, billed and left alone, and what happens when it fails."""

import json

import anyio
import msgspec
import openai
import pytest

import resopt
from asking import PRICES, Scripted, ask, body
from provider_faces import KEY, provider_for, running, server  # noqa: F401 - fixtures
from resopt import (
    AnswerLength,
    AsyncOptimizer,
    ConfigurationError,
    Optimizer,
    PromptOptimizer,
    Request,
    ResponseCache,
    Usage,
)
from resopt.prompt.stage import VERBATIM
from resopt.stage import Stage

pytestmark = pytest.mark.anyio

WORDY = "Could you please make sure that you explain in a careful manner what a list is?"
LEAN = "Explain carefully what a list is."
ASSISTANT = "You are a helpful, friendly tutor of Python."
PASSAGES = "\n\n".join(
    f"{city}. The office in {city} was opened in {year} by {name}. It has {people} employees and a canteen."
    for city, year, name, people in [
        ("Lisbon", 2014, "Inês Carvalho", 46), ("Warsaw", 2017, "Duarte Pinto", 112), ("Oslo", 2022, "Ana Blanc", 21),
        ("Brno", 2011, "Petr Novák", 77), ("Gdynia", 2019, "Ewa Lis", 30), ("Porto", 2009, "Oda Brandvik", 12),
        ("Linz", 2016, "Max Huber", 18), ("Utrecht", 2020, "Hanneke Vos", 9),
    ]
)  # fmt: skip


def sent(stage, request):
    prepared = stage.prepare(request)
    return request.body if prepared is None else prepared.request.body


def claude(system, *messages, **fields):
    turns = [{"role": role, "content": content} for role, content in messages]
    return Request(
        body={"model": "claude-sonnet-5", "max_tokens": 900, "system": system, "messages": turns, **fields},
        api="anthropic.messages",
    )


def long_system(words=1500):
    """More than any minimum below 2,048 tokens, a sixth of it fat."""
    return " ".join(f"Please make sure that you check rule {number} of the book." for number in range(words // 10))


async def test_less_is_sent_and_the_books_say_how_much():
    provider = Scripted()
    stage = PromptOptimizer()
    assert isinstance(stage, Stage)
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage])
    request = ask(WORDY, system=ASSISTANT)
    response = await optimizer.complete(request)
    assert [message["content"] for message in provider.requests[0].body["messages"]] == [
        "You are a friendly tutor of Python.",
        LEAN,
    ]
    assert request.body["messages"][1]["content"] == WORDY
    step = next(step for step in response.trace.steps if step.stage == "prompt")
    assert step.action == "shortened"
    saved = stage.figures.tokens_saved
    assert step.reason.startswith(f"{saved} tokens fewer; ")
    assert saved == sum(stage.figures.by_rule.values()) > 5
    record = optimizer.ledger.records[0]
    assert record.avoided == {"prompt": saved * 2_500_000}
    again = await optimizer.complete(ask(WORDY, system=ASSISTANT))
    assert again.trace.outcome == "hit"
    assert provider.calls == 1


async def test_a_real_provider_over_sockets_reads_the_shorter_prompt(server):  # noqa: F811
    stage = PromptOptimizer()
    async with AsyncOptimizer(provider_for(server), stages=[stage]) as optimizer:
        long = await optimizer.complete(ask(WORDY, tags=(VERBATIM,), cache="bypass"))
        short = await optimizer.complete(ask(WORDY, cache="bypass"))
    assert 0 < short.usage.input_tokens < long.usage.input_tokens
    assert stage.figures.requests == 1


def test_a_blocking_optimizer_and_a_wrapped_client_take_it_too(server):  # noqa: F811
    stage = PromptOptimizer()
    with Optimizer(provider_for(server), stages=[stage]) as optimizer:
        optimizer.complete(WORDY)
    client = resopt.wrap(openai.OpenAI(base_url=server.base_url, api_key=KEY), stages=[stage])
    reply = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": WORDY + " And why?"}])
    assert reply.choices[0].message.content
    with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": WORDY + " And how?"}], stream=True
    ) as stream:
        assert list(stream)
    client.close()
    assert (stage.figures.requests, stage.figures.shortened, stage.figures.failed) == (3, 3, 0)


async def test_shadow_mode_measures_and_sends_the_original():
    provider, stage = Scripted(), PromptOptimizer(shadow=True)
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage])
    response = await optimizer.complete(ask(WORDY))
    assert provider.requests[0].body["messages"][0]["content"] == WORDY
    assert any(step.action == "shadow" for step in response.trace.steps)
    assert optimizer.ledger.records[0].avoided == {}
    assert stage.figures.tokens_saved > 5
    assert stage.policy == PromptOptimizer("strong", shadow=True).policy == "shadow"


async def test_an_error_sends_the_original(monkeypatch):
    provider, stage = Scripted(), PromptOptimizer()
    monkeypatch.setattr("resopt.prompt.entering.optimize_prompt", lambda *_, **__: 1 / 0)
    optimizer = AsyncOptimizer(provider, stages=[stage])
    response = await optimizer.complete(ask(WORDY))
    assert provider.requests[0].body["messages"][0]["content"] == WORDY
    step = next(step for step in response.trace.steps if step.stage == "prompt")
    assert (step.action, step.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert stage.figures.failed == 1


def test_requests_opt_out_by_tag_or_by_rule():
    assert PromptOptimizer().prepare(ask(WORDY, tags=(VERBATIM,))) is None
    picky = PromptOptimizer(applies=lambda request: request.model != "gpt-4o")
    assert picky.prepare(ask(WORDY)) is None
    assert picky.prepare(ask(WORDY, model="gpt-5")) is not None
    assert PromptOptimizer().prepare(Request(body={"model": "m", "input": WORDY}, api="openai.embeddings")) is None
    assert PromptOptimizer().prepare(ask(LEAN)) is None


def test_every_shape_is_read_and_only_its_texts():
    image = {"type": "image_url", "image_url": {"url": "data:please"}}
    parts = [{"type": "text", "text": WORDY}, image]
    tools = [{"type": "function", "function": {"name": "f", "description": WORDY}}]
    chat = Request(body=body(("developer", ASSISTANT), ("user", parts), tools=tools))
    made = sent(PromptOptimizer(), chat)
    assert made["messages"][1]["content"] == [{"type": "text", "text": LEAN}, image]
    assert made["messages"][0]["content"] == "You are a friendly tutor of Python."
    assert made["tools"] is tools
    assert chat.body["messages"][1]["content"] is parts
    made = sent(
        PromptOptimizer(), claude([{"type": "text", "text": ASSISTANT}], ("user", [{"type": "text", "text": WORDY}]))
    )
    assert made["system"][0]["text"] == "You are a friendly tutor of Python."
    assert made["messages"][0]["content"][0]["text"] == LEAN
    items = [{"role": "user", "content": [{"type": "input_text", "text": WORDY}]}]
    responses = Request(body={"model": "gpt-5", "instructions": ASSISTANT, "input": items}, api="openai.responses")
    made = sent(PromptOptimizer(), responses)
    assert (made["instructions"], made["input"][0]["content"][0]["text"]) == (
        "You are a friendly tutor of Python.",
        LEAN,
    )
    made = sent(PromptOptimizer(), Request(body={"model": "gpt-5", "input": WORDY}, api="openai.responses"))
    assert made["input"] == LEAN


def test_the_model_s_own_words_are_never_touched():
    talk = ask(WORDY).body["messages"] + [
        {"role": "assistant", "content": WORDY},
        {"role": "user", "content": "Go on."},
    ]
    assert (
        sent(PromptOptimizer(), Request(body={"model": "gpt-4o", "messages": talk}))["messages"][1]["content"] == WORDY
    )


def test_results_of_tools_are_made_compact_and_never_read_as_instructions():
    rows = json.dumps([{"name": f"please make sure {at}", "n": at} for at in range(20)], indent=2)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    talk = [
        {"role": "user", "content": "List."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": rows},
    ]
    stage = PromptOptimizer()
    made = sent(stage, Request(body={"model": "gpt-4o", "messages": talk}))
    assert made["messages"][2]["content"].startswith('rows of ["name","n"]:\n"please make sure 0",0\n')
    assert list(stage.figures.by_rule) == ["tool result"]
    result = [{"type": "tool_result", "tool_use_id": "u", "content": rows}]
    turns = (
        ("user", "List."),
        ("assistant", [{"type": "tool_use", "id": "u", "name": "f", "input": {}}]),
        ("user", result),
    )
    made = sent(PromptOptimizer(), claude("s", *turns))
    assert made["messages"][2]["content"][0]["content"].startswith("rows of [")


def test_material_is_cut_to_the_question_and_stays_cut_when_the_question_changes():
    stage = PromptOptimizer(context=0.4)
    first = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": f"Passages:\n{PASSAGES}"},
                {"type": "text", "text": "Who opened Warsaw?"},
            ],
        }
    ]
    made = sent(stage, Request(body={"model": "gpt-4o", "messages": first}))
    cut = made["messages"][0]["content"][0]["text"]
    assert "Duarte Pinto" in cut
    assert len(cut) < 0.5 * len(PASSAGES)
    second = [
        *first,
        {"role": "assistant", "content": "Duarte Pinto."},
        {"role": "user", "content": "Who opened Linz?"},
    ]
    assert (
        sent(stage, Request(body={"model": "gpt-4o", "messages": second}))["messages"][0]["content"][0]["text"] == cut
    )
    other = [{"role": "user", "content": [first[0]["content"][0], {"type": "text", "text": "Who opened Linz?"}]}]
    assert (
        "Max Huber"
        in sent(stage, Request(body={"model": "gpt-4o", "messages": other}))["messages"][0]["content"][0]["text"]
    )
    whole = sent(PromptOptimizer(), Request(body={"model": "gpt-4o", "messages": first}))
    assert whole["messages"][0]["content"][0]["text"] == f"Passages:\n{PASSAGES}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Answer from the context.\n\nContext:\n", "\n\nQuestion: Who opened the office in Warsaw?"),
        ("Answer from it.\n<context>\n", "\n</context>\n\nWho opened the office in Warsaw?"),
        ("Answer.\n<documents>", "</documents>\n<question>Who opened the office in Warsaw?</question>"),
        ('Answer from this text:\n"""', '"""\n\nWho opened the office in Warsaw?'),
        ("Context is below.\n-----\n", "\n-----\nAnswer from it.\nQuery: Who opened the office in Warsaw?"),
        ("Context:\n", "\n\nUse only the context. Never guess.\n\nQuestion: Who opened the office in Warsaw?"),
    ],
)
def test_one_text_with_its_material_and_its_question_is_cut_too(before, after):
    prompt = before + PASSAGES + after
    made = sent(PromptOptimizer(context=True), ask(prompt))["messages"][0]["content"]
    assert "Duarte Pinto" in made
    assert "Max Huber" not in made
    assert len(made) < 0.6 * len(prompt)
    assert made.startswith(before.rstrip("\n"))
    assert made.endswith(after.lstrip("\n"))
    kept = sent(PromptOptimizer(context=True, protect=["Tea"]), ask(prompt.replace("canteen", "canteen. Tea Tea")))
    assert "Max Huber" in kept["messages"][0]["content"]
    summary = before + PASSAGES + after.replace("Who opened the office in Warsaw?", "What is in these texts?")
    assert sent(PromptOptimizer(context=True), ask(summary))["messages"][0]["content"] == summary


RULES = (
    "Extract the fields of the order as JSON: number, date, city, name of the customer, total. Copy them as they are. "
    "Never invent a value. If a field is missing, use null. Do not add fields. The office in Warsaw writes dates with "
    "the month first. Totals are in zloty unless a currency is named. Names are never translated. A city that is "
    "abbreviated is written in full. An order without a number is not an order."
)


@pytest.mark.parametrize(
    "rules",
    [
        RULES,
        f"Context:\n{RULES}\n\n{PASSAGES}",
        f"Context:\n{PASSAGES}\n\n{RULES}\n\n{PASSAGES}",
        f"{RULES}\n\n{PASSAGES}",
    ],
)
def test_what_a_user_does_not_call_material_is_an_instruction(rules):
    stage = PromptOptimizer(None, context=0.3)
    for question in ("Who opened the office in Warsaw?", "What is the number of the order from Warsaw?"):
        parts = [{"type": "text", "text": rules}, {"type": "text", "text": question}]
        assert sent(stage, Request(body=body(("user", parts))))["messages"][0]["content"] == parts
        whole = f"{rules}\n\n{question}"
        assert sent(stage, ask(whole))["messages"][0]["content"] == whole


def test_a_result_of_a_tool_stays_json_and_is_left_whole_where_all_of_it_is_asked_for():
    rows = [{"id": at, "city": f"Town{at}", "boss": {"name": f"Person{at}", "since": [1900 + at]}} for at in range(60)]
    result = json.dumps({"results": rows, "next": None}, indent=2)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    reasons = []

    def made(question):
        talk = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": result},
        ]
        prepared = PromptOptimizer(context=0.3).prepare(Request(body={"model": "gpt-4o", "messages": talk}))
        reasons.append(prepared.step.reason)
        return prepared.request.body["messages"][2]["content"]

    few = json.loads(made("Who is the boss in Town7?"))
    assert rows[7] in few["results"]
    assert 0 < len(few["results"]) < 30
    assert few["next"] is None
    for question in ("How many towns have a boss?", "Which towns are there?", "Compare the bosses of Town7 and Town9."):
        assert json.loads(made(question)) == {"results": rows, "next": None}
        assert "material left whole: the question is about all of it" in reasons[-1]


def test_of_several_documents_each_keeps_its_tags():
    documents = "".join(
        f'<document index="{at}"><source>{at}.txt</source><document_content>{part} Tea is served at four there. The '
        "canteen is open to all.</document_content></document>\n"
        for at, part in enumerate(PASSAGES.split("\n\n"))
    )
    prompt = f"<documents>\n{documents}</documents>\nNever guess.\n\nWho opened the office in Warsaw?"
    made = sent(PromptOptimizer(None, context=0.3), ask(prompt))["messages"][0]["content"]
    assert "Duarte Pinto" in made
    assert "Never guess." in made
    assert len(made) < 0.8 * len(prompt)
    assert made.count("</document_content>") == made.count("<document_content>") == 8
    assert all(f"<source>{at}.txt</source>" in made for at in range(8))


def test_a_cached_beginning_is_left_alone_until_rewriting_pays():
    system = long_system()
    request = ask(WORDY, system=system, model="gpt-5")
    stage = PromptOptimizer()
    prepared = stage.prepare(request)
    assert prepared.request.body["messages"][0]["content"] == system
    assert prepared.request.body["messages"][1]["content"] == LEAN
    assert "cached prefix of" in prepared.step.reason
    assert stage.figures.left_alone == 1
    made = sent(PromptOptimizer(expected_calls=1000), request)
    assert made["messages"][0]["content"].startswith("Check rule 0 of the book. Check rule 1")


def test_old_turns_in_a_cached_prefix_are_sent_as_they_were():
    long = long_system()
    talk = [("user", long), ("assistant", "Done."), ("user", WORDY)]
    fresh = PromptOptimizer()
    prepared = fresh.prepare(claude("Be kind.", *talk))
    assert prepared.request.body["messages"][0]["content"] == long  # never seen: the provider may have it
    assert prepared.request.body["messages"][2]["content"] == LEAN
    assert "cached prefix of" in prepared.step.reason
    stage = PromptOptimizer()
    entered = sent(stage, claude("Be kind.", talk[0]))["messages"][0]["content"]
    assert len(entered) < len(long)
    assert sent(stage, claude("Be kind.", *talk))["messages"][0]["content"] == entered  # the bytes it entered with


def test_prefixes_are_marked_when_asked_for():
    made = sent(PromptOptimizer(prefix_cache=True), claude(long_system(), ("user", "Hi there, who are you?")))
    assert made["system"][0]["cache_control"] == {"type": "ephemeral"}
    made = sent(PromptOptimizer(prefix_cache=True), ask("Who?", system=long_system(), model="gpt-5"))
    assert made["prompt_cache_key"].startswith("resopt-")
    assert "prompt_cache_key" not in sent(PromptOptimizer(), ask(WORDY, system=long_system(), model="gpt-5"))


async def test_an_answer_cut_by_our_cap_is_asked_for_again_and_both_are_billed():
    class Cutting(Scripted):
        async def complete(self, request):
            response = await super().complete(request)
            cap = request.body.get("max_completion_tokens")
            if cap is None or "long" not in request.question:
                return response
            cut = Usage(input_tokens=100, output_tokens=cap)
            return msgspec.structs.replace(response, finish_reason="length", text="cut", usage=cut)

    provider = Cutting()
    stage = PromptOptimizer(length=AnswerLength(least=3))
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage], cache=ResponseCache(max_size=100))
    for number in range(3):
        await optimizer.complete(ask(f"Short {number}?", system="Answer."))
    response = await optimizer.complete(ask("A long one?", system="Answer."))
    assert response.text == "5: A long one?"
    assert [request.body.get("max_completion_tokens") for request in provider.requests] == [None, None, None, 64, None]
    assert stage.figures.repeated == 1
    record = optimizer.ledger.records[-1]
    assert record.cost == 2 * 100 * 2_500_000 + (64 + 20) * 10_000_000
    assert "repeated" in [step.action for step in response.trace.steps]


def test_the_policy_is_a_digest_of_what_changes_answers():
    policies = {
        PromptOptimizer(**options).policy
        for options in (
            {},
            {"level": "strong"},
            {"context": True},
            {"context": 0.5},
            {"length": True},
            {"protect": ["@@"]},
        )
    }
    assert len(policies) == 6
    assert PromptOptimizer(context=True).policy == PromptOptimizer(context=0.3).policy


def test_what_is_remembered_is_bounded():
    stage = PromptOptimizer()
    for number in range(5000):
        stage.prepare(ask(f"Please count to {number}."))
    assert len(stage._texts) == 4096


async def test_many_threads_may_prepare_at_once():
    stage = PromptOptimizer()

    def work(number):
        for at in range(50):
            assert sent(stage, ask(f"Please count to {at}."))["messages"][0]["content"] == f"Count to {at}."

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(anyio.to_thread.run_sync, work, number)
    assert stage.figures.requests == 200


@pytest.mark.parametrize(
    "options",
    [
        {"level": "most"},
        {"context": 2},
        {"length": 5},
        {"expected_calls": -1},
        {"protect": "x"},
        {"protect": None},
        {"protect": 5},
        {"shadow": "yes"},
        {"shadow": None},
        {"prefix_cache": "no"},
        {"prefix_cache": 1},
        {"examples": 0},
        {"applies": 1},
    ],
)
def test_bad_options_are_named(options):
    with pytest.raises(ConfigurationError, match=next(iter(options)) if "context" not in options else "share"):
        PromptOptimizer(**options)


ASKING = "Could you please kindly tell me why the sky is blue and not green in the evening?"
BREVITY = "Be brief."


async def test_brevity_is_asked_for_once_in_a_conversation_and_stays_where_it_is():
    turns = [{"role": "user", "content": ASKING}, {"role": "assistant", "content": "Light."}]
    again = [*turns, {"role": "user", "content": ASKING.replace("sky", "sea")}]
    for head in ([], [{"role": "system", "content": f"You are a guide of the museum. {ASKING}"}]):
        stage = PromptOptimizer("strong")
        short = sent(stage, Request(body={"model": "gpt-4o", "messages": [*head, turns[0]]}))["messages"]
        long = sent(stage, Request(body={"model": "gpt-4o", "messages": [*head, *again]}))["messages"]
        assert [BREVITY in message["content"] for message in long] == [True, *[False] * (len(long) - 1)]
        assert long[: len(short)] == short


@pytest.mark.parametrize(
    ("api", "fields"),
    [
        ("openai.chat", {"response_format": {"type": "json_object"}}),
        ("openai.chat", {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
        ("openai.responses", {"text": {"format": {"type": "json_schema", "name": "a"}}}),
    ],
)
async def test_brevity_is_not_asked_for_where_the_answer_has_a_form(api, fields):
    content = [{"role": "user", "content": ASKING}]
    name = "input" if api == "openai.responses" else "messages"
    free = sent(PromptOptimizer("strong"), Request(body={"model": "gpt-4o", name: content}, api=api))
    assert BREVITY in free[name][0]["content"]
    bound = sent(PromptOptimizer("strong"), Request(body={"model": "gpt-4o", name: content, **fields}, api=api))
    assert BREVITY not in bound[name][0]["content"]
    assert len(bound[name][0]["content"]) < len(ASKING)
