// Bad input, as a user gives it: each has a clear error and an exit code, and harms nobody.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "assent/v1/assent.grpc.pb.h"
#include "base/rng.h"
#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

CommandResult start_with(const std::filesystem::path& config) {
  return run_command({program("assentd"), "start", "--config", config.string()});
}

void write_file(const std::filesystem::path& path, std::string_view text) { std::ofstream(path) << text; }

// ---- a node that cannot start ----

TEST(BadStart, malformed_yaml_and_unknown_keys_name_the_line_and_the_nearest_key) {
  const TestFolder folder("yaml");
  const auto file = folder.path() / "a.yaml";
  write_file(file, "node: { name: n1\nlisten: [\n");
  EXPECT_EQ(start_with(file).status, 2);
  EXPECT_THAT(start_with(file).output, HasSubstr("a.yaml:"));
  write_file(file, "node:\n  name: n1\nraft:\n  hartbeat: 100ms\n");
  const auto unknown = start_with(file);
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.output, AllOf(HasSubstr("a.yaml:4"), HasSubstr("hartbeat"), HasSubstr("heartbeat")));
}

TEST(BadStart, a_missing_file_is_named) {
  const auto result = start_with("/nonexistent/assentd.yaml");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("/nonexistent/assentd.yaml"));
}

TEST(BadStart, a_port_in_use_is_named) {
  Cluster cluster("ports");
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const std::string address = cluster.client_address("n1");
  sockaddr_in taken{};
  taken.sin_family = AF_INET;
  taken.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  taken.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&taken), sizeof(taken)), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  const auto result = start_with(cluster.config_of("n1"));
  ::close(fd);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr(address));
}

TEST(BadStart, a_data_directory_of_another_node_or_in_use_is_refused) {
  Cluster cluster("identity");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  const auto second = run_command({program("assentd"), "start", "--config", cluster.config_of("n1").string(),
                                   "--listen.client", fmt::format("127.0.0.1:{}", free_port()), "--listen.peer",
                                   fmt::format("127.0.0.1:{}", free_port()), "--listen.http", "off"});
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.output, HasSubstr(cluster.data_of("n1").string()));
  cluster.stop("n1");
  cluster.stop("n2");
  const auto wrong = run_command({program("assentd"), "start", "--config", cluster.config_of("n1").string(),
                                  "--node.data-dir", cluster.data_of("n2").string()});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.output, AllOf(HasSubstr("n1"), HasSubstr("n2")));
}

// ---- requests that cannot be served: one cluster for all of them ----

class BadRequest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster = std::make_unique<Cluster>("bad-request");
    cluster->start_all();
    ASSERT_TRUE(cluster->wait_for_leaders());
    for (const char* shard : {"s1", "s2"}) {
      ASSERT_EQ(sql(shard,
                    "CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL, "
                    "CONSTRAINT no_overdraft CHECK(balance >= 0))")
                    .status,
                0);
      ASSERT_EQ(sql(shard, "INSERT INTO accounts VALUES('alice', 100)").status, 0);
    }
  }
  static void TearDownTestSuite() { cluster.reset(); }

  static CommandResult ctl(std::vector<std::string> arguments) {
    std::vector<std::string> command{program("assentctl"), "--endpoints", cluster->endpoint_list()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_command(std::move(command));
  }
  static CommandResult sql(const std::string& shard, const std::string& text) {
    return ctl({"sql", "--shard", shard, text});
  }
  // Both shards have what they were set up with: nothing bad went through by half.
  static void expect_unharmed() {
    for (const char* shard : {"s1", "s2"}) {
      const auto rows = ctl({"-o", "json", "sql", "--shard", shard, "SELECT balance FROM accounts WHERE id = 'alice'"});
      EXPECT_EQ(rows.status, 0) << rows.output;
      EXPECT_THAT(rows.output, HasSubstr("100"));
    }
  }

  static std::unique_ptr<Cluster> cluster;
};
std::unique_ptr<Cluster> BadRequest::cluster;

