#include "txn_proto/api_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"

namespace assent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const TxnId txn_a = TxnId::make(ClusterMillis(1'700'000'000'000), 1, 2);
const TxnId txn_b = TxnId::make(ClusterMillis(1'700'000'000'000), 3, 4);

GroupDirectory directory() {
  GroupDirectory groups;
  EXPECT_TRUE(groups.add("c0", GroupKind::coordinator));
  EXPECT_TRUE(groups.add("s1", GroupKind::shard));
  EXPECT_TRUE(groups.add("s2", GroupKind::shard));
  EXPECT_TRUE(groups.add("shard-with-a-long-name", GroupKind::shard));
  return groups;
}

std::string bytes_of(Rng& rng) {
  std::string bytes;
  for (std::uint64_t i = rng.below(6); i > 0; --i) bytes += static_cast<char>(rng.below(256));
  return bytes;
}
std::string text_of(Rng& rng) { return "text " + std::to_string(rng.below(1000)) + (rng.chance(0.3) ? "äö" : ""); }

SqlValue value_of(Rng& rng) {
  switch (rng.below(5)) {
    case 0: return SqlNull{};
    case 1: return static_cast<std::int64_t>(rng.next());
    case 2: return rng.unit() * 1e300;
    case 3: return text_of(rng);
    default: return SqlBlob{bytes_of(rng)};
  }
}

Operation operation_of(Rng& rng) {
  switch (rng.below(6)) {
    case 0: {
      SqlStatement statement{.text = "SELECT " + text_of(rng), .parameters = {}};
      for (std::uint64_t i = rng.below(4); i > 0; --i) statement.parameters.push_back(value_of(rng));
      return statement;
    }
    case 1: return KvGet{text_of(rng)};
    case 2: return KvPut{text_of(rng), bytes_of(rng)};
    case 3: return KvErase{text_of(rng)};
    case 4: return KvExpect{text_of(rng), rng.chance(0.5) ? std::optional<Bytes>(bytes_of(rng)) : std::nullopt};
    default: {
      KvAdd add{.key = text_of(rng), .delta = static_cast<std::int64_t>(rng.next()), .floor = {}, .ceiling = {}};
      if (rng.chance(0.5)) add.floor = -5;
      if (rng.chance(0.5)) add.ceiling = std::numeric_limits<std::int64_t>::max();
      return add;
    }
  }
}

Work work_of(Rng& rng) {
  Work work;
  for (std::uint64_t i = rng.between(1, 4); i > 0; --i) work.push_back(operation_of(rng));
  return work;
}

OperationResult result_of(Rng& rng) {
  OperationResult result{.columns = {}, .rows = {}, .rows_affected = rng.below(100)};
  for (std::uint64_t i = rng.below(3); i > 0; --i) result.columns.push_back(text_of(rng));
  for (std::uint64_t i = rng.below(3); i > 0; --i) result.rows.push_back({value_of(rng), value_of(rng)});
  return result;
}

Execute execute_of(Rng& rng) {
  Execute execute{.txn = txn_a,
                  .age = rng.chance(0.5) ? txn_b : TxnId{},
                  .protocol = Protocol::automatic,
                  .branches = {},
                  .timeout_ticks = rng.below(1000)};
  execute.branches.push_back({.shard = group_id("s1"), .work = work_of(rng)});
  if (rng.chance(0.5)) execute.branches.push_back({.shard = group_id("s2"), .work = work_of(rng)});
  if (rng.chance(0.5)) execute.branches.push_back({.shard = group_id("shard-with-a-long-name"), .work = work_of(rng)});
  if (execute.branches.size() == 1) execute.protocol = Protocol::one_phase;
  return execute;
}

// Through the wire, as gRPC would.
template <class Message>
Message sent(const Message& message) {
  Message received;
  EXPECT_TRUE(received.ParseFromString(message.SerializeAsString()));
  return received;
}

