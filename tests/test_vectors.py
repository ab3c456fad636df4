"""Indexes of vectors: one suite for the flat index, the proven one and `hnswlib`, and `hnswlib` as their oracle."""

import array
import importlib.util
import itertools
import math
import random
import threading

import numpy as np
import pytest

from resopt._core import VectorIndex
from resopt.cache.vectors import HNSWIndex, open_index
from resopt.errors import ConfigurationError, MissingExtraError

HNSW = importlib.util.find_spec("hnswlib") is not None
needs_hnswlib = pytest.mark.skipif(not HNSW, reason="hnswlib is not installed (pip install 'resopt[hnsw]' compiles it)")
EACH = pytest.mark.parametrize("kind", ["flat", "exact", pytest.param("hnsw", marks=needs_hnswlib)])
ROUNDING = 3e-6


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def clusters(chance, count, dimensions, common=0.0):
    """Unit vectors in clusters of about twenty, as questions come, with a part that all share."""
    centres = chance.standard_normal((max(1, count // 20), dimensions))
    rows = centres[chance.integers(len(centres), size=count)] + 0.5 * chance.standard_normal((count, dimensions))
    return unit(unit(rows) + common * unit(np.ones(dimensions))).astype(np.float32)


def near(chance, rows, low=0.86, high=0.99):
    """A copy of each row, moved to a cosine between the two."""
    cosine = chance.uniform(low, high, (len(rows), 1))
    other = chance.standard_normal(rows.shape)
    other = unit(other - (other * rows).sum(1, keepdims=True) * rows)
    return (cosine * rows + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def filled(kind, rows):
    index = open_index(kind, rows.shape[1])
    for number, row in enumerate(rows):
        assert index.insert(number, row)
    return index


@EACH
def test_entries_come_are_found_and_go(kind):
    index = open_index(kind, 3)
    assert (len(index), index.search([1, 0, 0]), index.remove(1), index.dimensions) == (0, [], False, 3)
    assert index.insert(1, [3.0, 0.0, 0.0])
    assert index.insert(2**64 - 1, [0.0, 1.0, 0.0])
    assert not index.insert(1, [0.0, 0.0, 2.0]), "in place of what was there"
    assert (1 in index, 5 in index, "x" in index, len(index)) == (True, False, False, 2)
    assert index.search([0.0, 0.0, 9.0]) == [(1, pytest.approx(1.0, abs=ROUNDING))]
    assert [entry for entry, _ in index.search([0.0, 0.5, 0.4], 5)] == [2**64 - 1, 1]
    assert index.search([1.0, 0.0, 0.0], 5, 0.5) == []
    assert index.remove(1)
    assert [entry for entry, _ in index.search([0.0, 0.0, 1.0], 5)] == [2**64 - 1]
    index.clear()
    assert (len(index), index.search([0.0, 0.0, 1.0], 5)) == (0, [])
    assert index.insert(1, [1.0, 1.0, 1.0])


@EACH
@pytest.mark.parametrize("common", [0.0, 1.5])
def test_no_decision_differs_from_a_whole_scan(kind, common):
    chance = np.random.default_rng(5)
    rows = clusters(chance, 3000, 128, common)
    index = filled(kind, rows)
    queries = np.concatenate([near(chance, rows[:150]), clusters(chance, 150, 128, common)])
    wrong = 0
    for query in queries:
        best = float((rows @ query).max())
        found = index.search(query, 1, 0.85)
        if abs(best - 0.85) > 1e-5:
            wrong += bool(found) != (best >= 0.85)
        if found:
            assert found[0][1] == pytest.approx(float(rows[found[0][0]] @ query), abs=ROUNDING)
            wrong += found[0][1] < best - ROUNDING
    assert wrong <= (3 if kind == "hnsw" else 0)


@EACH
def test_churn_of_three_times_the_capacity_keeps_recall(kind):
    chance = np.random.default_rng(6)
    rows = clusters(chance, 1200 * 4, 64)
    index = open_index(kind, 64)
    for number, row in enumerate(rows):
        index.insert(number, row)
        if number >= 1200:
            assert index.remove(number - 1200)
    assert len(index) == 1200
    kept = rows[-1200:]
    queries = near(chance, kept[::4])
    found = [index.search(query, 1, 0.85) for query in queries]
    best = [float((kept @ query).max()) for query in queries]
    right = [bool(answer) and answer[0][1] >= wanted - ROUNDING for answer, wanted in zip(found, best, strict=True)]
    assert sum(right) >= len(right) * (0.98 if kind == "hnsw" else 1.0)
    assert all(entry >= 3600 for answer in found for entry, _ in answer)


@EACH
@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ([1.0, math.nan, 0.0], "finite"),
        (np.array([1.0, math.inf, 0.0], np.float32), "finite"),
        ([1e300, 0.0, 0.0], "finite"),
        ([0.0, 0.0, 0.0], "zeros"),
        ([1.0, 0.0], "3 numbers"),
        (np.zeros((1, 3)), "one axis"),
        (np.zeros((2, 3), np.float32), "one axis"),
        ("abc", "array of floats"),
        (b"abc", "array of floats"),
        ([1.0, "x", 2.0], "array of floats"),
        (None, "array of floats"),
        (itertools.count(), "array of floats"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_what_is_no_vector_is_refused_and_changes_nothing(kind, vector, words):
    index = open_index(kind, 3)
    index.insert(1, [0.0, 1.0, 0.0])
    for use in (lambda: index.insert(1, vector), lambda: index.search(vector)):
        with pytest.raises(ConfigurationError, match=words):
            use()
    assert index.search([0.0, 1.0, 0.0]) == [(1, pytest.approx(1.0, abs=ROUNDING))]


@EACH
def test_arrays_of_any_kind_are_one_vector(kind):
    index = open_index(kind, 4)
    values = [1.0, 2.0, -3.0, 0.5]
    strided = np.array([values, values], np.float32).T.copy()[:, 0]
    kinds = [
        values,
        tuple(values),
        array.array("f", values),
        array.array("d", values),
        strided,
        memoryview(array.array("f", values)),
    ]
    kinds += [np.array(values, kind) for kind in ("f2", "f4", "f8", ">f4")]
    for number, vector in enumerate(kinds):
        index.insert(number, vector)
    found = index.search(values, len(kinds))
    assert [entry for entry, _ in found] == list(range(len(kinds)))
    assert all(cosine == pytest.approx(1.0, abs=1e-5) for _, cosine in found)


@EACH
def test_ids_and_numbers_of_results_are_checked(kind):
    index = open_index(kind, 2)
    for entry in (-1, 2**64, 1.5, "1", None):
        with pytest.raises(ConfigurationError, match="an id is"):
            index.insert(entry, [1.0, 0.0])
    with pytest.raises(ConfigurationError, match="k must be"):
        index.search([1.0, 0.0], 0)
    with pytest.raises(ConfigurationError, match="floor must be"):
        index.search([1.0, 0.0], 1, math.nan)
    assert len(index) == 0


@EACH
def test_bytes_grow_with_entries(kind):
    chance = np.random.default_rng(8)
    index = open_index(kind, 128)
    empty = index.bytes
    for number, row in enumerate(clusters(chance, 4000, 128)):
        index.insert(number, row)
    each = (index.bytes - empty) / 4000
    assert 4 * 128 < each < 2.2 * index.bytes_per_entry
    assert 4 * 128 < index.bytes_per_entry < 1500
    index.clear()
    assert index.bytes <= empty


@EACH
def test_threads_may_insert_remove_and_search_at_once(kind):
    rows = clusters(np.random.default_rng(9), 1600, 64)
    index, failures = open_index(kind, 64), []

    def work(worker):
        chance = random.Random(worker)
        try:
            for number in range(worker, 1600, 4):
                index.insert(number, rows[number])
                index.search(rows[chance.randrange(1600)], 3, 0.5)
                if number % 3 == 0:
                    index.remove(number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(index) == sum(1 for number in range(1600) if number % 3)
    missing = [number for number in range(1600) if number % 3 and index.search(rows[number], 1, 0.999)[0][1] < 0.999]
    assert not missing


@needs_hnswlib
def test_hnswlib_finds_what_the_flat_index_finds():
    chance = np.random.default_rng(10)
    rows = clusters(chance, 2000, 96, 0.5)
    flat, graph = filled("flat", rows), filled("hnsw", rows)
    agreed = sum(
        [entry for entry, _ in flat.search(query, 4, 0.7)] == [entry for entry, _ in graph.search(query, 4, 0.7)]
        for query in near(chance, rows[:200], 0.7)
    )
    assert agreed >= 195


def test_flat_indexes_of_any_seed_agree():
    chance = np.random.default_rng(11)
    rows = clusters(chance, 1500, 100)
    indexes = [VectorIndex(100, seed=seed, exact=exact) for seed, exact in ((1, False), (2, False), (3, True))]
    for index in indexes:
        for number in chance.permutation(1500):
            index.insert(int(number), rows[number])
    for query in near(chance, rows[:100], 0.5):
        answers = [index.search(query, 6, 0.4) for index in indexes]
        assert answers[0] == answers[1] == answers[2]


def test_get_returns_the_direction():
    index = VectorIndex(2)
    index.insert(4, [3.0, 4.0])
    assert np.asarray(index.get(4)).tolist() == pytest.approx([0.6, 0.8])
    assert index.get(5) is None
    assert (index.exact, VectorIndex(2, exact=True).exact) == (False, True)


def test_unknown_kinds_and_dimensions_are_refused():
    with pytest.raises(ConfigurationError, match="flat, exact, hnsw"):
        open_index("faiss", 3)
    for dimensions in (0, 65_537):
        with pytest.raises(ConfigurationError, match="dimensions"):
            open_index("flat", dimensions)
    with pytest.raises(ConfigurationError, match="dimensions"):
        HNSWIndex(0)


def test_a_missing_hnswlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "hnswlib", None)
    with pytest.raises(MissingExtraError, match=r"resopt\[hnsw\]"):
        open_index("hnsw", 3)
