"""Work that can wait: half the price for an answer within hours, by handles that survive everything.

deferred = Deferred("deferred.sqlite", [OpenAIBatches()], complete=optimizer.complete)
handle = await deferred.submit(requests, deadline=6 * 3600)
...                                    # the process may end here, or be killed
answers = await deferred.result(handle)   # in this process or another
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import msgspec

from resopt import errors as errors_module
from resopt.batch import checks
from resopt.batch.books import NO_BOOKS, Books
from resopt.batch.deferred_drive import Driver, Pace
from resopt.batch.deferred_money import Money
from resopt.batch.deferred_rows import NewRow, StoredEnd
from resopt.batch.deferred_store import OPEN, Store
from resopt.batch.items import identity_of
from resopt.errors import (
    BatchError,
    ConfigurationError,
    ProviderError,
    ResoptError,
    UnknownHandleError,
)
from resopt.gates import check_gates
from resopt.types import Request, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import Self

    from resopt.batch.gather import Errors
    from resopt.stage import Gate

_DAY = 86_400.0


class DeferredStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a submission is.

    Attributes:
        handle: its name.
        total: requests.
        waiting: not sent yet, or equal to another that is asked for.
        sent: in a batch at the provider.
        direct: being asked directly, because the deadline is near.
        answered: with an answer.
        failed: with an error.
        created: Unix time of the submission.
        deadline: Unix time until which answers are wanted.
    """

    handle: str
    total: int
    waiting: int
    sent: int
    direct: int
    answered: int
    failed: int
    created: float
    deadline: float

    @property
    def done(self) -> bool:
        """Whether every request has its end."""
        return self.answered + self.failed == self.total


