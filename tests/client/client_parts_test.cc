// The client's small parts: ids, pauses, endpoints, what a failed call means.
#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "client/backoff.h"
#include "client/cluster.h"
#include "client/options.h"
#include "client/service_error.h"
#include "client/transaction.h"
#include "txn_proto/api_error.h"

namespace assent::client {
namespace {

using std::chrono::microseconds;

TEST(NewTxnId, IsAUuidOfVersionSevenOfNowAndNeverTwice) {
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  std::set<TxnId> ids;
  std::vector<std::thread> threads;
  std::mutex mutex;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<TxnId> own;
      for (int i = 0; i < 1'000; ++i) own.push_back(new_txn_id());
      const std::lock_guard lock(mutex);
      ids.insert(own.begin(), own.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 4'000U);
  for (const TxnId& id : ids) {
    EXPECT_EQ(id.bytes[6] >> 4U, 7);
    EXPECT_EQ(id.bytes[8] >> 6U, 2);
    EXPECT_GE(id.created().value, static_cast<std::uint64_t>(now.count()));
  }
}

TEST(Backoff, GrowsToItsMaximumWithJitterAndIsTheSameForOneSeed) {
  const BackoffPolicy policy{microseconds(1'000), microseconds(8'000), 2.0};
  Backoff backoff(policy, 1);
  Backoff twin(policy, 1);
  Backoff other(policy, 2);
  bool differs = false;
  for (const int full : {1'000, 2'000, 4'000, 8'000, 8'000, 8'000}) {
    const microseconds pause = backoff.next();
    EXPECT_GE(pause.count(), full / 2);
    EXPECT_LE(pause.count(), full);
    EXPECT_EQ(twin.next(), pause);
    differs = differs || other.next() != pause;
  }
  EXPECT_TRUE(differs);
  backoff.reset();
  EXPECT_LE(backoff.next().count(), 1'000);
}

TEST(ParseEndpoints, TakesListsAndNamesThePartThatIsWrong) {
  EXPECT_EQ(*parse_endpoints(" a:1, b.c:65535 ,[::1]:7,a:1,"),
            (std::vector<std::string>{"a:1", "b.c:65535", "[::1]:7"}));
  const auto bad = parse_endpoints("a:1,b");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, ::testing::HasSubstr("'b'"));
  EXPECT_FALSE(parse_endpoints(""));
  EXPECT_FALSE(parse_endpoints("a:0"));
}

TEST(TransactionOn, CollectsTheWorkOfAShardInOneBranch) {
  Transaction transaction;
  transaction.on("s1", KvGet{"a"}).on("s2", KvGet{"b"}).on("s1", KvGet{"c"});
  ASSERT_EQ(transaction.branches.size(), 2U);
  EXPECT_EQ(transaction.branches[0].work, (Work{KvGet{"a"}, KvGet{"c"}}));
}

TEST(Sql, MakesValuesOfWhatItIsGiven) {
  const SqlStatement statement = sql("x", 1, 2U, 1.5, "text", std::string("more"), nullptr, SqlBlob{"b"}, true);
  const std::vector<SqlValue> expected{std::int64_t{1},     std::int64_t{2}, 1.5,          std::string("text"),
                                       std::string("more"), SqlNull{},       SqlBlob{"b"}, std::int64_t{1}};
  EXPECT_EQ(statement.parameters, expected);
}

struct JudgeCase {
  assent::ErrorCode code;
  Verdict verdict;
};

TEST(Judge, TellsWhatMayHaveBeenDoneFromWhatWasNot) {
  using assent::ErrorCode;
  for (const JudgeCase& c :
       {JudgeCase{ErrorCode::not_leader, Verdict::elsewhere}, JudgeCase{ErrorCode::busy, Verdict::busy},
        JudgeCase{ErrorCode::cancelled, Verdict::busy}, JudgeCase{ErrorCode::unknown_outcome, Verdict::lost},
        JudgeCase{ErrorCode::io, Verdict::lost}, JudgeCase{ErrorCode::malformed, Verdict::invalid},
        JudgeCase{ErrorCode::not_found, Verdict::not_found}, JudgeCase{ErrorCode::too_old, Verdict::refused}}) {
    EXPECT_EQ(judge(to_status(ApiError{c.code, {}, "m", {}, 0})).verdict, c.verdict) << assent::to_string(c.code);
  }
  EXPECT_EQ(judge(grpc::Status::OK).verdict, Verdict::answered);
}

TEST(Judge, AConnectionsOwnErrorsAreLostUnlessNothingLeft) {
  using grpc::StatusCode;
  for (const StatusCode code : {StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED, StatusCode::CANCELLED,
                                StatusCode::INTERNAL, StatusCode::UNKNOWN}) {
    EXPECT_EQ(judge(grpc::Status(code, "x")).verdict, Verdict::lost);
  }
  EXPECT_EQ(
      judge(grpc::Status(StatusCode::UNAVAILABLE, "failed to connect to all addresses; last error: refused")).verdict,
      Verdict::unsent);
  EXPECT_EQ(judge(grpc::Status(StatusCode::UNIMPLEMENTED, "x")).verdict, Verdict::refused);
  EXPECT_EQ(judge(grpc::Status(StatusCode::RESOURCE_EXHAUSTED, "message larger than max")).verdict, Verdict::invalid);
}

TEST(Judge, GarbageInTheDetailsIsAConnectionsError) {
  EXPECT_EQ(judge(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x", std::string("\xff\x00\x08 garbage", 11))).verdict,
            Verdict::lost);
}

TEST(Judge, CarriesTheHint) {
  const ApiError error{assent::ErrorCode::not_leader,
                       {},
                       "m",
                       {{metadata_group, "s1"}, {metadata_leader, "n2"}, {metadata_endpoint, "h:1"}},
                       0};
  const ServiceError judged = judge(to_status(error));
  EXPECT_EQ(judged.hint.group, "s1");
  EXPECT_EQ(judged.hint.leader, "n2");
  EXPECT_EQ(judged.hint.endpoint, "h:1");
}

TEST(MergeStatus, ANodeAskedUnderTwoAddressesCountsOnceAndTheHighestEpochLeads) {
  const auto answer = [](const std::string& endpoint, const std::string& name, std::uint64_t epoch) {
    NodeStatus status;
    status.node = name;
    ReplicaStatus replica;
    replica.group = "s1";
    replica.role = "shard";
    replica.members = {"n1", "n2"};
    replica.leads = true;
    replica.leader = name;
    replica.epoch = epoch;
    status.replicas = {replica};
    if (epoch == 4) status.damaged_files = {"shards/s1.db: page 7 is damaged"};
    return NodeAnswer{endpoint, name, status, {}};
  };
  const ClusterStatus cluster = merge({{"dead:1", "n2", std::nullopt, "refused"},
                                       answer("a:1", "n1", 3),
                                       answer("b:1", "n1", 3),
                                       answer("c:1", "n2", 4)});
  ASSERT_EQ(cluster.nodes.size(), 2U);
  EXPECT_TRUE(cluster.nodes[0].damaged_files.empty());
  EXPECT_EQ(cluster.nodes[1].damaged_files.size(), 1U);
  ASSERT_EQ(cluster.groups.size(), 1U);
  EXPECT_EQ(cluster.groups[0].leader, "n2");
  EXPECT_EQ(cluster.groups[0].epoch, 4U);
  EXPECT_EQ(cluster.groups[0].replicas.size(), 2U);
}

}  // namespace
}  // namespace assent::client
