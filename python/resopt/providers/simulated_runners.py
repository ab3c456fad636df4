"""Where the simulated provider runs: in a thread of this process, or in a child process."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError, ResoptError
from resopt.providers.simulated_answers import Faults, SimulatedModel
from resopt.providers.simulated_batches import BatchTimes
from resopt.providers.simulated_limits import RateLimits

if TYPE_CHECKING:
    from resopt.providers.simulated_app import SimulatedApp

_START_SECONDS = 20.0
STOP_SECONDS = 5.0
"""How long a server may take to go away."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a server is started with; travels to the child process as JSON."""

    models: tuple[SimulatedModel, ...]
    seed: int
    faults: Faults
    time_scale: float
    port: int
    api_key: str | None
    limits: RateLimits
    batches: BatchTimes

    def app(self) -> SimulatedApp:
        """The application, with fresh counters."""
        from resopt.providers.simulated_app import SimulatedApp

        return SimulatedApp(
            self.models,
            seed=self.seed,
            faults=self.faults,
            time_scale=self.time_scale,
            api_key=self.api_key,
            limits=self.limits,
            batches=self.batches,
        )


class InThread:
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
        """Let the requests in the air end, and stop."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
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


class InChild:
    """The same in a child process, which ends with its standard input: it can never outlive its parent."""

    def __init__(self, settings: Settings) -> None:
        command = [sys.executable, "-m", "resopt.providers.simulated_runners"]
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
        """End the child, by force when it takes too long."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _serve_as_child() -> None:
    """Body of the child: settings on the first line of stdin, the port on stdout, then serve until stdin ends."""
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    try:
        runner = InThread(settings)
    except ResoptError as error:
        sys.stdout.write(f"{error}\n")
        return
    sys.stdout.write(f"{runner.port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    runner.stop()


if __name__ == "__main__":
    _serve_as_child()
