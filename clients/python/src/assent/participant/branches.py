"""A participant's branches: carries calls out, each in one local transaction, by the rules of register.py.

What the gRPC service (host.py) and the resolver share, and what a program calls that has another transport. Every
function may be called from any thread; it blocks while the database does.

Invariants: no two calls for one branch are in the service's code at a time in this process; nothing is answered ok or
aborted before what it rests on is committed in the service's database; limits are kept before the database is touched,
but for the payload's size, which is answered with a recorded no.
"""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional, Union

from ..errors import AssentError, InvalidError
from ..ids import created_millis, is_txn_id
from ..names import MESSAGE_BYTES_MAX, NAME_BYTES_MAX, tidy_text, valid_name
from .barrier import Barrier, BranchKey, DatabaseError, InDoubt, LocalTransaction, TakenBackError
from .register import (
    Answer,
    Attempt,
    Branch,
    Call,
    Code,
    Register,
    State,
    Vote,
    VoteKind,
    judge,
    record_abort,
    record_end,
    record_vote,
)

_TRIES_MAX = 4  # an insert that finds a row looks again
_ENDS_BETWEEN_FORGETS = 64
_FORGETS_MAX = 256  # rows at a time
_NO_ATTEMPT = Attempt(0, 0)

# The row that stands while the work runs, and is seen by others only when the work has ended the local transaction.
_TORN = Vote.no(
    "TORN",
    "the service's prepare ended the local transaction by itself; what it did stays, and the branch cannot be voted "
    "for",
)


class Participant(ABC):
    """What the author of a service writes to take part in transactions.

    Each function runs inside a local transaction of the barrier's, in which the register is written as well: what it
    does on the given connection happens with the register or not at all; what it does elsewhere may happen twice or in
    vain. So, on that connection: no BEGIN, COMMIT, ROLLBACK, nor a statement that commits by itself; savepoints are
    fine.

    The barrier sees to the order: prepare at most once for a branch; after a yes exactly one of commit and abort, once;
    neither for what was never prepared or not with yes. "Once" counts what took effect: a call that ended without the
    local transaction (a crash, an exception) comes again, with nothing left of the first. Never two at a time for one
    branch, nor on one connection; from any thread.
    """

    @abstractmethod
    def prepare(self, branch: Branch, db: Any, payload: bytes) -> Vote:
        """Does the work as far as it can be undone, or reserves what the commit will need; or refuses. After a no, all
        that it did on the connection is rolled back. An exception is a no."""

    @abstractmethod
    def commit(self, branch: Branch, db: Any, payload: bytes) -> None:
        """Makes it final, with the payload of the prepare. After a yes it must come to succeed: an exception is told to
        the coordinator, which calls again."""

    @abstractmethod
    def abort(self, branch: Branch, db: Any, payload: bytes) -> None:
        """Takes back what prepare did, with the payload of the prepare."""


@dataclass(frozen=True)
class Limits:
    payload_bytes: int = 1 << 20
    result_bytes: int = 64 << 10
    prepares: int = 64  # at a time; commits and aborts have as much room again


def _system_now() -> int:
    return time.time_ns() // 1_000_000


