"""A whole semantic decision on the bundled embedder, beside the scan of vectors that others need before they decide.

The peer is numpy's product of a 10,000 x 384 matrix with a vector: what a cache on all-MiniLM does at the least, its
embedding (milliseconds) left out. Ours embeds, nominates, guards, verifies, calibrates and decides. Both have one
thread: a service has other work for its cores.
"""

from __future__ import annotations

import itertools
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy reads it when it is loaded

import numpy as np

from measure import Bench, duration
from resopt import Request, ResponseCache, SemanticCache
from resopt._core import Partition
from resopt.types import Response

ENTRIES = 10_000
FORMS = (
    "How do I {} my {}?",
    "How can I {} my {}?",
    "How do you {} my {}?",
    "How could I {} my {}?",
    "How to {} my {}?",
)
ASKED = "How would I {} my {}?"
VERBS = ("renew", "print", "share", "rename", "export", "archive", "sort", "label", "scan", "fold")
FIRST = (
    "holiday", "garden", "office", "school", "travel", "kitchen", "summer", "family", "project", "music",
    "sports", "budget", "birthday", "company", "library", "history", "weather", "fashion", "health", "science",
)  # fmt: skip
SECOND = ("album", "calendar", "report", "folder", "list", "poster", "contract", "ticket", "diary", "map")


def main() -> int:
    bench = Bench("compare_semantic", packages=("numpy",))
    partition = Partition(profile="balanced")
    things = [f"{one} {other}" for one, other in itertools.product(FIRST, SECOND)]
    topics = itertools.product(VERBS, things)
    texts = [form.format(*topic) for topic in topics for form in FORMS][:ENTRIES]
    for number, text in enumerate(texts):
        partition.insert(number, text)
    near = ASKED.format("print", "garden folder")
    far = "Which moons of Saturn might have oceans under the ice?"
    verified = sum(candidate["verified"] is not None for candidate in partition.decide(near).candidates)
    if len(partition) != ENTRIES or verified < 4 or partition.decide(far).candidates:
        raise SystemExit(f"the questions are not what this measures: {len(partition)} entries, {verified} verified")
    random = np.random.default_rng(1)
    matrix = random.standard_normal((ENTRIES, 384)).astype(np.float32)
    query = matrix[0].copy()
    cache = filled(SemanticCache(profile="balanced", max_size=None), texts)
    plain = filled(ResponseCache(max_size=None), texts)
    exact = Request.chat(texts[77])
    times = bench.time(
        {
            "four": lambda: partition.decide(near),
            "none": lambda: partition.decide(far),
            "numpy": lambda: int((matrix @ query).argmax()),
            "exact": lambda: cache.lookup(exact),
            "plain": lambda: plain.lookup(exact),
        }
    )
    for what, ours, peer, most in (
        ("decision, four candidates verified, beside numpy's scan", "four", "numpy", 0.4),
        ("decision, nothing near, beside numpy's scan", "none", "numpy", 0.12),
        ("exact hit, beside that of a cache without the tier", "exact", "plain", 1.1),
    ):
        ratio = times[ours] / times[peer]
        target = bench.check(what, ratio, at_most=most)
        bench.row(what, duration(times[ours]), duration(times[peer]), f"{ratio:.2g}", target)
    return bench.finish()


def filled(cache, texts):
    for text in texts:
        cache.admit(Request.chat(text), Response(text=f"about: {text}", model="gpt-4o", finish_reason="stop"))
    return cache


if __name__ == "__main__":
    raise SystemExit(main())
