"""`resopt.Cache` from outside: a mapping for plain-data keys and any values, with time, budgets and tags."""

import gc
import math
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import anyio
import pytest

from resopt._core import Digest, KeySpace, ManualClock, Stats
from resopt.cache import Cache
from resopt.cache.memory import parse_bytes
from resopt.errors import ConfigurationError, FlightRecursionError, ResoptError, UnkeyableError
from resopt.flight import Flight
from resopt.types import Response


def timed(**options):
    clock = ManualClock()
    return Cache(clock=clock, **options), clock


def test_it_is_a_mapping_of_plain_data_to_anything():
    cache = Cache()
    value = object()
    cache["question"] = value
    assert cache["question"] is value
    assert cache.get("question") is value
    assert "question" in cache
    assert len(cache) == 1
    del cache["question"]
    assert "question" not in cache
    with pytest.raises(KeyError, match="question"):
        cache["question"]
    with pytest.raises(KeyError, match="question"):
        del cache["question"]
    assert cache.get("question") is None
    assert cache.get("question", 7) == 7
    assert cache.pop("question", 8) == 8


def test_none_is_a_value():
    cache = Cache()
    assert cache.set("key", None)
    assert "key" in cache
    assert cache.get("key", "absent") is None
    assert cache["key"] is None
    assert cache.entry("key").value is None


def test_keys_are_data_not_objects():
    cache = Cache()
    cache[{"model": "gpt-4o", "messages": ["a", 1]}] = "found"
    assert cache[{"messages": ("a", 1.0), "model": "gpt-4o"}] == "found"
    cache[1] = "one"
    assert cache[1.0] == "one"
    assert True not in cache
    assert "1" not in cache
    with pytest.raises(UnkeyableError, match="object is not plain data"):
        cache.get(object())
    with pytest.raises(UnkeyableError):
        cache.set(["fine", {"deep": math.nan}], 1)


def test_namespaces_and_secrets_separate_digests():
    digests = {
        bytes(Cache(**options).digest("key"))
        for options in (
            {},
            {"namespace": "a"},
            {"namespace": "b"},
            {"secret": b"s"},
            {"namespace": "a", "secret": b"s"},
        )
    }
    assert len(digests) == 5
    assert bytes(Cache(namespace="a").digest("key")) == KeySpace("a").key("key")


def test_a_digest_is_a_key_as_it_is():
    cache = Cache()
    cache["key"] = 1
    digest = cache.digest("key")
    assert cache[digest] == 1
    assert cache[Digest(bytes(digest))] == 1
    assert digest == Digest(bytes(digest))
    assert hash(digest) == hash(Digest(bytes(digest)))
    assert digest != cache.digest("other")
    with pytest.raises(ConfigurationError, match="16 bytes, not 3"):
        Digest(b"abc")


def test_it_cannot_be_iterated_as_keys_are_not_kept():
    cache = Cache()
    cache[0] = "zero"
    with pytest.raises(TypeError, match="not iterable"):
        iter(cache)


def test_an_entry_lives_for_its_time_and_not_a_moment_longer():
    cache, clock = timed(ttl=10)
    cache.set("own", 1)
    cache.set("short", 2, ttl=0.5)
    cache.set("ever", 3, ttl=math.inf)
    clock.advance(0.499_999_999)
    assert cache.get("short") == 2
    clock.advance(0.000_000_001)
    assert cache.get("short") is None
    assert cache.entry("own").remaining == pytest.approx(9.5)
    assert cache.entry("ever").remaining is None
    clock.set(10)
    assert cache.get("own", "gone") == "gone"
    clock.advance(10**9)
    assert cache["ever"] == 3
    assert cache.stats.expirations == 2
    cache.set("own", 4)
    clock.advance(9)
    cache.set("own", 5)
    clock.advance(9)
    assert cache["own"] == 5, "setting starts the time anew"
    clock.advance(1)
    assert cache.get("own") is None, "reading does not"


def test_what_never_expires_outlives_any_clock():
    clock = ManualClock()
    cache = Cache(clock=clock)
    cache["kept"] = 1
    cache.set("mortal", 2, ttl=1e300)
    clock.advance(float("inf"))
    assert cache.get("kept") == 1
    assert cache.invalidate(older_than=1) == 1, "it is alive, but old"
    assert cache.stats.expirations == 1


def test_the_real_clock_expires_too():
    cache = Cache(ttl=0.05)
    cache["key"] = 1
    assert cache["key"] == 1
    assert 0 <= cache.entry("key").age < 0.05
    time.sleep(0.06)
    assert "key" not in cache
    assert len(cache) == 0


