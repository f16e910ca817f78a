#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "assent/v1/peer.grpc.pb.h"
#include "base/digest.h"
#include "server/grpc_transport.h"
#include "server/log.h"
#include "tests/forwarder.h"
#include "tests/local.h"
#include "txn_proto/names.h"

namespace assent {
namespace {

using testing::free_port;
using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Two nodes' ports, known to both.
struct Ports {
  std::map<std::string, std::uint16_t> of{{"n1", free_port()}, {"n2", free_port()}};
};

PeerIdentity identity(const Ports& ports, const std::string& self, const std::string& cluster = "test") {
  PeerIdentity identity{.cluster = cluster, .self = node_id(self), .incarnation = 1, .nodes = {}};
  for (const auto& [name, port] : ports.of)
    identity.nodes[node_id(name)] = {.name = name, .endpoint = {"127.0.0.1", port}};
  return identity;
}

// A transport with its queue and inbox, pumped by the test's thread as the loop's thread would.
class Node {
 public:
  Node(const Ports& ports, const std::string& self, const std::string& cluster = "test",
       std::uint64_t snapshot_rate = 0)
      : port_(ports.of.at(self)),
        transport(std::make_unique<GrpcTransport>(identity(ports, self, cluster), queue, inbox, snapshot_rate)) {}
  ~Node() {
    inbox.close();
    transport->stop();
    queue.drain();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  void start() {
    const auto started = transport->start({"127.0.0.1", port_});
    ASSERT_TRUE(started) << started.error().message;
  }
  void pump() {
    transport->tick();
    std::vector<RpcQueue::Ended> ended;
    queue.wait(Steady::now() + milliseconds(2), ended);
    for (const RpcQueue::Ended& one : ended) one.tag->end(one.ok);
    std::vector<Inbox::Item> items;
    inbox.take(items);
    for (Inbox::Item& item : items) {
      auto& event = std::get<Event>(item);
      if (auto* frame = std::get_if<FrameReceived>(&event)) frames.push_back(std::move(*frame));
      if (auto* snapshot = std::get_if<SnapshotReceived>(&event)) snapshots.push_back(std::move(*snapshot));
      if (auto* one = std::get_if<SnapshotSendEnded>(&event)) ends.push_back(*one);
      if (std::holds_alternative<TransportReady>(event)) ++ready_events;
    }
    inbox.read_on();
  }

 private:
  std::uint16_t port_;

 public:
  RpcQueue queue;
  Inbox inbox{[this] { queue.wake(); }};
  std::unique_ptr<GrpcTransport> transport;
  std::vector<FrameReceived> frames;
  std::vector<SnapshotReceived> snapshots;
  std::vector<SnapshotSendEnded> ends;
  int ready_events = 0;
};

// Pumps until the condition holds; a test that waits in vain ends with a failure here.
::testing::AssertionResult pump_until(const std::vector<Node*>& nodes, const std::function<bool()>& condition) {
  const auto until = Steady::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (Steady::now() > until) return ::testing::AssertionFailure() << "waited 30 s in vain";
    for (Node* node : nodes) node->pump();
  }
  return ::testing::AssertionSuccess();
}

const NodeId n1 = node_id("n1");
const NodeId n2 = node_id("n2");

class TransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_up_log({.level = LogLevel::info, .json = false, .node = {}, .sink = [this](const std::string& line) {
                  const std::lock_guard lock(mutex);
                  log.push_back(line);
                }});
  }
  void TearDown() override { set_up_log({.level = LogLevel::info, .json = false, .node = {}, .sink = {}}); }
  bool logged(const std::string& text) {
    const std::lock_guard lock(mutex);
    return std::any_of(log.begin(), log.end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }
  std::mutex mutex;
  std::vector<std::string> log;
};

TEST_F(TransportTest, CarriesFramesBothWaysInOrder) {
  const Ports ports;
  Node a(ports, "n1");
  Node b(ports, "n2");
  a.start();
  b.start();
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return a.transport->up(n2) && b.transport->up(n1); }));
  int sent = 0;
  ASSERT_TRUE(pump_until({&a, &b}, [&] {
    if (sent < 200 && a.transport->ready(n2)) a.transport->send(n2, "frame " + std::to_string(sent++));
    return b.frames.size() == 200;
  }));
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(b.frames[static_cast<std::size_t>(i)].frame, "frame " + std::to_string(i));
    EXPECT_EQ(b.frames[static_cast<std::size_t>(i)].from, n1);
  }
  const Bytes large(8 << 20, 'x');
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return b.transport->ready(n1); }));
  b.transport->send(n1, large);
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return !a.frames.empty(); }));
  EXPECT_EQ(a.frames[0].frame, large);
  EXPECT_TRUE(logged("peer up peer=n2"));
}

