"""How an operation says what it wants done, so that one set of rules serves threads and asyncio.

An operation is a generator. It yields a Call, a Survey or a Pause, and is sent back what came of it: a Reply, a list of
(endpoint, Reply), or None. It never blocks and never touches a connection itself; transport.py and aio.py carry it out.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any, Callable, Generator, Optional, TypeVar, Union

from .judge import Failure

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    message: Any = None
    failure: Optional[Failure] = None


@dataclass(frozen=True)
class Call:
    endpoint: str
    service: str  # Coordinator, Shard or Cluster
    method: str
    request: Any
    timeout: float  # s


@dataclass(frozen=True)
class Survey:
    """Calls at the same time. `heard` gets each reply as it comes; when it says True the others are given up."""

    calls: tuple[Call, ...]
    heard: Callable[[str, Reply], bool]


@dataclass(frozen=True)
class Pause:
    seconds: float


Step = Union[Call, Survey, Pause]
Steps = Generator[Step, Any, T]


class Backoff:
    """Pauses that grow up to a bound, with jitter: many that failed together do not come back together."""

    def __init__(self, initial: float, longest: float):
        self._current = initial
        self._longest = longest

    def next(self) -> float:
        """Between half of the current pause and all of it."""
        pause = self._current * random.uniform(0.5, 1.0)
        self._current = min(2 * self._current, self._longest)
        return pause


class Pace:
    """Of one operation: how long the next attempt may take, and the pause before it."""

    _HINTS_FOLLOWED_AT_ONCE = 3  # two nodes may point at each other

    def __init__(self, attempt_timeout: float, deadline: float):
        self._attempt_timeout = attempt_timeout
        self._deadline = deadline
        self._backoff = Backoff(0.010, 0.200)
        self._followed = 0

    def attempt_deadline(self) -> float:
        """Twice as long each time."""
        own = time.monotonic() + self._attempt_timeout
        self._attempt_timeout *= 2
        return min(own, self._deadline)

    def pause(self, follow_now: bool) -> Pause:
        if follow_now:
            self._followed += 1
            if self._followed % (self._HINTS_FOLLOWED_AT_ONCE + 1) != 0:
                return Pause(0)
        return Pause(min(self._backoff.next(), left(self._deadline)))

    def over(self) -> bool:
        return time.monotonic() >= self._deadline


def left(deadline: float) -> float:
    """Seconds until then; 0 when it has passed."""
    return max(0.0, deadline - time.monotonic())
