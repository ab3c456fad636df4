"""Conversations within a budget: lossless first, the question decides, calls and their results stay together."""

import json
import time

import pytest

from resopt import ConfigurationError, InvalidRequestError, count_tokens, prune_history
from resopt.prompt.dense import compact, distinct

ROWS = [{"id": at, "name": f"item {at}", "stock": at * 3, "place": "Eindhoven"} for at in range(30)]
LOG = (
    "\n".join(f"2026-02-11T08:{at // 60:02}:{at % 60:02}Z WARN queue is slow" for at in range(50)) + "\nERROR disk full"
)


def turn(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def called(number, result, name="search"):
    call = {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "user", "content": f"Look up thing {number}."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": result},
        {"role": "assistant", "content": f"Found thing {number}."},
    ]


def used(number, result):
    return [
        {"role": "user", "content": f"Look up thing {number}."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": f"u{number}", "name": "f", "input": {"q": number}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"u{number}", "content": result}]},
        {"role": "assistant", "content": [{"type": "text", "text": f"Found thing {number}."}]},
    ]


SYSTEM = {"role": "system", "content": "You sell drones."}
TALK = [
    SYSTEM,
    *turn("How long is the warranty of the Aquila drone?", "The warranty of the Aquila drone is two years. " * 6),
    *turn("What does the canteen serve?", "On Fridays the canteen serves fish. " * 6),
    *turn("Where do I park?", "The car park has thirty-one places. " * 6),
    *turn("Does the warranty of the Aquila cover water?", "No."),
    {"role": "user", "content": "And who repairs an Aquila under warranty?"},
]


def test_what_fits_is_left_as_it_is():
    pruned = prune_history(TALK, 10_000)
    assert pruned.messages == TALK
    assert all(new is old for new, old in zip(pruned.messages, TALK, strict=True))
    assert (pruned.fits, pruned.dropped, pruned.shortened) == (True, (), ())
    assert pruned.tokens_before == pruned.tokens_after


def test_turns_that_are_not_about_the_question_go_first():
    pruned = prune_history(TALK, 170, keep_last=2)
    assert pruned.fits
    text = json.dumps(pruned.messages)
    assert "canteen" not in text
    assert "car park" not in text
    assert "two years" in text
    assert pruned.messages[0] is SYSTEM
    assert pruned.messages[-3:] == TALK[-3:]
    assert pruned.dropped == (3, 4, 5, 6)
    assert prune_history(TALK, 170, query="What is for lunch in the canteen?").dropped == (1, 2, 5, 6)


def test_pinned_messages_and_the_last_turns_stay_whatever_they_cost():
    pruned = prune_history(TALK, 20, keep_last=1, pinned=[4])
    assert not pruned.fits
    assert pruned.messages == [SYSTEM, *TALK[3:5], TALK[-1]] or pruned.messages == [SYSTEM, TALK[4], TALK[-1]]
    assert TALK[4] in pruned.messages


@pytest.mark.parametrize("make", [called, used])
def test_results_are_made_compact_before_anything_is_lost(make):
    messages = [SYSTEM, *make(1, json.dumps(ROWS, indent=2)), {"role": "user", "content": "What is in stock?"}]
    whole = prune_history(messages, 100_000)
    pruned = prune_history(messages, int(whole.tokens_before * 0.6), keep_last=1)
    assert pruned.fits
    assert pruned.dropped == ()
    assert pruned.shortened == (3,)
    assert "rows of [" in json.dumps(pruned.messages[3])
    assert messages[3] == make(1, json.dumps(ROWS, indent=2))[2]


@pytest.mark.parametrize("make", [called, used])
def test_logs_become_distinct_lines_and_old_turns_go_whole(make):
    newest = {"role": "user", "content": "Why is it slow?"}
    messages = [SYSTEM, *make(1, LOG), *make(2, "short"), *turn("Hm.", "Yes."), newest]
    before = prune_history(messages, 100_000).tokens_before
    pruned = prune_history(messages, before // 3, keep_last=1)
    assert "(x50)" in json.dumps(pruned.messages)
    least = prune_history(messages, 30, keep_last=1)
    assert least.messages == [SYSTEM, newest]
    assert least.fits


@pytest.mark.parametrize("make", [called, used])
def test_a_call_in_the_middle_of_the_last_turn_keeps_its_result(make):
    messages = [SYSTEM, *turn("Old.", "Old answer. " * 50), *make(7, "x " * 150)]
    pruned = prune_history(messages, 60, keep_last=1)
    assert pruned.messages == [SYSTEM, *messages[3:]]


@pytest.mark.parametrize("make", [called, used])
def test_the_last_turns_stay_as_they_are(make):
    messages = [SYSTEM, *turn("Old.", "Old answer. " * 50), *make(1, json.dumps(ROWS, indent=2))]
    for budget in (1, 500):
        pruned = prune_history(messages, budget, keep_last=1)
        assert pruned.messages == [SYSTEM, *messages[3:]]
        assert not pruned.fits
        assert pruned.shortened == ()


@pytest.mark.parametrize("model", [None, "gpt-4o", "gpt-4", "claude-sonnet-5", "deepseek-chat"])
def test_what_fits_here_fits_at_the_provider(model):
    image = {"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}
    seen = [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}], "name": "ada"}]
    for messages in (TALK, [SYSTEM, *called(1, LOG), *called(2, "short"), *turn("a", "b"), *turn("c", "d")], seen * 4):
        whole = count_tokens(messages, model)
        for budget in (100_000, whole.high, whole.high - 1, whole.tokens, 300, 120, 60):
            pruned = prune_history(messages, budget, keep_last=1, model=model)
            counted = count_tokens(pruned.messages, model)
            assert (pruned.tokens_before, pruned.tokens_after) == (whole.high, counted.high)
            assert pruned.fits == (counted.high <= budget)
            assert pruned.dropped == () or budget < whole.high


def test_any_iterable_is_taken_and_long_ones_take_no_longer_than_they_must():
    assert prune_history(iter(TALK), 10_000).messages == TALK
    assert prune_history(iter(TALK), 60, pinned=iter([4]), keep_last=1).messages[1] in TALK[3:5]
    assert prune_history([], 10) == prune_history(iter(()), 10)
    many = [message for number in range(1500) for message in called(number, "x " * 20)]
    start = time.perf_counter()
    assert prune_history(many, 500).fits
    assert time.perf_counter() - start < 2  # quadratic, it was 20


def test_the_caller_s_messages_are_never_changed():
    messages = [SYSTEM, *called(1, json.dumps(ROWS, indent=2)), *turn("a", "b")]
    before = json.dumps(messages)
    prune_history(messages, 50)
    assert json.dumps(messages) == before


def test_rows_say_their_keys_once():
    table = compact(json.dumps(ROWS[:3], indent=2))
    assert table == (
        'rows of ["id","name","stock","place"]:\n'
        '0,"item 0",0,"Eindhoven"\n1,"item 1",3,"Eindhoven"\n2,"item 2",6,"Eindhoven"'
    )
    assert count_tokens(table).tokens < 0.6 * count_tokens(json.dumps(ROWS[:3], indent=2)).tokens


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ('{"a": [1.50, 2e3, "x  y"]}', '{"a":[1.50,2e3,"x  y"]}'),
        ('[{"a": 1}, {"b": {"c": [1, 2]}}]', '[{"a":1},{"b":{"c":[1,2]}}]'),
        ("[1, 2", "[1, 2"),
        ("no json", "no json"),
        ('{"a": 1} and more', '{"a": 1} and more'),
    ],
)
def test_numbers_and_strings_are_kept_as_they_were_written(text, shorter):
    assert compact(text) == shorter


