"""Callers and an upstream call for the tests of single-flight."""

import asyncio
import threading

import anyio
import trio
from anyio.lowlevel import checkpoint


class Upstream:
    """A call that starts, waits at a gate and returns its number; it counts how it was treated."""

    def __init__(self):
        self.started = 0
        self.cancelled = 0
        self.finished = 0
        self.gate = anyio.Event()
        self.begun = anyio.Event()

    async def __call__(self, *_args):
        self.started += 1
        number = self.started
        self.begun.set()
        try:
            await self.gate.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        self.finished += 1
        return number


class Caller:
    """A task that runs a key and notes what came out; it can be cancelled alone."""

    def __init__(self, group, flight, key, call, *args):
        self.scope = anyio.CancelScope()
        self.outcome = None
        self.error = None
        self.ended = anyio.Event()
        group.start_soon(self._go, flight, key, call, *args)

    async def _go(self, flight, key, call, *args):
        try:
            with self.scope:
                self.outcome = await flight.run(key, call, *args)
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()


async def settle(rounds=20):
    for _ in range(rounds):
        await checkpoint()


async def until(condition):
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  (often another thread makes it true)
            await anyio.sleep(0.001)


def in_thread(function, *args):
    """Run in a thread with a fresh context; the caller joins it."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def run_loop(backend, function):
    return asyncio.run(function()) if backend == "asyncio" else trio.run(function)
