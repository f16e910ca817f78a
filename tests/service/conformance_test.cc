// The conformance kit finds each planted fault, and passes who conforms.
#include "cli/conformance/conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "service/participant_host.h"
#include "tests/service/bad_participant.h"
#include "tests/service/database_kinds.h"
#include "tests/service/http_front.h"
#include "tests/service/served.h"
#include "tests/service/test_participant.h"

namespace assent::service::testing {
namespace {

using conformance::Finding;
using conformance::Plan;
using conformance::Report;
using conformance::Verdict;

Plan plan_for(BadParticipant& participant, std::string target) {
  Plan plan;
  plan.target = std::move(target);
  plan.participant = BadParticipant::name;
  plan.payload = "yes";
  plan.refused = "no";
  plan.restart = [&participant] {
    participant.restart();
    return true;
  };
  return plan;
}

Report prove(BadParticipant& participant) {
  const Served server(participant);
  return conformance::prove(plan_for(participant, server.address()));
}

Report prove_by_http(BadParticipant& participant) {
  const HttpFront front(participant);
  return conformance::prove(plan_for(participant, front.target()));
}

std::string failures(const Report& report) {
  std::string out;
  for (const Finding& finding : report.findings) {
    if (finding.verdict == Verdict::failed) out += finding.check + ": " + finding.seen + "\n";
  }
  return out;
}

// The check that is made for the fault; others may find it, too.
const std::map<std::string_view, std::string_view> found_by{
    {"duplicate_runs_again", "duplicate-prepare"},
    {"takes_the_newer_attempt", "prepare-of-another-attempt"},
    {"no_tombstone", "abort-before-prepare"},
    {"revives_what_was_aborted", "prepare-after-abort"},
    {"commits_what_was_not_prepared", "commit-without-prepare"},
    {"commits_any_attempt", "commit-of-another-attempt"},
    {"aborts_any_attempt", "abort-of-another-attempt"},
    {"commits_after_abort", "late-commit-after-abort"},
    {"aborts_after_commit", "abort-after-commit"},
    {"forgets_what_ended", "late-prepare-after-commit"},
    {"parallel_duplicates_both_run", "parallel-duplicates"},
    {"one_register_a_transaction", "branches-apart"},
    {"branches_without_case", "branches-apart"},
    {"takes_any_id", "unreadable-requests"},
    {"takes_anybodys_calls", "another-participant"},
    {"status_leaves_a_mark", "truthful-status"},
    {"status_of_hope", "truthful-status"},
    {"a_no_is_not_kept", "a-no-stays"},
    {"numbers_as_doubles", "numbers-at-their-limits"},
    {"prepared_in_memory", "restart-between-prepare-and-commit"},
    {"tombstones_in_memory", "restart-after-early-abort"},
    {"refusals_in_memory", "restart-after-a-no"},
};

void expect_found(const Report& report, std::string_view fault) {
  EXPECT_FALSE(report.conforms());
  const std::string_view check = found_by.at(fault);
  const auto found = std::find_if(report.findings.begin(), report.findings.end(),
                                  [&](const Finding& finding) { return finding.check == check; });
  ASSERT_NE(found, report.findings.end()) << failures(report);
  EXPECT_EQ(found->verdict, Verdict::failed) << failures(report);
  EXPECT_THAT(found->seen, ::testing::HasSubstr("it should have been"));
  EXPECT_FALSE(found->cost.empty());
}

class PlantedFaults : public ::testing::TestWithParam<std::pair<Fault, std::string_view>> {};

TEST_P(PlantedFaults, IsFoundAndItsCostIsTold) {
  BadParticipant participant(GetParam().first);
  expect_found(prove(participant), GetParam().second);
}

TEST_P(PlantedFaults, IsFoundByHttpAsWell) {
  BadParticipant participant(GetParam().first);
  expect_found(prove_by_http(participant), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(Conformance, PlantedFaults, ::testing::ValuesIn(all_faults()),
                         [](const auto& one) { return std::string(one.param.second); });

TEST(Conformance, PassesWhatWasWrittenFromTheProtoAlone) {
  BadParticipant participant(Fault::none);
  const Report report = prove(participant);
  EXPECT_TRUE(report.conforms()) << failures(report);
  EXPECT_EQ(report.count(Verdict::skipped), 0U);
}

TEST(Conformance, PassesItByHttpWithAndWithoutAStatus) {
  BadParticipant participant(Fault::none);
  const Report report = prove_by_http(participant);
  EXPECT_TRUE(report.conforms()) << failures(report);
  EXPECT_EQ(report.count(Verdict::skipped), 0U);
  const HttpFront silent(participant, nullptr, false);
  const Report without = conformance::prove(plan_for(participant, silent.target()));
  EXPECT_TRUE(without.conforms()) << failures(without);
  EXPECT_EQ(without.count(Verdict::skipped), 1U) << "the status";
}

TEST(Conformance, ByTlsOnlyWithWhoIsTrusted) {
  const TlsFiles files;
  BadParticipant participant(Fault::none);
  const HttpFront front(participant, &files);
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs = {{TlsFiles::read(files.key()), TlsFiles::read(files.cert())}};
  const Served server(participant, grpc::SslServerCredentials(options));
  for (const std::string& target : {front.target(), "grpcs://" + server.address()}) {
    Plan plan = plan_for(participant, target);
    plan.patience = std::chrono::milliseconds(500);
    EXPECT_FALSE(conformance::prove(plan).conforms()) << target << " is signed by a stranger";
    plan.ca_file = files.cert();
    plan.patience = std::chrono::milliseconds(5'000);
    const Report report = conformance::prove(plan);
    EXPECT_TRUE(report.conforms()) << target << failures(report);
  }
}

// ---- our own host, over SQLite ----

class OwnHost : public ::testing::Test {
 protected:
  OwnHost() : barrier_(std::move(*place_.open())) { TestParticipant<SqliteKind>::make_tables(place_.look()); }

  SqliteKind place_;
  std::unique_ptr<SqliteBarrier> barrier_;
  TestParticipant<SqliteKind> participant_;
};

TEST_F(OwnHost, PassesWithNothingSkippedAndLeavesNothingPrepared) {
  ParticipantHost host({.name = "ledger"}, participant_, *barrier_);
  const Served server(host.service());
  Plan plan;
  plan.target = server.address();
  plan.participant = "ledger";
  plan.payload = "result=5";
  plan.refused = "no";
  plan.restart = [] { return true; };  // its state is the file's; crash_points_test.cc kills it
  const Report report = conformance::prove(plan);
  EXPECT_TRUE(report.conforms()) << failures(report);
  EXPECT_EQ(report.count(Verdict::skipped), 0U);
  EXPECT_EQ(host.branches().in_doubt(std::chrono::milliseconds(0), 10)->size(), 0U);
}

}  // namespace
}  // namespace assent::service::testing
