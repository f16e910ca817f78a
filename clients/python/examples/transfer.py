"""Moves money from a service's own SQLite file into a table of shard s1: both happen, or neither.

    ASSENT_ENDPOINTS=127.0.0.1:7420 python3 transfer.py ledger.db
"""

import sqlite3
import sys

import assent
from assent.participant import Participant, ParticipantHost, SqliteBarrier, Vote


class Ledger(Participant):
    def prepare(self, branch, db, payload):
        took = db.execute("UPDATE ledger SET cents = cents - ?1 WHERE cents >= ?1", (int(payload),))
        return Vote.yes() if took.rowcount == 1 else Vote.no("TOO_POOR", f"the ledger has less than {int(payload)}")

    def commit(self, branch, db, payload):
        pass  # it is taken already

    def abort(self, branch, db, payload):
        db.execute("UPDATE ledger SET cents = cents + ?1", (int(payload),))


def transfer(tx, ledger, cents):
    before = int(tx.get("s1", "moved") or b"0")
    tx.put("s1", "moved", str(before + cents))
    tx.call("ledger", ledger, str(cents))


with sqlite3.connect(sys.argv[1]) as db:
    db.execute("CREATE TABLE IF NOT EXISTS ledger AS SELECT 100 AS cents")
host = ParticipantHost("ledger", Ledger(), SqliteBarrier(sys.argv[1]))
with assent.connect() as client, host.serve("127.0.0.1:0", cluster=client.endpoints) as running:
    for cents in (30, 50, 70):
        outcome = client.run(lambda tx: transfer(tx, running.address, cents), name="transfer", timeout=10)
        if outcome.unknown:
            outcome = client.wait(outcome)
        print(cents, outcome.state, outcome.message)
    print("moved", client.get("s1", "moved").decode())
