"""A simulated server whose batches end in a tenth of a second, and a file for deferred work."""

import pytest

from resopt.providers.simulated import BatchTimes, SimulatedServer

POLL = (0.01, 0.05)


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=0.1, expires_after=0.3)) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deferred.sqlite"
