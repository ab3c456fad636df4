"""Prompts without their fat: what each level does, what none may touch, and the receipt."""

import statistics

import pytest

from prompt_oracle import corpus, violations
from resopt import ConfigurationError, OptimizedPrompt, count_tokens, optimize_prompt
from resopt.prompt.optimizer import LEVELS

PATTERN = (
    "You are a helpful AI assistant. Please provide a detailed and comprehensive answer to the following question. "
    "Make sure your response is accurate and informative. Question: What is Python?"
)
CORPUS = corpus()
BREVITY = "Be brief.\n"
SHORTER = "Please make sure that you answer."
"""A sentence that level light shortens to `Answer.`"""


@pytest.fixture(params=LEVELS)
def level(request):
    return request.param


def light(prompt, **options):
    return optimize_prompt(prompt, "light", **options).text


def test_the_patterns_own_example_loses_most_and_keeps_its_question():
    result = optimize_prompt(PATTERN)
    assert result.text == "Question: What is Python?"
    assert result.tokens_saved >= 0.6 * result.tokens_before
    assert result.saved_by_rule == {"exhortation": 21, "persona": 7}
    assert sum(change.tokens for change in result.changes) == result.tokens_saved == 28
    assert result.restore() == PATTERN


def test_the_recipe_of_the_pattern_loses_what_it_calls_redundant():
    prompt = "You are a helpful AI assistant. Please provide a detailed and accurate answer. What is Python?"
    assert light(prompt) == "What is Python?"


def test_the_corpus_is_what_it_says():
    assert len(CORPUS) >= 79
    assert sum(style == "verbose" for _, _, style, _ in CORPUS) >= 60
    assert {kind for _, kind, _, _ in CORPUS} >= {"support", "extraction", "coding", "rag", "agents"}


@pytest.mark.parametrize(("name", "style", "prompt"), [(name, style, text) for name, _, style, text in CORPUS])
def test_nothing_protected_is_lost_and_everything_can_be_undone(name, style, prompt):
    for level in LEVELS:
        result = optimize_prompt(prompt, level)
        assert violations(prompt, result.text) == []
        assert result.restore() == prompt
        assert optimize_prompt(result.text, level).changes == ()
        assert result.tokens_after <= result.tokens_before
        assert len(result.text) <= len(prompt)
        if style != "verbose":
            assert result.text.removeprefix(BREVITY) == prompt


def test_light_saves_a_fifth_to_two_fifths_of_verbose_prompts():
    results = [optimize_prompt(text) for _, _, style, text in CORPUS if style == "verbose"]
    saved = [result.tokens_saved / result.tokens_before for result in results]
    assert 0.20 <= statistics.median(saved) <= 0.40


def test_no_debris_is_left():
    for _, _, _, prompt in CORPUS:
        text = light(prompt)
        for debris in (" ,", " .", ",,", ", .", " ?", "  and", "..", ". and ", "You you", "\n\n\n"):
            assert text.count(debris) <= prompt.count(debris), (debris, text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Please write a poem.", "Write a poem."),
        ("Write a poem, please.", "Write a poem."),
        ("Could you, please, write a poem?", "Could you write a poem?"),
        ("Can you please explain recursion to a child?", "Explain recursion to a child."),
        ("I would like you to please summarize the text.", "Summarize the text."),
        ("Your task is to read the mail and to answer it.", "Read the mail and answer it."),
        ("Make sure that you are polite.", "Ensure you are polite."),
        ("Please make sure that you never guess.", "Never guess."),
        ("In order to answer, use the table.", "To answer, use the table."),
        ("Note that a is red and that b is blue.", "Note that a is red and that b is blue."),
        ("For each of the questions, give one reason.", "For each question, give one reason."),
        ("List the skills that are mentioned there.", "List the skills mentioned there."),
        ("You are a helpful, friendly and smart tutor of physics.", "You are a friendly tutor of physics."),
        ("You are an experienced editor at a journal.", "You are an editor at a journal."),
        ("If it fails, please try again.", "If it fails, try again."),
        ("Hello, could you please help me to fix this bug?", "Fix this bug."),
    ],
)
def test_light_writes_what_a_person_would(before, after):
    assert light(before) == after