def test_distinct_lines_keep_their_order_and_counts():
    assert distinct(LOG) == "2026-02-11T08:00:00Z WARN queue is slow (x50)\nERROR disk full"
    assert distinct("a\nb\nc") == "a\nb\nc"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"messages": TALK, "budget": 0}, "budget must be a number of tokens"),
        ({"messages": TALK, "budget": 9, "keep_last": 0}, "keep_last must be a number of turns"),
        ({"messages": TALK, "budget": 9, "pinned": [99]}, "pinned must hold places of messages"),
        ({"messages": "hello", "budget": 9}, "messages must be a list of messages"),
        ({"messages": ["hello"], "budget": 9}, "messages must be a list of messages"),
        ({"messages": None, "budget": 9}, "messages must be a list of messages"),
        ({"messages": b"", "budget": 9}, "messages must be a list of messages"),
        ({"messages": TALK, "budget": 9, "pinned": None}, "pinned must hold places of messages"),
        ({"messages": TALK, "budget": 9, "pinned": 1}, "pinned must hold places of messages"),
        ({"messages": TALK, "budget": 9, "pinned": [[1]]}, "pinned must hold places of messages"),
        ({"messages": TALK, "budget": 9, "query": 5}, "query must be a str"),
        ({"messages": TALK, "budget": 9, "query": "\ud800"}, "query holds lone surrogates"),
        ({"messages": None, "budget": 9}, "messages must be a list of messages, not NoneType"),
        ({"messages": 7, "budget": 9}, "messages must be a list of messages, not int"),
        ({"messages": SYSTEM, "budget": 9}, "messages must be a list of messages, not dict"),
        ({"messages": TALK, "budget": 9, "pinned": "1"}, "pinned must hold places of messages"),
        ({"messages": TALK, "budget": 9, "query": 7}, "query must be a str"),
        ({"messages": TALK, "budget": 9, "model": 7}, "model must be a str"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        prune_history(**arguments)


def test_what_cannot_be_counted_is_named():
    with pytest.raises(InvalidRequestError, match="a message cannot be counted"):
        prune_history([{"role": "assistant", "content": None, "tool_calls": 7}], 9)
