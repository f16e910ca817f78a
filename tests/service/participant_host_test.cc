// The participant's gRPC service, called over a real connection.
#include "service/participant_host.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "assent/v1/participant.grpc.pb.h"
#include "tests/local.h"
#include "tests/service/database_kinds.h"
#include "tests/service/served.h"
#include "tests/service/test_participant.h"
#include "txn_proto/api_error.h"

namespace assent::service::testing {
namespace {

using assent::testing::eventually;

constexpr const char* some_txn = "0193a6b25e1c7c3fa1d0c9be6f2277a4";

// Its prepare waits until it is let go.
class Slow : public TestParticipant<SqliteKind> {
 public:
  Vote prepare(const Branch& branch, sqlite3& connection, ByteView payload) override {
    std::unique_lock lock(mutex_);
    entered_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return TestParticipant::prepare(branch, connection, payload);
  }
  void wait_until_entered() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return entered_; });
  }
  void let_go() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool entered_ = false;
  bool open_ = false;
};

struct Said {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason;
  std::string message;
  std::map<std::string, std::string> metadata;
};

class ParticipantHostTest : public ::testing::Test {
 protected:
  ParticipantHostTest() : barrier_(std::move(*place_.open())) {
    TestParticipant<SqliteKind>::make_tables(place_.look());
  }

  static Said said(const grpc::Status& status) {
    const ApiError error = from_status(status);
    return {status.error_code(), error.reason, status.error_message(), error.metadata};
  }

  template <class Request>
  static Request request(const std::string& branch = "b", std::uint64_t epoch = 1) {
    Request out;
    out.set_txn_id(some_txn);
    out.set_branch(branch);
    out.mutable_attempt()->set_epoch(epoch);
    out.mutable_attempt()->set_number(1);
    out.set_coordinator("c0");
    return out;
  }
  static v1::PrepareRequest prepare(const std::string& payload, const std::string& branch = "b",
                                    std::uint64_t epoch = 1) {
    auto out = request<v1::PrepareRequest>(branch, epoch);
    out.set_payload(payload);
    return out;
  }

  Said call(v1::Participant::Stub& stub, const v1::PrepareRequest& what, v1::PrepareResponse* response = nullptr) {
    grpc::ClientContext context;
    v1::PrepareResponse unused;
    return said(stub.Prepare(&context, what, response == nullptr ? &unused : response));
  }
  Said call(v1::Participant::Stub& stub, const v1::CommitRequest& what) {
    grpc::ClientContext context;
    v1::CommitResponse response;
    return said(stub.Commit(&context, what, &response));
  }
  Said call(v1::Participant::Stub& stub, const v1::AbortRequest& what) {
    grpc::ClientContext context;
    v1::AbortResponse response;
    return said(stub.Abort(&context, what, &response));
  }
  Said call(v1::Participant::Stub& stub, const v1::BranchStatusRequest& what, v1::BranchStatusResponse& response) {
    grpc::ClientContext context;
    return said(stub.Status(&context, what, &response));
  }

  SqliteKind place_;
  std::unique_ptr<SqliteBarrier> barrier_;
};

