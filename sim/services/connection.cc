#include "sim/services/connection.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/promise.h"

namespace assent::sim {
namespace {

using service::Branch;
using service::BranchKey;
using service::BranchState;
using service::Call;
using service::Register;
using service::Vote;

constexpr std::string_view effect_text = "INSERT INTO effects";
constexpr std::string_view account_text = "UPDATE accounts";
constexpr std::string_view failing_text = "UPDATE nothing";

std::optional<std::pair<std::string, Register>> promise_in(const DatabaseServer& database, const BranchKey& key) {
  const std::string start = agent::promises_of(key.txn, database.identity());
  for (const auto& [name, prepared] : database.prepared()) {
    const auto promise = agent::promise_from(name);
    if (!name.starts_with(start) || !promise || promise->branch != key.name) continue;
    Register out;
    out.state = BranchState::prepared;
    out.attempt = promise->attempt;
    out.coordinator = promise->coordinator;
    out.changed_at = prepared.since;
    return std::pair(name, out);
  }
  return std::nullopt;
}

class Local final : public service::LocalTransactionOn<Connection> {
 public:
  Local(std::unique_ptr<Connection> connection, bool promises)
      : connection_(std::move(connection)), promises_(promises) {}

  Connection& connection() override { return *connection_; }

  Result<void> begin(service::Access) override {
    return connection_->ask<void>("BEGIN", [](DatabaseServer& db, SessionNumber at) { return db.begin(at); });
  }
  // First what is prepared, then the rows: what is committed in between is seen as a row.
  Result<std::optional<Register>> load(const BranchKey& key) override {
    std::optional<Register> promised;
    if (promises_) {
      auto found = connection_->ask<std::optional<Register>>(
          "SELECT of what is prepared", [key](DatabaseServer& db, SessionNumber) -> Result<std::optional<Register>> {
            auto one = promise_in(db, key);
            return one ? std::optional(std::move(one->second)) : std::nullopt;
          });
      if (!found) return found;
      promised = std::move(*found);
    }
    auto row = connection_->ask<std::optional<Register>>(
        "SELECT of the register", [key](DatabaseServer& db, SessionNumber at) { return db.load(at, key); });
    promised_ = row && !*row && promised;
    return promised_ ? Result<std::optional<Register>>(std::move(promised)) : std::move(row);
  }
  Result<bool> insert(const BranchKey& key, const Register& row) override {
    return connection_->ask<bool>("INSERT of the register",
                                  [key, row](DatabaseServer& db, SessionNumber at) { return db.insert(at, key, row); });
  }
  Result<void> update(const BranchKey& key, const Register& row) override {
    if (promised_) return fail(ErrorCode::conflict, "the branch was prepared just now");
    return connection_->ask<void>("UPDATE of the register",
                                  [key, row](DatabaseServer& db, SessionNumber at) { return db.update(at, key, row); });
  }
  Result<ClusterMillis> forgotten_through() override {
    return connection_->ask<ClusterMillis>(
        "SELECT of the horizon", [](DatabaseServer& db, SessionNumber at) { return db.forgotten_through(at); });
  }
  Result<void> begin_work() override {
    return connection_->ask<void>("SAVEPOINT", [](DatabaseServer& db, SessionNumber at) { return db.savepoint(at); });
  }
  Result<void> keep_work() override {
    return connection_->ask<void>("RELEASE", [](DatabaseServer& db, SessionNumber at) { return db.release(at); });
  }
  Result<void> undo_work() override {
    return connection_->ask<void>("ROLLBACK TO",
                                  [](DatabaseServer& db, SessionNumber at) { return db.roll_back_to(at); });
  }
  Result<void> commit() override {
    return connection_->ask<void>("COMMIT", [](DatabaseServer& db, SessionNumber at) { return db.commit(at); });
  }
  void rollback() override {
    static_cast<void>(
        connection_->ask<void>("ROLLBACK", [](DatabaseServer& db, SessionNumber at) { return db.roll_back(at); }));
  }
  Result<std::vector<service::InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) override {
    const bool promises = promises_;
    return connection_->ask<std::vector<service::InDoubt>>(
        "SELECT of what is in doubt",
        [before, at_most, promises](DatabaseServer& db, SessionNumber) -> Result<std::vector<service::InDoubt>> {
          std::vector<service::InDoubt> all;
          for (const auto& [key, row] : db.registers()) {
            if (row.state != BranchState::prepared || row.changed_at > before || !row.attempt) continue;
            all.push_back({key, *row.attempt, row.coordinator, row.changed_at});
          }
          for (const auto& [name, prepared] : db.prepared()) {
            const auto promise = agent::promise_from(name);
            if (!promises || !promise || prepared.since > before) continue;
            all.push_back({{promise->txn, promise->branch}, promise->attempt, promise->coordinator, prepared.since});
          }
          std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.since < b.since; });
          if (all.size() > at_most) all.resize(at_most);
          return all;
        });
  }
  Result<std::size_t> forget_rows(const service::Horizon& horizon, std::size_t at_most) override {
    return connection_->ask<std::size_t>(
        "DELETE of old registers",
        [horizon, at_most](DatabaseServer& db, SessionNumber at) { return db.forget_rows(at, horizon, at_most); });
  }

 private:
  const std::unique_ptr<Connection> connection_;
  const bool promises_;
  bool promised_ = false;
};

}  // namespace

