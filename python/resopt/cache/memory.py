"""A cache for any values: exact LRU, time to live, budgets and tags, in native code behind one lock.

Keys are plain data and become 16-byte digests before they reach the store (see `resopt.key`); no Python code runs while
its lock is held, so a value's `__eq__`, `__hash__` or `__del__` can neither slow down nor block another thread.
"""

from __future__ import annotations

from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from resopt._core import Digest, KeySpace, ManualClock, Store
from resopt.errors import ConfigurationError
from resopt.flight import Flight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Self

T = TypeVar("T")

ABSENT: Any = object()
"""Stands for "no value" where None is a value."""

_GONE_ONCE_READ = (AsyncGeneratorType, CoroutineType, GeneratorType)

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _UNITS[f"{_letter}b"] = 1000**_power
    _UNITS[f"{_letter}ib"] = 1024**_power


class Cache(Store):
    """A thread-safe, bounded mapping from plain data to any values.

    Of the keys only digests are kept, so entries can be found but not listed: there is no iteration. The key 1 equals
    1.0, but not True or "1". An entry costs about 100 bytes besides its value; budgets count values only.

    Args:
        max_entries: how many entries at most; the least recently used goes first. None for no limit.
        max_bytes: the sum of weights at most, as an int or a str such as "256MB" (10**6) or "1GiB" (2**30). A value
            that alone is heavier is not stored and counted as refused. None for no limit.
        ttl: seconds an entry may be served, counted from `set`. None for ever.
        weigh: called with a value, returns its weight in bytes. By default a `resopt.Response` weighs what it says and
            everything else `sys.getsizeof`, which is exact for str and bytes and shallow for containers.
        clock: a `ManualClock`, for tests and replays. None for the system's monotonic clock.
        namespace: separates the digests of this cache from those of others.
        secret: bytes without which nobody can compute a digest.

    Raises:
        ConfigurationError: an option is of the wrong type or outside its range.
    """

    __slots__ = ("__weakref__", "fills", "flight")

    fills: set[Fill]
    """Values in the making."""

    flight: Flight
    """The calls that make them."""

    def __new__(  # noqa: D102  (documented by the class)
        cls,
        *,
        max_entries: int | None = 100_000,
        max_bytes: int | str | None = None,
        ttl: float | None = None,
        weigh: Callable[[Any], int] | None = None,
        clock: ManualClock | None = None,
        namespace: str = "",
        secret: bytes | None = None,
    ) -> Self:
        if weigh is not None and not callable(weigh):
            raise ConfigurationError(f"weigh must be callable, not {type(weigh).__name__}")
        if clock is not None and not isinstance(clock, ManualClock):
            raise ConfigurationError(f"clock must be a ManualClock or None, not {type(clock).__name__}")
        if not isinstance(namespace, str):
            raise ConfigurationError(f"namespace must be a str, not {type(namespace).__name__}")
        if secret is not None and not isinstance(secret, bytes):
            raise ConfigurationError(f"secret must be bytes or None, not {type(secret).__name__}")
        self = super().__new__(
            cls,
            max_entries=_entries(max_entries),
            max_bytes=None if max_bytes is None else parse_bytes(max_bytes),
            ttl=ttl,
            weigh=weigh,
            clock=clock,
            space=KeySpace(namespace, secret),
        )
        self.fills = set()
        self.flight = Flight()
        return self

    def get_or_set(
        self,
        key: Any,
        make: Callable[[], T],
        *,
        ttl: float | None = None,
        tags: Iterable[str] | None = None,
        weight: int | None = None,
    ) -> T:
        """The value of `key`, made and stored when it is absent.

        Concurrent calls for one key run `make` once; what it raises reaches all who wait and is not stored. A value is
        not stored either when its key or one of its tags was invalidated, or a value set, while it was being made; who
        asks after the invalidation gets a value made after it.

        Raises:
            FlightRecursionError: `make` asks for the same key again.
            ConfigurationError: `make` returned a coroutine or generator, which is gone once read.
        """
        value = self.get(key, ABSENT)
        if value is ABSENT:
            fill = Fill(self, self.digest(key), ttl=ttl, tags=tags, weight=weight)
            value = self.flight.run_blocking(bytes(fill.digest), fill.run_blocking, make).value
        found: T = value
        return found

    async def aget_or_set(
        self,
        key: Any,
        make: Callable[[], Awaitable[T]],
        *,
        ttl: float | None = None,
        tags: Iterable[str] | None = None,
        weight: int | None = None,
    ) -> T:
        """The same for an async `make`, on asyncio and trio; cancelling one caller disturbs no other."""
        value = self.get(key, ABSENT)
        if value is ABSENT:
            fill = Fill(self, self.digest(key), ttl=ttl, tags=tags, weight=weight)
            value = (await self.flight.run(bytes(fill.digest), fill.run, make)).value
        found: T = value
        return found

    __iter__ = None
    """Keys are not kept, so there is nothing to go through."""

    def remove(self, key: Any) -> bool:
        """Drop the entry of `key`; whether there was one."""
        self._void(digest=self.digest(key))
        return super().remove(key)

    def pop(self, key: Any, default: Any = None) -> Any:
        """Drop the entry of `key` and return its value, or `default` when there is none."""
        self._void(digest=self.digest(key))
        return super().pop(key, default)

    def __delitem__(self, key: Any) -> None:
        if not self.remove(key):
            raise KeyError(key)

    def invalidate(self, *, tag: str | None = None, older_than: float | None = None) -> int:
        """Drop the entries that carry `tag`, or those set more than `older_than` seconds ago; how many were alive.

        By tag this takes time in proportion to their number; by age it looks at every entry. A value that is being made
        for one of the tag's entries is not stored.

        Raises:
            ConfigurationError: not exactly one of the two is given, or it is of the wrong type.
        """
        if tag is not None and older_than is None:
            self._void(tag=tag)
        return super().invalidate(tag=tag, older_than=older_than)

    def clear(self) -> None:
        """Drop all entries; values that are being made are not stored. The counters of `stats` go on."""
        self._void()
        super().clear()

    def _void(self, *, digest: Digest | None = None, tag: str | None = None) -> None:
        """Let no value that was begun before now be stored, or given to who asks from now on.

        Those of one digest, of one tag, or all.
        """
        for fill in tuple(self.fills):
            if fill.valid and (digest is None or fill.digest == digest) and (tag is None or tag in fill.tags):
                fill.valid = False
                fill.detach()