def test_an_entry_tells_about_itself_without_being_touched():
    cache, clock = timed(max_entries=2)
    cache.set("a", "value", ttl=60, tags=("x", "y", "x"), weight=5)
    cache.get("a")
    cache.get("a")
    clock.advance(2.5)
    before = cache.stats
    entry = cache.entry("a")
    assert (entry.value, entry.age, entry.remaining) == ("value", 2.5, 57.5)
    assert (entry.hits, entry.weight, entry.tags) == (2, 5, ("x", "y"))
    assert repr(entry).startswith(
        "Entry(value='value', age=2.500, remaining=57.500, hits=2, weight=5, tags=('x', 'y'))"
    )
    assert cache.entry("b") is None
    assert cache.stats == before
    with pytest.raises(AttributeError):
        entry.hits = 0
    cache["b"] = 1
    cache.entry("a")
    assert cache.peek("a") == "value"
    assert "a" in cache
    cache["c"] = 1
    assert "a" not in cache, "neither entry, peek nor `in` counts as a use"


def test_the_least_recently_used_goes_first():
    cache = Cache(max_entries=3)
    for name in "abc":
        cache[name] = name
    cache.get("a")
    cache["b"] = "new"
    cache["d"] = "d"
    assert [name in cache for name in "abcd"] == [True, True, False, True]
    assert cache.stats.evictions == 1


def test_weights_are_exact_for_text_bytes_and_responses():
    response = Response(text="grüße", model="m", body=b"{}")
    for value in ("ascii", "grüße", "漢字", "😀", b"bytes", "", 12, [1, 2], None):
        cache = Cache()
        cache["key"] = value
        assert cache.entry("key").weight == sys.getsizeof(value)
    cache = Cache()
    cache["key"] = response
    assert cache.entry("key").weight == response.weight == 7 + 2 + 256
    cache = Cache(weigh=len)
    cache["key"] = "12345"
    assert cache.stats.bytes == 5
    cache.set("key", "12345", weight=9)
    assert cache.stats.bytes == 9


def test_the_byte_budget_evicts_until_the_value_fits():
    cache = Cache(max_bytes=100, weigh=lambda value: value)
    for name, weight in (("a", 40), ("b", 30), ("c", 30)):
        cache[name] = weight
    assert cache.stats.bytes == 100
    cache["d"] = 60
    assert [name in cache for name in "abcd"] == [False, False, True, True]
    assert cache.stats.bytes == 90
    cache["c"] = 50
    assert [name in cache for name in "cd"] == [True, False], "an overwrite makes room as well"


def test_an_oversize_value_is_refused_and_never_leaves_an_old_one():
    cache = Cache(max_bytes=100, weigh=len)
    assert cache.set("key", "old")
    assert not cache.set("key", "x" * 101)
    assert cache.get("key") is None
    assert cache.set("key", "x" * 100)
    stats = cache.stats
    assert (stats.refused, stats.evictions, stats.entries, stats.bytes) == (1, 0, 1, 100)


def test_tags_drop_what_carries_them():
    cache, clock = timed()
    cache.set("a", 1, tags=("kb:42", "eu"))
    cache.set("b", 2, tags=["kb:42"])
    cache.set("c", 3, tags=iter(("eu",)))
    cache.set("d", 4, tags=("kb:42",), ttl=1)
    clock.advance(1)
    assert cache.tagged("eu") == 2
    assert cache.invalidate(tag="kb:42") == 2
    assert [name in cache for name in "abcd"] == [False, False, True, False]
    assert cache.invalidate(tag="kb:42") == 0
    cache.set("c", 3)
    assert cache.invalidate(tag="eu") == 0, "an overwrite has the tags it was given"


def test_age_drops_what_is_older():
    cache, clock = timed()
    for name in "abc":
        cache[name] = 1
        clock.advance(1)
    assert sorted(cache.ages()) == [1.0, 2.0, 3.0]
    assert cache.invalidate(older_than=1.0) == 2
    assert cache.ages() == [1.0]


def test_many_at_once():
    cache = Cache()
    assert cache.set_many({"a": 1, "b": 2}, tags=("x",)) == 2
    assert cache.set_many([("c", 3)], ttl=5) == 1
    assert cache.get_many(["c", "absent", "a"]) == [3, None, 1]
    assert cache.invalidate(tag="x") == 2
    assert (cache.stats.hits, cache.stats.misses) == (2, 1)


