"""The bundled embedder against the reference it was made with: the same ids, the same vectors, on any text.

`RESOPT_FUZZ=100000` (with `--timeout 0`) makes the differential test that long and takes every code point instead of a
sample.
"""

import json
import os
import random
import runpy
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest

import reference_semantic as reference
import resopt
from resopt._core import EMBEDDER, EMBEDDER_DIMENSIONS, embed, tokenise

MODELS = Path(__file__).parent.parent / "rust" / "core" / "models"
FUZZ = int(os.environ.get("RESOPT_FUZZ", "1500"))
UNKNOWN = reference.UNK
UNICODE_14 = unicodedata.unidata_version == "14.0.0"
needs_unicode_14 = pytest.mark.skipif(
    not UNICODE_14, reason="ids are frozen at Unicode 14.0.0, which the reference has on Python 3.11 only"
)

BLANKS = " \t\n\r\v\f\x1c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\u200b\ufeff"
ODD = (
    "\0\x07\x7f\xad\ufffd\ue000\u0301\u0345\u0fa1\u302e\U0001d165İıſßẞΣςǅﬁﷺ№²Ⅷ½①¿«»…—–’“”¡§¶°€£¥₿™©®😀👩‍🚀🇩🇪\U000e0041"
)
SCRIPTS = (
    (0x80, 0x24F), (0x250, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xEFF),
    (0x1100, 0x11FF), (0x1780, 0x17FF), (0x1E00, 0x1FFF), (0x2000, 0x2BFF), (0x3040, 0x30FF), (0x4E00, 0x4FFF),
    (0xAC00, 0xD7FF), (0xD800, 0xDFFF), (0xF900, 0xFFFF), (0x10000, 0x11FFF), (0x1D000, 0x1F9FF), (0x20000, 0x2FFFF),
)  # fmt: skip
TOKENS = [token.removeprefix("##") for token in reference.VOCAB]


def word(chance):
    """Something that may stand between blanks: mostly words and what is made of their pieces, now and then nonsense."""
    kind = chance.random()
    if kind < 0.5:
        return "".join(chance.choices(TOKENS, k=chance.choice((1, 1, 1, 2, 3))))
    if kind < 0.65:
        text = chance.choice(TOKENS)
        return chance.choice((str.upper, str.title, str.capitalize))(text)
    if kind < 0.75:
        return unicodedata.normalize("NFD", "".join(chance.choices("aeiouçñüéèêëàâîïôöÅøđł", k=chance.randint(1, 8))))
    if kind < 0.8:
        return chance.choice(("ab", "é", "가", "\U0001d11e", "x\u0301")) * chance.choice(
            (20, 49, 50, 51, 99, 100, 101, 300)
        )
    if kind < 0.9:
        first, last = chance.choice(SCRIPTS)
        return "".join(chr(chance.randint(first, last)) for _ in range(chance.randint(1, 6)))
    return "".join(chance.choices(ODD + BLANKS + "'!?.,-#[]()", k=chance.randint(1, 6)))


def texts(count, seed=1):
    chance = random.Random(seed)
    for _ in range(count):
        words = [word(chance) for _ in range(chance.choice((0, 1, 2, 5, 12, 12, 12, 60)))]
        yield "".join(piece + chance.choice((" ", " ", " ", "", chance.choice(BLANKS), "?")) for piece in words)


def expected_vector(text):
    """The reference's vector, or None where no token is known: there the reference gives the direction of [UNK]."""
    if set(reference.tokenise(text)[:256]) <= {UNKNOWN}:
        return None
    return reference.embed(text)


def assert_same(text):
    ids = reference.tokenise(text)
    assert tokenise(text, 10**6) == ids, ascii(text)
    assert tokenise(text, 32) == ids[:32], ascii(text)
    assert_same_vector(text)


def assert_same_vector(text):
    ours, theirs = embed(text), expected_vector(text)
    assert (ours is None) == (theirs is None), ascii(text)
    if ours is not None:
        assert np.abs(np.asarray(ours) - theirs).max() < 1e-6, ascii(text)


def vector_or_zeros(text):
    vector = embed(text)
    return np.zeros(EMBEDDER_DIMENSIONS, np.float32) if vector is None else np.asarray(vector)


