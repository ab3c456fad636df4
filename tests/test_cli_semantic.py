"""`resopt explain`, `resopt eval semantic`, `resopt eval traps` and `resopt replay --semantic`."""

import gzip
import json
import sys

import pytest

from resopt.cache.traps import read_traps
from resopt.cli import main
from resopt.cli.eval_semantic import Labelled, evaluation, plot, read_pairs, weigh
from resopt.cli.replay_meaning import upper_bound

PAIRS = [
    ("How do I reset my password?", "How can I reset my password?", True),
    ("How do I reset my password?", "How do I not reset my password?", False),
    ("What does an overdraft cost?", "How old do I have to be for a loan?", False),
    ("How do I open an account?", "How can I open an account?", True),
    ("How do I block my card?", "How do I unblock my card?", False),
    ("How old do you have to be to open an account?", "How old do you need to be to open an account?", True),
]


def run(capsys, *words):
    code = main(words)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture
def labelled(tmp_path):
    file = tmp_path / "pairs.jsonl"
    rows = [{"question": q, "stored": s, "fits": fits, "probability": 0.5} for q, s, fits in PAIRS * 8]
    rows.append({"question": "q", "stored": "s", "fits": None})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    return file


# explain


def test_explain_says_which_question_is_near_and_what_refuses_it(capsys):
    code, out, _ = run(
        capsys, "explain", "How do I block my card?", "How do I unblock my card?", "How can I block my card?"
    )
    assert code == 0
    assert "opposite: block / unblock" in out
    assert "How can I block my card?" in out


def test_explain_as_json_and_from_a_file(capsys, tmp_path):
    file = tmp_path / "questions"
    file.write_text("How can I reset my password?\n\nWhat is an IBAN?\n")
    code, out, _ = run(capsys, "explain", "How do I reset my password?", "--file", str(file), "--json")
    found = json.loads(out)
    assert (code, found["decision"]) == (0, "semantic")
    assert found["candidates"][0]["question"] == "How can I reset my password?"


@pytest.mark.parametrize("words", [("q",), ("q", "--file", "/no/such/file"), ("q", "s", "--profile", "bold")])
def test_explain_needs_something_to_compare_with(capsys, words):
    code, _, err = run(capsys, "explain", *words)
    assert code == 2
    assert err


# eval semantic


def test_eval_semantic_measures_as_shipped_and_fitted(capsys, labelled):
    code, out, _ = run(capsys, "eval", "semantic", str(labelled))
    assert code == 0
    assert "48 labelled pairs, 24 fit" in out
    assert "served with at most 2% wrong" in out
    assert "s shipped, f fitted" in out
    code, out, _ = run(capsys, "eval", "semantic", str(labelled), "--json")
    shipped, fitted = json.loads(out)["results"]
    assert (shipped["name"], fitted["name"]) == ("shipped", "fitted on these labels")
    assert shipped["coverage"]["0.01"] >= 0.5, "no wrong pair is likelier than a right one"
    assert shipped["precision"]["0.95"] == 1.0


def test_guards_come_before_probabilities():
    pairs = [Labelled(*pair) for pair in PAIRS]
    weighed = weigh(pairs, "balanced")
    assert [each.refused for each in weighed] == [False, True, True, False, True, False]
    figures = evaluation("x", weighed)
    assert figures.curve[-1] == (0.5, 0.0)
    assert len(plot([figures])) > 10


