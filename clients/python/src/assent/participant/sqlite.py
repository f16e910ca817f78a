"""The barrier of a service whose data is a SQLite file.

One connection, which the local transactions take in turns: SQLite has one writer anyway. The service's other code keeps
connections of its own to the same file; while a prepare runs they can read (in WAL mode), and wait to write.

Refused, each with what to do instead: a database that is not in a file, a file that is not a database, tables of our
names that are not ours. What is attached while work runs is detached by nobody: SQLite does not commit several files as
one when the power fails, so the connection that work gets refuses ATTACH.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import Any, Optional, Sequence

from .barrier import (
    BARRIER,
    BRANCHES,
    Barrier,
    DatabaseError,
    SqlTransaction,
    TABLES_VERSION,
    check_columns,
    check_version,
    new_identity,
)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS assent_branches(txn_id TEXT NOT NULL, branch TEXT NOT NULL, state TEXT NOT NULL, "
    "epoch INTEGER, number INTEGER, coordinator TEXT NOT NULL, refusal TEXT NOT NULL, message TEXT NOT NULL, "
    "result BLOB NOT NULL, payload BLOB NOT NULL, changed_at INTEGER NOT NULL, PRIMARY KEY(txn_id, branch))",
    "CREATE INDEX IF NOT EXISTS assent_branches_in_doubt ON assent_branches(changed_at) WHERE state = 'prepared'",
    "CREATE TABLE IF NOT EXISTS assent_barrier(id INTEGER PRIMARY KEY CHECK(id = 1), version INTEGER NOT NULL, "
    "identity TEXT NOT NULL, forgotten_through INTEGER NOT NULL)",
)


class _Connection(sqlite3.Connection):
    """Its own commit() and rollback(), and `with`, which calls them, would tear the register from the work."""

    def commit(self) -> None:
        raise RuntimeError("the barrier commits; the service's work must not (nor use the connection in a `with`)")

    def rollback(self) -> None:
        raise RuntimeError("the barrier rolls back; raise an exception or vote no instead")

    def __enter__(self):
        raise RuntimeError("`with` commits the connection at its end; use it without, and let the barrier commit")


class SqliteBarrier(Barrier):
    def __init__(self, path: str, *, patience: float = 5.0, work: Optional[sqlite3.Connection] = None):
        """path: of the service's own database; made when it is not there. patience: how long to wait for one's turn,
        and for a writer on another connection. work: a connection that the service's code uses otherwise, to be
        compared."""
        path = os.fspath(path)
        if path in ("", ":memory:") or path.startswith("file:"):
            raise DatabaseError(
                f"the SQLite database {path!r} is in memory, temporary or a URI: a yes must outlive the process. Give "
                "a file's path"
            )
        self._path = path
        self._patience = patience
        self._turn = threading.Lock()  # whose turn it is on the connection
        try:
            # isolation_level None: the driver begins nothing by itself.
            self._db = sqlite3.connect(
                path, timeout=patience, isolation_level=None, check_same_thread=False, factory=_Connection
            )
        except sqlite3.Error as error:
            raise DatabaseError(f"SQLite cannot open {path}: {error}") from error
        try:
            self._prepare_database()
            if work is not None:
                self.same_database(work)
        except BaseException:
            self._db.close()
            raise

    def _prepare_database(self) -> None:
        local = _Local(self._db, self._turn)
        with self._turn:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                local._run("PRAGMA " + pragma)
            local.begin(True)
            try:
                for table in (BRANCHES, BARRIER):
                    check_columns(table, [row[1] for row in local._run(f"PRAGMA table_info({table})")[0]])
                for statement in _SCHEMA:
                    local._run(statement)
                local._run(
                    "INSERT INTO assent_barrier VALUES(1, ?, ?, 0) ON CONFLICT DO NOTHING",
                    (TABLES_VERSION, new_identity()),
                )
                rows, _ = local._run("SELECT version FROM assent_barrier")
                check_version(rows[0][0] if rows else None)
                local.commit()
            finally:
                local.rollback()
        self._db.set_authorizer(_refuse_attach)

    def take(self) -> _Local:
        if not self._turn.acquire(timeout=self._patience):
            raise DatabaseError("the database was in use by other branches all the time")
        return _Local(self._db, self._turn)

    def same_database(self, other: sqlite3.Connection) -> None:
        own = self._identity_of(self._db)
        files = [row[2] for row in other.execute("PRAGMA database_list") if row[1] == "main"]
        file = files[0] if files else ""
        same_file = file != "" and os.path.exists(file) and os.path.samefile(file, self._path)
        if same_file and self._identity_of(other) == own:
            return
        raise DatabaseError(
            f"the barrier is in {self._path}, and the work's connection is to {file or 'no file'}: what is done on it "
            "does not commit with the registers"
        )

    def close(self) -> None:
        with self._turn:
            self._db.close()

    @staticmethod
    def _identity_of(db: sqlite3.Connection) -> Any:
        try:
            return db.execute("SELECT identity FROM assent_barrier WHERE id = 1").fetchone()
        except sqlite3.Error:
            return None


def _refuse_attach(action: int, *_: Any) -> int:
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK


class _Local(SqlTransaction):
    PLACE = "?"
    LOCK = LOCK_FREE = ""  # BEGIN IMMEDIATE has the whole file
    GREATEST = "max"
    BEGIN_WRITE = "BEGIN IMMEDIATE"

    def __init__(self, db: sqlite3.Connection, turn: threading.Lock):
        super().__init__()
        self._db = db
        self._turn = turn

    @property
    def connection(self) -> sqlite3.Connection:
        return self._db

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[list, int]:
        try:
            cursor = self._db.execute(statement, parameters)
            return cursor.fetchall(), cursor.rowcount
        except sqlite3.Error as error:
            raise DatabaseError(f"SQLite, {statement[:60]}: {error}") from error

    def commit(self) -> None:
        self._run("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            try:
                self._run("ROLLBACK")
            except DatabaseError:
                pass  # SQLite has rolled back by itself

    def give_back(self) -> None:
        self._turn.release()