@pytest.mark.parametrize(
    "kept",
    [
        "```\nPlease make sure that you answer.\n```",
        "`Please make sure that you answer.`",
        '"Please make sure that you answer."',
        "“Please make sure that you answer.”",
        "    please = make(sure)",
        "def please(make, sure): # please make sure that you",
        "SELECT please FROM make WHERE sure = 'please';",
        '{"please": "make sure that you"}',
        "{please make sure}",
        "{{ please make sure }}",
        "<please>make sure that you</please>",
        "Review: please make sure that you are really quick.",
        "Text:\nPlease make sure that you answer. It is very important to please.",
        '"""\nPlease make sure that you answer.\n"""',
    ],
)
def test_what_is_not_for_us_to_touch(kept, level):
    text = optimize_prompt(f"Do it.\n\n{kept}\n\n{SHORTER}", level).text
    assert kept in text or kept.replace(": ", ":") in text  # JSON may lose its blanks


@pytest.mark.parametrize(
    "kept",
    ["Never", "do not", "unless", "only if", "must", "at least 3", "5 kg", "https://a.b/please?x=1", "%s", "$NAME"],
)
def test_words_that_matter_stay(kept, level):
    prompt = f"Please make sure that you answer. {kept} is what I would like you to please say."
    assert kept in optimize_prompt(prompt, level).text


def test_marks_of_the_caller_protect_what_is_between(level):
    inner = f"{SHORTER} {SHORTER}"
    prompt = f"{SHORTER}\n<keep>{inner}</keep>\n@@{inner}@@"
    result = optimize_prompt(prompt, level, protect=[("<keep>", "</keep>"), "@@"])
    assert f"<keep>{inner}</keep>" in result.text
    assert f"@@{inner}@@" in result.text
    if level != "lossless":
        assert "Answer.\n" in result.text
        assert optimize_prompt(f"{SHORTER}\n@@{inner}@@", level).text != f"{SHORTER}\n@@{inner}@@"


def test_lossless_takes_blanks_padding_and_repetition():
    prompt = (
        "A   line  here.   \n\n\n\n| a    | b   |\n|------|:----|\n| 1    | 2   |\n\n==========\n"
        '{\n  "x": [1, 2],\n  "y": "a  b"\n}\n\n<!-- a comment -->\nOne&nbsp;two.\n\n'
        "Always use plain words and short sentences, and be kind to the customers.\n\n"
        "Always use plain words and short sentences, and be kind to the customers.\n"
    )
    result = optimize_prompt(prompt, "lossless")
    assert result.text == (
        'A line here.\n\n|a|b|\n|-|:-|\n|1|2|\n\n===\n{"x":[1,2],"y":"a  b"}\n\nOne two.\n\n'
        "Always use plain words and short sentences, and be kind to the customers."
    )
    assert result.restore() == prompt


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('Order: {\n  "id": 7,\n  "to": "a  b"\n}\nSum it up.', 'Order: {"id":7,"to":"a  b"}\nSum it up.'),
        ('The order is: [{"id": 7}, {"id": 8}]', 'The order is: [{"id":7},{"id":8}]'),
        ('x = {\n  "id": 7,\n  "to": 8\n}', None),
        ('return: {\n  "id": 7,\n  "to": 8\n}', None),
        ('  order: {"id": 7, "to": 8}', None),
        ('f(order): {"id": 7, "to": 8}', None),
        ('order: {"id": 7, "to": 8};', None),
    ],
)
def test_json_behind_a_label_is_compacted_and_behind_code_is_not(before, after):
    result = optimize_prompt(before, "lossless")
    assert result.text == (before if after is None else after)
    assert result.restore() == before


def test_lossless_keeps_columns_apart_and_code_as_it_is():
    table = "name                age  town\nAnna Maria           31  Oslo\nBo                    7  Rome"
    assert optimize_prompt(table, "lossless").text == table
    code = "```\na  =  1   \n\n\n\nb\n```"
    assert optimize_prompt(code, "lossless").text == code


def test_an_instruction_given_twice_is_given_once():
    again = "Make sure that you always cite the sources of claims."
    prompt = f"Please always cite the sources of claims. Use short words. {again}"
    result = optimize_prompt(prompt)
    assert result.text == "Always cite the sources of claims. Use short words."
    assert "duplicate instruction" in result.saved_by_rule


