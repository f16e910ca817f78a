"""`assentctl conformance`, with restarts by SIGKILL, against a Python participant on each of the databases."""

from __future__ import annotations

import json
import unittest

from support import ASSENTCTL, run
from support_participants import MariadbPlace, Place, PostgresPlace, SqlitePlace
from support_services import AccountService, RestartHook


class Conformance:
    Kind: type[Place]

    def test_it_conforms(self) -> None:
        with AccountService(self.Kind()) as service, RestartHook(service) as hook:
            service.wait_until_serving()
            command = [ASSENTCTL, "conformance", "--target", service.address, "--name", service.name, "-o", "json"]
            command += ["--payload", '{"amount": -1}', "--refused", '{"amount": -100000000}']
            ran = run([*command, "--restart-hook", hook.command], at_most=170)
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            report = json.loads(ran.stdout)
            self.assertEqual((report["conforms"], report["failed"], report["skipped"]), (True, 0, 0), ran.stdout)
            self.assertGreaterEqual(hook.restarts, 6)
            self.assertEqual(service.in_doubt(), 0)
            taken = service.done("prepare") - service.done("abort")
            self.assertEqual(service.balance(), 1_000_000 - taken, "no more and no less than what is not given back")


class SqliteConformance(Conformance, unittest.TestCase):
    Kind = SqlitePlace


class PostgresConformance(Conformance, unittest.TestCase):
    Kind = PostgresPlace


class MariadbConformance(Conformance, unittest.TestCase):
    Kind = MariadbPlace


if __name__ == "__main__":
    unittest.main()
