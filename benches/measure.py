"""What every comparison script shares: timing, the machine line, the Markdown table and `--check`.

A figure is the median over chunks of the mean time per call: a chunk is shorter than a scheduler slice, so a busy
machine moves the median little, and the mean inside a chunk hides the timer. Contenders are timed in turns, a few
chunks each, so that a machine that slows down slows all of them.

    bench = Bench("compare_key", packages=("msgspec",))
    times = bench.time({"ours": ours, "peer": peer})           # seconds per call, by name
    bench.row("key of a 4.5 KB body", times, ours="ours", target="at least 5 x faster than peer")
    bench.check("key of a 4.5 KB body", times["peer"] / times["ours"], at_least=5)
    raise SystemExit(bench.finish())                           # prints; 1 when --check was given and a target missed
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def machine() -> str:
    """Processor, cores and Python in one line: a figure means nothing without them."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, {python}"


def versions(packages: Sequence[str]) -> str:
    """Installed versions of the packages, in words where one is missing."""
    return ", ".join(f"{package} {installed(package) or 'not installed'}" for package in packages)


def installed(package: str) -> str | None:
    """Version of a distribution, or None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def calls_per_chunk(call: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter) -> int:
    """How many calls take about `seconds`; the first ones do not count, they set things up."""
    chunk(call, 3, clock)
    calls = 1
    while True:
        took = chunk(call, calls, clock)
        if took >= seconds / 4:
            return max(1, round(calls * seconds / took))
        calls *= 4


def chunk(call: Callable[[], object], calls: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `calls` calls take, loop included."""
    turns = range(calls)
    start = clock()
    for _ in turns:
        call()
    return clock() - start


def time_in_turns(
    contenders: Mapping[str, Callable[[], object]],
    *,
    chunks: int = 60,
    chunk_seconds: float = 0.002,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Seconds per call of each contender: the median over `chunks` chunks, taken in turns.

    The cost of the loop and of calling an empty function is not taken off: it burdens the faster side more. Work of one
    thread that never waits may be timed by `time.process_time`, which a busy machine disturbs less.
    """
    calls = {name: calls_per_chunk(call, chunk_seconds, clock) for name, call in contenders.items()}
    means: dict[str, list[float]] = {name: [] for name in contenders}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(chunks):
            for name, call in contenders.items():
                means[name].append(chunk(call, calls[name], clock) / calls[name])
    finally:
        if collecting:
            gc.enable()
    return {name: statistics.median(values) for name, values in means.items()}


def duration(seconds: float) -> str:
    """A time in the unit that reads best."""
    for unit, scale in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3)):
        if seconds * scale < 1000:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"


class Bench:
    """One comparison script: gathers rows and targets, prints them, decides the exit code."""

    def __init__(self, name: str, *, packages: Sequence[str] = (), columns: Sequence[str] = ()) -> None:
        parser = argparse.ArgumentParser(description=f"benches/{name}.py: one Markdown table")
        parser.add_argument("--check", action="store_true", help="exit 1 and name each missed target")
        parser.add_argument("--quick", action="store_true", help="fewer chunks: a smoke test, not a measurement")
        parser.add_argument("--save", type=Path, help="also write the table as JSON to this file")
        self.options = parser.parse_args()
        self.name = name
        self.packages = ("resopt", *packages)
        self.columns = tuple(columns) or ("what", "resopt", "peer", "ratio", "target")
        self.rows: list[tuple[str, ...]] = []
        self.missed: list[str] = []

    def time(
        self,
        contenders: Mapping[str, Callable[[], object]],
        *,
        chunk_seconds: float = 0.002,
        clock: Callable[[], float] = time.perf_counter,
    ) -> dict[str, float]:
        """Seconds per call by name; see `time_in_turns`."""
        chunks = 9 if self.options.quick else 60
        return time_in_turns(contenders, chunks=chunks, chunk_seconds=chunk_seconds, clock=clock)

    def row(self, *cells: str) -> None:
        """One row of the table, in the order of the columns."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def check(self, what: str, figure: float, *, at_least: float | None = None, at_most: float | None = None) -> str:
        """Hold a figure against a target an issue set, and return the target in words for the table."""
        words = f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}"
        missed = (at_least is not None and figure < at_least) or (at_most is not None and figure > at_most)
        if missed:
            self.missed.append(f"{what}: {figure:.3g}, target {words}")
        return f"{words} {'missed' if missed else 'met'}"

    def faster(self, what: str, ours: float, peer: float, *, at_least: float) -> None:
        """A row of the default columns that says how many times faster than a peer resopt is."""
        ratio = peer / ours
        self.row(what, duration(ours), duration(peer), f"{ratio:.1f} x", self.check(what, ratio, at_least=at_least))

    def missing(self, what: str, package: str) -> None:
        """A row that says a peer is not installed; a target against it is missed, never silently passed."""
        self.row(what, *[f"{package} is not installed"] + ["-"] * (len(self.columns) - 2))
        self.missed.append(f"{what}: {package} is not installed (pip install 'resopt[bench]')")

    def finish(self) -> int:
        """Print the table with all that is needed to repeat it; the exit code."""
        print(f"\n### {self.name}\n")
        print("| " + " | ".join(self.columns) + " |")
        print("|" + "---|" * len(self.columns))
        for cells in self.rows:
            print("| " + " | ".join(cells) + " |")
        print(f"\n{machine()}; {versions(self.packages)}; `python benches/{self.name}.py`")
        if self.options.save:
            self.save(self.options.save)
        if self.options.check and self.missed:
            for line in self.missed:
                print(f"MISSED {line}", file=sys.stderr)
            return 1
        return 0

    def save(self, path: Path) -> None:
        """Write the table, the machine, the versions and the missed targets as JSON."""
        result = {
            "name": self.name,
            "machine": machine(),
            "versions": versions(self.packages),
            "columns": self.columns,
            "rows": self.rows,
            "missed": self.missed,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
