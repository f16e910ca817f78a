"""The payment service of the order example: customers' funds, in PostgreSQL.

    payment.py --database "host=127.0.0.1 dbname=payment" --listen 127.0.0.1:9102 --cluster 127.0.0.1:7420
    payment.py --database "..." --open 100 --funds 100000     # makes customer-1 to customer-100, unless they are there
    payment.py --database "..." --books                        # what there is, as JSON

It takes part in transactions of Assent. Its payload is JSON: {"customer": "customer-7", "cents": 1250, "order":
"o-17"}. At prepare the money is reserved: it is the customer's, and nobody can spend it. At commit it is captured, at
abort released. An order is paid once: while a payment of it is reserved or captured, another one is refused. Without an
order the payment stands for itself.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
from typing import Any, Optional

import psycopg2

from assent.participant import Branch, Participant, ParticipantHost, PostgresBarrier, Vote

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers(
  id text PRIMARY KEY,
  available bigint NOT NULL CHECK(available >= 0),
  reserved bigint NOT NULL DEFAULT 0 CHECK(reserved >= 0),
  captured bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS payments(
  txn_id text NOT NULL, branch text NOT NULL,
  order_id text NOT NULL,
  customer text NOT NULL REFERENCES customers,
  cents bigint NOT NULL CHECK(cents > 0),
  state text NOT NULL CHECK(state IN ('reserved', 'captured', 'released')),
  PRIMARY KEY(txn_id, branch));
CREATE UNIQUE INDEX IF NOT EXISTS one_payment_for_an_order ON payments(order_id) WHERE state <> 'released';
"""
CENTS_MAX = 1_000_000_000


class BadPayload(ValueError):
    pass


def read_payload(payload: bytes, branch: Branch) -> tuple[str, int, str]:
    """Customer, cents, order. The bytes come from whoever began the transaction: nothing of them is believed."""
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"the payload is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadPayload("the payload is no JSON object")
    customer, cents = fields.get("customer"), fields.get("cents")
    order = fields.get("order", f"{branch.txn_id}/{branch.name}")
    for name, value in (("customer", customer), ("order", order)):
        if not isinstance(value, str) or not 0 < len(value) <= 300 or not value.isprintable():
            raise BadPayload(f"{name} must be 1 to 300 printable characters")
    if isinstance(cents, bool) or not isinstance(cents, int) or not 0 < cents <= CENTS_MAX:
        raise BadPayload(f"cents must be an integer from 1 to {CENTS_MAX}")
    return customer, cents, order


class Payment(Participant):
    def prepare(self, branch: Branch, db: Any, payload: bytes) -> Vote:
        try:
            customer, cents, order = read_payload(payload, branch)
        except BadPayload as error:
            return Vote.no("BAD_PAYLOAD", str(error))
        with db.cursor() as cursor:
            cursor.execute(
                "UPDATE customers SET available = available - %(cents)s, reserved = reserved + %(cents)s "
                "WHERE id = %(customer)s AND available >= %(cents)s",
                {"cents": cents, "customer": customer},
            )
            if cursor.rowcount == 0:
                return self._why_not(cursor, customer, cents)
            cursor.execute(
                "INSERT INTO payments VALUES(%s, %s, %s, %s, %s, 'reserved') "
                "ON CONFLICT (order_id) WHERE state <> 'released' DO NOTHING",
                (branch.txn_id, branch.name, order, customer, cents),
            )
            if cursor.rowcount == 0:
                return Vote.no("PAID_ALREADY", f"there is a payment for order {order} already")
        return Vote.yes(json.dumps({"reserved": cents}).encode())

    def commit(self, branch: Branch, db: Any, payload: bytes) -> None:
        self._end(branch, db, "captured", "captured = captured + cents")

    def abort(self, branch: Branch, db: Any, payload: bytes) -> None:
        self._end(branch, db, "released", "available = available + cents")

    @staticmethod
    def _why_not(cursor: Any, customer: str, cents: int) -> Vote:
        cursor.execute("SELECT available FROM customers WHERE id = %s", (customer,))
        found = cursor.fetchone()
        if found is None:
            return Vote.no("NO_SUCH_CUSTOMER", f"there is no customer {customer}")
        return Vote.no("INSUFFICIENT_FUNDS", f"{customer} has {found[0]} cents to spend, and {cents} are asked for")

    @staticmethod
    def _end(branch: Branch, db: Any, state: str, change: str) -> None:
        """What was reserved stands in the table: the payload need not be read again."""
        with db.cursor() as cursor:
            cursor.execute(
                "WITH payment AS (UPDATE payments SET state = %s WHERE txn_id = %s AND branch = %s AND "
                "state = 'reserved' RETURNING customer, cents) "
                f"UPDATE customers SET reserved = reserved - cents, {change} FROM payment WHERE id = payment.customer",
                (state, branch.txn_id, branch.name),
            )
            if cursor.rowcount != 1:
                raise RuntimeError(f"no payment of {branch.txn_id} {branch.name} is reserved: the books are damaged")


