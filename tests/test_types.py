"""Requests, responses and traces: what they accept, what they say, and that nothing in them can be changed."""

import msgspec
import pytest

from resopt import Request, Response, Scope, Step, ToolCall, Trace, Usage
from resopt.errors import ConfigurationError, InvalidRequestError, ResoptError


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"body": []}, "body"),
        ({"body": "text"}, "body"),
        ({"api": 3}, "api"),
        ({"scope": "tenant"}, "scope"),
        ({"scope": None}, "scope"),
        ({"cache": "never"}, "bypass"),
        ({"cache": ["default"]}, "cache"),
        ({"cache": None}, "cache"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"ttl": "60"}, "ttl"),
        ({"tags": "kb"}, "tags"),
        ({"tags": []}, "tags"),
        ({"tags": ["kb"]}, "tags"),
        ({"tags": (1,)}, "tags"),
        ({"tags": None}, "tags"),
        ({"tags": ("kb", "\0model:gpt-4o")}, "NUL"),
    ],
)
def test_a_request_refuses_what_it_cannot_use_and_names_it(fields, named):
    with pytest.raises(ResoptError, match=named):
        Request(**({"body": {}} | fields))


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [((3,), {}), ((None,), {}), (("x",), {"system": 3}), (("x",), {"model": None}), (("x",), {"messages": []})],
)
def test_chat_refuses_what_is_no_question(arguments, parameters):
    with pytest.raises(InvalidRequestError):
        Request.chat(*arguments, **parameters)


@pytest.mark.parametrize("fields", [{"tenant": 3}, {"user": b"u"}, {"namespace": None}])
def test_a_scope_is_made_of_texts(fields):
    with pytest.raises(ConfigurationError, match=next(iter(fields))):
        Scope(**fields)


def test_chat_makes_the_body_of_the_openai_shape():
    request = Request.chat("What?", model="m", system="Be brief.", temperature=0, tags=("t",), ttl=5, cache="refresh")
    assert request.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What?"}],
        "temperature": 0,
    }
    assert (request.api, request.tags, request.ttl, request.cache) == ("openai.chat", ("t",), 5, "refresh")
    assert (request.model, request.question) == ("m", "What?")


class Message:
    """As a client library has them."""

    def __init__(self, role, content):
        self.role, self.content = role, content


USER = {"role": "user", "content": "Q"}
CALL = {"type": "tool_use", "id": "t", "name": "add", "input": {"text": "T"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "17"}]}


@pytest.mark.parametrize(
    ("body", "question"),
    [
        ({"messages": [USER]}, "Q"),
        ({"messages": (USER,)}, "Q"),
        ({"messages": [{"role": "system", "content": "S"}, USER]}, "Q"),
        ({"messages": [USER, {"role": "system", "content": "S"}]}, "Q"),
        ({"messages": [USER, {"role": "assistant", "content": "Sure:"}]}, "Q"),
        ({"messages": [USER, {"role": "assistant", "content": None}, {"role": "tool", "content": "17"}]}, "Q"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}]}, "Q"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}, {"type": "image_url"}]}]}, "Q"),
        ({"messages": [{"role": "user", "content": ["Q", {"text": "R"}]}]}, "Q\nR"),
        ({"messages": [{"role": "someone", "content": "Q"}]}, "Q"),
        ({"messages": [{"content": "Q"}]}, "Q"),
        ({"messages": [Message("user", "Q")]}, "Q"),
        ({"messages": [Message("user", [Message(None, "Q")])]}, "Q"),
        ({"messages": [{"role": "system", "content": "all in one: Q"}]}, "all in one: Q"),
        ({"messages": [{"role": "user", "content": [RESULT, {"type": "text", "text": "Q"}]}]}, "Q"),
        ({"messages": [USER, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [RESULT]}]}, "Q"),
        ({"messages": [USER, {"role": "user", "content": [{**RESULT, "type": "mcp_tool_result"}]}]}, "Q"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q", "cache_control": {}}]}]}, "Q"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {"data": "D"}}, "Q"]}]}, "Q"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, None),
        ({"input": "Q"}, "Q"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Q"}]}]}, "Q"),
        ({"prompt": "Q"}, "Q"),
        ({"prompt": ["P", "Q"]}, "Q"),
        ({"messages": []}, None),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, None),
        ({"messages": [3, None]}, None),
        ({"messages": 3}, None),
        ({}, None),
    ],
)
def test_the_question_is_found_wherever_the_user_put_it(body, question):
    assert Request(body=body).question == question


@pytest.mark.parametrize("model", [None, 3, ["m"]])
def test_a_model_that_is_no_text_is_no_model(model):
    assert Request(body={"model": model}).model == ""
    assert Request(body={}).model == ""


def test_everything_that_travels_is_frozen():
    call = ToolCall(id="1", name="f", arguments="{}")
    made = [Request(body={}), Response(text="", model=""), Usage(), Scope(), Trace(), Step("a", "b"), call]
    for value in made:
        for name in value.__struct_fields__:
            with pytest.raises(AttributeError):
                setattr(value, name, None)
    assert msgspec.json.decode(msgspec.json.encode(made[1]), type=Response) == made[1]


def test_json_is_decoded_afresh_for_each_caller():
    response = Response(text="a", model="m", body=b'{"choices":[{"index":0}]}')
    response.json()["choices"].append("changed")
    assert response.json() == {"choices": [{"index": 0}]}
    assert Response(text="a", model="m").json() == {}


def test_weight_counts_every_byte_of_an_answer():
    assert Response(text="grün", model="m", body=b"123").weight == 5 + 3 + 256
    assert Response(text="\ud800", model="m").weight == 3 + 256
    call = ToolCall(id="1", name="find", arguments="{}")
    assert Response(text="", model="m", tool_calls=(call, call)).weight == 2 * (1 + 4 + 2) + 256


def test_avoided_is_the_baseline_without_the_cost_or_unknown():
    assert Trace(cost=3, baseline_cost=10).avoided == 7
    assert Trace(cost=None, baseline_cost=10).avoided is None
    assert Trace(cost=3).avoided is None


def test_total_tokens():
    assert Usage(input_tokens=3, output_tokens=4, cached_input_tokens=2).total_tokens == 7
