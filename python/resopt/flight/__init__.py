"""One upstream call per key: waiters counted, cancellation-correct, over threads and event loops."""

from resopt.flight.flight import Flight, Landed

__all__ = ["Flight", "Landed"]
