"""A real HTTP server that speaks OpenAI's chat shape, for tests, demos and benchmarks: nothing leaves the machine.

It runs uvicorn in a thread of this process, or (`process=True`) in a child process, so that a benchmark does not
measure the server's Python beside its own. Needs the extra `server`.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

import anyio
import msgspec

from resopt.errors import ClosedError, ConfigurationError, MissingExtraError, ResoptError
from resopt.providers.checks import require_number, require_whole
from resopt.providers.simulated_answers import DEFAULT_MODELS, Faults, SimulatedModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt.providers.simulated_app import LastRequest, SimulatedApp, SimulatedStats

__all__ = ["Faults", "SimulatedModel", "SimulatedServer"]

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a server is started with; travels to the child process as JSON."""

    models: tuple[SimulatedModel, ...]
    seed: int
    faults: Faults
    time_scale: float
    port: int
    api_key: str | None

    def app(self) -> SimulatedApp:
        """The application, with fresh counters."""
        from resopt.providers.simulated_app import SimulatedApp

        return SimulatedApp(
            self.models, seed=self.seed, faults=self.faults, time_scale=self.time_scale, api_key=self.api_key
        )


class SimulatedServer:
    """A simulated provider on 127.0.0.1; use it in `with` or `async with`.

    The same seed gives the same answers, delays and faults in every run (delays and faults by the order of arrival).
    A request may ask for a fault by the header `x-simulate`, one of 429, 500, timeout, truncate, disconnect, malformed,
    html, empty and filter, and for further reply headers by `x-simulate-headers: {"retry-after": "0.1"}`.

    Args:
        models: what it serves; three well-known names by default. Any other model gets a 404.
        seed: of answers, delays and faults.
        faults: how often things go wrong; never by default.
        time_scale: factor on all delays but `Faults.hang` and `Retry-After`; 0 answers at once.
        port: port to listen on; 0 for any free one.
        api_key: when given, requests must carry it, or get a 401.
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
        process: bool = False,
    ) -> None:
        chosen = DEFAULT_MODELS if models is None else tuple(models)
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
            models=chosen, seed=seed, faults=faults or Faults(), time_scale=time_scale, port=port, api_key=api_key
        )
        self.process = process
        self._runner: _Thread | _Child | None = None

    @property
    def base_url(self) -> str:
        """What to give a client as `base_url`: `http://127.0.0.1:PORT/v1`."""
        return f"http://127.0.0.1:{self._running.port}/v1"

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
        self._runner = _Child(self.settings) if self.process else _Thread(self.settings)
        return self

    def stop(self) -> None:
        """Stop listening, drop every connection, forget the counters. A second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()

    def stats(self) -> SimulatedStats:
        """What the server has received and sent so far."""
        from resopt.providers.simulated_app import SimulatedStats

        return msgspec.json.decode(self._ask("GET", "/stats"), type=SimulatedStats)

    def reset(self) -> None:
        """Set the counters and the seed back to the start."""
        self._ask("POST", "/reset")

    def next_faults(self, *faults: str | None) -> None:
        """Let the next chat requests meet these faults, one each in the order of arrival; None is none."""
        self._ask("POST", "/faults", msgspec.json.encode(faults))

    def last_request(self) -> LastRequest | None:
        """The last chat request as it arrived."""
        from resopt.providers.simulated_app import LastRequest

        return msgspec.json.decode(self._ask("GET", "/last"), type=LastRequest | None)

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
    def _running(self) -> _Thread | _Child:
        if self._runner is None:
            raise ClosedError("the simulated server is not running: use it in `with`, or call start()")
        return self._runner

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Ask the server about itself over its own socket, which works in a thread and in a child process alike."""
        from http.client import HTTPConnection

        connection = HTTPConnection("127.0.0.1", self._running.port, timeout=_STOP_SECONDS)
        try:
            connection.request(method, path, body, {"connection": "close"})
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if reply.status >= 300:
            raise ConfigurationError(content.decode("utf-8", "replace"))
        return content


class _Thread:
    """Uvicorn in a daemon thread of this process."""

    def __init__(self, settings: Settings) -> None:
        import socket

        self.app = settings.app()
        # asyncio turns Nagle's algorithm off only for sockets whose protocol is given; with it each reply takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", settings.port))
        except OSError as error:
            self._socket.close()
            raise ConfigurationError(f"cannot listen on port {settings.port}: {error.strerror}") from error
        self.port: int = self._socket.getsockname()[1]
        self._server = _build_server(self.app)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resopt-simulated", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS) or not self._server.started:
            self.stop()
            raise ResoptError("the simulated server did not start")

    def _run(self) -> None:
        # A connection closed on purpose is an error to uvicorn; keep only this thread's complaints out of the log.
        own = threading.get_ident()
        quiet = logging.Filter()
        quiet.filter = lambda record: record.thread != own  # type: ignore[method-assign]
        logger = logging.getLogger("uvicorn.error")
        logger.addFilter(quiet)
        try:
            self._server.started_event = self._started
            self._server.run(sockets=[self._socket])
        finally:
            logger.removeFilter(quiet)
            self._started.set()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._socket.close()


def _build_server(app: SimulatedApp) -> Any:
    """A uvicorn server without access log, that wakes waiting requests when it stops."""
    import uvicorn

    class Server(uvicorn.Server):
        started_event: threading.Event | None = None

        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            if self.started_event is not None:
                self.started_event.set()

        async def shutdown(self, sockets: list[Any] | None = None) -> None:
            app.close()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app.asgi,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


class _Child:
    """The same in a child process, which ends with its standard input: it can never outlive its parent."""

    def __init__(self, settings: Settings) -> None:
        command = [sys.executable, "-m", "resopt.providers.simulated"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        assert self._process.stdin is not None  # noqa: S101 - asked for two lines above
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(msgspec.json.encode(settings) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline().strip()
        if not line.isdigit():
            self.stop()
            raise ResoptError(f"the simulated server did not start: {line.decode('utf-8', 'replace') or 'see above'}")
        self.port = int(line)

    def stop(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _serve_as_child() -> None:
    """Body of the child: settings on the first line of stdin, the port on stdout, then serve until stdin ends."""
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    try:
        runner = _Thread(settings)
    except ResoptError as error:
        sys.stdout.write(f"{error}\n")
        return
    sys.stdout.write(f"{runner.port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    runner.stop()


if __name__ == "__main__":
    _serve_as_child()
