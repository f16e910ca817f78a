"""The client against a real cluster of three nodes, whose leaders are stopped and killed."""

from __future__ import annotations

import asyncio
import threading
import unittest
from typing import Any

import assent
import assent.aio
from assent.participant import ParticipantHost, SqliteBarrier

from support import Cluster, eventually
from support_participants import EffectsParticipant, SqlitePlace
from support_transfers import Transfers

cluster: Cluster


def setUpModule() -> None:
    global cluster
    cluster = Cluster()
    cluster.wait_until_ready()


def tearDownModule() -> None:
    cluster.stop()


class ClusterTest(unittest.TestCase):
    def setUp(self) -> None:
        self.client = assent.connect(cluster.endpoints, timeout=60)
        self.addCleanup(self.client.close)

    def increment(self, tx: assent.Tx, key: str) -> int:
        now = int(tx.get("s1", key) or b"0") + 1
        tx.put("s1", key, str(now))
        tx.put("s2", key, str(now))
        return now


class Transactions(ClusterTest):
    def test_a_function_reads_and_writes_and_its_value_comes_back(self) -> None:
        outcome = self.client.run(lambda tx: self.increment(tx, "a"), name="increment")
        self.assertTrue(outcome.committed)
        self.assertEqual((outcome.value, outcome.protocol), (1, "paxos-commit"))
        self.assertEqual(self.client.get("s2", "a"), b"1")
        for told in (self.client.get_outcome(outcome), self.client.wait(outcome.id), self.client.seal(outcome.id)):
            self.assertTrue(told.committed)

    def test_a_read_sees_the_writes_before_it(self) -> None:
        self.client.run(lambda tx: tx.execute("s1", "CREATE TABLE seen(x INTEGER PRIMARY KEY)")).require()

        def function(tx: assent.Tx) -> Any:
            tx.execute("s1", "INSERT INTO seen VALUES(?1)", 7)
            tx.put("s2", "seen", b"\0\xff")
            return tx.query("s1", "SELECT x FROM seen").value(), tx.get("s2", "seen"), tx.get("s2", "nothing")

        self.assertEqual(self.client.run(function).require().value, (7, b"\0\xff", None))

    def test_a_schema_on_two_shards_is_there_for_what_follows(self) -> None:
        """"No such table" would deny what was told: a shard waits for what is prepared before it refuses."""
        for number in range(5):

            def on_both(tx: assent.Tx, statement: str) -> None:
                for shard in ("s1", "s2"):
                    tx.execute(shard, statement)

            schema = f"CREATE TABLE follows{number}(x INTEGER PRIMARY KEY)"
            rows = f"INSERT INTO follows{number} VALUES(1)"
            self.client.run(lambda tx: on_both(tx, schema)).require()
            self.client.run(lambda tx: on_both(tx, rows)).require()

    def test_who_gives_up_leaves_nothing_and_what_is_raised_is_raised_on(self) -> None:
        def gives_up(tx: assent.Tx) -> None:
            tx.put("s1", "given up", "x")
            tx.abort("there is not enough")

        def raises(tx: assent.Tx) -> None:
            tx.put("s1", "given up", "x")
            raise LookupError("mine")

        with self.assertRaisesRegex(assent.GaveUpError, "^gives_up: the function gave up: there is not enough"):
            self.client.run(gives_up)
        with self.assertRaisesRegex(LookupError, "^mine$"):
            self.client.run(raises)
        self.assertIsNone(self.client.get("s1", "given up"))

    def test_what_follows_from_a_state_that_never_was_is_run_again(self) -> None:
        """Between its two reads somebody else changes both; the exception is not believed."""
        self.client.run(lambda tx: self.increment(tx, "twin"))
        seen: list[tuple] = []

        def function(tx: assent.Tx) -> None:
            one = tx.get("s1", "twin")
            if not seen:
                self.client.run(lambda other: self.increment(other, "twin"))
            seen.append((one, tx.get("s2", "twin")))
            if one != seen[-1][1]:
                raise AssertionError("twins differ")

        self.assertTrue(self.client.run(function).committed)
        self.assertEqual(seen, [(b"1", b"2"), (b"2", b"2")])

    def test_conflicts_are_retried_until_all_are_through(self) -> None:
        def many() -> None:
            for _ in range(10):
                self.client.run(lambda tx: self.increment(tx, "hot"), attempts_max=1000).require()

        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.client.get("s2", "hot"), b"40")

    def test_an_abort_says_why_and_by_whom(self) -> None:
        outcome = self.client.execute(assent.Transaction().add("s1", "bounded", -1, floor=0).put("s2", "other", "x"))
        self.assertEqual((outcome.aborted, outcome.reason, outcome.participant), (True, "constraint", "s1"))
        with self.assertRaises(assent.AbortedError):
            outcome.require()
        self.assertIsNone(self.client.get("s2", "other"))
        with self.assertRaisesRegex(assent.InvalidError, "no such table"):
            self.client.query("s1", "SELECT * FROM nowhere")
        with self.assertRaisesRegex(assent.NotFoundError, "there is no group s9 here; the groups are: c0, s1, s2"):
            self.client.query("s9", "SELECT 1")

    def test_stale_reads_of_any_replica(self) -> None:
        for _ in range(6):  # replicas take turns
            self.assertEqual(self.client.query("s1", "SELECT ?1", 7, max_staleness=5.0).value(), 7)
        self.assertIsNone(self.client.get("s1", "no such key", max_staleness=5.0))
        with self.assertRaises(assent.InvalidError):
            self.client.query("s1", "SELECT 1", max_staleness=0)
        with self.assertRaises(assent.InvalidError):
            self.client.query("s1", "SELECT * FROM nowhere", max_staleness=5.0)

    def test_escrow_adds_go_side_by_side(self) -> None:
        def add(tx: assent.Tx) -> None:
            tx.add("s1", "escrow", 1, floor=0, escrow=True)
            tx.put("s2", "escrow " + tx.id, "x")

        threads = [threading.Thread(target=lambda: self.client.run(add).require()) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        read = self.client.read({"s1": [assent.get("escrow")], "s2": [assent.sql("SELECT 1")]})
        self.assertEqual(read["s1"][0].value(), b"8")

    def test_a_request_commits_once(self) -> None:
        first = self.client.run(lambda tx: self.increment(tx, "once"), request_id="order 17").require()
        again = self.client.run(lambda tx: self.increment(tx, "once"), request_id="order 17").require()
        self.assertEqual((again.id, first.repeated, again.repeated), (first.id, False, True))
        self.assertEqual(self.client.get("s1", "once"), b"1")

        outcomes: list[assent.Outcome] = []

        def at_once() -> None:
            outcomes.append(self.client.run(lambda tx: self.increment(tx, "race"), request_id="race"))

        threads = [threading.Thread(target=at_once) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len({outcome.require().id for outcome in outcomes}), 1)
        self.assertEqual(self.client.get("s1", "race"), b"1")

    def test_a_decorated_function(self) -> None:
        @self.client.transaction(timeout=60)
        def credit(tx: assent.Tx, key: str, by: int = 1) -> int:
            tx.add("s1", key, by)
            return by

        self.assertEqual(credit("decorated", by=5).require().value, 5)
        self.assertEqual(self.client.query("s1", "SELECT 1").value(), 1)

    def test_a_seal_ends_what_was_never_begun(self) -> None:
        txn_id = assent.new_txn_id()
        self.assertEqual(self.client.get_outcome(txn_id).state, "unknown")
        sealed = self.client.seal(txn_id)
        self.assertEqual((sealed.aborted, sealed.reason), (True, "sealed"))
        late = self.client.execute(assent.Transaction(id=txn_id).put("s1", "late", "x").put("s2", "late", "x"))
        self.assertTrue(late.aborted)
        self.assertIsNone(self.client.get("s1", "late"))

    def test_a_closed_client_says_so(self) -> None:
        self.client.close()
        with self.assertRaises(assent.ClosedError):
            self.client.query("s1", "SELECT 1")


class Asyncio(ClusterTest):
    def test_the_same_with_asyncio(self) -> None:
        asyncio.run(self._the_same())

    async def _the_same(self) -> None:
        async with assent.aio.connect(cluster.endpoints, timeout=60) as client:
            async def increment(tx: assent.aio.Tx, key: str = "async") -> int:
                now = int(await tx.get("s1", key) or b"0") + 1
                tx.put("s1", key, str(now))
                tx.put("s2", key, str(now))
                return now

            outcomes = await asyncio.gather(*(client.run(increment, attempts_max=1000) for _ in range(10)))
            self.assertEqual(sorted(outcome.require().value for outcome in outcomes), list(range(1, 11)))
            self.assertEqual(await client.get("s2", "async"), b"10")
            self.assertTrue((await client.wait(outcomes[0])).committed)
            decorated = client.transaction(request_id="async request")(increment)
            self.assertEqual((await decorated("async")).id, (await decorated("async")).id)

            async def gives_up(tx: assent.aio.Tx) -> None:
                tx.abort("enough")

            with self.assertRaises(assent.GaveUpError):
                await client.run(gives_up)
            rows = await client.query("s1", "SELECT ?1 AS x", 5)
            self.assertEqual(rows.dicts(), [{"x": 5}])
            read = await client.read({"s1": [assent.get("async")], "s2": [assent.get("async")]})
            self.assertEqual(read["s1"], read["s2"])
            self.assertTrue((await client.seal(assent.new_txn_id())).aborted)
            outcome = await client.execute(assent.Transaction().put("s1", "x", "y"))
            self.assertTrue(outcome.committed)
        with self.assertRaises(assent.ClosedError):
            await client.query("s1", "SELECT 1")


class Services(ClusterTest):
    """A service in this very process; those that are killed are in test_services.py."""

    def setUp(self) -> None:
        super().setUp()
        self.place = SqlitePlace()
        self.addCleanup(self.place.look.close)
        self.place.make_tables()
        self.participant = EffectsParticipant(self.place)
        self.barrier = SqliteBarrier(self.place.path, work=self.place.look)
        self.addCleanup(self.barrier.close)
        self.host = ParticipantHost("ledger", self.participant, self.barrier)
        self.told: list[Any] = []
        self.running = self.host.serve(
            "127.0.0.1:0", cluster=cluster.endpoints, patience=0.2, interval=0.1, told=self.told.append
        )
        self.addCleanup(self.running.stop)

    def test_a_service_takes_part(self) -> None:
        transaction = assent.Transaction().put("s1", "order", "1")
        outcome = self.client.execute(transaction.call("pay", self.running.address, "yes result=held", "ledger"))
        self.assertTrue(outcome.require().committed)
        self.assertEqual((outcome.protocol, outcome.answer_of("pay")), ("two-phase", b"held"))
        self.assertTrue(eventually(lambda: self.participant.calls == {"prepare": 1, "commit": 1}))

        def refused(tx: assent.Tx) -> None:
            tx.put("s1", "order", "2")
            tx.call("pay", self.running.address, "no", "ledger")

        outcome = self.client.run(refused)  # again, while the first holds the key
        self.assertEqual((outcome.reason, outcome.participant), ("refused", "pay"))
        self.assertIn("the payload said no", outcome.message)
        self.assertEqual(self.client.get("s1", "order"), b"1")

    def test_a_function_enrols_a_service(self) -> None:
        def order(tx: assent.Tx) -> None:
            tx.put("s1", "enrolled", str(int(tx.get("s1", "enrolled") or b"0") + 1))
            tx.call("pay", self.running.address, "yes")

        self.client.run(order).require()
        self.assertEqual(self.client.get("s1", "enrolled"), b"1")
        self.assertTrue(eventually(lambda: self.participant.calls["commit"] == 1))
        outcome = self.client.run(lambda tx: tx.call("pay", self.running.address, "yes")).require()
        self.assertEqual(outcome.participants, ("pay",))

    def test_a_service_joins_by_metadata(self) -> None:
        import grpc
        from concurrent import futures

        said: list[str] = []

        def credit(request: bytes, context: Any) -> bytes:
            with assent.IncomingTransaction(context, said.append) as tx:
                if tx.caller and request != b"forget":
                    tx.enlist("ledger", self.running.address, b"yes " + request)
            return b""

        server = grpc.server(futures.ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(credit)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bank.Bank", {"Credit": handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = channel.unary_unary("/bank.Bank/Credit")

            def order(tx: assent.Tx) -> None:
                for _ in range(2):
                    _, call = stub.with_call(b"result=5", metadata=[("mine", "1"), *tx.metadata()])
                    self.assertEqual(tx.collect(call), 1)
                tx.put("s1", "joined", tx.id)

            outcome = self.client.run(order).require()
            self.assertEqual(set(outcome.participants), {"s1", "1/ledger", "2/ledger"})
            self.assertTrue(eventually(lambda: self.participant.calls["commit"] == 2))
            self.assertEqual(said, [])
            self.client.run(lambda tx: stub(b"forget", metadata=tx.metadata()))
            self.assertIn("enlisted nobody", said[0])

    def test_the_resolver_ends_what_nobody_runs(self) -> None:
        from assent.participant import Attempt, Branch, BranchKey
        from assent.participant.register import State

        branch = Branch(assent.new_txn_id(), "orphan", Attempt(1, 1), "c0")
        self.assertTrue(self.host.branches.prepare(branch, b"yes").ok)
        key = BranchKey(branch.txn_id, branch.name)
        self.assertTrue(eventually(lambda: self.host.branches.status(key).state is State.ABORTED), self.told)
        self.assertEqual(self.participant.calls, {"prepare": 1, "abort": 1})
        self.assertTrue(self.client.get_outcome(branch.txn_id, group="c0").aborted)
        self.assertTrue(eventually(lambda: any(one.aborted for one in self.told)))

    def test_an_asyncio_server_hosts_the_same_service(self) -> None:
        asyncio.run(self._hosted_by_asyncio())

    async def _hosted_by_asyncio(self) -> None:
        import grpc
        from concurrent import futures

        server = grpc.aio.server(migration_thread_pool=futures.ThreadPoolExecutor(8))
        self.host.add_to(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with assent.aio.connect(cluster.endpoints, timeout=60) as client:
            async def order(tx: assent.aio.Tx) -> None:
                tx.call("pay", f"127.0.0.1:{port}", "yes")
                tx.put("s1", "by asyncio", "x")

            (await client.run(order)).require()
            refused = await client.execute(assent.Transaction().call("pay", f"127.0.0.1:{port}", "no"))
            self.assertEqual(refused.reason, "refused")
            self.assertIn("the payload said no", refused.message)
            while self.participant.calls["commit"] < 1:
                await asyncio.sleep(0.02)
        await server.stop(None)


class Failures(ClusterTest):
    def test_an_answer_that_does_not_come_is_unknown_and_can_be_asked(self) -> None:
        """Too many nodes are stopped for a decision, with the request under way."""
        self.client.query("s1", "SELECT 1")
        transaction = assent.Transaction().put("s1", "stopped", "x").put("s2", "stopped", "x")
        try:
            for node in cluster.nodes.values():
                node.pause()
            outcome = self.client.execute(transaction, timeout=1.0)
        finally:
            for node in cluster.nodes.values():
                node.resume()
        self.assertTrue(outcome.unknown, outcome)
        self.assertIn(f"assentctl txn get {outcome.id}", outcome.note)
        told = self.client.wait(outcome, timeout=60)
        if told.unknown:
            told = self.client.seal(outcome, timeout=60)
        self.assertTrue(told.definite, told)
        self.assertEqual(self.client.get("s1", "stopped"), b"x" if told.committed else None)

    def test_nobody_there_is_an_error_that_says_who_was_asked(self) -> None:
        with assent.connect("127.0.0.1:1,127.0.0.1:2", timeout=0.5) as client:
            with self.assertRaises(assent.UnreachableError) as caught:
                client.execute(assent.Transaction().put("s1", "k", "v"))
        self.assertIn("\n  127.0.0.1:1: connection refused", str(caught.exception))

    def test_transfers_survive_the_death_of_leaders(self) -> None:
        transfers = Transfers(self.client)
        transfers.start(lambda: assent.connect(cluster.endpoints, timeout=20), threads=4)
        for group in ("c0", "s1", "c0"):
            transfers.wait_for(15)
            node = cluster.leader_of(group)
            cluster.kill(node)
            transfers.wait_for(10)
            cluster.start(node)
        transfers.wait_for(10)
        transfers.stop()
        transfers.expect_balanced(self)


if __name__ == "__main__":
    unittest.main()
