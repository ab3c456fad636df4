"""Fit the prior of the semantic tier's calibration again: the weights in `rust/core/src/semantic/calibrate/prior.rs`.

Reads `../shared/data/semantic/qqp_pairs.jsonl.gz` (Quora Question Pairs, development half) and says so where it is
absent. All its questions are asked in random order of a partition that stores every one. The likeliest open candidate
of each, on which a decision would fall, is right when labels join the two questions. Most pairs that need the same
answer were never shown to a labeller and count as wrong then, so the model is `P(joined) = LABELLED * sigmoid(weights .
x)` (positive and unlabelled data: Elkan and Noto, 2008), with

    LABELLED = 0.87: of the 1,055 candidates of the first order whose verifier says .90 or more, labels join 880. The
    other 175 were read by one reader who did not see the probabilities (`--read` prints them): 34 need another
    answer, 124 the same, 17 lie between and count half. 880 / (880 + 124 + 8.5) = 0.87. Fitted to the labels alone it
    would be 0.92, which makes all probabilities lower.

Shrinkage is to the verifier's own calibration: a normal prior of variance 1/4 on each weight's change. The streams with
known intents, on which benches/semantic.py measures, are not looked at.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resopt._core import Partition, verify

FILE = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "semantic" / "qqp_pairs.jsonl.gz"
LABELLED = 0.87
SLOPE, OFFSET = 0.8948, -0.2580
"""The verifier's own calibration, fitted on pairs that it was not trained on (models/MODEL_CARD.md)."""
ORDERS = 4
FOLDS = 5
SHRINKAGE = 4.0
"""One over the variance of the prior on a weight's change; orders repeat the pairs, so each counts a quarter."""
WORDS = ("constant", "logit", "question_same", "length", "extra", "extra_min", "one_word", "order")
MODELS = {
    "the verifier's own calibration": (),
    "constant and logit fitted": WORDS[:2],
    "with the words (verifier bundled, vectors the user's)": WORDS,
    "with words and cosine (both bundled)": (*WORDS, "cosine"),
}


@dataclass
class Nominated:
    """The likeliest open candidate of each question, all arrays of equal length.

    `features` by the names of `evidence.rs`, scaled as there; `joined` 1 where labels join the pair; `fold` by the
    question's group of pairs that hang together; `installed` the probability that the installed resopt gives.
    """

    features: dict[str, np.ndarray]
    verified: np.ndarray
    joined: np.ndarray
    fold: np.ndarray
    order: np.ndarray
    installed: np.ndarray
    texts: list[tuple[str, str]]


class Groups:
    """Sets of texts that were joined."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def find(self, text: str) -> str:
        """The text that stands for the set."""
        while self.parent.setdefault(text, text) != text:
            self.parent[text] = text = self.parent[self.parent[text]]
        return text

    def join(self, one: str, other: str) -> None:
        """Make two sets one."""
        self.parent[self.find(one)] = self.find(other)


def folded(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def nominate(pairs: list[dict[str, Any]]) -> Nominated:
    """Ask all questions in some orders."""
    same, hanging, texts = Groups(), Groups(), {}
    for pair in pairs:
        one, other = folded(pair["a"]), folded(pair["b"])
        texts.setdefault(one, pair["a"])
        texts.setdefault(other, pair["b"])
        hanging.join(one, other)
        if pair["y"] == 1:
            same.join(one, other)
    rows, chosen = [], []
    for order in range(ORDERS):
        keys = sorted(texts)
        random.Random(order).shuffle(keys)
        partition = Partition(audit_rate=0.0, miss_rate=0.0, seed=0)
        for turn, key in enumerate(keys):
            asked = partition.decide(texts[key], record=False).candidates
            candidates = [each for each in asked if not each["reasons"] and each["verified"] is not None]
            partition.insert(turn, texts[key])
            if not candidates:
                continue
            best = max(candidates, key=lambda candidate: candidate["verified"])
            stored = keys[best["id"]]
            fold = int(hashlib.sha256(hanging.find(key).encode()).hexdigest(), 16) % FOLDS
            joined = same.find(key) == same.find(stored)
            rows.append(
                (best["verified"], joined, fold, order, best["probability"], *features(texts[key], texts[stored], best))
            )
            chosen.append((texts[key], texts[stored]))
    verified, joined, fold, order, installed, *values = np.array(rows, float).T
    named = dict(zip((*WORDS, "cosine"), values, strict=True))
    return Nominated(named, verified, joined, fold, order, installed, chosen)


def features(question: str, stored: str, candidate: dict[str, Any]) -> tuple[float, ...]:
    """What `Evidence::features` makes of a candidate, in the order of WORDS and the cosine."""
    signals = candidate["signals"]
    logit = verify(question, stored)[1]
    return (
        1.0,
        min(max(logit, -8.0), 8.0) / 4,
        signals["question_same"],
        signals["length"] - 0.7,
        *(signals[name] for name in ("extra", "extra_min", "one_word", "order")),
        max(candidate["cosine"] - 0.9, -0.4) * 10,
    )


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def own(nominated: Nominated) -> np.ndarray:
    """The logit of the verifier's own calibration."""
    return SLOPE * 4 * nominated.features["logit"] + OFFSET


