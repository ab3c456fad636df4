"""Answers from memory: the general cache here, the caches of answers to requests beside it."""

from __future__ import annotations

from resopt.cache.function import cached
from resopt.cache.memory import Cache

__all__ = ["Cache", "cached"]
