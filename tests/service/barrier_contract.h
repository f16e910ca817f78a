// What the barrier of every database promises, as tests; a database brings a Kind (database_kinds.h) and instantiates
// the suite. They drive Branches, as the gRPC service does, and count in the service's own table what took effect.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "service/branches.h"
#include "tests/service/test_participant.h"

namespace assent::service::testing {

constexpr Attempt first_attempt{3, 7};
constexpr Attempt other_attempt{4, 1};

template <class Kind>
class BarrierContract : public ::testing::Test {
 protected:
  using Connection = typename Kind::Connection;

  // The service, as one process of it would be.
  struct Service {
    std::unique_ptr<Barrier<Connection>> barrier;
    std::unique_ptr<Branches> branches;
  };

  void SetUp() override { TestParticipant<Kind>::make_tables(place_.look()); }

  Service start(Limits limits = {}) {
    Service out;
    auto barrier = place_.open();
    if (!barrier) throw std::runtime_error(barrier.error().message);
    out.barrier = std::move(*barrier);
    BranchesOptions options;
    options.name = "tested";
    options.limits = limits;
    options.retention = std::chrono::minutes(10);
    options.clock = [this] { return now_; };
    out.branches = std::make_unique<Branches>(std::move(options),
                                              std::make_unique<EnrolledOn<Connection>>(participant_, *out.barrier));
    return out;
  }

  Branch branch(std::uint64_t number = 1, Attempt attempt = first_attempt, const std::string& name = "b") {
    Branch out;
    out.txn = TxnId::make(now_, number, 1);
    out.name = name;
    out.attempt = attempt;
    out.coordinator = "c0";
    return out;
  }
  static Branch with(Branch branch, Attempt attempt) {
    branch.attempt = attempt;
    return branch;
  }
  static PrepareCall prepare(Branch branch, Bytes payload = "yes") {
    return {std::move(branch), "", std::move(payload)};
  }

  std::int64_t effects(const Branch& branch, const std::string& what) {
    return TestParticipant<Kind>::effects(place_.look(), branch, what);
  }
  std::int64_t rows() { return Kind::number(place_.look(), "SELECT count(*) FROM assent_branches"); }
  BranchState state(Service& service, const Branch& branch) {
    const auto found = service.branches->status({branch.txn, branch.name});
    if (!found) throw std::runtime_error(found.error().message);
    return found->state;
  }

