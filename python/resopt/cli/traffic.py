"""Logged traffic: one JSON object a line, plain or gzip, checked row by row.

A row is `{ts, prompt | messages | body, user_id?, model?, response?, usage?, latency?}`. What is wrong with a row is
said in words that name the field; the reader goes on with the next.
"""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from resopt.errors import ResoptError
from resopt.types import EVERYONE, NO_TRACE, Request, Response, Scope, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GZIP: Final = b"\x1f\x8b"
_MARK: Final = b"\xef\xbb\xbf"
_BYTES_PER_TOKEN: Final = 4
_LONGEST_LATENCY: Final = 86_400.0
_LATEST: Final = 1e11


class TrafficError(ResoptError, ValueError):
    """A file of logged traffic, or one row of it, cannot be used; the message says which and why."""


class LoggedUsage(msgspec.Struct, frozen=True):
    """Tokens as OpenAI's chat completions, or as resopt, name them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None

    def usage(self) -> Usage:
        """The same as a `Usage`.

        Raises:
            TrafficError: it does not say how many input tokens there were, or says what cannot be.
        """
        sent = self.input_tokens if self.prompt_tokens is None else self.prompt_tokens
        made = self.output_tokens if self.completion_tokens is None else self.completion_tokens
        if sent is None:
            raise TrafficError("usage has neither prompt_tokens nor input_tokens")
        cached = (self.prompt_tokens_details or {}).get("cached_tokens", self.cached_input_tokens) or 0
        if not isinstance(cached, int) or not 0 <= cached <= sent or (made or 0) < 0:
            raise TrafficError("usage has a negative count, or more cached tokens than input tokens")
        return Usage(input_tokens=sent, cached_input_tokens=cached, output_tokens=made or 0)


class Row(msgspec.Struct, frozen=True):
    """One line, as it was logged.

    Attributes:
        ts: when it was asked: seconds (Unix time, or from any start), or an ISO 8601 date and time (UTC unless it says
            otherwise).
        prompt: the question; `messages` and `body` (the whole request) are the other ways to say what was asked.
        user_id: who asked.
        model: the model asked for.
        response: what was answered: the text, or the provider's whole reply.
        usage: the tokens of that answer.
        latency: seconds it took.
    """

    ts: float | str
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    body: dict[str, Any] | None = None
    user_id: str | int | None = None
    model: str | None = None
    response: str | dict[str, Any] | None = None
    usage: LoggedUsage | None = None
    latency: float | None = None


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One row made ready: when, what, and what upstream answered.

    Attributes:
        line: its number in the file, from 1.
        ts: seconds.
        request: what was asked.
        response: what was answered, or None when the row does not say.
        usage: the logged tokens, or None.
        latency: seconds the answer took, or None.
    """

    line: int
    ts: float
    request: Request
    response: Response | None
    usage: Usage | None
    latency: float | None


class BadRow(msgspec.Struct, frozen=True):
    """A line that could not be used, and why."""

    line: int
    reason: str


