"""`@resopt.cached`: one entry per meaning of a call, one run per entry, and nothing left behind."""

import asyncio
import enum
import functools
import gc
import inspect
import threading
import time
import weakref
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resopt._core import ManualClock, Signature
from resopt.cache import Cache, cached
from resopt.cache.function import _parameters
from resopt.errors import ConfigurationError, FlightRecursionError, UnkeyableError


def counted(calls, **options):
    """A cached function of every kind of parameter that notes its runs."""

    @cached(**options)
    def function(a, b=2, /, c=3, *rest, d, e=5, **more):
        calls.append((a, b, c, rest, d, e, more))
        return len(calls)

    return function


def test_calls_that_mean_the_same_share_one_entry():
    calls = []
    function = counted(calls)
    same = [
        lambda: function(1, d=4),
        lambda: function(1, 2, d=4),
        lambda: function(1, 2, 3, d=4, e=5),
        lambda: function(1, c=3, d=4),
        lambda: function(1, 2, e=5, d=4, c=3),
    ]
    assert {call() for call in same} == {1}
    other = [
        lambda: function(2, d=4),
        lambda: function(1, 3, d=4),
        lambda: function(1, 2, 3, 4, d=4),
        lambda: function(1, 2, 3, (4,), d=4),
        lambda: function(1, d=4, a=1),
        lambda: function(1, d=4, x=1, y=2),
        lambda: function(1, d=4, x=2, y=1),
        lambda: function(1, d=4, more={"x": 2, "y": 1}),
    ]
    assert len({call() for call in other}) == len(other)
    assert function(1, y=2, d=4, x=1) == function(1, x=1, y=2, d=4), "the order of keywords means nothing"
    assert function.cache_info().currsize == len(calls) == 1 + len(other)


VALUES = st.sampled_from([0, 1, 2, 3, 4, 5, "a", None, True, (), (4,)])
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "rest", "more", "x"])


@given(
    calls=st.tuples(*[st.tuples(st.lists(VALUES, max_size=5), st.dictionaries(NAMES, VALUES, max_size=4))] * 2),
)
def test_digests_are_equal_exactly_when_bound_arguments_are(calls):
    def function(a, b=2, /, c=3, *rest, d=4, e=5, **more):
        return repr((a, b, c, rest, d, e, sorted(more.items())))

    signature = Signature(Cache(), "function", _parameters(function))
    digests, bounds = [], []
    for args, kwargs in calls:
        digests.append(signature.digest(tuple(args), kwargs))
        try:
            bounds.append(function(*args, **kwargs))
        except TypeError:
            bounds.append(None)
    for bound, digest in zip(bounds, digests, strict=True):
        assert (bound is None) == (digest is None)
    if None not in digests:
        assert (bounds[0] == bounds[1]) == (digests[0] == digests[1])


def test_calls_that_do_not_fit_raise_the_functions_own_error():
    def plain(a, *, b):
        return a

    function = cached(plain)
    for args, kwargs in [((), {}), ((1,), {}), ((1, 2), {"b": 1}), ((1,), {"b": 1, "c": 2}), ((1,), {"a": 1, "b": 1})]:
        with pytest.raises(TypeError) as expected:
            plain(*args, **kwargs)
        with pytest.raises(TypeError) as raised:
            function(*args, **kwargs)
        assert str(raised.value) == str(expected.value)
        assert raised.value.__context__ is None
        with pytest.raises(TypeError):
            function.invalidate(*args, **kwargs)
    assert function.cache_info().misses == 0


def test_what_is_not_plain_data_is_named():
    @cached
    def function(question, options=None):
        return question

    with pytest.raises(UnkeyableError, match=r"options\.model\[0\]: object is not plain data; pass key="):
        function("q", options={"model": [object()]})
    with pytest.raises(UnkeyableError, match=r"^question: object is not plain data"):
        function(object())


def test_none_is_a_result_like_any_other():
    calls = []

    @cached
    def function(a):
        calls.append(a)

    assert function(1) is None
    assert function(1) is None
    assert calls == [1]


