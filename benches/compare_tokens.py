"""Counting tokens against tiktoken and bpe-openai, on the same ranks and the same texts, which must agree first.

Targets of issue 6, `o200k_base`: a question of 12 words, 1 KB and 100 KB at least 2.5, 4 and 4 times faster than
tiktoken and 1.5, 2 and 2 times faster than `bpe-openai`; texts never seen before at least 1.5 times faster than
tiktoken; both encodings in at most 60 MB of resident memory, and first used within 0.3 s. tiktoken has no call that
counts: it is timed by `encode_ordinary`, and `bpe-openai` by the `count` of its compiled core, which is faster than its
public methods.

Texts are words of the encoding's own vocabulary, frequent ones more often, with names and numbers that are several
tokens, marks, capitals, and code in between. They are taken in turn, so that many words come between one and its
return; of texts that were never seen before each is counted once. All times are those of the processor: none of the
three uses a second thread, and other processes disturb the figures less.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import random
import re
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Bench, duration
from resopt._core import Encoding
from resopt.tokens import count_tokens

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CODE = '''
def settle(orders: Iterable[Order], *, limit_cents: int = 10_000) -> dict[str, int]:
    """Sum what is owed per customer, at most `limit_cents` each."""
    owed: dict[str, int] = {}
    for order in orders:
        if order.status != "paid" and order.total_cents > 0:
            owed[order.customer_id] = min(limit_cents, owed.get(order.customer_id, 0) + order.total_cents)
    return owed

{"order_id": "ord_9f31c2", "items": [{"sku": "SH-42/BLK", "quantity": 2, "price": 89.95}], "paid": false}
'''
MEMORY = """
import resource, sys, time
from pathlib import Path
from resopt._core import Encoding
def resident():
    if not Path("/proc/self/statm").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before, start = resident(), time.process_time()