TEST_F(TransportTest, SaysWhenAFrameIsOut) {
  const Ports ports;
  Node a(ports, "n1");
  Node b(ports, "n2");
  a.start();
  b.start();
  ASSERT_TRUE(
      pump_until({&a, &b}, [&] { return a.transport->up(n2) && a.transport->ready(n2) && a.ready_events > 0; }));
  for (std::size_t sent = 1; sent <= 20; ++sent) {
    a.ready_events = 0;
    a.transport->send(n2, Bytes(1 << 20, 'x'));
    // Nothing but the event wakes a loop whose frame waits for the last one.
    const bool waits = !a.transport->ready(n2);
    ASSERT_TRUE(pump_until({&a, &b}, [&] { return (!waits || a.ready_events > 0) && b.frames.size() == sent; }));
    ASSERT_TRUE(pump_until({&a, &b}, [&] { return a.transport->ready(n2); }));
  }
}

// Between frames, in both directions; who is cut off neither asks nor answers, and is lost to the others.
TEST_F(TransportTest, MeasuresHowFarPeersAre) {
  const Ports ports;
  Node a(ports, "n1");
  Node b(ports, "n2");
  EXPECT_FALSE(a.transport->latencies().at(n2).up);
  a.start();
  b.start();
  const auto known = [&](const Node& node, NodeId peer) {
    const PeerLatency latency = node.transport->latencies().at(peer);
    return latency.up && latency.round_trip.count() > 0;
  };
  int sent = 0;
  ASSERT_TRUE(pump_until({&a, &b}, [&] {
    const bool takes_one = a.transport->up(n2) && a.transport->ready(n2);
    if (takes_one) a.transport->send(n2, "frame " + std::to_string(sent++));
    return known(a, n2) && known(b, n1) && sent > 100;
  }));
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return b.frames.size() == static_cast<std::size_t>(sent); }));
  EXPECT_LT(a.transport->latencies().at(n2).round_trip, std::chrono::seconds(5));
  b.transport->cut({n1});
  EXPECT_FALSE(b.transport->latencies().at(n1).up);
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return !a.transport->latencies().at(n2).up; }));
  EXPECT_TRUE(a.transport->up(n2)) << "the connection itself stands";
  b.transport->cut({});
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return known(a, n2) && known(b, n1); }));
}

TEST_F(TransportTest, DropsFramesWhileAPeerIsAwayAndFindsItAgain) {
  const Ports ports;
  Node a(ports, "n1");
  a.start();
  EXPECT_TRUE(a.transport->ready(n2));  // what cannot be sent shall not pile up
  a.transport->send(n2, "lost");
  auto b = std::make_unique<Node>(ports, "n2");
  b->start();
  ASSERT_TRUE(pump_until({&a, b.get()}, [&] { return a.transport->up(n2) && a.transport->ready(n2); }));
  a.transport->send(n2, "first");
  ASSERT_TRUE(pump_until({&a, b.get()}, [&] { return b->frames.size() == 1; }));
  EXPECT_EQ(b->frames[0].frame, "first");

  b = nullptr;
  ASSERT_TRUE(pump_until({&a}, [&] { return !a.transport->up(n2); }));
  ASSERT_TRUE(pump_until({&a}, [&] { return logged("peer down peer=n2"); }));
  b = std::make_unique<Node>(ports, "n2");
  b->start();
  ASSERT_TRUE(pump_until({&a, b.get()}, [&] { return a.transport->up(n2) && a.transport->ready(n2); }));
  a.transport->send(n2, "second");
  ASSERT_TRUE(pump_until({&a, b.get()}, [&] { return b->frames.size() == 1; }));
  EXPECT_EQ(b->frames[0].frame, "second");
}

