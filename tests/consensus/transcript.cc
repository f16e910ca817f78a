#include "tests/consensus/transcript.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"

namespace assent::testing {
namespace {

constexpr GroupId group{7};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::map<std::string, std::string> options_of(const std::vector<std::string>& arguments, std::size_t from) {
  std::map<std::string, std::string> options;
  for (std::size_t i = from; i < arguments.size(); ++i) {
    const auto equals = arguments[i].find('=');
    options[arguments[i].substr(0, equals)] = equals == std::string::npos ? "" : arguments[i].substr(equals + 1);
  }
  return options;
}

Position place_of(const std::string& text) {
  const auto at = text.find('@');
  return {Epoch(std::stoull(text.substr(0, at))), Index(std::stoull(text.substr(at + 1)))};
}

EntryPtr entry_at(Epoch epoch, Index index) {
  return std::make_shared<const Entry>(Entry{.epoch = epoch,
                                             .index = index,
                                             .stamp = {},
                                             .kind = EntryKind::command,
                                             .payload = fmt::format("{}@{}", epoch, index)});
}

}  // namespace

// ---- files ----

std::vector<Block> parse_transcript(const std::string& text) {
  std::vector<Block> blocks;
  Block block;
  bool in_output = false;
  std::istringstream in(text + "\n");
  for (std::string line; std::getline(in, line);) {
    if (in_output && line.empty()) {
      blocks.push_back(std::exchange(block, {}));
      in_output = false;
    } else if (in_output) {
      block.output.push_back(line);
    } else if (line == "----") {
      in_output = true;
    } else if (line.starts_with("#") || (line.empty() && !block.comments.empty())) {
      block.comments.push_back(line);
    } else if (!line.empty()) {
      block.command = line;
    }
  }
  if (!block.command.empty()) blocks.push_back(block);
  return blocks;
}

std::string print_transcript(const std::vector<Block>& blocks) {
  std::string text;
  for (const Block& block : blocks) {
    for (const std::string& line : block.comments) text += line + "\n";
    text += block.command + "\n----\n";
    for (const std::string& line : block.output) text += line + "\n";
    if (&block != &blocks.back()) text += "\n";
  }
  return text;
}

// ---- commands ----

std::vector<std::string> Transcript::run(const std::string& command) {
  output_.clear();
  converged_ = false;
  Arguments arguments = split(command, ' ');
  try {
    const std::string verb = arguments.at(0);
    arguments.erase(arguments.begin());
    dispatch(verb, arguments);
    check();
  } catch (const std::exception& failure) {
    error(fmt::format("cannot run '{}': {}", command, failure.what()));
  }
  if (output_.empty()) say("ok");
  return output_;
}

void Transcript::dispatch(const std::string& verb, const Arguments& arguments) {
  if (verb == "nodes") return nodes(arguments);
  if (verb == "restore") return restore(arguments);
  if (verb == "propose") return propose(arguments);
  if (verb == "deliver") return deliver(arguments, false);
  if (verb == "drop") return deliver(arguments, true);
  if (verb == "settle") return settle();
  if (verb == "status") return status();
  if (verb == "converge") return converge();
  if (verb == "heal") return cut_.clear();
  if (verb == "clock" && arguments.size() == 1) {
    for (const NodeId node : nodes_) {
      if (host(node).up()) core(node).set_clock(std::stoull(arguments[0]));
    }
    return;
  }
  if (verb == "release") {
    for (Flight& flight : held_) flights_.push_back(std::move(flight));
    return held_.clear();
  }
  if (verb == "cut") return static_cast<void>(cut_.insert(link_of(arguments.at(0))));
  if (verb == "hold") return hold(link_of(arguments.at(0)));
  const NodeId node = node_of(arguments.at(0));
  if (verb == "restart") {
    host(node).start();
  } else if (verb == "crash") {
    host(node).crash(0);
  } else if (verb == "tick") {
    tick(node, arguments.size() > 1 ? std::stoull(arguments[1]) : 1);
  } else if (verb == "campaign") {
    campaign(node);
  } else if (verb == "read") {
    const auto asked = core(node).request_read(ReadId(std::stoull(arguments.at(1))));
    if (!asked) say(fmt::format("n{} refuses the read: {}", node, asked.error().message));
    pump(node);
  } else if (verb == "ask-point") {
    core(node).request_read_point();
    pump(node);
  } else if (verb == "point") {
    const auto point = core(node).read_point(Index(std::stoull(arguments.at(1))));
    say(point ? fmt::format("n{} holds what was told {} us ago, at {}", node, point->age_micros, point->index)
              : fmt::format("n{} can prove nothing", node));
  } else if (verb == "transfer") {
    core(node).transfer_leadership(node_of(arguments.at(1)));
    pump(node);
  } else if (verb == "clock") {
    core(node).set_clock(std::stoull(arguments.at(1)));
  } else if (verb == "idle") {
    core(node).set_idle(arguments.at(1) == "on");
  } else if (verb == "wake") {
    const auto colon = arguments.at(1).find(':');
    const std::vector<Slept::Silence> silences{
        {node_of(arguments[1].substr(0, colon)),
         static_cast<std::uint32_t>(std::stoul(arguments[1].substr(colon + 1)))}};
    core(node).wake(Slept{.ticks = 0, .silences = silences});
    pump(node);
  } else if (verb == "snapshot") {
    if (!host(node).take_snapshot(core(node).status().committed)) error("no snapshot can be taken");
    pump(node);
  } else if (verb == "sync") {
    sync(node);
  } else if (verb == "disk") {
    arguments.at(1) == "on" ? static_cast<void>(disk_off_.erase(node)) : static_cast<void>(disk_off_.insert(node));
    if (arguments[1] == "on") sync(node);
  } else if (verb == "change") {
    change(arguments);
  } else if (verb == "members") {
    say(fmt::format("n{}: {}", node, to_string(core(node).status().members)));
  } else if (verb == "lose") {
    static_cast<void>(host(node).lose_disk(std::stoull(arguments.at(1))));
    host(node).start();
  } else if (verb == "damage") {
    host(node).damage(Index(std::stoull(arguments.at(1))));
    host(node).start();
  } else if (verb == "isolate") {
    for (const NodeId other : nodes_) cut_.insert({{node, other}, {other, node}});
  } else if (verb == "log") {
    show_log(node);
  } else {
    error("no such command: " + verb);
  }
}

void Transcript::nodes(const Arguments& arguments) {
  auto given = options_of(arguments, 1);
  const auto number = [&](const std::string& name, std::uint64_t otherwise) {
    return given.contains(name) ? std::stoull(given[name]) : otherwise;
  };
  options_.narrate = true;
  options_.election_ticks = static_cast<std::uint32_t>(number("election", 10));
  options_.heartbeat_ticks = static_cast<std::uint32_t>(number("heartbeat", 3));
  options_.inflight_max = number("window", options_.inflight_max);
  options_.append_bytes_max = number("append", options_.append_bytes_max);
  options_.tail_entries_max = number("tail", 0);
  options_.promise_micros = number("promise", 0);
  options_.lease_micros = number("lease", 0);
  options_.clock_drift_ppm = number("drift", 0);
  options_.sleep_ticks = static_cast<std::uint32_t>(number("sleep", 0));
  options_.promote_lag_max = number("lag", options_.promote_lag_max);
  for (std::uint64_t i = 1; i <= std::stoull(arguments.at(0)); ++i) founders_.push_back(NodeId(i));
  nodes_ = founders_;
  for (std::uint64_t i = 0; i < number("spares", 0); ++i) nodes_.push_back(NodeId(nodes_.size() + 1));
  for (const NodeId id : nodes_) {
    const LogSetup setup{.self = id, .group = group, .members = founders_, .seed = 1, .durable = {}, .incarnation = 0};
    hosts_[id] = std::make_unique<Host>(make_raft_factory(options_), setup);
  }
}

void Transcript::restore(const Arguments& arguments) {
  const NodeId node = node_of(arguments.at(0));
  auto given = options_of(arguments, 1);
  DurableLog durable;
  const raft::HardState hard{.term = Epoch(std::stoull(given.at("term"))),
                             .vote = given.contains("vote") ? Member(node_of(given["vote"])) : Member{}};
  durable.hard_state = raft::encode_hard_state(hard);
  if (given.contains("snapshot"))
    durable.snapshot = {.last = place_of(given["snapshot"]), .stamp = {}, .members = founders_};
  Index index = durable.snapshot.last.index;
  for (const std::string& epoch : split(given["log"], ',')) {
    index = index.next();
    durable.entries.push_back(entry_at(Epoch(std::stoull(epoch)), index));
  }
  host(node).crash(0);
  host(node).disk() = std::move(durable);
  if (given.contains("snapshot")) host(node).store_snapshot(host(node).disk().snapshot);
  host(node).start();
}

void Transcript::tick(NodeId node, std::uint64_t times) {
  for (std::uint64_t i = 0; i < times; ++i) {
    core(node).tick();
    pump(node);
  }
}

void Transcript::campaign(NodeId node) {
  for (int i = 0; i < 1'000 && std::holds_alternative<raft::Follower>(core(node).role()); ++i) tick(node, 1);
}

void Transcript::propose(const Arguments& arguments) {
  const NodeId node = node_of(arguments.at(0));
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const auto at = core(node).propose(arguments[i], ClusterMillis(100));
    say(at ? fmt::format("n{} takes {} as {}@{}", node, arguments[i], at->epoch, at->index)
           : fmt::format("n{} refuses {}: {}", node, arguments[i], at.error().message));
  }
  pump(node);
}

void Transcript::change(const Arguments& arguments) {
  const NodeId node = node_of(arguments.at(0));
  const std::map<std::string, MemberChange::Kind> kinds{{"voter", MemberChange::Kind::voter},
                                                        {"learner", MemberChange::Kind::learner},
                                                        {"remove", MemberChange::Kind::remove}};
  std::vector<MemberChange> changes;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const auto colon = arguments[i].find(':');
    changes.push_back({kinds.at(arguments[i].substr(0, colon)), member_of(arguments[i].substr(colon + 1))});
  }
  const auto at = core(node).change_membership(changes, ClusterMillis(100));
  if (!at) say(fmt::format("n{} refuses: {}", node, at.error().message));
  pump(node);
}

