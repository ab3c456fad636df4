"""Which requests may be answered by meaning, and which of them may meet."""

import pytest

from resopt import Request, ResponseCache, Scope
from resopt.cache.eligible import asked
from resopt.types import EVERYONE

CACHE = ResponseCache()
QUESTION = "How do I reset my router?"


def request(*messages, api="openai.chat", scope=EVERYONE, **fields):
    said = [{"role": role, "content": content} for role, content in messages] or [{"role": "user", "content": QUESTION}]
    return Request(body={"model": "gpt-4o", "messages": said, **fields}, api=api, scope=scope)


def scope_key(one):
    found = asked(one, CACHE.freshness.classify(one.question or ""))
    assert not isinstance(found, str), found
    return CACHE.key(found.scope)


@pytest.mark.parametrize(
    "other",
    [
        request(("user", "How do I open an account?")),
        request(model="gpt-4o-2024-08-06"),
        request(temperature=1.0),
        request(top_p=0.9),
        request(user="u-1"),
        request(stream=True),
        request(("user", [{"type": "text", "text": QUESTION}])),
    ],
    ids=repr,
)
def test_these_meet(other):
    assert scope_key(request()) == scope_key(other)


@pytest.mark.parametrize(
    "other",
    [
        request(("system", "Be brief."), ("user", QUESTION)),
        request(("user", "Hello"), ("assistant", "Hi"), ("user", QUESTION)),
        request(model="gpt-4o-mini"),
        request(temperature=0),
        request(top_p=0.1),
        request(max_tokens=5),
        request(tools=[{"type": "function", "function": {"name": "f"}}]),
        request(response_format={"type": "json_object"}),
        request(scope=Scope(tenant="acme")),
        request(scope=Scope(namespace="other")),
        request(a_field_of_tomorrow=1),
        request(api="anthropic.messages"),
    ],
    ids=repr,
)
def test_these_never_meet(other):
    assert scope_key(request()) != scope_key(other)


def test_the_caller_s_body_stays_as_it_was():
    one = request()
    asked(one, CACHE.freshness.classify(QUESTION))
    assert one.body == {"model": "gpt-4o", "messages": [{"role": "user", "content": QUESTION}]}


def test_the_input_of_a_response_may_be_a_text():
    one = Request(body={"model": "gpt-4o", "input": QUESTION}, api="openai.responses")
    found = asked(one, CACHE.freshness.classify(QUESTION))
    assert (found.question, found.scope.body["input"]) == (QUESTION, "")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (request(seed=1), "seed"),
        (request(n=2), "more than one choice"),
        (request(("user", "```python\nprint(1)\n```")), "plain question"),
        (request(("user", "a\nb\nc")), "plain question"),
        (request(("user", "word " * 200)), "plain question"),
        (request(("user", [{"type": "text", "text": "What is it?"}, {"type": "image_url"}])), "one question in text"),
        (request(("user", [{"type": "image_url", "image_url": {"url": "x"}}])), "one question in text"),
        (request(("user", "Hello"), ("assistant", "Hi")), "one question in text"),
        (request(("tool", "42"), ("user", "And now?")), "tools were called"),
        (request(("user", "Hi"), ("assistant", [{"type": "tool_use"}]), ("user", "So?")), "tools were called"),
        (request(("user", "Cancel my gym subscription")), "to be done"),
        (request(("user", "What is an IBAN? And how do I find mine?")), "more than one question"),
        (request(("user", "What time is it right now?")), "freshness"),
        (request(("user", "What is my account balance?")), "names no user"),
        (Request(body={"model": "m", "input": "abc"}, api="openai.embeddings"), "to the letter"),
        (Request(body={"model": "m"}), "no conversation"),
        (Request(body={"messages": [object()]}), "tools were called"),
    ],
    ids=repr,
)
def test_these_are_matched_to_the_letter(other, why):
    assert why in asked(other, CACHE.freshness.classify(other.question or ""))


def test_a_personal_question_is_its_user_s_own():
    one = request(("user", "What is my account balance?"), scope=Scope(user="ann"))
    decision = CACHE.freshness.classify(one.question)
    assert decision.personal
    assert asked(one, decision).question == one.question
