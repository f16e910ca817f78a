"""What a failed gRPC call means: whether the request may have been carried out, and what to do next. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Iterable, Optional

import grpc

from .details_pb2 import Details, ErrorInfo
from .errors import AssentError, InvalidError, NotFoundError, RefusedError

DOMAIN = "assent"
DETAILS_KEY = "grpc-status-details-bin"


class Verdict(enum.Enum):
    ANSWERED = "answered"
    ELSEWHERE = "elsewhere"  # this node does not lead: nothing was done; ask whom the hint names
    BUSY = "busy"  # nothing was done; ask again later
    UNSENT = "unsent"  # nothing left this machine
    LOST = "lost"  # it may have been done
    INVALID = "invalid"  # nothing was done, and the same request fails again
    NOT_FOUND = "not_found"  # nothing was done: no such group
    REFUSED = "refused"  # nothing was done: a rule says no


@dataclass(frozen=True)
class Failure:
    """A gRPC status that is not OK, as it came."""

    code: grpc.StatusCode
    message: str
    details: Optional[bytes] = None  # grpc-status-details-bin


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    reason: str = ""  # the service's word; empty when the connection failed
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)  # with ELSEWHERE: group, leader, endpoint


ANSWERED = Judgement(Verdict.ANSWERED)

_OF_REASON = {
    "NOT_LEADER": Verdict.ELSEWHERE,
    "SHUTTING_DOWN": Verdict.ELSEWHERE,
    "TXN_CONFLICT": Verdict.BUSY,
    "OVERLOADED": Verdict.BUSY,
    "TOO_STALE": Verdict.BUSY,
    "CANCELLED": Verdict.BUSY,
    "DEADLINE_PASSED": Verdict.BUSY,
    "OUTCOME_UNKNOWN": Verdict.LOST,
    "IO_ERROR": Verdict.LOST,
    "CORRUPTION": Verdict.LOST,
    "INVALID_ARGUMENT": Verdict.INVALID,
    "INVALID_SQL": Verdict.INVALID,
    "TOO_LARGE": Verdict.INVALID,
    "NOT_FOUND": Verdict.NOT_FOUND,
    "GROUP_NOT_FOUND": Verdict.NOT_FOUND,
    "TXN_NOT_FOUND": Verdict.NOT_FOUND,
    "REFUSED": Verdict.REFUSED,
    "UNSUPPORTED": Verdict.REFUSED,
    "COMPACTED": Verdict.REFUSED,
    "TXN_TOO_OLD": Verdict.REFUSED,
}

# A reason that this program does not know, by the status beside it. What is in neither table may have been done.
_OF_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: Verdict.INVALID,
    grpc.StatusCode.NOT_FOUND: Verdict.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION: Verdict.REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: Verdict.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: Verdict.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Verdict.BUSY,
}


def judge(failure: Failure) -> Judgement:
    info = read_info(failure.details)
    if info is None:
        return Judgement(_of_connection(failure), "", _tidy(failure))
    verdict = _OF_REASON.get(info.reason) or _OF_STATUS.get(failure.code, Verdict.LOST)
    return Judgement(verdict, info.reason, failure.message, dict(info.metadata))


def error_of(judgement: Judgement) -> AssentError:
    """For the verdicts INVALID, NOT_FOUND and REFUSED."""
    kind = {Verdict.INVALID: InvalidError, Verdict.NOT_FOUND: NotFoundError}.get(judgement.verdict, RefusedError)
    return kind(judgement.message, reason=judgement.reason)


def read_info(details: Optional[bytes]) -> Optional[ErrorInfo]:
    """What an Assent program wrote; None when somebody else did, or it cannot be read."""
    if not details:
        return None
    try:
        for one in Details.FromString(details).details:
            if one.type_url.endswith("/google.rpc.ErrorInfo"):
                info = ErrorInfo.FromString(one.value)
                if info.domain == DOMAIN:
                    return info
    except Exception:  # DecodeError; its class depends on protobuf's implementation
        return None
    return None


def write_info(code: int, message: str, reason: str, metadata: dict[str, str]) -> bytes:
    info = ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    details = Details(code=code, message=message)
    details.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=info.SerializeToString())
    return details.SerializeToString()


def details_in(metadata: Optional[Iterable]) -> Optional[bytes]:
    for key, value in metadata or ():
        if key == DETAILS_KEY:
            return bytes(value)
    return None


def _of_connection(failure: Failure) -> Verdict:
    """A status that no Assent node wrote: gRPC's own, or a proxy's.

    A call fails with the first two texts while its channel has no connection, before anything is sent. gRPC has no code
    for that. Should the words ever change, such a call counts as lost, which is the safe side.
    """
    if failure.code == grpc.StatusCode.UNAVAILABLE and failure.message.startswith(
        ("failed to connect to all addresses", "DNS resolution failed")
    ):
        return Verdict.UNSENT
    if failure.code in (
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    ):
        return Verdict.REFUSED
    if failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Verdict.INVALID  # a message over a limit, and so again
    return Verdict.LOST


def _tidy(failure: Failure) -> str:
    """gRPC wraps the cause in layers of its own words; a person wants the cause."""
    text = failure.message
    if "Connection refused" in text:
        return "connection refused"
    if any(words in text for words in ("Connection reset", "Socket closed", "GOAWAY")):
        return "the connection was lost"
    if "DNS resolution failed" in text:
        return "the host name cannot be resolved"
    if failure.code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    if failure.code == grpc.StatusCode.UNIMPLEMENTED:
        return "does not speak assent.v1"
    return text.rpartition("last error: ")[2] or "failed without a word"
