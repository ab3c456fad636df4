"""Every async test runs on asyncio and on trio; no test of single-flight leaves anything behind."""

import gc
import os
import time
from pathlib import Path

import pytest

from compatibility import pytest_collection_finish, pytest_runtest_logreport, pytest_sessionfinish
from provider_faces import ask, running, server

# Everything here speaks plain HTTP to this machine: reading its certificates would cost each client 50 ms.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent / "vectors")

__all__ = [
    "anyio_backend", "ask", "flight", "nothing_is_logged", "pytest_collection_finish", "pytest_runtest_logreport",
    "pytest_sessionfinish", "running", "server",
]  # fmt: skip


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def flight():
    """A flight that must have nothing in the air when the test is over."""
    from resopt.flight import Flight

    made = Flight()
    yield made
    deadline = time.monotonic() + 5
    while len(made) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(made) == 0
    assert not made._table


@pytest.fixture
def nothing_is_logged(caplog):
    """Asyncio reports exceptions that nobody retrieved, and pending tasks that were destroyed, through its logger."""
    yield
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
