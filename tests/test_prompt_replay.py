"""What a provider has cached is sent again byte for byte: callers' marks, first turns, retries, thirty turns."""

import json
import random

import anyio
import msgspec
import pytest

from asking import PRICES, Scripted
from resopt import AsyncOptimizer, Optimizer, PromptOptimizer, Request
from resopt.prompt import entering, replay
from resopt.prompt.prefix import MOST_BREAKPOINTS

pytestmark = pytest.mark.anyio

MARK = {"cache_control": {"type": "ephemeral"}}
TOWNS = " ".join(
    f"Section {at}. The office in town {at} was opened in {1900 + at} by Person{at} Name{at}. It lies near the river "
    "and has a canteen. Tea is free there."
    for at in range(120)
)
DOCUMENT = f"<document>\n{TOWNS}\n</document>"
FAT = "Please make sure that you read rule {} of the book in order to win. "


def fat(number):
    return "".join(FAT.format(at) for at in range(number))


def text(words, **fields):
    return {"type": "text", "text": words, **fields}


def claude(*messages, **fields):
    turns = [{"role": role, "content": content} for role, content in messages]
    body = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": turns, **fields}
    return Request(api="anthropic.messages", body=body)


def chat(*messages, **fields):
    turns = [{"role": role, "content": content} for role, content in messages]
    return Request(api="openai.chat", body={"model": "gpt-4o", "messages": turns, **fields})


def sent(stage, request):
    prepared = stage.prepare(request)
    return request.body if prepared is None else prepared.request.body


def reason(stage, request):
    prepared = stage.prepare(request)
    return "" if prepared is None else prepared.step.reason


def asking(question, **mark):
    return claude(("user", [text(DOCUMENT, **mark), text(question)]))


def test_a_document_that_the_caller_marked_is_the_same_for_every_question():
    stage = PromptOptimizer("light", context=0.3)
    bodies = [sent(stage, asking(f"Who opened the office in town {town}?", **MARK)) for town in (7, 99, 55)]
    assert {json.dumps(body["messages"][0]["content"][0]) for body in bodies} == {json.dumps(text(DOCUMENT, **MARK))}
    unmarked = [sent(stage, asking(f"Who opened the office in town {town}?")) for town in (7, 99)]
    cut = [body["messages"][0]["content"][0]["text"] for body in unmarked]
    assert all(len(one) < 0.5 * len(DOCUMENT) for one in cut)
    assert cut[0] != cut[1]


@pytest.mark.parametrize("where", ["content", "message", "later block", "later message"])
def test_a_mark_reaches_back_over_all_that_stands_before_it(where):
    stage = PromptOptimizer("light", context=0.3)
    found = set()
    for town in (7, 99):
        messages = [
            {"role": "user", "content": [text(DOCUMENT), text("Hello.")]},
            {"role": "user", "content": "Well."},
            {"role": "user", "content": [text(f"Who opened the office in town {town}?")]},
        ]
        if where == "content":
            messages[0]["content"][0].update(MARK)
        elif where == "message":
            messages[0].update(MARK)
        elif where == "later block":
            messages[0]["content"][1].update(MARK)
        else:
            messages[1]["content"] = [text("Well.", **MARK)]
        body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages}
        made = sent(stage, Request(api="anthropic.messages", body=body))
        found.add(json.dumps(made["messages"][:2]))
    assert len(found) == 1
    assert len(found.pop()) > len(DOCUMENT)


def test_marked_words_are_rewritten_only_where_that_pays_and_the_trace_says_why():
    marked = claude(("user", [text(fat(200), **MARK), text("Could you please answer?")]))
    stage = PromptOptimizer("light")
    body = sent(stage, marked)
    assert body["messages"][0]["content"] == [text(fat(200), **MARK), text("Answer.")]
    assert "pays after" in reason(PromptOptimizer("light"), marked)
    assert "in a cached prefix, and left as it was" in reason(stage, marked)
    assert stage.figures.left_alone == 2
    willing = PromptOptimizer("light", expected_calls=1000)
    first = sent(willing, marked)["messages"][0]["content"][0]
    assert len(first["text"]) < 0.8 * len(fat(200))
    other = claude(("user", [text(fat(200), **MARK), text("And what else is in the book?")]))
    assert sent(willing, other)["messages"][0]["content"][0] == first
    short = claude(("user", [text(fat(3), **MARK), text("Why?")]))  # too short for the provider to keep
    assert len(sent(stage, short)["messages"][0]["content"][0]["text"]) < len(fat(3))


