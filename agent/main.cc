// assent-agent: stands before a PostgreSQL or MariaDB server and takes part in transactions. Exit codes: 0 ended as
// asked, 1 an error, 2 usage.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "client/client.h"
#include "server/log.h"
#include "service/ask_coordinator.h"

namespace {

using namespace assent;

constexpr int pollers_max = 32;

struct Arguments {
  std::string listen = "127.0.0.1:7430";
  std::string endpoints;
  std::string log_format = "text";
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  agent::AgentOptions options;
  double max_prepared_age = 10;
  double lock_timeout = 3;
  double statement_timeout = 10;
  double sweep_interval = 2;
};

std::chrono::milliseconds millis(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("--name", arguments.options.name, "the participant's name, as transactions call it")->required();
  app.add_option("--database", arguments.options.database,
                 "postgres://user:password@host:port/database or mariadb://...; also ASSENT_DATABASE")
      ->envname("ASSENT_DATABASE")
      ->required();
  app.add_option("--listen", arguments.listen, "host:port for coordinators")->capture_default_str();
  app.add_option("--endpoints", arguments.endpoints,
                 "host:port, ... of the cluster, to ask what came of transactions; without, what is in doubt waits")
      ->envname("ASSENT_ENDPOINTS");
  app.add_option("--connections", arguments.options.connections, "to the database, at most; a quarter of it prepares")
      ->capture_default_str()
      ->check(CLI::Range(10, 10'000));
  const auto seconds = CLI::Range(0.1, 86'400.0);
  app.add_option("--max-prepared-age", arguments.max_prepared_age,
                 "seconds that something stays prepared before the cluster is asked to decide")
      ->capture_default_str()
      ->check(seconds);
  app.add_option("--sweep-interval", arguments.sweep_interval, "seconds between two looks at what is prepared")
      ->capture_default_str()
      ->check(seconds);
  app.add_option("--lock-timeout", arguments.lock_timeout, "seconds that a statement waits for a lock")
      ->capture_default_str()
      ->check(seconds);
  app.add_option("--statement-timeout", arguments.statement_timeout, "seconds that a statement may take")
      ->capture_default_str()
      ->check(seconds);
  app.add_option("--log-format", arguments.log_format, "text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  CLI::Option* const cert =
      app.add_option("--tls-cert", arguments.tls_cert, "file in PEM of its certificate: it is called by TLS then")
          ->check(CLI::ExistingFile);
  CLI::Option* const key =
      app.add_option("--tls-key", arguments.tls_key, "file in PEM of the certificate's key")->check(CLI::ExistingFile);
  cert->needs(key);
  key->needs(cert);
  app.add_option("--tls-client-ca", arguments.tls_client_ca,
                 "file in PEM: only who has a certificate that is signed there is answered")
      ->check(CLI::ExistingFile)
      ->needs(cert);
}

std::string content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const Arguments& arguments) {
  if (arguments.tls_cert.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs = {{content_of(arguments.tls_key), content_of(arguments.tls_cert)}};
  if (!arguments.tls_client_ca.empty()) {
    options.pem_root_certs = content_of(arguments.tls_client_ca);
    options.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return grpc::SslServerCredentials(options);
}

void tell_swept(const agent::Swept& swept) {
  LogEvent event(swept.orphans.empty() && swept.trouble.empty() ? LogLevel::info : LogLevel::warn, "sweeper",
                 "looked at what is prepared");
  event.field("rolled_back", swept.rolled_back).field("recorded", swept.recorded).field("foreign", swept.foreign);
  if (!swept.trouble.empty()) event.field("trouble", swept.trouble);
  event.write();
  for (const std::string& orphan : swept.orphans) {
    LogEvent(LogLevel::warn, "sweeper", "an orphan, which is not touched").field("gid", orphan).write();
  }
}

void tell_resolved(const service::Resolved& resolved) {
  LogEvent event(resolved.open == 0 ? LogLevel::info : LogLevel::warn, "resolver", "asked about what is in doubt");
  event.field("committed", resolved.committed).field("aborted", resolved.aborted).field("open", resolved.open);
  if (!resolved.trouble.empty()) event.field("trouble", resolved.trouble);
  event.write();
}

int complain(const std::string& message, ErrorCode code) {
  LogEvent(LogLevel::error, "agent", "cannot start").field("error", message).write();
  return code == ErrorCode::malformed ? 2 : 1;
}

int run(const Arguments& arguments) {
  set_up_log(
      {.level = LogLevel::info, .json = arguments.log_format == "json", .node = arguments.options.name, .sink = {}});
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before there are threads, which inherit it
  std::signal(SIGPIPE, SIG_IGN);

  std::optional<client::Client> client;
  service::AskFate ask;
  if (!arguments.endpoints.empty()) {
    auto endpoints = client::parse_endpoints(arguments.endpoints);
    if (!endpoints) return complain(endpoints.error().text(), ErrorCode::malformed);
    auto connected = client::Client::connect({.endpoints = std::move(*endpoints)});
    if (!connected) return complain(connected.error().text(), ErrorCode::malformed);
    client = std::move(*connected);
    ask = service::ask_coordinator(*client);
  }
  auto agent = agent::Agent::open(arguments.options, ask);
  if (!agent) return complain(agent.error().message, agent.error().code);

  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  // A call keeps its thread for as long as the database takes: threads stay for the next ones, and are not made anew.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, pollers_max);
  int port = 0;
  builder.AddListeningPort(arguments.listen, credentials_of(arguments), &port);
  builder.RegisterService(&(*agent)->service());
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0) {
    return complain(fmt::format("cannot listen on {}: is the port free, and do certificate and key belong together?",
                                arguments.listen),
                    ErrorCode::io);
  }
  LogEvent(LogLevel::info, "agent", "serving").field("listen", arguments.listen).field("port", port).write();
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A PostgreSQL or MariaDB database as a participant of Assent's transactions.", "assent-agent");
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  arguments.options.max_prepared_age = millis(arguments.max_prepared_age);
  arguments.options.sweep_interval = millis(arguments.sweep_interval);
  arguments.options.times = {millis(arguments.lock_timeout), millis(arguments.statement_timeout)};
  arguments.options.swept = tell_swept;
  arguments.options.resolved = tell_resolved;
  return run(arguments);
}
