"""Contexts cut to what a question is about, and left alone where the question does not say."""

import json
import random
import re
from pathlib import Path

import pytest

from resopt import ConfigurationError, compress_context
from resopt.prompt.dense import compact
from resopt.prompt.gate import asks_about_all

PASSAGES = (Path(__file__).parents[1] / "benches/data/passages.txt").read_text("utf-8")
BLOCKS = re.split(r"^=== ", PASSAGES, flags=re.MULTILINE)[1:]


def passages():
    return ["{}. {}".format(*block.split("\n")[:2]) for block in BLOCKS]


def questions():
    for at, block in enumerate(BLOCKS):
        for line in block.strip().split("\n")[2:]:
            yield at, *line[2:].split(" | ")


TEN = passages()[:10]
TEAS = [
    f"Town{at}. The office in Town{at} was opened in {1900 + at} by Person{at}. It is by a river. The tea is served."
    for at in range(40)
]
QUESTION = "Who designed the landing gear of the Corvus?"
ANSWER = "Hanneke Vos"


def test_the_answer_survives_among_nine_other_passages():
    texts, kept, asked = passages(), 0, 0
    for gold, question, answer in questions():
        shown = [texts[gold], *random.Random(gold).sample(texts[:gold] + texts[gold + 1 :], 9)]
        found = compress_context(shown, question)
        asked += 1
        kept += answer.lower() in " ".join(found.context).lower()
        assert found.words_after <= 0.3 * found.words_before or not found.compressed
    assert asked == 48
    assert kept >= 47


def test_what_is_left_is_in_order_and_says_what_was_done():
    found = compress_context(TEN, QUESTION)
    assert found.compressed
    assert found.reason == "kept what the question is about"
    assert found.words_after < 0.31 * found.words_before
    assert found.tokens_after < found.tokens_before
    assert ANSWER in " ".join(found.context)
    places = [next(at for at, text in enumerate(TEN) if part.split(". ")[0] in text) for part in found.context]
    assert places == sorted(places)


def test_a_text_stays_a_text_and_keeps_its_paragraphs():
    found = compress_context("\n\n".join(TEN), QUESTION)
    assert isinstance(found.context, str)
    assert ANSWER in found.context
    assert "\n\n" in found.context


def test_passages_keep_their_other_fields():
    documents = [{"id": at, "page_content": text, "metadata": {"at": at}} for at, text in enumerate(TEN)]
    found = compress_context(documents, QUESTION)
    gold = next(document for document in found.context if ANSWER in document["page_content"])
    assert gold["metadata"] == {"at": gold["id"]}
    assert documents[0]["page_content"] == TEN[0]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "tool_call_id": "1", "content": "\n\n".join(TEN)},
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": text} for text in TEN]},
    ],
)
def test_results_of_tools_are_messages_still(message):
    found = compress_context(message, QUESTION)
    assert found.compressed
    assert {key: value for key, value in found.context.items() if key != "content"} == {
        key: value for key, value in message.items() if key != "content"
    }
    assert ANSWER in str(found.context["content"])


def test_a_budget_in_tokens_is_kept():
    for budget in (60, 150, 400):
        found = compress_context(TEN, QUESTION, budget=budget)
        assert found.compressed
        assert found.tokens_after <= budget
    assert ANSWER in " ".join(compress_context(TEN, QUESTION, budget=60).context)


@pytest.mark.parametrize(
    ("context", "query", "options", "reason"),
    [
        (TEN, "Summarize the documents above.", {}, "the question is about all of it"),
        (TEN, "What do these texts say?", {}, "no clear peak"),
        (TEN, "What is the capital of Mongolia?", {}, "no clear peak"),
        (["The drone flies. " * 3 + "A drone lands. " * 3] * 8, "What does the drone do?", {}, "no clear peak"),
        (TEAS, "Is the tea served?", {}, "nearly every part matches"),
        ("\n\n".join(TEAS), "Is the tea served?", {}, "nearly every part matches"),
        (["Two words."], QUESTION, {}, "too short"),
        (TEN, QUESTION, {"budget": 100_000}, "within its budget"),
        (TEN, QUESTION, {"budget": 1}, "no"),
        ([], QUESTION, {}, "too short"),
    ],
)
def test_what_shows_no_peak_is_left_as_it_is(context, query, options, reason):
    found = compress_context(context, query, **options)
    assert not found.compressed
    assert found.reason.startswith(reason)
    assert found.context is context
    assert found.tokens_after == found.tokens_before


