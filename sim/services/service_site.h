// A service as the cluster meets it: an address, a database that outlives crashes, and one or two processes before it.
// What a process does with a call is production code (service::Branches; before a database agent::SqlParticipant, the
// sweep and the doubts); what is modelled is the database, the author's own work, and life: each request to the
// database may break, and each process may die before or after it, and come back.
//
// Calls wait a moment before they are handled, and one may be handled in the middle of another: at any request of one
// call, as threads and processes would have it. One thread; whatever is drawn comes from the site's own Rng.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/sql_participant.h"
#include "agent/sweep.h"
#include "base/rng.h"
#include "service/branches.h"
#include "service/doubts.h"
#include "sim/client.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "sim/services/connection.h"
#include "sim/services/database.h"
#include "sim/services/script.h"
#include "sim/swarm.h"

namespace assent::sim {

struct SiteCall {
  service::Call call = service::Call::prepare;
  service::Branch branch;
  Bytes payload;
  // Not called when nobody answers.
  std::function<void(const service::Answer&)> answered;
};

// Is told what became durable, in the order in which it did.
class SiteSurroundings {
 public:
  virtual ~SiteSurroundings() = default;
  virtual void committed(const std::string& site, const Change& change) = 0;
  virtual void prepared(const std::string& site, const std::string& name, const Change& change) = 0;
  virtual void rolled_back(const std::string& site, const std::string& name) = 0;
};

class ServiceSite final : private DatabaseSurroundings {
 public:
  using MakeClient = std::function<std::unique_ptr<Client>(const std::string& label)>;
  struct Around {
    const Swarm& swarm;
    Schedule& schedule;
    Recorder& recorder;
    SiteSurroundings& judge;
    GroupId coordinator;
    const MakeClient& make_client;
    ServiceScript* script = nullptr;  // none: what breaks is drawn
  };

  ServiceSite(const ServiceSpec& spec, const Around& around, Rng rng);
  ~ServiceSite() override;

  [[nodiscard]] const ServiceSpec& spec() const { return spec_; }
  // Everything is up, and nothing breaks until begin().
  void start();
  void begin();
  void heal();
  // Whether anybody would take a call now.
  [[nodiscard]] bool reachable() const;
  void arrive(SiteCall call);
  void die(Rng& rng);  // one of its processes, or its database

  // What is not at rest; empty when everything is.
  [[nodiscard]] std::string unrest() const;
  [[nodiscard]] const DatabaseServer& database() const { return database_; }

 private:
  struct Life;
  struct Process {
    unsigned number = 0;
    std::shared_ptr<Life> life;  // none: it is down
    std::unique_ptr<Client> client;
  };

  // ---- DatabaseSurroundings ----
  Mishap before_request(ClientNumber client, std::string_view request) override;
  void client_died(ClientNumber client) override;
  void server_died() override;
  bool lingers() override { return script_ == nullptr && breaks_ && rng_.chance(0.5); }
  void later(std::function<void()> act) override;
  ClusterMillis now() override;
  void committed(const Change& change) override { around_.judge.committed(spec_.name, change); }
  void prepared(const std::string& name, const Change& change) override {
    around_.judge.prepared(spec_.name, name, change);
  }
  void rolled_back(const std::string& name, const Change&) override { around_.judge.rolled_back(spec_.name, name); }

  void start(Process& process);
  void kill(Process& process);
  void restart_later(Process& process);
  [[nodiscard]] Micros absence(bool perhaps_long);
  [[nodiscard]] Mood mood(std::string_view what);
  void handle_one(bool in_the_middle);
  void handle(const SiteCall& call);
  void look(unsigned number, ClientNumber client);
  [[nodiscard]] Result<service::Fate> ask(Process& process, const service::InDoubt& one);
  [[nodiscard]] Process* anybody();

  const ServiceSpec spec_;
  const Around around_;
  const Swarm& swarm_;
  Schedule& schedule_;
  Recorder& recorder_;
  ServiceScript* const script_;
  Rng rng_;
  DatabaseServer database_;
  std::vector<Process> processes_;
  std::list<SiteCall> inbox_;
  ClientNumber last_client_ = 0;
  unsigned depth_ = 0;  // of calls that are handled in the middle of others
  unsigned late_ = 0;   // statements under way that nobody waits for
  bool breaks_ = false;
};

}  // namespace assent::sim
