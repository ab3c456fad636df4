"""Deferred work in an SQLite file: what was asked, under which handle, in which batch at the provider, what came back.

Everything is written before it is acted upon, so that whoever opens the file next, in this process or another, finds
out where things stand: a batch is noted as being made before the provider hears of it, an answer is kept before it is
told to anyone. Many processes may use one file; at any moment at most one of them drives it (`driving`).
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from resopt.batch.deferred_rows import (
    NewRow,
    StoredEnd,
    StoredPart,
    StoredRow,
    read_end,
    read_row,
    write_end,
    write_request,
)
from resopt.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from resopt.types import Request

_APPLICATION = 0x72656466
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS work (handle TEXT PRIMARY KEY, created REAL NOT NULL, deadline REAL NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    number INTEGER PRIMARY KEY, handle TEXT NOT NULL, position INTEGER NOT NULL, identity BLOB,
    request BLOB NOT NULL, state TEXT NOT NULL, leader INTEGER, part TEXT, attempts INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0, via TEXT, value BLOB, sum INTEGER, UNIQUE (handle, position));
CREATE INDEX IF NOT EXISTS row_state ON row (state);
CREATE INDEX IF NOT EXISTS row_part ON row (part);
CREATE INDEX IF NOT EXISTS row_identity ON row (identity);
CREATE INDEX IF NOT EXISTS row_leader ON row (leader);
CREATE TABLE IF NOT EXISTS part (
    tag TEXT PRIMARY KEY, api TEXT NOT NULL, remote TEXT, state TEXT NOT NULL, created REAL NOT NULL,
    rows INTEGER NOT NULL, deadline REAL NOT NULL);
"""
OPEN = ("new", "sent", "sync", "follows")
"""States of rows that have no end yet; `answered` and `failed` are the others.

`new`: to be sent; `sent`: in a batch; `sync`: being asked directly; `follows`: an equal row is asked for it.
"""

_ENDED = "state IN ('answered', 'failed')"


