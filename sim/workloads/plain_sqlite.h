// A plain SQLite database in memory: the model that the SQL workload is held against. Nothing of ours is in it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "txn_proto/types.h"

struct sqlite3;

namespace assent::sim {

class PlainSqlite {
 public:
  PlainSqlite();
  ~PlainSqlite();
  PlainSqlite(const PlainSqlite&) = delete;
  PlainSqlite& operator=(const PlainSqlite&) = delete;

  using Rows = std::vector<std::vector<SqlValue>>;
  // All statements in one transaction, which is kept or taken back; the rows of each, or nullopt when one of them
  // fails.
  [[nodiscard]] std::optional<std::vector<Rows>> run(const std::vector<std::string>& statements, bool keep);
  // What `looks` return after `statements`, which are taken back; nullopt when they fail.
  [[nodiscard]] std::optional<std::vector<Rows>> run_and_look(const std::vector<std::string>& statements,
                                                              const std::vector<std::string>& looks);
  [[nodiscard]] std::string message() const;

 private:
  [[nodiscard]] std::optional<Rows> step(const std::string& statement);

  struct Closer {
    void operator()(sqlite3* db) const;
  };
  std::unique_ptr<sqlite3, Closer> db_;
  std::string message_;
};

}  // namespace assent::sim
