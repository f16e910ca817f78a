// The public API over a real port, with the test in the place of the loop.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "assent/v1/assent.grpc.pb.h"
#include "server/client_api.h"
#include "server/foreign_logs.h"
#include "server/log.h"
#include "server/system_clock.h"
#include "tests/local.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/api_error.h"

namespace assent {
namespace {

using testing::free_port;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

const TxnId txn = TxnId::make(ClusterMillis(1'700'000'000'000), 1, 2);

// Answers admin questions with what the test put there.
class FakeLoop final : public Loop {
 public:
  void handle(Event event) override {
    if (auto* transfer = std::get_if<TransferLeadership>(&event)) transfers.push_back(*transfer);
  }
  void tick() override {}
  void flush() override {}
  Result<Position> change_membership(GroupId, std::span<const MemberChange> asked) override {
    changes.assign(asked.begin(), asked.end());
    if (refusal) return fail(*refusal);
    return Position{Epoch(5), Index(17)};
  }
  Result<Position> propose(GroupId, Bytes) override { return Position{}; }
  void adopt(const std::vector<NodeId>&, const std::vector<GroupConfig>&) override {}
  void know_shards(const std::vector<GroupId>&) override {}
  void announce(MapNews) override {}
  [[nodiscard]] std::map<NodeId, std::uint64_t> leads() const override { return {}; }
  void leads_besides(std::uint64_t) override {}
  [[nodiscard]] std::vector<Sight> sights(GroupId, const SightQuestion&) const override { return {}; }
  std::optional<MapNews> take_map_news() override { return std::nullopt; }
  std::vector<ClientReply> take_replies() override { return {}; }
  std::vector<ServiceCall> take_calls() override { return {}; }
  [[nodiscard]] std::optional<Error> failure() const override { return std::nullopt; }
  [[nodiscard]] std::vector<GroupStatus> status() const override { return groups; }
  std::vector<GroupStatus> take_news() override { return groups; }
  [[nodiscard]] LoopStatistics statistics() const override { return {}; }
  Result<std::uint64_t> application_digest(GroupId) override { return 0xABCU; }
  [[nodiscard]] const WalRecovery& recovery() const override { return recovered; }
  [[nodiscard]] std::vector<ColdFile> cold_files() const override { return {}; }
  bool repair(const ColdFile&) override { return false; }
  void scrubbed(ScrubStatus) override {}
  void observe(Observer) override {}
  void watch(TxnWatcher*) override {}
  [[nodiscard]] const Application* application(GroupId) const override { return nullptr; }

  std::vector<GroupStatus> groups;
  std::vector<TransferLeadership> transfers;
  std::vector<MemberChange> changes;
  std::optional<Error> refusal;
  WalRecovery recovered;
};

ClusterView cluster() {
  ClusterView view;
  view.self = node_id("n1");
  for (const char* name : {"n1", "n2"}) {
    view.nodes[node_id(name)] = {
        .name = name, .client_endpoint = std::string(name) + ".example:7420", .peer_endpoint = "h:1"};
  }
  EXPECT_TRUE(view.groups.add("c0", GroupKind::coordinator));
  EXPECT_TRUE(view.groups.add("s1", GroupKind::shard));
  EXPECT_TRUE(view.groups.add("s2", GroupKind::shard));
  return view;
}

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_up_log({.level = LogLevel::error, .json = false, .node = {}, .sink = {}});
    route_foreign_logs();
    const auto started = api.start({"127.0.0.1", port});
    ASSERT_TRUE(started) << started.error().message;
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
    coordinator = v1::Coordinator::NewStub(channel);
    shard = v1::Shard::NewStub(channel);
    admin = v1::Cluster::NewStub(channel);
  }
  void TearDown() override {
    inbox.close();
    pending.abandon();
    api.stop();
  }