  Kind place_;
  TestParticipant<Kind> participant_;
  ClusterMillis now_{1'800'000'000'000};
};

TYPED_TEST_SUITE_P(BarrierContract);

TYPED_TEST_P(BarrierContract, AYesIsRecordedWithItsWorkAndCommittedOnce) {
  auto service = this->start();
  const Branch branch = this->branch();
  const Answer yes = service.branches->prepare(this->prepare(branch, "result=17"));
  ASSERT_TRUE(yes.ok()) << yes.message;
  EXPECT_EQ(yes.recorded, first_attempt);
  EXPECT_EQ(yes.result, "17");
  EXPECT_FALSE(yes.read_only);
  EXPECT_EQ(this->state(service, branch), BranchState::prepared);
  EXPECT_EQ(this->effects(branch, "prepare"), 1);

  auto restarted = this->start();
  EXPECT_EQ(restarted.branches->prepare(this->prepare(branch, "result=18")), yes);
  EXPECT_EQ(this->participant_.calls("prepare"), 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(restarted.branches->end(Call::commit, branch).ok());
  EXPECT_EQ(this->effects(branch, "commit"), 1);
  EXPECT_EQ(this->participant_.calls("commit"), 1);
  EXPECT_EQ(this->state(service, branch), BranchState::committed);
  EXPECT_EQ(service.branches->prepare(this->prepare(branch)), yes) << "a late duplicate";
  EXPECT_EQ(service.branches->end(Call::abort, branch).reason, Reason::abort_after_commit);
  EXPECT_EQ(this->effects(branch, "abort"), 0);
}

TYPED_TEST_P(BarrierContract, ANoIsRecordedAndItsWorkIsNot) {
  auto service = this->start();
  const Branch branch = this->branch();
  const Answer no = service.branches->prepare(this->prepare(branch, "no"));
  EXPECT_EQ(no.code, AnswerCode::aborted);
  EXPECT_EQ(no.reason, Reason::vote_no);
  EXPECT_EQ(no.refusal, "SO_IT_IS");
  EXPECT_EQ(no.message, "the payload said no");
  EXPECT_EQ(this->effects(branch, "prepare"), 0);

  auto restarted = this->start();
  EXPECT_EQ(restarted.branches->prepare(this->prepare(this->with(branch, other_attempt), "yes")), no)
      << "the first stays";
  EXPECT_EQ(this->participant_.calls("prepare"), 1);
  EXPECT_TRUE(restarted.branches->end(Call::abort, branch).ok());
  EXPECT_EQ(restarted.branches->end(Call::commit, branch).reason, Reason::commit_after_abort);
  EXPECT_EQ(this->participant_.calls("abort") + this->participant_.calls("commit"), 0);
  EXPECT_EQ(this->state(restarted, branch), BranchState::refused);
}

TYPED_TEST_P(BarrierContract, AReadOnlyVoteIsRecordedAndNeedsNoEnd) {
  auto service = this->start();
  const Branch branch = this->branch();
  const Answer read = service.branches->prepare(this->prepare(branch, "read-only result=9"));
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read.read_only);
  EXPECT_EQ(this->start().branches->prepare(this->prepare(branch)), read);
  EXPECT_TRUE(service.branches->end(Call::abort, branch).ok());
  EXPECT_TRUE(service.branches->end(Call::commit, branch).ok());
  EXPECT_EQ(this->participant_.calls("abort") + this->participant_.calls("commit"), 0);
}

TYPED_TEST_P(BarrierContract, AnAbortBeforeItsPrepareIsFinal) {
  auto service = this->start();
  const Branch branch = this->branch();
  EXPECT_TRUE(service.branches->end(Call::abort, branch).ok());
  EXPECT_TRUE(service.branches->end(Call::abort, branch).ok());
  auto restarted = this->start();
  EXPECT_EQ(restarted.branches->prepare(this->prepare(branch)).reason, Reason::branch_aborted);
  EXPECT_EQ(restarted.branches->prepare(this->prepare(this->with(branch, other_attempt))).reason,
            Reason::branch_aborted);
  EXPECT_EQ(restarted.branches->end(Call::commit, branch).reason, Reason::commit_after_abort);
  EXPECT_EQ(this->participant_.calls("prepare") + this->participant_.calls("abort"), 0);
}

TYPED_TEST_P(BarrierContract, AnAbortedYesGivesItsWorkBackOnce) {
  auto service = this->start();
  const Branch branch = this->branch();
  ASSERT_TRUE(service.branches->prepare(this->prepare(branch)).ok());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(service.branches->end(Call::abort, branch).ok());
  EXPECT_EQ(this->effects(branch, "abort"), 1);
  EXPECT_EQ(service.branches->end(Call::commit, branch).reason, Reason::commit_after_abort);
  EXPECT_EQ(service.branches->prepare(this->prepare(branch)).reason, Reason::branch_aborted);
}

TYPED_TEST_P(BarrierContract, OnlyItsOwnAttemptEndsAYes) {
  auto service = this->start();
  const Branch branch = this->branch();
  ASSERT_TRUE(service.branches->prepare(this->prepare(branch)).ok());
  const Answer second = service.branches->prepare(this->prepare(this->with(branch, other_attempt)));
  EXPECT_TRUE(second.ok());
  EXPECT_EQ(second.recorded, first_attempt);
  for (const Call call : {Call::commit, Call::abort}) {
    const Answer answer = service.branches->end(call, this->with(branch, other_attempt));
    EXPECT_EQ(answer.reason, Reason::other_attempt);
    EXPECT_EQ(answer.recorded, first_attempt);
  }
  EXPECT_EQ(this->state(service, branch), BranchState::prepared);
  EXPECT_TRUE(service.branches->end(Call::commit, branch).ok());
  EXPECT_EQ(this->effects(branch, "commit"), 1);
  EXPECT_EQ(this->effects(branch, "abort"), 0);
}

TYPED_TEST_P(BarrierContract, ACommitOfWhatWasNeverPreparedChangesNothing) {
  auto service = this->start();
  const Branch branch = this->branch();
  EXPECT_EQ(service.branches->end(Call::commit, branch).reason, Reason::never_prepared);
  EXPECT_EQ(this->rows(), 0);
  EXPECT_EQ(this->state(service, branch), BranchState::empty);
  EXPECT_EQ(this->rows(), 0);
  EXPECT_TRUE(service.branches->prepare(this->prepare(branch)).ok());
}

TYPED_TEST_P(BarrierContract, BranchesAreToldApartByEveryByteOfTheirNames) {
  auto service = this->start();
  const std::vector<std::string> names{"b", "B", "b ", " b", "bb", "ä", "a", "b%", "b_", std::string(200, 'b')};
  std::uint64_t number = 0;
  for (const std::string& name : names) {
    const Branch branch = this->branch(1, {1, ++number}, name);
    const Answer answer = service.branches->prepare(this->prepare(branch));
    ASSERT_TRUE(answer.ok()) << answer.message;
    EXPECT_EQ(answer.recorded, branch.attempt) << "'" << name << "'";
  }
  const Branch other_txn = this->branch(2, {9, 9}, "b");
  EXPECT_EQ(service.branches->prepare(this->prepare(other_txn)).recorded, other_txn.attempt);
  EXPECT_EQ(this->rows(), static_cast<std::int64_t>(names.size()) + 1);
  EXPECT_TRUE(service.branches->end(Call::commit, this->branch(1, {1, 1}, "b")).ok());
  EXPECT_EQ(this->state(service, this->branch(1, {}, "B")), BranchState::prepared);
}

TYPED_TEST_P(BarrierContract, EveryByteAndEveryNumberIsKept) {
  auto service = this->start();
  Bytes all = "yes result=";
  for (int i = 33; i < 256; ++i) all += static_cast<char>(i);
  Branch branch = this->branch(1, {~0ULL, 1ULL << 63U});
  branch.coordinator = "coordinator ä";
  const Answer answer = service.branches->prepare(this->prepare(branch, all));
  ASSERT_TRUE(answer.ok()) << answer.message;
  auto restarted = this->start();
  const auto found = restarted.branches->status({branch.txn, branch.name});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->attempt, branch.attempt);
  EXPECT_EQ(found->coordinator, branch.coordinator);
  EXPECT_EQ(found->payload, all);
  EXPECT_EQ(found->result, all.substr(11));
  EXPECT_EQ(found->changed_at, this->now_);

