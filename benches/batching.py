"""Batching: how wide, how fast, how politely. Targets of issue 8, against a simulated provider in a process of its own.

1. The pattern's content pipeline at a scale of 1:10: 1,000 summaries of 0.15 s, 50 wide. At least 40 times faster than
   one after another (measured on 100), and at least 90 % of what 50 ideal workers would do. Beside it
   `asyncio.Semaphore(50)` over the OpenAI SDK with its retries.
2. A provider that allows 300 requests a minute and refuses the rest: at most 1 % refused, at least 95 % of what is
   allowed, and interactive calls during bulk with a P95 of at most 1.5 times that of an idle system. Beside it the same
   semaphore and retries.
3. What `submit` adds to an item, of 1,000 at once, in `asyncio.create_task` + await of a no-op (processor time); and
   what the adaptive batcher adds to a lone one.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from pathlib import Path

import openai

sys.path.insert(0, str(Path(__file__).parent))

from measure import Bench, duration
from resopt import AdaptiveBatcher, AsyncOptimizer, BatchProcessor, Limits, OpenAIProvider, Request
from resopt.providers.simulated import RateLimits, SimulatedModel, SimulatedServer

WIDE = 50
SUMMARY = 0.15
MODEL = [SimulatedModel(name="gpt-4o-mini", input_price=0.15, output_price=0.6, p50=SUMMARY, p95=SUMMARY)]
ALLOWED = 300


def article(number: int) -> str:
    return f"Summarise article {number}."


async def plain_client(base_url: str, texts: list[str], wide: int, **options) -> float:
    """Seconds that the SDK takes behind a semaphore, which is what people write."""
    client = openai.AsyncOpenAI(base_url=base_url, api_key="k", **options)
    semaphore = asyncio.Semaphore(wide)

    async def one(text: str) -> None:
        async with semaphore:
            await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": text}])

    await one("warm up")
    began = time.perf_counter()
    await asyncio.gather(*map(one, texts), return_exceptions=True)
    took = time.perf_counter() - began
    await client.close()
    return took


async def bench_content(bench: Bench, count: int) -> None:
    texts = [article(number) for number in range(count)]
    with SimulatedServer(MODEL, process=True) as server:
        async with AsyncOptimizer(OpenAIProvider(server.base_url, api_key="k"), gates=[Limits()]) as optimizer:
            await optimizer.gather([f"warm up {number}" for number in range(WIDE)], WIDE, model="gpt-4o-mini")
            began = time.perf_counter()
            for number in range(count // 10):
                await optimizer.complete(f"One after another: {number}", model="gpt-4o-mini")
            sequential = (time.perf_counter() - began) * 10
            began = time.perf_counter()
            requests = [Request.chat(text, model="gpt-4o-mini") for text in texts]
            answers = await optimizer.gather(requests, WIDE)
            ours = time.perf_counter() - began
        assert [f"article {number}" in answer.text for number, answer in enumerate(answers)] == [True] * count
        plain = await plain_client(server.base_url, texts, WIDE)
    ideal = count * SUMMARY / WIDE
    rows = (
        ("faster than one after another", sequential / ours, sequential / plain, 40),
        ("share of 50 ideal workers", ideal / ours, ideal / plain, 0.9),
    )
    for what, own, other, target in rows:
        bench.row(
            f"{count:,} summaries of 0.15 s, 50 wide: {what}",
            f"{own:.3g} ({duration(ours)})",
            f"{other:.3g} ({duration(plain)})",
            f"{own / other:.2f} x",
            bench.check(what, own, at_least=target),
        )


async def interactive(ask, seconds: float) -> list[float]:
    """Latencies of one call after another, one begun every half second."""
    latencies, number, ends = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        await ask(f"Interactive question {time.perf_counter_ns()} {number}")
        latencies.append(time.perf_counter() - began)
        number += 1
        await asyncio.sleep(max(0.0, 0.5 - latencies[-1]))
    return latencies


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def bench_limited(bench: Bench, seconds: float) -> None:
    rules = RateLimits(requests_per_minute=ALLOWED)
    texts = [article(number) for number in range(ALLOWED * 4)]
    with SimulatedServer(MODEL, limits=rules, process=True) as server:
        limits = Limits()
        async with AsyncOptimizer(OpenAIProvider(server.base_url, api_key="k"), gates=[limits]) as optimizer:

            async def ask(text: str) -> None:
                await optimizer.complete(text, model="gpt-4o-mini")

            idle = p95(await interactive(ask, 10.0))
            server.reset()
            began = time.perf_counter()
            bulk = asyncio.create_task(optimizer.gather(texts, WIDE, model="gpt-4o-mini", errors="return"))
            latencies = await interactive(ask, seconds)
            took = time.perf_counter() - began
            ours = server.stats()
            bulk.cancel()
            await asyncio.gather(bulk, return_exceptions=True)
        allowed = ALLOWED + took * ALLOWED / 60
        refused, used = ours.limited / ours.requests, ours.statuses["200"] / allowed
        busy = p95(latencies)
    with SimulatedServer(MODEL, limits=rules, process=True) as server:
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=5)

        async def plain(text: str) -> None:
            await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": text}])

        await plain("warm up")
        server.reset()
        began = time.perf_counter()
        bulk = asyncio.create_task(plain_client(server.base_url, texts, WIDE, max_retries=5))
        latencies = await interactive(lambda text: _ignoring_refusals(plain, text), seconds)
        took = time.perf_counter() - began
        theirs = server.stats()
        bulk.cancel()
        await asyncio.gather(bulk, return_exceptions=True)
        await client.close()
    their_refused = theirs.limited / theirs.requests
    their_used = theirs.statuses["200"] / (ALLOWED + took * ALLOWED / 60)
    what = f"{ALLOWED} requests a minute for {seconds:.0f} s"
    bench.row(
        f"{what}: refused", f"{refused:.2%}", f"{their_refused:.2%}", "", bench.check("refused", refused, at_most=0.01)
    )
    bench.row(
        f"{what}: share of what is allowed", f"{used:.1%}", f"{their_used:.1%}", "",
        bench.check("share of what is allowed", used, at_least=0.95),
    )  # fmt: skip
    bench.row(
        f"{what}: P95 of interactive calls during bulk, of an idle system's {duration(idle)}",
        f"{busy / idle:.2f} x", f"{p95(latencies) / idle:.2f} x", "",
        bench.check("P95 of interactive calls", busy / idle, at_most=1.5),
    )  # fmt: skip


async def _ignoring_refusals(call, text: str) -> None:
    with contextlib.suppress(openai.RateLimitError):
        await call(text)


async def no_op(item: int) -> int:
    return item


async def process(items: list[int]) -> list[int]:
    return items


async def together(make, count: int) -> float:
    """Seconds of processor time that so many tasks take, made and awaited."""
    began = time.process_time()
    tasks = [asyncio.create_task(make(number)) for number in range(count)]
    for task in tasks:
        await task
    return time.process_time() - began


async def bench_overhead(bench: Bench, rounds: int) -> None:
    adaptive, fixed = AdaptiveBatcher(process), BatchProcessor(process)
    contenders = {"no-op": no_op, "adaptive": adaptive.submit, "fixed": fixed.submit}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, make in contenders.items():
            times[name].append(await together(make, 1_000) / 1_000)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, what in (("adaptive", "AdaptiveBatcher"), ("fixed", "BatchProcessor")):
        added = (medians[name] - medians["no-op"]) / medians["no-op"]
        bench.row(
            f"{what}.submit adds to an item, 1,000 at once",
            duration(medians[name] - medians["no-op"]),
            f"{duration(medians['no-op'])} (create_task + await)",
            f"{added:.2f} x",
            bench.check(f"{what}.submit", added, at_most=3),
        )
    alone = []
    for number in range(rounds * 20):
        began = time.perf_counter()
        await adaptive.submit(number)
        middle = time.perf_counter()
        await process([number])
        alone.append(middle - began - (time.perf_counter() - middle))
    added = statistics.median(alone)
    bench.row(
        "a lone item through AdaptiveBatcher takes longer by", duration(added), "a direct call", "",
        bench.check("lone item, ms", added * 1e3, at_most=1),
    )  # fmt: skip


def main() -> int:
    bench = Bench("batching", packages=("openai",))
    bench.columns = ("what", "resopt", "Semaphore(50) + SDK retries", "ratio", "target")
    quick = bench.options.quick
    asyncio.run(bench_overhead(bench, 5 if quick else 60))
    asyncio.run(bench_content(bench, 200 if quick else 1_000))
    asyncio.run(bench_limited(bench, 15.0 if quick else 75.0))
    return bench.finish()


if __name__ == "__main__":
    raise SystemExit(main())
