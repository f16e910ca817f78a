"""The barrier's contract over PostgreSQL, and what PostgreSQL alone does to it."""

from __future__ import annotations

import unittest

from assent.participant import DatabaseError, PostgresBarrier, Vote
from assent.participant.register import Call, Code

from barrier_contract import BarrierContract
from support import eventually
from support_participants import PostgresPlace, branch_of

LOSE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'assent barrier'"


class Postgres(BarrierContract, unittest.TestCase):
    Kind = PostgresPlace

    def test_a_connection_that_was_lost_is_made_again(self) -> None:
        service = self.start()
        self.assertTrue(service.prepare(branch_of(1), b"yes").ok)
        self.assertGreater(self.place.number(LOSE), 0)
        self.assertTrue(service.end(Call.COMMIT, branch_of(1)).ok)
        self.assertEqual(self.place.effects(branch_of(1), "commit"), 1)

    def test_a_connection_that_is_lost_in_the_work_leaves_nothing(self) -> None:
        service = self.start()
        prepare = self.participant.prepare

        def loses(branch, db, payload) -> Vote:
            vote = prepare(branch, db, payload)
            self.place.number(LOSE)
            return vote

        self.participant.prepare = loses  # type: ignore[method-assign]
        self.assertIs(service.prepare(branch_of(), b"yes").code, Code.UNKNOWN)
        self.participant.prepare = prepare  # type: ignore[method-assign]
        self.assertTrue(service.prepare(branch_of(), b"yes").ok)
        self.assertEqual(self.place.effects(branch_of(), "prepare"), 1)

    def test_a_server_that_does_not_sync_is_refused(self) -> None:
        def set_fsync(statement: str, shown: str) -> None:
            self.place.execute(self.place.look, statement)
            self.place.execute(self.place.look, "SELECT pg_reload_conf()")
            self.assertTrue(eventually(lambda: self.place.execute(self.place.look, "SHOW fsync")[0][0] == shown))

        set_fsync("ALTER SYSTEM SET fsync = off", "off")
        try:
            with self.assertRaisesRegex(DatabaseError, "fsync=off: a yes may be lost with the power"):
                self.place.open()
        finally:
            set_fsync("ALTER SYSTEM RESET fsync", "on")
        self.place.open().close()

    def test_commits_are_synced_where_the_database_would_not(self) -> None:
        name = self.place.name  # type: ignore[attr-defined]
        self.place.execute(self.place.look, f"ALTER DATABASE {name} SET synchronous_commit = off")
        self.addCleanup(self.place.execute, self.place.look, f"ALTER DATABASE {name} RESET synchronous_commit")
        service = self.start()
        self.participant.prepare = lambda _, db, __: Vote.yes(  # type: ignore[method-assign]
            self.place.execute(db, "SHOW synchronous_commit")[0][0].encode()
        )
        self.assertEqual(service.prepare(branch_of(), b"").result, b"on")

    def test_a_server_that_is_away_is_said(self) -> None:
        with self.assertRaisesRegex(DatabaseError, "PostgreSQL cannot be reached: .*refused"):
            PostgresBarrier("host=127.0.0.1 port=1 dbname=x")


if __name__ == "__main__":
    unittest.main()
