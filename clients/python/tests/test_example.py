"""The example of README.md runs, and says what it should."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import unittest
from pathlib import Path

from support import Cluster, eventually, scratch_folder

EXAMPLE = Path(__file__).parent.parent / "examples" / "transfer.py"


class Example(unittest.TestCase):
    def test_it_moves_what_is_there_and_no_more(self) -> None:
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.wait_until_ready()
        path = str(scratch_folder() / "ledger.db")
        ran = subprocess.run(
            [sys.executable, str(EXAMPLE), path],
            env={**os.environ, "ASSENT_ENDPOINTS": cluster.endpoints},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        lines = ran.stdout.splitlines()
        self.assertEqual(lines[:2], ["30 committed ", "50 committed "], ran.stdout)
        self.assertIn("70 aborted", lines[2])
        self.assertIn("the ledger has less than 70", lines[2])
        self.assertEqual(lines[3], "moved 80")
        db = sqlite3.connect(path)
        self.addCleanup(db.close)
        self.assertTrue(eventually(lambda: db.execute("SELECT cents FROM ledger").fetchone() == (20,)))


if __name__ == "__main__":
    unittest.main()
