"""The bundled verifier against the reference it was made with: the same signals, the same probability, on any text.

`RESOPT_PAIRS=10000` (with `--timeout 0`) makes the differential test that long.
"""

import itertools
import json
import os
import random
import threading
from pathlib import Path

import pytest

import reference_semantic as reference
from resopt._core import verify

VECTORS = json.loads((Path(__file__).parent.parent / "rust" / "core" / "models" / "vectors.json").read_text("utf-8"))
SIGNALS = VECTORS["signals"][:15]
PAIRS = int(os.environ.get("RESOPT_PAIRS", "600"))
QUESTIONS = [text for vector in VECTORS["vectors"] for text in (vector["a"], vector["b"])]
PIECES = """
not two 2.50 1k 1,000 from to best worst can't cannot monday tuesday c++ c# who how what when buy sell before after I'm
it's don't ain't fifteen i7 b2b the a of in 3.5.1 USD dollars paris london please first second with without
"""
WORDS = PIECES.split()
ODD = "aZ09 ,.'’+#-kéß한國١İſΣς\n\t()/%$€🙂\u0301\u200dⅧ²"


def changed(chance, text):
    """A text with a few words exchanged, dropped or added: what a verifier meets."""
    words = text.split() or ["what"]
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(words))
        kind = chance.random()
        if kind < 0.4:
            words[at] = chance.choice(WORDS)
        elif kind < 0.7:
            words.insert(at, chance.choice(WORDS))
        elif len(words) > 1:
            words[at], words[at - 1] = words[at - 1], words[at]
    return " ".join(words)


def pairs(count):
    chance = random.Random(11)
    for _ in range(count):
        kind = chance.random()
        a = chance.choice(QUESTIONS)
        if kind < 0.6:
            yield a, changed(chance, a)
        elif kind < 0.85:
            yield changed(chance, a), chance.choice(QUESTIONS)
        else:
            yield tuple("".join(chance.choices(ODD, k=chance.randint(0, 40))) for _ in range(2))


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=range(len(VECTORS["vectors"])))
def test_the_model_s_own_vectors(vector):
    probability, logit, signals = verify(vector["a"], vector["b"])
    assert probability == pytest.approx(vector["probability"], abs=1e-3)
    assert logit == pytest.approx(vector["logit"], abs=5e-3)
    assert list(signals) == SIGNALS
    assert list(signals.values()) == pytest.approx(vector["signals"][:15], abs=1e-3)


def test_any_pair_has_the_reference_s_signals_and_probability_both_ways():
    for a, b in pairs(PAIRS):
        probability, _, signals = verify(a, b)
        expected = reference.signals(a, b)
        assert signals == pytest.approx({name: expected[name] for name in SIGNALS}, abs=1e-6), (a, b)
        assert probability == pytest.approx(reference.verify(a, b), abs=1e-3), (a, b)
        assert verify(b, a)[0] == pytest.approx(probability, abs=1e-5), (a, b)


def test_it_tells_a_paraphrase_from_another_question():
    same = verify("How do I reset my password?", "How can I reset my password?")[0]
    other = verify("How do I reset my password?", "How do I close my account?")[0]
    assert same > 0.9 > 0.2 > other


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\ud800 lone",
        "\0\x1b[31m",
        "ក្រុម",
        "各" * 5000,
        "a" * 10**6,
        "9" * 10**6 + "k",
        "can't " * 200_000,
        "🙂" * 99,
    ],
    ids=["empty", "blank", "surrogate", "control", "khmer", "han", "one word", "digits", "long", "emoji"],
)
def test_hostile_text_gets_a_probability(text):
    for a, b in ((text, "How do I reset my password?"), ("what?", text), (text, text)):
        assert 0.0 <= verify(a, b)[0] <= 1.0


def test_a_text_without_tokens_is_like_nothing():
    assert verify("", "")[0] < 1e-6
    assert verify("", "a question")[1] == -20.0


def test_threads_share_it():
    found = []

    def work():
        found.append([verify(a, b)[0] for a, b in itertools.pairwise(QUESTIONS)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4