Result<void> record(Connection& connection, Effect::Kind kind, const BranchKey& branch) {
  return connection.ask<void>("INSERT of the effect", [kind, branch](DatabaseServer& db, SessionNumber at) {
    return db.add(at, Effect{kind, branch});
  });
}

Result<void> add(Connection& connection, const std::string& account, std::int64_t amount) {
  return connection.ask<void>("UPDATE of the account", [account, amount](DatabaseServer& db, SessionNumber at) {
    return db.add(at, account, amount);
  });
}

Result<std::unique_ptr<service::LocalTransactionOn<Connection>>> SimBarrier::take() {
  auto session = database_.connect(client_);
  if (!session) return fail(session.error());
  return std::make_unique<Local>(std::make_unique<Connection>(database_, *session), promises_);
}

// ---- a database that prepares ----

Result<std::unique_ptr<Connection>> PreparingDatabase::connect() {
  auto session = database_.connect(client_);
  if (!session) return fail(session.error());
  return std::make_unique<Connection>(database_, *session);
}

Result<std::optional<Vote>> PreparingDatabase::work_in(Connection& connection, const agent::Work& work) {
  for (const agent::Statement& statement : work.statements) {
    const auto text = [&](std::size_t i) { return std::get<std::string>(statement.params.at(i)); };
    Result<void> done;
    if (statement.sql.starts_with(failing_text)) return std::optional(Vote::no("ROWS", "0 rows instead of 1"));
    if (statement.sql.starts_with(effect_text)) {
      const auto txn = TxnId::from_hex(text(0));
      done = record(connection, Effect::Kind::did, {txn.value_or(TxnId{}), text(1)});
    } else {
      done = add(connection, text(0), std::get<std::int64_t>(statement.params.at(1)));
    }
    if (done) continue;
    if (done.error().code != ErrorCode::busy) return fail(done.error());
    return std::optional(Vote::no("SQL_1205", done.error().message));
  }
  return std::optional<Vote>();
}

// As MariaDB does: in a transaction of its own, on another connection than the register's.
Vote PreparingDatabase::prepare(const agent::Gid& gid, const Branch& branch, const agent::Work& work) {
  auto connection = connect();
  if (!connection) return Vote::no("UNAVAILABLE", connection.error().message);
  const std::string name = gid.text();
  const Marker marker{{branch.txn, branch.name}, branch.attempt};
  const auto lost = [](const Error& error) { return Vote::no("CONNECTION_LOST", error.message); };
  if (auto begun =
          (*connection)->ask<void>("XA START", [](DatabaseServer& db, SessionNumber at) { return db.begin(at); });
      !begun) {
    return lost(begun.error());
  }
  if (auto marked =
          (*connection)
              ->ask<void>("INSERT of the marker",
                          [name, marker](DatabaseServer& db, SessionNumber at) { return db.mark(at, name, marker); });
      !marked) {
    return lost(marked.error());
  }
  const auto refused = work_in(**connection, work);
  if (!refused) return lost(refused.error());
  if (*refused) {
    static_cast<void>(
        (*connection)->ask<void>("XA ROLLBACK", [](DatabaseServer& db, SessionNumber at) { return db.roll_back(at); }));
    return **refused;
  }
  const auto prepared = (*connection)->ask<void>("XA PREPARE", [name](DatabaseServer& db, SessionNumber at) {
    return db.prepare(at, name);
  });
  return prepared ? Vote::yes() : lost(prepared.error());
}

Result<bool> PreparingDatabase::end(const std::string& name, Call call) {
  auto connection = connect();
  if (!connection) return fail(connection.error());
  const bool commit = call == Call::commit;
  return (*connection)
      ->ask<bool>(commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED",
                  [name, commit](DatabaseServer& db, SessionNumber) { return db.finish(name, commit); });
}

Result<bool> PreparingDatabase::finish(const agent::Gid& gid, Call call) { return end(gid.text(), call); }

Result<bool> PreparingDatabase::committed(const agent::Gid& gid) {
  auto connection = connect();
  if (!connection) return fail(connection.error());
  return (*connection)->ask<bool>("SELECT of the marker", [name = gid.text()](DatabaseServer& db, SessionNumber) {
    return Result<bool>(db.markers().contains(name));
  });
}

Result<std::vector<std::string>> PreparingDatabase::prepared() {
  auto connection = connect();
  if (!connection) return fail(connection.error());
  return (*connection)
      ->ask<std::vector<std::string>>("SELECT of what is prepared", [](DatabaseServer& db, SessionNumber) {
        std::vector<std::string> names;
        for (const auto& [name, one] : db.prepared()) names.push_back(name);
        return Result<std::vector<std::string>>(std::move(names));
      });
}

