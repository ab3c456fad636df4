"""What accounting costs: one record, one price, one quantile sample, beside the floor that any record has to pay.

The floor is the pattern's own CacheMetrics made safe for threads: two sums and a dict under a lock. A record of the
ledger is exact in money and by model and mechanism; its queue is full here, so the writer also pays for the sums.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from measure import Bench, duration
from resopt._core import Sketch
from resopt.metrics.ledger import Ledger
from resopt.metrics.prices import Price, PriceBook
from resopt.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

PRICES = {"gpt-4o": Price("2.5", 10)}
USAGE = Usage(input_tokens=500, output_tokens=200)


def recorder(ledger: Ledger) -> Callable[[], object]:
    """Records one hit per call."""
    return lambda: ledger.record(
        outcome="hit", mechanism="exact", model="gpt-4o", served_model="gpt-4o",
        usage=USAGE, latency=1.2e-5, upstream_latency=0.8, age=3.0,
    )  # fmt: skip


def floor() -> Callable[[], object]:
    """What keeps least: two sums and the last requests."""
    lock, recent, sums = threading.Lock(), deque(maxlen=10_000), {"hits": 0, "saved": 0.0}

    def record() -> None:
        with lock:
            sums["hits"] += 1
            sums["saved"] += 0.0123
            recent.append({"ts": time.time(), "latency": 1.2e-5, "cost": 0.0})

    return record


def main() -> int:
    bench = Bench("bench_metrics", columns=("what", "resopt", "two sums and a dict under a lock", "ratio"))
    ledger, sketch, book = Ledger(PRICES), Sketch(), PriceBook(PRICES)
    call = recorder(ledger)
    for _ in range(5_000):
        call()
    assert ledger.summary().avoided == 5_000 * book.cost("gpt-4o", USAGE)  # right before fast
    for _ in range(1_100):
        call()
    times = bench.time(
        {
            "record of a hit": call,
            "price of a usage": lambda: book.cost("gpt-4o", USAGE),
            "sample of a quantile": lambda: sketch.add(0.0123),
            "floor": floor(),
        }
    )
    least = times.pop("floor")
    for what, seconds in times.items():
        bench.row(what, duration(seconds), duration(least), f"{seconds / least:.2f}")
    return bench.finish()


if __name__ == "__main__":
    raise SystemExit(main())
