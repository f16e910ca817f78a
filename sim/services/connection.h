// The client's side of the simulated database: one connection, the barrier's local transactions on it (the seam
// service/barrier.h, as the barriers of real databases fill it), and a database that can prepare (agent/database.h), in
// two steps as MariaDB or in one as PostgreSQL. The production rules run above: service::Branches,
// agent::SqlParticipant, agent::Sweep.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/database.h"
#include "service/barrier.h"
#include "sim/services/database.h"

namespace assent::sim {

// Given back to the server at its end.
class Connection {
 public:
  Connection(DatabaseServer& database, SessionNumber session) : database_(database), session_(session) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { database_.disconnect(session_); }

  // act is one of the server's functions, called with this connection's session.
  template <class T, class Act>
  [[nodiscard]] Result<T> ask(std::string_view what, Act act) {
    DatabaseServer& database = database_;
    const SessionNumber session = session_;
    return database.request<T>(
        session, what, [&database, session, act = std::move(act)]() -> Result<T> { return act(database, session); });
  }

 private:
  DatabaseServer& database_;
  const SessionNumber session_;
};

// What a branch's work does, on the connection that the barrier gave.
[[nodiscard]] Result<void> record(Connection& connection, Effect::Kind kind, const service::BranchKey& branch);
[[nodiscard]] Result<void> add(Connection& connection, const std::string& account, std::int64_t amount);

// promises: registers are prepared with their work too, and found there (agent/promised_barrier.h).
class SimBarrier final : public service::Barrier<Connection> {
 public:
  SimBarrier(DatabaseServer& database, ClientNumber client, bool promises)
      : database_(database), client_(client), promises_(promises) {}

  [[nodiscard]] Result<std::unique_ptr<service::LocalTransactionOn<Connection>>> take() override;

 private:
  DatabaseServer& database_;
  const ClientNumber client_;
  const bool promises_;
};

class PreparingDatabase final : public agent::DatabaseOn<Connection> {
 public:
  // promises: as PostgreSQL, in one step where it can be.
  PreparingDatabase(DatabaseServer& database, ClientNumber client, bool promises)
      : database_(database), client_(client), promises_(promises) {}

  [[nodiscard]] agent::Dialect dialect() const override {
    return promises_ ? agent::Dialect::postgres : agent::Dialect::mariadb;
  }
  [[nodiscard]] const std::string& identity() const override { return database_.identity(); }
  [[nodiscard]] service::Vote prepare(const agent::Gid& gid, const service::Branch& branch,
                                      const agent::Work& work) override;
  [[nodiscard]] Result<bool> finish(const agent::Gid& gid, service::Call call) override;
  [[nodiscard]] Result<bool> committed(const agent::Gid& gid) override;
  [[nodiscard]] Result<std::vector<std::string>> prepared() override;
  [[nodiscard]] Result<std::vector<agent::KnownRegister>> registers_of(const TxnId& txn) override;
  [[nodiscard]] Result<std::vector<agent::Unrecorded>> unrecorded() override;
  [[nodiscard]] Result<void> forget_markers(ClusterMillis before) override;
  [[nodiscard]] Result<void> refresh() override { return {}; }
  [[nodiscard]] std::optional<Result<service::Vote>> prepare_at_once(const service::Branch& branch,
                                                                     ByteView payload) override;
  [[nodiscard]] Result<bool> end_at_once(const service::Branch& branch, service::Call call) override;
  [[nodiscard]] Result<void> fence(Connection& registers, const std::string& branch) override;

 private:
  [[nodiscard]] Result<std::unique_ptr<Connection>> connect();
  [[nodiscard]] Result<bool> end(const std::string& name, service::Call call);
  // Nothing: its work is done. Else the no, or an Error when the connection was lost.
  [[nodiscard]] Result<std::optional<service::Vote>> work_in(Connection& connection, const agent::Work& work);
  [[nodiscard]] std::optional<Result<service::Vote>> promise(const std::string& name, const service::Branch& branch,
                                                             const agent::Work& work);

  DatabaseServer& database_;
  const ClientNumber client_;
  const bool promises_;
};

// A statement of the simulated databases: work that is counted, and an account that it changes.
[[nodiscard]] Bytes statements_of(const service::BranchKey& branch, const std::string& account, std::int64_t amount,
                                  bool fails);

}  // namespace assent::sim
