"""The house: imports point one way, importing resopt loads nothing heavy, and no file grows without end."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import resopt

HOUSE = Path(resopt.__file__).parent
BASE = {
    "_core": 0,
    "errors": 0,
    "question": 0,
    "types": 0,
    "key": 1,
    "flight": 1,
    "gates": 1,
    "stage": 1,
    "asked": 1,
    "once": 1,
    "ramp": 1,
    "sealed": 1,
    "terms": 1,
    "tokens": 1,
}
ROOMS = {"cache", "route", "prompt", "batch", "providers", "quality", "rollout", "prefetch", "metrics", "tiers"}
ABOVE = {
    "accounts": 3,
    "bulk": 4,
    "stages": 3,
    "trials": 3,
    "auditing": 4,
    "shadowing": 4,
    "optimizer": 4,
    "passage": 4,
    "streaming": 5,
    "sync": 6,
    "wrap": 6,
    "integrations": 6,
    "server": 6,
    "cli": 6,
    "__main__": 6,
}
CORE = {
    "error": 0,
    "frame": 1,
    "text": 1,
    "guard": 2,
    "key": 2,
    "stats": 2,
    "store": 2,
    "tokens": 2,
    "vector": 2,
    "prompt": 3,
    "route": 3,
    "semantic": 3,
}
"""The parts of the Rust core; each imports only what lies below it."""

LONGEST = 330
DATA = {"cache/freshness_people.py"}
"""Tables, which are longer than code may be."""

FILES = sorted(path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py")


def home(module):
    """The part of the house that `resopt.a.b` lives in."""
    return module.split(".")[1]


def layer(name):
    return 2 if name in ROOMS else BASE.get(name, ABOVE.get(name))


def module_of(path):
    parts = ["resopt", *path.relative_to(HOUSE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source, package):
    """The modules of resopt that a source imports anywhere, in functions and for type checkers too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "resopt")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base == "resopt":  # `from resopt import _core`: the name is the part
                yield from (f"resopt.{alias.name}" for alias in node.names)
            elif base.startswith("resopt."):
                yield base


def offences(name, source, package):
    """Imports that the rule forbids to the part `name` of the house."""
    for module in imported(source, package):
        if module == "resopt":
            yield "imports the package itself, which loads whatever is asked of it"
            continue
        other = home(module)
        if other == name or other == "__version__":
            continue
        if layer(other) is None:
            yield f"imports {module}, which is no part of the house"
        elif layer(other) > layer(name) or (layer(other) == 2 == layer(name)):
            yield f"imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path):
    module = module_of(path)
    name = home(module)
    assert layer(name) is not None, f"{name} is no part of the house"
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    assert list(offences(name, path.read_text(), package)) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("cache", "from resopt.metrics.ledger import Ledger"),
        ("cache", "from ..metrics import ledger"),
        ("cache", "def f():\n    from resopt.optimizer import AsyncOptimizer"),
        ("cache", "import resopt.providers.openai"),
        ("cache", "import resopt"),
        ("cache", "from resopt import optimizer"),
        ("types", "from resopt.key import RequestKey"),
        ("key", "from resopt.cache import memory"),
        ("optimizer", "from resopt.sync import Optimizer"),
        ("metrics", "from resopt.helpers import x"),
    ],
)
def test_the_rule_catches_what_it_forbids(name, source):
    assert list(offences(name, source, f"resopt.{name}"))


@pytest.mark.parametrize("source", ["from resopt.types import Step", "from . import memory", "import json"])
def test_the_rule_allows_what_it_should(source):
    assert list(offences("cache", source, "resopt.cache")) == []


def core_offences(part, source):
    """Imports that the rule forbids to the part `part` of the core."""
    for other in re.findall(r"\bcrate::(\w+)", source):
        if other != part and CORE[other] >= CORE[part]:
            yield f"imports crate::{other}"


