"""A real HTTP server with OpenAI's and Anthropic's APIs, for tests, demos and benchmarks: nothing leaves the machine.

It runs uvicorn in a thread of this process, or (`process=True`) in a child process, so that a benchmark does not
measure the server's Python beside its own. Needs the extra `server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio
import msgspec

from resopt.errors import ClosedError, ConfigurationError, MissingExtraError
from resopt.providers.checks import require_number, require_whole
from resopt.providers.simulated_answers import DEFAULT_MODELS, OTHER_MODELS, Faults, SimulatedModel
from resopt.providers.simulated_batches import BatchTimes
from resopt.providers.simulated_limits import RateLimits
from resopt.providers.simulated_runners import STOP_SECONDS, InChild, InThread, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt.providers.simulated_counters import LastRequest, SimulatedStats

__all__ = ["BatchTimes", "Faults", "RateLimits", "SimulatedModel", "SimulatedServer"]


class SimulatedServer:
    """A simulated provider on 127.0.0.1; use it in `with` or `async with`.

    The same seed gives the same answers, delays and faults in every run (delays and faults by the order of arrival).
    It speaks OpenAI's chat completions, responses, embeddings, files and batches, Azure's form of the first three, and
    Anthropic's messages and message batches. A call whose `Idempotency-Key` was answered before is not billed again. A
    request may ask for faults and special answers by the header `x-simulate`, or by `[simulate: …]` in its last message
    (`simulated_wishes.Wishes` lists all), and for more reply headers by `x-simulate-headers: {"retry-after": "0.1"}`.
    Prompt caches are simulated in the usage alone: the counters' prices know no discount.

    Args:
        models: what it serves; a few well-known names by default. Any other model gets a 404.
        seed: of answers, delays and faults.
        faults: how often things go wrong; never by default.
        time_scale: factor on all delays but `Faults.hang` and `Retry-After`; 0 answers at once.
        port: port to listen on; 0 for any free one.
        api_key: when given, requests must carry it, or get a 401.
        limits: requests and tokens that each model allows in a minute; none by default.
        batches: how long deferred work takes.
        process: run in a child process instead of a thread.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
        MissingExtraError: starlette or uvicorn are not installed.
    """

    def __init__(
        self,
        models: Iterable[SimulatedModel] | None = None,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        time_scale: float = 1.0,
        port: int = 0,
        api_key: str | None = None,
        limits: RateLimits | None = None,
        batches: BatchTimes | None = None,
        process: bool = False,
    ) -> None:
        chosen = (*DEFAULT_MODELS, *OTHER_MODELS) if models is None else tuple(models)
        if not chosen or not all(isinstance(model, SimulatedModel) for model in chosen):
            raise ConfigurationError("models must be one or more SimulatedModel")
        require_number("time_scale", time_scale)
        require_whole("port", port, least=0, most=65535)
        require_whole("seed", seed)
        try:
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("the simulated provider needs: pip install 'resopt[server]'") from error
        self.settings = Settings(
            models=chosen,
            seed=seed,
            faults=faults or Faults(),
            time_scale=time_scale,
            port=port,
            api_key=api_key,
            limits=limits or RateLimits(),
            batches=batches or BatchTimes(),
        )
        self.process = process
        self._runner: InThread | InChild | None = None

    @property
    def base_url(self) -> str:
        """What to give a client as `base_url`: `http://127.0.0.1:PORT/v1`."""
        return f"http://127.0.0.1:{self._running.port}/v1"

    @property
    def url(self) -> str:
        """The same without `/v1`: what Anthropic's client and Azure's (as `azure_endpoint`) want."""
        return f"http://127.0.0.1:{self._running.port}"

    @property
    def models(self) -> tuple[SimulatedModel, ...]:
        """The models it serves."""
        return self.settings.models

    def start(self) -> Self:
        """Listen; returns when the first request can be sent.

        Raises:
            ResoptError: the port is taken, or the server did not come up.
        """
        if self._runner is not None:
            raise ConfigurationError("this simulated server is running already")
        self._runner = InChild(self.settings) if self.process else InThread(self.settings)
        return self

    def stop(self) -> None:
        """Stop listening, drop every connection, forget the counters. A second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()

    def stats(self) -> SimulatedStats:
        """What the server has received and sent so far."""
        from resopt.providers.simulated_counters import SimulatedStats

        return msgspec.json.decode(self._ask("GET", "/stats"), type=SimulatedStats)

    def reset(self) -> None:
        """Set the counters and the seed back to the start."""
        self._ask("POST", "/reset")

    def next_faults(self, *faults: str | None) -> None:
        """Let the next API requests meet these wishes, one each in the order of arrival; None is none."""
        self._ask("POST", "/faults", msgspec.json.encode(faults))

    def last_request(self) -> LastRequest | None:
        """The last API request as it arrived."""
        requests = self.requests()
        return requests[-1] if requests else None

    def requests(self) -> list[LastRequest]:
        """The last 256 API requests as they arrived, oldest first."""
        from resopt.providers.simulated_counters import LastRequest

        return msgspec.json.decode(self._ask("GET", "/recent"), type=list[LastRequest])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await anyio.to_thread.run_sync(self.start)

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)

    @property
    def _running(self) -> InThread | InChild:
        if self._runner is None:
            raise ClosedError("the simulated server is not running: use it in `with`, or call start()")
        return self._runner

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Ask the server about itself over its own socket, which works in a thread and in a child process alike."""
        from http.client import HTTPConnection

        connection = HTTPConnection("127.0.0.1", self._running.port, timeout=STOP_SECONDS)
        try:
            connection.request(method, path, body, {"connection": "close"})
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if reply.status >= 300:
            raise ConfigurationError(content.decode("utf-8", "replace"))
        return content
