"""What every barrier promises, whatever the database: the same cases as the C++ library's barrier_contract.h."""

from __future__ import annotations

import contextlib
import random
import re
import threading
from pathlib import Path
from typing import Any

import assent
from assent.participant import Attempt, Branch, BranchKey, Branches, DatabaseError, Limits
from assent.participant.register import Call, Code, Register, State, Vote
from assent.participant.register import judge, record_abort, record_end, record_vote

from support_participants import EffectsParticipant, Place, branch_of


def with_attempt(branch: Branch, *attempt: int) -> Branch:
    return Branch(branch.txn_id, branch.name, Attempt(*attempt), branch.coordinator)


def cpp_schema(file: str) -> list[str]:
    """The statements by which the C++ barrier makes its tables, from its source."""
    source = (Path(__file__).parents[3] / "service" / file).read_text()
    found = re.findall(r"constexpr const char\* (?:schema|make_branches|make_barrier) =\n(.*?);\n", source, re.S)
    text = ";".join("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', one)) for one in found).replace('\\"', '"')
    statements = [statement for statement in text.split(";") if statement.strip()]
    assert sum("CREATE TABLE" in statement for statement in statements) == 2, text
    return statements


class BarrierContract:
    """Mixed into a TestCase, which says what a Place is."""

    Kind: type[Place]
    histories = 6

    def setUp(self) -> None:
        self.place = self.Kind.borrow()
        self.now = 1_800_000_001_000
        self.participant = EffectsParticipant(self.place)
        self.barriers = contextlib.ExitStack()
        self.addCleanup(self.place.release)
        self.addCleanup(self.barriers.close)
        self.place.make_tables()

    def start(self, **options: Any) -> Branches:
        """A process of the service: connections of its own, nothing in memory."""
        barrier = self.barriers.enter_context(contextlib.closing(self.place.open(patience=30)))
        return Branches("ledger", self.participant, barrier, retention=600, clock=lambda: self.now, **options)

    def state(self, service: Branches, branch: Branch) -> State:
        return service.status(BranchKey(branch.txn_id, branch.name)).state

    # ---- one branch ----

    def test_a_yes_is_run_once_and_committed_once(self) -> None:
        service = self.start()
        branch = branch_of()
        yes = service.prepare(branch, b"yes result=held")
        self.assertTrue(yes.ok, yes.message)
        self.assertEqual((yes.recorded, yes.result, yes.read_only), (branch.attempt, b"held", False))
        restarted = self.start()
        for again in (branch, with_attempt(branch, 2, 1)):
            self.assertEqual(restarted.prepare(again, b"no"), yes, "the first stays")
        for _ in range(3):
            self.assertTrue(restarted.end(Call.COMMIT, branch).ok)
        self.assertEqual(self.participant.calls, {"prepare": 1, "commit": 1})
        self.assertEqual((self.place.effects(branch, "prepare"), self.place.effects(branch, "commit")), (1, 1))
        self.assertIs(self.state(service, branch), State.COMMITTED)
        self.assertEqual(service.prepare(branch, b"yes"), yes, "a late duplicate")
        self.assertEqual(service.end(Call.ABORT, branch).reason, "ABORT_AFTER_COMMIT")
        self.assertEqual(self.place.effects(branch, "abort"), 0)

    def test_a_no_is_recorded_and_its_work_is_not(self) -> None:
        service = self.start()
        branch = branch_of()
        no = service.prepare(branch, b"no")
        self.assertEqual((no.code, no.reason, no.refusal), (Code.ABORTED, "VOTE_NO", "SO_IT_IS"))
        self.assertEqual(no.message, "the payload said no")
        self.assertEqual(self.place.effects(branch, "prepare"), 0)
        restarted = self.start()
        self.assertEqual(restarted.prepare(with_attempt(branch, 2, 1), b"yes"), no)
        self.assertTrue(restarted.end(Call.ABORT, branch).ok)
        self.assertEqual(restarted.end(Call.COMMIT, branch).reason, "COMMIT_AFTER_ABORT")
        self.assertEqual(self.participant.calls, {"prepare": 1})
        self.assertIs(self.state(restarted, branch), State.REFUSED)

    def test_a_read_only_vote_needs_no_end(self) -> None:
        service = self.start()
        branch = branch_of()
        read = service.prepare(branch, b"read-only result=9")
        self.assertTrue(read.ok and read.read_only)
        self.assertEqual(self.start().prepare(branch, b"yes"), read)
        self.assertTrue(service.end(Call.ABORT, branch).ok)
        self.assertTrue(service.end(Call.COMMIT, branch).ok)
        self.assertEqual(self.participant.calls, {"prepare": 1})

    def test_an_abort_before_its_prepare_is_final(self) -> None:
        service = self.start()
        branch = branch_of()
        for _ in range(2):
            self.assertTrue(service.end(Call.ABORT, branch).ok)
        restarted = self.start()
        for late in (branch, with_attempt(branch, 2, 1)):
            self.assertEqual(restarted.prepare(late, b"yes").reason, "BRANCH_ABORTED")
        self.assertEqual(restarted.end(Call.COMMIT, branch).reason, "COMMIT_AFTER_ABORT")
        self.assertEqual(self.participant.calls, {})

    def test_an_aborted_yes_gives_its_work_back_once(self) -> None:
        service = self.start()
        branch = branch_of()
        self.assertTrue(service.prepare(branch, b"yes").ok)
        for _ in range(2):
            self.assertTrue(service.end(Call.ABORT, branch).ok)
        self.assertEqual(self.place.effects(branch, "abort"), 1)
        self.assertEqual(service.end(Call.COMMIT, branch).reason, "COMMIT_AFTER_ABORT")
        self.assertEqual(service.prepare(branch, b"yes").reason, "BRANCH_ABORTED")

    def test_only_its_own_attempt_ends_a_yes(self) -> None:
        service = self.start()
        branch = branch_of()
        self.assertTrue(service.prepare(branch, b"yes").ok)
        for call in (Call.COMMIT, Call.ABORT):
            answer = service.end(call, with_attempt(branch, 2, 1))
            self.assertEqual((answer.reason, answer.recorded), ("OTHER_ATTEMPT", branch.attempt))
        self.assertIs(self.state(service, branch), State.PREPARED)
        self.assertTrue(service.end(Call.COMMIT, branch).ok)
        self.assertEqual((self.place.effects(branch, "commit"), self.place.effects(branch, "abort")), (1, 0))

    def test_a_commit_of_what_was_never_prepared_changes_nothing(self) -> None:
        service = self.start()
        branch = branch_of()
        self.assertEqual(service.end(Call.COMMIT, branch).reason, "NEVER_PREPARED")
        self.assertIs(self.state(service, branch), State.EMPTY)
        self.assertEqual(self.place.rows(), 0)
        self.assertTrue(service.prepare(branch, b"yes").ok)

    # ---- what is kept ----

    def test_branches_are_told_apart_by_every_byte_of_their_names(self) -> None:
        service = self.start()
        names = ["b", "B", "b ", " b", "bb", "ä", "a", "b%", "b_", "b\\", "b'", 200 * "b"]
        for number, name in enumerate(names, 1):
            branch = branch_of(1, (1, number), name)
            answer = service.prepare(branch, b"yes")
            self.assertTrue(answer.ok, answer.message)
            self.assertEqual(answer.recorded, branch.attempt, repr(name))
        self.assertEqual(self.place.rows(), len(names))
        self.assertTrue(service.end(Call.COMMIT, branch_of(1, (1, 1), "b")).ok)
        self.assertIs(self.state(service, branch_of(1, (1, 1), "b")), State.COMMITTED)
        self.assertIs(self.state(service, branch_of(1, (0, 0), "B")), State.PREPARED)

    def test_every_byte_and_every_number_is_kept(self) -> None:
        service = self.start()
        payload = b"yes result=x " + bytes(range(256)) + 100_000 * b"\xff\x00"
        branch = Branch(branch_of().txn_id, "b", Attempt(2**64 - 1, 2**63), "coordinator ä 😀")
        self.assertTrue(service.prepare(branch, payload).ok)
        found = self.start().status(BranchKey(branch.txn_id, "b"))
        self.assertEqual((found.attempt, found.coordinator), (branch.attempt, branch.coordinator))
        self.assertEqual((found.payload, found.result, found.changed_at), (payload, b"x", self.now))
        self.assertTrue(service.prepare(branch_of(2), b"").ok)
        self.assertEqual(service.status(BranchKey(branch_of(2).txn_id, "b")).payload, b"")

    # ---- a service that misbehaves ----

    def test_an_exception_of_prepare_is_a_no(self) -> None:
        service = self.start()
        branch = branch_of()
        no = service.prepare(branch, b"throw")
        self.assertEqual((no.reason, no.refusal, no.message), ("VOTE_NO", "EXCEPTION", "the service fell over"))
        self.assertEqual(self.place.effects(branch, "prepare"), 0)
        self.assertEqual(self.start().prepare(branch, b"yes"), no)

    def test_what_is_put_off_leaves_nothing_and_is_asked_again(self) -> None:
        service = self.start()
        branch = branch_of()
        for _ in range(2):
            answer = service.prepare(branch, b"later=2")
            self.assertEqual((answer.code, answer.message), (Code.UNKNOWN, "the payload said later"))
            self.assertEqual(self.state(service, branch), State.EMPTY)
        self.assertEqual(service.prepare(branch, b"later=2").code, Code.OK)
        self.assertEqual(self.place.effects(branch, "prepare"), 1)

    def test_a_prepare_that_forgets_to_vote_is_a_no(self) -> None:
        service = self.start()
        self.participant.prepare = lambda *_: None  # type: ignore[method-assign,assignment]
        no = service.prepare(branch_of(), b"yes")
        self.assertEqual(no.refusal, "EXCEPTION")
        self.assertIn("returned NoneType", no.message)

    def test_a_failed_statement_never_leaves_half(self) -> None:
        service = self.start()
        refused = branch_of(1)
        self.assertEqual(service.prepare(refused, b"bad-sql no").reason, "VOTE_NO")
        self.assertIs(self.state(service, refused), State.REFUSED)
        branch = branch_of(2)
        answer = service.prepare(branch, b"bad-sql yes")
        prepared = self.state(service, branch) is State.PREPARED
        self.assertEqual(answer.ok, prepared)
        self.assertEqual(self.place.effects(branch, "prepare"), int(prepared))

    def test_a_failed_end_is_taken_back_and_comes_again(self) -> None:
        service = self.start()
        branch = branch_of(1)
        self.assertTrue(service.prepare(branch, b"fail-commit=2").ok)
        for _ in range(2):
            answer = service.end(Call.COMMIT, branch)
            self.assertIs(answer.code, Code.UNKNOWN)
            self.assertIn("the payload says that it fails", answer.message)
            self.assertEqual(self.place.effects(branch, "commit"), 0)
            self.assertIs(self.state(service, branch), State.PREPARED)
        self.assertTrue(service.end(Call.COMMIT, branch).ok, "with the payload of the prepare")
        self.assertEqual(self.place.effects(branch, "commit"), 1)
        aborted = branch_of(2)
        self.assertTrue(service.prepare(aborted, b"fail-abort=1").ok)
        self.assertIs(service.end(Call.ABORT, aborted).code, Code.UNKNOWN)
        self.assertTrue(service.end(Call.ABORT, aborted).ok)
        self.assertEqual(self.place.effects(aborted, "abort"), 1)

    def test_work_that_ends_the_local_transaction_by_itself_is_a_no(self) -> None:
        service = self.start()
        branch = branch_of(1)
        self.assertIs(service.prepare(branch, b"end-transaction yes").code, Code.UNKNOWN)
        again = service.prepare(branch, b"yes")
        self.assertEqual((again.reason, again.refusal), ("VOTE_NO", "TORN"))
        self.assertEqual(self.participant.calls, {"prepare": 1})
        ended = branch_of(2)
        self.assertTrue(service.prepare(ended, b"end-transaction-in-commit").ok)
        self.assertIs(service.end(Call.COMMIT, ended).code, Code.UNKNOWN)
        self.assertTrue(service.end(Call.COMMIT, ended).ok)
        self.assertEqual((self.participant.calls["commit"], self.place.effects(ended, "commit")), (1, 1))
        self.assertTrue(service.prepare(branch_of(3), b"yes").ok, "the connection is fit for use")

    def test_the_drivers_own_commit_is_refused(self) -> None:
        service = self.start()
        for act in (lambda db: db.commit(), lambda db: db.rollback(), lambda db: db.__enter__()):
            self.participant.prepare = lambda _, db, __, act=act: act(db)  # type: ignore[method-assign]
            no = service.prepare(branch_of(random.randrange(10**9)), b"yes")
            self.assertEqual((no.reason, no.refusal), ("VOTE_NO", "EXCEPTION"), no.message)

    # ---- limits, forgetting ----

    def test_limits_are_kept(self) -> None:
        service = self.start(limits=Limits(payload_bytes=100, result_bytes=10, prepares=4))
        large = service.prepare(branch_of(1), 101 * b" ")
        self.assertEqual((large.reason, large.refusal), ("VOTE_NO", "PAYLOAD_TOO_LARGE"))
        self.assertEqual(service.prepare(branch_of(1), b""), large, "recorded")
        self.assertEqual(self.participant.calls, {})
        self.assertTrue(service.prepare(branch_of(2), 100 * b" ").ok)
        self.assertEqual(service.prepare(branch_of(3), b"result=12345678901").refusal, "RESULT_TOO_LARGE")
        self.assertEqual(self.place.effects(branch_of(3), "prepare"), 0)
        bad = [branch_of(4, name=name) for name in ("", 201 * "x", "a\nb", "a\x85b", 101 * "ä")]
        bad += [Branch(txn_id, "b", Attempt(1, 1)) for txn_id in ("", 32 * "0", 32 * "A", 31 * "a" + "\n")]
        for branch in bad:
            self.assertIs(service.prepare(branch, b"").code, Code.INVALID)
            self.assertIs(service.end(Call.ABORT, branch).code, Code.INVALID)
            with self.assertRaises(assent.InvalidError):
                service.status(BranchKey(branch.txn_id, branch.name))
        self.assertEqual(service.end(Call.ABORT, branch_of(5), "another").reason, "WRONG_PARTICIPANT")
        self.assertEqual(self.place.rows(), 3)

    def test_ended_branches_are_forgotten_and_never_prepared_again(self) -> None:
        service = self.start()
        in_doubt, committed, aborted, unseen = (branch_of(number) for number in range(1, 5))
        for branch in (in_doubt, committed):
            self.assertTrue(service.prepare(branch, b"yes").ok)
        self.assertTrue(service.end(Call.COMMIT, committed).ok)
        self.assertTrue(service.end(Call.ABORT, aborted).ok)
        self.now += 600_000
        self.assertEqual(service.forget_some(), 0, "not before the retention has passed")
        self.now += 1
        late = branch_of(5, millis=self.now)
        self.assertTrue(service.prepare(unseen, b"yes").ok, "nothing is forgotten yet: it may still come")
        self.assertTrue(service.end(Call.COMMIT, unseen).ok)
        self.assertEqual(service.forget_some(), 2, "the one that ended now is kept")
        restarted = self.start()
        self.assertEqual(restarted.prepare(committed, b"yes").reason, "TXN_TOO_OLD")
        self.assertEqual(restarted.prepare(with_attempt(aborted, 2, 1), b"yes").reason, "TXN_TOO_OLD")
        self.assertEqual(restarted.end(Call.COMMIT, committed).reason, "BRANCH_FORGOTTEN")
        self.assertTrue(restarted.end(Call.ABORT, committed).ok)
        self.assertIs(self.state(restarted, committed), State.FORGOTTEN)
        self.assertEqual((self.participant.calls["prepare"], self.place.rows()), (3, 2))
        self.assertTrue(restarted.prepare(late, b"yes").ok, "a younger one is taken")
        self.assertTrue(restarted.end(Call.COMMIT, in_doubt).ok, "however long it took")
        self.assertEqual(self.place.effects(in_doubt, "commit"), 1)

    def test_those_in_doubt_are_listed_oldest_first(self) -> None:
        service = self.start()
        first = branch_of(2, (5, 6), "x")
        self.assertTrue(service.prepare(first, b"yes").ok)
        self.now += 1000
        second = branch_of(1)
        self.assertTrue(service.prepare(second, b"yes").ok)
        service.prepare(branch_of(3), b"no")
        service.prepare(branch_of(4), b"read-only")
        self.now += 1000
        found = service.in_doubt(0, 10)
        self.assertEqual([one.key.txn_id for one in found], [first.txn_id, second.txn_id])
        self.assertEqual((found[0].attempt, found[0].coordinator), ((5, 6), "c0"))
        self.assertEqual(found[0].since, self.now - 2000)
        self.assertEqual(len(service.in_doubt(0, 1)), 1)
        self.assertEqual([len(service.in_doubt(at_least, 9)) for at_least in (0.5, 1.5, 2.5)], [2, 1, 0])

    # ---- at the same time ----

    def test_parallel_duplicates_run_the_work_once(self) -> None:
        """Two processes of the service on one database, and four callers at each."""
        services = [self.start(), self.start()]
        rounds, callers = 8, 8
        for number in range(1, rounds + 1):
            branch = branch_of(number)
            calls = [
                lambda i=i: services[i % 2].prepare(with_attempt(branch, 1, i + 1), b"yes") for i in range(callers)
            ]
            answers = self.together(calls)
            self.assertTrue(answers[0].ok, answers[0].message)
            self.assertEqual(answers, callers * [answers[0]])
            self.assertEqual(self.place.effects(branch, "prepare"), 1)
        self.assertEqual(self.participant.calls, {"prepare": rounds})

    def test_a_parallel_prepare_and_abort_end_one_way(self) -> None:
        one, two = self.start(), self.start()
        for number in range(1, 9):
            branch = branch_of(number)
            prepared, aborted = self.together(
                [lambda: one.prepare(branch, b"yes"), lambda: two.end(Call.ABORT, branch)]
            )
            self.assertTrue(aborted.ok, aborted.message)
            self.assertTrue(prepared.ok or prepared.reason == "BRANCH_ABORTED", prepared.message)
            self.assertIs(self.state(one, branch), State.ABORTED)
            self.assertEqual(self.place.effects(branch, "prepare"), self.place.effects(branch, "abort"))

    def together(self, calls: list) -> list:
        """Each at the same moment, each until its answer is other than `ask again`."""
        answers: list = [None] * len(calls)
        start = threading.Barrier(len(calls))

        def until_heard(index: int) -> None:
            start.wait()
            answers[index] = calls[index]()
            while answers[index].code is Code.RUNNING:
                answers[index] = calls[index]()

        threads = [threading.Thread(target=until_heard, args=(index,)) for index in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    # ---- what is refused ----

    def test_a_foreign_table_of_our_name_is_refused(self) -> None:
        self.place.execute(self.place.look, "CREATE TABLE assent_branches(txn_id VARCHAR(32), mine INTEGER)")
        with self.assertRaisesRegex(DatabaseError, "assent_branches lacks .*payload.* has mine"):
            self.place.open()

    def test_the_tables_of_the_cpp_library_are_taken_as_they_are(self) -> None:
        """So a service may be written again in another language, on its database."""
        for statement in cpp_schema(self.Kind.cpp_file):
            self.place.execute(self.place.look, statement)
        service = self.start()
        branch = branch_of(1, (2**64 - 1, 1), 200 * "n")
        self.assertTrue(service.prepare(branch, b"yes result=r").ok)
        self.assertEqual(len(service.in_doubt(0, 9)), 1)
        self.assertTrue(service.end(Call.COMMIT, branch).ok)
        for number, payload in enumerate((b"no", b"read-only"), 2):
            service.prepare(branch_of(number), payload)
        self.now += 10**6
        self.assertEqual(service.forget_some(), 3)

    def test_tables_of_another_version_are_refused(self) -> None:
        self.start()
        self.place.execute(self.place.look, "UPDATE assent_barrier SET version = 2")
        with self.assertRaisesRegex(DatabaseError, "of version 2, and this program knows version 1"):
            self.place.open()

    def test_a_connection_to_another_database_is_refused(self) -> None:
        elsewhere = self.Kind.borrow()
        self.addCleanup(elsewhere.release)
        barrier = self.barriers.enter_context(contextlib.closing(self.place.open(work=self.place.look)))
        barrier.same_database(self.place.look)
        with self.assertRaisesRegex(DatabaseError, "does not commit with the registers"):
            barrier.same_database(elsewhere.look)
        elsewhere.open().close()
        with self.assertRaisesRegex(DatabaseError, "does not commit with the registers"):
            self.place.open(work=elsewhere.look)

    def test_a_row_that_somebody_else_wrote_is_an_error_and_no_crash(self) -> None:
        service = self.start()
        branch = branch_of()
        self.assertTrue(service.prepare(branch, b"yes").ok)
        for damage in ("state = 'what'", "epoch = NULL", "state = ''"):
            self.place.execute(self.place.look, f"UPDATE assent_branches SET {damage}")
            self.assertIs(service.prepare(branch, b"yes").code, Code.UNKNOWN, damage)
            self.assertIs(service.end(Call.COMMIT, branch).code, Code.UNKNOWN, damage)
            with self.assertRaises(DatabaseError):
                service.status(BranchKey(branch.txn_id, branch.name))
        self.place.execute(self.place.look, "UPDATE assent_branches SET state = 'prepared', epoch = 1")
        self.assertTrue(service.end(Call.COMMIT, branch).ok)

    # ---- any history ----

    def test_random_histories_are_answered_as_the_pure_register_says(self) -> None:
        chance = random.Random(11)
        for history in range(1, self.histories + 1):
            service = self.start()
            twins: dict[str, Register] = {}
            for step in range(25):
                branch = branch_of(history, (chance.randint(1, 2), 1), chance.choice("xy"))
                call = chance.choice(list(Call))
                payload = chance.choice([b"yes result=r", b"yes result=r", b"no", b"read-only"])
                wanted = self._expected(call, twins, branch, payload)
                answer = service.prepare(branch, payload) if call is Call.PREPARE else service.end(call, branch)
                self.assertEqual(answer, wanted, f"history {history} step {step}")
                found = service.status(BranchKey(branch.txn_id, branch.name))
                self.assertEqual(found, twins.get(branch.name, Register()))
                if chance.random() < 0.05:
                    service = self.start()

    def _expected(self, call: Call, twins: dict, branch: Branch, payload: bytes) -> Any:
        twin = twins.get(branch.name, Register())
        ruling = judge(call, twin, branch.attempt)
        if not ruling.writes:
            return ruling.answer
        if call is Call.PREPARE:
            no = Vote.no("SO_IT_IS", "the payload said no")
            vote = {b"n": no, b"r": Vote.read_only()}.get(payload[:1], Vote.yes(b"r"))
            twins[branch.name] = record_vote(branch, payload, vote, self.now)
            return judge(call, twins[branch.name], branch.attempt).answer
        empty = twin.state is State.EMPTY
        twins[branch.name] = record_abort(branch, self.now) if empty else record_end(twin, call, self.now)
        return ruling.answer
