"""What a provider keeps of a prompt's beginning: when rewriting it pays, and how it is marked."""

import pytest

from resopt import ConfigurationError, PrefixPlanner, PromptOptimizer, Request, count_tokens, pays_after
from resopt.prompt.beginning import count_marks
from resopt.prompt.prefix import MOST_BREAKPOINTS, minimum_prefix, steady

TOOLS = [
    {"type": "function", "function": {"name": "b", "parameters": {"type": "object", "properties": {"y": {}, "x": {}}}}},
    {"type": "function", "function": {"name": "a", "parameters": {}}},
]


def chat(**fields):
    return {
        "model": "gpt-5",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        **fields,
    }


def claude(**fields):
    return {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "u"}], **fields}


@pytest.mark.parametrize(("share", "calls"), [(0.5, 11.5), (0.7, 4.93), (0.9, 1.28), (1.0, 0.0)])
def test_rewriting_pays_after_so_many_calls(share, calls):
    assert pays_after(share) == pytest.approx(calls, abs=0.01)


@pytest.mark.parametrize("share", [0, -1, 1.1, True, "half"])
def test_a_share_is_a_share(share):
    with pytest.raises(ConfigurationError, match="share must be"):
        pays_after(share)


def test_the_arithmetic_is_that_of_the_prices():
    # Keep: n reads of 1. Rewrite to 1 - f: one write and n - 1 reads. Equal at n = pays_after(f).
    for share in (0.2, 0.5, 0.8):
        n = pays_after(share)
        assert 0.1 * n == pytest.approx((1 - share) * (1.25 + 0.1 * (n - 1)))


@pytest.mark.parametrize(
    ("api", "model", "least"),
    [
        ("openai.chat", "gpt-5", 1024),
        ("openai.responses", "anything", 1024),
        ("anthropic.messages", "claude-sonnet-4-5", 1024),
        ("anthropic.messages", "claude-haiku-4-5-20251001", 4096),
        ("anthropic.messages", "claude-3-5-haiku-latest", 2048),
        ("anthropic.messages", "claude-opus-4.6", 4096),
        ("anthropic.messages", "claude-opus-5", 512),
    ],
)
def test_short_prefixes_are_not_cached(api, model, least):
    assert minimum_prefix(api, model) == least


def test_the_planner_says_what_and_why():
    judge = PrefixPlanner().judge
    assert judge("openai.chat", "gpt-5", 1000, 900).rewrite
    left = judge("openai.chat", "gpt-5", 2000, 1000)
    assert not left.rewrite
    assert left.reason == "cached prefix of 2000 tokens: removing 50% pays after 12 calls more, 0 expected"
    assert PrefixPlanner(12).judge("openai.chat", "gpt-5", 2000, 1000).rewrite
    assert not PrefixPlanner(11).judge("openai.chat", "gpt-5", 2000, 1000).rewrite
    assert not PrefixPlanner(10**9).judge("openai.chat", "gpt-5", 2000, 2000).rewrite
    for bad in (-1, "many", True, float("nan")):
        with pytest.raises(ConfigurationError, match="expected_calls"):
            PrefixPlanner(bad)


LONG = "Read the rule in the book. " * 400
MARK = {"cache_control": {"type": "ephemeral"}}


def named(*names, **fields):
    return [{"name": name, "input_schema": {}, **fields} for name in names]


def test_tools_and_their_keys_come_in_a_steady_order():
    one = steady(chat(tools=TOOLS), "openai.chat")
    other = steady(chat(tools=TOOLS[::-1]), "openai.chat")
    assert one == other
    assert [tool["function"]["name"] for tool in one["tools"]] == ["a", "b"]
    assert "prompt_cache_key" not in one
    assert TOOLS[0]["function"]["name"] == "b"
    assert list(one["tools"][1]) == list(other["tools"][1]) == ["function", "type"]


def test_properties_stay_in_the_order_in_which_models_fill_them_in():
    schema = {
        "type": "object",
        "required": ["reasoning", "answer"],
        "properties": {
            "reasoning": {"type": "string", "description": "first"},
            "answer": {"type": "object", "properties": {"type": {}, "properties": {"type": "string", "enum": [2, 1]}}},
        },
        "examples": [{"reasoning": "r", "answer": {}}],
    }
    made = steady(claude(tools=[{"name": "f", "input_schema": schema}]), "anthropic.messages")["tools"][0]
    done = made["input_schema"]
    assert done == schema
    assert list(done) == ["examples", "properties", "required", "type"]
    assert list(done["properties"]) == ["reasoning", "answer"]
    assert list(done["properties"]["answer"]["properties"]) == ["type", "properties"]
    assert list(done["examples"][0]) == ["reasoning", "answer"]


