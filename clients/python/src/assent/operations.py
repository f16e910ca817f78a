"""What a client can do: the rules of what is sent again, what is asked, and what is told.

They rest on this: a transaction id is attempted once, and its outcome never changes. So:
  * Sending the same id again is always safe: it joins the running attempt, or returns the outcome, or, when nothing of
    the first sending survived, begins. Whatever is lost on the way is sent again until the deadline.
  * An answer that is not definite is followed by a question that the leader may hold back until there is a decision.
  * After a request that may have arrived no error is proof that it did not happen: the caller then gets an outcome that
    is not definite, with the way to ask, and never an error.

Functions are generators (steps.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Sequence

from .courier import Courier
from .errors import AssentError, InternalError, InvalidError, RefusedError, TimedOutError
from .ids import is_txn_id, new_txn_id
from .judge import Verdict, error_of
from .outcome import Outcome, outcome_of
from .steps import Backoff, Pause, Steps, left
from .v1 import assent_pb2 as pb
from .work import Operation, Rows, Transaction

_HELD_BACK_MAX = 1.5  # s that a question may be held back: short enough that a leader that died is noticed
_READ_ROUNDS_MAX = 3  # of a read of several shards, before it locks


@dataclass(frozen=True)
class Read:
    results: tuple[Rows, ...]
    index: int  # the log index that it reflects
    digests: tuple[int, ...] = ()  # of a rehearsal, one for each result
    age_max: Optional[float] = None  # of a stale read, in seconds: what was told longer ago shows in it


def worth_a_new_attempt(outcome: Outcome) -> bool:
    """An abort that a new attempt under a new id may escape."""
    return outcome.aborted and outcome.reason in ("conflict", "superseded", "presumed")


# ---- executing ----


def execute(courier: Courier, transaction: Transaction, deadline: float) -> Steps[Outcome]:
    """Raises only when the transaction was certainly not begun."""
    transaction.check()
    if transaction.id and not is_txn_id(transaction.id):
        raise InvalidError(f"{transaction.id!r} is no transaction id: 32 lower-case hex digits, as of new_txn_id()")
    transaction.id = transaction.id or new_txn_id()
    if transaction.one_phase():
        group = next(iter(transaction.branches))
    else:
        group = yield from courier.find_coordinator(deadline)
    settling = _Settling(courier, transaction.id, group, deadline)
    return (yield from settling.settle(transaction.request(left(deadline))))


class _Settling:
    """One transaction on its way."""

    def __init__(self, courier: Courier, txn_id: str, group: str, deadline: float):
        self._courier = courier
        self._id = txn_id
        self._group = group
        self._deadline = deadline
        self._may_have_arrived = False

    def settle(self, request: pb.ExecuteRequest) -> Steps[Outcome]:
        pace = self._courier.pace(self._deadline)
        while True:
            try:
                delivery = yield from self._courier.deliver(
                    self._group, "Coordinator", "Execute", request, pace.attempt_deadline(), self._deadline
                )
            except AssentError as error:
                return self._give_up(error)
            verdict = delivery.judgement.verdict
            if verdict is Verdict.ANSWERED:
                outcome = yield from self._follow(outcome_of(delivery.message))
                if outcome.definite or outcome.state == "expired":
                    return self._finish(outcome)
            elif verdict in (Verdict.INVALID, Verdict.NOT_FOUND, Verdict.REFUSED):
                return self._give_up(error_of(delivery.judgement))
            elif verdict is Verdict.LOST:
                self._may_have_arrived = True
            last = self._courier.time_is_up(delivery)
            yield pace.pause(delivery.follow_now)
            if self._courier.closed or pace.over():
                return self._give_up(last)

    def _follow(self, outcome: Outcome) -> Steps[Outcome]:
        """Asks after what the leader could not tell yet."""
        if outcome.definite:
            return outcome
        self._may_have_arrived = True
        try:
            told = yield from _ask_group(
                self._courier, self._id, self._group, False, left(self._deadline), self._deadline
            )
        except AssentError:
            return outcome
        return told.but(note="the service no longer keeps what came of it") if told.state == "expired" else told

    def _finish(self, outcome: Outcome) -> Outcome:
        return outcome.but(id=self._id, ask=self._group, was_in_question=self._may_have_arrived)

    def _give_up(self, error: AssentError) -> Outcome:
        if not self._may_have_arrived:
            raise error
        note = (
            f"the transaction was sent, but what came of it could not be learned in time ({error.message}); it may "
            f"have committed. Find out with client.wait(outcome), or assentctl txn get {self._id} --wait 10s "
            "(client.seal, --seal: and it can never commit after the answer, unless it has)"
        )
        return self._finish(Outcome(self._id, note=note))


def run_with_retry(
    courier: Courier, build: Callable[[str], Transaction], attempts_max: int, deadline: float
) -> Steps[Outcome]:
    """Runs it under a new id each time it aborts for a reason that a new attempt may escape, with the age of the
    first."""
    backoff = Backoff(0.001, 0.100)
    earlier: list[str] = []
    while True:
        txn_id = new_txn_id()
        transaction = build(txn_id)
        transaction.id = txn_id
        transaction.first_id = earlier[0] if earlier else txn_id
        outcome = yield from execute(courier, transaction, deadline)
        over = len(earlier) + 1 >= attempts_max or left(deadline) == 0 or courier.closed
        if over or not worth_a_new_attempt(outcome):
            return outcome.but(earlier=tuple(earlier))
        earlier.append(txn_id)
        yield Pause(backoff.next())


# ---- asking ----


def get_outcome(
    courier: Courier, txn_id: str, group: str, seal: bool, wait: float, deadline: float
) -> Steps[Outcome]:
    """Raises when nobody could be asked.

    Who does not know where a transaction belongs asks the coordinator first and then every shard, and the order matters
    when sealing. "Unknown" from the coordinator proves nothing: it may have been one-phase on a shard, or never begun.
    A seal there would write "aborted" about a one-phase transaction that a shard has committed. So shards are sealed
    first; after that none can vote yes any more, and when one turns out to be prepared, the coordinator has the last
    word.
    """
    if not is_txn_id(txn_id):
        raise InvalidError(f"{txn_id!r} is no transaction id: it has 32 lower-case hex digits")
    if group:
        return (yield from _ask_group(courier, txn_id, group, seal, wait, deadline))
    half = time.monotonic() + left(deadline) / 2  # a coordinator that is away leaves time to ask the shards
    coordinator = yield from courier.find_coordinator(half)
    told: Optional[Outcome] = None
    trouble: Optional[AssentError] = None
    try:
        told = yield from _ask_group(courier, txn_id, coordinator, False, 0, half)
    except AssentError as error:
        trouble = error
    if told and told.definite:
        return told
    prepared: Optional[Outcome] = None
    if not told or not _undecided(told):
        found = yield from _search_shards(courier, txn_id, seal, told, trouble, deadline)
        if not _undecided(found):
            return found
        prepared = found
    told = yield from _ask_group(courier, txn_id, coordinator, seal, wait, deadline)
    if prepared and not told.definite and not _undecided(told):
        return prepared.but(note="a shard is prepared and its coordinator has not told it the outcome yet")
    return told


def _undecided(outcome: Outcome) -> bool:
    return outcome.state in ("running", "prepared")


def _ask_group(
    courier: Courier, txn_id: str, group: str, seal: bool, wait: float, deadline: float
) -> Steps[Outcome]:
    """One question to one group's leader; wait: how long the leader may hold the answer back."""
    until = min(time.monotonic() + wait, deadline)
    request = pb.GetOutcomeRequest(txn_id=txn_id, seal=seal, group=group)
    while True:
        request.wait_millis = int(min(left(until), _HELD_BACK_MAX) * 1000)
        message = yield from courier.ask(group, "Coordinator", "GetOutcome", request, deadline)
        outcome = outcome_of(message).but(id=txn_id, ask=group)
        if not _undecided(outcome) or left(until) == 0 or courier.closed:
            return outcome
        yield Pause(0.020)  # the leader may answer at once that it does not know yet