void Transcript::deliver(const Arguments& arguments, bool drop) {
  std::deque<Flight> now;
  std::deque<Flight> later;
  for (Flight& flight : flights_) {
    const bool meant = arguments.empty() || Link{flight.from, flight.to} == link_of(arguments[0]);
    (meant ? now : later).push_back(std::move(flight));
  }
  flights_ = std::move(later);
  for (const Flight& flight : now) {
    if (!drop) {
      deliver(flight, true);
      continue;
    }
    say("lost: " + describe(flight));
    if (flight.snapshot && host(flight.from).up()) core(flight.from).snapshot_sent(flight.to, false);
  }
}

void Transcript::hold(const Link& link) {
  std::deque<Flight> rest;
  for (Flight& flight : flights_) {
    const bool meant = Link{flight.from, flight.to} == link;
    if (meant) say("held: " + describe(flight));
    (meant ? held_ : rest).push_back(std::move(flight));
  }
  flights_ = std::move(rest);
}

void Transcript::deliver(const Flight& flight, bool show) {
  const bool arrives = !cut_.contains({flight.from, flight.to}) && host(flight.to).up();
  if (show) say((arrives ? "" : "lost: ") + describe(flight));
  if (flight.snapshot) {
    if (arrives) {
      host(flight.to).store_snapshot(*flight.snapshot);
      core(flight.to).receive_snapshot(flight.from, flight.epoch, *flight.snapshot);
    }
    if (host(flight.from).up()) core(flight.from).snapshot_sent(flight.to, arrives);
  } else if (arrives) {
    core(flight.to).receive(flight.from, flight.bytes);
  }
  if (arrives) pump(flight.to);
}