class Fill:
    """One value in the making: who may still store it, and how.

    Attributes:
        digest: the key it is for.
        tags: the tags it will carry.
        valid: turned off when the key or a tag is invalidated while the value is being made.
    """

    __slots__ = ("_cache", "_detach", "_skip", "_ttl", "_weight", "digest", "tags", "valid")

    def __init__(
        self,
        cache: Cache,
        digest: Digest,
        *,
        ttl: float | None = None,
        tags: Iterable[str] | None = None,
        weight: int | None = None,
        skip: Callable[[Any], object] | None = None,
        detach: Callable[[], None] | None = None,
    ) -> None:
        if isinstance(tags, str):
            raise ConfigurationError(f'tags must be an iterable of str, such as ("{tags}",), not a str')
        self._detach = detach
        self._cache, self.digest, self.valid = cache, digest, True
        self._ttl, self.tags, self._weight, self._skip = ttl, tuple(tags or ()), weight, skip

    def begin(self) -> None:
        """From now on an invalidation reaches this value."""
        self._cache.fills.add(self)

    def run_blocking(self, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make the value and store it, unless another flight landed since the caller looked."""
        self.begin()
        try:
            value = self._cache.peek(self.digest, ABSENT)
            if value is ABSENT:
                value = make(*args, **kwargs)
                self._store(value)
        finally:
            self.end()
        return value

    async def run(self, make: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """The same for an async function."""
        self.begin()
        try:
            value = self._cache.peek(self.digest, ABSENT)
            if value is ABSENT:
                value = await make(*args, **kwargs)
                self._store(value)
        finally:
            self.end()
        return value

    def end(self) -> None:
        """The value is made, or never will be."""
        # In this order: a call that invalidations no longer reach must not be joined any more.
        if self.valid:
            self.detach()
        self._cache.fills.discard(self)

    def detach(self) -> None:
        """Let nobody else join the call that makes this value."""
        if self._detach is None:
            self._cache.flight.detach(bytes(self.digest))
        else:
            self._detach()

    def _store(self, value: Any) -> None:
        if self._skip is not None and self._skip(value):
            return
        if isinstance(value, _GONE_ONCE_READ):
            if not isinstance(value, AsyncGeneratorType):
                value.close()
            raise ConfigurationError(
                f"a {type(value).__name__} is gone once read, so it cannot be cached; "
                "return what it yields, or await it: async functions go to aget_or_set"
            )
        # What somebody set in the meantime is newer than what was begun before.
        if self.valid and self.digest not in self._cache:
            self._cache.set(self.digest, value, ttl=self._ttl, tags=self.tags, weight=self._weight)
            if not self.valid:  # invalidated between the look and the store: what that dropped was not there yet
                Store.remove(self._cache, self.digest)


def parse_bytes(size: object) -> int:
    """Bytes in a size such as 1024, "256MB" (10**6) or "1GiB" (2**30).

    Raises:
        ConfigurationError: it is neither, or not above 0.
    """
    if isinstance(size, int) and not isinstance(size, bool):
        number = size
    elif isinstance(size, str):
        text = size.strip().lower()
        digits = text.rstrip("bikmgt ")
        unit = text[len(digits) :].strip()
        try:
            number = round(float(digits) * _UNITS[unit])
        except (KeyError, ValueError, OverflowError):
            raise ConfigurationError(f'max_bytes must be such as 1024, "256MB" or "1GiB", not {size!r}') from None
    else:
        raise ConfigurationError(f'max_bytes must be an int or a str such as "256MB", not {type(size).__name__}')
    if not 0 < number < 2**63:
        raise ConfigurationError(f"max_bytes must be 1 to 2**63 - 1 bytes, or None, not {size!r}")
    return number


def _entries(count: object) -> int | None:
    if count is None:
        return None
    if not isinstance(count, int) or isinstance(count, bool):
        raise ConfigurationError(f"max_entries must be an int or None, not {type(count).__name__}")
    if not 0 < count < 2**32 - 1:
        raise ConfigurationError(f"max_entries must be 1 to 2**32 - 2, or None, not {count}")
    return count
