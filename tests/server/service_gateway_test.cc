// Calls to services: what of their answers becomes a vote or an end, and that nothing else does, however strange they
// are. Over gRPC, with services that say what a test wants.
#include "server/service_gateway.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>

#include "assent/v1/participant.grpc.pb.h"
#include "tests/local.h"
#include "tests/service/served.h"
#include "tests/service/tls_files.h"
#include "txn_proto/api_error.h"

namespace assent {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// Each call is answered by the test's function; without one, for ever not.
class StrangeService final : public v1::Participant::Service {
 public:
  std::function<grpc::Status(v1::PrepareResponse&)> on_prepare;
  std::function<grpc::Status()> on_finish;
  std::size_t called() {
    const std::scoped_lock lock(mutex_);
    return called_;
  }
  void let_go() {
    const std::scoped_lock lock(mutex_);
    gone_ = true;
    changed_.notify_all();
  }

 private:
  grpc::Status Prepare(grpc::ServerContext*, const v1::PrepareRequest*, v1::PrepareResponse* response) override {
    note();
    return on_prepare ? on_prepare(*response) : hang();
  }
  grpc::Status Commit(grpc::ServerContext*, const v1::CommitRequest*, v1::CommitResponse*) override {
    note();
    return on_finish ? on_finish() : hang();
  }
  grpc::Status Abort(grpc::ServerContext*, const v1::AbortRequest*, v1::AbortResponse*) override {
    note();
    return on_finish ? on_finish() : hang();
  }
  void note() {
    const std::scoped_lock lock(mutex_);
    ++called_;
  }
  grpc::Status hang() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return gone_; });
    return grpc::Status::OK;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t called_ = 0;
  bool gone_ = false;
};

grpc::Status told(grpc::StatusCode code, const std::string& reason, const std::string& message) {
  return to_status(ApiError{.code = ErrorCode::refused, .reason = reason, .message = message, .metadata = {}}, code);
}

