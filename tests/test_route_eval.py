"""The figures by which routers are judged, and `resopt eval routing`."""

import gzip
import json
import random

import pytest

from resopt._core import RouteModel
from resopt._core import apgr as core_apgr
from resopt.cli import main
from resopt.errors import ConfigurationError
from resopt.route.evaluate import (
    Labelled,
    apgr,
    baselines,
    cross_validated,
    evaluate,
    keyword_score,
    log_length,
)


def rows(count=300, seed=2):
    """Long questions are those that the weak model fails."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        length = chance.randint(3, 40)
        hard = chance.random() < length / 45
        text = " ".join(chance.choice(("tea", "cake", "jam", "bread")) for _ in range(length))
        made.append({"prompt": f"{text} {number}?", "weak": float(not hard), "strong": 1.0})
    return made


def labelled(count=300):
    made = rows(count)
    return Labelled([r["prompt"] for r in made], [r["weak"] for r in made], [r["strong"] for r in made])


def slow_apgr(scores, weak, strong):
    """By the definition: the mean over many random orders of ties, as a sum over rows."""
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    groups = {}
    for row in order:
        groups.setdefault(scores[row], []).append(strong[row] - weak[row])
    total = sum(strong) - sum(weak)
    area = recovered = 0.0
    for gains in groups.values():
        for place in range(len(gains)):
            area += recovered + sum(gains) * (place + 0.5) / len(gains)
        recovered += sum(gains)
    return area / total / len(scores)


def test_apgr_is_what_its_definition_says():
    chance = random.Random(3)
    for _ in range(30):
        count = chance.randint(2, 60)
        scores = [float(chance.randint(0, 9)) for _ in range(count)]
        weak = [chance.random() * 0.5 for _ in range(count)]
        strong = [0.5 + chance.random() * 0.5 for _ in range(count)]
        expected = slow_apgr(scores, weak, strong)
        assert apgr(scores, weak, strong) == pytest.approx(expected)
        gains = [high - low for low, high in zip(weak, strong, strict=True)]
        assert core_apgr(scores, gains) == pytest.approx(expected, abs=1e-6)


def test_random_is_a_half_and_the_oracle_is_best():
    labels = labelled()
    scored = baselines(labels)
    found = {name: evaluate(name, scores, labels, rounds=50, flat=name == "oracle") for name, scores in scored.items()}
    assert found["random"].apgr.value == pytest.approx(0.5)
    assert (found["random"].cpt50.value, found["random"].cpt80.value) == pytest.approx((0.5, 0.8))
    assert found["oracle"].apgr.value == max(each.apgr.value for each in found.values())
    assert found["log length"].apgr.value > 0.6
    for each in found.values():
        assert each.apgr.low <= each.apgr.value <= each.apgr.high
        assert each.cpt50.value <= each.cpt80.value
        assert 0 < each.equal_cost.value <= 1
    again = evaluate("log length", scored["log length"], labels, rounds=50)
    assert again == found["log length"], "the same seed draws the same rows"


def test_a_cascade_pays_the_weak_model_on_every_row():
    labels = Labelled(["a", "b"], [0.0, 1.0], [1.0, 1.0])
    before = evaluate("route", [1.0, 0.0], labels, rounds=0, price_ratio=10)
    after = evaluate("cascade", [1.0, 0.0], labels, rounds=0, price_ratio=10, post_hoc=True)
    assert after.equal_cost.value - before.equal_cost.value == pytest.approx(0.05, abs=0.01)


def test_the_patterns_heuristic_is_as_it_is_written():
    assert keyword_score("why is it") == 3
    assert keyword_score("design it and explain") == 7
    assert keyword_score("redesign " * 25) == 2
    assert log_length("") == 0


def test_labels_without_a_gap_are_refused():
    for weak, strong in (([1.0, 1.0], [1.0, 1.0]), ([1.0], [1.0, 1.0])):
        with pytest.raises(ConfigurationError):
            Labelled(["a", "b"], weak, strong)


def test_cross_validation_never_scores_what_it_was_fitted_on():
    labels = labelled(100)
    seen = []

    def fit(prompts, gains):
        assert len(prompts) == len(gains) == 40
        seen.append(set(prompts))
        return lambda prompt: float(prompt in seen[-1])

    assert cross_validated(labels, fit, labels=40) == [0.0] * 100
    assert len(seen) == 5


@pytest.fixture
def write(tmp_path):
    def write(rows, name="rows.jsonl", zipped=False):
        text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(text) if zipped else text)
        return str(path)

    return write


def test_the_verb_prints_every_router(write, capsys):
    assert main(["eval", "routing", write(rows(), zipped=True), "--rounds", "20"]) == 0
    out = capsys.readouterr().out
    for name in ("random", "keywords", "log length", "resopt, no labels", "resopt, fitted", "oracle", "best single"):
        assert name in out
    assert "300 questions; weak 0." in out
    assert "cascade" not in out.split("APGR: share")[0]


def test_the_verb_speaks_json_and_knows_cascades(write, capsys):
    made = [{**row, "weak_response": "so it is 5" if row["weak"] else "maybe, not sure"} for row in rows()]
    assert main(["eval", "routing", write(made), "--rounds", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {router["name"]: router for router in found["routers"]}
    assert by_name["resopt, cascade on answers (5-fold)"]["apgr"]["value"] > 0.7
    assert (found["rows"], found["weak"], found["strong"]) == (300, "weak", "strong")


def test_scores_of_many_models(write, capsys):
    made = [
        {"prompt": row["prompt"], "scores": {"small": row["weak"], "middle": row["weak"], "large": 1.0}}
        for row in rows(60)
    ]
    path = write(made)
    assert main(["eval", "routing", path, "--weak", "small", "--rounds", "20"]) == 0
    assert "best single large 1.000" in capsys.readouterr().out
    assert main(["eval", "routing", path, "--rounds", "20"]) == 2
    assert "--weak" in capsys.readouterr().err
    assert main(["eval", "routing", path, "--weak", "tiny"]) == 2
    assert "tiny" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ([], "no rows"),
        (["{"], "line 1: no JSON"),
        (["[]"], "with a prompt"),
        ([{"prompt": "a", "weak": 2, "strong": 1}], "row 1"),
        ([{"prompt": "a", "weak": 1, "strong": 1}] * 3, "no better"),
    ],
)
def test_files_that_will_not_do_are_one_line_on_stderr(write, capsys, bad, why):
    assert main(["eval", "routing", write(bad)]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert err.count("\n") == 1
    assert main(["eval", "routing", "/nowhere.jsonl"]) == 2


def test_fitting_ten_thousand_rows_leaves_a_small_file():
    """How long it takes is measured in benches/; here that it works at all, on rows of one shape."""
    texts = [f"question {number % 97} about {number % 13} and {number}" for number in range(10_000)]
    gains = [float(number % 13 == 5) for number in range(10_000)]
    model = RouteModel.fit(texts, gains)
    assert len(model.to_bytes()) <= 300_000
    assert model.summary[3] > 0.9
