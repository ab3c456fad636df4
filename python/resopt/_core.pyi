"""The compiled core of resopt: typed surface, documented here."""

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Self, final

from typing_extensions import Buffer, disjoint_base

from resopt.types import Usage

__all__ = [
    "EMBEDDER",
    "EMBEDDER_DIMENSIONS",
    "UNICODE_VERSION",
    "ChatFamily",
    "Cuts",
    "Decision",
    "Digest",
    "Encoding",
    "Entry",
    "Floor",
    "KeySpace",
    "ManualClock",
    "MeanDifference",
    "Miss",
    "Mould",
    "Partition",
    "Question",
    "RequestShape",
    "RouteModel",
    "SequentialTest",
    "Signature",
    "Sketch",
    "Stats",
    "Store",
    "Tally",
    "VectorIndex",
    "__version__",
    "apgr",
    "count_words",
    "embed",
    "extract_context",
    "fold",
    "fold_unicode",
    "guard_names",
    "is_plain_question",
    "ratio_evidence",
    "shorten_prompt",
    "text_class",
    "tokenise",
    "verify",
]

__version__: str

EMBEDDER: str
"""Name of the bundled embedder; vectors of embedders with other names are never compared with its."""

EMBEDDER_DIMENSIONS: int
"""Numbers in a vector of the bundled embedder."""

UNICODE_VERSION: str
"""Versions of the Unicode data behind NFKC and case folding; part of every folded key."""

def fold(text: str, /) -> str:
    """The question of a text, for keys only: `"What  is Python?"` and `"what is python"` are one question.

    NFKC, full case folding, blanks folded to single spaces and trimmed, closing `.?!` dropped (`5!` keeps its mark). In
    text with small letters, words that are another word in capitals (`US`, `IT`, `WHO`, …) keep their case. Requests
    fold only what `is_plain_question`.

    Raises:
        UnkeyableError: the text holds a lone surrogate.
    """

def fold_unicode(text: str, /) -> str:
    """`" ".join(unicodedata.normalize("NFKC", text).casefold().split())`, without the rules that `fold` adds.

    Raises:
        UnkeyableError: the text holds a lone surrogate.
    """

def is_plain_question(text: str, /) -> bool:
    """Whether a text is one short line in which case and blanks carry no meaning.

    Not so: nothing at all, several lines, a code fence, braces, more than 512 characters, and raised or lowered figures
    (`2³` is not `23`, which NFKC makes of it). Blanks around the text do not count.
    """

def tokenise(text: str, /, limit: int = 256) -> list[int]:
    """The first `limit` token ids of a text, as the bundled embedder reads it: BERT's uncased WordPiece.

    The words of a text, without marks and in small letters, in pieces that the vocabulary has; 100 stands for a word
    that it cannot spell. Unicode 14.0.0 decides what a letter or a blank is, whatever Python's version; lone surrogates
    are read as nothing. Reading stops at the limit, however long the text is.

    Raises:
        DamagedModelError: the bundled vocabulary is not what was built in.
    """

def embed(text: str, /) -> memoryview[float] | None:
    """The unit vector of a text's first 256 tokens by the bundled embedder: 128 32-bit floats, read-only.

    Microseconds, offline, English; blind to the order of words, so it nominates neighbours and never decides. None when
    the vocabulary knows no word of the text: such texts have no direction. `numpy.asarray` takes it without a copy. The
    model is checked when it is first used, which takes some milliseconds.

    Raises:
        DamagedModelError: the bundled model is not what was built in.
    """