def test_stats_are_a_picture_of_one_moment():
    cache = Cache(max_entries=2)
    assert cache.stats.hit_rate == 0.0
    cache["a"] = "x"
    cache.get("a")
    cache.get("b")
    cache.get("a")
    stats = cache.stats
    assert stats.hit_rate == pytest.approx(2 / 3)
    assert repr(stats).startswith("Stats(hits=2, misses=1, evictions=0, expirations=0, refused=0, entries=1, bytes=")
    cache.clear()
    assert isinstance(stats, Stats)
    assert (stats.entries, cache.stats.entries, cache.stats.bytes, cache.stats.hits) == (1, 0, 0, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_entries": 0}, "max_entries must be 1"),
        ({"max_entries": -1}, "max_entries must be 1"),
        ({"max_entries": 2**40}, "max_entries must be 1"),
        ({"max_entries": "many"}, "max_entries must be an int"),
        ({"max_entries": True}, "max_entries must be an int"),
        ({"max_bytes": 0}, "max_bytes must be 1"),
        ({"max_bytes": 2**63}, "max_bytes must be 1"),
        ({"max_bytes": "lots"}, 'such as 1024, "256MB"'),
        ({"max_bytes": "-1MB"}, "max_bytes must be 1"),
        ({"max_bytes": "1e999GB"}, "such as 1024"),
        ({"max_bytes": "nanMB"}, "such as 1024"),
        ({"max_bytes": 1.5}, "an int or a str"),
        ({"ttl": 0}, "ttl must be a number of seconds above 0"),
        ({"ttl": -1}, "ttl must be"),
        ({"ttl": math.nan}, "ttl must be"),
        ({"ttl": "60"}, "ttl must be .* not '60'"),
        ({"ttl": True}, "ttl must be"),
        ({"weigh": 3}, "weigh must be callable"),
        ({"clock": 3}, "clock must be a ManualClock"),
        ({"namespace": 3}, "namespace must be a str"),
        ({"namespace": "\ud800"}, "namespace holds a lone surrogate"),
        ({"secret": "text"}, "secret must be bytes"),
        ({"secret": b""}, "secret is empty"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, says):
    with pytest.raises(ConfigurationError, match=says):
        Cache(**options)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda cache: cache.set("a", 1, ttl=0), "ttl must be"),
        (lambda cache: cache.set("a", 1, ttl="x"), "ttl must be"),
        (lambda cache: cache.set("a", 1, ttl=10**5000), "ttl must be"),
        (lambda cache: cache.set("a", 1, tags="kb:42"), "tags must be an iterable of str"),
        (lambda cache: cache.set("a", 1, tags=(1,)), "tags must be an iterable of str"),
        (lambda cache: cache.set("a", 1, tags=5), "tags must be an iterable of str"),
        (lambda cache: cache.set("a", 1, weight=-1), "a weight must be an int"),
        (lambda cache: cache.set("a", 1, weight="1"), "a weight must be an int"),
        (lambda cache: cache.get_or_set("a", int, tags="kb"), "tags must be an iterable of str"),
        (lambda cache: cache.invalidate(), "either tag= or older_than="),
        (lambda cache: cache.invalidate(tag="a", older_than=1), "either tag= or older_than="),
        (lambda cache: cache.invalidate(older_than=-1), "older_than must be"),
        (lambda cache: cache.invalidate(older_than="1"), "older_than must be"),
        (lambda cache: cache.invalidate(tag=1), "tag must be a str"),
        (lambda cache: cache.set_many([1]), "items must be a mapping or pairs"),
        (lambda cache: ManualClock(-1), "start must be"),
        (lambda cache: ManualClock(5).set(4), "cannot be set back"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(call, says):
    cache = Cache()
    with pytest.raises(ConfigurationError, match=says):
        call(cache)
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("size", "number"),
    [(5, 5), ("5", 5), ("5 B", 5), ("256MB", 256_000_000), ("1GiB", 2**30), ("1.5kb", 1500), (" 2 kib ", 2048)],
)
def test_sizes_in_words(size, number):
    assert parse_bytes(size) == number
    assert Cache(max_bytes=size).max_bytes == number


def test_a_failing_weigher_stores_nothing():
    cache = Cache(weigh=lambda value: 1 / value)
    with pytest.raises(ZeroDivisionError):
        cache["key"] = 0
    with pytest.raises(ConfigurationError, match="a weight must be an int"):
        cache["key"] = 3
    assert len(cache) == 0


