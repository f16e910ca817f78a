// PostgreSQL, by PREPARE TRANSACTION. Statements run read committed, with the limits of Times.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "agent/database.h"
#include "service/postgres_connection.h"

namespace assent::agent {

struct PostgresDatabaseOptions {
  std::string conninfo = {};
  std::size_t connections = 16;
  std::chrono::milliseconds patience{5'000};  // for a free connection, or a new one
  Times times = {};
};

class PostgresDatabase final : public DatabaseOn<PGconn> {
 public:
  // After the barrier of the same database was opened. Refused, with what to do: a server that prepares nothing
  // (max_prepared_transactions = 0), a user without a right that is needed.
  [[nodiscard]] static Result<std::unique_ptr<PostgresDatabase>> open(const PostgresDatabaseOptions& options);
  ~PostgresDatabase() override;
  PostgresDatabase(const PostgresDatabase&) = delete;
  PostgresDatabase& operator=(const PostgresDatabase&) = delete;

  [[nodiscard]] Dialect dialect() const override { return Dialect::postgres; }
  [[nodiscard]] const std::string& identity() const override { return identity_; }
  [[nodiscard]] service::Vote prepare(const Gid& gid, const service::Branch& branch, const Work& work) override;
  [[nodiscard]] Result<bool> finish(const Gid& gid, service::Call call) override;
  [[nodiscard]] Result<bool> committed(const Gid& gid) override;
  [[nodiscard]] Result<std::vector<std::string>> prepared() override;
  [[nodiscard]] Result<std::vector<KnownRegister>> registers_of(const TxnId& txn) override;
  [[nodiscard]] Result<std::vector<Unrecorded>> unrecorded() override;
  [[nodiscard]] Result<void> forget_markers(ClusterMillis before) override;
  [[nodiscard]] Result<void> refresh() override { return {}; }
  [[nodiscard]] Result<void> fence(PGconn& registers, const std::string& branch) override;

 private:
  class Pool;
  class Lease;

  PostgresDatabase(std::unique_ptr<Pool> pool, Times times);
  [[nodiscard]] Result<void> begin(Lease& lease, const service::Branch& branch);
  [[nodiscard]] std::string begin_text(const service::Branch& branch) const;
  [[nodiscard]] Result<service::postgres::Rows> ask(const char* text, const service::postgres::Parameters& parameters);
  [[nodiscard]] Result<void> check();

  const std::unique_ptr<Pool> pool_;
  const Times times_;
  std::string identity_;
};

}  // namespace assent::agent
