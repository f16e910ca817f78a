"""Transfers across a shard and two Python services, which are killed under load: the balances are right in the end."""

from __future__ import annotations

import json
import threading
import time
import unittest

import assent

from support import Cluster, eventually
from support_participants import MariadbPlace, PostgresPlace
from support_services import AccountService

BALANCE = 1_000_000


class KilledServices(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.wait_until_ready()
        places = {"payment": PostgresPlace(), "savings": MariadbPlace()}
        self.services = [
            AccountService(place, name, BALANCE, self.cluster.endpoints) for name, place in places.items()
        ]
        for service in self.services:
            self.addCleanup(service.__exit__)
            service.wait_until_serving()
        with assent.connect(self.cluster.endpoints, timeout=60) as client:
            client.run(lambda tx: tx.execute("s1", "CREATE TABLE orders(id TEXT PRIMARY KEY)")).require()
        self.lock = threading.Lock()  # protects the three below
        self.told: dict[str, assent.Outcome] = {}
        self.asked = 0
        self.trouble: list[BaseException] = []
        self.stopping = threading.Event()

    def test_nothing_is_lost_or_done_twice(self) -> None:
        threads = [threading.Thread(target=self.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for round_number in range(4):
                self.wait_for(4)
                self.services[round_number % 2].restart()
            self.wait_for(4)
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
        self.expect_balanced()

    def work(self) -> None:
        try:
            with assent.connect(self.cluster.endpoints) as client:
                while not self.stopping.is_set():
                    self.one(client)
        except BaseException as error:  # noqa: BLE001 - for the test to show
            self.trouble.append(error)

    def one(self, client: assent.Client) -> None:
        """A row at the shard, 1 from payment to savings. The deadline is short, so that kills leave unknown
        outcomes."""
        transaction = assent.Transaction(id=assent.new_txn_id(), timeout=3.0)
        transaction.sql("s1", "INSERT INTO orders VALUES(?1)", transaction.id)
        for service, amount in zip(self.services, (-1, 1)):
            transaction.call(service.name, service.address, json.dumps({"amount": amount}), service.name)
        try:
            outcome = client.execute(transaction, timeout=3.0)
        except assent.AssentError:
            return  # certainly not begun
        unknown = outcome.unknown
        while outcome.unknown:
            try:
                outcome = client.seal(outcome, timeout=20)
            except assent.AssentError:
                time.sleep(0.05)
        with self.lock:
            self.told[outcome.id] = outcome
            self.asked += unknown

    def committed(self) -> set[str]:
        with self.lock:
            return {txn_id for txn_id, outcome in self.told.items() if outcome.committed}

    def wait_for(self, more: int) -> None:
        wanted = len(self.committed()) + more
        there = eventually(lambda: self.trouble or len(self.committed()) >= wanted, 60)
        self.assertFalse(self.trouble)
        self.assertTrue(there, [outcome.message for outcome in self.told.values()][-3:])

    def expect_balanced(self) -> None:
        self.assertFalse(self.trouble)
        payment, savings = self.services
        self.assertTrue(
            eventually(lambda: payment.in_doubt() + savings.in_doubt() == 0, 60),
            f"{payment.in_doubt()} and {savings.in_doubt()} in doubt",
        )
        with assent.connect(self.cluster.endpoints, timeout=60) as client:
            orders = {txn_id for (txn_id,) in client.query("s1", "SELECT id FROM orders")}
        self.assertEqual(orders, self.committed(), "what was told is what is in the books")
        self.assertEqual(payment.balance(), BALANCE - len(orders))
        self.assertEqual(savings.balance(), BALANCE + len(orders))
        for service in self.services:
            self.assertEqual(service.done("commit"), len(orders))
            self.assertEqual(service.done("prepare"), service.done("commit") + service.done("abort"))


if __name__ == "__main__":
    unittest.main()