def test_a_caller_s_mark_stays_at_the_end_of_its_span():
    tools = [*named("zeta"), *named("alpha", cache_control={"type": "ephemeral", "ttl": "1h"}), *named("yak", "bee")]
    made = steady(claude(tools=tools, system=LONG), "anthropic.messages")
    assert [tool["name"] for tool in made["tools"]] == ["alpha", "zeta", "bee", "yak"]
    assert ["cache_control" in tool for tool in made["tools"]] == [False, True, False, False]
    assert made["tools"][1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert made["system"] == LONG
    assert "cache_control" in tools[1]


def test_openai_gets_a_key_for_its_cache_from_what_is_shared():
    def key(tools=TOOLS, *messages, **fields):
        system = {"role": "system", "content": LONG}
        made = steady(chat(tools=tools, **{"messages": [system, *messages], **fields}), "openai.chat")
        return made["prompt_cache_key"]

    user, late = {"role": "user", "content": "u"}, {"role": "developer", "content": "later"}
    assert key() == key(TOOLS[::-1], user, late, temperature=1)
    assert key() != key(messages=[{"role": "system", "content": LONG + "other"}])
    assert key(prompt_cache_key="mine") == "mine"


def test_a_long_conversation_behind_a_short_head_is_kept_too():
    talk = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
    ]
    done = steady(claude(messages=talk, system="Short."), "anthropic.messages")
    assert done["system"] == "Short."
    assert done["messages"] == [*talk[:2], {"role": "user", "content": [{"type": "text", "text": "3", **MARK}]}]
    first = steady(chat(messages=talk), "openai.chat")["prompt_cache_key"]
    more = [*talk, {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}]
    assert steady(chat(messages=more), "openai.chat")["prompt_cache_key"] == first
    other = [{"role": "user", "content": LONG + "!"}, *talk[1:]]
    assert steady(chat(messages=other), "openai.chat")["prompt_cache_key"] != first
    assert "prompt_cache_key" not in steady(chat(messages=talk[:1]), "openai.chat")  # asked once: nothing to share


def test_anthropic_gets_marks_at_the_ends_of_what_stays():
    body = claude(system=LONG, tools=named("a"))
    done = steady(body, "anthropic.messages")
    assert done["system"] == [{"type": "text", "text": LONG, **MARK}]
    assert count_marks(done) == 1
    talk = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}]
    done = steady({**body, "messages": talk}, "anthropic.messages")
    assert count_marks(done) == 2 <= MOST_BREAKPOINTS
    assert done["messages"][2]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["system"] == LONG
    only_tools = steady(claude(tools=named("a", description=LONG)), "anthropic.messages")
    assert only_tools["tools"][0]["cache_control"] == {"type": "ephemeral"}


def test_an_empty_block_is_never_marked():
    blocks = [{"type": "text", "text": LONG}, {"type": "text", "text": ""}]
    talk = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": ""}]
    done = steady(claude(system=blocks, messages=talk), "anthropic.messages")
    assert done["system"] == [{**blocks[0], **MARK}, blocks[1]]
    assert done["messages"] == talk


@pytest.mark.parametrize(
    "fields",
    [
        {"system": [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"system": LONG, "cache_control": {"type": "ephemeral"}},
        {
            "system": LONG,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "u", "content": [{"type": "text", "text": "x", **MARK}]}
                    ],
                }
            ],
        },
    ],
)
def test_anthropic_s_marks_of_the_caller_are_enough(fields):
    mine = claude(**fields)
    assert steady(mine, "anthropic.messages") == mine


def test_short_prefixes_get_no_mark_and_claude_s_are_counted_as_claude_counts():
    def marks(words, model="claude-sonnet-5"):
        return count_marks(steady(claude(system="word " * words, model=model), "anthropic.messages"))

    assert (marks(600), marks(1100)) == (0, 1)
    assert marks(950) == 1  # some 1,300 tokens of Claude's, and 950 of OpenAI's
    assert marks(950, "claude-haiku-4-5") == 0


def test_a_head_that_claude_may_have_cached_is_not_taken_for_a_short_one():
    words = "Please make sure that you check it. " * 110
    assert count_tokens(words).tokens < 1024 < count_tokens(words, "claude-sonnet-5").tokens
    request = Request(body=claude(system=words), api="anthropic.messages")
    prepared = PromptOptimizer("light").prepare(request)
    assert prepared.step.action == "left"
    assert "cached prefix of" in prepared.step.reason