def test_it_is_still_the_function_it_wraps():
    def plain(a: int, b: str = "x") -> str:
        """What it does."""
        return b

    function = cached(ttl=5)(plain)
    assert function.__wrapped__ is plain
    assert function.__doc__ == "What it does."
    assert function.__name__ == "plain"
    assert inspect.signature(function) == inspect.signature(plain)
    assert not inspect.iscoroutinefunction(function)

    @cached
    async def later():
        return 1

    assert inspect.iscoroutinefunction(later)


def test_results_live_for_their_time():
    clock, calls = ManualClock(), []
    function = counted(calls, cache=Cache(clock=clock), ttl=10)
    assert function(1, d=1) == 1
    clock.advance(9.9)
    assert function(1, d=1) == 1
    clock.advance(0.1)
    assert function(1, d=1) == 2


def test_info_clear_and_invalidate():
    calls = []
    function = counted(calls, max_entries=2, ttl=60)
    for a in (1, 2, 1, 3):
        function(a, d=0)
    info = function.cache_info()
    assert (info.hits, info.misses, info.maxsize, info.currsize, info.evictions) == (1, 3, 2, 2, 1)
    assert info[:4] == (1, 3, 2, 2), "in the order of functools"
    assert function.invalidate(1, d=0, c=3)
    assert not function.invalidate(1, d=0)
    function(1, d=0)
    assert len(calls) == 4
    function.cache_clear()
    assert function.cache_info()[:4] == (0, 0, 2, 0)
    function(1, d=0)
    assert len(calls) == 5


def test_key_tags_and_skip():
    calls = []

    @cached(
        key=lambda document, user: document["id"],
        tags=lambda document, user: (f"user:{user}", "all"),
        skip=lambda result: result is None,
    )
    def function(document, user):
        calls.append(document)
        return document.get("text")

    unkeyable = object()
    assert function({"id": 1, "text": "a", "handle": unkeyable}, "ann") == "a"
    assert function({"id": 1, "text": "b"}, user="bob") == "a"
    assert function({"id": 2}, "bob") is None
    assert function({"id": 2}, "bob") is None
    assert len(calls) == 3
    assert function.cache.invalidate(tag="user:ann") == 1
    assert function({"id": 1, "text": "c"}, "bob") == "c"
    assert function.cache.invalidate(tag="user:bob") == 1
    fixed = cached(tags=("kb:1",))(lambda: 1)
    fixed()
    assert fixed.cache.invalidate(tag="kb:1") == 1


def test_exceptions_are_never_stored():
    calls = []

    @cached
    def function(a):
        calls.append(a)
        raise ValueError(a)

    for _ in range(2):
        with pytest.raises(ValueError, match="7"):
            function(7)
    assert calls == [7, 7]
    assert function.cache_info().currsize == 0


def test_invalidating_a_call_under_way_keeps_its_result_out():
    versions = iter(["old", "new"])

    @cached
    def function():
        version = next(versions)
        if version == "old":
            function.invalidate()
        return version

    assert function() == "old"
    assert function() == "new"
    assert function() == "new"


def test_what_is_gone_once_read_is_refused():
    numbers = cached(lambda count: (number for number in range(count)))
    later = cached(lambda: asyncio.sleep(0))
    for call in (lambda: numbers(3), later):
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="gone once read"):
                call()
    skipped = cached(skip=lambda result: True)(lambda: (number for number in (1, 2)))
    assert [list(skipped()), list(skipped())] == [[1, 2], [1, 2]], "what is skipped is not kept"


def test_methods_are_kept_per_instance_and_go_with_it():
    calls = []

    class Client:
        @cached
        def ask(self, question):
            calls.append(question)
            return f"{question}!"

    one, two = Client(), Client()
    assert [one.ask("a"), one.ask(question="a"), two.ask("a"), Client.ask(one, "a")] == ["a!"] * 4
    assert len(calls) == 2
    assert Client.ask.cache_info().currsize == 2
    assert Client.ask.cache.entry(Client.ask.cache.digest("absent")) is None
    died = weakref.ref(one)
    del one
    assert died() is None, "the cache keeps no instance alive"
    assert Client.ask.cache_info().currsize == 1
    for _ in range(100):
        assert Client().ask("b") == "b!"
    assert len(calls) == 102, "an address used again is not the same instance"
    assert Client.ask.cache_info().currsize == 1
    assert Client.ask.invalidate(self=two, question="a"), "arguments may have any name"
    assert Client.ask.cache_info().currsize == 0