class Deferred:
    """Requests that can wait, kept in a file until they are answered.

    Several processes may share the file; one of them at a time talks to the provider, and when it dies the next one
    that waits for a result goes on. Nothing runs in the background: work goes on while somebody awaits `result` (or
    `run`), and what the provider does meanwhile it does without us.

    Args:
        path: the SQLite file, made when there is none.
        batches: the providers' APIs of deferred work (`OpenAIBatches`, `AnthropicBatches`), one for each `Request.api`.
        complete: asks directly, at the full price, what would miss its deadline; None lets it fail.
        books: told of every answer, so that it is kept and accounted for (an optimizer's `books`).
        gates: of which those that keep accounts of money (a `Budget`) must have room for half the price of each row,
            from when it is submitted until it ends. Limits of calls do not matter here.
        margin: seconds before a deadline at which what is still open is asked for directly.
        poll: seconds between looks at the provider, at first and at most.
        attempts: batches that a request is sent in at most, when the provider fails it.
        concurrency: calls at once when asking directly.
        most_rows: rows of one batch at most, below what the provider allows.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
        CheckpointError: the file is something else, or damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        batches: Sequence[Any],
        *,
        complete: Callable[[Request], Awaitable[Response]] | None = None,
        books: Books | None = None,
        gates: Sequence[Gate] = (),
        margin: float = 600.0,
        poll: tuple[float, float] = (2.0, 60.0),
        attempts: int = 3,
        concurrency: int = 10,
        most_rows: int | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike):
            raise ConfigurationError(f"path must be a path, not {type(path).__name__}")
        for name, number, least in (
            ("margin", margin, 0.0),
            ("attempts", attempts, 1),
            ("concurrency", concurrency, 1),
        ):
            checks.number(name, number, least=least)
        first, longest = poll
        if not 0 < first <= longest < float("inf"):
            raise ConfigurationError(f"poll must be seconds at first and at most, not {poll!r}")
        apis = {each.api: each for each in batches}
        if len(apis) < len(batches):
            raise ConfigurationError("batches must be one for each API")
        passed = check_gates(gates)
        self._books = NO_BOOKS if books is None else books
        self._apis = apis
        self._poll = (first, longest)
        self._store = Store(os.fspath(path))
        pace = Pace(margin=margin, attempts=int(attempts), concurrency=int(concurrency), most_rows=most_rows)
        self._money = Money(self._store, passed)
        self._driver = Driver(self._store, apis, self._books, complete, pace, self._money)

    async def submit(
        self, requests: Iterable[Request | str], *, deadline: float = _DAY, name: str | None = None, **parameters: Any
    ) -> str:
        """Keep requests to be answered within `deadline` seconds; their handle. Nothing is sent yet.

        What the cache can answer is answered now; equal requests, of earlier submissions too, are asked once. What does
        not fit a budget ends in a `BudgetExceededError` of its own.

        Args:
            requests: `Request`s, or texts.
            deadline: seconds from now. Providers promise a day; most batches take an hour.
            name: the handle, of your own choice: submitting again under the same name does nothing, so that a program
                that was killed may simply run again.
            **parameters: with texts, what `Request.chat` takes.

        Raises:
            ConfigurationError: an argument is of the wrong type or out of range.
        """
        checks.positive("deadline", deadline)
        if name is not None:
            checks.text("name", name)
        handle = name or f"work-{uuid4().hex}"
        if name is not None and self._store.work(name) is not None:
            return name
        made = [Request.chat(each, **parameters) if isinstance(each, str) else each for each in requests]
        # In a thread, for a submission may be large, and the event loop has other work.
        await anyio.to_thread.run_sync(self._keep, handle, time.time() + deadline, made)
        return handle

    def _keep(self, handle: str, deadline: float, requests: list[Any]) -> None:
        rows = [self._new_row(request) for request in requests]
        created = time.time()
        with self._money.accepting(handle, created, deadline) as take:
            self._store.add(handle, created, deadline, rows, take)

    def _new_row(self, request: Any) -> NewRow:
        if not isinstance(request, Request):
            raise ConfigurationError(f"a request must be a Request or a str, not {type(request).__name__}")
        try:
            api = self._apis.get(request.api)
            if api is None:
                raise errors_module.InvalidRequestError(f"no batches=… here takes {request.api} requests")
            api.encode("check", request)
            identity = None if request.cache == "bypass" else identity_of(request)
        except ResoptError as error:
            plain = Request(body={}, api=request.api, scope=request.scope, cache="bypass")
            end = StoredEnd(error=type(error).__name__, problem=str(error), free=True)
            return NewRow(plain, None, end, "refused")
        hit = self._books.lookup(request)
        return NewRow(
            request, identity, None if hit is None else StoredEnd(response=hit), "" if hit is None else "cache"
        )

    async def result(self, handle: str, *, errors: Errors = "raise", timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109
        """The answers to a submission, in its order, when all are there; works for it meanwhile.

        Args:
            handle: from `submit`, of this process or another.
            errors: `raise` the errors of single requests together, or `return` them in place of answers.
            timeout: seconds to wait; `TimeoutError` beyond, and the submission stays as it is.

        Raises:
            UnknownHandleError: there is no such submission.
            BatchError: requests failed, and errors are to be raised.
        """
        self._known(handle)
        with anyio.fail_after(timeout):
            await self._until_done(handle)
        await anyio.to_thread.run_sync(self._money.settle)
        return self._concluded(self._store.ends(handle), errors)

    def partial(self, handle: str) -> list[Any]:
        """What is there of a submission now, in its order: answers, errors, and None for what is still open.

        Raises:
            UnknownHandleError: there is no such submission.
        """
        self._known(handle)
        self._money.settle()
        return [None if end is None else opened(end) for end in self._store.ends(handle)]

    def status(self, handle: str) -> DeferredStatus:
        """How far a submission is.

        Raises:
            UnknownHandleError: there is no such submission.
        """
        created, deadline = self._known(handle)
        self._money.settle()
        counts = self._store.counts(handle)
        return DeferredStatus(
            handle=handle,
            total=sum(counts.values()),
            waiting=counts.get("new", 0) + counts.get("follows", 0),
            sent=counts.get("sent", 0),
            direct=counts.get("sync", 0),
            answered=counts.get("answered", 0),
            failed=counts.get("failed", 0),
            created=created,
            deadline=deadline,
        )

    def handles(self) -> list[str]:
        """All submissions in the file, the oldest first."""
        return self._store.handles()

    def forget(self, handle: str) -> bool:
        """Delete a submission that has ended from the file; False when there is none, or it has not."""
        self._money.settle()
        return self._store.forget(handle)

    async def run(self) -> None:
        """Work for everything in the file until all of it has ended."""
        for handle in self.handles():
            await self._until_done(handle)

    async def step(self) -> bool:
        """Do what can be done now, without waiting: hand in, look, collect. False when another process is at it."""
        with self._store.driving() as mine:
            if mine:
                await self._driver.step()
        await anyio.to_thread.run_sync(self._money.settle)
        return mine

    async def aclose(self) -> None:
        """Close the file and the connections. What is under way stays so."""
        self._store.close()
        for api in self._apis.values():
            await api.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _until_done(self, handle: str) -> None:
        pause, longest = self._poll
        while True:
            await self.step()
            counts = await anyio.to_thread.run_sync(self._store.counts, handle)
            if not any(counts.get(state) for state in OPEN):
                return
            await anyio.sleep(self._driver.seconds_to_sleep(pause * (1.0 + 0.2 * random.random())))  # noqa: S311
            pause = min(longest, pause * 1.5)

    def _known(self, handle: str) -> tuple[float, float]:
        found = self._store.work(handle)
        if found is None:
            raise UnknownHandleError(f"there is no deferred work {handle!r} in {self._store.path}")
        return found

    def _concluded(self, ends: list[StoredEnd | None], errors: Errors) -> list[Any]:
        values = [opened(StoredEnd() if end is None else end) for end in ends]
        failures = [value for value in values if isinstance(value, Exception)]
        if failures and errors == "raise":
            raise BatchError(f"{len(failures)} of {len(values)} requests failed", failures, values)
        return values


def opened(end: StoredEnd) -> Response | Exception:
    """What the caller gets for a stored end: the answer, or the error as it was."""
    if end.response is not None:
        return end.response
    kind = getattr(errors_module, end.error, errors_module.ProviderResponseError)
    if isinstance(kind, type) and issubclass(kind, ProviderError):
        return kind(end.problem, status=end.status)
    made: Exception = kind(end.problem) if isinstance(kind, type) else errors_module.ProviderResponseError(end.problem)
    return made
