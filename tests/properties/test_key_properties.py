"""Keys over generated data: equal data, equal key, in any process; any difference, another key."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resopt._core import KeySpace

if TYPE_CHECKING:
    import random

SPACE = KeySpace("properties")

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.floats(allow_nan=False)
    | st.text(st.characters())
)
plain = st.recursive(
    leaves | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters()), inner, max_size=5),
    max_leaves=20,
)


def canonical(value: Any) -> Any:
    """What a key stands for, as data that Python compares exactly: the oracle."""
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list | tuple):
        return ("sequence", tuple(canonical(item) for item in value))
    if isinstance(value, dict):
        return ("mapping", frozenset((name, canonical(item)) for name, item in value.items()))
    return (type(value).__name__, value)


@given(plain, plain)
@settings(max_examples=500, deadline=None)
def test_keys_are_equal_exactly_when_the_data_is(left, right):
    assert (SPACE.key(left) == SPACE.key(right)) == (canonical(left) == canonical(right))


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same data in other containers, other orders and other objects."""
    if isinstance(value, dict):
        items = [(name, shuffled(item, chance)) for name, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return chance.choice([list, tuple])(shuffled(item, chance) for item in value)
    if type(value) is int and value == int(float(value) if abs(value) < 2**1000 else 0):
        return chance.choice([int, float])(value)
    return copy.deepcopy(value)


@given(plain, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_order_container_and_spelling_of_numbers_do_not_matter(value, chance):
    assert SPACE.key(shuffled(value, chance)) == SPACE.key(value)


def change_a_leaf(value: Any, chance: random.Random) -> Any:
    """The same data but for one leaf (or one more item, where there is none)."""
    if isinstance(value, dict) and value:
        name = chance.choice(sorted(value))
        return {**value, name: change_a_leaf(value[name], chance)}
    if isinstance(value, list) and value:
        index = chance.randrange(len(value))
        return [*value[:index], change_a_leaf(value[index], chance), *value[index + 1 :]]
    others = [None, True, False, 0, 1, 0.5, "", "x", b"", b"x", [], [None], {}, {"x": 1}]
    return chance.choice([other for other in others if canonical(other) != canonical(value)])


@given(plain, st.randoms(use_true_random=False))
@settings(max_examples=500, deadline=None)
def test_any_changed_leaf_gives_another_key(value, chance):
    assert SPACE.key(change_a_leaf(value, chance)) != SPACE.key(value)


CHILD = """
import json, sys
from resopt._core import KeySpace
space = KeySpace("properties")
print(json.dumps([space.key(value).hex() for value in json.loads(sys.stdin.read())]))
"""


@given(st.lists(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), max_size=40))
@settings(max_examples=3, deadline=None)
def test_another_process_under_another_hash_seed_agrees(values):
    # Infinity and lone surrogates travel through Python's JSON.
    for seed in ("1", "2"):
        child = subprocess.run(
            [sys.executable, "-c", CHILD],
            input=json.dumps(values),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(child.stdout) == [SPACE.key(value).hex() for value in values]


def test_a_million_values_have_a_million_keys():
    # Values made to be close to each other: neighbours, moved borders, the same content in other containers.
    keys = set()
    add, key = keys.add, SPACE.key
    for number in range(100_000):
        text = str(number)
        add(key(number))
        add(key(-1 - number))
        add(key(number + 0.5))
        add(key(text))
        add(key(text.encode()))
        add(key([number]))
        add(key([text]))
        add(key({text: number}))
        add(key({"n": text}))
        add(key([number, text]))
    assert len(keys) == 1_000_000
