"""Every token as tiktoken gives it, on our ranks; `make fuzz-tokens` is this for as long as you like."""

import random

import pytest

from resopt._core import Encoding
from token_texts import FRAGMENTS, NAMES, REALISTIC, differences, oracle, texts


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_random_texts(name, seed):
    assert differences(name, texts(random.Random(seed), 6_000)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_pair_of_fragments(name):
    pairs = [first + second for first in FRAGMENTS for second in FRAGMENTS]
    assert differences(name, pairs) == []


@pytest.mark.parametrize("name", NAMES)
def test_characters_of_the_first_plane_before_and_after_letters(name):
    """Every one but the inner ones of the large blocks of CJK, which are all letters."""
    codes = [
        *range(0x3500),
        *range(0x4D00, 0x4F00),
        *range(0x9F00, 0xAD00),
        *range(0xD700, 0xD800),
        *range(0xF800, 0x10000),
    ]
    characters = [chr(code) for code in codes]
    assert differences(name, [f"a{character}B '{character}s" for character in characters]) == []


@pytest.mark.parametrize("name", NAMES)
def test_characters_beyond_the_first_plane(name):
    chance = random.Random(1)
    codes = [*range(0x1D400, 0x1D800, 3), *range(0x1F300, 0x1FB00, 5), *chance.sample(range(0x10000, 0x110000), 3_000)]
    assert differences(name, [f"A{chr(code)}b {chr(code)}{chr(code)}" for code in codes]) == []


@pytest.mark.parametrize("name", NAMES)
def test_realistic_texts_whole(name):
    assert differences(name, [*REALISTIC, "".join(REALISTIC), "".join(reversed(REALISTIC)).upper()]) == []


@pytest.mark.parametrize(
    "alphabet", ["abcdefghijklmnopqrstuvwxyz", "a", "=", " ", "\n", "ACGT", "中文字語", "0123456789", "!?"]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_hundred_thousand_characters_without_a_break(name, alphabet):
    text = "".join(random.Random(2).choices(alphabet, k=100_000))
    assert differences(name, [text]) == []


@pytest.mark.parametrize("name", NAMES)
def test_lone_surrogates_count_as_tiktoken_counts_them(name):
    for text in ("\ud800", "a\udfffb", "\ud83d\ude00", "x\ude00\ud83d"):
        assert Encoding(name).encode(text) == oracle(name).encode(text)
        assert Encoding(name).count(text) == len(oracle(name).encode(text))


@pytest.mark.parametrize("name", [*NAMES, "o200k_harmony"])
def test_special_tokens_when_asked_for(name):
    theirs, ours = oracle(name), Encoding(name)
    assert ours.special_tokens.items() <= theirs._special_tokens.items()
    assert set(ours.special_tokens.values()) == set(theirs._special_tokens.values())
    for text in (
        "<|endoftext|>", "a<|endoftext|>b  <|endofprompt|>  c", "<|start|>user<|message|>hi<|end|>",
        "<|<|endoftext|>|>", "<|reserved_200018|><|reserved_200500|><|reserved_9|>", "  <|end",
        "<|fim_prefix|>x<|fim_middle|> <|fim_suffix|>",
    ):  # fmt: skip
        assert ours.encode(text, special=True) == theirs.encode(text, allowed_special="all")
        assert ours.encode(text) == theirs.encode(text, disallowed_special=())
        if "200018" not in text:  # it has two names, and is written by the other
            assert ours.decode(ours.encode(text, special=True)) == text


@pytest.mark.parametrize("name", NAMES)
def test_any_tokens_decode_alike(name):
    chance = random.Random(3)
    sequences = [[chance.randrange(100_000) for _ in range(chance.randrange(12))] for _ in range(2_000)]
    theirs = [oracle(name).decode(tokens) for tokens in sequences]
    assert Encoding(name).decode_many(sequences) == theirs
    assert [Encoding(name).decode(tokens) for tokens in sequences] == theirs
    assert Encoding(name).decode_bytes(sequences[0]) == oracle(name).decode_bytes(sequences[0])
