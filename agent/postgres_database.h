// PostgreSQL, by PREPARE TRANSACTION. Statements run read committed, with the limits of Times.
//
// A branch is prepared at once with its register where the names fit (promise.h, postgres_at_once.cc), and in the
// steps of SqlParticipant otherwise. The registers must be looked at through promised_barrier.h, which sees both.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "agent/database.h"
#include "agent/postgres_pipeline.h"
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
  [[nodiscard]] std::optional<Result<service::Vote>> prepare_at_once(const service::Branch& branch,
                                                                     ByteView payload) override;
  [[nodiscard]] Result<bool> end_at_once(const service::Branch& branch, service::Call call) override;

 private:
  enum class AtOnce : std::uint8_t { prepared, refused, in_steps, lost, forgot };

  PostgresDatabase(std::unique_ptr<PostgresPool> pool, Times times);
  [[nodiscard]] AtOnce promise(PostgresLease& lease, const std::string& gid, const service::Branch& branch,
                               const Work& work, service::Vote& no);
  [[nodiscard]] Result<bool> end_prepared(const std::string& gid, service::Call call);
  [[nodiscard]] Result<void> begin(PostgresLease& lease, const service::Branch& branch);
  [[nodiscard]] std::string begin_text(const service::Branch& branch) const;
  [[nodiscard]] Result<service::postgres::Rows> ask(const char* text, const service::postgres::Parameters& parameters);
  [[nodiscard]] Result<void> check();

  const std::unique_ptr<PostgresPool> pool_;
  const Times times_;
  std::string identity_;
};

}  // namespace assent::agent
