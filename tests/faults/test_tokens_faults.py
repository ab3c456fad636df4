"""Token tables that are damaged on disk: an error, never a wrong count."""

import subprocess
import sys
from pathlib import Path

import pytest

import resopt
from resopt import _core

COUNT = """
import sys
sys.path.insert(0, sys.argv[1])
import resopt
assert resopt.__file__.startswith(sys.argv[1]), resopt.__file__
from resopt.errors import DamagedModelError
sound, damaged = sys.argv[2:]
print(resopt.count_tokens("Where is my parcel?", sound).tokens)
for _ in range(2):
    try:
        print(resopt.count_tokens("Where is my parcel?", damaged))
    except DamagedModelError as error:
        print(error)
"""


@pytest.mark.parametrize("offset", [9, 200, 100_000, 400_000])
@pytest.mark.parametrize("size", [100_256, 199_998])
def test_a_flipped_bit_in_the_library_is_an_error_and_the_other_table_still_counts(tmp_path, size, offset):
    package = tmp_path / "resopt"
    source = Path(resopt.__file__).parent
    for path in source.rglob("*.py"):
        target = package / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    library = bytearray(Path(_core.__file__).read_bytes())
    # Magic, version, width of a number, number of tokens; see rust/core/ranks/pack.py.
    head = b"RSMG\x01" + bytes([(size - 1).bit_length()]) + size.to_bytes(4, "little")
    assert library.count(head) == 1
    library[library.index(head) + offset] ^= 1
    (package / Path(_core.__file__).name).write_bytes(library)
    names = ["o200k_base", "cl100k_base"]
    sound, damaged = names if size == 100_256 else reversed(names)
    run = subprocess.run(
        [sys.executable, "-I", "-c", COUNT, str(tmp_path), sound, damaged],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = run.stdout.splitlines()
    assert lines[0] == "5"
    assert len(lines) == 3
    assert all(f"the token table {damaged} that came with resopt is damaged" in line for line in lines[1:])
