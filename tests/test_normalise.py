"""Which questions are the same question."""

from __future__ import annotations

import pytest

from resopt._core import UNICODE_VERSION, fold, fold_unicode, is_plain_question
from resopt.errors import UnkeyableError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is Python?", "what is python"),
        ("  what\tIS   python ?!. ", "what is python"),
        ("Ｗhat ｉs Ｐython？", "what is python"),
        ("Wie groß ist die Straße?", "wie gross ist die strasse"),
        ("What is the US?", "what is the US"),
        ("what is the us?", "what is the us"),
        ("WHAT IS THE US?", "what is the us"),
        ("Does IT have an API?", "does IT have an api"),
        ("Who leads the WHO?", "who leads the WHO"),
        ("What is 5!", "what is 5!"),
        ("Why, e.g. now...", "why, e.g. now"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_questions_fold(text, expected):
    assert fold(text) == expected


def test_the_rules_are_on_top_of_the_recipe():
    assert fold_unicode(" What is the US?  ") == "what is the us?"


@pytest.mark.parametrize("text", ["What is Python?", "a\n", "é" * 512, "`ls`?", "50% of $3 < 2"])
def test_one_short_line_is_a_plain_question(text):
    assert is_plain_question(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "a\nb", "a\r\nb", "a\x85b", "a\u2028b", "```a```", "{a}", "a}", "x" * 513, "é" * 513, "2³", "\ud800"],
)
def test_other_text_is_not(text):
    assert not is_plain_question(text)


def test_a_lone_surrogate_cannot_be_folded():
    for function in (fold, fold_unicode):
        with pytest.raises(UnkeyableError, match="lone surrogate"):
            function("a\ud800")


def test_the_version_names_both_sources():
    normal, folding = UNICODE_VERSION.split("+")
    assert [len(version.split(".")) for version in (normal, folding)] == [3, 3]
