"""Run every benchmark, keep the results in benches/results/*.json and write the README's table from them.

Exit code 1 when a target was missed; the README then shows it as missed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
SCRIPTS = (
    "compare_cache",
    "compare_key",
    "compare_tokens",
    "compression",
    "compare_vectors",
    "compare_semantic",
    "semantic",
    "hit_path",
    "bench_metrics",
    "compare_dropin",
    "batching",
    "routing",
    "import_time",
)
MARKED = re.compile(r"(<!-- benchmarks -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)


def main() -> int:
    missed = 0
    for name in SCRIPTS:
        saved = HERE / "results" / f"{name}.json"
        run = subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--check", "--save", str(saved)], check=False)
        missed += run.returncode != 0
    results = [json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8")) for name in SCRIPTS]
    tables = "\n".join(table(result) for result in results)
    readme = README.read_text(encoding="utf-8")
    README.write_text(MARKED.sub(lambda match: match[1] + tables + match[2], readme), encoding="utf-8")
    return 1 if missed else 0


def table(result: dict[str, list[list[str]]]) -> str:
    """One benchmark as Markdown, with what is needed to repeat it."""
    columns = result["columns"]
    lines = ["| " + " | ".join(map(str, columns)) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cells) + " |" for cells in result["rows"]]
    how = f"`python benches/{result['name']}.py` on {result['machine']}; {result['versions']}"
    return "\n".join([*lines, "", how, ""]) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
