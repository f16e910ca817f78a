"""A service that is killed (SIGKILL) after every step of its local transactions, and started again: whatever it was
doing, the coordinator that repeats its calls finds the work done exactly once, or not at all.

Processes are forked from this one, which has no thread and no connection when it does so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
import unittest
from typing import Any

from assent.participant import Branch, Branches
from assent.participant.register import Call

from support_participants import EffectsParticipant, MariadbPlace, Place, PostgresPlace, SqlitePlace, branch_of

PREPARE, COMMIT, ABORT = Call.PREPARE, Call.COMMIT, Call.ABORT
# Steps, what the last one is answered once all are through, effects of prepare, commit and abort in the end.
SCENARIOS = {
    "commit": ([(PREPARE, b"yes"), (COMMIT, b"")], "", (1, 1, 0)),
    "abort": ([(PREPARE, b"yes"), (ABORT, b"")], "", (1, 0, 1)),
    "refusal": ([(PREPARE, b"no"), (ABORT, b"")], "", (0, 0, 0)),
    "abort first": ([(ABORT, b""), (PREPARE, b"yes")], "BRANCH_ABORTED", (0, 0, 0)),
    "read only": ([(PREPARE, b"read-only"), (COMMIT, b"")], "", (1, 0, 0)),
}
STEPS = ("begin", "load", "insert", "update", "forgotten_through", "begin_work", "keep_work", "undo_work", "commit")


class Fuse:
    """A barrier whose local transactions count their steps down, and kill the process at zero."""

    def __init__(self, inner: Any, steps: int):
        self._inner = inner
        self._left = steps

    def take(self) -> Any:
        local = self._inner.take()
        for name in STEPS:
            setattr(local, name, self._counted(getattr(local, name)))
        return local

    def _counted(self, step: Any) -> Any:
        def act(*arguments: Any) -> Any:
            done = step(*arguments)
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return act


def carry_out(branches: Branches, call: Call, payload: bytes, branch: Branch) -> Any:
    return branches.prepare(branch, payload) if call is PREPARE else branches.end(call, branch)


def live(place: Place, steps: list, branch: Branch, fuse: int) -> bool:
    """One life of the service; False: it was killed on the way."""
    child = os.fork()
    if child == 0:
        try:
            branches = Branches("", EffectsParticipant(place), Fuse(place.open(), fuse))  # type: ignore[arg-type]
            for call, payload in steps:
                carry_out(branches, call, payload, branch)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == 0


class KillPoints:
    Kind: type[Place]

    def test_after_any_crash_the_repeated_calls_end_as_if_there_had_been_none(self) -> None:
        place = self.Kind.borrow()
        place.make_tables()
        place.look.close()  # a connection does not survive a fork
        crashes = {name: 0 for name in SCENARIOS}
        lives: list[tuple[str, int, Branch]] = []
        for name, (steps, _, _) in SCENARIOS.items():
            fuse, whole = 0, False
            while not whole:
                fuse += 1
                branch = branch_of(len(lives) + 1)
                whole = live(place, steps, branch, fuse)
                lives.append((name, fuse, branch))
                crashes[name] += not whole
        place.look = place.connect()
        with contextlib.closing(place.look), contextlib.closing(place.open()) as barrier:
            branches = Branches("", EffectsParticipant(place), barrier)
            for name, fuse, branch in lives:
                self.expect_right(place, branches, name, branch, f"{name}, killed at step {fuse}")
        self.assertTrue(all(count >= 6 for count in crashes.values()), f"after each step: {crashes}")

    def expect_right(self, place: Place, branches: Branches, name: str, branch: Branch, message: str) -> None:
        steps, last, effects = SCENARIOS[name]
        for call, payload in steps:
            answer = carry_out(branches, call, payload, branch)
        self.assertEqual(answer.reason, last, message)
        found = tuple(place.effects(branch, what) for what in ("prepare", "commit", "abort"))
        self.assertEqual(found, effects, message)


class SqliteKillPoints(KillPoints, unittest.TestCase):
    Kind = SqlitePlace


class PostgresKillPoints(KillPoints, unittest.TestCase):
    Kind = PostgresPlace


class MariadbKillPoints(KillPoints, unittest.TestCase):
    Kind = MariadbPlace


if __name__ == "__main__":
    unittest.main()
