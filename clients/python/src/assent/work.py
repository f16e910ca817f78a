"""What a transaction is to do, and the rows that come back: Python's values on one side, the API's on the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Iterator, Optional, Union

from .errors import InvalidError, NotFoundError
from .v1 import assent_pb2 as pb

Value = Union[None, int, float, str, bytes]
Payload = Union[bytes, bytearray, memoryview, str]
Operation = pb.Operation

PROTOCOLS = {
    "auto": pb.AUTO,
    "one-phase": pb.ONE_PHASE,
    "two-phase": pb.TWO_PHASE,
    "three-phase": pb.THREE_PHASE,
    "paxos-commit": pb.PAXOS_COMMIT,
}
MODES = {
    "atomic": pb.ATOMIC,
    "tcc": pb.TCC,
    "saga": pb.SAGA,
    "concurrent-saga": pb.CONCURRENT_SAGA,
}


def to_bytes(payload: Payload) -> bytes:
    """Text goes as UTF-8."""
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    raise InvalidError(f"a payload or value is bytes or text, not {type(payload).__name__}")


def to_value(value: Value) -> pb.Value:
    if value is None:
        return pb.Value(null=pb.Null())
    if isinstance(value, int):  # bool is one
        return pb.Value(integer=_int64(value))
    if isinstance(value, float):
        return pb.Value(real=value)
    if isinstance(value, str):
        return pb.Value(text=value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return pb.Value(blob=bytes(value))
    raise InvalidError(f"a parameter is None, int, float, str or bytes, not {type(value).__name__}: convert it")


def from_value(value: pb.Value) -> Value:
    kind = value.WhichOneof("kind")
    return None if kind in (None, "null") else getattr(value, kind)


def _int64(value: int) -> int:
    if -(1 << 63) <= value < 1 << 63:
        return int(value)
    raise InvalidError(f"the integer {value} does not fit into 64 bits; send it as text")


def sql(text: str, *parameters: Value) -> Operation:
    """One statement; parameters for ?1, ?2, ..."""
    return Operation(sql=pb.SqlStatement(text=text, parameters=[to_value(value) for value in parameters]))


def get(key: str) -> Operation:
    return Operation(get=pb.KvGet(key=key))


def put(key: str, value: Payload) -> Operation:
    return Operation(put=pb.KvPut(key=key, value=to_bytes(value)))


def erase(key: str) -> Operation:
    return Operation(erase=pb.KvErase(key=key))


def expect(key: str, value: Optional[Payload]) -> Operation:
    """The transaction aborts (constraint) unless the key has the value; None: unless it is absent."""
    operation = Operation(expect=pb.KvExpect(key=key))
    if value is not None:
        operation.expect.value = to_bytes(value)
    return operation


def add(
    key: str, delta: int, *, floor: Optional[int] = None, ceiling: Optional[int] = None, escrow: bool = False
) -> Operation:
    """Adds to a number. With escrow others may add to the key at the same time, and the new value is not told."""
    operation = Operation(add=pb.KvAdd(key=key, delta=_int64(delta), escrow=escrow))
    if floor is not None:
        operation.add.floor = _int64(floor)
    if ceiling is not None:
        operation.add.ceiling = _int64(ceiling)
    return operation


@dataclass(frozen=True)
class Rows:
    """What one operation answered."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    rows_affected: int = 0

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Value, ...]:
        return self.rows[index]

    def first(self) -> Optional[tuple[Value, ...]]:
        return self.rows[0] if self.rows else None

    def value(self) -> Value:
        """The only value of the only row. NotFoundError when there is no row; see first() for what may be absent."""
        if not self.rows:
            raise NotFoundError("the statement has no row; use first() where that may be")
        if len(self.rows) > 1 or len(self.rows[0]) != 1:
            there = f"{len(self.rows)} rows of {len(self.rows[0])}"
            raise InvalidError(f"value() is for one row of one column; there are {there}")
        return self.rows[0][0]

    def dicts(self) -> list[dict[str, Value]]:
        return [dict(zip(self.columns, row)) for row in self.rows]

    @staticmethod
    def of(message: pb.OperationResult) -> Rows:
        rows = tuple(tuple(from_value(value) for value in row.values) for row in message.rows)
        return Rows(tuple(message.columns), rows, message.rows_affected)


def key_value(rows: Rows) -> Optional[bytes]:
    """Of the answer to a get; None when the key is absent."""
    if not rows.rows or not rows.rows[0]:
        return None
    value = rows.rows[0][0]
    return value.encode() if isinstance(value, str) else value  # type: ignore[return-value]


