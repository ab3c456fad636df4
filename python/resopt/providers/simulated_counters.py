"""What the simulated provider counts and keeps of what it received."""

from __future__ import annotations

import msgspec


class ModelCounters(msgspec.Struct):
    """What one model was asked: requests, and the tokens and price (picodollars) of its complete answers."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    picodollars: int = 0


class SimulatedStats(msgspec.Struct):
    """What the server received and sent.

    Attributes:
        requests: API requests that arrived, good and bad.
        models: counters by the model asked for; unknown models are not listed.
        statuses: replies sent, by status code.
        faults: faults injected, by name.
        in_flight: API requests being answered now.
        in_flight_max: most of them at any one time.
        disconnected: clients that left before their answer was ready.
        paths: requests by path, those that are no API calls included.
        streams: streams begun.
        streams_open: streams being sent now.
        streams_aborted: streams whose client left before the end.
        limited: requests refused because of the rate limits.
        repeated: answers given again for an `Idempotency-Key` seen before, and not billed.
        batches: batches of deferred work taken in.
        batch_rows: rows of these answered and billed.
    """

    requests: int = 0
    models: dict[str, ModelCounters] = {}
    statuses: dict[str, int] = {}
    faults: dict[str, int] = {}
    in_flight: int = 0
    in_flight_max: int = 0
    disconnected: int = 0
    paths: dict[str, int] = {}
    streams: int = 0
    streams_open: int = 0
    streams_aborted: int = 0
    limited: int = 0
    repeated: int = 0
    batches: int = 0
    batch_rows: int = 0

    @property
    def input_tokens(self) -> int:
        """Input tokens of all models."""
        return sum(model.input_tokens for model in self.models.values())

    @property
    def output_tokens(self) -> int:
        """Output tokens of all models."""
        return sum(model.output_tokens for model in self.models.values())

    @property
    def picodollars(self) -> int:
        """Price of all answers, in picodollars: what a bill of this server would say."""
        return sum(model.picodollars for model in self.models.values())


class LastRequest(msgspec.Struct, frozen=True):
    """An API request as it arrived: path with query, headers in lower case, body (base64 in JSON)."""

    path: str
    headers: dict[str, str]
    body: bytes
