// The order service's process.
//
//   order-service --listen 127.0.0.1:7001 --database orders.db --endpoints 127.0.0.1:7420
//   order-service --audit --database orders.db       what its books say, as JSON
//
// Ends on SIGTERM or SIGINT; killed at any moment, it goes on after a restart as if nothing had been.
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>

#include "client/client.h"
#include "examples/order_service/order/order_service.h"
#include "service/ask_coordinator.h"
#include "service/participant_host.h"
#include "service/resolver.h"
#include "service/sqlite_barrier.h"

namespace {

using shop::OrderService;

struct Flags {
  std::string listen = "127.0.0.1:7001";
  std::string database = "orders.db";
  std::string endpoints = "127.0.0.1:7420";
  bool audit = false;
};

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Database = std::unique_ptr<sqlite3, Close>;

int complain(const std::string& what) {
  std::fprintf(stderr, "order-service: %s\n", what.c_str());
  return 1;
}

Database open_database(const std::string& path) {
  sqlite3* opened = nullptr;
  sqlite3_open(path.c_str(), &opened);
  sqlite3_busy_timeout(opened, 10'000);
  return Database(opened);
}

int audit(const Flags& flags) {
  const Database database = open_database(flags.database);
  const auto books = OrderService::books(*database);
  if (!books) return complain(flags.database + ": " + books.error().message);
  std::printf("{\"service\":\"order\",\"pending\":%lld,\"placed\":%lld,\"quantity\":%lld,\"amount\":%lld}\n",
              static_cast<long long>(books->pending), static_cast<long long>(books->placed),
              static_cast<long long>(books->quantity), static_cast<long long>(books->amount));
  return 0;
}

int serve(const Flags& flags) {
  using namespace assent;
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // of every thread that is to come

  const auto barrier = service::SqliteBarrier::open({.path = flags.database});
  if (!barrier) return complain(flags.database + ": " + barrier.error().message);
  const Database tables = open_database(flags.database);
  if (const auto made = OrderService::make_table(*tables); !made) return complain(made.error().message);
  const auto endpoints = client::parse_endpoints(flags.endpoints);
  if (!endpoints) return complain("--endpoints: " + endpoints.error().text());
  client::Options options;
  options.endpoints = *endpoints;
  auto cluster = client::Client::connect(options);
  if (!cluster) return complain(cluster.error().text());

  OrderService orders;
  service::ParticipantHost host({.name = "order"}, orders, **barrier);
  const service::Resolver resolver(host.branches(), service::ask_coordinator(*cluster));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(flags.listen, grpc::InsecureServerCredentials());
  builder.RegisterService(&host.service());
  const auto server = builder.BuildAndStart();
  if (!server) return complain("cannot listen on " + flags.listen);
  std::printf("order service on %s\n", flags.listen.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  server->Shutdown();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("The order service of the example");
  app.add_option("--listen", flags.listen, "Where its participant service listens")->type_name("HOST:PORT");
  app.add_option("--database", flags.database, "Its SQLite database")->type_name("FILE");
  app.add_option("--endpoints", flags.endpoints, "The cluster, to ask what came of a transaction")->type_name("LIST");
  app.add_flag("--audit", flags.audit, "Print what its books say, and end");
  CLI11_PARSE(app, argc, argv);
  return flags.audit ? audit(flags) : serve(flags);
}