def test_a_late_instruction_does_not_change_what_was_decided_about_the_first():
    system = fat(40)
    stage = PromptOptimizer("light")
    talk = [("system", system), ("user", "Show me some shoes.")]
    first = sent(stage, chat(*talk))["messages"][0]
    assert len(first["content"]) < len(system)
    late = " ".join(f"The user has now opened page {at} of the shop." for at in range(30))
    talk += [("assistant", "Here. " * 800), ("developer", late), ("user", "Fine.")]
    assert sent(stage, chat(*talk))["messages"][0] == first
    talk += [("assistant", "Yes. " * 800), ("system", late + fat(20)), ("user", "And now?")]
    made = sent(stage, chat(*talk))["messages"]
    assert made[0] == first
    assert len(made[6]["content"]) < len(talk[6][1])  # entered with this call


def test_system_prompts_sent_alone_stay_as_they_were_sent():
    stage = PromptOptimizer("light")
    talk = [("system", fat(5)), ("developer", fat(6))]
    first = sent(stage, chat(*talk))["messages"]
    assert len(first[0]["content"]) < len(fat(5))
    talk += [("user", "Go."), ("assistant", "word " * 3000), ("user", "On.")]
    assert sent(stage, chat(*talk))["messages"][:2] == first


@pytest.mark.parametrize("marked", [True, False])
def test_a_conversation_met_in_its_midst_is_sent_as_it_was(marked):
    told = text("word " * 6000, **(MARK if marked else {}))
    talk = [
        ("user", "Could you please just tell me a story in order to relax?"),
        ("assistant", [told]),
        ("user", "Could you please go on?"),
    ]
    system = "You are a helpful assistant. Please make sure that you answer in French."
    stage = PromptOptimizer("light")
    request = claude(*talk, system=system)
    made = sent(stage, request)
    assert made["system"] == system
    assert made["messages"][:2] == request.body["messages"][:2]
    assert made["messages"][2]["content"] == "Go on."
    # Another conversation is another matter, and what it does changes nothing in this one.
    fresh = sent(stage, claude(("user", "Who are you?"), system=system))
    assert fresh["system"] == "Answer in French."
    more = claude(*talk, ("assistant", "Well."), ("user", "Thanks."), system=system)
    assert sent(stage, more)["system"] == system
    assert sent(stage, more)["messages"][:3] == made["messages"]


def test_a_retry_without_an_answer_between_sends_the_document_as_before():
    stage = PromptOptimizer("light", context=0.3)
    talk = [("user", DOCUMENT), ("user", "Who opened the office in town 7?")]
    first = sent(stage, chat(*talk))["messages"]
    assert "Person7" in first[0]["content"]
    assert len(first[0]["content"]) < 0.5 * len(DOCUMENT)
    talk.append(("user", "Sorry, I meant the office in town 99?"))
    second = sent(stage, chat(*talk))["messages"]
    assert second[:2] == first
    talk += [("assistant", "Person99."), ("user", "And who opened the one in town 3?")]
    assert sent(stage, chat(*talk))["messages"][:3] == second
    # What nobody sent before is cut to what is asked.
    other = sent(stage, chat(("user", DOCUMENT), ("user", "Who opened the office in town 50?")))["messages"]
    assert "Person50" in other[0]["content"]


def test_a_document_sent_without_a_question_stays_whole():
    stage = PromptOptimizer("light", context=0.3)
    assert sent(stage, chat(("user", DOCUMENT)))["messages"][0]["content"] == DOCUMENT
    again = sent(stage, chat(("user", DOCUMENT), ("user", "Who opened the office in town 7?")))
    assert again["messages"][0]["content"] == DOCUMENT


