// MariaDB (10.5 and later), by XA PREPARE. Statements run read committed, with the limits of Times.
//
// A transaction that was prepared stays with the connection that prepared it, and can be ended from another one only
// when that connection is closed. So the connection is kept for the end that comes soon, a bounded number for a bounded
// time; then, or when this process dies, the server lets the transaction go, prepared as it is.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/database.h"
#include "service/mariadb_connection.h"

namespace assent::agent {

struct MariadbDatabaseOptions {
  service::mariadb::Address address = {};
  std::size_t connections = 16;
  std::chrono::milliseconds patience{5'000};  // for a free connection, or a new one
  Times times = {};
};

class MariadbDatabase final : public DatabaseOn<MYSQL> {
 public:
  // After the barrier of the same database was opened. Refused, with what to do: a server that is too old, a user
  // without a right that is needed.
  [[nodiscard]] static Result<std::unique_ptr<MariadbDatabase>> open(const MariadbDatabaseOptions& options);
  ~MariadbDatabase() override;
  MariadbDatabase(const MariadbDatabase&) = delete;
  MariadbDatabase& operator=(const MariadbDatabase&) = delete;

  [[nodiscard]] Dialect dialect() const override { return Dialect::mariadb; }
  [[nodiscard]] const std::string& identity() const override { return identity_; }
  [[nodiscard]] service::Vote prepare(const Gid& gid, const service::Branch& branch, const Work& work) override;
  [[nodiscard]] Result<bool> finish(const Gid& gid, service::Call call) override;
  [[nodiscard]] Result<bool> committed(const Gid& gid) override;
  [[nodiscard]] Result<std::vector<std::string>> prepared() override;
  [[nodiscard]] Result<std::vector<KnownRegister>> registers_of(const TxnId& txn) override;
  [[nodiscard]] Result<std::vector<Unrecorded>> unrecorded() override;
  [[nodiscard]] Result<void> forget_markers(ClusterMillis before) override;
  [[nodiscard]] Result<void> refresh() override;
  [[nodiscard]] Result<void> fence(MYSQL& registers, const std::string& branch) override;

 private:
  class Pool;
  class Lease;
  // The connection that prepared.
  struct Held {
    std::unique_ptr<Lease> lease;  // null: closed, or in use
    unsigned long connection = 0;  // its number at the server
    std::chrono::steady_clock::time_point since;
  };

  MariadbDatabase(std::unique_ptr<Pool> pool, std::size_t connections);
  [[nodiscard]] Result<void> check();
  [[nodiscard]] Result<void> check_tables(MYSQL* connection);
  [[nodiscard]] std::optional<service::Vote> work_in(MYSQL* connection, const Gid& gid, const service::Branch& branch,
                                                     const Work& work);
  [[nodiscard]] std::optional<service::Vote> run(MYSQL* connection, const Statement& statement,
                                                 const std::string& what);
  [[nodiscard]] std::optional<std::string> unsafe_table_in(const std::string& sql);
  [[nodiscard]] std::unique_ptr<Lease> take_held(const Gid& gid, unsigned long& connection);
  void hold(const Gid& gid, std::unique_ptr<Lease> lease);
  void let_go(const Gid& gid);
  [[nodiscard]] Result<bool> attempt(const std::string& text);
  [[nodiscard]] Result<bool> unended(const Gid& gid);
  [[nodiscard]] static std::string stuck(const Gid& gid);
  // before: a statement on the same connection ahead of it.
  [[nodiscard]] Result<service::mariadb::Rows> ask(std::string_view text,
                                                   const service::mariadb::Parameters& parameters,
                                                   std::string_view before = {});

  const std::unique_ptr<Pool> pool_;
  const std::size_t held_max_;
  std::string identity_;
  std::mutex mutex_;                     // protects all below
  std::map<std::string, Held> held_;     // by gid
  std::size_t leases_held_ = 0;          // of them
  std::set<std::string> unsafe_tables_;  // lower case; in engines that take nothing back
};

}  // namespace assent::agent
