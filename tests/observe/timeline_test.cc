// The tree of one transaction, put together from the records of several nodes; and its OpenTelemetry form.
#include "observe/timeline.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "observe/otlp.h"
#include "tests/observe/golden_span.h"
#include "tests/observe/named_bank.h"

namespace assent {
namespace {

using ::testing::HasSubstr;

class Timelines : public NamedBank, public testing::WithParamInterface<Protocol> {
 protected:
  std::int64_t now() const { return static_cast<std::int64_t>(clock_.micros); }

  v1::TxnTrace commit_apart() {
    cluster_.make_lead(c0, NodeId(1));
    cluster_.make_lead(s1, NodeId(2));
    cluster_.make_lead(s2, NodeId(3));
    EXPECT_EQ(run(s1, deposit(100)), TxnState::committed);
    const Execute execute = transfer(30, GetParam());
    EXPECT_EQ(run(c0, execute), TxnState::committed);
    records_ = records_of(execute.txn);
    return make_trace(records_, now());
  }

  std::vector<v1::TxnRecord> records_;
};

std::vector<std::string> names_under(const v1::TxnTrace& trace, const std::string& parent) {
  std::vector<std::string> names;
  for (const v1::TxnSpan& span : trace.spans()) {
    if (span.parent_id() == parent) names.push_back(span.name() + " " + span.group());
  }
  return names;
}
const v1::TxnSpan* span_named(const v1::TxnTrace& trace, const std::string& name, const std::string& group = "c0") {
  for (const v1::TxnSpan& span : trace.spans()) {
    if (span.name() == name && span.group() == group) return &span;
  }
  return nullptr;
}

TEST_P(Timelines, ThreeNodesRecordsMakeOneTree) {
  const v1::TxnTrace trace = commit_apart();
  EXPECT_EQ(records_.size(), 3U) << "each group was led by another node";
  EXPECT_EQ(trace.summary().state(), "COMMITTED");
  EXPECT_EQ(trace.summary().node(), "n1");
  const v1::TxnSpan* prepare = span_named(trace, "assent.prepare");
  ASSERT_NE(prepare, nullptr);
  EXPECT_EQ(names_under(trace, prepare->span_id()),
            (std::vector<std::string>{"assent.v1.Participant/Prepare s1", "assent.v1.Participant/Prepare s2"}));
  for (const std::string shard : {"s1", "s2"}) {
    const v1::TxnSpan* call = span_named(trace, "assent.v1.Participant/Prepare", shard);
    ASSERT_NE(call, nullptr);
    EXPECT_EQ(call->verdict(), "yes");
    EXPECT_EQ(names_under(trace, call->span_id()), (std::vector<std::string>{"raft.propose " + shard}));
  }
  const v1::TxnSpan* commit = span_named(trace, "assent.commit");
  ASSERT_NE(commit, nullptr);
  EXPECT_EQ(names_under(trace, commit->span_id()).size(), 2U);
  EXPECT_EQ(span_named(trace, "assent.decide") != nullptr, GetParam() == Protocol::two_phase);
  EXPECT_EQ(span_named(trace, "assent.precommit") != nullptr, GetParam() == Protocol::three_phase);
}

TEST_P(Timelines, TheCommitPointLiesBeforeTheAnswer) {
  const v1::TxnTrace trace = commit_apart();
  ASSERT_TRUE(trace.has_commit_point_micros() && trace.has_answered_micros());
  EXPECT_GT(trace.commit_point_micros(), 0);
  EXPECT_LE(trace.commit_point_micros(), trace.answered_micros());
  EXPECT_EQ(trace.answered_micros(), static_cast<std::int64_t>(trace.total_micros()));
}

TEST_P(Timelines, EverySpanHasItsParentAndOneIdOfItsOwn) {
  const v1::TxnTrace trace = commit_apart();
  std::set<std::string> ids;
  for (const v1::TxnSpan& span : trace.spans()) {
    EXPECT_EQ(span.span_id().size(), 16U);
    EXPECT_TRUE(ids.insert(span.span_id()).second) << span.name() << " " << span.group();
    EXPECT_TRUE(span.parent_id().empty() || ids.contains(span.parent_id())) << "parents stand before their children";
    EXPECT_FALSE(span.open()) << span.name() << " " << span.group();
    EXPECT_FALSE(span.outside_parent()) << span.name() << " " << span.group();
  }
}

TEST_P(Timelines, SomethingWasWaitedForLongestAndTheSentenceNamesIt) {
  const v1::TxnTrace trace = commit_apart();
  EXPECT_FALSE(trace.delayed_by().empty());
  EXPECT_THAT(trace.why(), HasSubstr(trace.delayed_by()));
  const v1::TxnSpan* prepare = span_named(trace, "assent.prepare");
  EXPECT_TRUE(prepare->critical());
  int critical_votes = 0;
  for (const v1::TxnSpan& span : trace.spans()) {
    critical_votes += span.name() == "assent.v1.Participant/Prepare" && span.critical() ? 1 : 0;
    EXPECT_FALSE(span.name() == "assent.commit" && span.critical());
  }
  EXPECT_EQ(critical_votes, 1);
}

TEST_P(Timelines, WithoutTheCoordinatorsRecordTheShardsAreShown) {
  static_cast<void>(commit_apart());
  std::erase_if(records_, [](const v1::TxnRecord& record) { return record.summary().node() == "n1"; });
  const v1::TxnTrace trace = make_trace(records_, now());
  EXPECT_NE(span_named(trace, "assent.v1.Participant/Prepare", "s1"), nullptr);
  EXPECT_NE(span_named(trace, "assent.v1.Participant/Prepare", "s2"), nullptr);
  EXPECT_EQ(trace.phases_size(), 0);
  EXPECT_EQ(trace.summary().outcome(), "committed");
}

INSTANTIATE_TEST_SUITE_P(All, Timelines,
                         testing::Values(Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit),
                         protocol_name);

// ---- what a transaction waits for ----

v1::TxnRecord waiting_record() {
  v1::TxnRecord record;
  v1::TxnSummary& summary = *record.mutable_summary();
  summary.set_txn_id("0193a6b25e1c7c3fa1d0c9be6f2277a4");
  summary.set_protocol("two-phase");
  summary.set_coordinator("c0");
  summary.set_node("n1");
  summary.set_started_unix_micros(1'000'000);
  for (const char* shard : {"s1", "s2"}) {
    summary.add_participants(shard);
    v1::TxnStep& sent = *record.add_steps();
    sent.set_step("prepare_sent");
    sent.set_group("c0");
    sent.set_peer(shard);
    sent.set_unix_micros(1'000'100);
  }
  v1::TxnPhase& phase = *record.add_phases();
  phase.set_phase("prepare");
  phase.set_start_unix_micros(1'000'000);
  phase.set_open(true);
  return record;
}

TEST(Waiting, TheSilentShardIsNamed) {
  v1::TxnRecord record = waiting_record();
  v1::TxnStep& vote = *record.add_steps();
  vote.set_step("vote_heard");
  vote.set_group("c0");
  vote.set_peer("s1");
  vote.set_yes(true);
  vote.set_unix_micros(1'000'200);
  const v1::TxnTrace trace = make_trace({record}, 1'500'100);
  EXPECT_EQ(trace.why(), "s2 was asked 500.0 ms ago and has not voted");
  EXPECT_TRUE(trace.spans(0).open());
}

TEST(Clocks, ABarOutsideItsParentSaysSoAndIsNotMoved) {
  v1::TxnRecord coordinator = waiting_record();
  v1::TxnStep& vote = *coordinator.add_steps();
  vote.set_step("vote_heard");
  vote.set_group("c0");
  vote.set_peer("s1");
  vote.set_unix_micros(1'000'500);
  v1::TxnRecord shard;
  shard.mutable_summary()->set_node("n2");
  for (const auto& [step, at] : {std::pair{"vote_proposed", 999'000}, std::pair{"vote_applied", 999'300}}) {
    v1::TxnStep& one = *shard.add_steps();
    one.set_step(step);
    one.set_group("s1");
    one.set_unix_micros(at);
    one.set_index(at == 999'300 ? 7 : 0);
  }
  const v1::TxnTrace trace = make_trace({coordinator, shard}, 1'500'000);
  const v1::TxnSpan* raft = span_named(trace, "raft.propose", "s1");
  ASSERT_NE(raft, nullptr);
  EXPECT_TRUE(raft->outside_parent());
  EXPECT_EQ(raft->start_micros(), -1'000);
}

// ---- OpenTelemetry ----

TEST(Otlp, WritesTheGoldenSpanByteForByte) {
  EXPECT_EQ(
      otlp_json({test::batch_of(test::golden_span())}),
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"assentd"}}]},"scopeSpans":[{"scope":{"name":"assent","version":"0.1.0"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173","name":"assent.prepare","kind":3,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","attributes":[{"key":"assent.participants","value":{"intValue":"2"}}],"status":{"code":2,"message":"vote no"},"flags":257}]}]}]})");
}