TEST_F(TransportTest, CarriesSnapshotsWhole) {
  const Ports ports;
  Node a(ports, "n1");
  Node b(ports, "n2");
  a.start();
  b.start();
  SnapshotTransfer transfer{.group = GroupId(7),
                            .epoch = Epoch(3),
                            .mark = {.last = {Epoch(2), Index(99)},
                                     .stamp = ClusterMillis(5),
                                     .members = {std::min(n1, n2), std::max(n1, n2)}},
                            .data = {}};
  for (int i = 0; i < 3'000'000; ++i) transfer.data += static_cast<char>(i * 31 >> 3);
  const Bytes data = transfer.data;
  a.transport->send_snapshot(n2, transfer);
  a.transport->send_snapshot(n2, transfer);  // a second one of the same group meanwhile is refused at once
  transfer.group = GroupId(8);
  transfer.mark.members.learners = {Member(NodeId(~0ULL), 7)};
  transfer.data.clear();
  a.transport->send_snapshot(n2, transfer);
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return a.ends.size() == 3 && b.snapshots.size() == 2; }));
  EXPECT_EQ(a.ends[0].group, GroupId(7));
  EXPECT_FALSE(a.ends[0].delivered);
  EXPECT_TRUE(a.ends[1].delivered);
  EXPECT_TRUE(a.ends[2].delivered);
  const SnapshotReceived& received = b.snapshots[b.snapshots[0].transfer.group == GroupId(7) ? 0 : 1];
  EXPECT_EQ(received.from, n1);
  EXPECT_EQ(received.transfer.epoch, Epoch(3));
  EXPECT_EQ(received.transfer.mark.last, (Position{Epoch(2), Index(99)}));
  EXPECT_EQ(received.transfer.mark.members, (Membership{std::min(n1, n2), std::max(n1, n2)}));
  const SnapshotReceived& later = b.snapshots[b.snapshots[0].transfer.group == GroupId(7) ? 1 : 0];
  EXPECT_EQ(later.transfer.mark.members, transfer.mark.members);
  EXPECT_EQ(received.transfer.data, data);
}

SnapshotTransfer large_transfer(std::size_t bytes) {
  SnapshotTransfer transfer{.group = GroupId(7),
                            .epoch = Epoch(3),
                            .mark = {.last = {Epoch(2), Index(99)}, .stamp = ClusterMillis(5), .members = {n1, n2}},
                            .data = {}};
  for (std::size_t i = 0; i < bytes; ++i) transfer.data += static_cast<char>(i * 31 >> 3U);
  return transfer;
}

// Between a node and its peer: lets so many bytes of the connection pass that carries snapshots, and closes it then.
class BreakingLink final : public testing::Forwarder {
 public:
  explicit BreakingLink(std::uint16_t target) : Forwarder(target) { begin(); }
  ~BreakingLink() override { end(); }
  // The connection on which more than these have passed is closed, once.
  void break_after(std::int64_t bytes) { left_ = bytes; }
  [[nodiscard]] int breaks() const { return breaks_; }

 private:
  bool client_said(Link& link, std::string_view bytes) override {
    if (bytes.size() < 16'384) return send_all(link.server, bytes);  // frames and questions
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (left_ >= 0 && (left_ -= size) < 0) {
      ++breaks_;
      return false;
    }
    return send_all(link.server, bytes);
  }
  bool server_said(Link& link, std::string_view bytes) override { return send_all(link.client, bytes); }

  std::atomic<std::int64_t> left_ = -1;
  std::atomic<int> breaks_ = 0;
};

TEST_F(TransportTest, ASnapshotGoesOnWhereItsConnectionBroke) {
  Ports ports;
  Node b(ports, "n2");
  b.start();
  BreakingLink between(ports.of.at("n2"));
  ports.of["n2"] = between.port();
  Node a(ports, "n1");
  a.start();
  const SnapshotTransfer transfer = large_transfer(12'000'000);
  between.break_after(5'000'000);
  a.transport->send_snapshot(n2, transfer);
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return a.ends.size() == 1; }));
  EXPECT_FALSE(a.ends[0].delivered);
  EXPECT_EQ(between.breaks(), 1);
  std::size_t sent = 1;
  ASSERT_TRUE(pump_until({&a, &b}, [&] {  // as the log does when it hears that it was not delivered
    if (a.ends.size() == sent && !a.ends.back().delivered) {
      ++sent;
      a.transport->send_snapshot(n2, transfer);
    }
    return a.ends.size() == sent && a.ends.back().delivered && b.snapshots.size() == 1;
  }));
  EXPECT_EQ(b.snapshots[0].transfer.data, transfer.data);
  const SnapshotTraffic& traffic = a.transport->snapshot_traffic();
  EXPECT_EQ(traffic.resumed, 1U);
  EXPECT_GT(traffic.bytes_spared, 1'000'000U);
  EXPECT_LT(traffic.bytes_spared, 6'000'000U);
  EXPECT_TRUE(logged("snapshot goes on where it broke"));

  SnapshotTransfer other = large_transfer(12'000'000);
  other.data.back() = 'x';
  a.transport->send_snapshot(n2, other);
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return b.snapshots.size() == 2; }));
  EXPECT_EQ(b.snapshots[1].transfer.data, other.data);
  EXPECT_EQ(traffic.resumed, 1U) << "nothing is left of what was whole";
}

