"""The barrier's contract over SQLite, and what SQLite alone does to it."""

from __future__ import annotations

import os
import unittest

from assent.participant import DatabaseError, SqliteBarrier, Vote
from assent.participant.register import State

from barrier_contract import BarrierContract
from support_participants import SqlitePlace, branch_of


class Sqlite(BarrierContract, unittest.TestCase):
    Kind = SqlitePlace

    def test_what_is_no_file_on_a_disk_is_refused(self) -> None:
        for path in ("", ":memory:", "file:x?mode=memory"):
            with self.assertRaisesRegex(DatabaseError, "a yes must outlive the process"):
                SqliteBarrier(path)
        with self.assertRaisesRegex(DatabaseError, "cannot open"):
            SqliteBarrier(os.path.join(self.place.path, "below a file"))
        with open(self.place.path + ".text", "w") as file:
            file.write(1000 * "this is no database. ")
        with self.assertRaisesRegex(DatabaseError, "not a database"):
            SqliteBarrier(self.place.path + ".text")

    def test_work_cannot_attach_another_file(self) -> None:
        service = self.start()
        self.participant.prepare = lambda _, db, __: db.execute("ATTACH 'other.db' AS other")  # type: ignore
        no = service.prepare(branch_of(), b"")
        self.assertEqual((no.refusal, no.message), ("EXCEPTION", "not authorized"))

    def test_a_writer_elsewhere_is_waited_for_and_then_told(self) -> None:
        barrier = self.place.open(patience=0.1)
        self.addCleanup(barrier.close)
        self.place.execute(self.place.look, "BEGIN IMMEDIATE")
        local = barrier.take()
        with self.assertRaisesRegex(DatabaseError, "database is locked"):
            local.begin(True)
        with self.assertRaisesRegex(DatabaseError, "in use by other branches"):
            barrier.take()
        local.give_back()
        self.place.execute(self.place.look, "ROLLBACK")

    def test_commits_are_synced(self) -> None:
        service = self.start()
        seen = []

        def prepare(_, db, __) -> Vote:
            seen.extend([db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")])
            return Vote.yes()

        self.participant.prepare = prepare  # type: ignore[method-assign]
        self.assertTrue(service.prepare(branch_of(), b"").ok)
        self.assertEqual(seen, [2, "wal"])
        self.assertIs(self.state(service, branch_of()), State.PREPARED)


if __name__ == "__main__":
    unittest.main()
