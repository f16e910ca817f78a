"""The payment service: what becomes of the money, and the process itself, killed and proven by assentctl
conformance."""

from __future__ import annotations

import contextlib
import json
import unittest
from concurrent import futures
from pathlib import Path
from typing import Any

import assent
from assent.participant import Branches, PostgresBarrier
from assent.participant.register import Call

import payment
from support import ASSENTCTL, Cluster, Program, eventually, free_port, python_program, run, scratch_folder
from support_participants import PostgresPlace, branch_of
from support_services import RestartHook, health_of


def work(cents: Any = 100, customer: Any = "customer-1", **fields: Any) -> bytes:
    return json.dumps({"customer": customer, "cents": cents, **fields}).encode()


class Money(unittest.TestCase):
    def setUp(self) -> None:
        self.place = PostgresPlace()
        self.addCleanup(self.place.look.close)
        self.conninfo = self.place.conninfo(self.place.name)
        payment.with_database(self.conninfo, lambda cursor: payment.open_accounts(cursor, 2, 1000))
        barrier = PostgresBarrier(self.conninfo)
        self.addCleanup(barrier.close)
        self.branches = Branches("payment", payment.Payment(), barrier)

    def expect_books(self, available: int, reserved: int, captured: int) -> None:
        found = payment.with_database(self.conninfo, payment.books)
        self.assertEqual(
            (found["available"], found["reserved"], found["captured"]), (available, reserved, captured), found
        )
        self.assertEqual((found["reserved_by_payments"], found["captured_by_payments"]), (reserved, captured))

    def test_reserved_then_captured(self) -> None:
        branch = branch_of(1)
        yes = self.branches.prepare(branch, work(300, order="o-1"))
        self.assertEqual((yes.ok, json.loads(yes.result)), (True, {"reserved": 300}))
        self.expect_books(1700, 300, 0)
        for _ in range(2):
            self.assertTrue(self.branches.end(Call.COMMIT, branch).ok)
        self.expect_books(1700, 0, 300)

    def test_reserved_then_released(self) -> None:
        branch = branch_of(1)
        self.assertTrue(self.branches.prepare(branch, work(300, order="o-1")).ok)
        for _ in range(2):
            self.assertTrue(self.branches.end(Call.ABORT, branch).ok)
        self.expect_books(2000, 0, 0)
        self.assertTrue(self.branches.prepare(branch_of(2), work(300, order="o-1")).ok, "the order may be tried again")

    def test_what_is_reserved_cannot_be_spent(self) -> None:
        self.assertTrue(self.branches.prepare(branch_of(1), work(700)).ok)
        no = self.branches.prepare(branch_of(2), work(301))
        self.assertEqual((no.reason, no.refusal), ("VOTE_NO", "INSUFFICIENT_FUNDS"))
        self.assertEqual(no.message, "customer-1 has 300 cents to spend, and 301 are asked for")
        self.assertTrue(self.branches.prepare(branch_of(3), work(300)).ok)
        self.expect_books(1000, 1000, 0)

    def test_an_order_is_paid_once(self) -> None:
        self.assertTrue(self.branches.prepare(branch_of(1), work(order="o-1")).ok)
        for end in (None, Call.COMMIT):
            if end:
                self.assertTrue(self.branches.end(end, branch_of(1)).ok)
            no = self.branches.prepare(branch_of(2 if end else 3), work(order="o-1"))
            self.assertEqual(no.refusal, "PAID_ALREADY")
        self.expect_books(1900, 0, 100)

    def test_what_makes_no_sense_is_refused(self) -> None:
        bad = [b"", b"\xff", b"[]", b"7", b"{}", 2000 * b"[", work(0), work(-1), work(True), work(1.5), work("1")]
        bad += [work(10**10), work(customer=""), work(customer=7), work(customer="a\0"), work(order=""), work(order=1)]
        for number, payload in enumerate(bad, 1):
            no = self.branches.prepare(branch_of(number), payload)
            self.assertEqual(no.refusal, "BAD_PAYLOAD", payload)
        no = self.branches.prepare(branch_of(99), work(customer="nobody'; --"))
        self.assertEqual(no.refusal, "NO_SUCH_CUSTOMER")
        self.expect_books(2000, 0, 0)


