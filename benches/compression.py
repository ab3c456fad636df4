"""What is left of prompts and contexts, and whether the answer is still there.

Contexts: at 30 % of the words kept, the gold answer must still be there for at least 98 % of the questions, against
BM25 over sentences alone and a random choice of sentences, on the same split and budget. The data are those of
`../shared/data/prompts` when present (natural questions with nine distractors; five paragraphs of one article), and
always the passages written for this project: 48 questions, nine other passages of the same company with each.

Prompts: the corpus in tests/data, by level, with what an independent oracle says is lost.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from measure import Bench, duration
from resopt import compress_context, optimize_prompt
from resopt._core import extract_context

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared" / "data" / "prompts"
SHARE = 0.3
WORD = re.compile(r"[^\W_]+")

sys.path.insert(0, str(HERE.parent / "tests"))
from prompt_oracle import corpus, violations  # noqa: E402 - beside the tests, which use it too

Questions = list[tuple[str, list[str], list[str]]]


def own() -> Questions:
    """The questions of benches/data/passages.txt, each with its passage among nine others."""
    passages, asked = [], []
    for block in re.split(r"^=== ", (HERE / "data/passages.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, body, *questions = block.strip().split("\n")
        asked += [(len(passages), *line[2:].split(" | ")) for line in questions]
        passages.append(f"{title}. {body}")
    chance = random.Random(6)
    found = []
    for gold, question, answer in asked:
        others = [text for at, text in enumerate(passages) if at != gold and answer.lower() not in text.lower()]
        shown = [passages[gold], *chance.sample(others, 9)]
        chance.shuffle(shown)
        found.append((question, shown, [answer]))
    return found


def shared(name: str) -> Questions | None:
    """A file of the shared data, or None where there is none."""
    for place in (SHARED, Path("/work/shared/data/prompts")):
        if (place / name).exists():
            with gzip.open(place / name, "rt", encoding="utf-8") as file:
                rows = [json.loads(line) for line in file]
            return [(row["question"], row["passages"], row["answers"]) for row in rows]
    return None


def units(passages: list[str]) -> list[str]:
    """Sentences by the plainest rule: what the baselines choose from."""
    return [part for text in passages for part in re.split(r"(?<=[.!?])\s+", text) if part]


def fill(ranked: list[int], sentences: list[str], words: int) -> str:
    """The best sentences within a budget of words, in their order."""
    kept = []
    for at in ranked:
        length = len(sentences[at].split())
        if length <= words:
            kept.append(at)
            words -= length
    return " ".join(sentences[at] for at in sorted(kept))


def by_bm25(question: str, passages: list[str]) -> str:
    """BM25 over sentences, and nothing else: k1 1.2, b 0.75, words as they are."""
    sentences = units(passages)
    bags = [Counter(word.lower() for word in WORD.findall(text)) for text in sentences]
    average = sum(map(Counter.total, bags)) / len(bags)
    terms = {word.lower() for word in WORD.findall(question)}
    with_term = {term: sum(term in bag for bag in bags) for term in terms}
    weights = {term: math.log(1 + (len(bags) - n + 0.5) / (n + 0.5)) for term, n in with_term.items()}

    def score(bag: Counter[str]) -> float:
        long = 1.2 * (0.25 + 0.75 * bag.total() / average)
        return sum(weights[term] * bag[term] * 2.2 / (bag[term] + long) for term in terms if bag[term])

    scores = list(map(score, bags))
    ranked = sorted(range(len(bags)), key=lambda at: -scores[at])
    return fill(ranked, sentences, int(SHARE * sum(len(text.split()) for text in sentences)))


def by_chance(question: str, passages: list[str]) -> str:
    sentences = units(passages)
    ranked = random.Random(question).sample(range(len(sentences)), len(sentences))
    return fill(ranked, sentences, int(SHARE * sum(len(text.split()) for text in sentences)))


def by_us(question: str, passages: list[str]) -> str:
    """Our choice, whether or not the gate would have let it through: the claim is about the choice."""
    kept, *_ = extract_context(passages, question, share=SHARE, budget=None, encoding="o200k_base")
    return "\n".join(kept)


def contexts(bench: Bench, name: str, questions: Questions) -> None:
    found: dict[str, int] = Counter()
    words = total = gated = answered = 0
    for question, passages, answers in questions:
        full = "\n".join(passages)
        present = [answer.lower() for answer in answers if answer.lower() in full.lower()]
        if not present:
            continue
        answered += 1
        for label, choose in (("ours", by_us), ("bm25", by_bm25), ("random", by_chance)):
            text = choose(question, passages)
            found[label] += any(answer in text.lower() for answer in present)
            if label == "ours":
                words += len(text.split())
                total += len(full.split())
        gated += not compress_context(passages, question, share=SHARE).compressed
    share = found["ours"] / answered
    what = f"answer kept, {name} ({answered} questions, {words / total:.0%} of the words)"
    peers = f"BM25 sentences {found['bm25'] / answered:.1%}, random {found['random'] / answered:.1%}"
    bench.rows.append((what, f"{share:.1%}", peers, f"gate leaves {gated / answered:.1%} untouched", "at least 98 %"))
    bench.check(f"answer kept, {name}", share * 100, at_least=98)


def speed(bench: Bench, questions: Questions) -> None:
    question, passages, _ = min(questions, key=lambda row: abs(sum(len(text.split()) for text in row[1]) - 819))
    words = sum(len(text.split()) for text in passages)
    contenders = {"ours": lambda: by_us(question, passages), "peer": lambda: by_bm25(question, passages)}
    times = bench.time(contenders, clock=time.process_time)  # one thread that never waits
    ratio = f"{times['peer'] / times['ours']:.1f} x"
    row = (
        f"extraction from {words} words",
        duration(times["ours"]),
        f"BM25 in Python {duration(times['peer'])}",
        ratio,
    )
    bench.rows.append((*row, "at most 100 µs"))
    bench.check("100 µs / time of an extraction", 100e-6 / times["ours"], at_least=1)


def prompts(bench: Bench) -> None:
    every = corpus()
    for level in ("lossless", "light", "strong"):
        saved, lost, broken = [], 0, 0
        for _, _, style, text in every:
            result = optimize_prompt(text, level)
            lost += len(violations(text, result.text))
            broken += result.restore() != text or optimize_prompt(result.text, level).text != result.text
            if style == "verbose":
                saved.append(result.tokens_saved / result.tokens_before)
        quarters = statistics.quantiles(saved, n=4)
        what = f"tokens saved at {level}, {len(saved)} verbose prompts of our own"
        spread = f"quartiles {quarters[0]:.1%} to {quarters[2]:.1%}, least {min(saved):.1%}, most {max(saved):.1%}"
        target = "20 to 40 % at the median, nothing lost" if level == "light" else "nothing lost"
        bench.rows.append(
            (what, f"{statistics.median(saved):.1%}", spread, f"{lost} lost, {broken} not undone", target)
        )
        bench.check(f"prompts undone at {level}", 1 - min(1, lost + broken), at_least=1)
        if level == "light":
            bench.check("median of tokens saved at light, %", statistics.median(saved) * 100, at_least=20)


def main() -> int:
    bench = Bench("compression", columns=("what", "resopt", "peers or spread", "besides", "target"))
    timed = own()
    contexts(bench, "own passages", timed)
    for name, file in (("NQ + 9 distractors", "nq_10_passages.jsonl.gz"), ("XQuAD", "xquad.jsonl.gz")):
        questions = shared(file)
        if questions is None:
            bench.rows.append((f"answer kept, {name}", "not measured", "no shared data here", "", "at least 98 %"))
            continue
        timed = questions if file.startswith("nq") else timed
        contexts(bench, name, questions)
    speed(bench, timed)
    prompts(bench)
    return bench.finish()


if __name__ == "__main__":
    raise SystemExit(main())
