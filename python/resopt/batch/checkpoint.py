"""Results of a batch in an SQLite file, so that a run that is killed goes on where it was.

A result is committed before the next item is taken, in WAL mode: it survives `kill -9` at any moment (with
`synchronous=NORMAL` a power cut may lose the last few). Results are found by what the item is, not by its position, so
a run may go on with its items reordered, with more of them, or with fewer. The file is locked while a run uses it; the
lock goes with the process.

What SQLite cannot know is whether a call that was in the air when the process died was billed. Each item has an
idempotency key that is the same whenever the run goes on, and goes out with its call: a provider that honours it bills
once.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import zlib
from typing import TYPE_CHECKING, Any

from resopt.batch.items import read_result, write_result
from resopt.errors import CheckpointError, ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    from typing import Self

_APPLICATION = 0x7265736F
"""`reso`: marks the file as ours in SQLite's header."""

_VERSION = 1
_TABLES = (
    "CREATE TABLE IF NOT EXISTS result (item BLOB PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS run (name BLOB NOT NULL)",
    "INSERT INTO run SELECT randomblob(16) WHERE NOT EXISTS (SELECT 1 FROM run)",
)


class Checkpoint:
    """The results of a batch that are known already, in a file. Threads may share it.

    Args:
        path: the file, made when there is none.

    Attributes:
        damaged: results whose checksum was wrong; their items run again.

    Raises:
        CheckpointError: the file is not a checkpoint, of a later version, damaged, or used by another run.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            raise ConfigurationError(f"checkpoint must be a path or None, not {type(path).__name__}")
        self.path = os.fspath(path)
        self.damaged = 0
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise CheckpointError(f"the checkpoint {self.path} cannot be opened: {error}") from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._database.close()
            raise self._unusable(error) from error
        except CheckpointError:
            self._database.close()
            raise

    def __len__(self) -> int:
        """Results held."""
        with self._lock:
            count: int = self._database.execute("SELECT count(*) FROM result").fetchone()[0]
        return count

    def get(self, item: bytes) -> tuple[Any] | None:
        """The result of an item, in a tuple because it may be None; None when there is none."""
        try:
            with self._lock:
                row = self._database.execute("SELECT value, sum FROM result WHERE item = ?", (item,)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        if row is None:
            return None
        try:
            if zlib.crc32(row[0]) == row[1]:
                return (read_result(row[0]),)
        except ValueError:
            pass
        self.damaged += 1
        return None

    def put(self, item: bytes, result: Any) -> None:
        """Keep the result of an item; it is on disk when this returns.

        Raises:
            CheckpointError: it cannot be written; the result is with the error.
        """
        try:
            value = write_result(result)
            with self._lock:
                self._database.execute(
                    "INSERT OR REPLACE INTO result VALUES (?, ?, ?)", (item, value, zlib.crc32(value))
                )
        except InvalidRequestError as error:
            raise CheckpointError(f"{error}", result) from None
        except sqlite3.Error as error:
            raise CheckpointError(f"a result cannot be written to {self.path}: {error}", result) from error

    def idempotency_key(self, item: bytes) -> str:
        """The name of an item's call: of this file's run, and no other."""
        return "resopt-" + hashlib.blake2b(item, digest_size=16, key=self._name).hexdigest()

    def close(self) -> None:
        """Unlock the file."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        application = run("PRAGMA application_id").fetchone()[0]
        version = run("PRAGMA user_version").fetchone()[0]
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (tables or application) and application != _APPLICATION:
            raise CheckpointError(f"{self.path} is a database of something else; choose another file")
        if version > _VERSION:
            raise CheckpointError(f"{self.path} was written by a later release of resopt; update, or choose another")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run("BEGIN IMMEDIATE")
        run(f"PRAGMA application_id={_APPLICATION}")
        run(f"PRAGMA user_version={_VERSION}")
        for statement in _TABLES:
            run(statement)
        run("COMMIT")
        self._name: bytes = run("SELECT name FROM run").fetchone()[0]

    def _unusable(self, error: sqlite3.Error) -> CheckpointError:
        if "locked" in str(error):
            return CheckpointError(f"{self.path} is in use by another run; wait for it, or choose another file")
        return CheckpointError(f"{self.path} is no checkpoint, or damaged ({error}); move it away, or choose another")
