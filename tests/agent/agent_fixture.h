// An agent in this process before a database of its own on a real server, for the tests of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "tests/agent/sides.h"
#include "tests/local.h"

namespace assent::agent::testing {

using namespace std::chrono_literals;
using service::Answer;
using service::AnswerCode;
using service::Branch;
using service::BranchState;
using service::Call;
using service::Fate;
using service::Reason;
using ::testing::HasSubstr;

inline bool eventually(const std::function<bool()>& condition) {
  return assent::testing::eventually(30s, condition, 5ms);
}

template <class Side>
class AgentTest : public ::testing::Test {
 protected:
  using Kind = typename Side::Kind;

  void SetUp() override {
    Kind::execute(place_.look(), "CREATE TABLE acct(id varchar(40) PRIMARY KEY, balance bigint NOT NULL)");
    Kind::execute(place_.look(), "INSERT INTO acct VALUES('alice', 100), ('bob', 100)");
    Kind::execute(place_.look(), "CREATE TABLE notes(what varchar(100))");
  }
  // No test leaves anything prepared.
  void TearDown() override {
    agent_.reset();
    EXPECT_TRUE(eventually([&] { return Side::prepared(place_.look()) == 0; }));
  }

  AgentOptions options() {
    AgentOptions out;
    out.name = "accounts";
    out.database = Side::url(place_.name());
    out.connections = 30;
    out.max_prepared_age = 24h;
    out.sweep_interval = 20ms;
    out.times = {.lock = 200ms, .statement = 5s};
    out.swept = [this](const Swept& swept) {
      const std::scoped_lock lock(mutex_);
      if (!swept.orphans.empty()) orphans_ = swept.orphans;
    };
    return out;
  }
  Agent& start(std::chrono::milliseconds max_prepared_age = 24h) {
    agent_.reset();
    AgentOptions chosen = options();
    chosen.max_prepared_age = max_prepared_age;
    auto agent = Agent::open(chosen, [this](const service::InDoubt& one) { return fate_of(one.key.txn); });
    if (!agent) throw std::runtime_error(agent.error().message);
    agent_ = std::move(*agent);
    return *agent_;
  }
  // Its sweeper looks once, and too early.
  void start_quietly() {
    AgentOptions chosen = options();
    chosen.sweep_interval = 24h;
    auto agent = Agent::open(chosen, {});
    if (!agent) throw std::runtime_error(agent.error().message);
    agent_ = std::move(*agent);
  }
  service::Branches& branches() { return agent_->branches(); }

  Result<Fate> fate_of(const TxnId& txn) {
    const std::scoped_lock lock(mutex_);
    const auto found = fates_.find(txn);
    return found == fates_.end() ? Fate::open : found->second;
  }
  void decide(const Branch& branch, Fate fate) {
    const std::scoped_lock lock(mutex_);
    fates_[branch.txn] = fate;
  }
  std::string orphan() {
    const std::scoped_lock lock(mutex_);
    return orphans_.empty() ? "" : orphans_.front();
  }

  static Branch branch(std::uint64_t number = 1, service::Attempt attempt = {3, 7}) {
    Branch out;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    static const auto begin =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    out.txn = TxnId::make(ClusterMillis(begin), number, 1);
    out.name = Side::branch_name();
    out.attempt = attempt;
    out.coordinator = "c0";
    return out;
  }
  static std::string take(int amount, const std::string& who = "alice") {
    return fmt::format(
        R"({{"statements":[{{"sql":"UPDATE acct SET balance = balance - {} WHERE id = {}","params":[{},"{}"],"rows":1}}]}})",
        Side::placeholder(1), Side::placeholder(2), amount, who);
  }
  static std::string statement(const std::string& sql) { return R"({"statements":[{"sql":")" + sql + R"("}]})"; }
  Answer prepare(const Branch& branch, const std::string& payload) { return branches().prepare({branch, "", payload}); }
  Answer end(Call call, const Branch& branch) { return branches().end(call, branch); }
  std::int64_t balance(const std::string& who = "alice") {
    return Kind::number(place_.look(), "SELECT balance FROM acct WHERE id = '" + who + "'");
  }
  BranchState state(const Branch& branch) { return branches().status({branch.txn, branch.name})->state; }

  // A crash after the work was prepared and before its register was written.
  void prepare_unregistered(const Branch& branch, const std::string& payload) {
    const auto database = Side::database(place_.name());
    ASSERT_TRUE(database) << database.error().message;
    const auto work = read_work(payload, (*database)->dialect());
    ASSERT_TRUE(work);
    const auto vote = (*database)->prepare(gid_of(branch, (*database)->identity()), branch, *work);
    ASSERT_EQ(vote.kind, service::Vote::Kind::yes) << vote.message;
  }
  // As a process that dies right after, or as somebody at a prompt.
  bool finish_by_hand(const Branch& branch, Call call) {
    const auto database = Side::database(place_.name());
    return database && (*database)->finish(gid(branch), call).value_or(false);
  }
  Gid gid(const Branch& branch) { return gid_of(branch, Side::database(place_.name()).value()->identity()); }

  Kind place_;
  std::mutex mutex_;  // protects the two below
  std::map<TxnId, Fate> fates_;
  std::vector<std::string> orphans_;
  std::unique_ptr<Agent> agent_;
};

}  // namespace assent::agent::testing