def test_strong_saves_no_less_than_light_but_for_its_wish_for_brevity():
    fewer = asked = 0
    for name, _, _, prompt in CORPUS:
        lighter, stronger = optimize_prompt(prompt), optimize_prompt(prompt, "strong")
        without = stronger.text.removeprefix(BREVITY)
        assert count_tokens(without).tokens <= lighter.tokens_after, name
        assert stronger.tokens_after <= lighter.tokens_after + count_tokens(BREVITY).tokens
        fewer += count_tokens(without).tokens < lighter.tokens_after
        asked += without != stronger.text
    assert fewer >= 20
    assert 5 <= asked <= 20


def test_strong_asks_for_brevity_where_that_can_save_something():
    prompt = "Could you please kindly tell me why the sky is blue and not green?"
    assert optimize_prompt(prompt, "strong").text.startswith(BREVITY)
    for whole in (
        "Could you please kindly answer in one word whether the sky is blue?",
        "Could you please kindly translate the page that is given below?",
        "Could you please kindly classify the weather as good or bad for me?",
        "Could you please kindly write a script that prints the weather?",
        "Could you please kindly explain step by step why the sky is blue?",
        "Could you please kindly return the colours of the sky as JSON?",
        "Could you please kindly fill in the gaps of the form that is given below?",
        "Could you please kindly answer the letter of the museum that is given below?",
    ):
        result = optimize_prompt(whole, "strong")
        assert result.changes
        assert BREVITY not in result.text


def test_strong_does_not_ask_for_brevity_where_the_caller_does_not_want_it():
    prompt = "Could you please kindly tell me why the sky is blue and not green?"
    assert not optimize_prompt(prompt, "strong", brevity=False).text.startswith(BREVITY)


def test_strong_keeps_some_examples():
    examples = "".join(f"Example {number}: text {number}\nAnswer: {number}\n\n" for number in range(1, 8))
    prompt = f"Please make sure that you classify the following text.\n\n{examples}Text: {{text}}"
    result = optimize_prompt(prompt, "strong", examples=2)
    assert result.text.startswith("Classify the text.")
    assert "Example 2: text 2" in result.text
    assert "Example 3" not in result.text
    assert result.text.endswith("Text: {text}")
    assert result.restore() == prompt


@pytest.mark.parametrize(
    "prompt",
    [
        "Por favor, asegúrese de que la respuesta sea correcta.  Gracias.",
        "Bitte stellen Sie sicher, dass die Antwort richtig ist.  Danke.",
        "S'il vous plaît, assurez-vous que la réponse est exacte.  Merci.",
    ],
)
def test_other_languages_lose_nothing_but_blanks(prompt):
    assert light(prompt) == prompt.replace("  ", " ")


def test_a_prompt_of_nothing_but_filler_is_left_as_it_is():
    for prompt in ("Please help me.", "Hello!", "Thank you very much!", "Please", "please please", ""):
        assert light(prompt) == prompt


def test_what_cannot_be_sent_is_left_alone():
    result = optimize_prompt("Please write \ud800 now.")
    assert result == OptimizedPrompt("Please write \ud800 now.", result.tokens_before, result.tokens_before)


def test_places_count_characters_not_bytes():
    prompt = "Überschrift – ja. Please write “ä” down, please."
    result = optimize_prompt(prompt)
    assert result.text == "Überschrift – ja. Write “ä” down."
    for change in result.changes:
        assert prompt[change.start : change.end] == change.before
    assert result.restore() == prompt


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": 7}, "prompt must be a str, not int"),
        ({"prompt": "a", "level": "extreme"}, "level must be one of lossless, light, strong"),
        ({"prompt": "a", "protect": "@@"}, "protect must hold several marks"),
        ({"prompt": "a", "protect": None}, "protect must hold marks or pairs of marks, \\(\\) for none, not NoneType"),
        ({"prompt": "a", "protect": 5}, "protect must hold marks or pairs of marks"),
        ({"prompt": "a", "protect": [""]}, "none of them empty"),
        ({"prompt": "a", "protect": [("a",)]}, "protect must hold marks"),
        ({"prompt": "a", "examples": 0}, "examples must be a whole number from 1 up"),
        ({"prompt": "a", "model": 3}, "model must be a str"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        optimize_prompt(**arguments)