// A peer that says of the third chunk that it was damaged, once, and has what came before it.
class RefusingPeer final : public v1::Peer::Service {
 public:
  grpc::Status HeldSnapshot(grpc::ServerContext*, const v1::SnapshotHeader*, v1::SnapshotHeld* held) override {
    const std::lock_guard lock(mutex_);
    held->set_bytes(data_.size());
    return grpc::Status::OK;
  }
  grpc::Status Snapshot(grpc::ServerContext*, grpc::ServerReader<v1::SnapshotChunk>* stream,
                        v1::SnapshotReceipt*) override {
    v1::SnapshotChunk chunk;
    stream->Read(&chunk);
    const std::lock_guard lock(mutex_);
    begins.push_back(chunk.header().offset());
    for (int number = 1; stream->Read(&chunk); ++number) {
      if (number == 3 && begins.size() == 1) return {grpc::StatusCode::DATA_LOSS, "damaged on its way"};
      if (chunk.offset() != data_.size() || chunk.checksum() != xxh3(chunk.data(), chunk.offset())) {
        return {grpc::StatusCode::INTERNAL, "not what comes next"};
      }
      data_ += chunk.data();
    }
    return grpc::Status::OK;
  }
  Bytes data() {
    const std::lock_guard lock(mutex_);
    return data_;
  }
  std::vector<std::uint64_t> begins;  // of the streams; to be read when they are over

 private:
  std::mutex mutex_;
  Bytes data_;
};

TEST_F(TransportTest, ADamagedChunkIsSentAgainFromItsPlace) {
  const Ports ports;
  RefusingPeer peer;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(ports.of.at("n2")), grpc::InsecureServerCredentials());
  builder.RegisterService(&peer);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  Node a(ports, "n1");
  const SnapshotTransfer transfer = large_transfer(3'000'000);
  a.transport->send_snapshot(n2, transfer);
  ASSERT_TRUE(pump_until({&a}, [&] { return !a.ends.empty(); }));
  EXPECT_TRUE(a.ends[0].delivered);
  EXPECT_EQ(peer.data(), transfer.data);
  EXPECT_EQ(peer.begins, (std::vector<std::uint64_t>{0, 2 * (256ULL << 10U)}));
  server->Shutdown();
}

TEST_F(TransportTest, SnapshotsKeepTheirRate) {
  const Ports ports;
  Node b(ports, "n2");
  Node a(ports, "n1", "test", 4'000'000);
  a.start();
  b.start();
  const auto begun = Steady::now();
  a.transport->send_snapshot(n2, large_transfer(3'000'000));
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return b.snapshots.size() == 1; }));
  EXPECT_GE(Steady::now() - begun, milliseconds(500)) << "no sooner, however quick the machine is";
}

TEST_F(TransportTest, ASnapshotThatWaitsForItsRateCanBeCutOff) {
  const Ports ports;
  Node b(ports, "n2");
  b.start();
  {
    Node a(ports, "n1", "test", 1'000);
    a.start();
    a.transport->send_snapshot(n2, large_transfer(3'000'000));
    ASSERT_TRUE(pump_until({&a, &b}, [&] { return a.transport->snapshot_traffic().bytes_sent > 0; }));
    for (int i = 0; i < 20; ++i) a.pump();
  }
  b.pump();
  EXPECT_TRUE(b.snapshots.empty());
}

TEST_F(TransportTest, ReportsASnapshotThatCannotBeSent) {
  const Ports ports;
  Node a(ports, "n1");
  a.start();
  a.transport->send_snapshot(n2, {.group = GroupId(7), .epoch = Epoch(1), .mark = {}, .data = "x"});
  a.transport->send_snapshot(NodeId(4711), {.group = GroupId(7), .epoch = Epoch(1), .mark = {}, .data = "x"});
  ASSERT_TRUE(pump_until({&a}, [&] { return a.ends.size() == 2; }));
  EXPECT_FALSE(a.ends[0].delivered);
  EXPECT_FALSE(a.ends[1].delivered);
}

TEST_F(TransportTest, RefusesANodeOfAnotherCluster) {
  const Ports ports;
  Node a(ports, "n1", "bank");
  Node b(ports, "n2", "toys");
  a.start();
  b.start();
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return logged("peer refuses this node"); }));
  EXPECT_FALSE(a.transport->up(n2));
  EXPECT_TRUE(logged("belongs to cluster \"toys\""));
}

