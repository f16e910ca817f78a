"""The client for asyncio: assent.aio.connect(). The same as assent.Client, each call awaited.

    async with assent.aio.connect("127.0.0.1:7420") as client:
        async def transfer(tx):
            balance = (await tx.query("s1", "SELECT balance FROM accounts WHERE id = ?1", "alice")).value()
            tx.execute("s1", "UPDATE ...")            # what is written is not awaited: it stays here until the end
        outcome = await client.run(transfer, timeout=3)

Belongs to one event loop. A call that is cancelled ends at once; what it had sent may have committed: give run() a
request_id, or execute() a transaction with an id, to find out.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Awaitable, Callable, Mapping, Optional, Sequence, Union

import grpc

from . import operations
from .client import ClientCore
from .courier import Options
from .interaction import Interaction, RunOptions
from .outcome import Outcome
from .steps import Call, Pause, Reply, Step, Steps, Survey, T
from .transactions import Writes
from .transport import CHANNEL_OPTIONS, CLOSED, failure_of, stubs_on
from .work import Operation, Rows, Transaction, Value, get, key_value, sql


class Tx(Writes):
    async def get(self, shard: str, key: str) -> Optional[bytes]:
        """The value of the key; None when it is absent."""
        return key_value(await self._drive(self._attempt.read(shard, get(key))))

    async def query(self, shard: str, text: str, *parameters: Value) -> Rows:
        """The rows of a SELECT, or of a statement that writes and returns rows."""
        return await self._drive(self._attempt.read(shard, sql(text, *parameters)))

    async def collect(self, call: Any) -> int:
        """Takes in who wants to take part, from a finished grpc.aio call. How many there were."""
        return self._collect(await call.trailing_metadata())


class Client(ClientCore):
    def __init__(self, endpoints: Union[str, Sequence[str], None] = None, **options: float):
        super().__init__(endpoints, Options(**options))
        self._channels: dict[str, tuple[grpc.aio.Channel, dict[str, Any]]] = {}

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def close(self) -> None:
        self._courier.closed = True
        channels = list(self._channels.values())
        self._channels.clear()
        for channel, _ in channels:
            await channel.close()

    # ---- transactions ----

    async def execute(self, transaction: Transaction, timeout: Optional[float] = None) -> Outcome:
        return await self._drive(operations.execute(self._courier, transaction, self._deadline(timeout)))

    async def run(
        self,
        function: Callable[[Tx], Awaitable[Any]],
        *,
        name: str = "",
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        request_shard: Optional[str] = None,
        attempts_max: int = 64,
        protocol: str = "auto",
    ) -> Outcome:
        """As assent.Client.run, with a function that is async."""
        options = RunOptions(
            name or getattr(function, "__name__", "transaction"), request_id, request_shard, attempts_max, protocol
        )
        interaction = Interaction(self._courier, options, self._deadline(timeout))
        while True:
            ended = await self._drive(interaction.begin())
            if ended is None:
                try:
                    value = await function(Tx(interaction.attempt, self._drive))
                except Exception as error:  # noqa: BLE001 - whatever the function raises is judged the same way
                    await self._drive(interaction.give_up(error))
                    continue
                ended = await self._drive(interaction.commit(value))
            if ended is not None:
                return ended

    def transaction(self, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Outcome]]]:
        """run() as a decorator: the arguments of the call follow the transaction's."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Awaitable[Outcome]]:
            options.setdefault("name", function.__name__)

            @functools.wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Outcome:
                return await self.run(lambda tx: function(tx, *args, **kwargs), **options)

            return call

        return decorate

    # ---- outcomes ----

    async def get_outcome(
        self, asked: Union[Outcome, str], *, group: str = "", timeout: Optional[float] = None
    ) -> Outcome:
        return await self._drive(self._question(asked, group, False, 0.0, timeout))

    async def wait(self, asked: Union[Outcome, str], timeout: float = 30.0, *, group: str = "") -> Outcome:
        return await self._drive(self._question(asked, group, False, timeout, timeout))

    async def seal(self, asked: Union[Outcome, str], *, group: str = "", timeout: Optional[float] = None) -> Outcome:
        return await self._drive(self._question(asked, group, True, 0.0, timeout))

    # ---- reads ----

    async def query(
        self,
        shard: str,
        text: str,
        *parameters: Value,
        max_staleness: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> Rows:
        read = self._query(shard, sql(text, *parameters), max_staleness, timeout)
        return (await self._drive(read)).results[0]

    async def get(
        self, shard: str, key: str, *, max_staleness: Optional[float] = None, timeout: Optional[float] = None
    ) -> Optional[bytes]:
        read = self._query(shard, get(key), max_staleness, timeout)
        return key_value((await self._drive(read)).results[0])

    async def read(
        self, work: Mapping[str, Sequence[Operation]], timeout: Optional[float] = None
    ) -> dict[str, tuple[Rows, ...]]:
        return await self._drive(operations.read(self._courier, work, self._deadline(timeout)))

    # ---- carrying out steps (steps.py) ----

    async def _drive(self, steps: Steps[T]) -> T:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = await self._carry_out(step)

    async def _carry_out(self, step: Step) -> Any:
        if isinstance(step, Call):
            return await self._call(step)
        if isinstance(step, Survey):
            return await self._survey(step)
        assert isinstance(step, Pause)
        await asyncio.sleep(step.seconds)
        return None

    async def _call(self, call: Call) -> Reply:
        if self._courier.closed:
            return CLOSED
        known = self._channels.get(call.endpoint)
        if known is None:
            channel = grpc.aio.insecure_channel(call.endpoint, options=CHANNEL_OPTIONS)
            known = self._channels[call.endpoint] = (channel, stubs_on(channel))
        try:
            return Reply(await getattr(known[1][call.service], call.method)(call.request, timeout=call.timeout))
        except grpc.RpcError as error:
            return Reply(failure=failure_of(error))
        except asyncio.CancelledError:
            if self._courier.closed:  # the channel was closed under the call: nobody has cancelled the caller
                return CLOSED
            raise
        except grpc.aio.UsageError:  # closed just before the call
            return CLOSED

    async def _survey(self, survey: Survey) -> None:
        async def ask(call: Call) -> tuple[str, Reply]:
            return call.endpoint, await self._call(call)

        tasks = [asyncio.ensure_future(ask(call)) for call in survey.calls]
        try:
            for next_one in asyncio.as_completed(tasks):
                endpoint, reply = await next_one
                if survey.heard(endpoint, reply):
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def connect(endpoints: Union[str, Sequence[str], None] = None, **options: float) -> Client:
    """As assent.connect()."""
    return Client(endpoints, **options)
