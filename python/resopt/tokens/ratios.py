"""Tokens of models whose tokenizer is not public, as ratios to `o200k_base` learned from the `usage` of real replies.

One ratio for a model is right for English and wrong elsewhere, so one is kept for each class of texts. Ratios are kept
as quantile sketches: the median is the estimate, the 5 % and 95 % quantiles are its band. Models change under their
names, so only the last 500 to 1,000 replies of each class count.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from threading import Lock
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from resopt._core import Sketch
from resopt.errors import ConfigurationError
from resopt.tokens.chat import read
from resopt.tokens.given import path_of
from resopt.tokens.models import DEFAULT, Ratio, TextClass, encoding_named, family_named, tokens_of
from resopt.tokens.names import learned_name

if TYPE_CHECKING:
    from os import PathLike

    from resopt.tokens.chat import Content

_HALF: Final = 500
"""Replies after which a sketch is put aside: the one before it is forgotten then."""

_TRUSTED: Final = 20
"""Replies from which on the learned band stands alone; before, it is widened by the assumed one."""

_SMALLEST: Final = 16
"""Tokens below which a text teaches nothing: the frame of the chat outweighs it."""

_SHARE: Final = 0.6
"""The share of the tokens that one class must have for a mixed request to teach it."""

_DOUBT: Final = 0.1
"""The share of a text that may be in doubt about the tools beside it for the text to teach anything."""

_MAGIC: Final = b"RSTR\x01"
_DIGEST: Final = 16
_CLASSES: Final[tuple[TextClass, ...]] = get_args(TextClass)


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    """What of one model and class is written to a file."""

    model: str
    kind: TextClass
    before: bytes
    now: bytes


class _Learned:
    """The ratios seen of one model in one class of texts."""

    __slots__ = ("before", "known", "now")

    def __init__(self, before: Sketch | None = None, now: Sketch | None = None) -> None:
        self.before = before or _sketch()
        self.now = now or _sketch()
        self.known: Ratio | None = None

    def add(self, ratio: float) -> None:
        if self.now.count >= _HALF:
            self.before, self.now = self.now, _sketch()
        self.now.add(ratio)
        self.known = None

    def ratio(self, assumed: Ratio) -> Ratio:
        """The ratio as of now: worked out once after each reply, not for each count."""
        if self.known is None:
            self.known = self._ratio(assumed)
        return self.known

    def _ratio(self, assumed: Ratio) -> Ratio:
        both = Sketch.from_bytes(self.before.to_bytes())
        both.merge(self.now)
        low, value, high = (both.quantile(q) for q in (0.05, 0.5, 0.95))
        if low is None or value is None or high is None:
            return assumed
        if both.count >= _TRUSTED:
            return Ratio(value, low, high, both.count)
        return Ratio(value, min(low, assumed.low), max(high, assumed.high), both.count)


class TokenRatios:
    """What was learned about tokenizers that are not public; safe to use from many threads.

    Feed it the usage of real replies and pass it to `count_tokens`, `fits` or `truncate`:

        ratios.learn("claude-sonnet-5", request, response.usage.input_tokens)
        count_tokens(text, model="claude-sonnet-5", ratios=ratios)

    A model's spellings and dated releases are one model (`names.py`): what `claude-sonnet-5-20260901` teaches is known
    of `anthropic/claude-sonnet-5`.

    Args:
        max_models: models kept at most, about 10 KB each; the one that was not used for longest is forgotten first.

    Raises:
        ConfigurationError: `max_models` is not an int of at least 1.
    """

    def __init__(self, max_models: int = 64) -> None:
        _at_least(max_models, 1, "max_models")
        self._max_models = max_models
        self._models: dict[str, dict[TextClass, _Learned]] = {}
        self._lock = Lock()

    def learn(self, model: str, content: Content, tokens: int) -> bool:
        """Learn from one reply; whether there was anything to learn.

        Of a request with texts of several classes, the one with most of the tokens learns what the others leave. A
        request with images or files, one with tools or a schema whose cost is in doubt beside the rest, a model whose
        tokens are exact, and a text of a few words teach nothing.

        Args:
            model: the model that was billed.
            content: what was sent (or, with output tokens, what came back), as `count_tokens` takes it.
            tokens: what the provider billed for it: the input tokens of a request, cached ones included.

        Raises:
            ConfigurationError: the model is not a str, or the number of tokens not an int that a reply can have.
            InvalidRequestError: the content is not what `count_tokens` takes.
        """
        _at_least(tokens, 0, "tokens")
        known = tokens_of(model)
        chat, encoding, family = read(content), encoding_named(DEFAULT), family_named(known.family)
        if known.exact or chat.images or chat.uncounted:
            return False
        counts = chat.by_class(encoding)
        kind = max(_CLASSES, key=counts.__getitem__)
        if counts[kind] < _SMALLEST or counts[kind] < _SHARE * sum(counts.values()):
            return False
        if max(chat.doubt(encoding, family, known)) > _DOUBT * counts[kind]:
            return False
        others = sum(counts[other] * self.ratio(model, other).value for other in _CLASSES if other != kind)
        ratio = (tokens - chat.frame(family) - others) / counts[kind]
        if ratio <= 0:
            return False
        with self._lock:
            self._touch(known.name).setdefault(kind, _Learned()).add(ratio)
        return True

    def ratio(self, model: str, kind: TextClass) -> Ratio:
        """The ratio of a model in a class of texts: the learned one, or what is assumed before the first reply.

        Raises:
            ConfigurationError: there is no such class.
        """
        if kind not in _CLASSES:
            raise ConfigurationError(f"a class of texts is one of {', '.join(_CLASSES)}, not {kind!r}")
        known = tokens_of(model)
        assumed = known.ratios[kind]
        with self._lock:
            classes = self._models.get(known.name)
            learned = None if classes is None else classes.get(kind)
            return assumed if learned is None else learned.ratio(assumed)

    def _touch(self, name: str) -> dict[TextClass, _Learned]:
        """The classes of a model, which is now the one used last."""
        classes = self._models.pop(name, {})
        self._models[name] = classes
        if len(self._models) > self._max_models:
            del self._models[next(iter(self._models))]
        return classes

    def to_bytes(self) -> bytes:
        """All that was learned, versioned and checksummed."""
        with self._lock:
            entries = [
                _Saved(model, kind, learned.before.to_bytes(), learned.now.to_bytes())
                for model, classes in self._models.items()
                for kind, learned in classes.items()
            ]
        body = msgspec.msgpack.encode(entries)
        return _MAGIC + _digest(body) + body

    @classmethod
    def from_bytes(cls, data: bytes, max_models: int = 64) -> TokenRatios:
        """Read back what `to_bytes` wrote.

        Raises:
            ConfigurationError: they are no bytes, or cut short, changed or of another version.
        """
        if not isinstance(data, bytes):
            raise ConfigurationError(f"data must be the bytes that to_bytes gave, not {type(data).__name__}")
        start = len(_MAGIC) + _DIGEST
        body = data[start:]
        if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != _digest(body):
            raise ConfigurationError("these bytes are no token ratios of this version, or they are damaged")
        ratios = cls(max_models)
        try:
            entries = msgspec.msgpack.decode(body, type=list[_Saved])
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"these bytes are no token ratios of this version: {error}") from error
        for saved in entries:
            learned = _Learned(Sketch.from_bytes(saved.before), Sketch.from_bytes(saved.now))
            ratios._touch(learned_name(saved.model))[saved.kind] = learned
        return ratios

    def save(self, path: str | PathLike[str]) -> None:
        """Write all that was learned to a file, in one step: a reader sees the old file or the new one.

        Raises:
            ConfigurationError: `path` is no path.
            OSError: it cannot be written.
        """
        target = path_of(path)
        temporary = target.with_name(f"{target.name}.new")
        try:
            temporary.write_bytes(self.to_bytes())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | PathLike[str], max_models: int = 64) -> TokenRatios:
        """Read what `save` wrote; a file that is missing or cannot be read is a fresh start, the latter with a warning.

        Raises:
            ConfigurationError: `path` is no path, or `max_models` not an int of at least 1.
        """
        ratios, source = cls(max_models), path_of(path)
        try:
            return cls.from_bytes(source.read_bytes(), max_models)
        except FileNotFoundError:
            return ratios
        except OSError as error:
            reason = f"it cannot be read ({error.strerror})"
        except ConfigurationError as error:
            reason = str(error)
        warnings.warn(f"{path}: {reason}; starting without", RuntimeWarning, stacklevel=2)
        return ratios


def ratio_of(model: str, kind: TextClass, ratios: TokenRatios | None) -> Ratio:
    """The ratio of a model in a class of texts, learned or assumed.

    Raises:
        ConfigurationError: `ratios` is no `TokenRatios`.
    """
    if ratios is None:
        return tokens_of(model).ratios[kind]
    if not isinstance(ratios, TokenRatios):
        raise ConfigurationError(f"ratios must be a TokenRatios or None, not {type(ratios).__name__}")
    return ratios.ratio(model, kind)


def _at_least(value: object, least: int, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= sys.maxsize:
        given = "one out of range" if type(value) is int and value.bit_length() > 64 else repr(value)
        raise ConfigurationError(f"{name} must be an int of at least {least}, not {given}")


def _sketch() -> Sketch:
    return Sketch(relative_error=0.005, max_bins=1024)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()