def fit(matrix: np.ndarray, offset: np.ndarray, joined: np.ndarray, labelled: float) -> np.ndarray:
    """The change of the weights that explains the labels best, by Fisher scoring."""
    weights = np.zeros(matrix.shape[1])
    for _ in range(100):
        right = sigmoid(matrix @ weights + offset)
        said = labelled * right
        slope = said * (1 - right)
        spread = said * (1 - said) * ORDERS
        gradient = matrix.T @ ((joined - said) * slope / spread) - SHRINKAGE * weights
        information = (matrix * (slope**2 / spread)[:, None]).T @ matrix + SHRINKAGE * np.eye(len(weights))
        step = np.linalg.solve(information, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def predict(nominated: Nominated, names: tuple[str, ...], *, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, each fold's from the others where `held_out`, and the weights fitted on all."""
    offset = own(nominated)
    if not names:
        return sigmoid(offset), np.zeros(0)
    matrix = np.stack([nominated.features[name] for name in names], axis=1)
    weights = fit(matrix, offset, nominated.joined, LABELLED)
    if not held_out:
        return sigmoid(matrix @ weights + offset), weights
    right = np.zeros(len(offset))
    for fold in range(FOLDS):
        inside, outside = nominated.fold == fold, nominated.fold != fold
        part = fit(matrix[outside], offset[outside], nominated.joined[outside], LABELLED)
        right[inside] = sigmoid(matrix[inside] @ part + offset[inside])
    return right, weights


def log_loss(labels: np.ndarray, said: np.ndarray) -> float:
    return float(-np.mean(labels * np.log(said) + (1 - labels) * np.log(1 - said)))


def calibration_error(labels: np.ndarray, said: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal count."""
    bins = np.array_split(np.argsort(said), 10)
    return float(sum(abs(said[each].mean() - labels[each].mean()) * len(each) for each in bins) / len(said))


def main() -> int:
    parser = argparse.ArgumentParser(description="fit the prior of the calibration")
    parser.add_argument("--read", action="store_true", help="print the pairs that LABELLED was read from")
    options = parser.parse_args()
    if not FILE.exists():
        print(f"{FILE} is absent: nothing to fit on")
        return 0
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        nominated = nominate([json.loads(line) for line in lines])
    if options.read:
        unread = (nominated.order == 0) & (nominated.verified >= 0.9) & (nominated.joined == 0)
        for at in np.flatnonzero(unread):
            print(" | ".join(nominated.texts[at]))
        return 0
    joined, likely = nominated.joined, nominated.verified >= 0.5
    print(f"{len(joined) / ORDERS:,.0f} candidates an order, {ORDERS} orders; labels join {joined.mean():.1%}")
    print("\n| 5-fold, by group of pairs | log loss | ECE | log loss, p >= .5 | p >= .95 an order | of them joined |")
    print("|---|---|---|---|---|---|")
    for name, names in MODELS.items():
        right, _ = predict(nominated, names, held_out=True)
        said, served = LABELLED * right, right >= 0.95
        print(
            f"| {name} | {log_loss(joined, said):.4f} | {calibration_error(joined, said):.4f} | "
            f"{log_loss(joined[likely], said[likely]):.4f} | {served.sum() / ORDERS:.0f} | "
            f"{joined[served].mean():.3f} |"
        )
    print("\nwas: joined / LABELLED\n\n| p | verifier's own: said | was | n | after: said | was | n |")
    print("|---|---|---|---|---|---|---|")
    bundled = (*WORDS, "cosine")
    before, after = sigmoid(own(nominated)), predict(nominated, bundled, held_out=True)[0]
    edges = (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 1.01)
    for low, high in itertools.pairwise(edges):
        cells = []
        for said in (before, after):
            inside = (said >= low) & (said < high)
            was = joined[inside].mean() / LABELLED
            cells += [f"{said[inside].mean():.3f}", f"{was:.3f}", f"{inside.sum() / ORDERS:.0f}"]
        print(f"| {low:.2f} to {high:.2f} | {' | '.join(cells)} |")
    for name, names in list(MODELS.items())[2:]:
        right, weights = predict(nominated, names, held_out=False)
        total = dict(zip(names, weights, strict=True))
        total["constant"] += OFFSET
        total["logit"] += 4 * SLOPE
        print(f"\n{name}: " + ", ".join(f"{each} {weight:.3f}" for each, weight in total.items()))
    print(f"\nlargest difference to the installed resopt: {np.abs(right - nominated.installed).max():.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
