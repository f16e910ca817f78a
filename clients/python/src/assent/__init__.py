"""Assent in Python: a client of a cluster, and what a service needs to take part in its transactions. See README.md."""

from .client import Client, connect
from .errors import (
    AbortedError,
    AssentError,
    BusyError,
    ClosedError,
    GaveUpError,
    InternalError,
    InvalidError,
    NoLeaderError,
    NotFoundError,
    RefusedError,
    TimedOutError,
    Tried,
    UnknownOutcomeError,
    UnreachableError,
)
from .ids import new_txn_id
from .outcome import Outcome
from .propagation import IncomingTransaction, OutgoingTransaction
from .transactions import Tx
from .work import Rows, ServiceCall, Transaction, add, erase, expect, get, put, sql

__all__ = [name for name in dir() if not name.startswith("_") and name not in ("v1",)]
