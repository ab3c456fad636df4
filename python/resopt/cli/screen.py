"""The console that verbs print on."""

from __future__ import annotations

from rich.console import Console

WIDTH = 100
"""Columns at most; and how many a file or pipe is taken to have."""


def make_console() -> Console:
    """A console on standard output, at most `WIDTH` columns wide."""
    console = Console(highlight=False)
    if not console.is_terminal or console.width > WIDTH:
        console = Console(highlight=False, width=WIDTH)
    return console
