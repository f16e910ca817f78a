#include "agent/agent.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "agent/mariadb_database.h"
#include "agent/postgres_database.h"
#include "agent/promised_barrier.h"
#include "agent/sql_participant.h"
#include "service/mariadb_barrier.h"
#include "service/participant_host.h"
#include "service/postgres_barrier.h"

namespace assent::agent {

namespace {

// Prepares, and as many ends at the same time, each with one connection for the register and one for the work; and a
// few for what is done beside them. So prepares that wait for locks never keep the ends, which free them, from a
// connection.
constexpr std::size_t beside = 3;
// For a turn among the prepares, or among the ends: less than it takes the coordinator to come again, twice over.
constexpr std::chrono::milliseconds turn_wait{1'000};

std::size_t prepares_of(std::size_t connections) {
  return std::max<std::size_t>(1, (std::max(connections, 2 * beside) - 2 * beside) / 4);
}

Error explained(Error error) {
  if (error.code == ErrorCode::refused && error.message.find("denied") != std::string::npos) {
    error.message +=
        ". The agent's user needs the right to create its tables (assent_branches, assent_barrier, assent_prepared, "
        "and "
        "in MariaDB assent_fences), to select, insert, update and delete in them, and whatever the statements need";
  }
  return error;
}

template <class Connection>
class AgentOn final : public Agent {
 public:
  AgentOn(const AgentOptions& options, const service::AskFate& ask,
          std::unique_ptr<service::Barrier<Connection>> barrier, std::unique_ptr<DatabaseOn<Connection>> database)
      : barrier_(std::move(barrier)),
        database_(std::move(database)),
        participant_(*database_),
        host_({.name = options.name, .limits = {.prepares_max = prepares_of(options.connections), .wait = turn_wait}},
              std::make_unique<EnrolledDatabase<Connection>>(participant_, *barrier_, *database_)),
        sweeper_(*database_, host_.branches(), fence_with(*barrier_, *database_), ask,
                 {.interval = options.sweep_interval, .patience = options.sweep_interval}, options.swept) {
    if (ask) {
      resolver_.emplace(
          host_.branches(), ask,
          service::ResolverOptions{.patience = options.max_prepared_age,
                                   .interval = std::min(options.sweep_interval, options.max_prepared_age)},
          options.resolved);
    }
  }

  grpc::Service& service() override { return host_.service(); }
  service::Branches& branches() override { return host_.branches(); }

 private:
  const std::unique_ptr<service::Barrier<Connection>> barrier_;
  const std::unique_ptr<DatabaseOn<Connection>> database_;
  SqlParticipant<Connection> participant_;
  service::ParticipantHost host_;
  Sweeper sweeper_;
  std::optional<service::Resolver> resolver_;
};

Result<std::unique_ptr<Agent>> open_postgres(const AgentOptions& options, const service::AskFate& ask) {
  const std::size_t each = 2 * prepares_of(options.connections) + beside;
  auto barrier =
      service::PostgresBarrier::open({.conninfo = options.database, .connections = each, .patience = options.patience});
  if (!barrier) return fail(explained(barrier.error()));
  auto database = PostgresDatabase::open(
      {.conninfo = options.database, .connections = each, .patience = options.patience, .times = options.times});
  if (!database) return fail(explained(database.error()));
  const std::string identity = (*database)->identity();
  return std::make_unique<AgentOn<PGconn>>(
      options, ask, std::make_unique<PromisedBarrier>(std::move(*barrier), identity), std::move(*database));
}

Result<std::unique_ptr<Agent>> open_mariadb(const AgentOptions& options, const service::AskFate& ask) {
  auto address = parse_mariadb(options.database);
  if (!address) return fail(address.error());
  const std::size_t each = 2 * prepares_of(options.connections) + beside;
  auto barrier =
      service::MariadbBarrier::open({.address = *address, .connections = each, .patience = options.patience});
  if (!barrier) return fail(explained(barrier.error()));
  // And those that wait with what they prepared.
  auto database = MariadbDatabase::open(
      {.address = *address, .connections = 2 * each, .patience = options.patience, .times = options.times});
  if (!database) return fail(explained(database.error()));
  return std::make_unique<AgentOn<MYSQL>>(options, ask, std::move(*barrier), std::move(*database));
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
    if (!high || !low) return std::nullopt;
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

// The text before the mark, which is taken away with it; nothing, and the text stays, when it is not there.
std::optional<std::string_view> cut(std::string_view& text, char mark, bool last = false) {
  const std::size_t at = last ? text.rfind(mark) : text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view out = text.substr(0, at);
  text.remove_prefix(at + 1);
  return out;
}

tl::unexpected<Error> bad_url(std::string_view what) {
  return fail(ErrorCode::malformed,
              fmt::format("the database's address {}; it is mariadb://user:password@host:port/database, and perhaps "
                          "?socket=/path",
                          what));
}

}  // namespace

Result<service::mariadb::Address> parse_mariadb(std::string_view url) {
  service::mariadb::Address out;
  for (const std::string_view scheme : {"mariadb://", "mysql://"}) {
    if (url.starts_with(scheme)) url.remove_prefix(scheme.size());
  }
  std::string_view socket = {};
  if (const std::size_t at = url.find("?socket="); at != std::string_view::npos) {
    socket = url.substr(at + 8);
    url = url.substr(0, at);
  }
  std::string_view password = {};
  if (auto user = cut(url, '@', true)) {
    std::string_view rest = *user;
    if (auto before = cut(rest, ':')) {
      password = rest;
      rest = *before;
    }
    const auto name = decoded(rest);
    if (!name) return bad_url("has a broken %XX");
    out.user = *name;
  }
  const auto place = cut(url, '/');
  if (!place || url.empty()) return bad_url("names no database");
  std::string_view host = *place;
  if (const auto name = cut(host, ':', true)) {
    const auto [end, trouble] = std::from_chars(host.data(), host.data() + host.size(), out.port);
    if (trouble != std::errc() || end != host.data() + host.size()) return bad_url("has a port that is no number");
    host = *name;
  }
  if (!host.empty()) out.host = host;
  const auto database = decoded(url);
  const auto secret = decoded(password);
  const auto path = decoded(socket);
  if (!database || !secret || !path) return bad_url("has a broken %XX");
  out.database = *database;
  out.password = *secret;
  out.socket = *path;
  return out;
}

Result<std::unique_ptr<Agent>> Agent::open(const AgentOptions& options, service::AskFate ask) {
  if (!service::valid_name(options.name) || options.name.empty()) {
    return fail(ErrorCode::malformed, "a participant's name is 1 to 200 bytes without control characters");
  }
  const std::string& url = options.database;
  if (url.starts_with("postgres://") || url.starts_with("postgresql://")) return open_postgres(options, ask);
  if (url.starts_with("mariadb://") || url.starts_with("mysql://")) return open_mariadb(options, ask);
  return fail(ErrorCode::malformed, "the database's address begins with postgres:// or mariadb://");
}

}  // namespace assent::agent
