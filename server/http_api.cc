#include "server/http_api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>

#include "base/digest.h"
#include "observe/latency_map.h"
#include "observe/otlp.h"
#include "server/config_values.h"
#include "server/loop_question.h"
#include "server/system_clock.h"
#include "server/version.h"

namespace assent {

namespace {

using namespace std::chrono_literals;

// Three rounds of questions to peers, and something to spare.
constexpr auto patience = 3 * ObserveService::peer_patience + 1'000ms;
constexpr auto stream_pause = 1'000ms;

// Of the content, whatever the time it was asked at.
std::string tag_of(const google::protobuf::Message& message) {
  const std::unique_ptr<google::protobuf::Message> content(message.New());
  content->CopyFrom(message);
  if (const auto* as_of = content->GetDescriptor()->FindFieldByName("as_of_unix_micros")) {
    content->GetReflection()->ClearField(content.get(), as_of);
  }
  return fmt::format("{:016x}", Digest().add(content->SerializeAsString()).value());
}
HttpAnswer document(const google::protobuf::Message& message) {
  return {.status = 200, .type = "application/json", .body = to_json(message) + "\n", .tag = tag_of(message)};
}
HttpAnswer not_recorded(const TxnId& txn) {
  return http_error(
      404, "TXN_NOT_RECORDED",
      fmt::format("no node that answers has a record of {}; assentctl txn get tells what came of it", txn));
}

const std::string* parameter(const HttpRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? nullptr : &found->second;
}

// false: there is one, and it is not a number.
bool read_limit(const HttpRequest& request, std::uint32_t& limit) {
  const std::string* text = parameter(request, "limit");
  if (text == nullptr) return true;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  return error == std::errc() && end == text->data() + text->size() && limit > 0;
}

constexpr std::array<std::string_view, 8> states{"ACTIVE",     "PREPARING", "PREPARED", "PRECOMMITTED",
                                                 "COMMITTING", "COMMITTED", "ABORTING", "ABORTED"};

// Where there is one, a whole number up to 2^53; false when it is something else.
template <class Set>
bool read_number(const HttpRequest& request, const std::string& name, const Set& set) {
  const std::string* text = parameter(request, name);
  if (text == nullptr || text->empty()) return true;
  constexpr std::uint64_t most = 1ULL << 53U;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value > most) return false;
  set(value);
  return true;
}

std::string not_a_number(std::string_view name) { return fmt::format("{}: is not a number of microseconds", name); }

// The rectangle of a heat map: what is wrong with it.
std::optional<std::string> read_rectangle(const HttpRequest& asked, v1::TxnsRequest& out) {
  if (!read_number(asked, "started_from",
                   [&](auto value) { out.set_started_from_unix_micros(static_cast<std::int64_t>(value)); }))
    return not_a_number("started_from");
  if (!read_number(asked, "started_to",
                   [&](auto value) { out.set_started_to_unix_micros(static_cast<std::int64_t>(value)); }))
    return not_a_number("started_to");
  if (!read_number(asked, "over", [&](auto value) { out.set_over_micros(value); })) return not_a_number("over");
  if (!read_number(asked, "upto", [&](auto value) { out.set_upto_micros(value); })) return not_a_number("upto");
  if (const std::string* by = parameter(asked, "by")) {
    if (!is_strip(*by)) return "by: is neither total nor a phase";
    out.set_by(*by);
  }
  return std::nullopt;
}

// "preparing,PREPARED": the states as they are printed; nullopt with a message for anything else.
std::optional<std::string> read_states(std::string_view text, v1::TxnsRequest& out) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string word(text.substr(0, comma));
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    if (std::find(states.begin(), states.end(), word) == states.end()) {
      return fmt::format("state: there are {}", fmt::join(states, ", "));
    }
    out.add_states(std::move(word));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return std::nullopt;
}

class Api {
 public:
  Api(const HttpSources& sources, ObserveService& observe) : sources_(sources), observe_(observe) {}

  [[nodiscard]] HttpAnswer cluster(const HttpRequest&) const {
    const auto page = ask_cluster();
    return page ? document(*page) : http_stuck();
  }
  [[nodiscard]] HttpAnswer groups(const HttpRequest&) const {
    const auto page = ask_cluster();
    return page ? document(groups_of(*page, *sources_.cluster.get())) : http_stuck();
  }