  // Makes the call in a thread of its own and plays the loop until it is answered.
  grpc::Status call(const std::function<grpc::Status(grpc::ClientContext&)>& make,
                    milliseconds deadline = std::chrono::seconds(20)) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    grpc::Status status;
    std::atomic<bool> done = false;
    std::thread caller([&] {
      status = make(context);
      done = true;
    });
    std::vector<Inbox::Item> items;
    while (!done) {
      pump(items);
      if (serve_after.exchange(false)) api.set_serving({.node = true, .coordinator = true, .shard = true});
      for (Inbox::Item& item : items) play(item);
      pending.expire(requests.empty() ? Steady::now() : Steady::now() + expire_early);
    }
    caller.join();
    return status;
  }
  void pump(std::vector<Inbox::Item>& items) {
    api.queue().wait(Steady::now() + milliseconds(1), ended);
    for (const RpcQueue::Ended& one : ended) one.tag->end(one.ok);
    inbox.take(items);
  }
  void play(Inbox::Item& item) {
    if (auto* task = std::get_if<Inbox::Task>(&item)) return (*task)(loop);
    const auto& request = std::get<ClientRequest>(std::get<Event>(item));
    if (!pending.begin(request.id, Steady::now() + late)) return;
    requests.push_back(request);
    if (!answer) return;
    std::vector<ClientReply> replies;
    replies.push_back({.id = request.id, .answer = answer(request)});
    pending.answer(std::move(replies));
  }

  static v1::ExecuteRequest execute_request(const std::vector<const char*>& shards) {
    v1::ExecuteRequest request;
    request.set_txn_id(txn.to_hex());
    for (const char* name : shards) {
      v1::Branch* branch = request.add_branches();
      branch->set_shard(name);
      branch->add_operations()->mutable_get()->set_key("k");
    }
    return request;
  }
  grpc::Status execute(const v1::ExecuteRequest& request, milliseconds deadline = std::chrono::seconds(20)) {
    return call([&](grpc::ClientContext& context) { return coordinator->Execute(&context, request, &transaction); },
                deadline);
  }

  const std::uint16_t port = free_port();
  const ClusterView view = cluster();
  Inbox inbox{[] {}};  // the test looks every millisecond
  std::vector<RpcQueue::Ended> ended;
  PendingCalls pending{view, 100};
  const ClientGate gate{.cluster = view, .pending = pending, .inbox = inbox, .txn_timeout = std::chrono::seconds(10)};
  SystemClock clock;
  Recorder recorder{{.ring = 10}, clock};
  EventLog events;
  PeerLatencies latencies;
  ObserveService observe{view, recorder, events, latencies};
  ClientApi api{gate, observe, latencies, 64 << 10};
  FakeLoop loop;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Coordinator::Stub> coordinator;
  std::unique_ptr<v1::Shard::Stub> shard;
  std::unique_ptr<v1::Cluster::Stub> admin;

  std::function<Result<ClientAnswer>(const ClientRequest&)> answer;
  milliseconds expire_early{0};
  std::atomic<bool> serve_after = false;  // begins to serve in the next round
  milliseconds late{0};                   // how much later than now the loop believes it is
  std::vector<ClientRequest> requests;
  v1::Transaction transaction;
};

Result<ClientAnswer> committed(const ClientRequest& /*request*/) {
  TxnAnswer answer;
  answer.txn = txn;
  answer.state = TxnState::committed;
  return ClientAnswer(std::move(answer));
}

TEST_F(ServiceTest, GivesAOneShardTransactionToItsShardAndOthersToTheCoordinator) {
  answer = committed;
  ASSERT_TRUE(execute(execute_request({"s1"})).ok());
  EXPECT_EQ(transaction.state(), v1::COMMITTED);
  EXPECT_EQ(transaction.answered_by(), "s1");
  ASSERT_TRUE(execute(execute_request({"s1", "s2"})).ok());
  EXPECT_EQ(transaction.answered_by(), "c0");
  v1::ExecuteRequest forced = execute_request({"s1"});
  forced.set_protocol(v1::TWO_PHASE);
  ASSERT_TRUE(execute(forced).ok());
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].group, group_id("s1"));
  EXPECT_EQ(requests[1].group, group_id("c0"));
  EXPECT_EQ(requests[2].group, group_id("c0"));
}

TEST_F(ServiceTest, SendsTheCallerToTheLeader) {
  answer = [](const ClientRequest&) -> Result<ClientAnswer> {
    return fail(ErrorCode::not_leader, "elsewhere", node_id("n2"));
  };
  const ApiError error = from_status(execute(execute_request({"s1"})));
  EXPECT_EQ(error.code, ErrorCode::not_leader);
  EXPECT_EQ(error.metadata.at("leader"), "n2");
  EXPECT_EQ(error.metadata.at("endpoint"), "n2.example:7420");
  EXPECT_EQ(error.metadata.at("group"), "s1");
  EXPECT_EQ(error.message, "node n1 does not lead group s1; n2 does");
}

