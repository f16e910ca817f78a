"""The register of a branch, and the rules of participant.proto as pure functions: what a call that finds a register is
answered, whether it writes, and what the register becomes.

No I/O, clock or lock: branches.py does what is ruled here, in the service's own database. Invariants:
  * the first of {Prepare, Abort} that finds a register empty fills it; no later call changes that it was the first;
  * a yes ends at most once, and only by a call of its own attempt;
  * a call that is not ruled to write leaves the register as it was, and is answered the same each time.

           Prepare: yes                 Commit of its attempt
  empty ----------------> prepared ------------------------------> committed
    |  \\                      \\------------------------------> aborted
    |   \\ Prepare: read only           Abort of its attempt       ^
    |    \\--------------> read_only                               |
    |  Prepare: no                                                |
    |-------------------> refused          Abort                  |
    \\-------------------------------------------------------------/

  running, and forgotten, are never written: a call is at it; or no row, and an id that is too old for one.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

from ..names import MESSAGE_BYTES_MAX, REFUSAL_BYTES_MAX, tidy_text


class Attempt(NamedTuple):
    """One run of a transaction by one leader of its coordinator group. Only equality means something."""

    epoch: int
    number: int


@dataclass(frozen=True)
class Branch:
    """A service's part in a transaction. txn_id and name together are unique, for ever."""

    txn_id: str
    name: str
    attempt: Attempt
    coordinator: str = ""  # the group that decides
    time_left: float = 0.0  # of a Prepare, in s: a later yes is not counted. 0: not told


class VoteKind(enum.Enum):
    YES = "yes"
    READ_ONLY = "read_only"
    NO = "no"
    LATER = "later"


@dataclass(frozen=True)
class Vote:
    """The answer to a Prepare. A yes is a promise: whatever happens, the commit will not fail for want of anything."""

    kind: VoteKind
    result: bytes = b""  # of a yes or read only: for whoever runs the transaction
    refusal: str = ""  # of a no: a word for programs, as INSUFFICIENT_FUNDS
    message: str = ""  # of a no, and of later: a sentence for people

    @staticmethod
    def yes(result: bytes = b"") -> Vote:
        return Vote(VoteKind.YES, bytes(result))

    @staticmethod
    def read_only(result: bytes = b"") -> Vote:
        """Nothing is to be committed or undone, nothing is held. Only when what was read cannot come to matter by what
        others do until the transaction ends; say yes when in doubt."""
        return Vote(VoteKind.READ_ONLY, bytes(result))

    @staticmethod
    def later(message: str) -> Vote:
        """No vote yet: what was done is rolled back, nothing is recorded, and the call comes again. For what is in the
        way for a while, and for retriable steps of a saga, which must not say no: a no is for good."""
        return Vote(VoteKind.LATER, message=message)

    @staticmethod
    def no(refusal: str, message: str) -> Vote:
        return Vote(VoteKind.NO, refusal=refusal, message=message)


class State(enum.Enum):
    EMPTY = "empty"
    RUNNING = "running"
    PREPARED = "prepared"
    READ_ONLY = "read_only"
    COMMITTED = "committed"
    ABORTED = "aborted"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"


WRITTEN = frozenset(State) - {State.EMPTY, State.RUNNING, State.FORGOTTEN}


@dataclass(frozen=True)
class Register:
    state: State = State.EMPTY
    attempt: Optional[Attempt] = None  # of a yes or a read only, ended or not
    coordinator: str = ""
    refusal: str = ""  # of a no
    message: str = ""
    result: bytes = b""
    payload: bytes = b""  # while prepared: the commit or abort gets it again
    changed_at: int = 0  # milliseconds since 1970, by the service's clock


class Code(enum.Enum):
    OK = "ok"
    ABORTED = "aborted"  # definite: not done, and never will be
    NOT_FOUND = "not_found"  # Commit of what is not there
    RUNNING = "running"  # ask again
    INVALID = "invalid"  # the request breaks the limits; nothing was touched
    BUSY = "busy"  # too many at once; nothing was touched
    UNKNOWN = "unknown"  # it may or may not have happened: ask again


@dataclass(frozen=True)
class Answer:
    code: Code
    reason: str = ""  # VOTE_NO, ...: docs/SERVICES.md
    message: str = ""  # what happened and what next, when it is not ok
    recorded: Optional[Attempt] = None  # what a Prepare or the reason OTHER_ATTEMPT tells
    read_only: bool = False  # of a Prepare that is ok
    result: bytes = b""  # of a Prepare that is ok
    refusal: str = ""  # with VOTE_NO

    @property
    def ok(self) -> bool:
        return self.code is Code.OK


class Call(enum.Enum):
    PREPARE = "prepare"
    COMMIT = "commit"
    ABORT = "abort"


