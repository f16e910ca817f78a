#include "server/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "server/config_schema.h"
#include "txn_proto/names.h"

namespace assent {

namespace {

using config::Key;
using config::Origin;
using config::RawGroup;
using config::RawPair;
using config::RawValue;
using config::RawValues;
using Problems = std::vector<ConfigProblem>;

// A word from a flag or the environment, in the shape that its key wants.
void add_word(const Key& key, const std::string& word, const Origin& origin, RawValues& values, Problems& problems) {
  const auto keep = [&](auto&& parsed) {
    if (!parsed) {
      problems.push_back({.where = origin.where, .what = fmt::format("{}: {}", key.name, parsed.error().message)});
      return;
    }
    values[std::string(key.name)] = RawValue{.value = std::move(*parsed), .origin = origin};
  };
  if (std::holds_alternative<config::EndpointsField>(key.field)) return keep(config::split_pairs(word, origin));
  if (std::holds_alternative<config::GroupsField>(key.field)) return keep(config::split_groups(word, origin));
  values[std::string(key.name)] = RawValue{.value = word, .origin = origin};
}

// Weakest first: each later source replaces what is there.
RawValues gather(const ConfigSources& sources, Problems& problems) {
  RawValues values;
  for (const Key& key : config::keys()) {
    if (!key.default_text.empty())
      add_word(key, std::string(key.default_text), {.where = "default", .label = "default"}, values, problems);
  }
  if (sources.file) config::read_yaml(*sources.file, sources.file_name, values, problems);
  for (const Key& key : config::keys()) {
    const std::string variable = config::environment_of(key.name);
    const auto found = sources.environment.find(variable);
    if (found == sources.environment.end()) continue;
    add_word(key, found->second, {.where = "environment " + variable, .label = "env " + variable}, values, problems);
  }
  for (const auto& [name, word] : sources.flags) {
    const Key* key = config::find_key(name);
    if (key == nullptr) {
      problems.push_back({.where = "flag --" + name, .what = "unknown key"});
      continue;
    }
    add_word(*key, word, {.where = "flag " + config::flag_of(name), .label = "flag"}, values, problems);
  }
  return values;
}

std::string as_name(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Defaults that depend on other values, in an order in which each finds what it needs.
void fill_derived(const ConfigSources& sources, RawValues& values) {
  const Origin by_default{.where = "default", .label = "default"};
  if (!values.contains("node.name")) {
    values["node.name"] = {.value = as_name(sources.host_name),
                           .origin = {.where = "the host's name", .label = "default (host name)"}};
  }
  const std::string self = std::get<std::string>(values["node.name"].value);
  const auto listen = [&](const std::string& key, const std::string& table, const std::string& otherwise) {
    if (values.contains(key)) return;
    values[key] = {.value = otherwise, .origin = by_default};
    const auto found = values.find(table);
    if (found == values.end()) return;
    for (const RawPair& pair : std::get<std::vector<RawPair>>(found->second.value)) {
      if (pair.name == self) values[key] = {.value = pair.value, .origin = {pair.origin.where, table}};
    }
  };
  listen("listen.client", "cluster.clients", "127.0.0.1:7420");
  listen("listen.peer", "cluster.peers", "127.0.0.1:7421");
  for (const char* key :
       {"trace.endpoint", "auth.admin_tokens_file", "services.ca_file", "services.cert_file", "services.key_file"}) {
    if (!values.contains(key)) values[key] = {.value = std::string(), .origin = by_default};
  }
  const auto alone = [&](const std::string& key, const std::string& listen_key) {
    if (values.contains(key)) return;
    RawPair pair{
        .name = self, .value = std::get<std::string>(values[listen_key].value), .origin = values[listen_key].origin};
    values[key] = {.value = std::vector<RawPair>{std::move(pair)}, .origin = by_default};
  };
  const bool single = !values.contains("cluster.peers");
  alone("cluster.peers", "listen.peer");
  if (single) alone("cluster.clients", "listen.client");
  if (!values.contains("cluster.clients"))
    values["cluster.clients"] = {.value = std::vector<RawPair>{}, .origin = by_default};
  if (values.contains("cluster.groups")) return;
  const auto& peers = std::get<std::vector<RawPair>>(values["cluster.peers"].value);
  std::vector<std::string> nodes;
  nodes.reserve(peers.size());
  for (const RawPair& pair : peers) nodes.push_back(pair.name);
  std::vector<RawGroup> groups;
  for (const auto& [name, role] : {std::pair{"c0", "coordinator"}, {"s1", "shard"}, {"s2", "shard"}}) {
    groups.push_back({.group = {.name = name, .role = role, .members = nodes}, .origin = by_default});
  }
  values["cluster.groups"] = {.value = std::move(groups), .origin = by_default};
}

// What no single value shows.
class CrossCheck {
 public:
  CrossCheck(const ServerConfig& config, const RawValues& values, Problems& problems)
      : config_(config), values_(values), problems_(problems) {}

  void run() {
    check_nodes();
    check_groups();
    if (config_.listen_client == config_.listen_peer) {
      problem("listen.peer",
              fmt::format("{} is also listen.client; each needs a port of its own", config_.listen_peer.text()));
    }
    if (config_.listen_http &&
        (config_.listen_http == config_.listen_client || config_.listen_http == config_.listen_peer)) {
      problem("listen.http", fmt::format("{} is taken by listen.client or listen.peer; each needs a port of its own",
                                         config_.listen_http->text()));
    }
    if (config_.election_timeout < 3 * config_.heartbeat) {
      problem("raft.election_timeout",
              fmt::format("{} is less than three times raft.heartbeat ({}); followers would depose live leaders",
                          duration_text(config_.election_timeout), duration_text(config_.heartbeat)));
    }
    if (config_.prepare_timeout > config_.txn_timeout) {
      problem("txn.prepare_timeout",
              fmt::format("{} is longer than txn.timeout ({})", duration_text(config_.prepare_timeout),
                          duration_text(config_.txn_timeout)));
    }
    if (config_.history_keep < config_.retention) {
      problem("txn.history.keep",
              fmt::format(
                  "{} is shorter than txn.retention ({}); an outcome would be forgotten while its id may still be sent",
                  duration_text(config_.history_keep), duration_text(config_.retention)));
    }
    if (config_.statement_bytes_max > config_.transaction_bytes_max) {
      problem("limits.max_statement",
              fmt::format("{} is above limits.max_transaction ({})", size_text(config_.statement_bytes_max),
                          size_text(config_.transaction_bytes_max)));
    }
    if (config_.transaction_bytes_max > config_.message_bytes_max) {
      problem("limits.max_transaction",
              fmt::format("{} is above limits.max_message ({})", size_text(config_.transaction_bytes_max),
                          size_text(config_.message_bytes_max)));
    }
  }

 private:
  void problem(const std::string& key, const std::string& what) {
    const auto found = values_.find(key);
    const std::string where =
        found == values_.end() || found->second.origin.where == "default" ? "" : found->second.origin.where;
    problems_.push_back({.where = where, .what = fmt::format("{}: {}", key, what)});
  }

  void check_nodes() {
    if (!config_.peers.contains(config_.node_name)) {
      problem("node.name", fmt::format("{} is none of cluster.peers ({}); add it there or correct the name",
                                       config_.node_name, fmt::join(names(config_.peers), ", ")));
    }
    for (const auto& [name, endpoint] : config_.clients) {
      if (!config_.peers.contains(name)) {
        problem("cluster.clients",
                fmt::format("{} is none of cluster.peers ({})", name, fmt::join(names(config_.peers), ", ")));
      }
    }
    std::map<std::uint64_t, std::string> numbers;
    for (const auto& [name, endpoint] : config_.peers) {
      const auto [other, fresh] = numbers.emplace(number_of_name(name), name);
      if (!fresh)
        problem("cluster.peers",
                fmt::format("{} and {} have the same number by chance; rename one", other->second, name));
    }
  }

  void check_groups() {
    if (config_.groups.empty()) return problem("cluster.groups", "is empty; name at least one group");
    GroupDirectory directory;
    bool coordinator = false;
    std::size_t shards = 0;
    for (const GroupSetting& group : config_.groups) {
      const bool coordinates = group.role == "coordinator";
      coordinator = coordinator || coordinates;
      shards += coordinates ? 0 : 1;
      if (auto added = directory.add(group.name, coordinates ? GroupKind::coordinator : GroupKind::shard); !added) {
        problem("cluster.groups", added.error().message);
      }
      for (const std::string& member : group.members) {
        if (!config_.peers.contains(member)) {
          problem("cluster.groups", fmt::format("{}: the member {:.63} is none of cluster.peers ({})", group.name,
                                                member, fmt::join(names(config_.peers), ", ")));
        }
      }
    }
    if (!coordinator && shards > 1) {
      problem(
          "cluster.groups",
          "there are several shards and no group with role coordinator, which transactions over several shards need");
    }
  }

  static std::vector<std::string> names(const std::map<std::string, Endpoint>& endpoints) {
    std::vector<std::string> names;
    names.reserve(endpoints.size());
    for (const auto& [name, endpoint] : endpoints) names.push_back(name);
    return names;
  }

  const ServerConfig& config_;
  const RawValues& values_;
  Problems& problems_;
};

std::vector<std::string> warnings_of(const ServerConfig& config) {
  std::vector<std::string> warnings;
  if (!config.fsync) {
    warnings.emplace_back(
        "storage.fsync is off: acknowledged transactions are lost when the machine loses power; use it for development "
        "only");
  }
  for (const GroupSetting& group : config.groups) {
    if (group.members.size() % 2 == 0) {
      warnings.push_back(fmt::format("group {} has {} members: it survives the loss of {}, as it would with {} members",
                                     group.name, group.members.size(), (group.members.size() - 1) / 2,
                                     group.members.size() - 1));
    }
  }
  for (const auto& [name, endpoint] : config.peers) {
    if (config.clients.contains(name)) continue;
    warnings.push_back(
        fmt::format("cluster.clients does not name {}: clients cannot be sent to it when it leads", name));
  }
  return warnings;
}

}  // namespace

tl::expected<LoadedConfig, std::vector<ConfigProblem>> load_config(const ConfigSources& sources) {
  Problems problems;
  RawValues values = gather(sources, problems);
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  fill_derived(sources, values);
  LoadedConfig loaded;
  for (const Key& key : config::keys()) config::assign(key, values.at(std::string(key.name)), loaded.config, problems);
  if (problems.empty()) CrossCheck(loaded.config, values, problems).run();
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  for (const Key& key : config::keys()) {
    loaded.lines.push_back({.key = std::string(key.name),
                            .value = config::value_text(key, loaded.config),
                            .origin = values.at(std::string(key.name)).origin.label});
  }
  loaded.warnings = warnings_of(loaded.config);
  return loaded;
}

std::vector<ConfigKeyInfo> config_keys() {
  std::vector<ConfigKeyInfo> infos;
  infos.reserve(config::keys().size());
  for (const Key& key : config::keys()) {
    infos.push_back({.key = std::string(key.name),
                     .flag = config::flag_of(key.name),
                     .environment = config::environment_of(key.name),
                     .default_text = std::string(key.default_text),
                     .help = std::string(key.help)});
  }
  return infos;
}

}  // namespace assent