TEST_F(BadRequest, sql_that_cannot_be_run_says_why) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"UPDATE accounts SETT balance = 1", "syntax"},
      {"UPDATE nowhere SET balance = 1", "nowhere"},
      {"CREATE TABLE t(a INTEGER)", "PRIMARY KEY"},
      {"DELETE FROM accounts; DELETE FROM accounts", "two statements"},
      {"ATTACH 'x' AS y", "ATTACH"},
      {"PRAGMA journal_mode = OFF", "PRAGMA"},
      {"BEGIN", "BEGIN"},
      {"COMMIT", "COMMIT"},
  };
  for (const auto& [text, word] : cases) {
    SCOPED_TRACE(text);
    const auto result = sql("s1", text);
    EXPECT_EQ(result.status, 6) << result.output;
    EXPECT_THAT(result.output, HasSubstr(word));
  }
  expect_unharmed();
}

TEST_F(BadRequest, an_overdraft_aborts_everywhere_and_names_the_constraint) {
  const auto result =
      ctl({"txn", "exec", "--on", "s1", "UPDATE accounts SET balance = balance - 500 WHERE id = 'alice'", "--on", "s2",
           "UPDATE accounts SET balance = balance + 500 WHERE id = 'alice'"});
  EXPECT_EQ(result.status, 6);
  EXPECT_THAT(result.output, AllOf(HasSubstr("no_overdraft"), HasSubstr("s1")));
  expect_unharmed();
}

TEST_F(BadRequest, an_unknown_shard_is_named) {
  const auto result = sql("s9", "SELECT 1");
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("s9"));
}

TEST_F(BadRequest, a_reused_id_with_other_content_is_refused_and_with_the_same_content_answered) {
  const std::string id = client::new_txn_id().to_hex();
  const std::vector<std::string> first{"txn",
                                       "exec",
                                       "--id",
                                       id,
                                       "--on",
                                       "s1",
                                       "UPDATE accounts SET balance = 100",
                                       "--on",
                                       "s2",
                                       "UPDATE accounts SET balance = 100"};
  ASSERT_EQ(ctl(first).status, 0);
  EXPECT_EQ(ctl(first).status, 0);
  const auto other = ctl({"txn", "exec", "--id", id, "--on", "s1", "UPDATE accounts SET balance = 7", "--on", "s2",
                          "UPDATE accounts SET balance = 7"});
  // An error until the log holds the first outcome (other content may name other shards, where nothing speaks against
  // it yet), an abort that is final from then on. It runs in neither case.
  EXPECT_THAT(other.status, AnyOf(1, 6)) << other.output;
  EXPECT_THAT(other.output, AnyOf(HasSubstr("in use with other content"), HasSubstr("reused_id")));
  EXPECT_EQ(ctl({"txn", "get", id}).status, 0);
  expect_unharmed();
}

TEST_F(BadRequest, ids_too_old_and_too_far_in_the_future_are_refused) {
  const auto now = client::new_txn_id().created();
  for (const std::uint64_t time : {now.value - 3'600'000, now.value + 3'600'000}) {
    const std::string id = TxnId::make(ClusterMillis(time), 1, 2).to_hex();
    for (const bool cross : {false, true}) {
      std::vector<std::string> command{"txn", "exec", "--id", id, "--on", "s1", "UPDATE accounts SET balance = 7"};
      if (cross) command.insert(command.end(), {"--on", "s2", "UPDATE accounts SET balance = 7"});
      const auto result = ctl(command);
      // An error, not "aborted": a call with this id may have committed an hour ago.
      EXPECT_EQ(result.status, 1) << result.output;
      EXPECT_THAT(result.output, AnyOf(HasSubstr("older than the retention"), HasSubstr("clock skew")));
    }
  }
  expect_unharmed();
}