  [[nodiscard]] HttpAnswer txns(const HttpRequest& asked) const {
    v1::TxnsRequest request;
    std::uint32_t limit = 0;
    if (!read_limit(asked, limit)) return http_bad_request("limit: is not a number from 1 to 500");
    request.set_limit(limit);
    if (const std::string* text = parameter(asked, "state")) {
      if (const auto problem = read_states(*text, request)) return http_bad_request(*problem);
    }
    if (const std::string* text = parameter(asked, "slower_than")) {
      const auto least = parse_duration(*text);
      if (!least) return http_bad_request("slower_than: " + least.error().message);
      request.set_slower_than_micros(static_cast<std::uint64_t>(least->count()) * 1'000);
    }
    if (const std::string* text = parameter(asked, "cursor"); text != nullptr && !text->empty()) {
      if (!TxnId::from_hex(*text)) return http_bad_request("cursor: is not the nextCursor of a page");
      request.set_cursor(*text);
    }
    if (const std::string* text = parameter(asked, "phases")) {
      if (*text != "true" && *text != "false") return http_bad_request("phases: is neither true nor false");
      request.set_phases(*text == "true");
    }
    if (const auto problem = read_rectangle(asked, request)) return http_bad_request(*problem);
    const auto page = ask_loop_later<v1::TxnPage>(
        sources_.inbox, patience, [this, request](Loop&, auto done) { observe_.txns(request, std::move(done)); });
    return page ? document(*page) : http_stuck();
  }

  [[nodiscard]] HttpAnswer locks(const HttpRequest&) const {
    const auto page = ask_loop_later<v1::SightPage>(sources_.inbox, patience,
                                                    [this](Loop&, auto done) { observe_.locks(std::move(done)); });
    return page ? document(*page) : http_stuck();
  }

  [[nodiscard]] HttpAnswer txn(const HttpRequest& asked) const {
    return with_trace(asked, [](const v1::TxnTrace& trace) { return document(trace); });
  }
  [[nodiscard]] HttpAnswer otlp(const HttpRequest& asked) const {
    return with_trace(asked, [](const v1::TxnTrace& trace) -> HttpAnswer {
      return {.status = 200,
              .type = "application/json",
              .body = otlp_json(otlp_of(trace, {.service_version = std::string(version)})) + "\n",
              .tag = tag_of(trace)};
    });
  }
  [[nodiscard]] HttpAnswer explain(const HttpRequest& asked) const {
    const std::optional<TxnId> txn = TxnId::from_hex(asked.path.at("id"));
    if (!txn) return http_bad_request("this is not a transaction id (32 hex digits)");
    const auto found = ask_loop_later<std::optional<v1::Explanation>>(
        sources_.inbox, patience, [this, txn](Loop&, auto done) { observe_.explain(*txn, std::move(done)); });
    if (!found) return http_stuck();
    if (!*found) return not_recorded(*txn);
    return document(**found);
  }

  [[nodiscard]] HttpAnswer events(const HttpRequest& asked) const {
    v1::EventsRequest request;
    std::uint32_t limit = 0;
    if (!read_limit(asked, limit)) return http_bad_request("limit: is not a number from 1 to 500");
    request.set_limit(limit);
    const auto page = ask_loop_later<v1::EventPage>(
        sources_.inbox, patience, [this, request](Loop&, auto done) { observe_.events(request, std::move(done)); });
    return page ? document(*page) : http_stuck();
  }

  // Of a window of time up to now, or of one that is named.
  [[nodiscard]] HttpAnswer latency(const HttpRequest& asked) const {
    constexpr std::chrono::milliseconds window_default = 60s;
    constexpr std::chrono::milliseconds window_max = 24h;
    v1::LatencyRequest request;
    std::chrono::milliseconds window = window_default;
    if (const std::string* text = parameter(asked, "window")) {
      const auto given = parse_duration(*text);
      if (!given || *given <= 0ms || *given > window_max) return http_bad_request("window: is not a time up to 24h");
      window = *given;
    }
    const auto now = static_cast<std::int64_t>(SystemClock::wall_micros());
    request.set_from_unix_micros(now - std::chrono::duration_cast<std::chrono::microseconds>(window).count());
    if (!read_number(asked, "from",
                     [&](auto value) { request.set_from_unix_micros(static_cast<std::int64_t>(value)); }))
      return http_bad_request(not_a_number("from"));
    if (!read_number(asked, "to", [&](auto value) { request.set_to_unix_micros(static_cast<std::int64_t>(value)); }))
      return http_bad_request(not_a_number("to"));
    bool columns_good = read_number(asked, "columns", [&](auto value) {
      request.set_columns(static_cast<std::uint32_t>(std::min<std::uint64_t>(value, latency_columns_max + 1)));
    });
    columns_good = columns_good && request.columns() <= latency_columns_max;
    if (!columns_good)
      return http_bad_request(fmt::format("columns: is not a number from 1 to {}", latency_columns_max));
    const auto page = ask_loop_later<v1::LatencyPage>(
        sources_.inbox, patience, [this, request](Loop&, auto done) { observe_.latency(request, std::move(done)); });
    return page ? document(*page) : http_stuck();
  }

  // Each second what the node sees; at first all events behind Last-Event-ID, later those that came since.
  [[nodiscard]] HttpStream stream(const HttpRequest& asked) const {
    std::uint64_t seen = 0;
    const std::string& last = asked.last_event_id;
    std::from_chars(last.data(), last.data() + last.size(), seen);
    return [this, seen = std::make_shared<std::uint64_t>(seen), first = std::make_shared<bool>(true)]() {
      if (!std::exchange(*first, false)) std::this_thread::sleep_for(stream_pause);
      return next_part(*seen);
    };
  }

 private:
  [[nodiscard]] std::optional<v1::ClusterPage> ask_cluster() const {
    return ask_loop_later<v1::ClusterPage>(sources_.inbox, patience,
                                           [this](Loop& loop, auto done) { observe_.cluster(loop, std::move(done)); });
  }

  [[nodiscard]] HttpAnswer with_trace(const HttpRequest& asked,
                                      const std::function<HttpAnswer(const v1::TxnTrace&)>& answer) const {
    const std::optional<TxnId> txn = TxnId::from_hex(asked.path.at("id"));
    if (!txn) return http_bad_request("this is not a transaction id (32 hex digits)");
    const auto found = ask_loop_later<std::optional<v1::TxnTrace>>(
        sources_.inbox, patience, [this, txn](Loop&, auto done) { observe_.trace(*txn, std::move(done)); });
    if (!found) return http_stuck();
    return *found ? answer(**found) : not_recorded(*txn);
  }

  [[nodiscard]] std::optional<std::string> next_part(std::uint64_t& seen) const {
    const auto overview = ask_loop<v1::Overview>(
        sources_.inbox, 1'000ms, [this, behind = seen](Loop& loop) { return observe_.overview(loop, behind); });
    if (!overview) return sources_.draining ? std::nullopt : std::optional<std::string>(": the node is busy\n\n");
    for (const v1::NodeEvent& event : overview->events()) seen = std::max(seen, std::uint64_t{event.number()});
    return fmt::format("id: {}\nevent: overview\ndata: {}\n\n", seen, to_json(*overview));
  }

  const HttpSources& sources_;
  ObserveService& observe_;
};

std::string health_of(const v1::Group& group) {
  if (group.leader().empty()) return "no leader";
  const auto voters = [&group](const auto& also) {
    return std::count_if(group.members().begin(), group.members().end(),
                         [&](const v1::GroupMember& member) { return member.role() != "learner" && also(member); });
  };
  const auto all = voters([](const v1::GroupMember&) { return true; });
  const auto up = voters([](const v1::GroupMember& member) { return member.up(); });
  return up == all ? "ok" : fmt::format("degraded: {}/{}", up, all);
}

// Who belongs to each group, as its leader says, or else whoever is furthest; the founders where nobody says anything.
void name_members(const v1::ClusterPage& page, v1::Group& group) {
  const v1::Replica* best = nullptr;
  std::map<std::string, std::uint64_t> disks;
  const auto rank = [](const v1::Replica& replica) {
    return std::tuple(replica.leads(), replica.epoch(), replica.last_index());
  };
  for (const v1::StatusResponse& node : page.nodes()) {
    disks[node.node()] = node.disk();
    for (const v1::Replica& replica : node.replicas()) {
      if (replica.group() != group.group() || replica.membership().empty()) continue;
      if (best == nullptr || rank(replica) > rank(*best)) best = &replica;
    }
  }
  if (best == nullptr) return;
  group.clear_members();
  for (const v1::ReplicaMember& member : best->membership()) {
    const auto disk = disks.find(member.node());
    const bool lost = disk != disks.end() && disk->second != member.disk();
    const bool shown = std::any_of(group.members().begin(), group.members().end(),
                                   [&](const v1::GroupMember& other) { return other.node() == member.node(); });
    if (shown || (lost && member.role() != "voter")) continue;
    v1::GroupMember& out = *group.add_members();
    out.set_node(member.node());
    out.set_role(lost ? "lost" : member.role());
  }
}

// A leader's word counts before a follower's, a later term's before an earlier one's.
void learn(const v1::StatusResponse& node, const v1::Replica& replica, v1::Group& group) {
  for (v1::GroupMember& member : *group.mutable_members()) {
    if (member.node() != node.node() || member.role() == "lost") continue;
    member.set_up(true);
    member.set_leads(replica.leads());
    member.set_applied_index(replica.applied_index());
  }
  group.set_committed_index(std::max(group.committed_index(), replica.committed_index()));
  if (replica.leads()) {
    group.set_prepared(replica.prepared());
    group.set_locks(replica.locks());
    group.set_active(replica.active());
  }
  if (replica.epoch() < group.epoch() || (replica.epoch() == group.epoch() && replica.leader().empty())) return;
  group.set_epoch(replica.epoch());
  group.set_leader(replica.leader());
}

}  // namespace

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  // A message without Any cannot fail.
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  return text;
}