def _search_shards(
    courier: Courier,
    txn_id: str,
    seal: bool,
    coordinator: Optional[Outcome],
    trouble: Optional[AssentError],
    deadline: float,
) -> Steps[Outcome]:
    """The coordinator's answer, if there is one, is neither definite nor a sign that it runs there."""
    found: Optional[Outcome] = None
    unasked: Optional[AssentError] = None
    try:
        found = yield from _ask_shards(courier, txn_id, False, deadline)
    except AssentError as error:
        unasked = error
    if found and (found.definite or _undecided(found)):
        return found
    # Without the coordinator's word an outcome that the shards have long forgotten would be overlooked.
    if trouble:
        raise trouble
    if coordinator and coordinator.state == "expired":
        return coordinator
    if unasked:
        raise unasked
    if seal:
        found = yield from _ask_shards(courier, txn_id, True, deadline)
    return found  # type: ignore[return-value]


def _ask_shards(courier: Courier, txn_id: str, seal: bool, deadline: float) -> Steps[Outcome]:
    """Raises when a shard could not be asked and the others do not settle it: it may be the one that knows."""
    shards = courier.directory.named("shard")
    trouble: Optional[AssentError] = None
    expired = False
    refused = 0
    for shard in shards:
        try:
            told = yield from _ask_group(courier, txn_id, shard, seal, 0, deadline)
        except AssentError as error:
            trouble = error
            continue
        if told.committed or _undecided(told):
            return told
        if told.aborted:
            refused += 1
            # A no that a shard found proves an abort at once; one that this very seal wrote only once all have it.
            if not seal or told.reason != "sealed":
                return told
        expired = expired or told.state == "expired"
    if trouble:
        raise trouble
    if seal and shards and refused == len(shards):
        message = "no group knew it; it is sealed on every shard now and can never commit"
        return Outcome(txn_id, "aborted", reason="sealed", message=message)
    if expired:
        return Outcome(txn_id, "expired", note="it is older than the history that is kept")
    note = (
        "no group knows it: it was never begun, or its request has not arrived yet; client.seal makes sure that it "
        "never will"
    )
    return Outcome(txn_id, note=note)