# ---- the database, outside of transactions ----


def with_database(conninfo: str, act: Any) -> Any:
    db = psycopg2.connect(conninfo)
    try:
        with db, db.cursor() as cursor:  # commits at its end
            return act(cursor)
    finally:
        db.close()


def make_tables(cursor: Any) -> None:
    cursor.execute("SELECT pg_advisory_xact_lock(5917301226840019)")  # two processes may start at once
    cursor.execute(SCHEMA)


def open_accounts(cursor: Any, count: int, funds: int) -> None:
    make_tables(cursor)
    cursor.execute(
        "INSERT INTO customers(id, available) SELECT 'customer-' || n, %s FROM generate_series(1, %s) n "
        "ON CONFLICT DO NOTHING",
        (funds, count),
    )


def books(cursor: Any) -> dict[str, int]:
    """Sums over the customers, and the same from the payments: in good books they agree."""
    make_tables(cursor)
    cursor.execute(
        "SELECT count(*), coalesce(sum(available), 0), coalesce(sum(reserved), 0), coalesce(sum(captured), 0) "
        "FROM customers"
    )
    names = ("customers", "available", "reserved", "captured")
    found = dict(zip(names, map(int, cursor.fetchone())))
    cursor.execute(
        "SELECT count(*) FILTER (WHERE state = 'captured'), "
        "coalesce(sum(cents) FILTER (WHERE state = 'reserved'), 0), "
        "coalesce(sum(cents) FILTER (WHERE state = 'captured'), 0) FROM payments"
    )
    found.update(zip(("payments", "reserved_by_payments", "captured_by_payments"), map(int, cursor.fetchone())))
    return found


def serve(conninfo: str, name: str, listen: str, cluster: Optional[str], patience: float) -> None:
    with_database(conninfo, make_tables)
    host = ParticipantHost(name, Payment(), PostgresBarrier(conninfo, connections=8))
    running = host.serve(listen, cluster=cluster, patience=patience)
    print(f"{name} serves at {running.address}", flush=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    running.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="The payment service of the order example")
    parser.add_argument("--database", required=True, help="as libpq takes it: host=... dbname=..., or a URI")
    parser.add_argument("--listen", metavar="HOST:PORT", help="serve there; port 0: a free one, which is printed")
    parser.add_argument("--name", default="payment", help="of the participant; calls for another are refused")
    parser.add_argument("--cluster", metavar="ENDPOINTS", help="whom to ask what came of payments in doubt")
    parser.add_argument("--patience", type=float, default=10.0, help="in doubt for so many seconds before it asks")
    parser.add_argument("--open", metavar="N", type=int, default=0, help="open accounts for N customers")
    parser.add_argument("--funds", metavar="CENTS", type=int, default=100_000, help="of each account that is opened")
    parser.add_argument("--books", action="store_true", help="print the sums as JSON")
    arguments = parser.parse_args()
    if not (arguments.listen or arguments.open or arguments.books):
        parser.error("nothing to do: give --listen, --open or --books")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.open:
        with_database(arguments.database, lambda cursor: open_accounts(cursor, arguments.open, arguments.funds))
    if arguments.books:
        print(json.dumps(with_database(arguments.database, books)))
    if arguments.listen:
        serve(arguments.database, arguments.name, arguments.listen, arguments.cluster, arguments.patience)


if __name__ == "__main__":
    main()
