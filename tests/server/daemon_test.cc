// A whole node in this process, alone in its cluster: start, serve, stop, start again on the same directory.
#include "server/daemon.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "assent/v1/assent.grpc.pb.h"
#include "base/rng.h"
#include "server/foreign_logs.h"
#include "server/incarnation.h"
#include "server/inspect_command.h"
#include "server/log.h"
#include "server/verify_command.h"
#include "tests/local.h"

namespace assent {
namespace {

using testing::free_port;
using ::testing::HasSubstr;

class DaemonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_up_log({.level = LogLevel::error, .json = false, .node = {}, .sink = {}});
    route_foreign_logs();
    std::string pattern = (std::filesystem::temp_directory_path() / "assent-daemon-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  [[nodiscard]] ServerConfig config(const std::string& name = "n1") const {
    auto loaded = load_config({.flags = {{"node.name", name},
                                         {"node.data_dir", (folder / "data").string()},
                                         {"node.loops", std::to_string(loops)},
                                         {"listen.client", "127.0.0.1:" + std::to_string(client_port)},
                                         {"listen.http", "127.0.0.1:" + std::to_string(http_port)},
                                         {"listen.peer", "127.0.0.1:" + std::to_string(peer_port)},
                                         {"raft.election_timeout", "50ms"},
                                         {"raft.heartbeat", "10ms"}},
                               .environment = {},
                               .file = {},
                               .file_name = {},
                               .host_name = {}});
    EXPECT_TRUE(loaded);
    return loaded->config;
  }
  std::unique_ptr<Daemon> start() {
    auto daemon = Daemon::open(config());
    EXPECT_TRUE(daemon) << daemon.error().message;
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(client_port), grpc::InsecureChannelCredentials());
    return daemon ? std::move(*daemon) : nullptr;
  }

  // Sent again until the groups have elected their only member.
  v1::Transaction execute(const std::vector<std::pair<const char*, const char*>>& statements) {
    const auto stub = v1::Coordinator::NewStub(channel);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    v1::Transaction answer;
    grpc::Status status;
    do {
      v1::ExecuteRequest request;
      request.set_txn_id(TxnId::make(SystemClock().wall(), rng.next(), rng.next()).to_hex());
      for (const auto& [shard, text] : statements) {
        v1::Branch* branch = request.add_branches();
        branch->set_shard(shard);
        branch->add_operations()->mutable_sql()->set_text(text);
      }
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      status = stub->Execute(&context, request, &answer);
    } while (status.error_code() == grpc::StatusCode::UNAVAILABLE && std::chrono::steady_clock::now() < until);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer;
  }
  v1::QueryResponse query(const char* shard, const char* text) {
    const auto stub = v1::Shard::NewStub(channel);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    v1::QueryResponse answer;
    grpc::Status status;
    do {
      v1::QueryRequest request;
      request.set_shard(shard);
      request.add_operations()->mutable_sql()->set_text(text);
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      status = stub->Query(&context, request, &answer);
    } while (status.error_code() == grpc::StatusCode::UNAVAILABLE && std::chrono::steady_clock::now() < until);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer;
  }

  std::filesystem::path folder;
  int loops = 1;
  const std::uint16_t client_port = free_port();
  const std::uint16_t peer_port = free_port();
  const std::uint16_t http_port = free_port();
  std::shared_ptr<grpc::Channel> channel;
  Rng rng{static_cast<std::uint64_t>(getpid())};
};

