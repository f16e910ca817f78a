"""The barrier: registers in the service's own database, written in the same local transaction as the service's work.

Here are the seam that a database implements, and what the databases have in common: the columns of the two tables, how
a register is written into them and read back, and the statements. The tables are those of the C++ library
(service/tables.h, docs/SERVICES.md): a service may be written again in another language on the same database.

Numbers of an attempt are unsigned and SQL's are not: they are stored as the signed number of the same 64 bits.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Optional, Sequence

from ..errors import AssentError
from ..ids import created_millis, is_txn_id
from ..names import tidy_text
from .register import Attempt, Register, State, WRITTEN

BRANCHES = "assent_branches"
BARRIER = "assent_barrier"
TABLES_VERSION = 1
COLUMNS = {
    BRANCHES: (
        *("txn_id", "branch", "state", "epoch", "number", "coordinator"),
        *("refusal", "message", "result", "payload", "changed_at"),
    ),
    BARRIER: ("id", "version", "identity", "forgotten_through"),
}


class DatabaseError(AssentError):
    """The database could not. What was begun may or may not have happened; it is rolled back or unknown."""


class TakenBackError(DatabaseError):
    """The database took the local transaction back for another's sake; all of it may be tried again."""


@dataclass(frozen=True, order=True)
class BranchKey:
    txn_id: str
    name: str


@dataclass(frozen=True)
class InDoubt:
    """A branch whose register holds a yes that has not ended."""

    key: BranchKey
    attempt: Attempt
    coordinator: str
    since: int


class LocalTransaction(ABC):
    """One connection of the service's database, taken for one call, by one thread. Raises DatabaseError; after that
    only rollback() is called."""

    @property
    @abstractmethod
    def connection(self) -> Any:
        """What the service's work runs on."""

    @abstractmethod
    def begin(self, write: bool) -> None: ...

    @abstractmethod
    def load(self, key: BranchKey) -> Optional[Register]:
        """None when there is no row. To write: locked until the end. Sees what others committed before this call."""

    @abstractmethod
    def insert(self, key: BranchKey, value: Register) -> bool:
        """False: there is a row already. Waits for whoever is inserting or deleting the same one."""

    @abstractmethod
    def update(self, key: BranchKey, value: Register) -> None: ...

    @abstractmethod
    def forgotten_through(self) -> int:
        """Branches of transactions that were made until then, and have no row, are forgotten."""

    @abstractmethod
    def begin_work(self) -> None: ...

    @abstractmethod
    def keep_work(self) -> None:
        """Raises when the work has ended the local transaction by itself or has left it beyond use."""

    @abstractmethod
    def undo_work(self) -> None:
        """Takes back all since begin_work()."""

    @abstractmethod
    def commit(self) -> None:
        """Durable when it returns. When it raises it may have happened."""

    @abstractmethod
    def rollback(self) -> None:
        """Whatever state the connection is in; does not raise. One that cannot be rolled back is not used again."""

    @abstractmethod
    def in_doubt(self, before: int, at_most: int) -> list[InDoubt]:
        """Since before the time, oldest first. Outside of begin() and commit()."""

    @abstractmethod
    def forget(self, before: int, at_most: int) -> int:
        """Deletes registers of transactions that were made, and ended, before the time, and remembers through which
        time it did so, at once. Outside of begin() and commit()."""

    @abstractmethod
    def give_back(self) -> None:
        """The connection is free for others. The last call."""


class Barrier(ABC):
    """Safe from any thread."""

    @abstractmethod
    def take(self) -> LocalTransaction:
        """Waits for a free connection, up to a time of the barrier's own (DatabaseError)."""

    @abstractmethod
    def same_database(self, other: Any) -> None:
        """Raises unless the service's connection is to this barrier's database: what is done on another one does not
        commit with the registers."""

    @abstractmethod
    def close(self) -> None: ...


# ---- the tables ----


def signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def unsigned(number: int) -> int:
    return int(number) & (1 << 64) - 1


def new_identity() -> str:
    return secrets.token_hex(16)


def check_columns(table: str, found: Sequence[str]) -> None:
    """Raises unless those are exactly the table's, or it is not there."""
    missing = [name for name in COLUMNS[table] if name not in found]
    strange = [name for name in found if name not in COLUMNS[table]]
    if not found or not (missing or strange):
        return
    what = f" lacks {', '.join(missing)}" if missing else ""
    if strange:
        what += f"{',' if what else ''} has {', '.join(strange)} besides"
    raise DatabaseError(
        f"table {table}{what}: it is not the barrier's. Rename it, and the barrier makes its own; or give the service "
        "another database"
    )


def check_version(version: Any) -> None:
    if version is None or int(version) != TABLES_VERSION:
        raise DatabaseError(
            f"the barrier's tables are of version {version}, and this program knows version {TABLES_VERSION}"
        )


def to_row(value: Register) -> tuple:
    """The columns behind the key."""
    epoch, number = (None, None) if value.attempt is None else map(signed, value.attempt)
    return (
        *(value.state.value, epoch, number, value.coordinator, value.refusal, value.message),
        *(value.result, value.payload, value.changed_at),
    )


def from_row(row: Sequence[Any]) -> Register:
    """Raises DatabaseError when somebody else has written it."""
    word, epoch, number = text_of(row[0]), row[1], row[2]
    if word not in [state.value for state in WRITTEN]:
        raise _corrupt(f"'{tidy_text(word, 40)}' is no state of a branch")
    state = State(word)
    live = state in (State.PREPARED, State.READ_ONLY, State.COMMITTED)
    if (epoch is None) != (number is None) or (live and epoch is None):
        raise _corrupt(f"a branch that is {word} has no attempt")
    attempt = None if epoch is None else Attempt(unsigned(epoch), unsigned(number))
    coordinator, refusal, message = map(text_of, row[3:6])
    return Register(state, attempt, coordinator, refusal, message, bytes(row[6]), bytes(row[7]), max(0, int(row[8])))


