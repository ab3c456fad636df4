"""The simulated provider as an ASGI application: the APIs, faults on demand, counters of what it received.

Routes: `POST /v1/chat/completions`, `/v1/responses`, `/v1/embeddings` and `/v1/messages` (below Azure's roots too),
`GET /v1/models`, `POST /v1/moderations` and `/v1/messages/count_tokens`, and for tests and demos `GET /stats`, `POST
/reset`, `GET /recent` (the last API requests) and `POST /faults` (a JSON list with wishes, or null for none, for each
of the next API requests).
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from resopt.errors import ConfigurationError
from resopt.providers import simulated_chat, simulated_embeddings, simulated_messages, simulated_responses
from resopt.providers.simulated_answers import Faults, SimulatedModel, seeded
from resopt.providers.simulated_batch_apis import routes as batch_routes
from resopt.providers.simulated_batches import BatchTimes, Desk
from resopt.providers.simulated_counters import LastRequest, ModelCounters, SimulatedStats
from resopt.providers.simulated_delivery import EventStream, OpenStream, broken, gone, json_response, refusal, whole
from resopt.providers.simulated_limits import Meter, RateLimits
from resopt.providers.simulated_speech import Moment, PromptMemory
from resopt.providers.simulated_wishes import Wishes, marked_wishes, parse_wishes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from resopt.providers.simulated_answers import Fault
    from resopt.providers.simulated_delivery import Api, Reply
    from resopt.providers.simulated_speech import Prompt

_APIS = (simulated_chat.API, simulated_responses.API, simulated_embeddings.API, simulated_messages.API)
_ROOTS = ("/v1", "/openai/deployments/{deployment}", "/openai", "/openai/v1")
"""OpenAI's and Anthropic's own root, and Azure's three."""

_MOST_RECENT = 256

_MALFORMED = (AttributeError, LookupError, TypeError, ValueError)
"""How a wrong type deep in a request shows, in schemas and message parts: their outer shape alone is checked before."""


