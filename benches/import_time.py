"""What `import resopt` adds to the bare interpreter, in fresh processes. Target of issue 3: at most 50 ms.

Also shown: the import together with the first use of the two things most people import, and the peers' import.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from measure import Bench, duration, installed

ROUNDS = 25


def main() -> int:
    bench = Bench("import_time", packages=("cachebox", "litellm"), columns=("import", "adds", "target"))
    programs = {
        "bare": "pass",
        "import resopt": "import resopt",
        "from resopt import Cache, cached": "from resopt import Cache, cached",
        "from resopt import AsyncOptimizer": "from resopt import AsyncOptimizer",
    }
    for peer in ("cachebox", "litellm"):
        if installed(peer):
            programs[f"import {peer}"] = f"import {peer}"
    times = measure(programs, 5 if bench.options.quick else ROUNDS)
    for name, seconds in times.items():
        added = seconds - times["bare"]
        if name == "import resopt":
            bench.row(name, duration(added), bench.check(name, added * 1000, at_most=50) + " (ms)")
        elif name != "bare":
            bench.row(name, duration(added), "")
    return bench.finish()


def measure(programs: dict[str, str], rounds: int) -> dict[str, float]:
    """Median wall time of each program in a process of its own, in turns."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds):
        for name, program in programs.items():
            if name.endswith("litellm") and number >= 3:  # seconds each: three are enough
                continue
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"})
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    raise SystemExit(main())
