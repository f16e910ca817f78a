// Names of prepared transactions, what is advised about one that is found, and what is read from a payload.
#include "agent/prepared_branch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "agent/promise.h"
#include "agent/work.h"

namespace assent::agent {
namespace {

using service::Attempt;
using service::BranchState;
using ::testing::HasSubstr;

const std::string identity = "0123abcd4567";

service::Branch some_branch(std::uint64_t number = 1, Attempt attempt = {3, 7}, std::string name = "b") {
  service::Branch out;
  out.txn = TxnId::make(ClusterMillis(1'800'000'000'000), number, 1);
  out.name = std::move(name);
  out.attempt = attempt;
  return out;
}

TEST(Gid, IsReadBackAndFitsBothDatabases) {
  const Gid gid = gid_of(some_branch(1, {~0ULL, 1}, std::string(200, 'x')), identity);
  EXPECT_EQ(gid_from(gid.text()), gid);
  EXPECT_EQ(gid.gtrid() + "_" + gid.bqual(), gid.text());
  EXPECT_LE(gid.gtrid().size(), 64U);
  EXPECT_LE(gid.bqual().size(), 64U);
  EXPECT_LT(gid.text().size(), 200U);
}

service::Branch asked_of(service::Branch branch, std::string coordinator) {
  branch.coordinator = std::move(coordinator);
  return branch;
}

TEST(Promise, IsReadBackAndFits) {
  for (const auto& branch : {some_branch(1, {~0ULL, ~0ULL}, "b"), asked_of(some_branch(1, {0, 1}, "ä_'\\"), "c0"),
                             some_branch(1, {3, 7}, std::string(60, 'x'))}) {
    const auto promise = promise_of(branch, identity);
    ASSERT_TRUE(promise);
    EXPECT_LE(promise->text().size(), promise_bytes_max);
    EXPECT_EQ(promise_from(promise->text()), promise);
    EXPECT_EQ(promise->text().find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos);
    EXPECT_TRUE(promise->text().starts_with(promises_of(branch.txn, identity)));
    EXPECT_EQ(promise->branch, branch.name);
    EXPECT_EQ(promise->coordinator, branch.coordinator);
    EXPECT_FALSE(gid_from(promise->text())) << "the one is not taken for the other";
  }
  EXPECT_FALSE(promise_from(gid_of(some_branch(), identity).text()));
  EXPECT_FALSE(promise_of(some_branch(1, {3, 7}, std::string(80, 'x')), identity)) << "too long";
}

TEST(Promise, DiffersInEachPart) {
  std::set<std::string> names;
  for (const auto& branch :
       {some_branch(1), some_branch(2), some_branch(1, {3, 8}), some_branch(1, {4, 7}), some_branch(1, {3, 7}, "B"),
        some_branch(1, {3, 7}, "b "), asked_of(some_branch(1), "c0")}) {
    names.insert(promise_of(branch, identity)->text());
  }
  names.insert(promise_of(some_branch(1), "9999abcd")->text());
  EXPECT_EQ(names.size(), 8U);
}

TEST(Promise, NothingElseIsRead) {
  const std::string good = promise_of(asked_of(some_branch(), "c0"), identity)->text();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == '_' ? 'a' : 'G';
    EXPECT_FALSE(promise_from(changed)) << changed;
  }
  for (const std::string& other : {std::string(), std::string("assentyes"), std::string("assentyes______"), good + "0",
                                   good + "_", good.substr(0, good.size() - 1), "0" + good}) {
    EXPECT_FALSE(promise_from(other)) << other;
  }
}

TEST(Gid, DiffersInEachPart) {
  std::set<std::string> names;
  for (const auto& branch : {some_branch(1), some_branch(2), some_branch(1, {3, 8}), some_branch(1, {4, 7}),
                             some_branch(1, {3, 7}, "B"), some_branch(1, {3, 7}, "b ")}) {
    names.insert(gid_of(branch, identity).text());
  }
  names.insert(gid_of(some_branch(1), "9999abcd").text());
  EXPECT_EQ(names.size(), 7U);
}

TEST(Gid, NothingElseIsRead) {
  const std::string good = gid_of(some_branch(), identity).text();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string cut = good;
    cut.erase(i, 1);
    EXPECT_FALSE(gid_from(cut)) << cut;
    std::string changed = good;
    changed[i] = changed[i] == '_' ? 'a' : 'G';
    EXPECT_FALSE(gid_from(changed)) << changed;
  }
  for (const char* const other : {"", "assent", "mine", "assent_______", "_____"})
    EXPECT_FALSE(gid_from(other)) << other;
  EXPECT_FALSE(gid_from(good + "0"));
  EXPECT_FALSE(gid_from(good + "_"));
}