TEST(ApiCodec, RequestsComeBackAsTheyWere) {
  const GroupDirectory groups = directory();
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const Execute execute = execute_of(rng);
    const auto back = from_api(sent(to_api(execute, groups)), groups);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, execute) << "seed " << seed;
  }
  const GetOutcome ask{.txn = txn_a, .seal = true, .wait_ticks = 7};
  const auto asked = from_api(sent(to_api(ask, "s2")), groups);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->body, ask);
  EXPECT_EQ(asked->group, group_id("s2"));
  const Query query{{SqlStatement{"SELECT 1", {}}, KvGet{"k"}}};
  const auto queried = from_api(sent(to_api(query, "s1")), groups);
  ASSERT_TRUE(queried);
  EXPECT_EQ(queried->body, query);
  Query rehearsal{{KvPut{"k", "v"}, KvGet{"k", 7}, SqlStatement{"SELECT 1", {}, 9}, KvAdd{"n", 1, 0, {}, true}}};
  EXPECT_FALSE(from_api(sent(to_api(rehearsal, "s1")), groups)) << "a query does not write";
  rehearsal.rehearse = true;
  EXPECT_EQ(from_api(sent(to_api(rehearsal, "s1")), groups)->body, rehearsal);
  rehearsal.unchanged_since = Index(5);
  EXPECT_EQ(from_api(sent(to_api(rehearsal, "s1")), groups)->body, rehearsal);
  Query validation{{KvGet{"k"}}};
  validation.unchanged_since = Index(0);
  EXPECT_EQ(from_api(sent(to_api(validation, "s1")), groups)->body, validation);
  Query stale{{KvGet{"k"}}};
  stale.max_staleness_micros = 5'000'000;
  EXPECT_EQ(from_api(sent(to_api(stale, "s1")), groups)->body, stale);
  QueryAnswer aged;
  aged.age_micros_max = 1'500;
  EXPECT_EQ(from_api(to_api(aged))->age_micros_max, 2'000U) << "never told younger than it is";
}

TEST(ApiCodec, AnswersComeBackAsTheyWere) {
  const GroupDirectory groups = directory();
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    TxnAnswer answer;
    answer.txn = txn_a;
    answer.state = static_cast<TxnState>(rng.below(6));
    answer.protocol = static_cast<Protocol>(rng.below(5));
    if (answer.state == TxnState::aborted) {
      answer.refusal = {.reason = static_cast<AbortReason>(rng.between(1, 10)),
                        .participant = rng.chance(0.5) ? group_id("shard-with-a-long-name") : GroupId(),
                        .message = text_of(rng),
                        .constraint = text_of(rng),
                        .holder = rng.chance(0.5) ? txn_b : TxnId{}};
    }
    answer.results.push_back({.shard = group_id("s1"), .result = {result_of(rng), result_of(rng)}});
    answer.participants = {group_id("s1"), group_id("s2")};
    answer.decided_at = ClusterMillis(rng.below(1ULL << 50U));
    answer.bill = {.answered = {rng.below(3), rng.below(9), rng.below(5), rng.next()},
                   .freed = {rng.below(3), rng.below(9), 0, 0},
                   .locked_millis = rng.below(1'000)};
    const api::Transaction message = sent(to_api(answer, groups, "c0"));
    EXPECT_EQ(message.answered_by(), "c0");
    const auto back = from_api(message);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, answer) << "seed " << seed;
    const QueryAnswer query{
        .result = {result_of(rng)}, .at = Index(rng.next()), .digests = {1, rng.next()}, .changed = true};
    const auto query_back = from_api(sent(to_api(query)));
    ASSERT_TRUE(query_back);
    EXPECT_EQ(*query_back, query);
  }
}

TEST(ApiCodec, TextThatIsNoTextTravelsAsABlob) {
  const auto back = from_api(sent(to_api(SqlValue(std::string("\xff\xfe")))));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, SqlValue(SqlBlob{"\xff\xfe"}));
  const Refusal refusal{
      .reason = AbortReason::constraint, .participant = {}, .message = "row \xff", .constraint = {}, .holder = {}};
  EXPECT_EQ(from_api(sent(to_api(refusal, directory()))).message, "row ?");
}

TEST(ApiCodec, SortsBranchesByShard) {
  const GroupDirectory groups = directory();
  api::ExecuteRequest request;
  request.set_txn_id(txn_a.to_hex());
  for (const char* shard : {"s2", "s1"}) {
    api::Branch* branch = request.add_branches();
    branch->set_shard(shard);
    branch->add_operations()->mutable_get()->set_key(shard);
  }
  const auto execute = from_api(request, groups);
  ASSERT_TRUE(execute);
  EXPECT_EQ(execute->branches[0].shard, group_id("s1"));
  EXPECT_EQ(execute->branches[0].work, Work{KvGet{"s1"}});
}

TEST(ApiCodec, RoundsTimeoutsUpToTicks) {
  EXPECT_EQ(ticks_of_millis(0), 0U);
  EXPECT_EQ(ticks_of_millis(1), 1U);
  EXPECT_EQ(ticks_of_millis(10), 1U);
  EXPECT_EQ(ticks_of_millis(11), 2U);
}

TEST(ApiCodec, AnIdFindsItsCoordinatorGroup) {
  const GroupDirectory groups = directory();
  api::GetOutcomeRequest request;
  request.set_txn_id(txn_a.to_hex());
  EXPECT_EQ(from_api(request, groups)->group, group_id("c0"));
  GroupDirectory shards;
  ASSERT_TRUE(shards.add("s1", GroupKind::shard));
  EXPECT_THAT(from_api(request, shards).error().message, StartsWith("group: this cluster has no coordinator group"));
}