class ServiceGatewayTest : public ::testing::Test {
 protected:
  ServiceGatewayTest() {
    EXPECT_TRUE(groups_.add("c0", GroupKind::coordinator));
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    gateway_ = std::make_unique<ServiceGateway>(queue_, inbox_, groups_,
                                                ServiceGatewayOptions{.calls_max = 4,
                                                                      .calls_per_target_max = 3,
                                                                      .targets_max = 2,
                                                                      .result_bytes_max = 1'000,
                                                                      .finish_timeout = 2'000ms});
  }
  ~ServiceGatewayTest() override {
    service_.let_go();
    gateway_->stop();
    server_->Shutdown();
    queue_.drain();
  }

  ServiceCall call(TxnMessage message, std::uint64_t ticks = 1'000) const {
    ServiceCall one;
    one.from = groups_.find("c0")->id;
    one.number = first_service;
    one.at = {"pay", "127.0.0.1:" + std::to_string(port_), "payment"};
    one.payload = "debit";
    one.ticks = ticks;
    one.message = std::move(message);
    return one;
  }
  static Prepare prepare(std::uint64_t number = 1) {
    Prepare one;
    one.txn = TxnId::make(ClusterMillis(1'800'000'000'000), number, 1);
    one.attempt = {Epoch(3), 7};
    one.fingerprint = 9;
    return one;
  }
  static Finish finish(bool commit) {
    Finish one;
    one.txn = prepare().txn;
    one.attempt = {Epoch(3), 7};
    one.commit = commit;
    return one;
  }
  // What the gateway gave back, waited for.
  TxnMessage answer() {
    std::vector<Inbox::Item> items;
    std::vector<RpcQueue::Ended> ended;
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (items.empty() && std::chrono::steady_clock::now() < end) {
      ended.clear();
      queue_.wait(std::chrono::steady_clock::now() + 20ms, ended);
      for (const RpcQueue::Ended& one : ended) one.tag->end(one.ok);
      inbox_.take(items);
    }
    EXPECT_EQ(items.size(), 1U);
    if (items.empty()) return {};
    const auto& answered = std::get<ServiceAnswered>(std::get<Event>(items.front()));
    EXPECT_EQ(answered.from, first_service);
    return answered.message;
  }
  TxnMessage prepared_by(std::function<grpc::Status(v1::PrepareResponse&)> how) {
    service_.on_prepare = std::move(how);
    gateway_->call(call(prepare()));
    return answer();
  }
  TxnMessage finished_by(bool commit, const grpc::Status& status) {
    service_.on_finish = [status] { return status; };
    gateway_->call(call(finish(commit)));
    return answer();
  }
  static std::string trouble(const TxnMessage& message) {
    const auto* found = std::get_if<Trouble>(&message);
    return found == nullptr ? "not a trouble, but message " + std::to_string(message.index()) : found->message;
  }

  GroupDirectory groups_;
  RpcQueue queue_;
  Inbox inbox_{[] {}};
  StrangeService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ServiceGateway> gateway_;
};

TEST_F(ServiceGatewayTest, AYesIsAVoteOfTheAttemptThatIsRecorded) {
  const TxnMessage message = prepared_by([](v1::PrepareResponse& out) {
    out.set_vote(v1::VOTE_YES);
    out.mutable_attempt()->set_epoch(2);
    out.mutable_attempt()->set_number(5);
    out.set_result("room 7");
    return grpc::Status::OK;
  });
  const Vote& vote = std::get<Vote>(message);
  EXPECT_TRUE(vote.yes);
  EXPECT_EQ(vote.attempt, (Attempt{Epoch(2), 5}));
  EXPECT_EQ(vote.fingerprint, 9U);
  EXPECT_EQ(std::get<SqlBlob>(vote.result.at(0).rows.at(0).at(0)).bytes, "room 7");
}

TEST_F(ServiceGatewayTest, ByTlsOnlyWhoIsTrustedIsAsked) {
  const service::testing::TlsFiles files;
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs = {
      {service::testing::TlsFiles::read(files.key()), service::testing::TlsFiles::read(files.cert())}};
  const service::testing::Served server(service_, grpc::SslServerCredentials(options));
  service_.on_finish = [] { return grpc::Status::OK; };
  ServiceCall one = call(finish(true));
  one.at.target = "grpcs://" + server.address();
  gateway_->call(one);
  EXPECT_THAT(trouble(answer()), HasSubstr("UNAVAILABLE")) << "signed by a stranger";
  gateway_ = std::make_unique<ServiceGateway>(queue_, inbox_, groups_,
                                              ServiceGatewayOptions{.tls = *read_service_tls(files.cert(), "", "")});
  gateway_->call(one);
  EXPECT_TRUE(std::holds_alternative<Finished>(answer()));
}

TEST_F(ServiceGatewayTest, AnAnswerThatIsNoVoteIsNone) {
  EXPECT_THAT(trouble(prepared_by([](v1::PrepareResponse&) { return grpc::Status::OK; })),
              HasSubstr("answered Prepare without a vote and its attempt"));
  EXPECT_THAT(trouble(prepared_by([](v1::PrepareResponse& out) {
                out.set_vote(v1::VOTE_YES);  // of which attempt?
                return grpc::Status::OK;
              })),
              HasSubstr("without a vote and its attempt"));
  EXPECT_THAT(trouble(prepared_by([](v1::PrepareResponse& out) {
                out.set_vote(static_cast<v1::Vote>(77));
                out.mutable_attempt()->set_epoch(3);
                return grpc::Status::OK;
              })),
              HasSubstr("without a vote and its attempt"));
}

TEST_F(ServiceGatewayTest, AResultThatIsTooLargeIsNoVote) {
  const auto yes_with = [](std::size_t bytes) {
    return [bytes](v1::PrepareResponse& out) {
      out.set_vote(v1::VOTE_YES);
      out.mutable_attempt()->set_epoch(3);
      out.set_result(std::string(bytes, 'x'));
      return grpc::Status::OK;
    };
  };
  EXPECT_TRUE(std::holds_alternative<Vote>(prepared_by(yes_with(1'000))));
  EXPECT_THAT(trouble(prepared_by(yes_with(1'001))), HasSubstr("answered with 1001 bytes; the most is 1000"));
  EXPECT_THAT(trouble(prepared_by(yes_with(200'000))), HasSubstr("RESOURCE_EXHAUSTED")) << "not even received";
}

TEST_F(ServiceGatewayTest, OnlyADefiniteNoIsANo) {
  const TxnMessage message =
      prepared_by([](v1::PrepareResponse&) { return told(grpc::StatusCode::ABORTED, "VOTE_NO", "no \x1b[31m money"); });
  const Vote& vote = std::get<Vote>(message);
  EXPECT_FALSE(vote.yes);
  EXPECT_EQ(vote.refusal.reason, AbortReason::refused);
  EXPECT_EQ(vote.refusal.participant, first_service);
  EXPECT_EQ(vote.refusal.message, "no ?[31m money") << "a stranger's words reach terminals";
  for (const grpc::StatusCode code :
       {grpc::StatusCode::UNKNOWN, grpc::StatusCode::UNIMPLEMENTED, grpc::StatusCode::FAILED_PRECONDITION,
        grpc::StatusCode::NOT_FOUND, grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::PERMISSION_DENIED}) {
    EXPECT_THAT(trouble(prepared_by([code](v1::PrepareResponse&) { return grpc::Status(code, "what?"); })),
                HasSubstr("has not voted: " + name_of(code)));
  }
}

TEST_F(ServiceGatewayTest, AServiceThatHangsIsGivenUpInTime) {
  service_.on_prepare = nullptr;
  gateway_->call(call(prepare(), 5));
  EXPECT_THAT(trouble(answer()), HasSubstr("has not voted: DEADLINE_EXCEEDED"));
  gateway_->call(call(finish(true)));
  EXPECT_THAT(trouble(answer()), HasSubstr("has not committed: DEADLINE_EXCEEDED"));
  EXPECT_EQ(gateway_->under_way(), 0U);
}

TEST_F(ServiceGatewayTest, OfEqualCallsOneIsUnderWayAndOfOthersAsManyAsMayBe) {
  for (int i = 0; i < 5; ++i) gateway_->call(call(prepare()));
  EXPECT_EQ(gateway_->under_way(), 1U);
  gateway_->call(call(prepare(2)));
  gateway_->call(call(prepare(3)));
  EXPECT_EQ(gateway_->under_way(), 3U);
  gateway_->call(call(prepare(4)));
  EXPECT_EQ(gateway_->under_way(), 3U);
  EXPECT_THAT(trouble(answer()), HasSubstr("as many calls to services under way as it may"));
}

TEST_F(ServiceGatewayTest, AnEndIsWhatTheTableCallsOne) {
  using grpc::StatusCode;
  const auto ended = [](const TxnMessage& message) { return std::holds_alternative<Finished>(message); };
  EXPECT_TRUE(ended(finished_by(true, grpc::Status::OK)));
  EXPECT_TRUE(ended(finished_by(false, grpc::Status::OK)));
  EXPECT_TRUE(ended(finished_by(true, told(StatusCode::NOT_FOUND, "BRANCH_FORGOTTEN", ""))));
  EXPECT_TRUE(ended(finished_by(false, told(StatusCode::ABORTED, "OTHER_ATTEMPT", ""))));
}

TEST_F(ServiceGatewayTest, AContradictionIsSaidAndIsNoEnd) {
  using grpc::StatusCode;
  EXPECT_THAT(trouble(finished_by(true, told(StatusCode::NOT_FOUND, "NEVER_PREPARED", "who?"))),
              HasSubstr("CONTRADICTS the commit: NOT_FOUND: who?"));
  EXPECT_THAT(trouble(finished_by(true, told(StatusCode::ABORTED, "OTHER_ATTEMPT", ""))),
              HasSubstr("CONTRADICTS the commit"));
  EXPECT_THAT(trouble(finished_by(false, told(StatusCode::ABORTED, "ABORT_AFTER_COMMIT", "too late"))),
              HasSubstr("CONTRADICTS the abort: ABORTED: too late"));
  EXPECT_THAT(trouble(finished_by(true, grpc::Status(StatusCode::NOT_FOUND, "no such method"))),
              HasSubstr("CONTRADICTS the commit"));
  EXPECT_THAT(trouble(finished_by(true, grpc::Status(StatusCode::UNAVAILABLE, "later"))),
              HasSubstr("has not committed: UNAVAILABLE"));
}

TEST_F(ServiceGatewayTest, WhoIsNotThereIsSaidToBeAway) {
  ServiceCall one = call(prepare());
  one.at.target = "127.0.0.1:" + std::to_string(testing::free_port());
  gateway_->call(std::move(one));
  EXPECT_THAT(trouble(answer()), HasSubstr("has not voted: UNAVAILABLE"));
}

}  // namespace
}  // namespace assent