def test_the_vectors_that_came_with_the_model():
    pairs = json.loads((MODELS / "vectors.json").read_text("utf-8"))["vectors"]
    assert len(pairs) == 60
    for pair in pairs:
        for side in "ab":
            assert tokenise(pair[side]) == pair[f"ids_{side}"]
            assert vector_or_zeros(pair[side])[:8] == pytest.approx(pair[f"embedding_{side}"], abs=1e-6)
        cosine = float(vector_or_zeros(pair["a"]) @ vector_or_zeros(pair["b"]))
        assert cosine == pytest.approx(pair["cosine"], abs=2e-6)


@needs_unicode_14
def test_any_text_gives_the_reference_s_ids_and_vector():
    for text in texts(FUZZ):
        assert_same(text)


def test_ascii_gives_the_reference_s_ids_on_every_python():
    chance = random.Random(2)
    for _ in range(FUZZ // 3):
        text = "".join(
            chance.choices([*map(chr, range(128)), "the ", "quick ", "embeddings "], k=chance.randint(0, 80))
        )
        assert_same(text)


@needs_unicode_14
def test_every_code_point_alone_and_inside_a_word():
    step = 1 if FUZZ >= 100_000 else 61
    for code in [*range(0x3000), *range(0x3000, 0x110000, step)]:
        text = f"a{chr(code)}b {chr(code)}"
        assert tokenise(text) == reference.tokenise(text), hex(code)


@needs_unicode_14
def test_the_table_of_characters_is_what_its_script_writes():
    assert runpy.run_path(str(MODELS / "make_characters.py"))["build"]() == (MODELS / "characters.bin").read_bytes()


def test_marks_that_normalisation_may_reorder_are_in_no_token():
    """The reason why characters can be read one by one; see make_characters.py."""
    movable = {
        chr(code)
        for code in range(0x110000)
        if unicodedata.combining(chr(code)) and unicodedata.category(chr(code)) != "Mn"
    }
    assert movable
    assert not movable & set("".join(reference.VOCAB))


def test_a_text_of_unknown_words_has_no_vector():
    for text in ("", " \n", "\0\u0301", "ខ្មែរ", "𝔘𝔫𝔦", "\U0010ffff" * 300):
        assert embed(text) is None, ascii(text)
    assert embed("the ខ្មែរ") is not None


def test_a_vector_is_a_read_only_array_of_32_bit_floats():
    vector = embed("How do I change my address?")
    assert (vector.format, vector.shape, vector.readonly) == ("f", (EMBEDDER_DIMENSIONS,), True)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    assert np.asarray(vector).dtype == np.float32
    assert EMBEDDER == "resopt-static-1"


def test_only_the_first_256_tokens_count():
    text = "one two three " * 200
    assert len(tokenise(text)) == 256
    assert np.array_equal(embed(text), embed(text + " zebra" * 1000))
    assert not np.array_equal(embed("zebra " + text), embed(text))


HOSTILE = {
    "word": "a" * 10**6,
    "words": "a " * 10**6,
    "blanks": " " * 10**6,
    "nulls": "\0" * 10**6,
    "surrogates": "\ud800" * 10**6,
    "accents": "é" * 10**6,
    "han": "漢" * 10**6,
    "marks": "e\u0301\u0345" * 10**5,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_read_or_have_no_vector(text):
    ids = tokenise(text)
    assert len(ids) <= 256
    assert ids == reference.tokenise(text[:2000])[:256]
    vector = embed(text)
    assert vector is None or np.isfinite(vector).all()


def test_lone_surrogates_are_read_as_nothing():
    assert tokenise("wo\ud800rd \udfff") == tokenise("word")
    assert np.array_equal(embed("wo\ud800rd"), embed("word"))


def test_a_limit_is_not_negative_and_text_is_text():
    assert tokenise("one two", 0) == []
    with pytest.raises(OverflowError):
        tokenise("one", -1)
    for bad in (b"one", None, 1):
        with pytest.raises(TypeError):
            tokenise(bad)
        with pytest.raises(TypeError):
            embed(bad)


def test_many_threads_may_use_it_at_once():
    wanted, wrong = np.asarray(embed("many threads read one table")), []

    def read():
        wrong.extend(1 for _ in range(300) if not np.array_equal(embed("many threads read one table"), wanted))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_damaged_model_has_an_error_of_its_own():
    assert issubclass(resopt.DamagedModelError, resopt.ResoptError)
    assert issubclass(resopt.DamagedModelError, RuntimeError)