TEST_P(Timelines, ItsOtlpFormKeepsTheRulesOfTheJson) {
  const auto document = nlohmann::json::parse(otlp_json(otlp_of(commit_apart(), {.service_version = "0.1.0"})));
  ASSERT_EQ(document["resourceSpans"].size(), 3U) << "each node is a resource of its own";
  nlohmann::json spans = nlohmann::json::array();
  for (const auto& resource : document["resourceSpans"]) {
    for (const auto& span : resource["scopeSpans"][0]["spans"]) spans.push_back(span);
  }
  ASSERT_GT(spans.size(), 5U);
  for (const auto& span : spans) {
    EXPECT_EQ(span["traceId"].get<std::string>().size(), 32U);
    EXPECT_EQ(span["spanId"].get<std::string>().size(), 16U);
    EXPECT_TRUE(span["kind"].is_number());
    EXPECT_TRUE(span["startTimeUnixNano"].is_string());
    EXPECT_FALSE(span.contains("status")) << "unset on success";
    EXPECT_FALSE(span.contains("parentSpanId") && span["parentSpanId"].get<std::string>().empty());
  }
}

TEST(Otlp, WordsThatAreNoUtf8DoNotBreakTheDocument) {
  OtlpSpan span;
  span.name = "a\xFF\xFE";
  const OtlpBatch batch{.resource = {}, .scope_name = "x", .scope_version = "1", .spans = {span}};
  EXPECT_FALSE(nlohmann::json::parse(otlp_json({batch}), nullptr, false).is_discarded());
}

}  // namespace
}  // namespace assent