class Branches:
    def __init__(
        self,
        name: str,
        participant: Participant,
        barrier: Barrier,
        *,
        limits: Limits = Limits(),
        retention: float = 3600.0,
        clock: Callable[[], int] = _system_now,
    ):
        """name: of the participant; calls for another are refused. Empty: not looked at. retention: how long an ended
        branch is remembered, in s; not below the ten minutes for which the coordinator takes a transaction's id. clock:
        milliseconds since 1970."""
        if not valid_name(name):
            raise InvalidError(f"a participant's name is up to {NAME_BYTES_MAX} bytes without control characters")
        if retention < 600:
            raise InvalidError("a retention below 600 s would forget branches whose prepare may still come")
        self.name = name
        self.limits = limits
        self._participant = participant
        self._barrier = barrier
        self._retention_millis = int(retention * 1000)
        self._clock = clock
        self._lock = threading.Lock()  # protects all below
        self._running: set[BranchKey] = set()
        self._calls = {Call.PREPARE: 0, Call.COMMIT: 0}  # ends count as commits
        self._ended = 0

    # ---- prepare ----

    def prepare(self, branch: Branch, payload: bytes, participant: str = "") -> Answer:
        """participant: whom the caller believes to talk to; empty: it does not say."""
        until = time.monotonic() + branch.time_left
        return self._carried_out(
            Call.PREPARE, branch, participant, lambda local: self._run_prepare(local, branch, payload, until)
        )

    def _run_prepare(self, local: LocalTransaction, branch: Branch, payload: bytes, until: float) -> Answer:
        if branch.time_left > 0 and time.monotonic() >= until:
            message = "the time was up before there was a free connection to the database; nothing was done"
            return Answer(Code.UNKNOWN, "UNAVAILABLE", message)
        return self._repeated(lambda: self._try_prepare(local, branch, payload))

    def _try_prepare(self, local: LocalTransaction, branch: Branch, payload: bytes) -> Answer:
        """The row goes in before the work runs, so that nobody else, in whatever process, runs it too; it says no,
        until the last statement before the commit says what was voted."""
        key = BranchKey(branch.txn_id, branch.name)
        with _rolled_back(local):
            local.begin(True)
            found = local.load(key)
            if found:
                return judge(Call.PREPARE, found, branch.attempt).answer
            if not local.insert(key, record_vote(branch, b"", _TORN, self._clock())):
                raise TakenBackError("somebody else wrote the register first")
            # After the insert: it has waited for whoever was forgetting the same branch.
            ruling = judge(Call.PREPARE, _empty(local.forgotten_through(), branch.txn_id), branch.attempt)
            if not ruling.writes:
                return ruling.answer
            local.begin_work()
            vote = self._voted(local, branch, payload)
            if vote.kind is VoteKind.LATER:
                raise DatabaseError(vote.message)  # rolled back, not recorded, and asked again
            if vote.kind is VoteKind.NO:
                local.undo_work()
            else:
                local.keep_work()
            written = record_vote(branch, payload, vote, self._clock())
            local.update(key, written)
            local.commit()
            return judge(Call.PREPARE, written, branch.attempt).answer  # what every duplicate will hear

    def _voted(self, local: LocalTransaction, branch: Branch, payload: bytes) -> Vote:
        limits = self.limits
        if len(payload) > limits.payload_bytes:
            message = f"the payload has {len(payload)} bytes, above the limit of {limits.payload_bytes}"
            return Vote.no("PAYLOAD_TOO_LARGE", message)
        try:
            vote = self._participant.prepare(branch, local.connection, payload)
        except Exception as error:  # noqa: BLE001 - whatever the service raises is a no
            return Vote.no("EXCEPTION", str(error) or type(error).__name__)
        if not isinstance(vote, Vote):
            kind = type(vote).__name__
            message = f"the service's prepare returned {kind} instead of Vote.yes(), .no(), .later() or .read_only()"
            return Vote.no("EXCEPTION", message)
        if vote.kind in (VoteKind.YES, VoteKind.READ_ONLY) and len(vote.result) > limits.result_bytes:
            message = f"the result has {len(vote.result)} bytes, above the limit of {limits.result_bytes}"
            return Vote.no("RESULT_TOO_LARGE", message)
        return vote

    # ---- commit and abort ----

    def end(self, call: Call, branch: Branch, participant: str = "") -> Answer:
        """Commit or abort."""
        assert call is not Call.PREPARE, "prepare() is for that"
        answer = self._carried_out(
            call, branch, participant, lambda local: self._repeated(lambda: self._try_end(local, call, branch))
        )
        if answer.code not in (Code.INVALID, Code.BUSY, Code.RUNNING):
            self._forget_now_and_then()
        return answer

    def _try_end(self, local: LocalTransaction, call: Call, branch: Branch) -> Answer:
        key = BranchKey(branch.txn_id, branch.name)
        with _rolled_back(local):
            local.begin(True)
            found = local.load(key)
            if found is None:
                return self._end_unseen(local, call, branch, key)
            ruling = judge(call, found, branch.attempt)
            if not ruling.writes:
                return ruling.answer
            # The row is written before the work runs: work that ends the local transaction by itself must not run
            # twice.
            local.update(key, record_end(found, call, self._clock()))
            local.begin_work()
            try:
                act = self._participant.commit if call is Call.COMMIT else self._participant.abort
                act(branch, local.connection, found.payload)
            except Exception as error:  # noqa: BLE001 - whatever the service raises: the call comes again
                raise DatabaseError(f"the service could not: {str(error) or type(error).__name__}") from error
            local.keep_work()
            local.commit()
            return ruling.answer

    def _end_unseen(self, local: LocalTransaction, call: Call, branch: Branch, key: BranchKey) -> Answer:
        if call is Call.ABORT and not local.insert(key, record_abort(branch, self._clock())):
            raise TakenBackError("somebody else wrote the register first")
        ruling = judge(call, _empty(local.forgotten_through(), branch.txn_id), branch.attempt)
        if ruling.writes:
            local.commit()
        return ruling.answer

    # ---- looking ----

    def status(self, key: BranchKey, participant: str = "") -> Register:
        """What the register holds: empty, running and forgotten included. InvalidError: the names are not valid, or
        another's; DatabaseError."""
        wrong = self._check(Branch(key.txn_id, key.name, _NO_ATTEMPT), participant)
        if wrong:
            raise InvalidError(wrong.message, reason=wrong.reason)
        with self._lock:
            if key in self._running:
                return Register(State.RUNNING)
        with self._taken() as local, _rolled_back(local):
            local.begin(False)
            found = local.load(key)
            return found or _empty(local.forgotten_through(), key.txn_id)

    def in_doubt(self, at_least: float, at_most: int) -> list[InDoubt]:
        """For at least so many seconds, oldest first."""
        with self._taken() as local:
            return local.in_doubt(max(0, self._clock() - int(at_least * 1000)), at_most)

    def forget_some(self) -> int:
        """Forgets a few branches that ended longer than the retention ago. Called now and then by the others as
        well."""
        with self._taken() as local:
            return local.forget(max(0, self._clock() - self._retention_millis), _FORGETS_MAX)

    def _forget_now_and_then(self) -> None:
        with self._lock:
            self._ended += 1
            if self._ended % _ENDS_BETWEEN_FORGETS != 0:
                return
        with contextlib.suppress(DatabaseError):  # what could not be forgotten now is so the next time
            self.forget_some()

    # ---- around every call ----

    def _carried_out(
        self, call: Call, branch: Branch, participant: str, act: Callable[[LocalTransaction], Answer]
    ) -> Answer:
        wrong = self._check(branch, participant)
        if wrong:
            return wrong
        refusal = self._enter(call, branch)
        if refusal:
            return refusal
        try:
            with self._taken() as local:
                return act(local)
        except AssentError as error:
            return Answer(Code.UNKNOWN, "UNAVAILABLE", tidy_text(error.message, MESSAGE_BYTES_MAX))
        finally:
            self._leave(call, branch)

    @staticmethod
    def _repeated(act: Callable[[], Answer]) -> Answer:
        for _ in range(_TRIES_MAX):
            with contextlib.suppress(TakenBackError):
                return act()
        return Answer(Code.RUNNING, "STILL_RUNNING", "the branch is being written elsewhere; ask again")

    @contextlib.contextmanager
    def _taken(self) -> Iterator[LocalTransaction]:
        local = self._barrier.take()
        try:
            yield local
        finally:
            local.give_back()

    def _check(self, branch: Branch, participant: str) -> Optional[Answer]:
        """None when the call may go on."""
        wrong: Union[str, None] = None
        if not is_txn_id(branch.txn_id):
            wrong = "txn_id must be 32 lower-case hex digits, and not all zeros"
        elif not branch.name or not valid_name(branch.name):
            wrong = f"branch must be 1 to {NAME_BYTES_MAX} bytes of text without control characters"
        elif not valid_name(branch.coordinator):
            wrong = f"coordinator must be up to {NAME_BYTES_MAX} bytes of text without control characters"
        if wrong:
            return Answer(Code.INVALID, "INVALID_ARGUMENT", wrong)
        if participant and self.name and participant != self.name:
            other = tidy_text(participant, NAME_BYTES_MAX)
            message = f"this is the participant {self.name}, not {other}: is the address right?"
            return Answer(Code.INVALID, "WRONG_PARTICIPANT", message)
        return None

    def _enter(self, call: Call, branch: Branch) -> Optional[Answer]:
        """A place among the running calls; an answer when there is none."""
        kind = Call.PREPARE if call is Call.PREPARE else Call.COMMIT
        key = BranchKey(branch.txn_id, branch.name)
        with self._lock:
            if self._calls[kind] >= self.limits.prepares:
                return Answer(Code.BUSY, "OVERLOADED", "too many calls at once; ask again later")
            if key in self._running:
                return judge(call, Register(State.RUNNING), branch.attempt).answer
            self._running.add(key)
            self._calls[kind] += 1
        return None

    def _leave(self, call: Call, branch: Branch) -> None:
        with self._lock:
            self._running.discard(BranchKey(branch.txn_id, branch.name))
            self._calls[Call.PREPARE if call is Call.PREPARE else Call.COMMIT] -= 1


def _empty(forgotten_through: int, txn_id: str) -> Register:
    return Register(State.FORGOTTEN if created_millis(txn_id) <= forgotten_through else State.EMPTY)


@contextlib.contextmanager
def _rolled_back(local: LocalTransaction) -> Iterator[None]:
    """Whatever was not committed."""
    try:
        yield
    finally:
        local.rollback()
