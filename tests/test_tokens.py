"""Tokens by model: exact where the tokenizer is public, by formula for chats, with a band where it is not."""

import threading

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

import resopt
from resopt import (
    TokenCount,
    count_tokens,
    count_tokens_many,
    decode,
    decode_many,
    encode,
    encode_many,
    fits,
    fits_many,
    truncate,
    truncate_many,
)
from resopt._core import ChatFamily, Encoding, text_class
from resopt.errors import ConfigurationError, DamagedModelError, InvalidRequestError, ResoptError
from resopt.tokens.models import tokens_of

QUESTION = "Where is my parcel? It should have been here on Tuesday."


def test_a_text_is_counted_exactly_for_models_with_a_public_tokenizer():
    count = count_tokens(QUESTION, "gpt-4o")
    assert count == TokenCount(13, 13, 13, "o200k_base", "tokenizer")
    assert count.exact
    assert int(count) == 13 == len(encode(QUESTION, "gpt-4o"))
    assert count_tokens("") == TokenCount(0, 0, 0, "o200k_base", "tokenizer")
    assert count_tokens("नमस्ते", "gpt-4").tokens > count_tokens("नमस्ते", "gpt-4o").tokens


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-5", "o200k_base"), ("gpt-5.2-codex", "o200k_base"), ("gpt-4.1-nano", "o200k_base"), ("o1", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"), ("openai/gpt-4o", "o200k_base"), ("GPT-4o", "o200k_base"),
        ("ft:gpt-4o:acme::9x", "o200k_base"), ("o3-mini", "o200k_base"), ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-oss-120b", "o200k_harmony"), ("gpt-4", "cl100k_base"), ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4-0613", "cl100k_base"), ("gpt-35-turbo-16k", "cl100k_base"), ("ft:gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"), ("cl100k_base", "cl100k_base"),
    ],
)  # fmt: skip
def test_models_have_the_encoding_that_tiktoken_gives_them(model, encoding):
    assert tokens_of(model).encoding == encoding
    assert count_tokens("hi", model).exact
    name = model.lower().removeprefix("openai/")
    if name != encoding:
        assert tiktoken.model.encoding_name_for_model(name) == encoding


def test_every_model_of_tiktoken_with_these_encodings_is_known():
    for model, encoding in tiktoken.model.MODEL_TO_ENCODING.items():
        if encoding in ("o200k_base", "cl100k_base", "o200k_harmony"):
            assert (tokens_of(model).encoding, tokens_of(model).exact) == (encoding, True), model


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5", "gemini-3-pro", "o1000", "gpt-45", "gpt-4x", "", "mistral/large"]
)
def test_other_models_are_estimates_with_a_band(model):
    count = count_tokens(QUESTION * 20, model)
    assert not count.exact
    assert count.basis == "ratio"
    assert count.low < count.tokens < count.high
    assert count.low < count_tokens(QUESTION * 20).tokens * 1.1 < count.high


def test_newer_claude_models_take_more_tokens_than_older_ones():
    for newer in (
        "claude-opus-4-7",
        "claude-sonnet-5",
        "claude-fable-5",
        "anthropic.claude-opus-4-7",
        "us.anthropic.claude-sonnet-5",
    ):
        assert count_tokens(QUESTION, newer).tokens > count_tokens(QUESTION, "claude-opus-4-1").tokens, newer


