"""The barrier's contract over MariaDB, and what MariaDB alone does to it."""

from __future__ import annotations

import unittest

from assent.participant import DatabaseError, MariadbBarrier, Vote
from assent.participant.register import Call, Code, State

from barrier_contract import BarrierContract
from support_participants import MariadbPlace, branch_of


class Mariadb(BarrierContract, unittest.TestCase):
    Kind = MariadbPlace

    def lose_connections(self) -> int:
        others = self.place.execute(
            self.place.look,
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        )
        for (number,) in others:
            self.place.execute(self.place.look, f"KILL {number}")
        return len(others)

    def test_a_connection_that_was_lost_is_made_again(self) -> None:
        service = self.start()
        self.assertTrue(service.prepare(branch_of(1), b"yes").ok)
        self.assertGreater(self.lose_connections(), 0)
        self.assertTrue(service.end(Call.COMMIT, branch_of(1)).ok)
        self.assertEqual(self.place.effects(branch_of(1), "commit"), 1)

    def test_a_connection_that_is_lost_in_the_work_leaves_nothing(self) -> None:
        service = self.start()
        prepare = self.participant.prepare

        def loses(branch, db, payload) -> Vote:
            vote = prepare(branch, db, payload)
            self.lose_connections()
            return vote

        self.participant.prepare = loses  # type: ignore[method-assign]
        self.assertIs(service.prepare(branch_of(), b"yes").code, Code.UNKNOWN)
        self.participant.prepare = prepare  # type: ignore[method-assign]
        self.assertTrue(service.prepare(branch_of(), b"yes").ok)
        self.assertEqual(self.place.effects(branch_of(), "prepare"), 1)

    def test_a_statement_that_commits_by_itself_is_a_no(self) -> None:
        service = self.start()
        prepare = self.participant.prepare

        def alters(branch, db, payload) -> Vote:
            vote = prepare(branch, db, payload)
            self.place.execute(db, "CREATE TABLE torn(x INTEGER)")
            return vote

        self.addCleanup(self.place.execute, self.place.look, "DROP TABLE IF EXISTS torn")
        self.participant.prepare = alters  # type: ignore[method-assign]
        self.assertIs(service.prepare(branch_of(), b"yes").code, Code.UNKNOWN)
        self.assertEqual(service.prepare(branch_of(), b"yes").refusal, "TORN")
        self.assertIs(self.state(service, branch_of()), State.REFUSED)

    def test_a_server_that_does_not_sync_is_refused(self) -> None:
        self.place.execute(self.place.look, "SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        try:
            with self.assertRaisesRegex(DatabaseError, "innodb_flush_log_at_trx_commit=2: a yes may be lost"):
                self.place.open()
        finally:
            self.place.execute(self.place.look, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        self.place.open().close()

    def test_tables_without_transactions_are_refused(self) -> None:
        self.place.open().close()
        self.place.execute(self.place.look, "ALTER TABLE assent_branches ENGINE = MyISAM")
        with self.assertRaisesRegex(DatabaseError, "MyISAM, which has no transactions"):
            self.place.open()

    def test_what_cannot_work_is_said(self) -> None:
        with self.assertRaisesRegex(DatabaseError, "no database is given"):
            MariadbBarrier(host="127.0.0.1")
        with self.assertRaisesRegex(DatabaseError, "MariaDB cannot be reached"):
            MariadbBarrier(host="127.0.0.1", port=1, database="x")


if __name__ == "__main__":
    unittest.main()