class Store:
    """The file. Threads may share it; calls block for as long as SQLite takes.

    Raises:
        CheckpointError: it is something else, damaged, or of a later release.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            raise CheckpointError(f"{path} holds no deferred work, or is damaged ({error}); move it away") from error

    def _open(self) -> None:
        run = self._database.execute
        application, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (tables or application) and application != _APPLICATION:
            raise CheckpointError(f"{self.path} is a database of something else; choose another file")
        if version > _VERSION:
            raise CheckpointError(f"{self.path} was written by a later release of resopt; update, or choose another")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        with self._changing():
            run(f"PRAGMA application_id={_APPLICATION}")
            run(f"PRAGMA user_version={_VERSION}")
            for statement in _SCHEMA.split(";"):
                run(statement)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def driving(self) -> Iterator[bool]:
        """Be the one who drives, if nobody else is: whether it worked. The right goes with the process that has it."""
        guard = sqlite3.connect(f"{self.path}-driver", timeout=0, isolation_level=None, check_same_thread=False)
        try:
            try:
                guard.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                yield False
                return
            yield True
        finally:
            guard.close()

    # ---- submissions

    def add(
        self,
        handle: str,
        created: float,
        deadline: float,
        rows: Sequence[NewRow],
        take: Callable[[int, Request], StoredEnd | None],
    ) -> bool:
        """Keep a submission; False when the handle exists already, and nothing was done.

        Args:
            handle: its name.
            created: Unix time at which it was made.
            deadline: Unix time until which answers are wanted.
            rows: what is asked.
            take: called with position and request of each row that is to be sent; what it returns is the row's end.
        """
        with self._changing():
            run = self._database.execute
            if run("SELECT 1 FROM work WHERE handle = ?", (handle,)).fetchone():
                return False
            run("INSERT INTO work VALUES (?, ?, ?)", (handle, created, deadline))
            for position, row in enumerate(rows):
                end, via = row.end, row.via
                leader = None if end is not None or row.identity is None else self._leader(row.identity, deadline)
                if end is None and leader is None:
                    end = take(position, row.request)
                    via = "" if end is None else "refused"
                state = ("failed" if end.response is None else "answered") if end is not None else "new"
                value = None if end is None else write_end(end)
                run(
                    "INSERT INTO row (handle, position, identity, request, state, leader, via, value, sum, told)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (
                        handle,
                        position,
                        row.identity,
                        write_request(row.request),
                        "follows" if leader is not None else state,
                        leader,
                        via or None,
                        value,
                        None if value is None else zlib.crc32(value),
                    ),
                )
        return True

    def _leader(self, identity: bytes, deadline: float) -> int | None:
        """An equal row that is being asked for, by its own deadline early enough."""
        found = self._database.execute(
            "SELECT number FROM row JOIN work USING (handle) WHERE identity = ? AND state IN ('new', 'sent', 'sync')"
            " AND work.deadline <= ? LIMIT 1",
            (identity, deadline),
        ).fetchone()
        return None if found is None else int(found[0])

    def work(self, handle: str) -> tuple[float, float] | None:
        """When a submission was made, and its deadline; None when there is none of this handle."""
        found = self._all("SELECT created, deadline FROM work WHERE handle = ?", handle)
        return None if not found else (found[0][0], found[0][1])

    def handles(self) -> list[str]:
        """All submissions, the oldest first."""
        return [row[0] for row in self._all("SELECT handle FROM work ORDER BY created, rowid")]

    def counts(self, handle: str) -> dict[str, int]:
        """Rows of a submission by state."""
        return dict(self._all("SELECT state, count(*) FROM row WHERE handle = ? GROUP BY state", handle))

    def ends(self, handle: str) -> list[StoredEnd | None]:
        """What each request of a submission ended in; None for those that have not."""
        found = self._all("SELECT state, value, sum FROM row WHERE handle = ? ORDER BY position", handle)
        return [read_end(value, crc) if state in ("answered", "failed") else None for state, value, crc in found]

    def ended(self, handle: str, wanted: Container[int]) -> list[tuple[int, StoredEnd, str]]:
        """Positions, ends and ways of the wanted rows of a submission that have ended."""
        found = self._all(f"SELECT position, value, sum, via FROM row WHERE handle = ? AND {_ENDED}", handle)  # noqa: S608 - constants
        return [(each[0], read_end(each[1], each[2]), each[3] or "") for each in found if each[0] in wanted]

    def forget(self, handle: str) -> bool:
        """Delete a submission that has ended; whether it was there and had."""
        with self._changing():
            run = self._database.execute
            left = run(f"SELECT count(*) FROM row WHERE handle = ? AND NOT {_ENDED}", (handle,)).fetchone()[0]  # noqa: S608 - constants
            if left or not run("DELETE FROM work WHERE handle = ?", (handle,)).rowcount:
                return False
            run("DELETE FROM row WHERE handle = ?", (handle,))
        return True

    # ---- rows on their way

    def rows(self, state: str, limit: int = 200_000) -> list[StoredRow]:
        """Rows in a state, in the order in which they were submitted."""
        return self._rows("row.state = ?", state, limit)

    def rows_of(self, tag: str) -> list[StoredRow]:
        """The rows of a batch that have no end yet."""
        return self._rows("row.state = 'sent' AND part = ?", tag, -1)

    def deadline_of(self, row: StoredRow) -> float:
        """Until when a row is wanted."""
        return self.dates(row.handle)[1]

    def dates(self, handle: str) -> tuple[float, float]:
        """When a submission was made and until when it is wanted; zeros when there is none."""
        return self.work(handle) or (0.0, 0.0)

    def places(self) -> list[tuple[str, float, int]]:
        """Every row: its submission, when that was made, and the row's position in it."""
        return self._all("SELECT handle, created, position FROM row JOIN work USING (handle)")

    def pack(self, part: StoredPart, numbers: Sequence[int]) -> None:
        """Note that these rows are about to be made a batch."""
        with self._changing():
            self._database.execute(
                "INSERT INTO part VALUES (?, ?, NULL, 'making', ?, ?, ?)",
                (part.tag, part.api, part.created, part.rows, part.deadline),
            )
            self._database.executemany(
                "UPDATE row SET state = 'sent', part = ?, attempts = attempts + 1 WHERE number = ? AND state = 'new'",
                [(part.tag, number) for number in numbers],
            )

    def parts(self) -> list[StoredPart]:
        """Batches that have not been collected, the oldest first."""
        columns = "tag, api, remote, state, created, rows, deadline"
        found = self._all(f"SELECT {columns} FROM part WHERE state != 'collected' ORDER BY created")  # noqa: S608 - constants
        return [StoredPart(*row) for row in found]

    def mark(self, tag: str, state: str, remote: str | None = None) -> None:
        """Note what has become of a batch."""
        with self._changing():
            self._database.execute(
                "UPDATE part SET state = ?, remote = coalesce(?, remote) WHERE tag = ?", (state, remote, tag)
            )

    def set_state(self, numbers: Sequence[int], state: str, before: str) -> None:
        """Move rows from one state to another; those that are in neither stay."""
        with self._changing():
            self._database.executemany(
                "UPDATE row SET state = ? WHERE number = ? AND state = ?",
                [(state, number, before) for number in numbers],
            )

    def end(self, ends: Sequence[tuple[int, StoredEnd]], via: str) -> int:
        """Give rows their end, once; how many had none before. Those that follow them get the same."""
        changed = 0
        with self._changing():
            for number, end in ends:
                value = write_end(end)
                state = "failed" if end.response is None else "answered"
                done = self._database.execute(
                    f"UPDATE row SET state = ?, value = ?, sum = ?, via = ? WHERE number = ? AND NOT {_ENDED}",  # noqa: S608 - constants
                    (state, value, zlib.crc32(value), via, number),
                ).rowcount
                if done:
                    changed += 1
                    self._database.execute(
                        "UPDATE row SET state = ?, value = ?, sum = ?, via = 'repeat'"
                        " WHERE leader = ? AND state = 'follows'",
                        (state, value, zlib.crc32(value), number),
                    )
        return changed

    def untold(self, limit: int = 1_000) -> list[tuple[StoredRow, StoredEnd, str]]:
        """Rows whose end has been told to nobody, with how they came by it; they count as told from now on."""
        with self._changing():
            found = self._database.execute(
                f"SELECT {_COLUMNS}, value, sum, via FROM row WHERE {_ENDED} AND told = 0 ORDER BY number LIMIT ?",  # noqa: S608 - constants
                (limit,),
            ).fetchall()
            self._database.executemany("UPDATE row SET told = 1 WHERE number = ?", [(each[0],) for each in found])
        return [(read_row(each[:6]), read_end(each[6], each[7]), each[8] or "") for each in found]

    def soonest_deadline(self) -> float | None:
        """The earliest deadline of a submission with open rows."""
        found = self._all(
            "SELECT min(deadline) FROM work WHERE EXISTS (SELECT 1 FROM row WHERE row.handle = work.handle"
            " AND state NOT IN ('answered', 'failed'))"
        )
        soonest: float | None = found[0][0]
        return soonest

    def _rows(self, condition: str, value: str, limit: int) -> list[StoredRow]:
        found = self._all(f"SELECT {_COLUMNS} FROM row WHERE {condition} ORDER BY number LIMIT {limit}", value)  # noqa: S608 - constants
        return [read_row(each) for each in found]

    def _all(self, statement: str, *values: Any) -> list[Any]:
        try:
            with self._lock:
                return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise CheckpointError(f"{self.path} cannot be read: {error}") from error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with self._lock:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._database.execute("ROLLBACK")
                    raise
                self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise CheckpointError(f"{self.path} cannot be written: {error}") from error


_COLUMNS = "row.number, row.handle, row.position, row.request, row.state, row.attempts"
