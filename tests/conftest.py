"""Async tests run on asyncio and on trio; tests of providers share one simulated server and three ways to ask it."""

import pytest

from provider_faces import ask, running, server

__all__ = ["anyio_backend", "ask", "running", "server"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