class Traffic:
    """The rows of one file.

    Args:
        path: JSON lines, plain or gzip (told by its content).
        model: the model of rows that name none.
        isolate_users: nothing is shared between users, as if each were a tenant.

    Raises:
        TrafficError: the file cannot be read.
    """

    def __init__(self, path: str | Path, *, model: str = "gpt-4o", isolate_users: bool = False) -> None:
        self.path = Path(path)
        self._model = model
        self._isolate_users = isolate_users
        self._decoder = msgspec.json.Decoder(Row)
        try:
            self._file = self.path.open("rb")
            self.size = self.path.stat().st_size
            self._zipped = self._file.peek(2).startswith(_GZIP)  # a pipe cannot go back
        except OSError as error:
            raise TrafficError(f"cannot read {self.path}: {error.strerror or error}") from error
        if self.path.suffix == ".gz" and not self._zipped and self.size:
            self._file.close()
            raise TrafficError(f"{self.path} is named .gz but is not gzip: rename it, or compress it with gzip")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """Bytes of the file read so far, of `size`; 0 for a pipe."""
        return self._file.tell() if self._file.seekable() else 0

    def rows(self) -> Iterator[Ask | BadRow]:
        """Every line that is not blank.

        Raises:
            TrafficError: reading breaks off (a damaged archive, a failing disk).
        """
        number = 0
        try:
            lines: Iterable[bytes] = gzip.GzipFile(fileobj=self._file) if self._zipped else self._file
            for number, line in enumerate(lines, start=1):
                if not line.isspace():
                    yield self._ask(number, line.removeprefix(_MARK) if number == 1 else line)
        except (OSError, EOFError, zlib.error) as error:
            raise TrafficError(f"{self.path} breaks off after line {number}: {error}") from error

    def _ask(self, number: int, line: bytes) -> Ask | BadRow:
        try:
            row = self._decoder.decode(line)
            return Ask(
                number,
                _seconds(row.ts),
                self._request(row),
                _response(row, self._model),
                None if row.usage is None else row.usage.usage(),
                _latency(row.latency),
            )
        except msgspec.ValidationError as error:
            return BadRow(number, str(error).replace("`$.", "`").replace("`$`", "the row"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return BadRow(number, f"not JSON: {error}")
        except ResoptError as error:
            return BadRow(number, str(error))

    def _request(self, row: Row) -> Request:
        given = (row.prompt is not None) + (row.messages is not None) + (row.body is not None)
        if given != 1:
            found = "none of them" if not given else "more than one"
            raise TrafficError(f"a row needs prompt, messages or body, and this one has {found}")
        if row.prompt is not None:
            body = {"model": row.model or self._model, "messages": [{"role": "user", "content": row.prompt}]}
        elif row.messages is not None:
            body = {"model": row.model or self._model, "messages": row.messages}
        else:
            body = {"model": row.model or self._model, **(row.body or {})}
        if not isinstance(body["model"], str):
            raise TrafficError(f"body.model must be a str, not {type(body['model']).__name__}")
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            raise TrafficError("messages must be a list that is not empty")
        return Request(body=body, scope=self._scope(row.user_id))

    def _scope(self, user_id: str | int | None) -> Scope:
        if user_id is None:
            return EVERYONE
        user = user_id if isinstance(user_id, str) else str(user_id)
        return Scope(tenant=user, user=user) if self._isolate_users else Scope(user=user)


class Stand:
    """What upstream would have answered: the logged answer with its tokens, or a stand-in with estimated ones.

    Args:
        answer_tokens: tokens of an answer that was not logged.
    """

    def __init__(self, answer_tokens: int = 200) -> None:
        self.answer_tokens = answer_tokens
        self.unlogged_answers = 0
        self.estimated_usages = 0
        self._size = _BYTES_PER_TOKEN * answer_tokens

    def answer(self, ask: Ask, now: float) -> Response:
        """The response to one row; counts what was not logged."""
        logged = ask.response
        # No two stand-ins are equal: equal answers would be taken for a sign that questions mean the same.
        text = f"line {ask.line} ".ljust(self._size, "x") if logged is None else logged.text
        usage = ask.usage or (None if logged is None else logged.usage)
        if logged is None:
            self.unlogged_answers += 1
        if usage is None:
            self.estimated_usages += 1
            made = self.answer_tokens if logged is None else count_tokens(text)
            usage = Usage(input_tokens=prompt_tokens(ask.request), output_tokens=made)
        return Response(
            text=text,
            model=ask.request.model if logged is None else logged.model,
            usage=usage,
            finish_reason="stop" if logged is None else logged.finish_reason,
            tool_calls=() if logged is None else logged.tool_calls,
            body=b"" if logged is None else logged.body,
            created_at=now,
            latency=ask.latency or 0.0,
            trace=NO_TRACE,
        )


def count_tokens(text: str) -> int:
    """Estimate: one token per four bytes of UTF-8, rounded up. Good enough to plan with, never for a bill."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // _BYTES_PER_TOKEN)


def prompt_tokens(request: Request) -> int:
    """Estimate for a prompt: the texts of its messages, four tokens around each and three before the answer."""
    total = 3
    for message in request.body["messages"]:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        total += 4 + (count_tokens(content) if isinstance(content, str) else 0)
    return total


def _seconds(ts: float | str) -> float:
    if isinstance(ts, str):
        try:
            moment = datetime.fromisoformat(ts)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError) as error:
            raise TrafficError(f"ts must be seconds or an ISO 8601 date and time, not {ts[:60]!r}") from error
    else:
        seconds = ts
    if not abs(seconds) <= _LATEST:
        raise TrafficError(f"ts must be seconds, not milliseconds or other: {seconds:g} is beyond the year 5000")
    return seconds


def _latency(seconds: float | None) -> float | None:
    if seconds is not None and not 0 <= seconds <= _LONGEST_LATENCY:
        raise TrafficError(f"latency must be seconds from 0 to {_LONGEST_LATENCY:g}, not {seconds}")
    return seconds


def _response(row: Row, model: str) -> Response | None:
    if row.response is None:
        return None
    if isinstance(row.response, str):
        return Response(text=row.response, model=row.model or model, finish_reason="stop")
    from resopt.providers.dialect import UnusableReplyError
    from resopt.providers.openai_reply import to_response

    try:
        return to_response(msgspec.json.encode(row.response), 0.0)
    except UnusableReplyError as error:
        raise TrafficError(f"response is neither a text nor a chat completion: {error}") from None
