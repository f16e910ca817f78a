#include "cli/run.h"

#include "cli/session.h"

namespace assent::cli {

ExitCode Session::fail(const client::Error& error) const {
  if (json()) print(to_json(error));
  console.err << "assentctl: " << error.text() << '\n';
  return exit_code_of(error.code);
}

ExitCode run(const Session& session, const VersionCommand&) {
  if (session.json()) {
    session.print(Json{{"version", ASSENT_VERSION}});
  } else {
    session.console.out << "assentctl " ASSENT_VERSION "\n";
  }
  return ExitCode::ok;
}

ExitCode run(const Invocation& invocation, Console console) {
  const auto endpoints = client::parse_endpoints(invocation.global.endpoints);
  if (!endpoints) {
    console.err << "assentctl: " << endpoints.error().message << '\n';
    return ExitCode::usage;
  }
  client::Options options;
  options.endpoints = *endpoints;
  options.timeout = invocation.global.timeout;
  client::Result<client::Client> client = client::Client::connect(std::move(options));
  if (!client) {
    console.err << "assentctl: " << client.error().text() << '\n';
    return ExitCode::usage;
  }
  const Session session{*client, invocation.global, console};
  return std::visit([&](const auto& command) { return run(session, command); }, invocation.command);
}

int assentctl(int argc, const char* const* argv, Console console) {
  const std::variant<Invocation, Farewell> parsed = parse(argc, argv);
  if (const auto* farewell = std::get_if<Farewell>(&parsed)) {
    (farewell->exit_code == 0 ? console.out : console.err) << farewell->text;
    return farewell->exit_code;
  }
  return static_cast<int>(run(std::get<Invocation>(parsed), console));
}

}  // namespace assent::cli
