"""The binding of the quantile sketch; its mathematics is tested in rust/core/tests/sketch.rs."""

import math
import random
import threading

import pytest

from resopt._core import Sketch
from resopt.errors import ConfigurationError


def test_quantiles_of_latencies_are_within_one_per_cent():
    chance = random.Random(7)
    values = sorted(chance.lognormvariate(-2.0, 1.5) for _ in range(20_000))
    sketch = Sketch()
    sketch.add_many(values)
    for q in (0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0):
        expected = values[math.floor(q * (len(values) - 1))]
        assert sketch.quantile(q) == pytest.approx(expected, rel=0.01)
    assert sketch.count == len(values)
    assert sketch.sum == pytest.approx(math.fsum(values), rel=1e-15)
    assert (sketch.minimum, sketch.maximum) == (values[0], values[-1])


def test_an_empty_sketch_says_nothing():
    sketch = Sketch()
    assert (sketch.count, sketch.sum, sketch.minimum, sketch.maximum) == (0, 0.0, None, None)
    assert sketch.quantile(0.5) is None


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, -math.inf])
def test_bad_values_are_refused_and_change_nothing(bad):
    sketch = Sketch()
    sketch.add(1.0)
    with pytest.raises(ConfigurationError, match="finite numbers from 0 up"):
        sketch.add(bad)
    with pytest.raises(ConfigurationError):
        sketch.add_many([2.0, bad])
    assert (sketch.count, sketch.maximum) == (1, 1.0)


def test_values_that_are_no_numbers_are_type_errors():
    sketch = Sketch()
    for bad in ("1.0", None, [1.0]):
        with pytest.raises(TypeError):
            sketch.add(bad)
    with pytest.raises(TypeError):
        sketch.add_many([1.0, "2.0"])
    assert sketch.count == 0


@pytest.mark.parametrize(
    "options", [{"relative_error": 0.0}, {"relative_error": 0.9}, {"max_bins": 1}, {"max_bins": 10**6}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Sketch(**options)


def test_merging_counts_both_and_itself():
    left, right = Sketch(), Sketch()
    left.add_many([1.0, 2.0])
    right.add_many([3.0, 4.0, 5.0])
    left.merge(right)
    assert (left.count, left.sum, left.minimum, left.maximum) == (5, 15.0, 1.0, 5.0)
    assert right.count == 3
    left.merge(left)
    assert (left.count, left.sum) == (10, 30.0)
    with pytest.raises(ConfigurationError, match="made alike"):
        left.merge(Sketch(relative_error=0.02))


def test_bytes_bring_the_sketch_back_and_corrupt_ones_do_not():
    sketch = Sketch()
    sketch.add_many([0.0, 0.5, 1.5, 20.0])
    data = sketch.to_bytes()
    back = Sketch.from_bytes(data)
    assert back.to_bytes() == data
    assert [back.quantile(q / 10) for q in range(11)] == [sketch.quantile(q / 10) for q in range(11)]
    for corrupt in (b"", b"RSK", data[:-1], data + b"\0", bytes([*data[:-1], data[-1] ^ 1])):
        with pytest.raises(ConfigurationError, match="not a sketch"):
            Sketch.from_bytes(corrupt)
    with pytest.raises(ConfigurationError, match="version 9"):
        Sketch.from_bytes(data[:3] + b"\x09" + data[4:])


def test_threads_add_and_merge_without_losing_a_value():
    shared, start = Sketch(), threading.Barrier(8)

    def work():
        own = Sketch()
        start.wait()
        for value in range(1, 2_001):
            shared.add(float(value))
            own.add(float(value))
        shared.merge(own)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.count == 8 * 2 * 2_000
    assert shared.sum == 8 * 2 * 2_001_000
