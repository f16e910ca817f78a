"""Brings a request to the leader of a group and comes back with what that leader said.

Knows how to find nodes and leaders, and remembers what failed. It does not know what may be sent twice: that is the
business of operations.py. Functions are generators (steps.py). Safe from any thread.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Optional

from .directory import Directory, Target
from .errors import AssentError, BusyError, ClosedError, RefusedError, TimedOutError
from .judge import ANSWERED, Judgement, Verdict, error_of, judge
from .steps import Backoff, Call, Pace, Pause, Reply, Steps, Survey, left
from .v1 import assent_pb2 as pb

_REFRESH_SPACING = 0.020  # between two surveys of one client, however many operations look for a leader
_DOUBTFUL_TIMEOUT = 0.250  # of a node that failed: it is asked again, but nobody waits long for it


@dataclass(frozen=True)
class Options:
    timeout: float = 10.0  # of a call that brings none, in s
    attempt_timeout: float = 1.0  # without an answer the same request goes out again; doubled each time
    status_timeout: float = 1.0  # for one node's status


@dataclass(frozen=True)
class Delivery:
    target: Target
    judgement: Judgement
    message: Any
    follow_now: bool = False  # the hint names somebody else worth asking at once


class Courier:
    def __init__(self, endpoints: list[str], options: Options):
        self.options = options
        self.directory = Directory(endpoints)
        self.closed = False
        self._lock = threading.Lock()  # protects the time of the next survey
        self._next_survey = 0.0

    def pace(self, deadline: float) -> Pace:
        return Pace(self.options.attempt_timeout, deadline)

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("the client is closed")

    def find_leader(self, group: str, deadline: float) -> Steps[Target]:
        """Waits for one to be elected until the deadline; then raises what is in the way."""
        backoff = Backoff(0.010, 0.200)
        while True:
            self.check_open()
            known = self.directory.leader(group)
            if known:
                return known
            yield from self._refresh(deadline, group)
            known = self.directory.leader(group)
            if known:
                return known
            if self.directory.lacks(group) or left(deadline) == 0:
                raise self.directory.nobody(group)
            yield Pause(min(backoff.next(), left(deadline)))

    def find_coordinator(self, deadline: float) -> Steps[str]:
        """The name of the coordinator group."""
        backoff = Backoff(0.010, 0.200)
        while True:
            self.check_open()
            names = self.directory.named("coordinator")
            if len(names) > 1:
                listed = ", ".join(names)
                raise RefusedError(f"the cluster has several coordinator groups ({listed}), and this client knows one")
            if names:
                return names[0]
            yield from self._refresh(deadline, "")
            if not self.directory.named("coordinator"):
                if self.directory.lacks("") or left(deadline) == 0:
                    raise self.directory.nobody("")
                yield Pause(min(backoff.next(), left(deadline)))

    def deliver(
        self, group: str, service: str, method: str, request: Any, attempt_deadline: float, deadline: float
    ) -> Steps[Delivery]:
        """One attempt at the group's leader. Raises when no leader was found until the deadline."""
        target = yield from self.find_leader(group, deadline)
        reply: Reply = yield Call(target.endpoint, service, method, request, max(0.001, left(attempt_deadline)))
        judgement = judge(reply.failure) if reply.failure else ANSWERED
        return Delivery(target, judgement, reply.message, self._note(target, judgement))

    def ask_any_replica(self, group: str, service: str, method: str, request: Any, deadline: float) -> Steps[Any]:
        """As ask(), of whichever replica answers: they take turns, from one drawn at random on."""
        pace = self.pace(deadline)
        turn = random.randrange(1 << 16)
        last: Optional[AssentError] = None
        while True:
            self.check_open()
            targets = self.directory.replicas(group)
            if not targets:
                try:
                    leader = yield from self.find_leader(group, deadline)
                except AssentError as error:
                    raise last or error
                targets = self.directory.replicas(group) or [leader]
            first = turn % len(targets)
            for target in targets[first:] + targets[:first]:
                timeout = max(0.001, left(pace.attempt_deadline()))
                reply: Reply = yield Call(target.endpoint, service, method, request, timeout)
                judgement = judge(reply.failure) if reply.failure else ANSWERED
                if judgement.verdict is Verdict.ANSWERED:
                    return reply.message
                if judgement.verdict in (Verdict.INVALID, Verdict.NOT_FOUND, Verdict.REFUSED):
                    raise error_of(judgement)
                if judgement.verdict is not Verdict.ELSEWHERE:
                    self._note(target, judgement)
                last = self.time_is_up(Delivery(target, judgement, None), "a replica")
                if pace.over():
                    raise last
            yield pace.pause(False)
            if pace.over():
                raise last or self.directory.nobody(group)

    def ask(self, group: str, service: str, method: str, request: Any, deadline: float) -> Steps[Any]:
        """A call that may be repeated freely: until it is answered, or the deadline has passed."""
        pace = self.pace(deadline)
        last: Optional[AssentError] = None
        while True:
            try:
                delivery = yield from self.deliver(group, service, method, request, pace.attempt_deadline(), deadline)
            except AssentError as error:
                raise last or error
            if delivery.judgement.verdict is Verdict.ANSWERED:
                return delivery.message
            if delivery.judgement.verdict in (Verdict.INVALID, Verdict.NOT_FOUND, Verdict.REFUSED):
                raise error_of(delivery.judgement)
            last = self.time_is_up(delivery)
            yield pace.pause(delivery.follow_now)
            self.check_open()
            if pace.over():
                raise last

    def time_is_up(self, delivery: Delivery, role: str = "the leader") -> AssentError:
        target, judgement = delivery.target, delivery.judgement
        nobody = self.directory.nobody(target.group)
        kind = {Verdict.BUSY: BusyError, Verdict.LOST: TimedOutError}.get(judgement.verdict, type(nobody))
        return kind(
            f"{target.node} ({target.endpoint}), asked as {role} of {target.group}, said until the time was up: "
            f"{judgement.message}",
            reason=judgement.reason,
            tried=nobody.tried,
        )

    def _note(self, target: Target, judgement: Judgement) -> bool:
        if judgement.verdict is Verdict.ELSEWHERE:
            return self.directory.not_leading(target, judgement.metadata)
        lost = judgement.verdict is Verdict.LOST and not judgement.reason  # an unknown outcome is a node that answers
        if judgement.verdict is Verdict.UNSENT or lost:
            self.directory.failed(target.endpoint, judgement.message)
        return False

    def _refresh(self, deadline: float, wanted: str) -> Steps[None]:
        """Asks all nodes how they stand, until every group has a leader that answers, the wanted one (empty: a
        coordinator) among them, or all have answered: that a group is not there, only all nodes together say."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_survey)
            self._next_survey = start + _REFRESH_SPACING
        if start > now:
            yield Pause(start - now)
            if self._enough(wanted):
                return  # another's survey has found them
        patience = max(_DOUBTFUL_TIMEOUT, min(self.options.status_timeout, left(deadline)))
        asked: set[str] = set()
        while True:
            fresh = [endpoint for endpoint in self.directory.endpoints() if endpoint not in asked]
            if not fresh:
                return
            asked.update(fresh)
            calls = tuple(self._status_call(endpoint, patience) for endpoint in fresh)
            yield Survey(calls, lambda endpoint, reply: self._heard(endpoint, reply, wanted))
            self.check_open()
            if self._enough(wanted):
                return

    def _enough(self, wanted: str) -> bool:
        there = self.directory.leader(wanted) is not None if wanted else bool(self.directory.named("coordinator"))
        return there and self.directory.all_led()

    def _status_call(self, endpoint: str, patience: float) -> Call:
        timeout = _DOUBTFUL_TIMEOUT if self.directory.failing(endpoint) else patience
        return Call(endpoint, "Cluster", "Status", pb.StatusRequest(), timeout)

    def _heard(self, endpoint: str, reply: Reply, wanted: str) -> bool:
        if reply.failure:
            self.directory.failed(endpoint, judge(reply.failure).message)
        else:
            self.directory.answered(endpoint, reply.message)
        return self._enough(wanted)
