"""What a provider keeps of a prompt's beginning: when rewriting it pays, and how it is marked."""

import pytest

from resopt import ConfigurationError, PrefixPlanner, pays_after
from resopt.prompt.prefix import marked, minimum_prefix, steady

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


def test_tools_and_their_keys_come_in_a_steady_order():
    one = steady(chat(tools=TOOLS), "openai.chat", 10)
    other = steady(chat(tools=TOOLS[::-1]), "openai.chat", 10)
    assert one == other
    assert [tool["function"]["name"] for tool in one["tools"]] == ["a", "b"]
    assert list(one["tools"][1]["function"]["parameters"]["properties"]) == ["x", "y"]
    assert "prompt_cache_key" not in one
    assert TOOLS[0]["function"]["name"] == "b"


def test_openai_gets_a_key_for_its_cache_from_what_is_shared():
    long = steady(chat(tools=TOOLS), "openai.chat", 2000)
    again = steady(chat(tools=TOOLS[::-1], temperature=1), "openai.chat", 2000)
    assert long["prompt_cache_key"] == again["prompt_cache_key"]
    other = chat(tools=TOOLS)
    other["messages"] = [{"role": "system", "content": "other"}]
    assert steady(other, "openai.chat", 2000)["prompt_cache_key"] != long["prompt_cache_key"]
    assert steady(chat(prompt_cache_key="mine"), "openai.chat", 2000)["prompt_cache_key"] == "mine"


def test_anthropic_gets_marks_at_the_ends_of_what_stays():
    body = claude(system="s" * 10, tools=[{"name": "a", "input_schema": {}}])
    done = steady(body, "anthropic.messages", 2000)
    assert done["system"] == [{"type": "text", "text": "s" * 10, "cache_control": {"type": "ephemeral"}}]
    assert marked(done) == 1
    talk = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}]
    done = steady({**body, "messages": talk}, "anthropic.messages", 2000)
    assert marked(done) == 2
    assert done["messages"][2]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["system"] == "s" * 10
    only_tools = steady(claude(tools=[{"name": "a", "input_schema": {}}]), "anthropic.messages", 2000)
    assert only_tools["tools"][0]["cache_control"] == {"type": "ephemeral"}


def test_anthropic_s_marks_of_the_caller_are_enough_and_short_prefixes_get_none():
    mine = claude(system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
    assert steady(mine, "anthropic.messages", 2000) == mine
    assert marked(steady(claude(system="s"), "anthropic.messages", 1023)) == 0