@dataclass(frozen=True)
class ServiceCall:
    """What a service is to do in a transaction. `name` is another one for each call, and no group's name."""

    name: str
    target: str  # host:port, as the cluster's nodes reach it
    payload: bytes
    participant: str = ""  # its own name, so that nobody else at that address takes part
    retriable: bool = False  # of a saga, behind those that are not: called once it is committed, until it is done
    # When it has not voted so long after it was first called, in s, or after so many calls, the transaction aborts. 0: no
    # bound but the transaction's own. Not with retriable.
    timeout: float = 0.0
    max_calls: int = 0


@dataclass
class Transaction:
    """Everything of a transaction, known beforehand:

    Transaction().sql("s1", "UPDATE ...", 50, "alice").sql("s2", "UPDATE ...", 50, "bob")
    """

    id: str = ""  # chosen by the client when it is empty. An id is attempted once; its outcome never changes
    first_id: str = ""  # of the first attempt of the same business, so that a retry keeps its age
    protocol: str = "auto"
    mode: str = "atomic"  # to its services; tcc, saga or concurrent-saga: SERVICES.md says what each means
    timeout: float = 0.0  # how long the service may try before it aborts, in s; 0: two thirds of the call's time
    branches: dict[str, list[Operation]] = field(default_factory=dict)  # by shard
    services: list[ServiceCall] = field(default_factory=list)

    def on(self, shard: str, *operations: Operation) -> Transaction:
        self.branches.setdefault(shard, []).extend(operations)
        return self

    def sql(self, shard: str, text: str, *parameters: Value) -> Transaction:
        return self.on(shard, sql(text, *parameters))

    def get(self, shard: str, key: str) -> Transaction:
        return self.on(shard, get(key))

    def put(self, shard: str, key: str, value: Payload) -> Transaction:
        return self.on(shard, put(key, value))

    def erase(self, shard: str, key: str) -> Transaction:
        return self.on(shard, erase(key))

    def expect(self, shard: str, key: str, value: Optional[Payload]) -> Transaction:
        return self.on(shard, expect(key, value))

    def add(self, shard: str, key: str, delta: int, **bounds: Any) -> Transaction:
        return self.on(shard, add(key, delta, **bounds))

    def call(
        self,
        name: str,
        target: str,
        payload: Payload,
        participant: str = "",
        retriable: bool = False,
        timeout: float = 0.0,
        max_calls: int = 0,
    ) -> Transaction:
        self.services.append(ServiceCall(name, target, to_bytes(payload), participant, retriable, timeout, max_calls))
        return self

    def one_phase(self) -> bool:
        """Such a transaction belongs to its shard, any other to a coordinator group."""
        return len(self.branches) == 1 and not self.services and self.mode == "atomic" and self.protocol in ("auto", "one-phase")

    def check(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise InvalidError(f"there is no protocol {self.protocol!r}; there are {', '.join(PROTOCOLS)}")
        if self.mode not in MODES:
            raise InvalidError(f"there is no mode {self.mode!r}; there are {', '.join(MODES)}")
        if not self.branches and not self.services:
            raise InvalidError("the transaction is empty: nothing is to be done at any shard or service")
        for shard, operations in self.branches.items():
            if not shard or not operations:
                raise InvalidError(f"the branch on {shard!r} " + ("is empty" if shard else "names no shard"))
        if self.services and self.protocol not in ("auto", "two-phase"):
            raise InvalidError(f"no service takes part in {self.protocol}: its vote is not replicated; use two-phase")
        if self.protocol == "one-phase" and len(self.branches) > 1:
            raise InvalidError("one-phase is for transactions on one shard")

    def request(self, timeout: float) -> pb.ExecuteRequest:
        """timeout: that the call has, in s."""
        millis = min(max(1, int((self.timeout or timeout * 2 / 3) * 1000)), 3_600_000)
        request = pb.ExecuteRequest(
            txn_id=self.id,
            first_txn_id=self.first_id,
            protocol=PROTOCOLS[self.protocol],
            mode=MODES[self.mode],
            timeout_millis=millis,
        )
        for shard, operations in self.branches.items():
            request.branches.add(shard=shard, operations=operations)
        for one in self.services:
            request.services.add(
                name=one.name,
                target=one.target,
                payload=one.payload,
                participant=one.participant,
                retriable=one.retriable,
                timeout_millis=min(math.ceil(one.timeout * 1000), 3_600_000),
                max_calls=one.max_calls,
            )
        return request