def openai_turn(number):
    call = {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        {"role": "user", "content": f"Could you please look up the office in town {number}?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": rows(number) if number % 2 else TOWNS},
        {"role": "assistant", "content": f"It was opened by Person{number}."},
    ]


def anthropic_turn(number):
    result = {"type": "tool_result", "tool_use_id": f"u{number}", "content": rows(number) if number % 2 else TOWNS}
    return [
        {"role": "user", "content": [text(f"Could you please look up the office in town {number}?")]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": f"u{number}", "name": "f", "input": {}}]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": [text(f"It was opened by Person{number}.")]},
    ]


def rows(number):
    return json.dumps(
        [{"id": at, "town": f"Town{at}", "boss": f"Person{at}", "n": number} for at in range(20)], indent=2
    )


def requests_of(shape, turns=30):
    """The requests of a conversation, one for each answer of the model, with an instruction and a mark on the way."""
    make = openai_turn if shape == "openai.chat" else anthropic_turn
    messages = [{"role": "system", "content": fat(30)}] if shape == "openai.chat" else []
    head = {} if messages else {"system": fat(30), "max_tokens": 99}
    model = "gpt-4o" if messages else "claude-sonnet-4-5"
    for number in range(turns):
        for message in make(number):
            if message["role"] == "assistant":
                yield Request(api=shape, body={"model": model, **head, "messages": moved(messages, shape)})
            messages.append(message)
        if number % 7 == 3 and shape == "openai.chat":
            messages.append({"role": "developer", "content": fat(10)})


def moved(messages, shape):
    """The messages with the mark on the newest, as callers of Anthropic's move it on."""
    if shape == "openai.chat":
        return list(messages)
    *older, last = messages
    return [*older, {**last, "content": [*last["content"][:-1], {**last["content"][-1], **MARK}]}]


def unmarked(message):
    plain = {key: value for key, value in message.items() if key != "cache_control"}
    if isinstance(plain.get("content"), list):
        plain["content"] = [unmarked(part) for part in plain["content"]]
    return plain


def assert_replayed(bodies):
    """Each request begins with the bytes of the one before, marks aside."""
    before = []
    for body in bodies:
        now = [json.dumps(unmarked(message)) for message in body["messages"]]
        assert now[: len(before)] == before
        assert body.get("system") == bodies[0].get("system")
        before = now


