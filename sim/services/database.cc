#include "sim/services/database.h"

#include <algorithm>

#include "base/check.h"

namespace assent::sim {
namespace {

using service::BranchKey;
using service::BranchState;
using service::Register;

std::string lock_of(const BranchKey& key) { return "register " + key.txn.to_hex() + " " + key.name; }

tl::unexpected<Error> busy(const std::string& what) {
  return fail(ErrorCode::busy, "others have " + what + " locked, for longer than a lock is waited for");
}

bool has_ended(const Register& row) { return row.state != BranchState::prepared; }

}  // namespace

std::string_view to_string(Mishap mishap) {
  switch (mishap) {
    case Mishap::none: return "nothing";
    case Mishap::unsent: return "not sent";
    case Mishap::unanswered: return "done and not answered";
    case Mishap::late: return "done late";
    case Mishap::client_dies_before: return "the process dies before it";
    case Mishap::client_dies_after: return "the process dies after it";
    case Mishap::server_dies_before: return "the server dies before it";
    case Mishap::server_dies_after: return "the server dies after it";
  }
  return "?";
}

// ---- life ----

void DatabaseServer::crash() {
  if (!up_) return;
  up_ = false;
  sessions_.clear();
  open_.clear();
  std::map<std::string, std::uint64_t> kept;
  for (const auto& [name, prepared] : prepared_) {
    for (const auto& [lock, owner] : locks_) {
      if (owner == prepared.owner) kept.emplace(lock, owner);
    }
  }
  locks_ = std::move(kept);
  around_.server_died();
}

void DatabaseServer::client_gone(ClientNumber client) {
  std::vector<SessionNumber> all;
  for (const auto& [number, session] : sessions_) {
    if (session.client == client && !session.broken) all.push_back(number);
  }
  for (const SessionNumber session : all) break_off(session);
}

// What it had begun is rolled back when the server notices.
void DatabaseServer::break_off(SessionNumber session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  found->second.broken = true;
  if (!open_.contains(session) || !around_.lingers()) return end_late(session);
  around_.later([this, session] { end_late(session); });
}

void DatabaseServer::end_late(SessionNumber session) {
  if (!sessions_.contains(session)) return;
  static_cast<void>(roll_back(session));
  sessions_.erase(session);
}

Result<SessionNumber> DatabaseServer::connect(ClientNumber client) {
  if (!up_) return fail(ErrorCode::io, "the database does not answer");
  const SessionNumber session = ++last_session_;
  sessions_[session].client = client;
  return session;
}

void DatabaseServer::disconnect(SessionNumber session) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end() && !found->second.broken) end_late(session);
}

Result<void> DatabaseServer::usable(SessionNumber session) const {
  const auto found = sessions_.find(session);
  if (up_ && found != sessions_.end() && !found->second.broken) return {};
  return fail(ErrorCode::io, "the connection to the database is lost");
}

// ---- locks ----

bool DatabaseServer::lock(const std::string& name, std::uint64_t owner) {
  return locks_.try_emplace(name, owner).first->second == owner;
}

void DatabaseServer::unlock_all(std::uint64_t owner) {
  std::erase_if(locks_, [owner](const auto& one) { return one.second == owner; });
}

// ---- transactions ----

Result<DatabaseServer::Open*> DatabaseServer::transaction(SessionNumber session) {
  const auto found = open_.find(session);
  if (found == open_.end()) return fail(ErrorCode::io, "no transaction is open on this connection");
  return &found->second;
}

Result<void> DatabaseServer::begin(SessionNumber session) {
  static_cast<void>(roll_back(session));
  open_[session].owner = ++last_owner_;
  return {};
}

Result<std::optional<Register>> DatabaseServer::load(SessionNumber session, const BranchKey& key) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  const auto own = (*open)->change.registers.find(key);
  if (own != (*open)->change.registers.end()) return std::optional(own->second);
  const auto found = registers_.find(key);
  if (found == registers_.end()) return std::optional<Register>();
  if (!lock(lock_of(key), (*open)->owner)) return busy("the register");
  return std::optional(found->second);
}

Result<bool> DatabaseServer::insert(SessionNumber session, const BranchKey& key, const Register& row) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  if (!lock(lock_of(key), (*open)->owner)) return busy("the register");
  if (registers_.contains(key)) return false;
  return (*open)->change.registers.try_emplace(key, row).second;
}

