"""How far a batch is: a bar on a terminal, or whatever the caller does with two numbers."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resopt.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Progress:
    """Counts items that have ended and tells it.

    Args:
        tell: given the number done and the number of all, None when that is not known.
        total: all items.
    """

    def __init__(self, tell: Callable[[int, int | None], None] | None, total: int | None) -> None:
        self._tell = tell
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def advance(self) -> None:
        """One more has ended."""
        if self._tell is None:
            return
        with self._lock:
            self._done += 1
            self._tell(self._done, self._total)


@contextmanager
def progress_for(wish: object, total: int | None) -> Iterator[Progress]:
    """The progress that a caller wishes for: True for a bar, a function to be told, False for nothing.

    Raises:
        ConfigurationError: it is something else.
        MissingExtraError: a bar is wanted on a terminal, and rich is not installed.
    """
    if wish is not True and wish is not False and not callable(wish):
        raise ConfigurationError(f"progress must be True, False or a function, not {type(wish).__name__}")
    if wish is True and sys.stderr.isatty():
        with _bar(total) as progress:
            yield progress
    else:
        yield Progress(wish if callable(wish) else None, total)


@contextmanager
def _bar(total: int | None) -> Iterator[Progress]:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError as error:
        raise MissingExtraError("a progress bar needs: pip install 'resopt[cli]'") from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("items", total=total)

        def tell(done: int, _: int | None) -> None:
            bar.update(task, completed=done)

        yield Progress(tell, total)