@pytest.mark.parametrize(
    ("model", "like"),
    [
        ("claude-opus-4.7", "claude-opus-4-7"),
        ("anthropic/claude-opus-4.8:thinking", "claude-opus-4-8"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("claude-3.5-haiku", "claude-3-5-haiku-20241022"),
        ("databricks-claude-opus-4-7", "claude-opus-4-7"),
        ("anthropic:claude-fable-5.1", "claude-fable-5-1"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("us.anthropic.claude-opus-4-7-v1:0", "claude-opus-4-7"),
    ],
)
def test_spellings_of_claude_are_counted_alike(model, like):
    for text in (QUESTION, '{"a": [1, 2]}', "您好，我的订单"):
        assert count_tokens(text * 20, model) == count_tokens(text * 20, like)


@pytest.mark.parametrize("model", ["claude-mythos-5", "claude-haiku-5", "claude-opus-6", "claude-sonnet", "claude"])
def test_an_unknown_claude_is_taken_for_the_newest_with_a_wider_band(model):
    for text in (QUESTION, '{"a": [1, 2]}', "您好，我的订单"):
        unknown, newest, old = (count_tokens(text * 20, name) for name in (model, "claude-sonnet-5", "claude-opus-4-6"))
        assert not unknown.exact
        assert unknown.tokens == newest.tokens > old.tokens
        assert unknown.low == old.low < newest.low
        assert unknown.high > newest.high


def test_encoding_needs_a_public_tokenizer():
    with pytest.raises(ConfigurationError, match=r"not public.*o200k_base"):
        encode("hi", "claude-sonnet-5")
    with pytest.raises(ConfigurationError, match="no encoding of resopt"):
        Encoding("p50k_base")


def test_what_looks_like_a_special_token_is_text_unless_asked_for():
    assert len(encode("<|endoftext|>")) > 1
    assert encode("<|endoftext|>", special=True) == [199_999]
    assert encode("<|endoftext|>", "gpt-4", special=True) == [100_257]
    assert encode("<|call|>", "gpt-oss-20b", special=True) == [200_012]
    assert encode_many(["<|endoftext|>", "a"], special=True) == [[199_999], encode("a")]


def test_tokens_decode_to_the_text():
    assert decode(encode(QUESTION)) == QUESTION
    assert decode(encode("👨‍👩‍👧")[:1]) == "�" or decode(encode("👨‍👩‍👧")[:1])
    assert decode([]) == ""
    assert decode_many([encode("a"), [], encode("ßü", "gpt-4")], "gpt-4")[2] == "ßü"
    for wrong in ([200_300], [-1], [1 << 40], ["a"], 3, None):
        with pytest.raises(ConfigurationError, match="token"):
            decode(wrong)


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(0, 20), st.sampled_from(["gpt-4o", "gpt-4", "claude-sonnet-5"]))
def test_a_truncated_text_is_a_beginning_that_fits(text, limit, model):
    kept = truncate(text, limit, model)
    clean = text.encode("utf-8", "replace").decode()
    assert clean.startswith(kept) or text == kept
    assert fits(kept, limit, model)
    assert count_tokens(kept, model).high <= limit or kept == ""
    assert (kept == text) == fits(text, limit, model)


PIECES = (
    "The parcel is still waiting at the depot although it should have been here by Tuesday. ",
    "请帮我解释一下什么是。谢谢您的帮助，我们很高兴。",
    "Здравствуйте где мой заказ его обещали доставить ещё вчера. ",
    '{"id":1,"v":[1,2,3],"s":"x"}\n',
)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=20),
    st.integers(0, 300),
    st.sampled_from(["claude-sonnet-5", "claude-mythos-5", "gemini-2.5-pro", "deepseek-chat", ""]),
)
def test_a_truncated_mixed_text_keeps_the_high_end_of_its_own_band(pieces, limit, model):
    text = "".join(pieces)
    kept = truncate(text, limit, model)
    assert text.startswith(kept)
    assert count_tokens(kept, model).high <= limit
    assert fits(text, limit, model) == (count_tokens(text, model).high <= limit) == (kept == text)


def test_a_limit_beyond_any_text_is_none():
    for model in ("gpt-4o", "claude-sonnet-5"):
        assert fits(QUESTION, 10**400, model)
        assert truncate(QUESTION, 10**400, model) == QUESTION
        assert fits_many([QUESTION], 10**30, model) == [True]


def test_truncating_keeps_what_fits_and_returns_the_text_itself():
    assert truncate(QUESTION, 100) is QUESTION
    assert truncate(QUESTION, 13) is QUESTION
    assert truncate(QUESTION, 4) == "Where is my parcel"
    assert truncate(QUESTION, 0) == ""
    assert truncate("naïve 👨‍👩‍👧 family", 3).encode() == truncate("naïve 👨‍👩‍👧 family", 3).encode("utf-8", "strict")
    assert len(truncate(QUESTION, 10, "claude-sonnet-5")) < len(truncate(QUESTION, 10))


