// A database as a participant: the gRPC service, its barrier, and what cleans up after what died. For the program
// assent-agent, and for whoever wants it in a process of his own.
//
//   auto agent = Agent::open({.name = "accounts", .database = "postgres://assent@10.0.0.5/bank"}, ask);
//   builder.RegisterService(&(*agent)->service());
//
// Must outlive the server.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "agent/database.h"
#include "agent/sweeper.h"
#include "base/result.h"
#include "service/mariadb_connection.h"
#include "service/resolver.h"

namespace assent::agent {

struct AgentOptions {
  std::string name = {};      // of the participant
  std::string database = {};  // postgres://user:password@host:port/database, or mariadb://...
  std::size_t connections = 40;
  std::chrono::milliseconds max_prepared_age{10'000};  // before the cluster is asked, with seal, what came of it
  std::chrono::milliseconds sweep_interval{2'000};
  std::chrono::milliseconds patience{5'000};  // for connections
  Times times = {};
  std::function<void(const service::Resolved&)> resolved = {};  // told of each look that found something
  std::function<void(const Swept&)> swept = {};
};

class Agent {
 public:
  // ask: what came of a transaction; empty: nobody can be asked, and what is in doubt waits for its coordinator.
  // Refused, each with what to do: what service/*_barrier.h and agent/*_database.h refuse.
  [[nodiscard]] static Result<std::unique_ptr<Agent>> open(const AgentOptions& options, service::AskFate ask);
  virtual ~Agent() = default;

  [[nodiscard]] virtual grpc::Service& service() = 0;
  [[nodiscard]] virtual service::Branches& branches() = 0;
};

// mariadb://user:password@host:port/database?socket=/path, with %XX in the parts. Error malformed says what is missing.
[[nodiscard]] Result<service::mariadb::Address> parse_mariadb(std::string_view url);

}  // namespace assent::agent
