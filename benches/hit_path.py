"""The whole pipeline: what a hit costs, and what a miss adds to the call that has to be made anyway.

Targets of issue 3: `Optimizer.complete` on a hit at most 20 times a `cachebox.TTLCache` get for a 60-byte question, at
most 0.6 times `json.dumps(sort_keys=True)` + sha256 for a 4.5 KB chat, and at least 50 times faster than LiteLLM's
in-process cache hit; time added to a miss at most 0.4 times the bare httpx2 call to the simulator.

Hits are measured over 100,000 stored questions asked in random order with fresh strings, as prompts are. Every request
is recorded in the ledger with prices, as in a service.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import json
import os
import random
import statistics
import time
from typing import TYPE_CHECKING, Any

from compare_key import chat_body
from measure import Bench, duration, installed
from resopt import AsyncOptimizer, OpenAIProvider, Optimizer, Request, ResponseCache
from resopt.providers.simulated import SimulatedServer
from resopt.types import Response, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 100_000
PRICES = {"gpt-4o": ("2.5", "10")}
ANSWER = Response(
    text="Python is a programming language. " * 20,
    model="gpt-4o",
    usage=Usage(input_tokens=12, output_tokens=140),
    finish_reason="stop",
    latency=0.8,
)


class NeverAsked:
    """A provider for hits: being asked is a failure of the benchmark."""

    name = "none"

    async def complete(self, request: Request) -> Response:
        """Never reached."""
        raise AssertionError(f"a hit asked the provider: {request.question}")

    async def aclose(self) -> None:
        """Nothing was opened."""

    def blocking(self) -> NeverAsked:
        """Itself: it never suspends."""
        return self


def question(number: int) -> str:
    """A question of 60 bytes."""
    return f"How do I change the limit of card number {number:06d} at the bank?"[-60:]


def asked(seed: int) -> Iterator[str]:
    """Stored questions in random order, each a new str."""
    draw = random.Random(seed)
    while True:
        yield question(draw.randrange(ENTRIES))


def bench_hits(bench: Bench) -> None:
    cache = ResponseCache(max_size=ENTRIES + 1)
    for number in range(ENTRIES):
        assert cache.set(question(number), ANSWER, model="gpt-4o")
    body = chat_body()
    chat = Request(body=body)
    cache.admit(chat, ANSWER)
    optimizer = Optimizer(NeverAsked(), cache=cache, prices=PRICES)
    # Both are asked the same way: a fresh str out of the same kind of generator, whose cost is taken off.
    ours, theirs, alone = asked(1), asked(2), asked(3)
    contenders: dict[str, Callable[[], object]] = {
        "resopt": lambda: optimizer.complete(next(ours), model="gpt-4o"),
        "questions": lambda: next(alone),
        "resopt chat": lambda: optimizer.complete(chat),
        "json + sha256": lambda: hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest(),
    }
    if installed("cachebox"):
        import cachebox

        plain: Any = cachebox.TTLCache(ENTRIES, 3600)
        for number in range(ENTRIES):
            plain[question(number)] = ANSWER
        contenders["cachebox"] = lambda: plain.get(next(theirs))
    times = bench.time(contenders)
    hit = times["resopt"] - times["questions"]
    if "cachebox" in times:
        get = times["cachebox"] - times["questions"]
        what = "hit of a 60-byte question, beside a cachebox.TTLCache get"
        bench.row(what, duration(hit), duration(get), f"{hit / get:.1f}", bench.check(what, hit / get, at_most=20))
    else:
        bench.missing("hit of a 60-byte question", "cachebox")
    ratio = times["resopt chat"] / times["json + sha256"]
    what = "hit of a 4.5 KB chat, beside json.dumps + sha256 of it"
    bench.row(
        what,
        duration(times["resopt chat"]),
        duration(times["json + sha256"]),
        f"{ratio:.2f}",
        bench.check(what, ratio, at_most=0.6),
    )
    bench_litellm(bench, hit)


def bench_litellm(bench: Bench, hit: float) -> None:
    """Beside our hit, and after it: LiteLLM logs every call in threads of its own, which slow down whatever runs."""
    if not installed("litellm"):
        bench.missing("hit beside LiteLLM's", "litellm")
    elif (call := prepare_litellm()) is None:
        bench.missing("hit beside LiteLLM's (it needs its proxy extra)", "litellm[proxy]")
    else:
        seconds = bench.time({"litellm": call}, chunk_seconds=0.05)["litellm"]
        what = "hit of a 60-byte question, LiteLLM's in-process hit by ours"
        ratio = seconds / hit
        bench.row(what, duration(hit), duration(seconds), f"{ratio:.0f}", bench.check(what, ratio, at_least=50))


def prepare_litellm() -> Callable[[], object] | None:
    """A cached call through LiteLLM, checked to be a hit; None when it cannot serve one."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.cache = litellm.Cache(type="local")
    messages = [{"role": "user", "content": question(1)}]

    def call() -> Any:
        return litellm.completion(model="gpt-4o", messages=messages, mock_response=ANSWER.text, caching=True)

    try:
        first = call()
        time.sleep(0.2)
        again = call()
    except ModuleNotFoundError:  # a plain install of LiteLLM fails on its first hit (BerriAI/litellm#42195)
        return None
    return call if first.id == again.id else None


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of single calls, in turns: calls over a socket are long enough to be timed one by one."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in itertools.chain.from_iterable(itertools.repeat(list(calls.items()), rounds)):
        started = time.perf_counter()
        call()
        times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values[rounds // 10 :]) for name, values in times.items()}


def fresh_bodies() -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        yield {"model": "gpt-4o", "messages": [{"role": "user", "content": f"What is the number after {number}?"}]}


def bench_misses(bench: Bench) -> None:
    import httpx2

    rounds = 200 if bench.options.quick else 2000
    bodies = fresh_bodies()
    with SimulatedServer(process=True, time_scale=0.0) as server:
        url = f"{server.base_url}/chat/completions"
        with (
            httpx2.Client() as client,
            Optimizer(OpenAIProvider(server.base_url, api_key="none"), prices=PRICES) as optimizer,
        ):

            def bare() -> bytes:
                content = json.dumps(next(bodies)).encode()
                return client.post(url, content=content, headers={"content-type": "application/json"}).content

            blocking = medians({"bare": bare, "resopt": lambda: optimizer.complete(Request(body=next(bodies)))}, rounds)
        report_miss(bench, "miss, blocking: time added to the bare httpx2.Client call", blocking)
        report_miss(
            bench,
            "miss, asyncio: time added to the bare httpx2.AsyncClient call",
            asyncio.run(miss_async(server, rounds)),
        )


async def miss_async(server: SimulatedServer, rounds: int) -> dict[str, float]:
    import httpx2

    url = f"{server.base_url}/chat/completions"
    bodies = fresh_bodies()
    times: dict[str, list[float]] = {"bare": [], "resopt": []}
    async with (
        httpx2.AsyncClient() as client,
        AsyncOptimizer(OpenAIProvider(server.base_url, api_key="none"), prices=PRICES) as optimizer,
    ):
        for _ in range(rounds):
            started = time.perf_counter()
            reply = await client.post(
                url, content=json.dumps(next(bodies)).encode(), headers={"content-type": "application/json"}
            )
            assert reply.content
            times["bare"].append(time.perf_counter() - started)
            started = time.perf_counter()
            response = await optimizer.complete(Request(body=next(bodies)))
            times["resopt"].append(time.perf_counter() - started)
            assert response.trace.outcome == "miss"
    return {name: statistics.median(values[rounds // 10 :]) for name, values in times.items()}


def report_miss(bench: Bench, what: str, times: dict[str, float]) -> None:
    added = times["resopt"] - times["bare"]
    ratio = added / times["bare"]
    bench.row(
        what, duration(max(added, 0.0)), duration(times["bare"]), f"{ratio:.2f}", bench.check(what, ratio, at_most=0.4)
    )


def main() -> int:
    bench = Bench("hit_path", packages=("cachebox", "litellm", "httpx2"))
    bench_hits(bench)
    gc.collect()
    bench_misses(bench)
    return bench.finish()


if __name__ == "__main__":
    raise SystemExit(main())
