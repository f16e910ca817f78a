"""The attempts of one run(): ids and age, what to do at the end of each, whether to try again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from . import operations
from .courier import Courier
from .errors import AssentError, GaveUpError, InvalidError, NotFoundError, RefusedError
from .ids import new_txn_id
from .outcome import Outcome
from .steps import Backoff, Pause, Steps, left
from .transactions import Attempt
from .work import PROTOCOLS, get, key_value, put

_OPTIMISTIC_MAX = 3  # attempts of what only reads; then it locks
_REQUEST_KEY = "assent/request/"


@dataclass(frozen=True)
class RunOptions:
    name: str = "transaction"
    request_id: Optional[str] = None
    request_shard: Optional[str] = None
    attempts_max: int = 64
    protocol: str = "auto"


class Interaction:
    """begin(), then the function, then commit() or give_up(); until one of the two says how it ended.

    With a request_id the first thing that each attempt does is to read a key of that name, and the last to write its
    own id into it. Both are part of the transaction: so of all attempts of the request, by whatever process, at most
    one commits, and who comes later finds its id.
    """

    def __init__(self, courier: Courier, options: RunOptions, deadline: float):
        if options.protocol not in PROTOCOLS:
            raise InvalidError(f"there is no protocol {options.protocol!r}; there are {', '.join(PROTOCOLS)}")
        if options.request_id is not None and not 1 <= len(options.request_id.encode()) <= 200:
            raise InvalidError("a request_id has 1 to 200 bytes")
        self._courier = courier
        self._options = options
        self._deadline = deadline
        self._backoff = Backoff(0.001, 0.100)
        self._earlier: list[str] = []
        self._request_shard = options.request_shard
        self.attempt: Attempt

    def begin(self) -> Steps[Optional[Outcome]]:
        """The next attempt is there when it returns None; otherwise the request committed in an earlier run."""
        self._courier.check_open()
        coordinators = self._courier.directory.named("coordinator")
        coordinator = coordinators[0] if coordinators else ""
        self.attempt = Attempt(self._courier, new_txn_id(), coordinator, self._deadline)
        if self._options.request_id is None:
            return None
        return (yield from self._look_for_the_request())

    def commit(self, value: Any) -> Steps[Optional[Outcome]]:
        """The function returned. None: it is to run again, the pause is over."""
        attempt = self.attempt
        if attempt.failure:
            return (yield from self.give_up(attempt.failure))
        if self._options.request_id is not None:
            assert self._request_shard is not None
            attempt.write(self._request_shard, put(self._key(), attempt.id))
        try:
            outcome = yield from self._settle()
        except AssentError as error:
            raise self._named(error)
        if operations.worth_a_new_attempt(outcome) and self._may_try_again():
            return (yield from self._try_again())
        return outcome.but(earlier=tuple(self._earlier), value=value)

    def give_up(self, error: Exception) -> Steps[None]:
        """The function raised, or a read of it did. If that followed from reads of different moments it may follow from
        a state that never was: then it returns, and the function runs again. Otherwise raises the error."""
        unasked = error is self.attempt.failure and not isinstance(error, (RefusedError, InvalidError, NotFoundError))
        if not unasked and self._may_try_again():
            try:
                held = yield from self.attempt.still_true()
            except AssentError:
                held = True  # it cannot be found out: what the function says stands
            if not held:
                return (yield from self._try_again())
        raise self._named(error)

    def _settle(self) -> Steps[Outcome]:
        """Reads alone need no log: when nothing of it has changed by now, all of it held when the last one was made."""
        attempt = self.attempt
        done = Outcome(attempt.id, "committed", participants=tuple(attempt.shards))
        if not attempt.writes:
            if not attempt.shards or attempt.nothing_but_one_read():
                return done
            if len(self._earlier) < _OPTIMISTIC_MAX:
                if (yield from attempt.still_true()):
                    return done
                return done.but(state="aborted", reason="conflict", message="what it read has changed meanwhile")
        first_id = self._earlier[0] if self._earlier else attempt.id
        transaction = attempt.transaction(first_id, self._options.protocol)
        return (yield from operations.execute(self._courier, transaction, self._deadline))

    def _may_try_again(self) -> bool:
        more = len(self._earlier) + 1 < self._options.attempts_max
        return more and left(self._deadline) > 0 and not self._courier.closed

    def _try_again(self) -> Steps[None]:
        self._earlier.append(self.attempt.id)
        yield Pause(self._backoff.next())

    # ---- requests ----

    def _key(self) -> str:
        return _REQUEST_KEY + str(self._options.request_id)

    def _look_for_the_request(self) -> Steps[Optional[Outcome]]:
        if self._request_shard is None:
            yield from self._courier.find_coordinator(self._deadline)  # then the shards are known as well
            self._request_shard = self._courier.directory.named("shard")[0]
        found = key_value((yield from self.attempt.read(self._request_shard, get(self._key()))))
        if found is None:
            return None
        note = f"the request {self._options.request_id!r} had committed before"
        outcome = Outcome(found.decode("ascii", "replace"), "committed", repeated=True, note=note)
        return outcome.but(earlier=tuple(self._earlier))

    def _named(self, error: Exception) -> Exception:
        """With the transaction's name, when it is an error of ours; an error of the function's own as it is."""
        if isinstance(error, AssentError) and not error.message.startswith(f"{self._options.name}: "):
            error.message = f"{self._options.name}: " + (
                f"the function gave up: {error.message}" if isinstance(error, GaveUpError) else error.message
            )
        return error