# ---- reading ----


def query(courier: Courier, shard: str, operations: Sequence[Operation], deadline: float) -> Steps[Read]:
    if not operations:
        raise InvalidError("the query is empty")
    request = pb.QueryRequest(shard=shard, operations=operations)
    return _read_of((yield from courier.ask(shard, "Shard", "Query", request, deadline)))


def query_stale(
    courier: Courier, shard: str, operations: Sequence[Operation], max_staleness: float, deadline: float
) -> Steps[Read]:
    """Of any replica that can prove that all that was told to be committed longer ago shows in what it holds."""
    if not operations:
        raise InvalidError("the query is empty")
    if max_staleness < 0.001:
        raise InvalidError("a stale read needs a bound of 1 ms or more")
    request = pb.QueryRequest(shard=shard, operations=operations, max_staleness_millis=int(max_staleness * 1000))
    return _read_of((yield from courier.ask_any_replica(shard, "Shard", "Query", request, deadline)))


def rehearse(courier: Courier, shard: str, operations: Sequence[Operation], deadline: float) -> Steps[Read]:
    """Runs work that may write, and takes it back."""
    request = pb.QueryRequest(shard=shard, operations=operations, rehearse=True)
    read = _read_of((yield from courier.ask(shard, "Shard", "Query", request, deadline)))
    if not read.results or len(read.results) != len(read.digests):
        raise InternalError(f"{shard} answered a rehearsal with results of a wrong shape")
    return read


def unchanged(
    courier: Courier, shard: str, operations: Sequence[Operation], since: int, writes: bool, deadline: float
) -> Steps[bool]:
    """Whether what the work reads there has not changed since that index, and nobody is about to change it."""
    request = pb.QueryRequest(shard=shard, operations=operations, rehearse=writes, unchanged_since=since)
    try:
        message = yield from courier.ask(shard, "Shard", "Query", request, deadline)
    except (RefusedError, InvalidError):
        return False  # what it expected is not what it finds, or cannot be run any more: it has changed
    return not message.changed


def read(
    courier: Courier, work: Mapping[str, Sequence[Operation]], deadline: float
) -> Steps[dict[str, tuple[Rows, ...]]]:
    """Several shards as they were at one instant: all are read, then all are asked whether anything of it has changed
    or is about to. When none says so, everything held at the moment between. After rounds in vain it locks."""
    if not work:
        raise InvalidError("nothing is to be read")
    for _ in range(_READ_ROUNDS_MAX):
        reads = {}
        for shard, operations in work.items():
            reads[shard] = yield from query(courier, shard, operations, deadline)
        held = True
        for shard, operations in work.items() if len(work) > 1 else ():
            held = held and (yield from unchanged(courier, shard, operations, reads[shard].index, False, deadline))
        if held:
            return {shard: one.results for shard, one in reads.items()}
    return (yield from _read_with_locks(courier, work, deadline))


def _read_with_locks(
    courier: Courier, work: Mapping[str, Sequence[Operation]], deadline: float
) -> Steps[dict[str, tuple[Rows, ...]]]:
    def build(_: str) -> Transaction:
        transaction = Transaction()
        for shard, operations in work.items():
            transaction.on(shard, *operations)
        return transaction

    # The results of a commit may be lost on the way and are not kept: then it is read once more.
    while left(deadline) > 0:
        outcome = yield from run_with_retry(courier, build, 64, deadline)
        if outcome.aborted:
            raise RefusedError(outcome.message, reason=outcome.reason)
        if outcome.unknown:
            break
        if len(outcome.results) == len(work):
            return outcome.results
    raise TimedOutError("the shards could not be read at one instant in time; read again")


def _read_of(message: pb.QueryResponse) -> Read:
    age = message.age_millis_max / 1000 if message.HasField("age_millis_max") else None
    return Read(tuple(Rows.of(one) for one in message.results), message.index, tuple(message.digests), age)
