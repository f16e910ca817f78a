// A service that is killed (SIGKILL) after every step of its local transactions, and started again: whatever
// it was doing, the coordinator that repeats its calls finds the work done exactly once, or not at all.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "service/branches.h"
#include "tests/service/database_kinds.h"
#include "tests/service/test_participant.h"

namespace assent::service::testing {
namespace {

// Counts down at each step; dies at zero.
class Fuse {
 public:
  explicit Fuse(int steps) : left_(steps) {}
  void step() {
    if (--left_ == 0) ::kill(::getpid(), SIGKILL);
  }

 private:
  int left_;
};

class CrashingLocal final : public LocalTransactionOn<sqlite3> {
 public:
  CrashingLocal(std::unique_ptr<LocalTransactionOn<sqlite3>> inner, Fuse& fuse)
      : inner_(std::move(inner)), fuse_(fuse) {}

  sqlite3& connection() override { return inner_->connection(); }
  Result<void> begin(Access access) override {
    return stepping([&] { return inner_->begin(access); });
  }
  Result<std::optional<Register>> load(const BranchKey& key) override {
    return stepping([&] { return inner_->load(key); });
  }
  Result<bool> insert(const BranchKey& key, const Register& row) override {
    return stepping([&] { return inner_->insert(key, row); });
  }
  Result<void> update(const BranchKey& key, const Register& row) override {
    return stepping([&] { return inner_->update(key, row); });
  }
  Result<ClusterMillis> forgotten_through() override {
    return stepping([&] { return inner_->forgotten_through(); });
  }
  Result<void> begin_work() override {
    return stepping([&] { return inner_->begin_work(); });
  }
  Result<void> keep_work() override {
    return stepping([&] { return inner_->keep_work(); });
  }
  Result<void> undo_work() override {
    return stepping([&] { return inner_->undo_work(); });
  }
  Result<void> commit() override {
    return stepping([&] { return inner_->commit(); });
  }
  void rollback() override { inner_->rollback(); }
  Result<std::vector<InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) override {
    return inner_->in_doubt(before, at_most);
  }
  Result<std::size_t> forget_rows(const Horizon& horizon, std::size_t at_most) override {
    return inner_->forget_rows(horizon, at_most);
  }

 private:
  template <class Do>
  std::invoke_result_t<Do> stepping(Do act) {
    auto done = act();
    fuse_.step();
    return done;
  }

  std::unique_ptr<LocalTransactionOn<sqlite3>> inner_;
  Fuse& fuse_;
};

class CrashingBarrier final : public Barrier<sqlite3> {
 public:
  CrashingBarrier(Barrier<sqlite3>& inner, int steps) : inner_(inner), fuse_(steps) {}
  Result<std::unique_ptr<LocalTransactionOn<sqlite3>>> take() override {
    auto local = inner_.take();
    if (!local) return fail(local.error());
    return std::make_unique<CrashingLocal>(std::move(*local), fuse_);
  }

 private:
  Barrier<sqlite3>& inner_;
  Fuse fuse_;
};

struct Step {
  Call call;
  std::string payload;
};
struct Scenario {
  const char* name;
  std::vector<Step> steps;
  std::string last_answer;                    // of the last step, once all are through
  std::int64_t prepared, committed, aborted;  // effects in the end
};

Branch some_branch() {
  Branch branch;
  branch.txn = TxnId::make(ClusterMillis(1'800'000'000'000), 1, 1);
  branch.name = "b";
  branch.attempt = {2, 5};
  branch.coordinator = "c0";
  return branch;
}

Answer carry_out(Branches& branches, const Step& step) {
  return step.call == Call::prepare ? branches.prepare({some_branch(), "", step.payload})
                                    : branches.end(step.call, some_branch());
}

// One life of the service; false: it was killed on the way. Threads, and SQLite's connections, do not survive a fork,
// so there are none of either around it.
bool live(const std::string& path, const Scenario& scenario, int fuse_steps) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto barrier = SqliteBarrier::open({.path = path});
    if (!barrier) ::_exit(3);
    CrashingBarrier crashing(**barrier, fuse_steps);
    TestParticipant<SqliteKind> participant;
    Branches branches({}, std::make_unique<EnrolledOn<sqlite3>>(participant, crashing));
    for (const Step& step : scenario.steps) carry_out(branches, step);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), 0) << scenario.name;
    return true;
  }
  EXPECT_EQ(WTERMSIG(status), SIGKILL) << scenario.name;
  return false;
}

void prepare_place(const std::string& path) {
  sqlite3* db = SqliteKind::connect(path);
  TestParticipant<SqliteKind>::make_tables(*db);
  sqlite3_close(db);
}

class CrashPoints : public ::testing::TestWithParam<Scenario> {};

TEST_P(CrashPoints, AfterAnyCrashTheRepeatedCallsEndAsIfThereHadBeenNone) {
  const Scenario& scenario = GetParam();
  int crashes = 0;
  for (int fuse = 1;; ++fuse) {
    const ScratchFolder folder;
    const std::string path = folder.path() / "service.db";
    prepare_place(path);
    const bool whole = live(path, scenario, fuse);
    crashes += whole ? 0 : 1;

    auto barrier = SqliteBarrier::open({.path = path});
    ASSERT_TRUE(barrier);
    TestParticipant<SqliteKind> participant;
    Branches branches({}, std::make_unique<EnrolledOn<sqlite3>>(participant, **barrier));
    Answer last;
    for (const Step& step : scenario.steps) last = carry_out(branches, step);
    const std::string told = last.ok() ? "OK" : std::string(to_string(last.reason));
    EXPECT_EQ(told, scenario.last_answer) << scenario.name << ", killed at " << fuse;
    sqlite3* db = SqliteKind::connect(path);
    const auto effects = [&](const char* what) {
      return TestParticipant<SqliteKind>::effects(*db, some_branch(), what);
    };
    EXPECT_EQ(effects("prepare"), scenario.prepared) << scenario.name << ", killed at " << fuse;
    EXPECT_EQ(effects("commit"), scenario.committed) << scenario.name << ", killed at " << fuse;
    EXPECT_EQ(effects("abort"), scenario.aborted) << scenario.name << ", killed at " << fuse;
    sqlite3_close(db);
    if (whole || HasFailure()) break;
  }
  EXPECT_GE(crashes, 7) << "after each step";
}

const Scenario scenarios[] = {
    {"commit", {{Call::prepare, "yes"}, {Call::commit, ""}}, "OK", 1, 1, 0},
    {"abort", {{Call::prepare, "yes"}, {Call::abort, ""}}, "OK", 1, 0, 1},
    {"refusal", {{Call::prepare, "no"}, {Call::abort, ""}}, "OK", 0, 0, 0},
    {"abort_first", {{Call::abort, ""}, {Call::prepare, "yes"}}, "BRANCH_ABORTED", 0, 0, 0},
    {"read_only", {{Call::prepare, "read-only"}, {Call::commit, ""}}, "OK", 1, 0, 0},
};
INSTANTIATE_TEST_SUITE_P(Sqlite, CrashPoints, ::testing::ValuesIn(scenarios),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace assent::service::testing
