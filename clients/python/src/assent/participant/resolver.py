"""Frees a service from branches that nobody ends: finds those that are in doubt for longer than a bound, asks the
coordinator what came of them, and commits or aborts them accordingly.

Why: a coordinator does not remember what it aborted (presumed abort), and whoever began the transaction may be gone.
The question is sealing: after it an undecided transaction that nobody runs is aborted for good. So the resolver never
decides anything; what it cannot learn stays in doubt.

A thread of its own, from construction to stop(). It asks a few at a time, oldest first; a branch that could not be
resolved comes again after a pause that grows, so that one whose coordinator is lost does not keep the others from being
asked. It also forgets ended branches when no calls come.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from dataclasses import dataclass
from typing import Callable, Optional

from ..client import Client
from ..errors import AssentError
from ..outcome import ATTEMPT_IS_TOLD, Outcome
from .barrier import BranchKey, InDoubt
from .branches import Branches
from .register import Branch, Call

_LOOKED_AT_MAX = 1000  # of those in doubt; the oldest
_QUESTIONS_MAX = 16  # at a look
_LOG = logging.getLogger("assent")


class Fate(enum.Enum):
    """What came of a transaction, as far as whoever was asked knows."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


AskFate = Callable[[InDoubt], Fate]


def fate_of(one: InDoubt, outcome: Outcome) -> Fate:
    """The rules of participant.proto, IN DOUBT. Pure.

    Only the yes of the attempt that was decided was counted: if one id was used for two contents, the register may hold
    the yes of the other one, and that is aborted. Services run in two phases: what another protocol committed was not
    theirs. Expired: the group keeps a commit until every service has said that it committed, so what it has forgotten
    was none. Another group's "expired" proves nothing. The aborted steps of a saga are compensated in the reverse order,
    and the coordinator tells each when it is its turn: who went ahead would be before those behind it.
    """
    if outcome.committed:
        return _fate_of_commit(one, outcome)
    if outcome.aborted and outcome.mode == "saga":
        return Fate.OPEN
    forgotten = outcome.state == "expired" and one.coordinator != ""
    return Fate.ABORTED if outcome.aborted or forgotten else Fate.OPEN


def _fate_of_commit(one: InDoubt, outcome: Outcome) -> Fate:
    if outcome.protocol not in ("two-phase", "auto"):
        return Fate.ABORTED
    if outcome.attempt is None:  # a node that does not tell it; by an older definition none does
        return Fate.OPEN if ATTEMPT_IS_TOLD else Fate.COMMITTED
    return Fate.COMMITTED if outcome.attempt == one.attempt else Fate.ABORTED


def ask_coordinator(client: Client) -> AskFate:
    """By GetOutcome with seal, at the group that the branch names. The client must outlive the resolver."""
    return lambda one: fate_of(one, client.seal(one.key.txn_id, group=one.coordinator))


@dataclass
class Resolved:
    committed: int = 0
    aborted: int = 0
    open: int = 0  # asked, and still in doubt
    trouble: str = ""  # the last

    def any(self) -> bool:
        return bool(self.committed or self.aborted or self.open or self.trouble)


@dataclass
class _Pause:
    until: float = 0.0
    length: float = 0.0


def _log(found: Resolved) -> None:
    _LOG.info("branches in doubt: %s", found)


class Resolver:
    def __init__(
        self,
        branches: Branches,
        ask: AskFate,
        *,
        patience: float = 10.0,
        interval: float = 2.0,
        pause_max: float = 60.0,
        told: Optional[Callable[[Resolved], None]] = None,
    ):
        """patience: in doubt for so long before it asks, in s. interval: between two looks. pause_max: until a branch
        is asked about again; begins with the interval, doubles. told: after each look that found something, on the
        resolver's thread; None: a line in the log `assent`."""
        self._branches = branches
        self._ask = ask
        self._patience = patience
        self._interval = interval
        self._pause_max = max(interval, pause_max)
        self._told = told or _log
        self._pauses: dict[BranchKey, _Pause] = {}  # the thread's own
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="assent resolver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits for the question that is under way."""
        self._stopping.set()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            found = self._look()
            try:
                if found.any():
                    self._told(found)
                self._branches.forget_some()
            except AssentError:
                pass  # what could not be forgotten now is so at the next look
            except Exception:
                _LOG.exception("the resolver goes on")
            if self._stopping.wait(self._interval):
                return

    def _look(self) -> Resolved:
        all_of_it = Resolved()
        try:
            found = self._branches.in_doubt(self._patience, _LOOKED_AT_MAX)
        except AssentError as error:
            all_of_it.trouble = error.message
            return all_of_it
        there = {one.key for one in found}
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in there}
        questions = 0
        for one in found:
            if time.monotonic() < self._pauses.get(one.key, _Pause()).until:
                continue
            questions += 1
            if questions > _QUESTIONS_MAX or self._stopping.is_set():
                break
            self._resolve(one, all_of_it)
        return all_of_it

    def _resolve(self, one: InDoubt, all_of_it: Resolved) -> None:
        try:
            fate = self._ask(one)
        except Exception as error:  # noqa: BLE001 - whatever the question raises, nothing was learned
            all_of_it.trouble = str(error)
            fate = Fate.OPEN
        if fate is not Fate.OPEN:
            call = Call.COMMIT if fate is Fate.COMMITTED else Call.ABORT
            branch = Branch(one.key.txn_id, one.key.name, one.attempt, one.coordinator)
            answer = self._branches.end(call, branch)
            if answer.ok:
                all_of_it.committed += call is Call.COMMIT
                all_of_it.aborted += call is Call.ABORT
                return
            all_of_it.trouble = answer.message
        all_of_it.open += 1
        pause = self._pauses.setdefault(one.key, _Pause())
        pause.length = min(max(2 * pause.length, self._interval), self._pause_max)
        pause.until = time.monotonic() + pause.length
