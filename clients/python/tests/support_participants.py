"""A service for tests, in three databases: writes what it did into a table of its own, so that a test can count what
took effect.

Its language (the payload): words apart by spaces, done in order by prepare.
  yes, read-only, no           the vote; yes when there is none
  result=X                     with the vote
  later=N                      of the first N prepares
  throw                        an exception
  bad-sql                      a statement that fails, and is not minded
  end-transaction              COMMIT, which it must not do
  fail-commit=N, fail-abort=N  the first N calls raise, after having done their work
  end-transaction-in-commit    COMMIT, then no more
Each call that comes leaves a row in `effects`, which a rollback takes away, and counts in `calls`, which it does not.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import sqlite3
import threading
from typing import Any

import assent
from assent.participant import Attempt, Branch, Participant, SqliteBarrier, Vote

from support import DatabaseServer, scratch_folder


def read_words(payload: bytes) -> dict[str, str]:
    words = {}
    for word in payload.decode("utf-8", "replace").split():
        name, _, value = word.partition("=")
        words[name] = value
    return words


class EffectsParticipant(Participant):
    def __init__(self, place: "Place"):
        self._place = place
        self._lock = threading.Lock()
        self.calls: dict[str, int] = collections.Counter()

    def prepare(self, branch: Branch, db: Any, payload: bytes) -> Vote:
        calls = self._count("prepare")
        self._effect(branch, db, "prepare")
        words = read_words(payload)
        if calls <= int(words.get("later", 0)):
            return Vote.later("the payload said later")
        if "bad-sql" in words:
            with contextlib.suppress(Exception):
                self._place.execute(db, "INSERT INTO no_such_table VALUES(1)")
        if "throw" in words:
            raise RuntimeError("the service fell over")
        if "end-transaction" in words:
            self._place.execute(db, "COMMIT")
        if "no" in words:
            return Vote.no("SO_IT_IS", "the payload said no")
        result = words.get("result", "").encode()
        return Vote.read_only(result) if "read-only" in words else Vote.yes(result)

    def commit(self, branch: Branch, db: Any, payload: bytes) -> None:
        calls = self._count("commit")
        self._effect(branch, db, "commit")
        words = read_words(payload)
        if "end-transaction-in-commit" in words:
            self._place.execute(db, "COMMIT")
        if calls <= int(words.get("fail-commit", 0)):
            raise RuntimeError("the payload says that it fails")

    def abort(self, branch: Branch, db: Any, payload: bytes) -> None:
        calls = self._count("abort")
        self._effect(branch, db, "abort")
        if calls <= int(read_words(payload).get("fail-abort", 0)):
            raise RuntimeError("the payload says that it fails")

    def _count(self, what: str) -> int:
        with self._lock:
            self.calls[what] += 1
            return self.calls[what]

    def _effect(self, branch: Branch, db: Any, what: str) -> None:
        mark = self._place.mark
        self._place.execute(
            db, f"INSERT INTO effects VALUES({mark}, {mark}, {mark})", (branch.txn_id, branch.name, what)
        )


class Place:
    """A database of a service's own. `look` is a connection of the test's to it."""

    mark = "%s"
    cpp_file: str  # the same barrier's in service/
    look: Any

    def open(self, **options: Any) -> Any:
        raise NotImplementedError

    def connect(self) -> Any:
        raise NotImplementedError

    @staticmethod
    def execute(db: Any, statement: str, parameters: tuple = ()) -> list:
        with contextlib.closing(db.cursor()) as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    @classmethod
    def borrow(cls) -> Place:
        """One that has no tables."""
        return cls()

    def release(self) -> None:
        self.look.close()

    def make_tables(self) -> None:
        self.execute(self.look, "CREATE TABLE effects(txn VARCHAR(32), branch VARCHAR(200), what VARCHAR(20))")

    def number(self, statement: str, parameters: tuple = ()) -> int:
        return int(self.execute(self.look, statement, parameters)[0][0])

    def effects(self, branch: Branch, what: str) -> int:
        mark = self.mark
        statement = f"SELECT count(*) FROM effects WHERE txn = {mark} AND branch = {mark} AND what = {mark}"
        return self.number(statement, (branch.txn_id, branch.name, what))

    def rows(self) -> int:
        return self.number("SELECT count(*) FROM assent_branches")


class SqlitePlace(Place):
    mark = "?"
    cpp_file = "sqlite_barrier.cc"

    def __init__(self) -> None:
        self.path = str(scratch_folder() / "service.db")
        self.look = self.connect()

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)

    def open(self, **options: Any) -> SqliteBarrier:
        return SqliteBarrier(self.path, **options)

    @staticmethod
    def execute(db: Any, statement: str, parameters: tuple = ()) -> list:
        return db.execute(statement, parameters).fetchall()

    def opener(self) -> str:
        """Python that opens the barrier, for another process."""
        return f"SqliteBarrier({self.path!r})"


class ServerPlace(Place):
    """A database on a server: it takes long to make, and is used again without its tables."""

    _free: list[ServerPlace]

    @classmethod
    def borrow(cls) -> Place:
        return cls._free.pop() if cls._free else cls()

    def release(self) -> None:
        self.execute(self.look, "DROP TABLE IF EXISTS effects, assent_branches, assent_barrier")
        self._free.append(self)


class PostgresPlace(ServerPlace):
    cpp_file = "postgres_barrier.cc"
    _free = []
    _server: Any = None
    _count = itertools.count(1)

    def __init__(self) -> None:
        if PostgresPlace._server is None:
            PostgresPlace._server = DatabaseServer(
                "postgres",
                "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); "
                "$bin/initdb -D $dir -A trust -U postgres -E UTF8 --locale=C --no-sync",
                "$bin/postgres -D $dir -p $port -k $PWD -c listen_addresses=127.0.0.1 -c max_connections=60 "
                "-c dynamic_shared_memory_type=mmap",
            )
            PostgresPlace._server.wait_for(lambda: self._connect("postgres"))
        self.name = f"test{next(self._count)}"
        with contextlib.closing(self._connect("postgres")) as admin:
            self.execute(admin, f"CREATE DATABASE {self.name}")
        self.look = self.connect()

    def conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self._server.port} user=postgres dbname={database}"

    def _connect(self, database: str) -> Any:
        import psycopg2

        db = psycopg2.connect(self.conninfo(database), connect_timeout=10)
        db.autocommit = True
        return db

    def connect(self) -> Any:
        return self._connect(self.name)

    def open(self, **options: Any) -> Any:
        return assent.participant.PostgresBarrier(self.conninfo(self.name), **options)

    def opener(self) -> str:
        return f"PostgresBarrier({self.conninfo(self.name)!r})"


class MariadbPlace(ServerPlace):
    cpp_file = "mariadb_barrier.cc"
    _free = []
    _server: Any = None
    _count = itertools.count(1)

    def __init__(self) -> None:
        if MariadbPlace._server is None:
            MariadbPlace._server = DatabaseServer(
                "mysql",
                "mariadb-install-db --no-defaults --datadir=$dir --auth-root-authentication-method=normal "
                "--skip-test-db",
                "mariadbd --no-defaults --datadir=$dir --port=$port --bind-address=127.0.0.1 --socket=$PWD/socket "
                "--pid-file=$PWD/pid --innodb-buffer-pool-size=16M --innodb-log-file-size=16M --max-connections=60",
            )
            MariadbPlace._server.wait_for(lambda: self._connect(None))
        self.name = f"test{next(self._count)}"
        with contextlib.closing(self._connect(None)) as admin:
            self.execute(admin, f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        self.look = self.connect()

    def address(self) -> dict[str, Any]:
        return {"unix_socket": str(self._server.folder / "socket"), "user": "root"}

    def _connect(self, database: Any) -> Any:
        import pymysql

        return pymysql.connect(**self.address(), database=database, autocommit=True, connect_timeout=10)

    def connect(self) -> Any:
        return self._connect(self.name)

    def open(self, **options: Any) -> Any:
        return assent.participant.MariadbBarrier(**self.address(), database=self.name, **options)

    def opener(self) -> str:
        return f"MariadbBarrier(database={self.name!r}, **{self.address()!r})"


def branch_of(number: int = 1, attempt: tuple = (1, 1), name: str = "b", millis: int = 1_800_000_000_000) -> Branch:
    """Of a transaction whose id was made at the time."""
    return Branch(f"{millis:012x}7{number:019x}", name, Attempt(*attempt), "c0")