@final
class VectorIndex:
    """Vectors under ids of the caller's, found again by cosine; exact answers at the speed of a few octets a row.

    Flat: every row is looked at through a short code, and the few that can be among the results are computed exactly,
    so that entries come and go in microseconds and churn costs no recall. The codes are the signs of the vector after a
    secret random rotation; a neighbour exactly at the limit is overlooked with probability about 3e-7, one above it
    with far less. With `exact`, codes of eight bits and a proven bound rule out every miss, for more memory and a time
    that grows with the dimensions: the faster way for short vectors (128) and low floors. Cosines are of 32-bit floats;
    equal ones come in the order of their ids; neither the order of inserts nor the processor shows. Safe to use from
    many threads; long searches let other threads run.

    Args:
        dimensions: numbers in a vector, from 1 to 65,536.
        exact: rule out every miss.
        seed: of the rotation; None draws one.

    Raises:
        ConfigurationError: an option is out of range.
    """

    def __new__(cls, dimensions: int, *, exact: bool = False, seed: int | None = None) -> VectorIndex: ...
    def insert(self, entry: int, vector: Buffer | Sequence[float], /) -> bool:
        """Keep a vector in place of what was under that id; whether the id is new. Only its direction counts.

        Args:
            entry: its id, a whole number from 0 to 2**64 - 1.
            vector: an array of 32-bit floats, or of other numbers, which are converted.

        Raises:
            ConfigurationError: the vector has other dimensions, a number that is not finite, or zeros only; nothing
                changes then.
        """

    def remove(self, entry: int, /) -> bool:
        """Forget an id; whether it was there."""

    def search(
        self, vector: Buffer | Sequence[float], /, k: int = 1, floor: float | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest ids with their cosines, none below `floor`, the nearest first. A high floor saves time.

        Raises:
            ConfigurationError: the vector is not one that `insert` takes, `k` is 0 or the floor is not a number.
        """

    def get(self, entry: int, /) -> memoryview[float] | None:
        """The vector under an id, of length 1, as 32-bit floats; None when there is none."""

    def clear(self) -> None:
        """Forget all entries and give their memory back."""

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    @property
    def exact(self) -> bool:
        """Whether a proven bound rules out every miss."""

    @property
    def bytes(self) -> int:
        """Octets held now, room for entries to come included."""

    @property
    def bytes_per_entry(self) -> int:
        """Octets that one more entry takes in the long run: its share of a byte budget."""

    def __len__(self) -> int: ...
    def __contains__(self, entry: object, /) -> bool: ...

def guard_names() -> tuple[str, ...]:
    """Names of all guards, in their order; the same in every release."""

@final
class KeySpace:
    """A set of keys of its own: the same value in another space has an unrelated key.

    Keys are the same in every process and release that share the namespace and secret.

    Args:
        namespace: separates the keys of one use from those of another.
        secret: bytes without which nobody can compute or test a key; None for keys that anyone can compute.

    Raises:
        ConfigurationError: the secret is empty.
    """

    def __new__(cls, namespace: str = "", secret: bytes | None = None) -> KeySpace: ...
    def key(self, value: Any, /) -> bytes:
        """The 16 bytes that identify a value of plain data; see `resopt.key.key`.

        Raises:
            UnkeyableError: the value holds something that is not plain data; the message names the path to it.
        """

    def request(
        self,
        shape: RequestShape,
        body: dict[str, Any],
        namespace: str,
        tenant: str | None,
        user: str | None,
        policy: Any,
        folded: bool,
        /,
    ) -> bytes:
        """The 16 bytes that identify a request; `resopt.key.RequestKey` is the way to call this.

        Args:
            shape: which fields of the body count.
            body: the caller's request body.
            namespace: the scope's namespace.
            tenant: whose answers may be shared, or None.
            user: for whom alone the answer is, or None.
            policy: versions of policies, any plain data.
            folded: whether a plain question in the last message is folded.

        Raises:
            UnkeyableError: the body holds something that is not plain data; the message names the path to it.
        """

@final
class Question:
    """A question read once, to be compared with others.

    Reading costs about 6 µs for twelve words, comparing two about 3 µs. It keeps at most 4,096 octets of the text; of
    what follows only a digest. No text is refused: a lone surrogate is read as an unknown character.
    """

    def __new__(cls, text: str, /) -> Question: ...
    def compare(self, other: Question, /, guards: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
        """Why the two must not share an answer: (guard, words of this one, words of the other one), none for no reason.

        Args:
            other: the other question.
            guards: names of the guards to ask; all when None. See `guard_names()`.

        Raises:
            ConfigurationError: a name is no guard's.
        """

    def signals(self, other: Question, /) -> dict[str, int | float | bool]:
        """How the two differ, refusing nothing: what calibration learns from.

        `unmatched_left`, `unmatched_right`: words of content that the other has neither as such nor as a synonym;
        `renamed`: those matched by another word; `shared`: those both have; `same_question`: both ask for the same
        (who, when, …); `order`: share of pairs of shared words in the same order, 0 to 1; `length`: words of the
        shorter for each of the longer; `values`: both hold equally many values; `needs_strict`: see there.
        """

    @property
    def is_action(self) -> bool:
        """Does it ask for something to be done (`cancel my order`), rather than to be told?"""

    @property
    def is_code(self) -> bool:
        """Is it, or does it hold, source code or markup?"""

    @property
    def language(self) -> str:
        """`en`, `es`, `fr`, `de`, `it`, `pt`, `nl`, or the name of a script (`cyrillic`, `han`, …)."""

    @property
    def needs_strict(self) -> bool:
        """True when only some guards hold: it is not English, or was not read to its end. Decide strictly then."""

    @property
    def questions(self) -> int:
        """How many questions it asks, at least one."""

    @property
    def bytes(self) -> int:
        """Octets that it occupies in memory."""

@final
class RequestShape:
    """Which fields of an API's body determine the answer.

    Args:
        api: name of the API; part of every key.
        messages: the field that holds the conversation, or None: nothing is folded then.
        ignored: fields that are left out of keys.
    """

    def __new__(cls, api: str, messages: str | None = None, ignored: list[str] = ...) -> RequestShape: ...

@final
class ManualClock:
    """A clock that moves only when told to: for tests, and for replaying logged traffic.

    Args:
        start: seconds it shows at first, at least 0.

    Raises:
        ConfigurationError: a time is negative, NaN or in the past.
    """

    def __new__(cls, start: float = 0.0) -> ManualClock: ...
    def now(self) -> float:
        """Seconds it shows."""

    def advance(self, seconds: float) -> None:
        """Move forward by so many seconds."""

    def set(self, seconds: float) -> None:
        """Move forward to so many seconds."""

@final
class Digest:
    """A key that is a digest already: a store takes it as it is, whatever its namespace.

    Args:
        digest: 16 bytes that nobody can choose, such as `KeySpace.key` returns.

    Raises:
        ConfigurationError: it is not 16 bytes.
    """

    def __new__(cls, digest: bytes) -> Digest: ...
    def __bytes__(self) -> bytes: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Entry:
    """A live entry of a store, as it was when asked for."""

    @property
    def value(self) -> Any:
        """The value itself."""

    @property
    def age(self) -> float:
        """Seconds since it was set."""

    @property
    def remaining(self) -> float | None:
        """Seconds until it expires; None when it never does."""

    @property
    def hits(self) -> int:
        """How often it was found since it was set."""

    @property
    def weight(self) -> int:
        """Its share of the byte budget."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, in the order given."""

@final
class Stats:
    """Counters and sums of a store, all of the same moment."""

    @property
    def hits(self) -> int:
        """Lookups that found a live value."""

    @property
    def misses(self) -> int:
        """Lookups that did not."""

    @property
    def evictions(self) -> int:
        """Live entries dropped to keep within the budgets."""

    @property
    def expirations(self) -> int:
        """Entries dropped because their time was over."""

    @property
    def refused(self) -> int:
        """Values not stored because they alone exceed the byte budget."""

    @property
    def entries(self) -> int:
        """Entries held."""

    @property
    def bytes(self) -> int:
        """Sum of the weights of the entries held."""

    @property
    def hit_rate(self) -> float:
        """Hits in all lookups; 0.0 before the first."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@disjoint_base
class Store:
    """A thread-safe, bounded map from plain data to any values; `resopt.Cache` is this with options for people.

    Exact LRU, a time to live per entry, budgets of entries and of bytes, and tags, behind one lock under which no
    Python code runs. Each call frees a few expired entries, `len` and `stats` a few hundred. Keys are digests: there is
    no iteration. Every method that takes a key raises `UnkeyableError` when it is not plain data.

    Args:
        max_entries: entries at most; None for no limit.
        max_bytes: sum of weights at most; None for no limit.
        ttl: seconds an entry may be served; None for ever.
        weigh: called with a value, returns its weight.
        clock: None for the system's monotonic clock.
        space: makes the digests of keys; None for the space without namespace and secret.

    Raises:
        ConfigurationError: an option is outside its range.
    """

    def __new__(
        cls,
        *,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        ttl: float | None = None,
        weigh: Callable[[Any], int] | None = None,
        clock: ManualClock | None = None,
        space: KeySpace | None = None,
    ) -> Self: ...
    @property
    def max_entries(self) -> int | None:
        """How many entries it may hold; None for no limit."""

    @property
    def max_bytes(self) -> int | None:
        """How much its entries may weigh together; None for no limit."""

    @property
    def ttl(self) -> float | None:
        """Seconds an entry may be served unless `set` says otherwise; None for ever."""

    @property
    def stats(self) -> Stats:
        """Counters and sums, after freeing some of the expired entries."""

    def get(self, key: Any, default: Any = None) -> Any:
        """The live value of `key`, or `default`. Counts a hit or a miss and marks the entry as used."""

    def peek(self, key: Any, default: Any = None) -> Any:
        """As `get`, but leaves no trace in the counters and the order of use."""

    def set(
        self,
        key: Any,
        value: Any,
        *,
        ttl: float | None = None,
        tags: Iterable[str] | None = None,
        weight: int | None = None,
    ) -> bool:
        """Store a value in place of what was under `key`; whether it was stored.

        It is not when it alone exceeds the byte budget: then it is counted as refused, and what was under the key is
        dropped all the same.

        Args:
            key: plain data, or a `Digest`.
            value: anything, None included.
            ttl: seconds it may be served: None for the store's own, infinity for ever.
            tags: names by which it can be dropped.
            weight: its share of the byte budget; None to weigh it.

        Raises:
            ConfigurationError: an option is of the wrong type or outside its range.
        """

    def get_many(self, keys: Iterable[Any]) -> list[Any]:
        """The values of `keys`, in their order, None where there is none; each counts as a `get`."""

    def set_many(
        self,
        items: Mapping[Any, Any] | Iterable[tuple[Any, Any]],
        *,
        ttl: float | None = None,
        tags: Iterable[str] | None = None,
    ) -> int:
        """Store the values of a mapping or of pairs, all with the same options; how many were stored."""

    def remove(self, key: Any) -> bool:
        """Drop the entry of `key`; whether there was one."""

    def pop(self, key: Any, default: Any = None) -> Any:
        """Drop the entry of `key` and return its value, or `default`."""

    def entry(self, key: Any) -> Entry | None:
        """The entry of `key` with what is known of it, or None; leaves no trace."""

    def invalidate(self, *, tag: str | None = None, older_than: float | None = None) -> int:
        """Drop the entries that carry `tag`, or those set more than `older_than` seconds ago; how many were alive.

        Raises:
            ConfigurationError: not exactly one of the two is given, or it is of the wrong type.
        """

    def tagged(self, tag: str) -> int:
        """How many entries carry `tag`, expired ones that were not freed yet included."""

    def ages(self) -> list[float]:
        """Seconds since each live entry was set, in no order. Looks at every entry."""

    def clear(self) -> None:
        """Drop all entries; the counters go on."""

    def digest(self, key: Any) -> Digest:
        """The digest under which this store keeps `key`."""

    def __len__(self) -> int: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> None: ...

@final
class Miss:
    """A call whose result is not in the store."""

    @property
    def digest(self) -> Digest | None:
        """Where the result belongs; None when the arguments do not fit the function."""

    @property
    def owner(self) -> str | None:
        """The tag of the instance whose method it is, when that is keyed by identity."""

@final
class Signature:
    """The calls of one function as keys, and the store that holds their results.

    Args:
        store: holds the results.
        identity: plain data that tells the function from others with results in the store.
        parameters: name, `inspect.Parameter.kind`, whether there is a default, and the default, of each in order.
        receives: whether the first parameter is a receiver (`self`, `cls`).
        key: called with the arguments of a call; what it returns stands for them.
    """

    def __new__(
        cls,
        store: Store,
        identity: Any,
        parameters: list[tuple[str, int, bool, Any]],
        *,
        receives: bool = False,
        key: Callable[..., Any] | None = None,
    ) -> Signature: ...
    @property
    def hits(self) -> int:
        """Lookups that found a result, since the last `reset`."""

    @property
    def misses(self) -> int:
        """Lookups that did not."""

    def lookup(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a call, or a `Miss`.

        Raises:
            UnkeyableError: an argument is not plain data; the message names it.
        """

    def digest(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Digest | None:
        """Where the result of a call belongs; None when the arguments do not fit the function."""

    def reset(self) -> None:
        """Start the counters anew."""

@final
class Mould:
    """Makes fresh copies of one pydantic model.

    A copy equals the model, in its fields, in which of them were set, in what else it holds. Models, lists and dicts in
    it are made anew each time; texts, bytes, numbers and None are shared.

    Args:
        model: an instance of a pydantic model; the mould keeps nothing of it that it could change later.

    Raises:
        TypeError: something in it is none of these.
    """

    def __new__(cls, model: Any, /) -> Self: ...
    def cast(self) -> Any:
        """A copy that shares nothing with any other which can be changed."""

@final
class Tally:
    """Exact sums of money and tokens, and sketches of latencies, over the requests that are counted together.

    Money is in picodollars, tokens are in the order of `Usage`'s fields, latencies in seconds. Safe to use from many
    threads.
    """

    def __new__(cls) -> Self: ...
    def count(
        self,
        cost: int | None,
        baseline: int | None,
        avoided: int | None,
        billed: Usage | None,
        spared: Usage | None,
        latency: float,
        baseline_latency: float,
        /,
    ) -> None:
        """Count one request; its money only when all three amounts are known, and 128 bits hold them.

        Raises:
            ConfigurationError: a latency is negative, infinite or not a number; nothing is counted then.
        """

    def merge(self, other: Tally, /) -> None:
        """Count everything that `other` has counted."""

    @property
    def requests(self) -> int:
        """How many there were."""

    @property
    def unknown(self) -> int:
        """How many of them had an amount that is unknown; their money is in no sum."""

    @property
    def spent(self) -> int:
        """Cost of all whose amounts are known; spent + avoided = baseline."""

    @property
    def baseline(self) -> int:
        """What they would have cost without resopt."""

    @property
    def avoided(self) -> int:
        """What was not spent."""

    @property
    def billed_tokens(self) -> tuple[int, int, int, int, int]:
        """Sum of the tokens billed."""

    @property
    def avoided_tokens(self) -> tuple[int, int, int, int, int]:
        """Sum of the tokens not billed."""

    @property
    def latency(self) -> Sketch:
        """From call to answer; a copy."""

    @property
    def baseline_latency(self) -> Sketch:
        """Of the calls upstream; a copy."""

@final
class Sketch:
    """Quantiles of a stream of non-negative numbers, within a relative error, in bounded memory.

    Latencies are judged by their upper quantiles; keeping every one would cost memory without end. This keeps counts in
    bins that grow geometrically (DDSketch: Masson, Rim, Lee, VLDB 2019), so `quantile` is within `relative_error` of
    the true value whatever the distribution, and two sketches merge without loss. When more than `max_bins` bins would
    be needed, the lowest are folded together: the upper quantiles keep the guarantee. With the defaults that happens
    only when the largest value is more than 10**17 times the smallest. Safe to use from many threads.

    Args:
        relative_error: largest error of a quantile, as a share of it: 0.01 is 1 %. From 0.0001 to 0.5.
        max_bins: bins kept at most, 8 bytes each. From 16 to 65,536.

    Raises:
        ConfigurationError: an option is out of range.
    """

    def __new__(cls, relative_error: float = 0.01, max_bins: int = 2048) -> Self: ...
    def add(self, value: float, /) -> None:
        """Count one value.

        Raises:
            ConfigurationError: it is negative, infinite or not a number; nothing is counted then.
        """

    def add_many(self, values: Iterable[float], /) -> None:
        """Count every value, or none when one of them is not allowed.

        Raises:
            ConfigurationError: a value is negative, infinite or not a number.
        """

    def merge(self, other: Sketch, /) -> None:
        """Count everything that `other` has counted; the result equals the sketch of the union.

        Raises:
            ConfigurationError: the two were made with other options.
        """

    def quantile(self, q: float, /) -> float | None:
        """The value below which a share `q` (0 to 1) of all values lies; None when nothing was counted.

        It estimates the element of rank `floor(q * (count - 1))` in sorted order; 0 and 1 give the exact ends.

        Raises:
            ConfigurationError: `q` lies outside 0 to 1.
        """

    def to_bytes(self) -> bytes:
        """The sketch as bytes, versioned and checksummed."""

    @staticmethod
    def from_bytes(data: bytes, /) -> Sketch:
        """Read back what `to_bytes` wrote.

        Raises:
            ConfigurationError: the bytes are cut short, changed or of another version.
        """

    @property
    def count(self) -> int:
        """How many values were counted."""

    @property
    def sum(self) -> float:
        """Their sum (compensated: rounding errors do not add up)."""

    @property
    def minimum(self) -> float | None:
        """The smallest value, exactly; None when nothing was counted."""

    @property
    def maximum(self) -> float | None:
        """The largest value, exactly; None when nothing was counted."""

@final
class SequentialTest:
    """Whether the mean of a second arm differs from a first's, or, paired, whether a mean difference is not zero.

    A mixture sequential probability ratio test (Johari et al. 2015, 2017): its p-values may be looked at after every
    value, and the chance that one ever falls below alpha without a difference is at most alpha. Variances are
    estimated, so that holds from `warm_up` values per arm on. Safe to use from many threads.

    Args:
        spread: about how large a difference is looked for, in the values' unit (the deviation of the mixing prior).
        warm_up: values per arm before the first look.
        paired: values are differences of pairs, all in the second arm.

    Raises:
        ConfigurationError: an option is out of range.
    """

    def __new__(cls, spread: float, *, warm_up: int = 100, paired: bool = False) -> SequentialTest: ...
    def add(self, second: bool, value: float, /) -> None:
        """Count one value of the first arm (False) or the second (True), and look.

        Raises:
            ConfigurationError: it is not finite, or of a first arm that a paired test has not.
        """

    @property
    def ready(self) -> bool:
        """Whether both arms have their `warm_up` values."""

    @property
    def difference(self) -> float:
        """Mean of the second arm minus that of the first."""

    @property
    def counts(self) -> tuple[int, int]:
        """Values of the first and the second arm."""

    @property
    def means(self) -> tuple[float, float]:
        """Means of the first and the second arm."""

    @property
    def p_value(self) -> float:
        """Always-valid p-value that there is no difference: the least of all looks."""

    @property
    def p_lower(self) -> float:
        """Always-valid one-sided p-value: small when the second mean is lower.

        By bets of their own, which see a move of `spread` sooner than the two-sided test does.
        """

    @property
    def p_higher(self) -> float:
        """Always-valid one-sided p-value: small when the second mean is higher; see `p_lower`."""

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Where the true difference lies, at all looks together, with probability `1 - alpha`, if means are normal.

        Of rare events they are not, and it is too narrow: see `MeanDifference`. Infinite on both sides until `ready`.
        """

    def state(self) -> list[float]:
        """What was counted, as numbers that JSON can hold."""

    def restore(self, state: list[float], /) -> None:
        """Continue from what `state` of a test made alike gave.

        Raises:
            ConfigurationError: these numbers are no state.
        """

@final
class MeanDifference:
    """Where the difference of two means of bounded values lies, however often one looks and however rare they are.

    Bets on the differences of pairs, the n-th value of one arm with the n-th of the other (Waudby-Smith and Ramdas
    2024): nothing is estimated, so it holds from the first value on, whatever the distribution. Values are taken for
    independent. Safe to use from many threads.

    Args:
        share: of all values that is the second arm's; where arms are unequal, several values of the larger are compared
            with each of the smaller.
        paired: values are differences of pairs, -1 to 1, all in the second arm.

    Raises:
        ConfigurationError: `share` is out of range.
    """

    def __new__(cls, share: float = 0.5, *, paired: bool = False) -> MeanDifference: ...
    def add(self, second: bool, value: float, /) -> None:
        """Count one value, 0 to 1, of the first arm (False) or the second (True).

        Raises:
            ConfigurationError: it is out of range, or of a first arm that there is not.
        """

    def p_value(self, above: float, /) -> float:
        """Small when the second mean minus the first is more than `above`.

        The chance that it is ever alpha or less although the difference is not more is at most alpha.
        """

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Where the true difference lies, at all looks together, with probability `1 - alpha`; at first -1 to 1.

        Raises:
            ConfigurationError: `alpha` is out of range.
        """

    def state(self) -> list[float]:
        """What was counted, as numbers that JSON can hold."""

    def restore(self, state: list[float], /) -> None:
        """Continue from what `state` of one that was made alike gave.

        Raises:
            ConfigurationError: these numbers are no state.
        """

@final
class Floor:
    """Whether the mean of scores between 0 and 1 has fallen below a minimum, watched without end.

    A test by betting (Waudby-Smith and Ramdas 2024): the chance that its p-value ever falls below alpha while the mean
    is at or above the minimum is at most alpha, whatever the distribution. New bets begin on the way, so that a fall
    after a long good time is seen too. Safe to use from many threads.

    Args:
        minimum: the floor, between 0 and 1.

    Raises:
        ConfigurationError: the minimum is out of range.
    """

    def __new__(cls, minimum: float, /) -> Floor: ...
    def add(self, score: float, /) -> None:
        """Count one score.

        Raises:
            ConfigurationError: it lies outside 0 to 1.
        """

    @property
    def count(self) -> int:
        """Scores counted."""

    @property
    def sum(self) -> float:
        """Their sum."""

    @property
    def p_value(self) -> float:
        """Always-valid p-value that the mean has never been below the minimum; the least of all looks."""

    def state(self) -> list[float]:
        """What was counted, as numbers that JSON can hold."""

    def restore(self, state: list[float], /) -> None:
        """Continue from what `state` of a watch with the same minimum gave.

        Raises:
            ConfigurationError: these numbers are no state.
        """

def ratio_evidence(first: int, second: int, share: float, concentration: float = 100.0) -> float:
    """How strongly two counts speak against units having gone to the second arm with probability `share`.

    A log Bayes factor (Lindon and Malek 2022): above `log(1 / alpha)` at any look with probability at most alpha.

    Args:
        first: units in the first arm.
        second: units in the second.
        share: the share asked for, between 0 and 1.
        concentration: how many units the prior around `share` is worth.

    Raises:
        ConfigurationError: an argument is out of range.
    """

@final
class Encoding:
    """A published encoding: text to tokens and back, exactly as tiktoken does; `resopt.tokens` is this by model.

    Its tables are made when it is first asked for, checked against the published SHA-256, and shared by all threads. A
    text of 64 KB or more, and every method for many, lets other threads run. Lone surrogates count as U+FFFD.

    Args:
        name: `o200k_base`, `cl100k_base` or `o200k_harmony`.

    Raises:
        ConfigurationError: there is none of this name.
        DamagedModelError: the tables that came with resopt fail their check.
    """

    def __new__(cls, name: str, /) -> Encoding: ...
    @property
    def name(self) -> str:
        """Its name."""

    @property
    def special_tokens(self) -> dict[str, int]:
        """The special tokens and their numbers."""

    def tokens(self) -> list[bytes]:
        """The bytes of every ordinary token, in the order of their numbers."""

    def count(self, text: str, /) -> int:
        """How many tokens a text has, what looks like a special token taken as text.

        Raises:
            ConfigurationError: the text is not a str.
        """

    def count_many(self, texts: Iterable[str], /) -> list[int]:
        """How many tokens each of many texts has."""

    def encode(self, text: str, /, *, special: bool = False) -> list[int]:
        """The tokens of a text; with `special`, special tokens in it are read as such.

        Raises:
            ConfigurationError: the text is not a str.
        """

    def encode_many(self, texts: Iterable[str], /, *, special: bool = False) -> list[list[int]]:
        """The tokens of each of many texts."""

    def decode(self, tokens: Sequence[int], /) -> str:
        """The text of tokens; U+FFFD for bytes that are no whole character.

        Raises:
            ConfigurationError: a number is no token of this encoding.
        """

    def decode_many(self, sequences: Iterable[Sequence[int]], /) -> list[str]:
        """The texts of many sequences of tokens."""

    def decode_bytes(self, tokens: Sequence[int], /) -> bytes:
        """The bytes of tokens.

        Raises:
            ConfigurationError: a number is no token of this encoding.
        """

    def fits(self, text: str, max_tokens: int, /) -> bool:
        """Whether a text has at most `max_tokens` tokens; reads no further than needed."""

    def fits_many(self, texts: Iterable[str], max_tokens: int, /) -> list[bool]:
        """Whether each of many texts has at most `max_tokens` tokens."""

    def truncate(self, text: str, max_tokens: int, /) -> str:
        """The beginning of a text that has at most `max_tokens` tokens; the text itself when it fits.

        Raises:
            ConfigurationError: `max_tokens` is not an int of at least 0.
        """

    def truncate_many(self, texts: Iterable[str], max_tokens: int, /) -> list[str]:
        """The beginnings of many texts that have at most `max_tokens` tokens each."""

@final
class ChatFamily:
    """What a chat of a family of models costs beyond its texts; formulas and sources in `tokens/chat.rs`.

    Args:
        name: such as `gpt-4o`, `gpt-5-mini`, `o-series`, `claude-5`, `other`.

    Raises:
        ConfigurationError: there is none of this name.
    """

    def __new__(cls, name: str, /) -> ChatFamily: ...
    @property
    def name(self) -> str:
        """Its name."""

    def messages(self, messages: int, names: int = 0) -> int:
        """Tokens around the texts of messages: 3 each, 1 more with a name, and 3 for the reply's beginning."""

    def tools(
        self,
        functions: int,
        with_properties: int = 0,
        properties: int = 0,
        enums: int = 0,
        items: int = 0,
        *,
        forced: bool = False,
    ) -> int:
        """Tokens around the texts of tools, `for_tools` included; 0 without a function.

        Args:
            functions: functions.
            with_properties: functions that have properties.
            properties: properties of all functions.
            enums: properties that list their values.
            items: values of all lists.
            forced: whether the model must call one.
        """

    def for_tools(self, *, forced: bool = False) -> int:
        """Tokens that tools cost once, however many there are: a frame, or the prompt that Anthropic adds for them.

        Args:
            forced: whether the model must call one.
        """

    def image(self, width: int, height: int, *, low_detail: bool = False) -> int:
        """Tokens of an image of so many pixels, by the tiles, patches or area of the family."""

def text_class(text: str, /) -> Literal["prose", "code", "cjk", "other"]:
    """The class of a text within which tokenizers keep their ratio, from its first 8 KB."""

def shorten_prompt(
    prompt: str, /, level: str, encoding: str, markers: list[tuple[str, str]], examples: int, brevity: bool
) -> tuple[str, int, int, list[tuple[str, int, int, str, str, int]]]:
    """Take the fat off a prompt; `resopt.optimize_prompt` is this with checked arguments.

    From 32 KB on other threads run meanwhile.

    Args:
        prompt: the prompt.
        level: `lossless`, `light` or `strong`.
        encoding: the name of the encoding in which tokens are counted.
        markers: pairs of marks between which nothing is touched.
        examples: how many examples level `strong` keeps.
        brevity: whether `strong` may ask for a short answer.

    Returns:
        What is left, its tokens before and after, and the changes: rule, first character of the original and one past
        the last, what stood there, what stands there now, tokens saved.

    Raises:
        ConfigurationError: the level or the encoding is unknown, or a mark is empty.
    """

def extract_context(
    passages: list[str], question: str, /, share: float, budget: int | None, encoding: str
) -> tuple[list[str], int, int, float, float, bool]:
    """The sentences of some passages that a question is about; `resopt.compress_context` is this with a gate.

    From 32 KB on other threads run meanwhile.

    Args:
        passages: the texts.
        question: the question.
        share: share of the words that may be kept, where there is no budget.
        budget: tokens that may be kept.
        encoding: the name of the encoding in which a budget is counted.

    Returns:
        What is kept of each passage, its price and that of everything (words, or tokens where there is a budget), the
        share of the match that it holds, the share of the question's words found in the best passage, and whether both
        are enough to trust the choice.
    """

def count_words(text: str, /) -> int:
    """How many words a text has: stretches between blanks, and every Chinese or Japanese character."""

def verify(a: str, b: str, /) -> tuple[float, float, dict[str, float]]:
    """What the bundled verifier says of two texts, neither guards nor calibration applied.

    A small network aligns the words of both and estimates whether one answer serves both; it reads the first 32 tokens
    of each and knows English only. Swapping the texts changes nothing but the last bits. The model card beside the
    weights says what it was trained on and where it fails.

    Returns:
        The probability that one answer serves both, calibrated on pairs that pass the guards; the logit before
        calibration; the fifteen comparisons of words that the network reads, by name.
    """

@final
class Decision:
    """What was decided about a question and why; made by `Partition.decide`."""

    @property
    def verdict(self) -> str:
        """What to do: "serve" the stored answer, have it "rewrite" (rewritten) for this question, or "miss"."""

    @property
    def best(self) -> int | None:
        """The entry that the decision fell on; None when there was no candidate that nothing refuses."""

    @property
    def probability(self) -> float | None:
        """The calibrated probability that its answer fits."""

    @property
    def audited(self) -> bool:
        """Whether the toss asks for a label: judge the answer against a real one and call `Partition.learn`."""

    @property
    def rate(self) -> float:
        """The probability with which the toss asks: the audit rate for hits, the miss rate for other candidates."""

    @property
    def standing(self) -> str:
        """Why the namespace served what it served.

        "cold": too few labels, the profile's point. "warm": the floor comes from local labels. "drifted": nothing,
        answers had stopped fitting. "overspent": nothing, the budget was certainly exceeded.
        """

    @property
    def floor(self) -> float:
        """The probability that a candidate needed when warm; above 1 when nothing was served."""

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Near neighbours, the nearest first.

        Each with `id`, `cosine`, `reasons` (guard, words of the question, words of the entry), `barred`, `verified`
        (the verifier's probability or None), `probability` (calibrated, or None), `signals` (comparisons of words by
        name), `agreeing` and `dissenting` (weight of the other neighbours with the same and with another answer).
        """

@final
class Partition:
    """The questions of one scope, and the whole way of a question through them in one call.

    Embed, nominate the nearest, ask the guards, ask the verifier, turn all into a calibrated probability, decide.
    Entries are known by an id of the caller's; answers stay with the caller. Cold, it serves at its profile's point;
    labels (`learn`) make it warm: it then serves what keeps `max_wrong_hits`, and retreats when answers stop fitting.
    Safe to use from many threads; from 1,000 entries on a decision lets them run.

    Args:
        dimensions: numbers in vectors of your own embedder; None for the bundled one.
        verifier: "bundled"; "own", whose probabilities you give to `settle` after `nominate`; or "none".
        profile: cold, "strict" serves at p >= .97 with no content word unmatched and the same question word (the last
            two also when warm), "balanced" at p >= .95, "eager" at p >= .90 and only for rewriting. p is the calibrated
            probability as shipped: made of the verifier's opinion, the bundled embedder's cosine and comparisons of
            words; a verifier of your own is taken at its word.
        max_wrong_hits: the budget, a share of the answers served, above 0.
        similarity_threshold: floor on the cosine when cold and without a verifier.
        audit_rate: share of hits that are audited; the bound counts hits as wrong when it is 0.
        miss_rate: share of misses with a candidate that are labelled.
        alpha: probability that a bound is ever wrong.
        guards: names of the guards that refuse; None for all.
        exact: rule out every missed neighbour by a proven bound, at ten times the cost of a search.
        seed: of the tosses that pick audits; None draws one.

    Raises:
        ConfigurationError: an option is out of range, or a bundled file is damaged.
    """

    def __new__(
        cls,
        *,
        dimensions: int | None = None,
        verifier: str = "bundled",
        profile: str = "balanced",
        max_wrong_hits: float = 0.02,
        similarity_threshold: float = 0.95,
        audit_rate: float = 0.05,
        miss_rate: float = 0.2,
        alpha: float = 0.05,
        guards: list[str] | None = None,
        exact: bool = False,
        seed: int | None = None,
    ) -> Partition: ...
    def insert(  # the id is the caller's
        self,
        id: int,  # noqa: A002
        text: str,
        vector: Any = None,
        *,
        answer: int | None = None,
    ) -> bool:
        """Add a question under an id, in place of the one it had; False when the text has no vector and is not kept.

        Args:
            id: 0 to 2**64 - 1.
            text: the question.
            vector: its vector (a float32 or float64 buffer or a sequence) when the embedder is your own.
            answer: 64 bits of a digest of the answer: entries with equal answers speak for each other. None when
                answers are worded anew each time.

        Raises:
            ConfigurationError: the vector is missing, not wanted, of another size, not finite or zero.
        """

    def remove(self, id: int, /) -> bool:  # noqa: A002
        """Forget an entry; whether there was one."""

    def clear(self) -> None:
        """Forget all entries, and nothing of what was learned or barred."""

    def decide(
        self, text: str, vector: Any = None, *, record: bool = True, near: list[tuple[int, float]] | None = None
    ) -> Decision:
        """The whole way of a question.

        With `record` the decision counts: a hit is taken as served, and the toss for a label is made. Without, nothing
        changes and refused candidates are verified too: for explaining. `near` are the near entries with their cosines,
        nearest first, where an index of your own found them.

        Raises:
            ConfigurationError: the vector is missing, not wanted, of another size, not finite or zero.
        """

    def nominate(self, text: str, vector: Any = None, *, near: list[tuple[int, float]] | None = None) -> Decision:
        """Candidates and the guards' reasons, for a verifier of your own; `settle` decides. `near` as for `decide`.

        Raises:
            ConfigurationError: as `decide`.
        """

    def settle(self, decision: Decision, probabilities: list[float | None], *, record: bool = True) -> Decision:
        """Decide with one probability for each candidate, None where your verifier has no opinion.

        Raises:
            ConfigurationError: there are more or fewer than candidates, or one lies outside 0 to 1.
        """

    def learn(
        self, decision: Decision, candidate: int, right: bool, *, sampled: bool = True, entry: int | None = None
    ) -> None:
        """Learn whether a candidate's answer fits the question of a decision.

        An audited hit must be labelled exactly once, wrong when its audit failed; until then the bound counts it wrong.
        For an audited miss each candidate may be labelled.

        Args:
            decision: what `decide` or `settle` gave.
            candidate: the entry.
            right: whether its answer fits.
            sampled: whether `decision.audited` asked for it. A complaint is `sampled=False`: it teaches, but no bound.
            entry: the id under which the question's own answer was stored since; a right candidate's and its answers
                then speak for each other.

        Raises:
            ConfigurationError: the decision had no such candidate.
        """

    def bar(self, text: str, entry: int, vector: Any = None) -> bool:
        """Bar a question from an entry for good, with the neighbourhood of both; False when one has no vector.

        The newest 1,024 pairs are kept. Bar before the entry is removed.

        Raises:
            ConfigurationError: as `decide`.
        """

    def figures(self) -> dict[str, Any]:
        """Figures of the budget.

        `standing`, `floor`, `expected_wrong` (estimated share at that floor), `labels`, `retreats`, `barred`; and for
        `all` hits and the `recent` ones since the last retreat: `hits`, `labelled`, `wrong`, `pending`, `estimate`,
        `lower` and `upper`, bounds on the wrong share that hold at every moment with probability 1 - alpha each.
        """

    @property
    def bytes(self) -> int:
        """Octets that everything takes."""

    def bytes_of(self, id: int, /) -> int | None:  # noqa: A002
        """Octets that one entry takes, its share of the index included; None when there is none."""

    def __len__(self) -> int: ...
    def __contains__(self, id: int, /) -> bool: ...  # noqa: A002
    def to_bytes(self) -> builtins.bytes:
        """What was learned and what is barred, versioned and checksummed; entries are not part of it."""

    def restore(self, data: builtins.bytes, /) -> None:
        """Take over what `to_bytes` wrote, in place of what was learned here.

        Raises:
            ConfigurationError: the bytes are cut short, changed, of another version, or of a partition with another
                embedder or verifier; nothing is changed then.
        """

@final
class RouteModel:
    """How much a question asks for: a fixed prior over counts, or a model of the user's own labels.

    Bounded work: of a longer text the first 16,384 characters are read, and the rest counts as length.
    """

    def __new__(cls) -> Self: ...
    @staticmethod
    def fit(texts: list[str], gains: list[float], /) -> RouteModel:
        """Fit to questions and what each gained from the stronger model: its quality less the weaker one's, -1 to 1.

        Hashed words and pairs of words, and the counts of the prior, by ridge regression; mixed with the prior as far
        as held-out rows say. Detached from the interpreter; 10,000 rows take well under a second.

        Raises:
            ConfigurationError: fewer than 50 rows, lists of different length, a gain out of range, or no gain at all.
        """

    def score(self, text: str, /) -> float | None:
        """The score of a text, on a scale of its own; None when there is nothing to judge by."""

    def percentile(self, text: str, /) -> float | None:
        """The percentile, 0 to 1, of a text's score among those expected: for a fit, among its held-out rows."""

    def position(self, text: str, /) -> float | None:
        """A place from 0 to 1 for a text's score, in the order of scores; what `Cuts` take."""

    @staticmethod
    def parts(text: str, /) -> list[tuple[str, int, float]]:
        """What the prior counted in a text: name, count, and what it adds to the score."""

    @property
    def mix(self) -> float | None:
        """Share of the words' model in the score, 0 when the prior stays alone; None without a fit."""

    @property
    def summary(self) -> tuple[int, float, float, float] | None:
        """Rows, mean gain, APGR of the prior and of held-out rows; None without a fit."""

    @property
    def losses(self) -> list[float] | None:
        """Mean quality lost at most (95 %) at each hundredth of the stronger model's share; None without a fit."""

    def to_bytes(self) -> bytes:
        """The fitted model as bytes, versioned and checksummed, at most 200 KB; empty for the prior."""

    @staticmethod
    def from_bytes(data: bytes, /) -> RouteModel:
        """Read back what `to_bytes` wrote.

        Raises:
            ConfigurationError: the bytes were cut short, changed, or written by another version.
        """

@final
class Cuts:
    """Which tier a score belongs to, so that each tier gets its share of the traffic; safe to use from many threads.

    Args:
        shares: of each tier, the cheapest first; they add up to 1.
        model: whose scores are cut; it says what traffic to expect in the beginning.

    Raises:
        ConfigurationError: they do not, or there are none, or more than 16.
    """

    def __new__(cls, shares: list[float], model: RouteModel, /) -> Self: ...
    def set_shares(self, shares: list[float], /) -> None:
        """Promise the tiers other shares.

        Raises:
            ConfigurationError: as for a new one.
        """

    def decide(self, model: RouteModel, text: str, middle: int, /) -> int:
        """Score, cut and count a text in one step; the tier; `middle` when there is nothing to judge by."""

    def percentile(self, position: float, /) -> float:
        """The share of the traffic that scores lower than a position, between 0 and 1."""

    def tier(self, percentile: float, mode: str = "balanced", /) -> int:
        """The tier for a percentile, 0 the cheapest; `mode` leans to the cheap (`fast`) or able (`accurate`) side.

        Raises:
            ConfigurationError: the mode is unknown.
        """

    def tier_of_silence(self, middle: int, /) -> int:
        """The tier of a text that there is nothing to judge by: `middle`, as far as the shares allow it."""

    def count(self, position: float | None, tier: int, free: bool, /) -> None:
        """Remember a score and the tier it got; the cuts answer for those where they were free to choose."""

    @property
    def taken(self) -> list[int]:
        """Requests that each tier got."""

    @property
    def counted(self) -> int:
        """Requests for which the cuts were free to choose."""

    def state(self) -> tuple[list[float], list[float], int]:
        """The state that `restore` brings back: weights of the histogram, excess per cut, requests counted."""

    def restore(self, steps: list[float], excess: list[float], counted: int, /) -> None:
        """Bring back a state of the same tiers.

        Raises:
            ConfigurationError: it does not fit.
        """

def apgr(scores: list[float], gains: list[float], /) -> float:
    """Area under the recovered share of the gain, when the highest scores go to the stronger model first.

    Raises:
        ConfigurationError: the two differ in length, or are empty.
    """