def test_get_or_set_runs_once_for_threads_that_ask_together():
    cache = Cache()
    made, results = [], []
    gate = threading.Barrier(16)

    def make():
        made.append(1)
        time.sleep(0.05)
        return object()

    def ask():
        gate.wait()
        results.append(cache.get_or_set("key", make, tags=("t",)))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, results))) == 1
    assert cache.entry("key").tags == ("t",)


def test_what_make_raises_is_not_stored():
    cache = Cache()
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", lambda: 1 // 0)
    assert cache.get_or_set("key", lambda: 5) == 5
    with pytest.raises(FlightRecursionError):
        cache.get_or_set("circle", lambda: cache.get_or_set("circle", int))


@pytest.mark.parametrize(
    "drop",
    [
        lambda cache: cache.invalidate(tag="t"),
        lambda cache: cache.remove("key"),
        lambda cache: cache.pop("key"),
        lambda cache: cache.clear(),
    ],
)
def test_a_value_invalidated_while_it_was_made_is_not_stored(drop):
    cache = Cache()

    def make():
        drop(cache)
        return "of before"

    assert cache.get_or_set("key", make, tags=("t",)) == "of before"
    assert "key" not in cache
    assert not cache.fills
    assert cache.get_or_set("key", lambda: "new", tags=("t",)) == "new"
    assert cache["key"] == "new"


@pytest.mark.parametrize(
    "drop",
    [lambda cache: cache.invalidate(tag="t"), lambda cache: cache.remove("key"), lambda cache: cache.clear()],
)
def test_who_asks_after_an_invalidation_does_not_join_what_was_begun_before(drop):
    cache = Cache()
    begun, go = threading.Event(), threading.Event()
    results = []

    def make():
        begun.set()
        go.wait(10)
        return "of before"

    thread = threading.Thread(target=lambda: results.append(cache.get_or_set("key", make, tags=("t",))))
    thread.start()
    begun.wait(10)
    drop(cache)
    late = threading.Thread(target=lambda: results.append(cache.get_or_set("key", lambda: "new", tags=("t",))))
    late.start()
    late.join(5)
    assert results == ["new"]
    go.set()
    thread.join()
    assert results == ["new", "of before"]
    assert cache["key"] == "new"


def test_who_asks_after_an_invalidation_does_not_join_a_call_that_is_just_landing():
    landing, go = threading.Event(), threading.Event()

    class Slow(Flight):
        """The first call is made and stored, but those who wait are not told yet."""

        def _land(self, *args, **kwargs):
            if not landing.is_set():
                landing.set()
                go.wait(10)
            return super()._land(*args, **kwargs)

    cache = Cache()
    cache.flight = Slow()
    thread = threading.Thread(target=lambda: cache.get_or_set("key", lambda: "of before", tags=("t",)))
    thread.start()
    landing.wait(10)
    assert cache.invalidate(tag="t") == 1
    results = []
    late = threading.Thread(target=lambda: results.append(cache.get_or_set("key", lambda: "new")))
    late.start()
    late.join(5)
    assert results == ["new"]
    go.set()
    thread.join()


def test_an_invalidation_at_the_very_moment_of_storing_counts():
    class Late(Cache):
        """Another thread's invalidation comes between the last look and the store."""

        def set(self, *args, **kwargs):
            self.invalidate(tag="t")
            return super().set(*args, **kwargs)

    cache = Late()
    assert cache.get_or_set("key", lambda: "of before", tags=("t",)) == "of before"
    assert "key" not in cache


def test_other_invalidations_and_newer_values_are_respected():
    cache = Cache()

    def make():
        cache.invalidate(tag="other")
        cache.remove("elsewhere")
        return 1

    cache.get_or_set("key", make, tags=("t",))
    assert cache["key"] == 1
    assert cache.get_or_set("second", lambda: cache.set("second", "newer") and "older") == "older"
    assert cache["second"] == "newer"


@pytest.mark.anyio
async def test_aget_or_set_runs_once_for_tasks_that_ask_together():
    cache, made, results = Cache(), [], []

    async def make():
        made.append(1)
        await anyio.sleep(0.02)
        return "value"

    async def ask():
        results.append(await cache.aget_or_set("key", make, ttl=60))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(ask)
    assert (len(made), results) == (1, ["value"] * 50)
    assert cache.entry("key").remaining <= 60

    async def fail():
        raise LookupError("no")

    with pytest.raises(LookupError):
        await cache.aget_or_set("other", fail)
    assert "other" not in cache


