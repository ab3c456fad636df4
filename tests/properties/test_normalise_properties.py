"""Folding against Python's own Unicode, over every character and over text made of characters that interact."""

from __future__ import annotations

import sys
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from resopt._core import fold, fold_unicode, is_plain_question
from resopt.key import key

ASSIGNED = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) not in {"Cn", "Cs"}
]
"""What this Python's Unicode version knows: newer versions never change the folding of these."""

INTERACTING = [
    character
    for character in ASSIGNED
    if unicodedata.combining(character)
    or unicodedata.decomposition(character)
    or character.isspace()
    or character.casefold() != character.lower()
    or 0x1100 <= ord(character) < 0x1200
]


def recipe(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def test_every_character_folds_as_python_folds_it():
    wrong = [character for character in ASSIGNED if fold_unicode(f"a{character}b") != recipe(f"a{character}b")]
    assert wrong == []


def test_python_splits_at_the_same_blanks():
    for character in ASSIGNED:
        assert (fold_unicode(f"a{character}b") == "a b") == (recipe(f"a{character}b") == "a b")
    for separator in "\x1c\x1d\x1e\x1f\x85\u2028\u3000":
        assert fold_unicode(f"{separator}a{separator * 2}b{separator}") == "a b"


texts = st.text(st.sampled_from(ASSIGNED)) | st.text(
    st.sampled_from(INTERACTING) | st.sampled_from("aAsSiIkK가ᄀ\u1161\u11a8かｶ") | st.characters(max_codepoint=127),
    max_size=60,
)


@given(texts)
@settings(max_examples=5000, deadline=None)
def test_text_folds_as_python_folds_it(text):
    assert fold_unicode(text) == recipe(text)


def test_a_large_random_sample_folds_as_python_folds_it():
    import random

    chance = random.Random(7)
    for _ in range(20_000):
        length = chance.randrange(1, 40)
        text = "".join(chance.choices(ASSIGNED, k=length // 2) + chance.choices(INTERACTING, k=length))
        assert fold_unicode(text) == recipe(text), ascii(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x24F)))
@settings(max_examples=2000, deadline=None)
def test_folding_the_fold_changes_nothing_but_kept_capitals(text):
    once = fold(text)
    assert fold(once).casefold() == once.casefold()


@given(st.text(st.sampled_from(ASSIGNED)))
@settings(deadline=None)
def test_folded_questions_keep_the_recipe_but_for_marks_and_capitals(text):
    assert recipe(text).startswith(fold(text).casefold())
    assert set(recipe(text)[len(fold(text)) :]) <= set(".?! ")


@given(st.text())
@settings(deadline=None)
def test_any_text_has_an_answer(text):
    assert is_plain_question(text) in {True, False}
    assert len(key(text)) == 16
