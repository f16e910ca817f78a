"""The barrier of a service whose data is in MariaDB (InnoDB), over pymysql.

A few connections of its own; the service's work runs on the one that it is given, in the same transaction as the
register. Isolation is read committed: lock what you read and rely on (SELECT ... FOR UPDATE). A connection that was
lost is made again when it is next taken. Statements that commit by themselves (CREATE TABLE, ALTER, ...) must not be
used.

Refused, each with what to do instead: a server that does not sync each commit (innodb_flush_log_at_trx_commit), a
connection of the service's to another database, tables of our names with other columns or of another engine. What the
service's own work does in tables of another engine is not taken back by anybody: keep it in InnoDB.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, Optional, Sequence

import pymysql
import pymysql.connections
import pymysql.constants.ER as ER

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
    text_of,
)
from .pool import ConnectionPool

_SCHEMA = (
    # nopad: a blank at the end of a name counts.
    "CREATE TABLE IF NOT EXISTS assent_branches(txn_id char(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, "
    "branch varchar(200) COLLATE utf8mb4_nopad_bin NOT NULL, "
    "state varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, epoch bigint, number bigint, "
    "coordinator varchar(200) NOT NULL, refusal varchar(200) NOT NULL, message varchar(2000) NOT NULL, "
    "result longblob NOT NULL, payload longblob NOT NULL, changed_at bigint NOT NULL, PRIMARY KEY(txn_id, branch), "
    "KEY assent_branches_in_doubt(state, changed_at)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    "CREATE TABLE IF NOT EXISTS assent_barrier(id integer PRIMARY KEY CHECK(id = 1), version integer NOT NULL, "
    "identity varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, forgotten_through bigint NOT NULL) "
    "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
)
# The row's identity, and where the database is: one that was copied from this one has the row as well.
_IDENTITY = (
    "SELECT CONCAT(identity, '/', DATABASE(), '@', @@hostname, ':', @@port, ' ', @@datadir) FROM assent_barrier "
    "WHERE id = 1"
)
_LOST = (2006, 2013, 2055, 4031)  # the server has gone away, or closed the connection


class _Connection(pymysql.connections.Connection):
    """Its own commit() and rollback() would tear the register from the work; `with` closes it."""

    def commit(self) -> None:
        raise RuntimeError("the barrier commits; the service's work must not")

    def rollback(self) -> None:
        raise RuntimeError("the barrier rolls back; raise an exception or vote no instead")

    def begin(self) -> None:
        raise RuntimeError("the barrier has begun a transaction already, and another one would commit it")

    def __enter__(self):
        raise RuntimeError("`with` closes the connection at its end; use it without")


class MariadbBarrier(Barrier):
    def __init__(
        self, *, connections: int = 4, patience: float = 5.0, work: Optional[Any] = None, **address: Any
    ):
        """address: as pymysql.connect() takes it (host, port, user, password, unix_socket, database), of the database
        of the service's work. connections: local transactions at a time. patience: how long to wait for a free
        connection, for a new one, and for a lock. work: a connection that the service's code uses otherwise, to be
        compared."""
        if not (address.get("database") or address.get("db")):
            raise DatabaseError("MariaDB: no database is given; say database=..., that of the service's work")
        self._address = address
        self._patience = patience
        self._pool = ConnectionPool(connections, patience, self._connect, _close)
        local = self.take()
        try:
            self._prepare_database(local)
        finally:
            local.rollback()
            local.give_back()
        if work is not None:
            self.same_database(work)

    def _connect(self) -> Any:
        seconds = max(1, math.ceil(self._patience))
        # autocommit off: should the server take a transaction back, what the work does then is not final by itself.
        settings = {"charset": "utf8mb4", "connect_timeout": max(2, seconds), **self._address, "autocommit": False}
        try:
            db = _Connection(**settings)
        except (pymysql.MySQLError, OSError) as error:
            raise DatabaseError(f"MariaDB cannot be reached: {_words(error)}") from error
        try:
            with db.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
                cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")  # nothing is cut
        except pymysql.MySQLError as error:
            _close(db)
            raise DatabaseError(f"MariaDB: {_words(error)}") from error
        return db

    @staticmethod
    def _prepare_database(local: _Local) -> None:
        rows, _ = local._run("SELECT @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog")
        flush, binlog, sync = map(int, rows[0])
        if binlog and sync != 1:
            raise DatabaseError(
                f"the MariaDB server has a binary log with sync_binlog={sync}: after a power cut the log may lack what "
                "the tables hold. SET GLOBAL sync_binlog = 1"
            )
        if flush not in (1, 3):
            raise DatabaseError(
                f"the MariaDB server runs with innodb_flush_log_at_trx_commit={flush}: a yes may be lost with the "
                "power. SET GLOBAL innodb_flush_log_at_trx_commit = 1"
            )
        for table in (BRANCHES, BARRIER):
            rows, _ = local._run(
                "SELECT c.column_name, t.engine FROM information_schema.columns c JOIN information_schema.tables t "
                "USING (table_schema, table_name) WHERE c.table_schema = DATABASE() AND c.table_name = ? "
                "ORDER BY c.ordinal_position",
                (table,),
            )
            check_columns(table, [text_of(row[0]) for row in rows])
            if rows and text_of(rows[0][1]) != "InnoDB":
                raise DatabaseError(f"table {table} is of engine {text_of(rows[0][1])}, which has no transactions")
        for statement in _SCHEMA:  # each commits by itself
            local._run(statement)
        local._run("INSERT IGNORE INTO assent_barrier VALUES(1, ?, ?, 0)", (TABLES_VERSION, new_identity()))
        rows, _ = local._run("SELECT version FROM assent_barrier")
        check_version(rows[0][0] if rows else None)
        local.commit()

    def take(self) -> _Local:
        return _Local(self._pool)

    def same_database(self, other: Any) -> None:
        """other: a pymysql connection."""
        local = self.take()
        try:
            own = local._run(_IDENTITY)[0]
        finally:
            local.rollback()
            local.give_back()
        theirs = None
        try:
            with other.cursor() as cursor:
                cursor.execute(_IDENTITY)
                theirs = list(cursor.fetchall())
        except pymysql.MySQLError:
            pass  # the tables are not there
        if own and theirs and list(map(tuple, own)) == list(map(tuple, theirs)):
            return
        raise DatabaseError(
            f"the work's connection is to database {text_of(other.db or b'(none)')} at {other.host}:{other.port}, "
            "which is not the barrier's: what is done on it does not commit with the registers"
        )

    def close(self) -> None:
        self._pool.close()


def _close(db: Any) -> None:
    with contextlib.suppress(pymysql.MySQLError, OSError):
        db.close()


def _words(error: BaseException) -> str:
    return str(error.args[1] if len(error.args) > 1 else error) or "the connection is lost"


class _Local(SqlTransaction):
    NO_DUPLICATE = ""  # IGNORE would hide other errors
    BEGIN_READ = BEGIN_WRITE = "START TRANSACTION"

    def __init__(self, pool: ConnectionPool):
        super().__init__()
        self._pool = pool
        self._db = pool.take()
        self._fit = True

    @property
    def connection(self) -> Any:
        return self._db

    def begin(self, write: bool) -> None:
        try:
            super().begin(write)
        except DatabaseError as error:
            if _number_of(error.__cause__) not in (0, *_LOST):
                raise
            # Lost while nobody used it, as after a restart of the server: nothing hangs on it yet.
            lost, self._db = self._db, self._pool._make()
            _close(lost)
            super().begin(write)

    def insert(self, key: Any, value: Any) -> bool:
        try:
            return super().insert(key, value)
        except DatabaseError as error:
            if _number_of(error.__cause__) == ER.DUP_ENTRY:
                return False
            raise

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[list, int]:
        try:
            with self._db.cursor() as cursor:
                changed = cursor.execute(self._places(statement), parameters or None)
                return list(cursor.fetchall()) if cursor.description else [], changed
        except (pymysql.MySQLError, OSError) as error:
            taken_back = _number_of(error) in (ER.LOCK_DEADLOCK, ER.CHECKREAD)
            kind = TakenBackError if taken_back else DatabaseError
            raise kind(f"MariaDB, {statement[:60]}: {_words(error)}") from error

    def commit(self) -> None:
        self._run("COMMIT")

    def rollback(self) -> None:
        self._fit = False
        with contextlib.suppress(DatabaseError):
            self._run("ROLLBACK")
            self._fit = not self._db.get_autocommit()  # the work may have turned it on

    def give_back(self) -> None:
        if not self._fit:
            _close(self._db)
        self._pool.give_back(self._db if self._fit else None)


def _number_of(error: Optional[BaseException]) -> int:
    """The server's or the driver's number; 0 for a connection that is closed already."""
    number = error.args[0] if error is not None and error.args else 0
    return number if isinstance(number, int) else 0
