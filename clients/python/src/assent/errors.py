"""What a call says when it did not get an answer.

An aborted transaction is an answer and never an error. An error from execute() or run() means that nothing happened and
nothing will; when that is not certain, they return an Outcome that is `unknown` instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence


@dataclass(frozen=True)
class Tried:
    """What one endpoint said when it was last asked."""

    endpoint: str
    node: str  # its name, when it ever told
    said: str

    def __str__(self) -> str:
        return f"{self.endpoint} ({self.node}): {self.said}" if self.node else f"{self.endpoint}: {self.said}"


class AssentError(Exception):
    """`message` is one sentence; `reason` the service's own word, if there was one (docs/API.md)."""

    def __init__(self, message: str, *, reason: str = "", tried: Sequence[Tried] = ()):
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.tried = tuple(tried)

    def __str__(self) -> str:
        return "\n  ".join([self.message, *map(str, self.tried)])


class InvalidError(AssentError):
    """The request makes no sense; the same one fails again."""


class NotFoundError(AssentError):
    """No such group."""


class UnreachableError(AssentError):
    """No endpoint answered."""


class NoLeaderError(AssentError):
    """Nodes answered, but the group had no leader in time."""


class TimedOutError(AssentError):
    """A leader was asked and did not answer in time."""


class BusyError(AssentError):
    """Turned away for lack of room until the time was up."""


class RefusedError(AssentError):
    """The service understood and says no."""


class GaveUpError(RefusedError):
    """The transaction's function called tx.abort(), and what it had read was so."""


class ClosedError(AssentError):
    """This client was closed meanwhile."""


class InternalError(AssentError):
    """The service or the connection misbehaved."""


class AbortedError(AssentError):
    """Outcome.require() of an aborted transaction; `outcome` says why."""

    def __init__(self, outcome):
        super().__init__(f"transaction {outcome.id} is aborted ({outcome.reason}): {outcome.message}")
        self.outcome = outcome


class UnknownOutcomeError(AssentError):
    """Outcome.require() of a transaction that may have committed: ask, with client.wait(error.outcome)."""

    def __init__(self, outcome):
        super().__init__(f"what came of transaction {outcome.id} is not known: {outcome.note}")
        self.outcome = outcome
