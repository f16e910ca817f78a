"""The gRPC service assent.v1.Participant over a participant and its barrier.

    host = ParticipantHost("ledger", Ledger(), SqliteBarrier("ledger.db"))
    running = host.serve("0.0.0.0:9000", cluster="10.0.0.1:7420")      # a server of its own, health and resolver
    included running.wait()

or among the services of the program's own server, a grpc.server() or a grpc.aio.server() (which then needs a
migration_thread_pool: the calls block while the database does):

    host.add_to(server)
"""

from __future__ import annotations

import contextlib
from concurrent import futures
from typing import Any, Callable, Optional, Sequence, Union

import grpc

from ..client import Client
from ..details_pb2 import HealthRequest, HealthResponse
from ..errors import AssentError, InvalidError
from ..judge import DETAILS_KEY, write_info
from ..names import MESSAGE_BYTES_MAX, tidy_text
from ..v1 import participant_pb2 as pb
from ..v1 import participant_pb2_grpc as pb_grpc
from .barrier import Barrier, BranchKey
from .branches import Branches, Participant
from .register import Answer, Attempt, Branch, Call, Code, State
from .resolver import Resolver, ask_coordinator

SERVICE = "assent.v1.Participant"
MESSAGE_BYTES_LIMIT = 16 << 20  # of gRPC's; above the payload's, so that a payload that is too large is a recorded no

_STATUS = {
    Code.ABORTED: grpc.StatusCode.ABORTED,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.RUNNING: grpc.StatusCode.FAILED_PRECONDITION,
    Code.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Code.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.UNKNOWN: grpc.StatusCode.UNAVAILABLE,
}
_STATES = {
    State.EMPTY: pb.BRANCH_EMPTY,
    State.RUNNING: pb.BRANCH_RUNNING,
    State.PREPARED: pb.BRANCH_PREPARED,
    State.READ_ONLY: pb.BRANCH_READ_ONLY,
    State.COMMITTED: pb.BRANCH_COMMITTED,
    State.ABORTED: pb.BRANCH_ABORTED,
    State.REFUSED: pb.BRANCH_REFUSED,
    State.FORGOTTEN: pb.BRANCH_FORGOTTEN,
}


class ParticipantHost:
    def __init__(self, name: str, participant: Participant, barrier: Barrier, **options: Any):
        """options: limits, retention, clock (Branches)."""
        self.branches = Branches(name, participant, barrier, **options)
        self._servicer = _Servicer(self.branches)

    def add_to(self, server: Any) -> None:
        pb_grpc.add_ParticipantServicer_to_server(self._servicer, server)

    def add_health_to(self, server: Any) -> None:
        """grpc.health.v1.Health/Check of this service alone: SERVING while its database answers."""
        check = grpc.unary_unary_rpc_method_handler(
            self._check, request_deserializer=HealthRequest.FromString, response_serializer=_serialized
        )
        handlers = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})
        server.add_generic_rpc_handlers((handlers,))

    def serve(
        self,
        address: str,
        *,
        cluster: Union[str, Sequence[str], None] = None,
        threads: Optional[int] = None,
        told: Optional[Callable[[Any], None]] = None,
        **resolver_options: Any,
    ) -> Running:
        """A server of its own on host:port (port 0: a free one), with health. cluster: endpoints to ask what came of
        branches in doubt; without, nobody asks, and a branch that the coordinator has given up stays in doubt. threads:
        as many as calls may run at once, unless you say; they are made as they are needed."""
        threads = threads or 2 * self.branches.limits.prepares + 8  # so that prepares do not keep commits waiting
        server = grpc.server(
            futures.ThreadPoolExecutor(threads),
            options=[("grpc.max_receive_message_length", MESSAGE_BYTES_LIMIT), ("grpc.so_reuseport", 0)],
        )
        self.add_to(server)
        self.add_health_to(server)
        port = 0
        with contextlib.suppress(RuntimeError):  # newer versions raise it
            port = server.add_insecure_port(address)
        if port == 0:
            raise AssentError(f"cannot listen on {address}: is somebody else there already?")
        host = address.rpartition(":")[0]
        client = Client(cluster) if cluster else None
        resolver = Resolver(self.branches, ask_coordinator(client), told=told, **resolver_options) if client else None
        server.start()
        return Running(f"{host}:{port}", server, resolver, client)

    def _check(self, request: HealthRequest, context: Any) -> HealthResponse:
        if request.service not in ("", SERVICE):
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return HealthResponse(status=HealthResponse.SERVICE_UNKNOWN)
        try:
            self.branches.in_doubt(0, 1)
        except AssentError:
            return HealthResponse(status=HealthResponse.NOT_SERVING)
        return HealthResponse(status=HealthResponse.SERVING)