def test_an_instance_in_a_cycle_is_forgotten_too():
    class Node:
        def __init__(self):
            self.self = self

        @cached
        def value(self):
            return 1

    Node().value()
    gc.collect()
    assert Node.value.cache_info().currsize == 0


def test_receivers_that_are_data_stand_for_their_data():
    calls = []

    @dataclass
    class Prompt:
        text: str

        @cached
        def tokens(self):
            calls.append(self.text)
            return len(self.text)

    prompt = Prompt("abc")
    assert [prompt.tokens(), Prompt("abc").tokens(), Prompt("abcd").tokens()] == [3, 3, 4]
    assert calls == ["abc", "abcd"]
    prompt.text = "changed"
    assert prompt.tokens() == 7, "what it is now decides"

    @dataclass
    class Service:
        name: str
        lock: object = field(default_factory=threading.Lock)

        @cached
        def ask(self, question):
            calls.append(question)
            return self.name

    one, two = Service("x"), Service("x")
    assert [one.ask("q"), one.ask("q"), two.ask("q")] == ["x"] * 3
    assert calls[3:] == ["q", "q"], "not plain data: each stands for itself"

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

        @cached
        def shout(self):
            return self.name

    assert [Colour.RED.shout(), Colour.BLUE.shout(), Colour.RED.shout()] == ["RED", "BLUE", "RED"]


def test_equal_receivers_of_different_classes_are_different():
    class Word(str):  # noqa: SLOT000 - it has a weak reference and attributes, as most have
        greeting = "hello"

        @cached
        def greet(self):
            return f"{self.greeting} {self}"

    class Loud(Word):
        greeting = "HELLO"

    for _ in range(2):
        assert [Word("x").greet(), Loud("x").greet()] == ["hello x", "HELLO x"]
    assert Word.greet.cache_info()[:2] == (2, 2)

    class Model:
        @cached
        def run(self):
            return self.answer()

    def define(result):
        @dataclass(frozen=True)
        class Tuned(Model):
            name: str

            def answer(self):
                return result

        return Tuned

    one, two = define(1), define(2)
    assert [one("m").run(), two("m").run(), one("m").run()] == [1, 2, 1], "a name may stand for several classes"
    assert Model.run.cache_info().currsize == 2
    del one
    gc.collect()
    assert Model.run.cache_info().currsize == 1, "results of a class go with it"


def test_an_instance_that_cannot_be_followed_is_refused():
    class Slotted:
        __slots__ = ()

        @cached
        def ask(self):
            return 1

        @cached(key=lambda self: "all")
        def shared(self):
            return 2

    with pytest.raises(UnkeyableError, match=r"self: .*Slotted.* has no __weakref__ slot; pass key="):
        Slotted().ask()
    assert Slotted().shared() == 2


def test_static_and_class_methods_in_either_order():
    calls = []

    class Base:
        @staticmethod
        @cached
        def inner(a):
            calls.append(("inner", a))
            return a

        @cached
        @staticmethod
        def outer(a):
            calls.append(("outer", a))
            return a

        @classmethod
        @cached
        def inner_class(cls, a):
            calls.append((cls.__name__, a))
            return cls.__name__

        @cached(ttl=5)
        @classmethod
        def outer_class(cls, a):
            calls.append((cls.__name__, a))
            return cls.__name__

    class Derived(Base):
        pass

    for _ in range(2):
        assert [Base.inner(1), Derived().inner(1), Base.outer(a=1), Base().outer(1)] == [1] * 4
        assert [Base.inner_class(1), Derived.inner_class(1)] == ["Base", "Derived"]
        assert [Base.outer_class(1), Derived().outer_class(1)] == ["Base", "Derived"]
    assert len(calls) == 6