class Service:
    """payment.py as a process."""

    def __init__(self, conninfo: str, *more: str):
        self.address = f"127.0.0.1:{free_port()}"
        self._command = python_program(str(Path(payment.__file__)), "--database", conninfo, "--listen", self.address)
        self._command += more
        self._output = scratch_folder() / "payment.log"
        self.start()

    def start(self) -> None:
        self._program = Program([*self._command, "--open", "3", "--funds", "1000000"], self._output)

    def restart(self) -> None:
        self._program.kill()
        self.start()
        health_of(self.address)

    def close(self) -> None:
        self._program.kill()


class Process(unittest.TestCase):
    def test_it_conforms_and_its_books_balance(self) -> None:
        place = PostgresPlace()
        self.addCleanup(place.look.close)
        conninfo = place.conninfo(place.name)
        with contextlib.closing(Service(conninfo)) as service, RestartHook(service) as hook:  # type: ignore[arg-type]
            health_of(service.address)
            command = [ASSENTCTL, "conformance", "--target", service.address, "--name", "payment", "-o", "json"]
            command += ["--payload", work(1).decode(), "--refused", work(10**9).decode()]
            ran = run([*command, "--restart-hook", hook.command], at_most=250)
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            report = json.loads(ran.stdout)
            self.assertEqual((report["failed"], report["skipped"]), (0, 0), ran.stdout)
        said = run(python_program(str(Path(payment.__file__)), "--database", conninfo, "--books"))
        found = json.loads(said.stdout)
        self.assertEqual(found["reserved"], 0)
        self.assertEqual(found["captured"], found["captured_by_payments"])
        self.assertGreater(found["payments"], 0)
        self.assertEqual(found["available"] + found["captured"], 3 * 1_000_000)

    def test_orders_are_paid_once_while_it_is_killed(self) -> None:
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        place = PostgresPlace()
        self.addCleanup(place.look.close)
        conninfo = place.conninfo(place.name)
        service = Service(conninfo, "--cluster", cluster.endpoints, "--patience", "1")
        self.addCleanup(service.close)
        health_of(service.address)
        client = assent.connect(cluster.endpoints, timeout=60)
        self.addCleanup(client.close)
        client.run(lambda tx: tx.execute("s1", "CREATE TABLE orders(id TEXT PRIMARY KEY, cents INTEGER)")).require()

        def place_order(tx: assent.Tx, number: int) -> None:
            tx.execute("s1", "INSERT INTO orders VALUES(?1, ?2)", f"o-{number}", number)
            body = work(number, f"customer-{1 + number % 3}", order=f"o-{number}")
            tx.call("payment", service.address, body, "payment")

        def order(number: int) -> assent.Outcome:
            outcome = client.run(lambda tx: place_order(tx, number), name=f"order {number}", timeout=5)
            while outcome.unknown:
                outcome = client.seal(outcome)
            return outcome

        with futures.ThreadPoolExecutor(4) as pool:
            orders = {number: pool.submit(order, number) for number in range(1, 31)}
            for number in (5, 15):
                orders[number].result()
                service.restart()
        paid = {number for number, one in orders.items() if one.result().committed}
        self.assertGreater(len(paid), 5, [one.result().message for one in orders.values()])
        self.assertEqual({cents for (cents,) in client.query("s1", "SELECT cents FROM orders")}, paid)
        prepared = "SELECT count(*) FROM assent_branches WHERE state = 'prepared'"
        self.assertTrue(eventually(lambda: place.number(prepared) == 0, 60))
        found = payment.with_database(conninfo, payment.books)
        self.assertEqual((found["reserved"], found["captured"], found["payments"]), (0, sum(paid), len(paid)))
        self.assertEqual((found["available"], found["captured_by_payments"]), (3 * 1_000_000 - sum(paid), sum(paid)))

    def test_a_mistake_on_the_command_line_is_said(self) -> None:
        said = run(python_program(str(Path(payment.__file__)), "--database", "dbname=x"))
        self.assertEqual(said.returncode, 2)
        self.assertIn("give --listen, --open or --books", said.stderr)


if __name__ == "__main__":
    unittest.main()
