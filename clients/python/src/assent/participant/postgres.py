"""The barrier of a service whose data is in PostgreSQL, over psycopg2.

A few connections of its own; the service's work runs on the one that it is given, in the same transaction as the
register. Isolation is read committed: lock what you read and rely on (SELECT ... FOR UPDATE). A connection that was
lost is made again when it is next taken.

Refused, each with what to do instead: a server that does not sync (fsync=off), a connection of the service's to another
database, tables of our names with other columns. synchronous_commit is turned on for its connections where it is off.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, Optional, Sequence

import psycopg2
import psycopg2.extensions

from .barrier import (
    BARRIER,
    BRANCHES,
    Barrier,
    DatabaseError,
    SqlTransaction,
    TABLES_VERSION,
    TakenBackError,
    check_columns,
    check_version,
    new_identity,
)
from .pool import ConnectionPool

# Two processes of a service that start at once would both make the tables; any number that nobody else takes.
_LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(7311142560397542996)"
_SCHEMA = (
    'CREATE TABLE IF NOT EXISTS assent_branches(txn_id text COLLATE "C" NOT NULL, branch text COLLATE "C" NOT NULL, '
    "state text NOT NULL, epoch bigint, number bigint, coordinator text NOT NULL, refusal text NOT NULL, "
    "message text NOT NULL, result bytea NOT NULL, payload bytea NOT NULL, changed_at bigint NOT NULL, "
    "PRIMARY KEY(txn_id, branch))",
    "CREATE INDEX IF NOT EXISTS assent_branches_in_doubt ON assent_branches(changed_at) WHERE state = 'prepared'",
    "CREATE TABLE IF NOT EXISTS assent_barrier(id integer PRIMARY KEY CHECK(id = 1), version integer NOT NULL, "
    "identity text NOT NULL, forgotten_through bigint NOT NULL)",
)
# The row's identity, and the database's own number: a database that was made from this one as its template has the row.
_IDENTITY = (
    "SELECT identity || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "FROM assent_barrier WHERE id = 1"
)


class _Connection(psycopg2.extensions.connection):
    """Its own commit() and rollback(), and `with`, which calls them, would tear the register from the work."""

    def commit(self) -> None:
        raise RuntimeError("the barrier commits; the service's work must not (nor use the connection in a `with`)")

    def rollback(self) -> None:
        raise RuntimeError("the barrier rolls back; raise an exception or vote no instead")

    def __enter__(self):
        raise RuntimeError("`with` commits the connection at its end; use it without, and let the barrier commit")


class PostgresBarrier(Barrier):
    def __init__(self, conninfo: str, *, connections: int = 4, patience: float = 5.0, work: Optional[Any] = None):
        """conninfo: as libpq takes it, of the database of the service's work. connections: local transactions at a
        time. patience: how long to wait for a free connection, for a new one, and for a lock. work: a connection that
        the service's code uses otherwise, to be compared."""
        self._conninfo = conninfo
        self._patience = patience
        self._pool = ConnectionPool(connections, patience, self._connect, _close)
        with contextlib.closing(_Closing(self.take())) as first:
            self._prepare_database(first.local)
        if work is not None:
            self.same_database(work)

    def _connect(self) -> Any:
        try:
            db = psycopg2.connect(
                self._conninfo,
                connection_factory=_Connection,
                connect_timeout=max(2, math.ceil(self._patience)),
                fallback_application_name="assent barrier",
            )
        except psycopg2.Error as error:
            raise DatabaseError(f"PostgreSQL cannot be reached: {_first_line(error)}") from error
        db.autocommit = True  # the driver begins nothing by itself
        try:
            with db.cursor() as cursor:
                cursor.execute("SET client_encoding = 'UTF8'")
                cursor.execute(f"SET lock_timeout = {int(self._patience * 1000)}")
                cursor.execute("SHOW synchronous_commit")
                if cursor.fetchone()[0] == "off":  # a yes that was answered could be lost with the power
                    cursor.execute("SET synchronous_commit = on")
        except psycopg2.Error as error:
            _close(db)
            raise DatabaseError(f"PostgreSQL: {_first_line(error)}") from error
        return db

    @staticmethod
    def _prepare_database(local: _Local) -> None:
        if local._run("SHOW fsync")[0][0][0] == "off":
            raise DatabaseError("PostgreSQL runs with fsync=off: a yes may be lost with the power. Turn it on")
        local.begin(True)
        local._run(_LOCK_SCHEMA)
        for table in (BRANCHES, BARRIER):
            rows, _ = local._run(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped",
                (table,),
            )
            check_columns(table, [row[0] for row in rows])
        for statement in _SCHEMA:
            local._run(statement)
        local._run(
            "INSERT INTO assent_barrier VALUES(1, ?, ?, 0) ON CONFLICT DO NOTHING", (TABLES_VERSION, new_identity())
        )
        rows, _ = local._run("SELECT version FROM assent_barrier")
        check_version(rows[0][0] if rows else None)
        local.commit()

    def take(self) -> _Local:
        return _Local(self._pool)

    def same_database(self, other: Any) -> None:
        """other: a psycopg2 connection."""
        with contextlib.closing(_Closing(self.take())) as mine:
            own = mine.local._run(_IDENTITY)[0]
        theirs = None
        in_use = other.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE
        try:
            with other.cursor() as cursor:
                cursor.execute(_IDENTITY)
                theirs = cursor.fetchall()
        except psycopg2.Error:
            pass  # the tables are not there
        if not in_use and not other.autocommit:
            other.rollback()
        if own and theirs == own:
            return
        raise DatabaseError(
            f"the work's connection is to database {other.info.dbname} at {other.info.host}:{other.info.port}, which "
            "is not the barrier's: what is done on it does not commit with the registers"
        )

    def close(self) -> None:
        self._pool.close()