SHAPES = ["openai.chat", "anthropic.messages"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("context", [None, 0.3])
def test_thirty_turns_begin_with_the_bytes_of_the_turn_before(shape, context, monkeypatch):
    for most in (4096, 5):  # with every text forgotten between two turns, too
        monkeypatch.setattr(entering, "_TEXTS", most)
        stage = PromptOptimizer("light", context=context)
        requests = list(requests_of(shape))
        bodies = []
        for at, request in enumerate(requests):
            bodies.append(sent(stage, request))
            sent(stage, chat(("system", fat(30)), ("user", f"Please count to {at}.")))  # others are served meanwhile
        assert_replayed(bodies)
        assert len(json.dumps(bodies[-1])) < 0.95 * len(json.dumps(requests[-1].body))
        assert len(stage._texts) <= most


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_forgotten_changes_once_at_most(shape, monkeypatch):
    """A process that knows nothing of a conversation leaves what is old, and keeps to that."""
    requests = list(requests_of(shape))
    stage = PromptOptimizer("light", context=0.3)
    bodies = [sent(stage, request) for request in requests[31:]]
    assert_replayed(bodies)
    old = requests[30].body["messages"]
    assert [unmarked(message) for message in bodies[0]["messages"][: len(old) - 1]] == [
        unmarked(message) for message in old[:-1]
    ]


@pytest.mark.parametrize("shape", SHAPES)
async def test_thirty_turns_through_the_pipeline_blocking_and_async(shape):
    requests = list(requests_of(shape))
    asked, blocking = Scripted(), Scripted()
    optimizer = AsyncOptimizer(asked, prices=PRICES, stages=[PromptOptimizer("light", context=0.3)])
    for request in requests:
        await optimizer.complete(msgspec.structs.replace(request, cache="bypass"))

    def block():
        with Optimizer(blocking, prices=PRICES, stages=[PromptOptimizer("light", context=0.3)]) as other:
            for request in requests:
                other.complete(msgspec.structs.replace(request, cache="bypass"))

    await anyio.to_thread.run_sync(block)
    bodies = [request.body for request in asked.requests]
    assert len(bodies) == len(requests)
    assert_replayed(bodies)
    assert [request.body for request in blocking.requests] == bodies


def any_message(chance, shape, number):
    question = chance.choice(["Who opened the office in town 7?", "Could you please go on?", "How many are there?"])
    kind = chance.randrange(6)
    if kind == 0:
        return {"role": "user", "content": [text(DOCUMENT), text(question)]}
    if kind == 1:
        return {"role": "user", "content": [text(DOCUMENT)]}
    if kind == 2 and shape == "openai.chat":
        return {"role": "developer", "content": fat(chance.choice([3, 40]))}
    if kind == 3:
        return openai_turn(number)[2] if shape == "openai.chat" else anthropic_turn(number)[2]
    return {"role": "user", "content": [text(f"{question} {fat(chance.choice([0, 1, 60]))}")]}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(12))
def test_any_conversations_side_by_side_begin_with_what_was_sent(shape, seed):
    """Retries without an answer, late instructions, documents, results, long answers, in any order."""
    chance = random.Random(seed)
    stage = PromptOptimizer(
        chance.choice([None, "lossless", "light", "strong"]),
        context=chance.choice([None, 0.3]),
        expected_calls=chance.choice([0, 5, 30, 1000]),
    )
    talks = [([{"role": "system", "content": fat(length)}], []) for length in (3, 30, 120)]
    for number in range(40):
        messages, bodies = chance.choice(talks)
        messages.append(any_message(chance, shape, number))
        heads = 0 if shape == "openai.chat" else 1
        body = {"model": "gpt-4o" if shape == "openai.chat" else "claude-sonnet-5", "messages": messages[heads:]}
        body |= {"system": messages[0]["content"], "max_tokens": 9} if heads else {}
        bodies.append(sent(stage, Request(api=shape, body=body)))
        assert_replayed(bodies[-2:])
        if chance.random() < 0.6:
            messages.append({"role": "assistant", "content": "word " * chance.choice([1, 3000])})
    assert stage.figures.failed == 0


def test_memory_is_bounded_by_bytes_and_keeps_only_what_changed(monkeypatch):
    def result(words):
        turns = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "Yes."}]
        return Request(
            body={"model": "gpt-4o", "messages": [*turns, {"role": "tool", "tool_call_id": "1", "content": words}]}
        )

    quiet = PromptOptimizer("light")
    for number in range(5):
        sent(quiet, result(f"{number} " + "data," * 100_000))
    assert quiet._texts.size < 5_000
    assert entering._TEXT_BYTES == 32 << 20
    monkeypatch.setattr(entering, "_TEXT_BYTES", 1 << 20)
    stage = PromptOptimizer("light")
    many = [{"id": at, "v": "x" * 40} for at in range(2_000)]
    for number in range(20):
        sent(stage, result(json.dumps([{"n": number}, *many], indent=1)))
        assert stage._texts.size <= 1 << 20
    assert stage._texts.size > 1 << 19
    assert len(stage._texts) < 20


def test_decisions_are_bounded(monkeypatch):
    known = entering.Decisions(3)
    for number in range(9):
        known.keep(b"%d" % number, "ruled")
    assert len(known) == 3
    assert known.get(b"0") is None
    assert known.get(b"0", b"8") == "ruled"
    assert replay._SENT >= 4096
    assert MOST_BREAKPOINTS == 4