def test_functions_that_share_a_cache_do_not_collide():
    cache = Cache(max_entries=100)
    one = cached(cache=cache)(_one)
    two = cached(cache=cache)(_two)
    makers = [cached(cache=cache)(_times(factor)) for factor in (2, 3)]
    lambdas = [cached(cache=cache)(function) for function in (lambda x: x + 10, lambda x: x + 20)]
    for _ in range(2):
        assert [one(5), two(5)] == ["one", "two"]
        assert [make(5) for make in makers] == [10, 15], "closures of one function are different functions"
        assert [function(5) for function in lambdas] == [15, 25]
    assert len(cache) == 6
    assert one.cache_info()[:4] == (1, 1, 100, 1)
    assert one.cache is cache
    one.cache_clear()
    assert (one.cache_info().currsize, two.cache_info().currsize, len(cache)) == (0, 1, 5)
    assert cached(cache=cache)(_two)(5) == "two"
    assert two.cache_info().hits == 1
    assert cache.entry(two.cache.digest("nothing")) is None


def test_a_name_does_not_make_two_functions_one():
    cache = Cache()

    class Client:
        def __init__(self, name):
            self.name = name

        def ask(self, question):
            return self.name, question

    bound = [cached(cache=cache)(Client(name).ask) for name in "ab"]
    assert [ask("q") for ask in bound] == [("a", "q"), ("b", "q")]

    redefined = []
    for result in (1, 2):
        namespace = {"__name__": "notebook"}
        exec(f"def answer(x): return {result}", namespace)
        redefined.append(cached(cache=cache)(namespace["answer"]))
    assert [answer("x") for answer in redefined] == [1, 2]
    redefined[0].cache_clear()
    assert [answer.cache_info().currsize for answer in redefined] == [0, 1]


def _one(x):
    return "one"


def _two(x):
    return "two"


def _times(factor):
    def multiply(x):
        return x * factor

    return multiply


def test_marks_of_resopt_are_not_shown_among_the_tags():
    cache = Cache()

    class Client:
        @cached(cache=cache, tags=("mine",))
        def ask(self):
            return 1

    client = Client()
    client.ask()
    plan = Client.ask.cache_info.__self__
    entry = cache.entry(plan.signature.digest((client,), {}))
    assert (entry.value, entry.tags) == (1, ("mine",))
    assert cache.tagged(plan.mark) == 1


def test_a_function_defined_anew_starts_empty():
    def define(result):
        @cached
        def function():
            return result

        return function

    assert [define(1)(), define(2)()] == [1, 2]


def test_recursive_functions_work_and_circles_are_named():
    @cached
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(60) == 1548008755920
    assert fibonacci.cache_info().misses == 61

    @cached
    def circle(n):
        return circle(n)

    with pytest.raises(FlightRecursionError):
        circle(1)


def test_threads_that_call_together_run_it_once():
    runs, results, gate = [], [], threading.Barrier(32)

    @cached
    def slow(a):
        runs.append(a)
        time.sleep(0.05)
        return object()

    def work():
        gate.wait()
        results.append(slow("a"))

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1
    assert len(results) == 32
    assert len(set(map(id, results))) == 1


def test_an_error_reaches_all_threads_that_wait():
    runs, errors, gate = [], [], threading.Barrier(8)

    @cached
    def slow():
        runs.append(1)
        time.sleep(0.05)
        raise ValueError("no")

    def work():
        gate.wait()
        try:
            slow()
        except ValueError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(runs), len(errors)) == (1, 8)


@pytest.mark.anyio
async def test_tasks_that_call_together_run_it_once():
    runs, results = [], []

    @cached(ttl=60)
    async def answer(question, *, model="gpt-4o"):
        runs.append(question)
        await anyio.sleep(0.02)
        return f"{question} by {model}"

    async def work():
        results.append(await answer("q", model="gpt-4o"))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(work)
    assert (runs, results) == (["q"], ["q by gpt-4o"] * 50)
    assert await answer(question="q") == "q by gpt-4o"
    assert answer.cache_info().hits >= 1
    assert answer.invalidate("q")
    assert await answer("q") == "q by gpt-4o"
    assert runs == ["q", "q"]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        await answer()


