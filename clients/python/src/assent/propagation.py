"""How a transaction travels with ordinary calls: explicitly, in metadata that is appended and never replaced.

Who begins a transaction uses tx.metadata() and tx.collect() of run(). A handler that is called:

    def Credit(self, request, context):
        with assent.IncomingTransaction(context) as tx:
            if tx.caller: tx.enlist("ledger", "10.0.0.7:9000", payload)   # and do nothing final here
            stub.Check(check, metadata=tx.metadata())                     # passes it on; then tx.collect(call)
        return CreditReply()

A handler that receives a transaction, and at its end has neither enlisted anybody nor passed it on, is told to the log
(`assent`): what it did is outside of the transaction. Objects belong to one call. Bytes from strangers are errors
(InvalidError), never taken for what they are not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Optional

from .errors import InvalidError, RefusedError
from .ids import is_txn_id
from .names import NAME_BYTES_MAX, valid_name
from .v1 import participant_pb2 as pb

TXID_KEY = "assent-txid"
BRANCH_KEY = "assent-branch"
COORDINATOR_KEY = "assent-coordinator"
ENLISTED_KEY = "assent-enlisted-bin"

PAYLOAD_BYTES_MAX = 4096
ENLISTED_BYTES_MAX = 5500  # of all enlistments in one answer: gRPC refuses more than 8 KiB of metadata


@dataclass(frozen=True)
class Enlistment:
    branch: str
    participant: str
    address: str  # host:port
    payload: bytes


@dataclass(frozen=True)
class CallerTransaction:
    """The transaction of whoever called."""

    txn_id: str
    branch: str  # a prefix for names of branches
    coordinator: str


def _is_name(text: str) -> bool:
    return text != "" and valid_name(text)


def _check(one: Enlistment) -> None:
    if not _is_name(one.branch):
        raise InvalidError(
            f"the branch of an enlistment is 1 to {NAME_BYTES_MAX} bytes of text: too many calls one inside the other, "
            "or a participant's name that is too long"
        )
    if not _is_name(one.participant):
        raise InvalidError("the participant of an enlistment has no valid name")
    host, _, port = one.address.rpartition(":")
    if not (_is_name(one.address) and host and port):
        raise InvalidError("the address of an enlistment is no host:port")
    if len(one.payload) > PAYLOAD_BYTES_MAX:
        raise InvalidError(
            f"the payload of an enlistment has {len(one.payload)} bytes, above the {PAYLOAD_BYTES_MAX} that metadata "
            "carries: keep the work in the service, and let the payload name it"
        )


def encode(one: Enlistment) -> bytes:
    _check(one)
    message = pb.Enlistment(branch=one.branch, participant=one.participant, address=one.address, payload=one.payload)
    return message.SerializeToString()


def decode(data: bytes) -> Enlistment:
    try:
        if len(data) > ENLISTED_BYTES_MAX:
            raise ValueError("too long")
        message = pb.Enlistment.FromString(data)
    except Exception as error:  # DecodeError; its class depends on protobuf's implementation
        raise InvalidError("an enlistment cannot be read") from error
    one = Enlistment(message.branch, message.participant, message.address, message.payload)
    _check(one)
    return one


def read_caller(metadata: Iterable[Any]) -> Optional[CallerTransaction]:
    """None when no key is there. InvalidError: no id, two different ones, a key without the others."""
    values = {}
    for key in (TXID_KEY, BRANCH_KEY, COORDINATOR_KEY):
        found = {value for name, value in metadata if name == key}
        if len(found) > 1:
            raise InvalidError(f"metadata {key} has several values that differ")
        values[key] = found.pop() if found else None
    if all(value is None for value in values.values()):
        return None
    txn_id, branch, coordinator = values[TXID_KEY], values[BRANCH_KEY], values[COORDINATOR_KEY] or ""
    if txn_id is None or branch is None:
        raise InvalidError(f"metadata {TXID_KEY} and {BRANCH_KEY} go together")
    if not is_txn_id(txn_id):
        raise InvalidError(f"metadata {TXID_KEY} is no transaction id")
    if not _is_name(branch) or not valid_name(coordinator):
        raise InvalidError(f"metadata {BRANCH_KEY} or {COORDINATOR_KEY} is no valid name")
    return CallerTransaction(txn_id, branch, coordinator)


class Enlistments:
    """Gathered from calls: each branch once, in the order that they came."""

    def __init__(self) -> None:
        self.all: list[Enlistment] = []
        self._bytes = 0

    def add(self, one: Enlistment, bounded: bool) -> bool:
        """False: it is there already, as it is (a call that was sent twice)."""
        for there in self.all:
            if there.branch == one.branch:
                if there == one:
                    return False
                raise RefusedError(f"the branch {one.branch} is enlisted already, with other content")
        size = len(encode(one))
        if bounded and self._bytes + size > ENLISTED_BYTES_MAX:
            raise RefusedError(
                f"the enlistments of one answer take more than {ENLISTED_BYTES_MAX} bytes, which metadata does not "
                "carry: make payloads smaller"
            )
        self._bytes += size
        self.all.append(one)
        return True


def _gather(trailing_metadata: Optional[Iterable[Any]], take: Callable[[Enlistment], Any]) -> int:
    count = 0
    for key, value in trailing_metadata or ():
        if key == ENLISTED_KEY:
            take(decode(bytes(value)))
            count += 1
    return count


def _keys(caller: CallerTransaction, call: int) -> list[tuple[str, str]]:
    branch = f"{caller.branch}.{call}" if caller.branch else str(call)
    return [(TXID_KEY, caller.txn_id), (BRANCH_KEY, branch), (COORDINATOR_KEY, caller.coordinator)]


class OutgoingTransaction:
    """Of who begins."""

    def __init__(self, txn_id: str, coordinator: str = ""):
        self._own = CallerTransaction(txn_id, "", coordinator)
        self._calls = 0
        self._gathered = Enlistments()

    def metadata(self) -> list[tuple[str, str]]:
        """A prefix of its own for each call."""
        self._calls += 1
        return _keys(self._own, self._calls)

    def collect(self, trailing_metadata: Optional[Iterable[Any]]) -> int:
        return _gather(trailing_metadata, lambda one: self._gathered.add(one, False))

    @property
    def enlistments(self) -> list[Enlistment]:
        return list(self._gathered.all)


class IncomingTransaction:
    """Of who is called. In a sync handler, or an async one of grpc.aio: nothing here waits."""

    def __init__(self, context: Any, warn: Optional[Callable[[str], None]] = None):
        self.caller: Optional[CallerTransaction] = None
        self.trouble: Optional[InvalidError] = None  # what the call brought cannot be read
        self._context = context
        self._warn = warn or logging.getLogger("assent").warning
        self._calls = 0
        self._told = Enlistments()
        try:
            self.caller = read_caller(context.invocation_metadata() or ())
        except InvalidError as error:
            self.trouble = error

    def __enter__(self) -> IncomingTransaction:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.trouble:
            self._warn(f"a call brought a transaction that cannot be read: {self.trouble}")
        if kind is None and self.caller and not self._calls and not self._told.all:
            self._warn(
                f"a call brought transaction {self.caller.txn_id} and its handler enlisted nobody: what it did is not "
                "part of the transaction"
            )

    def enlist(self, participant: str, address: str, payload: bytes) -> str:
        """The name of the branch."""
        if self.trouble:
            raise self.trouble
        if self.caller is None:
            raise RefusedError("the call belongs to no transaction; there is nothing to join")
        one = Enlistment(f"{self.caller.branch}/{participant}", participant, address, payload)
        self._tell(one)
        return one.branch

    def metadata(self) -> list[tuple[str, str]]:
        """For a call to others on the transaction's behalf; empty without a transaction."""
        if self.caller is None:
            return []
        self._calls += 1
        return _keys(self.caller, self._calls)

    def collect(self, call: Any) -> int:
        """Passes on who wants to take part, from a finished gRPC call (or its trailing metadata)."""
        trailing = call.trailing_metadata() if hasattr(call, "trailing_metadata") else call
        return _gather(trailing, self._tell)

    def _tell(self, one: Enlistment) -> None:
        if self._told.add(one, True):
            before = [(key, value) for key, value in self._context.trailing_metadata() or ()]
            self._context.set_trailing_metadata((*before, (ENLISTED_KEY, encode(one))))
