// The barrier: registers in the service's own database, written in the same local transaction as the service's work.
//
// Here are the seams that a database implements, and what joins a participant to one. The rules are in register.h, the
// order in which they are carried out in branches.h; a new database brings a LocalTransaction and a Barrier, and passes
// tests/service/barrier_contract.h.
//
// The table assent_branches has a row for each register that is not empty; the table assent_barrier has one row, with
// the time through which ended branches were forgotten and an identity that no other database has. docs/SERVICES.md
// shows both.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "service/branch.h"
#include "service/participant.h"
#include "service/register.h"

namespace assent::service {

struct BranchKey {
  TxnId txn;
  std::string name;
  auto operator<=>(const BranchKey&) const = default;
};

// A branch whose register holds a yes that has not ended.
struct InDoubt {
  BranchKey key;
  Attempt attempt;
  std::string coordinator;
  ClusterMillis since;
};

// Up to which time ended branches may be forgotten, by the service's clock.
struct Horizon {
  ClusterMillis ended;    // before this they ended
  ClusterMillis created;  // before this their transaction's id was made
};

enum class Access : std::uint8_t { read, write };

// One connection of the service's database, taken for one call. Not thread-safe. Errors: io and corruption; busy, when
// others hold what it needs for too long; conflict, when the database took it back for another's sake and the whole
// call may be tried again. After an Error only rollback() is called.
class LocalTransaction {
 public:
  virtual ~LocalTransaction() = default;

  [[nodiscard]] virtual Result<void> begin(Access access) = 0;
  // The register; nothing when there is no row. To write: locked until the end of the transaction. Sees what others
  // committed before this call.
  [[nodiscard]] virtual Result<std::optional<Register>> load(const BranchKey& key) = 0;
  // false: there is a row already. Waits for whoever is inserting or deleting the same one.
  [[nodiscard]] virtual Result<bool> insert(const BranchKey& key, const Register& row) = 0;
  [[nodiscard]] virtual Result<void> update(const BranchKey& key, const Register& row) = 0;
  // Branches of transactions that were made until then, and have no row, are forgotten. Sees what others committed
  // before this call.
  [[nodiscard]] virtual Result<ClusterMillis> forgotten_through() = 0;

  // Around the service's work. undo_work() takes back all since begin_work(); keep_work() keeps it, and is an Error
  // when the work has ended the local transaction by itself or has left it beyond use.
  [[nodiscard]] virtual Result<void> begin_work() = 0;
  [[nodiscard]] virtual Result<void> keep_work() = 0;
  [[nodiscard]] virtual Result<void> undo_work() = 0;

  // Durable when it returns. After an Error it may have happened.
  [[nodiscard]] virtual Result<void> commit() = 0;
  // Whatever state the connection is in. One that cannot be rolled back is not used again.
  virtual void rollback() = 0;

  // Branches in doubt since before the time, oldest first, at most so many. Outside of begin() and commit().
  [[nodiscard]] virtual Result<std::vector<InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) = 0;
  // Deletes at most so many ended registers behind the horizon, and remembers through which time it did so. Between
  // begin() to write and commit().
  [[nodiscard]] virtual Result<std::size_t> forget_rows(const Horizon& horizon, std::size_t at_most) = 0;
};

template <class Connection>
class LocalTransactionOn : public LocalTransaction {
 public:
  [[nodiscard]] virtual Connection& connection() = 0;
};

// Safe from any thread. Must outlive what it gives out.
template <class Connection>
class Barrier {
 public:
  virtual ~Barrier() = default;
  // Waits for a free connection, up to a time of the barrier's own (Error busy).
  [[nodiscard]] virtual Result<std::unique_ptr<LocalTransactionOn<Connection>>> take() = 0;
};

// A participant on one taken connection.
class Turn {
 public:
  virtual ~Turn() = default;
  [[nodiscard]] virtual LocalTransaction& local() = 0;
  // The service's own functions, none of which throws any more.
  [[nodiscard]] virtual Vote prepare(const Branch& branch, ByteView payload) = 0;
  [[nodiscard]] virtual Result<void> end(Call call, const Branch& branch, ByteView payload) = 0;
};

// A participant joined to its barrier, whatever its database.
class Enrolled {
 public:
  virtual ~Enrolled() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<Turn>> take() = 0;

  // For a database that does all of a call at once, register and work, and not by the steps of LocalTransaction.
  // Nothing: it is to be done by the steps. A yes: the register holds it, durably. A no: nothing was done, and the no
  // is to be recorded. An Error: it may have happened; what a repeated call finds is the answer.
  [[nodiscard]] virtual std::optional<Result<Vote>> prepare_at_once(const Branch& /*branch*/, ByteView /*payload*/) {
    return std::nullopt;
  }
  // true: it is done, and the register says so. false: it is to be done by the steps.
  [[nodiscard]] virtual Result<bool> end_at_once(const Branch& /*branch*/, Call /*call*/) { return false; }
};

template <class Connection>
class TurnOn final : public Turn {
 public:
  TurnOn(Participant<Connection>& participant, std::unique_ptr<LocalTransactionOn<Connection>> local)
      : participant_(participant), local_(std::move(local)) {}

  LocalTransaction& local() override { return *local_; }

  Vote prepare(const Branch& branch, ByteView payload) override {
    try {
      return participant_.prepare(branch, local_->connection(), payload);
    } catch (const std::exception& error) {
      return Vote::no("EXCEPTION", error.what());
    } catch (...) {
      return Vote::no("EXCEPTION", "the service's prepare threw something that is no std::exception");
    }
  }

  Result<void> end(Call call, const Branch& branch, ByteView payload) override {
    try {
      return call == Call::commit ? participant_.commit(branch, local_->connection(), payload)
                                  : participant_.abort(branch, local_->connection(), payload);
    } catch (const std::exception& error) {
      return fail(ErrorCode::io, error.what());
    } catch (...) {
      return fail(ErrorCode::io, "the service threw something that is no std::exception");
    }
  }

 private:
  Participant<Connection>& participant_;
  std::unique_ptr<LocalTransactionOn<Connection>> local_;
};

template <class Connection>
class EnrolledOn final : public Enrolled {
 public:
  EnrolledOn(Participant<Connection>& participant, Barrier<Connection>& barrier)
      : participant_(participant), barrier_(barrier) {}

  Result<std::unique_ptr<Turn>> take() override {
    auto local = barrier_.take();
    if (!local) return fail(local.error());
    return std::make_unique<TurnOn<Connection>>(participant_, std::move(*local));
  }

 private:
  Participant<Connection>& participant_;
  Barrier<Connection>& barrier_;
};

}  // namespace assent::service
