// A database that can prepare a transaction and end it later, from another connection: what the agent needs of one.
//
// postgres_database.h and mariadb_database.h are the two. Safe from any thread; every function blocks while the
// database does, on connections of a pool. What is prepared carries a marker: a row of assent_prepared that comes to be
// seen with the commit, and not before, and tells a transaction that was committed from one that was rolled back once
// neither is prepared any more.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/prepared_branch.h"
#include "agent/work.h"
#include "base/result.h"
#include "service/barrier.h"

namespace assent::agent {

struct Times {
  std::chrono::milliseconds lock{3'000};        // for a lock that others hold
  std::chrono::milliseconds statement{10'000};  // for one statement
};

// A branch whose work was committed, and whose register does not say so yet.
struct Unrecorded {
  service::BranchKey key;
  service::Attempt attempt;
};

class Database {
 public:
  virtual ~Database() = default;

  [[nodiscard]] virtual Dialect dialect() const = 0;
  [[nodiscard]] virtual const std::string& identity() const = 0;  // of the barrier in it

  // Does the work and prepares it, with its marker. Yes: it is prepared, durably. No: nothing of it is prepared, but
  // when the connection was lost on the way; the register's no has that rolled back.
  [[nodiscard]] virtual service::Vote prepare(const Gid& gid, const service::Branch& branch, const Work& work) = 0;
  // Commits or rolls back. false: there is no such prepared transaction. Error busy: a connection still has it.
  [[nodiscard]] virtual Result<bool> finish(const Gid& gid, service::Call call) = 0;
  // Whether it was committed, by its marker.
  [[nodiscard]] virtual Result<bool> committed(const Gid& gid) = 0;
  // The names of all that is prepared in this database; in MariaDB, on the server. Others' too.
  [[nodiscard]] virtual Result<std::vector<std::string>> prepared() = 0;
  [[nodiscard]] virtual Result<std::vector<KnownRegister>> registers_of(const TxnId& txn) = 0;
  [[nodiscard]] virtual Result<std::vector<Unrecorded>> unrecorded() = 0;
  // Deletes the markers of branches that ended before then.
  [[nodiscard]] virtual Result<void> forget_markers(ClusterMillis before) = 0;
  // Looks again at what may have changed; lets go of what is held for a quick end that did not come.
  [[nodiscard]] virtual Result<void> refresh() = 0;

  // Where the branch's register can be prepared with its work (promise.h), in one step: Enrolled has what they answer.
  [[nodiscard]] virtual std::optional<Result<service::Vote>> prepare_at_once(const service::Branch&, ByteView) {
    return std::nullopt;
  }
  [[nodiscard]] virtual Result<bool> end_at_once(const service::Branch&, service::Call) { return false; }
};

template <class Connection>
class DatabaseOn : public Database {
 public:
  // Until the end of the local transaction on the connection, nobody else has the fence of the branch. A prepare holds
  // it from before it looks for what is prepared until its register is written.
  [[nodiscard]] virtual Result<void> fence(Connection& registers, const std::string& branch) = 0;
};

template <class Connection>
class EnrolledDatabase final : public service::Enrolled {
 public:
  EnrolledDatabase(service::Participant<Connection>& participant, service::Barrier<Connection>& barrier,
                   Database& database)
      : steps_(participant, barrier), database_(database) {}

  Result<std::unique_ptr<service::Turn>> take() override { return steps_.take(); }
  std::optional<Result<service::Vote>> prepare_at_once(const service::Branch& branch, ByteView payload) override {
    return database_.prepare_at_once(branch, payload);
  }
  Result<bool> end_at_once(const service::Branch& branch, service::Call call) override {
    return database_.end_at_once(branch, call);
  }

 private:
  service::EnrolledOn<Connection> steps_;
  Database& database_;
};

}  // namespace assent::agent
