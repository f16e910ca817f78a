"""One attempt of an interactive transaction: what a function given to run() reads, and what it wants done.

Writes stay in the client until the function returns. A read at a shard sees those made at it before: the shard runs
them, then the read, and takes everything back. At the end all is sent as one transaction, in which every read must
answer again what it answered here: the shards hold that under the transaction's locks, and otherwise nothing happens
and the function runs once more. So what commits is strictly serializable.

Before, reads of different moments may not fit together. The function must do nothing that cannot be done again, but
through the transaction. When it gives up (tx.abort, an exception), run() believes it only if all that it read is still
so, and otherwise runs it again.

What is read with random() or the clock in it never answers the same again and never commits; write it instead. Used by
one thread or task at a time, inside the function only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from . import operations
from .courier import Courier
from .errors import AssentError, GaveUpError, InvalidError
from .propagation import OutgoingTransaction
from .steps import Steps
from .work import Operation, Payload, Rows, ServiceCall, Transaction, Value
from .work import add, erase, expect, get, key_value, put, sql, to_bytes


@dataclass
class _Shard:
    """What is done at one shard."""

    work: list[Operation] = field(default_factory=list)  # in order; reads with what was answered
    before: list[Operation] = field(default_factory=list)  # of that, what later reads depend on: the writes
    since: Optional[int] = None  # the index of the earliest read
    seen: int = 0  # of the work, up to the last read


class Attempt:
    """The state of one attempt, without a connection; Tx and aio.Tx are its faces."""

    def __init__(self, courier: Courier, txn_id: str, coordinator: str, deadline: float):
        self.id = txn_id
        self.writes = False  # else there are reads alone
        self.failure: Optional[AssentError] = None  # of a read
        self.shards: dict[str, _Shard] = {}
        self.services: list[ServiceCall] = []
        self.outgoing = OutgoingTransaction(txn_id, coordinator)
        self._courier = courier
        self._deadline = deadline

    def write(self, shard: str, operation: Operation) -> None:
        self.writes = True
        here = self.shards.setdefault(shard, _Shard())
        here.before.append(operation)
        here.work.append(operation)

    def read(self, shard: str, operation: Operation) -> Steps[Rows]:
        """Sent with the writes before it, and nothing else: earlier reads change nothing."""
        if self.failure:
            raise self.failure
        here = self.shards.setdefault(shard, _Shard())
        try:
            answer = yield from operations.rehearse(self._courier, shard, [*here.before, operation], self._deadline)
        except AssentError as error:
            self.failure = error
            raise
        rows = answer.results[-1]
        kept = Operation()
        kept.CopyFrom(operation)
        getattr(kept, kept.WhichOneof("kind")).expected = answer.digests[-1]
        if kept.WhichOneof("kind") == "sql" and rows.rows_affected > 0:
            self.writes = True
            here.before.append(kept)
        here.work.append(kept)
        here.since = answer.index if here.since is None else min(here.since, answer.index)
        here.seen = len(here.work)
        return rows

    def call(self, service: ServiceCall) -> None:
        self.writes = True
        if any(one.name == service.name for one in self.services):
            raise InvalidError(f"the transaction has a branch {service.name!r} already; give each a name of its own")
        self.services.append(service)

    def all_services(self) -> list[ServiceCall]:
        """Those that were called here, and those that joined by answering a call (collect())."""
        joined = self.outgoing.enlistments
        return [*self.services, *(ServiceCall(one.branch, one.address, one.payload, one.participant) for one in joined)]

    def nothing_but_one_read(self) -> bool:
        return not self.writes and sum(len(one.work) for one in self.shards.values()) == 1

    def transaction(self, first_id: str, protocol: str) -> Transaction:
        branches = {name: here.work for name, here in self.shards.items() if here.work}
        return Transaction(self.id, first_id, protocol, branches=branches, services=self.all_services())

    def still_true(self) -> Steps[bool]:
        """Is all that was read still so?"""
        for name, here in self.shards.items():
            if here.since is None:
                continue  # nothing was read there
            seen = here.work[: here.seen]
            held = yield from operations.unchanged(
                self._courier, name, seen, here.since, self.writes, self._deadline
            )
            if not held:
                return False
        return True


class Writes:
    """What a transaction does without asking anybody: the part that Tx and aio.Tx have in common."""

    def __init__(self, attempt: Attempt, drive: Callable[[Steps[Any]], Any]):
        self._attempt = attempt
        self._drive = drive

    @property
    def id(self) -> str:
        """Of this attempt."""
        return self._attempt.id

    def execute(self, shard: str, text: str, *parameters: Value) -> None:
        self._attempt.write(shard, sql(text, *parameters))

    def put(self, shard: str, key: str, value: Payload) -> None:
        self._attempt.write(shard, put(key, value))

    def erase(self, shard: str, key: str) -> None:
        self._attempt.write(shard, erase(key))

    def expect(self, shard: str, key: str, value: Optional[Payload]) -> None:
        """The transaction aborts (constraint) unless the key has the value; None: unless it is absent."""
        self._attempt.write(shard, expect(key, value))

    def add(
        self,
        shard: str,
        key: str,
        delta: int,
        *,
        floor: Optional[int] = None,
        ceiling: Optional[int] = None,
        escrow: bool = False,
    ) -> None:
        """Adds to a number; with escrow any number of transactions may add to the key at once."""
        self._attempt.write(shard, add(key, delta, floor=floor, ceiling=ceiling, escrow=escrow))

    def call(self, name: str, target: str, payload: Payload, participant: str = "") -> None:
        """A service takes part: at host:port, as the cluster's nodes reach it, with its own work as payload."""
        self._attempt.call(ServiceCall(name, target, to_bytes(payload), participant))

    def metadata(self) -> list[tuple[str, str]]:
        """To append to the metadata of one call to a service, which then may join the transaction. Anew for each call:

        response, call = stub.Credit.with_call(request, metadata=[*mine, *tx.metadata()])
        tx.collect(call)
        """
        return self._attempt.outgoing.metadata()

    def abort(self, why: str) -> None:
        """Nothing of this is to happen. Raises, out of the function."""
        raise GaveUpError(why)

    def _collect(self, trailing_metadata: Any) -> int:
        count = self._attempt.outgoing.collect(trailing_metadata)
        self._attempt.writes = self._attempt.writes or count > 0
        return count


class Tx(Writes):
    def get(self, shard: str, key: str) -> Optional[bytes]:
        """The value of the key; None when it is absent."""
        return key_value(self._drive(self._attempt.read(shard, get(key))))

    def query(self, shard: str, text: str, *parameters: Value) -> Rows:
        """The rows of a SELECT, or of a statement that writes and returns rows."""
        return self._drive(self._attempt.read(shard, sql(text, *parameters)))

    def collect(self, call: Any) -> int:
        """Takes in who wants to take part, from a finished gRPC call. How many there were."""
        return self._collect(call.trailing_metadata())