def test_eval_semantic_draws(capsys, labelled, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curve.png"
    assert run(capsys, "eval", "semantic", str(labelled), "--picture", str(picture))[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(capsys, "eval", "semantic", str(labelled), "--picture", str(tmp_path / "no" / "x.png"))[0] == 2


def test_without_matplotlib_it_says_what_to_install(capsys, labelled, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, err = run(capsys, "eval", "semantic", str(labelled), "--picture", str(tmp_path / "x.png"))
    assert (code, "resopt[plot]" in err) == (2, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 labels"),
        (b'{"question": "a", "stored": "b", "fits": true}\n' * 30, "30 of them true"),
        (b"nonsense\n", "line 1"),
        (b'{"question": 1}\n', "line 1"),
        (b"\xff\xfe\n", "line 1"),
    ],
)
def test_pairs_that_cannot_be_used(tmp_path, capsys, content, said):
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(content)
    code, _, err = run(capsys, "eval", "semantic", str(file))
    assert code == 2
    assert said in err
    assert run(capsys, "eval", "semantic", str(tmp_path / "none"))[0] == 2


def test_unlabelled_pairs_are_passed_over(labelled):
    assert len(read_pairs(labelled)) == 48


# eval traps


class Naive:
    """Serves the last answer to anything."""

    def __init__(self):
        self.answer = None

    def get(self, prompt):
        return self.answer

    def set(self, prompt, answer):
        self.answer = answer


class Async(Naive):
    async def get(self, prompt):
        return self.answer

    async def clear(self):
        self.answer = None


ready = Naive()


def test_no_trap_is_served_by_our_own(capsys):
    for profile in ("strict", "balanced"):
        code, out, _ = run(capsys, "eval", "traps", "--profile", profile, "--json")
        found = json.loads(out)
        assert (code, found["total"]["traps_served"], found["served_traps"]) == (0, 0, [])
        assert found["total"]["traps"] == sum(not trap.should_hit for trap in read_traps()) >= 180
    assert found["total"]["paraphrases_served"] > 0


@pytest.mark.parametrize("name", ["Naive", "Async", "ready"])
def test_another_cache_is_caught(capsys, name):
    code, out, _ = run(capsys, "eval", "traps", "--cache", f"test_cli_semantic:{name}", "--show", "2")
    assert code == 1
    assert out.count("served: ") == 2
    assert "negation" in out


@pytest.mark.parametrize("name", ["nonsense", "no_such_module:x", "test_cli_semantic:nothing", "json:dumps"])
def test_what_is_no_cache_is_refused(capsys, name):
    code, _, err = run(capsys, "eval", "traps", "--cache", name)
    assert (code, "--cache" in err) == (2, True)


# replay --semantic


def traffic(tmp_path, answers):
    rows = [
        {"ts": 0, "prompt": "How do I reset my password?"},
        {"ts": 1, "prompt": "How can I reset my password?"},
        {"ts": 2, "prompt": "How can I reset my password?"},
        {"ts": 3, "prompt": "How do I not reset my password?"},
        {"ts": 4, "prompt": "How could I possibly change my password?"},
    ]
    for row, answer in zip(rows, answers, strict=False):
        row["response"] = answer
    file = tmp_path / "traffic.jsonl.gz"
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return file


@pytest.mark.parametrize(
    ("answers", "judged", "wrong"),
    [
        ((), 0, 0),
        (("Open the settings and choose a new one.",) * 5, 1, 0),
        (("Open the settings and choose a new one.", "Ask your administrator, who alone can do that."), 1, 1),
    ],
)
def test_replay_counts_hits_in_other_words(capsys, tmp_path, answers, judged, wrong):
    pairs = tmp_path / "pairs.jsonl"
    file = traffic(tmp_path, answers)
    code, out, _ = run(capsys, "replay", str(file), "--semantic", "balanced", "--pairs", str(pairs), "--json")
    found = json.loads(out)
    semantic = found["semantic"]
    assert (code, found["hits"], semantic["hits"], semantic["decided"]) == (0, 2, 2, 1)
    assert (semantic["judged"], semantic["wrong"]) == (judged, wrong)
    assert 0 < semantic["wrong_at_most"] <= 1
    assert semantic["refused"] == {"negation": 1}
    written = [json.loads(line) for line in pairs.read_text().splitlines()]
    assert written[0]["stored"] == "How do I reset my password?"
    code, out, _ = run(capsys, "replay", str(file), "--semantic", "strict")
    assert "the same question in other words" in out


def test_pairs_need_a_semantic_tier(capsys, tmp_path):
    code, _, err = run(capsys, "replay", str(traffic(tmp_path, ())), "--pairs", str(tmp_path / "x"))
    assert (code, "--semantic" in err) == (2, True)


@pytest.mark.parametrize(("wrong", "judged", "bound"), [(0, 59, 0.0495), (1, 93, 0.0499), (5, 5, 1.0), (0, 1, 0.95)])
def test_the_bound_is_clopper_and_pearsons(wrong, judged, bound):
    assert upper_bound(wrong, judged) == pytest.approx(bound, abs=2e-4)
