"""Keys of values and requests: what is equal, what is not, and what is refused."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import math
import threading
import types
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from resopt import key as key_module
from resopt._core import KeySpace, RequestShape
from resopt.errors import ConfigurationError, InvalidRequestError, ResoptError, UnkeyableError
from resopt.key import SHAPES, RequestKey, key, state_of
from resopt.types import Request, Scope

VECTORS = json.loads((Path(__file__).parent / "vectors" / "keys.json").read_text())


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Word(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0
    kind: dataclasses.InitVar[int] = 0


@dataclasses.dataclass
class Spot:
    x: Any
    y: Any = 0


class Size(msgspec.Struct):
    width: Any
    height: Any = 0


class Pair(NamedTuple):
    left: Any
    right: Any


NAMES = {
    name: value
    for name, value in globals().items()
    if name
    in {"Colour", "Word", "Level", "Access", "Point", "Size", "Pair", "Decimal", "ZoneInfo", "dt", "uuid", "math"}
}


@pytest.mark.parametrize("vector", VECTORS["values"], ids=lambda vector: vector["python"][:40])
def test_keys_of_values_are_frozen(vector):
    value = eval(vector["python"], dict(NAMES))
    secret = bytes.fromhex(vector["secret"]) if vector.get("secret") else None
    assert key(value, namespace=vector.get("namespace", ""), secret=secret).hex() == vector["key"]


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["name"])
def test_keys_of_requests_are_frozen(vector):
    request = Request(body=vector["body"], api=vector.get("api", "openai.chat"), scope=Scope(**vector.get("scope", {})))
    options = {"policy": tuple(vector.get("policy", ())), "matching": vector.get("matching", "folded")}
    found = RequestKey(**options)(request, personal=vector.get("personal", False))
    assert found.hex() == vector["key"]


def test_vectors_are_all_different():
    keys = [vector["key"] for vector in VECTORS["values"]]
    assert len(keys) == len(set(keys))


class StringKey(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (0, -0.0),
        (10**22, 1e22),
        (2**70, float(2**70)),
        (-(2**63), float(-(2**63))),
        ([1, 2], (1, 2)),
        (Pair(1, 2), (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"é": 1, "z": 2, "😀": 3, "\uffff": 4}, {"\uffff": 4, "😀": 3, "z": 2, "é": 1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.UserDict({"a": 1}), {"a": 1}),
        (collections.ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        (Word.YES, "yes"),
        ({Word.YES: 1}, {"yes": 1}),
        (Level.LOW, 1),
        (b"x", bytearray(b"x")),
        (StringKey("x"), "x"),
        (np.float64(0.5), 0.5),
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal("100"), Decimal("1e2")),
        (Decimal("-0"), Decimal("0.00")),
        (Point(1, 2), Point(1, 2, kind=5)),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))),
    ],
)
def test_equal_data_has_one_key(left, right):
    assert key(left) == key(right)


def test_different_data_has_different_keys():
    values = [
        *(None, True, False, 1, 0, -1, 255, 256, 10**40, -(10**40), 0.1, math.inf, -math.inf, 1e308),
        *("", "1", "true", "a", "A", "a ", "a\r\n", "a\n", "\ud800", "\udfff", "é", "e\u0301", b"", b"1", b"a"),
        *(
            [],
            [[]],
            [None],
            [[], []],
            ["a", "b"],
            ["ab"],
            ["a", ["b"]],
            {},
            {"a": 1},
            {"a": True},
            {"a": "1"},
            {"b": 1},
        ),
        *({"a": {"b": 1}}, {"a": [{"b": 1}]}, {"": ""}, {"a": None}),
        *(Colour.RED, Colour.GREEN, Access.READ, Access.READ | Access.WRITE, Access(0), "RED"),
        *(Point(1, 2), Point(2, 1), Spot(1, 2), Size(1, 2), Size(2, 1), {"x": 1, "y": 2}, Point(1, None), Point(1)),
        *(Decimal(1), Decimal("1.1"), Decimal("11"), Decimal("-1"), Decimal("Infinity"), Decimal("-Infinity")),
        *(dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, fold=1), dt.time(0), "2026-01-01"),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        *(dt.time(0, fold=1), dt.time(0, tzinfo=dt.UTC)),
        *(uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=1).bytes, str(uuid.UUID(int=1))),
    ]
    keys = collections.defaultdict(list)
    for value in values:
        keys[key(value)].append(value)
    assert [same for same in keys.values() if len(same) > 1] == []
    assert all(len(found) == 16 for found in keys)


def test_spaces_are_apart_and_an_empty_secret_is_refused():
    keys = {key(1, namespace=namespace, secret=secret) for namespace in ("", "a") for secret in (None, b"x", b"y")}
    assert len(keys) == 6
    assert key(1, namespace="x" * 70_000) != key(1, namespace="y" + "x" * 69_999)
    with pytest.raises(ConfigurationError, match="secret is empty"):
        KeySpace("a", b"")


def test_size_does_not_matter():
    assert key("x" * 10_000_000) != key("x" * 10_000_001)
    assert key([None] * 200_000) != key([None] * 200_001)
    assert key({str(number): number for number in range(1000)}) == key({str(n): n for n in reversed(range(1000))})


def cyclic() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    inner["again"] = [inner]
    return {"messages": [{"content": inner}]}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ARRAY = {"messages": [0, 1, 2, {"content": np.array([1])}]}


class BothKinds(dict):
    __dataclass_fields__: Any = {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ARRAY, r"^messages\[3\]\.content: numpy\.ndarray is not plain data; pass key=…$"),
        ({1, 2}, r"^set is not plain data; pass key=…$"),
        ([lambda: 1], r"^\[0\]: function is not plain data"),
        ({"a b": [object()]}, r'^\["a b"\]\[0\]: object is not plain data'),
        (Point(1, Size(len, 2)), r"^y\.width: builtin_function_or_method is not plain data"),
        ({"f": Point}, r"^f: type is not plain data"),
        ({"f": Size}, r"^f: msgspec\.\S*StructMeta is not plain data"),
        ({"a": {1: 2}}, r"^a: a mapping has a key that is int, not str"),
        (types.MappingProxyType({1: 2}), "a key that is int"),
        ([math.nan], r"^\[0\]: NaN does not equal itself"),
        ({"d": Decimal("NaN")}, r"^d: NaN"),
        ([Decimal("sNaN")], r"^\[0\]: NaN"),
        (cyclic(), r"^messages\[0\]\.content\.again\[0\]: contains itself \(it is messages\[0\]\.content\); a cycle"),
        (nested(65), r"^\[0\]\[0\].*: containers are more than 64 deep"),
        (range(3), "range is not plain data"),
        (memoryview(b"x"), "memoryview is not plain data"),
        (1j, "complex is not plain data"),
        (np.int64(1), "numpy.int64 is not plain data"),
        (BothKinds(), "at once"),
    ],
)  # fmt: skip
def test_what_is_not_plain_data_is_refused_by_its_path(value, message):
    with pytest.raises(UnkeyableError, match=message) as caught:
        key(value)
    assert isinstance(caught.value, ResoptError)
    assert isinstance(caught.value, TypeError)


def test_depth_64_is_allowed_and_shared_parts_are_no_cycle():
    shared = {"a": 1}
    assert key(nested(64)) != key(nested(63))
    assert key([shared, shared]) == key([{"a": 1}, {"a": 1}])


def test_a_list_that_grows_while_it_is_read_is_refused():
    items: list[Any] = []

    class Growing(collections.UserDict):
        def items(self):
            items.append(1)
            return super().items()

    items.extend([Growing(a=1), 2])
    with pytest.raises(UnkeyableError, match="changed"):
        key(items)


def test_errors_of_the_values_own_code_come_through_and_leave_no_trace():
    class Broken(collections.UserDict):
        def items(self):
            raise RuntimeError("broken")

    before = key([1, "a"])
    with pytest.raises(RuntimeError, match="broken"):
        key(["prefix", Broken()])
    assert key([1, "a"]) == before


def test_a_value_may_ask_for_keys_while_it_is_keyed():
    class Asking(collections.UserDict):
        def items(self):
            assert key("inner") == inner
            return super().items()

    inner = key("inner")
    assert key(["outer", Asking(a=1)]) == key(["outer", {"a": 1}])


def test_a_dataclass_field_without_value_is_named():
    point = Point(1)
    del point.x
    with pytest.raises(UnkeyableError, match="field x has no value"):
        key(point)


def test_pydantic_models_by_their_fields():
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        a: Any
        b: Any = 2

    class Other(Model):
        pass

    assert key(Model(a=1)) == key(Model(b=2, a=1))
    assert len({key(Model(a=1)), key(Model(a=2)), key(Model(a=1, c=1)), key(Other(a=1)), key({"a": 1, "b": 2})}) == 5
    with pytest.raises(UnkeyableError, match=r"^a: set"):
        key(Model(a={1}))


def test_one_space_serves_many_threads():
    space = KeySpace("threads")
    expected = [space.key({"n": number, "text": "x" * number}) for number in range(200)]
    failures = []

    def work():
        for _ in range(20):
            found = [space.key({"n": number, "text": "x" * number}) for number in range(200)]
            if found != expected:
                failures.append(found)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def chat(content: Any, **fields: Any) -> Request:
    return Request(body={"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **fields})


def part(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


@pytest.mark.parametrize("wrap", [str, part])
def test_questions_are_folded_where_only_spelling_differs(wrap):
    request_key = RequestKey()
    expected = request_key(chat(wrap("what is python")))
    for text in ("What is Python?", "  WHAT  is\tpython ?!", "ｗhat is Python\n"):
        assert request_key(chat(wrap(text))) == expected
    for text in ("what is python 3", "what\nis python", "what is {python}"):
        assert request_key(chat(wrap(text))) != expected
    exact = RequestKey(matching="exact")
    assert exact(chat(wrap("what is python"))) != exact(chat(wrap("What is Python")))
    assert exact(chat(wrap("what is python"))) != expected


@pytest.mark.parametrize("text", ["A\nb", "```A```", "{A}", "A" * 513, "A \ud800", ""])
def test_other_text_is_keyed_losslessly_but_for_line_ends(text):
    folded, exact = RequestKey(), RequestKey(matching="exact")
    assert folded(chat(text)) == exact(chat(text))
    assert folded(chat(text.replace("\n", "\r\n"))) == folded(chat(text))
    if text:
        assert folded(chat(text)) != folded(chat(text.lower() + "."))


def test_only_the_last_message_of_the_user_is_folded():
    def conversation(*pairs: tuple[str, str]) -> bytes:
        return RequestKey()(Request(body={"messages": [{"role": role, "content": text} for role, text in pairs]}))

    assert conversation(("user", "Hi"), ("user", "Why?")) == conversation(("user", "Hi"), ("user", "why"))
    assert conversation(("user", "Hi"), ("user", "why")) != conversation(("user", "hi"), ("user", "why"))
    assert conversation(("user", "Hi"), ("assistant", "A")) != conversation(("user", "Hi"), ("assistant", "a"))
    assert conversation(("system", "A"), ("user", "why")) != conversation(("system", "a"), ("user", "why"))
    assert conversation(("system", "A\r\nB"), ("user", "x")) == conversation(("system", "A\nB"), ("user", "x"))


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Why?"}, {"type": "text", "text": "Why?"}],
        [{"type": "text", "text": "Why?", "cache": 1}],
        [{"type": "TEXT", "text": "Why?"}],
        [{"kind": "text", "text": "Why?"}],
        [["Why?"]],
        {"text": "Why?"},
        None,
        7,
    ],
)
def test_content_that_is_more_than_a_question_is_keyed_losslessly(content):
    assert RequestKey()(chat(content)) == RequestKey(matching="exact")(chat(content))


@pytest.mark.parametrize("messages", [[], None, "Why?", ["Why?"], [{}], [{"role": "user"}], {"role": "user"}])
def test_bodies_of_any_shape_have_keys(messages):
    request = Request(body={"messages": messages})
    assert RequestKey()(request) == RequestKey(matching="exact")(request)
    assert RequestKey()(request) != RequestKey()(Request(body={}))


@pytest.mark.parametrize(("api", "field"), [(api, field) for api in SHAPES for field in sorted(SHAPES[api].ignored)])
def test_ignored_fields_do_not_count_for_a_known_api_alone(api, field):
    body = chat("why").body
    known = RequestKey()(Request(api=api, body=body))
    assert RequestKey()(Request(api=api, body={**body, field: "x"})) == known
    other = {"api": "other.chat"}
    assert RequestKey()(Request(body={field: 1}, **other)) != RequestKey()(Request(body={}, **other))
    assert SHAPES[api].ignored[field]


def anthropic(content, **fields):
    body = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": content}], **fields}
    return RequestKey()(Request(api="anthropic.messages", body=body))


def test_anthropics_questions_are_folded_as_text_and_as_the_only_part():
    part = {"type": "text", "text": "Why is that?"}
    assert anthropic("Why is that?") == anthropic("why  is that")
    assert anthropic([part]) == anthropic([{**part, "text": "why  is that"}])
    assert anthropic([part]) != anthropic([{**part, "text": "why is it"}])


def test_a_part_with_a_mark_or_beside_the_result_of_a_tool_is_keyed_losslessly():
    part = {"type": "text", "text": "Why is that?", "cache_control": {"type": "ephemeral"}}
    assert anthropic([part]) == anthropic([dict(part)])
    assert anthropic([part]) != anthropic([{**part, "text": "why is that"}])
    result = {"type": "tool_result", "tool_use_id": "t", "content": "17"}
    plain = {"type": "text", "text": "Why?"}
    assert anthropic([result, plain]) != anthropic([result, {**plain, "text": "why"}])
    assert anthropic([result]) != anthropic([{**result, "content": "18"}])


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "Be brief."},
        {"system": [{"type": "text", "text": "Be brief."}]},
        {"tools": [{"name": "add", "input_schema": {"type": "object"}}]},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"inference_geo": "us"},
        {"user_profile_id": "u"},
        {"workspace_id": "w"},
        {"container": "c"},
        {"betas": ["b"]},
        {"speed": "fast"},
        {"diagnostics": {"previous_message_id": "msg_1"}},
        {"max_tokens": 10},
    ],
)
def test_what_anthropics_answer_may_depend_on_counts(fields):
    assert anthropic("Why?", **fields) != anthropic("Why?")


@pytest.mark.parametrize(("api", "field"), [(api, field) for api, shape in SHAPES.items() for field in shape.ignored])
def test_every_api_says_why_a_field_does_not_count(api, field):
    make = RequestKey()
    assert make(Request(api=api, body={"input": "x", field: "y"})) == make(Request(api=api, body={"input": "x"}))
    assert SHAPES[api].ignored[field]


REPEATED = ("metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "store", "include")


@pytest.mark.parametrize("field", REPEATED)
def test_what_a_response_repeats_to_its_caller_counts(field):
    requests = [Request(api="openai.responses", body={"input": "x", **more}) for more in ({}, {field: "a"})]
    assert RequestKey()(requests[0]) != RequestKey()(requests[1])


def test_the_format_of_embeddings_counts():
    bodies = ({"input": "x"}, {"input": "x", "encoding_format": "base64"}, {"input": "X"}, {"input": ["x"]})
    assert len({RequestKey()(Request(api="openai.embeddings", body=body)) for body in bodies}) == 4


def test_the_last_item_of_a_responses_input_is_folded_as_a_message_is():
    def keyed(value: Any) -> bytes:
        return RequestKey()(Request(api="openai.responses", body={"input": value}))

    def user(content: Any) -> dict[str, Any]:
        return {"role": "user", "content": content}

    assert keyed([user("What is Python?")]) == keyed([user("what is  python")])
    assert keyed([user("Hi"), user("x")]) != keyed([user("hi"), user("x")])
    result = {"type": "function_call_output", "call_id": "c"}
    assert keyed([user("x"), {**result, "output": "Why?"}]) != keyed([user("x"), {**result, "output": "why"}])
    # Where the core does not look for a question, every character counts.
    assert keyed("Why?") != keyed("why")
    assert keyed([user([{"type": "input_text", "text": "Why?"}])]) != keyed(
        [user([{"type": "input_text", "text": "why"}])]
    )


@pytest.mark.parametrize("field", sorted(SHAPES["openai.responses"].stateful))
def test_what_the_provider_keeps_is_named(field):
    def state(api: str, **fields: Any) -> str:
        return state_of(Request(api=api, body={"input": "x", **fields}))

    assert state("openai.responses", **{field: "id_1"}).startswith(f"{field}: ")
    assert state("openai.responses", **{field: None}) == state("openai.responses") == ""
    assert state("openai.chat", **{field: "id_1"}) == state("unknown", **{field: "id_1"}) == ""


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_20250305", "file_search", "mcp"])
def test_what_the_provider_looks_up_is_named(kind):
    for api in ("openai.responses", "anthropic.messages"):
        assert kind in state_of(Request(api=api, body={"tools": [{"type": "function"}, {"type": kind}]}))
    assert state_of(Request(body={"messages": [], "web_search_options": {"search_context_size": "low"}}))


@pytest.mark.parametrize("tools", [[], None, "web_search", [{"type": "function"}, {"name": "mcp"}, 3], ({"type": 1},)])
def test_tools_that_the_caller_runs_are_no_state(tools):
    assert state_of(Request(api="anthropic.messages", body={"tools": tools})) == ""


def test_every_other_field_counts():
    keys = {
        RequestKey()(chat("why", **fields))
        for fields in ({}, {"temperature": 0}, {"temperature": 1}, {"seed": 1}, {"tools": []}, {"unheard_of": None})
    }
    assert len(keys) == 6


def test_scope_policy_and_api_count():
    body = chat("why").body
    requests = [
        Request(body=body),
        Request(body=body, api="other"),
        Request(body=body, scope=Scope(tenant="a")),
        Request(body=body, scope=Scope(tenant="")),
        Request(body=body, scope=Scope(namespace="a")),
    ]
    makers = [RequestKey(), RequestKey(policy="1"), RequestKey(policy=("1", "2")), RequestKey(namespace="n")]
    makers.append(RequestKey(secret=b"s"))
    keys = [make(request) for make in makers for request in requests]
    assert len(set(keys)) == len(keys)
    assert RequestKey(policy="1")(requests[0]) == RequestKey(policy=("1",))(requests[0])


def test_the_user_counts_for_personal_answers_only():
    make = RequestKey()
    ann, bob = (Request(body=chat("my order").body, scope=Scope(user=user)) for user in ("ann", "bob"))
    assert make(ann) == make(bob) == make(chat("my order"))
    assert len({make(ann), make(ann, personal=True), make(bob, personal=True)}) == 3
    with pytest.raises(InvalidRequestError, match="no user"):
        make(chat("my order"), personal=True)


def test_a_request_that_has_no_key_names_the_path_in_its_body():
    with pytest.raises(UnkeyableError, match=r"^messages\[0\]\.content: set is not plain data"):
        RequestKey()(chat({1}))
    with pytest.raises(UnkeyableError, match=r"^messages\[0\]\.content\[0\]\.text: set is not plain data"):
        RequestKey()(chat([{"type": "text", "text": {1}}]))
    with pytest.raises(UnkeyableError, match=r"^tools\[0\]: function is not plain data"):
        RequestKey()(chat("why", tools=[chat]))


@pytest.mark.parametrize(
    "options",
    [{"namespace": 1}, {"secret": "text"}, {"secret": b""}, {"policy": 1}, {"policy": (1,)}, {"matching": "loose"}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigurationError):
        RequestKey(**options)


def test_a_value_is_never_keyed_like_a_request():
    body = {"model": "m"}
    space = KeySpace()
    request = space.request(RequestShape("a"), body, "", None, None, (), True)
    assert request not in {space.key(body), space.key(["a", "", None, None, [], body])}
    assert key_module.key(body) == space.key(body)