// ---- a stranger who speaks gRPC ----

// Makes a blocking call in a thread of its own while the test's plays the node's.
grpc::Status while_pumping(Node& node, const std::function<grpc::Status()>& call) {
  std::atomic<bool> done = false;
  grpc::Status status;
  std::thread caller([&] {
    status = call();
    done = true;
  });
  while (!done) node.pump();
  caller.join();
  return status;
}

struct Stranger {
  Stranger(Node& node, std::uint16_t port)
      : node_(node),
        stub_(v1::Peer::NewStub(
            grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()))) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  grpc::Status frames(const std::vector<v1::PeerFrame>& messages) {
    return while_pumping(node_, [&] { return call_frames(messages); });
  }
  grpc::Status snapshot(const std::vector<v1::SnapshotChunk>& chunks) {
    return while_pumping(node_, [&] { return call_snapshot(chunks); });
  }
  // Nothing: refused.
  std::optional<std::uint64_t> held(const v1::SnapshotHeader& header) {
    v1::SnapshotHeld answer;
    const grpc::Status status = while_pumping(node_, [&] { return stub_->HeldSnapshot(&context_, header, &answer); });
    return status.ok() ? std::optional<std::uint64_t>(answer.bytes()) : std::nullopt;
  }

 private:
  grpc::Status call_frames(const std::vector<v1::PeerFrame>& messages) {
    auto stream = stub_->Frames(&context_);
    for (const auto& message : messages) stream->Write(message);
    v1::PeerFrame answer;
    while (stream->Read(&answer)) {
    }
    return stream->Finish();
  }
  grpc::Status call_snapshot(const std::vector<v1::SnapshotChunk>& chunks) {
    v1::SnapshotReceipt receipt;
    auto stream = stub_->Snapshot(&context_, &receipt);
    for (const auto& chunk : chunks) stream->Write(chunk);
    stream->WritesDone();
    return stream->Finish();
  }
  Node& node_;
  std::unique_ptr<v1::Peer::Stub> stub_;
  grpc::ClientContext context_;
};

v1::PeerFrame frame_message(const std::string& bytes) {
  v1::PeerFrame message;
  message.set_frame(bytes);
  return message;
}

