"""What is known of a transaction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .errors import AbortedError, UnknownOutcomeError
from .v1 import assent_pb2 as pb
from .work import PROTOCOLS, Rows

_STATES = {
    pb.RUNNING: "running",
    pb.PREPARED: "prepared",
    pb.COMMITTED: "committed",
    pb.ABORTED: "aborted",
    pb.EXPIRED: "expired",
}
# The field is younger than the API.
_MODE_NAMES = {pb.TCC: "tcc", pb.SAGA: "saga", pb.CONCURRENT_SAGA: "concurrent-saga"}
ATTEMPT_IS_TOLD = "attempt" in pb.Transaction.DESCRIPTOR.fields_by_name
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}


@dataclass(frozen=True)
class Outcome:
    """Committed and aborted are for ever. Anything else is unknown: ask again (client.wait, client.seal), never
    guess."""

    id: str
    state: str = "unknown"  # committed, aborted; or not definite: unknown, running, prepared, expired
    protocol: str = "auto"
    reason: str = ""  # with aborted: conflict, constraint, ...; docs/API.md lists them
    message: str = ""
    participant: str = ""  # the shard or service that said no
    constraint: str = ""
    holder: str = ""  # the transaction that holds the lock, with conflict
    results: dict[str, tuple[Rows, ...]] = field(default_factory=dict)  # of a commit, unless it was learned later
    participants: tuple[str, ...] = ()
    decided_at_millis: int = 0
    answered_by: str = ""
    ask: str = ""  # the group to ask later
    mode: str = "atomic"  # to its services, when known
    attempt: Optional[tuple[int, int]] = None  # of the committed content, where the group told it
    was_in_question: bool = False  # an answer was lost on the way, and the outcome was learned by asking again
    earlier: tuple[str, ...] = ()  # attempts of run() that aborted before this one
    repeated: bool = False  # run() found that an earlier run of the same request_id had committed
    value: Any = None  # what the function given to run() returned
    note: str = ""  # when not definite: what happened, and how to find out

    @property
    def committed(self) -> bool:
        return self.state == "committed"

    @property
    def aborted(self) -> bool:
        return self.state == "aborted"

    @property
    def unknown(self) -> bool:
        return not self.committed and not self.aborted

    @property
    def definite(self) -> bool:
        return not self.unknown

    def require(self) -> Outcome:
        """Itself when committed; otherwise raises AbortedError or UnknownOutcomeError."""
        if self.committed:
            return self
        raise AbortedError(self) if self.aborted else UnknownOutcomeError(self)

    def of(self, shard: str) -> tuple[Rows, ...]:
        """The results of the shard's branch, one for each operation; empty when there are none."""
        return self.results.get(shard, ())

    def answer_of(self, service: str) -> Optional[bytes]:
        """What the service answered when it voted yes; None when that is not known."""
        rows = self.of(service)
        if len(rows) != 1 or len(rows[0]) != 1 or len(rows[0][0]) != 1:
            return None
        value = rows[0][0][0]
        return value if isinstance(value, bytes) else None

    def but(self, **changes) -> Outcome:
        return replace(self, **changes)


def outcome_of(message: pb.Transaction) -> Outcome:
    aborted = message.state == pb.ABORTED
    return Outcome(
        id=message.txn_id,
        state=_STATES.get(message.state, "unknown"),
        protocol=_PROTOCOL_NAMES.get(message.protocol, "auto"),
        reason=message.abort.reason if aborted else "",
        message=message.abort.message,
        participant=message.abort.participant,
        constraint=message.abort.constraint,
        holder=message.abort.holder,
        results={branch.shard: tuple(Rows.of(one) for one in branch.results) for branch in message.results},
        participants=tuple(message.participants),
        decided_at_millis=message.decided_at_millis,
        answered_by=message.answered_by,
        mode=_MODE_NAMES.get(message.mode, "atomic"),
        attempt=_attempt_of(message),
    )


def _attempt_of(message: pb.Transaction) -> Optional[tuple[int, int]]:
    if not ATTEMPT_IS_TOLD or not message.HasField("attempt"):
        return None
    return message.attempt.epoch, message.attempt.number