class _Closing:
    """Gives a local transaction back, rolled back, whatever happened."""

    def __init__(self, local: _Local):
        self.local = local

    def close(self) -> None:
        self.local.rollback()
        self.local.give_back()


def _close(db: Any) -> None:
    with contextlib.suppress(psycopg2.Error):
        db.close()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["the connection is lost"])[0]


class _Local(SqlTransaction):
    BEGIN_READ = BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

    def __init__(self, pool: ConnectionPool):
        super().__init__()
        self._pool = pool
        self._db = pool.take()

    @property
    def connection(self) -> Any:
        return self._db

    def begin(self, write: bool) -> None:
        try:
            super().begin(write)
        except DatabaseError:
            if not self._db.closed:
                raise
            # Lost while nobody used it, as after a restart of the server: nothing hangs on it yet.
            lost, self._db = self._db, self._pool._make()
            _close(lost)
            super().begin(write)

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[list, int]:
        return self._run_told(statement, parameters)[:2]

    def _run_told(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[list, int, str]:
        try:
            with self._db.cursor() as cursor:
                cursor.execute(self._places(statement), parameters or None)
                rows = cursor.fetchall() if cursor.description else []
                return rows, cursor.rowcount, cursor.statusmessage
        except psycopg2.Error as error:
            kind = TakenBackError if error.pgcode in ("40001", "40P01") else DatabaseError  # serialization, deadlock
            raise kind(f"PostgreSQL, {statement[:60]}: {_first_line(error)}") from error

    def commit(self) -> None:
        # A COMMIT of a transaction that has failed is answered with a ROLLBACK, and called a success.
        if self._run_told("COMMIT")[2] != "COMMIT":
            raise DatabaseError("PostgreSQL rolled the local transaction back instead of committing it")

    def rollback(self) -> None:
        if self._db.closed or self._idle():
            return
        with contextlib.suppress(DatabaseError):  # such a connection is not given back
            self._run("ROLLBACK")

    def give_back(self) -> None:
        fit = not self._db.closed and self._idle()
        if not fit:
            _close(self._db)
        self._pool.give_back(self._db if fit else None)

    def _idle(self) -> bool:
        return self._db.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