def test_the_core_imports_one_way_too():
    core = HOUSE.parents[1] / "rust" / "core" / "src"
    files = [path for path in sorted(core.rglob("*.rs")) if path.name != "lib.rs"]
    parts = {path: path.relative_to(core).parts[0].removesuffix(".rs") for path in files}
    assert set(parts.values()) == set(CORE)
    code = {path: re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE) for path in files}
    found = {str(path): list(core_offences(parts[path], code[path])) for path in files}
    assert {path: offences for path, offences in found.items() if offences} == {}
    assert list(core_offences("prompt", "use crate::semantic::verify::Verifier;"))
    assert list(core_offences("guard", "use crate::prompt::rules;"))
    assert not list(core_offences("prompt", "use crate::guard::instruction::Instruction;"))


def test_integrations_stay_thin():
    lengths = {path.name: len(path.read_text().splitlines()) for path in (HOUSE / "integrations").glob("*.py")}
    assert {name: length for name, length in lengths.items() if length >= 100} == {}


def test_files_stay_readable():
    lengths = {str(path.relative_to(HOUSE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST and name not in DATA} == {}


def test_no_part_is_named_for_nothing():
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "manager", "misc"}


HEAVY = (
    "anyio", "asyncio", "numpy", "httpx", "httpx2", "trio", "openai", "starlette", "uvicorn", "typer", "rich",
    "msgspec", "multiprocessing", "concurrent.futures", "logging", "email", "http", "socket", "ssl", "threading",
    "urllib",
)  # fmt: skip


def in_a_fresh_interpreter(code):
    """What a program prints in an interpreter that has loaded nothing but resopt."""
    path = str(HOUSE.parent)
    program = f"import sys\nsys.path.insert(0, {path!r})\nbefore = set(sys.modules)\n{code}"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_resopt_loads_nothing_heavy():
    loaded = in_a_fresh_interpreter("import resopt\nprint(*(set(sys.modules) - before))")
    assert "resopt" in loaded
    assert not set(loaded) & set(HEAVY)
    assert not [name for name in loaded if name.startswith("resopt.")]


def test_the_pipeline_loads_no_event_loop_client_or_server():
    loaded = in_a_fresh_interpreter(
        "from resopt import AsyncOptimizer, Optimizer, ResponseCache, Request, Ledger\n"
        "print(*(set(sys.modules) - before))"
    )
    assert "resopt.optimizer" in loaded
    assert not set(loaded) & {"asyncio", "anyio", "trio", "numpy", "httpx", "httpx2", "ssl", "starlette", "uvicorn"}


def test_importing_starts_no_thread():
    running = in_a_fresh_interpreter(
        "import resopt\nfrom resopt import Optimizer, ResponseCache\nimport threading\n"
        "ResponseCache()\nprint(threading.active_count())"
    )
    assert running == ["1"]


def test_every_public_name_is_there_and_documented():
    assert sorted(resopt.__all__) == dir(resopt)
    for name in resopt.__all__:
        value = getattr(resopt, name)
        assert value.__doc__, name


@pytest.mark.parametrize("first", ["ResponseCache", "Cache", "AsyncOptimizer", "Flight"])
def test_no_public_name_is_hidden_by_a_module(first):
    """Loading a submodule sets its name in the package, over whatever the package has under it."""
    clashes = [name for name in resopt.__all__ if (HOUSE / f"{name}.py").exists() or (HOUSE / name).is_dir()]
    assert clashes == ["wrap"], "a package that can be called"
    kinds = in_a_fresh_interpreter(
        f"import resopt\nresopt.{first}\nprint(*(type(getattr(resopt, name)).__name__ for name in resopt.__all__))"
    )
    modules = [name for name, kind in zip(resopt.__all__, kinds, strict=True) if kind == "module"]
    assert modules == ["transport"]
    assert resopt.transport.__name__ == "resopt.wrap.transport"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        resopt.nothing_of_this_name  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("resopt.nothing_of_this_name")
