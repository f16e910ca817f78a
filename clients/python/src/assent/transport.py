"""Carries out the steps of an operation (steps.py) on the caller's thread, over gRPC channels that all threads
share."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import grpc

from .judge import Failure, details_in
from .steps import Call, Pause, Reply, Step, Steps, Survey, T
from .v1 import assent_pb2_grpc

CHANNEL_OPTIONS = [
    # A node that restarts must be found again at once: gRPC's own pauses start at one second and grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 30_000),  # while calls are under way
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_retries", 0),  # what is safe to send again is known here, not there
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a client has connections of its own
    ("grpc.max_receive_message_length", 64 << 20),
]


def stubs_on(channel: Any) -> dict[str, Any]:
    return {
        "Coordinator": assent_pb2_grpc.CoordinatorStub(channel),
        "Shard": assent_pb2_grpc.ShardStub(channel),
        "Cluster": assent_pb2_grpc.ClusterStub(channel),
    }


def failure_of(error: grpc.RpcError) -> Failure:
    return Failure(error.code(), error.details() or "", details_in(error.trailing_metadata()))


CLOSED = Reply(failure=Failure(grpc.StatusCode.CANCELLED, "the client is closed"))


class Transport:
    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects the two below
        self._channels: dict[str, tuple[grpc.Channel, dict[str, Any]]] = {}
        self._closed = False

    def drive(self, steps: Steps[T]) -> T:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = self._carry_out(step)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            channels = list(self._channels.values())
            self._channels.clear()
        for channel, _ in channels:
            channel.close()

    def _carry_out(self, step: Step) -> Any:
        if isinstance(step, Call):
            return self._call(step)
        if isinstance(step, Survey):
            return self._survey(step)
        assert isinstance(step, Pause)
        if step.seconds > 0:
            time.sleep(step.seconds)
        return None

    def _method(self, call: Call) -> Any:
        """Raises ValueError when closed, as a closed channel does."""
        with self._lock:
            if self._closed:
                raise ValueError("closed")
            known = self._channels.get(call.endpoint)
            if known is None:
                channel = grpc.insecure_channel(call.endpoint, options=CHANNEL_OPTIONS)
                known = self._channels[call.endpoint] = (channel, stubs_on(channel))
        return getattr(known[1][call.service], call.method)

    def _call(self, call: Call) -> Reply:
        try:
            return Reply(self._method(call)(call.request, timeout=call.timeout))
        except grpc.RpcError as error:
            return Reply(failure=failure_of(error))
        except ValueError:  # the channel was closed meanwhile
            return CLOSED

    def _survey(self, survey: Survey) -> None:
        heard: queue.SimpleQueue = queue.SimpleQueue()
        futures = []
        for call in survey.calls:
            try:
                future = self._method(call).future(call.request, timeout=call.timeout)
            except ValueError:
                survey.heard(call.endpoint, CLOSED)
                continue
            futures.append(future)
            future.add_done_callback(lambda done, endpoint=call.endpoint: heard.put((endpoint, done)))
        for _ in range(len(futures)):
            endpoint, done = heard.get()
            if survey.heard(endpoint, _reply_of(done)):
                break
        for future in futures:
            future.cancel()


def _reply_of(done: Any) -> Reply:
    try:
        return Reply(done.result())
    except grpc.RpcError as error:
        return Reply(failure=failure_of(error))
    except grpc.FutureCancelledError:
        return CLOSED
