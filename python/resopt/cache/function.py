"""`@cached`: the results of a function, kept by what its calls mean.

The wrapper's first act is one native call that binds the arguments, hashes them and looks up: a hit does nothing else.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar, cast, overload

from resopt._core import Miss, Signature
from resopt.cache.memory import Cache, Fill
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")

_MAX_ENTRIES = 10_000
_numbers = itertools.count()
_numbers_of_functions: weakref.WeakKeyDictionary[FunctionType, int] = weakref.WeakKeyDictionary()


class CacheInfo(NamedTuple):
    """What the calls of one function met.

    The first four are those of `functools.lru_cache`. Of a function with a `cache=` of the caller's, `hits`, `misses`
    and `currsize` are its own and the others those of the whole cache.
    """

    hits: int
    misses: int
    maxsize: int | None
    currsize: int
    bytes: int
    evictions: int
    expirations: int
    refused: int


class CachedFunction(Protocol[P, R_co]):
    """A function whose results are cached."""

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself, uncached."""

    @property
    def cache(self) -> Cache:
        """Where the results are."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The cached result of these arguments, or that of a call."""

    def cache_info(self) -> CacheInfo:
        """What the calls met since the start or the last `cache_clear`."""

    def cache_clear(self) -> None:
        """Drop the results of this function and start its counters anew."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the result of these arguments; whether there was one. For a method: `Class.method.invalidate(self)`."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], T], instance: S, owner: type[S] | None = None
    ) -> Callable[Q, T]: ...


class _Plan:
    """All that the calls of one function need."""

    def __init__(
        self,
        function: Callable[..., Any],
        cache: Cache,
        *,
        shared: bool,
        ttl: float | None,
        key: Callable[..., Any] | None,
        tags: Iterable[str] | Callable[..., Iterable[str]] | None,
        skip: Callable[[Any], object] | None,
    ) -> None:
        self.function, self.cache, self.ttl, self.skip = function, cache, ttl, skip
        identity = _identity(function)
        self.mark = f"\0function:{identity}" if shared else None
        self.tags = tags if callable(tags) else _tuple_of_tags(tags)
        parameters = _parameters(function)
        receives = bool(parameters) and parameters[0][0] in ("self", "cls") and parameters[0][1] in (0, 1)
        self.signature = Signature(cache, identity, parameters, receives=receives, key=key)

    def fill(self, miss: Miss, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fill | None:
        """How to make and store the result of a call; None when the call does not fit the function."""
        if miss.digest is None:
            return None
        tags = _tuple_of_tags(self.tags(*args, **kwargs)) if callable(self.tags) else self.tags
        tags = (*tags, *(tag for tag in (miss.owner, self.mark) if tag is not None))
        return Fill(self.cache, miss.digest, ttl=self.ttl, tags=tags, skip=self.skip)

    def call(self, miss: Miss, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fill = self.fill(miss, args, kwargs)
        if fill is None:
            return self.function(*args, **kwargs)
        make = functools.partial(self.function, *args, **kwargs)
        return self.cache.flight.run_blocking(bytes(fill.digest), fill.run_blocking, make).value

    async def call_async(self, miss: Miss, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fill = self.fill(miss, args, kwargs)
        if fill is None:
            return await self.function(*args, **kwargs)
        make = functools.partial(self.function, *args, **kwargs)
        return (await self.cache.flight.run(bytes(fill.digest), fill.run, make)).value

    def cache_info(self) -> CacheInfo:
        stats = self.cache.stats
        entries = stats.entries if self.mark is None else self.cache.tagged(self.mark)
        return CacheInfo(
            self.signature.hits,
            self.signature.misses,
            self.cache.max_entries,
            entries,
            stats.bytes,
            stats.evictions,
            stats.expirations,
            stats.refused,
        )

    def cache_clear(self) -> None:
        if self.mark is None:
            self.cache.clear()
        else:
            self.cache.invalidate(tag=self.mark)
        self.signature.reset()

    def invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        digest = self.signature.digest(args, kwargs)
        if digest is None:
            import inspect

            inspect.signature(self.function).bind(*args, **kwargs)  # raises the TypeError that says what does not fit
            return False
        return self.cache.remove(digest)


@overload
def cached(function: Callable[P, T], /) -> CachedFunction[P, T]: ...
@overload
def cached(
    *,
    ttl: float | None = None,
    max_entries: int | None = _MAX_ENTRIES,
    max_bytes: int | str | None = None,
    key: Callable[..., Any] | None = None,
    tags: Iterable[str] | Callable[..., Iterable[str]] | None = None,
    skip: Callable[[Any], object] | None = None,
    cache: Cache | None = None,
    weigh: Callable[[Any], int] | None = None,
    namespace: str = "",
) -> Callable[[Callable[P, T]], CachedFunction[P, T]]: ...
def cached(
    function: Callable[..., Any] | None = None,
    /,
    *,
    ttl: float | None = None,
    max_entries: int | None = _MAX_ENTRIES,
    max_bytes: int | str | None = None,
    key: Callable[..., Any] | None = None,
    tags: Iterable[str] | Callable[..., Iterable[str]] | None = None,
    skip: Callable[[Any], object] | None = None,
    cache: Cache | None = None,
    weigh: Callable[[Any], int] | None = None,
    namespace: str = "",
) -> Any:
    """Keep the results of a plain or async function, by what its calls mean.

    Calls that bind alike share a result: `f(1, b=2)`, `f(a=1, b=2)`, and defaults spelled out or not. Arguments must be
    plain data (`UnkeyableError` names the one that is not) or `key=` given. Concurrent equal calls run the function
    once; what it raises reaches all who wait and is never stored. None is a result like any other.

    A first parameter named `self` or `cls` is a receiver: one whose class defines equality and is plain data (a
    dataclass of such, say) stands for its data at the time of the call; any other stands for itself, and its results
    are dropped when it dies. Works below and above `staticmethod` and `classmethod`.

    Args:
        function: the function, when the decorator is used without parentheses.
        ttl: seconds a result may be served; None for ever (with `cache=`: that cache's own).
        max_entries: how many results at most.
        max_bytes: the sum of their weights at most, such as "64MB".
        key: called with the arguments of a call; what it returns is the key in their place.
        tags: names by which results can be dropped (`f.cache.invalidate(tag=…)`), or called with the arguments to get
            them.
        skip: called with a result; when true, it is returned but not stored.
        cache: a cache to share with others, whose limits, weights and clock hold.
        weigh: called with a result, returns its weight in bytes.
        namespace: separates the digests of this function from those of others.

    Raises:
        ConfigurationError: an option is wrong, or the function is a generator, a class or no function at all.
    """
    for name, option in (("key", key), ("skip", skip)):
        if option is not None and not callable(option):
            raise ConfigurationError(f"{name} must be callable, not {type(option).__name__}")
    if cache is not None and not isinstance(cache, Cache):
        raise ConfigurationError(f"cache must be a resopt.Cache, not {type(cache).__name__}")
    if cache is not None and (max_entries != _MAX_ENTRIES or max_bytes is not None or weigh is not None or namespace):
        raise ConfigurationError("max_entries, max_bytes, weigh and namespace belong to the cache given as cache=")
    if cache is not None:
        Cache(ttl=ttl)  # says now, not at the first result, what is wrong with it

    def decorate(function: Any) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(decorate(function.__func__))
        is_async = _is_async(function)
        own = cache
        if own is None:
            own = Cache(max_entries=max_entries, max_bytes=max_bytes, ttl=ttl, weigh=weigh, namespace=namespace)
        plan = _Plan(function, own, shared=cache is not None, ttl=ttl, key=key, tags=tags, skip=skip)
        return _wrapper(plan, is_async=is_async)

    return decorate if function is None else decorate(function)


def _wrapper(plan: _Plan, *, is_async: bool) -> CachedFunction[..., Any]:
    lookup, call, call_async = plan.signature.lookup, plan.call, plan.call_async

    if is_async:

        @functools.wraps(plan.function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            found = lookup(args, kwargs)
            if type(found) is Miss:
                return await call_async(found, args, kwargs)
            return found

    else:

        @functools.wraps(plan.function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            found = lookup(args, kwargs)
            if type(found) is Miss:
                return call(found, args, kwargs)
            return found

    surface: Any = wrapper
    surface.cache, surface.cache_info, surface.cache_clear = plan.cache, plan.cache_info, plan.cache_clear
    surface.invalidate = plan.invalidate
    return cast("CachedFunction[..., Any]", surface)


def _identity(function: Callable[..., Any]) -> int:
    """A number that no other function in this process has.

    A name is not enough: methods bound to two objects share theirs, and so do functions that replace each other or are
    registered under `_`. A function decorated twice keeps its number.
    """
    if not isinstance(function, FunctionType):
        return next(_numbers)
    return _numbers_of_functions.setdefault(function, next(_numbers))


def _is_async(function: Any) -> bool:
    """Whether calls have to be awaited.

    Raises:
        ConfigurationError: the results of such a thing cannot be cached.
    """
    import inspect

    if not callable(function):
        raise ConfigurationError(f"cached takes a function, not {type(function).__name__}; options go by name")
    if inspect.isclass(function):
        raise ConfigurationError(f"cached takes a function, not the class {function.__qualname__}")
    call = function if inspect.isroutine(function) else getattr(function, "func", type(function).__call__)
    for candidate in (function, call):
        if inspect.isgeneratorfunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise ConfigurationError(
                f"{getattr(function, '__qualname__', function)} is a generator, whose items are gone once read; "
                "return a list or tuple instead"
            )
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _parameters(function: Callable[..., Any]) -> list[tuple[str, int, bool, Any]]:
    """Name, kind, whether there is a default, and the default, of each parameter."""
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{function!r} does not say what its parameters are; wrap it in a function that does"
        ) from None
    empty = inspect.Parameter.empty
    return [
        (parameter.name, int(parameter.kind), parameter.default is not empty, parameter.default)
        for parameter in signature.parameters.values()
    ]


def _tuple_of_tags(tags: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise ConfigurationError(f'tags must be an iterable of str, such as ("{tags}",), not a str')
    names = tuple(tags or ())
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(f"tags must be str, not {type(name).__name__}")
    return names
