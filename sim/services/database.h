// A database server as a deterministic model, with what services and agents keep in one: the barrier's registers, the
// effects of their work, markers, and transactions that are left prepared. Local transactions have locks that do not
// wait (a lock that others hold is "busy", as a lock time-out says); what is committed or prepared survives a crash,
// and what is neither does not.
//
// Every request may go wrong (Mishap): not sent, done and not answered, done when nobody waits for it any more, and the
// process that asks or the server itself may die before or after. What is drawn is the surroundings' business, as is
// what else happens just then: other calls may run in the middle of one. One thread, no clock of its own.
//
// Invariants: what the surroundings are told to be durable is so, in that order; a lock has one owner; a transaction
// that is prepared keeps its locks until it is finished.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "service/barrier.h"
#include "service/register.h"

namespace assent::sim {

// One life of a process that has connections.
using ClientNumber = std::uint64_t;
using SessionNumber = std::uint64_t;

enum class Mishap : std::uint8_t {
  none,
  unsent,              // the connection breaks before the server hears of it
  unanswered,          // the server does it, and the connection breaks
  late,                // the connection breaks, and the server does it some time later
  client_dies_before,  // whoever asks
  client_dies_after,
  server_dies_before,
  server_dies_after,
};
[[nodiscard]] std::string_view to_string(Mishap mishap);

// What a branch's work does to the service's data, to be counted.
struct Effect {
  enum class Kind : std::uint8_t { did, confirmed, undone };
  Kind kind = Kind::did;
  service::BranchKey branch;
  bool operator==(const Effect&) const = default;
};

struct Marker {
  service::BranchKey branch;
  service::Attempt attempt;
  bool operator==(const Marker&) const = default;
};

// What one transaction writes.
struct Change {
  std::map<service::BranchKey, service::Register> registers;
  std::vector<service::BranchKey> forgotten;
  std::optional<ClusterMillis> horizon;  // with forgotten
  std::vector<Effect> effects;
  std::map<std::string, std::int64_t> sums;  // account by account
  std::map<std::string, Marker> markers;     // by the name of what is prepared
};

class DatabaseSurroundings {
 public:
  virtual ~DatabaseSurroundings() = default;
  // What comes of the request that is about to be sent. Other requests, and deaths, may happen inside.
  [[nodiscard]] virtual Mishap before_request(ClientNumber client, std::string_view request) = 0;
  virtual void client_died(ClientNumber client) = 0;
  virtual void server_died() = 0;
  // Of a connection that broke: whether the server has yet to notice it.
  [[nodiscard]] virtual bool lingers() = 0;
  virtual void later(std::function<void()> act) = 0;
  [[nodiscard]] virtual ClusterMillis now() = 0;
  // In this order.
  virtual void committed(const Change& change) = 0;
  virtual void prepared(const std::string& name, const Change& change) = 0;
  virtual void rolled_back(const std::string& name, const Change& change) = 0;  // of what was prepared
};

class DatabaseServer {
 public:
  struct Prepared {
    Change change;
    std::uint64_t owner = 0;
    ClusterMillis since;
  };

  // identity: of the barrier in it, 32 hex digits.
  DatabaseServer(std::string identity, DatabaseSurroundings& around)
      : identity_(std::move(identity)), around_(around) {}
  DatabaseServer(const DatabaseServer&) = delete;
  DatabaseServer& operator=(const DatabaseServer&) = delete;

  [[nodiscard]] const std::string& identity() const { return identity_; }
  [[nodiscard]] bool up() const { return up_; }
  void crash();
  void start() { up_ = true; }
  // All connections of it break.
  void client_gone(ClientNumber client);

  // ---- from a client ----
  [[nodiscard]] Result<SessionNumber> connect(ClientNumber client);
  void disconnect(SessionNumber session);
  // The server does it, or something goes wrong. act must hold nothing that may be gone later.
  template <class T>
  [[nodiscard]] Result<T> request(SessionNumber session, std::string_view what, std::function<Result<T>()> act);

