"""The table of what the tests ran with is made from a run: here one with a test that passes and one that fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULE = """
TESTED_WITH = ("Tests", "pytest", "no-such-package")

def test_good():
    pass

def test_bad():
    assert False
"""


def run(folder, module):
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(HERE)!r})\nfrom compatibility import *\n")
    (folder / "test_one.py").write_text(module)
    (folder / "test_other.py").write_text("def test_of_no_library():\n    pass\n")
    written = folder / "tested.json"
    environment = os.environ | {"RESOPT_TESTED": str(written), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    subprocess.run(command, env=environment, capture_output=True, check=False)
    return written


def show(*paths):
    done = subprocess.run(
        [sys.executable, str(HERE / "compatibility.py"), *map(str, paths)], capture_output=True, text=True, check=False
    )
    return done.stdout, done.returncode


def test_a_run_writes_what_it_ran_with(tmp_path):
    written = run(tmp_path, MODULE)
    (row,) = json.loads(written.read_text())
    assert row["name"] == "Tests"
    assert row["counts"] == {"passed": 1, "failed": 1}
    assert row["versions"]["no-such-package"] is None
    shown, code = show(written, written)
    assert shown.count("| Tests | pytest ") == 1
    assert "no-such-package" not in shown
    assert "1 passed, 1 failed" in shown
    assert code == 1


def test_only_a_run_in_which_all_passed_is_good(tmp_path):
    good = run(tmp_path, MODULE.replace("assert False", "pass"))
    assert show(good)[1] == 0
    good.write_text("[]")
    assert show(good)[1] == 1