class Running:
    """A participant that is served."""

    def __init__(self, address: str, server: Any, resolver: Optional[Resolver], client: Optional[Client]):
        self.address = address
        self._server = server
        self._resolver = resolver
        self._client = client

    def wait(self) -> None:
        self._server.wait_for_termination()

    def stop(self, grace: float = 5.0) -> None:
        """Calls that are under way have the time of grace to end."""
        self._server.stop(grace).wait()
        if self._resolver:
            self._resolver.stop()
        if self._client:
            self._client.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


class _Servicer(pb_grpc.ParticipantServicer):
    def __init__(self, branches: Branches):
        self._branches = branches

    def Prepare(self, request: Any, context: Any) -> Any:
        response = pb.PrepareResponse()
        branch = _read_branch(request, context, request.time_left_millis / 1000)
        if branch is None:
            return response
        answer = self._branches.prepare(branch, request.payload, request.participant)
        if answer.ok and answer.recorded:
            response.vote = pb.VOTE_READ_ONLY if answer.read_only else pb.VOTE_YES
            response.attempt.epoch, response.attempt.number = answer.recorded
            response.result = answer.result
        _tell(context, answer)
        return response

    def Commit(self, request: Any, context: Any) -> Any:
        self._end(Call.COMMIT, request, context)
        return pb.CommitResponse()

    def Abort(self, request: Any, context: Any) -> Any:
        self._end(Call.ABORT, request, context)
        return pb.AbortResponse()

    def Status(self, request: Any, context: Any) -> Any:
        response = pb.BranchStatusResponse()
        try:
            found = self._branches.status(BranchKey(request.txn_id, request.branch), request.participant)
        except InvalidError as error:
            _tell(context, Answer(Code.INVALID, error.reason, error.message))
            return response
        except AssentError as error:
            _tell(context, Answer(Code.UNKNOWN, "UNAVAILABLE", tidy_text(error.message, MESSAGE_BYTES_MAX)))
            return response
        response.state = _STATES[found.state]
        if found.attempt:
            response.attempt.epoch, response.attempt.number = found.attempt
        response.coordinator = found.coordinator
        response.changed_at_millis = found.changed_at
        return response

    def _end(self, call: Call, request: Any, context: Any) -> None:
        branch = _read_branch(request, context)
        if branch:
            _tell(context, self._branches.end(call, branch, request.participant))


def _read_branch(request: Any, context: Any, time_left: float = 0.0) -> Optional[Branch]:
    if not request.HasField("attempt"):
        _tell(context, Answer(Code.INVALID, "INVALID_ARGUMENT", "attempt is required"))
        return None
    attempt = Attempt(request.attempt.epoch, request.attempt.number)
    return Branch(request.txn_id, request.branch, attempt, request.coordinator, time_left)


def _tell(context: Any, answer: Answer) -> None:
    if answer.ok:
        return
    code = _STATUS[answer.code]
    metadata = {}
    if answer.refusal:
        metadata["refusal"] = answer.refusal
    if answer.reason == "OTHER_ATTEMPT" and answer.recorded:
        metadata["epoch"], metadata["number"] = map(str, answer.recorded)
    details = write_info(code.value[0], answer.message, answer.reason, metadata)
    context.set_trailing_metadata(((DETAILS_KEY, details),))
    context.set_code(code)
    context.set_details(answer.message)


def _serialized(message: Any) -> bytes:
    return message.SerializeToString()
