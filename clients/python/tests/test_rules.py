"""The rules that need no process: what is sent again, what is asked, what is told; ids, values, names, metadata."""

from __future__ import annotations

import time
import unittest
from typing import Any, Callable

import grpc

import assent
from assent import operations
from assent.courier import Courier, Options
from assent.directory import Directory, Target
from assent.ids import created_millis, is_txn_id, new_txn_id
from assent.judge import Failure, Verdict, judge, read_info, write_info
from assent.names import tidy_text, valid_name
from assent.outcome import ATTEMPT_IS_TOLD, outcome_of
from assent.participant import Attempt, BranchKey, Fate, InDoubt
from assent.participant.resolver import fate_of
from assent.propagation import ENLISTED_KEY, Enlistment, IncomingTransaction, OutgoingTransaction, encode
from assent.steps import Call, Reply, Survey
from assent.v1 import assent_pb2 as pb
from assent.work import Rows, from_value, to_value

LOST = Failure(grpc.StatusCode.UNAVAILABLE, "Socket closed")
UNSENT = Failure(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: Connection refused")
TXN = "0193a6b25e1c7c3fa1d0c9be6f2277a4"


def written(reason: str, code: grpc.StatusCode, message: str = "so it is", **metadata: str) -> Failure:
    return Failure(code, message, write_info(code.value[0], message, reason, metadata))


class ScriptedCluster:
    """Nodes a, b and c with coordinator c0 and shard s1, both led by a; Execute and GetOutcome are answered by a
    script, one entry for each call."""

    def __init__(self, *script: Any):
        self.script = list(script)
        self.calls: list[tuple[str, str, Any]] = []

    def drive(self, steps: Any) -> Any:
        answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = None
            if isinstance(step, Survey):
                for call in step.calls:
                    if step.heard(call.endpoint, Reply(self._status(call.endpoint))):
                        break  # it has heard enough
            elif isinstance(step, Call):
                self.calls.append((step.endpoint, step.method, step.request))
                answer = self.script.pop(0) if self.script else Reply(failure=LOST)
            else:
                time.sleep(step.seconds)

    def execute(self, transaction: assent.Transaction, timeout: float = 5.0) -> assent.Outcome:
        courier = Courier(["a:1", "b:1"], Options())
        return self.drive(operations.execute(courier, transaction, time.monotonic() + timeout))

    @staticmethod
    def _status(endpoint: str) -> pb.StatusResponse:
        node = endpoint[0]
        nodes = [pb.Node(name=name, client_endpoint=f"{name}:1") for name in "abc"]
        groups = [("c0", "coordinator"), ("s1", "shard"), ("s2", "shard")]
        replicas = [pb.Replica(group=name, role=role, leader="a", leads=node == "a", epoch=3) for name, role in groups]
        return pb.StatusResponse(node=node, nodes=nodes, replicas=replicas)


def transfer() -> assent.Transaction:
    return assent.Transaction().sql("s1", "UPDATE t SET x = 1").sql("s2", "UPDATE t SET x = 2")


def answer(state: int, **fields: Any) -> Reply:
    return Reply(pb.Transaction(txn_id=TXN, state=state, **fields))


class ExecuteRules(unittest.TestCase):
    def test_what_is_lost_is_sent_again_with_the_same_id(self) -> None:
        cluster = ScriptedCluster(Reply(failure=LOST), answer(pb.COMMITTED))
        outcome = cluster.execute(transfer())
        self.assertTrue(outcome.committed and outcome.was_in_question)
        self.assertEqual([method for _, method, _ in cluster.calls], ["Execute", "Execute"])
        self.assertEqual({request.txn_id for _, _, request in cluster.calls}, {outcome.id})

    def test_a_hint_is_followed(self) -> None:
        hint = written("NOT_LEADER", grpc.StatusCode.UNAVAILABLE, group="c0", leader="c", endpoint="c:1")
        cluster = ScriptedCluster(Reply(failure=hint), answer(pb.COMMITTED))
        outcome = cluster.execute(transfer())
        self.assertTrue(outcome.committed)
        self.assertFalse(outcome.was_in_question, "who does not lead has done nothing")
        self.assertEqual([endpoint for endpoint, _, _ in cluster.calls], ["a:1", "c:1"])

    def test_what_may_have_arrived_is_unknown_and_never_an_error(self) -> None:
        refused = Reply(failure=written("TXN_TOO_OLD", grpc.StatusCode.OUT_OF_RANGE))
        outcome = ScriptedCluster(Reply(failure=LOST), refused).execute(transfer())
        self.assertTrue(outcome.unknown)
        self.assertIn("may have committed", outcome.note)
        self.assertEqual(outcome.ask, "c0")
        with self.assertRaises(assent.UnknownOutcomeError):
            outcome.require()
        outcome = ScriptedCluster(Reply(failure=LOST)).execute(transfer(), timeout=0.3)
        self.assertTrue(outcome.unknown)

    def test_what_certainly_did_not_arrive_is_an_error(self) -> None:
        with self.assertRaises(assent.RefusedError):
            ScriptedCluster(Reply(failure=written("TXN_TOO_OLD", grpc.StatusCode.OUT_OF_RANGE))).execute(transfer())
        busy = Reply(failure=written("OVERLOADED", grpc.StatusCode.RESOURCE_EXHAUSTED))
        with self.assertRaises(assent.BusyError) as caught:
            ScriptedCluster(*200 * [busy]).execute(transfer(), timeout=0.3)
        self.assertIn("a (a:1), asked as the leader of c0", str(caught.exception))
        with self.assertRaises(assent.AssentError):
            ScriptedCluster(*200 * [Reply(failure=UNSENT)]).execute(transfer(), timeout=0.3)

    def test_what_still_runs_is_asked_after(self) -> None:
        cluster = ScriptedCluster(answer(pb.RUNNING), answer(pb.RUNNING), answer(pb.COMMITTED))
        self.assertTrue(cluster.execute(transfer()).committed)
        self.assertEqual([method for _, method, _ in cluster.calls], ["Execute", "GetOutcome", "GetOutcome"])
        self.assertGreater(cluster.calls[1][2].wait_millis, 0)
        self.assertFalse(cluster.calls[1][2].seal)

    def test_expired_is_not_definite(self) -> None:
        outcome = ScriptedCluster(answer(pb.UNKNOWN), answer(pb.EXPIRED)).execute(transfer())
        self.assertEqual((outcome.state, outcome.unknown), ("expired", True))

    def test_a_retry_keeps_its_age_and_only_conflicts_are_tried_again(self) -> None:
        conflict = answer(pb.ABORTED, abort=pb.Abort(reason="conflict"))
        cluster = ScriptedCluster(conflict, conflict, answer(pb.ABORTED, abort=pb.Abort(reason="constraint")))
        courier = Courier(["a:1"], Options())
        steps = operations.run_with_retry(courier, lambda _: transfer(), 64, time.monotonic() + 5)
        outcome = cluster.drive(steps)
        self.assertEqual((outcome.reason, len(outcome.earlier)), ("constraint", 2))
        requests = [request for _, _, request in cluster.calls]
        self.assertEqual(len({request.txn_id for request in requests}), 3)
        self.assertEqual({request.first_txn_id for request in requests}, {requests[0].txn_id})

    def test_a_saga_says_which_steps_are_retriable(self) -> None:
        trip = assent.Transaction(id=TXN, mode="saga").call("card", "h:1", "450").call("mail", "h:2", "hi", retriable=True)
        request = trip.request(1.0)
        self.assertEqual(request.mode, pb.SAGA)
        self.assertEqual([one.retriable for one in request.services], [False, True])

    def test_a_call_says_how_long_and_how_often_it_may_be_asked(self) -> None:
        order = assent.Transaction(id=TXN).call("stock", "h:1", "2", timeout=0.25, max_calls=3).call("card", "h:2", "9")
        request = order.request(1.0)
        self.assertEqual([(one.timeout_millis, one.max_calls) for one in request.services], [(250, 3), (0, 0)])

    def test_one_shard_is_asked_itself(self) -> None:
        cluster = ScriptedCluster(answer(pb.COMMITTED))
        self.assertEqual(cluster.execute(assent.Transaction().put("s1", "k", "v")).ask, "s1")

    def test_what_makes_no_sense_is_said_before_anything_is_sent(self) -> None:
        bad: list[tuple[Callable[[], assent.Transaction], str]] = [
            (assent.Transaction, "empty"),
            (lambda: assent.Transaction().on("s1"), "is empty"),
            (lambda: assent.Transaction(mode="sage").put("s1", "k", "v"), "there is no mode 'sage'"),
            (lambda: assent.Transaction().on("", assent.get("k")), "names no shard"),
            (lambda: assent.Transaction(protocol="fast").put("s1", "k", "v"), "no protocol 'fast'"),
            (lambda: assent.Transaction(protocol="paxos-commit").call("p", "h:1", b""), "its vote is not replicated"),
            (lambda: assent.Transaction(id="x").put("s1", "k", "v"), "no transaction id"),
            (lambda: assent.Transaction().put("s1", "k", 1.5), "bytes or text, not float"),  # type: ignore[arg-type]
            (lambda: assent.Transaction().sql("s1", "SELECT ?1", 2**63), "64 bits"),
            (lambda: assent.Transaction().sql("s1", "SELECT ?1", object()), "convert it"),  # type: ignore[arg-type]
        ]
        for build, words in bad:
            with self.assertRaisesRegex(assent.InvalidError, words):
                ScriptedCluster().execute(build())


class JudgeRules(unittest.TestCase):
    def test_only_what_is_certain_is_called_so(self) -> None:
        cases = [
            (LOST, Verdict.LOST),
            (UNSENT, Verdict.UNSENT),
            (Failure(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), Verdict.LOST),
            (Failure(grpc.StatusCode.UNIMPLEMENTED, ""), Verdict.REFUSED),
            (Failure(grpc.StatusCode.INTERNAL, "?", b"\xff garbage"), Verdict.LOST),
            (written("NOT_LEADER", grpc.StatusCode.UNAVAILABLE), Verdict.ELSEWHERE),
            (written("OUTCOME_UNKNOWN", grpc.StatusCode.UNAVAILABLE), Verdict.LOST),
            (written("SOMETHING_NEW", grpc.StatusCode.UNAVAILABLE), Verdict.LOST),
            (written("SOMETHING_NEW", grpc.StatusCode.ABORTED), Verdict.LOST),
            (written("SOMETHING_NEW", grpc.StatusCode.INVALID_ARGUMENT), Verdict.INVALID),
        ]
        for failure, verdict in cases:
            self.assertIs(judge(failure).verdict, verdict, failure)
        self.assertEqual(judge(UNSENT).message, "connection refused")

    def test_details_of_strangers_are_not_ours(self) -> None:
        for details in (None, b"", b"\x0a", b"\xff\xff", TXN.encode()):
            self.assertIsNone(read_info(details))
        info = read_info(write_info(14, "m", "NOT_LEADER", {"leader": "n2"}))
        self.assertEqual((info.reason, info.metadata["leader"]), ("NOT_LEADER", "n2"))

    def test_nobody_to_ask_says_who_was_asked(self) -> None:
        directory = Directory(["a:1", "b:1"])
        directory.failed("a:1", "connection refused")
        error = directory.nobody("s1")
        self.assertIsInstance(error, assent.UnreachableError)
        self.assertIn("a:1: connection refused\n  b:1: was not asked", str(error))
        self.assertIsNone(directory.leader("s1"))

    def test_that_a_group_is_not_there_only_all_nodes_together_say(self) -> None:
        courier = Courier(["a:1", "b:1"], Options())
        with self.assertRaisesRegex(assent.NotFoundError, "there is no group s9 here; the groups are: c0, s1, s2"):
            ScriptedCluster().drive(courier.find_leader("s9", time.monotonic() + 0.5))

    def test_an_older_view_does_not_replace_a_newer_one(self) -> None:
        directory = Directory(["a:1", "b:1"])
        status = pb.StatusResponse(node="a", replicas=[pb.Replica(group="s1", role="shard", leads=True, epoch=5)])
        directory.answered("a:1", status)
        status = pb.StatusResponse(node="b", replicas=[pb.Replica(group="s1", role="shard", leads=True, epoch=4)])
        directory.answered("b:1", status)
        self.assertEqual(directory.leader("s1"), Target("s1", "a", "a:1"))
        directory.failed("a:1", "gone")
        self.assertIsNone(directory.leader("s1"))


class InDoubtRules(unittest.TestCase):
    """participant.proto, IN DOUBT."""

    ONE = InDoubt(BranchKey(TXN, "b"), Attempt(7, 2), "c0", 0)

    def test_every_state(self) -> None:
        for state, fate in {
            "aborted": Fate.ABORTED,
            "expired": Fate.ABORTED,
            "unknown": Fate.OPEN,
            "running": Fate.OPEN,
            "prepared": Fate.OPEN,
        }.items():
            self.assertIs(fate_of(self.ONE, assent.Outcome(TXN, state)), fate, state)

    def test_expired_proves_nothing_of_a_group_that_the_branch_does_not_name(self) -> None:
        nobodys = InDoubt(self.ONE.key, self.ONE.attempt, "", 0)
        self.assertIs(fate_of(nobodys, assent.Outcome(TXN, "expired")), Fate.OPEN)

    def test_a_compensation_in_an_order_waits_for_its_turn(self) -> None:
        for mode, fate in (("saga", Fate.OPEN), ("concurrent-saga", Fate.ABORTED), ("tcc", Fate.ABORTED)):
            self.assertIs(fate_of(self.ONE, assent.Outcome(TXN, "aborted", mode=mode)), fate, mode)

    def test_only_its_own_attempt_is_committed(self) -> None:
        committed = assent.Outcome(TXN, "committed", protocol="two-phase")
        self.assertIs(fate_of(self.ONE, committed.but(attempt=(7, 2))), Fate.COMMITTED)
        for other in ((7, 3), (8, 2), (0, 0)):
            self.assertIs(fate_of(self.ONE, committed.but(attempt=other)), Fate.ABORTED, "its yes was never counted")
        self.assertIs(fate_of(self.ONE, committed.but(protocol="paxos-commit")), Fate.ABORTED, "not its transaction")
        self.assertIs(fate_of(self.ONE, committed), Fate.OPEN if ATTEMPT_IS_TOLD else Fate.COMMITTED)

    def test_the_attempt_is_read_where_the_definition_has_it(self) -> None:
        message = pb.Transaction(txn_id=TXN, state=pb.COMMITTED)
        self.assertIsNone(outcome_of(message).attempt)
        if ATTEMPT_IS_TOLD:
            message.attempt.epoch, message.attempt.number = 7, 2
            self.assertEqual(outcome_of(message).attempt, (7, 2))


class Values(unittest.TestCase):
    def test_ids(self) -> None:
        before = time.time_ns() // 1_000_000
        ids = [new_txn_id() for _ in range(1000)]
        self.assertEqual(len(set(ids)), 1000)
        for one in ids:
            self.assertTrue(is_txn_id(one))
            self.assertEqual((one[12], one[16] in "89ab"), ("7", True))
            self.assertTrue(before <= created_millis(one) <= before + 60_000)
        for bad in ("", 32 * "0", 31 * "a", 33 * "a", 32 * "A", 31 * "a" + "\n", 32 * "g", 32 * "١"):
            self.assertFalse(is_txn_id(bad), bad)

    def test_values_come_back_as_they_went(self) -> None:
        for value in (None, 0, -(2**63), 2**63 - 1, 1.5, "", "ä\0", b"", b"\x00\xff"):
            self.assertEqual(from_value(to_value(value)), value)
        self.assertEqual(from_value(to_value(True)), 1)

    def test_rows(self) -> None:
        rows = Rows(("a", "b"), ((1, 2), (3, 4)))
        self.assertEqual(rows.dicts(), [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
        self.assertEqual((len(rows), rows[1], rows.first(), Rows().first()), (2, (3, 4), (1, 2), None))
        with self.assertRaises(assent.NotFoundError):
            Rows().value()
        with self.assertRaises(assent.InvalidError):
            rows.value()

    def test_names_and_texts(self) -> None:
        self.assertTrue(valid_name("") and valid_name(200 * "x") and valid_name("ä 漢 😀"))
        for bad in (201 * "x", 101 * "ä", "a\n", "\x7f", "\x9f", "\ud800"):
            self.assertFalse(valid_name(bad), repr(bad))
        self.assertEqual(tidy_text("a\nb\ud800c", 10), "a?b?c")
        self.assertEqual(tidy_text("ää", 3), "ä", "not cut inside a character")

    def test_endpoints(self) -> None:
        for good in ("a:1, b:2", ["a:1", "b:2"]):
            assent.connect(good).close()
        for bad in ("a", "a:", ":1", "a:0", "a:65536", "a:1,", "a:x"):
            with self.assertRaisesRegex(assent.InvalidError, "no host:port"):
                assent.connect(bad)


class Context:
    """What a handler's grpc context does for us."""

    def __init__(self, *metadata: tuple[str, str]):
        self._metadata = metadata
        self._trailing: tuple = ()

    def invocation_metadata(self) -> tuple:
        return self._metadata

    def trailing_metadata(self) -> tuple:
        return self._trailing

    def set_trailing_metadata(self, metadata: tuple) -> None:
        self._trailing = tuple(metadata)


class Propagation(unittest.TestCase):
    def test_a_transaction_travels_through_two_services(self) -> None:
        begun = OutgoingTransaction(TXN, "c0")
        self.assertEqual(begun.metadata()[1], ("assent-branch", "1"))
        outer = Context(("mine", "1"), *begun.metadata())
        with IncomingTransaction(outer, self.fail) as tx:
            self.assertEqual(tx.enlist("ledger", "h:1", b"50"), "2/ledger")
            inner = Context(*tx.metadata())
            with IncomingTransaction(inner, self.fail) as other:
                self.assertEqual(other.caller.branch, "2.1")
                other.enlist("stock", "h:2", b"7")
            self.assertEqual(tx.collect(inner), 1)
        self.assertEqual(begun.collect(outer.trailing_metadata()), 2)
        self.assertEqual(begun.collect(outer.trailing_metadata()), 2, "a call that was sent twice")
        self.assertEqual([one.branch for one in begun.enlistments], ["2/ledger", "2.1/stock"])

    def test_a_handler_that_enlists_nobody_is_warned(self) -> None:
        said: list[str] = []
        with IncomingTransaction(Context(*OutgoingTransaction(TXN).metadata()), said.append):
            pass
        self.assertIn("enlisted nobody", said[0])
        with IncomingTransaction(Context(("other", "1")), self.fail) as tx:
            self.assertIsNone(tx.caller)
            self.assertEqual(tx.metadata(), [])
            with self.assertRaises(assent.RefusedError):
                tx.enlist("ledger", "h:1", b"")

    def test_what_strangers_send_is_an_error(self) -> None:
        for metadata in (
            [("assent-txid", TXN)],
            [("assent-txid", "x"), ("assent-branch", "1")],
            [("assent-txid", TXN), ("assent-txid", TXN[::-1]), ("assent-branch", "1")],
            [("assent-txid", TXN), ("assent-branch", "")],
            [("assent-txid", TXN), ("assent-branch", "1"), ("assent-coordinator", "a\n")],
        ):
            said: list[str] = []
            with IncomingTransaction(Context(*metadata), said.append) as tx:
                self.assertIsNone(tx.caller)
                with self.assertRaises(assent.InvalidError):
                    tx.enlist("ledger", "h:1", b"")
            self.assertIn("cannot be read", said[0])
        for data in (b"\xff", 6000 * b"x", b""):
            with self.assertRaises(assent.InvalidError):
                OutgoingTransaction(TXN).collect([(ENLISTED_KEY, data)])

    def test_limits_of_metadata(self) -> None:
        for bad in (
            Enlistment("b", "p", "h:1", 4097 * b"x"),
            Enlistment("", "p", "h:1", b""),
            Enlistment("b", "", "h:1", b""),
            Enlistment("b", "p", "h", b""),
        ):
            with self.assertRaises(assent.InvalidError):
                encode(bad)
        context = Context(*OutgoingTransaction(TXN).metadata())
        with IncomingTransaction(context, self.fail) as tx:
            tx.enlist("a", "h:1", 4000 * b"x")
            with self.assertRaisesRegex(assent.RefusedError, "make payloads smaller"):
                tx.enlist("b", "h:1", 4000 * b"x")
            with self.assertRaisesRegex(assent.RefusedError, "already, with other content"):
                tx.enlist("a", "h:1", b"y")


if __name__ == "__main__":
    unittest.main()