def test_fitting_is_at_most():
    assert fits(QUESTION, 13)
    assert not fits(QUESTION, 12)
    assert fits("", 0)
    assert not fits("word " * 1_000_000, 100)


def test_many_texts_give_what_each_gives():
    texts = [QUESTION, "", "您好", "x" * 300, "<|endoftext|>"]
    for model in ("gpt-4o", "gpt-4", "claude-opus-4-1"):
        assert count_tokens_many(texts, model) == [count_tokens(text, model) for text in texts]
        assert fits_many(texts, 5, model) == [fits(text, 5, model) for text in texts]
        assert truncate_many(texts, 5, model) == [truncate(text, 5, model) for text in texts]
    assert encode_many(texts) == [encode(text) for text in texts]
    assert decode_many(encode_many(texts)) == texts
    assert count_tokens_many([]) == []
    assert count_tokens_many(text for text in texts)[0].tokens == 13


def test_many_texts_are_not_one_text():
    with pytest.raises(ConfigurationError, match="several str, not one"):
        count_tokens_many("text")


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode(3), lambda: encode_many(["a", b"b"]), lambda: fits(None, 3), lambda: fits("a", -1),
        lambda: fits("a", "3"), lambda: truncate("a", -1), lambda: truncate("a", 1.5, "claude-1"),
        lambda: count_tokens("a", 3), lambda: count_tokens_many([3]), lambda: count_tokens_many([3], "claude-1"),
        lambda: count_tokens(3), lambda: count_tokens([3]), lambda: count_tokens({"role": "user"}),
        lambda: truncate(b"a", 1), lambda: Encoding("x"),
        lambda: ChatFamily("x"), lambda: text_class(3), lambda: fits("a", -1, "claude-1"),
        lambda: fits("a", -(10**5000)), lambda: fits("a", True), lambda: fits("a", 1.5), lambda: truncate("a", None),
        lambda: encode_many(None), lambda: decode_many(None), lambda: decode_many([None]), lambda: fits_many(None, 1),
        lambda: count_tokens_many(None), lambda: count_tokens_many(None, "claude-1"), lambda: truncate_many(None, 1),
        lambda: count_tokens_many("a", "claude-1"), lambda: count_tokens_many([["a"]], "claude-1"),
        lambda: fits_many(None, 1, "claude-1"), lambda: fits_many("ab", 1, "claude-1"),
        lambda: truncate_many(5, 1, "claude-1"), lambda: encode("a", special="yes"),
        lambda: encode_many(["a"], special=1), lambda: fits("a", 1, "claude-1", ratios=5),
        lambda: count_tokens("a", "claude-1", ratios=5), lambda: fits_many(["a"], 1, "claude-1", ratios="x"),
        lambda: truncate("a", 1, "claude-1", ratios={}), lambda: count_tokens_many(["a"], "claude-1", ratios=5),
        lambda: fits_many(["a"], -1), lambda: fits_many([], -1, "claude-1"), lambda: truncate_many(["a"], "3"),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_of_resopt(call):
    with pytest.raises(ResoptError):
        call()


def test_threads_count_alike():
    texts = [f"{QUESTION} {number} {'x' * number}" for number in range(200)]
    expected, wrong = [count.tokens for count in count_tokens_many(texts)], []

    def work():
        for _ in range(20):
            counted = [Encoding("o200k_base").count(text) for text in texts]
            wrong.extend(pair for pair in zip(counted, expected, strict=True) if pair[0] != pair[1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_classes_of_texts():
    assert [text_class(text) for text in ("Hello there", '{"a": [1]}', "你好", "Grüße aus Köln", "\ud800")] == [
        "prose", "code", "cjk", "other", "prose",
    ]  # fmt: skip


def test_public_names_are_documented():
    for name in (
        "count_tokens",
        "count_tokens_many",
        "encode",
        "decode",
        "truncate",
        "fits",
        "TokenCount",
        "TokenRatios",
    ):
        assert getattr(resopt, name).__doc__
    assert issubclass(DamagedModelError, RuntimeError)
    assert issubclass(InvalidRequestError, ValueError)