Result<void> DatabaseServer::update(SessionNumber session, const BranchKey& key, const Register& row) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  if (!lock(lock_of(key), (*open)->owner)) return busy("the register");
  (*open)->change.registers.insert_or_assign(key, row);
  return {};
}

Result<ClusterMillis> DatabaseServer::forgotten_through(SessionNumber session) const {
  if (!open_.contains(session)) return fail(ErrorCode::io, "no transaction is open on this connection");
  return forgotten_through_;
}

Result<void> DatabaseServer::savepoint(SessionNumber session) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  (*open)->before_work = (*open)->change;
  return {};
}

Result<void> DatabaseServer::release(SessionNumber session) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  (*open)->before_work.reset();
  return {};
}

Result<void> DatabaseServer::roll_back_to(SessionNumber session) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  if ((*open)->before_work) (*open)->change = *(*open)->before_work;
  return {};
}

Result<void> DatabaseServer::add(SessionNumber session, const Effect& effect) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  (*open)->change.effects.push_back(effect);
  return {};
}

Result<void> DatabaseServer::add(SessionNumber session, const std::string& account, std::int64_t amount) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  if (!lock("account " + account, (*open)->owner)) return busy("account " + account);
  (*open)->change.sums[account] += amount;
  return {};
}

Result<void> DatabaseServer::mark(SessionNumber session, const std::string& name, const Marker& marker) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  if (!lock("marker " + name, (*open)->owner)) return busy("the marker");
  if (markers_.contains(name)) return fail(ErrorCode::conflict, "the marker is there already");
  (*open)->change.markers.emplace(name, marker);
  return {};
}

Result<bool> DatabaseServer::try_lock(SessionNumber session, const std::string& name) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  return lock(name, (*open)->owner);
}

void DatabaseServer::apply(const Change& change) {
  for (const auto& [key, row] : change.registers) registers_.insert_or_assign(key, row);
  for (const BranchKey& key : change.forgotten) registers_.erase(key);
  if (change.horizon) forgotten_through_ = std::max(forgotten_through_, *change.horizon);
  for (const auto& [account, amount] : change.sums) sums_[account] += amount;
  for (const auto& [name, marker] : change.markers) markers_.emplace(name, marker);
  around_.committed(change);
}

Result<void> DatabaseServer::commit(SessionNumber session) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  const Open done = std::move(**open);
  open_.erase(session);
  unlock_all(done.owner);
  apply(done.change);
  return {};
}

Result<void> DatabaseServer::roll_back(SessionNumber session) {
  const auto found = open_.find(session);
  if (found == open_.end()) return {};
  unlock_all(found->second.owner);
  open_.erase(found);
  return {};
}

Result<void> DatabaseServer::prepare(SessionNumber session, const std::string& name) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  if (prepared_.contains(name)) return fail(ErrorCode::conflict, "a transaction of this name is prepared already");
  const Prepared& made = prepared_[name] = Prepared{std::move((*open)->change), (*open)->owner, around_.now()};
  open_.erase(session);
  around_.prepared(name, made.change);
  return {};
}

Result<bool> DatabaseServer::finish(const std::string& name, bool commit) {
  const auto found = prepared_.find(name);
  if (found == prepared_.end()) return false;
  const Prepared done = std::move(found->second);
  prepared_.erase(found);
  unlock_all(done.owner);
  if (commit) {
    apply(done.change);
  } else {
    around_.rolled_back(name, done.change);
  }
  return true;
}

// ---- forgetting ----

Result<std::size_t> DatabaseServer::forget_rows(SessionNumber session, const service::Horizon& horizon,
                                                std::size_t at_most) {
  auto open = transaction(session);
  if (!open) return fail(open.error());
  Change& change = (*open)->change;
  for (const auto& [key, row] : registers_) {
    if (change.forgotten.size() >= at_most) break;
    if (!has_ended(row) || row.changed_at >= horizon.ended || key.txn.created() >= horizon.created) continue;
    if (!lock(lock_of(key), (*open)->owner)) continue;
    change.forgotten.push_back(key);
    change.horizon = std::max(change.horizon.value_or(ClusterMillis(0)), key.txn.created());
  }
  return change.forgotten.size();
}

void DatabaseServer::forget_markers(ClusterMillis before) {
  std::erase_if(markers_, [&](const auto& one) {
    return one.second.branch.txn.created() < before && !registers_.contains(one.second.branch);
  });
}

}  // namespace assent::sim
