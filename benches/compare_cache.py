"""The cache against the libraries people use today: hits, the decorator, mass expiry, memory and hit ratio.

100,000 entries, keys of 60 characters, LRU + TTL on. Reads follow Zipf(1.0), with popularity independent of the order
of insertion, and every key is a fresh `str` object, as a prompt is: its hash is not known yet and it is not the object
that was stored. Contenders take turns, 500 calls each, in an order that rotates, and share no keys or values, so that
none finds what another has just brought into the processor's cache. A figure is the median over the turns of the mean
per call.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path

import resopt.cache
from measure import Bench, duration, installed
from resopt._core import ManualClock

ENTRIES = 100_000
CALLS = 500
SECONDS = 3600.0
PARAMETERS = {"model": "gpt-4o-mini", "temperature": 0.0, "max_tokens": 256, "top_p": 1.0}
KEYS = [f"customer {number:06d} asks when the parcel of today will be there" for number in range(ENTRIES)]


def zipf(count: int, seed: int = 7) -> list[str]:
    """Keys drawn with probability 1 / rank, ranks in random order."""
    source = random.Random(seed)
    ranked = KEYS.copy()
    source.shuffle(ranked)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, ENTRIES + 1)))
    return source.choices(ranked, cum_weights=weights, k=count)


def copies(keys):
    """Equal strings that are new objects."""
    return [(key + " ")[:-1] for key in keys]


def in_turns(contenders, trace):
    """Seconds per call, by name."""
    means = {name: [] for name in contenders}
    order = list(contenders.items())
    gc.disable()
    try:
        for start in range(0, len(trace), CALLS):
            order.append(order.pop(0))
            for name, call in order:
                fresh = copies(trace[start : start + CALLS])
                began = time.perf_counter()
                for key in fresh:
                    call(key)
                means[name].append((time.perf_counter() - began) / len(fresh))
    finally:
        gc.enable()
    return {name: statistics.median(values) for name, values in means.items()}


def ratio_row(bench, what, ours, peer_name, peer, at_most):
    ratio = ours / peer
    cells = (f"{what} vs {peer_name}", duration(ours), duration(peer), f"{ratio:.2g}")
    bench.row(*cells, bench.check(f"{what} vs {peer_name}", ratio, at_most=at_most))


def agree(contenders, expected):
    """Wrong results disqualify a speed."""
    for name, call in contenders.items():
        for key in KEYS[::97]:
            if call(*copies([key])) != expected(key):
                raise SystemExit(f"{name} returns a wrong value for {key!r}")


def hits(bench, trace):
    import cachebox
    import cachetools

    ours = resopt.cache.Cache(max_entries=ENTRIES, ttl=SECONDS)
    box = cachebox.TTLCache(ENTRIES, SECONDS)
    tools, lock = cachetools.TTLCache(ENTRIES, SECONDS), threading.Lock()
    for cache in (ours, box, tools):
        for key in copies(KEYS):
            cache[key] = f"answer to {key}"

    def locked(key):
        with lock:
            return tools.get(key)

    contenders = {"resopt": ours.get, "cachebox": box.get, "cachetools": locked}
    agree(contenders, lambda key: f"answer to {key}")
    times = in_turns(contenders, trace)
    ratio_row(bench, "hit", times["resopt"], "cachebox.TTLCache", times["cachebox"], 1.3)
    ratio_row(bench, "hit", times["resopt"], "cachetools.TTLCache + Lock", times["cachetools"], 0.25)


def answer(prompt, *, model="gpt-4o", temperature=1.0, max_tokens=None, top_p=1.0):
    return prompt, model, temperature, max_tokens, top_p


def recipe():
    """What people write by hand: an md5 of the prompt and the sorted parameters, and a dict of (value, deadline)."""
    stored = {}

    def ask(prompt, **parameters):
        key = hashlib.md5(f"{prompt}|{sorted(parameters.items())}".encode()).hexdigest()
        found = stored.get(key)
        if found is not None and found[1] > time.time():
            return found[0]
        value = answer(prompt, **parameters)
        stored[key] = value, time.time() + SECONDS
        return value

    return ask


def decorators(bench, trace):
    import cachebox

    functions = {
        "resopt": resopt.cache.cached(ttl=SECONDS, max_entries=ENTRIES)(answer),
        "cachebox": cachebox.cached(cachebox.TTLCache(ENTRIES, SECONDS))(answer),
        "md5": recipe(),
    }
    ours, box, md5 = functions.values()
    contenders = {
        "resopt": lambda key: ours(key, model="gpt-4o-mini", temperature=0.0, max_tokens=256, top_p=1.0),
        "cachebox": lambda key: box(key, model="gpt-4o-mini", temperature=0.0, max_tokens=256, top_p=1.0),
        "md5": lambda key: md5(key, model="gpt-4o-mini", temperature=0.0, max_tokens=256, top_p=1.0),
    }
    for call in contenders.values():
        for key in copies(KEYS):
            call(key)
    agree(contenders, lambda key: answer(key, **PARAMETERS))
    times = in_turns(contenders, trace)
    if ours.cache_info().misses != ENTRIES:
        raise SystemExit("some calls that should be hits were misses")
    what = "decorator hit, 4 keywords"
    ratio_row(bench, what, times["resopt"], "cachebox.cached", times["cachebox"], 1.0)
    ratio_row(bench, what, times["resopt"], "md5 recipe", times["md5"], 0.6)


def worst(operations):
    """CPU seconds of the slowest single call; time in which another process had the core is not the cache's."""
    slowest = 0
    for operation, key in operations:
        began = time.thread_time_ns()
        operation(key)
        slowest = max(slowest, time.thread_time_ns() - began)
    return slowest / 1e9