  // ---- what the server does: inside of request() ----
  [[nodiscard]] Result<void> begin(SessionNumber session);
  [[nodiscard]] Result<std::optional<service::Register>> load(SessionNumber session, const service::BranchKey& key);
  [[nodiscard]] Result<bool> insert(SessionNumber session, const service::BranchKey& key, const service::Register& row);
  [[nodiscard]] Result<void> update(SessionNumber session, const service::BranchKey& key, const service::Register& row);
  [[nodiscard]] Result<ClusterMillis> forgotten_through(SessionNumber session) const;
  [[nodiscard]] Result<void> savepoint(SessionNumber session);
  [[nodiscard]] Result<void> release(SessionNumber session);
  [[nodiscard]] Result<void> roll_back_to(SessionNumber session);
  [[nodiscard]] Result<void> add(SessionNumber session, const Effect& effect);
  [[nodiscard]] Result<void> add(SessionNumber session, const std::string& account, std::int64_t amount);
  [[nodiscard]] Result<void> mark(SessionNumber session, const std::string& name, const Marker& marker);
  // Until the end of the transaction. false: somebody else has it.
  [[nodiscard]] Result<bool> try_lock(SessionNumber session, const std::string& name);
  [[nodiscard]] Result<void> commit(SessionNumber session);
  [[nodiscard]] Result<void> roll_back(SessionNumber session);
  // Leaves the transaction prepared.
  [[nodiscard]] Result<void> prepare(SessionNumber session, const std::string& name);
  // false: nothing of the name is prepared.
  [[nodiscard]] Result<bool> finish(const std::string& name, bool commit);
  [[nodiscard]] Result<std::size_t> forget_rows(SessionNumber session, const service::Horizon& horizon,
                                                std::size_t at_most);
  void forget_markers(ClusterMillis before);

  // ---- looking, as the server or as a judge ----
  [[nodiscard]] const std::map<service::BranchKey, service::Register>& registers() const { return registers_; }
  [[nodiscard]] const std::map<std::string, Prepared>& prepared() const { return prepared_; }
  [[nodiscard]] const std::map<std::string, Marker>& markers() const { return markers_; }
  [[nodiscard]] std::size_t open() const { return open_.size(); }

 private:
  struct Open {
    std::uint64_t owner = 0;
    Change change;
    std::optional<Change> before_work;
  };
  struct Session {
    ClientNumber client = 0;
    bool broken = false;
  };

  [[nodiscard]] Result<void> usable(SessionNumber session) const;
  [[nodiscard]] Result<Open*> transaction(SessionNumber session);
  [[nodiscard]] bool lock(const std::string& name, std::uint64_t owner);
  void unlock_all(std::uint64_t owner);
  void apply(const Change& change);
  void break_off(SessionNumber session);
  void end_late(SessionNumber session);

  const std::string identity_;
  DatabaseSurroundings& around_;
  bool up_ = true;
  std::uint64_t last_session_ = 0;
  std::uint64_t last_owner_ = 0;
  std::map<SessionNumber, Session> sessions_;
  std::map<SessionNumber, Open> open_;
  std::map<std::string, std::uint64_t> locks_;

  std::map<service::BranchKey, service::Register> registers_;
  ClusterMillis forgotten_through_;
  std::map<std::string, std::int64_t> sums_;
  std::map<std::string, Marker> markers_;
  std::map<std::string, Prepared> prepared_;
};

template <class T>
Result<T> DatabaseServer::request(SessionNumber session, std::string_view what, std::function<Result<T>()> act) {
  if (auto fit = usable(session); !fit) return fail(fit.error());
  const ClientNumber client = sessions_.at(session).client;
  const Mishap mishap = around_.before_request(client, what);
  if (auto fit = usable(session); !fit) return fail(fit.error());  // others have died meanwhile
  const auto lost = [&what] {
    return fail(ErrorCode::io, "the connection to the database was lost at " + std::string(what));
  };
  switch (mishap) {
    case Mishap::none: return act();
    case Mishap::unsent: break_off(session); return lost();
    case Mishap::unanswered:
      static_cast<void>(act());
      break_off(session);
      return lost();
    case Mishap::late:
      sessions_.at(session).broken = true;
      around_.later([this, session, act = std::move(act)] {
        if (!sessions_.contains(session)) return;  // the server has died since
        static_cast<void>(act());
        end_late(session);
      });
      return lost();
    case Mishap::client_dies_before: around_.client_died(client); return lost();
    case Mishap::client_dies_after:
      static_cast<void>(act());
      around_.client_died(client);
      return lost();
    case Mishap::server_dies_before: crash(); return lost();
    case Mishap::server_dies_after:
      static_cast<void>(act());
      crash();
      return lost();
  }
  return lost();
}

}  // namespace assent::sim