@pytest.mark.parametrize(
    "question",
    [
        "How many customers complained about the delivery?",
        "Which customers complained about the delivery?",
        "Which of the customers complained?",
        "What is the list of all offices?",
        "What customers have complained?",
        "What is the sum of the invoices?",
        "What was the total in March?",
        "What is the average age?",
        "Name every town.",
        "What did each of them say?",
        "Compare Town7 and Town9.",
        "Give me all customers who complained.",
        "Are there any complaints?",
        "Who are the managers?",
    ],
)
def test_what_is_about_all_of_it_is_left_whole(question):
    customers = [
        f"Customer{at} from Town{at} complained about the delivery in March. He ordered shoes and a hat."
        for at in range(40)
    ]
    found = compress_context(customers, question)
    assert (found.compressed, found.reason) == (False, "the question is about all of it")
    assert found.context is customers


@pytest.mark.parametrize(
    "question",
    ["Which bus goes to the office?", "Which process is used?", "What does the class explain?", QUESTION],
)
def test_a_question_about_one_thing_is_not_taken_for_one_about_all(question):
    assert not asks_about_all(question)


PEOPLE = [
    {"id": at, "name": f"Person{at}", "city": f"Town{at}", "note": f"Likes tea. Said {at}.50 \u00e9"}
    for at in range(60)
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"total": 60, "data": {"page": 1.50, "rows": rows}}])
def test_json_stays_json_and_its_records_whole(indent, wrap):
    text = json.dumps(wrap(PEOPLE), indent=indent)
    found = compress_context(text, "Where does Person7 live?")
    assert found.compressed
    assert found.tokens_after < 0.5 * found.tokens_before
    made = json.loads(found.context)
    rows = made if isinstance(made, list) else made["data"]["rows"]
    assert PEOPLE[7] in rows
    assert all(row in PEOPLE for row in rows)
    if isinstance(made, dict):
        assert list(made) == ["total", "data"]
        assert made["total"] == 60
        assert '"page":1.5' in found.context


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps({"a": " ".join(TEN), "b": {"c": 1}}), "JSON without a list"),
        (json.dumps(PEOPLE)[:-30], "JSON without a list"),
        (json.dumps(PEOPLE[:2]) + " " + " ".join(TEN), "JSON without a list"),
    ],
)
def test_json_that_cannot_be_chosen_from_is_left(text, reason):
    found = compress_context(text, QUESTION)
    assert not found.compressed
    assert found.reason.startswith(reason)


def test_lines_of_json_and_rows_of_tables_are_kept_whole():
    lines = [json.dumps(person) for person in PEOPLE]
    found = compress_context("\n".join(lines), "Where does Person7 live?")
    assert found.compressed
    assert set(found.context.split("\n")) < set(lines)
    assert lines[7] in found.context
    table = "| id | name | city |\n|---|---|---|\n" + "\n".join(f"| {at} | Person{at} | Town{at} |" for at in range(60))
    for text, head in ((table, table[:36]), (compact(json.dumps(PEOPLE)), 'rows of ["id","name","city","note"]:\n')):
        found = compress_context(text, "Where does Person7 live?")
        assert found.compressed
        assert found.context.startswith(head[:30])
        assert "Person7" in found.context
        assert set(found.context.split("\n")) < set(text.split("\n"))


def test_a_list_of_json_passages_loses_whole_passages_only():
    passages = [json.dumps(person) for person in PEOPLE]
    found = compress_context(passages, "Where does Person7 live?")
    assert found.compressed
    assert passages[7] in found.context
    assert set(found.context) < set(passages)


def test_numbered_passages_are_no_json():
    numbered = "\n\n".join(f"[{at}] {text}" for at, text in enumerate(TEN))
    found = compress_context(numbered, QUESTION)
    assert found.compressed
    assert ANSWER in found.context


@pytest.mark.parametrize("budget", [60, 200])
def test_whole_records_keep_to_a_budget(budget):
    found = compress_context(json.dumps({"rows": PEOPLE}), "Where does Person7 live?", budget=budget)
    assert found.tokens_after <= budget or not found.compressed
    assert json.loads(found.context)["rows"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TEN, 5), "query must be a str"),
        ((7, "a"), "context must be a str, a message or a list of passages"),
        (([7], "a"), "a passage must be a str or a dict"),
        ((["\ud800"], "a"), "lone surrogates"),
        ((TEN, "what \ud800 is it"), "query holds lone surrogates"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        compress_context(*arguments)


@pytest.mark.parametrize(
    "options", [{"share": 0}, {"share": 1.5}, {"share": True}, {"budget": 0}, {"budget": 5, "share": 0.5}]
)
def test_bad_budgets_are_named(options):
    with pytest.raises(ConfigurationError):
        compress_context(TEN, QUESTION, **options)