void Transcript::settle() {
  for (int rounds = 0; !flights_.empty(); ++rounds) {
    if (rounds == 10'000) return error("does not settle");
    const Flight flight = std::move(flights_.front());
    flights_.pop_front();
    deliver(flight, false);
  }
}

void Transcript::converge() {
  cut_.clear();
  disk_off_.clear();
  for (Flight& flight : held_) flights_.push_back(std::move(flight));
  held_.clear();
  for (const NodeId node : nodes_) {
    if (!host(node).up()) host(node).start();
    sync(node);
  }
  // The leader of the newest term, if any.
  const auto led = [this] {
    std::optional<LogStatus> best;
    for (const NodeId node : nodes_) {
      LogStatus status = core(node).status();
      if (!status.leadership.self_leads || (best && best->leadership.epoch > status.leadership.epoch)) continue;
      best = std::move(status);
    }
    return best;
  };
  const auto equal = [&, this] {
    const std::optional<LogStatus> first = led();
    return first && std::all_of(nodes_.begin(), nodes_.end(), [&](NodeId node) {
             const LogStatus status = core(node).status();
             return !first->members.has(host(node).member()) ||
                    (!status.leadership.leader.none() && status.last == first->last &&
                     status.committed == first->last && status.leadership.epoch == first->leadership.epoch);
           });
  };
  for (int rounds = 0; rounds < 300 && !equal(); ++rounds) {
    for (const NodeId node : nodes_) tick(node, 1);
    settle();
  }
  if (!equal()) return error("does not converge");
  const LogStatus status = *led();
  say(fmt::format("all follow n{} in term {}, committed {}", status.leadership.leader, status.leadership.epoch,
                  status.committed));
  converged_ = true;
}

void Transcript::status() {
  for (const NodeId node : nodes_) {
    if (!host(node).up()) {
      say(fmt::format("n{} down", node));
      continue;
    }
    const raft::Raft& at = core(node);
    const LogStatus status = at.status();
    say(fmt::format("n{} {} term {} vote {} leader {} last {}@{} committed {} first {}{}", node, at.role_name(),
                    at.term(), at.vote(), status.leadership.leader, at.log().last().epoch, status.last,
                    status.committed, status.first, status.asleep ? " asleep" : ""));
    const auto* leader = std::get_if<raft::Leader>(&at.role());
    for (const raft::Peer& peer : leader == nullptr ? std::vector<raft::Peer>{} : leader->peers) {
      constexpr std::array<std::string_view, 3> states{"probe", "replicate", "snapshot"};
      const raft::Progress& progress = peer.progress;
      say(fmt::format("   n{} {} match {} next {} inflight {}", peer.member,
                      states.at(static_cast<std::size_t>(progress.state())), progress.match(), progress.next(),
                      progress.inflight()));
    }
  }
}

void Transcript::show_log(NodeId node) {
  const raft::RaftLog& log = core(node).log();
  std::vector<std::uint64_t> epochs;
  for (Index index = log.first_index(); index <= log.last_index(); index = index.next())
    epochs.push_back(log.at(index)->epoch.value);
  say(fmt::format("n{} from {}: {}", node, log.first_index(), fmt::join(epochs, " ")));
}

// ---- the host's part ----

void Transcript::pump(NodeId node) {
  std::vector<ConsensusMessage> leaving;
  const Output out = host(node).take(leaving);
  for (const std::string& line : out.narration) say(fmt::format("n{} {}", node, line));
  for (const ReadReady& read : out.reads) say(fmt::format("n{} answers read {} at {}", node, read.id, read.index));
  for (const ReadId read : out.reads_lost) say(fmt::format("n{} lost read {}", node, read));
  for (const EntryPtr& entry : out.committed) {
    const auto [known, fresh] = committed_.try_emplace(entry->index, *entry);
    if (!fresh && known->second != *entry) error(fmt::format("n{} committed something else at {}", node, entry->index));
  }
  leave(node, std::move(leaving));
  for (const SnapshotSend& send : out.snapshots_to_send) {
    flights_.push_back({node, send.to, {}, host(node).newest_snapshot().value(), send.epoch});
  }
  if (!disk_off_.contains(node) && host(node).writes() > 0) sync(node);
}

void Transcript::sync(NodeId node) {
  if (host(node).writes() == 0) return;
  std::vector<ConsensusMessage> leaving;
  host(node).sync(host(node).writes(), leaving);
  leave(node, std::move(leaving));
  pump(node);
}

void Transcript::leave(NodeId from, std::vector<ConsensusMessage> messages) {
  for (ConsensusMessage& message : messages) {
    const auto letter = raft::decode_letter(group, message.bytes);
    if (!letter) return error("an unreadable message");
    if (const auto* reply = std::get_if<raft::VoteReply>(&letter->message); reply != nullptr && reply->granted) {
      const auto [vote, fresh] = votes_.try_emplace({Member(from, letter->between.from), reply->term}, message.to);
      if (!fresh && vote->second != message.to) error(fmt::format("n{} voted twice in term {}", from, reply->term));
    }
    flights_.push_back({from, message.to, std::move(message.bytes), {}, {}});
  }
}

void Transcript::check() {
  for (const NodeId node : nodes_) {
    if (!host(node).up()) continue;
    const raft::Raft& at = core(node);
    const LogStatus status = at.status();
    if (status.committed > status.last) error(fmt::format("n{} committed more than it has", node));
    Index& commit = commits_[{node, host(node).incarnation()}];
    if (status.committed < commit) error(fmt::format("n{}: the commit index went back", node));
    commit = status.committed;
    if (!status.leadership.self_leads) continue;
    const auto [leader, fresh] = leaders_.try_emplace(at.term(), node);
    if (!fresh && leader->second != node) error(fmt::format("term {} has two leaders", at.term()));
    for (const auto& [index, entry] : committed_) {
      if (entry.epoch < at.term() && index > at.log().base().index && !at.log().holds({entry.epoch, index})) {
        error(fmt::format("the leader n{} lacks the committed entry {}@{}", node, entry.epoch, index));
      }
    }
  }
}

// ---- words ----

NodeId Transcript::node_of(const std::string& text) const {
  const NodeId node(std::stoull(text));
  if (std::find(nodes_.begin(), nodes_.end(), node) == nodes_.end()) throw std::out_of_range("no node " + text);
  return node;
}

Member Transcript::member_of(const std::string& text) const {
  const auto dot = text.find('.');
  const NodeId node = node_of(text.substr(0, dot));
  return dot == std::string::npos ? Member(node) : Member(node, std::stoull(text.substr(dot + 1)));
}

Transcript::Link Transcript::link_of(const std::string& text) const {
  const auto arrow = text.find("->");
  if (arrow == std::string::npos) throw std::invalid_argument("not a link: " + text);
  return {node_of(text.substr(0, arrow)), node_of(text.substr(arrow + 2))};
}

std::string Transcript::describe(const Flight& flight) const {
  if (flight.snapshot) {
    const Position& last = flight.snapshot->last;
    return fmt::format("{}->{} snapshot {} up to {}@{}", flight.from, flight.to, flight.epoch, last.epoch, last.index);
  }
  return fmt::format("{}->{} {}", flight.from, flight.to, raft::describe(raft::decode(group, flight.bytes).value()));
}

}  // namespace assent::testing
