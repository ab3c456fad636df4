"""What the tests ran with: each run writes it down when asked to, and the README's table is made from that.

A test module says which libraries it is about: `TESTED_WITH = ("LangChain", "langchain-core", "openai")`, a name for a
row and packages. `RESOPT_TESTED=one.json pytest …` writes versions and counts; `python tests/compatibility.py *.json`
prints the table of any number of runs, in as many environments, and exits 1 when a test of one failed.
"""

import json
import os
import platform
import re
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

MARKED = re.compile(r"(<!-- tested -->\n).*?(<!-- /tested -->)", re.DOTALL)

_modules = {}
_counts = {}


def pytest_collection_finish(session):
    """Find the modules that are about libraries."""
    for item in session.items:
        about = getattr(item.module, "TESTED_WITH", None)
        if about:
            _modules[item.nodeid.partition("::")[0]] = about


def pytest_runtest_logreport(report):
    """Count how their tests end."""
    module = report.nodeid.partition("::")[0]
    if module in _modules and (report.when == "call" or not report.passed):
        _counts.setdefault(module, Counter())[report.outcome] += 1


def pytest_sessionfinish():
    """Write versions and counts where `RESOPT_TESTED` says."""
    path = os.environ.get("RESOPT_TESTED")
    if path:
        counts: dict[tuple[str, ...], Counter] = {}
        for module, about in sorted(_modules.items()):  # several modules may be about the same
            counts.setdefault(tuple(about), Counter()).update(_counts.get(module, {}))
        rows = [_row(*about, counts=count) for about, count in sorted(counts.items())]
        Path(path).write_text(json.dumps(rows, indent=1) + "\n")


def _row(name, *packages, counts):
    versions = {package: _version(package) for package in packages}
    return {"name": name, "versions": versions, "python": platform.python_version(), "counts": dict(counts)}


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(rows):
    """The rows as Markdown, those of one name together, each environment once."""
    lines = ["| | tested with | Python | tests |", "|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (row["name"].lower(), str(row["versions"]), row["python"])):
        libraries = ", ".join(f"{package} {found}" for package, found in row["versions"].items() if found)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(row["counts"].items(), reverse=True))
        line = f"| {row['name']} | {libraries} | {row['python']} | {counts} |"
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)


def main(arguments):
    """Print the table of these runs, or write it into a page; 1 when a test failed or a run tested nothing."""
    page, paths = (Path(arguments[1]), arguments[2:]) if arguments[:1] == ["--write"] else (None, arguments)
    rows = [row for path in paths for row in json.loads(Path(path).read_text())]
    if page is None:
        sys.stdout.write(table(rows) + "\n")
    else:
        text = MARKED.sub(lambda found: f"{found[1]}{table(rows)}\n{found[2]}", page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
    return int(not rows or any(row["counts"].get("failed") or not row["counts"].get("passed") for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
