"""The simulated provider's deferred work: rows handed in together, done later at half the price.

A batch is done little by little from its creation on: row by row over `BatchTimes.seconds`. Nothing runs for it; what
has been done by now is worked out when somebody looks. A row may ask for trouble like any request (`[simulate: …]` in
its last message): `status=…` and the faults `429` and `500` fail it, `malformed` makes its line unreadable,
`disconnect` loses it, `timeout` never finishes it, `twice` writes it twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.checks import require_number
from resopt.providers.simulated_counters import ModelCounters
from resopt.providers.simulated_speech import Moment
from resopt.providers.simulated_wishes import Wishes, marked_wishes, parse_wishes

if TYPE_CHECKING:
    from resopt.providers.simulated_app import SimulatedApp
    from resopt.providers.simulated_delivery import Api

MOST_ROWS = {"/chat/completions": 50_000, "/messages": 100_000}
"""OpenAI's and Anthropic's limits."""

MOST_BYTES = {"/chat/completions": 200 * 10**6, "/messages": 256 * 10**6}

_MALFORMED = (AttributeError, LookupError, TypeError, ValueError, msgspec.MsgspecError, ConfigurationError)


class BatchTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long deferred work takes; never scaled.

    Attributes:
        seconds: from a batch's creation until its last row is done.
        expires_after: seconds after which what is not done will not be.
        cancel_seconds: how long a cancelled batch goes on before it has stopped.
    """

    seconds: float = 0.2
    expires_after: float = 86_400.0
    cancel_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in ("seconds", "expires_after", "cancel_seconds"):
            require_number(name, getattr(self, name))


State = Literal["waiting", "done", "failed", "expired", "cancelled"]


class Row(msgspec.Struct, kw_only=True):
    """One request of a batch.

    Attributes:
        custom_id: the caller's name for it.
        body: the request.
        wishes: the trouble it asks for.
        state: what became of it.
        status: of its reply.
        reply: the reply.
    """

    custom_id: str
    body: bytes
    wishes: Wishes = msgspec.field(default_factory=Wishes)
    state: State = "waiting"
    status: int = 0
    reply: dict[str, Any] = {}


class Batch(msgspec.Struct, kw_only=True):
    """Rows handed in together."""

    id: str
    api: Any
    rows: list[Row]
    created: float
    expires: float
    metadata: dict[str, str] = {}
    input_file: str = ""
    cancelled: float | None = None
    ended: float | None = None
    errors: list[str] = []

    def counts(self) -> dict[str, int]:
        """Rows by state."""
        counts = dict.fromkeys(("waiting", "done", "failed", "expired", "cancelled"), 0)
        for row in self.rows:
            counts[row.state] += 1
        return counts


class Desk:
    """Takes in batches and works them off.

    Args:
        app: the server, whose models and counters these are.
        times: how long it takes.
    """

    def __init__(self, app: SimulatedApp, times: BatchTimes) -> None:
        self._app = app
        self._times = times
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, Batch] = {}
        self._numbers = 0

    def clear(self) -> None:
        """Forget everything taken in."""
        self.files.clear()
        self.batches.clear()

    def number(self, prefix: str) -> str:
        """The next identifier."""
        self._numbers += 1
        return f"{prefix}{self._app.seed:x}-{self._numbers:x}"

    def count(self, path: str) -> None:
        """Count a request."""
        paths = self._app.stats.paths
        paths[path] = paths.get(path, 0) + 1

    def open(self, api: Api, prefix: str, rows: list[tuple[str, bytes]], **fields: Any) -> Batch:
        """Take in rows (name and body)."""
        now = time.time()
        made = [Row(custom_id=name, body=body, wishes=_wishes(api, body)) for name, body in rows]
        expires = now + self._times.expires_after
        batch = Batch(id=self.number(prefix), api=api, rows=made, created=now, expires=expires, **fields)
        self.batches[batch.id] = batch
        self._app.stats.batches += 1
        return batch

    def look(self, batch: Batch) -> Batch:
        """The batch as it is by now."""
        if batch.ended is not None or batch.errors:
            return batch
        now = time.time()
        stop = min(batch.expires, float("inf") if batch.cancelled is None else batch.cancelled)
        elapsed = min(now, stop) - batch.created
        share = elapsed / self._times.seconds if self._times.seconds else 1.0
        for row in batch.rows[: int(share * len(batch.rows) + 1e-9)]:
            if row.state == "waiting" and row.wishes.fault != "timeout":
                self._do(batch.api, row)
        waiting = [row for row in batch.rows if row.state == "waiting"]
        if now >= batch.expires or (batch.cancelled is not None and now >= batch.cancelled):
            for row in waiting:
                row.state = "expired" if now >= batch.expires else "cancelled"
            waiting = []
        if not waiting:
            batch.ended = now
        return batch

    def cancel(self, batch: Batch) -> Batch:
        """Stop a batch that has not ended, in a while."""
        if batch.ended is None and batch.cancelled is None:
            batch.cancelled = time.time() + self._times.cancel_seconds
        return self.look(batch)

    def _do(self, api: Api, row: Row) -> None:
        """Answer a row, and bill it."""
        fault = row.wishes.fault
        status = row.wishes.status or (int(fault) if fault in ("429", "500") else None)
        if status is not None:
            row.state, row.status, row.reply = "failed", status, api.error(status, "The row failed.", None)
            return
        try:
            asked = api.read(row.body, None)
            model = self._app.models.get(asked.model)
            if model is None:
                message = f"The model `{asked.model}` does not exist"
                row.state, row.status, row.reply = "failed", 404, api.error(404, message, "model_not_found")
                return
            self._numbers += 1
            moment = Moment(
                seed=self._app.seed, model=model, wishes=row.wishes, number=self._numbers, now=int(time.time()),
                memory=self._app.memory,
            )  # fmt: skip
            reply = api.complete(asked, moment)
        except _MALFORMED as error:
            row.state, row.status, row.reply = "failed", 400, api.error(400, f"The request is malformed: {error}", None)
            return
        row.state, row.status, row.reply = "done", 200, reply.plain
        counters = self._app.stats.models.setdefault(model.name, ModelCounters())
        counters.input_tokens += reply.input_tokens
        counters.output_tokens += reply.output_tokens
        counters.picodollars += model.price(reply.input_tokens, reply.output_tokens) // 2
        self._app.stats.batch_rows += 1

    def look_at_all(self) -> None:
        """Work off what is due, so that the counters are right."""
        for batch in self.batches.values():
            self.look(batch)


def lines(batch: Batch, write: Any, states: tuple[str, ...]) -> bytes:
    """The rows of these states as JSON lines, each as `write(row)` has it, with the trouble they asked for."""
    written = []
    for row in batch.rows:
        if row.state not in states or row.wishes.fault == "disconnect":
            continue
        line = msgspec.json.encode(write(row))
        if row.wishes.fault == "malformed":
            line = line[: len(line) // 2]
        written += [line, line] if row.wishes.twice else [line]
    return b"".join(line + b"\n" for line in written)


def _wishes(api: Api, body: bytes) -> Wishes:
    try:
        return parse_wishes(marked_wishes(api.read(body, None).prompt.question))
    except _MALFORMED:
        return Wishes()