TEST_F(DaemonTest, KeepsWhatItCommittedOverARestart) {
  auto daemon = start();
  ASSERT_NE(daemon, nullptr);
  for (const char* shard : {"s1", "s2"}) {
    EXPECT_EQ(execute({{shard, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"}}).state(), v1::COMMITTED);
  }
  const v1::Transaction both =
      execute({{"s1", "INSERT INTO t VALUES(1, 'a')"}, {"s2", "INSERT INTO t VALUES(2, 'b')"}});
  EXPECT_EQ(both.state(), v1::COMMITTED);
  EXPECT_EQ(both.answered_by(), "c0");
  daemon->stop();
  EXPECT_EQ(daemon->failure(), std::nullopt);
  daemon = nullptr;

  const auto inspection = inspect_directory((folder / "data").string(), 50);
  ASSERT_TRUE(inspection) << inspection.error().message;
  EXPECT_FALSE(inspection->damaged());
  EXPECT_THAT(inspection->text, HasSubstr("s1: finish " + both.txn_id()));
  EXPECT_THAT(inspection->text, HasSubstr("s2: prepare " + both.txn_id()));

  daemon = start();
  ASSERT_NE(daemon, nullptr);
  EXPECT_EQ(query("s1", "SELECT v FROM t").results(0).rows(0).values(0).text(), "a");
  EXPECT_EQ(query("s2", "SELECT v FROM t").results(0).rows(0).values(0).text(), "b");
}

TEST_F(DaemonTest, VerifySaysWhatOfItsDirectoryIsDamaged) {
  auto daemon = start();
  ASSERT_NE(daemon, nullptr);
  EXPECT_EQ(execute({{"s1", "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"}}).state(), v1::COMMITTED);
  daemon->stop();
  daemon = nullptr;
  const std::filesystem::path data = folder / "data";
  auto verification = verify_directory(data.string());
  ASSERT_TRUE(verification) << verification.error().message;
  EXPECT_TRUE(verification->sound) << verification->text;
  EXPECT_THAT(verification->text, HasSubstr("is sound"));
  EXPECT_EQ(verify_directory((folder / "nowhere").string()).error().code, ErrorCode::not_found);

  const auto overwrite = [](const std::filesystem::path& file, std::streamoff at) {
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(at);
    out << std::string(64, '?');
  };
  std::filesystem::remove((data / "shards" / "s1.db-wal"));  // which would mend it
  overwrite(data / "shards" / "s1.db", 4'096);
  verification = verify_directory(data.string());
  ASSERT_TRUE(verification);
  EXPECT_FALSE(verification->sound);
  EXPECT_THAT(verification->text, HasSubstr("DAMAGED: shards/s1.db: "));
  EXPECT_THAT(verification->text, HasSubstr("move it away with its -wal and -shm"));

  overwrite(data / "identity", 30);
  verification = verify_directory(data.string());
  ASSERT_TRUE(verification);
  EXPECT_THAT(verification->text, HasSubstr("DAMAGED: the file \"identity\" of the data directory is damaged"));
}

TEST_F(DaemonTest, SeveralLoopsAreOneNode) {
  loops = 4;
  auto daemon = start();
  ASSERT_NE(daemon, nullptr);
  for (const char* shard : {"s1", "s2"}) {
    EXPECT_EQ(execute({{shard, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"}}).state(), v1::COMMITTED);
  }
  for (int i = 0; i < 20; ++i) {
    const std::string insert = "INSERT INTO t VALUES(" + std::to_string(i) + ", 'a')";
    EXPECT_EQ(execute({{"s1", insert.c_str()}, {"s2", insert.c_str()}}).state(), v1::COMMITTED);
  }
  daemon->stop();
  EXPECT_EQ(daemon->failure(), std::nullopt);
  daemon = nullptr;
  const auto inspection = inspect_directory((folder / "data").string(), 50);
  ASSERT_TRUE(inspection) << inspection.error().message;
  EXPECT_FALSE(inspection->damaged());
  EXPECT_THAT(inspection->text, HasSubstr("loop 3 of 4"));

  loops = 2;
  const auto other = Daemon::open(config());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::refused);
  EXPECT_THAT(other.error().message, HasSubstr("Start with node.loops 4"));

  loops = 4;
  daemon = start();
  ASSERT_NE(daemon, nullptr);
  for (const char* shard : {"s1", "s2"}) {
    EXPECT_EQ(query(shard, "SELECT count(*) FROM t").results(0).rows(0).values(0).integer(), 20);
  }
}

TEST_F(DaemonTest, RefusesTheDirectoryOfAnotherNode) {
  start()->stop();
  const auto other = Daemon::open(config("n2"));
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("belongs to node \"n1\""));
}

TEST_F(DaemonTest, RefusesADirectoryInUse) {
  const auto first = start();
  ServerConfig second = config();
  second.listen_client.port = free_port();
  second.listen_peer.port = free_port();
  second.listen_http->port = free_port();
  const auto started = Daemon::open(second);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("in use by another process"));
}

TEST_F(DaemonTest, APortInUseLeavesNothingBehind) {
  const auto first = start();
  ServerConfig second = config();
  second.data_dir = (folder / "other").string();
  const auto started = Daemon::open(second);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("listen.peer: cannot listen at"));
  EXPECT_FALSE(std::filesystem::exists(folder / "other"));
}

TEST_F(DaemonTest, AnIncarnationIsNeverUsedTwice) {
  const std::string path = folder.string();
  const auto next = [&path](std::uint64_t now) {
    const auto incarnation = next_incarnation(path, now);
    return std::pair(incarnation->now, incarnation->previous);
  };
  EXPECT_EQ(next(100), std::pair(100UL, 0UL));
  EXPECT_EQ(next(100), std::pair(101UL, 100UL));
  EXPECT_EQ(next(50), std::pair(102UL, 101UL));  // the clock was set back
  EXPECT_EQ(next(5000), std::pair(5000UL, 102UL));
  std::ofstream(path + "/INCARNATION") << "garbage";
  EXPECT_EQ(next(6000), std::pair(6000UL, 0UL));
  EXPECT_EQ(next_incarnation(path + "/missing", 1).error().code, ErrorCode::io);
}

}  // namespace
}  // namespace assent
