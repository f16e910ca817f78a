"""A client of an Assent cluster, for programs with threads; assent.aio has the same for asyncio.

    with assent.connect("127.0.0.1:7420") as client:
        outcome = client.run(transfer, name="transfer", timeout=3)
        if outcome.committed: ...     # for ever
        elif outcome.aborted: ...     # for ever: outcome.reason, outcome.message
        else:                         # unknown: it may have committed; never run it again without its request_id
            outcome = client.wait(outcome, timeout=30)

What it does by itself: finds the nodes, the groups and their leaders; follows leaders as they change; sends again what
is safe to send again, which a transaction with an id always is; asks after an answer was lost. What it never does:
guess an outcome, or run the work twice. An exception out of execute() or run() means that nothing happened.

Safe from any thread; nothing is thread-local. Timeouts are seconds.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from . import operations
from .courier import Courier, Options
from .errors import InvalidError
from .interaction import Interaction, RunOptions
from .outcome import Outcome
from .steps import Steps, T
from .transactions import Tx
from .transport import Transport
from .work import Operation, Rows, Transaction, Value, get, key_value, sql


def parse_endpoints(endpoints: Union[str, Sequence[str], None]) -> list[str]:
    """"a:1, b:2" or a list; None: from the environment, ASSENT_ENDPOINTS."""
    if endpoints is None:
        endpoints = os.environ.get("ASSENT_ENDPOINTS", "")
        if not endpoints:
            raise InvalidError("no endpoint is given; pass host:port, or set ASSENT_ENDPOINTS")
    parts = endpoints.split(",") if isinstance(endpoints, str) else list(endpoints)
    out = []
    for part in (one.strip() for one in parts):
        host, colon, port = part.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidError(f"{part!r} is no host:port")
        out.append(part)
    return out


class ClientCore:
    """What the two clients have in common."""

    def __init__(self, endpoints: Union[str, Sequence[str], None], options: Options):
        self._courier = Courier(parse_endpoints(endpoints), options)

    @property
    def endpoints(self) -> list[str]:
        """Those that were given, and those that nodes told."""
        return self._courier.directory.endpoints()

    def _deadline(self, timeout: Optional[float]) -> float:
        if timeout is not None and timeout <= 0:
            raise InvalidError(f"a timeout of {timeout} s leaves no time to ask anybody")
        return time.monotonic() + (self._courier.options.timeout if timeout is None else timeout)

    def _question(
        self, asked: Union[Outcome, str], group: str, seal: bool, wait: float, timeout: Optional[float]
    ) -> Steps[Outcome]:
        txn_id, known = (asked.id, asked.ask) if isinstance(asked, Outcome) else (asked, "")
        return operations.get_outcome(self._courier, txn_id, group or known, seal, wait, self._deadline(timeout))

    def _query(
        self, shard: str, operation: Operation, max_staleness: Optional[float], timeout: Optional[float]
    ) -> Steps[operations.Read]:
        deadline = self._deadline(timeout)
        if max_staleness is None:
            return operations.query(self._courier, shard, [operation], deadline)
        return operations.query_stale(self._courier, shard, [operation], max_staleness, deadline)


class Client(ClientCore):
    def __init__(self, endpoints: Union[str, Sequence[str], None] = None, **options: float):
        super().__init__(endpoints, Options(**options))
        self._transport = Transport()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Calls that are under way end with an error, or an outcome that is unknown."""
        self._courier.closed = True
        self._transport.close()

    def _drive(self, steps: Steps[T]) -> T:
        return self._transport.drive(steps)

    # ---- transactions ----

    def execute(self, transaction: Transaction, timeout: Optional[float] = None) -> Outcome:
        """Runs it once; it is not tried again after a conflict."""
        return self._drive(operations.execute(self._courier, transaction, self._deadline(timeout)))

    def run(
        self,
        function: Callable[[Tx], Any],
        *,
        name: str = "",
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        request_shard: Optional[str] = None,
        attempts_max: int = 64,
        protocol: str = "auto",
    ) -> Outcome:
        """Runs the function, which reads and writes through its argument, then commits what it wanted if all that it
        read is still so; otherwise runs it again, with the age of the first attempt, after a pause that grows and
        varies.

        What the function raises is raised on, and nothing has happened. With a request_id of yours run() as a whole is
        idempotent, also from another process, later, or after an unknown outcome: the key assent/request/<request_id>
        at request_shard (the cluster's first shard, unless you say) holds the id of the attempt that committed.
        """
        options = RunOptions(
            name or getattr(function, "__name__", "transaction"), request_id, request_shard, attempts_max, protocol
        )
        return self._interact(function, options, self._deadline(timeout))

    def transaction(self, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Outcome]]:
        """run() as a decorator: the arguments of the call follow the transaction's.

        @client.transaction(timeout=3)
        def transfer(tx, source, target, amount): ...
        outcome = transfer("alice", "bob", 50)
        """

        def decorate(function: Callable[..., Any]) -> Callable[..., Outcome]:
            options.setdefault("name", function.__name__)

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Outcome:
                return self.run(lambda tx: function(tx, *args, **kwargs), **options)

            return call

        return decorate

    def _interact(self, function: Callable[[Tx], Any], options: RunOptions, deadline: float) -> Outcome:
        interaction = Interaction(self._courier, options, deadline)
        while True:
            ended = self._drive(interaction.begin())
            if ended is None:
                try:
                    value = function(Tx(interaction.attempt, self._drive))
                except Exception as error:  # noqa: BLE001 - whatever the function raises is judged the same way
                    self._drive(interaction.give_up(error))
                    continue
                ended = self._drive(interaction.commit(value))
            if ended is not None:
                return ended

    # ---- outcomes ----

    def get_outcome(self, asked: Union[Outcome, str], *, group: str = "", timeout: Optional[float] = None) -> Outcome:
        """What came of a transaction, now. Unknown is not aborted: it may still begin."""
        return self._drive(self._question(asked, group, False, 0.0, timeout))

    def wait(self, asked: Union[Outcome, str], timeout: float = 30.0, *, group: str = "") -> Outcome:
        """Waits for the decision while it runs."""
        return self._drive(self._question(asked, group, False, timeout, timeout))

    def seal(self, asked: Union[Outcome, str], *, group: str = "", timeout: Optional[float] = None) -> Outcome:
        """After a definite answer it will never commit, unless it has. While it runs, it is not sealed."""
        return self._drive(self._question(asked, group, True, 0.0, timeout))

    # ---- reads ----

    def query(
        self,
        shard: str,
        text: str,
        *parameters: Value,
        max_staleness: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> Rows:
        """A linearizable read of one shard. With max_staleness, in seconds, a stale one: of any replica that can prove
        that all that was told to be committed longer ago shows in what it holds."""
        read = self._query(shard, sql(text, *parameters), max_staleness, timeout)
        return self._drive(read).results[0]

    def get(
        self, shard: str, key: str, *, max_staleness: Optional[float] = None, timeout: Optional[float] = None
    ) -> Optional[bytes]:
        read = self._query(shard, get(key), max_staleness, timeout)
        return key_value(self._drive(read).results[0])

    def read(
        self, work: Mapping[str, Sequence[Operation]], timeout: Optional[float] = None
    ) -> dict[str, tuple[Rows, ...]]:
        """Several shards as they were at one instant, with no locks: client.read({"s1": [assent.sql("SELECT ...")],
        ...})"""
        return self._drive(operations.read(self._courier, work, self._deadline(timeout)))


def connect(endpoints: Union[str, Sequence[str], None] = None, **options: float) -> Client:
    """Makes no call: a cluster that is away is found out by the first call that needs it. One endpoint is enough, the
    rest is discovered; None: ASSENT_ENDPOINTS. Options: timeout, attempt_timeout, status_timeout (courier.Options)."""
    return Client(endpoints, **options)