def in_doubt_from(row: Sequence[Any]) -> InDoubt:
    txn_id, branch, coordinator = text_of(row[0]), text_of(row[1]), text_of(row[4])
    if not is_txn_id(txn_id) or row[2] is None or row[3] is None:
        raise _corrupt(f"'{tidy_text(txn_id, 40)}' is no transaction id, or has no attempt")
    attempt = Attempt(unsigned(row[2]), unsigned(row[3]))
    return InDoubt(BranchKey(txn_id, branch), attempt, coordinator, max(0, int(row[5])))


def text_of(value: Any) -> str:
    """Drivers answer with bytes where a column compares byte by byte."""
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray, memoryview)) else str(value)


def _corrupt(what: str) -> DatabaseError:
    return DatabaseError(f"table {BRANCHES} was written by somebody else: {what}")


# ---- the statements ----


class SqlTransaction(LocalTransaction):
    """What the databases have in common. A database says how it runs a statement, and what it calls things."""

    PLACE = "%s"  # a parameter
    LOCK = " FOR UPDATE"  # behind a SELECT, to lock its rows
    LOCK_FREE = " FOR UPDATE SKIP LOCKED"  # the same, without those that others have locked
    NO_DUPLICATE = " ON CONFLICT DO NOTHING"
    GREATEST = "greatest"
    BEGIN_READ = BEGIN_WRITE = "BEGIN"

    def __init__(self) -> None:
        self._writes = False

    @abstractmethod
    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[list, int]:
        """Rows, and how many were changed. Raises DatabaseError."""

    def _places(self, statement: str) -> str:
        return statement.replace("?", self.PLACE)

    def begin(self, write: bool) -> None:
        self._writes = write
        self._run(self.BEGIN_WRITE if write else self.BEGIN_READ)

    def load(self, key: BranchKey) -> Optional[Register]:
        rows, _ = self._run(
            "SELECT state, epoch, number, coordinator, refusal, message, result, payload, changed_at "
            "FROM assent_branches WHERE txn_id = ? AND branch = ?" + (self.LOCK if self._writes else ""),
            (key.txn_id, key.name),
        )
        return from_row(rows[0]) if rows else None

    def insert(self, key: BranchKey, value: Register) -> bool:
        statement = "INSERT INTO assent_branches VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)" + self.NO_DUPLICATE
        return self._run(statement, (key.txn_id, key.name, *to_row(value)))[1] == 1

    def update(self, key: BranchKey, value: Register) -> None:
        _, changed = self._run(
            "UPDATE assent_branches SET state = ?, epoch = ?, number = ?, coordinator = ?, refusal = ?, message = ?, "
            "result = ?, payload = ?, changed_at = ? WHERE txn_id = ? AND branch = ?",
            (*to_row(value), key.txn_id, key.name),
        )
        if changed != 1 and self.load(key) != value:  # some servers count rows that are other than before
            raise DatabaseError("the branch's row in assent_branches is gone: somebody else deleted it")

    def forgotten_through(self) -> int:
        rows, _ = self._run("SELECT forgotten_through FROM assent_barrier WHERE id = 1")
        return int(rows[0][0]) if rows else 0

    def begin_work(self) -> None:
        self._run("SAVEPOINT assent_work")

    def keep_work(self) -> None:
        self._settle("RELEASE SAVEPOINT assent_work")

    def undo_work(self) -> None:
        self._settle("ROLLBACK TO SAVEPOINT assent_work")
        self._run("RELEASE SAVEPOINT assent_work")

    def _settle(self, statement: str) -> None:
        try:
            self._run(statement)
        except DatabaseError as error:
            raise DatabaseError(
                "the service's work ended the local transaction by itself, or went on after a statement of it had "
                f"failed: {error.message}"
            ) from error

    def in_doubt(self, before: int, at_most: int) -> list[InDoubt]:
        try:
            self.begin(False)
            rows, _ = self._run(
                "SELECT txn_id, branch, epoch, number, coordinator, changed_at FROM assent_branches "
                "WHERE state = 'prepared' AND changed_at <= ? ORDER BY changed_at LIMIT ?",
                (before, at_most),
            )
            return [in_doubt_from(row) for row in rows]
        finally:
            self.rollback()

    def forget(self, before: int, at_most: int) -> int:
        try:
            self.begin(True)
            first_younger = f"{before:012x}" + 20 * "0"
            rows, _ = self._run(
                "SELECT txn_id, branch FROM assent_branches WHERE txn_id < ? AND state <> 'prepared' AND changed_at < "
                "? ORDER BY txn_id LIMIT ?" + self.LOCK_FREE,
                (first_younger, before, at_most),
            )
            keys = [(text_of(txn_id), text_of(branch)) for txn_id, branch in rows]
            for key in keys:
                self._run("DELETE FROM assent_branches WHERE txn_id = ? AND branch = ?", key)
            latest = max((created_millis(txn_id) for txn_id, _ in keys if is_txn_id(txn_id)), default=0)
            if keys:
                self._run(
                    f"UPDATE assent_barrier SET forgotten_through = {self.GREATEST}(forgotten_through, ?) WHERE id = 1",
                    (latest,),
                )
                self.commit()
            return len(keys)
        finally:
            self.rollback()