@dataclass(frozen=True)
class Ruling:
    """When it writes, the answer holds once what it does is recorded; that of a Prepare that writes is for its work to
    find, and empty here."""

    writes: bool
    answer: Answer


_WRITE = Ruling(True, Answer(Code.OK))


def judge(call: Call, found: Register, attempt: Attempt) -> Ruling:
    if found.state is State.EMPTY:
        return _judge_empty(call)
    if found.state is State.FORGOTTEN:
        return _say(*_FORGOTTEN[call])
    if found.state is State.RUNNING:
        return _say(Code.RUNNING, "STILL_RUNNING", "a call for the branch is running; ask again")
    if found.state in (State.ABORTED, State.REFUSED):
        return _judge_dead(call, found)
    return _judge_live(call, found, attempt)


def _say(code: Code, reason: str = "", message: str = "") -> Ruling:
    return Ruling(False, Answer(code, reason, message))


def _judge_empty(call: Call) -> Ruling:
    if call is not Call.COMMIT:
        return _WRITE
    return _say(
        Code.NOT_FOUND,
        "NEVER_PREPARED",
        "the branch was never prepared here: is this the right service, and the database that it prepared in?",
    )


_FORGOTTEN = {
    Call.PREPARE: (
        Code.ABORTED,
        "TXN_TOO_OLD",
        "the transaction is older than what is remembered here, and is not prepared any more",
    ),
    Call.COMMIT: (
        Code.NOT_FOUND,
        "BRANCH_FORGOTTEN",
        "the branch is not known any more; had it been prepared and not ended, it would be",
    ),
    Call.ABORT: (Code.OK,),
}


def _judge_live(call: Call, found: Register, attempt: Attempt) -> Ruling:
    """It holds a yes or a read only, ended by a commit or not ended."""
    if call is Call.PREPARE:
        read_only = found.state is State.READ_ONLY
        return Ruling(False, Answer(Code.OK, recorded=found.attempt, read_only=read_only, result=found.result))
    if found.attempt != attempt:
        recorded = found.attempt or Attempt(0, 0)
        message = (
            f"the branch is recorded for attempt {recorded.epoch}.{recorded.number}, not for "
            f"{attempt.epoch}.{attempt.number}; nothing was changed"
        )
        return Ruling(False, Answer(Code.ABORTED, "OTHER_ATTEMPT", message, recorded=found.attempt))
    if found.state is State.PREPARED:
        return _WRITE
    if found.state is State.READ_ONLY or call is Call.COMMIT:
        return _say(Code.OK)
    return _say(
        Code.ABORTED,
        "ABORT_AFTER_COMMIT",
        "the branch is committed and cannot be aborted any more: whoever decided has changed its mind",
    )


def _judge_dead(call: Call, found: Register) -> Ruling:
    """It holds a no, or was aborted."""
    refused = found.state is State.REFUSED
    if call is Call.ABORT:
        return _say(Code.OK)
    if call is Call.COMMIT:
        message = "the branch voted no and cannot be committed" if refused else "the branch is aborted for good"
        return _say(Code.ABORTED, "COMMIT_AFTER_ABORT", message)
    if refused:
        return Ruling(False, Answer(Code.ABORTED, "VOTE_NO", found.message, refusal=found.refusal))
    return _say(Code.ABORTED, "BRANCH_ABORTED", "the branch was aborted, before this prepare or after one")


# ---- what the writing calls record ----


def record_vote(branch: Branch, payload: bytes, vote: Vote, now: int) -> Register:
    if vote.kind is VoteKind.NO:
        return Register(
            State.REFUSED,
            coordinator=branch.coordinator,
            refusal=tidy_text(vote.refusal, REFUSAL_BYTES_MAX),
            message=tidy_text(vote.message, MESSAGE_BYTES_MAX),
            changed_at=now,
        )
    yes = vote.kind is VoteKind.YES
    return Register(
        State.PREPARED if yes else State.READ_ONLY,
        attempt=branch.attempt,
        coordinator=branch.coordinator,
        result=vote.result,
        payload=payload if yes else b"",
        changed_at=now,
    )


def record_abort(branch: Branch, now: int) -> Register:
    """On an empty one."""
    return Register(State.ABORTED, coordinator=branch.coordinator, changed_at=now)


def record_end(prepared: Register, call: Call, now: int) -> Register:
    """Commit or abort, of a yes."""
    assert prepared.state is State.PREPARED and call is not Call.PREPARE, "only a yes ends, and only once"
    if call is Call.COMMIT:
        return replace(prepared, state=State.COMMITTED, payload=b"", changed_at=now)
    return replace(prepared, state=State.ABORTED, payload=b"", result=b"", changed_at=now)