@pytest.mark.anyio
async def test_cancelling_the_first_to_ask_disturbs_no_other():
    cache, results = Cache(), []

    async def make():
        await anyio.sleep(0.05)
        return "value"

    async def ask(scope):
        with scope:
            results.append(await cache.aget_or_set("key", make))

    leader, follower = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, leader)
        await anyio.sleep(0.01)
        tasks.start_soon(ask, follower)
        await anyio.sleep(0.01)
        leader.cancel()
    assert results == ["value"]
    assert cache["key"] == "value"


def test_thirty_two_threads():
    cache = Cache(max_entries=300, max_bytes=20_000, ttl=0.002, weigh=lambda value: value % 200)
    errors = []

    def work(seed):
        try:
            for step in range(2000):
                number = (seed * 7919 + step * 104729) % 1000
                match step % 8:
                    case 0 | 1 | 2:
                        cache.set(number, number, tags=(f"tag {number % 10}",))
                    case 3:
                        cache.remove(number)
                    case 4 if number < 50:
                        cache.invalidate(tag=f"tag {number % 10}")
                    case _:
                        assert cache.get(number, number) == number
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    stats = cache.stats
    assert stats.entries <= 300
    assert stats.bytes <= 20_000
    assert stats.hits + stats.misses > 0
    time.sleep(0.003)
    assert len(cache) == cache.stats.bytes == 0


REENTRANT = """
import faulthandler, gc
faulthandler.dump_traceback_later(20, exit=True)
from resopt.cache import Cache
cache = Cache(max_entries=3)
calls = 0

class Value:
    def __init__(self): self.loop = self
    def use(self):
        global calls
        calls += 1
        cache.get("a"); cache.set("from inside", calls); "b" in cache; cache.stats; len(cache)
        cache.invalidate(tag="t"); cache.entry("a"); gc.collect(0)
    def __del__(self): self.use()
    def __eq__(self, other): self.use(); return self is other
    def __hash__(self): self.use(); return 1
    def __sizeof__(self): self.use(); return 16

class Plain(Value):
    def __init__(self): pass

for kind in (Plain, Value):
    for step in range(50):
        cache.set("a", kind(), tags=("t",))       # replaced, or evicted, or invalidated by what dies
        cache.set(str(step), kind(), ttl=1e-9)    # expires at once
        cache.get(str(step))
        cache.set("b", kind()); cache.pop("b")
        cache.get_or_set(f"made {step}", kind)
    cache.clear()
gc.collect()
assert calls > 300, calls
print("done")
"""


def test_values_may_use_the_cache_as_they_die_or_are_weighed():
    done = subprocess.run([sys.executable, "-c", REENTRANT], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "done", done.stderr


def test_the_collector_sees_through_the_cache():
    class Holder:
        pass

    for make in (Cache, lambda: Cache(weigh=lambda value, keep=[]: 1)):
        cache = make()
        holder = Holder()
        holder.cache = cache
        cache["cycle"] = holder
        died = weakref.ref(holder), weakref.ref(cache)
        del holder, cache
        gc.collect()
        assert [reference() for reference in died] == [None, None]
    cache = Cache()
    entry_holder = Holder()
    cache["key"] = entry_holder
    entry_holder.entry = cache.entry("key")
    died = weakref.ref(entry_holder)
    cache.clear()
    del entry_holder
    gc.collect()
    assert died() is None


class Counted:
    alive = 0

    def __init__(self):
        Counted.alive += 1

    def __del__(self):
        Counted.alive -= 1


def test_when_all_expire_together_each_call_frees_a_few_and_use_frees_all():
    cache, clock = timed(max_entries=200_000, ttl=60)
    for number in range(100_000):
        cache[number] = Counted()
    clock.advance(60)
    assert Counted.alive == 100_000
    assert cache.get(99_999) is None
    assert 100_000 - 9 <= Counted.alive < 100_000
    for _ in range(100_000 // 8 + 1):
        before = Counted.alive
        cache.get("absent")
        assert before - Counted.alive <= 8
    assert Counted.alive == 0
    assert cache.stats.expirations == 100_000


def test_overwriting_for_ever_takes_no_memory():
    cache = Cache(max_entries=10, ttl=3600)

    def churn():
        for step in range(200_000):
            cache.set(step % 20, "x", tags=(f"tag {step % 30}",))
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    if not sys.platform.startswith("linux"):
        pytest.skip("needs /proc")
    before = churn()
    assert churn() - before < 4_000_000


def test_every_error_is_a_resopt_error():
    assert issubclass(UnkeyableError, ResoptError)
    assert issubclass(ConfigurationError, ResoptError)