Result<std::vector<agent::KnownRegister>> PreparingDatabase::registers_of(const TxnId& txn) {
  using All = std::vector<agent::KnownRegister>;
  auto connection = connect();
  if (!connection) return fail(connection.error());
  return (*connection)->ask<All>("SELECT of the registers", [txn](DatabaseServer& db, SessionNumber) {
    All all;
    for (const auto& [key, row] : db.registers()) {
      if (key.txn == txn) all.push_back({key.name, row.state, row.attempt});
    }
    return Result<All>(std::move(all));
  });
}

Result<std::vector<agent::Unrecorded>> PreparingDatabase::unrecorded() {
  using All = std::vector<agent::Unrecorded>;
  auto connection = connect();
  if (!connection) return fail(connection.error());
  return (*connection)->ask<All>("SELECT of markers beside registers", [](DatabaseServer& db, SessionNumber) {
    All all;
    for (const auto& [name, marker] : db.markers()) {
      const auto row = db.registers().find(marker.branch);
      if (row == db.registers().end() || row->second.state != BranchState::prepared) continue;
      if (row->second.attempt == marker.attempt) all.push_back({marker.branch, marker.attempt});
    }
    return Result<All>(std::move(all));
  });
}

Result<void> PreparingDatabase::forget_markers(ClusterMillis before) {
  auto connection = connect();
  if (!connection) return fail(connection.error());
  return (*connection)->ask<void>("DELETE of old markers", [before](DatabaseServer& db, SessionNumber) {
    db.forget_markers(before);
    return Result<void>();
  });
}

Result<void> PreparingDatabase::fence(Connection& registers, const std::string& branch) {
  const auto taken = registers.ask<bool>(
      "the fence", [name = "fence " + branch](DatabaseServer& db, SessionNumber at) { return db.try_lock(at, name); });
  if (!taken) return fail(taken.error());
  if (!*taken) return fail(ErrorCode::busy, "somebody else has the fence of the branch");
  return {};
}

// ---- in one step, as PostgreSQL ----

std::optional<Result<Vote>> PreparingDatabase::prepare_at_once(const Branch& branch, ByteView payload) {
  if (!promises_) return std::nullopt;
  const auto promised = agent::promise_of(branch, identity());
  const auto work = agent::read_work(payload, dialect());
  if (!promised || !work) return std::nullopt;
  return promise(promised->text(), branch, *work);
}

// The register's row, the work and what is prepared are one transaction.
std::optional<Result<Vote>> PreparingDatabase::promise(const std::string& name, const Branch& branch,
                                                       const agent::Work& work) {
  auto connection = connect();
  if (!connection) return Result<Vote>(fail(connection.error()));
  const BranchKey key{branch.txn, branch.name};
  Register row;
  row.state = BranchState::committed;
  row.attempt = branch.attempt;
  row.coordinator = branch.coordinator;
  const auto begun =
      (*connection)
          ->ask<bool>("BEGIN with the register", [key, row](DatabaseServer& db, SessionNumber at) -> Result<bool> {
            if (auto done = db.begin(at); !done) return fail(done.error());
            const auto lock = db.try_lock(at, "promise " + key.txn.to_hex() + key.name);
            if (!lock || !*lock) return lock;
            Register now = row;
            const auto inserted = db.insert(at, key, now);
            if (!inserted && inserted.error().code == ErrorCode::busy) return false;
            if (!inserted || !*inserted) return inserted;
            const auto through = db.forgotten_through(at);
            if (!through) return fail(through.error());
            return *through < key.txn.created();
          });
  if (!begun) return Result<Vote>(fail(begun.error()));
  if (!*begun)
    return std::nullopt;  // its register is there, or somebody is at it, or it is too old: the steps find out
  const auto refused = work_in(**connection, work);
  if (!refused) return Result<Vote>(fail(refused.error()));
  if (*refused) return Result<Vote>(**refused);
  const auto prepared = (*connection)->ask<void>("PREPARE TRANSACTION", [name](DatabaseServer& db, SessionNumber at) {
    return db.prepare(at, name);
  });
  if (!prepared) return Result<Vote>(fail(prepared.error()));
  return Result<Vote>(Vote::yes());
}

Result<bool> PreparingDatabase::end_at_once(const Branch& branch, Call call) {
  if (!promises_) return false;
  const auto promised = agent::promise_of(branch, identity());
  if (!promised) return false;
  auto done = end(promised->text(), call);
  if (!done) return done;
  // After a rollback the steps find an empty register, and record the abort.
  return *done && call == Call::commit;
}

Bytes statements_of(const BranchKey& branch, const std::string& account, std::int64_t amount, bool fails) {
  nlohmann::json all = nlohmann::json::array();
  all.push_back({{"sql", account_text}, {"params", {account, amount}}, {"rows", 1}});
  all.push_back({{"sql", effect_text}, {"params", {branch.txn.to_hex(), branch.name}}});
  if (fails) all.push_back({{"sql", failing_text}, {"rows", 1}});
  return nlohmann::json{{"statements", all}}.dump();
}

}  // namespace assent::sim
