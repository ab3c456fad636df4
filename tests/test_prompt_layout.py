"""Blanks and lines that say something: boards, records, free cells, code, and prompts that speak of them."""

import pytest

from resopt import optimize_prompt
from resopt.prompt.optimizer import LEVELS

KEPT = {
    "free cells": "Item        Jan     Feb     Mar\nBananas      12              9\nApples               4       7",
    "free cell at the end": "Name      Qty    Price\nApple       3     1.20\nPear       10\n\nWhat does a pear cost?",
    "seats": "Seats:\nA B   D\nA   C D\nWhich one is free in row 1?",
    "maze": "Find the way:\n#######\n#     #\n# ### #\n#     E\n#######",
    "game": "Here it is:\nX   O\n  X  \nO    \nWhere should X go?",
    "record": "Record: 0001  JOHN      DOE       19800101\nParse it: columns 1-4 id, 7-16 first name.",
    "record alone": "0001  JOHN      DOE       19800101\nWhat is the first name?",
    "tabs": "a\tb\tc\n1\t\t3\n\t2\t3",
    "verse": "Roses   are red,\n    violets   are blue,\n\n        sugar.",
    "words": "aaaa  bbbb",
    "spoken of": "Check whether this has double blanks in it:\nthe quick  brown   fox jumps over the lazy dog",
    "spacing": "Format:\n    name:    <name>\n    age:     <age>\n\nFollow the format exactly, including the spacing.",
    "line": '{\n  "n": 1.0,\n  "list": [ 1, 2 ]\n}\n\nTell me on which line there is an error.',
    "expression": "Write an expression that matches two spaces. For example:   x   y   z",
    "comment": "<p>a</p>\n<!-- version 3 -->\n<p>b</p>\n\nConvert it, but keep comments.",
    "makefile": "Review this:\nall:\n\tgcc  -o  a  a.c\n\n\n\nclean:\n\trm   a",
    "python": "Explain it.\n\ndef f(xs):\n    # please keep\n    return   xs\n\n\n\ndef g():\n    pass",
    "diff": "Review it.\n\n- return   a+b\n+ return a-b",
    "sql": "SELECT *   FROM t\nWHERE   a = 'please'\n\nExplain the query.",
    "yaml": "---\nname: agent\nsteps:\n  - run:   just build\n  - run:   just test\n---\nExplain it.",
    "c": "Explain:\n\n    int   main ( ) {\n        puts(x   y);\n\n\n    }",
}


@pytest.mark.parametrize("level", ["lossless", "light"])
@pytest.mark.parametrize("name", KEPT)
def test_blanks_that_say_something_stay(name, level):
    assert optimize_prompt(KEPT[name], level).text == KEPT[name]


def test_a_rule_between_parts_is_shortened_and_a_frame_is_not():
    rule = "One.\n==========\nTwo."
    assert optimize_prompt(rule, "lossless").text == "One.\n===\nTwo."
    frame = "##########\n#  x     #\n##########"
    assert optimize_prompt(frame, "lossless").text == frame


@pytest.mark.parametrize("level", LEVELS)
def test_a_change_of_blanks_saves_at_least_a_token(level):
    prompt = "Sort  the list. \n\nPrint the  list of names,   one by one.  \n\n\nname     age\nAnna     31\n"
    result = optimize_prompt(prompt, level)
    assert all(change.tokens > 0 for change in result.changes if change.rule.endswith("blanks"))


@pytest.mark.parametrize("level", LEVELS)
def test_no_text_gets_longer_in_characters(level):
    prompt = "\xa0\xa0Please\xa0do   it\u2003now\u200b.\u3000OK"
    result = optimize_prompt(prompt, level)
    assert len(result.text) <= len(prompt)
    assert len(result.text.encode()) <= len(prompt.encode())
    assert result.restore() == prompt