// Every state of the register, of this attempt and of another.
TEST(JudgeFound, FollowsTheRegister) {
  const Attempt own{3, 7};
  const Attempt other{4, 1};
  const std::string gid = gid_of(some_branch(1, own), identity).text();
  const auto judged = [&](BranchState state, std::optional<Attempt> attempt) {
    return judge_found(gid, identity, {{"another", BranchState::prepared, own}, {"b", state, attempt}});
  };
  EXPECT_EQ(judged(BranchState::prepared, own), Advice::leave);
  EXPECT_EQ(judged(BranchState::prepared, other), Advice::roll_back);
  EXPECT_EQ(judged(BranchState::committed, own), Advice::contradiction);
  EXPECT_EQ(judged(BranchState::committed, other), Advice::roll_back);
  EXPECT_EQ(judged(BranchState::aborted, own), Advice::roll_back);
  EXPECT_EQ(judged(BranchState::aborted, std::nullopt), Advice::roll_back);
  EXPECT_EQ(judged(BranchState::refused, std::nullopt), Advice::roll_back);
  EXPECT_EQ(judged(BranchState::read_only, own), Advice::roll_back);
  EXPECT_EQ(judge_found(gid, identity, {{"another", BranchState::prepared, own}}), Advice::unregistered);
  EXPECT_EQ(judge_found(gid, identity, {}), Advice::unregistered);
  EXPECT_EQ(judge_found(gid, "9999abcd", {{"b", BranchState::aborted, own}}), Advice::foreign);
  EXPECT_EQ(judge_found("somebody's", identity, {}), Advice::foreign);
}

// ---- payloads ----

std::string refusal(std::string_view payload, Dialect dialect = Dialect::postgres) {
  const auto work = read_work(payload, dialect);
  return work ? "read" : work.error().message;
}
std::string one(const std::string& sql) { return R"({"statements":[{"sql":")" + sql + R"("}]})"; }

TEST(ReadWork, ReadsStatementsWithTheirValues) {
  const auto work = read_work(
      R"x({"statements":[{"sql":"UPDATE a SET b = $1","params":[30,"alice",true,null,-1],"rows":2},
          {"sql":" -- x\n/* y */ (select 1)"}]})x",
      Dialect::postgres);
  ASSERT_TRUE(work) << work.error().message;
  ASSERT_EQ(work->statements.size(), 2U);
  const std::vector<Value> values{std::int64_t{30}, std::string("alice"), true, std::monostate(), std::int64_t{-1}};
  EXPECT_EQ(work->statements[0].params, values);
  EXPECT_EQ(work->statements[0].rows, 2U);
  EXPECT_FALSE(work->statements[1].rows);
}

TEST(ReadWork, SaysWhatIsWrong) {
  for (const char* const bad :
       {"", "x", "[]", "{}", R"({"statements":[]})", R"({"statements":[1]})", R"({"statements":{}})",
        R"({"statements":[{"sql":1}]})", R"({"statements":[{"sql":"SELECT 1","row":1}]})",
        R"({"statements":[{"params":[]}]})", R"({"statements":[{"sql":"SELECT 1","rows":-1}]})",
        R"({"statements":[{"sql":"SELECT 1","params":[[]]}]})", R"({"statements":[{"sql":"SELECT 1"}],"x":1})",
        R"({"statements":[{"sql":"SELECT 1","params":[99999999999999999999]}]})",
        R"({"statements":[{"sql":"SELECT 1\u0000; COMMIT"}]})",
        R"({"statements":[{"sql":"SELECT 1","params":["\u0000"]}]})"}) {
    EXPECT_THAT(refusal(bad), HasSubstr("a payload is {\"statements\"")) << bad;
  }
  EXPECT_THAT(refusal(R"({"statements":[{"sql":"SELECT 1","params":[1.5]}]})"), HasSubstr("give it as text"));
  EXPECT_THAT(refusal(std::string(100'000, '[')), HasSubstr("JSON"));
  EXPECT_THAT(refusal(std::string(1'000, '\xff')), HasSubstr("JSON"));
}

TEST(ReadWork, RefusesWhatEndsOrOutlivesTheTransaction) {
  for (const char* const bad : {"COMMIT",
                                "commit;",
                                "ROLLBACK",
                                "BEGIN",
                                "START TRANSACTION",
                                "SAVEPOINT x",
                                "END",
                                "ABORT",
                                "PREPARE TRANSACTION 'x'",
                                "XA COMMIT 'x'",
                                "SET search_path = x",
                                "RESET ALL",
                                "LISTEN x",
                                "COPY a FROM STDIN",
                                "DO $$ x $$",
                                "/* a */ -- b\\n COMMIT",
                                "(((COMMIT",
                                "/*!50000 COMMIT */",
                                "/*M! COMMIT */",
                                "",
                                "'",
                                "--",
                                "/*"}) {
    for (const Dialect dialect : {Dialect::postgres, Dialect::mariadb}) {
      EXPECT_THAT(refusal(one(bad), dialect),
                  ::testing::StartsWith(*bad == '\0' ? "statement 1: a st" : "statement 1: it begins"))
          << bad;
    }
  }
  EXPECT_EQ(refusal(one("CREATE TABLE x(y int)"), Dialect::postgres), "read");
  EXPECT_THAT(refusal(one("CREATE TABLE x(y int)"), Dialect::mariadb), HasSubstr("CREATE"));
  EXPECT_EQ(refusal(one("REPLACE INTO x VALUES(1)"), Dialect::mariadb), "read");
}

}  // namespace
}  // namespace assent::agent
