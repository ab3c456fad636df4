"""`EmbeddingBatcher`: texts asked for one by one, embedded together."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from resopt.batch.batcher import Batcher
from resopt.batch.checks import function, number
from resopt.batch.engine import Engine
from resopt.batch.sizes import FixedSize
from resopt.errors import InvalidRequestError, ProviderResponseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence


_BYTES_PER_TOKEN = 4


class Vectors(Protocol):
    """Where vectors are kept: `resopt.Cache` fits."""

    def get(self, key: Any, /) -> Any:
        """What is kept, or None."""
        ...

    def set(self, key: Any, value: Any, /) -> Any:
        """Keep it."""
        ...


class EmbeddingBatcher(Batcher):
    """`await load(text)` gives a text's vector; texts asked for at the same time go in one call, equal ones once.

    Args:
        embed: `async def embed(texts: list[str]) -> vectors`, one for each text in order.
        max_batch_size: texts in one call; OpenAI takes 2,048.
        max_batch_tokens: tokens in one call, estimated at four bytes each; OpenAI takes 300,000.
        concurrency: calls at once.
        wait_ms: milliseconds that a text waits for others while all calls are busy or another runs.
        cache: where vectors are kept: a `resopt.Cache`, or anything with its `get` and `set`; one of `cache_size`
            vectors when None.
        cache_size: vectors kept; 0 for none.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self,
        embed: Callable[[list[str]], Awaitable[Sequence[Sequence[float]]]],
        *,
        max_batch_size: int = 256,
        max_batch_tokens: int = 100_000,
        concurrency: int = 8,
        wait_ms: float = 2,
        cache: Vectors | None = None,
        cache_size: int = 2_000,
    ) -> None:
        function("embed", embed)
        for name, whole in (("max_batch_size", max_batch_size), ("max_batch_tokens", max_batch_tokens)):
            number(name, whole, least=1, whole=True)
        number("concurrency", concurrency, least=1, whole=True)
        number("cache_size", cache_size, least=0, whole=True)
        number("wait_ms", wait_ms, least=0)
        self._embed = embed
        self._kept: Vectors = _Recent(cache_size) if cache is None else cache
        # A text counts as its share of the tokens or of the places in a call, whichever is more.
        per_text = 1.0 / max_batch_size
        per_byte = 1.0 / (max_batch_tokens * _BYTES_PER_TOKEN)
        self._engine = Engine(
            self._process,
            FixedSize(1.0 + 1e-9),
            wait=wait_ms / 1000.0,
            eager=True,
            concurrency=concurrency,
            max_queue=100_000,
            reject=False,
            key=None,
            weigh=lambda text: max(per_text, len(text.encode("utf-8", "surrogatepass")) * per_byte),
            tenant_of=None,
            isolate=True,
        )

    async def load(self, text: str) -> list[float]:
        """The vector of a text: a list of your own.

        Raises:
            InvalidRequestError: it is no text.
            ProviderResponseError: what came back is not one vector for each text.
            Exception: what `embed` raised.
        """
        if not isinstance(text, str):
            raise InvalidRequestError(f"a text must be a str, not {type(text).__name__}")
        kept = self._kept.get(text)
        if kept is not None:
            return _unpacked(kept)
        return _unpacked(await self._engine.submit(text))

    async def load_many(self, texts: Iterable[str]) -> list[list[float]]:
        """The vectors of texts, in order.

        Raises:
            Exception: as `load`, for the first text that failed.
        """
        import anyio

        texts = list(texts)
        vectors: list[Any] = [None] * len(texts)

        async def one(position: int) -> None:
            try:
                vectors[position] = await self.load(texts[position])
            except Exception as error:  # noqa: BLE001 - raised below, without a group around it
                vectors[position] = error

        async with anyio.create_task_group() as group:
            for position in range(len(texts)):
                group.start_soon(one, position)
        for vector in vectors:
            if isinstance(vector, Exception):
                raise vector
        return vectors

    async def _process(self, texts: list[str]) -> list[Any]:
        """Embed a batch: every text once, and none that has been embedded since it was asked for."""
        packed = {text: self._kept.get(text) for text in texts}
        missing = [text for text, vector in packed.items() if vector is None]
        if missing:
            vectors = list(await self._embed(missing))
            if len(vectors) != len(missing):
                raise ProviderResponseError(f"{len(missing)} texts came back as {len(vectors)} vectors")
            for text, vector in zip(missing, vectors, strict=True):
                packed[text] = _packed(vector)
                self._kept.set(text, packed[text])
        return [packed[text] for text in texts]


class _Recent:
    """The vectors used last, as bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._vectors: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """A vector, which counts as used."""
        with self._lock:
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
            return vector

    def set(self, key: str, value: bytes) -> None:
        """Keep a vector."""
        with self._lock:
            self._vectors[key] = value
            if len(self._vectors) > self._most:
                self._vectors.popitem(last=False)


def _packed(vector: Any) -> bytes:
    """A vector that nobody can change: eight bytes for each number, exact."""
    try:
        return array("d", vector).tobytes()
    except (TypeError, ValueError) as error:
        raise ProviderResponseError(f"a vector must be numbers: {error}") from None


def _unpacked(packed: bytes) -> list[float]:
    return array("d", packed).tolist()
