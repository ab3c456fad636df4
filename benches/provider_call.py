"""What `OpenAIProvider.complete` adds to a bare httpx2 call of the same body to the same server.

Both sides are interleaved call by call, so that a noisy machine hits them alike; the figures are medians. The simulator
runs in a child process. `--check` exits 1 when complete takes over 40 µs more than the bare call.
"""

import argparse
import asyncio
import platform
import statistics
import sys
import time

import httpx2
import msgspec

from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated import SimulatedServer
from resopt.types import Request

TARGET = 40.0
REQUEST = Request.chat("What is Python?", system="You are a helpful assistant. Be brief and exact.")
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-test"}


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as ending:
        return ending.value
    raise RuntimeError("the blocking twin suspended")


async def compare_async(base_url, calls):
    async with httpx2.AsyncClient(timeout=60) as client, OpenAIProvider(base_url, "sk-test") as provider:

        async def bare():
            content = msgspec.json.encode(REQUEST.body)
            return (await client.post(f"{base_url}/chat/completions", content=content, headers=HEADERS)).content

        assert (
            msgspec.json.decode(await bare())["choices"][0]["message"]["content"]
            == (await provider.complete(REQUEST)).text
        )
        times = {"bare": [], "resopt": []}
        for _ in range(calls):
            start = time.perf_counter()
            await bare()
            middle = time.perf_counter()
            await provider.complete(REQUEST)
            times["bare"].append(middle - start)
            times["resopt"].append(time.perf_counter() - middle)
        return times


def compare_blocking(base_url, calls):
    with httpx2.Client(timeout=60) as client:
        provider = OpenAIProvider(base_url, "sk-test").blocking()

        def bare():
            content = msgspec.json.encode(REQUEST.body)
            return client.post(f"{base_url}/chat/completions", content=content, headers=HEADERS).content

        answer = drive(provider.complete(REQUEST)).text
        assert msgspec.json.decode(bare())["choices"][0]["message"]["content"] == answer
        times = {"bare": [], "resopt": []}
        for _ in range(calls):
            start = time.perf_counter()
            bare()
            middle = time.perf_counter()
            drive(provider.complete(REQUEST))
            times["bare"].append(middle - start)
            times["resopt"].append(time.perf_counter() - middle)
        drive(provider.aclose())
        return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    with SimulatedServer(time_scale=0, process=True) as server:
        results = {
            "asyncio": asyncio.run(compare_async(server.base_url, arguments.calls)),
            "blocking": compare_blocking(server.base_url, arguments.calls),
        }
    print(f"`{' '.join(['python', *sys.argv])}` on {platform.machine()}, Python {platform.python_version()},", end=" ")
    print(f"httpx2 {httpx2.__version__}, median of {arguments.calls} calls\n")
    print("| face | bare httpx2 post, µs | OpenAIProvider.complete, µs | added, µs | ratio |\n|---|---|---|---|---|")
    missed = []
    for face, times in results.items():
        bare, ours = (statistics.median(times[name]) * 1e6 for name in ("bare", "resopt"))
        print(f"| {face} | {bare:.0f} | {ours:.0f} | {ours - bare:+.0f} | {ours / bare:.2f} |")
        if ours - bare > TARGET:
            missed.append(f"{face}: {ours - bare:.0f} µs added, target {TARGET:.0f}")
    print("\n".join(f"missed: {line}" for line in missed))
    return 1 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