first = Encoding("o200k_base")
first.count("Where is my parcel?")
one = time.process_time() - start
second = Encoding("cl100k_base")
second.count("Where is my parcel?")
print(one, resident() - before)
"""


@cache
def vocabulary() -> tuple[list[str], list[float]]:
    """Some 10,000 English-looking words of the encoding, and weights that fall with their rank, as in any language."""
    words = re.findall(
        r"(?<=\n )[a-z]{2,12}(?=\n)", b"\n".join(Encoding("o200k_base").tokens()[:60_000]).decode(errors="ignore")
    )
    return words, list(itertools.accumulate(1 / (20 + rank) for rank in range(len(words))))


def sentence(chance: random.Random, words: int) -> str:
    """Words with the marks and capitals of a question; one in ten is a number, a name or a word put together."""
    known, weights = vocabulary()
    chosen = chance.choices(known, cum_weights=weights, k=words)
    for at in range(words):
        if chance.random() < 0.1:
            rare = chance.choice(known)
            chosen[at] = chance.choice(
                (f"#{chance.randrange(100_000)}", rare.capitalize(), f"{rare}{chosen[at]}", f"{rare},")
            )
    return " ".join(chosen).capitalize() + chance.choice("??.!")


def prose(chance: random.Random, size: int) -> str:
    """Paragraphs of sentences, code between them, `size` characters long."""
    parts, length = [], 0
    while length < size:
        part = (
            CODE
            if chance.random() < 0.02
            else sentence(chance, chance.randint(5, 25)) + chance.choice((" ", " ", "\n\n"))
        )
        parts.append(part)
        length += len(part)
    return "".join(parts)[:size]


def kilobyte(chance: random.Random) -> str:
    return prose(chance, 1000)


def large(chance: random.Random) -> str:
    return prose(chance, 100_000)


def question(chance: random.Random) -> str:
    return sentence(chance, 12)


def in_turn(count: Callable[[str], Any], texts: Sequence[str]) -> Callable[[], Any]:
    """A call that counts the next of the texts, round and round."""
    turn = itertools.cycle(texts)
    return lambda: count(next(turn))


def once(contenders: dict[str, Callable[[str], Any]], texts: Sequence[str], group: int) -> dict[str, float]:
    """Seconds per text, each text counted once by each contender: the median over groups of texts."""
    means: dict[str, list[float]] = {name: [] for name in contenders}
    gc.disable()
    for start in range(0, len(texts), group):
        for name, count in contenders.items():
            several = texts[start : start + group]
            begin = time.process_time()
            for text in several:
                count(text)
            means[name].append((time.process_time() - begin) / len(several))
    gc.enable()
    return {name: statistics.median(values) for name, values in means.items()}


def check_agreement(peers: dict[str, Callable[[str], Any]], ours: Encoding, texts: Sequence[str]) -> None:
    """All count the same, or no speed is worth anything."""
    for text in texts:
        for name, count in peers.items():
            theirs = count(text)
            if (theirs if isinstance(theirs, int) else len(theirs)) != ours.count(text):
                raise SystemExit(f"{name} and resopt disagree on {text[:60]!r}")


def first_use(bench: Bench) -> None:
    """Time and memory in a process of its own, the tables made and used."""
    runs = [
        [float(figure) for figure in subprocess.run(
            [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
        ).stdout.split()]
        for _ in range(5)
    ]  # fmt: skip
    seconds, octets = (statistics.median(figures) for figures in zip(*runs, strict=True))
    bench.row(
        "first use of o200k_base (CPU)", duration(seconds), "-", "-", bench.check("first use, s", seconds, at_most=0.3)
    )
    megabytes = octets / 1e6
    target = bench.check("resident memory, MB", megabytes, at_most=60)
    bench.row("resident memory of both encodings", f"{megabytes:.0f} MB", "-", "-", target)


def main() -> int:
    bench = Bench("compare_tokens", packages=("tiktoken", "bpe-openai"))
    chance = random.Random(6)
    ours = Encoding("o200k_base")
    targets = {"12 words": (question, 2000, 2.5, 1.5), "1 KB": (kilobyte, 400, 4, 2), "100 KB": (large, 12, 4, 2)}
    peers: dict[str, Callable[[str], Any]] = {}
    if importlib.util.find_spec("tiktoken"):
        from token_texts import oracle

        peers["tiktoken"] = oracle("o200k_base").encode_ordinary
    if importlib.util.find_spec("bpe_openai"):
        import bpe_openai

        peers["bpe-openai"] = bpe_openai.get_encoding("o200k_base")._backend.count  # noqa: SLF001 - its fastest way
    for name, (make, number, *least) in targets.items():
        texts = [make(chance) for _ in range(number)]
        check_agreement(peers, ours, texts)
        calls = {peer: in_turn(count, texts) for peer, count in peers.items()}
        calls["count_tokens"] = in_turn(lambda text: count_tokens(text, "gpt-4o"), texts)
        times = bench.time({"ours": in_turn(ours.count, texts), **calls}, clock=time.process_time)
        for peer, ratio in zip(("tiktoken", "bpe-openai"), least, strict=True):
            what = f"o200k count of {name}, against {peer}"
            if peer in peers:
                bench.faster(what, times["ours"], times[peer], at_least=ratio)
            else:
                bench.missing(what, peer)
        public = times["count_tokens"]
        bench.row(f"`count_tokens` of {name}", duration(public), "-", "-", "-")
        fresh = [make(chance) for _ in range(max(8, number // 4))]
        if "tiktoken" in peers:
            times = once({"ours": ours.count, "peer": peers["tiktoken"]}, fresh, group=max(1, number // 40))
            bench.faster(f"o200k count of {name} never seen before, against tiktoken", *times.values(), at_least=1.5)
            check_agreement(peers, ours, fresh)
    first_use(bench)
    return bench.finish()


if __name__ == "__main__":
    raise SystemExit(main())