TEST_F(ParticipantHostTest, CarriesABranchFromPrepareToCommit) {
  TestParticipant<SqliteKind> participant;
  ParticipantHost host({.name = "ledger"}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  v1::PrepareResponse prepared;
  EXPECT_EQ(call(*stub, prepare("result=hello"), &prepared).code, grpc::StatusCode::OK);
  EXPECT_EQ(prepared.vote(), v1::VOTE_YES);
  EXPECT_EQ(prepared.attempt().epoch(), 1U);
  EXPECT_EQ(prepared.attempt().number(), 1U);
  EXPECT_EQ(prepared.result(), "hello");
  v1::BranchStatusResponse status;
  EXPECT_EQ(call(*stub, request<v1::BranchStatusRequest>(), status).code, grpc::StatusCode::OK);
  EXPECT_EQ(status.state(), v1::BRANCH_PREPARED);
  EXPECT_EQ(status.attempt().epoch(), 1U);
  EXPECT_EQ(status.coordinator(), "c0");
  EXPECT_GT(status.changed_at_millis(), 1'700'000'000'000);
  EXPECT_EQ(call(*stub, request<v1::CommitRequest>()).code, grpc::StatusCode::OK);
  EXPECT_EQ(call(*stub, request<v1::CommitRequest>()).code, grpc::StatusCode::OK);
  EXPECT_EQ(participant.calls("commit"), 1);
  call(*stub, request<v1::BranchStatusRequest>(), status);
  EXPECT_EQ(status.state(), v1::BRANCH_COMMITTED);

  EXPECT_EQ(call(*stub, prepare("read-only", "r"), &prepared).code, grpc::StatusCode::OK);
  EXPECT_EQ(prepared.vote(), v1::VOTE_READ_ONLY);
}

TEST_F(ParticipantHostTest, SaysEachAnswerWithItsCodeAndReason) {
  TestParticipant<SqliteKind> participant;
  ParticipantHost host({.name = "ledger"}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());

  const Said no = call(*stub, prepare("no", "no"));
  EXPECT_EQ(no.code, grpc::StatusCode::ABORTED);
  EXPECT_EQ(no.reason, "VOTE_NO");
  EXPECT_EQ(no.message, "the payload said no");
  EXPECT_EQ(no.metadata.at("refusal"), "SO_IT_IS");

  const Said never = call(*stub, request<v1::CommitRequest>("never"));
  EXPECT_EQ(never.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(never.reason, "NEVER_PREPARED");

  call(*stub, prepare("yes", "other", 2));
  const Said other = call(*stub, request<v1::AbortRequest>("other", 1));
  EXPECT_EQ(other.code, grpc::StatusCode::ABORTED);
  EXPECT_EQ(other.reason, "OTHER_ATTEMPT");
  EXPECT_EQ(other.metadata.at("epoch"), "2");

  EXPECT_EQ(call(*stub, request<v1::AbortRequest>("dead")).code, grpc::StatusCode::OK);
  EXPECT_EQ(call(*stub, prepare("yes", "dead")).reason, "BRANCH_ABORTED");
  EXPECT_EQ(call(*stub, request<v1::CommitRequest>("dead")).reason, "COMMIT_AFTER_ABORT");
  call(*stub, request<v1::CommitRequest>("other", 2));
  EXPECT_EQ(call(*stub, request<v1::AbortRequest>("other", 2)).reason, "ABORT_AFTER_COMMIT");

  call(*stub, prepare("fail-commit=9", "fails"));
  const Said failed = call(*stub, request<v1::CommitRequest>("fails"));
  EXPECT_EQ(failed.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(failed.message.find("the payload says that it fails"), std::string::npos);
}

TEST_F(ParticipantHostTest, WhatIsPutOffIsNotRecordedAndComesAgain) {
  TestParticipant<SqliteKind> participant;
  ParticipantHost host({.name = "ledger"}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  for (int i = 0; i < 2; ++i) {
    const Said later = call(*stub, prepare("later=2"));
    EXPECT_EQ(later.code, grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(later.message, "out of paper");
    v1::BranchStatusResponse status;
    call(*stub, request<v1::BranchStatusRequest>(), status);
    EXPECT_EQ(status.state(), v1::BRANCH_EMPTY);
    EXPECT_EQ(SqliteKind::number(place_.look(), "SELECT count(*) FROM effects"), 0);
  }
  EXPECT_EQ(call(*stub, prepare("later=2")).code, grpc::StatusCode::OK);
  EXPECT_EQ(SqliteKind::number(place_.look(), "SELECT count(*) FROM effects"), 1);
}

TEST_F(ParticipantHostTest, RefusesWhatItCannotRead) {
  TestParticipant<SqliteKind> participant;
  ParticipantHost host({.name = "ledger"}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  const auto bad = [](auto change) {
    v1::PrepareRequest out = prepare("yes");
    change(out);
    return out;
  };
  const std::vector<v1::PrepareRequest> requests{
      bad([](auto& r) { r.set_txn_id(""); }),
      bad([](auto& r) { r.set_txn_id("0193A6B25E1C7C3FA1D0C9BE6F2277A4"); }),
      bad([](auto& r) { r.set_txn_id(std::string(32, 'z')); }),
      bad([](auto& r) { r.set_txn_id(std::string(32, '0')); }),
      bad([](auto& r) { r.set_txn_id(std::string(some_txn) + "00"); }),
      bad([](auto& r) { r.set_txn_id(std::string(1'000'000, 'a')); }),
      bad([](auto& r) { r.set_branch(""); }),
      bad([](auto& r) { r.set_branch(std::string(201, 'b')); }),
      bad([](auto& r) { r.set_branch("a\nb"); }),
      bad([](auto& r) { r.set_coordinator(std::string(201, 'c')); }),
      bad([](auto& r) { r.set_participant("inventory"); }),
      bad([](auto& r) { r.clear_attempt(); }),
      v1::PrepareRequest(),
  };
  for (const v1::PrepareRequest& one : requests) {
    const Said said = call(*stub, one);
    EXPECT_EQ(said.code, grpc::StatusCode::INVALID_ARGUMENT) << one.ShortDebugString().substr(0, 200);
    EXPECT_TRUE(said.reason == "INVALID_ARGUMENT" || said.reason == "WRONG_PARTICIPANT");
    v1::CommitRequest commit;
    commit.ParseFromString(one.SerializeAsString());  // the first five fields are the same
    EXPECT_EQ(call(*stub, commit).code, grpc::StatusCode::INVALID_ARGUMENT);
    v1::AbortRequest abort;
    abort.ParseFromString(one.SerializeAsString());
    EXPECT_EQ(call(*stub, abort).code, grpc::StatusCode::INVALID_ARGUMENT);
  }
  v1::BranchStatusResponse status;
  EXPECT_EQ(call(*stub, v1::BranchStatusRequest(), status).code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(SqliteKind::number(place_.look(), "SELECT count(*) FROM assent_branches"), 0);
  auto named = prepare("yes");
  named.set_participant("ledger");
  EXPECT_EQ(call(*stub, named).code, grpc::StatusCode::OK);
}

TEST_F(ParticipantHostTest, ADuplicateThatComesWhileTheFirstRunsIsAskedToComeAgain) {
  Slow participant;
  ParticipantHost host({.limits = {.prepares_max = 2}}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  Said first;
  std::thread caller([&] { first = call(*stub, prepare("result=1")); });
  participant.wait_until_entered();
  for (const Said& said : {call(*stub, prepare("result=2")), call(*stub, request<v1::CommitRequest>()),
                           call(*stub, request<v1::AbortRequest>("b", 2))}) {
    EXPECT_EQ(said.code, grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(said.reason, "STILL_RUNNING");
  }
  v1::BranchStatusResponse status;
  call(*stub, request<v1::BranchStatusRequest>(), status);
  EXPECT_EQ(status.state(), v1::BRANCH_RUNNING);
  participant.let_go();
  caller.join();
  EXPECT_EQ(first.code, grpc::StatusCode::OK);
  EXPECT_EQ(call(*stub, request<v1::AbortRequest>()).code, grpc::StatusCode::OK);
  EXPECT_EQ(participant.calls("prepare"), 1);
}

TEST_F(ParticipantHostTest, TooManyAtOnceAreTurnedAwayAndAbortsAreNot) {
  Slow participant;
  ParticipantHost host({.limits = {.prepares_max = 1}}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  std::thread caller([&] { call(*stub, prepare("yes", "first")); });
  participant.wait_until_entered();
  const Said busy = call(*stub, prepare("yes", "second"));
  EXPECT_EQ(busy.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(busy.reason, "OVERLOADED");
  Said aborted;
  std::thread aborter([&] { aborted = call(*stub, request<v1::AbortRequest>("third")); });
  participant.let_go();
  caller.join();
  aborter.join();
  EXPECT_EQ(aborted.code, grpc::StatusCode::OK);
  EXPECT_EQ(call(*stub, prepare("yes", "second")).code, grpc::StatusCode::OK);
}

TEST_F(ParticipantHostTest, WhoMayWaitForATurnGetsIt) {
  Slow participant;
  ParticipantHost host({.limits = {.prepares_max = 1, .wait = std::chrono::minutes(1)}}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  std::thread caller([&] { call(*stub, prepare("yes", "first")); });
  participant.wait_until_entered();
  Said second;
  std::thread waiting([&] { second = call(*stub, prepare("yes", "second")); });
  EXPECT_TRUE(eventually(std::chrono::seconds(30), [&] { return host.branches().waiting() == 1; }));
  participant.let_go();
  caller.join();
  waiting.join();
  EXPECT_EQ(second.code, grpc::StatusCode::OK);
  EXPECT_EQ(participant.calls("prepare"), 2);
  EXPECT_EQ(host.branches().waiting(), 0U);
}

TEST_F(ParticipantHostTest, WhoWaitedLongEnoughIsTurnedAway) {
  constexpr auto wait = std::chrono::milliseconds(50);
  Slow participant;
  ParticipantHost host({.limits = {.prepares_max = 1, .wait = wait}}, participant, *barrier_);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  std::thread caller([&] { call(*stub, prepare("yes", "first")); });
  participant.wait_until_entered();
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_EQ(call(*stub, prepare("yes", "second")).reason, "OVERLOADED");
  EXPECT_GE(std::chrono::steady_clock::now() - asked, wait);
  participant.let_go();
  caller.join();
}

// Gives a connection only when that took longer than the time that the caller has.
class LateBarrier final : public Barrier<sqlite3> {
 public:
  LateBarrier(Barrier<sqlite3>& inner, std::chrono::milliseconds late) : inner_(inner), late_(late) {}
  Result<std::unique_ptr<LocalTransactionOn<sqlite3>>> take() override {
    std::this_thread::sleep_until(std::chrono::steady_clock::now() + late_);
    return inner_.take();
  }

 private:
  Barrier<sqlite3>& inner_;
  const std::chrono::milliseconds late_;
};

TEST_F(ParticipantHostTest, APrepareWhoseTimeIsUpIsNotBegun) {
  TestParticipant<SqliteKind> participant;
  LateBarrier late(*barrier_, std::chrono::milliseconds(2));
  ParticipantHost host({}, participant, late);
  const Served server(host.service());
  const auto stub = v1::Participant::NewStub(server.channel());
  auto hurried = prepare("yes");
  hurried.set_time_left_millis(1);
  const Said said = call(*stub, hurried);
  EXPECT_EQ(said.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(said.message.find("time was up"), std::string::npos) << said.message;
  EXPECT_EQ(participant.calls("prepare"), 0);
  EXPECT_EQ(call(*stub, prepare("yes")).code, grpc::StatusCode::OK) << "0 is no time that is up";
}

}  // namespace
}  // namespace assent::service::testing
