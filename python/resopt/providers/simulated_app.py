"""The simulated provider as an ASGI application: OpenAI's chat shape, faults on demand, counters of what it received.

Routes: `POST /v1/chat/completions` (JSON and SSE), `GET /v1/models`, and for tests and demos `GET /stats`,
`POST /reset`, `GET /last` (the last chat request) and `POST /faults` (a JSON list with one fault, or null for none, for
each of the next chat requests).
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from resopt.errors import ConfigurationError
from resopt.providers import simulated_replies as replies
from resopt.providers.simulated_answers import Fault, Faults, SimulatedModel, known_fault, seeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response


class ModelCounters(msgspec.Struct):
    """What one model was asked: requests, and the tokens and price (picodollars) of its complete answers."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    picodollars: int = 0


class SimulatedStats(msgspec.Struct):
    """What the server received and sent.

    Attributes:
        requests: chat requests that arrived, good and bad.
        models: counters by the model asked for; unknown models are not listed.
        statuses: replies sent, by status code.
        faults: faults injected, by name.
        in_flight: chat requests being answered now.
        in_flight_max: most of them at any one time.
        disconnected: clients that left before their answer was ready.
    """

    requests: int = 0
    models: dict[str, ModelCounters] = {}
    statuses: dict[str, int] = {}
    faults: dict[str, int] = {}
    in_flight: int = 0
    in_flight_max: int = 0
    disconnected: int = 0

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
    """The last chat request as it arrived: path with query, headers in lower case, body (base64 in JSON)."""

    path: str
    headers: dict[str, str]
    body: bytes


