"""Answers kept and served: what may be stored, for whom, for how long; and the cache for any values underneath."""

from __future__ import annotations

from resopt.cache.function import cached
from resopt.cache.memory import Cache

__all__ = ["Cache", "cached"]