@pytest.mark.anyio
async def test_cancelling_the_first_caller_disturbs_no_other():
    runs, results = [], []

    @cached
    async def answer():
        runs.append(1)
        await anyio.sleep(0.05)
        return "value"

    async def work(scope):
        with scope:
            results.append(await answer())

    leader, follower = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, leader)
        await anyio.sleep(0.01)
        tasks.start_soon(work, follower)
        await anyio.sleep(0.01)
        leader.cancel()
    assert (runs, results) == ([1], ["value"])
    assert await answer() == "value"
    assert runs == [1]


@pytest.mark.anyio
async def test_when_all_callers_leave_nothing_is_stored():
    @cached
    async def answer():
        await anyio.sleep(0.05)
        return "value"

    with anyio.move_on_after(0.01):
        await answer()
    await anyio.sleep(0.06)
    assert answer.cache_info().currsize == 0
    assert not answer.cache.fills


@pytest.mark.anyio
async def test_an_async_error_reaches_all_and_is_not_stored():
    runs, errors = [], []

    @cached
    async def answer():
        runs.append(1)
        await anyio.sleep(0.01)
        raise ValueError("no")

    async def work():
        try:
            await answer()
        except ValueError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(work)
    assert (len(runs), len(errors)) == (1, 5)
    with pytest.raises(ValueError, match="no"):
        await answer()
    assert len(runs) == 2


@pytest.mark.anyio
async def test_async_methods_and_callables():
    class Client:
        def __init__(self, name):
            self.name = name

        @cached
        async def ask(self, question):
            return f"{self.name}: {question}"

        async def __call__(self, question):
            return f"called {question}"

    one, two = Client("one"), Client("two")
    assert [await one.ask("q"), await two.ask("q"), await one.ask("q")] == ["one: q", "two: q", "one: q"]
    assert Client.ask.cache_info()[:2] == (1, 2)
    call = cached(one)
    assert [await call("q"), await call(question="q")] == ["called q"] * 2
    assert call.cache_info()[:2] == (1, 1)
    partial = cached(functools.partial(Client.ask.__wrapped__, one))
    assert [await partial("q"), await partial("q")] == ["one: q"] * 2


def test_one_function_in_many_event_loops():
    @cached
    async def answer(question):
        await asyncio.sleep(0)
        return question

    assert [asyncio.run(answer("q")) for _ in range(3)] == ["q"] * 3
    assert answer.cache_info()[:2] == (2, 1)


def _generator():
    yield 1


async def _async_generator():
    yield 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cached(_generator), "_generator is a generator"),
        (lambda: cached(_async_generator), "_async_generator is a generator"),
        (lambda: cached(dict), "not the class dict"),
        (lambda: cached(5), "takes a function, not int"),
        (lambda: cached(key=5), "key must be callable"),
        (lambda: cached(skip=5), "skip must be callable"),
        (lambda: cached(cache={}), "cache must be a resopt.Cache"),
        (lambda: cached(cache=Cache(), max_entries=5), "belong to the cache"),
        (lambda: cached(cache=Cache(), namespace="x"), "belong to the cache"),
        (lambda: cached(cache=Cache(), ttl=-1), "ttl must be"),
        (lambda: cached(ttl=-1)(len), "ttl must be"),
        (lambda: cached(max_entries=0)(len), "max_entries must be"),
        (lambda: cached(tags="x")(_one), "tags must be an iterable of str"),
        (lambda: cached(tags=(1,))(_one), "tags must be str"),
        (lambda: cached(min), "does not say what its parameters are"),
    ],
)
def test_wrong_use_says_what_is_wrong_when_it_is_decorated(make, says):
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_the_decorated_function_is_collected():
    def make():
        @cached
        def function(a):
            return function

        function(1)
        return weakref.ref(function)

    died = make()
    gc.collect()
    assert died() is None