TEST_F(TransportTest, RefusesStreamsThatDoNotIntroduceThemselves) {
  const Ports ports;
  Node b(ports, "n2");
  b.start();
  EXPECT_EQ(Stranger(b, ports.of.at("n2")).frames({frame_message("hello?")}).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Stranger(b, ports.of.at("n2")).frames({v1::PeerFrame()}).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  v1::PeerFrame hello;
  identity(ports, "n1").write_hello(n2, *hello.mutable_hello());
  EXPECT_EQ(Stranger(b, ports.of.at("n2")).frames({hello, hello}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  b.pump();
  EXPECT_TRUE(b.frames.empty());
}

TEST_F(TransportTest, RefusesDamagedSnapshots) {
  const Ports ports;
  Node b(ports, "n2");
  b.start();
  v1::SnapshotChunk header;
  identity(ports, "n1").write_hello(n2, *header.mutable_header()->mutable_hello());
  header.mutable_header()->set_size(4);
  header.mutable_header()->set_checksum(xxh3("good"));
  v1::SnapshotChunk of_nobody = header;
  v1::SnapshotChunk of_whom = header;
  of_whom.mutable_header()->set_membership("x");
  header.mutable_header()->add_members(1);
  v1::SnapshotChunk chunk;
  chunk.set_data("good");
  v1::SnapshotChunk damaged;
  damaged.set_data("gold");
  v1::SnapshotChunk half;
  half.set_data("go");
  v1::SnapshotChunk endless = header;
  endless.mutable_header()->set_size(1ULL << 60U);
  const std::uint16_t port = ports.of.at("n2");
  EXPECT_EQ(Stranger(b, port).snapshot({header, damaged}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Stranger(b, port).snapshot({header, half}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Stranger(b, port).snapshot({}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Stranger(b, port).snapshot({chunk}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Stranger(b, port).snapshot({header, chunk, half}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Stranger(b, port).snapshot({of_nobody, chunk}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Stranger(b, port).snapshot({of_whom, chunk}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Stranger(b, port).snapshot({endless, chunk}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(Stranger(b, port).snapshot({header, half, half}).error_code() == grpc::StatusCode::DATA_LOSS);
  EXPECT_TRUE(Stranger(b, port).snapshot({header, chunk}).ok());
  ASSERT_TRUE(pump_until({&b}, [&] { return b.snapshots.size() == 1; }));
  EXPECT_EQ(b.snapshots[0].transfer.data, "good");
}

TEST_F(TransportTest, KeepsWhatCameBeforeADamagedChunk) {
  const Ports ports;
  Node b(ports, "n2");
  b.start();
  const std::uint16_t port = ports.of.at("n2");
  v1::SnapshotChunk header;
  identity(ports, "n1").write_hello(n2, *header.mutable_header()->mutable_hello());
  header.mutable_header()->add_members(1);
  header.mutable_header()->set_size(8);
  header.mutable_header()->set_checksum(xxh3("goodgood"));
  const auto chunk = [](std::uint64_t offset, const std::string& data, const std::string& summed) {
    v1::SnapshotChunk one;
    one.set_data(data);
    one.set_offset(offset);
    one.set_checksum(xxh3(summed, offset));
    return one;
  };
  EXPECT_EQ(Stranger(b, port).held(header.header()), 0U);
  EXPECT_EQ(Stranger(b, port).snapshot({header, chunk(0, "go", "go"), chunk(2, "xx", "od")}).error_code(),
            grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Stranger(b, port).held(header.header()), 2U);
  v1::SnapshotChunk later = header;
  later.mutable_header()->set_last_index(5);
  EXPECT_EQ(Stranger(b, port).held(later.header()), 0U) << "of another mark";
  later = header;
  later.mutable_header()->set_offset(3);
  EXPECT_EQ(Stranger(b, port).snapshot({later, chunk(3, "dgood", "dgood")}).error_code(),
            grpc::StatusCode::OUT_OF_RANGE);
  header.mutable_header()->set_offset(2);
  EXPECT_EQ(Stranger(b, port).snapshot({header, chunk(4, "good", "good")}).error_code(), grpc::StatusCode::OUT_OF_RANGE)
      << "a chunk is missing";
  EXPECT_TRUE(Stranger(b, port).snapshot({header, chunk(2, "od", "od"), chunk(4, "good", "good")}).ok());
  ASSERT_TRUE(pump_until({&b}, [&] { return b.snapshots.size() == 1; }));
  EXPECT_EQ(b.snapshots[0].transfer.data, "goodgood");
  EXPECT_EQ(b.transport->snapshot_traffic().chunks_refused, 2U);
  v1::SnapshotHeader nobody;
  EXPECT_EQ(Stranger(b, port).held(nobody), std::nullopt);
}

// ---- and one who does not ----

void send_raw(std::uint16_t port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  static_cast<void>(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  close(fd);
}

TEST_F(TransportTest, ArbitraryBytesOnThePortAreHarmless) {
  const Ports ports;
  Node a(ports, "n1");
  Node b(ports, "n2");
  a.start();
  b.start();
  std::uint64_t state = 42;
  for (int round = 0; round < 50; ++round) {
    std::string garbage = round % 2 == 0 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
    for (int i = 0; i < 500; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      garbage += static_cast<char>(state >> 56U);
    }
    send_raw(ports.of.at("n2"), garbage);
  }
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return a.transport->up(n2) && a.transport->ready(n2); }));
  a.transport->send(n2, "still here");
  ASSERT_TRUE(pump_until({&a, &b}, [&] { return b.frames.size() == 1; }));
  EXPECT_EQ(b.frames[0].frame, "still here");
}

TEST_F(TransportTest, SaysWhyItCannotListen) {
  const Ports ports;
  Node a(ports, "n1");
  a.start();
  Node second(ports, "n1");
  const auto started = second.transport->start({"127.0.0.1", ports.of.at("n1")});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::io);
  EXPECT_THAT(started.error().message,
              ::testing::HasSubstr("the port is in use; end the other process or choose another port"));
  const auto foreign = second.transport->start({"203.0.113.7", 7421});
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message,
              ::testing::HasSubstr("cannot listen at 203.0.113.7:7421: Cannot assign requested address"));
}

}  // namespace
}  // namespace assent
