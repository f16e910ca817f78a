// A shard's store with short words for tests: run work as a shard would, compare replicas, look into plain SQLite.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "participant/lock_table.h"
#include "sql_adapter/database.h"
#include "sql_adapter/sqlite_store.h"

namespace assent::testing {

inline SqlStatement sql(std::string text, std::vector<SqlValue> parameters = {}) {
  return {std::move(text), std::move(parameters)};
}
inline SqlValue text(std::string value) { return value; }
inline SqlValue number(std::int64_t value) { return value; }

[[nodiscard]] TxnId txn(std::uint64_t number);

// Gives up endless statements soon.
[[nodiscard]] SqliteOptions quick();

// Two replicas: what is found on the first is checked and installed on both.
class Shard {
 public:
  explicit Shard(SqliteOptions options = quick());

  SqliteStore& leader() { return *leader_; }
  SqliteStore& follower() { return *follower_; }

  // Evaluates, checks and installs everywhere. Fails the test when it is refused.
  WorkResult run(const Work& work);
  WorkResult run(const std::string& statement) { return run({sql(statement)}); }
  // The refusal of work that must be refused.
  Refusal refuse(const Work& work);
  Refusal refuse(const std::string& statement) { return refuse({sql(statement)}); }
  [[nodiscard]] Evaluation evaluate(const Work& work);
  [[nodiscard]] Evaluation evaluate(const std::string& statement) { return evaluate({sql(statement)}); }
  void install(const Evaluation& evaluation);  // everywhere, after a check
  // Rows of a query as text: "a|1;b|2".
  std::string rows(const std::string& statement);
  // The replicas are equal, and so is a third that takes the leader's snapshot.
  void expect_replicas_equal();

 private:
  std::unique_ptr<SqliteStore> leader_;
  std::unique_ptr<SqliteStore> follower_;
};

[[nodiscard]] std::string show_rows(const std::vector<std::vector<SqlValue>>& rows);
[[nodiscard]] std::unique_ptr<SqliteStore> open_store(const SqliteOptions& options);

// May both be prepared at once?
[[nodiscard]] bool compatible_works(Shard& shard, const Work& a, const Work& b);

// A directory that goes with the test.
class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace assent::testing