// ---- bad fields ----

struct BadExecute {
  const char* name;
  void (*spoil)(api::ExecuteRequest&);
  const char* message;
  ErrorCode code = ErrorCode::malformed;
};

api::ExecuteRequest good_request() {
  api::ExecuteRequest request;
  request.set_txn_id(txn_a.to_hex());
  for (const char* shard : {"s1", "s2"}) {
    api::Branch* branch = request.add_branches();
    branch->set_shard(shard);
    branch->add_operations()->mutable_sql()->set_text("SELECT 1");
    branch->add_operations()->mutable_add()->set_key("k");
  }
  return request;
}

class BadExecutes : public ::testing::TestWithParam<BadExecute> {};

TEST_P(BadExecutes, NameTheField) {
  const GroupDirectory groups = directory();
  api::ExecuteRequest request = good_request();
  ASSERT_TRUE(from_api(request, groups));
  GetParam().spoil(request);
  const auto execute = from_api(request, groups);
  ASSERT_FALSE(execute);
  EXPECT_EQ(execute.error().code, GetParam().code);
  EXPECT_THAT(execute.error().message, StartsWith(GetParam().message));
}

using Request = api::ExecuteRequest;

INSTANTIATE_TEST_SUITE_P(
    Table, BadExecutes,
    ::testing::Values(
        BadExecute{"no_id", [](Request& r) { r.clear_txn_id(); }, "txn_id: is missing"},
        BadExecute{"short_id", [](Request& r) { r.set_txn_id("abc"); }, "txn_id: \"abc\" is not a transaction id"},
        BadExecute{"dashes", [](Request& r) { r.set_txn_id("01890000-0000-7000-8000-000000000000"); },
                   "txn_id: \"01890000"},
        BadExecute{"zero_id", [](Request& r) { r.set_txn_id(std::string(32, '0')); }, "txn_id: is all zeros"},
        BadExecute{"first_id", [](Request& r) { r.set_first_txn_id("x"); }, "first_txn_id: \"x\""},
        BadExecute{"protocol", [](Request& r) { r.set_protocol(static_cast<api::Protocol>(9)); },
                   "protocol: 9 is not a protocol"},
        BadExecute{"one_phase_two_shards", [](Request& r) { r.set_protocol(api::ONE_PHASE); },
                   "protocol: one-phase takes one shard, but 2 are named"},
        BadExecute{"three_phase_one_shard",
                   [](Request& r) {
                     r.set_protocol(api::THREE_PHASE);
                     r.mutable_branches()->RemoveLast();
                   },
                   "protocol: three-phase takes two shards or more, but 1 is named"},
        BadExecute{"no_branch", [](Request& r) { r.clear_branches(); }, "branches: is empty"},
        BadExecute{"no_shard", [](Request& r) { r.mutable_branches(1)->clear_shard(); },
                   "branches[1].shard: is missing"},
        BadExecute{"unknown_shard", [](Request& r) { r.mutable_branches(1)->set_shard("s9"); },
                   "branches[1].shard: there is no shard \"s9\"; there are s1, s2", ErrorCode::not_found},
        BadExecute{"coordinator_as_shard", [](Request& r) { r.mutable_branches(0)->set_shard("c0"); },
                   "branches[0].shard: c0 is a coordinator group"},
        BadExecute{"shard_twice", [](Request& r) { r.mutable_branches(1)->set_shard("s1"); },
                   "branches[1].shard: s1 has a branch already"},
        BadExecute{"no_operations", [](Request& r) { r.mutable_branches(1)->clear_operations(); },
                   "branches[1].operations: is empty"},
        BadExecute{"no_kind", [](Request& r) { r.mutable_branches(1)->mutable_operations(0)->Clear(); },
                   "branches[1].operations[0]: has no kind"},
        BadExecute{"empty_sql",
                   [](Request& r) { r.mutable_branches(1)->mutable_operations(0)->mutable_sql()->clear_text(); },
                   "branches[1].operations[0].sql.text: is empty"},
        BadExecute{"nul_in_sql",
                   [](Request& r) {
                     r.mutable_branches(0)->mutable_operations(0)->mutable_sql()->set_text(std::string("a\0b", 3));
                   },
                   "branches[0].operations[0].sql.text: contains a NUL"},
        BadExecute{"parameter_without_kind",
                   [](Request& r) { r.mutable_branches(0)->mutable_operations(0)->mutable_sql()->add_parameters(); },
                   "branches[0].operations[0].sql.parameters[0]: has no kind"},
        BadExecute{"nan",
                   [](Request& r) {
                     r.mutable_branches(0)->mutable_operations(0)->mutable_sql()->add_parameters()->set_real(
                         std::numeric_limits<double>::quiet_NaN());
                   },
                   "branches[0].operations[0].sql.parameters[0]: is not a number"},
        BadExecute{"empty_add_key",
                   [](Request& r) { r.mutable_branches(1)->mutable_operations(1)->mutable_add()->clear_key(); },
                   "branches[1].operations[1].add.key: is empty"},
        BadExecute{"empty_get_key", [](Request& r) { r.mutable_branches(1)->mutable_operations(1)->mutable_get(); },
                   "branches[1].operations[1].get.key: is empty"},
        BadExecute{"empty_put_key", [](Request& r) { r.mutable_branches(1)->mutable_operations(1)->mutable_put(); },
                   "branches[1].operations[1].put.key: is empty"},
        BadExecute{"empty_erase_key", [](Request& r) { r.mutable_branches(1)->mutable_operations(1)->mutable_erase(); },
                   "branches[1].operations[1].erase.key: is empty"},
        BadExecute{"empty_expect_key",
                   [](Request& r) { r.mutable_branches(1)->mutable_operations(1)->mutable_expect(); },
                   "branches[1].operations[1].expect.key: is empty"},
        BadExecute{"floor_above_ceiling",
                   [](Request& r) {
                     auto* add = r.mutable_branches(1)->mutable_operations(1)->mutable_add();
                     add->set_floor(2);
                     add->set_ceiling(1);
                   },
                   "branches[1].operations[1].add.floor: 2 is above the ceiling 1"},
        BadExecute{"timeout", [](Request& r) { r.set_timeout_millis(3'600'001); },
                   "timeout_millis: 3600001 is above the maximum"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ApiCodec, RefusesBadQuestions) {
  const GroupDirectory groups = directory();
  api::GetOutcomeRequest ask;
  EXPECT_THAT(from_api(ask, groups).error().message, StartsWith("txn_id: is missing"));
  ask.set_txn_id(txn_a.to_hex());
  ask.set_group("s9");
  EXPECT_THAT(from_api(ask, groups).error().message,
              StartsWith("group: there is no group \"s9\"; there are c0, s1, s2"));
  ask.clear_group();
  ask.set_wait_millis(4'000'000'000U);
  EXPECT_THAT(from_api(ask, groups).error().message, StartsWith("wait_millis: 4000000000 is above"));
  api::QueryRequest query;
  EXPECT_THAT(from_api(query, groups).error().message, StartsWith("shard: is missing"));
  query.set_shard("s1");
  EXPECT_THAT(from_api(query, groups).error().message, StartsWith("operations: is empty"));
  query.add_operations()->mutable_get()->set_key("k");
  query.add_operations()->mutable_put()->set_key("k");
  EXPECT_THAT(from_api(query, groups).error().message, StartsWith("operations[1]: writes"));
  query.mutable_operations()->RemoveLast();
  query.set_max_staleness_millis(0);
  EXPECT_THAT(from_api(query, groups).error().message, StartsWith("max_staleness_millis: is 0, not 1 to 86400000"));
  query.set_max_staleness_millis(86'400'001);
  EXPECT_THAT(from_api(query, groups).error().message, StartsWith("max_staleness_millis: is 86400001"));
  query.set_max_staleness_millis(1);
  query.set_rehearse(true);
  EXPECT_THAT(from_api(query, groups).error().message, StartsWith("max_staleness_millis: a rehearsal"));
}

TEST(ApiCodec, RefusesBadAnswers) {
  api::Transaction transaction;
  EXPECT_FALSE(from_api(transaction));
  transaction.set_txn_id(txn_a.to_hex());
  EXPECT_TRUE(from_api(transaction));
  transaction.set_state(static_cast<api::TxnState>(99));
  EXPECT_THAT(from_api(transaction).error().message, StartsWith("state: 99"));
  transaction.set_state(api::COMMITTED);
  transaction.set_decided_at_millis(-1);
  EXPECT_THAT(from_api(transaction).error().message, StartsWith("decided_at_millis"));
  transaction.set_decided_at_millis(1);
  transaction.add_results()->add_results()->add_rows()->add_values();
  EXPECT_THAT(from_api(transaction).error().message,
              StartsWith("results[0].results[0].rows[0].values[0]: has no kind"));
}

TEST(ApiCodec, TakesAnyMessageThatParses) {
  google::protobuf::SetLogHandler(nullptr);  // it has words for each message that is no UTF-8
  const GroupDirectory groups = directory();
  const std::string good = good_request().SerializeAsString();
  Rng rng(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (std::uint64_t edits = rng.between(1, 4); edits > 0; --edits)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    api::ExecuteRequest request;
    if (request.ParseFromString(bytes)) static_cast<void>(from_api(request, groups));
    api::Transaction transaction;
    if (transaction.ParseFromString(bytes)) static_cast<void>(from_api(transaction));
  }
}

}  // namespace
}  // namespace assent