class _ModerationsBody(msgspec.Struct):
    input: str | list[Any]


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
        limits: RateLimits | None = None,
        batches: BatchTimes | None = None,
    ) -> None:
        self.models = {model.name: model for model in models}
        self.seed = seed
        self.faults = faults or Faults()
        self.time_scale = time_scale
        self.api_key = api_key
        self.limits = limits or RateLimits()
        self.desk = Desk(self, batches or BatchTimes())
        self.stats = SimulatedStats()
        self.recent: deque[LastRequest] = deque(maxlen=_MOST_RECENT)
        self.next_faults: deque[Wishes] = deque()
        self.memory = PromptMemory()
        self._meters: dict[str, Meter] = {}
        self._named: set[str] = set()
        self._arrivals = 0
        self._waiting: set[anyio.CancelScope] = set()
        self._closing = False
        self.asgi = Starlette(
            routes=[
                *(Route(root + api.path, self._endpoint(api), methods=["POST"]) for root in _ROOTS for api in _APIS),
                Route("/v1/models", self._list_models),
                Route("/v1/moderations", self._moderate, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
                *batch_routes(self.desk, self._admits),
                Route("/stats", self._get_stats),
                Route("/recent", self._get_recent),
                Route("/reset", self._post_reset, methods=["POST"]),
                Route("/faults", self._post_faults, methods=["POST"]),
            ],
        )

    def reset(self) -> None:
        """Forget everything received, so that the same requests get the same delays and faults again."""
        in_flight = self.stats.in_flight
        self.stats = SimulatedStats(in_flight=in_flight, in_flight_max=in_flight, streams_open=self.stats.streams_open)
        self.recent.clear()
        self.memory = PromptMemory()
        self.next_faults.clear()
        self._meters.clear()
        self._named.clear()
        self.desk.clear()
        self._arrivals = 0

    def close(self) -> None:
        """Wake every request that waits, so that the server can stop at once. Call it in the server's event loop."""
        self._closing = True
        for scope in self._waiting:
            scope.cancel()

    def script(self, faults: Iterable[str | None]) -> None:
        """Let the next API requests meet these wishes, one each; None is none."""
        self.next_faults.extend([parse_wishes(name or "") for name in faults])

    def _endpoint(self, api: Api) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._serve_counted(request, api)

        return endpoint

    async def _serve_counted(self, request: Request, api: Api) -> Response:
        stats = self.stats
        stats.requests += 1
        stats.in_flight += 1
        stats.in_flight_max = max(stats.in_flight_max, stats.in_flight)
        stats.paths[request.url.path] = stats.paths.get(request.url.path, 0) + 1
        try:
            body = await request.body()
            self._arrivals += 1
            number = self._arrivals
            response = await self._answer(request, api, body, number)
        finally:
            # After a reset in between, the new counters carry the request on.
            self.stats.in_flight -= 1
        status = str(response.status_code)
        self.stats.statuses[status] = self.stats.statuses.get(status, 0) + 1
        response.headers.setdefault(api.request_id, f"req_{self.seed:x}_{number:x}")
        return response

    async def _answer(self, request: Request, api: Api, body: bytes, number: int) -> Response:
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.recent.append(LastRequest(address, dict(request.headers), body))
        draw = seeded("request", self.seed, number - 1)
        try:
            drawn = self.faults.draw(draw)
            extra = msgspec.json.decode(request.headers.get("x-simulate-headers", "{}"), type=dict[str, str])
            asked = api.read(body, request.path_params.get("deployment"))
            wishes = self._wishes(request, asked.prompt, drawn)
        except (*_MALFORMED, msgspec.MsgspecError, ConfigurationError) as error:
            return refusal(api, 400, f"The request is malformed: {error}")
        if not self._admits(request):
            given = request.headers.get("authorization", "none")
            return refusal(api, 401, f"Incorrect API key provided: {given}", "invalid_api_key")
        model = self.models.get(asked.model)
        if model is None:
            message = f"The model `{asked.model}` does not exist; there are: {', '.join(self.models)}"
            return refusal(api, 404, message, "model_not_found")
        self.stats.models.setdefault(model.name, ModelCounters()).requests += 1
        refused, told = self._limit(api, asked, model.name)
        if refused is not None:
            return refused
        latency = model.latency(draw) * self.time_scale + wishes.first_byte
        moment = Moment(
            seed=self.seed, model=model, wishes=wishes, number=number, now=int(time.time()), memory=self.memory
        )
        response = await self._serve(request, api, asked, moment, latency)
        response.headers.update({**told, **extra})
        return response

    def _limit(self, api: Api, asked: Any, model: str) -> tuple[Response | None, dict[str, str]]:
        """The refusal of a request beyond the limits, and what its reply says of them."""
        meter = self._meters.get(model)
        if meter is None:
            meter = self._meters[model] = Meter(self.limits, time.monotonic)
        wait = meter.admit(asked.prompt.tokens + (asked.prompt.limit or 0))
        told = meter.headers(api.path, wait)
        if not wait:
            return None, told
        self.stats.limited += 1
        response = refusal(api, 429, "Rate limit reached.", "rate_limit_exceeded")
        response.headers.update(told)
        return response, told

    def _admits(self, request: Request) -> bool:
        """Whether the request carries the key, in the way of OpenAI, of Azure or of Anthropic."""
        if self.api_key is None:
            return True
        headers = request.headers
        ways = (headers.get("authorization"), headers.get("api-key"), headers.get("x-api-key"))
        return ways[0] == f"Bearer {self.api_key}" or self.api_key in ways[1:]

    def _wishes(self, request: Request, prompt: Prompt, drawn: Fault | None) -> Wishes:
        """What this request meets: what it asks for itself, or what is next in the script, or what was drawn."""
        asked = [request.headers.get("x-simulate", ""), marked_wishes(prompt.question)]
        wishes = Wishes(fault=drawn)
        if any(asked):
            wishes = parse_wishes(",".join(asked))
        elif self.next_faults:
            wishes = self.next_faults.popleft()
        for name in wishes.names:
            self.stats.faults[name] = self.stats.faults.get(name, 0) + 1
        return wishes

    async def _serve(self, request: Request, api: Api, asked: Any, moment: Moment, latency: float) -> Response:
        wishes, model = moment.wishes, moment.model
        if wishes.fault == "timeout":
            left = await self._wait(request, self.faults.hang)
            return gone() if left else refusal(api, 504, "The server took too long.")
        failed = broken(api, wishes, self.faults.retry_after)
        if failed is not None:
            return gone() if wishes.first_byte and await self._wait(request, wishes.first_byte) else failed
        try:
            reply = api.complete(asked, moment)
        except _MALFORMED as error:
            return refusal(api, 400, f"The request is malformed: {error}")
        pace = self.time_scale / model.tokens_per_second if model.tokens_per_second else 0.0
        if not asked.stream:
            latency += pace * reply.output_tokens
        if latency > 0 and await self._wait(request, latency):
            return gone()
        self._bill(request, model, reply)
        compressed = wishes.gzip and "gzip" in request.headers.get("accept-encoding", "")
        if asked.stream:
            return EventStream(self, api, reply, wishes, pace, compressed=compressed)
        return whole(reply, wishes, compressed=compressed)

    def _bill(self, request: Request, model: SimulatedModel, reply: Reply) -> None:
        """Count an answer, unless its caller has had it before under the same name."""
        name = request.headers.get("idempotency-key")
        if name is not None and name in self._named:
            self.stats.repeated += 1
            return
        if name is not None:
            self._named.add(name)
        counters = self.stats.models.setdefault(model.name, ModelCounters())
        counters.input_tokens += reply.input_tokens
        counters.output_tokens += reply.output_tokens
        half = reply.plain.get("service_tier") == "flex"
        counters.picodollars += model.price(reply.input_tokens, reply.output_tokens) // (2 if half else 1)

    @contextmanager
    def stream_open(self, scope: anyio.CancelScope) -> Iterator[OpenStream]:
        """Count a stream while it is sent, and whether its client left before the end; a stop cancels the scope."""
        watch = OpenStream()
        self.stats.streams += 1
        self.stats.streams_open += 1
        self._waiting.add(scope)
        try:
            yield watch
        finally:
            self._waiting.discard(scope)
            self.stats.streams_open -= 1
            self.stats.streams_aborted += watch.left

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

    def _count(self, request: Request) -> None:
        self.stats.paths[request.url.path] = self.stats.paths.get(request.url.path, 0) + 1

    async def _list_models(self, request: Request) -> Response:
        self._count(request)
        data = [
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": "simulation",
                "type": "model",
                "display_name": name,
            }
            for name in self.models
        ]
        return json_response({"object": "list", "data": data, "has_more": False})

    async def _moderate(self, request: Request) -> Response:
        self._count(request)
        try:
            asked = msgspec.json.decode(await request.body(), type=_ModerationsBody)
        except msgspec.MsgspecError as error:
            return refusal(simulated_chat.API, 400, f"The request is malformed: {error}")
        result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
        results = [result] * (len(asked.input) if isinstance(asked.input, list) else 1)
        return json_response({"id": "modr-0", "model": "omni-moderation-latest", "results": results})

    async def _count_tokens(self, request: Request) -> Response:
        self._count(request)
        try:
            asked = msgspec.json.decode(await request.body(), type=simulated_messages.MessagesBody)
        except msgspec.MsgspecError as error:
            return refusal(simulated_messages.API, 400, f"The request is malformed: {error}")
        return json_response({"input_tokens": asked.prompt.tokens})

    async def _get_stats(self, _: Request) -> Response:
        self.desk.look_at_all()
        return json_response(self.stats)

    async def _get_recent(self, _: Request) -> Response:
        return json_response(list(self.recent))

    async def _post_reset(self, _: Request) -> Response:
        self.reset()
        return json_response(self.stats)

    async def _post_faults(self, request: Request) -> Response:
        try:
            self.script(msgspec.json.decode(await request.body(), type=list[str | None]))
        except (msgspec.MsgspecError, ConfigurationError) as error:
            return json_response({"error": str(error)}, 400)
        return json_response({"scripted": len(self.next_faults)})