class SimulatedApp:
    """One simulated provider: configuration, counters and routes. Runs in one event loop, so nothing is locked."""

    def __init__(
        self,
        models: Iterable[SimulatedModel],
        *,
        seed: int = 0,
        faults: Faults | None = None,
        time_scale: float = 1.0,
        api_key: str | None = None,
    ) -> None:
        self.models = {model.name: model for model in models}
        self.seed = seed
        self.faults = faults or Faults()
        self.time_scale = time_scale
        self.api_key = api_key
        self.stats = SimulatedStats()
        self.last: LastRequest | None = None
        self.next_faults: deque[Fault | None] = deque()
        self._arrivals = 0
        self._waiting: set[anyio.CancelScope] = set()
        self._closing = False
        self.asgi = Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/models", self._list_models),
                Route("/stats", self._get_stats),
                Route("/last", self._get_last),
                Route("/reset", self._post_reset, methods=["POST"]),
                Route("/faults", self._post_faults, methods=["POST"]),
            ],
        )

    def reset(self) -> None:
        """Forget everything received, so that the same requests get the same delays and faults again."""
        in_flight = self.stats.in_flight
        self.stats = SimulatedStats(in_flight=in_flight, in_flight_max=in_flight)
        self.last = None
        self.next_faults.clear()
        self._arrivals = 0

    def close(self) -> None:
        """Wake every request that waits, so that the server can stop at once. Call it in the server's event loop."""
        self._closing = True
        for scope in self._waiting:
            scope.cancel()

    def script(self, faults: Iterable[str | None]) -> None:
        """Let the next chat requests meet these faults, one each; None is none."""
        self.next_faults.extend([None if name is None else known_fault(name) for name in faults])

    async def _chat(self, request: Request) -> Response:
        stats = self.stats
        stats.requests += 1
        stats.in_flight += 1
        stats.in_flight_max = max(stats.in_flight_max, stats.in_flight)
        try:
            response = await self._answer(request)
        finally:
            # After a reset in between, the new counters carry the request on.
            self.stats.in_flight -= 1
        status = str(response.status_code)
        self.stats.statuses[status] = self.stats.statuses.get(status, 0) + 1
        return response

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        query = f"?{request.url.query}" if request.url.query else ""
        self.last = LastRequest(request.url.path + query, dict(request.headers), body)
        draw = seeded("request", self.seed, self._arrivals)
        self._arrivals += 1
        try:
            fault = self._fault(request, self.faults.draw(draw))
            extra = msgspec.json.decode(request.headers.get("x-simulate-headers", "{}"), type=dict[str, str])
            chat = msgspec.json.decode(body, type=replies.ChatBody)
            replies.check(chat)
        except (msgspec.MsgspecError, UnicodeDecodeError, ConfigurationError) as error:
            return replies.refusal(400, f"The request is malformed: {error}", "invalid_request_error")
        if self.api_key is not None and request.headers.get("authorization") != f"Bearer {self.api_key}":
            given = request.headers.get("authorization", "none")
            message = f"Incorrect API key provided: {given}"
            return replies.refusal(401, message, "invalid_request_error", "invalid_api_key")
        model = self.models.get(chat.model)
        if model is None:
            message = f"The model `{chat.model}` does not exist; there are: {', '.join(self.models)}"
            return replies.refusal(404, message, "invalid_request_error", "model_not_found")
        self.stats.models.setdefault(model.name, ModelCounters()).requests += 1
        response = await self._serve(request, chat, model, fault, model.latency(draw) * self.time_scale)
        response.headers.update(extra)
        return response

    def _fault(self, request: Request, drawn: Fault | None) -> Fault | None:
        """The fault this request meets: named by its header, or next in the script, or drawn from the rates."""
        fault = drawn
        if "x-simulate" in request.headers:
            fault = known_fault(request.headers["x-simulate"])
        elif self.next_faults:
            fault = self.next_faults.popleft()
        if fault is not None:
            self.stats.faults[fault] = self.stats.faults.get(fault, 0) + 1
        return fault

    async def _serve(
        self, request: Request, chat: replies.ChatBody, model: SimulatedModel, fault: Fault | None, latency: float
    ) -> Response:
        if fault == "timeout":
            left = await self._wait(request, self.faults.hang)
            return replies.gone() if left else replies.refusal(504, "The server took too long.", "server_error")
        if fault in ("429", "500", "malformed", "html", "empty"):
            return replies.broken(fault, self.faults.retry_after)
        completion = replies.complete(self.seed, chat, model, fault, number=self._arrivals, now=int(time.time()))
        pace = self.time_scale / model.tokens_per_second if model.tokens_per_second else 0.0
        if not chat.stream:
            latency += pace * completion.output_tokens
        if latency > 0 and await self._wait(request, latency):
            return replies.gone()
        counters = self.stats.models[model.name]
        counters.input_tokens += completion.input_tokens
        counters.output_tokens += completion.output_tokens
        counters.picodollars += model.price(completion.input_tokens, completion.output_tokens)
        if chat.stream:
            return replies.EventStream(completion, chat, fault, pace)
        return replies.json_reply(completion, halved=fault == "disconnect")

    async def _wait(self, request: Request, seconds: float) -> bool:
        """Wait so long, or until the server stops; True when the client left meanwhile."""
        if self._closing:
            return False
        with anyio.move_on_after(seconds) as scope:
            self._waiting.add(scope)
            try:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
            finally:
                self._waiting.discard(scope)
        if scope.cancelled_caught:
            return False
        self.stats.disconnected += 1
        return True

    async def _list_models(self, _: Request) -> Response:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "simulation"} for name in self.models]
        return replies.json_response({"object": "list", "data": data})

    async def _get_stats(self, _: Request) -> Response:
        return replies.json_response(self.stats)

    async def _get_last(self, _: Request) -> Response:
        return replies.json_response(self.last)

    async def _post_reset(self, _: Request) -> Response:
        self.reset()
        return replies.json_response(self.stats)

    async def _post_faults(self, request: Request) -> Response:
        try:
            self.script(msgspec.json.decode(await request.body(), type=list[Any]))
        except (msgspec.MsgspecError, ConfigurationError) as error:
            return replies.refusal(400, str(error), "invalid_request_error")
        return replies.json_response({"scripted": len(self.next_faults)})
