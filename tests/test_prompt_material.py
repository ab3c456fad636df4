"""What of a user's text is material, and that odd texts take no longer than others."""

import time

import pytest

from resopt.prompt.material import materials_of, question_of, without

TOLD = "\n\n".join(
    f"Town{at}. The office in Town{at} was opened in {1900 + at} by Person{at} Name. It lies near the river. "
    "If it rains, the roof leaks. No dogs are allowed."
    for at in range(6)
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<context>\n", "\n</context>\nNever guess."),
        ('<document id="1">', "</document>Why?"),
        ('Answer from it: """', '"""'),
        ("Context information is below.\n-----\n", "\n-----\nGiven the context, answer.\nQuery: Why?"),
        ("Context:\n", "\n\nUse only the above. Never invent.\n\nQuestion: Why?"),
        ("## Relevant passages:\n", "\n\nIf it is not there, say so."),
        ("Context:\n", ""),
    ],
)
def test_material_is_what_says_so_and_no_instruction_behind_it(before, after):
    ((start, end),) = materials_of(before + TOLD + after)
    assert (before + TOLD + after)[start:end].strip() == TOLD


@pytest.mark.parametrize(
    "text",
    [
        TOLD,
        "Never invent a value. If a field is missing, use null. " * 20,
        f"Rules:\n{TOLD}",
        f"Context:\nNever invent a value.\n\n{TOLD}",
        f"Context:\n{TOLD}\n\nYou are careful.\n\n{TOLD}",
        "<context>short</context>" + TOLD,
        f"Context matters.\n{TOLD}",
        f"<instructions>{TOLD}</instructions>",
    ],
)
def test_anything_else_may_be_an_instruction(text):
    assert materials_of(text) == []


def test_documents_within_documents_are_those_innermost():
    text = f"<documents><document><source>a.txt</source>\n{TOLD}</document><document>{TOLD}</document></documents>Who?"
    places = materials_of(text)
    assert [text[start:end] for start, end in places] == [
        TOLD
    ]  # the first has a tag within: its text is not told apart
    assert question_of(without(text, places)).endswith("Who?")


@pytest.mark.parametrize(
    "text",
    [
        "Context:\n" + "; if " * 40_000,
        "Context:\nx\n" + " " * 200_000 + "y",
        "Context:\n" + "x.\n" + "\n \n" * 50_000,
        "<context>" * 20_000,
        "<document " * 20_000,
        "Context:\n" * 20_000,
        "context\n---\n" + "context\n----x\n" * 10_000,
        '"""' * 50_001,
        "Passage 1: " * 20_000,
        "question " * 20_000,
    ],
)
def test_odd_texts_take_no_longer_than_others(text):
    start = time.process_time()
    question_of(without(text, materials_of(text)))
    assert time.process_time() - start < 1.5
