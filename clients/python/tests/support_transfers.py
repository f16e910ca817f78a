"""Money that moves between s1 and s2 from several threads, and books that say what must have become of it."""

from __future__ import annotations

import random
import threading
import time
import unittest
from typing import Callable, Optional

import assent

ACCOUNTS = 8
PAID_IN = 1000


class Transfers:
    """Every transfer leaves a row of its own at both shards. An outcome that is unknown is asked until it is not."""

    def __init__(self, client: assent.Client, table: str = "transfers"):
        self._client = client
        self._table = table
        client.run(self._make_tables).require()
        client.run(self._pay_in).require()
        self._lock = threading.Lock()  # protects all below
        self.outcomes: list[assent.Outcome] = []
        self.asked = 0  # outcomes that were unknown
        self.failed = 0  # certainly not begun
        self.trouble: Optional[BaseException] = None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def _make_tables(self, tx: assent.Tx) -> None:
        for shard in ("s1", "s2"):
            tx.execute(shard, f"CREATE TABLE {self._table}(id TEXT PRIMARY KEY, amount INTEGER NOT NULL)")
            tx.execute(
                shard,
                f"CREATE TABLE {self._table}_accounts(id INTEGER PRIMARY KEY, balance INTEGER CHECK(balance >= 0))",
            )

    def _pay_in(self, tx: assent.Tx) -> None:
        for shard in ("s1", "s2"):
            for account in range(ACCOUNTS):
                tx.execute(shard, f"INSERT INTO {self._table}_accounts VALUES(?1, ?2)", account, PAID_IN)

    def start(self, connect: Callable[[], assent.Client], threads: int) -> None:
        self._threads = [threading.Thread(target=self._work, args=(connect,)) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, more: int, at_most: float = 60.0) -> None:
        """Until so many more have committed."""
        wanted = self.committed() + more
        end = time.monotonic() + at_most
        while self.committed() < wanted:
            if time.monotonic() > end or self.trouble:
                self.stop()
                raise AssertionError(f"only {self.committed()} of {wanted} have committed; {self.trouble!r}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def committed(self) -> int:
        with self._lock:
            return sum(outcome.committed for outcome in self.outcomes)

    def _work(self, connect: Callable[[], assent.Client]) -> None:
        try:
            with connect() as client:
                while not self._stopping.is_set():
                    self._one(client)
        except BaseException as error:  # noqa: BLE001 - for the test to show
            self.trouble = error

    def _one(self, client: assent.Client) -> None:
        source, target, amount = random.randrange(ACCOUNTS), random.randrange(ACCOUNTS), random.randint(1, 5)
        try:
            outcome = client.run(lambda tx: self._transfer(tx, source, target, amount), name="transfer")
        except (assent.UnreachableError, assent.NoLeaderError, assent.TimedOutError, assent.BusyError):
            with self._lock:
                self.failed += 1
            return
        unknown = outcome.unknown
        while outcome.unknown:
            try:
                outcome = client.seal(outcome, timeout=20)
            except assent.AssentError:
                time.sleep(0.05)
        with self._lock:
            self.outcomes.append(outcome)
            self.asked += unknown

    def _transfer(self, tx: assent.Tx, source: int, target: int, amount: int) -> None:
        accounts = f"{self._table}_accounts"
        tx.execute("s1", f"UPDATE {accounts} SET balance = balance - ?1 WHERE id = ?2", amount, source)
        tx.execute("s2", f"UPDATE {accounts} SET balance = balance + ?1 WHERE id = ?2", amount, target)
        for shard in ("s1", "s2"):
            tx.execute(shard, f"INSERT INTO {self._table} VALUES(?1, ?2)", tx.id, amount)

    def expect_balanced(self, test: unittest.TestCase) -> None:
        test.assertIsNone(self.trouble)
        rows = assent.sql(f"SELECT id, amount FROM {self._table} ORDER BY id")
        total = assent.sql(f"SELECT sum(balance) FROM {self._table}_accounts")
        books = self._client.read({"s1": [rows, total], "s2": [rows, total]}, timeout=60)
        test.assertEqual(books["s1"][0].rows, books["s2"][0].rows, "both shards have the same transfers")
        moved = sum(amount for _, amount in books["s1"][0])
        test.assertEqual(books["s1"][1].value(), ACCOUNTS * PAID_IN - moved)
        test.assertEqual(books["s2"][1].value(), ACCOUNTS * PAID_IN + moved)
        told = sorted(outcome.id for outcome in self.outcomes if outcome.committed)
        test.assertEqual([txn_id for txn_id, _ in books["s1"][0]], told, "what was told is what is in the books")