def expiry(bench):
    import cachetools

    ours_worst, tools_worst = [], []
    for _ in range(3 if bench.options.quick else 7):
        clock, now = ManualClock(), [0.0]
        ours = resopt.cache.Cache(max_entries=2 * ENTRIES, ttl=1.0, clock=clock)
        tools = cachetools.TTLCache(2 * ENTRIES, 1.0, timer=lambda now=now: now[0])
        values = [f"answer to {key}" for key in KEYS]
        for key, value in zip(KEYS, values, strict=True):
            ours[key] = tools[key] = value
        del values, value
        clock.advance(2.0)
        now[0] += 2.0
        gc.collect()
        gc.disable()
        lookups = [f"new {key}" for key in KEYS[:20_000]]
        for cache, times in ((ours, ours_worst), (tools, tools_worst)):
            put = cache.__setitem__
            calls = [(lambda key, put=put: put(key, 1), key) for key in lookups]
            calls[1::2] = [(cache.get, key) for key in lookups[1::2]]
            times.append(worst(calls))
        gc.enable()
        if len(ours) != len(tools) or ours.stats.expirations != ENTRIES:
            raise SystemExit(f"{len(ours)} and {len(tools)} entries left, {ours.stats.expirations} expired")
    ours, peer = statistics.median(ours_worst), statistics.median(tools_worst)
    ratio_row(bench, "worst call while 100,000 expire", ours, "cachetools.TTLCache", peer, 1 / 50)


def grow(name):
    """In a process of its own: growth of the resident set per entry, for keys and values that exist already."""
    values = [f"answer to {key}" for key in KEYS]
    if name == "resopt":
        cache = resopt.cache.Cache(max_entries=ENTRIES, ttl=SECONDS)
    elif name == "cachebox":
        import cachebox

        cache = cachebox.TTLCache(ENTRIES, SECONDS)
    else:
        import cachetools

        cache = cachetools.TTLCache(ENTRIES, SECONDS)
    cache["first"] = "what the first use loads is not the entries'"
    gc.collect()
    before = resident()
    for key, value in zip(KEYS, values, strict=True):
        cache[key] = value
    gc.collect()
    print((resident() - before) / ENTRIES)


def resident():
    page = 4096
    return int(Path("/proc/self/statm").read_text().split()[1]) * page


def memory(bench):
    if not Path("/proc/self/statm").exists():
        bench.row("memory overhead", "needs /proc", "-", "-", "-")
        return
    figures = {}
    for name in ("resopt", "cachebox", "cachetools"):
        runs = [
            float(subprocess.run([sys.executable, __file__, "grow", name], check=True, capture_output=True).stdout)
            for _ in range(3)
        ]
        figures[name] = statistics.median(runs)
    target = bench.check("memory overhead, bytes per entry", figures["resopt"], at_most=110)
    peers = ", ".join(f"{name} {figures[name]:.0f} B" for name in ("cachebox", "cachetools"))
    bench.row("memory overhead per entry", f"{figures['resopt']:.0f} B", peers, "-", target)


def hit_ratio(bench):
    """A replay at a tenth of the capacity, against an exact LRU."""
    trace = zipf(100_000 if bench.options.quick else 400_000, seed=11)
    capacity = ENTRIES // 10
    ours, exact = resopt.cache.Cache(max_entries=capacity, ttl=SECONDS), OrderedDict()
    found = expected = 0
    for key in trace:
        if ours.get(key) is None:
            ours[key] = True
        else:
            found += 1
        if key in exact:
            exact.move_to_end(key)
            expected += 1
        else:
            exact[key] = True
            if len(exact) > capacity:
                exact.popitem(last=False)
    points = abs(found - expected) / len(trace) * 100
    cells = ("hit ratio at 10 % capacity vs exact LRU", f"{found / len(trace):.4f}", f"{expected / len(trace):.4f}")
    bench.row(*cells, f"{points:.2f} points", bench.check("hit ratio, points from exact LRU", points, at_most=0.5))


def main():
    bench = Bench("compare_cache", packages=("cachebox", "cachetools"))
    trace = zipf(CALLS * (40 if bench.options.quick else 400))
    if installed("cachebox") and installed("cachetools"):
        hits(bench, trace)
        decorators(bench, trace)
        expiry(bench)
        memory(bench)
    else:
        for what in ("hit", "decorator hit, 4 keywords", "worst call while 100,000 expire", "memory overhead"):
            bench.missing(what, "cachebox" if installed("cachetools") else "cachetools")
    hit_ratio(bench)
    return bench.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["grow"]:
        grow(sys.argv[2])
    else:
        raise SystemExit(main())