TEST_F(BadRequest, a_statement_over_the_size_limit_is_refused) {
  client::Client client = cluster->connect();
  client::Transaction large;
  large.on("s1", client::sql("UPDATE accounts SET id = ?1", std::string(300 << 10U, 'x')));
  const auto one = client.execute(large);
  ASSERT_TRUE(one.has_value()) << one.error().text();
  EXPECT_EQ(one->abort.reason, AbortReason::too_large);
  large.on("s2", client::sql("UPDATE accounts SET balance = 1"));
  const auto two = client.execute(large);
  ASSERT_TRUE(two.has_value()) << two.error().text();
  EXPECT_EQ(two->abort.reason, AbortReason::too_large);
  expect_unharmed();
}

TEST_F(BadRequest, a_message_over_the_limit_of_the_api_is_refused) {
  client::Client client = cluster->connect();
  client::Transaction huge;
  huge.on("s1", client::sql("UPDATE accounts SET id = ?1", std::string(8U << 20U, 'x')));
  const auto outcome = client.execute(huge, 5s);
  EXPECT_TRUE(!outcome || !outcome->committed());
  expect_unharmed();
}

TEST_F(BadRequest, a_follower_asked_to_lead_names_the_leader) {
  const std::string leader = cluster->leader_of("s1");
  for (const std::string_view node : Cluster::nodes) {
    if (node == leader) continue;
    const auto channel = grpc::CreateChannel(cluster->client_address(node), grpc::InsecureChannelCredentials());
    const auto stub = v1::Shard::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 5s);
    v1::QueryRequest request;
    request.set_shard("s1");
    request.add_operations()->mutable_sql()->set_text("SELECT 1");
    v1::QueryResponse response;
    const grpc::Status status = stub->Query(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(status.error_details(), AllOf(HasSubstr("NOT_LEADER"), HasSubstr(cluster->client_address(leader))));
  }
}

void send_garbage(const std::string& address, Rng& rng) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  // Every other one speaks HTTP/2's preface first, so that the bytes get further.
  std::string bytes = rng.chance(0.5) ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
  for (std::uint64_t i = rng.below(4096); i > 0; --i) bytes.push_back(static_cast<char>(rng.next()));
  static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  ::close(fd);
}

TEST_F(BadRequest, arbitrary_bytes_on_either_port_harm_nobody) {
  Rng rng(5);
  for (int round = 0; round < 100; ++round) {
    for (const std::string_view node : Cluster::nodes) {
      send_garbage(cluster->client_address(node), rng);
      send_garbage(cluster->peer_address(node), rng);
    }
  }
  for (const std::string_view node : Cluster::nodes) EXPECT_TRUE(cluster->process(node).running()) << node;
  expect_unharmed();
}

// ---- a full disk ----

// A small file system of its own; needs root.
class SmallDisk {
 public:
  SmallDisk(const std::filesystem::path& path, std::string_view size) : path_(path) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, fmt::format("size={}", size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  std::filesystem::path path_;
  bool mounted_ = false;
};

TEST(FullDisk, the_node_stops_cleanly_and_says_so_and_the_rest_goes_on) {
  const TestFolder folder("full-disk");
  const SmallDisk disk(folder.path() / "small", "300m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root";
  ClusterOptions options;
  options.data_dirs["n2"] = folder.path() / "small" / "data";
  Cluster cluster("full", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(50));
  {
    std::ofstream ballast(folder.path() / "small" / "ballast", std::ios::binary);
    const std::string block(1U << 20U, 'x');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  const auto status = cluster.process("n2").wait(120s);
  ASSERT_TRUE(status.has_value()) << "the node goes on with a full disk";
  EXPECT_EQ(*status, 1);
  EXPECT_THAT(cluster.log_of("n2"), AnyOf(HasSubstr("No space left on device"), HasSubstr("disk is full")));
  ASSERT_TRUE(bank.wait_for_commits(100)) << "two of three nodes must go on";
  std::filesystem::remove(folder.path() / "small" / "ballast");
  cluster.start("n2");
  ASSERT_TRUE(cluster.wait_for_leaders());
  bank.stop_load();
  bank.judge();
}

}  // namespace
}  // namespace assent::testing