v1::GroupPage groups_of(const v1::ClusterPage& page, const ClusterView& cluster) {
  std::map<std::string, v1::Group> groups;
  for (const GroupConfig& config : cluster.group_configs) {
    v1::Group& group = groups[config.name];
    group.set_group(config.name);
    group.set_role(config.role == GroupRole::coordinator ? "coordinator" : "shard");
    for (const NodeId member : config.members) {
      v1::GroupMember& founder = *group.add_members();
      founder.set_node(cluster.node_name(member));
      founder.set_role("voter");
    }
    name_members(page, group);
  }
  for (const v1::StatusResponse& node : page.nodes()) {
    for (const v1::Replica& replica : node.replicas()) {
      const auto group = groups.find(replica.group());
      if (group != groups.end()) learn(node, replica, group->second);
    }
  }
  v1::GroupPage out;
  for (auto& [name, group] : groups) {
    for (v1::GroupMember& member : *group.mutable_members()) {
      if (!member.up()) continue;
      member.set_lag_entries(group.committed_index() - std::min(group.committed_index(), member.applied_index()));
    }
    group.set_health(health_of(group));
    *out.add_groups() = std::move(group);
  }
  out.set_as_of_unix_micros(page.as_of_unix_micros());
  *out.mutable_unreachable() = page.unreachable();
  return out;
}