  Bytes zeros = "yes";
  zeros.push_back('\0');
  zeros.append(100'000, '\xff');
  ASSERT_TRUE(service.branches->prepare(this->prepare(this->branch(2), zeros)).ok());
  EXPECT_EQ(service.branches->status({this->branch(2).txn, "b"})->payload, zeros);
  ASSERT_TRUE(service.branches->prepare(this->prepare(this->branch(3), "")).ok());
  EXPECT_EQ(service.branches->status({this->branch(3).txn, "b"})->payload, "");
}

TYPED_TEST_P(BarrierContract, AnExceptionOfPrepareIsANo) {
  auto service = this->start();
  const Branch branch = this->branch();
  const Answer no = service.branches->prepare(this->prepare(branch, "throw"));
  EXPECT_EQ(no.reason, Reason::vote_no);
  EXPECT_EQ(no.refusal, "EXCEPTION");
  EXPECT_EQ(no.message, "the service fell over");
  EXPECT_EQ(this->effects(branch, "prepare"), 0);
  EXPECT_EQ(this->start().branches->prepare(this->prepare(branch)), no);
}

TYPED_TEST_P(BarrierContract, AFailedStatementBeforeANoStillLeavesTheNo) {
  auto service = this->start();
  const Branch branch = this->branch();
  EXPECT_EQ(service.branches->prepare(this->prepare(branch, "bad-sql no")).reason, Reason::vote_no);
  EXPECT_EQ(this->state(service, branch), BranchState::refused);
}

// Where a failed statement spoils the whole local transaction (PostgreSQL), a yes after it is none.
TYPED_TEST_P(BarrierContract, AFailedStatementBeforeAYesNeverLeavesHalfOfIt) {
  auto service = this->start();
  const Branch branch = this->branch();
  const Answer answer = service.branches->prepare(this->prepare(branch, "bad-sql yes"));
  const bool prepared = this->state(service, branch) == BranchState::prepared;
  EXPECT_EQ(answer.ok(), prepared);
  EXPECT_EQ(this->effects(branch, "prepare"), prepared ? 1 : 0);
}

TYPED_TEST_P(BarrierContract, AFailedEndIsTakenBackAndComesAgain) {
  auto service = this->start();
  const Branch committed = this->branch(1);
  ASSERT_TRUE(service.branches->prepare(this->prepare(committed, "fail-commit=2")).ok());
  for (int i = 0; i < 2; ++i) {
    const Answer answer = service.branches->end(Call::commit, committed);
    EXPECT_EQ(answer.code, AnswerCode::unknown);
    EXPECT_NE(answer.message.find("the payload says that it fails"), std::string::npos) << answer.message;
    EXPECT_EQ(this->effects(committed, "commit"), 0);
    EXPECT_EQ(this->state(service, committed), BranchState::prepared);
  }
  EXPECT_TRUE(service.branches->end(Call::commit, committed).ok()) << "with the payload of the prepare";
  EXPECT_EQ(this->effects(committed, "commit"), 1);

  const Branch aborted = this->branch(2);
  ASSERT_TRUE(service.branches->prepare(this->prepare(aborted, "fail-abort=1")).ok());
  EXPECT_EQ(service.branches->end(Call::abort, aborted).code, AnswerCode::unknown);
  EXPECT_TRUE(service.branches->end(Call::abort, aborted).ok());
  EXPECT_EQ(this->effects(aborted, "abort"), 1);

  const Branch thrown = this->branch(3);
  ASSERT_TRUE(service.branches->prepare(this->prepare(thrown, "throw-commit=4")).ok());
  EXPECT_EQ(service.branches->end(Call::commit, thrown).code, AnswerCode::unknown);
  EXPECT_TRUE(service.branches->end(Call::commit, thrown).ok());
  EXPECT_EQ(this->effects(thrown, "commit"), 1);
}

// It must not, and cannot be kept from it. It never becomes a yes, and never runs twice.
TYPED_TEST_P(BarrierContract, WorkThatEndsTheLocalTransactionByItselfIsANo) {
  auto service = this->start();
  const Branch branch = this->branch(1);
  EXPECT_EQ(service.branches->prepare(this->prepare(branch, "end-transaction yes")).code, AnswerCode::unknown);
  const Answer again = service.branches->prepare(this->prepare(branch));
  EXPECT_EQ(again.reason, Reason::vote_no);
  EXPECT_EQ(again.refusal, "TORN");
  EXPECT_EQ(this->participant_.calls("prepare"), 1);

  const Branch ended = this->branch(2);
  ASSERT_TRUE(service.branches->prepare(this->prepare(ended, "end-transaction-in-commit")).ok());
  EXPECT_EQ(service.branches->end(Call::commit, ended).code, AnswerCode::unknown);
  EXPECT_TRUE(service.branches->end(Call::commit, ended).ok());
  EXPECT_EQ(this->participant_.calls("commit"), 1);
  EXPECT_EQ(this->effects(ended, "commit"), 1);

  EXPECT_TRUE(service.branches->prepare(this->prepare(this->branch(3))).ok()) << "the connection is fit for use";
}

TYPED_TEST_P(BarrierContract, LimitsAreKept) {
  auto service = this->start({.payload_bytes_max = 100, .result_bytes_max = 10, .prepares_max = 4});
  const Answer large = service.branches->prepare(this->prepare(this->branch(1), Bytes(101, ' ')));
  EXPECT_EQ(large.reason, Reason::vote_no);
  EXPECT_EQ(large.refusal, "PAYLOAD_TOO_LARGE");
  EXPECT_EQ(service.branches->prepare(this->prepare(this->branch(1))), large) << "recorded";
  EXPECT_EQ(this->participant_.calls("prepare"), 0);
  EXPECT_TRUE(service.branches->prepare(this->prepare(this->branch(2), Bytes(100, ' '))).ok());
  const Answer result = service.branches->prepare(this->prepare(this->branch(3), "result=12345678901"));
  EXPECT_EQ(result.refusal, "RESULT_TOO_LARGE");
  EXPECT_EQ(this->effects(this->branch(3), "prepare"), 0);

  for (const Branch& bad : {this->branch(4, {1, 1}, ""), this->branch(4, {1, 1}, std::string(201, 'x')),
                            this->branch(4, {1, 1}, "a\nb"), Branch{}}) {
    EXPECT_EQ(service.branches->prepare(this->prepare(bad)).code, AnswerCode::invalid);
    EXPECT_EQ(service.branches->end(Call::abort, bad).code, AnswerCode::invalid);
    EXPECT_FALSE(service.branches->status({bad.txn, bad.name}));
  }
  EXPECT_EQ(service.branches->end(Call::abort, this->branch(5), "another").reason, Reason::wrong_participant);
  EXPECT_EQ(this->rows(), 3);
}

TYPED_TEST_P(BarrierContract, EndedBranchesAreForgottenInOrderAndNeverPreparedAgain) {
  auto service = this->start();
  const Branch in_doubt = this->branch(1);
  const Branch committed = this->branch(2);
  const Branch aborted = this->branch(3);
  const Branch unseen = this->branch(4);
  ASSERT_TRUE(service.branches->prepare(this->prepare(in_doubt)).ok());
  ASSERT_TRUE(service.branches->prepare(this->prepare(committed)).ok());
  ASSERT_TRUE(service.branches->end(Call::commit, committed).ok());
  ASSERT_TRUE(service.branches->end(Call::abort, aborted).ok());
  this->now_.value += 10 * 60'000;
  EXPECT_EQ(service.branches->forget_some().value(), 0U) << "not before the retention has passed";
  this->now_.value += 1;
  const Branch late_end = this->branch(5);  // an id of now
  ASSERT_TRUE(service.branches->prepare(this->prepare(unseen)).ok()) << "nothing is forgotten yet: it may still come";
  ASSERT_TRUE(service.branches->end(Call::commit, unseen).ok());
  EXPECT_EQ(service.branches->forget_some().value(), 2U) << "the one that ended now is kept";
  EXPECT_EQ(this->rows(), 2);

  auto restarted = this->start();
  EXPECT_EQ(restarted.branches->prepare(this->prepare(committed)).reason, Reason::txn_too_old);
  EXPECT_EQ(restarted.branches->prepare(this->prepare(this->with(aborted, other_attempt))).reason, Reason::txn_too_old);
  EXPECT_EQ(restarted.branches->end(Call::commit, committed).reason, Reason::branch_forgotten);
  EXPECT_TRUE(restarted.branches->end(Call::abort, committed).ok());
  EXPECT_EQ(this->state(restarted, committed), BranchState::forgotten);
  EXPECT_EQ(this->participant_.calls("prepare"), 3);
  EXPECT_EQ(this->rows(), 2) << "and leaves no tombstone";
  EXPECT_TRUE(restarted.branches->prepare(this->prepare(late_end)).ok()) << "a younger one is taken";
  EXPECT_TRUE(restarted.branches->end(Call::commit, in_doubt).ok()) << "however long it took";
  EXPECT_EQ(this->effects(in_doubt, "commit"), 1);
}

TYPED_TEST_P(BarrierContract, ForgettingGoesOnByItself) {
  auto service = this->start();
  for (std::uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(service.branches->end(Call::abort, this->branch(i)).ok());
  this->now_.value += 11 * 60'000;
  for (std::uint64_t i = 201; i <= 264; ++i) ASSERT_TRUE(service.branches->end(Call::abort, this->branch(i)).ok());
  EXPECT_EQ(this->rows(), 64);
}

TYPED_TEST_P(BarrierContract, ThoseInDoubtAreListedOldestFirst) {
  auto service = this->start();
  const ClusterMillis begin = this->now_;
  const Branch first = this->branch(2, {5, 6}, "x");
  ASSERT_TRUE(service.branches->prepare(this->prepare(first)).ok());
  this->now_.value += 1'000;
  const Branch second = this->branch(1);
  ASSERT_TRUE(service.branches->prepare(this->prepare(second)).ok());
  ASSERT_TRUE(service.branches->prepare(this->prepare(this->branch(3), "no")).code == AnswerCode::aborted);
  ASSERT_TRUE(service.branches->prepare(this->prepare(this->branch(4), "read-only")).ok());
  this->now_.value += 1'000;
  const auto at_least = [&](int millis, std::size_t most = 10) {
    return service.branches->in_doubt(std::chrono::milliseconds(millis), most).value();
  };
  ASSERT_EQ(at_least(0).size(), 2U);
  EXPECT_EQ(at_least(0)[0].key, (BranchKey{first.txn, "x"}));
  EXPECT_EQ(at_least(0)[0].attempt, (Attempt{5, 6}));
  EXPECT_EQ(at_least(0)[0].coordinator, "c0");
  EXPECT_EQ(at_least(0)[0].since, begin);
  EXPECT_EQ(at_least(0)[1].key.txn, second.txn);
  EXPECT_EQ(at_least(0, 1).size(), 1U);
  EXPECT_EQ(at_least(1'500).size(), 1U);
  EXPECT_EQ(at_least(2'500).size(), 0U);
}

// Two processes of the service on one database, and four callers at each.
TYPED_TEST_P(BarrierContract, ParallelDuplicatesRunTheWorkOnce) {
  auto one = this->start();
  auto two = this->start();
  constexpr int rounds = 12;
  constexpr int callers = 8;
  for (int round = 0; round < rounds; ++round) {
    const Branch branch = this->branch(static_cast<std::uint64_t>(round) + 1);
    std::vector<Answer> answers(callers);
    std::barrier start(callers);
    std::vector<std::thread> threads;
    threads.reserve(answers.size());
    for (int i = 0; i < callers; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        Branches& mine = i % 2 == 0 ? *one.branches : *two.branches;
        const Attempt attempt{1, static_cast<std::uint64_t>(i) + 1};
        do {
          answers[static_cast<std::size_t>(i)] = mine.prepare(this->prepare(this->with(branch, attempt)));
        } while (answers[static_cast<std::size_t>(i)].code == AnswerCode::running);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Answer& answer : answers) {
      ASSERT_TRUE(answer.ok()) << answer.message;
      EXPECT_EQ(answer, answers[0]);
    }
    EXPECT_EQ(this->effects(branch, "prepare"), 1);
  }
  EXPECT_EQ(this->participant_.calls("prepare"), rounds);
}

TYPED_TEST_P(BarrierContract, AParallelCommitAndAbortEndOneWay) {
  auto one = this->start();
  auto two = this->start();
  for (std::uint64_t round = 1; round <= 12; ++round) {
    const Branch branch = this->branch(round);
    Answer prepared;
    Answer aborted;
    std::barrier start(2);
    const auto until_heard = [&](auto&& call) {
      start.arrive_and_wait();
      Answer answer = call();
      while (answer.code == AnswerCode::running) answer = call();
      return answer;
    };
    std::thread preparer([&] { prepared = until_heard([&] { return one.branches->prepare(this->prepare(branch)); }); });
    std::thread aborter([&] { aborted = until_heard([&] { return two.branches->end(Call::abort, branch); }); });
    preparer.join();
    aborter.join();
    EXPECT_TRUE(aborted.ok()) << aborted.message;
    EXPECT_TRUE(prepared.ok() || prepared.reason == Reason::branch_aborted) << prepared.message;
    EXPECT_EQ(this->state(one, branch), BranchState::aborted);
    EXPECT_EQ(this->effects(branch, "prepare"), this->effects(branch, "abort"));
  }
}

TYPED_TEST_P(BarrierContract, AForeignTableOfOurNameIsRefused) {
  TypeParam::execute(this->place_.look(), "CREATE TABLE assent_branches(txn_id VARCHAR(32), mine INTEGER)");
  const auto barrier = this->place_.open();
  ASSERT_FALSE(barrier);
  EXPECT_NE(barrier.error().message.find("assent_branches"), std::string::npos) << barrier.error().message;
  EXPECT_NE(barrier.error().message.find("mine"), std::string::npos) << barrier.error().message;
  EXPECT_NE(barrier.error().message.find("payload"), std::string::npos) << barrier.error().message;
}

TYPED_TEST_P(BarrierContract, AConnectionToAnotherDatabaseIsRefused) {
  TypeParam elsewhere;
  const auto here = this->place_.open();
  const auto there = elsewhere.open();
  ASSERT_TRUE(here && there);
  EXPECT_TRUE((*here)->same_database(this->place_.look()));
  const auto other = (*here)->same_database(elsewhere.look());
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("does not commit with the registers"), std::string::npos)
      << other.error().message;
  TypeParam empty;
  EXPECT_FALSE((*here)->same_database(empty.look()));
}

TYPED_TEST_P(BarrierContract, ARowThatSomebodyElseWroteIsAnErrorAndNoCrash) {
  auto service = this->start();
  const Branch branch = this->branch();
  ASSERT_TRUE(service.branches->prepare(this->prepare(branch)).ok());
  for (const char* damage : {"state = 'what'", "epoch = NULL", "state = ''"}) {
    TypeParam::execute(this->place_.look(), fmt::format("UPDATE assent_branches SET {}", damage));
    EXPECT_EQ(service.branches->prepare(this->prepare(branch)).code, AnswerCode::unknown) << damage;
    EXPECT_EQ(service.branches->end(Call::commit, branch).code, AnswerCode::unknown) << damage;
    EXPECT_FALSE(service.branches->status({branch.txn, branch.name})) << damage;
  }
  TypeParam::execute(this->place_.look(), "UPDATE assent_branches SET state = 'prepared', epoch = 3");
  EXPECT_TRUE(service.branches->end(Call::commit, branch).ok());
}

// Any history over a few branches, with restarts, is answered as the pure register says.
TYPED_TEST_P(BarrierContract, RandomHistoriesAreAnsweredAsThePureRegisterSays) {
  Rng rng(11);
  for (int history = 0; history < TypeParam::histories; ++history) {
    auto service = this->start();
    std::map<std::string, Register> twins;
    for (int step = 0; step < 25; ++step) {
      Branch branch =
          this->branch(static_cast<std::uint64_t>(history) + 1, {rng.between(1, 2), 1}, rng.chance(0.5) ? "x" : "y");
      const auto call = static_cast<Call>(rng.below(3));
      const char* payload = rng.chance(0.6) ? "yes result=r" : rng.chance(0.5) ? "no" : "read-only";
      Register& twin = twins[branch.name];
      const Ruling ruling = judge(call, twin, branch.attempt);
      Answer wanted = ruling.answer;
      if (ruling.writes && call == Call::prepare) {
        Vote vote = Vote::yes("r");
        if (payload[0] == 'n') vote = Vote::no("SO_IT_IS", "the payload said no");
        if (payload[0] == 'r') vote = Vote::read_only();
        twin = record_vote(branch, payload, vote, this->now_);
        wanted = judge(call, twin, branch.attempt).answer;
      } else if (ruling.writes) {
        twin = twin.state == BranchState::empty ? record_abort(branch, this->now_) : record_end(twin, call, this->now_);
      }
      const Answer answer = call == Call::prepare ? service.branches->prepare(this->prepare(branch, payload))
                                                  : service.branches->end(call, branch);
      ASSERT_EQ(answer, wanted) << "history " << history << " step " << step << ": " << answer.message;
      ASSERT_EQ(service.branches->status({branch.txn, branch.name}).value(), twin);
      if (rng.chance(0.05)) service = this->start();
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    BarrierContract, AYesIsRecordedWithItsWorkAndCommittedOnce, ANoIsRecordedAndItsWorkIsNot,
    AReadOnlyVoteIsRecordedAndNeedsNoEnd, AnAbortBeforeItsPrepareIsFinal, AnAbortedYesGivesItsWorkBackOnce,
    OnlyItsOwnAttemptEndsAYes, ACommitOfWhatWasNeverPreparedChangesNothing, BranchesAreToldApartByEveryByteOfTheirNames,
    EveryByteAndEveryNumberIsKept, AnExceptionOfPrepareIsANo, AFailedStatementBeforeANoStillLeavesTheNo,
    AFailedStatementBeforeAYesNeverLeavesHalfOfIt, AFailedEndIsTakenBackAndComesAgain,
    WorkThatEndsTheLocalTransactionByItselfIsANo, LimitsAreKept, EndedBranchesAreForgottenInOrderAndNeverPreparedAgain,
    ForgettingGoesOnByItself, ThoseInDoubtAreListedOldestFirst, ParallelDuplicatesRunTheWorkOnce,
    AParallelCommitAndAbortEndOneWay, AForeignTableOfOurNameIsRefused, AConnectionToAnotherDatabaseIsRefused,
    ARowThatSomebodyElseWroteIsAnErrorAndNoCrash, RandomHistoriesAreAnsweredAsThePureRegisterSays);

}  // namespace assent::service::testing