TEST_F(ServiceTest, NamesBadFieldsAndUnknownShards) {
  v1::ExecuteRequest request = execute_request({"s1"});
  request.set_txn_id("abc");
  grpc::Status status = execute(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(from_status(status).metadata.at("field"), "txn_id");
  status = execute(execute_request({"s9"}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(from_status(status).reason, "GROUP_NOT_FOUND");
  EXPECT_TRUE(requests.empty());
}

TEST_F(ServiceTest, SaysHowToFindAnUnknownOutcome) {
  answer = [](const ClientRequest&) -> Result<ClientAnswer> {
    return fail(ErrorCode::unknown_outcome, "leadership was lost");
  };
  const grpc::Status status = execute(execute_request({"s1", "s2"}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const ApiError error = from_status(status);
  EXPECT_EQ(error.code, ErrorCode::unknown_outcome);
  EXPECT_EQ(error.metadata.at("txn_id"), txn.to_hex());
  EXPECT_EQ(error.metadata.at("how"), "assentctl txn get " + txn.to_hex());
}

TEST_F(ServiceTest, ADeadlineLeavesTheOutcomeUnknown) {
  expire_early = std::chrono::hours(1);  // as if the deadline were now, once the request has begun
  const grpc::Status status = execute(execute_request({"s1", "s2"}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(from_status(status).reason, "OUTCOME_UNKNOWN");
  EXPECT_EQ(requests.size(), 1U);
}

TEST_F(ServiceTest, ATransactionGivesUpBeforeItsCallerDoes) {
  answer = committed;
  ASSERT_TRUE(execute(execute_request({"s1", "s2"}), std::chrono::seconds(5)).ok());
  EXPECT_LT(std::get<Execute>(requests[0].body).timeout_ticks, 500U);
}

TEST_F(ServiceTest, ADeadlineThatPassedBeforeTheBeginDropsTheRequest) {
  late = std::chrono::hours(1);
  const ApiError error = from_status(execute(execute_request({"s1", "s2"})));
  EXPECT_EQ(error.reason, "DEADLINE_PASSED");
  EXPECT_EQ(error.code, ErrorCode::cancelled);
  EXPECT_TRUE(requests.empty());
}

TEST_F(ServiceTest, GivesAnExecuteTheDefaultTimeout) {
  answer = committed;
  ASSERT_TRUE(execute(execute_request({"s1"})).ok());
  v1::ExecuteRequest request = execute_request({"s1"});
  request.set_timeout_millis(700);
  ASSERT_TRUE(execute(request).ok());
  EXPECT_EQ(std::get<Execute>(requests[0].body).timeout_ticks, 1000U);
  EXPECT_EQ(std::get<Execute>(requests[1].body).timeout_ticks, 70U);
}

// Who sends it again after a while, to learn what came of it, does not shorten it by that.
TEST_F(ServiceTest, ATimeThatTheCallerNamesOutlivesTheCall) {
  answer = committed;
  v1::ExecuteRequest request = execute_request({"s1"});
  ASSERT_TRUE(execute(request, milliseconds(1'000)).ok());
  request.set_timeout_millis(40'000);
  ASSERT_TRUE(execute(request, milliseconds(1'000)).ok());
  EXPECT_LT(std::get<Execute>(requests[0].body).timeout_ticks, 100U);
  EXPECT_EQ(std::get<Execute>(requests[1].body).timeout_ticks, 4000U);
}

TEST_F(ServiceTest, RefusesWhatIsTooMuch) {
  v1::ExecuteRequest request = execute_request({"s1"});
  request.mutable_branches(0)->mutable_operations(0)->mutable_get()->set_key(std::string(100 << 10, 'k'));
  EXPECT_EQ(execute(request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  PendingCalls none(view, 0);
  const auto refused = none.add({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
}

TEST_F(ServiceTest, AnswersQueriesAndOutcomes) {
  answer = [](const ClientRequest& request) -> Result<ClientAnswer> {
    if (std::holds_alternative<Query>(request.body)) {
      OperationResult result;
      result.rows.push_back({std::int64_t{7}});
      return ClientAnswer(QueryAnswer{.result = {result}, .at = Index(12)});
    }
    return fail(ErrorCode::not_found, "no trace of it");
  };
  v1::QueryRequest query;
  query.set_shard("s2");
  query.add_operations()->mutable_sql()->set_text("SELECT 7");
  v1::QueryResponse rows;
  ASSERT_TRUE(call([&](grpc::ClientContext& context) { return shard->Query(&context, query, &rows); }).ok());
  EXPECT_EQ(rows.index(), 12U);
  EXPECT_EQ(rows.results(0).rows(0).values(0).integer(), 7);
  v1::GetOutcomeRequest ask;
  ask.set_txn_id(txn.to_hex());
  const ApiError error = from_status(
      call([&](grpc::ClientContext& context) { return coordinator->GetOutcome(&context, ask, &transaction); }));
  EXPECT_EQ(error.reason, "TXN_NOT_FOUND");
}

TEST_F(ServiceTest, ShowsTheStatusOfTheNode) {
  GroupStatus group;
  group.config = {
      .id = group_id("s1"), .name = "s1", .role = GroupRole::shard, .members = {node_id("n1"), node_id("n2")}};
  group.log.leadership = {.epoch = Epoch(4), .leader = node_id("n2"), .self_leads = false, .self_ready = false};
  group.log.members = group.config.members;
  group.log.committed = Index(9);
  loop.groups.push_back(group);
  v1::StatusRequest request;
  request.set_digests(true);
  v1::StatusResponse response;
  ASSERT_TRUE(call([&](grpc::ClientContext& context) { return admin->Status(&context, request, &response); }).ok());
  EXPECT_EQ(response.node(), "n1");
  ASSERT_EQ(response.nodes_size(), 2);
  ASSERT_EQ(response.replicas_size(), 1);
  EXPECT_EQ(response.replicas(0).leader(), "n2");
  EXPECT_EQ(response.replicas(0).committed_index(), 9U);
  ASSERT_EQ(response.replicas(0).membership_size(), 2);
  EXPECT_EQ(response.replicas(0).membership(0).role(), "voter");
  EXPECT_TRUE(response.replicas(0).membership_committed());
  EXPECT_EQ(response.replicas(0).digest(), "0000000000000abc");
  EXPECT_GT(response.counters().cpu_micros(), 0U);
  EXPECT_GT(response.counters().resident_bytes(), 0U);
}

TEST_F(ServiceTest, HandsLeadershipOverOnlyAsLeader) {
  GroupStatus group;
  group.config = {.id = group_id("s1"), .name = "s1", .role = GroupRole::shard, .members = {}};
  group.log.members = {node_id("n1"), node_id("n2")};
  group.log.leadership = {.epoch = Epoch(4), .leader = node_id("n2"), .self_leads = false, .self_ready = false};
  loop.groups.push_back(group);
  v1::TransferLeaderRequest request;
  v1::TransferLeaderResponse response;
  const auto transfer = [&] {
    return call([&](grpc::ClientContext& context) { return admin->TransferLeader(&context, request, &response); });
  };
  EXPECT_THAT(transfer().error_message(), StartsWith("group: there is no group"));
  request.set_group("s1");
  EXPECT_THAT(transfer().error_message(), StartsWith("to: there is no node"));
  request.set_to("n2");
  EXPECT_EQ(from_status(transfer()).metadata.at("leader"), "n2");
  loop.groups[0].log.leadership = {.epoch = Epoch(5), .leader = node_id("n1"), .self_leads = true, .self_ready = true};
  ASSERT_TRUE(transfer().ok());
  ASSERT_EQ(loop.transfers.size(), 1U);
  EXPECT_EQ(loop.transfers[0].to, node_id("n2"));
  loop.groups[0].log.members = {node_id("n1")};
  EXPECT_THAT(transfer().error_message(), HasSubstr("n2 does not vote in group s1"));
}

TEST_F(ServiceTest, ChangesMembersOnlyAsLeaderAndSaysWhyNot) {
  GroupStatus group;
  group.config = {.id = group_id("s1"), .name = "s1", .role = GroupRole::shard, .members = {}};
  group.log.members = {node_id("n1")};
  group.log.leadership = {.epoch = Epoch(4), .leader = node_id("n2"), .self_leads = false, .self_ready = false};
  loop.groups.push_back(group);
  v1::ChangeMembersRequest request;
  v1::ChangeMembersResponse response;
  const auto change = [&] {
    return call([&](grpc::ClientContext& context) { return admin->ChangeMembers(&context, request, &response); });
  };
  EXPECT_THAT(change().error_message(), StartsWith("group: there is no group"));
  request.set_group("s1");
  EXPECT_EQ(change().error_message(), "changes: none are named");
  v1::MemberChange& one = *request.add_changes();
  EXPECT_THAT(change().error_message(), StartsWith("changes: there is no action \"\""));
  one.set_action("learner");
  one.set_node("n7");
  EXPECT_EQ(change().error_message(), "changes: there is no node \"n7\"");
  one.set_node("n2");
  one.set_disk(7);
  EXPECT_EQ(from_status(change()).metadata.at("leader"), "n2");
  loop.groups[0].log.leadership = {.epoch = Epoch(5), .leader = node_id("n1"), .self_leads = true, .self_ready = true};
  ASSERT_TRUE(change().ok());
  EXPECT_EQ(response.index(), 17U);
  ASSERT_EQ(loop.changes.size(), 1U);
  EXPECT_EQ(loop.changes[0], (MemberChange{MemberChange::Kind::learner, Member(node_id("n2"), 7)}));
  loop.refusal = Error{ErrorCode::refused, "nothing changes", {}};
  const grpc::Status refused = change();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.error_message(), "group s1: nothing changes; its members are n1 (voter)");
}

TEST_F(ServiceTest, StopsWithEveryCallAnswered) {
  grpc::Status executed;
  grpc::Status seen;
  std::atomic<bool> answered = false;
  std::thread caller([&] {
    grpc::ClientContext context;
    executed = coordinator->Execute(&context, execute_request({"s1", "s2"}), &transaction);
  });
  std::thread watcher([&] {
    grpc::ClientContext context;
    v1::StatusResponse response;
    seen = admin->Status(&context, {}, &response);
  });
  std::vector<Inbox::Item> items;
  std::size_t arrived = 0;
  while (arrived < 2) {  // both wait in the node; neither is answered
    std::vector<Inbox::Item> more;
    pump(more);
    arrived += more.size();
    std::move(more.begin(), more.end(), std::back_inserter(items));
  }
  items.clear();
  inbox.close();
  pending.close();
  EXPECT_EQ(pending.size(), 1U);
  pending.abandon();
  std::thread last([&] {
    caller.join();
    watcher.join();
    answered = true;
  });
  while (!answered) pump(items);
  last.join();
  EXPECT_EQ(from_status(executed).code, ErrorCode::unknown_outcome);
  EXPECT_EQ(from_status(seen).reason, "SHUTTING_DOWN");
  // And later calls are sent elsewhere.
  EXPECT_EQ(from_status(execute(execute_request({"s1", "s2"}))).code, ErrorCode::not_leader);
}

// Health checking by hand: grpc.health.v1.HealthCheckRequest{service = 1}, Response{status = 1}.
TEST_F(ServiceTest, TellsItsHealth) {
  const auto check = [&](const std::string& service) -> std::string {
    std::string request = service.empty() ? "" : std::string("\x0a") + static_cast<char>(service.size()) + service;
    grpc::Slice slice(request);
    grpc::ByteBuffer sent(&slice, 1);
    grpc::ByteBuffer received;
    const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check", grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Status status = call([&](grpc::ClientContext& context) {
      return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel.get(), method, &context,
                                                                                   sent, &received);
    });
    if (!status.ok()) return "error " + std::to_string(status.error_code());
    std::vector<grpc::Slice> slices;
    EXPECT_TRUE(received.Dump(&slices).ok());
    std::string bytes;
    for (const grpc::Slice& part : slices) bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
    return bytes == "\x08\x01" ? "serving" : bytes == "\x08\x02" ? "not serving" : "?";
  };
  EXPECT_EQ(check(""), "not serving");
  api.set_serving({.node = true, .coordinator = true, .shard = false});
  EXPECT_EQ(check(""), "serving");
  EXPECT_EQ(check("assent.v1.Coordinator"), "serving");
  EXPECT_EQ(check("assent.v1.Shard"), "not serving");
  EXPECT_EQ(check("nonsense"), "error 5");
}

TEST_F(ServiceTest, TellsWatchersOfItsHealthWhenItChanges) {
  using grpc::health::v1::HealthCheckResponse;
  std::vector<int> seen;
  const auto health = grpc::health::v1::Health::NewStub(channel);
  std::atomic<int> heard = 0;
  const grpc::Status status = call([&](grpc::ClientContext& context) {
    grpc::health::v1::HealthCheckRequest request;
    const auto stream = health->Watch(&context, request);
    HealthCheckResponse response;
    while (heard < 2 && stream->Read(&response)) {
      seen.push_back(response.status());
      if (++heard == 1) serve_after = true;  // the first answer is in: now it changes
    }
    context.TryCancel();
    return stream->Finish();
  });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(seen, (std::vector<int>{HealthCheckResponse::NOT_SERVING, HealthCheckResponse::SERVING}));
}

TEST_F(ServiceTest, ReflectsItsServices) {
  using grpc::reflection::v1alpha::ServerReflectionRequest;
  using grpc::reflection::v1alpha::ServerReflectionResponse;
  const auto reflection = grpc::reflection::v1alpha::ServerReflection::NewStub(channel);
  std::vector<ServerReflectionResponse> answers;
  const grpc::Status status = call([&](grpc::ClientContext& context) {
    const auto stream = reflection->ServerReflectionInfo(&context);
    std::vector<ServerReflectionRequest> questions(5);
    questions[0].set_list_services("");
    questions[1].set_file_containing_symbol("assent.v1.Coordinator");
    questions[2].set_file_by_filename("grpc/health/v1/health.proto");
    questions[3].set_file_containing_symbol("no.such.Thing");
    for (const ServerReflectionRequest& question : questions) {
      stream->Write(question);
      ServerReflectionResponse response;
      if (stream->Read(&response)) answers.push_back(response);
    }
    stream->WritesDone();
    return stream->Finish();
  });
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(answers.size(), 5U);
  std::vector<std::string> services;
  for (const auto& service : answers[0].list_services_response().service()) services.push_back(service.name());
  EXPECT_THAT(services, ::testing::IsSupersetOf({"assent.v1.Coordinator", "assent.v1.Shard", "assent.v1.Cluster",
                                                 "grpc.health.v1.Health"}));
  ASSERT_GT(answers[1].file_descriptor_response().file_descriptor_proto_size(), 0);
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(answers[1].file_descriptor_response().file_descriptor_proto(0)));
  EXPECT_EQ(file.name(), "assent/v1/assent.proto");
  EXPECT_EQ(answers[2].file_descriptor_response().file_descriptor_proto_size(), 1);
  EXPECT_EQ(answers[3].error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(answers[4].error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, ArbitraryBytesOnThePortAreHarmless) {
  std::uint64_t state = 42;
  for (int round = 0; round < 50; ++round) {
    std::string garbage = round % 2 == 0 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n";
    for (int i = 0; i < 500; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      garbage += static_cast<char>(state >> 56U);
    }
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    static_cast<void>(send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL));
    close(fd);
  }
  answer = committed;
  EXPECT_TRUE(execute(execute_request({"s1"})).ok());
}

// Bytes that are no message of ours, in a well-formed call.
TEST_F(ServiceTest, AMessageThatIsNoneIsRefused) {
  grpc::Slice slice(std::string("\xff\xff\xff\xff garbage"));
  grpc::ByteBuffer sent(&slice, 1);
  grpc::ByteBuffer received;
  const grpc::internal::RpcMethod method("/assent.v1.Coordinator/Execute", grpc::internal::RpcMethod::NORMAL_RPC);
  EXPECT_FALSE(call([&](grpc::ClientContext& context) {
                 return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
                     channel.get(), method, &context, sent, &received);
               }).ok());
  answer = committed;
  EXPECT_TRUE(execute(execute_request({"s1"})).ok());
}

}  // namespace
}  // namespace assent