const std::vector<ApiRead>& api_reads() {
  static const std::vector<ApiRead> all{
      {"/api/v1/cluster", {}},
      {"/api/v1/groups", {}},
      {"/api/v1/txns",
       {"state", "limit", "cursor", "slower_than", "phases", "started_from", "started_to", "over", "upto", "by"}},
      {"/api/v1/txns/{id}", {}},
      {"/api/v1/txns/{id}/trace", {}},
      {"/api/v1/txns/{id}/explain", {}},
      {"/api/v1/locks", {}},
      {"/api/v1/latency", {"window", "from", "to", "columns"}},
      {"/api/v1/events", {"limit"}}};
  return all;
}

void add_api_routes(HttpPort& port, const HttpSources& sources, ObserveService& observe) {
  const auto api = std::make_shared<const Api>(sources, observe);
  using Answer = HttpAnswer (Api::*)(const HttpRequest&) const;
  const std::map<std::string_view, Answer> answers{{"/api/v1/cluster", &Api::cluster},
                                                   {"/api/v1/groups", &Api::groups},
                                                   {"/api/v1/txns", &Api::txns},
                                                   {"/api/v1/txns/{id}", &Api::txn},
                                                   {"/api/v1/txns/{id}/trace", &Api::otlp},
                                                   {"/api/v1/txns/{id}/explain", &Api::explain},
                                                   {"/api/v1/locks", &Api::locks},
                                                   {"/api/v1/latency", &Api::latency},
                                                   {"/api/v1/events", &Api::events}};
  for (const ApiRead& read : api_reads()) {
    port.route(read.path, read.parameters,
               [api, answer = answers.at(read.path)](const HttpRequest& request) { return (*api.*answer)(request); });
  }
  port.stream("/api/v1/stream", [api](const HttpRequest& request) { return api->stream(request); });
}

}  // namespace assent
