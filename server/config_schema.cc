#include "server/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "txn_proto/names.h"

namespace assent::config {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using C = ServerConfig;

constexpr std::uint64_t kib = 1ULL << 10U;
constexpr std::uint64_t mib = 1ULL << 20U;

const std::vector<Key>& table() {
  static const std::vector<Key> table{
      {"node.name", "", NameField{&C::node_name}, "this node's name, one of cluster.peers; default: the host's name"},
      {"node.data_dir", "/var/lib/assent", PathField{&C::data_dir}, "folder of everything that this node keeps"},
      {"node.loops", "1", CountField{&C::loops, 1, 64},
       "threads that the groups of this node are spread over, each with a log of its own; stays what it was when the "
       "data directory was made"},
      {"listen.client", "", EndpointField{&C::listen_client},
       "address of the client API; default: the own entry in cluster.clients, else 127.0.0.1:7420"},
      {"listen.peer", "", EndpointField{&C::listen_peer},
       "address for the other nodes; default: the own entry in cluster.peers, else 127.0.0.1:7421"},
      {"listen.http", "127.0.0.1:7422", OptionalEndpointField{&C::listen_http},
       "address of the http port: metrics, health, the JSON API; off: none"},
      {"cluster.name", "assent", NameField{&C::cluster_name}, "nodes of clusters with other names are refused"},
      {"cluster.peers", "", EndpointsField{&C::peers}, "every node and its peer address; default: this node alone"},
      {"cluster.clients", "", EndpointsField{&C::clients}, "where clients reach each node; told with leader hints"},
      {"cluster.groups", "", GroupsField{},
       "the groups, their roles and members; default: coordinator c0 and shards s1 and s2 on all nodes"},
      {"txn.protocol", "auto", ChoiceField{&C::txn_protocol, {"auto", "two-phase", "three-phase", "paxos-commit"}},
       "of a transaction on several shards whose client names none; equal on every node"},
      {"txn.timeout", "10s", DurationField{&C::txn_timeout, milliseconds(10), hours(1)},
       "of a transaction whose client names none"},
      {"txn.prepare_timeout", "2s", DurationField{&C::prepare_timeout, milliseconds(10), hours(1)},
       "a shard that has not voted by then makes the transaction abort"},
      {"txn.history.keep", "24h", DurationField{&C::history_keep, minutes(1), hours(24 * 365)},
       "how long outcomes can be asked for"},
      {"txn.history.max_records", "2000000", CountField{&C::history_records_max, 1'000, 20'000'000},
       "outcomes kept at most, on disk, some 80 bytes each; beyond it the oldest go before their time; equal on every "
       "node"},
      {"txn.retention", "10m", DurationField{&C::retention, seconds(10), hours(24)},
       "an older transaction id is refused"},
      {"txn.clock_skew_max", "1m", DurationField{&C::clock_skew_max, milliseconds(100), hours(1)},
       "a transaction id further ahead than this is refused"},
      {"cluster.level_max", "0", CountField{&C::level_max, 0, 1'000},
       "use nothing of a protocol level above this one; 0: all that the program knows. Keeps the way back open after "
       "an "
       "upgrade"},
      {"raft.heartbeat", "100ms", DurationField{&C::heartbeat, milliseconds(10), seconds(60)}, "of leaders"},
      {"raft.election_timeout", "1s", DurationField{&C::election_timeout, milliseconds(50), minutes(10)},
       "without a leader's word for this long, followers elect one"},
      {"raft.sleep_after", "3s", DurationField{&C::sleep_after, milliseconds(0), seconds(8)},
       "a group with nothing to do for this long sends no heartbeats until something comes; 0s: groups never sleep"},
      {"raft.read_lease", "off", ChoiceField{&C::read_lease, {"off", "promise", "on"}},
       "on: leaders answer reads without asking a majority, by a lease that followers grant; promise: grant leases, "
       "and "
       "use none. Between off and on every node stands on promise for a while"},
      {"raft.clock_drift_max", "0.01", ShareField{&C::clock_drift_ppm},
       "how much too slow or too quick a node's clock may be; leases are so much shorter, and stale reads say so much "
       "more of their age. Equal on every node"},
      {"raft.stale_read_wait", "1s", DurationField{&C::stale_read_wait, milliseconds(10), minutes(1)},
       "a replica that cannot prove for this long that it is as young as a stale read wants refuses it"},
      {"raft.leaders", "anywhere", ChoiceField{&C::leaders, {"anywhere", "together", "spread"}},
       "spread: each node leads about as many groups as any other; set it on all. together: each group's leader moves "
       "to the node that leads the first group, which saves messages between "
       "leaders; for small clusters"},
      {"raft.snapshot_every", "100000", CountField{&C::snapshot_every, 100, 1'000'000'000},
       "applied entries between snapshots of a group"},
      {"raft.snapshot_rate", "64MiB", SizeField{&C::snapshot_rate, 0, 64 * 1024 * mib},
       "bytes a second of all snapshots that this node sends to others; 0: no bound"},
      {"raft.snapshot_step", "256KiB", SizeField{&C::snapshot_step, 0, 64 * mib},
       "of a snapshot, made at a time between other work; larger is sooner done and holds others up for longer; 0: all "
       "at once"},
      {"raft.max_batch", "1MiB", SizeField{&C::batch_bytes_max, 4 * kib, 64 * mib},
       "of entries in one message to a follower"},
      {"storage.fsync", "on", SwitchField{&C::fsync},
       "off loses acknowledged transactions in a power cut: development only"},
      {"storage.log_max", "512MiB", SizeField{&C::wal_bytes_max, 64 * mib, 1024 * 1024 * mib},
       "of the log that all groups of the node share; whoever keeps more of it takes a snapshot, however few entries "
       "it "
       "has"},
      {"storage.scrub_rate", "1MiB", SizeField{&C::scrub_rate, 0, 1024 * mib},
       "bytes a second that are read of closed log segments, snapshots and databases, to find damage while other "
       "copies "
       "are whole; 0: none"},
      {"storage.scrub_every", "24h", DurationField{&C::scrub_every, milliseconds(100), hours(24 * 365)},
       "from the begin of one pass over all of that to the begin of the next; a pass that takes longer is followed at "
       "once"},
      {"storage.damaged_kept", "64MiB", SizeField{&C::damaged_bytes_max, 0, 1024 * 1024 * mib},
       "of files that were damaged and have been replaced; they are kept in the folder damaged, and the oldest go "
       "first"},
      {"trace.ring", "20000", CountField{&C::trace_ring, 0, 1'000'000},
       "newest transactions whose steps are kept in memory; 0: none"},
      {"trace.exporter", "none", ChoiceField{&C::trace_exporter, {"none", "otlp"}},
       "otlp: spans of transactions are sent to an OpenTelemetry receiver; OTEL_* variables are stronger than trace.*"},
      {"trace.endpoint", "", TextField{&C::trace_endpoint},
       "http://host:port of the receiver; default: http://localhost:4318, with grpc port 4317"},
      {"trace.protocol", "http/json", ChoiceField{&C::trace_protocol, {"http/json", "http/protobuf", "grpc"}},
       "how spans are sent"},
      {"trace.sample", "0.05", ShareField{&C::trace_sample_ppm},
       "share of the normal transactions whose spans are sent; aborted, slow, retried, recovered ones and those in "
       "doubt always are"},
      {"trace.slow", "250ms", DurationField{&C::trace_slow, milliseconds(1), hours(1)},
       "a transaction that takes this long counts as slow"},
      {"auth.admin_tokens_file", "", TextField{&C::admin_tokens_file},
       "file of tokens, one a line, for what is done by http with POST; default: none, and nothing is"},
      {"services.ca_file", "", TextField{&C::services_ca_file},
       "file in PEM of those who may have signed the certificates of services at grpcs:// and https://; default: "
       "whoever "
       "the machine trusts"},
      {"services.cert_file", "", TextField{&C::services_cert_file},
       "this node's certificate, for services that want one; default: none"},
      {"services.key_file", "", TextField{&C::services_key_file}, "its key"},
      {"services.max_failures", "60", CountField{&C::services_failures_max, 1, 1'000'000},
       "a service that failed so often in a row to do what was decided is shown to operators, and called each ten "
       "seconds"},
      {"dev.faults", "off", SwitchField{&C::dev_faults},
       "on: whoever has a token may cut connections and slow the disk of this node; for assentd dev"},
      {"log.level", "info", ChoiceField{&C::log_level, {"trace", "debug", "info", "warn", "error"}},
       "least level that is written"},
      {"log.format", "auto", ChoiceField{&C::log_format, {"auto", "text", "json"}},
       "auto: text on a terminal, json otherwise"},
      {"limits.max_active_txns", "10000", CountField{&C::active_txns_max, 1, 10'000'000},
       "unanswered client requests at this node; more are refused as OVERLOADED"},
      {"limits.max_concurrent_txns", "128", CountField{&C::concurrent_txns_max, 1, 1'000'000},
       "transactions begun at a time at this node; eight times as many wait, more are refused as OVERLOADED"},
      {"limits.max_participants", "64", CountField{&C::participants_max, 1, 1000}, "shards in one transaction"},
      {"limits.max_message", "4MiB", SizeField{&C::message_bytes_max, 16 * kib, 256 * mib}, "one request of a client"},
      {"limits.max_statement", "256KiB", SizeField{&C::statement_bytes_max, kib, 64 * mib},
       "one statement with its parameters, or one key and value"},
      {"limits.max_transaction", "2MiB", SizeField{&C::transaction_bytes_max, kib, 64 * mib},
       "all work of one transaction"},
      {"limits.max_result", "1MiB", SizeField{&C::result_bytes_max, kib, 64 * mib}, "rows that one shard may return"},
  };
  return table;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    std::string_view part = text.substr(0, at);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    parts.push_back(part);
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// ---- assigning ----

class Assigner {
 public:
  Assigner(const Key& key, const RawValue& raw, ServerConfig& config, std::vector<ConfigProblem>& problems)
      : key_(key), raw_(raw), config_(config), problems_(problems) {}

  void operator()(const DurationField& field) {
    const Result<milliseconds> value = parse_duration(word());
    if (!value) return problem(value.error().message);
    if (*value < field.least || *value > field.most) {
      return problem(fmt::format("{} is outside {} to {}", duration_text(*value), duration_text(field.least),
                                 duration_text(field.most)));
    }
    config_.*field.member = *value;
  }
  void operator()(const SizeField& field) {
    const Result<std::uint64_t> value = parse_size(word());
    if (!value) return problem(value.error().message);
    if (*value < field.least || *value > field.most) {
      return problem(fmt::format("{} is outside {} to {}", word(), size_text(field.least), size_text(field.most)));
    }
    config_.*field.member = *value;
  }
  void operator()(const CountField& field) {
    const Result<std::uint64_t> value = parse_count(word());
    if (!value) return problem(value.error().message);
    if (*value < field.least || *value > field.most) {
      return problem(fmt::format("{} is outside {} to {}", *value, field.least, field.most));
    }
    config_.*field.member = *value;
  }
  void operator()(const ShareField& field) {
    const Result<std::uint64_t> value = parse_share(word());
    if (!value) return problem(value.error().message);
    config_.*field.member = *value;
  }
  void operator()(const TextField& field) {
    constexpr std::size_t most = 1'000;
    const bool one_line = std::all_of(word().begin(), word().end(), [](char c) { return c >= ' ' && c < 127; });
    if (!one_line || word().size() > most) return problem("is not one line of plain text");
    config_.*field.member = word();
  }
  void operator()(const SwitchField& field) {
    const Result<bool> value = parse_switch(word());
    if (!value) return problem(value.error().message);
    config_.*field.member = *value;
  }
  void operator()(const EndpointField& field) {
    const Result<Endpoint> value = parse_endpoint(word());
    if (!value) return problem(value.error().message);
    config_.*field.member = *value;
  }
  void operator()(const OptionalEndpointField& field) {
    if (word().empty() || word() == "off") return (config_.*field.member).reset();
    const Result<Endpoint> value = parse_endpoint(word());
    if (!value) return problem(value.error().message + "; or off");
    config_.*field.member = *value;
  }
  void operator()(const NameField& field) {
    if (!is_name(word())) {
      return problem(
          fmt::format("\"{:.80}\" is not a name; use 1 to 63 lower-case letters, digits, '-', '_' and '.'", word()));
    }
    config_.*field.member = word();
  }
  void operator()(const PathField& field) {
    if (word().empty()) return problem("is empty; name a folder");
    config_.*field.member = word();
  }
  void operator()(const ChoiceField& field) {
    if (std::find(field.choices.begin(), field.choices.end(), word()) == field.choices.end()) {
      return problem(fmt::format("\"{:.60}\" is none of {}", word(), fmt::join(field.choices, ", ")));
    }
    config_.*field.member = word();
  }
  void operator()(const EndpointsField& field) {
    for (const RawPair& pair : std::get<std::vector<RawPair>>(raw_.value)) assign_endpoint(pair, config_.*field.member);
  }
  void operator()(const GroupsField&) {
    for (const RawGroup& raw : std::get<std::vector<RawGroup>>(raw_.value)) assign_group(raw);
  }

 private:
  [[nodiscard]] const std::string& word() const { return std::get<std::string>(raw_.value); }

  void problem(const std::string& what) { problem_at(raw_.origin, what); }
  void problem_at(const Origin& origin, const std::string& what) {
    problems_.push_back({.where = origin.where, .what = fmt::format("{}: {}", key_.name, what)});
  }

  void assign_endpoint(const RawPair& pair, std::map<std::string, Endpoint>& endpoints) {
    if (!is_name(pair.name)) {
      return problem_at(
          pair.origin,
          fmt::format("\"{:.80}\" is not a node's name; use lower-case letters, digits, '-', '_' and '.'", pair.name));
    }
    const Result<Endpoint> endpoint = parse_endpoint(pair.value);
    if (!endpoint) return problem_at(pair.origin, fmt::format("{}: {}", pair.name, endpoint.error().message));
    for (const auto& [name, other] : endpoints) {
      if (name != pair.name && other == *endpoint) {
        return problem_at(pair.origin, fmt::format("{} and {} have the same address {}; every node needs its own", name,
                                                   pair.name, other.text()));
      }
    }
    if (!endpoints.emplace(pair.name, *endpoint).second)
      problem_at(pair.origin, fmt::format("{} is there twice", pair.name));
  }

  void assign_group(const RawGroup& raw) {
    const GroupSetting& group = raw.group;
    if (!is_name(group.name)) {
      return problem_at(
          raw.origin,
          fmt::format("\"{:.80}\" is not a group's id; use lower-case letters, digits, '-', '_' and '.'", group.name));
    }
    if (group.role != "coordinator" && group.role != "shard") {
      return problem_at(
          raw.origin, fmt::format("{}: the role \"{:.60}\" is neither coordinator nor shard", group.name, group.role));
    }
    if (group.members.empty())
      return problem_at(raw.origin, fmt::format("{}: has no members; name the nodes that keep it", group.name));
    for (auto member = group.members.begin(); member != group.members.end(); ++member) {
      if (std::find(group.members.begin(), member, *member) != member) {
        return problem_at(raw.origin, fmt::format("{}: the member {:.63} is there twice", group.name, *member));
      }
    }
    const auto same = [&](const GroupSetting& other) { return other.name == group.name; };
    if (std::any_of(config_.groups.begin(), config_.groups.end(), same)) {
      return problem_at(raw.origin, fmt::format("{} is there twice; group ids are unique", group.name));
    }
    config_.groups.push_back(group);
  }

  const Key& key_;
  const RawValue& raw_;
  ServerConfig& config_;
  std::vector<ConfigProblem>& problems_;
};

struct TextOf {
  const ServerConfig& config;
  std::string operator()(const DurationField& field) const { return duration_text(config.*field.member); }
  std::string operator()(const SizeField& field) const { return size_text(config.*field.member); }
  std::string operator()(const CountField& field) const { return fmt::format("{}", config.*field.member); }
  std::string operator()(const ShareField& field) const {
    return fmt::format("{}", static_cast<double>(config.*field.member) / 1e6);
  }
  std::string operator()(const TextField& field) const { return config.*field.member; }
  std::string operator()(const SwitchField& field) const { return config.*field.member ? "on" : "off"; }
  std::string operator()(const EndpointField& field) const { return (config.*field.member).text(); }
  std::string operator()(const OptionalEndpointField& field) const {
    return config.*field.member ? (config.*field.member)->text() : "off";
  }
  std::string operator()(const NameField& field) const { return config.*field.member; }
  std::string operator()(const PathField& field) const { return config.*field.member; }
  std::string operator()(const ChoiceField& field) const { return config.*field.member; }
  std::string operator()(const EndpointsField& field) const {
    std::vector<std::string> parts;
    parts.reserve((config.*field.member).size());
    for (const auto& [name, endpoint] : config.*field.member) parts.push_back(name + "=" + endpoint.text());
    return fmt::format("{}", fmt::join(parts, ","));
  }
  std::string operator()(const GroupsField&) const {
    std::vector<std::string> parts;
    parts.reserve(config.groups.size());
    for (const GroupSetting& group : config.groups) {
      parts.push_back(fmt::format("{}:{}:{}", group.name, group.role, fmt::join(group.members, ",")));
    }
    return fmt::format("{}", fmt::join(parts, ";"));
  }
};

}  // namespace

std::span<const Key> keys() { return table(); }

const Key* find_key(std::string_view name) {
  const auto found = std::find_if(table().begin(), table().end(), [&](const Key& key) { return key.name == name; });
  return found == table().end() ? nullptr : &*found;
}

std::string flag_of(std::string_view key) {
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string environment_of(std::string_view key) {
  std::string name = "ASSENT_";
  for (const char c : key) {
    const bool lower = c >= 'a' && c <= 'z';
    name += c == '.' ? '_' : lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::optional<std::string> nearest_key(std::string_view mistyped) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(3, mistyped.size() / 3) + 1;
  if (mistyped.size() > 100) return std::nullopt;
  for (const Key& key : table()) {
    std::size_t distance = edit_distance(mistyped, key.name);
    // The right word in the wrong section is nearer than its spelling says.
    const std::string_view leaf = key.name.substr(key.name.rfind('.') + 1);
    if (mistyped.substr(mistyped.rfind('.') + 1) == leaf) distance = std::min<std::size_t>(distance, 2);
    if (distance < best_distance) {
      best_distance = distance;
      best = key.name;
    }
  }
  return best;
}

Result<std::vector<RawPair>> split_pairs(std::string_view text, const Origin& origin) {
  std::vector<RawPair> pairs;
  if (text.empty()) return pairs;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      return fail(ErrorCode::malformed,
                  fmt::format("\"{:.80}\" is not name=host:port; write n1=10.0.0.1:7421,n2=10.0.0.2:7421", part));
    }
    pairs.push_back(
        {.name = std::string(part.substr(0, equals)), .value = std::string(part.substr(equals + 1)), .origin = origin});
  }
  return pairs;
}

Result<std::vector<RawGroup>> split_groups(std::string_view text, const Origin& origin) {
  std::vector<RawGroup> groups;
  if (text.empty()) return groups;
  for (const std::string_view part : split(text, ';')) {
    const std::vector<std::string_view> fields = split(part, ':');
    if (fields.size() != 3) {
      return fail(
          ErrorCode::malformed,
          fmt::format("\"{:.80}\" is not id:role:members; write c0:coordinator:n1,n2,n3;s1:shard:n1,n2,n3", part));
    }
    RawGroup group{.group = {.name = std::string(fields[0]), .role = std::string(fields[1]), .members = {}},
                   .origin = origin};
    for (const std::string_view member : split(fields[2], ',')) group.group.members.emplace_back(member);
    groups.push_back(std::move(group));
  }
  return groups;
}

void assign(const Key& key, const RawValue& raw, ServerConfig& config, std::vector<ConfigProblem>& problems) {
  std::visit(Assigner(key, raw, config, problems), key.field);
}

std::string value_text(const Key& key, const ServerConfig& config) { return std::visit(TextOf{config}, key.field); }

}  // namespace assent::config
