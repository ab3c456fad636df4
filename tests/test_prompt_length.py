"""Caps on answers: learned by template, with head-room, taken back when they cut."""

import msgspec
import pytest

from resopt import AnswerLength, ConfigurationError, Request, Response, Usage


def chat(question="What is 1?", **fields):
    return Request.chat(question, system="Answer.", **fields)


def claude(**fields):
    body = {"model": "claude-sonnet-5", "max_tokens": 4096, "system": "Answer.", "messages": [], **fields}
    return Request(body=body, api="anthropic.messages")


def answer(tokens, finish="stop"):
    return Response(text="a", model="m", usage=Usage(output_tokens=tokens), finish_reason=finish)


def taught(request, tokens=200, times=60, **options):
    length = AnswerLength(**options)
    for _ in range(times):
        length.learn(request, answer(tokens))
    return length


def test_a_template_has_a_cap_once_it_is_known():
    length = taught(chat(), times=49)
    assert length.plan(chat()) is None
    length.learn(chat(), answer(200))
    cap = length.plan(chat("What is 2?"))
    assert 295 <= cap <= 310
    assert length.plan(Request.chat("What is 1?", system="Another.")) is None
    assert length.plan(chat(model="gpt-5")) is None


def test_short_answers_leave_room_all_the_same():
    assert taught(chat(), tokens=1).plan(chat()) == 64


def test_without_a_system_prompt_the_question_without_its_numbers_is_the_template():
    length = taught(Request.chat("Invoice 17: total?"))
    assert length.plan(Request.chat("Invoice 4711: total?")) is not None
    assert length.plan(Request.chat("Something else?")) is None


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (chat(), "max_completion_tokens"),
        (claude(), "max_tokens"),
        (
            Request(body={"model": "gpt-5", "instructions": "Answer.", "input": "x"}, api="openai.responses"),
            "max_output_tokens",
        ),
    ],
)
def test_each_shape_has_its_field(request_, field):
    length = taught(request_)
    capped = length.capped(request_)
    assert 295 <= capped.body[field] <= 310
    assert capped.body is not request_.body
    assert request_.body.get(field) in (None, 4096)
    cut = answer(capped.body[field], "length")
    assert length.must_repeat(capped, cut).body is request_.body
    assert length.must_repeat(capped, cut) is None  # once
    assert length.repeated == 1


def test_what_the_caller_has_set_stays():
    length = taught(chat())
    assert length.capped(chat(max_tokens=10)).body["max_tokens"] == 10
    assert length.plan(chat(max_completion_tokens=5000)) is None
    own = claude(max_tokens=50)
    length = taught(own)
    assert length.capped(own) is own
    assert length.must_repeat(own, answer(50, "max_tokens")) is None


def test_streams_have_no_cap():
    streamed = chat(stream=True)
    assert taught(streamed).plan(streamed) is None


def test_a_cap_that_cut_grows_and_a_cut_answer_teaches_nothing():
    length = taught(chat())
    capped = length.capped(chat())
    before = length.plan(chat())
    length.learn(capped, answer(before, "length"))
    assert length.must_repeat(capped, answer(before, "length")) is not None
    assert length.plan(chat()) >= 1.4 * before
    for _ in range(3):
        length.learn(chat(), answer(900))
    assert length.plan(chat()) > 900


def test_other_shapes_and_unknown_usage_teach_nothing():
    other = Request(body={"model": "m", "input": "x"}, api="openai.embeddings")
    length = taught(other)
    assert length.plan(other) is None
    blank = msgspec.structs.replace(answer(1), usage=None)
    length.learn(chat(), blank)
    assert length.plan(chat()) is None


def test_templates_are_bounded():
    length = AnswerLength(least=1)
    for number in range(4200):
        length.learn(chat(model=f"m{number}"), answer(10))
    assert length.plan(chat(model="m0")) is None
    assert length.plan(chat(model="m4199")) == 64


@pytest.mark.parametrize(
    "options", [{"quantile": 0.2}, {"quantile": True}, {"head_room": 0.5}, {"least": 0}, {"least": 1.5}]
)
def test_bad_options_are_named(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        AnswerLength(**options)
