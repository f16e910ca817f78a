"""A service with one account, as a program of its own, for tests that kill it.

    account_service.py --name payment --address 127.0.0.1:9000 --barrier "SqliteBarrier('x.db')" [--cluster ENDPOINTS]

Its payload is {"amount": n}: a withdrawal is taken at prepare and given back at abort, a deposit is put in at commit.
Every call that takes effect leaves a row in `done`, whose key is the call: one that took effect twice would fail.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from typing import Any

from assent import participant
from assent.participant import Branch, Participant, ParticipantHost, Vote


class Account(Participant):
    def __init__(self, mark: str):
        self._mark = mark

    def prepare(self, branch: Branch, db: Any, payload: bytes) -> Vote:
        amount = json.loads(payload)["amount"]
        self._done(branch, db, "prepare")
        if amount < 0 and not self._add(db, amount):
            return Vote.no("TOO_LITTLE", f"the account has less than {-amount}")
        return Vote.yes(b"reserved")

    def commit(self, branch: Branch, db: Any, payload: bytes) -> None:
        self._done(branch, db, "commit")
        if json.loads(payload)["amount"] > 0:
            self._add(db, json.loads(payload)["amount"])

    def abort(self, branch: Branch, db: Any, payload: bytes) -> None:
        self._done(branch, db, "abort")
        if json.loads(payload)["amount"] < 0:
            self._add(db, -json.loads(payload)["amount"])

    def _add(self, db: Any, amount: int) -> bool:
        with contextlib.closing(db.cursor()) as cursor:
            statement = f"UPDATE account SET balance = balance + {self._mark} WHERE balance + {self._mark} >= 0"
            cursor.execute(statement, (amount, amount))
            return cursor.rowcount == 1

    def _done(self, branch: Branch, db: Any, what: str) -> None:
        with contextlib.closing(db.cursor()) as cursor:
            statement = f"INSERT INTO done VALUES({self._mark}, {self._mark}, {self._mark})"
            cursor.execute(statement, (branch.txn_id, branch.name.encode().hex(), what))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--barrier", required=True)
    parser.add_argument("--cluster")
    arguments = parser.parse_args()
    kind = arguments.barrier.partition("(")[0]
    barrier = eval(arguments.barrier, {kind: getattr(participant, kind)})  # from the test that started this
    account = Account("?" if kind == "SqliteBarrier" else "%s")
    host = ParticipantHost(arguments.name, account, barrier)
    running = host.serve(arguments.address, cluster=arguments.cluster, patience=1.0, interval=0.3)
    print("serving at", running.address, flush=True)
    running.wait()


if __name__ == "__main__":
    main()
